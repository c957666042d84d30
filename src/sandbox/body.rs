//! A list or a truth as chunks of text, made when they are asked for: memory does not grow with the list.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;

use super::filter::Filters;
use super::json::{put_line, put_record};
use super::listing::Listing;
use super::tamper::Tampering;
use super::truth::put_truth;
use super::value::Record;
use super::{Resource, Snapshot, Style};

/// Large enough that a chunk's own cost is nothing, small enough for a socket's buffer.
const CHUNK_BYTES: usize = 64 * 1024;
/// Room for the record that fills a chunk up.
const CHUNK_MARGIN_BYTES: usize = 4 * 1024;

/// Text of many records, chunk by chunk.
pub struct Body {
    listing: Listing,
    shape: Shape,
    progress: Progress,
}

enum Shape {
    /// JSON, as the API serves it.
    List(Array),
    /// NDJSON.
    Truth,
}

/// An array of records, and what is around it and wrong with it.
#[derive(Default)]
pub(super) struct Array {
    /// The form of its text.
    pub(super) style: Style,
    /// In an envelope, what follows under `page`.
    pub(super) about: Option<String>,
    /// What happens to its records.
    pub(super) tampering: Option<Tampering>,
    /// Whether nothing follows the last record.
    pub(super) is_cut: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Progress {
    Opening,
    First,
    Following,
    Done,
}

impl Body {
    /// A resource's whole list.
    pub(super) fn list(snapshot: Arc<Snapshot>, resource: Resource, style: Style) -> Body {
        let listing = Listing::new(snapshot, resource, style.order, Filters::default());
        Body::array(listing, Array { style, ..Array::default() })
    }

    /// These records, as the API serves them.
    pub(super) fn array(listing: Listing, array: Array) -> Body {
        Body { listing, shape: Shape::List(array), progress: Progress::Opening }
    }

    /// What a resource's records mean.
    pub(super) fn truth(snapshot: Arc<Snapshot>, resource: Resource) -> Body {
        let listing = Listing::whole(snapshot, resource);
        Body { listing, shape: Shape::Truth, progress: Progress::Opening }
    }

    /// The same without the records before a number.
    #[cfg(test)]
    pub(super) fn since(self, first: u64) -> Body {
        Body { listing: self.listing.since(first), ..self }
    }

    fn put_next(&mut self, out: &mut Vec<u8>) {
        if self.progress == Progress::Opening {
            self.open(out);
        } else if let Some((number, record)) = self.listing.next() {
            self.put_record(out, number, record);
        } else {
            self.close(out);
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if let Shape::List(array) = &self.shape {
            let envelope: &[u8] = if array.about.is_some() { br#"{"content":"# } else { b"" };
            out.extend_from_slice(envelope);
            out.push(b'[');
        }
        self.progress = Progress::First;
    }

    fn put_record(&mut self, out: &mut Vec<u8>, number: u64, record: Record) {
        match &mut self.shape {
            Shape::List(array) => array.put_record(out, number, record, self.progress == Progress::Following),
            Shape::Truth => {
                put_truth(out, &record);
                out.push(b'\n');
            }
        }
        self.progress = Progress::Following;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Shape::List(array) = &self.shape
            && !array.is_cut
        {
            array.close(out, self.progress == Progress::Following);
        }
        self.progress = Progress::Done;
    }
}

impl Array {
    fn put_record(&mut self, out: &mut Vec<u8>, number: u64, mut record: Record, mut is_following: bool) {
        let copy = self.tampering.as_mut().and_then(|tampering| tampering.apply(&mut record));
        for record in iter::once(record).chain(copy) {
            if is_following {
                out.push(b',');
            }
            put_line(out, self.style, 1);
            put_record(out, &record, self.style, number);
            is_following = true;
        }
    }

    fn close(&self, out: &mut Vec<u8>, is_following: bool) {
        if is_following {
            put_line(out, self.style, 0);
        }
        out.push(b']');
        if let Some(about) = &self.about {
            out.extend_from_slice(br#","page":"#);
            out.extend_from_slice(about.as_bytes());
            out.push(b'}');
        }
    }
}

impl Iterator for Body {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_MARGIN_BYTES);
        while self.progress != Progress::Done && chunk.len() < CHUNK_BYTES {
            self.put_next(&mut chunk);
        }
        // Empty once all is said, or if there is nothing to say.
        (!chunk.is_empty()).then(|| chunk.into())
    }
}
