//! The JSON form of a schema, and its validation into a [`Resource`].
//!
//! Names become folders, columns and SQL identifiers, so they are held to a strict pattern here and need no escaping
//! anywhere else.

use std::collections::HashSet;

use serde::Deserialize;
use thiserror::Error;

use super::{Column, LastChange, List, Resource, SOURCE_COLUMN, Statuses, Treatment, Type, is_partition_column};

/// Why a schema file cannot be used. The message names the resource and the place in it.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The folder or file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not JSON of the expected shape.
    #[error("{file}: {source}")]
    Shape {
        /// Name of the file.
        file: String,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The file has the right shape but says something that cannot be.
    #[error("{file}: {problem}")]
    Invalid {
        /// Name of the file.
        file: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    resource: String,
    doc: String,
    path: String,
    item_path: String,
    #[serde(default)]
    optional: bool,
    partitioned: bool,
    key: Vec<String>,
    #[serde(default)]
    event_time: Vec<String>,
    last_change: Option<String>,
    status: Option<StatusDefinition>,
    columns: Vec<ColumnDefinition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusDefinition {
    column: String,
    open: Vec<String>,
    closed: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnDefinition {
    name: String,
    json: String,
    #[serde(rename = "type")]
    kind: String,
    doc: String,
    #[serde(default)]
    sensitive: bool,
    table: Option<TableDefinition>,
    columns: Option<Vec<ColumnDefinition>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableDefinition {
    name: String,
    parent_key: String,
    doc: String,
}

/// Reads one schema file.
///
/// # Errors
///
/// [`SchemaError::Shape`] or [`SchemaError::Invalid`], naming `file`.
pub(super) fn parse(file: &str, text: &str) -> Result<Resource, SchemaError> {
    let definition: Definition =
        serde_json::from_str(text).map_err(|source| SchemaError::Shape { file: file.to_owned(), source })?;
    definition.validate().map_err(|problem| SchemaError::Invalid { file: file.to_owned(), problem })
}

type Validated<T> = Result<T, String>;

impl Definition {
    fn validate(self) -> Validated<Resource> {
        check_name("resource", &self.resource)?;
        if self.resource == RESERVED {
            return Err(format!(
                "resource name `{RESERVED}` is taken: the lake keeps the trials of its store under it"
            ));
        }
        check_path(&self.path)?;
        check_path(&self.item_path.replace("{key}", "key"))?;
        let columns = validate_columns(self.columns, true)?;
        let key = indices("key", &self.key, &columns, &Type::String)?;
        if key.is_empty() {
            return Err("`key` names no column".to_owned());
        }
        if key.len() > 1 && columns.iter().any(|column| matches!(column.kind, Type::List(_))) {
            return Err("a resource with a list has one key column: its value becomes the parent key".to_owned());
        }
        let event_time = indices("event_time", &self.event_time, &columns, &Type::Timestamp)?;
        let last_change = self.last_change.map(|path| last_change(&path, &columns)).transpose()?;
        let statuses = self.status.map(|status| status.validate(&columns)).transpose()?;
        Ok(Resource {
            name: self.resource,
            doc: self.doc,
            path: self.path,
            item_path: self.item_path,
            optional: self.optional,
            partitioned: self.partitioned,
            key,
            event_time,
            last_change,
            statuses,
            columns,
        })
    }
}

impl StatusDefinition {
    fn validate(self, columns: &[Column]) -> Validated<Statuses> {
        let column = index("status", &self.column, columns, &Type::String)?;
        Ok(Statuses { column, open: self.open, closed: self.closed })
    }
}

impl ColumnDefinition {
    fn validate(self, lists_allowed: bool) -> Validated<Column> {
        check_name("column", &self.name)?;
        if is_partition_column(&self.name) || self.name == SOURCE_COLUMN {
            return Err(format!("`{}` is the name of a partition: readers take it from the folders", self.name));
        }
        let kind = match (self.kind.as_str(), self.table, self.columns) {
            ("list", Some(table), Some(columns)) if lists_allowed => Type::List(table.validate(columns)?),
            ("list", ..) if lists_allowed => {
                return Err(format!("`{}`: a list needs `table` and `columns`", self.name));
            }
            (kind, None, None) => scalar(kind)
                .ok_or_else(|| format!("`{}`: no type is called `{kind}` here; {TYPES_ALLOWED}", self.name))?,
            (kind, ..) => return Err(format!("`{}`: a {kind} has neither `table` nor `columns`", self.name)),
        };
        if self.sensitive && !matches!(kind, Type::String | Type::Json) {
            return Err(format!("`{}`: only a string or a json can be sensitive", self.name));
        }
        let personal = self.sensitive.then_some(Treatment::Keep);
        Ok(Column { name: self.name, json: self.json, kind, doc: self.doc, personal })
    }
}

impl TableDefinition {
    fn validate(self, columns: Vec<ColumnDefinition>) -> Validated<List> {
        check_name("table", &self.name)?;
        check_name("parent_key", &self.parent_key)?;
        let columns = validate_columns(columns, false)?;
        if columns.iter().any(|column| column.name == self.parent_key) {
            return Err(format!("`{}` is both the parent key and a column of `{}`", self.parent_key, self.name));
        }
        Ok(List { table: self.name, table_doc: self.doc, parent_key: self.parent_key, columns })
    }
}

const TYPES_ALLOWED: &str = "use string, decimal, integer, boolean, timestamp, date, json or (not inside a list) list";

fn scalar(kind: &str) -> Option<Type> {
    [Type::String, Type::Decimal, Type::Integer, Type::Boolean, Type::Timestamp, Type::Date, Type::Json]
        .into_iter()
        .find(|candidate| candidate.name() == kind)
}

fn validate_columns(definitions: Vec<ColumnDefinition>, lists_allowed: bool) -> Validated<Vec<Column>> {
    let columns =
        definitions.into_iter().map(|column| column.validate(lists_allowed)).collect::<Validated<Vec<_>>>()?;
    let mut names = HashSet::new();
    let mut members = HashSet::new();
    for column in &columns {
        if !names.insert(&column.name) || !members.insert(&column.json) {
            return Err(format!("`{}` (`{}`) is declared twice", column.name, column.json));
        }
    }
    Ok(columns)
}

fn indices(what: &str, names: &[String], columns: &[Column], kind: &Type) -> Validated<Vec<usize>> {
    names.iter().map(|name| index(what, name, columns, kind)).collect()
}

fn index(what: &str, name: &str, columns: &[Column], kind: &Type) -> Validated<usize> {
    columns
        .iter()
        .position(|column| column.name == name && column.kind == *kind)
        .ok_or_else(|| format!("`{what}` names `{name}`, which is no {} column", kind.name()))
}

/// A timestamp column, or `list.column` for one of a list's elements.
fn last_change(path: &str, columns: &[Column]) -> Validated<LastChange> {
    const WHAT: &str = "last_change";
    let Some((list, element)) = path.split_once('.') else {
        return Ok(LastChange { column: index(WHAT, path, columns, &Type::Timestamp)?, element: None });
    };
    let mut lists = columns.iter().enumerate().filter(|(_, column)| column.name == list);
    let found = lists.find_map(|(index, column)| match &column.kind {
        Type::List(list) => Some((index, list)),
        _ => None,
    });
    let (column, list) = found.ok_or_else(|| format!("`{WHAT}` names `{list}`, which is no list column"))?;
    Ok(LastChange { column, element: Some(index(WHAT, element, &list.columns, &Type::Timestamp)?) })
}

/// A folder beside those of the resources.
const RESERVED: &str = "probe";

/// Lower-case letters, digits and underscores, a letter first, at most 63: right as a folder, a Hive column and an
/// unquoted SQL identifier alike. System columns begin with an underscore, so no declared column can be one.
fn check_name(what: &str, name: &str) -> Validated<()> {
    let mut bytes = name.bytes();
    let right = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() <= 63;
    if right { Ok(()) } else { Err(format!("{what} name `{name}` is not snake_case of at most 63 characters")) }
}

fn check_path(path: &str) -> Validated<()> {
    let right = path.starts_with('/')
        && !path.split('/').any(|segment| segment == "..")
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
    if right { Ok(()) } else { Err(format!("path `{path}` is not a plain path that begins with `/`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(change: impl Fn(&mut serde_json::Value)) -> Result<Resource, SchemaError> {
        let mut value = serde_json::json!({
            "resource": "things", "doc": "", "path": "/things", "item_path": "/things/{key}",
            "partitioned": false, "key": ["id"],
            "columns": [{"name": "id", "json": "id", "type": "string", "doc": ""}],
        });
        change(&mut value);
        parse("things.json", &value.to_string())
    }

    #[test]
    fn a_sound_schema_is_taken() {
        assert_eq!(schema(|_| ()).unwrap().name, "things");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        type Change = fn(&mut serde_json::Value);
        let rows: [(Change, &str); 12] = [
            (|v| v["resource"] = "../etc".into(), "snake_case"),
            (|v| v["columns"][0]["name"] = "_seq".into(), "snake_case"),
            (|v| v["columns"][0]["name"] = "event_month".into(), "partition"),
            (|v| v["columns"][0]["name"] = "source".into(), "partition"),
            (|v| v["columns"][0]["type"] = "float".into(), "no type is called `float`"),
            (|v| v["columns"][0]["type"] = "list".into(), "needs `table`"),
            (|v| v["key"] = serde_json::json!(["nope"]), "names `nope`"),
            (|v| v["key"] = serde_json::json!([]), "names no column"),
            (|v| v["last_change"] = "id".into(), "`id`, which is no timestamp column"),
            (|v| v["last_change"] = "id.at".into(), "`id`, which is no list column"),
            (|v| v["path"] = "/a/../b".into(), "plain path"),
            (|v| v["surprise"] = 1.into(), "unknown field `surprise`"),
        ];
        for (change, expected) in rows {
            let message = schema(change).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(message.starts_with("things.json"), "{message}");
        }
    }
}
