//! Where known records are, by the hash of their bytes: for a body in another order than the last one.
//!
//! A table of positions, five bytes a place; what is at a position is read from the file of the known records.

use std::{cell::RefCell, io};

use hashbrown::HashTable;

use super::{KnownRecord, known::Known, positions::Positions};
use crate::record::ElementId;

#[derive(Debug)]
pub(super) struct ElementIndex {
    known: Known,
    table: HashTable<u32>,
}

impl ElementIndex {
    /// Of the known records that the API listed last and that the body has not `listed` so far.
    pub(super) fn new(known: &Known, listed: &Positions) -> io::Result<Self> {
        let mut table = HashTable::with_capacity((known.count() - listed.count()) as usize);
        // There is room for all, so that none is ever hashed again.
        let never = |_: &u32| 0;
        for (position, record) in (0..).zip(known.records()) {
            let record = record?;
            if !record.removed && record.element != ElementId::UNKNOWN && !listed.contains(position) {
                table.insert_unique(record.element.hash, position as u32, never);
            }
        }
        Ok(Self { known: known.clone(), table })
    }

    /// A record of these bytes that the body has not listed, and its position.
    pub(super) fn find(&self, element: ElementId, listed: &Positions) -> io::Result<Option<(u64, KnownRecord)>> {
        let found = RefCell::new(Ok(None));
        self.table.find(element.hash, |&position| {
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
