//! What a poll must not do: make records vanish because the server failed to list them.
//!
//! | what is seen | taken for |
//! |---|---|
//! | no record listed, some known | a failure of the server |
//! | more than max(10, 1 %) of the known records missing | the same |
//! | some missing, and exactly a round page size listed | a server that has begun to paginate |
//! | more than max(`quarantine_min`, share) of the listed records rejected, or all | another contract than the schema's |

use thiserror::Error;

use super::Conclusion;

/// What a user allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Take whatever is missing for removed.
    pub accept_removals: bool,
    /// The list was read page by page: it may well be as long as a page.
    pub paged: bool,
    /// Share of the listed records that may be rejected.
    pub quarantine_share_max: f64,
    /// Rejected records that are always allowed, however few are listed.
    pub quarantine_min: u64,
    /// What became of the poll when it was made, if it was believed and is read once more: then whatever is missing was heard of.
    pub believed: Option<Believed>,
}

/// What became of a poll that was believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believed {
    /// Records that did not fit.
    pub rejected: u64,
    /// Whether what was missing was not taken for removed.
    pub withheld: bool,
}

/// Default of `quarantine_max`: one record in a thousand.
pub const QUARANTINE_SHARE_MAX: f64 = 0.001;
/// Ten records may be odd in a list of any length.
pub const QUARANTINE_MIN: u64 = 10;
/// Records that may go between two polls, however few are known.
const MISSING_MIN: u64 = 10;
/// One in this many known records may go between two polls.
const MISSING_ONE_IN: u64 = 100;
/// Page sizes that servers use by default or as their maximum.
const PAGE_SIZES: [u64; 9] = [10, 20, 25, 50, 100, 200, 250, 500, 1000];

impl Default for Limits {
    fn default() -> Self {
        Self {
            accept_removals: false,
            paged: false,
            quarantine_share_max: QUARANTINE_SHARE_MAX,
            quarantine_min: QUARANTINE_MIN,
            believed: None,
        }
    }
}

/// Why a complete poll is not believed. Nothing of it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuardRefusal {
    /// Nothing is listed any more.
    #[error("the API lists no record where {known} are known")]
    Emptied {
        /// Records known before.
        known: u64,
    },
    /// Too much is missing at once.
    #[error("{missing} of {known} known records are missing from the API's answer")]
    Shrunk {
        /// Records not listed.
        missing: u64,
        /// Records known before.
        known: u64,
    },
    /// The answer looks like one page.
    #[error("the API lists exactly {listed} records where {known} are known, as if it had begun to paginate")]
    PageSized {
        /// Records listed.
        listed: u64,
        /// Records known before.
        known: u64,
    },
    /// Too much does not fit the schema.
    #[error("{rejected} of {listed} records do not fit the schema")]
    Unfit {
        /// Records rejected.
        rejected: u64,
        /// Records listed.
        listed: u64,
    },
}

impl Limits {
    /// Whether a list of so many records looks like one page of a longer one.
    #[must_use]
    pub fn looks_like_a_page(&self, listed: u64) -> bool {
        !self.paged && PAGE_SIZES.contains(&listed)
    }

    /// Decides whether the poll is believed.
    ///
    /// # Errors
    ///
    /// The first guard of the table above that refuses it.
    pub fn check(&self, poll: &Conclusion) -> Result<(), GuardRefusal> {
        let (listed, known) = (poll.tally.listed(), poll.listed_before);
        let (missing, rejected) = (poll.tally.removed, poll.tally.rejected);
        let rejected_then = self.believed.map_or(0, |believed| believed.rejected);
        let rejected_max =
            self.quarantine_min.max((listed as f64 * self.quarantine_share_max) as u64).max(rejected_then);
        if rejected > rejected_max || (rejected > 0 && rejected == listed) {
            return Err(GuardRefusal::Unfit { rejected, listed });
        }
        if self.accept_removals || self.believed.is_some() || missing == 0 {
            return Ok(());
        }
        if listed == 0 {
            return Err(GuardRefusal::Emptied { known });
        }
        if self.looks_like_a_page(listed) {
            return Err(GuardRefusal::PageSized { listed, known });
        }
        if missing > MISSING_MIN.max(known / MISSING_ONE_IN) {
            return Err(GuardRefusal::Shrunk { missing, known });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use super::*;
    use crate::{
        diff::{Diff, KnownMap, KnownRecord},
        record::{ElementId, RecordSlice},
    };

    fn bytes(number: u64) -> ElementId {
        ElementId { hash: number, bytes: 4 }
    }

    /// A poll that lists `listed` of `known` records and `rejected` others.
    fn poll(known: u64, listed: u64, rejected: u64) -> Conclusion {
        let record = |n: u64| KnownRecord {
            key: u128::from(n),
            element: bytes(n + 1),
            digest: n,
            first_seen_at: 0,
            last_change: None,
            partition: crate::schema::EventPartition(0),
            open: false,
            removed: false,
            unlisted: false,
        };
        let mut records = KnownMap::default();
        (0..known).map(record).for_each(|record| _ = records.push(record));
        let mut diff = Diff::new(records.into_known(&temp_dir()).unwrap(), &temp_dir());
        assert!((0..listed).all(|n| diff.recognize(bytes(n + 1)).unwrap()));
        for n in 0..rejected {
            let slice = RecordSlice { text: b"text", element: bytes(n), offset: 0 };
            diff.reject(Some(u128::from(known + n)), slice).unwrap();
        }
        diff.place().unwrap();
        diff.conclude().unwrap()
    }

    #[test]
    fn what_a_server_may_do_and_what_it_may_not() {
        use GuardRefusal::*;
        let rows = [
            ((0, 0, 0), None),
            ((5, 5, 0), None),
            ((5, 0, 0), Some(Emptied { known: 5 })),
            ((19, 9, 0), None),
            ((22, 11, 0), Some(Shrunk { missing: 11, known: 22 })),
            ((5000, 4950, 0), None),
            ((5000, 4949, 0), Some(Shrunk { missing: 51, known: 5000 })),
            ((101, 100, 0), Some(PageSized { listed: 100, known: 101 })),
            ((100, 100, 0), None),
            ((5, 5, 10), None),
            ((5, 5, 11), Some(Unfit { rejected: 11, listed: 16 })),
            ((0, 0, 1), Some(Unfit { rejected: 1, listed: 1 })),
            ((2, 0, 2), Some(Unfit { rejected: 2, listed: 2 })),
            ((50_000, 50_000, 50), None),
            ((50_000, 50_000, 51), Some(Unfit { rejected: 51, listed: 50_051 })),
        ];
        for ((known, listed, rejected), refusal) in rows {
            let decided = Limits::default().check(&poll(known, listed, rejected)).err();
            assert_eq!(decided, refusal, "{known} {listed} {rejected}");
        }
    }

    #[test]
    fn accepted_removals_pass_but_unfit_records_do_not() {
        let limits = Limits { accept_removals: true, ..Limits::default() };
        assert_eq!(limits.check(&poll(5, 0, 0)), Ok(()));
        assert!(limits.check(&poll(5, 0, 11)).is_err());
    }

    #[test]
    fn of_a_poll_that_was_believed_what_is_missing_passes_and_no_more_that_is_unfit() {
        let limits = Limits { believed: Some(Believed { rejected: 20, withheld: false }), ..Limits::default() };
        assert_eq!(limits.check(&poll(100, 40, 20)), Ok(()));
        assert_eq!(limits.check(&poll(100, 0, 0)), Ok(()));
        assert!(limits.check(&poll(100, 40, 21)).is_err());
        assert!(limits.check(&poll(0, 0, 20)).is_err(), "nothing fits");
    }

    #[test]
    fn a_list_that_was_walked_may_be_as_long_as_a_page() {
        let limits = Limits { paged: true, ..Limits::default() };
        assert_eq!(limits.check(&poll(101, 100, 0)), Ok(()));
        assert!(limits.check(&poll(5000, 100, 0)).is_err());
    }
}
