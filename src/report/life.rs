//! What became of the records of one resource: their statuses, how long they took, how old the open ones are, and what changed
//! after the end.

use std::{collections::BTreeMap, sync::Arc};

use super::{DAY, restated::Restated};
use crate::schema::Statuses;

const HOUR: i64 = DAY / 24;

/// Ages of open records: each bucket's name, and from which age on a record is in the next one, in microseconds.
pub(super) const AGES: [(&str, i64); 7] = [
    ("< 1 h", HOUR),
    ("1–6 h", 6 * HOUR),
    ("6–24 h", DAY),
    ("1–3 d", 3 * DAY),
    ("3–7 d", 7 * DAY),
    ("7–30 d", 30 * DAY),
    ("≥ 30 d", i64::MAX),
];

/// What became of the records of one resource.
pub(super) struct Life {
    pub resource: String,
    /// The statuses of the schema in its order, then those that it does not list.
    pub statuses: Vec<Status>,
    /// Records by [`AGES`].
    pub open: [u64; AGES.len()],
    /// Since when the oldest open record is open, in microseconds, and its key.
    pub oldest: Option<(i64, String)>,
    pub restated: Restated,
}

/// A status and the records that have, or had, it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// `None` for records without one.
    pub name: Option<Arc<str>>,
    pub meaning: Meaning,
    /// Records that are listed with it.
    pub now: u64,
    /// Records that were ever seen with it, be they listed or not.
    pub ever: u64,
    /// Of the records that were first seen open and later with it: the times between, in microseconds and ascending.
    pub times: Vec<i64>,
}

/// What the schema says of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A record with it is expected to change.
    Open,
    /// It is an end.
    Ended,
    /// Nothing; it counts as open.
    Unknown,
}

/// Statuses that are being counted.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<Option<Arc<str>>, Count>);

#[derive(Default)]
pub(super) struct Count {
    pub now: u64,
    pub ever: u64,
    pub times: Vec<i64>,
}

impl Counts {
    pub(super) fn of(&mut self, status: &Option<Arc<str>>) -> &mut Count {
        self.0.entry(status.clone()).or_default()
    }

    /// The counts of all statuses that the schema lists or a record has.
    pub(super) fn conclude(mut self, statuses: &Statuses) -> Vec<Status> {
        let status = |name: Option<Arc<str>>, meaning, Count { now, ever, mut times }: Count| {
            times.sort_unstable();
            Status { name, meaning, now, ever, times }
        };
        let open = statuses.open.iter().map(|name| (name, Meaning::Open));
        let ended = statuses.closed.iter().map(|name| (name, Meaning::Ended));
        let mut told = Vec::new();
        for (name, meaning) in open.chain(ended) {
            let name = Some(Arc::from(name.as_str()));
            let count = self.0.remove(&name).unwrap_or_default();
            told.push(status(name, meaning, count));
        }
        told.extend(self.0.into_iter().map(|(name, count)| status(name, Meaning::Unknown, count)));
        told
    }
}

impl Status {
    /// The time within which so many in a hundred of the records came to it: the shortest that is long enough. `None` of none.
    pub(super) fn within(&self, percent: usize) -> Option<i64> {
        let rank = (percent * self.times.len()).div_ceil(100);
        self.times.get(rank.checked_sub(1)?).copied()
    }
}

impl Life {
    /// Records that are listed and open.
    pub(super) fn open_count(&self) -> u64 {
        self.open.iter().sum()
    }
}

/// The bucket of an age; one that is less than nothing is in the first.
pub(super) fn bucket(age: i64) -> usize {
    AGES.iter().position(|(_, until)| age < *until).unwrap_or(AGES.len() - 1)
}
