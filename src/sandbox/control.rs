//! What a test or a demo may do to the world: move the clock, and ask for the truth.

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
use super::{Body, Resource};

/// The paths under `/control` that are no switches.
pub(super) fn router() -> Router<Arc<Stage>> {
    Router::new()
        .route("/control/clock", get(clock))
        .route("/control/advance", post(advance))
        .route("/control/truth/{resource}", get(truth))
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
