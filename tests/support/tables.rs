//! The resources as `schemas/*.json` declare them, read here without the product's own reader.

use std::path::Path;

use serde::Deserialize;

/// All resources, in the order in which they are polled.
pub const RESOURCES: [&str; 8] =
    ["accounts", "wallets", "beneficiaries", "deposits", "withdrawals", "trades", "currencies", "payment_routes"];

/// Columns that every table ends with, after `_extra`, with their types in DuckDB.
pub const SYSTEM_COLUMNS: [(&str, &str); 5] = [
    ("_seq", "BIGINT"),
    ("_op", "VARCHAR"),
    ("_observed_at", "TIMESTAMP WITH TIME ZONE"),
    ("_first_seen_at", "TIMESTAMP WITH TIME ZONE"),
    ("_poll_id", "VARCHAR"),
];

/// A resource.
#[derive(Debug, Deserialize)]
pub struct Resource {
    #[serde(rename = "resource")]
    pub name: String,
    pub path: String,
    #[serde(default)]
    pub optional: bool,
    pub partitioned: bool,
    pub key: Vec<String>,
    pub event_time: Vec<String>,
    pub status: Option<Status>,
    pub columns: Vec<Column>,
}

#[derive(Debug, Deserialize)]
pub struct Status {
    pub column: String,
    pub open: Vec<String>,
}

/// A column of a resource, or of the elements of one of its lists.
#[derive(Debug, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub doc: String,
    #[serde(default)]
    pub columns: Vec<Column>,
    pub table: Option<FlatTable>,
}

/// The table that the elements of a list become.
#[derive(Debug, Deserialize)]
pub struct FlatTable {
    pub name: String,
    pub parent_key: String,
}

impl Resource {
    pub fn named(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub fn all() -> Vec<Self> {
        RESOURCES.into_iter().map(Self::named).collect()
    }

    /// The columns that hold lists, with their tables.
    pub fn flat_tables(&self) -> impl Iterator<Item = (&Column, &FlatTable)> {
        self.columns.iter().filter_map(|column| Some((column, column.table.as_ref()?)))
    }
}

impl Column {
    /// The type that DuckDB should find.
    pub fn duckdb_type(&self) -> String {
        match self.kind.as_str() {
            "string" | "json" => "VARCHAR".to_owned(),
            "decimal" => "DECIMAL(38,18)".to_owned(),
            "boolean" => "BOOLEAN".to_owned(),
            "timestamp" => "TIMESTAMP WITH TIME ZONE".to_owned(),
            "list" => {
                let fields = self.columns.iter().map(|column| format!("{} {}, ", column.name, column.duckdb_type()));
                format!("STRUCT({}_extra VARCHAR)[]", fields.collect::<String>())
            }
            other => panic!("no such type: {other}"),
        }
    }

    /// SQL for the column's exact value: text, or for a list a list of the texts of each element's columns and `_extra`.
    pub fn text_sql(&self, value: &str) -> String {
        match self.kind.as_str() {
            "string" | "json" => value.to_owned(),
            "list" => {
                let texts = self.columns.iter().map(|column| column.text_sql(&format!("e.{}", column.name)) + ", ");
                format!("list_transform({value}, e -> [{}e._extra])", texts.collect::<String>())
            }
            _ => format!("CAST({value} AS VARCHAR)"),
        }
    }
}
