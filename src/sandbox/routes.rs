//! The API's paths: lists, single reads, and what is refused.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;

use super::envelope::Refusal;
use super::json::put_record;
use super::stage::{Scene, Stage};
use super::{Body, Resource, control};

/// A query as it came; one that cannot be read filters nothing, as reserved parameters do.
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The last part of a path; one that cannot be read names nothing.
type Named = Result<Path<String>, PathRejection>;

/// The whole sandbox: the API behind its credentials, and control beside it.
pub(super) fn router(stage: Arc<Stage>) -> Router {
    let mut router = Router::new();
    for resource in Resource::ALL {
        let (list_path, item_path) = (resource.path(), format!("{}/{{id}}", resource.path()));
        let list = move |State(stage): State<Arc<Stage>>, query: Parameters| list(stage, resource, query);
        let item = move |State(stage): State<Arc<Stage>>, id: Named| item(stage, resource, resource.key(), id);
        router = router.route(&list_path, get(list)).route(&item_path, get(item));
    }
    let account = |State(stage): State<Arc<Stage>>, code: Named| item(stage, Resource::Accounts, "currency", code);
    router
        .route("/api/v1/accounts/currency/{currency}", get(account))
        .merge(control::router())
        .fallback(|State(stage): State<Arc<Stage>>| async move { Refusal::NotFound.response(&stage) })
        .method_not_allowed_fallback(|State(stage): State<Arc<Stage>>| async move {
            Refusal::MethodNotAllowed.response(&stage)
        })
        .layer(from_fn_with_state(stage.clone(), authenticate))
        .with_state(stage)
}

/// A response whose text is made as fast as it is read.
pub(super) fn streamed(content_type: &'static str, body: Body) -> Response {
    let chunks = stream::iter(body.map(Ok::<_, std::convert::Infallible>));
    ([(CONTENT_TYPE, content_type)], axum::body::Body::from_stream(chunks)).into_response()
}

/// Does ahead, on a thread where it may take long, what the resource's first chunk would wait for.
pub(super) async fn prepare(scene: &Scene, resource: Resource) -> Result<(), Refusal> {
    if resource.is_optional() && !scene.serves_optional {
        return Err(Refusal::NotFound);
    }
    if resource == Resource::Accounts {
        let snapshot = scene.snapshot.clone();
        let reckoned = tokio::task::spawn_blocking(move || snapshot.books().holding_count());
        reckoned.await.map_err(|_| Refusal::Internal)?;
    }
    Ok(())
}

/// The API asks for both headers on every request; control does not.
async fn authenticate(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    tracing::debug!(method = %request.method(), path = request.uri().path(), "sandbox request");
    let is_api = request.uri().path().starts_with("/api");
    match stage.refused_header(request.headers()).filter(|_| is_api) {
        Some(header) => Refusal::Unauthenticated(header).response(&stage),
        None => next.run(request).await,
    }
}

async fn list(stage: Arc<Stage>, resource: Resource, query: Parameters) -> Response {
    let scene = stage.scene();
    if let Err(refusal) = prepare(&scene, resource).await {
        return refusal.response(&stage);
    }
    let parameters = query.map_or_else(|_| Vec::new(), |Query(parameters)| parameters);
    let filters = resource.filters().iter().flat_map(|filter| {
        let given = parameters.iter().find(|(name, _)| name == filter);
        given.map(|(_, text)| (*filter, text.clone()))
    });
    streamed("application/json", Body::list(scene.snapshot, resource, scene.style, filters.collect()))
}

async fn item(stage: Arc<Stage>, resource: Resource, key: &'static str, named: Named) -> Response {
    let scene = stage.scene();
    if let Err(refusal) = prepare(&scene, resource).await {
        return refusal.response(&stage);
    }
    let found = named.ok().and_then(|Path(text)| scene.snapshot.find(resource, key, &text));
    let Some((number, record)) = found else { return Refusal::NotFound.response(&stage) };
    let mut json = Vec::new();
    put_record(&mut json, &record, scene.style, number);
    ([(CONTENT_TYPE, "application/json")], json).into_response()
}
