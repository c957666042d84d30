//! The known records around the place where the next one is expected.
//!
//! A poll mostly lists what the last one did, in the same order. So the known records are read as a stream beside the body,
//! and an element is compared with the one that is expected; records that are inserted, gone or moved a little are found
//! within the window.

use std::{collections::VecDeque, io};

use super::{
    KnownRecord,
    known::{Known, KnownStream},
};

/// Records that stay in the window once they were passed, and that are read ahead at least.
const REACH: usize = 256;

#[derive(Debug)]
pub(super) struct Window {
    known: Known,
    ahead: KnownStream,
    records: VecDeque<KnownRecord>,
    /// Position of the first record of the window.
    first: u64,
    /// Index in the window of the record that is expected.
    next: usize,
}

impl Window {
    pub(super) fn new(known: Known) -> Self {
        let ahead = known.stream(0, known.count());
        Self { known, ahead, records: VecDeque::new(), first: 0, next: 0 }
    }

    /// The record that is expected, and its position.
    pub(super) fn expected(&mut self) -> io::Result<Option<(u64, &KnownRecord)>> {
        if self.records.len() - self.next < REACH {
            self.read_ahead()?;
        }
        Ok(self.records.get(self.next).map(|record| (self.first + self.next as u64, record)))
    }

    /// The first record from the expected one on, and then of those before, that `is_wanted`; with its position.
    pub(super) fn find(&self, is_wanted: impl Fn(u64, &KnownRecord) -> bool) -> Option<(u64, KnownRecord)> {
        let indices = (self.next..self.records.len()).chain(0..self.next);
        indices
            .map(|index| (self.first + index as u64, self.records[index]))
            .find(|(at, record)| is_wanted(*at, record))
    }

    /// Expects the record behind this position, which is in the window.
    pub(super) fn pass(&mut self, position: u64) {
        self.next = (position + 1 - self.first) as usize;
    }

    /// Expects the record at this position, wherever it is.
    pub(super) fn seek(&mut self, position: u64) {
        self.ahead = self.known.stream(position, self.known.count());
        self.records.clear();
        (self.first, self.next) = (position, 0);
    }

    fn read_ahead(&mut self) -> io::Result<()> {
        let passed = self.next.saturating_sub(REACH);
        self.records.drain(..passed);
        self.first += passed as u64;
        self.next -= passed;
        while self.records.len() < self.next + 2 * REACH {
            match self.ahead.next() {
                Some(record) => self.records.push_back(record?),
                None => break,
            }
        }
        Ok(())
    }
}
