//! Snapshots change nothing but the time that reading takes: every view has the rows that the commits have, whenever the session
//! began and whatever is compacted or committed meanwhile; `verify` finds a snapshot that is not its commits.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    records::documented,
    verify::{copy, delete, flip, write},
};
use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, end, program_without_credentials, run, spawn},
    random::Random,
    sandbox::Sandbox,
    verified::{Verified, assert_verified},
};

/// Kills that meet a run alive.
const KILLS: u32 = 12;
/// Queries beside syncs, of which there are so many at most.
const QUERIES: usize = 40;
const SYNCS_MAX: usize = 500;

fn compact_command(lake: &Lake, args: &[&str]) -> std::process::Command {
    let mut command = program_without_credentials(lake.folder());
    command.args(["compact", "--min-commits", "1", "--json", "--lake"]).arg(lake.path()).args(args);
    command
}

/// Compacts whatever there is. Each resource's line.
#[track_caller]
fn compact(lake: &Lake, args: &[&str]) -> Vec<Value> {
    let ended = run(&mut compact_command(lake, args));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("resource").is_some()).collect()
}

fn ddl(lake: &Lake, args: &[&str]) -> String {
    let mut command = program_without_credentials(lake.folder());
    let printed = run(command.args(["ddl", "duckdb", "--lake"]).arg(lake.path()).args(args));
    assert_eq!(printed.code, Some(0), "{printed:?}");
    printed.stdout
}

/// A session that was begun with the views.
fn session(views: &str) -> DuckDb {
    let mut duckdb = DuckDb::start();
    duckdb.query(views);
    duckdb
}

/// All commits of a resource, as nobody but DuckDB reads them.
fn commits(lake: &Lake, resource: &str) -> String {
    format!(
        "read_parquet('{}/changes/{resource}/**/*.parquet', union_by_name = true, hive_types_autocast = false)",
        lake.path().display()
    )
}

#[track_caller]
fn assert_same_versions(duckdb: &mut DuckDb, lake: &Lake, resource: &str) {
    let view = format!("{resource}_changes");
    assert_eq!(duckdb.rows_apart(&view, &commits(lake, resource)), "0", "{view}");
}

fn count(duckdb: &mut DuckDb, from: &str) -> u64 {
    duckdb.value(&format!("SELECT CAST(count(*) AS VARCHAR) FROM {from}")).parse().unwrap()
}

fn snapshots(lake: &Lake, resource: &str) -> Vec<String> {
    lake.files_below(&format!("snapshots/{resource}"))
}

#[test]
fn every_view_has_the_rows_of_the_commits_whenever_its_session_began() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(91, 2500));
    Sync::new(&lake, &sandbox.url()).succeed();
    // Printed once, before there is a snapshot.
    let views = ddl(&lake, &[]);
    let mut sessions = vec![session(&views)];
    let mut heads = Vec::new();
    for days in [1, 20, 3] {
        for _ in 0..3 {
            sandbox.advance(TimeDelta::days(days));
            Sync::new(&lake, &sandbox.url()).arg("--accept-removals").succeed();
        }
        let before = lake.listing();
        let lines = compact(&lake, &[]);
        let mut after = lake.listing();
        after.retain(|file, _| !file.starts_with("snapshots/") || before.contains_key(file));
        assert_untouched(&before, &after, "whatever was there");
        for line in &lines {
            assert_eq!(line["through"], line["head"], "{line}");
        }
        heads.push(lines);
        sessions.push(session(&views));
    }
    // The last syncs are in no snapshot.
    sandbox.advance(TimeDelta::days(2));
    Sync::new(&lake, &sandbox.url()).succeed();
    // Who did not run the statements in this session, as of views that were stored, reads all commits.
    let mut without = session(&views);
    for resource in documented() {
        without
            .query(&format!("RESET VARIABLE {name}_snapshots; RESET VARIABLE {name}_compacted", name = resource.name));
    }
    sessions.push(without);
    for resource in documented() {
        let name = &resource.name;
        let mut first = count(&mut sessions[0], &format!("{name}_history"));
        for duckdb in &mut sessions {
            assert_same_versions(duckdb, &lake, name);
            let history = count(duckdb, &format!("{name}_history"));
            assert_eq!(std::mem::replace(&mut first, history), history, "{name}_history");
            let now = duckdb.rows_apart(&format!("{name}_as_of('2100-01-01')"), name);
            assert_eq!(now, "0", "{name} as of now");
        }
    }
    let partition = "SELECT string_agg(DISTINCT event_month, ',' ORDER BY event_month) FROM trades_changes";
    let months: Vec<_> = sessions.iter_mut().map(|duckdb| duckdb.value(partition)).collect();
    assert!(months.iter().all(|month| *month == months[0] && month.len() > 7), "{months:?}");
    let line = |run: usize, name: &str| heads[run].iter().find(|line| line["resource"] == name).unwrap().clone();
    for (run, first) in [(0, 1), (1, line(0, "trades")["head"].as_u64().unwrap() + 1)] {
        let trades = line(run, "trades");
        assert_eq!(trades["commits"], trades["head"].as_u64().unwrap() + 1 - first, "{trades}");
        assert!(snapshots(&lake, "trades").contains(&format!("snapshots/trades/{first:020}.parquet")));
    }
    assert_eq!(snapshots(&lake, "trades").len(), 3);
    assert_verified(&lake);
    let verified = Verified::of(&lake, &["--quick"]);
    assert_eq!((verified.ended.code, verified.figure("trades", "snapshots")), (Some(0), 3));
    // Nothing but the last sync is new, and of that there is too little.
    let ended = run(program_without_credentials(lake.folder()).args(["compact", "--lake"]).arg(lake.path()));
    let trades = ended.stdout.lines().find(|line| line.starts_with("trades")).unwrap().split_whitespace();
    assert_eq!(trades.skip(3).collect::<Vec<_>>(), ["0", "0", "0", "0"], "{ended:?}");
}

#[test]
fn a_filter_passes_over_snapshots_commits_and_row_groups_that_it_does_not_need() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(92, 2000));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    compact(&lake, &[]);
    sandbox.advance(TimeDelta::days(1));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let mut duckdb = session(&ddl(&lake, &[]));
    let sql = "EXPLAIN ANALYZE SELECT sum(to_amount) FROM trades_history WHERE event_month = '2025-03'";
    let plan = duckdb.query(sql).rows[0][1].as_str().unwrap().to_owned();
    let read = plan.split("Total Files Read: ").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
    assert_eq!(read.collect::<Vec<_>>(), ["1", "0"], "{plan}");
    let groups = format!(
        "SELECT CAST(count(*) FILTER (stats_min_value IS NULL) AS VARCHAR) FROM parquet_metadata('{}/snapshots/trades/*.parquet') \
         WHERE path_in_schema IN ('event_month', '_seq', '_observed_at')",
        lake.path().display()
    );
    assert_eq!(duckdb.value(&groups), "0", "row groups say what they hold");
}

/// Schemas in which wallets have further columns.
fn schemas(lake: &Lake, name: &str, labels: &[&str]) -> PathBuf {
    let folder = lake.folder().join(name);
    fs::create_dir(&folder).unwrap();
    let builtin = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/wallets.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&builtin).unwrap();
    for label in labels {
        let column = json!({"name": label, "json": label, "type": "string", "doc": "A label."});
        schema["columns"].as_array_mut().unwrap().push(column);
    }
    fs::write(folder.join("wallets.json"), schema.to_string()).unwrap();
    folder
}

#[test]
fn a_snapshot_keeps_columns_that_are_declared_no_longer_or_not_yet() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let old = schemas(&lake, "old", &["old"]);
    let (new, both) = (schemas(&lake, "new", &["new"]), schemas(&lake, "both", &["old", "new"]));
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"ZAR","old":"a","new":"b"}]"#);
    Sync::of(&lake, &api.url(), "wallets").schemas(old).succeed();
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"EUR","old":"c","new":"d"}]"#);
    Sync::of(&lake, &api.url(), "wallets").schemas(new.clone()).succeed();
    let flag = |schemas: &PathBuf| format!("--schemas={}", schemas.display());
    // Compacted by one who knows neither.
    compact(&lake, &["--resource=wallets"]);
    let seen = "SELECT string_agg(concat_ws('/', coalesce(old, '-'), coalesce(new, '-')), ' ' ORDER BY _seq) FROM wallets_changes";
    assert_eq!(session(&ddl(&lake, &[&flag(&both)])).value(seen), "a/- -/d");
    let verified = Verified::of(&lake, &["--resource=wallets", &flag(&new)]);
    assert_eq!((verified.findings(), verified.notes().len()), (BTreeSet::new(), 0), "{}", verified.ended.stdout);
    assert_eq!(verified.figure("wallets", "snapshots"), 1);
}

fn deposits(count: usize, month: usize) -> String {
    let deposit = |n| {
        format!(
            r#"{{"transactionId":"D{n}","amount":{n}.5,"status":"PENDING","completedAt":"2026-{month:02}-03T00:00:00Z"}}"#
        )
    };
    format!("[{}]", (0..count).map(deposit).collect::<Vec<_>>().join(","))
}

/// Deposits of as many commits as there are counts, with a snapshot for each that is so marked.
fn lake_of(api: &ScriptedApi, commits: &[(usize, bool)]) -> Lake {
    let lake = Lake::new();
    for (count, compacted) in commits {
        api.serve("/api/v1/deposits", deposits(*count, 3));
        Sync::of(&lake, &api.url(), "deposits").succeed();
        if *compacted {
            compact(&lake, &["--resource=deposits"]);
        }
    }
    lake
}

#[test]
fn what_is_wrong_with_a_snapshot_is_found_and_nothing_is_built_upon_it() {
    let api = ScriptedApi::start();
    let lake = lake_of(&api, &[(2, false), (4, true), (5, false), (7, true), (8, false)]);
    let other = lake_of(&api, &[(3, false), (4, true), (6, true)]);
    let first = "snapshots/deposits/00000000000000000001.parquet";
    let second = "snapshots/deposits/00000000000000000003.parquet";
    let stray = "snapshots/deposits/x.parquet";
    let commit = "changes/deposits/event_month=2026-03/00000000000000000002.parquet";
    let bytes = |of: &Lake, key: &str| fs::read(of.path().join(key)).unwrap();
    let put = |key: &'static str, bytes: Vec<u8>| move |lake: &Lake| fs::write(lake.path().join(key), &bytes).unwrap();
    // What is done, what is found, and whether `compact` can go on.
    type Case<'c> = (&'c str, Box<dyn Fn(&Lake) + 'c>, Vec<(&'c str, &'c str)>, bool);
    let cases: Vec<Case<'_>> = vec![
        ("nothing", Box::new(|_| ()), vec![], true),
        ("the first is gone", Box::new(delete(first)), vec![("snapshots", second)], true),
        ("the last is gone", Box::new(delete(second)), vec![], true),
        ("another lake's", Box::new(put(second, bytes(&other, second))), vec![("snapshots", second)], false),
        ("the first once more", Box::new(copy(first, second)), vec![("snapshots", second)], false),
        ("text", Box::new(write(second, b"text")), vec![("snapshots", second)], false),
        ("a bit of a page", Box::new(flip(first, |_| 60)), vec![("snapshots", first)], true),
        ("a bit of the footer", Box::new(flip(first, |size| size - 900)), vec![("snapshots", first)], true),
        ("a stray", Box::new(write(stray, b"x")), vec![("strays", stray)], true),
        ("a bit of a commit", Box::new(flip(commit, |_| 60)), vec![("bytes", commit)], true),
    ];
    for (what, harm, expected, goes_on) in cases {
        let harmed = Lake::of(&lake.contents());
        harm(&harmed);
        let verified = Verified::of(&harmed, &["--resource=deposits"]);
        let expected: BTreeSet<_> = expected.iter().map(|(law, key)| ((*law).to_owned(), (*key).to_owned())).collect();
        assert_eq!(verified.findings(), expected, "{what}: {}", verified.ended.stdout);
        if what.ends_with("gone") {
            // Readers take the commits for it.
            assert_same_versions(&mut session(&ddl(&harmed, &[])), &harmed, "deposits");
        }
        let before = harmed.listing();
        let ended = run(&mut compact_command(&harmed, &["--resource=deposits"]));
        assert_eq!(ended.code, Some(if goes_on { 0 } else { 76 }), "{what}: {ended:?}");
        if !goes_on {
            assert_untouched(&before, &harmed.listing(), what);
        }
    }
    // Nor is a commit copied that is not what was claimed, or a log that has lost what a snapshot has.
    let refused = |harm: &dyn Fn(&Lake), says: &str| {
        let harmed = Lake::of(&lake.contents());
        harm(&harmed);
        let before = harmed.listing();
        let ended = run(&mut compact_command(&harmed, &["--resource=deposits"]));
        assert_eq!(ended.code, Some(76), "{ended:?}");
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert_untouched(&before, &harmed.listing(), says);
    };
    let newest = "changes/deposits/event_month=2026-03/00000000000000000005.parquet";
    refused(&flip(newest, |_| 60), "is not what was claimed");
    refused(
        &|lake: &Lake| {
            for number in 3..=5 {
                fs::remove_file(lake.path().join(format!("meta/deposits/log/{number:020}.json"))).unwrap();
            }
            fs::remove_file(lake.path().join("meta/deposits/state/known.bin")).unwrap();
            fs::remove_file(lake.path().join("meta/deposits/current.json")).unwrap();
        },
        "commit 4 of deposits was in the lake",
    );
}

/// Runs of `compact` that are killed, or run side by side, leave each row in one snapshot at most.
#[test]
fn runs_that_are_killed_or_race_leave_no_row_out_and_none_twice() {
    let (lake, sandbox, mut random) = (Lake::new(), Sandbox::start(93, 1500), Random::seeded(9300));
    let mut kills = 0;
    let mut reach = Duration::from_millis(300);
    for round in 0.. {
        sandbox.advance(TimeDelta::days(1));
        Sync::new(&lake, &sandbox.url()).succeed();
        let runs = [(); 2].map(|()| spawn(&mut compact_command(&lake, &[])));
        thread::sleep(reach.mul_f64(random.share()));
        for mut child in runs {
            if round % 3 > 0 && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            } else {
                let Ended { code, stderr, .. } = end(child);
                assert_eq!(code, Some(0), "{stderr}");
                reach = reach.mul_f64(0.95);
            }
        }
        if round % 3 == 0 {
            assert_verified(&lake);
        }
        if kills >= KILLS {
            break;
        }
    }
    compact(&lake, &[]);
    assert_verified(&lake);
    let mut duckdb = session(&ddl(&lake, &[]));
    for resource in documented() {
        assert_same_versions(&mut duckdb, &lake, &resource.name);
    }
}

/// FAULTS' reader beside a run of `compact`: whatever session it is, a version stands once, and none is missing of a commit.
#[test]
fn readers_beside_syncs_and_compacting_find_every_version_once() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(94, 800));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let views = ddl(&lake, &["--resource=trades"]);
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut queries, mut rows) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..SYNCS_MAX {
                if asked.load(Ordering::Relaxed) > QUERIES {
                    break;
                }
                sandbox.advance(TimeDelta::hours(9));
                Sync::of(&lake, &sandbox.url(), "trades").succeed();
                compact(&lake, &["--resource=trades"]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut sessions = [session(&views), session(&views)];
        while !is_over.load(Ordering::Relaxed) {
            // One session is the first for ever, the other begins again and again.
            let duckdb = &mut sessions[queries % 2];
            if queries % 2 == 1 {
                duckdb.query(&views);
            }
            // What a commit has, its footer says. Commits that came in the midst of the query are left out.
            let wrong = duckdb.value(
                "WITH found AS MATERIALIZED (SELECT _seq, count(*) AS rows FROM trades_changes GROUP BY _seq), \
                 told AS MATERIALIZED (SELECT seq, rows FROM syncs WHERE resource = 'trades' AND rows > 0) \
                 SELECT CAST(count(*) AS VARCHAR) FROM found FULL JOIN told ON _seq = seq \
                 WHERE coalesce(_seq, seq) <= least((SELECT max(_seq) FROM found), (SELECT max(seq) FROM told)) \
                 AND found.rows IS DISTINCT FROM told.rows",
            );
            assert_eq!(wrong, "0");
            let found = count(duckdb, "trades_changes");
            assert!(found >= rows, "{found} rows, and there were {rows}");
            rows = found;
            queries += 1;
            asked.store(queries, Ordering::Relaxed);
        }
    });
    println!("{queries} rounds of queries, {rows} rows at last");
    assert!(queries >= QUERIES, "{queries}");
    assert_verified(&lake);
}
