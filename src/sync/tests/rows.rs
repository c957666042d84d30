//! Parquet objects as rows, read without the code under test.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::DataType;
use bytes::Bytes;
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::lists::with_ordered_documents;

/// An object's rows and footer.
#[derive(Debug)]
pub(super) struct Rows {
    pub rows: Vec<Row>,
    /// The commit in the footer, if there is one.
    pub commit: Option<Value>,
}

/// A row, cut into what is declared and what the lake adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// All columns of the record and `_extra`, in the form of the world's truth.
    pub values: Arc<Value>,
    pub seq: i64,
    pub operation: String,
    pub observed_at: i64,
    pub first_seen_at: i64,
    pub poll_id: String,
}

/// Objects that have been read already, by their bytes.
#[derive(Debug, Default)]
pub(super) struct Library(HashMap<u128, Arc<Rows>>);

impl Library {
    /// The rows of an object.
    ///
    /// # Errors
    ///
    /// If it is not one whole Parquet file.
    pub(super) fn read(&mut self, bytes: &Bytes) -> Result<Arc<Rows>, String> {
        let hash = xxh3_128(bytes);
        if let Some(rows) = self.0.get(&hash) {
            return Ok(rows.clone());
        }
        let rows = Arc::new(Rows::read(bytes).map_err(|error| error.to_string())?);
        self.0.insert(hash, rows.clone());
        Ok(rows)
    }
}

impl Rows {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn std::error::Error>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
        let entries = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let footer = entries.into_iter().find(|entry| entry.key == "lumetrade.commit").and_then(|entry| entry.value);
        let commit = footer.map(|text| serde_json::from_str(&text)).transpose()?;
        let mut rows = Vec::new();
        for batch in builder.build()? {
            rows.extend(read(&batch?));
        }
        Ok(Self { rows, commit })
    }
}

fn read(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let declared: Vec<(&String, Vec<Value>)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| !field.name().starts_with('_') || field.name() == "_extra")
        .map(|(field, column)| (field.name(), values(column)))
        .collect();
    let integers = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let times = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().clone();
    let texts = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (seqs, operations, polls) = (integers("_seq"), texts("_op"), texts("_poll_id"));
    let (observed, first_seen) = (times("_observed_at"), times("_first_seen_at"));
    let row = |at: usize| {
        let values: Map<String, Value> =
            declared.iter().map(|(name, values)| ((*name).clone(), values[at].clone())).collect();
        Row {
            values: Arc::new(with_ordered_documents(values.into())),
            seq: seqs.value(at),
            operation: operations.value(at).to_owned(),
            observed_at: observed.value(at),
            first_seen_at: first_seen.value(at),
            poll_id: polls.value(at).to_owned(),
        }
    };
    (0..batch.num_rows()).map(row).collect()
}

fn values(column: &dyn Array) -> Vec<Value> {
    let each = |value: &dyn Fn(usize) -> Value| -> Vec<Value> {
        (0..column.len()).map(|at| if column.is_null(at) { Value::Null } else { value(at) }).collect()
    };
    match column.data_type() {
        DataType::Utf8 => each(&|at| column.as_string::<i32>().value(at).into()),
        DataType::Boolean => each(&|at| column.as_boolean().value(at).into()),
        DataType::Decimal128(_, 18) => each(&|at| decimal(column.as_primitive::<Decimal128Type>().value(at)).into()),
        DataType::Timestamp(..) => each(&|at| time(column.as_primitive::<TimestampMicrosecondType>().value(at)).into()),
        DataType::List(_) => each(&|at| values(&column.as_list::<i32>().value(at)).into()),
        DataType::Struct(fields) => {
            let parts: Vec<Vec<Value>> = column.as_struct().columns().iter().map(|part| values(part)).collect();
            each(&|at| {
                let members = fields.iter().zip(&parts).map(|(field, part)| (field.name().clone(), part[at].clone()));
                Value::Object(members.collect())
            })
        }
        other => panic!("a column of type {other}"),
    }
}

/// Of the value × 10^18.
fn decimal(scaled: i128) -> String {
    const ONE: u128 = 10_u128.pow(18);
    let (sign, size) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    format!("{sign}{}.{:018}", size / ONE, size % ONE)
}

pub(super) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

impl Row {
    /// A column's text.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.values[column].as_str()
    }
}
