//! What is odd in an answer that is believed all the same: it is counted in the report, and told once.

use super::records::lawful_changes;
use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced, program, run},
    rows::changes,
    tables::Resource,
    verified::assert_verified,
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

#[test]
fn a_status_that_nobody_documented_is_stored_as_it_came_and_told_once() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(DEPOSITS, deposits(&["ON_HOLD", "COMPLETED", "ON_HOLD", "completed"]));
    let synced = Sync::of(&lake, &api.url(), "deposits").succeed();
    for status in ["ON_HOLD", "completed"] {
        let told = synced.ended.stderr.lines().filter(|line| line.contains(&format!("status=\"{status}\"")));
        assert_eq!(told.count(), 1, "{}", synced.ended.stderr);
    }
    let statuses: Vec<_> = histories(&lake).into_iter().map(|(_, statuses)| statuses).collect();
    assert_eq!(statuses, ["ON_HOLD", "COMPLETED", "ON_HOLD", "completed"]);
    let again = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert!(!again.ended.stderr.contains("ON_HOLD"), "{}", again.ended.stderr);
}

#[test]
fn a_field_that_appears_or_vanishes_makes_a_version_and_loses_nothing() {
    let (lake, api, mut duckdb) = (Lake::new(), ScriptedApi::start(), DuckDb::start());
    let bodies = [
        r#"[{"transactionId":"D1","amount":1,"fee":0}]"#,
        r#"[{"transactionId":"D1","amount":1,"fee":0,"network":"TRON","hops":[1, 2.50]}]"#,
        r#"[{"transactionId":"D1","amount":1,"network":"TRON"}]"#,
        r#"[{"transactionId":"D1","amount":1,"fee":null}]"#,
    ];
    for body in bodies {
        api.serve(DEPOSITS, body);
        Sync::of(&lake, &api.url(), "deposits").succeed();
    }
    let sql = format!(
        "SELECT coalesce(CAST(fee AS VARCHAR), 'none') || ' ' || coalesce(_extra, 'none') FROM {} ORDER BY _seq",
        lake.scan("changes", "deposits")
    );
    let versions: Vec<_> = duckdb.query(&sql).rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        versions,
        [
            "0.000000000000000000 none",
            r#"0.000000000000000000 {"network":"TRON","hops":[1,2.50]}"#,
            r#"none {"network":"TRON"}"#,
            "none none",
        ]
    );
    // Another type is no row any more, and the last good one stays.
    api.serve(DEPOSITS, r#"[{"transactionId":"D1","amount":"1"},{"transactionId":"D2","amount":1}]"#);
    let synced = Sync::of(&lake, &api.url(), "deposits").succeed();
    assert_eq!((synced.figure("deposits", "changed"), synced.figure("deposits", "quarantined")), (0, 1));
    assert_verified(&lake);
}

/// A list that was changed while it was read: the beginning is of one moment, the end of another.
#[test]
fn what_changes_while_it_is_listed_is_stored_as_it_was_seen_and_healed_by_the_next_poll() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let sync = |statuses: &[&str]| {
        api.serve(DEPOSITS, deposits(statuses));
        Sync::of(&lake, &api.url(), "deposits")
    };
    sync(&["PENDING", "PENDING", "PENDING"]).succeed();
    assert_eq!(sync(&["PENDING", "COMPLETED", "COMPLETED"]).succeed().figure("deposits", "changed"), 2);
    assert_eq!(sync(&["COMPLETED", "COMPLETED", "COMPLETED"]).succeed().figure("deposits", "changed"), 1);
    assert_eq!(histories(&lake).iter().filter(|(_, statuses)| statuses == "PENDING COMPLETED").count(), 3);

    // One that moved is listed as it was and as it is, and neither is believed until the list is one again.
    let before = lake.contents();
    api.serve(DEPOSITS, r#"[{"transactionId":"D0","status":"COMPLETED"},{"transactionId":"D0","status":"REVERSED"}]"#);
    assert_eq!(Sync::of(&lake, &api.url(), "deposits").run().ended.code, Some(65));
    assert_untouched(&before, &lake.contents(), "a torn list");
    assert_eq!(sync(&["REVERSED", "COMPLETED", "COMPLETED"]).succeed().figure("deposits", "changed"), 1);
}

const TRADES: &str = "/api/v1/trades";

/// Trades, each with the status and the day of May on which its only fill was modified.
fn trades(trades: &[(&str, &str, u32)]) -> String {
    let trade = |(id, status, day): &(&str, &str, u32)| {
        format!(
            r#"{{"transactionId":"{id}","status":"{status}","createdAt":"2026-05-01T00:00:00Z","fills":[{{"transactionId":"F{id}","status":"{status}","modifiedAt":"2026-05-{day:02}T00:00:00Z"}}]}}"#
        )
    };
    format!("[{}]", trades.iter().map(trade).collect::<Vec<_>>().join(","))
}

/// Two replicas answer in turns, one of them behind: it does not know the last trade, and an older version of another.
#[test]
fn an_older_version_than_is_known_is_skipped_whatever_the_caches_know() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let behind = trades(&[("T1", "COMPLETED", 3), ("T2", "COMPLETED", 4)]);
    let ahead = trades(&[("T1", "REVERSED", 9), ("T2", "COMPLETED", 4), ("T3", "COMPLETED", 9)]);
    let both = trades(&[("T1", "COMPLETED", 3), ("T2", "REVERSED", 11), ("T3", "COMPLETED", 9)]);
    let sync = |body: &str| {
        api.serve(TRADES, body.to_owned());
        Sync::of(&lake, &api.url(), "trades")
    };
    let figures = |synced: &Synced| ["changed", "stale_skipped", "withheld"].map(|name| synced.figure("trades", name));
    sync(&behind).succeed();
    assert_eq!(figures(&sync(&ahead).succeed()), [1, 0, 0]);
    for without_caches in [false, true] {
        if without_caches {
            std::fs::remove_dir_all(lake.path().join("meta/trades/state")).unwrap();
        }
        let before = lake.contents();
        let skipped = sync(&behind).succeed();
        assert_eq!((skipped.outcome("trades"), figures(&skipped)), ("unchanged", [0, 1, 1]), "{without_caches}");
        let told: Vec<_> = skipped.ended.stderr.lines().filter(|line| line.contains("older versions")).collect();
        assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("T1"), "{}", skipped.ended.stderr);
        if !without_caches {
            assert_untouched(&before, &lake.contents(), "a poll of a server that is behind");
        }
        assert_eq!(sync(&ahead).succeed().outcome("trades"), "unchanged");
    }
    // What is newer beside it is taken.
    assert_eq!(figures(&sync(&both).succeed()), [1, 1, 0]);
    let records = lawful_changes(&mut DuckDb::start(), &lake, &Resource::named("trades"));
    let statuses = |key: &str| {
        let versions = records[key].iter().map(|version| version.row["status"].as_str().unwrap().to_owned());
        versions.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(["T1", "T2", "T3"].map(statuses), ["COMPLETED REVERSED", "COMPLETED REVERSED", "COMPLETED"]);
    assert_verified(&lake);

    // And what is missing is taken for removed where that is asked for.
    let accepted = sync(&behind).arg("--accept-removals").succeed();
    assert_eq!((accepted.figure("trades", "removed"), figures(&accepted)), (1, [0, 2, 0]));
}
