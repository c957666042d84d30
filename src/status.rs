//! How far each resource has come, and what the last runs came to, from the lake alone.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::{
    config::Config,
    error::Error,
    lake::{Lake, ResourceStatus, Store},
    redact::printable,
    sync::PastRun,
};

/// Reads the status of every resource of the settings. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// If there is no lake, or a log in it is damaged.
pub async fn read(config: &Config) -> Result<Vec<ResourceStatus>, Error> {
    let lake = Lake::open(Store::open(&config.lake, &config.s3, false)?).await?;
    let mut statuses = Vec::new();
    for resource in &config.resources {
        statuses.push(lake.status(resource).await?);
    }
    Ok(statuses)
}

/// One line of JSON a resource.
///
/// # Errors
///
/// None in practice: a status can be JSON.
pub fn json_lines(statuses: &[ResourceStatus]) -> Result<String, Error> {
    let line = |status| serde_json::to_string(status).map(|line| line + "\n");
    statuses.iter().map(line).collect::<Result<_, _>>().map_err(|error| Error::Bug(error.to_string()))
}

/// A table for people.
#[must_use]
pub fn table(statuses: &[ResourceStatus]) -> String {
    let mut table = String::new();
    let mut line = |cells: [&str; 8]| {
        let [resource, head, poll, known, open, newest, objects, bytes] = cells;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{resource:<16}{head:>7}  {poll:<21}{known:>10}{open:>8}  {newest:<21}{objects:>8}{bytes:>12}"
        );
    };
    line(["resource", "head", "last change seen", "known", "open", "newest event", "objects", "bytes"]);
    for status in statuses {
        let cursor = status.cursor.as_ref();
        let figure =
            |pick: fn(&crate::lake::Cursor) -> u64| cursor.map_or("-".to_owned(), |cursor| pick(cursor).to_string());
        line([
            &status.resource,
            &status.head.to_string(),
            &cursor
                .and_then(crate::lake::Cursor::synced)
                .map_or("never".to_owned(), |cursor| readable_time(cursor.observed_at)),
            &figure(|cursor| cursor.known),
            &figure(|cursor| cursor.open),
            &cursor.and_then(|cursor| cursor.newest_event_time).map_or("-".to_owned(), readable_time),
            &status.objects.to_string(),
            &status.bytes.to_string(),
        ]);
    }
    table
}

/// Past runs, one line of JSON each.
///
/// # Errors
///
/// None in practice: a run can be JSON.
pub fn run_lines(runs: &[PastRun]) -> Result<String, Error> {
    let line = |run: &PastRun| run.to_json().map(|line| line + "\n");
    runs.iter().map(line).collect::<Result<_, _>>().map_err(|error| Error::Bug(error.to_string()))
}

/// Past runs as a table for people, with what failed in a line of its own.
#[must_use]
pub fn runs(runs: &[PastRun]) -> String {
    let mut table = run_line(["began", "seconds", "exit", "added", "changed", "removed", "quarantined"]);
    for run in runs {
        let [added, changed, removed, quarantined] =
            ["added", "changed", "removed", "quarantined"].map(|figure| run.total(figure).to_string());
        let (began, seconds, exit) =
            (readable(run.started_at), format!("{:.1}", run.seconds), run.exit_code.to_string());
        table += &run_line([&began, &seconds, &exit, &added, &changed, &removed, &quarantined]);
        for failure in run.failures() {
            table += &format!("  {}: {}\n", failure.resource.unwrap_or("the run"), printable(failure.message));
        }
    }
    table
}

fn run_line([began, seconds, exit, added, changed, removed, quarantined]: [&str; 7]) -> String {
    format!("{began:<21}{seconds:>10}{exit:>6}{added:>10}{changed:>10}{removed:>10}{quarantined:>13}\n")
}

/// A time in microseconds as people read it.
fn readable_time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(|| micros.to_string(), readable)
}

fn readable(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}
