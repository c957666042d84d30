//! The tables that a resource becomes, as Arrow schemas.
//!
//! Only types that DuckDB, Athena, Spark and Trino read alike: signed integers, `decimal(38,18)`, text, booleans,
//! dates, microseconds in UTC, lists and structs. Documentation travels as field metadata (`comment`).

use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{Column, List, Resource, Treatment, Type};

/// Digits of an amount.
pub const DECIMAL_PRECISION: u8 = 38;
/// Digits of an amount behind the point.
pub const DECIMAL_SCALE: i8 = 18;

/// Columns that every table ends with, in this order, with what they mean.
pub const SYSTEM_COLUMNS: [(&str, &str); 6] = [
    ("_extra", "JSON text of the fields that the schema does not declare, and of what a column could not hold whole."),
    ("_seq", "Number of the commit that wrote the row, per resource and without gaps."),
    ("_op", "What was observed: added, changed or removed."),
    ("_observed_at", "When the poll that saw this version began."),
    ("_first_seen_at", "When the record was first observed."),
    ("_poll_id", "The poll that saw this version; all its rows carry it."),
];

/// An output: its name, its Arrow schema, and which rows of the resource it holds.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name of the table and of its folder.
    pub name: String,
    /// The columns, system columns last. The partition column is in the path alone.
    pub schema: SchemaRef,
    /// Where its rows come from.
    pub rows: TableRows,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableRows {
    /// One row a record.
    Records,
    /// One row an element of the list column with this index.
    Elements(usize),
}

impl Resource {
    /// The resource's own table, followed by one for each list column.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let own = Table { name: self.name.clone(), schema: self.arrow_schema(), rows: TableRows::Records };
        let flat = self.columns.iter().enumerate().filter_map(|(index, column)| match &column.kind {
            Type::List(list) => {
                Some(Table { name: list.table.clone(), schema: element_schema(list), rows: TableRows::Elements(index) })
            }
            _ => None,
        });
        std::iter::once(own).chain(flat).collect()
    }

    /// Schema of the resource's own table, in `changes/` and in `current/` alike.
    #[must_use]
    pub fn arrow_schema(&self) -> SchemaRef {
        with_system_columns(self.columns.iter().map(field).collect(), &self.doc)
    }

    /// A short text that changes with whatever the meaning of stored rows depends on: the columns, the members they come
    /// from, the key, the flat tables, and which statuses are open. What is cached under another fingerprint is made anew.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fn treatment(column: &Column) -> String {
            match &column.personal {
                None | Some(Treatment::Keep) => String::new(),
                Some(Treatment::Drop) => "!drop".to_owned(),
                Some(Treatment::Hmac(key)) => format!("!hmac({})", key.id()),
            }
        }
        fn describe(columns: &[Column]) -> String {
            let parts: Vec<String> = columns
                .iter()
                .map(|column| match &column.kind {
                    Type::List(list) => {
                        let (table, parent, elements) = (&list.table, &list.parent_key, describe(&list.columns));
                        format!("{}={}:{table}({parent},{elements})", column.name, column.json)
                    }
                    kind => format!("{}={}:{}{}", column.name, column.json, kind.name(), treatment(column)),
                })
                .collect();
            parts.join(",")
        }
        let text = format!("{};{:?};{:?}", describe(&self.columns), self.key, self.statuses);
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }
}

fn element_schema(list: &List) -> SchemaRef {
    let parent =
        documented(Field::new(&list.parent_key, DataType::Utf8, true), "Key of the record the row belongs to.");
    let fields = std::iter::once(parent).chain(list.columns.iter().map(field)).collect();
    with_system_columns(fields, &list.table_doc)
}

fn with_system_columns(mut fields: Vec<Field>, doc: &str) -> SchemaRef {
    for (name, doc) in SYSTEM_COLUMNS {
        let (kind, nullable) = match name {
            "_extra" => (DataType::Utf8, true),
            "_seq" => (DataType::Int64, false),
            "_observed_at" | "_first_seen_at" => (timestamp(), false),
            _ => (DataType::Utf8, false),
        };
        fields.push(documented(Field::new(name, kind, nullable), doc));
    }
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([("comment".to_owned(), doc.to_owned())])))
}

fn field(column: &Column) -> Field {
    let mut field = documented(Field::new(&column.name, data_type(&column.kind), true), &column.doc);
    if column.personal.is_some() {
        field.metadata_mut().insert("lumetrade.sensitive".to_owned(), "true".to_owned());
    }
    if column.kind == Type::Json {
        field.metadata_mut().insert("lumetrade.type".to_owned(), "json".to_owned());
    }
    field
}

fn documented(field: Field, doc: &str) -> Field {
    field.with_metadata(HashMap::from([("comment".to_owned(), doc.to_owned())]))
}

/// The Arrow type of a column.
#[must_use]
pub fn data_type(kind: &Type) -> DataType {
    match kind {
        Type::String | Type::Json => DataType::Utf8,
        Type::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
        Type::Integer => DataType::Int64,
        Type::Boolean => DataType::Boolean,
        Type::Timestamp => timestamp(),
        Type::Date => DataType::Date32,
        // `element` is the name that the Parquet specification gives to a list's items.
        Type::List(list) => {
            DataType::List(Arc::new(Field::new("element", DataType::Struct(element_fields(list)), false)))
        }
    }
}

/// The columns that a table's schema was made from, as far as it tells: names and types, without the system columns. `None`
/// if a column has a type that none is declared with.
#[must_use]
pub fn declared_columns(schema: &Schema) -> Option<Vec<Column>> {
    columns_of(schema.fields())
}

fn columns_of(fields: &Fields) -> Option<Vec<Column>> {
    let is_system = |field: &Field| SYSTEM_COLUMNS.iter().any(|(name, _)| name == field.name());
    let column = |field: &Field| {
        let is_json = field.metadata().get("lumetrade.type").is_some_and(|kind| kind == "json");
        let kind = if is_json { Type::Json } else { type_of(field.data_type())? };
        let name = field.name().clone();
        Some(Column { json: name.clone(), name, kind, doc: String::new(), personal: None })
    };
    fields.iter().filter(|field| !is_system(field)).map(|field| column(field)).collect()
}

fn type_of(found: &DataType) -> Option<Type> {
    let scalars = [Type::String, Type::Decimal, Type::Integer, Type::Boolean, Type::Timestamp, Type::Date];
    if let Some(scalar) = scalars.into_iter().find(|scalar| data_type(scalar) == *found) {
        return Some(scalar);
    }
    let DataType::List(element) = found else { return None };
    let DataType::Struct(fields) = element.data_type() else { return None };
    let unnamed = String::new;
    let columns = columns_of(fields)?;
    Some(Type::List(List { table: unnamed(), table_doc: unnamed(), parent_key: unnamed(), columns }))
}

/// Fields of a list's element: what is declared, then what is not.
fn element_fields(list: &List) -> Fields {
    let (name, doc) = SYSTEM_COLUMNS[0];
    let extra = documented(Field::new(name, DataType::Utf8, true), doc);
    list.columns.iter().map(field).chain([extra]).collect()
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;

    #[test]
    fn trades_become_a_nested_and_a_flat_table() {
        let schemas = Schemas::builtin().unwrap();
        let tables = schemas.get("trades").unwrap().tables();
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["trades", "trade_fills"]);
        assert_eq!(tables[1].schema.field(0).name(), "trade_id");
        assert!(matches!(tables[0].schema.field_with_name("fills").unwrap().data_type(), DataType::List(_)));
    }

    #[test]
    fn a_schema_tells_the_names_and_types_it_was_made_from() {
        fn forget(columns: &[Column]) -> Vec<(String, String, Vec<String>)> {
            let inner = |column: &Column| match &column.kind {
                Type::List(list) => forget(&list.columns).into_iter().map(|column| format!("{column:?}")).collect(),
                _ => Vec::new(),
            };
            columns.iter().map(|column| (column.name.clone(), column.kind.name().to_owned(), inner(column))).collect()
        }
        for resource in Schemas::builtin().unwrap().iter() {
            let told = declared_columns(&resource.arrow_schema()).unwrap();
            assert_eq!(forget(&told), forget(&resource.columns), "{}", resource.name);
        }
        let foreign = Schema::new(vec![Field::new("x", DataType::Float64, true)]);
        assert!(declared_columns(&foreign).is_none());
    }

    #[test]
    fn every_field_carries_its_documentation() {
        for resource in Schemas::builtin().unwrap().iter() {
            for table in resource.tables() {
                assert!(table.schema.fields().iter().all(|field| !field.metadata()["comment"].is_empty()));
            }
        }
    }

    #[test]
    fn the_fingerprint_follows_names_types_and_statuses_but_not_words() {
        let schemas = Schemas::builtin().unwrap();
        let mut trades = schemas.get("trades").unwrap().clone();
        let before = trades.fingerprint();
        trades.columns[0].doc = "other words".to_owned();
        assert_eq!(trades.fingerprint(), before);
        let mut other = trades.clone();
        other.columns[3].kind = Type::String;
        assert_ne!(other.fingerprint(), before);
        let mut other = trades.clone();
        other.statuses.as_mut().unwrap().closed.pop();
        assert_ne!(other.fingerprint(), before);
        other.key = vec![1];
        assert_ne!(other.fingerprint(), trades.fingerprint());
    }
}
