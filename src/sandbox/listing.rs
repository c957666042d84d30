//! Which records of a resource a list holds, in which order. They are made one by one; none is kept.

use std::ops::Range;
use std::sync::Arc;

use super::filter::Filters;
use super::page::Window;
use super::value::Record;
use super::{ListOrder, Resource, Snapshot};

/// Records with their numbers, in the order of the list.
#[derive(Clone)]
pub(super) struct Listing {
    snapshot: Arc<Snapshot>,
    resource: Resource,
    order: ListOrder,
    filters: Filters,
    /// Numbers of the records that it may hold.
    numbers: Range<u64>,
    /// The place, among the numbers in order, of the next that is looked at.
    place: u64,
    /// How many more it gives at most.
    left: u64,
    is_cyclic: bool,
}

impl Listing {
    /// Every record that the filters admit.
    pub(super) fn new(snapshot: Arc<Snapshot>, resource: Resource, order: ListOrder, filters: Filters) -> Listing {
        let numbers = match filters.span() {
            Some((from, to)) => snapshot.during(resource, from, to),
            None => 0..snapshot.count(resource),
        };
        Listing { snapshot, resource, order, filters, numbers, place: 0, left: u64::MAX, is_cyclic: false }
    }

    /// Every record, oldest first.
    pub(super) fn whole(snapshot: Arc<Snapshot>, resource: Resource) -> Listing {
        Listing::new(snapshot, resource, ListOrder::Natural, Filters::default())
    }

    /// The same without the records before a number.
    #[cfg(test)]
    pub(super) fn since(mut self, first: u64) -> Listing {
        self.numbers.start = first.min(self.numbers.end);
        self
    }

    /// A part of it.
    pub(super) fn window(mut self, Window { start, size, is_cyclic }: Window) -> Listing {
        self.pass(start);
        Listing { left: size, is_cyclic, ..self }
    }

    /// Its first half, without the record in the middle.
    pub(super) fn half(self) -> Listing {
        Listing { left: self.total() / 2, ..self }
    }

    /// Nothing of it.
    pub(super) fn nothing(self) -> Listing {
        Listing { numbers: 0..0, is_cyclic: false, ..self }
    }

    /// How many records it gives. With a filter, or where records may be gone, that takes a pass over them.
    pub(super) fn total(&self) -> u64 {
        match self.is_exact() && !self.is_cyclic {
            true => self.left.min(self.length() - self.place),
            false => self.clone().fold(0, |total, _| total + 1),
        }
    }

    /// Leaves out the first so many.
    fn pass(&mut self, count: u64) {
        if self.is_exact() {
            self.place = self.place.saturating_add(count).min(self.length());
        } else {
            (0..count).any(|_| self.next().is_none());
        }
    }

    /// Whether it has a record for every number.
    fn is_exact(&self) -> bool {
        self.filters.is_empty() && !self.resource.has_gaps()
    }

    /// How many numbers there are.
    fn length(&self) -> u64 {
        self.numbers.end - self.numbers.start
    }
}

impl Iterator for Listing {
    type Item = (u64, Record);

    fn next(&mut self) -> Option<(u64, Record)> {
        let length = self.length();
        while self.left > 0 {
            if self.place == length {
                if !self.is_cyclic {
                    return None;
                }
                self.place = 0;
            }
            let number = self.numbers.start + self.order.record_at(self.place, length);
            self.place += 1;
            let record = self.snapshot.record(self.resource, number);
            if let Some(record) = record.filter(|record| self.filters.admit(record)) {
                self.left -= 1;
                return Some((number, record));
            }
        }
        None
    }
}
