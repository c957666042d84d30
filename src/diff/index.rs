//! Where known records are, by the hash of their bytes: for a body in another order than the last one.
//!
//! Tables of positions, six bytes a record; what is at a position is read from the file of the known records.

use std::{cell::RefCell, io};

use hashbrown::HashTable;

use super::{KnownRecord, known::Known, positions::Positions};
use crate::record::ElementId;

/// Positions that a table has room for: one of many records would be twice as large as they need, these are full.
const TABLE_MAX: usize = 57_344;
/// Positions of a table on average, ten standard deviations below that.
const TABLE_MEAN: u64 = 55_000;

#[derive(Debug)]
pub(super) struct ElementIndex {
    known: Known,
    /// Each of a range of hashes.
    tables: Vec<HashTable<u32>>,
}

impl ElementIndex {
    /// Of the known records that the API listed last and that the body has not `listed` so far.
    pub(super) fn new(known: &Known, listed: &Positions) -> io::Result<Self> {
        let count = known.count() - listed.count();
        let tables = match count.div_ceil(TABLE_MEAN) {
            0 | 1 => vec![HashTable::with_capacity(count as usize)],
            tables => (0..tables).map(|_| HashTable::with_capacity(TABLE_MAX)).collect(),
        };
        let mut index = Self { known: known.clone(), tables };
        // What there is no room for is left out, so that none is ever hashed again.
        let never = |_: &u32| 0;
        for (position, record) in (0..).zip(known.records()) {
            let record = record?;
            if !record.removed && record.element != ElementId::UNKNOWN && !listed.contains(position) {
                let hash = record.element.hash;
                let number = index.table_of(hash);
                let table = &mut index.tables[number];
                // It is decoded then: which takes longer, and comes to the same.
                if table.len() < table.capacity() {
                    table.insert_unique(hash, position as u32, never);
                }
            }
        }
        Ok(index)
    }

    /// By bits of the hash that tell nothing of the place in a table.
    fn table_of(&self, hash: u64) -> usize {
        let bits = (hash >> 20) & u64::from(u32::MAX);
        ((bits * self.tables.len() as u64) >> 32) as usize
    }

    /// A record of these bytes that the body has not listed, and its position.
    pub(super) fn find(&self, element: ElementId, listed: &Positions) -> io::Result<Option<(u64, KnownRecord)>> {
        let found = RefCell::new(Ok(None));
        self.tables[self.table_of(element.hash)].find(element.hash, |&position| {
            let position = u64::from(position);
            if listed.contains(position) {
                return false;
            }
            let read = self.known.get(position).map(|record| (record.element == element).then_some((position, record)));
            let ends = !matches!(read, Ok(None));
            if ends {
                *found.borrow_mut() = read;
            }
            ends
        });
        found.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::{diff::KnownMap, schema::EventPartition};

    fn element(number: u64) -> ElementId {
        ElementId { hash: xxh3_64(&number.to_le_bytes()), bytes: 4 }
    }

    #[test]
    fn each_record_is_found_where_it_is_whether_they_fill_one_table_or_several() {
        for count in [0, 1, 1000, TABLE_MEAN, TABLE_MEAN + 1, 3 * TABLE_MEAN] {
            let mut map = KnownMap::default();
            for number in 0..count {
                map.push(KnownRecord {
                    key: u128::from(number),
                    element: element(number),
                    digest: number,
                    first_seen_at: 1,
                    last_change: None,
                    partition: EventPartition(2),
                    open: false,
                    removed: number % 7 == 3,
                    unlisted: false,
                });
            }
            let known = map.into_known(&temp_dir()).unwrap();
            let mut listed = Positions::none_of(count);
            (0..count).step_by(5).for_each(|position| listed.insert(position));
            let index = ElementIndex::new(&known, &listed).unwrap();
            for position in 0..count {
                let found = index.find(element(position), &listed).unwrap().map(|(position, _)| position);
                let is_there = position % 7 != 3 && position % 5 != 0;
                assert_eq!(found, is_there.then_some(position), "of {count}");
            }
            assert!(index.find(element(count), &listed).unwrap().is_none());
        }
    }
}
