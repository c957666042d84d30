//! What a verification found, and in figures what it looked at.

use serde::Serialize;

use super::super::LakeError;

/// Findings of one resource that are kept; more are only counted.
const FINDINGS_MAX: usize = 1000;

/// What must hold of a lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// Each number up to the last is claimed once, for a key of this log.
    Claims,
    /// Each claim but the last has its object, and no other object has its number.
    Objects,
    /// An object's bytes are those that its claim promised, or it is a void.
    Bytes,
    /// A footer tells of the object that it is in.
    Footer,
    /// Each commit names the SHA-256 of the one before it.
    Chain,
    /// Time grows with the numbers, the commits of a poll agree, and the records counted are those there are.
    Cursor,
    /// An object's columns are those declared, or an older schema's that can be read as such.
    Schema,
    /// A row is of its commit and poll, has a key, and is its record's only one in the commit.
    Rows,
    /// A record is added, then changed or removed, to what it was not before, in one partition, first seen once.
    Versions,
    /// `current/` is the fold of the commits that its index says it reflects.
    Current,
    /// The state cache is the fold of the commits that it says it is of.
    State,
    /// The quarantine's numbers have no gaps, and what is released was quarantined.
    Quarantine,
    /// A snapshot follows the one before it, and has the rows of its commits and no others.
    Snapshots,
    /// What is kept of a poll's answer is as it was kept.
    Archive,
    /// Nothing else lies where readers and syncs look.
    Strays,
}

/// A law that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The law.
    pub law: Law,
    /// The object at fault, or where it should be.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Something to know that breaks no law: what the next sync mends, and what could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The object or folder.
    pub key: String,
    /// What is to know of it.
    pub text: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Number of the last commit.
    pub head: u64,
    /// Commits that are there.
    pub commits: u64,
    /// Of these, the ones that only close a number.
    pub voids: u64,
    /// Of these, the ones written with another schema than today's.
    pub other_schemas: u64,
    /// Claims that have no object yet: none or the last.
    pub open_claims: u64,
    /// Versions of records in the commits, as read; as their footers say where only these were.
    pub rows: u64,
    /// Records that have not gone. Not known if no row was read.
    pub records: Option<u64>,
    /// Records that have gone. Not known if no row was read.
    pub removed: Option<u64>,
    /// Objects of `current/`.
    pub current_objects: u64,
    /// Rows of `current/` that were compared, in all tables.
    pub current_rows: u64,
    /// Objects of the quarantine.
    pub quarantine_objects: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Polls of the archive.
    pub archived_polls: u64,
    /// Bytes of their answers, compressed.
    pub archived_bytes: u64,
    /// Bytes of the commits and of `current/` that were hashed.
    pub bytes_hashed: u64,
}

/// The verification of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The resource.
    pub resource: String,
    /// What was looked at.
    #[serde(flatten)]
    pub figures: Figures,
    /// Laws found not to hold, the ones that are not kept included.
    pub found: u64,
    /// The first thousand of them.
    pub findings: Vec<Finding>,
    /// What breaks no law.
    pub notes: Vec<Note>,
}

impl Verification {
    /// Of a resource, before it has begun.
    #[must_use]
    pub fn of(resource: &str) -> Self {
        Self { resource: resource.to_owned(), ..Self::default() }
    }

    pub(super) fn find(&mut self, law: Law, key: &str, problem: impl Into<String>) {
        self.add(Finding { law, key: key.to_owned(), problem: problem.into() });
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    pub(super) fn note(&mut self, key: &str, text: impl Into<String>) {
        self.notes.push(Note { key: key.to_owned(), text: text.into() });
    }

    /// What was read. Damage is a finding, and any other failure stays one.
    pub(super) fn admit<T>(&mut self, law: Law, read: Result<T, LakeError>) -> Result<Option<T>, LakeError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(LakeError::Damaged { key, problem }) => {
                self.find(law, &key, problem);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Law {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Law::Claims => "claims",
            Law::Objects => "objects",
            Law::Bytes => "bytes",
            Law::Footer => "footer",
            Law::Chain => "chain",
            Law::Cursor => "cursor",
            Law::Schema => "schema",
            Law::Rows => "rows",
            Law::Versions => "versions",
            Law::Current => "current",
            Law::State => "state",
            Law::Quarantine => "quarantine",
            Law::Snapshots => "snapshots",
            Law::Archive => "archive",
            Law::Strays => "strays",
        }
    }
}

/// Problems of the rows of one object. The first of each kind is told, the others are counted: a thousand rows that are
/// wrong in one way are one finding.
pub(super) struct Problems<'k> {
    key: &'k str,
    kinds: Vec<Kind>,
}

struct Kind {
    law: Law,
    name: &'static str,
    first: String,
    more: u64,
}

impl<'k> Problems<'k> {
    pub(super) fn of(key: &'k str) -> Self {
        Self { key, kinds: Vec::new() }
    }

    /// Adds a problem; `tell` is asked only for the first of its kind.
    pub(super) fn add(&mut self, law: Law, name: &'static str, tell: impl FnOnce() -> String) {
        match self.kinds.iter_mut().find(|kind| (kind.law, kind.name) == (law, name)) {
            Some(kind) => kind.more += 1,
            None => self.kinds.push(Kind { law, name, first: tell(), more: 0 }),
        }
    }

    pub(super) fn findings(self) -> impl Iterator<Item = Finding> {
        let key = self.key.to_owned();
        self.kinds.into_iter().map(move |Kind { law, name, first, more }| {
            let problem =
                if more == 0 { format!("{name}: {first}") } else { format!("{name}: {first}, and {more} more") };
            Finding { law, key: key.clone(), problem }
        })
    }
}
