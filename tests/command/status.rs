//! `status` says how far each resource has come, from the lake alone.

use chrono::TimeDelta;
use serde_json::Value;

use crate::support::{
    api::ScriptedApi,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, program, program_without_credentials, run},
    rows::Row,
    sandbox::Sandbox,
    tables::Resource,
};

/// Without credentials and without an API.
fn status(lake: &Lake, args: &[&str]) -> Ended {
    run(program_without_credentials(lake.folder()).args(["status", "--lake"]).arg(lake.path()).args(args))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event_time<'r>(resource: &Resource, row: &'r Row) -> Option<&'r str> {
    resource.event_time.iter().find_map(|column| row[column].as_str())
}

#[test]
fn status_tells_what_is_known_and_open_and_what_it_takes_up() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(18, 2000));
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.advance(TimeDelta::days(2));
    let synced = Sync::new(&lake, &sandbox.url()).succeed();
    let before = lake.listing();
    let (json, text) = (status(&lake, &["--json"]), status(&lake, &[]));
    assert_eq!((json.code, text.code), (Some(0), Some(0)), "{json:?}{text:?}");
    assert_untouched(&before, &lake.listing(), "status");
    for (line, resource) in lines(&json).iter().zip(Resource::all()) {
        assert_eq!(line["resource"], resource.name);
        let table_line =
            text.stdout.lines().find(|line| line.split_whitespace().next() == Some(&resource.name)).unwrap();
        if resource.optional {
            assert_eq!((&line["head"], &line["objects"]), (&0.into(), &0.into()), "{}", resource.name);
            assert!(table_line.contains("never"), "{table_line}");
            continue;
        }
        let truth = sandbox.truth(&resource);
        let is_open = |row: &&Row| {
            resource.status.as_ref().is_some_and(|status| status.open.iter().any(|open| row[&status.column] == **open))
        };
        let open = truth.values().filter(is_open).count();
        let newest = truth.values().filter_map(|row| event_time(&resource, row)).max();
        let files = lake.files_below(&format!("changes/{}", resource.name));
        let bytes: u64 = files.iter().map(|file| std::fs::metadata(lake.path().join(file)).unwrap().len()).sum();
        assert_eq!(line["known"], truth.len(), "{}", resource.name);
        assert_eq!(line["open"], open, "{}", resource.name);
        assert_eq!((&line["objects"], &line["bytes"]), (&files.len().into(), &bytes.into()), "{}", resource.name);
        assert_eq!(line["head"], synced.figure(&resource.name, "head"), "{}", resource.name);
        assert_eq!(line["body_bytes"], synced.figure(&resource.name, "body_bytes"), "{}", resource.name);
        assert_eq!(line["complete"], true, "{}", resource.name);
        let told =
            line["newest_event_time"].as_i64().map(|micros| time(micros).format("%Y-%m-%d %H:%M:%S%.6f").to_string());
        // A beneficiary that has gone may have been the newest.
        if resource.name != "beneficiaries" {
            assert_eq!(told.as_deref(), newest, "{}", resource.name);
        }
        let cells: Vec<_> = table_line.split_whitespace().collect();
        for figure in [line["head"].to_string(), truth.len().to_string(), open.to_string(), bytes.to_string()] {
            assert!(cells.contains(&figure.as_str()), "{figure} in: {table_line}");
        }
        let polled = time(line["observed_at"].as_i64().unwrap()).format("%Y-%m-%d").to_string();
        assert!(cells.contains(&polled.as_str()), "{polled} in: {table_line}");
    }
}

fn time(micros: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_micros(micros).unwrap()
}

#[test]
fn status_counts_what_has_gone_and_is_of_the_resources_asked_for() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let deposit = |n: usize, status: &str| format!(r#"{{"transactionId":"D{n}","status":"{status}"}}"#);
    let serve = |records: &[String]| api.serve("/api/v1/deposits", format!("[{}]", records.join(",")));
    let mut records: Vec<_> = (0..13).map(|n| deposit(n, if n < 4 { "PENDING" } else { "COMPLETED" })).collect();
    serve(&records);
    Sync::of(&lake, &api.url(), "deposits").succeed();
    records[0] = deposit(0, "COMPLETED");
    // One that was open goes, one that is not documented counts as open.
    records.remove(1);
    records[5] = deposit(6, "ON_HOLD");
    serve(&records);
    let synced = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert!(synced.ended.stderr.contains("ON_HOLD"), "{}", synced.ended.stderr);
    let told = lines(&status(&lake, &["--json", "--resource", "deposits"]));
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["known"], &told[0]["open"]), (&12.into(), &3.into()), "{}", told[0]);
}

#[test]
fn status_of_no_lake_is_a_settings_error_and_makes_none() {
    let lake = Lake::new();
    let ended = status(&lake, &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no lake at"), "{}", ended.stderr);
    assert!(!lake.path().exists());
}

#[test]
fn a_report_for_people_is_a_table_with_a_line_a_resource() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(19, 100));
    let mut command = program(lake.folder());
    let ended = run(command.args(["sync", "--base-url", &sandbox.url(), "--lake"]).arg(lake.path()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for resource in Resource::all() {
        let line = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(&resource.name)).unwrap();
        let outcome = if resource.optional { "absent" } else { "committed" };
        assert!(line.contains(outcome), "{line}");
        if !resource.optional {
            let count = sandbox.truth(&resource).len().to_string();
            assert!(line.split_whitespace().any(|cell| cell == count), "{count} in: {line}");
        }
    }
}
