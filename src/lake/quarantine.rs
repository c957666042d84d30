//! Records that could not be rows, kept with the reason and their exact text.
//!
//! A small log of its own under `quarantine/<resource>/`: a row says that a record was quarantined, or that it was
//! released because the API no longer gives it in that form. Its folding is what is quarantined at present. A poll that
//! finds the same as before writes nothing.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, cast::AsArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{
    Creation, Lake, LakeError,
    layout::Layout,
    parquet_file::{self, Writer},
    spool::Spool,
};
use crate::schema::Resource;

/// A record that could not be a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// Its key, if it has a readable one.
    pub key: Option<String>,
    /// Where in the record, as in `fills[0].rate`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
    /// The record's exact text.
    pub text: String,
}

/// The quarantine of one resource.
pub struct Quarantine<'a> {
    lake: &'a Lake,
    layout: Layout,
    spool: &'a Path,
}

/// Attempts to be the one that writes the next number.
const ATTEMPTS_MAX: u32 = 16;

/// Key of the lake's identity in the footer of a quarantine's object.
pub(super) const QUARANTINE_KEY: &str = "lumetrade.quarantine";

pub(super) const QUARANTINED: &str = "quarantined";
pub(super) const RELEASED: &str = "released";

impl<'a> Quarantine<'a> {
    /// The quarantine of `resource`, with a folder for temporary files.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &Resource, spool: &'a Path) -> Self {
        Self { lake, layout: Layout::new(resource, lake.identity.granularity), spool }
    }

    /// Makes the quarantine hold exactly what a complete poll rejected, and says how many rows that took.
    ///
    /// # Errors
    ///
    /// If the quarantine cannot be read or written.
    pub async fn update(&self, rejected: &[Quarantined], poll_id: &str, observed_at: i64) -> Result<usize, LakeError> {
        for _ in 0..ATTEMPTS_MAX {
            let (last, present) = self.fold().await?;
            let rows = difference(&present, rejected);
            if rows.is_empty() {
                return Ok(0);
            }
            let bytes = self.encode(&rows, poll_id, observed_at)?;
            // Another writer's number is no conflict: what it wrote is taken into account, and the next number tried.
            if self.lake.store.create(&self.layout.quarantined(last + 1), &bytes).await? == Creation::Ours {
                return Ok(rows.len());
            }
        }
        Err(LakeError::damaged(&self.layout.quarantine(), "every number that a listing shows as free is taken"))
    }

    /// How many records are quarantined at present.
    ///
    /// # Errors
    ///
    /// If the quarantine cannot be read.
    pub async fn count(&self) -> Result<u64, LakeError> {
        let (_, present) = self.fold().await?;
        Ok(present.values().map(|count| count.unsigned_abs()).sum())
    }

    /// The last number, and what is quarantined, with how often.
    async fn fold(&self) -> Result<(u64, BTreeMap<Quarantined, i64>), LakeError> {
        let mut present: BTreeMap<Quarantined, i64> = BTreeMap::new();
        let mut last = 0;
        for listed in self.lake.store.list(&self.layout.quarantine()).await? {
            let Some(number) = super::layout::parse_number(&listed.key, ".parquet") else { continue };
            last = number;
            let bytes = self.lake.store.get(&listed.key).await?.unwrap_or_default();
            for batch in parquet_file::read_batches(&listed.key, bytes, None)? {
                for (row, operation) in rows(&batch?) {
                    *present.entry(row).or_default() += if operation == QUARANTINED { 1 } else { -1 };
                }
            }
        }
        present.retain(|_, count| *count > 0);
        Ok((last, present))
    }

    fn encode(
        &self,
        rows: &[(&Quarantined, &'static str)],
        poll_id: &str,
        observed_at: i64,
    ) -> Result<bytes::Bytes, LakeError> {
        let segment = Spool::new(self.spool).map_err(|error| LakeError::spool(&error))?.begin();
        let mut writer = Writer::new(schema(), segment).map_err(|error| LakeError::spool(&error))?;
        writer
            .write(&batch(rows, poll_id, observed_at).map_err(|error| LakeError::spool(&error))?)
            .map_err(|error| LakeError::spool(&error))?;
        let mut written =
            writer.close(QUARANTINE_KEY, self.lake.identity.id.clone()).map_err(|error| LakeError::spool(&error))?;
        let mut bytes = Vec::new();
        written.content.read_to_end(&mut bytes).map_err(|error| LakeError::spool(&error))?;
        Ok(bytes.into())
    }
}

/// What has to be written so that `present` becomes `rejected`.
fn difference<'r>(
    present: &'r BTreeMap<Quarantined, i64>,
    rejected: &'r [Quarantined],
) -> Vec<(&'r Quarantined, &'static str)> {
    let mut wanted: BTreeMap<&Quarantined, i64> = BTreeMap::new();
    for record in rejected {
        wanted.insert(record, 1);
    }
    let new = wanted.keys().filter(|record| !present.contains_key(**record)).map(|record| (*record, QUARANTINED));
    let gone = present.keys().filter(|record| !wanted.contains_key(*record)).map(|record| (record, RELEASED));
    new.chain(gone).collect()
}

pub(super) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("key", true),
        text("path", false),
        text("reason", false),
        text("text", false),
        text("_op", false),
        Field::new("_observed_at", time, false),
        text("_poll_id", false),
    ]))
}

fn batch(
    rows: &[(&Quarantined, &'static str)],
    poll_id: &str,
    observed_at: i64,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let texts = |pick: &dyn Fn(&Quarantined) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(row, _)| pick(row))))
    };
    let keys: StringArray = rows.iter().map(|(row, _)| row.key.as_deref()).collect();
    let observed_at = TimestampMicrosecondArray::from_value(observed_at, rows.len()).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys),
        texts(&|row| &row.path),
        texts(&|row| &row.reason),
        texts(&|row| &row.text),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, operation)| operation))),
        Arc::new(observed_at),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| poll_id))),
    ];
    RecordBatch::try_new(schema(), columns)
}

pub(super) fn rows(batch: &RecordBatch) -> Vec<(Quarantined, String)> {
    let text = |name: &str, row: usize| -> Option<String> {
        let texts = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        arrow_array::Array::is_valid(texts, row).then(|| texts.value(row).to_owned())
    };
    let required = |name: &str, row: usize| text(name, row).unwrap_or_default();
    let read = |row: usize| {
        let record = Quarantined {
            key: text("key", row),
            path: required("path", row),
            reason: required("reason", row),
            text: required("text", row),
        };
        (record, required("_op", row))
    };
    (0..batch.num_rows()).map(read).collect()
}
