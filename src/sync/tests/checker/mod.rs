//! What must be true of a lake in the end, compared with all that the API had said.
//!
//! ```text
//! objects ──▶ log: claims, numbers, hashes, chain ──▶ polls: each commit against the answer that it came from
//!                                                       └──▶ the last state ──▶ current, quarantine, reports
//! ```

mod current;
pub(super) mod fold;
pub(super) mod log;
mod polls;
mod quarantine;
mod reports;
mod verified;

use super::{
    lists::KINDS,
    stage::{Stage, Violation},
};
pub(super) use current::projection_is_up_to_date;

/// Checks all laws on the whole lake.
pub(super) async fn check(stage: &Stage) -> Result<(), Violation> {
    for kind in 0..KINDS.len() {
        let commits = log::commits(stage, kind)?;
        let state = polls::replay(stage, kind, &commits)?;
        current::equals(stage, kind, &state)?;
        quarantine::is_that_of_the_last_poll(stage, kind)?;
    }
    reports::are_true(stage)?;
    verified::finds_nothing(stage).await
}
