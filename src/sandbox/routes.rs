//! The API's paths, and what is refused.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;

use super::envelope::{Refusal, seal};
use super::json::put_record;
use super::list::list;
use super::parameters::Parameters;
use super::stage::{Scene, Stage};
use super::{Body, Resource, control, switches};

/// The last part of a path; one that cannot be read names nothing.
type Named = Result<Path<String>, PathRejection>;

type Shared = State<Arc<Stage>>;

/// The whole sandbox: the API behind its credentials, and control beside it.
pub(super) fn router(stage: Arc<Stage>) -> Router {
    let mut router = Router::new();
    for resource in Resource::ALL {
        let list =
            move |State(stage): Shared, asked: Parameters, headers: HeaderMap| list(stage, resource, asked, headers);
        let item = move |State(stage): Shared, id: Named| item(stage, resource, resource.key(), id);
        let item_path = format!("{}/{{id}}", resource.path());
        router = router.route(&resource.path(), get(list)).route(&item_path, get(item));
    }
    let account = |State(stage): Shared, code: Named| item(stage, Resource::Accounts, "currency", code);
    router
        .route("/api/v1/accounts/currency/{currency}", get(account))
        .merge(control::router())
        .merge(switches::router())
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .layer(from_fn_with_state(stage.clone(), admit))
        .with_state(stage)
}

/// What the API shows at present, once the resource can be read without long waits.
pub(super) async fn ready(stage: &Stage, resource: Resource) -> Result<Scene, Refusal> {
    let scene = stage.showing(resource)?;
    if resource == Resource::Accounts {
        let snapshot = scene.snapshot.clone();
        let reckoned = tokio::task::spawn_blocking(move || {
            snapshot.books();
        });
        reckoned.await.map_err(|_| Refusal::Internal)?;
    }
    Ok(scene)
}

/// A response whose text is made as fast as it is read.
pub(super) fn streamed(content_type: &'static str, body: Body) -> Response {
    let chunks = stream::iter(body.map(Ok::<_, Infallible>));
    ([(CONTENT_TYPE, content_type)], axum::body::Body::from_stream(chunks)).into_response()
}

/// Every request comes in and goes out here. The API asks for both credential headers each time; control does not.
async fn admit(State(stage): Shared, request: Request, next: Next) -> Response {
    tracing::debug!(method = %request.method(), path = request.uri().path(), "sandbox request");
    let is_api = request.uri().path().starts_with("/api");
    let response = match stage.refused_header(request.headers()).filter(|_| is_api) {
        Some(header) => Refusal::Unauthenticated(header).into_response(),
        None => next.run(request).await,
    };
    seal(response, &stage)
}

async fn item(stage: Arc<Stage>, resource: Resource, key: &'static str, named: Named) -> Result<Response, Refusal> {
    let scene = ready(&stage, resource).await?;
    let found = named.ok().and_then(|Path(text)| scene.snapshot.find(resource, key, &text));
    let shown = found.and_then(|(number, record)| Some((number, scene.single_reads.show(record)?)));
    let (number, record) = shown.ok_or(Refusal::NotFound)?;
    let mut json = Vec::new();
    put_record(&mut json, &record, scene.style, number);
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}
