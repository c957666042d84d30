//! The objects of one diff while they are being made.
//!
//! In: rows, each with its partition. Out: one sealed object a partition, numbered from the head on, each naming the
//! one before it, and the claim that names them all. A larger share of one partition than an object may hold becomes several.
//! Removals come last, in objects of their own. Nothing is in the lake before the log has committed it, and whichever of the
//! objects there come to be are a valid state: no record is in two of them.

use std::{collections::HashMap, path::Path};

use xxhash_rust::xxh3::xxh3_128;

use super::{
    Backfill, Commit, CommitKind, Cursor, FORMAT, Head, Lake, LakeError,
    claim::{Claim, ClaimedObject},
    current,
    encoder::Encoder,
    footer::COMMIT_KEY,
    layout::Layout,
    log::key_columns,
    parquet_file::{Writer, Written},
    spool::Spool,
};
use crate::{
    decode::{Columns, Operation, Row, Stamp},
    diff::Filed,
    record::Body,
    schema::{EventPartition, Resource, Table},
};

/// Rows of one draft collected before they are encoded.
const BATCH_ROWS: usize = 1024;
/// Text of one draft collected before it is encoded.
const BATCH_TEXT_BYTES: usize = 1 << 20;
/// What a row takes up beside its text, roughly.
const ROW_BYTES: usize = 256;
/// Rows that all drafts together collect before the largest is encoded, be its own share small.
const HELD_ROWS_MAX: usize = 64 << 10;
/// Text likewise.
const HELD_TEXT_BYTES_MAX: usize = 16 << 20;
/// Size of its rows from which on an object takes no more. It has to be held in memory once, to be written in one request,
/// and is mostly a fraction of this.
const OBJECT_BYTES_MAX: usize = 64 << 20;

/// What a row does to the figures of the cursor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effect {
    /// Records listed: 1 for one that is added, -1 for one that is removed.
    pub known: i64,
    /// Records that are expected to change, likewise.
    pub open: i64,
    /// When the record happened.
    pub event_time: Option<i64>,
    /// The change itself, where a plan is held to it.
    pub change: ChangeSum,
}

/// Changes, whatever their order: the sum of a hash of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeSum {
    /// Modulo 2^128.
    pub sum: u128,
    /// How many they are.
    pub count: u64,
}

impl ChangeSum {
    /// One change: what happens to the record with this key hash, the digest of its row, and that of the version before it.
    #[must_use]
    pub fn of(operation: Operation, key: u128, digest: u64, before: Option<u64>) -> Self {
        let before = before.map_or([0; 8], u64::to_le_bytes);
        let bytes = [operation.name().as_bytes(), &key.to_le_bytes(), &digest.to_le_bytes(), &before].concat();
        Self { sum: xxh3_128(&bytes), count: 1 }
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { sum: self.sum.wrapping_add(other.sum), count: self.count + other.count }
    }

    /// What a commit says that it holds of its plan; `None` if that is not readable.
    #[must_use]
    pub fn told(backfill: &Backfill) -> Option<Self> {
        Some(Self { sum: u128::from_str_radix(&backfill.changes, 16).ok()?, count: backfill.rows })
    }
}

/// A poll, as its commits tell of it.
#[derive(Debug, Clone)]
pub struct PollFacts {
    /// What the body was.
    pub body: Body,
    /// The body's ETag, where the server gave one.
    pub etag: Option<String>,
    /// When the last poll of the whole list began of which nothing is left out: this one, or one before it.
    pub full_poll_at: Option<i64>,
    /// Records that had not gone before.
    pub known_before: u64,
    /// Of these, the ones expected to change.
    pub open_before: u64,
    /// Where it is no poll of a sync: the plan by its hash, and the number of the last commit before it.
    pub backfill: Option<(String, u64)>,
}

/// The objects of a diff, which are complete but not yet in the lake.
#[derive(Debug)]
pub struct SealedDiff {
    pub(super) claim: Claim,
    /// All but the last, in the order of their numbers.
    pub(super) earlier: Vec<Sealed>,
    /// The one that says that nothing of its poll is missing.
    pub(super) last: Sealed,
}

impl SealedDiff {
    fn of(mut objects: Vec<Sealed>, poll_id: &str) -> Option<Self> {
        let seq = objects.first()?.commit.seq;
        let claimed = objects.iter().map(|sealed| sealed.object.clone()).collect();
        let last = objects.pop()?;
        Some(Self { claim: Claim { seq, poll_id: poll_id.to_owned(), objects: claimed }, earlier: objects, last })
    }

    /// The objects, in the order of their numbers.
    pub fn objects(&self) -> impl Iterator<Item = &Sealed> {
        self.earlier.iter().chain([&self.last])
    }

    /// The same, given away.
    pub fn into_objects(self) -> impl Iterator<Item = Sealed> {
        self.earlier.into_iter().chain([self.last])
    }
}

/// An object that is complete but not yet in the lake.
#[derive(Debug)]
pub struct Sealed {
    pub(super) object: ClaimedObject,
    pub(super) written: Written,
    /// Files of the tables of its lists, if they were encoded.
    pub(super) lists: Vec<Written>,
    /// What its footer says.
    pub commit: Commit,
    /// Its rows, by what was observed.
    pub counts: RowCounts,
}

/// Rows, by what was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Of records that are new, or returned.
    pub added: u64,
    /// Of records with another value.
    pub changed: u64,
    /// Of records that have gone.
    pub removed: u64,
}

impl RowCounts {
    fn count(&mut self, operation: Operation) {
        *match operation {
            Operation::Added => &mut self.added,
            Operation::Changed => &mut self.changed,
            Operation::Removed => &mut self.removed,
        } += 1;
    }
}

/// The objects in the making.
pub struct Drafts {
    lake: Lake,
    resource: Resource,
    layout: Layout,
    head: Head,
    spool: Spool,
    /// Writes the objects, in the order of the drafts; started with the first rows.
    encoder: Option<Encoder>,
    /// Drafts that the encoder has begun.
    begun: usize,
    poll_id: String,
    observed_at: i64,
    drafts: Vec<Draft>,
    /// The draft that takes the next row of a partition.
    taking: HashMap<EventPartition, usize>,
    kind: CommitKind,
    /// Rows and text that are collected and not yet encoded.
    held_rows: usize,
    held_text_bytes: usize,
}

struct Draft {
    seq: u64,
    partition: EventPartition,
    kind: CommitKind,
    columns: Columns,
    /// Rows that were given to the encoder, and their size before that.
    encoded_rows: u64,
    encoded_bytes: usize,
    effect: Effect,
    counts: RowCounts,
}

impl Drafts {
    /// Drafts that follow `head`, for a poll that began at `observed_at` (microseconds).
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn new(
        lake: &Lake,
        resource: &Resource,
        head: Head,
        spool: &Path,
        poll_id: &str,
        observed_at: i64,
    ) -> Result<Self, LakeError> {
        Ok(Self {
            layout: Layout::new(resource, lake.identity.granularity),
            lake: lake.clone(),
            resource: resource.clone(),
            head,
            spool: Spool::new(spool).map_err(|error| LakeError::spool(&error))?,
            encoder: None,
            begun: 0,
            poll_id: poll_id.to_owned(),
            observed_at,
            drafts: Vec::new(),
            taking: HashMap::new(),
            kind: CommitKind::Changes,
            held_rows: 0,
            held_text_bytes: 0,
        })
    }

    /// Where a record that is seen for the first time is filed: by when it happened, else by when it was observed.
    #[must_use]
    pub fn file(&self, event_time: Option<i64>) -> Filed {
        let partition = self.layout.granularity().partition_of(event_time.unwrap_or(self.observed_at));
        Filed { partition, first_seen_at: self.observed_at, was_open: false, digest: None }
    }

    /// Adds a version of a record.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn append(
        &mut self,
        operation: Operation,
        filed: Filed,
        row: &Row<'_>,
        effect: Effect,
    ) -> Result<(), LakeError> {
        let index = self.draft_for(filed.partition)?;
        let draft = &mut self.drafts[index];
        draft.effect.add(effect);
        draft.counts.count(operation);
        let stamp = Stamp {
            seq: draft.seq as i64,
            operation,
            observed_at: self.observed_at,
            first_seen_at: filed.first_seen_at,
            poll_id: &self.poll_id,
        };
        let text_bytes = draft.columns.text_bytes();
        draft.columns.append(row, stamp);
        self.held_rows += 1;
        self.held_text_bytes += draft.columns.text_bytes() - text_bytes;
        if draft.columns.rows() >= BATCH_ROWS || draft.columns.text_bytes() >= BATCH_TEXT_BYTES {
            return self.encode(index);
        }
        if self.held_rows >= HELD_ROWS_MAX || self.held_text_bytes >= HELD_TEXT_BYTES_MAX {
            return self.encode_largest();
        }
        Ok(())
    }

    /// From here on rows are those of records that have gone.
    pub fn begin_removals(&mut self) {
        self.kind = CommitKind::Removals;
        self.taking.clear();
    }

    /// Makes sure that there is an object, be it without a row, so that the resource's table exists.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn ensure_table(&mut self) -> Result<(), LakeError> {
        if self.head.seq == 0 && self.drafts.is_empty() {
            self.draft_for(self.file(None).partition)?;
        }
        Ok(())
    }

    /// Closes all objects, in the order of their numbers; `None` if there are none.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn seal(mut self, poll: &PollFacts) -> Result<Option<SealedDiff>, LakeError> {
        (0..self.drafts.len()).try_for_each(|index| self.encode_to_its_end(index))?;
        let objects = self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?;
        let count = self.drafts.len();
        let mut parent = self.head.sha256.clone();
        let mut cursor = Cursor {
            poll_id: self.poll_id.clone(),
            observed_at: self.observed_at,
            complete: false,
            body_bytes: poll.body.bytes,
            body_hash: poll.body.hash.clone(),
            etag: poll.etag.clone(),
            full_poll_at: poll.full_poll_at,
            newest_event_time: self.head.cursor.as_ref().and_then(|cursor| cursor.newest_event_time),
            known: poll.known_before,
            open: poll.open_before,
            backfill: None,
        };
        let synced = self.head.cursor.as_ref().and_then(Cursor::synced);
        let mut sealed = Vec::with_capacity(count);
        for (index, (draft, files)) in self.drafts.into_iter().zip(objects).enumerate() {
            cursor.complete = index + 1 == count;
            match &poll.backfill {
                None => cursor.newest_event_time = cursor.newest_event_time.max(draft.effect.event_time),
                Some((plan, base)) => {
                    let ChangeSum { sum, count } = draft.effect.change;
                    let (plan, changes, synced) = (plan.clone(), format!("{sum:032x}"), synced.cloned().map(Box::new));
                    cursor.backfill = Some(Box::new(Backfill { plan, base: *base, changes, rows: count, synced }));
                }
            }
            cursor.known = cursor.known.saturating_add_signed(draft.effect.known);
            cursor.open = cursor.open.saturating_add_signed(draft.effect.open);
            let commit = Commit {
                format: FORMAT,
                lake: self.lake.identity.id.clone(),
                resource: self.resource.name.clone(),
                seq: draft.seq,
                kind: draft.kind,
                rows: draft.encoded_rows,
                parent: parent.take(),
                schema: self.resource.fingerprint(),
                key: key_columns(&self.resource),
                cursor: Some(cursor.clone()),
            };
            let object = draft.seal(files, &self.layout, commit)?;
            parent = Some(object.object.sha256.clone());
            sealed.push(object);
        }
        Ok(SealedDiff::of(sealed, &self.poll_id))
    }

    fn draft_for(&mut self, partition: EventPartition) -> Result<usize, LakeError> {
        if let Some(&index) = self.taking.get(&partition) {
            return Ok(index);
        }
        let index = self.drafts.len();
        let seq = self.head.seq + 1 + index as u64;
        let columns = Columns::new(&self.resource);
        self.drafts.push(Draft {
            seq,
            partition,
            kind: self.kind,
            columns,
            encoded_rows: 0,
            encoded_bytes: 0,
            effect: Effect::default(),
            counts: RowCounts::default(),
        });
        self.taking.insert(partition, index);
        Ok(index)
    }

    /// What is encoded of each row. Where nothing was committed before, an object is all that there is of its partition, and
    /// so what `current/` will show of it: with the tables of its lists, it is ready for that.
    fn tables(&self) -> Vec<Table> {
        let tables = self.resource.tables();
        let count = if self.head.seq == 0 { tables.len() } else { 1 };
        tables.into_iter().take(count).collect()
    }

    /// Gives the collected rows of a draft to the encoder, which has begun its file if there are none.
    fn encode(&mut self, index: usize) -> Result<(), LakeError> {
        let encoder = match &self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(Encoder::start(self.resource.clone(), self.tables(), self.spool.clone())?),
        };
        while self.begun < self.drafts.len() {
            encoder.begin();
            self.begun += 1;
        }
        let draft = &mut self.drafts[index];
        if draft.columns.rows() == 0 {
            return Ok(());
        }
        self.held_rows -= draft.columns.rows();
        self.held_text_bytes -= draft.columns.text_bytes();
        draft.encoded_rows += draft.columns.rows() as u64;
        draft.encoded_bytes += draft.collected_bytes();
        encoder.write(index, draft.columns.finish().map_err(|error| LakeError::spool(&error))?);
        if draft.encoded_bytes >= OBJECT_BYTES_MAX {
            self.taking.remove(&draft.partition);
            encoder.flush(index);
        }
        Ok(())
    }

    /// Where rows come for many partitions in turns, none gathers a batch of its own. The largest then goes to the file
    /// with its row group, so that an open one is not held for each partition.
    fn encode_largest(&mut self) -> Result<(), LakeError> {
        let largest = self.drafts.iter().enumerate().max_by_key(|(_, draft)| draft.collected_bytes());
        largest.map(|(index, _)| index).map_or(Ok(()), |largest| self.encode_to_its_end(largest))
    }

    /// Gives the collected rows of a draft to the encoder, and ends its row group.
    fn encode_to_its_end(&mut self, index: usize) -> Result<(), LakeError> {
        self.encode(index)?;
        if let Some(encoder) = &self.encoder {
            encoder.flush(index);
        }
        Ok(())
    }
}

impl Draft {
    /// What the rows not yet encoded take up, roughly.
    fn collected_bytes(&self) -> usize {
        self.columns.text_bytes() + self.columns.rows() * ROW_BYTES
    }

    fn seal(self, files: Vec<Writer>, layout: &Layout, commit: Commit) -> Result<Sealed, LakeError> {
        let mut files = files.into_iter();
        let rows = files.next().ok_or_else(|| LakeError::Spool("the encoder has lost a file".to_owned()))?;
        let lake = commit.lake.clone();
        let (written, commit) = close(rows, commit)?;
        let lists = files.map(|file| current::close(file, &lake)).collect::<Result<Vec<_>, _>>()?;
        let key = layout.commit(self.partition, self.seq);
        let object = ClaimedObject { key, size: written.size, sha256: written.sha256.clone() };
        Ok(Sealed { object, written, lists, commit, counts: self.counts })
    }
}

impl Effect {
    /// Of a record that is new, or returned.
    #[must_use]
    pub fn added(is_open: bool) -> Self {
        Self { known: 1, open: i64::from(is_open), ..Self::default() }
    }

    /// Of a record with another value.
    #[must_use]
    pub fn changed(was_open: bool, is_open: bool) -> Self {
        Self { open: i64::from(is_open) - i64::from(was_open), ..Self::default() }
    }

    /// Of a record that has gone.
    #[must_use]
    pub fn removed(was_open: bool) -> Self {
        Self { known: -1, open: -i64::from(was_open), ..Self::default() }
    }

    fn add(&mut self, other: Effect) {
        self.known += other.known;
        self.open += other.open;
        self.event_time = self.event_time.max(other.event_time);
        self.change = self.change.and(other.change);
    }
}

/// Closes a file with its commit in the footer.
pub(super) fn close(writer: Writer, commit: Commit) -> Result<(Written, Commit), LakeError> {
    let text = serde_json::to_string(&commit).map_err(|error| LakeError::spool(&error))?;
    let written = writer.close(COMMIT_KEY, text).map_err(|error| LakeError::spool(&error))?;
    Ok((written, commit))
}
