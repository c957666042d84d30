//! What a poll changes against what is known.
//!
//! ```text
//! element hash ──▶ recognize ──▶ known bytes: unchanged, nothing else is done
//!                      │
//!                      └─▶ (decoded) key, digest ──▶ classify ──▶ added | changed | equal by value | repeated
//! end of the body ──▶ conclude ──▶ what is missing ──▶ guards
//! ```
//!
//! The law: a difference is a difference by value, found against exactly the state that the poll began with; and what
//! looks like the server's failure to tell everything is never taken for a removal. Pure: no clock, no input or output.

mod changes;
mod guards;
mod known;

pub use changes::{Conclusion, ConflictingDuplicate, Diff, Filed, Sighting, Tally, Verdict};
pub use guards::{GuardRefusal, Limits, QUARANTINE_MIN, QUARANTINE_SHARE_MAX};
pub use known::{Known, KnownRecord};
