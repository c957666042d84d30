//! How fast we ask, and how slowly we are answered: a limit of our own on requests, and one on a server that drips.

use std::{sync::Mutex, time::Duration};

use tokio::time::{Instant, sleep_until};

/// Requests that may be made at once after a time without any.
const BURST: u32 = 16;
/// Time spent waiting for bytes after which they are counted.
const WINDOW: Duration = Duration::from_secs(30);
/// Bytes a second that a server must send while it is waited for.
const BYTES_PER_SECOND_MIN: u64 = 1 << 10;

/// Spaces requests out, once a burst of them is used up.
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Duration,
    /// When the next request would be due if none were saved up.
    due: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(super) fn new(requests_per_second: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / requests_per_second), due: Mutex::new(None) }
    }

    /// Waits until one more request may be made.
    pub(super) async fn wait(&self) {
        sleep_until(self.take(Instant::now())).await;
    }

    /// Takes a turn, and says when it is.
    fn take(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let saved = self.interval * BURST;
        // What a machine's clock has not yet counted since its start cannot have been saved up.
        let earliest = now.checked_sub(saved).unwrap_or(now);
        let turn = due.map_or(earliest, |due| due.max(earliest));
        *due = Some(turn + self.interval);
        turn.max(now)
    }
}

/// Watches how much comes while it is waited for. Time in which nobody waits is not the server's.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    waited: Duration,
    bytes: u64,
}

impl Throughput {
    /// Notes that so many bytes came after such a wait. Whether the server is too slow.
    pub(super) fn is_too_slow(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < WINDOW {
            return false;
        }
        let slow = self.bytes < BYTES_PER_SECOND_MIN * self.waited.as_secs();
        *self = Self::default();
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_a_burst_are_spaced_out_and_a_rest_saves_up_for_another() {
        tokio::time::advance(Duration::from_secs(60)).await;
        let limit = RateLimit::new(4.0);
        let mut waits = Vec::new();
        for rest_s in [0, 60] {
            tokio::time::sleep(Duration::from_secs(rest_s)).await;
            for _ in 0..20 {
                let asked = Instant::now();
                limit.wait().await;
                waits.push(asked.elapsed().as_millis());
            }
        }
        let at_once = |waits: &[u128]| waits.iter().take_while(|wait| **wait == 0).count();
        assert_eq!((at_once(&waits[..20]), at_once(&waits[20..])), (17, 17), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 251), "{waits:?}");
    }

    #[test]
    fn a_server_is_slow_if_little_comes_while_it_is_waited_for() {
        let second = Duration::from_secs(1);
        let mut drip = Throughput::default();
        assert_eq!((0..40).position(|_| drip.is_too_slow(second, 1)), Some(29));
        let mut enough = Throughput::default();
        assert!((0..400).all(|_| !enough.is_too_slow(second, 1100)));
        let mut quick = Throughput::default();
        assert!((0..400).all(|_| !quick.is_too_slow(Duration::from_micros(10), 1)));
    }
}
