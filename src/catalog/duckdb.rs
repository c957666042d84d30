//! Views for DuckDB. They name folders and no files, so that they stay right as the lake grows.

use std::{collections::BTreeMap, fmt::Write};

use super::{Catalog, PARTITION, SOURCE_DOC, TypeNames, doc, is_open, key_of, list_of, quoted, type_name, versions_of};
use crate::schema::{EventPartition, List, Resource, SOURCE_COLUMN, SYSTEM_COLUMNS, Table};

const TYPES: TypeNames = TypeNames {
    text: "VARCHAR",
    decimal: "DECIMAL",
    bigint: "BIGINT",
    boolean: "BOOLEAN",
    date: "DATE",
    timestamp: "TIMESTAMP WITH TIME ZONE",
    member: |name, kind| format!("{name} {kind}"),
    list: |members| format!("STRUCT({members})[]"),
};

/// Digits of the number in a commit's name.
const SEQ_DIGITS: usize = 20;

/// What ends the name of a macro that gives what the API had said by a moment.
const AS_OF: &str = "_as_of";

/// A file that a glob found, as a path that means itself in another.
const ESCAPED_FILE: &str = "regexp_replace(file, '[*?[]', '[\\0]', 'g')";

/// Columns of a history, with what they mean.
const VALIDITY: [(&str, &str); 3] = [
    ("valid_from", "When a poll first saw this version."),
    ("valid_to", "When a poll first saw another, or that the record had gone; null for the last version."),
    ("is_current", "Whether this is what the API said last."),
];

/// Columns of `syncs`: where each stands in the footer, its type, and what it means.
const SYNCS: [(&str, &str, &str, &str); 16] = [
    ("resource", "$.resource", "VARCHAR", "The resource."),
    ("seq", "$.seq", "BIGINT", "Number of the commit, per resource and without gaps."),
    ("kind", "$.kind", "VARCHAR", "changes, removals, or void: a number that a sync claimed and did not use."),
    ("rows", "$.rows", "BIGINT", "Rows of the commit."),
    ("poll_id", "$.cursor.poll_id", "VARCHAR", "The poll that saw them."),
    ("observed_at", "$.cursor.observed_at", "TIMESTAMP", "When the poll began."),
    ("complete", "$.cursor.complete", "BOOLEAN", "Whether this is the poll's last commit."),
    ("body_bytes", "$.cursor.body_bytes", "BIGINT", "Length of the body that was polled."),
    ("known", "$.cursor.known", "BIGINT", "Records that had not gone."),
    ("open", "$.cursor.open", "BIGINT", "Of these, the ones that are expected to change."),
    ("newest_event_time", "$.cursor.newest_event_time", "TIMESTAMP", "Newest event time seen in any record."),
    ("full_poll_at", "$.cursor.full_poll_at", "TIMESTAMP", "When the last poll of the whole list began."),
    ("plan", "$.cursor.backfill.plan", "VARCHAR", "The plan of the backfill that they are of; null for a sync."),
    ("schema", "$.schema", "VARCHAR", "Fingerprint of the schema."),
    ("parent", "$.parent", "VARCHAR", "SHA-256 of the commit before."),
    ("lake", "$.lake", "VARCHAR", "Identity of the lake."),
];

pub(super) fn statements(catalog: &Catalog<'_>) -> String {
    let mut sql = String::new();
    // Writing to a string cannot fail.
    let _ = write!(sql, "{}", header(catalog));
    if let Some(schema) = catalog.schema {
        let _ = write!(sql, "\nCREATE SCHEMA IF NOT EXISTS \"{schema}\";\n");
    }
    for resource in catalog.resources {
        for table in resource.tables() {
            let views = match list_of(resource, &table) {
                None => of_records(catalog, resource, &table),
                Some((column, list)) => of_elements(catalog, resource, &table, column, list),
            };
            let _ = write!(sql, "\n-- {}\n\n{views}", table.name);
        }
    }
    let _ = write!(sql, "\n-- all resources\n\n{}{}", open_records(catalog), syncs(catalog));
    sql
}

/// The same for several lakes, each in its schema, and one view over all under each name.
pub(super) fn statements_of_all(catalogs: &[Catalog<'_>]) -> String {
    catalogs.iter().map(statements).collect::<String>() + &over_all(catalogs)
}

/// Views and macros over those of all lakes that have them, by their names. Each row says of which lake it is.
fn over_all(catalogs: &[Catalog<'_>]) -> String {
    let mut sql = "-- all profiles\n\n".to_owned();
    let mut over: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for catalog in catalogs {
        for name in names(catalog) {
            over.entry(name).or_default().extend(catalog.schema);
        }
    }
    for (name, schemas) in over {
        let call = if name.ends_with(AS_OF) { "(moment)" } else { "" };
        let each = schemas
            .iter()
            .map(|schema| format!("SELECT '{schema}' AS {SOURCE_COLUMN}, * FROM \"{schema}\".{name}{call}"));
        // By name, since what has other partitions has other columns.
        let query = each.collect::<Vec<_>>().join("\nUNION ALL BY NAME\n");
        if call.is_empty() {
            let text = format!("{name} of all profiles.");
            sql += &view(&name, &query, &text, &[(SOURCE_COLUMN, SOURCE_DOC)]);
        } else {
            sql += &as_of_macro(&name, &query);
        }
    }
    sql
}

/// What every lake has by name.
fn names(catalog: &Catalog<'_>) -> Vec<String> {
    let tables = catalog.resources.iter().flat_map(Resource::tables);
    let of_table = |table: Table| ["", "_changes", "_history", AS_OF].map(|rest| format!("{}{rest}", table.name));
    let open = catalog.resources.iter().any(|resource| resource.statuses.is_some()).then(|| "open_records".to_owned());
    tables.flat_map(of_table).chain(open).chain(["syncs".to_owned()]).collect()
}

fn header(catalog: &Catalog<'_>) -> String {
    let mut header = format!(
        "-- The lake at {}, as views. Run this at the beginning of a session: duckdb -init FILE\n\
         -- A table holds what the API said last; <table>_changes every version and removal that was seen; <table>_history the\n\
         -- versions, each with the time for which it held; <table>_as_of(time) what the API had said by then.\n",
        catalog.place()
    );
    if catalog.location.starts_with("s3://") {
        header += "-- It lies on S3. To read it: INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;\n\
                   -- CREATE SECRET (TYPE s3, PROVIDER credential_chain);\n";
    }
    header
}

/// Views of a resource's own table.
fn of_records(catalog: &Catalog<'_>, resource: &Resource, table: &Table) -> String {
    let name = &catalog.in_schema(&table.name);
    let partition = catalog.partition(resource);
    let record = versions_of(resource, partition);
    let (current, changes) = (current_rows(catalog, table, partition), versions(catalog, table, partition));
    let text = &doc(table.schema.metadata());
    let mut sql = find_snapshots(catalog, table, partition);
    sql += &view(name, &current, text, &columns(table, partition, &[]));
    let all = format!("{text} Every version that was seen, and every removal.");
    sql += &view(&format!("{name}_changes"), &changes, &all, &columns(table, partition, &[]));
    let history = format!(
        "SELECT * EXCLUDE (ended_at), _observed_at AS valid_from, ended_at AS valid_to, ended_at IS NULL AS is_current\n\
         FROM (\n\
         \x20   SELECT *, lead(_observed_at) OVER (PARTITION BY {record} ORDER BY _seq) AS ended_at FROM {name}_changes\n\
         )\n\
         WHERE _op <> 'removed'"
    );
    let each = format!("{text} One row a version, with the time for which it held.");
    sql += &view(&format!("{name}_history"), &history, &each, &columns(table, partition, &VALIDITY));
    let as_of = format!(
        "FROM {name}_changes\n\
         WHERE _observed_at <= CAST(moment AS TIMESTAMP WITH TIME ZONE)\n\
         QUALIFY row_number() OVER (PARTITION BY {record} ORDER BY _seq DESC) = 1 AND _op <> 'removed'"
    );
    sql + &as_of_macro(&format!("{name}{AS_OF}"), &as_of)
}

/// Views of the flat table of a list.
fn of_elements(catalog: &Catalog<'_>, resource: &Resource, table: &Table, column: &str, list: &List) -> String {
    let (name, parent) = (&catalog.in_schema(&table.name), &catalog.in_schema(&resource.name));
    let partition = catalog.partition(resource);
    let current = current_rows(catalog, table, partition);
    let text = &doc(table.schema.metadata());
    let system: Vec<&str> = SYSTEM_COLUMNS.iter().skip(1).map(|(name, _)| *name).chain(partition).collect();
    let flat = |from: &str, more: &[(&str, &str)]| {
        let passed: Vec<&str> = system.iter().copied().chain(more.iter().map(|(name, _)| *name)).collect();
        let (key, parent_key, passed) = (key_of(resource), &list.parent_key, passed.join(", "));
        format!(
            "SELECT {parent_key}, unnest(element), {passed}\n\
             FROM (\n    SELECT {key} AS {parent_key}, unnest({column}) AS element, {passed}\n    FROM {from}\n)"
        )
    };
    let mut sql = view(name, &current, text, &columns(table, partition, &[]));
    let all = format!("{text} Those of every version of {} that was seen.", resource.name);
    let changes = flat(&format!("{parent}_changes"), &[]);
    sql += &view(&format!("{name}_changes"), &changes, &all, &columns(table, partition, &[]));
    let versions = format!("{text} Those of each version of {}, with the time for which it held.", resource.name);
    let history = flat(&format!("{parent}_history"), &VALIDITY);
    sql += &view(&format!("{name}_history"), &history, &versions, &columns(table, partition, &VALIDITY));
    sql + &as_of_macro(&format!("{name}{AS_OF}"), &flat(&format!("{parent}{AS_OF}(moment)"), &[]))
}

/// The rows of the objects of a table in `current/`.
fn current_rows(catalog: &Catalog<'_>, table: &Table, partition: Option<&str>) -> String {
    let folder = format!("current/{}", table.name);
    if !catalog.has(&folder) {
        return no_rows(table, partition);
    }
    let columns = declared(table, None);
    format!(
        "SELECT {}\nFROM {}",
        row(catalog, partition, "data.parquet"),
        read_files(&quoted(&glob(catalog, &folder, partition)), &columns)
    )
}

/// All versions: those that were in snapshots when the session began, and the commits behind them. A session that was not begun
/// with the statements for that reads all commits.
fn versions(catalog: &Catalog<'_>, table: &Table, partition: Option<&str>) -> String {
    let name = &catalog.variable(&table.name);
    let folder = format!("changes/{}", table.name);
    if !catalog.has(&folder) {
        return no_rows(table, partition);
    }
    let commits = quoted(&glob(catalog, &folder, partition));
    let snapshots = format!("coalesce(getvariable('{name}_snapshots'), [{commits}])");
    let file_name = format!("{:0SEQ_DIGITS$}.parquet", 0);
    let number = format!("substr(filename, -{}, {SEQ_DIGITS})", file_name.len());
    let compacted = format!("coalesce(lpad(CAST(getvariable('{name}_compacted') AS VARCHAR), {SEQ_DIGITS}, '0'), '')");
    format!(
        "SELECT * EXCLUDE (filename)\nFROM {in_snapshots}\nWHERE getvariable('{name}_snapshots') IS NOT NULL\n\
         UNION ALL\n\
         SELECT {row}\nFROM {in_commits}\nWHERE {number} > {compacted}",
        in_snapshots = read_files(&snapshots, &declared(table, partition)),
        in_commits = read_files(&commits, &declared(table, None)),
        row = row(catalog, partition, &file_name),
    )
}

/// Statements that find the snapshots of a table, as far as each follows the one before it, and the last number that is in one.
/// What they find holds for a session: snapshots stay as they are, and what is committed or compacted later is read from the
/// commits.
fn find_snapshots(catalog: &Catalog<'_>, table: &Table, partition: Option<&str>) -> String {
    let name = &catalog.variable(&table.name);
    let folder = format!("changes/{}", table.name);
    if !catalog.has(&folder) {
        return String::new();
    }
    let set =
        |what: &str| if catalog.schema.is_some() { format!("\"{name}_{what}\"") } else { format!("{name}_{what}") };
    let (snapshots_found, compacted) = (set("snapshots"), set("compacted"));
    let snapshots = quoted(&glob(catalog, &format!("snapshots/{}", table.name), None));
    let commits = quoted(&glob(catalog, &folder, partition));
    format!(
        "SET VARIABLE {snapshots_found} = (SELECT list({ESCAPED_FILE} ORDER BY file) FROM glob({snapshots}));\n\
         SET VARIABLE {compacted} = (\n\
         \x20   WITH snapshots AS (\n\
         \x20       SELECT CAST(entry ->> '$.first' AS BIGINT) AS first, CAST(entry ->> '$.last' AS BIGINT) AS last FROM (\n\
         \x20           SELECT CAST(decode(value) AS JSON) AS entry\n\
         \x20           FROM parquet_kv_metadata(coalesce(getvariable('{name}_snapshots'), [{commits}]))\n\
         \x20           WHERE decode(key) = 'lumetrade.snapshot' AND getvariable('{name}_snapshots') IS NOT NULL\n\
         \x20       )\n\
         \x20   ), each AS (SELECT first, last, first = coalesce(lag(last) OVER (ORDER BY first), 0) + 1 AS follows FROM snapshots)\n\
         \x20   SELECT max(last) FROM (SELECT last, bool_and(follows) OVER (ORDER BY first) AS is_whole FROM each) WHERE is_whole\n\
         );\n\
         SET VARIABLE {snapshots_found} = nullif([\n\
         \x20   file FOR file IN getvariable('{name}_snapshots')\n\
         \x20   IF CAST(parse_filename(file, true) AS BIGINT) <= getvariable('{name}_compacted')\n\
         ], []);\n\n"
    )
}

/// No rows, with the columns of a table: a resource that has no object yet.
fn no_rows(table: &Table, partition: Option<&str>) -> String {
    let columns = declared(table, partition).into_iter().map(|(name, kind)| format!("NULL::{kind} AS {name}"));
    let columns: Vec<String> = columns.collect();
    format!(
        "-- There is nothing yet. Once there is, `ddl` says where.\nSELECT\n    {}\nWHERE false",
        columns.join(",\n    ")
    )
}

/// The columns that are declared, with their types.
fn declared(table: &Table, partition: Option<&str>) -> Vec<(String, String)> {
    let fields = table.schema.fields().iter().map(|field| (field.name().clone(), type_name(field, &TYPES)));
    fields.chain(partition.map(|column| (column.to_owned(), TYPES.text.to_owned()))).collect()
}

/// The columns of a file, and the partition that its folder is: text of one length before a name of one length, which is quicker
/// for thousands of files than to look for it.
fn row(catalog: &Catalog<'_>, partition: Option<&str>, file_name: &str) -> String {
    match partition {
        Some(column) => {
            let length = catalog.granularity.value(EventPartition::default()).unwrap_or_default().len();
            let start = length + "/".len() + file_name.len();
            format!("* EXCLUDE (filename), substr(filename, -{start}, {length}) AS {column}")
        }
        None => "* EXCLUDE (filename)".to_owned(),
    }
}

/// Files with these columns, each of which is null where a file lacks it. DuckDB reads no other columns then, and of a file that
/// is not needed not even its footer.
fn read_files(files: &str, columns: &[(String, String)]) -> String {
    let columns = columns
        .iter()
        .map(|(name, kind)| format!("    '{name}': {{name: '{name}', type: {}, default_value: NULL}}", quoted(kind)));
    let columns: Vec<String> = columns.collect();
    format!("read_parquet({files}, filename = true, schema = MAP {{\n{}\n}})", columns.join(",\n"))
}

/// The objects of a folder with partitions, or without.
fn glob(catalog: &Catalog<'_>, folder: &str, partition: Option<&str>) -> String {
    let partition = partition.map_or("", |_| "*/");
    format!("{}/{folder}/{partition}*.parquet", escaped(catalog.location))
}

/// The files of a folder with all their columns, each as it was declared when its file was written.
pub(super) fn read_parquet(catalog: &Catalog<'_>, folder: &str) -> String {
    let glob = format!("{}/{folder}/**/*.parquet", escaped(catalog.location));
    format!("read_parquet({}, union_by_name = true, hive_types_autocast = false)", quoted(&glob))
}

/// A path that means itself in a glob.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '*' | '?' | '[' => {
                escaped.push('[');
                escaped.push(character);
                escaped.push(']');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The columns of a view, with what they mean.
fn columns<'a>(table: &'a Table, partition: Option<&'a str>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fields = table.schema.fields().iter().map(|field| (field.name().as_str(), doc(field.metadata())));
    let partition = partition.map(|column| (column, PARTITION));
    fields.chain(partition).chain(more.iter().copied()).collect()
}

fn view(name: &str, query: &str, text: &str, columns: &[(&str, &str)]) -> String {
    let mut sql = format!("CREATE OR REPLACE VIEW {name} AS\n{query};\nCOMMENT ON VIEW {name} IS {};\n", quoted(text));
    for (column, meaning) in columns {
        let _ = writeln!(sql, "COMMENT ON COLUMN {name}.{column} IS {};", quoted(meaning));
    }
    sql + "\n"
}

fn as_of_macro(name: &str, query: &str) -> String {
    let text = quoted("What the API had said by a moment.");
    format!("CREATE OR REPLACE MACRO {name}(moment) AS TABLE\n{query};\nCOMMENT ON MACRO TABLE {name} IS {text};\n\n")
}

/// One row for each record that is expected to change: of those that only a file has told of, none is.
fn open_records(catalog: &Catalog<'_>) -> String {
    let each = catalog.resources.iter().filter_map(|resource| {
        let status = &resource.columns[resource.statuses.as_ref()?.column].name;
        let (name, key, is_open) = (&resource.name, key_of(resource), is_open(resource)?);
        Some(format!(
            "SELECT '{name}' AS resource, {key} AS key, {status} AS status, _first_seen_at AS first_seen_at,\n\
             \x20      _observed_at AS observed_at\n\
             FROM {table} WHERE {is_open} AND NOT starts_with(_poll_id, 'input-')",
            table = catalog.in_schema(name),
        ))
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() {
        return String::new();
    }
    let columns = [
        ("resource", "The resource."),
        ("key", "Key of the record."),
        ("status", "Its status, as received."),
        ("first_seen_at", "When the record was first observed."),
        ("observed_at", "When it was first seen as it is."),
    ];
    view(
        &catalog.in_schema("open_records"),
        &each.join("\nUNION ALL\n"),
        "Records that are expected to change.",
        &columns,
    )
}

/// One row for each commit, from what it says of itself.
fn syncs(catalog: &Catalog<'_>) -> String {
    let is_there = catalog.resources.iter().any(|resource| catalog.has(&format!("changes/{}", resource.name)));
    let value = |(name, path, kind, _): &(&str, &str, &str, &str)| match *kind {
        "TIMESTAMP" => format!("make_timestamptz(CAST(footer ->> '{path}' AS BIGINT)) AS {name}"),
        kind => format!("CAST(footer ->> '{path}' AS {kind}) AS {name}"),
    };
    let values = SYNCS.iter().map(value).collect::<Vec<_>>().join(",\n       ");
    let footers = if is_there {
        format!(
            "(\n    SELECT CAST(decode(value) AS JSON) AS footer\n    FROM parquet_kv_metadata({})\n    \
             WHERE decode(key) = 'lumetrade.commit'\n)",
            quoted(&format!("{}/changes/**/*.parquet", escaped(catalog.location)))
        )
    } else {
        "(SELECT CAST(NULL AS JSON) AS footer WHERE false)".to_owned()
    };
    let columns: Vec<_> = SYNCS.iter().map(|(name, _, _, meaning)| (*name, *meaning)).collect();
    view(
        &catalog.in_schema("syncs"),
        &format!("SELECT {values}\nFROM {footers}"),
        "One row a commit, from its own footer.",
        &columns,
    )
}
