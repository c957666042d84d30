//! What a run came to: a table for people, or one line of JSON a resource and one for the run.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::Stopwatch;
use crate::{
    api,
    diff::Conclusion,
    error::{Error, Kind},
    lake::{self, Head, RowCounts},
    record::Body,
};

/// A run.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// In the order of the settings.
    pub resources: Vec<ResourceReport>,
    /// What it took.
    pub effort: Effort,
}

/// What a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Effort {
    /// How long it was.
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Requests to the API, those included that were made again.
    pub api_requests: u64,
    /// Of these, those that were made again.
    pub api_retries: u64,
    /// Requests to the store of the lake.
    pub store_requests: u64,
    /// Objects created or replaced there.
    pub store_objects_written: u64,
}

/// What a resource's run is made of, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What an earlier run left is brought to its end.
    Settle,
    /// The list is received, and compared with what is known.
    Poll,
    /// What is new is claimed and created.
    Commit,
    /// `current/` and the caches are brought up to the last commit.
    Project,
}

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceOutcome {
    /// Something was new, and is in the lake.
    Committed,
    /// Nothing was new, and nothing was written.
    Unchanged,
    /// The API has no such endpoint, and may lack it.
    Absent,
    /// See `failure`.
    Failed,
}

/// The run of one resource. Added, changed and removed count what was committed, the rest what was found.
#[derive(Debug, Clone, Serialize)]
pub struct ResourceReport {
    /// The resource.
    pub resource: String,
    /// What became of it.
    pub outcome: ResourceOutcome,
    /// Not known before, or returned.
    pub added: u64,
    /// With another value.
    pub changed: u64,
    /// Gone.
    pub removed: u64,
    /// Equal to what was known, however written.
    pub unchanged: u64,
    /// Listed more than once with the same value.
    pub repeated: u64,
    /// Of the listed, those in quarantine.
    pub quarantined: u64,
    /// Missing, but not taken for removed: some records came without a readable key, or in an older version than is known,
    /// or the list moved while its pages were read.
    pub withheld: u64,
    /// Of the changed, those that had come to an end and are open again.
    pub regressed: u64,
    /// Listed in an older version than is known, which stays.
    pub stale_skipped: u64,
    /// From when on the list was asked for; null for the whole of it.
    pub since: Option<DateTime<Utc>>,
    /// Length of the API's answer.
    pub body_bytes: u64,
    /// Numbers of the commits made.
    pub commits: Vec<u64>,
    /// Rows in these commits.
    pub rows: u64,
    /// Number of the last commit.
    pub head: u64,
    /// Records that have not gone, as of that commit: those that the API lists, and those that only files have told of.
    pub known: u64,
    /// Of these, the ones that are expected to change.
    pub open: u64,
    /// When the first seen of the open ones was first observed; null if there is none, or if it was not looked for.
    pub oldest_open_at: Option<DateTime<Utc>>,
    /// How long each stage took that came to its end, with all its attempts.
    #[serde(serialize_with = "seconds_of_each")]
    pub seconds: BTreeMap<Stage, Duration>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it began, if it did.
    #[serde(skip)]
    pub started_at: Option<DateTime<Utc>>,
    /// How long it was.
    #[serde(skip)]
    pub took: Duration,
    /// When the stage began that is under way.
    #[serde(skip)]
    stage_began: Stopwatch,
}

/// A failure, as it is told.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// What was attempted and why it failed.
    pub message: String,
    /// What may help.
    pub hint: Option<&'static str>,
    /// In which state the data is.
    pub state: String,
    /// The exit code it stands for.
    pub exit_code: u8,
    /// Whether a guard has refused the API's answer.
    #[serde(skip)]
    pub by_guard: bool,
    #[serde(skip)]
    kind: Kind,
}

impl Failure {
    pub(crate) fn of(error: &Error, state: String) -> Self {
        let kind = error.kind();
        Self {
            message: error.to_string(),
            hint: error.hint(),
            state,
            exit_code: kind.exit_code(),
            by_guard: matches!(error, Error::Guard(_) | Error::Unfit { .. }),
            kind,
        }
    }

    /// What the operator should do.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl ResourceReport {
    pub(crate) fn new(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            outcome: ResourceOutcome::Unchanged,
            added: 0,
            changed: 0,
            removed: 0,
            unchanged: 0,
            repeated: 0,
            quarantined: 0,
            withheld: 0,
            regressed: 0,
            stale_skipped: 0,
            since: None,
            body_bytes: 0,
            commits: Vec::new(),
            rows: 0,
            head: 0,
            known: 0,
            open: 0,
            oldest_open_at: None,
            seconds: BTreeMap::new(),
            failure: None,
            started_at: None,
            took: Duration::ZERO,
            stage_began: Stopwatch::start(),
        }
    }

    /// Notes which commit is the last, and what the resource comes to with it.
    pub(super) fn stands_at(&mut self, head: &Head) {
        self.head = head.seq;
        (self.known, self.open) = head.cursor.as_ref().map_or((0, 0), |cursor| (cursor.known, cursor.open));
    }

    /// Notes that the first stage begins.
    pub(super) fn begin_stages(&mut self) {
        self.stage_began = Stopwatch::start();
    }

    /// Notes how long a stage took, and that the next one begins.
    pub(super) fn end_stage(&mut self, stage: Stage) {
        *self.seconds.entry(stage).or_default() += self.stage_began.elapsed();
        self.begin_stages();
    }

    pub(super) fn observed(&mut self, conclusion: &Conclusion, body: &Body, since: Option<DateTime<Utc>>) {
        self.since = since;
        let tally = conclusion.tally;
        self.unchanged = tally.unchanged + tally.equal;
        self.repeated = tally.repeated;
        self.quarantined = tally.rejected;
        self.stale_skipped = tally.stale;
        self.body_bytes = body.bytes;
    }

    pub(super) fn committed(&mut self, seq: u64, rows: RowCounts) {
        self.outcome = ResourceOutcome::Committed;
        // They come in any order.
        let place = self.commits.partition_point(|earlier| *earlier < seq);
        self.commits.insert(place, seq);
        self.added += rows.added;
        self.changed += rows.changed;
        self.removed += rows.removed;
        self.rows += rows.added + rows.changed + rows.removed;
        self.head = self.head.max(seq);
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        let state = match (self.commits.as_slice(), error.kind()) {
            ([], Kind::Unknown) => "it is not known whether a commit was made; the next run settles it".to_owned(),
            ([], _) => "nothing was committed".to_owned(),
            ([only], _) => format!("commit {only} is in the lake; the next run finds the rest"),
            ([first, .., last], _) if last - first == self.commits.len() as u64 - 1 => {
                format!("commits {first} to {last} are in the lake; the next run finds the rest")
            }
            ([first, .., last], _) => {
                let count = self.commits.len();
                format!("{count} commits from {first} to {last} are in the lake; the next run finds the rest")
            }
        };
        self.outcome = ResourceOutcome::Failed;
        self.failure = Some(Failure::of(error, state));
    }
}

impl Effort {
    pub(super) fn new(seconds: Duration, store: &lake::Traffic) -> Self {
        let (store_requests, store_objects_written) = (store.requests(), store.objects_written());
        Self { seconds, store_requests, store_objects_written, ..Self::default() }
    }

    pub(super) fn asked(&mut self, api: &api::Traffic) {
        (self.api_requests, self.api_retries) = (api.requests(), api.retries());
    }
}

impl Stage {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Settle => "settle",
            Stage::Poll => "poll",
            Stage::Commit => "commit",
            Stage::Project => "project",
        }
    }
}

/// To the millisecond, which is finer than a run is ever the same again.
pub(super) fn rounded(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1e3
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*duration))
}

fn seconds_of_each<S: Serializer>(stages: &BTreeMap<Stage, Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(stages.iter().map(|(stage, duration)| (stage.name(), rounded(*duration))))
}

impl Report {
    /// The gravest failure's kind; `None` if nothing has failed.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::gravest(self.failures().map(|(_, failure)| failure.kind))
    }

    /// The exit code: that of the gravest failure, 0 if there is none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind().map_or(0, Kind::exit_code)
    }

    /// One line of JSON a resource, then one for the run.
    ///
    /// # Errors
    ///
    /// None in practice: all of it can be JSON.
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        let mut lines = String::new();
        for resource in &self.resources {
            lines.push_str(&serde_json::to_string(resource)?);
            lines.push('\n');
        }
        let total = |figure: fn(&ResourceReport) -> u64| self.resources.iter().map(figure).sum::<u64>();
        let run = serde_json::json!({
            "run": {
                "exit_code": self.exit_code(),
                "resources": self.resources.len(),
                "added": total(|resource| resource.added),
                "changed": total(|resource| resource.changed),
                "removed": total(|resource| resource.removed),
                "quarantined": total(|resource| resource.quarantined),
                "withheld": total(|resource| resource.withheld),
                "regressed": total(|resource| resource.regressed),
                "stale_skipped": total(|resource| resource.stale_skipped),
                "rows": total(|resource| resource.rows),
                "started_at": self.started_at,
                "effort": self.effort,
            }
        });
        lines.push_str(&run.to_string());
        lines.push('\n');
        Ok(lines)
    }

    /// The failures, for people: message, hint and state of the data.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.resources.iter().filter_map(|resource| Some((resource.resource.as_str(), resource.failure.as_ref()?)))
    }
}

impl Display for ResourceOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ResourceOutcome::Committed => "committed",
            ResourceOutcome::Unchanged => "unchanged",
            ResourceOutcome::Absent => "absent",
            ResourceOutcome::Failed => "failed",
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = String::new();
        writeln!(
            table,
            "{:<16}{:<10}{:>11}{:>11}{:>11}{:>12}{:>8}",
            "resource", "outcome", "added", "changed", "removed", "unchanged", "head"
        )?;
        for row in &self.resources {
            writeln!(
                table,
                "{:<16}{:<10}{:>11}{:>11}{:>11}{:>12}{:>8}",
                row.resource, row.outcome, row.added, row.changed, row.removed, row.unchanged, row.head
            )?;
        }
        for row in &self.resources {
            row.odd_figures(&mut table)?;
        }
        f.write_str(&table)
    }
}

impl ResourceReport {
    /// What is mostly nothing, in lines of its own.
    fn odd_figures(&self, table: &mut String) -> fmt::Result {
        let rows = [
            (self.quarantined, "do not fit the schema; in quarantine"),
            (self.withheld, "missing, but not taken for removed"),
            (self.regressed, "had ended and are open again; stored as they came"),
            (self.stale_skipped, "came in an older version than is known; skipped"),
        ];
        for (count, what) in rows.iter().filter(|(count, _)| *count > 0) {
            writeln!(table, "{}: {count} {what}", self.resource)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_80_columns_and_tells_below_it_what_is_mostly_nothing() {
        let mut odd = ResourceReport::new("payment_routes");
        (odd.added, odd.changed, odd.removed, odd.unchanged) =
            (1_234_567_890, 1_234_567_890, 1_234_567_890, 1_234_567_890);
        (odd.head, odd.quarantined) = (1_234_567, 3);
        let resources = vec![ResourceReport::new("trades"), odd];
        let report = Report { started_at: DateTime::UNIX_EPOCH, resources, effort: Effort::default() };
        let text = report.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines.iter().all(|line| line.len() < 80), "{text}");
        let figures: Vec<_> = lines[2].split_whitespace().skip(2).collect();
        assert_eq!(
            figures,
            ["1234567890", "1234567890", "1234567890", "1234567890", "1234567"],
            "none runs into another"
        );
        assert_eq!(lines[3], "payment_routes: 3 do not fit the schema; in quarantine");
    }
}
