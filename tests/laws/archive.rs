//! What polls are answered with is kept as it came, and a lake that is made anew from it has the rows of the first one, to the last
//! column: numbers, operations, times and polls among them.

use std::{fs, thread, time::Duration};

use chrono::TimeDelta;
use serde_json::Value;

use super::{
    reserved::{PAGED, QUICK, WINDOWED},
    verify::flip,
};
use crate::support::{
    api::ScriptedApi,
    backfilled::Backfill,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced, end, run, spawn},
    random::Random,
    replayed::{assert_replayed, assert_same_rows, command, lines, replay},
    sandbox::Sandbox,
    verified::{Verified, assert_verified},
};

const ARCHIVED: &str = "raw_archive = true\n";
/// Kills that meet a replay alive.
const KILLS: u32 = 20;

fn sync(lake: &Lake, sandbox: &Sandbox, settings: &str) -> Sync {
    Sync::new(lake, &sandbox.url()).settings(&format!("{ARCHIVED}{QUICK}{settings}"))
}

fn figures(lines: &[Value], name: &str) -> u64 {
    lines.iter().map(|line| line[name].as_u64().unwrap()).sum()
}

/// The archive of a resource in the order of its polls, each as `zstd -d` makes it.
fn bodies(lake: &Lake, resource: &str) -> Vec<String> {
    let files = lake.files_below(&format!("raw/{resource}")).into_iter();
    let read = |file: String| zstd::decode_all(fs::File::open(lake.path().join(file)).unwrap()).unwrap();
    files.map(|file| String::from_utf8(read(file)).unwrap()).collect()
}

/// Gives a lake the archive of another.
fn copy_archive(from: &Lake, into: &Lake) {
    for (file, bytes) in from.contents().iter().filter(|(file, _)| file.starts_with("raw/")) {
        fs::create_dir_all(into.path().join(file).parent().unwrap()).unwrap();
        fs::write(into.path().join(file), bytes).unwrap();
    }
}

#[test]
fn a_dozen_polls_of_every_kind_give_the_same_rows_again() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(101, 900));
    sandbox.switch("filters?dates=event_time");
    let mut rows = 0;
    let mut counts = |synced: Synced| {
        rows += synced.resources.values().map(|line| line["rows"].as_u64().unwrap_or(0)).sum::<u64>();
        synced
    };
    for round in 0..12 {
        sandbox.advance(TimeDelta::days(3));
        match round {
            // The whole list, a part of it, and pages, which are passed over by nobody.
            2 | 3 | 7 => {
                let synced = counts(sync(&lake, &sandbox, WINDOWED).succeed());
                assert!(synced.resources["trades"]["since"].is_string(), "{}", synced.ended.stdout);
            }
            5 => {
                sandbox.switch("paginate?on=true&shape=bare&size_max=30");
                counts(sync(&lake, &sandbox, PAGED).succeed());
                sandbox.switch("paginate?on=false");
            }
            // What a guard refuses is kept, and not believed the second time either.
            6 => {
                sandbox.switch("fault?kind=short&resource=trades");
                let refused = counts(sync(&lake, &sandbox, "").run());
                assert_eq!(refused.ended.code, Some(65), "{}", refused.ended.stderr);
                sandbox.switch("fault?kind=none");
            }
            // Unless the user does.
            8 => {
                sandbox.switch("fault?kind=short&resource=deposits");
                let removed = counts(sync(&lake, &sandbox, "").arg("--accept-removals").succeed());
                assert!(removed.figure("deposits", "removed") > 10);
                sandbox.switch("fault?kind=none");
            }
            9 => {
                sandbox.switch("fault?kind=huge-amount&resource=trades");
                assert_eq!(counts(sync(&lake, &sandbox, "").succeed()).figure("trades", "quarantined"), 1);
                sandbox.switch("fault?kind=none");
            }
            10 => {
                sandbox.style("key_order=shuffled&numbers=alternate");
                counts(sync(&lake, &sandbox, "").succeed());
            }
            _ => {
                counts(sync(&lake, &sandbox, "").succeed());
            }
        }
    }
    let lines = assert_replayed(&lake, &[]);
    assert_eq!(figures(&lines, "refused"), 1);
    assert_eq!(["added", "changed", "removed"].map(|name| figures(&lines, name)).iter().sum::<u64>(), rows);
    let trades = lines.iter().find(|line| line["resource"] == "trades").unwrap();
    assert_eq!((&trades["polls"], &trades["replayed"]), (&12.into(), &11.into()));
}

#[test]
fn a_body_is_kept_as_it_came_and_only_on_request() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let body = " [ {\"id\":\"a1\",\"currency\":\"ZAR\",\"balance\":1.10,\"x\":\"\\u00e9\"} ,\n{\"id\":\"a2\",\"currency\":\"BTC\",\"balance\":2E0}]\n";
    api.serve("/api/v1/accounts", body.to_owned());
    Sync::of(&lake, &api.url(), "accounts").succeed();
    assert_eq!(lake.files_below("raw"), Vec::<String>::new());
    // A poll that finds nothing new is one too.
    Sync::of(&lake, &api.url(), "accounts").settings(ARCHIVED).succeed();
    assert_eq!(bodies(&lake, "accounts"), [body]);
}

#[test]
fn a_replay_goes_on_behind_what_is_there_and_leaves_other_lakes_alone() {
    let (lake, anew, sandbox) = (Lake::new(), Lake::new(), Sandbox::start(103, 300));
    sync(&lake, &sandbox, "").succeed();
    assert!(figures(&replay(&lake, &anew, &[]), "commits") > 0);
    assert_eq!(figures(&replay(&lake, &anew, &[]), "replayed"), 0);
    sandbox.advance(TimeDelta::days(9));
    sync(&lake, &sandbox, "").succeed();
    assert!(figures(&replay(&lake, &anew, &[]), "replayed") >= 6);
    assert_same_rows(&lake, &anew);

    // A sync of its own has a poll that the archive has not.
    sandbox.advance(TimeDelta::days(9));
    Sync::new(&anew, &sandbox.url()).succeed();
    let before = anew.listing();
    let refused = run(&mut command(&lake, &anew, &[]));
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.stderr.contains("trades has commits of polls that are not in the archive"), "{}", refused.stderr);
    assert_untouched(&before, &anew.listing(), "refused");

    // Of a lake that has lost all but its archive, the same place can be made a lake again.
    let lost = Lake::new();
    copy_archive(&lake, &lost);
    replay(&lost, &lost, &[]);
    assert_same_rows(&lake, &lost);
}

/// Trades of these numbers.
fn trades(count: u64) -> String {
    let trade = |n: u64| {
        format!(
            r#"{{"transactionId":"T{n}","createdAt":"2026-01-03T08:00:00Z","status":"COMPLETED","fromAmount":{n}}}"#
        )
    };
    format!("[{}]", (1..=count).map(trade).collect::<Vec<_>>().join(","))
}

#[test]
fn what_was_taken_then_is_taken_though_a_backfill_has_done_something_between() {
    let (lake, anew, api) = (Lake::new(), Lake::new(), ScriptedApi::start());
    let serve = |count: u64| api.serve("/api/v1/trades", trades(count));
    let sync = || Sync::of(&lake, &api.url(), "trades").settings(ARCHIVED);
    serve(100);
    sync().succeed();
    serve(40);
    assert_eq!(sync().run().ended.code, Some(65));
    Backfill::of(&lake, &api.url(), "trades").args(&["--accept-removals"]).publish();
    // Against the hundred of the archive this is a loss of which no guard has heard.
    serve(43);
    assert_eq!(sync().succeed().figure("trades", "added"), 3);
    let lines = replay(&lake, &anew, &["--resource=trades"]);
    assert_eq!(["refused", "replayed", "removed"].map(|name| figures(&lines, name)), [1, 2, 57]);
    let values = |lake: &Lake| format!("(SELECT transaction_id, from_amount FROM {})", lake.scan("current", "trades"));
    assert_eq!(DuckDb::start().rows_apart(&values(&lake), &values(&anew)), "0");
    assert_verified(&anew);
}

#[test]
fn what_was_not_taken_for_removed_is_not_taken_for_that_by_a_replay() {
    let (lake, anew, api) = (Lake::new(), Lake::new(), ScriptedApi::start());
    // The first was last modified on a day, and so many follow it.
    let serve = |day: u64, count: u64| {
        let first = format!(
            r#"[{{"transactionId":"T0","createdAt":"2026-01-03T08:00:00Z","status":"COMPLETED","fromAmount":{day},
            "fills":[{{"transactionId":"F0","modifiedAt":"2026-01-{day:02}T08:00:00Z"}}]}},"#
        );
        api.serve("/api/v1/trades", trades(count).replacen('[', &first, 1));
    };
    let sync = || Sync::of(&lake, &api.url(), "trades").settings(ARCHIVED).succeed();
    serve(4, 20);
    sync();
    serve(5, 20);
    Backfill::of(&lake, &api.url(), "trades").publish();
    // The server that answers is behind what the backfill has seen, so that what it does not list may be there.
    serve(4, 15);
    let synced = sync();
    assert_eq!(["removed", "withheld"].map(|name| synced.figure("trades", name)), [0, 5]);
    // In the lake of the replay it is behind nothing.
    let lines = replay(&lake, &anew, &["--resource=trades"]);
    assert_eq!(["replayed", "removed", "withheld"].map(|name| figures(&lines, name)), [2, 0, 5]);
    let keys = |lake: &Lake| format!("(SELECT transaction_id FROM {})", lake.scan("current", "trades"));
    assert_eq!(DuckDb::start().rows_apart(&keys(&lake), &keys(&anew)), "0");
    assert_verified(&anew);
}

#[test]
fn a_poll_of_which_less_fits_than_then_is_not_replayed() {
    let (lake, anew, api) = (Lake::new(), Lake::new(), ScriptedApi::start());
    api.serve("/api/v1/trades", trades(30));
    Sync::of(&lake, &api.url(), "trades").settings(ARCHIVED).succeed();
    let schemas = anew.folder().join("schemas");
    fs::create_dir_all(&schemas).unwrap();
    let schema = include_str!("../../schemas/trades.json");
    let harmed =
        schema.replacen(r#""json": "fromAmount", "type": "decimal""#, r#""json": "fromAmount", "type": "boolean""#, 1);
    assert!(harmed != schema);
    fs::write(schemas.join("trades.json"), harmed).unwrap();
    let schemas = format!("--schemas={}", schemas.display());
    let ended = run(&mut command(&lake, &anew, &["--resource=trades", &schemas]));
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.stderr.contains("30 of 30 records do not fit the schema"), "{}", ended.stderr);
    assert_eq!(figures(&replay(&lake, &anew, &["--resource=trades"]), "added"), 30);
}

#[test]
fn a_replay_that_was_killed_behind_its_last_commit_is_ended_by_the_next() {
    let (lake, anew, sandbox) = (Lake::new(), Lake::new(), Sandbox::start(107, 200));
    sync(&lake, &sandbox, "").succeed();
    replay(&lake, &anew, &[]);
    let before: Vec<_> = anew.contents().into_iter().filter(|(file, _)| is_projected(file)).collect();
    sandbox.advance(TimeDelta::days(20));
    sync(&lake, &sandbox, "").succeed();
    replay(&lake, &anew, &[]);
    // `current/` as it was before the last of the commits.
    anew.files()
        .iter()
        .filter(|file| is_projected(file))
        .for_each(|file| fs::remove_file(anew.path().join(file)).unwrap());
    before.iter().for_each(|(file, bytes)| fs::write(anew.path().join(file), bytes).unwrap());
    assert_eq!(figures(&replay(&lake, &anew, &[]), "replayed"), 0);
    assert_same_rows(&lake, &anew);
    assert_verified(&anew);
}

fn is_projected(file: &str) -> bool {
    file.starts_with("current/") || file.ends_with("/current.json")
}

#[test]
fn what_cannot_be_replayed_is_refused_and_nothing_is_made() {
    let (lake, anew, api) = (Lake::new(), Lake::new(), ScriptedApi::start());
    let sync = |lake: &Lake, count: u64| {
        api.serve("/api/v1/trades", trades(count));
        Sync::of(lake, &api.url(), "trades").settings(ARCHIVED).succeed()
    };
    let assert_refused = |from: &Lake, into: &Lake, why: &str| {
        let before = into.listing();
        let ended = run(&mut command(from, into, &["--resource=trades"]));
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
        assert_untouched(&before, &into.listing(), why);
    };
    assert_refused(&lake, &anew, "it is not there");
    fs::create_dir_all(lake.path()).unwrap();
    assert_refused(&lake, &anew, "there is no archive of a poll");
    (1..4).for_each(|count| drop(sync(&lake, count)));
    // All but the archive is lost, and a sync came first: what was before it cannot come before it any more.
    for folder in ["changes", "current", "meta"] {
        fs::remove_dir_all(lake.path().join(folder)).unwrap();
    }
    sync(&lake, 4);
    assert_refused(&lake, &lake, "3 polls of it can only come to another lake");
    // Nor if that was cut off behind its claim, which the next has closed.
    for folder in ["changes", "current", "meta/trades/state"] {
        fs::remove_dir_all(lake.path().join(folder)).unwrap();
    }
    fs::remove_file(lake.path().join("meta/trades/current.json")).unwrap();
    sync(&lake, 4);
    assert_refused(&lake, &lake, "4 polls of it can only come to another lake");
    assert_eq!(figures(&replay(&lake, &anew, &["--resource=trades"]), "replayed"), 5);
    // Where none of it can be read, no lake is made either.
    let (harmed, anew) = (Lake::of(&lake.contents()), Lake::new());
    harmed.files_below("raw").iter().for_each(|file| fs::write(harmed.path().join(file), "junk").unwrap());
    let ended = run(&mut command(&harmed, &anew, &["--resource=trades"]));
    assert_eq!((ended.code, anew.files()), (Some(76), Vec::new()), "{ended:?}");
}

#[test]
fn an_archive_that_is_damaged_is_not_replayed_beyond() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(104, 200));
    for _ in 0..3 {
        Sync::of(&lake, &sandbox.url(), "trades").settings(ARCHIVED).succeed();
        sandbox.advance(TimeDelta::days(5));
    }
    let second = lake.files_below("raw/trades")[1].clone();
    let size = fs::metadata(lake.path().join(&second)).unwrap().len() as usize;
    let told = fs::read(lake.path().join(&second)).unwrap();
    let name = b"\"observed_at\":";
    let time = told.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    let digit_of_its_time = move |_: usize| time + 12;
    type Harm<'h> = Box<dyn Fn(&Lake) + 'h>;
    let cut = |length: usize| {
        let second = second.clone();
        move |lake: &Lake| {
            let path = lake.path().join(&second);
            fs::write(&path, &fs::read(&path).unwrap()[..length]).unwrap();
        }
    };
    let cases: [(&str, Harm<'_>, u64); 7] = [
        ("a bit of the body", Box::new(flip(&second, |size| size - 40)), 1),
        ("the body's end", Box::new(cut(size - 1)), 1),
        ("a bit of what tells of it", Box::new(flip(&second, |_| 12)), 0),
        ("a digit of its time", Box::new(flip(&second, digit_of_its_time)), 0),
        ("its beginning", Box::new(flip(&second, |_| 1)), 0),
        ("all but its beginning", Box::new(cut(20)), 0),
        ("all of it", Box::new(cut(0)), 0),
    ];
    let figures = Verified::of(&lake, &[]);
    assert_eq!((figures.figure("trades", "archived_polls"), figures.notes()), (3, Vec::<&str>::new()));
    assert!(figures.figure("trades", "archived_bytes") > 3 * 1000);
    // Nobody says that an archive is kept all the time; but what is not in it is told.
    let lacking = Lake::of(&lake.contents());
    fs::remove_file(lacking.path().join(&second)).unwrap();
    let of_archive = |verified: &Verified| -> Vec<String> {
        verified.notes().iter().filter(|key| key.starts_with("raw/")).map(ToString::to_string).collect()
    };
    let verified = Verified::of(&lacking, &[]);
    assert_eq!((verified.findings().len(), of_archive(&verified)), (0, vec!["raw/trades".to_owned()]));
    fs::write(lacking.path().join(&second).with_extension("zst.1"), "the rest").unwrap();
    fs::write(lacking.path().join("raw/trades/notes.txt"), "mine").unwrap();
    let verified = Verified::of(&lacking, &[]);
    assert_eq!(verified.findings(), [("strays".to_owned(), "raw/trades/notes.txt".to_owned())].into());
    assert_eq!(of_archive(&verified), [format!("{second}.1"), "raw/trades".to_owned()]);
    let longer = Lake::of(&lake.contents());
    fs::write(longer.path().join(&second).with_extension("zst.3"), "more").unwrap();
    let verified = Verified::of(&longer, &[]);
    assert_eq!(verified.findings(), [("strays".to_owned(), format!("{second}.3"))].into());
    assert_eq!(of_archive(&verified), Vec::<String>::new());
    for (what, harm, replayed) in cases {
        let harmed = Lake::of(&lake.contents());
        harm(&harmed);
        let anew = Lake::new();
        let ended = run(&mut command(&harmed, &anew, &["--resource=trades"]));
        assert_eq!(ended.code, Some(76), "{what}: {ended:?}");
        assert!(ended.stderr.contains(&second), "{what}: {}", ended.stderr);
        // Where no poll can be told from another, nothing is begun.
        let line = ended.stdout.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let done = line.as_ref().and_then(|line| line["replayed"].as_u64());
        assert_eq!(done, (replayed > 0).then_some(replayed), "{what}: {line:?}");
        let verified = Verified::of(&harmed, &[]);
        assert_eq!(verified.findings(), [("archive".to_owned(), second.clone())].into(), "{what}");
        assert_eq!(verified.ended.code, Some(76), "{what}");
        // Without reading it all, what the lengths and the beginning give away.
        let quick = Verified::of(&harmed, &["--quick"]).findings().len();
        assert_eq!(quick, usize::from(what != "a bit of the body"), "{what}");
    }
}

#[test]
fn a_poll_of_which_a_part_was_replayed_is_another_one_when_the_rest_is() {
    let (lake, anew, sandbox) = (Lake::new(), Lake::new(), Sandbox::start(106, 200));
    let sync = || Sync::of(&lake, &sandbox.url(), "deposits").settings(ARCHIVED).succeed();
    sync();
    replay(&lake, &anew, &["--resource=deposits"]);
    let mut duckdb = DuckDb::start();
    // As if it had been killed before the last of its objects, and the replay of the rest twice again.
    for lost in [3, 1, 1] {
        let mut objects = anew.files_below("changes/deposits");
        objects.sort_by_key(|file| file.rsplit('/').next().unwrap().to_owned());
        let count = objects.len();
        let lost = [
            objects.split_off(count - lost),
            anew.files_below("current"),
            anew.files_below("meta/deposits/state"),
            vec!["meta/deposits/current.json".to_owned()],
        ];
        lost.concat().iter().for_each(|file| fs::remove_file(anew.path().join(file)).unwrap());
        assert_eq!(figures(&replay(&lake, &anew, &["--resource=deposits"]), "replayed"), 1);
        assert_eq!(anew.commits("deposits").len(), count + lost[0].len());
        assert_verified(&anew);
        let all = "* EXCLUDE (_seq, _observed_at, _first_seen_at, _poll_id)";
        let read = |lake: &Lake| format!("(SELECT {all} FROM {})", lake.scan("changes", "deposits"));
        assert_eq!(duckdb.rows_apart(&read(&lake), &read(&anew)), "0");
        assert_eq!(figures(&replay(&lake, &anew, &["--resource=deposits"]), "replayed"), 0);
    }
    // Where the archive lies in the lake, it lacks none of these.
    sandbox.advance(TimeDelta::days(9));
    sync();
    replay(&lake, &anew, &["--resource=deposits"]);
    copy_archive(&lake, &anew);
    let verified = Verified::of(&anew, &[]);
    assert_eq!((verified.findings().len(), verified.notes()), (0, Vec::<&str>::new()));
}

#[test]
fn a_replay_that_is_killed_goes_on_and_loses_nothing() {
    let (lake, sandbox, mut random) = (Lake::new(), Sandbox::start(105, 700), Random::seeded(10500));
    for _ in 0..6 {
        sync(&lake, &sandbox, "").succeed();
        sandbox.advance(TimeDelta::days(4));
    }
    let began = std::time::Instant::now();
    replay(&lake, &Lake::new(), &[]);
    let whole = began.elapsed();
    let (mut anew, mut kills) = (Lake::new(), 0);
    while kills < KILLS {
        let mut child = spawn(&mut command(&lake, &anew, &[]));
        thread::sleep(Duration::from_micros(random.below(whole.as_micros() as u64 / 2)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        let ended = end(child);
        if ended.code == Some(0) {
            anew = Lake::new();
        }
    }
    lines(&run(&mut command(&lake, &anew, &[])));
    // Of a poll that was cut off, what remained was seen again, a moment later: the values are the same, and each is there once.
    let mut duckdb = DuckDb::start();
    for resource in ["accounts", "wallets", "beneficiaries", "deposits", "withdrawals", "trades"] {
        let all = "* EXCLUDE (_seq, _observed_at, _first_seen_at, _poll_id)";
        let read = |lake: &Lake| format!("(SELECT {all} FROM {})", lake.scan("changes", resource));
        assert_eq!(duckdb.rows_apart(&read(&lake), &read(&anew)), "0", "{resource}");
    }
    assert_verified(&anew);
}
