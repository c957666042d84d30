//! What the tests stand on.

pub mod api;
pub mod duckdb;
pub mod lake;
pub mod program;
pub mod random;
pub mod rows;
pub mod sandbox;
pub mod tables;
pub mod verified;
