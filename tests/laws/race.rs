//! Two syncs at once: what one commits the other does not, and together they commit everything once.

use std::process::Child;

use chrono::TimeDelta;

use super::records::{assert_lake_is_the_truth, documented, lawful_changes};
use crate::support::{
    api::{Answer, Gate, ScriptedApi},
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, Synced, end},
    rows::changes,
    sandbox::Sandbox,
    tables::Resource,
};

const ROUNDS: i64 = 8;

fn start_two(lake: &Lake, sandbox: &Sandbox) -> [Child; 2] {
    [(); 2].map(|()| Sync::new(lake, &sandbox.url()).spawn())
}

fn commits(synced: &Synced, resource: &str) -> Vec<u64> {
    synced.resources[resource]["commits"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).collect()
}

#[test]
fn two_syncs_that_start_together_commit_everything_once() {
    let (lake, sandbox, mut duckdb) = (Lake::new(), Sandbox::start(12, 3000), DuckDb::start());
    let mut raced = 0;
    for round in 0..ROUNDS {
        // The first round makes the lake.
        let both = start_two(&lake, &sandbox).map(|child| Synced::of(end(child)));
        for synced in &both {
            assert!(matches!(synced.ended.code, Some(0 | 75)), "round {round}: {:?}", synced.ended);
            raced += u32::from(synced.ended.stderr.contains("another run") || synced.ended.code == Some(75));
        }
        for resource in documented() {
            let mut numbers: Vec<u64> = both.iter().flat_map(|synced| commits(synced, &resource.name)).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "round {round}: both say that they made a commit of {}", resource.name);
        }
        Sync::new(&lake, &sandbox.url()).succeed();
        assert_lake_is_the_truth(&mut duckdb, &lake, &sandbox, &documented());
        sandbox.advance(TimeDelta::hours(5 + 20 * round));
    }
    assert!(raced > 0, "in {ROUNDS} rounds no sync met the other");
}

/// A withdrawal of each of these statuses, each in a month of its own.
fn withdrawals(statuses: &[&str]) -> String {
    let record = |(n, status)| {
        let month = n + 1;
        format!(r#"{{"transactionId":"W{n}","status":"{status}","createdAt":"2026-{month:02}-03T00:00:00Z"}}"#)
    };
    format!("[{}]", statuses.iter().enumerate().map(record).collect::<Vec<_>>().join(","))
}

const PATH: &str = "/api/v1/withdrawals";

#[test]
fn what_was_observed_before_another_sync_committed_is_thrown_away_and_observed_again() {
    let (lake, api, gate) = (Lake::new(), ScriptedApi::start(), Gate::default());
    let sync = || Sync::of(&lake, &api.url(), "withdrawals");
    api.serve(PATH, withdrawals(&["PENDING"]));
    sync().succeed();
    // The slow one has read the old list when the quick one reads and commits the new one.
    let old = Answer::ok(withdrawals(&["ACCEPTED"])).behind(&gate);
    api.answer(PATH, [old, Answer::ok(withdrawals(&["COMPLETED"]))]);
    let slow = sync().spawn();
    api.await_requests(2);
    assert_eq!(sync().succeed().figure("withdrawals", "changed"), 1);
    gate.open();
    let slow = Synced::of(end(slow));
    assert_eq!((slow.ended.code, slow.outcome("withdrawals")), (Some(0), "unchanged"), "{:?}", slow.ended);
    let versions = changes(&mut DuckDb::start(), &lake, &Resource::named("withdrawals"));
    let statuses: Vec<_> = versions.iter().map(|version| version.row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["PENDING", "COMPLETED"]);
}

#[test]
fn a_sync_that_always_comes_second_gives_up_and_says_that_another_is_ahead() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let sync = || Sync::of(&lake, &api.url(), "withdrawals");
    api.serve(PATH, withdrawals(&["PENDING"]));
    sync().succeed();
    // Each time it has read, a quick one reads and commits something newer.
    let round = |n: usize| {
        let gate = Gate::default();
        let [read, newer] = [2 * n, 2 * n + 1].map(|n| Answer::ok(withdrawals(&[&format!("STATUS_{n}")])));
        api.answer(PATH, [read.behind(&gate), newer]);
        gate
    };
    let mut gate = round(0);
    let mut slow = sync().spawn();
    for n in 1..20 {
        api.await_requests(2 * n);
        sync().succeed();
        let next = round(n);
        gate.open();
        gate = next;
        let mut has_ended = || slow.try_wait().unwrap().is_some();
        while !has_ended() && api.requests().len() < 2 * n + 2 {
            std::thread::yield_now();
        }
        if has_ended() {
            break;
        }
    }
    let slow = Synced::of(end(slow));
    assert_eq!(slow.ended.code, Some(75), "{:?}", slow.ended);
    assert_eq!(slow.resources["withdrawals"]["failure"]["state"], "nothing was committed");
}

#[test]
fn the_report_of_a_sync_that_lost_a_race_tells_all_that_it_committed() {
    let (lake, api, gate) = (Lake::new(), ScriptedApi::start(), Gate::default());
    let sync = || Sync::of(&lake, &api.url(), "withdrawals");
    api.serve(PATH, "[]");
    sync().succeed();
    // Three months, so three commits: 2, 3 and 4. While it reads, another claims 2, and is never seen again.
    api.answer(
        PATH,
        [Answer::ok(withdrawals(&["PENDING"; 3])).behind(&gate), Answer::ok(withdrawals(&["PENDING"; 3]))],
    );
    let running = sync().spawn();
    api.await_requests(2);
    let claim = serde_json::json!({
        "seq": 2, "poll_id": "another", "objects": [{
            "key": "changes/withdrawals/event_month=2025-12/00000000000000000002.parquet",
            "size": 1, "sha256": "0".repeat(64),
        }],
    });
    std::fs::write(lake.path().join("meta/withdrawals/log/00000000000000000002.json"), claim.to_string()).unwrap();
    gate.open();
    let synced = Synced::of(end(running));
    assert_eq!((synced.ended.code, commits(&synced, "withdrawals")), (Some(0), vec![3, 4, 5]), "{:?}", synced.ended);
    let found = lawful_changes(&mut DuckDb::start(), &lake, &Resource::named("withdrawals"));
    assert_eq!(found.len(), 3);
    let figures = ["rows", "added", "head"].map(|name| synced.figure("withdrawals", name));
    assert_eq!(figures, [3, 3, 5], "{}", synced.ended.stdout);
}
