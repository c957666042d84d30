//! How much of a list a poll asks for.
//!
//! | settings | and what is known | asked for |
//! |---|---|---|
//! | none | anything | the whole list |
//! | `conditional` | the last commit ends a poll of the whole list, which had an ETag | the whole list, unless it is unchanged |
//! | `incremental = "window"` | a poll of the whole list within `full_poll_every`, an event time, not too many open records | what has happened since the newest event time less `lookback`, and each open record by itself |
//!
//! After anything that leaves a doubt (a diff that was cut off, a cache that had to be made anew, a record that does not fit, a
//! part that is as long as a page) it is the whole list.

use chrono::DateTime;

use crate::{
    api::ListRequest,
    config::{Polling, Window},
    lake::{Cursor, Head},
};

/// Open records that are asked for by themselves; where there are more, the whole list is quicker.
pub(super) const SINGLES_MAX: u64 = 500;

/// What a poll asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub request: ListRequest,
}

impl Plan {
    /// The plan of a poll at `now` (microseconds), where so many records are open. Nothing short of the whole list will do if
    /// there is a `doubt`.
    pub(super) fn of(polling: &Polling, head: &Head, doubt: bool, open: u64, now: i64) -> Self {
        let request = ListRequest { page_size: polling.page_size, ..ListRequest::default() };
        let synced = head.cursor.as_ref().and_then(Cursor::synced);
        let Some(cursor) = synced.filter(|cursor| cursor.complete && !doubt) else {
            return Self { request };
        };
        let window = polling.window.as_ref().filter(|_| open <= SINGLES_MAX);
        if let Some(since) = window.and_then(|window| since(window, cursor, now)) {
            return Self { request: ListRequest { since: DateTime::from_timestamp_micros(since), ..request } };
        }
        let is_whole = cursor.full_poll_at == Some(cursor.observed_at);
        let etag = cursor.etag.clone().filter(|_| polling.conditional && is_whole);
        Self { request: ListRequest { etag, ..request } }
    }

    /// Whether a record that is not listed is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.request.since.is_none()
    }
}

/// Where the window begins, unless it is time for the whole list.
fn since(window: &Window, cursor: &Cursor, now: i64) -> Option<i64> {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).ok();
    let age = now.checked_sub(cursor.full_poll_at?)?;
    if age >= micros(window.full_poll_every)? {
        return None;
    }
    // A record may say that it is of the future: what happens until then is not to be missed.
    cursor.newest_event_time?.min(cursor.observed_at).checked_sub(micros(window.lookback)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn head(cursor: Option<Cursor>) -> Head {
        Head { cursor, ..Head::default() }
    }

    /// Of a whole poll at minute 100 whose newest record is of minute 90.
    fn cursor() -> Cursor {
        Cursor {
            poll_id: "p".to_owned(),
            observed_at: 100 * MINUTE,
            complete: true,
            body_bytes: 2,
            body_hash: String::new(),
            etag: Some("\"e\"".to_owned()),
            full_poll_at: Some(100 * MINUTE),
            newest_event_time: Some(90 * MINUTE),
            known: 1,
            open: 1,
            backfill: None,
        }
    }

    fn window() -> Polling {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let window = Window { lookback: minutes(5), full_poll_every: minutes(60) };
        Polling { window: Some(window), conditional: true, page_size: None }
    }

    #[test]
    fn a_part_is_asked_for_only_where_nothing_is_in_doubt() {
        let since = |cursor: Option<Cursor>, rebuilt, open, minute| {
            let plan = Plan::of(&window(), &head(cursor), rebuilt, open, minute * MINUTE);
            assert!(plan.is_whole() || plan.request.etag.is_none());
            plan.request.since.map(|since| since.timestamp_micros() / MINUTE)
        };
        assert_eq!(since(Some(cursor()), false, 1, 101), Some(85));
        assert_eq!(since(Some(cursor()), false, SINGLES_MAX, 159), Some(85));
        assert_eq!(since(Some(cursor()), false, SINGLES_MAX + 1, 101), None);
        assert_eq!(since(Some(cursor()), false, 1, 160), None, "the whole list is due");
        assert_eq!(since(Some(cursor()), true, 1, 101), None);
        assert_eq!(since(None, false, 1, 101), None);
        assert_eq!(since(Some(Cursor { complete: false, ..cursor() }), false, 1, 101), None);
        assert_eq!(since(Some(Cursor { full_poll_at: None, ..cursor() }), false, 1, 101), None);
        assert_eq!(since(Some(Cursor { newest_event_time: None, ..cursor() }), false, 1, 101), None);
        let of_the_future = Cursor { newest_event_time: Some(9000 * MINUTE), ..cursor() };
        assert_eq!(since(Some(of_the_future), false, 1, 101), Some(95));
    }

    #[test]
    fn an_etag_is_sent_only_for_a_list_that_was_taken_whole() {
        let conditional = Polling { conditional: true, ..Polling::default() };
        let etag = |polling: &Polling, cursor: Cursor, rebuilt| {
            Plan::of(polling, &head(Some(cursor)), rebuilt, 0, 101 * MINUTE).request.etag
        };
        assert_eq!(etag(&conditional, cursor(), false).as_deref(), Some("\"e\""));
        assert_eq!(etag(&Polling::default(), cursor(), false), None);
        assert_eq!(etag(&conditional, cursor(), true), None);
        assert_eq!(etag(&conditional, Cursor { complete: false, ..cursor() }, false), None);
        assert_eq!(etag(&conditional, Cursor { full_poll_at: Some(MINUTE), ..cursor() }, false), None);
        assert_eq!(etag(&conditional, Cursor { etag: None, ..cursor() }, false), None);
    }
}
