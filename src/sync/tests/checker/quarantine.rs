//! The quarantine against what the last answer could not be.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::{
    glob::number,
    lists::KINDS,
    stage::{Stage, Violation, violation},
};

/// Checks that what is quarantined, and was not released, is what the last poll could not use.
pub(super) fn is_that_of_the_last_poll(stage: &Stage, kind: usize) -> Result<(), Violation> {
    let name = KINDS[kind].name;
    let mut present = BTreeSet::new();
    let listed = stage.shelf().list(&format!("quarantine/{name}"));
    for (place, (key, object)) in listed.into_iter().enumerate() {
        if number(&key) != Some(place as u64 + 1) {
            return Err(violation("the quarantine has no gaps", key));
        }
        let rows =
            read(object.bytes).map_err(|error| violation("readers see whole files", format!("{key}: {error}")))?;
        for (record, operation) in rows {
            let lawful = match operation.as_str() {
                "quarantined" => present.insert(record.clone()),
                _ => present.remove(&record),
            };
            if !lawful {
                return Err(violation("the quarantine repeats nothing", format!("{key}: {operation} {record:?}")));
            }
        }
        stage.figures().count("quarantine objects");
    }
    let said = stage.mood().said().iter().rfind(|said| said.kind == kind).cloned();
    let expected: BTreeSet<_> = said.iter().flat_map(|said| said.unfit.iter().cloned()).collect();
    if present == expected {
        return Ok(());
    }
    let how = format!("{name}: {present:?} instead of {expected:?}");
    Err(violation("the quarantine is that of the last poll", how))
}

/// Key and text of each row, and what it says of them.
type Quarantined = ((Option<String>, String), String);

fn read(bytes: bytes::Bytes) -> Result<Vec<Quarantined>, Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        let text = |name: &str, row: usize| {
            let texts = batch.column_by_name(name).unwrap().as_string::<i32>();
            arrow_array::Array::is_valid(texts, row).then(|| texts.value(row).to_owned())
        };
        rows.extend((0..batch.num_rows()).map(|row| {
            ((text("key", row), text("text", row).unwrap_or_default()), text("_op", row).unwrap_or_default())
        }));
    }
    Ok(rows)
}
