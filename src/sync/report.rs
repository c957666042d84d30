//! What a run came to: a table for people, or one line of JSON a resource and one for the run.

use std::fmt::{self, Display, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    diff::Conclusion,
    error::{Error, Kind},
    lake::RowCounts,
    record::Body,
};

/// A run.
#[derive(Debug, Clone)]
pub struct Report {
    /// In the order in which they were polled.
    pub resources: Vec<ResourceReport>,
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
    /// Why it failed.
    pub failure: Option<Failure>,
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
    #[serde(skip)]
    kind: Kind,
}

impl Failure {
    pub(crate) fn of(error: &Error, state: String) -> Self {
        let kind = error.kind();
        Self { message: error.to_string(), hint: error.hint(), state, exit_code: kind.exit_code(), kind }
    }

    /// What the operator should do.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl ResourceReport {
    pub(super) fn new(resource: &str) -> Self {
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
            failure: None,
        }
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

    pub(super) fn fail(&mut self, error: &Error) {
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

impl Report {
    /// The exit code: that of the gravest failure, 0 if there is none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let failures = self.resources.iter().filter_map(|resource| resource.failure.as_ref());
        Kind::gravest(failures.map(|failure| failure.kind)).map_or(0, Kind::exit_code)
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
            "{:<16}{:<10}{:>10}{:>10}{:>10}{:>11}{:>12}{:>7}",
            "resource", "outcome", "added", "changed", "removed", "unchanged", "quarantined", "head"
        )?;
        for row in &self.resources {
            writeln!(
                table,
                "{:<16}{:<10}{:>10}{:>10}{:>10}{:>11}{:>12}{:>7}",
                row.resource,
                row.outcome,
                row.added,
                row.changed,
                row.removed,
                row.unchanged,
                row.quarantined,
                row.head
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
