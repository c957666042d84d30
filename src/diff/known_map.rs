//! Records by key, in memory: what commits come to when they are folded without a cache.
//!
//! About 80 bytes a record.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use hashbrown::HashTable;

use super::{Known, KnownRecord};

/// Records, each key once, in the order in which they were added.
#[derive(Debug, Default)]
pub struct KnownMap {
    records: Vec<KnownRecord>,
    /// Positions in `records` by key.
    by_key: HashTable<u32>,
}

impl KnownMap {
    /// All records, removed ones included, in their order.
    #[must_use]
    pub fn records(&self) -> &[KnownRecord] {
        &self.records
    }

    /// The same records in a temporary file in this folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn into_known(self, folder: &Path) -> io::Result<Known> {
        let mut file = BufWriter::new(tempfile::tempfile_in(folder)?);
        for record in &self.records {
            file.write_all(&record.to_bytes())?;
        }
        Known::new(file.into_inner()?, 0, self.records.len() as u64)
    }

    /// The record at a position.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&KnownRecord> {
        self.records.get(position)
    }

    /// The record at a position, to be updated. Its key must stay.
    pub fn get_mut(&mut self, position: usize) -> Option<&mut KnownRecord> {
        self.records.get_mut(position)
    }

    /// The position of the record with this key.
    #[must_use]
    pub fn find(&self, key: u128) -> Option<usize> {
        let found = self.by_key.find(bucket(key), |&position| self.records[position as usize].key == key);
        found.map(|&position| position as usize)
    }

    /// Adds a record whose key is not known, and gives its position.
    pub fn push(&mut self, record: KnownRecord) -> usize {
        let position = self.records.len();
        self.records.push(record);
        let records = &self.records;
        self.by_key.insert_unique(bucket(record.key), position as u32, |&at| bucket(records[at as usize].key));
        position
    }
}

/// The key is a hash already.
fn bucket(key: u128) -> u64 {
    key as u64
}
