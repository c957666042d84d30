//! External tables and views for Athena, whose statements about tables are Hive's and whose queries are Trino's.
//!
//! Which partitions there are is told by a rule and not by a crawler: partition projection, as AWS documents it in
//! <https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>. A projection has a range, and
//! what lies outside of it is not seen, so the range is far wider than what a lake holds.
//!
//! Athena takes milliseconds of a Hive timestamp. The files hold microseconds; read as BIGINT they come whole, so there is a
//! second table of `changes/` which has them as such, and the views are made from it.

use std::fmt::Write;

use arrow_schema::{DataType, Field};
use chrono::{DateTime, Months, NaiveDate};
use serde_json::{Value, json};

use super::{Catalog, PARTITION, SOURCE_DOC, TypeNames, doc, key_of, list_of, name_in_query, type_name, versions_of};
use crate::schema::{EventPartition, Granularity, List, Resource, SOURCE_COLUMN, SYSTEM_COLUMNS, Table};

const TYPES: TypeNames = TypeNames {
    text: "string",
    decimal: "decimal",
    bigint: "bigint",
    boolean: "boolean",
    date: "date",
    timestamp: "timestamp",
    member: |name, kind| format!("{name}:{kind}"),
    list: |members| format!("array<struct<{}>>", members.replace(", ", ",")),
};

/// The same with times as whole microseconds.
const TYPES_IN_MICROS: TypeNames = TypeNames { timestamp: "bigint", ..TYPES };

/// The first day for which a projection looks for records, unless the lake holds older ones.
const OLDEST_YEAR: i32 = 2015;
/// Months from now on for which it looks for records, unless the lake holds later ones.
const MONTHS_AHEAD: u32 = 12;

pub(super) fn statements(catalog: &Catalog<'_>) -> String {
    let mut sql = format!(
        "-- The {} at {}, for Athena: run each statement by itself, in the database and workgroup of your choice.\n\
         -- A table holds what the API said last; <table>_changes every version and removal that was seen, and\n\
         -- <table>_changes_us the same with times as microseconds since 1970, since Athena takes milliseconds of a timestamp;\n\
         -- <table>_history is a view of the versions, each with the time for which it held, and with both forms of its times.\n\
         -- EXECUTE <table>_as_of USING timestamp '2026-06-01 00:00:00' is what the API had said by then.\n",
        catalog.what(),
        catalog.place(),
    );
    for resource in catalog.resources {
        if let Some((from, to)) = catalog.partition(resource).and_then(|_| range(catalog)) {
            let _ = write!(
                sql,
                "\n-- {}: partitions from {from} to {to} are looked for. What lies outside is not seen.\n",
                resource.name
            );
        }
        for external in tables_of(catalog, resource) {
            let _ = write!(sql, "\n{}", external.statement());
        }
        for table in resource.tables() {
            let view = match list_of(resource, &table) {
                None => history(catalog, resource, &table),
                Some((column, list)) => history_of_elements(catalog, resource, &table, column, list),
            };
            let _ = write!(sql, "\n{view}\n{}", as_of(&table.name));
        }
    }
    sql
}

pub(super) fn glue(catalog: &Catalog<'_>) -> String {
    let externals = catalog.resources.iter().flat_map(|resource| tables_of(catalog, resource));
    externals.map(|external| external.input().to_string() + "\n").collect()
}

/// A table over the files of a folder.
struct External {
    name: String,
    text: String,
    /// Name, type and meaning.
    columns: Vec<(String, String, String)>,
    /// A folder that has all of its files, and how those of a partition are found.
    location: String,
    template: String,
    partitions: Vec<Projection>,
}

/// By which rule the values of a partition column are found.
#[derive(Clone)]
struct Projection {
    column: &'static str,
    text: &'static str,
    /// Its properties, by their names behind the column's.
    rule: Vec<(&'static str, String)>,
}

fn tables_of(catalog: &Catalog<'_>, resource: &Resource) -> Vec<External> {
    let partitions: Vec<_> = projections(catalog, resource).collect();
    let external = |name: String, folder: String, table: &Table, types: &TypeNames, text: &str| {
        let column = |field: &std::sync::Arc<Field>| {
            (field.name().clone(), type_name(field, types), doc(field.metadata()).to_owned())
        };
        External {
            name,
            text: [doc(table.schema.metadata()), text].join(" ").trim_end().to_owned(),
            columns: table.schema.fields().iter().map(column).collect(),
            location: match catalog.sources {
                [] => format!("{}/{folder}/", catalog.location),
                _ => format!("{}/", catalog.location),
            },
            template: template(catalog, resource, &folder),
            partitions: partitions.clone(),
        }
    };
    let tables = resource.tables();
    let current = |table: &Table| external(table.name.clone(), format!("current/{}", table.name), table, &TYPES, "");
    let changes = |suffix: &str, types: &TypeNames, text: &str| {
        let folder = format!("changes/{}", resource.name);
        external(format!("{}_changes{suffix}", resource.name), folder, &tables[0], types, text)
    };
    let every = "Every version that was seen, and every removal.";
    let in_micros = "Every version that was seen, and every removal; times are microseconds since 1970 UTC.";
    let logs = [changes("", &TYPES, every), changes("_us", &TYPES_IN_MICROS, in_micros)];
    tables.iter().map(current).chain(logs).collect()
}

/// Where the files of a partition are.
fn template(catalog: &Catalog<'_>, resource: &Resource, folder: &str) -> String {
    let of = |column: &str| format!("{column}=${{{column}}}/");
    let source = if catalog.sources.is_empty() { String::new() } else { of(SOURCE_COLUMN) };
    let partition = catalog.partition(resource).map(of).unwrap_or_default();
    format!("{}/{source}{folder}/{partition}", catalog.location)
}

fn projections(catalog: &Catalog<'_>, resource: &Resource) -> impl Iterator<Item = Projection> {
    let rule = vec![("type", "enum".to_owned()), ("values", catalog.sources.join(","))];
    let source = Projection { column: SOURCE_COLUMN, text: SOURCE_DOC, rule };
    let source = (!catalog.sources.is_empty()).then_some(source);
    source.into_iter().chain(projection_of_time(catalog, resource))
}

fn projection_of_time(catalog: &Catalog<'_>, resource: &Resource) -> Option<Projection> {
    let (format, unit) = match catalog.granularity {
        Granularity::Day => ("yyyy-MM-dd", "DAYS"),
        Granularity::Month => ("yyyy-MM", "MONTHS"),
        Granularity::Year => ("yyyy", "YEARS"),
        Granularity::None => return None,
    };
    let (from, to) = range(catalog)?;
    let rule = [
        ("type", "date"),
        ("format", format),
        ("range", &format!("{from},{to}")),
        ("interval", "1"),
        ("interval.unit", unit),
    ];
    let rule = rule.map(|(what, value)| (what, value.to_owned())).to_vec();
    Some(Projection { column: catalog.partition(resource)?, text: PARTITION, rule })
}

/// First and last partition that are looked for, as they are named in paths; the last may be relative to the time of a query.
fn range(catalog: &Catalog<'_>) -> Option<(String, String)> {
    let granularity = catalog.granularity;
    let name = |partition: EventPartition| granularity.value(partition);
    let held = || catalog.folders.iter().filter_map(|folder| granularity.parse_folder(folder.rsplit('/').next()?));
    let first = EventPartition(NaiveDate::from_ymd_opt(OLDEST_YEAR, 1, 1)?.to_epoch_days());
    let first = held().min().map_or(first, |oldest| oldest.min(first));
    let ahead = DateTime::from_timestamp_micros(catalog.now)?.date_naive() + Months::new(MONTHS_AHEAD);
    let last = match held().max() {
        Some(newest) if newest.0 > ahead.to_epoch_days() => name(newest)?,
        _ => format!("NOW+{MONTHS_AHEAD}MONTHS"),
    };
    Some((name(first)?, last))
}

impl External {
    fn properties(&self) -> Vec<(String, String)> {
        let mut properties = vec![("classification".to_owned(), "parquet".to_owned())];
        if self.partitions.is_empty() {
            return properties;
        }
        properties.push(("projection.enabled".to_owned(), "true".to_owned()));
        for Projection { column, rule, .. } in &self.partitions {
            properties.extend(rule.iter().map(|(what, value)| (format!("projection.{column}.{what}"), value.clone())));
        }
        properties.push(("storage.location.template".to_owned(), self.template.clone()));
        properties
    }

    fn statement(&self) -> String {
        let column = |name: &str, kind: &str, text: &str| format!("  `{name}` {kind} COMMENT {}", hive_text(text));
        let columns: Vec<_> = self.columns.iter().map(|(name, kind, text)| column(name, kind, text)).collect();
        let partitions = self.partitions.iter().map(|projection| column(projection.column, "string", projection.text));
        let partition = match partitions.collect::<Vec<_>>().join(",\n") {
            none if none.is_empty() => none,
            columns => format!("PARTITIONED BY (\n{columns}\n)\n"),
        };
        let property = |(key, value): &(String, String)| format!("  {} = {}", hive_text(key), hive_text(value));
        format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS `{}` (\n{}\n)\nCOMMENT {}\n{partition}STORED AS PARQUET\nLOCATION {}\n\
             TBLPROPERTIES (\n{}\n);\n",
            self.name,
            columns.join(",\n"),
            hive_text(&self.text),
            hive_text(&self.location),
            self.properties().iter().map(property).collect::<Vec<_>>().join(",\n"),
        )
    }

    /// What `aws glue create-table --cli-input-json` takes, but for the name of the database.
    fn input(&self) -> Value {
        let column = |name: &str, kind: &str, text: &str| json!({"Name": name, "Type": kind, "Comment": text});
        let partitions = self.partitions.iter().map(|projection| column(projection.column, "string", projection.text));
        let properties = self.properties().into_iter().chain([("EXTERNAL".to_owned(), "TRUE".to_owned())]);
        json!({"TableInput": {
            "Name": self.name,
            "Description": self.text,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": properties.map(|(key, value)| (key, Value::from(value))).collect::<serde_json::Map<_, _>>(),
            "PartitionKeys": partitions.collect::<Vec<_>>(),
            "StorageDescriptor": {
                "Columns": self.columns.iter().map(|(name, kind, text)| column(name, kind, text)).collect::<Vec<_>>(),
                "Location": self.location,
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                    "Parameters": {"serialization.format": "1"},
                },
            },
        }})
    }
}

/// A text in a statement about a table, which Hive reads.
fn hive_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A column of a view: as it is, or a time in both its forms.
fn shown(field: &Field, prefix: &str) -> String {
    let column = name_in_query(field.name());
    match field.data_type() {
        DataType::Timestamp(..) => times(&format!("{prefix}{column}"), field.name()),
        _ => format!("{prefix}{column}"),
    }
}

/// A time as a timestamp and as microseconds.
fn times(micros: &str, column: &str) -> String {
    let timestamp = format!("date_add('millisecond', {micros} / 1000, timestamp '1970-01-01 00:00:00.000')");
    format!("{timestamp} AS {}, {micros} AS {}", name_in_query(column), name_in_query(&format!("{column}_us")))
}

fn history(catalog: &Catalog<'_>, resource: &Resource, table: &Table) -> String {
    let versions = versions_of(resource, catalog.partitions(resource));
    let columns = table.schema.fields().iter().map(|field| shown(field, ""));
    let columns =
        columns.chain(catalog.partitions(resource).map(str::to_owned)).chain(validity("\"_observed_at\"", "ended_at"));
    format!(
        "CREATE OR REPLACE VIEW {table}_history AS\n\
         SELECT\n  {columns}\n\
         FROM (\n\
         \x20 SELECT *, lead(\"_observed_at\") OVER (PARTITION BY {versions} ORDER BY \"_seq\") AS ended_at FROM {table}_changes_us\n\
         )\n\
         WHERE \"_op\" <> 'removed';\n",
        table = table.name,
        columns = columns.collect::<Vec<_>>().join(",\n  "),
    )
}

/// What a history says of the time for which a version held, from where it begins and ends in microseconds.
fn validity(from: &str, to: &str) -> [String; 3] {
    [times(from, "valid_from"), times(to, "valid_to"), format!("{to} IS NULL AS is_current")]
}

/// From the history of the records whose lists they are, which has its times in both forms.
fn history_of_elements(catalog: &Catalog<'_>, resource: &Resource, table: &Table, column: &str, list: &List) -> String {
    let (key, fields) = (format!("record.{} AS {}", key_of(resource), list.parent_key), table.schema.fields());
    let system: Vec<&str> = SYSTEM_COLUMNS.iter().skip(1).map(|(name, _)| *name).collect();
    let (passed, own): (Vec<_>, Vec<_>) =
        fields.iter().skip(1).partition(|field| system.contains(&field.name().as_str()));
    let both = |column: &str| [column.to_owned(), format!("{column}_us")];
    let passed = passed.iter().flat_map(|field| match field.data_type() {
        DataType::Timestamp(..) => both(field.name()).to_vec(),
        _ => vec![field.name().clone()],
    });
    let validity = both("valid_from").into_iter().chain(both("valid_to")).chain(["is_current".to_owned()]);
    let passed = passed.chain(catalog.partitions(resource).map(str::to_owned)).chain(validity);
    let columns = std::iter::once(key)
        .chain(own.iter().map(|field| shown(field, "element.")))
        .chain(passed.map(|column| format!("record.{}", name_in_query(&column))));
    format!(
        "CREATE OR REPLACE VIEW {}_history AS\n\
         SELECT\n  {}\n\
         FROM {}_history record\n\
         CROSS JOIN UNNEST(record.{column}) AS element ({});\n",
        table.name,
        columns.collect::<Vec<_>>().join(",\n  "),
        resource.name,
        own.iter().map(|field| name_in_query(field.name())).collect::<Vec<_>>().join(", "),
    )
}

fn as_of(table: &str) -> String {
    format!(
        "PREPARE {table}_as_of FROM\n\
         SELECT h.* FROM {table}_history h CROSS JOIN (SELECT CAST(? AS timestamp(3)) AS moment) m\n\
         WHERE h.valid_from <= m.moment AND (h.valid_to IS NULL OR h.valid_to > m.moment);\n"
    )
}
