//! How much was asked of the API, and how much of an answer has come.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
}

impl Traffic {
    /// Requests sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Of these, those that were sent because one before them had no answer to go by.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Counts a request, which is the first of its kind or a further attempt.
    pub(super) fn request(&self, attempt: u32) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(attempt > 1), Ordering::Relaxed);
    }
}

/// How much of a body has come, for whoever looks on meanwhile. Clones count the same body.
#[derive(Debug, Clone, Default)]
pub struct Received {
    bytes: Arc<AtomicU64>,
    /// Bytes of the whole, where the server says so.
    pub expected: Option<u64>,
}

impl Received {
    /// Nothing yet.
    pub(super) fn of(expected: Option<u64>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Bytes so far, compressed if the server compresses them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a piece.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
