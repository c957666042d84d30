//! Time and randomness, handed in from outside: nothing else reads a clock, so that a run can be simulated.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::{
    lake::{
        Head, Identity, chance_of_poll,
        defect::{Defect, has},
        input_name, poll_name,
    },
    schema::Granularity,
};

/// A clock and a source of random numbers.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

/// Time that passes, whatever becomes of the clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

/// A poll's identity and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PollStart {
    pub id: String,
    pub observed_at: i64,
}

impl Stopwatch {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago it began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Waits until it has run for so long.
    pub async fn reach(&self, elapsed: Duration) {
        sleep_until(self.0 + elapsed).await;
    }
}

impl Ambient {
    /// The machine's own.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::new(Utc::now, || uuid::Uuid::new_v4().as_u128())
    }

    /// Any clock and any randomness.
    #[must_use]
    pub fn new(
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        random: impl Fn() -> u128 + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), random: Arc::new(random) }
    }

    /// The moment at which a poll began, and the chance to which it owes its name: a poll that begins with it is the same.
    /// `None` if no poll has this name.
    #[must_use]
    pub fn of_poll(id: &str, observed_at: i64) -> Option<Self> {
        let chance = chance_of_poll(id)?;
        let began = DateTime::from_timestamp_micros(observed_at)?;
        Some(Self::new(move || began, move || chance))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// A random number.
    #[must_use]
    pub fn random(&self) -> u128 {
        (self.random)()
    }

    /// Who a lake is that is made now.
    #[must_use]
    pub fn identity(&self, granularity: Granularity) -> Identity {
        Identity::new(self.random(), self.random() as u64, self.now(), granularity)
    }

    /// Begins a poll that follows `head`. Its time is later than the head's even if the clock was set back, so that
    /// `_seq` and `_observed_at` always agree on the order.
    pub(super) fn begin_poll(&self, head: &Head) -> PollStart {
        let now = self.now().timestamp_micros();
        if let Some(cursor) = head.cursor.as_ref().filter(|cursor| cursor.observed_at > now) {
            let ahead_s = (cursor.observed_at - now) / 1_000_000;
            tracing::warn!(ahead_s, "the last poll's time is ahead of this machine's clock; times go on from there");
        }
        let before = head.cursor.as_ref().filter(|_| !has(Defect::TrustsTheClock));
        let observed_at = before.map_or(now, |cursor| now.max(cursor.observed_at + 1));
        PollStart { id: poll_name(now, observed_at, self.random()), observed_at }
    }

    /// The same for an input that says what was so at `input_time` (microseconds): its rows are observed now, and tell in the
    /// name of the poll that they come from an input.
    pub(super) fn begin_input(&self, head: &Head, input_time: i64) -> PollStart {
        let PollStart { id, observed_at } = self.begin_poll(head);
        PollStart { id: input_name(input_time, &id), observed_at }
    }
}
