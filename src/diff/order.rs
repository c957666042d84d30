//! The order in which a poll lists the records: what the next poll will find known.
//!
//! As long as the body follows the order of the last poll, nothing is written: a number says how far. From the first record
//! on that is new, changed or elsewhere, records go to a file. A record whose place among the known is not found yet has a
//! slot reserved, so that it stands where the body listed it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    KnownRecord,
    known::{KNOWN_RECORD_BYTES, Known, KnownStream},
};

/// Records that are written at once.
const BUFFER_BYTES: usize = 1024 * KNOWN_RECORD_BYTES;
/// What stands in a slot that holds no record: flags that no record has.
const EMPTY: [u8; KNOWN_RECORD_BYTES] = [0xff; KNOWN_RECORD_BYTES];

/// A place that is kept for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u64);

#[derive(Debug)]
pub(super) struct Order {
    known: Known,
    folder: PathBuf,
    /// Known records that the body listed first, in their order and as they were.
    followed: u64,
    /// What it listed then.
    file: Option<Arc<File>>,
    /// Records in the file.
    written: u64,
    /// Records that go to the file next.
    buffer: Vec<u8>,
}

impl Order {
    /// Of a body that is compared with `known`; `folder` is for a temporary file.
    pub(super) fn new(known: Known, folder: &Path) -> Self {
        Self { known, folder: folder.to_owned(), followed: 0, file: None, written: 0, buffer: Vec::new() }
    }

    /// Lists the known record of a position as it was.
    pub(super) fn follow(&mut self, position: u64, record: &KnownRecord) -> io::Result<()> {
        if self.followed == position && self.file.is_none() && self.buffer.is_empty() {
            self.followed += 1;
            return Ok(());
        }
        self.append(record)
    }

    /// Lists a record.
    pub(super) fn append(&mut self, record: &KnownRecord) -> io::Result<()> {
        self.put(record.to_bytes()).map(drop)
    }

    /// Keeps a place for a record, or for none.
    pub(super) fn reserve(&mut self) -> io::Result<Slot> {
        self.put(EMPTY)
    }

    /// Lists a record in the place that was kept for it.
    pub(super) fn fill(&mut self, Slot(slot): Slot, record: &KnownRecord) -> io::Result<()> {
        let bytes = record.to_bytes();
        let held = slot.checked_sub(self.written).map(|slot| slot as usize * KNOWN_RECORD_BYTES);
        if let Some(place) = held.and_then(|at| self.buffer.get_mut(at..at + KNOWN_RECORD_BYTES)) {
            place.copy_from_slice(&bytes);
            return Ok(());
        }
        self.file()?.write_all_at(&bytes, slot * KNOWN_RECORD_BYTES as u64)
    }

    /// All records listed so far, in their order.
    pub(super) fn listed(&mut self) -> io::Result<impl Iterator<Item = io::Result<KnownRecord>> + Clone + use<>> {
        self.flush()?;
        let written = self.file.clone().map(|file| KnownStream::of(file, self.written));
        let empty = KnownRecord::from_bytes(&EMPTY);
        let filled = move |record: &io::Result<KnownRecord>| !record.as_ref().is_ok_and(|record| *record == empty);
        Ok(self.known.stream(0, self.followed).chain(written.into_iter().flatten()).filter(filled))
    }

    fn put(&mut self, bytes: [u8; KNOWN_RECORD_BYTES]) -> io::Result<Slot> {
        let slot = Slot(self.written + (self.buffer.len() / KNOWN_RECORD_BYTES) as u64);
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(slot)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let at = self.written * KNOWN_RECORD_BYTES as u64;
            self.file()?.write_all_at(&self.buffer, at)?;
            self.written += (self.buffer.len() / KNOWN_RECORD_BYTES) as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    fn file(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = Arc::new(tempfile::tempfile_in(&self.folder)?);
        self.file = Some(file.clone());
        Ok(file)
    }
}
