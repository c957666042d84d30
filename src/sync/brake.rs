//! How a run is ended before its time without leaving work for the next one.
//!
//! A run may end anywhere: what it has claimed and not created, the next one closes. With a brake it ends between two writes,
//! so that nothing is left to be closed, and a diff that has begun to be committed is committed.

use tokio::sync::{Semaphore, SemaphorePermit};

/// More than will ever write at once.
const WRITERS_MAX: u32 = 1 << 16;

/// Stands between a run's polls and its writes.
#[derive(Debug)]
pub struct Brake(Semaphore);

impl Default for Brake {
    fn default() -> Self {
        Self(Semaphore::new(WRITERS_MAX as usize))
    }
}

impl Brake {
    /// Waits until nothing is being written; nothing will be from then on. The run can be dropped.
    pub async fn pull(&self) {
        // They are not given back: whoever wants to write waits for ever. The semaphore is never closed.
        if let Ok(all) = self.0.acquire_many(WRITERS_MAX).await {
            all.forget();
        }
    }

    /// Held while a poll's findings are written.
    pub(crate) async fn writing(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_being_written_is_waited_for_and_nothing_is_written_after_it() {
        let brake = Brake::default();
        let writes = async {
            let first = brake.writing().await;
            let second = brake.writing().await;
            sleep(SECOND).await;
            drop(first);
            sleep(SECOND).await;
            drop(second);
        };
        let stopped = async {
            sleep(SECOND / 2).await;
            assert!(timeout(SECOND, brake.pull()).await.is_err(), "both are still writing");
            timeout(SECOND, brake.pull()).await.unwrap();
        };
        tokio::join!(writes, stopped);
        assert!(timeout(SECOND, brake.writing()).await.is_err());
    }
}
