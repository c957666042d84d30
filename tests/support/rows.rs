//! Rows in one form, wherever they come from, so that two can be compared value by value.
//!
//! ```text
//! the sandbox's truth (NDJSON) ─┐
//!                               ├─► Row: decimals with 18 fractional digits, times to the microsecond, JSON as its text
//! DuckDB on the lake ───────────┘
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    duckdb::{Answer, DuckDb},
    lake::Lake,
    tables::{Column, Resource},
};

/// The declared columns of a record and its `_extra`, by name.
pub type Row = Map<String, Value>;

/// A resource's records by key.
pub type Records = BTreeMap<String, Row>;

/// A row of `changes/`.
#[derive(Debug, Clone)]
pub struct Version {
    pub key: String,
    pub row: Row,
    pub seq: u64,
    pub operation: String,
    pub observed_at: String,
    pub first_seen_at: String,
    pub poll_id: String,
    /// Value of the partition column, where the resource is partitioned.
    pub partition: Option<String>,
    /// The number in the name of the file that holds it.
    pub file_seq: u64,
}

/// The value of the first key column that the row has.
pub fn key_of(resource: &Resource, row: &Row) -> String {
    let key = resource.key.iter().find_map(|column| row[column].as_str());
    key.unwrap_or_else(|| panic!("a row of {} without a key: {row:?}", resource.name)).to_owned()
}

/// Rows by key; a key that stands twice fails the test.
pub fn by_key(resource: &Resource, rows: impl IntoIterator<Item = Row>) -> Records {
    let mut records = Records::new();
    for row in rows {
        let key = key_of(resource, &row);
        assert!(records.insert(key.clone(), row).is_none(), "{} has {key} twice", resource.name);
    }
    records
}

/// All that `current/` holds of a resource.
pub fn current(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource) -> Records {
    records_in(duckdb, resource, &lake.scan("current", &resource.name))
}

/// The records that a table, a view or a call of a macro has.
pub fn records_in(duckdb: &mut DuckDb, resource: &Resource, from: &str) -> Records {
    let sql = format!("SELECT {} FROM {from}", texts(&resource.columns));
    by_key(resource, rows(&resource.columns, duckdb.query(&sql)))
}

/// All that `current/` holds of the elements of a list, as (key of the record, element), sorted.
pub fn current_elements(duckdb: &mut DuckDb, lake: &Lake, list: &Column) -> Vec<(String, String)> {
    let table = list.table.as_ref().unwrap();
    elements_in(duckdb, list, &lake.scan("current", &table.name))
}

/// The same of a table, a view or a call of a macro.
pub fn elements_in(duckdb: &mut DuckDb, list: &Column, from: &str) -> Vec<(String, String)> {
    let table = list.table.as_ref().unwrap();
    let answer = duckdb.query(&format!("SELECT {}, {} FROM {from}", texts(&list.columns), table.parent_key));
    let element = |mut cells: Vec<Value>| {
        let parent = cells.pop().unwrap().as_str().unwrap().to_owned();
        (parent, Value::Object(row(&list.columns, cells)).to_string())
    };
    let mut elements: Vec<_> = answer.rows.into_iter().map(element).collect();
    elements.sort();
    elements
}

/// The elements of a list column of these records, in the form of [`current_elements`].
pub fn elements(records: &Records, list: &Column) -> Vec<(String, String)> {
    let of = |(key, row): (&String, &Row)| {
        let elements = row[&list.name].as_array().cloned().unwrap_or_default();
        elements.into_iter().map(|element| (key.clone(), element.to_string())).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = records.iter().flat_map(of).collect();
    all.sort();
    all
}

/// Every version in `changes/`, by `_seq` and then by key.
pub fn changes(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource) -> Vec<Version> {
    let partition = if resource.partitioned { "event_month" } else { "NULL" };
    let sql = format!(
        "SELECT {}, CAST(_seq AS VARCHAR), _op, CAST(_observed_at AS VARCHAR), CAST(_first_seen_at AS VARCHAR), _poll_id, \
         CAST({partition} AS VARCHAR), parse_filename(filename, true) FROM read_parquet('{}/changes/{}/**/*.parquet', filename = true)",
        texts(&resource.columns),
        lake.path().display(),
        resource.name,
    );
    let version = |mut cells: Vec<Value>| {
        let system = cells.split_off(resource.columns.len() + 1);
        let text = |place: usize| system[place].as_str().unwrap().to_owned();
        let row = row(&resource.columns, cells);
        Version {
            key: key_of(resource, &row),
            row,
            seq: text(0).parse().unwrap(),
            operation: text(1),
            observed_at: timestamp(&text(2)),
            first_seen_at: timestamp(&text(3)),
            poll_id: text(4),
            partition: system[5].as_str().map(str::to_owned),
            file_seq: text(6).parse().unwrap(),
        }
    };
    let mut versions: Vec<Version> = duckdb.query(&sql).rows.into_iter().map(version).collect();
    versions.sort_by(|a, b| (a.seq, &a.key).cmp(&(b.seq, &b.key)));
    versions
}

/// Fails unless both hold the same records, and shows the first differences.
#[track_caller]
pub fn assert_same_records(found: &Records, truth: &Records, what: &str) {
    let missing: Vec<_> = truth.keys().filter(|key| !found.contains_key(*key)).take(3).collect();
    let surplus: Vec<_> = found.keys().filter(|key| !truth.contains_key(*key)).take(3).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "{what}: missing {missing:?}, surplus {surplus:?}");
    for (key, row) in found {
        for (column, value) in &truth[key] {
            assert_eq!(row.get(column), Some(value), "{what}: {column} of {key}");
        }
        assert_eq!(row.len(), truth[key].len(), "{what}: columns of {key}");
    }
}

/// The exact texts of the columns and of `_extra`.
fn texts(columns: &[Column]) -> String {
    columns.iter().map(|column| column.text_sql(&column.name) + ", ").collect::<String>() + "_extra"
}

fn rows(columns: &[Column], answer: Answer) -> impl Iterator<Item = Row> {
    answer.rows.into_iter().map(|cells| row(columns, cells))
}

/// Of cells in the order of the columns, `_extra` last.
fn row(columns: &[Column], mut cells: Vec<Value>) -> Row {
    assert_eq!(cells.len(), columns.len() + 1);
    let extra = cells.pop().unwrap();
    let named = columns.iter().zip(cells).map(|(column, cell)| (column.name.clone(), value(column, cell)));
    named.chain([("_extra".to_owned(), extra)]).collect()
}

fn value(column: &Column, cell: Value) -> Value {
    match (column.kind.as_str(), cell) {
        ("boolean", Value::String(text)) => Value::Bool(text.parse().unwrap()),
        ("timestamp", Value::String(text)) => timestamp(&text).into(),
        ("list", Value::Array(elements)) => {
            let element = |cells| {
                if let Value::Array(cells) = cells { row(&column.columns, cells) } else { panic!("no element") }
            };
            elements.into_iter().map(element).map(Value::Object).collect()
        }
        (_, cell) => cell,
    }
}

/// DuckDB's `2026-05-11 10:15:30.12+00` as `2026-05-11 10:15:30.120000`.
pub fn timestamp(text: &str) -> String {
    let text = text.strip_suffix("+00").unwrap_or_else(|| panic!("not in UTC: {text}"));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{fraction:0<6}")
}
