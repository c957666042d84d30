//! How far a resource has come.
//!
//! A poll that finds nothing new writes nothing, so the lake knows when something was last found, and not when it was last looked
//! for. That one resource is quiet is therefore no fault; that all of them are means that nobody syncs, or that nothing happens.

use crate::lake::{Cursor, History};

/// What has changed within this time is fresh, in microseconds: with a day, a weekend without bank transfers shows, and a sync
/// that ran at night does not.
pub(super) const FRESH: i64 = super::DAY;

/// How far a resource has come.
pub(super) struct Health {
    pub resource: String,
    /// Whether the API may lack it.
    optional: bool,
    pub has_statuses: bool,
    /// Number of the last commit; 0 if there is none.
    pub head: u64,
    pub cursor: Option<Cursor>,
    /// Records that are in quarantine at present.
    pub quarantined: u64,
}

/// What is to be said of it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A poll has found something new within [`FRESH`].
    Fresh,
    /// None has.
    Quiet,
    /// The last poll was not committed to its end.
    BrokenOff,
    /// Nothing was ever committed.
    Never,
}

impl Health {
    pub(super) fn of(history: &History<'_>, quarantined: u64) -> Self {
        let (resource, head) = (history.resource(), history.head());
        Self {
            resource: resource.name.clone(),
            optional: resource.optional,
            has_statuses: resource.statuses.is_some(),
            head: head.seq,
            cursor: head.cursor.as_ref().and_then(Cursor::synced).cloned(),
            quarantined,
        }
    }

    pub(super) fn is_expected(&self) -> bool {
        !self.optional || self.head > 0 || self.quarantined > 0
    }

    /// When the last poll began that found something new, in microseconds.
    pub(super) fn changed_at(&self) -> Option<i64> {
        self.cursor.as_ref().map(|cursor| cursor.observed_at)
    }

    pub(super) fn state(&self, now: i64) -> State {
        match &self.cursor {
            None => State::Never,
            Some(cursor) if !cursor.complete => State::BrokenOff,
            Some(cursor) if now - cursor.observed_at < FRESH => State::Fresh,
            Some(_) => State::Quiet,
        }
    }
}
