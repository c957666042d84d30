//! Records that are asked for one by one.
//!
//! In: known records. Out: their texts, where the API still gives them. What a single read says has to be of the record that
//! was asked for, and as much as the list says: the contract only suggests that both are the same.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use arrow_array::RecordBatch;

use crate::{
    api::Source,
    decode::{Cell, Decoder, Refusal, Row, key_hash},
    diff::KnownRecord,
    error::Error,
    lake::{self, Head, Lake, SingleRead},
    schema::Resource,
};

/// Records missing from a list that was read page by page which are looked for one by one; where there are more, none is
/// taken for removed.
const MISSED_MAX: usize = 100;

/// Asks for records of one resource.
pub(super) struct Singles<'a, S> {
    pub source: &'a S,
    pub lake: &'a Lake,
    pub resource: &'a Resource,
    pub decoder: Decoder<'a>,
    pub spool: &'a Path,
    /// All that was read.
    pub read: Vec<SingleRead>,
}

/// What single reads gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// The texts of those that the API has.
    Texts(Vec<Vec<u8>>),
    /// One of them lacks what the list had said of it: single reads are not to be relied upon.
    Less { key: String },
}

impl<S: Source> Singles<'_, S> {
    /// Asks for each of these known records.
    pub(super) async fn ask(&mut self, head: &Head, records: &HashMap<u128, KnownRecord>) -> Result<Given, Error> {
        let mut texts = Vec::new();
        for batch in &self.last_rows(head, records).await? {
            for index in 0..batch.num_rows() {
                let row = Row::read(batch, index, self.resource);
                let Some((column, key)) = row.key(self.resource) else { continue };
                let known = records.get(&key_hash(self.lake.seed(), (column, key)));
                if known.is_none_or(|known| known.digest != row.digest(self.resource, self.lake.seed())) {
                    continue;
                }
                let text = self.source.single(self.resource, key).await?;
                let read = text.as_deref().map(|text| String::from_utf8_lossy(text).into_owned());
                self.read.push(SingleRead { key: key.to_owned(), text: read });
                let Some(text) = text else { continue };
                if self.says_less(&text, key, &row)? {
                    return Ok(Given::Less { key: key.to_owned() });
                }
                texts.push(text);
            }
        }
        Ok(Given::Texts(texts))
    }

    /// Whether none of the records that are missing from a list that was read page by page is there all the same: it may
    /// have moved to a page that had been read.
    pub(super) async fn have_gone(&mut self, head: &Head, missing: &[KnownRecord]) -> Result<bool, Error> {
        if missing.len() > MISSED_MAX {
            return Ok(false);
        }
        let missing = missing.iter().map(|record| (record.key, *record)).collect();
        Ok(self.ask(head, &missing).await? == Given::Texts(Vec::new()))
    }

    async fn last_rows(&self, head: &Head, records: &HashMap<u128, KnownRecord>) -> Result<Vec<RecordBatch>, Error> {
        let partitions: HashSet<_> = records.values().map(|record| record.partition).collect();
        let wanted: HashSet<_> = records.keys().copied().collect();
        let mut batches = Vec::new();
        let keep = |batch| {
            batches.push(batch);
            Ok(())
        };
        lake::last_rows(self.lake, self.resource, head, self.spool, &partitions, &wanted, keep).await?;
        Ok(batches)
    }

    /// Whether a single read leaves out what was known of the record.
    fn says_less(&mut self, text: &[u8], key: &str, known: &Row<'_>) -> Result<bool, Error> {
        let refuse = |problem| Error::Single { key: key.to_owned(), problem };
        match self.decoder.decode(text) {
            Ok(row) if row.key(self.resource).is_none_or(|(_, other)| other != key) => {
                Err(refuse("it is another record"))
            }
            Ok(row) => Ok(row.cells.iter().zip(&known.cells).any(|(now, before)| is_less(now, before))),
            Err(Refusal::Rejected(_)) => Ok(false),
            Err(Refusal::Malformed { .. }) => Err(refuse("it is no record")),
        }
    }
}

fn is_less(now: &Cell<'_>, before: &Cell<'_>) -> bool {
    *now == Cell::Null && *before != Cell::Null
}
