//! What a process that runs on is asked from outside: to stop, and to read its settings again.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// What is asked. All clones are of the same process.
#[derive(Debug, Clone)]
pub struct Requests {
    /// The exit code, once it is to stop.
    stop: Arc<watch::Sender<Option<u8>>>,
    reload: Arc<Notify>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { stop: Arc::new(watch::channel(None).0), reload: Arc::default() }
    }
}

impl Requests {
    /// Asks to stop, and to exit with this code.
    pub fn stop(&self, exit_code: u8) {
        self.stop.send_replace(Some(exit_code));
    }

    /// Asks to read the settings again. Several times before it is done are one.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Waits until it is asked to stop, and gives the exit code.
    pub(super) async fn stopped(&self) -> u8 {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as this does, so that waiting cannot fail.
        let asked = stop.wait_for(Option::is_some).await;
        asked.ok().and_then(|exit_code| *exit_code).unwrap_or_default()
    }

    /// Waits until it is asked to read the settings again.
    pub(super) async fn reloaded(&self) {
        self.reload.notified().await;
    }
}
