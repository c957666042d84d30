//! A process: one run from its start to its end, or to its death, with a clock and randomness of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use tokio::sync::Notify;

use super::{plan::Weather, random::Random, stage::Stage};
use crate::sync::Ambient;

/// What a process and its connections share.
pub(super) struct Process {
    pub who: Arc<str>,
    pub stage: Arc<Stage>,
    pub weather: Weather,
    pub accepts_removals: bool,
    pub random: Mutex<Random>,
    /// How far its clock is off.
    skew: TimeDelta,
    crashed: Notify,
    /// Whether anything went wrong with the store, or was refused by it.
    pub store_failed: AtomicBool,
    pub denied: AtomicBool,
    pub api_failed: AtomicBool,
    /// Until when the store does not answer it at all.
    outage_ms: AtomicU64,
    /// Kinds, as bits, of which it got an odd answer.
    pub odd: AtomicU64,
    operations: AtomicU64,
}

/// More operations than any run takes.
const OPERATIONS_MAX: u64 = 5_000;
/// How long a process may stand still.
const STALLS_MS: [u64; 6] = [300, 1_000, 1_000, 10_000, 60_000, 600_000];
/// How long the store may not answer: longer than a create is tried again.
const OUTAGE_MS: u64 = 40_000;

impl Process {
    pub(super) fn new(
        stage: &Arc<Stage>,
        who: String,
        weather: Weather,
        accepts_removals: bool,
        mut random: Random,
    ) -> Self {
        let skew = match random.below(40) {
            0 => TimeDelta::days(-2),
            1 => TimeDelta::days(400),
            2..8 => TimeDelta::seconds(-(random.below(600) as i64)),
            8..14 => TimeDelta::seconds(random.below(600) as i64),
            _ => TimeDelta::zero(),
        };
        if skew < TimeDelta::zero() {
            stage.figures().count("clocks set back");
        }
        Self {
            who: who.into(),
            stage: stage.clone(),
            weather,
            accepts_removals,
            random: Mutex::new(random),
            skew,
            crashed: Notify::new(),
            store_failed: AtomicBool::new(false),
            denied: AtomicBool::new(false),
            api_failed: AtomicBool::new(false),
            outage_ms: AtomicU64::new(0),
            odd: AtomicU64::new(0),
            operations: AtomicU64::new(0),
        }
    }

    /// Its time and its randomness.
    pub(super) fn ambient(self: &Arc<Self>) -> Ambient {
        let (clock, chance) = (self.clone(), self.clone());
        let now = move || clock.stage.world_time() + clock.skew;
        Ambient::new(now, move || chance.draw(|random| u128::from(random.next()) << 64 | u128::from(random.next())))
    }

    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins an operation: it takes its time to get where it is going.
    pub(super) async fn depart(&self) {
        if self.operations.fetch_add(1, Ordering::Relaxed) == OPERATIONS_MAX {
            self.stage.report(super::stage::violation("a run ends", format!("{} does not", self.who)));
            self.die("for it does not end").await
        }
        let stall = self.draw(|random| random.chance(self.weather.stalls).then(|| random.pick(&STALLS_MS)));
        if let Some(stall_ms) = stall {
            self.stage.figures().count("processes stopped for a while");
            sleep(stall_ms).await;
        }
        self.pass().await;
    }

    /// Carries a large object, which at times takes long.
    pub(super) async fn carry(&self) {
        let bulk = self.weather.bulk;
        let pause_ms = self.draw(|random| random.chance(bulk).then(|| random.pick(&[1_000, 5_000, 20_000])));
        sleep(pause_ms.unwrap_or_default()).await;
    }

    /// A while passes.
    pub(super) async fn pass(&self) {
        let pause_ms = self.draw(|random| match random.below(100) {
            0..40 => random.below(3),
            40..90 => random.below(40),
            90..98 => random.below(500),
            _ => random.below(6_000),
        });
        sleep(pause_ms).await;
    }

    /// Dies: whoever waits for it waits in vain.
    pub(super) async fn die<T>(&self, how: &'static str) -> T {
        self.stage.note(&self.who, "dies", how, "", &[]);
        self.crashed.notify_one();
        std::future::pending().await
    }

    pub(super) async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// From here on the store does not answer for a while.
    pub(super) fn lose_the_store(&self) {
        self.stage.figures().count("outages of the store");
        self.outage_ms.store(self.stage.now_ms() + self.draw(|random| random.below(OUTAGE_MS)), Ordering::Relaxed);
    }

    pub(super) fn has_lost_the_store(&self) -> bool {
        self.stage.now_ms() < self.outage_ms.load(Ordering::Relaxed)
    }

    pub(super) fn set(flag: &AtomicBool) {
        flag.store(true, Ordering::Relaxed);
    }
}

pub(super) async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
