//! A response body as a stream of record slices, hashed and not parsed.
//!
//! ```text
//! chunks of the body ──▶ Splitter ──▶ RecordSlice { text, element hash } ──▶ …
//!                            └──────▶ Body { length, hash, number of records }   once complete
//! ```
//!
//! The law: the slices together with the white space, commas and brackets between them are the whole body, so a body
//! that is cut short, has text behind its end or lacks a comma is never taken for a complete one. What is *inside* a
//! slice is checked by whoever decodes it; a slice whose bytes are known was checked when it was first seen.

mod scan;
mod split;

pub use split::{Body, MalformedBody, RECORD_BYTES_MAX, RecordSlice, Splitter};
