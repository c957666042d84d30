//! One poll while it is read: each record is recognised, or decoded, classified and, if it is not as known, given on.
//!
//! Nothing reaches the lake from here. Only a body that has been read to its end, and that the guards believe, is used.

use std::{collections::HashSet, path::Path};

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_128;

use super::ambient::PollStart;
use crate::{
    decode::{Decoder, Refusal, Rejection, Row, Seed, key_hash, without_personal},
    diff::{Census, Conclusion, Diff, DiffError, Filed, GuardRefusal, Known, KnownRecord, Sighting, Verdict},
    error::Error,
    lake::{LakeError, Quarantined},
    record::{Body, ElementId, Elements, MalformedBody, RecordSlice, Splitter},
    schema::Resource,
};

/// Text of rejected records that is held until the guards have spoken. More than this is no odd record here and there.
const REJECTED_BYTES_MAX: usize = 16 << 20;
/// Bytes of the body's beginning that are kept to say what it was, should it be no list.
const BEGINNING_BYTES: usize = 256;
/// Members that give a page of a list away.
const PAGE_MEMBERS: [&str; 3] = ["content", "data", "page"];

/// Takes the versions of records that are not as they were known.
pub(super) trait Sink {
    /// Where a record that is seen for the first time is filed.
    fn file(&self, event_time: Option<i64>) -> Filed;

    /// Takes a version that is added, changed or stale: its row, and the text that this was read from.
    fn take(&mut self, resource: &Resource, verdict: Verdict, row: &Row<'_>, text: &[u8]) -> Result<(), LakeError>;
}

/// A poll that is being read.
pub(super) struct Observation<'r, S> {
    splitter: Splitter,
    beginning: Vec<u8>,
    /// What the bodies before came to, where there are several.
    ended: Option<Body>,
    reader: RecordReader<'r, S>,
}

/// A poll that was read to its end.
pub(super) struct Observed<S> {
    pub poll: PollStart,
    pub conclusion: Conclusion,
    /// What has taken all that is not as known.
    pub sink: S,
    pub body: Body,
    pub etag: Option<String>,
    /// What the known records came to before the poll.
    pub before: Census,
    /// Whether what was known had to be found out from the commits.
    pub rebuilt: bool,
    /// Missing records that are not taken for removed.
    pub withheld: u64,
    pub rejected: Vec<(Rejection, Quarantined)>,
    /// From when on the list was asked for, if not for the whole of it.
    pub since: Option<DateTime<Utc>>,
}

struct RecordReader<'r, S> {
    resource: &'r Resource,
    decoder: Decoder<'r>,
    seed: Seed,
    before: Census,
    diff: Diff,
    sink: S,
    rejected: Vec<(Rejection, Quarantined)>,
    rejected_bytes: usize,
}

impl<'r, S: Sink> Observation<'r, S> {
    pub(super) fn new(decoder: Decoder<'r>, seed: Seed, known: Known, sink: S, spool: &Path) -> Self {
        let reader = RecordReader {
            resource: decoder.resource(),
            decoder,
            seed,
            before: known.census(),
            diff: Diff::new(known, spool),
            sink,
            rejected: Vec::new(),
            rejected_bytes: 0,
        };
        Self { splitter: Splitter::new(seed.0), beginning: Vec::new(), ended: None, reader }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let room = BEGINNING_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        let pushed = self.splitter.push_to(chunk, &mut self.reader);
        pushed.map_err(|error| self.explain(error))
    }

    /// Records of the list so far.
    pub(super) fn records(&self) -> u64 {
        self.splitter.records()
    }

    /// The same of inputs instead of a poll: see [`Diff::of_input`].
    pub(super) fn of_input(mut self, newer: HashSet<u128>) -> Self {
        self.reader.diff = self.reader.diff.of_input(newer);
        self
    }

    /// Ends one body of several, which are read as if they were one.
    pub(super) fn end_body(&mut self) -> Result<(), Error> {
        let seed = self.reader.seed.0;
        let Body { bytes, hash, records } = std::mem::replace(&mut self.splitter, Splitter::new(seed)).finish()?;
        self.ended = Some(match self.ended.take() {
            None => Body { bytes, hash, records },
            Some(before) => Body {
                bytes: before.bytes + bytes,
                hash: format!("{:032x}", xxh3_128(format!("{}{hash}", before.hash).as_bytes())),
                records: before.records + records,
            },
        });
        Ok(())
    }

    /// Takes a record that was asked for by itself.
    pub(super) fn push_single(&mut self, text: &[u8]) -> Result<(), Error> {
        let mut splitter = Splitter::new(self.reader.seed.0);
        for part in [b"[", text, b"]"] {
            splitter.push_to(part, &mut self.reader)?;
        }
        Ok(splitter.finish().map(drop)?)
    }

    pub(super) fn finish(mut self, poll: PollStart, etag: Option<String>, rebuilt: bool) -> Result<Observed<S>, Error> {
        let body = match self.ended.take() {
            Some(ended) => ended,
            None => self.splitter.finish()?,
        };
        self.reader.place()?;
        let RecordReader { before, diff, sink, rejected, .. } = self.reader;
        Ok(Observed {
            poll,
            conclusion: diff.conclude().map_err(|error| LakeError::spool(&error))?,
            sink,
            body,
            etag,
            before,
            rebuilt,
            withheld: 0,
            rejected,
            since: None,
        })
    }

    /// An object instead of a list may be a page of one: that has an answer of its own.
    fn explain(&self, error: Error) -> Error {
        let Error::Malformed(MalformedBody::NotAnArray { .. }) = error else { return error };
        let beginning = String::from_utf8_lossy(&self.beginning);
        match PAGE_MEMBERS.into_iter().find(|member| beginning.contains(&format!("\"{member}\""))) {
            Some(member) => Error::Paginated { member },
            None => error,
        }
    }
}

impl<S> Observed<S> {
    /// A guard's refusal, with what it takes to understand it.
    pub(super) fn refuse(&self, refusal: GuardRefusal) -> Error {
        match (&refusal, self.rejected.first()) {
            (GuardRefusal::Unfit { .. }, Some((first, _))) => Error::Unfit { refusal, first: Box::new(first.clone()) },
            _ => Error::Guard(refusal),
        }
    }

    /// Takes none of the missing for removed, and keeps how many they are.
    pub(super) fn withhold_removals(&mut self) {
        self.withheld = self.conclusion.tally.removed;
        self.conclusion.withhold_removals();
    }

    /// The missing records as they were known. They may be many where no guard has spoken yet.
    pub(super) fn missing(&self) -> Result<Vec<KnownRecord>, Error> {
        Ok(self.conclusion.missing().map_err(|error| LakeError::spool(&error))?)
    }
}

impl<S: Sink> Elements for RecordReader<'_, S> {
    type Error = Error;

    fn expected(&mut self) -> Result<ElementId, Error> {
        Ok(self.diff.expected().map_err(|error| LakeError::spool(&error))?)
    }

    fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), Error> {
        if self.diff.recognize(slice.element).map_err(|error| LakeError::spool(&error))? {
            return Ok(());
        }
        match self.decoder.decode(slice.text) {
            Ok(row) => self.decoded(&row, slice)?,
            Err(Refusal::Malformed { at }) => return Err(Error::MalformedRecord { offset: slice.offset, at }),
            Err(Refusal::Rejected(rejection)) => self.reject(*rejection, slice)?,
        }
        if self.diff.is_full() { self.place() } else { Ok(()) }
    }
}

impl<S: Sink> RecordReader<'_, S> {
    fn decoded(&mut self, row: &Row<'_>, slice: RecordSlice<'_>) -> Result<(), Error> {
        let key = row.key(self.resource).ok_or_else(|| Error::Bug("a decoded record has no key".to_owned()))?;
        let event_time = row.event_time(self.resource);
        let sighting = Sighting {
            key: key_hash(self.seed, key),
            element: slice.element,
            digest: row.digest(self.resource, self.seed),
            last_change: row.last_change(self.resource),
            open: row.is_open(self.resource),
        };
        let sink = &self.sink;
        let verdict = self.diff.classify(sighting, slice, || sink.file(event_time));
        match verdict.map_err(|error| self.explain(error))? {
            Verdict::Unchanged | Verdict::Waits => Ok(()),
            verdict => Ok(self.sink.take(self.resource, verdict, row, slice.text)?),
        }
    }

    /// Gives on the records that had to wait for their verdicts.
    fn place(&mut self) -> Result<(), Error> {
        let placed = self.diff.place().map_err(|error| self.explain(error))?;
        for record in &placed {
            let text = self.diff.text(record).map_err(|error| LakeError::spool(&error))?;
            let row = self.decoder.decode(&text);
            let row = row.map_err(|refusal| Error::Bug(format!("a record that was decoded cannot be: {refusal}")))?;
            self.sink.take(self.resource, record.verdict, &row, &text)?;
        }
        Ok(())
    }

    fn explain(&mut self, error: DiffError) -> Error {
        match error {
            DiffError::Spool(error) => LakeError::spool(&error).into(),
            DiffError::Conflict { text, offset } => {
                let key = match self.decoder.decode(&text) {
                    Ok(row) => row.key(self.resource).map(|(_, key)| key.to_owned()),
                    Err(Refusal::Rejected(rejection)) => rejection.key.map(|(_, key)| key),
                    Err(Refusal::Malformed { .. }) => None,
                };
                Error::Duplicate { key: key.unwrap_or_default(), offset }
            }
        }
    }

    fn reject(&mut self, rejection: Rejection, slice: RecordSlice<'_>) -> Result<(), Error> {
        let key = rejection.key.as_ref().map(|(column, key)| key_hash(self.seed, (*column, key)));
        self.diff.reject(key, slice).map_err(|error| self.explain(error))?;
        self.rejected_bytes += slice.text.len();
        if self.rejected_bytes > REJECTED_BYTES_MAX {
            let rejected = self.rejected.len() as u64 + 1;
            return Err(Error::Unfit {
                refusal: GuardRefusal::Unfit { rejected, listed: rejected },
                first: Box::new(rejection),
            });
        }
        let record = Quarantined {
            key: rejection.key.as_ref().map(|(_, key)| key.clone()),
            path: rejection.path.clone(),
            reason: rejection.reason.clone(),
            // The decoder has found it to be UTF-8, so nothing is replaced here.
            text: without_personal(&String::from_utf8_lossy(slice.text), &self.resource.columns).into_owned(),
        };
        self.rejected.push((rejection, record));
        Ok(())
    }
}
