//! One poll while it is read: each record is recognised, or decoded, classified and drafted.
//!
//! Nothing reaches the lake from here. Only a body that has been read to its end, and that the guards believe, is sealed.

use std::collections::BTreeSet;

use super::ambient::PollStart;
use crate::{
    decode::{Decoder, Operation, Refusal, Rejection, Row, Seed, key_hash},
    diff::{Conclusion, Diff, Filed, GuardRefusal, Known, Sighting, Verdict},
    error::Error,
    lake::{
        Drafts, Effect, Quarantined,
        defect::{Defect, has},
    },
    record::{Body, MalformedBody, RecordSlice, Splitter},
    schema::Resource,
};

/// Text of rejected records that is held until the guards have spoken. More than this is no odd record here and there.
const REJECTED_BYTES_MAX: usize = 64 << 20;
/// Bytes of the body's beginning that are kept to say what it was, should it be no list.
const BEGINNING_BYTES: usize = 256;
/// Members that give a page of a list away.
const PAGE_MEMBERS: [&str; 3] = ["content", "data", "page"];

/// A poll that is being read.
pub(super) struct Observation<'r> {
    splitter: Splitter,
    beginning: Vec<u8>,
    reader: RecordReader<'r>,
}

/// A poll that was read to its end.
pub(super) struct Observed {
    pub poll: PollStart,
    pub conclusion: Conclusion,
    pub drafts: Drafts,
    pub body: Body,
    pub etag: Option<String>,
    /// Records that were expected to change, before the poll.
    pub open_before: u64,
    /// Whether what was known had to be found out from the commits.
    pub rebuilt: bool,
    /// Missing records that are not taken for removed.
    pub withheld: u64,
    pub rejected: Vec<(Rejection, Quarantined)>,
    /// Statuses that the schema does not list.
    pub undocumented: BTreeSet<String>,
}

struct RecordReader<'r> {
    resource: &'r Resource,
    decoder: Decoder<'r>,
    seed: Seed,
    open_before: u64,
    diff: Diff,
    drafts: Drafts,
    rejected: Vec<(Rejection, Quarantined)>,
    rejected_bytes: usize,
    undocumented: BTreeSet<String>,
}

impl<'r> Observation<'r> {
    pub(super) fn new(decoder: Decoder<'r>, seed: Seed, known: Known, drafts: Drafts) -> Self {
        let reader = RecordReader {
            resource: decoder.resource(),
            decoder,
            seed,
            open_before: known.open(),
            diff: Diff::new(known),
            drafts,
            rejected: Vec::new(),
            rejected_bytes: 0,
            undocumented: BTreeSet::new(),
        };
        Self { splitter: Splitter::new(seed.0), beginning: Vec::new(), reader }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let room = BEGINNING_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        let pushed = self.splitter.push(chunk, |slice| self.reader.take(slice));
        pushed.map_err(|error| self.explain(error))
    }

    pub(super) fn finish(self, poll: PollStart, etag: Option<String>, rebuilt: bool) -> Result<Observed, Error> {
        let body = self.splitter.finish()?;
        let RecordReader { open_before, diff, drafts, rejected, undocumented, .. } = self.reader;
        Ok(Observed {
            poll,
            conclusion: diff.conclude(),
            drafts,
            body,
            etag,
            open_before,
            rebuilt,
            withheld: 0,
            rejected,
            undocumented,
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

impl Observed {
    /// A guard's refusal, with what it takes to understand it.
    pub(super) fn refuse(&self, refusal: GuardRefusal) -> Error {
        match (&refusal, self.rejected.first()) {
            (GuardRefusal::Unfit { .. }, Some((first, _))) => Error::Unfit { refusal, first: Box::new(first.clone()) },
            _ => Error::Guard(refusal),
        }
    }
}

impl RecordReader<'_> {
    fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), Error> {
        if self.diff.recognize(slice.element) {
            return Ok(());
        }
        match self.decoder.decode(slice.text) {
            Ok(row) => self.decoded(&row, slice),
            Err(Refusal::Malformed { at }) => Err(Error::MalformedRecord { offset: slice.offset, at }),
            Err(Refusal::Rejected(rejection)) => self.reject(*rejection, slice),
        }
    }

    fn decoded(&mut self, row: &Row<'_>, slice: RecordSlice<'_>) -> Result<(), Error> {
        let key = row.key(self.resource).ok_or_else(|| Error::Bug("a decoded record has no key".to_owned()))?;
        let open = row.is_open(self.resource);
        let event_time = row.event_time(self.resource);
        let sighting = Sighting {
            key: key_hash(self.seed, key),
            element: slice.element,
            digest: row.digest(self.resource, self.seed),
            open,
        };
        let drafts = &self.drafts;
        let verdict = self.diff.classify(sighting, || drafts.file(event_time));
        match verdict.map_err(|_| duplicate(Some(key.1), slice))? {
            Verdict::Unchanged | Verdict::Repeated => Ok(()),
            Verdict::Added(filed) => {
                self.draft(Operation::Added, filed, row, Effect { known: 1, open: i64::from(open), event_time })
            }
            Verdict::Changed(mut filed) => {
                if has(Defect::MovesRecords) {
                    filed.partition = self.drafts.file(event_time).partition;
                }
                let effect = Effect { known: 0, open: i64::from(open) - i64::from(filed.was_open), event_time };
                self.draft(Operation::Changed, filed, row, effect)
            }
        }
    }

    fn draft(&mut self, operation: Operation, filed: Filed, row: &Row<'_>, effect: Effect) -> Result<(), Error> {
        let statuses = self.resource.statuses.as_ref();
        if let Some(status) = row.status(self.resource)
            && !statuses.is_some_and(|statuses| statuses.is_documented(status))
            && !self.undocumented.contains(status)
        {
            self.undocumented.insert(status.to_owned());
        }
        Ok(self.drafts.append(operation, filed, row, effect)?)
    }

    fn reject(&mut self, rejection: Rejection, slice: RecordSlice<'_>) -> Result<(), Error> {
        let key = rejection.key.as_ref().map(|(column, key)| key_hash(self.seed, (*column, key)));
        let rejected = self.diff.reject(key, slice.element);
        rejected.map_err(|_| duplicate(rejection.key.as_ref().map(|(_, key)| key.as_str()), slice))?;
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
            text: String::from_utf8_lossy(slice.text).into_owned(),
        };
        self.rejected.push((rejection, record));
        Ok(())
    }
}

fn duplicate(key: Option<&str>, slice: RecordSlice<'_>) -> Error {
    Error::Duplicate { key: key.unwrap_or_default().to_owned(), offset: slice.offset }
}
