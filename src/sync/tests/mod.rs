//! The real code, simulated: writers that race, die and are cut off, on a store that fails in every way, before an API whose
//! records change, go and return, with a reader looking on. Whatever happens, the lake holds what the API had said.
//!
//! ```text
//! simulation ─ plan, random           what a seed decides
//!   ├─ writers ▸ runs ▸ process       each run is `sync`, the same as in production
//!   │     ├─ store ▸ shelf            the store as a process sees it, and as it is
//!   │     └─ api ▸ lists              what the API says, and what that means
//!   ├─ vandal                         caches deleted, damaged, put back
//!   ├─ glob ▸ rows                    a reader looking on
//!   └─ checker                        the laws, in the end
//! ```
//!
//! Beside it, `reference` compares the reading of a poll with a plain way of it, and `mutants` tries any law about bytes.
//!
//! `LUMETRADE_TEST_SEEDS` says how many seeds are simulated, `LUMETRADE_TEST_SEED` which is the first.

mod api;
mod checker;
mod defects;
mod figures;
mod glob;
mod lists;
pub(crate) mod mutants;
mod plan;
mod process;
mod random;
mod reference;
mod replay;
mod rows;
mod runs;
mod seeds;
mod shelf;
mod simulation;
mod stage;
mod store;
mod trace;
mod vandal;
mod writers;
