//! What can go wrong with a sandbox.

use std::io;

use super::RECORDS_MAX;

/// Why a sandbox could not be made, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More records were asked for than [`RECORDS_MAX`].
    #[error("{asked} records were asked for, the sandbox holds at most {RECORDS_MAX}")]
    TooManyRecords {
        /// What was asked for.
        asked: u64,
    },
    /// The port is taken, or may not be used.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for; 0 asks for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The listener given is reachable from other machines; control needs no credentials, so that is refused.
    #[error("the sandbox listens on loopback only")]
    NotLoopback,
    /// The server stopped by itself.
    #[error("the sandbox stopped serving")]
    Serve(#[from] io::Error),
    /// The clock was asked to go back, or beyond [`World::end`](super::World::end).
    #[error("the sandbox's clock only moves forward, and not beyond {end}")]
    Clock {
        /// The last moment of the world.
        end: chrono::DateTime<chrono::Utc>,
    },
}
