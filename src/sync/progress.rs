//! How far a run has come, for whoever looks on meanwhile.
//!
//! In: what the sync of each resource notes as it goes, which is a store in memory for a chunk. Out: a glimpse of each, whenever
//! somebody asks. Nothing of a run depends on it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{ResourceOutcome, Stage};
use crate::api::Received;

/// The resources of one run, in the order of the settings.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Vec<Arc<ResourceProgress>>>);

/// How far a resource has come.
#[derive(Debug)]
pub struct ResourceProgress {
    resource: String,
    state: Mutex<State>,
    /// Of the body that is being received.
    records: AtomicU64,
}

#[derive(Debug)]
struct State {
    step: Step,
    received: Received,
}

/// What a resource's sync is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Others come first.
    Waits,
    /// This is under way.
    Begun(Stage),
    /// It is done.
    Ended(ResourceOutcome),
}

/// How far a resource has come at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// The resource.
    pub resource: String,
    /// What its sync is at.
    pub step: Step,
    /// Bytes of its list that were received, compressed if the server compresses them.
    pub bytes: u64,
    /// Bytes of the whole list, where the server says so.
    pub expected: Option<u64>,
    /// Records in what was received.
    pub records: u64,
}

impl Progress {
    /// How far each resource has come.
    #[must_use]
    pub fn glimpses(&self) -> Vec<Glimpse> {
        lock(&self.0).iter().map(|resource| resource.glimpse()).collect()
    }

    /// Where the sync of a resource notes how far it has come.
    pub(super) fn of(&self, resource: &str) -> Arc<ResourceProgress> {
        let progress = Arc::new(ResourceProgress {
            resource: resource.to_owned(),
            state: Mutex::new(State { step: Step::Waits, received: Received::default() }),
            records: AtomicU64::new(0),
        });
        lock(&self.0).push(progress.clone());
        progress
    }
}

impl ResourceProgress {
    /// Notes that it begins, perhaps not for the first time: nothing was received.
    pub(super) fn begins_anew(&self) {
        self.receives(&Received::default());
        self.begins(Stage::Settle);
    }

    /// Notes that a stage begins.
    pub(super) fn begins(&self, stage: Stage) {
        lock(&self.state).step = Step::Begun(stage);
    }

    /// Notes that a body begins to be received.
    pub(super) fn receives(&self, received: &Received) {
        lock(&self.state).received = received.clone();
        self.has_read(0);
    }

    /// Notes how many records of the body were read.
    pub(super) fn has_read(&self, records: u64) {
        self.records.store(records, Ordering::Relaxed);
    }

    /// Notes what became of the resource.
    pub(super) fn ends(&self, outcome: ResourceOutcome) {
        lock(&self.state).step = Step::Ended(outcome);
    }

    fn glimpse(&self) -> Glimpse {
        let State { step, received } = &*lock(&self.state);
        Glimpse {
            resource: self.resource.clone(),
            step: *step,
            bytes: received.bytes(),
            expected: received.expected,
            records: self.records.load(Ordering::Relaxed),
        }
    }
}

/// What a panic has left is as good as before: each note stands for itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glimpse_is_of_the_attempt_that_is_under_way() {
        let progress = Progress::default();
        let (trades, _) = (progress.of("trades"), progress.of("wallets"));
        trades.begins_anew();
        trades.begins(Stage::Poll);
        let mut received = Received::default();
        received.expected = Some(1000);
        trades.receives(&received);
        trades.has_read(7);
        let glimpse = |resource: &str, step, expected, records| Glimpse {
            resource: resource.to_owned(),
            step,
            bytes: 0,
            expected,
            records,
        };
        let waiting = glimpse("wallets", Step::Waits, None, 0);
        assert_eq!(progress.glimpses(), [glimpse("trades", Step::Begun(Stage::Poll), Some(1000), 7), waiting.clone()]);
        trades.begins_anew();
        assert_eq!(progress.glimpses(), [glimpse("trades", Step::Begun(Stage::Settle), None, 0), waiting.clone()]);
        trades.ends(ResourceOutcome::Failed);
        assert_eq!(progress.glimpses(), [glimpse("trades", Step::Ended(ResourceOutcome::Failed), None, 0), waiting]);
    }
}
