//! The program as its users meet it: its commands against an API, and DuckDB on the lake that comes of it.
//!
//! | folder | shows |
//! |---|---|
//! | `laws/` | what is in the lake is what was observed: exactly, exactly once, and never less |
//! | `command/` | what the commands print, and the codes they end with |
//! | `house/` | the code keeps to its floors and doors |
//! | `support/` | what the tests stand on: a sandbox, a scripted API, DuckDB, the truth |
//!
//! DuckDB comes from PyPI, pinned in `requirements.txt`, into an environment under `target/` that the first test makes. The
//! real S3 server is Ceph's, from Debian's packages, which `radosgw.py` installs where they are missing.
//! Nothing here uses the product's own reader of numbers, times or Parquet to decide what is right. Whatever is drawn at
//! random comes from a seed that is printed with a failure; `LUMETRADE_TEST_SEED` sets another.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod command;
mod house;
mod laws;
mod support;
