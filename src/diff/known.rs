//! The records that are known, by hash, in the order in which the last poll listed them.
//!
//! 48 bytes a record, and 5 to 10 more once a record has to be found by key and not by its place.

use hashbrown::HashTable;

use crate::schema::EventPartition;

/// What is known of a record. Nothing of its content: hashes, and what is frozen at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRecord {
    /// Hash of the key.
    pub key: u128,
    /// Hash of the exact bytes that were last seen; 0 where they are not known.
    pub element: u64,
    /// Digest of the row by value.
    pub digest: u64,
    /// When it was first observed, in microseconds. Never changes.
    pub first_seen_at: i64,
    /// Where it is filed. Never changes.
    pub partition: EventPartition,
    /// Whether it is expected to change.
    pub open: bool,
    /// Whether it has gone from the API. It stays known, so that it returns to its own partition.
    pub removed: bool,
}

/// All known records of a resource.
#[derive(Debug, Default)]
pub struct Known {
    records: Vec<KnownRecord>,
    /// Positions in `records` by key; built when first asked for.
    by_key: Option<HashTable<u32>>,
}

impl Known {
    /// Of records in the order of the last poll, each key once.
    #[must_use]
    pub fn new(records: Vec<KnownRecord>) -> Self {
        Self { records, by_key: None }
    }

    /// All records, removed ones included, in their order.
    #[must_use]
    pub fn records(&self) -> &[KnownRecord] {
        &self.records
    }

    /// Records that the API still lists.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.records.iter().filter(|record| !record.removed).count() as u64
    }

    /// Records that the API still lists and that are expected to change.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.records.iter().filter(|record| !record.removed && record.open).count() as u64
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
    pub fn find(&mut self, key: u128) -> Option<usize> {
        let records = &self.records;
        let index = self.by_key.get_or_insert_with(|| index(records));
        index.find(bucket(key), |&position| records[position as usize].key == key).map(|&position| position as usize)
    }

    /// Adds a record whose key is not known, and gives its position.
    pub fn push(&mut self, record: KnownRecord) -> usize {
        let position = self.records.len();
        self.records.push(record);
        if let Some(index) = &mut self.by_key {
            let records = &self.records;
            index.insert_unique(bucket(record.key), position as u32, |&at| bucket(records[at as usize].key));
        }
        position
    }

    /// The records in the order in which `positions` lists them, each once; those that it does not list follow.
    pub fn in_order<'a>(&'a self, positions: &'a [u32]) -> impl Iterator<Item = &'a KnownRecord> {
        let mut listed = vec![false; self.records.len()];
        for &position in positions {
            listed[position as usize] = true;
        }
        let unlisted = self.records.iter().zip(listed).filter(|(_, listed)| !listed).map(|(record, _)| record);
        positions.iter().map(|&position| &self.records[position as usize]).chain(unlisted)
    }
}

fn index(records: &[KnownRecord]) -> HashTable<u32> {
    let mut index = HashTable::with_capacity(records.len());
    for (position, record) in records.iter().enumerate() {
        index.insert_unique(bucket(record.key), position as u32, |&at| bucket(records[at as usize].key));
    }
    index
}

/// The key is a hash already.
fn bucket(key: u128) -> u64 {
    key as u64
}
