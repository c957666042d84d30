//! Sources and staging models for dbt: with dbt-duckdb they read the files, with dbt-athena the tables that the statements for
//! Athena make. Both take the same files.

use std::fmt::Write;

use super::{
    Catalog, PARTITION, SOURCE_DOC, doc, duckdb::read_parquet, key_of, list_of, name_in_query, quoted, versions_of,
};
use crate::schema::{Resource, SOURCE_COLUMN, Table};

/// Where dbt looks for models.
const FOLDER: &str = "models/staging/lumetrade";
/// Days without a change after which dbt warns, of what changes every day.
const FRESH_DAYS: u32 = 2;

/// The files, by their paths in a project.
pub(super) fn files(catalog: &Catalog<'_>) -> Vec<(String, String)> {
    let mut files = vec![(format!("{FOLDER}/_lumetrade__sources.yml"), sources(catalog))];
    for resource in catalog.resources {
        for table in resource.tables().iter().filter(|table| catalog.has(&format!("current/{}", table.name))) {
            files.push((format!("{FOLDER}/stg_lumetrade__{}.sql", table.name), staging(catalog, resource, table)));
        }
        if catalog.has(&format!("changes/{}", resource.name)) {
            let model = format!("{FOLDER}/stg_lumetrade__{}_history.sql", resource.name);
            files.push((model, history(catalog, resource)));
        }
    }
    files
}

fn sources(catalog: &Catalog<'_>) -> String {
    let mut yaml = format!(
        "# The {} at {}. dbt-duckdb reads its files where they are; for dbt-athena, `ddl athena` makes the tables, and the\n\
         # variable `lumetrade_schema` names their database. Freshness is that of the last change, not of the last poll.\n\
         version: 2\n\n\
         sources:\n\
         \x20 - name: lumetrade\n\
         \x20   schema: \"{{{{ var('lumetrade_schema', 'lumetrade') }}}}\"\n\
         \x20   tables:\n",
        catalog.what(),
        catalog.place(),
    );
    for resource in catalog.resources {
        for table in &resource.tables() {
            yaml += &source(catalog, resource, table, &table.name, &format!("current/{}", table.name), true);
        }
        let own = &resource.tables()[0];
        let (name, folder) = (format!("{}_changes", resource.name), format!("changes/{}", resource.name));
        yaml += &source(catalog, resource, own, &name, &folder, false);
    }
    yaml
}

/// A table with its columns and what is to hold for them; nothing if it has no file yet.
fn source(
    catalog: &Catalog<'_>,
    resource: &Resource,
    table: &Table,
    name: &str,
    folder: &str,
    is_current: bool,
) -> String {
    if !catalog.has(folder) {
        return String::new();
    }
    let text = if is_current { "One row a record." } else { "Every version that was seen, and every removal." };
    let mut yaml = format!(
        "      - name: {name}\n        description: {}\n        config:\n          meta:\n            external_location: {}\n",
        text_in_yaml(&format!("{} {text}", doc(table.schema.metadata()))),
        text_in_yaml(&rows(catalog, folder)),
    );
    if is_current && resource.statuses.is_some() {
        let _ = write!(
            yaml,
            "          loaded_at_field: '\"_observed_at\"'\n          freshness:\n            warn_after: {{count: {FRESH_DAYS}, period: day}}\n"
        );
    }
    yaml += &listed("        ", &tests_of_table(catalog, resource, table, is_current));
    yaml += "        columns:\n";
    for field in table.schema.fields() {
        yaml += &column(field.name(), doc(field.metadata()));
        if field.name().starts_with('_') {
            yaml += "            quote: true\n";
        }
        yaml += &listed("            ", &tests_of_column(resource, table, field.name(), is_current));
    }
    for partition in catalog.partitions(resource) {
        yaml += &column(partition, if partition == SOURCE_COLUMN { SOURCE_DOC } else { PARTITION });
    }
    yaml
}

fn column(name: &str, text: &str) -> String {
    format!("          - name: {name}\n            description: {}\n", text_in_yaml(text))
}

/// Tests, as what they are of lists them.
fn listed(indent: &str, tests: &[String]) -> String {
    if tests.is_empty() {
        return String::new();
    }
    let tests: String = tests.iter().map(|test| format!("{indent}  - {test}\n")).collect();
    format!("{indent}data_tests:\n{tests}")
}

/// The rows of a folder: of several lakes, those that have been told of, whatever else lies beside them.
fn rows(catalog: &Catalog<'_>, folder: &str) -> String {
    let names: Vec<String> = catalog.sources.iter().map(|name| quoted(name)).collect();
    match names.as_slice() {
        [] => read_parquet(catalog, folder),
        names => {
            let all = read_parquet(catalog, &format!("{SOURCE_COLUMN}=*/{folder}"));
            format!("(SELECT * FROM {all} WHERE {SOURCE_COLUMN} IN ({}))", names.join(", "))
        }
    }
}

/// What is to hold for a table: that a record is there once, or that what its rows are of is there.
fn tests_of_table(catalog: &Catalog<'_>, resource: &Resource, table: &Table, is_current: bool) -> Vec<String> {
    let key = text_in_yaml(&identity(catalog, &key_of(resource)));
    match list_of(resource, table) {
        None if is_current => vec![format!("unique: {{arguments: {{column_name: {key}}}}}")],
        None => Vec::new(),
        Some((_, list)) => vec![format!(
            "relationships: {{arguments: {{column_name: {}, to: \"source('lumetrade', '{}')\", field: {key}}}}}",
            text_in_yaml(&identity(catalog, &list.parent_key)),
            resource.name
        )],
    }
}

/// What tells a record from all others, whichever lake it is in.
fn identity(catalog: &Catalog<'_>, key: &str) -> String {
    if catalog.sources.is_empty() { key.to_owned() } else { format!("{SOURCE_COLUMN} || '/' || {key}") }
}

/// What is to hold for a column.
fn tests_of_column(resource: &Resource, table: &Table, column: &str, is_current: bool) -> Vec<String> {
    let not_null = || vec!["not_null".to_owned()];
    let one_of = |values: &[&str], severity: &str| {
        let values: Vec<String> = values.iter().map(|value| text_in_yaml(value)).collect();
        let values = values.join(", ");
        format!("accepted_values: {{arguments: {{values: [{values}]}}, config: {{severity: {severity}}}}}")
    };
    match (column, list_of(resource, table)) {
        ("_op", _) if is_current => [not_null(), vec![one_of(&["added", "changed"], "error")]].concat(),
        ("_op", _) => [not_null(), vec![one_of(&["added", "changed", "removed"], "error")]].concat(),
        ("_seq" | "_observed_at" | "_first_seen_at" | "_poll_id", _) => not_null(),
        (column, Some((_, list))) if column == list.parent_key => not_null(),
        (_, Some(_)) => Vec::new(),
        (column, None) if key_of(resource) == column => not_null(),
        (column, None) => {
            let statuses = resource.statuses.as_ref();
            let statuses = statuses.filter(|statuses| resource.columns[statuses.column].name == column);
            let documented = statuses.map(|statuses| statuses.open.iter().chain(&statuses.closed).map(String::as_str));
            // The API may have more than it documents: they are kept as they come.
            documented.map(|values| one_of(&values.collect::<Vec<_>>(), "warn")).into_iter().collect()
        }
    }
}

fn columns(catalog: &Catalog<'_>, resource: &Resource, table: &Table) -> String {
    let fields = table.schema.fields().iter().map(|field| name_in_query(field.name()));
    fields.chain(catalog.partitions(resource).map(str::to_owned)).collect::<Vec<_>>().join(",\n    ")
}

fn staging(catalog: &Catalog<'_>, resource: &Resource, table: &Table) -> String {
    format!(
        "-- {}\nselect\n    {}\nfrom {{{{ source('lumetrade', {}) }}}}\n",
        doc(table.schema.metadata()),
        columns(catalog, resource, table),
        quoted(&table.name),
    )
}

fn history(catalog: &Catalog<'_>, resource: &Resource) -> String {
    let table = &resource.tables()[0];
    format!(
        "-- {} One row a version, with the time for which it held.\n\
         with versions as (\n    select\n        *,\n        lead(\"_observed_at\") over (partition by {} order by \"_seq\") as valid_to\n\
         \x20   from {{{{ source('lumetrade', '{}_changes') }}}}\n)\n\n\
         select\n    {},\n    \"_observed_at\" as valid_from,\n    valid_to,\n    valid_to is null as is_current\n\
         from versions\nwhere \"_op\" <> 'removed'\n",
        doc(table.schema.metadata()),
        versions_of(resource, catalog.partitions(resource)),
        resource.name,
        columns(catalog, resource, table),
    )
}

/// A text in YAML, which takes JSON's.
fn text_in_yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
