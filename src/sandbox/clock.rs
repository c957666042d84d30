//! The calendar of the world: when its history begins, where its clock starts, and how far it may go.
//!
//! Inside the sandbox a moment is a count of nanoseconds, since the API's timestamps have up to nine fractional digits.

use chrono::{DateTime, Utc};

/// Nanoseconds since 1970-01-01T00:00:00Z, or between two moments.
pub(super) type Nanos = i64;

pub(super) const SECOND: Nanos = 1_000_000_000;
pub(super) const MINUTE: Nanos = 60 * SECOND;
pub(super) const HOUR: Nanos = 60 * MINUTE;
pub(super) const DAY: Nanos = 24 * HOUR;

/// Where the clock stands at first: 2026-05-15T00:00:00Z.
pub(super) const START: Nanos = 1_778_803_200 * SECOND;

/// How long the world has existed at [`START`].
pub(super) const HISTORY: Nanos = 730 * DAY;

/// When the first record was made.
pub(super) const BEGIN: Nanos = START - HISTORY;

/// The clock goes no further: the funding of the accounts is reckoned to last until then.
pub(super) const END: Nanos = START + 3_652 * DAY;

/// The moment as the public interface and the calendar know it.
pub(super) fn date_time(at: Nanos) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(at)
}

/// The clock that the moment stands for; outside [`START`]..=[`END`] the nearer of the two.
pub(super) fn clamped(at: DateTime<Utc>) -> Nanos {
    // `None` is a year that nanoseconds cannot hold: far beyond either end.
    let beyond = if at < date_time(START) { START } else { END };
    at.timestamp_nanos_opt().unwrap_or(beyond).clamp(START, END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_when_the_contract_was_written() {
        assert_eq!(date_time(START).to_rfc3339(), "2026-05-15T00:00:00+00:00");
        assert_eq!(date_time(BEGIN).to_rfc3339(), "2024-05-15T00:00:00+00:00");
        assert_eq!(date_time(END).to_rfc3339(), "2036-05-14T00:00:00+00:00");
    }

    #[test]
    fn a_moment_outside_the_world_is_its_nearer_end() {
        assert_eq!(clamped(DateTime::<Utc>::MIN_UTC), START);
        assert_eq!(clamped(DateTime::<Utc>::MAX_UTC), END);
        assert_eq!(clamped(date_time(START + DAY)), START + DAY);
    }
}
