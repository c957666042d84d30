//! The versions of all records, folded commit by commit, and what must hold from one to the next.
//!
//! | a row says | lawful if the record |
//! |---|---|
//! | `added` | was never there, or has gone |
//! | `changed` | is there with another value, or from an input, where the API lists it |
//! | `removed` | is there with this value |
//!
//! Values are compared with the columns of the objects that hold them: a column that was taken away since still counts.
//! Only a record that goes with the first commit of another schema is not compared, since its row is written in that one's
//! columns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use arrow_array::RecordBatch;

use super::{
    super::{Commit, CommitKind, LakeError, parquet_file::Content, state::known_record},
    Law, Scope, Verification,
    lost::Lost,
    report::Problems,
};
use crate::{
    decode::{Cell, Operation, Row, Stamp},
    diff::{Known, KnownMap, KnownRecord},
    schema::{EventPartition, Resource},
};

/// The last version of each record.
#[derive(Default)]
pub(super) struct Versions {
    known: KnownMap,
    /// Of the record at the same position of `known`.
    last: Vec<Version>,
    commits: Vec<Facts>,
    present: u64,
    open: u64,
    /// Partitions that are not folded any further.
    pub lost: Lost,
}

/// What a version is beside what is known of its record.
#[derive(Debug, Clone, Copy)]
struct Version {
    /// Digest by the columns of its own object.
    digest: u64,
    /// Position of its commit.
    commit: u32,
    operation: Operation,
    /// Whether `current/` shows it.
    shown: bool,
}

/// What a commit's rows have to agree with.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub seq: u64,
    pub partition: EventPartition,
    pub kind: CommitKind,
    pub schema: String,
    /// Id and time of its poll, if it tells them.
    pub poll: Option<(String, i64)>,
}

/// A row of a commit that is being folded.
struct Read<'r> {
    /// The record's key, for people.
    text: &'r str,
    row: &'r Row<'r>,
    record: KnownRecord,
    version: Version,
    stamp: Stamp<'r>,
}

impl Facts {
    pub(super) fn of(commit: &Commit, partition: EventPartition) -> Self {
        let poll = commit.cursor.as_ref().map(|cursor| (cursor.poll_id.clone(), cursor.observed_at));
        Self { seq: commit.seq, partition, kind: commit.kind, schema: commit.schema.clone(), poll }
    }

    /// A row is of this commit and of its poll.
    fn check(&self, text: &str, stamp: Stamp<'_>, problems: &mut Problems<'_>) {
        if !self.stamped(stamp) {
            problems.add(Law::Rows, "is stamped with another commit or poll", || {
                format!("`{text}` with commit {} and poll {} at {}", stamp.seq, stamp.poll_id, stamp.observed_at)
            });
        }
        if !self.allows(stamp.operation) {
            problems.add(Law::Rows, "is none of what its commit says it holds", || tell(text, stamp.operation));
        }
    }

    fn stamped(&self, stamp: Stamp<'_>) -> bool {
        let poll = self.poll.as_ref().map(|(id, at)| (id.as_str(), *at));
        stamp.seq == self.seq as i64 && poll.is_none_or(|poll| poll == (stamp.poll_id, stamp.observed_at))
    }

    fn allows(&self, operation: Operation) -> bool {
        match self.kind {
            CommitKind::Changes => operation != Operation::Removed,
            CommitKind::Removals => operation == Operation::Removed,
            CommitKind::Void => false,
        }
    }
}

impl Versions {
    /// Records that have not gone.
    pub(super) fn present(&self) -> u64 {
        self.present
    }

    /// Of these, the ones that are expected to change.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    /// Records that have gone.
    pub(super) fn removed(&self) -> u64 {
        self.known.records().len() as u64 - self.present
    }

    /// Folds a commit in. `own` is the resource with the columns of the object, where these are not those declared. `false`
    /// if its rows cannot be read.
    pub(super) fn fold(
        &mut self,
        scope: &Scope<'_>,
        key: &str,
        facts: Facts,
        own: Option<&Resource>,
        content: Content<File>,
        report: &mut Verification,
    ) -> Result<bool, LakeError> {
        let mut problems = Problems::of(key);
        self.commits.push(facts.clone());
        let mut is_read = true;
        for batch in content.batches(None)? {
            let Some(batch) = report.admit(Law::Bytes, batch)? else {
                is_read = false;
                break;
            };
            report.figures.rows += batch.num_rows() as u64;
            for index in 0..batch.num_rows() {
                self.fold_row(scope, &facts, own, &batch, index, &mut problems);
            }
        }
        problems.findings().for_each(|finding| report.add(finding));
        Ok(is_read)
    }

    fn fold_row(
        &mut self,
        scope: &Scope<'_>,
        facts: &Facts,
        own: Option<&Resource>,
        batch: &RecordBatch,
        index: usize,
        problems: &mut Problems<'_>,
    ) {
        let Some(stamp) = Stamp::read(batch, index) else {
            return problems.add(Law::Rows, "lacks a system column", || format!("row {index}"));
        };
        let row = Row::read(batch, index, scope.resource);
        let record = known_record(&row, stamp, facts.partition, scope.resource, scope.lake);
        let (Some((_, text)), Some(record)) = (row.key(scope.resource), record) else {
            return problems.add(Law::Rows, "has no key", || format!("row {index}"));
        };
        facts.check(text, stamp, problems);
        if self.lost.has(facts.partition) {
            return;
        }
        let own_row = own.map(|own| Row::read(batch, index, own));
        let digest = match (&own_row, own) {
            (Some(row), Some(own)) => row.digest(own, scope.lake.seed),
            _ => record.digest,
        };
        let commit = self.commits.len() as u32 - 1;
        let version = Version { digest, commit, operation: stamp.operation, shown: false };
        let read = Read { text, row: own_row.as_ref().unwrap_or(&row), record, version, stamp };
        match self.known.find(record.key) {
            Some(position) => self.fold_next(position, &read, problems),
            None => self.fold_first(scope, &read, problems),
        }
    }

    fn fold_first(&mut self, scope: &Scope<'_>, read: &Read<'_>, problems: &mut Problems<'_>) {
        let Read { text, row, record, version, stamp } = read;
        if stamp.operation != Operation::Added {
            problems.add(Law::Versions, "is not there to be changed or removed", || tell(text, stamp.operation));
        }
        if stamp.first_seen_at != stamp.observed_at {
            problems.add(Law::Versions, "was not seen before", || {
                format!("`{text}`, observed at {}, says {}", stamp.observed_at, stamp.first_seen_at)
            });
        }
        let granularity = scope.layout.granularity();
        let times =
            row.cells.iter().filter_map(|cell| if let Cell::Timestamp(time) = cell { Some(*time) } else { None });
        if !times.chain([stamp.observed_at]).any(|time| granularity.partition_of(time) == record.partition) {
            problems.add(Law::Versions, "is filed under no time of its own", || format!("`{text}`"));
        }
        self.known.push(*record);
        self.last.push(*version);
        self.count(record, 1);
    }

    fn fold_next(&mut self, position: usize, read: &Read<'_>, problems: &mut Problems<'_>) {
        let Read { text, record, version, stamp, .. } = read;
        let (Some(before), Some(last)) = (self.known.get(position).copied(), self.last.get(position).copied()) else {
            return;
        };
        if last.commit == version.commit {
            return problems.add(Law::Rows, "is in the commit twice", || format!("`{text}`"));
        }
        let (earlier, commit) = (&self.commits[last.commit as usize], &self.commits[version.commit as usize]);
        let since = earlier.seq;
        let same_value = version.digest == last.digest;
        match (stamp.operation, before.removed) {
            (Operation::Added, false) => {
                problems.add(Law::Versions, "is there already", || format!("`{text}`, added since commit {since}"));
            }
            (Operation::Changed | Operation::Removed, true) => {
                problems
                    .add(Law::Versions, "has gone", || format!("{} since commit {since}", tell(text, stamp.operation)));
            }
            (Operation::Changed, false) if same_value && before.unlisted == record.unlisted => {
                problems.add(Law::Versions, "has not changed", || format!("`{text}` since commit {since}"));
            }
            (Operation::Removed, false) if !same_value && earlier.schema == commit.schema => {
                problems.add(Law::Versions, "goes with values it did not have", || {
                    format!("`{text}` since commit {since}")
                });
            }
            _ => {}
        }
        if before.partition != record.partition {
            problems.add(Law::Versions, "is filed elsewhere than before", || format!("`{text}` since commit {since}"));
        }
        if before.first_seen_at != record.first_seen_at {
            let (was, is) = (before.first_seen_at, record.first_seen_at);
            problems.add(Law::Versions, "was first seen at another time", || format!("`{text}` at {was} and at {is}"));
        }
        self.count(&before, -1);
        self.count(record, 1);
        if let (Some(known), Some(last)) = (self.known.get_mut(position), self.last.get_mut(position)) {
            (*known, *last) = (*record, *version);
        }
    }

    /// Marks a record as shown by `current/`, in the form that a row there has, and says what is wrong with that.
    pub(super) fn show(&mut self, text: &str, shown: &KnownRecord, stamp: Stamp<'_>, problems: &mut Problems<'_>) {
        let found = self.known.find(shown.key);
        let Some((position, record)) = found.and_then(|position| Some((position, *self.known.get(position)?))) else {
            return problems.add(Law::Current, "is of no commit", || format!("`{text}`"));
        };
        let Some(last) = self.last.get_mut(position) else { return };
        let was_shown = std::mem::replace(&mut last.shown, true);
        let commit = &self.commits[last.commit as usize];
        let is_last = commit.stamped(stamp) && stamp.operation == last.operation;
        let seq = commit.seq;
        if was_shown {
            problems.add(Law::Current, "is shown twice", || format!("`{text}`"));
        } else if record.removed {
            problems.add(Law::Current, "has gone", || format!("`{text}` since commit {seq}"));
        } else if record.partition != shown.partition {
            problems.add(Law::Current, "is shown in another partition than it is filed in", || format!("`{text}`"));
        } else if !is_last {
            problems.add(Law::Current, "is not shown as of its last version", || {
                format!("`{text}` as of commit {}, the last is {seq}", stamp.seq)
            });
        } else if (record.digest, record.first_seen_at) != (shown.digest, shown.first_seen_at) {
            problems.add(Law::Current, "is shown with other values", || format!("`{text}` of commit {seq}"));
        }
    }

    /// Records of these partitions that have not gone and are not shown: how many in each, and the commit of one of them.
    pub(super) fn not_shown(&self, of: &BTreeSet<EventPartition>) -> BTreeMap<EventPartition, (u64, u64)> {
        let mut missing = BTreeMap::new();
        for (record, last) in self.known.records().iter().zip(&self.last) {
            if !record.removed && !last.shown && of.contains(&record.partition) {
                missing.entry(record.partition).or_insert((0, self.commits[last.commit as usize].seq)).0 += 1;
            }
        }
        missing
    }

    /// The number of the commit that holds a record's last version.
    pub(super) fn commit_of(&mut self, key: u128) -> Option<u64> {
        let last = self.last.get(self.known.find(key)?)?;
        self.commits.get(last.commit as usize).map(|commit| commit.seq)
    }

    /// Holds what a cache knows to what the commits come to. What the cache knows of exact bytes, no commit does.
    pub(super) fn compare(&mut self, cached: &Known, problems: &mut Problems<'_>) -> Result<(), LakeError> {
        let mut seen = vec![false; self.last.len()];
        for record in cached.records() {
            let record = record.map_err(|error| LakeError::spool(&error))?;
            let found = self.known.find(record.key);
            let Some((position, known)) = found.and_then(|position| Some((position, *self.known.get(position)?)))
            else {
                problems.add(Law::State, "knows a record that no commit has", || format!("{:032x}", record.key));
                continue;
            };
            let seq = self.commits[self.last[position].commit as usize].seq;
            if std::mem::replace(&mut seen[position], true) {
                problems.add(Law::State, "knows a record twice", || format!("one of commit {seq}"));
            }
            if (KnownRecord { element: known.element, ..record }) != known {
                problems.add(Law::State, "knows a record otherwise", || format!("than commit {seq} has it"));
            }
        }
        if let Some(missing) = seen.iter().position(|seen| !seen) {
            let seq = self.commits[self.last[missing].commit as usize].seq;
            problems.add(Law::State, "does not know a record", || format!("of commit {seq}"));
        }
        Ok(())
    }

    fn count(&mut self, record: &KnownRecord, by: i64) {
        if !record.removed {
            self.present = self.present.saturating_add_signed(by);
            self.open = self.open.saturating_add_signed(by * i64::from(record.open));
        }
    }
}

fn tell(text: &str, operation: Operation) -> String {
    format!("`{text}`, {}", operation.name())
}
