//! What the tests stand on.

pub mod api;
pub mod backfilled;
pub mod browser;
pub mod debian;
pub mod duckdb;
pub mod lake;
pub mod pod;
pub mod program;
pub mod promtool;
pub mod python;
pub mod radosgw;
pub mod random;
pub mod replayed;
pub mod rows;
pub mod s3;
pub mod sandbox;
pub mod service;
pub mod strace;
pub mod tables;
pub mod terminal;
pub mod tiny;
pub mod tls;
pub mod verified;
