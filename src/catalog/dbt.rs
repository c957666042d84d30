//! Sources and staging models for dbt: with dbt-duckdb they read the files, with dbt-athena the tables that the statements for
//! Athena make. Both take the same files.

use std::fmt::Write;

use super::{Catalog, doc, duckdb::read_parquet, list_of, name_in_query, quoted, versions_of};
use crate::schema::{Resource, Table};

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
        "# The lake at {}. dbt-duckdb reads its files where they are; for dbt-athena, `ddl athena` makes the tables, and the\n\
         # variable `lumetrade_schema` names their database. Freshness is that of the last change, not of the last poll.\n\
         version: 2\n\n\
         sources:\n\
         \x20 - name: lumetrade\n\
         \x20   schema: \"{{{{ var('lumetrade_schema', 'lumetrade') }}}}\"\n\
         \x20   tables:\n",
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
        text_in_yaml(&read_parquet(catalog, folder)),
    );
    if is_current && resource.statuses.is_some() {
        let _ = write!(
            yaml,
            "          loaded_at_field: '\"_observed_at\"'\n          freshness:\n            warn_after: {{count: {FRESH_DAYS}, period: day}}\n"
        );
    }
    yaml += "        columns:\n";
    for field in table.schema.fields() {
        let column = field.name();
        let _ = write!(
            yaml,
            "          - name: {column}\n            description: {}\n",
            text_in_yaml(doc(field.metadata()))
        );
        if column.starts_with('_') {
            yaml += "            quote: true\n";
        }
        let tests = tests(resource, table, column, is_current);
        if !tests.is_empty() {
            let _ = write!(yaml, "            data_tests:\n{}", tests.concat());
        }
    }
    yaml
}

/// What is to hold for a column.
fn tests(resource: &Resource, table: &Table, column: &str, is_current: bool) -> Vec<String> {
    let simple = |test: &str| format!("              - {test}\n");
    let one_of = |values: &[&str], severity: &str| {
        let values: Vec<String> = values.iter().map(|value| text_in_yaml(value)).collect();
        format!(
            "              - accepted_values:\n                  arguments: {{values: [{}]}}\n                  config: {{severity: {severity}}}\n",
            values.join(", ")
        )
    };
    match (column, list_of(resource, table)) {
        ("_op", _) if is_current => vec![simple("not_null"), one_of(&["added", "changed"], "error")],
        ("_op", _) => vec![simple("not_null"), one_of(&["added", "changed", "removed"], "error")],
        ("_seq" | "_observed_at" | "_first_seen_at" | "_poll_id", _) => vec![simple("not_null")],
        (column, Some((_, list))) if column == list.parent_key => {
            let key = &resource.columns[resource.key[0]].name;
            let refers = format!(
                "              - relationships:\n                  arguments: {{to: \"source('lumetrade', '{}')\", field: {key}}}\n",
                resource.name
            );
            vec![simple("not_null"), refers]
        }
        (_, Some(_)) => Vec::new(),
        (column, None) if resource.key.len() == 1 && resource.columns[resource.key[0]].name == column => {
            [simple("not_null")].into_iter().chain(is_current.then(|| simple("unique"))).collect()
        }
        (column, None) => {
            let statuses = resource.statuses.as_ref();
            let statuses = statuses.filter(|statuses| resource.columns[statuses.column].name == column);
            let documented = statuses.map(|statuses| statuses.open.iter().chain(&statuses.closed).map(String::as_str));
            // The API may have more than it documents: they are kept as they come.
            documented.map(|values| one_of(&values.collect::<Vec<_>>(), "warn")).into_iter().collect()
        }
    }
}

fn columns(table: &Table, partition: Option<&str>) -> String {
    let fields = table.schema.fields().iter().map(|field| name_in_query(field.name()));
    fields.chain(partition.map(str::to_owned)).collect::<Vec<_>>().join(",\n    ")
}

fn staging(catalog: &Catalog<'_>, resource: &Resource, table: &Table) -> String {
    format!(
        "-- {}\nselect\n    {}\nfrom {{{{ source('lumetrade', {}) }}}}\n",
        doc(table.schema.metadata()),
        columns(table, catalog.partition(resource)),
        quoted(&table.name),
    )
}

fn history(catalog: &Catalog<'_>, resource: &Resource) -> String {
    let (table, partition) = (&resource.tables()[0], catalog.partition(resource));
    let columns = columns(table, partition);
    format!(
        "-- {} One row a version, with the time for which it held.\n\
         with versions as (\n    select\n        *,\n        lead(\"_observed_at\") over (partition by {} order by \"_seq\") as valid_to\n\
         \x20   from {{{{ source('lumetrade', '{}_changes') }}}}\n)\n\n\
         select\n    {columns},\n    \"_observed_at\" as valid_from,\n    valid_to,\n    valid_to is null as is_current\n\
         from versions\nwhere \"_op\" <> 'removed'\n",
        doc(table.schema.metadata()),
        versions_of(resource, partition),
        resource.name,
    )
}

/// A text in YAML, which takes JSON's.
fn text_in_yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
