//! What a commit says of itself, in the footer of the object that is the commit.
//!
//! The Parquet key `lumetrade.commit` holds it as JSON. It is the cursor: there is no other place where a sync keeps how
//! far it has come, so nothing can disagree with the data.

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
    /// Records that the API lists, as of this commit and those before it in its diff, whether or not these came to be there.
    pub known: u64,
    /// Of these, the ones that are expected to change.
    pub open: u64,
}
