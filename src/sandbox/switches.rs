//! What a rehearsal may change of the API while it runs: one path a switch, and one that shows and one that resets them all.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json as object;

use super::envelope::{Refusal, json};
use super::fault::Order;
use super::stage::{Scene, Stage};
use super::{KeyOrder, ListOrder, Numbers, Style, Whitespace};

/// The paths under `/control` that are switches.
pub(super) fn router() -> Router<Arc<Stage>> {
    Router::new()
        .route("/control", get(show))
        .route("/control/reset", post(reset))
        .route("/control/style", post(style))
        .route("/control/serve-optional", post(serve_optional))
        .route("/control/paginate", switch(|scene| &mut scene.paging))
        .route("/control/filters", switch(|scene| &mut scene.filtering))
        .route("/control/etags", switch(|scene| &mut scene.tagging))
        .route("/control/single-reads", switch(|scene| &mut scene.single_reads))
        .route("/control/fault", post(fault))
}

type Asked<T> = Result<Query<T>, QueryRejection>;
type Shared = State<Arc<Stage>>;

/// A path that sets the whole of a switch.
fn switch<T>(of: fn(&mut Scene) -> &mut T) -> MethodRouter<Arc<Stage>>
where
    T: Copy + DeserializeOwned + Serialize + Send + Sync + 'static,
{
    post(async move |State(stage): Shared, asked: Asked<T>| {
        let Query(state) = asked?;
        stage.change(|scene| *of(scene) = state);
        Ok::<_, Refusal>(json(&state))
    })
}

async fn show(State(stage): Shared) -> Response {
    json(&state(&stage.scene()))
}

async fn reset(State(stage): Shared) -> Response {
    json(&state(&stage.change(|scene| *scene = Scene::plain(scene.snapshot.clone()))))
}

/// The clock, and every switch by the last part of its path.
fn state(scene: &Scene) -> impl Serialize {
    object!({
        "clock": scene.snapshot.clock(),
        "style": scene.style,
        "serve-optional": { "on": scene.serves_optional },
        "paginate": scene.paging,
        "filters": scene.filtering,
        "etags": scene.tagging,
        "single-reads": scene.single_reads,
        "fault": scene.faults,
    })
}

/// Answers with what every list suffers.
async fn fault(State(stage): Shared, asked: Asked<Vec<(String, String)>>) -> Result<Response, Refusal> {
    let Query(query) = asked?;
    let order = Order::read(query)?;
    Ok(json(&stage.change(|scene| scene.faults.set(order)).faults))
}

/// What to change of the style; what is not named stays, unless `reset` is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StyleChange {
    reset: Option<String>,
    key_order: Option<KeyOrder>,
    whitespace: Option<Whitespace>,
    numbers: Option<Numbers>,
    order: Option<ListOrder>,
}

impl StyleChange {
    fn apply(&self, style: Style) -> Style {
        let base = if self.reset.is_some() { Style::default() } else { style };
        Style {
            key_order: self.key_order.unwrap_or(base.key_order),
            whitespace: self.whitespace.unwrap_or(base.whitespace),
            numbers: self.numbers.unwrap_or(base.numbers),
            order: self.order.unwrap_or(base.order),
        }
    }
}

async fn style(State(stage): Shared, asked: Asked<StyleChange>) -> Result<Response, Refusal> {
    let Query(change) = asked?;
    Ok(json(&stage.change(|scene| scene.style = change.apply(scene.style)).style))
}

/// Whether the undocumented resources exist.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServeOptional {
    on: bool,
}

async fn serve_optional(State(stage): Shared, asked: Asked<ServeOptional>) -> Result<Response, Refusal> {
    let Query(ServeOptional { on }) = asked?;
    stage.change(|scene| scene.serves_optional = on);
    Ok(json(&object!({ "on": on })))
}
