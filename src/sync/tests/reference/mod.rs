//! The slow path as the reference of the fast one.
//!
//! ```text
//! pen ▸ records ▸ polls      what is listed, and how it is written, moved, repeated, spoilt and damaged from poll to poll
//!    └─▶ pair                one body, both ways, and what is known afterwards
//!          ├─ plain          the whole body in memory, parsed by serde_json, each record decoded afresh, a map of what is known
//!          └─ `Observation`  as in production: chunks of any size, what is known from the state cache
//! laws                       inputs from a model, shrunk to the smallest that disagrees
//! fuzz                       inputs from bytes: a corpus and its mutants
//! ```
//!
//! The law: one refuses a body if and only if the other does; if neither does, their figures agree, and what is known
//! afterwards. `PROPTEST_CASES` says how many histories the laws are tried on, `LUMETRADE_FUZZ_SECONDS` for how many seconds the
//! corpus is mutated, `LUMETRADE_TEST_SEED` how.

mod fuzz;
mod laws;
mod pair;
mod pen;
mod plain;
mod polls;
mod records;
