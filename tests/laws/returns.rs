//! A record that goes and comes back is the same record: in its own partition, seen since it was first seen.

use std::fs;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::Sync,
    rows::{Version, changes},
    tables::Resource,
};

fn deposit(n: usize, amount: &str, completed: Option<&str>) -> String {
    let completed = completed.map_or("null".to_owned(), |time| format!("\"{time}\""));
    format!(r#"{{"transactionId":"D{n:02}","amount":{amount},"completedAt":{completed}}}"#)
}

#[test]
fn a_record_that_returns_goes_on_where_it_was_whether_or_not_the_caches_are_there() {
    let (lake, api, mut duckdb) = (Lake::new(), ScriptedApi::start(), DuckDb::start());
    let others: Vec<String> = (1..30).map(|n| deposit(n, "1", Some("2026-05-11T10:15:30"))).collect();
    let mut sync = |first: Option<String>, without_caches: bool| {
        let records: Vec<_> = first.into_iter().chain(others.iter().cloned()).collect();
        api.serve("/api/v1/deposits", format!("[{}]", records.join(",")));
        if without_caches {
            fs::remove_dir_all(lake.path().join("meta/deposits/state")).unwrap();
            fs::remove_dir_all(lake.path().join("current")).unwrap();
        }
        Sync::of(&lake, &api.url(), "deposits").succeed();
        let versions = changes(&mut duckdb, &lake, &Resource::named("deposits"));
        let count = duckdb.value(&format!("SELECT count(*) FROM {}", lake.scan("current", "deposits")));
        (versions.into_iter().filter(|version| version.key == "D00").collect::<Vec<Version>>(), count)
    };
    // Without a time at first, so that it is filed under today.
    sync(Some(deposit(0, "1", None)), false);
    for (round, without_caches) in [false, true, false].into_iter().enumerate() {
        let (_, count) = sync(None, without_caches);
        assert_eq!(count, "29");
        // With the values that it had, and then with others and a time of its own.
        let amount = if round == 0 { "1" } else { "2.5" };
        let completed = (round > 0).then_some("2026-01-31T00:00:00");
        let (versions, count) = sync(Some(deposit(0, amount, completed)), without_caches);
        assert_eq!(count, "30");
        let operations: Vec<_> = versions.iter().map(|version| version.operation.as_str()).collect();
        assert_eq!(operations, ["added", "removed", "added", "removed", "added", "removed", "added"][..3 + 2 * round]);
        for version in &versions {
            assert_eq!(version.partition, versions[0].partition);
            assert_eq!(version.first_seen_at, versions[0].observed_at);
        }
        let [.., removed, returned] = versions.as_slice() else { panic!("two versions") };
        assert_eq!(returned.row["amount"].as_str().unwrap().trim_end_matches('0').trim_end_matches('.'), amount);
        assert_eq!(removed.row, versions[versions.len() - 3].row, "a removed record keeps the values it had");
    }
}

#[test]
fn a_record_whose_last_version_is_lost_is_not_removed_with_an_older_one() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let sync = |deposits: &[String]| {
        api.serve("/api/v1/deposits", format!("[{}]", deposits.join(",")));
        Sync::of(&lake, &api.url(), "deposits")
    };
    let in_may = |n, amount| deposit(n, amount, Some("2026-05-11T10:15:30"));
    let [first, second] = [in_may(1, "1"), in_may(1, "2")];
    sync(&[first, in_may(2, "1")]).succeed();
    sync(&[second, in_may(2, "1")]).succeed();
    let in_june = deposit(3, "1", Some("2026-06-11T10:15:30"));
    sync(&[in_may(1, "2"), in_may(2, "1"), in_june.clone()]).succeed();
    let lost = lake.files_below("changes/deposits").into_iter().find(|file| file.ends_with("2.parquet")).unwrap();
    fs::remove_file(lake.path().join(lost)).unwrap();
    let refused = sync(&[in_may(2, "1"), in_june]).run();
    assert_eq!(refused.ended.code, Some(76), "{:?}", refused.ended);
    assert!(refused.failure("deposits").contains("last versions of 1 of 1"), "{}", refused.failure("deposits"));
    assert_eq!(lake.commits("deposits"), [1, 3]);
}
