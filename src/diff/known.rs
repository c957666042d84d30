//! The records that are known, in a file, in the order in which the last poll listed them.
//!
//! The file is read as a stream beside the body, and here and there at a position; what is held in memory does not grow with
//! it.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use crate::{record::ElementId, schema::EventPartition};

/// What is known of a record. Nothing of its content: hashes, and what is frozen at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRecord {
    /// Hash of the key.
    pub key: u128,
    /// The exact bytes that were last seen, where they are known.
    pub element: ElementId,
    /// Digest of the row by value.
    pub digest: u64,
    /// When it was first observed, in microseconds. Never changes.
    pub first_seen_at: i64,
    /// When it last changed by its own account, in microseconds.
    pub last_change: Option<i64>,
    /// Where it is filed. Never changes.
    pub partition: EventPartition,
    /// Whether it is expected to change.
    pub open: bool,
    /// Whether it has gone from the API. It stays known, so that it returns to its own partition.
    pub removed: bool,
    /// Whether it is known from an input alone: the API has never listed it, so that it is not missing from a list.
    pub unlisted: bool,
}

/// Bytes of a record in a file.
pub const KNOWN_RECORD_BYTES: usize = 16 + 8 + 8 + 8 + 8 + 4 + 4 + 1;
/// Records read at a time.
const READ_RECORDS: usize = 1024;

const OPEN: u8 = 1;
const REMOVED: u8 = 2;
const UNLISTED: u8 = 4;
/// Stands for no time.
const NEVER: i64 = i64::MIN;

impl KnownRecord {
    /// The record as it stands in a file: little-endian, without padding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KNOWN_RECORD_BYTES] {
        let flags = [(self.open, OPEN), (self.removed, REMOVED), (self.unlisted, UNLISTED)];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag);
        let mut bytes = [0; KNOWN_RECORD_BYTES];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.element.hash.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.digest.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_seen_at.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_change.unwrap_or(NEVER).to_le_bytes());
        bytes[48..52].copy_from_slice(&self.partition.0.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.element.bytes.to_le_bytes());
        bytes[56] = flags;
        bytes
    }

    /// The record that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KNOWN_RECORD_BYTES]) -> Self {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let (last_change, flags) = (number(40) as i64, bytes[56]);
        Self {
            key: u128::from(number(0)) | u128::from(number(8)) << 64,
            element: ElementId { hash: number(16), bytes: short(52) },
            digest: number(24),
            first_seen_at: number(32) as i64,
            last_change: (last_change != NEVER).then_some(last_change),
            partition: EventPartition(short(48) as i32),
            open: flags & OPEN != 0,
            removed: flags & REMOVED != 0,
            unlisted: flags & UNLISTED != 0,
        }
    }
}

/// The known records of a resource, each key once, removed ones included.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// None where nothing is known.
    file: Option<Arc<File>>,
    start: u64,
    count: u64,
    census: Census,
}

/// What known records come to, without those that have gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Records that are in the lake: those that the API lists, and those that it has never listed.
    pub present: u64,
    /// Of these, the ones that the API has never listed.
    pub unlisted: u64,
    /// Of these, the ones that are expected to change.
    pub open: u64,
    /// When the first seen of the open ones was first observed, in microseconds.
    pub oldest_open: Option<i64>,
}

impl Census {
    /// Counts one more.
    pub fn count(&mut self, record: &KnownRecord) {
        if record.removed {
            return;
        }
        self.present += 1;
        self.unlisted += u64::from(record.unlisted);
        if record.open {
            self.open += 1;
            self.oldest_open = Some(self.oldest_open.map_or(record.first_seen_at, |at| at.min(record.first_seen_at)));
        }
    }
}

impl Known {
    /// The `count` records that stand in a file from byte `start` on.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn new(file: File, start: u64, count: u64) -> io::Result<Self> {
        let mut known = Self::counted(file, start, count, Census::default());
        for record in known.stream(0, count) {
            known.census.count(&record?);
        }
        Ok(known)
    }

    /// The same, counted already.
    #[must_use]
    pub fn counted(file: File, start: u64, count: u64, census: Census) -> Self {
        Self { file: Some(Arc::new(file)), start, count, census }
    }

    /// All records, removed ones included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Records that have not gone.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.census.present
    }

    /// Records that the API still lists.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.census.present - self.census.unlisted
    }

    /// Records that the API still lists and that are expected to change.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.census.open
    }

    /// What they come to.
    #[must_use]
    pub fn census(&self) -> Census {
        self.census
    }

    /// All records in their order.
    pub fn records(&self) -> impl Iterator<Item = io::Result<KnownRecord>> + Clone + use<> {
        self.stream(0, self.count)
    }

    /// The record at a position.
    pub(super) fn get(&self, position: u64) -> io::Result<KnownRecord> {
        let mut bytes = [0; KNOWN_RECORD_BYTES];
        let Some(file) = &self.file else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        file.read_exact_at(&mut bytes, self.start + position * KNOWN_RECORD_BYTES as u64)?;
        Ok(KnownRecord::from_bytes(&bytes))
    }

    /// The records from one position up to another.
    pub(super) fn stream(&self, from: u64, to: u64) -> KnownStream {
        let at = self.start + from * KNOWN_RECORD_BYTES as u64;
        KnownStream {
            file: self.file.clone(),
            at,
            left: to.min(self.count).saturating_sub(from),
            buffer: Vec::new(),
            taken: 0,
        }
    }
}

/// Records of a file, one after the other.
#[derive(Debug, Clone)]
pub(super) struct KnownStream {
    file: Option<Arc<File>>,
    /// Offset of what is read next.
    at: u64,
    /// Records not yet read.
    left: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    taken: usize,
}

impl KnownStream {
    /// Of `count` records from the beginning of a file.
    pub(super) fn of(file: Arc<File>, count: u64) -> Self {
        Self { file: Some(file), at: 0, left: count, buffer: Vec::new(), taken: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        let records = READ_RECORDS.min(usize::try_from(self.left).unwrap_or(READ_RECORDS));
        self.buffer.resize(records * KNOWN_RECORD_BYTES, 0);
        self.taken = 0;
        let Some(file) = &self.file else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        file.read_exact_at(&mut self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.left -= records as u64;
        Ok(())
    }
}

impl Iterator for KnownStream {
    type Item = io::Result<KnownRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken == self.buffer.len() {
            if self.left == 0 {
                return None;
            }
            if let Err(error) = self.fill() {
                self.left = 0;
                self.buffer.clear();
                self.taken = 0;
                return Some(Err(error));
            }
        }
        let bytes = self.buffer[self.taken..].first_chunk()?;
        self.taken += KNOWN_RECORD_BYTES;
        Some(Ok(KnownRecord::from_bytes(bytes)))
    }
}
