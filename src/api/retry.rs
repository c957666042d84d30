//! What is tried again, and when.
//!
//! | what happened | decision |
//! |---|---|
//! | 200 | accept |
//! | 408, 425, 429, 500, 502, 503, 504 | retry |
//! | no connection, or it broke before the answer began | retry |
//! | the certificate or the protocol is not to be trusted | fail |
//! | 401, 403 and every other status | fail |
//! | of these, 404 of what may be missing, and 304 where an ETag was sent | an answer by itself |
//!
//! A pause doubles with every attempt up to a cap, and lies by chance between a half and the whole of that, so that many
//! clients do not come back at once. A `Retry-After`, in seconds or as a date, is kept to, up to a cap of its own. All pauses
//! of a run together have a budget: an API that is down is not waited for once a resource.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::DateTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Requests made before giving up.
pub(super) const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// The longest that a server may ask us to wait.
const ASKED_MAX: Duration = Duration::from_secs(60);
/// All pauses of a run together.
const BUDGET: Duration = Duration::from_secs(300);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// No answer: the network, or whoever is at its other end.
    NoAnswer,
    /// No answer, because the other end is not to be trusted.
    Untrusted,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Accept,
    Retry,
    Fail,
}

/// The table above.
pub(super) fn decide(outcome: Outcome) -> Decision {
    match outcome {
        Outcome::Status(200) => Decision::Accept,
        Outcome::Status(408 | 425 | 429 | 500 | 502 | 503 | 504) | Outcome::NoAnswer => Decision::Retry,
        Outcome::Status(_) | Outcome::Untrusted => Decision::Fail,
    }
}

/// What a server says of when to come back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RetryAfter<'h> {
    /// `Retry-After`
    pub asked: Option<&'h str>,
    /// `Date`, from which a date in it counts: our own clock may be another.
    pub date: Option<&'h str>,
}

impl RetryAfter<'_> {
    fn duration(self) -> Option<Duration> {
        let asked = self.asked?.trim();
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = |text| DateTime::parse_from_rfc2822(text).ok();
        (date(asked)? - date(self.date?.trim())?).to_std().ok()
    }
}

/// The pauses of one run.
#[derive(Debug)]
pub(super) struct Pauses {
    seed: u64,
    taken: AtomicU64,
    spent_ms: AtomicU64,
}

impl Pauses {
    /// Pauses whose chance is drawn from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, taken: AtomicU64::new(0), spent_ms: AtomicU64::new(0) }
    }

    /// How long to wait before the attempt that follows `attempt` (the first is 1); `None` once it is time to give up.
    pub(super) fn next(&self, attempt: u32, retry_after: RetryAfter<'_>) -> Option<Duration> {
        if attempt >= ATTEMPTS_MAX {
            return None;
        }
        let pause = match retry_after.duration() {
            Some(asked) => asked.min(ASKED_MAX),
            None => self.by_chance(PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(PAUSE_MAX)),
        };
        let pause_ms = pause.as_millis() as u64;
        let spent_ms = self.spent_ms.fetch_add(pause_ms, Ordering::Relaxed) + pause_ms;
        (Duration::from_millis(spent_ms) <= BUDGET).then_some(pause)
    }

    /// Between a half and the whole.
    fn by_chance(&self, whole: Duration) -> Duration {
        let nth = self.taken.fetch_add(1, Ordering::Relaxed);
        let share = (xxh3_64_with_seed(&nth.to_le_bytes(), self.seed) >> 32) as f64 / f64::from(u32::MAX);
        whole.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_decision() {
        for status in 100..600 {
            let expected = match status {
                200 => Decision::Accept,
                408 | 425 | 429 | 500 | 502 | 503 | 504 => Decision::Retry,
                _ => Decision::Fail,
            };
            assert_eq!(decide(Outcome::Status(status)), expected, "{status}");
        }
        assert_eq!(decide(Outcome::NoAnswer), Decision::Retry);
        assert_eq!(decide(Outcome::Untrusted), Decision::Fail);
    }

    #[test]
    fn a_server_is_come_back_to_when_it_asks_within_a_cap() {
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let rows = [
            ("3", None, Some(3)),
            (" 3 ", Some(NOW), Some(3)),
            ("0", None, Some(0)),
            ("1000000000", None, Some(60)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(NOW), Some(10)),
            ("Sat, 06 Nov 2094 08:49:47 GMT", Some(NOW), Some(60)),
            // What means nothing is as if it were not there.
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(NOW), None),
            ("Sun, 06 Nov 1994 08:49:47 GMT", None, None),
            ("-1", None, None),
            ("soon", Some(NOW), None),
            ("", None, None),
        ];
        for (asked, date, seconds) in rows {
            let pause = Pauses::new(7).next(1, RetryAfter { asked: Some(asked), date }).unwrap();
            match seconds {
                Some(seconds) => assert_eq!(pause, Duration::from_secs(seconds), "{asked}"),
                None => assert!((250..=500).contains(&pause.as_millis()), "{asked}: {pause:?}"),
            }
        }
    }

    #[test]
    fn pauses_double_and_differ_by_chance() {
        for seed in 0..100 {
            let pauses = Pauses::new(seed);
            for (attempt, whole_ms) in [(1, 500), (2, 1000), (3, 2000), (4, 4000)] {
                let pause = pauses.next(attempt, RetryAfter::default()).unwrap().as_millis();
                assert!((whole_ms / 2..=whole_ms).contains(&pause), "{attempt}: {pause}");
            }
            assert_eq!(pauses.next(ATTEMPTS_MAX, RetryAfter::default()), None);
        }
        let first = |seed| Pauses::new(seed).next(1, RetryAfter::default());
        assert!((1..20).any(|seed| first(seed) != first(0)));
    }

    #[test]
    fn a_run_does_not_wait_for_ever() {
        let pauses = Pauses::new(1);
        let asked = RetryAfter { asked: Some("60"), date: None };
        assert_eq!((0..20).filter(|_| pauses.next(1, asked).is_some()).count(), 5);
    }
}
