//! What a commit says of itself, in the footer of the object that is the commit.
//!
//! The Parquet key `lumetrade.commit` holds it as JSON. It is the cursor: there is no other place where a sync keeps how
//! far it has come, so nothing can disagree with the data.

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// Version of the lake's format. A lake with a greater one is not written to.
pub const FORMAT: u32 = 1;

/// Key of the commit in a Parquet footer.
pub(super) const COMMIT_KEY: &str = "lumetrade.commit";

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of the format.
    pub format: u32,
    /// Identity of the lake.
    pub lake: String,
    /// The resource.
    pub resource: String,
    /// Number of the commit; the first is 1.
    pub seq: u64,
    /// What it holds.
    pub kind: CommitKind,
    /// Rows in the object.
    pub rows: u64,
    /// SHA-256 of the commit before, in hexadecimal; none for the first. Within a diff it is what the claim promised, even if a
    /// void came to be there.
    pub parent: Option<String>,
    /// Fingerprint of the schema that it was written with.
    pub schema: String,
    /// Columns that identify a record, best first.
    pub key: Vec<String>,
    /// How far the resource has come with it. None only for a void before anything was polled.
    pub cursor: Option<Cursor>,
}

/// What a commit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitKind {
    /// Records that were added or changed.
    Changes,
    /// Records that have gone, as they were last.
    Removals,
    /// Nothing: it closes a number that a writer claimed and did not use.
    Void,
}

/// How far a resource has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The poll that found this.
    pub poll_id: String,
    /// When the poll began, in microseconds since 1970 UTC.
    pub observed_at: i64,
    /// Whether this commit is the last of its poll, so that nothing of the poll is missing.
    pub complete: bool,
    /// Length of the polled body.
    pub body_bytes: u64,
    /// XXH3 of 128 bits of the polled body, in hexadecimal; its SHA-256 in the first commits that there were.
    #[serde(alias = "body_sha256")]
    pub body_hash: String,
    /// ETag of the body, where the server gave one.
    pub etag: Option<String>,
    /// When the last poll of the whole list began that was taken whole, in microseconds since 1970 UTC: this one, or one
    /// before it.
    #[serde(default)]
    pub full_poll_at: Option<i64>,
    /// Newest event time seen in any record, in microseconds since 1970 UTC.
    pub newest_event_time: Option<i64>,
    /// Records that have not gone, as of this commit and those before it in its diff, whether or not these came to be there.
    pub known: u64,
    /// Of these, the ones that are expected to change.
    pub open: u64,
    /// Where the commit is of a backfill: what was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Box<Backfill>>,
}

/// What a backfill tells of itself in each of its commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The plan that was reviewed, by its hash.
    pub plan: String,
    /// Number of the last commit before the first of this plan.
    pub base: u64,
    /// The sum of what this commit holds of the plan, in hexadecimal: see [`ChangeSum`](super::ChangeSum).
    pub changes: String,
    /// Rows that this commit holds of the plan.
    pub rows: u64,
    /// How far syncs have come, which a backfill leaves as it is: the cursor of the last commit of one.
    pub synced: Option<Box<Cursor>>,
}

/// How the name of a poll begins that was none, but an input.
const INPUT: &str = "input-";
/// How the time of an input stands in that name.
const INPUT_TIME: &str = "%Y%m%dT%H%M%S%.6fZ";

/// What an input is called, in place of a poll: by the time of what it says, in microseconds, and a name of its own. Rows of
/// inputs are told by it.
#[must_use]
pub fn input_name(observed_at: i64, name: &str) -> String {
    let time = DateTime::from_timestamp_micros(observed_at).unwrap_or_default();
    format!("{INPUT}{}-{name}", time.format(INPUT_TIME))
}

/// The time of what an input says, in microseconds, if this is what one is called.
#[must_use]
pub fn input_time(poll_id: &str) -> Option<i64> {
    let (time, _) = poll_id.strip_prefix(INPUT)?.split_once('-')?;
    Some(NaiveDateTime::parse_from_str(time, INPUT_TIME).ok()?.and_utc().timestamp_micros())
}

impl Cursor {
    /// How far syncs have come: with this commit, or before it if it is of a backfill.
    #[must_use]
    pub fn synced(&self) -> Option<&Self> {
        self.backfill.as_ref().map_or(Some(self), |backfill| backfill.synced.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_told_from_a_poll_by_its_name_which_has_its_time() {
        for time in [0, 1_700_000_000_123_456, 1_700_000_000_000_000, -1] {
            assert_eq!(input_time(&input_name(time, "0197-a")), Some(time));
        }
        assert_eq!(input_name(1_700_000_000_123_456, "a"), "input-20231114T221320.123456Z-a");
        for poll in ["0197a4b0-0000-7000-8000-000000000000", "input-", "input-2023-a", "inputs"] {
            assert_eq!(input_time(poll), None, "{poll}");
        }
    }
}
