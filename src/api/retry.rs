//! What is tried again, and when.
//!
//! | what happened | decision |
//! |---|---|
//! | 200 | accept |
//! | 408, 425, 429, 500, 502, 503, 504 | retry |
//! | 401, 403 and every other status | fail |
//! | no connection, or it broke before the answer began | retry |
//!
//! A pause doubles with every attempt, up to a cap; a `Retry-After` in seconds is honoured up to the same cap.

use std::time::Duration;

/// Requests made before giving up.
pub(super) const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Accept,
    Retry,
    Fail,
}

/// The table above.
pub(super) fn decide(status: u16) -> Decision {
    match status {
        200 => Decision::Accept,
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Decision::Retry,
        _ => Decision::Fail,
    }
}

/// How long to wait before the attempt that follows `attempt` (the first is 1).
pub(super) fn pause(attempt: u32, retry_after: Option<&str>) -> Duration {
    let asked = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    asked.unwrap_or_else(|| PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16))).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_decision() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(decide(status), Decision::Retry, "{status}");
        }
        for status in [201, 204, 206, 301, 304, 400, 401, 403, 404, 409, 501] {
            assert_eq!(decide(status), Decision::Fail, "{status}");
        }
        assert_eq!(decide(200), Decision::Accept);
    }

    #[test]
    fn pauses_double_and_are_capped() {
        let rows = [
            (1, None, 250),
            (2, None, 500),
            (4, None, 2000),
            (40, None, 20_000),
            (1, Some("3"), 3000),
            (1, Some("1000000000"), 20_000),
            (1, Some("-1"), 250),
            (2, Some("soon"), 500),
        ];
        for (attempt, asked, milliseconds) in rows {
            assert_eq!(pause(attempt, asked), Duration::from_millis(milliseconds), "{attempt} {asked:?}");
        }
    }
}
