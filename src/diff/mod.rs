//! What a poll changes against what is known.
//!
//! ```text
//! element hash ──▶ recognize ──▶ known bytes: unchanged, nothing else is done
//!                      │
//!                      └─▶ (decoded) key, digest ──▶ classify ──▶ added | changed | equal by value
//!                                                       └─▶ waits ──▶ place ──▶ the same, or repeated
//! end of the body ──▶ conclude ──▶ what is missing ──▶ guards
//! ```
//!
//! The law: a difference is a difference by value, found against exactly the state that the poll began with; and what
//! looks like the server's failure to tell everything is never taken for a removal. What is known is read from a file beside
//! the body; in memory are a window of it, and a bit or two for each record.

mod changes;
mod guards;
mod index;
mod key_filter;
mod known;
mod known_map;
mod order;
mod positions;
mod unplaced;
mod window;

pub use changes::{Conclusion, Diff, DiffError, Filed, Placed, Sighting, Tally, Verdict};
pub use guards::{Believed, GuardRefusal, Limits, QUARANTINE_MIN, QUARANTINE_SHARE_MAX};
pub use known::{Census, KNOWN_RECORD_BYTES, Known, KnownRecord};
pub use known_map::KnownMap;
pub use unplaced::TextAt;
