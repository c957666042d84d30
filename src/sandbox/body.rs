//! A list or a truth as chunks of text, made when they are asked for: memory does not grow with the list.

use std::sync::Arc;

use bytes::Bytes;

use super::json::{put_line, put_record};
use super::truth::put_truth;
use super::world::has_text;
use super::{Resource, Snapshot, Style};

/// Large enough that a chunk's own cost is nothing, small enough for a socket's buffer.
const CHUNK_BYTES: usize = 64 * 1024;
/// Room for the record that fills a chunk up.
const CHUNK_MARGIN_BYTES: usize = 4 * 1024;

/// Text of many records, chunk by chunk.
pub struct Body {
    snapshot: Arc<Snapshot>,
    resource: Resource,
    shape: Shape,
    /// Members that a record must have, and their text.
    filters: Vec<(&'static str, String)>,
    /// The number of the first record that it may hold.
    first: u64,
    place: u64,
    count: u64,
    progress: Progress,
}

#[derive(Clone, Copy)]
enum Shape {
    /// A JSON array, as the API serves it.
    List(Style),
    /// NDJSON.
    Truth,
}

#[derive(Clone, Copy, PartialEq)]
enum Progress {
    Opening,
    First,
    Following,
    Done,
}

impl Body {
    pub(super) fn list(
        snapshot: Arc<Snapshot>,
        resource: Resource,
        style: Style,
        filters: Vec<(&'static str, String)>,
    ) -> Body {
        Body::new(snapshot, resource, Shape::List(style), filters)
    }

    pub(super) fn truth(snapshot: Arc<Snapshot>, resource: Resource) -> Body {
        Body::new(snapshot, resource, Shape::Truth, Vec::new())
    }

    fn new(snapshot: Arc<Snapshot>, resource: Resource, shape: Shape, filters: Vec<(&'static str, String)>) -> Body {
        let count = snapshot.count(resource);
        Body { snapshot, resource, shape, filters, first: 0, place: 0, count, progress: Progress::Opening }
    }

    /// The same without the records before a number.
    #[cfg(test)]
    pub(super) fn since(mut self, first: u64) -> Body {
        self.first = first.min(self.count);
        self.count -= self.first;
        self
    }

    fn put_next(&mut self, out: &mut Vec<u8>) {
        if self.progress == Progress::Opening {
            self.open(out);
        } else if self.place < self.count {
            self.put_record(out);
            self.place += 1;
        } else {
            self.close(out);
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if let Shape::List(_) = self.shape {
            out.push(b'[');
        }
        self.progress = Progress::First;
    }

    fn put_record(&mut self, out: &mut Vec<u8>) {
        let place = match self.shape {
            Shape::List(style) => style.order.record_at(self.place, self.count),
            Shape::Truth => self.place,
        };
        let number = self.first + place;
        let Some(record) = self.snapshot.record(self.resource, number) else { return };
        if !self.filters.iter().all(|(name, text)| has_text(&record, name, text)) {
            return;
        }
        match self.shape {
            Shape::List(style) => {
                if self.progress == Progress::Following {
                    out.push(b',');
                }
                put_line(out, style, 1);
                put_record(out, &record, style, number);
            }
            Shape::Truth => {
                put_truth(out, &record);
                out.push(b'\n');
            }
        }
        self.progress = Progress::Following;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Shape::List(style) = self.shape {
            if self.progress == Progress::Following {
                put_line(out, style, 0);
            }
            out.push(b']');
        }
        self.progress = Progress::Done;
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
