//! The lake: where what was observed is kept, and how it gets there exactly once.
//!
//! ```text
//! Row ──▶ Drafts ──seal──▶ Sealed diff ──▶ Log: claim, then create ──▶ changes/   the truth
//!            ▲                                                   └──▶ Projection ──▶ current/   one row a record
//!            └── Known ◀── state cache + fold of the commits after it
//! ```
//!
//! The laws are those of the lake's layout: a row is in the lake if and only if its object is under `changes/`; an object
//! there is created once and never overwritten; the cursor is in the object whose creation is the commit; everything else
//! can be rebuilt from it. Storage and Parquet are used in this module alone.

mod archive;
mod bucket;
mod claim;
mod commits;
mod current;
pub(crate) mod defect;
mod draft;
mod encoder;
mod error;
mod fold;
mod folder;
mod footer;
mod history;
mod identity;
mod layout;
mod log;
mod parquet_file;
mod poll_name;
mod probe;
mod quarantine;
mod runs;
mod snapshot;
mod spool;
mod state;
mod status;
mod store;
mod table_files;
#[cfg(test)]
mod tests;
mod traffic;
mod truth;
mod verify;
mod watched;
mod wire;

pub use archive::{Archive, ArchivedBody, ArchivedPoll, Recorded, Recording, SingleRead};
pub use bucket::S3Options;
pub use current::{Projection, Twins};
pub use draft::{ChangeSum, Drafts, Effect, PollFacts, RowCounts, Sealed, SealedDiff};
pub use error::LakeError;
pub use fold::last_rows;
pub use footer::{Backfill, Commit, CommitKind, Cursor, FORMAT, input_name, input_time};
pub use history::History;
pub use identity::{Identity, Lake};
pub use log::{Head, Log, Outcome};
pub use poll_name::{chance_of_poll, is_part_of, poll_name};
pub use probe::Probe;
pub use quarantine::{Quarantine, Quarantined};
pub use snapshot::{Compacted, Snapshots};
pub use state::{load_known, save_known};
pub use status::ResourceStatus;
use store::Replacement;
pub use store::{Creation, Store};
pub use traffic::Traffic;
pub use truth::Truth;
pub use verify::{Depth, Figures, Finding, Law, Note, Verification};
