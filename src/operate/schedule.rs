//! When runs are due. Pure: times are counted from the start, and chance is given.
//!
//! | a run | the next is due |
//! |---|---|
//! | got something done | at the next full period |
//! | got nothing done, as none before it since then | after 1, 2, 4, … periods, as long as that is no more than 5 minutes where time may mend it, or an hour where a person must |
//!
//! Each is put off by chance, by less than a tenth of the period, so that many machines do not poll at once. What was missed
//! while a run took longer than the period is not made up for.

use std::time::Duration;

use crate::error::Kind;

/// The longest pause after failures that time may mend, unless the period is longer.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// The same where a person must do something: asking again and again with wrong credentials may lock them.
const PAUSE_FOR_A_PERSON_MAX: Duration = Duration::from_secs(60 * 60);

/// What a run came to, for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something was synced.
    Progress,
    /// Nothing was, most gravely because of this.
    Nothing(Kind),
}

/// The plan of runs.
#[derive(Debug)]
pub(super) struct Schedule {
    period: Duration,
    /// Of the run before, by its number of periods since the start.
    tick: u64,
    /// Runs in a row that got nothing done.
    failures: u32,
}

/// The next run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// When it is due.
    pub due: Duration,
    /// Runs that would have been due while the last one was under way.
    pub missed: u64,
}

impl Schedule {
    /// With a period that is not zero. The first run is due at the start.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, tick: 0, failures: 0 }
    }

    /// The run after one that has ended at `now` with this outcome.
    pub(super) fn next(&mut self, now: Duration, outcome: Outcome, chance: u64) -> Next {
        let tick = (now.as_nanos() / self.period.as_nanos()) as u64;
        let missed = tick.saturating_sub(self.tick);
        self.failures = if outcome == Outcome::Progress { 0 } else { self.failures + 1 };
        self.tick = tick + u64::from(self.periods(outcome));
        let jitter = self.period.mul_f64(chance as f64 / u64::MAX as f64 / 10.0);
        Next { due: duration_of(self.period, self.tick) + jitter, missed }
    }

    /// How many periods the next run is away.
    fn periods(&self, outcome: Outcome) -> u32 {
        let Outcome::Nothing(kind) = outcome else { return 1 };
        let pause_max = if kind.needs_a_person() { PAUSE_FOR_A_PERSON_MAX } else { PAUSE_MAX };
        let periods_max = (pause_max.as_nanos() / self.period.as_nanos()).clamp(1, u128::from(u32::MAX)) as u32;
        2_u32.saturating_pow(self.failures - 1).min(periods_max)
    }
}

fn duration_of(period: Duration, periods: u64) -> Duration {
    let nanos = period.as_nanos() * u128::from(periods);
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const QUARTER: Duration = Duration::from_secs(15 * MINUTE);

    fn next(schedule: &mut Schedule, now_s: u64, outcome: Outcome) -> (u64, u64) {
        let Next { due, missed } = schedule.next(Duration::from_secs(now_s), outcome, 0);
        (due.as_secs(), missed)
    }

    #[test]
    fn runs_keep_to_the_full_periods_and_what_is_missed_is_not_made_up_for() {
        let mut schedule = Schedule::new(QUARTER);
        for (now, expected) in [
            (0, (900, 0)),
            (905, (1800, 0)),
            // This run took three quarters of an hour.
            (1800 + 2710, (5400, 3)),
            (5400, (6300, 0)),
            (7199, (7200, 0)),
        ] {
            assert_eq!(next(&mut schedule, now, Outcome::Progress), expected, "{now}");
        }
    }

    #[test]
    fn pauses_double_while_nothing_gets_done_up_to_what_the_kind_of_failure_allows() {
        let pauses = |period_s: u64, kind: Kind| {
            let mut schedule = Schedule::new(Duration::from_secs(period_s));
            let mut now = 0;
            let mut pause = |outcome| {
                let (due, _) = next(&mut schedule, now, outcome);
                let pause = (due - now) / MINUTE;
                now = due;
                pause
            };
            let pauses: Vec<_> = (0..9).map(|_| pause(Outcome::Nothing(kind))).collect();
            assert_eq!(pause(Outcome::Progress), period_s / MINUTE, "what gets something done begins anew");
            assert_eq!(pause(Outcome::Nothing(kind)), period_s / MINUTE);
            pauses
        };
        assert_eq!(pauses(MINUTE, Kind::Unavailable), [1, 2, 4, 5, 5, 5, 5, 5, 5]);
        assert_eq!(pauses(MINUTE, Kind::Denied), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pauses(15 * MINUTE, Kind::Store), [15; 9]);
        assert_eq!(pauses(15 * MINUTE, Kind::Data), [15, 30, 60, 60, 60, 60, 60, 60, 60]);
        assert_eq!(pauses(600 * MINUTE, Kind::Settings), [600; 9]);
    }

    #[test]
    fn chance_puts_off_by_less_than_a_tenth_of_the_period() {
        let due = |chance| Schedule::new(QUARTER).next(Duration::ZERO, Outcome::Progress, chance).due;
        assert_eq!(due(0), QUARTER);
        assert_eq!(due(u64::MAX), QUARTER.mul_f64(1.1));
        assert_eq!(due(u64::MAX / 2).as_secs(), 945);
    }
}
