//! What a test or a demo may do to the world: move the clock, ask for the truth, change the form of what is served.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json as object;

use super::envelope::{Refusal, json};
use super::routes::{ready, streamed};
use super::stage::Stage;
use super::{Body, KeyOrder, ListOrder, Numbers, Resource, Style, Whitespace};

/// The paths under `/control`.
pub(super) fn router() -> Router<Arc<Stage>> {
    Router::new()
        .route("/control/clock", get(clock))
        .route("/control/advance", post(advance))
        .route("/control/truth/{resource}", get(truth))
        .route("/control/style", post(style))
        .route("/control/serve-optional", post(serve_optional))
}

type Asked<T> = Result<Query<T>, QueryRejection>;
type Shared = State<Arc<Stage>>;

async fn clock(State(stage): Shared) -> Response {
    json(&object!({ "clock": stage.scene().snapshot.clock() }))
}

/// How far to move the clock.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Advance {
    days: u32,
    hours: u32,
    seconds: u32,
}

async fn advance(State(stage): Shared, asked: Asked<Advance>) -> Result<Response, Refusal> {
    let Query(Advance { days, hours, seconds }) = asked?;
    let by = TimeDelta::days(days.into()) + TimeDelta::hours(hours.into()) + TimeDelta::seconds(seconds.into());
    Ok(json(&object!({ "clock": stage.advance(by)? })))
}

async fn truth(State(stage): Shared, Path(name): Path<String>) -> Result<Response, Refusal> {
    let resource = Resource::named(&name).ok_or(Refusal::NotFound)?;
    let scene = ready(&stage, resource).await?;
    Ok(streamed("application/x-ndjson", Body::truth(scene.snapshot, resource)))
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
