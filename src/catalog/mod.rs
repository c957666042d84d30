//! The lake as tables of a database: statements for DuckDB and Athena, and sources for dbt, made from the schemas and a location alone.
//!
//! ```text
//! Resource → Table ─┐
//!                   ├─▶ Catalog ─▶ views, external tables, models
//! location ─────────┘
//! ```
//!
//! Names come from the schemas, which hold them to letters, digits and underscores; what else goes into a statement, the
//! location and what people wrote, is quoted here.

mod athena;
mod dbt;
mod duckdb;

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::{DataType, Field, Metadata};

use crate::schema::{Granularity, List, Resource, SOURCE_COLUMN, Table, TableRows, Type};

/// What the column says that tells several lakes apart.
const SOURCE_DOC: &str = "The profile of the settings that it is of.";

/// What the partition column says.
const PARTITION: &str = "When it happened, or was first seen where that is not known (UTC).";

/// What the statements are about.
#[derive(Debug)]
pub struct Catalog<'r> {
    /// Where the lake is: `s3://bucket/prefix` or an absolute path, without a slash at its end.
    pub location: &'r str,
    /// How it files its records.
    pub granularity: Granularity,
    /// The resources whose tables are to be made.
    pub resources: &'r [Resource],
    /// Its folders that hold a file, as in `changes/trades` and `changes/trades/event_month=2026-05`.
    pub folders: &'r BTreeSet<String>,
    /// Where it is several lakes, each in a folder `source=NAME` of the location: these names.
    pub sources: &'r [String],
    /// The schema that is to hold its tables, where there are several lakes: a name that needs no more than quotes.
    pub schema: Option<&'r str>,
    /// The time, in microseconds since 1970 UTC.
    pub now: i64,
}

impl Catalog<'_> {
    /// Statements for DuckDB: run them at the beginning of a session, as `duckdb -init` does.
    #[must_use]
    pub fn duckdb(&self) -> String {
        duckdb::statements(self)
    }

    /// Statements for Athena, each to be run by itself.
    #[must_use]
    pub fn athena(&self) -> String {
        athena::statements(self)
    }

    /// The external tables of Athena as Glue takes them, one line of JSON a table.
    #[must_use]
    pub fn glue(&self) -> String {
        athena::glue(self)
    }

    /// Files of a dbt project, each with its path in it.
    #[must_use]
    pub fn dbt(&self) -> Vec<(String, String)> {
        dbt::files(self)
    }

    /// A name in its schema.
    fn in_schema(&self, name: &str) -> String {
        self.schema.map_or_else(|| name.to_owned(), |schema| format!("\"{schema}\".{name}"))
    }

    /// The name of a session's variable, which no other schema has.
    fn variable(&self, name: &str) -> String {
        self.schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
    }

    /// What it is of, as a comment names it.
    fn what(&self) -> &'static str {
        if self.sources.is_empty() { "lake" } else { "lakes of all profiles" }
    }

    /// Where the lake is, on one line of a comment.
    fn place(&self) -> String {
        self.location.replace(char::is_control, " ")
    }

    fn partition(&self, resource: &Resource) -> Option<&'static str> {
        if resource.partitioned { self.granularity.column() } else { None }
    }

    /// The columns that come from the names of folders.
    fn partitions(&self, resource: &Resource) -> impl Iterator<Item = &'static str> {
        let source = (!self.sources.is_empty()).then_some(SOURCE_COLUMN);
        source.into_iter().chain(self.partition(resource))
    }

    /// Whether a folder of the lake holds anything.
    fn has(&self, folder: &str) -> bool {
        self.folders.contains(folder)
    }
}

/// Statements for DuckDB over several lakes: each in its schema, and over all of them in the session's own, with a column `source`
/// before the others.
#[must_use]
pub fn duckdb_of_all(catalogs: &[Catalog<'_>]) -> String {
    duckdb::statements_of_all(catalogs)
}

/// A column that these lakes have of more than one type, so that no view over all of them could give it as it is.
#[must_use]
pub fn disagreement(catalogs: &[Catalog<'_>]) -> Option<String> {
    let mut types = BTreeMap::new();
    let columns = catalogs.iter().flat_map(|catalog| catalog.resources).flat_map(Resource::tables).flat_map(|table| {
        let column =
            |field: &std::sync::Arc<Field>| (format!("{}.{}", table.name, field.name()), field.data_type().clone());
        table.schema.fields().iter().map(column).collect::<Vec<_>>()
    });
    for (name, kind) in columns {
        if types.get(&name).is_some_and(|other| *other != kind) {
            return Some(name);
        }
        types.insert(name, kind);
    }
    None
}

/// The list that a flat table is made of, with the name of its column.
fn list_of<'r>(resource: &'r Resource, table: &Table) -> Option<(&'r str, &'r List)> {
    let TableRows::Elements(index) = table.rows else { return None };
    let column = resource.columns.get(index)?;
    if let Type::List(list) = &column.kind { Some((&column.name, list)) } else { None }
}

/// What identifies a record: the first of its key's columns that is not null.
fn key_of(resource: &Resource) -> String {
    let columns: Vec<&str> = resource.key.iter().map(|index| resource.columns[*index].name.as_str()).collect();
    match columns.as_slice() {
        [column] => (*column).to_owned(),
        columns => format!("coalesce({})", columns.join(", ")),
    }
}

/// What all versions of a record have in common: its key, and the partition, so that a filter on that reads its files alone.
fn versions_of<'p>(resource: &Resource, partitions: impl IntoIterator<Item = &'p str>) -> String {
    partitions.into_iter().map(str::to_owned).chain([key_of(resource)]).collect::<Vec<_>>().join(", ")
}

/// Condition under which a record is still expected to change, if its resource has statuses.
fn is_open(resource: &Resource) -> Option<String> {
    let statuses = resource.statuses.as_ref()?;
    let column = &resource.columns[statuses.column].name;
    let closed: Vec<String> = statuses.closed.iter().map(|status| quoted(status)).collect();
    Some(match closed.as_slice() {
        [] => "true".to_owned(),
        closed => format!("({column} IS NULL OR {column} NOT IN ({}))", closed.join(", ")),
    })
}

fn doc(metadata: &Metadata) -> &str {
    metadata.get("comment").map_or("", String::as_str)
}

/// The name of a column in a query: one of the lake's own begins with an underscore, which not every database takes as it is.
fn name_in_query(name: &str) -> String {
    if name.starts_with('_') { format!("\"{name}\"") } else { name.to_owned() }
}

/// A text as SQL has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The type of a field, with the names that a dialect has for types.
fn type_name(field: &Field, names: &TypeNames) -> String {
    match field.data_type() {
        DataType::Decimal128(precision, scale) => format!("{}({precision},{scale})", names.decimal),
        DataType::Int64 => names.bigint.to_owned(),
        DataType::Boolean => names.boolean.to_owned(),
        DataType::Date32 => names.date.to_owned(),
        DataType::Timestamp(..) => names.timestamp.to_owned(),
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => {
                let member = |field: &std::sync::Arc<Field>| (names.member)(field.name(), &type_name(field, names));
                (names.list)(&fields.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            _ => (names.list)(&type_name(element, names)),
        },
        _ => names.text.to_owned(),
    }
}

/// What a dialect calls the types that there are in a lake.
struct TypeNames {
    text: &'static str,
    decimal: &'static str,
    bigint: &'static str,
    boolean: &'static str,
    date: &'static str,
    timestamp: &'static str,
    /// A member of a struct, from its name and type.
    member: fn(&str, &str) -> String,
    /// A list of structs, from their members.
    list: fn(&str) -> String,
}
