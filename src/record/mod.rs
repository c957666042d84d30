//! A response body as a stream of record slices, hashed and not parsed.
//!
//! ```text
//! chunks of the body ──▶ Splitter ──▶ RecordSlice { text, its hash and length } ──▶ …
//!                            └──────▶ Body { length, hash, number of records }   once complete
//! ```
//!
//! The law: the slices together with the white space, commas and brackets between them are the whole body, so a body
//! that is cut short, has text behind its end or lacks a comma is never taken for a complete one. What is *inside* a
//! slice is checked by whoever decodes it; a slice whose bytes are known was checked when it was first seen. So what is expected
//! next, and stands there, is not even scanned for its end.

mod element;
mod scan;
mod split;

pub use element::ElementId;
pub use split::{Body, Elements, MalformedBody, RECORD_BYTES_MAX, RecordSlice, Splitter};
