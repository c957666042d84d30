//! `ddl` prints statements that give a database the lake's tables; here they are run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use chrono::TimeDelta;
use serde_json::Value;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, program, program_on, program_without_credentials, run},
    rows::{Records, assert_same_records, changes, elements, elements_in, records_in},
    s3::{Options, S3},
    sandbox::Sandbox,
    tables::{RESOURCES, Resource},
};

/// Without credentials and without an API.
fn ddl(lake: &Path, folder: &Path, args: &[&str]) -> Ended {
    run(program_without_credentials(folder).arg("ddl").args(args).arg("--lake").arg(lake))
}

/// The statements for DuckDB, which run there.
fn views(lake: &Lake) -> (DuckDb, String) {
    let printed = ddl(lake.path(), lake.folder(), &["duckdb"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:?}");
    let mut duckdb = DuckDb::start();
    duckdb.query(&printed.stdout);
    (duckdb, printed.stdout)
}

/// What the sandbox says is true of every resource that it serves.
fn truths(sandbox: &Sandbox) -> BTreeMap<&'static str, Records> {
    let resources = RESOURCES.map(|name| (name, Resource::named(name)));
    let served = resources.into_iter().filter(|(_, resource)| !resource.optional);
    served.map(|(name, resource)| (name, sandbox.truth(&resource))).collect()
}

fn count(duckdb: &mut DuckDb, sql: &str) -> u64 {
    duckdb.value(&format!("SELECT CAST(count(*) AS VARCHAR) FROM {sql}")).parse().unwrap()
}

#[test]
fn the_views_are_the_truth_at_every_sync_and_stay_so_as_the_lake_grows() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(61, 3000));
    Sync::new(&lake, &sandbox.url()).succeed();
    // Printed once, when there is one commit; what follows is seen all the same.
    let (mut duckdb, _) = views(&lake);
    let moment = |duckdb: &mut DuckDb| duckdb.value("SELECT CAST(max(observed_at) AS VARCHAR) FROM syncs");
    let mut said = vec![(moment(&mut duckdb), truths(&sandbox))];
    for days in [1, 1, 3, 7, 1, 14, 30, 1, 2, 1, 5] {
        sandbox.advance(TimeDelta::days(days));
        Sync::new(&lake, &sandbox.url()).arg("--accept-removals").succeed();
        said.push((moment(&mut duckdb), truths(&sandbox)));
    }
    let before = lake.listing();
    for (name, now) in &said.last().unwrap().1 {
        let resource = Resource::named(name);
        assert_same_records(&records_in(&mut duckdb, &resource, name), now, name);
        for (moment, then) in &said {
            let as_of = format!("{name}_as_of('{moment}')");
            // A resource that did not change was last observed before.
            assert_same_records(&records_in(&mut duckdb, &resource, &as_of), &then[name], &as_of);
        }
        for (list, table) in resource.flat_tables() {
            assert_eq!(elements_in(&mut duckdb, list, &table.name), elements(now, list), "{}", table.name);
            let latest = format!("{}_history WHERE is_current", table.name);
            assert_eq!(elements_in(&mut duckdb, list, &latest), elements(now, list), "{latest}");
            for (moment, then) in &said {
                let as_of = format!("{}_as_of('{moment}')", table.name);
                assert_eq!(elements_in(&mut duckdb, list, &as_of), elements(&then[name], list), "{as_of}");
            }
        }
        assert_history(&mut duckdb, &lake, &resource);
    }
    let commits = lake.files_below("changes").len() as u64;
    assert_eq!(count(&mut duckdb, "syncs"), commits);
    let rows = "SELECT CAST(sum(rows) AS VARCHAR) FROM syncs WHERE resource = 'trades'";
    assert_eq!(duckdb.value(rows), count(&mut duckdb, "trades_changes").to_string());
    assert_untouched(&before, &lake.listing(), "ddl and queries");
}

/// Each version holds from when it was seen until the next was, or the record had gone.
fn assert_history(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource) {
    let name = &resource.name;
    let mut expected = BTreeSet::new();
    let versions = changes(duckdb, lake, resource);
    for (nth, version) in versions.iter().enumerate() {
        let next = versions[nth + 1..].iter().find(|later| later.key == version.key);
        if version.operation != "removed" {
            let until = next.map_or("null".to_owned(), |next| next.observed_at.clone());
            expected.insert((version.seq.to_string(), version.key.clone(), version.observed_at.clone(), until));
        }
    }
    let key = format!("coalesce({})", resource.key.join(", "));
    let time = |column: &str| format!("strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')");
    let sql = format!(
        "SELECT CAST(_seq AS VARCHAR), {key}, {}, coalesce({}, 'null'), CAST(is_current AS VARCHAR) FROM {name}_history",
        time("valid_from"),
        time("valid_to"),
    );
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    let rows = duckdb.query(&sql).rows;
    assert!(rows.iter().all(|row| (text(&row[3]) == "null") == (row[4] == "true")), "{name}");
    let found: Vec<_> = rows.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]), text(&row[3]))).collect();
    assert_eq!(found.len(), expected.len(), "{name}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{name}");
}

#[test]
fn open_records_are_those_that_are_expected_to_change() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(62, 2000));
    Sync::new(&lake, &sandbox.url()).succeed();
    let (mut duckdb, _) = views(&lake);
    let mut expected = BTreeSet::new();
    for (name, records) in truths(&sandbox) {
        let Some(status) = Resource::named(name).status else { continue };
        let is_open = |row: &&Value| status.open.iter().any(|open| **row == **open);
        let open = records.iter().filter(|(_, row)| row.get(&status.column).filter(is_open).is_some());
        expected.extend(
            open.map(|(key, row)| (name.to_owned(), key.clone(), row[&status.column].as_str().unwrap().to_owned())),
        );
    }
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    let found = duckdb.query("SELECT resource, key, status FROM open_records").rows;
    let found: BTreeSet<_> = found.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn every_column_is_described_and_what_is_not_there_yet_is_empty() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(63, 50));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let (mut duckdb, _) = views(&lake);
    for resource in Resource::all() {
        for view in ["", "_changes", "_history"] {
            let rows = count(&mut duckdb, &format!("{}{view}", resource.name));
            assert_eq!(rows > 0, resource.name == "trades", "{}{view}", resource.name);
        }
        let described = duckdb.describe(&format!("FROM {}", resource.name));
        for column in &resource.columns {
            let found = described.iter().find(|(name, _)| *name == column.name);
            assert_eq!(found, Some(&(column.name.clone(), column.duckdb_type())), "{}", resource.name);
            let comment = format!(
                "SELECT comment FROM duckdb_columns() WHERE table_name = '{}' AND column_name = '{}'",
                resource.name, column.name
            );
            assert_eq!(duckdb.value(&comment), column.doc);
        }
    }
    let undescribed = "duckdb_columns() WHERE NOT internal AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
    let undescribed = "duckdb_views() WHERE NOT internal AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
    let undescribed = "duckdb_functions() WHERE NOT internal AND function_type = 'table_macro' AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
}

#[test]
fn a_filter_on_the_partition_reads_its_files_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(64, 2000));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let (mut duckdb, _) = views(&lake);
    for view in ["trades", "trades_changes", "trades_history"] {
        let sql = format!("EXPLAIN ANALYZE SELECT sum(to_amount) FROM {view} WHERE event_month = '2026-03'");
        let plan = duckdb.query(&sql).rows[0][1].as_str().unwrap().to_owned();
        assert!(plan.contains("Total Files Read: 1"), "{view}: {plan}");
    }
}

#[test]
fn columns_that_were_declared_later_are_null_before() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"ZAR","label":"a"}]"#);
    let schemas = lake.folder().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let builtin = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/wallets.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&builtin).unwrap();
    Sync::of(&lake, &api.url(), "wallets").succeed();
    let label = serde_json::json!({"name": "label", "json": "label", "type": "string", "doc": "A label."});
    schema["columns"].as_array_mut().unwrap().push(label);
    fs::write(schemas.join("wallets.json"), schema.to_string()).unwrap();
    let printed = ddl(lake.path(), lake.folder(), &["duckdb", "--schemas", schemas.to_str().unwrap()]);
    let mut duckdb = DuckDb::start();
    duckdb.query(&printed.stdout);
    let labels = "SELECT coalesce(string_agg(coalesce(label, 'null'), ',' ORDER BY _seq), '') FROM wallets_changes";
    assert_eq!(duckdb.value(labels), "null", "declared, and in no file");
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"ZAR","label":"a"},{"id":"w2","label":"b"}]"#);
    Sync::of(&lake, &api.url(), "wallets").schemas(schemas).succeed();
    assert_eq!(duckdb.value(labels), "null,b");
}

#[test]
fn a_folder_may_have_any_name() {
    let (place, sandbox) = (tempfile::tempdir().unwrap(), Sandbox::start(65, 20));
    for name in ["it's", "a [b] *?", "\"x\" -- y", "üñí", "semi;colon"] {
        let lake = place.path().join(name);
        let mut sync = program(place.path());
        let ended = run(sync.args(["sync", "--resource", "trades", "--base-url", &sandbox.url(), "--lake"]).arg(&lake));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        let printed = ddl(&lake, place.path(), &["duckdb"]);
        let mut duckdb = DuckDb::start();
        duckdb.query(&printed.stdout);
        assert!(count(&mut duckdb, "trades_history") > 0, "{name}");
    }
}

#[test]
fn without_a_lake_there_is_nothing_to_print_and_athena_reads_from_s3_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(66, 20));
    let missing = ddl(lake.path(), lake.folder(), &["duckdb"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(78), ""), "{missing:?}");
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    for args in [&["athena"][..], &["athena", "--glue"]] {
        let local = ddl(lake.path(), lake.folder(), args);
        assert_eq!((local.code, local.stdout.as_str()), (Some(78), ""), "{local:?}");
        assert!(local.stderr.contains("Athena and Glue read from S3"), "{}", local.stderr);
    }
}
