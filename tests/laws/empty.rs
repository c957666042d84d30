//! A resource without a record has its table all the same, with its types and what its columns mean.

use std::{collections::BTreeMap, fs::File};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::Sync,
    rows::{assert_same_records, current},
    sandbox::Sandbox,
    tables::{Column, Resource, SYSTEM_COLUMNS},
};

/// The columns that a table should have, with their types in DuckDB.
fn expected_columns(own: &[Column], parent_key: Option<&str>, partitioned: bool) -> Vec<(String, String)> {
    let parent = parent_key.map(|name| (name.to_owned(), "VARCHAR".to_owned()));
    let own = own.iter().map(|column| (column.name.clone(), column.duckdb_type()));
    let system = [("_extra", "VARCHAR")].into_iter().chain(SYSTEM_COLUMNS);
    let partition = partitioned.then_some(("event_month", "VARCHAR"));
    let named = system.chain(partition).map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    parent.into_iter().chain(own).chain(named).collect()
}

/// DuckDB quotes the names of a struct's fields where it thinks they need it.
fn columns(duckdb: &mut DuckDb, scan: &str) -> Vec<(String, String)> {
    let columns = duckdb.describe(&format!("SELECT * FROM {scan}"));
    columns.into_iter().map(|(name, kind)| (name, kind.replace('"', ""))).collect()
}

#[test]
fn a_resource_without_records_has_typed_tables() {
    let (lake, api, mut duckdb) = (Lake::new(), ScriptedApi::without_records(), DuckDb::start());
    let synced = Sync::new(&lake, &api.url()).succeed();
    for resource in Resource::all() {
        assert_eq!((synced.outcome(&resource.name), synced.figure(&resource.name, "rows")), ("committed", 0));
        let own = expected_columns(&resource.columns, None, resource.partitioned);
        for layer in ["current", "changes"] {
            let scan = lake.scan(layer, &resource.name);
            assert_eq!(columns(&mut duckdb, &scan), own, "{layer}/{}", resource.name);
            assert_eq!(duckdb.value(&format!("SELECT count(*) FROM {scan}")), "0");
        }
        for (list, table) in resource.flat_tables() {
            let expected = expected_columns(&list.columns, Some(&table.parent_key), resource.partitioned);
            assert_eq!(columns(&mut duckdb, &lake.scan("current", &table.name)), expected, "{}", table.name);
        }
    }
    let before = lake.listing();
    Sync::new(&lake, &api.url()).succeed();
    assert_untouched(&before, &lake.listing(), "a second sync without records");
}

#[test]
fn what_each_column_means_is_in_the_files_metadata() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    Sync::new(&lake, &api.url()).succeed();
    for resource in Resource::all() {
        for layer in ["current", "changes"] {
            for file in lake.files_below(&format!("{layer}/{}", resource.name)) {
                let comments = comments(&lake, &file);
                for column in &resource.columns {
                    assert_eq!(comments[&column.name], column.doc, "{file}");
                }
                for (name, _) in SYSTEM_COLUMNS {
                    assert!(!comments[name].is_empty(), "{file}: {name}");
                }
            }
        }
        for (list, table) in resource.flat_tables() {
            for file in lake.files_below(&format!("current/{}", table.name)) {
                let comments = comments(&lake, &file);
                assert!(list.columns.iter().all(|column| comments[&column.name] == column.doc), "{file}");
            }
        }
    }
}

fn comments(lake: &Lake, file: &str) -> BTreeMap<String, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(lake.path().join(file)).unwrap()).unwrap();
    let fields = reader.schema().fields().clone();
    fields.iter().map(|field| (field.name().clone(), field.metadata()["comment"].clone())).collect()
}

#[test]
fn a_resource_that_the_api_lacks_is_a_notice_until_it_is_there() {
    let (lake, sandbox, mut duckdb) = (Lake::new(), Sandbox::start(13, 200), DuckDb::start());
    let synced = Sync::new(&lake, &sandbox.url()).arg("-v").succeed();
    let optional: Vec<Resource> = Resource::all().into_iter().filter(|resource| resource.optional).collect();
    assert_eq!(optional.len(), 2);
    for resource in &optional {
        assert_eq!(synced.outcome(&resource.name), "absent");
        assert!(synced.ended.stderr.contains(&resource.path), "{}", synced.ended.stderr);
        assert_eq!(lake.files_below(&format!("changes/{}", resource.name)), [""; 0]);
    }
    sandbox.serve_optional();
    let synced = Sync::new(&lake, &sandbox.url()).succeed();
    for resource in &optional {
        assert_eq!(synced.outcome(&resource.name), "committed");
        let (found, truth) = (current(&mut duckdb, &lake, resource), sandbox.truth(resource));
        assert_same_records(&found, &truth, &resource.name);
        let kept = found.values().filter(|row| row["_extra"].as_str().is_some_and(|extra| extra.contains("\"type\":")));
        assert_eq!(kept.count(), found.len(), "what is not declared is in _extra");
    }
}

#[test]
fn a_documented_resource_that_the_api_lacks_is_a_failure() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let synced = Sync::of(&lake, &api.url(), "wallets").run();
    assert_eq!(synced.ended.code, Some(65));
    assert!(synced.failure("wallets").contains("404"), "{}", synced.failure("wallets"));
}

#[test]
fn absent_null_and_empty_fills_stay_apart() {
    let (lake, api, mut duckdb) = (Lake::new(), ScriptedApi::start(), DuckDb::start());
    let resource = Resource::named("trades");
    let fill = r#"{"transactionId":"f1","toCurrencyAmount":1E-18,"status":"COMPLETED","venue":{"desk": 1.10}}"#;
    let trade =
        |key: &str, fills: &str| format!(r#"{{"transactionId":"{key}","createdAt":"2026-05-11T10:15:30Z"{fills}}}"#);
    let trades = [
        trade("absent", ""),
        trade("empty", r#","fills":[]"#),
        trade("null", r#","fills":null"#),
        trade("one", &format!(r#","fills":[{fill}]"#)),
    ];
    api.serve(&resource.path, format!("[{}]", trades.join(",")));
    Sync::of(&lake, &api.url(), "trades").succeed();
    let found = current(&mut duckdb, &lake, &resource);
    let fills = |key: &str| (found[key]["fills"].to_string(), found[key]["_extra"].as_str());
    assert_eq!(fills("absent"), ("null".to_owned(), None));
    assert_eq!(fills("empty"), ("[]".to_owned(), None));
    assert_eq!(fills("null"), ("null".to_owned(), Some(r#"{"fills":null}"#)));
    let one = &found["one"]["fills"][0];
    assert_eq!(one["to_currency_amount"], "0.000000000000000001");
    assert_eq!(one["_extra"], r#"{"venue":{"desk":1.10}}"#);
    let flat =
        duckdb.query(&format!("SELECT trade_id, transaction_id, _extra FROM {}", lake.scan("current", "trade_fills")));
    assert_eq!(flat.rows, [["one", "f1", r#"{"venue":{"desk":1.10}}"#].map(serde_json::Value::from).to_vec()]);

    // Each of the three is another value than the others.
    let turned =
        [trade("absent", r#","fills":null"#), trade("empty", ""), trade("null", r#","fills":[]"#), trades[3].clone()];
    api.serve(&resource.path, format!("[{}]", turned.join(",")));
    assert_eq!(Sync::of(&lake, &api.url(), "trades").succeed().figure("trades", "changed"), 3);
}
