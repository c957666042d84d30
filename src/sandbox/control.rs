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
use super::routes::{prepare, streamed};
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

async fn clock(State(stage): State<Arc<Stage>>) -> Response {
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

async fn advance(State(stage): State<Arc<Stage>>, asked: Asked<Advance>) -> Response {
    let by = match asked {
        Ok(Query(Advance { days, hours, seconds })) => {
            TimeDelta::days(days.into()) + TimeDelta::hours(hours.into()) + TimeDelta::seconds(seconds.into())
        }
        Err(rejection) => return Refusal::Invalid(rejection.body_text()).response(&stage),
    };
    match stage.advance(by) {
        Ok(clock) => json(&object!({ "clock": clock })),
        Err(error) => Refusal::Invalid(error.to_string()).response(&stage),
    }
}

async fn truth(State(stage): State<Arc<Stage>>, Path(name): Path<String>) -> Response {
    let Some(resource) = Resource::named(&name) else { return Refusal::NotFound.response(&stage) };
    let scene = stage.scene();
    match prepare(&scene, resource).await {
        Ok(()) => streamed("application/x-ndjson", Body::truth(scene.snapshot, resource)),
        Err(refusal) => refusal.response(&stage),
    }
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

async fn style(State(stage): State<Arc<Stage>>, asked: Asked<StyleChange>) -> Response {
    match asked {
        Ok(Query(change)) => json(&stage.change(|scene| scene.style = change.apply(scene.style)).style),
        Err(rejection) => Refusal::Invalid(rejection.body_text()).response(&stage),
    }
}

/// Whether the undocumented resources exist.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServeOptional {
    on: bool,
}

async fn serve_optional(State(stage): State<Arc<Stage>>, asked: Asked<ServeOptional>) -> Response {
    match asked {
        Ok(Query(ServeOptional { on })) => {
            stage.change(|scene| scene.serves_optional = on);
            json(&object!({ "on": on }))
        }
        Err(rejection) => Refusal::Invalid(rejection.body_text()).response(&stage),
    }
}
