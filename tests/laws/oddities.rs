//! What is odd in an answer and yet believed: it is stored as it came, counted in the report, and told once.

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, program, run},
    rows::changes,
    tables::Resource,
};

const DEPOSITS: &str = "/api/v1/deposits";

fn deposits(statuses: &[&str]) -> String {
    let deposit = |(n, status): (usize, &&str)| format!(r#"{{"transactionId":"D{n}","status":"{status}"}}"#);
    format!("[{}]", statuses.iter().enumerate().map(deposit).collect::<Vec<_>>().join(","))
}

/// The versions of each record: their statuses, oldest first.
fn histories(lake: &Lake) -> Vec<(String, String)> {
    let mut versions: Vec<(String, String)> = Vec::new();
    for version in changes(&mut DuckDb::start(), lake, &Resource::named("deposits")) {
        let status = version.row["status"].as_str().unwrap().to_owned();
        match versions.iter_mut().find(|(key, _)| *key == version.key) {
            Some((_, statuses)) => *statuses += &format!(" {status}"),
            None => versions.push((version.key, status)),
        }
    }
    versions.sort();
    versions
}

#[test]
fn a_status_that_goes_back_is_stored_counted_and_told_once() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(DEPOSITS, deposits(&["COMPLETED", "COMPLETED", "FAILED", "PENDING", "COMPLETED"]));
    let first = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert_eq!(first.figure("deposits", "regressed"), 0);

    api.serve(DEPOSITS, deposits(&["PENDING", "REVERSED", "PROCESSING", "COMPLETED", "COMPLETED"]));
    let back = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert_eq!((back.figure("deposits", "changed"), back.figure("deposits", "regressed")), (4, 2));
    let told: Vec<_> = back.ended.stderr.lines().filter(|line| line.contains("open again")).collect();
    assert_eq!(told.len(), 1, "{}", back.ended.stderr);
    assert!(told[0].contains("WARN") && told[0].contains("records=2") && told[0].contains("D0"), "{}", told[0]);
    assert_eq!(
        histories(&lake),
        [
            ("D0", "COMPLETED PENDING"),
            ("D1", "COMPLETED REVERSED"),
            ("D2", "FAILED PROCESSING"),
            ("D3", "PENDING COMPLETED"),
            ("D4", "COMPLETED"),
        ]
        .map(|(key, statuses)| (key.to_owned(), statuses.to_owned()))
    );

    // Said again it is no change, and so it is not told again.
    let again = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert_eq!((again.outcome("deposits"), again.figure("deposits", "regressed")), ("unchanged", 0));
    assert!(!again.ended.stderr.contains("open again"), "{}", again.ended.stderr);
}

#[test]
fn the_table_of_a_sync_has_a_line_for_what_is_odd() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let table = |statuses: &[&str]| {
        api.serve(DEPOSITS, deposits(statuses));
        let mut command = program(lake.folder());
        command.args(["sync", "--resource", "deposits", "--base-url", &api.url(), "--lake"]).arg(lake.path());
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    assert_eq!(table(&["COMPLETED"]).lines().count(), 2);
    let odd = table(&["PENDING"]);
    assert_eq!(odd.lines().last(), Some("deposits: 1 had ended and are open again; stored as they came"), "{odd}");
}
