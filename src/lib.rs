//! Incremental, exactly-once export of the Lumetrade API to a Parquet lake.
//!
//! The promise: every version of every record that a poll observes is in the lake exactly once, exact to the last digit,
//! readable by a plain glob; and how far a sync has come is kept inside the object that commits it.
//!
//! ```text
//! Resource + Head → Poll → RecordSlice → Row → Diff {added, changed, removed} → Sealed per partition → Commit → Projection → Report
//! schema     lake    api    record        decode  diff                          lake                               sync
//! ```
//!
//! | module | concept |
//! |---|---|
//! | [`figure`] | counts, sizes and spans of time as people read them |
//! | [`redact`] | secrets, and what could steer a terminal, kept out of what is told |
//! | [`schema`] | what a resource looks like, and the tables it becomes |
//! | [`record`] | a body as a stream of record slices, hashed and not parsed |
//! | [`decode`] | a record's text as a typed row, without loss |
//! | [`diff`] | what a poll changes, and the guards |
//! | [`catalog`] | the lake's tables as statements for DuckDB and Athena |
//! | [`api`] | the network edge |
//! | [`lake`] | the storage edge: commits, state, projection, and their verification |
//! | [`config`] | settings, as checked types |
//! | [`error`] | every failure, and what the operator should do |
//! | [`sync`] | one run; or what it would find, compared with the lake |
//! | [`metrics`] | what runs come to, for Prometheus |
//! | [`operate`] | runs that follow one another for years, and who is told of them |
//! | [`check`], [`status`], [`verify`], [`reconcile`], [`compact`], [`replay`], [`ddl`], [`demo`], [`cli`], [`telemetry`] | what the user types and sees |
//! | [`report`] | what the lake says, as one page for people |
//! | [`sandbox`] | a Lumetrade that runs here; beside the others, and knows none of them |
//!
//! Imports point up this table, never down; each outside dependency has one door. A test holds the code to both.

pub mod api;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod compact;
pub mod config;
pub mod ddl;
pub mod decode;
pub mod demo;
pub mod diff;
pub mod error;
pub mod figure;
pub mod lake;
pub mod metrics;
pub mod operate;
pub mod reconcile;
pub mod record;
pub mod redact;
pub mod replay;
pub mod report;
pub mod sandbox;
pub mod schema;
pub mod status;
pub mod sync;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod verify;
