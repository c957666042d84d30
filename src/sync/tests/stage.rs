//! What all who take part in a simulation share: its time, the store's objects, what the API has said, and what happened.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    api::Mood,
    figures::Figures,
    lists::Lists,
    plan::Plan,
    random::Random,
    rows::Library,
    runs::Runs,
    shelf::{Mode, Refused, Shelf, is_truth},
    trace::{Event, Trace},
};

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The law.
    pub law: &'static str,
    /// How it was broken.
    pub how: String,
}

pub(super) fn violation(law: &'static str, how: impl Into<String>) -> Violation {
    Violation { law, how: how.into() }
}

/// The shared part of a simulation.
pub(super) struct Stage {
    pub plan: Plan,
    pub lists: Lists,
    began: Instant,
    shelf: Mutex<Shelf>,
    trace: Mutex<Trace>,
    figures: Mutex<Figures>,
    mood: Mutex<Mood>,
    runs: Mutex<Runs>,
    library: Mutex<Library>,
    violation: Mutex<Option<Violation>>,
    /// Writes on their way to the store without anybody who waits for them.
    late: AtomicU64,
    /// Whether things may still go wrong.
    rough: AtomicBool,
    /// When the world's time stopped.
    frozen_ms: AtomicU64,
}

impl Stage {
    pub(super) fn new(seed: u64, plan: Plan, random: &mut Random) -> Self {
        Self {
            lists: Lists::new(seed, random),
            began: Instant::now(),
            shelf: Mutex::new(Shelf::new(plan.etags)),
            trace: Mutex::default(),
            figures: Mutex::default(),
            mood: Mutex::new(Mood::new(random.fork())),
            runs: Mutex::default(),
            library: Mutex::default(),
            violation: Mutex::default(),
            late: AtomicU64::new(0),
            rough: AtomicBool::new(true),
            frozen_ms: AtomicU64::new(u64::MAX),
            plan,
        }
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.shelf)
    }

    pub(super) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        lock(&self.figures)
    }

    pub(super) fn mood(&self) -> MutexGuard<'_, Mood> {
        lock(&self.mood)
    }

    pub(super) fn runs(&self) -> MutexGuard<'_, Runs> {
        lock(&self.runs)
    }

    pub(super) fn library(&self) -> MutexGuard<'_, Library> {
        lock(&self.library)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The world's time, which is later than its start by this.
    pub(super) fn world_age(&self) -> TimeDelta {
        let elapsed = self.now_ms().min(self.frozen_ms.load(Ordering::Relaxed)).min(self.plan.span_ms() * 5 / 4);
        TimeDelta::milliseconds((elapsed * self.plan.world_ms / self.plan.span_ms()) as i64)
    }

    pub(super) fn world_time(&self) -> DateTime<Utc> {
        crate::sandbox::World::start() + self.world_age()
    }

    /// From here on nothing goes wrong any more, and the world stands still.
    pub(super) fn calm(&self) {
        self.rough.store(false, Ordering::Relaxed);
        self.frozen_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    pub(super) fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Relaxed)
    }

    /// Notes an event and gives its number.
    pub(super) fn note(
        &self,
        who: &Arc<str>,
        what: &'static str,
        of: &str,
        outcome: &'static str,
        bytes: &[u8],
    ) -> u64 {
        let hash = if bytes.is_empty() { 0 } else { xxh3_64(bytes) };
        let event = Event { at_ms: self.now_ms(), who: who.clone(), what, of: of.to_owned(), outcome, hash };
        self.trace().note(event)
    }

    /// The first violation counts: the others may come of it.
    pub(super) fn report(&self, violation: Violation) {
        lock(&self.violation).get_or_insert(violation);
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }

    /// A write takes effect.
    pub(super) fn apply(&self, who: &Arc<str>, key: &str, bytes: Bytes, mode: &Mode) -> Result<String, Refused> {
        let event = self.trace().0.len() as u64;
        let put = self.shelf().put(key, bytes.clone(), mode, event);
        let outcome = match put {
            Ok(_) => "written",
            Err(Refused::Exists) => "exists",
            Err(Refused::Otherwise) => "otherwise",
        };
        self.note(who, "apply", key, outcome, &bytes);
        let (etag, changed) = put?;
        if changed && is_truth(key) {
            self.report(violation("an object of the truth never changes", format!("{key} was overwritten by {who}")));
        }
        Ok(etag)
    }

    /// A write takes effect later, whatever has become of its writer.
    pub(super) fn apply_late(self: &Arc<Self>, who: &Arc<str>, key: &str, bytes: Bytes, mode: Mode, delay_ms: u64) {
        let (stage, who, key) = (self.clone(), who.clone(), key.to_owned());
        stage.late.fetch_add(1, Ordering::Relaxed);
        self.runs().disturb();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            stage.figures().count("late writes that arrived");
            // Nobody is there to be told.
            let _ = stage.apply(&who, &key, bytes, &mode);
            stage.runs().disturb();
            stage.late.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Waits until no write is on its way.
    pub(super) async fn settle(&self) {
        while self.late.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) fn late_writes(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

/// There is one thread, so whoever had to wait would wait for itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => panic!("locked twice"),
    }
}
