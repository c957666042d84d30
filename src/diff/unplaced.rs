//! Records whose place among the known was not found beside the body: new ones, and ones that moved far.
//!
//! Their texts wait in a file until enough have gathered for one pass over everything known to place them all.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use hashbrown::HashTable;

use super::{Filed, Sighting, order::Slot};

/// Records that wait at most, 128 bytes each in memory.
const RECORDS_MAX: usize = 1 << 17;
/// Bytes of their texts, on disk.
const TEXT_BYTES_MAX: u64 = 256 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// A record that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub sighting: Sighting,
    /// Where it is filed if it is new; none if it does not fit, so that all there is to know is whether its key is known.
    pub filed: Option<Filed>,
    pub slot: Slot,
    /// Its place in the body.
    pub offset: u64,
    pub text: TextAt,
}

/// Where a text waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextAt {
    start: u64,
    length: u32,
}

#[derive(Debug)]
pub(super) struct Unplaced {
    folder: PathBuf,
    records: Vec<Waiting>,
    /// Indices in `records`, by key.
    by_key: HashTable<u32>,
    texts: Option<File>,
    /// Bytes in the file.
    written: u64,
    buffer: Vec<u8>,
}

impl Unplaced {
    /// None; `folder` is for a temporary file.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            records: Vec::new(),
            by_key: HashTable::new(),
            texts: None,
            written: 0,
            buffer: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it is time to place them.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.written >= TEXT_BYTES_MAX
    }

    pub(super) fn find(&self, key: u128) -> Option<usize> {
        self.by_key
            .find(key as u64, |&index| self.records[index as usize].sighting.key == key)
            .map(|&index| index as usize)
    }

    pub(super) fn get(&self, index: usize) -> &Waiting {
        &self.records[index]
    }

    /// Adds a record whose key is not among them.
    pub(super) fn add(&mut self, record: Waiting) {
        let records = &self.records;
        let rehash = |&index: &u32| records[index as usize].sighting.key as u64;
        self.by_key.insert_unique(record.sighting.key as u64, records.len() as u32, rehash);
        self.records.push(record);
    }

    /// Gives them all out, in the order of the body. Their texts stay until the next one is kept.
    pub(super) fn take(&mut self) -> Vec<Waiting> {
        self.by_key.clear();
        std::mem::take(&mut self.records)
    }

    /// Keeps a text.
    pub(super) fn keep(&mut self, text: &[u8]) -> io::Result<TextAt> {
        if self.records.is_empty() {
            self.written = 0;
            self.buffer.clear();
        }
        let place = TextAt { start: self.written + self.buffer.len() as u64, length: text.len() as u32 };
        self.buffer.extend_from_slice(text);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(place)
    }

    /// A text that was kept.
    pub(super) fn text(&mut self, place: TextAt) -> io::Result<Vec<u8>> {
        self.flush()?;
        let mut text = vec![0; place.length as usize];
        self.file()?.read_exact_at(&mut text, place.start)?;
        Ok(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            let at = self.written;
            self.file()?.write_all_at(&buffer, at)?;
            self.written += buffer.len() as u64;
            self.buffer = buffer;
            self.buffer.clear();
        }
        Ok(())
    }

    fn file(&mut self) -> io::Result<&File> {
        match &mut self.texts {
            Some(file) => Ok(file),
            none => Ok(none.insert(tempfile::tempfile_in(&self.folder)?)),
        }
    }
}
