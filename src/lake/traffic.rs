//! How much was asked of a store. A listing counts once, however many pages it has.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    objects_written: AtomicU64,
}

impl Traffic {
    /// Requests sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Objects created or replaced.
    #[must_use]
    pub fn objects_written(&self) -> u64 {
        self.objects_written.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self) {
        self.objects_written.fetch_add(1, Ordering::Relaxed);
    }
}
