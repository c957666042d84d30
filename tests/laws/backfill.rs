//! A backfill does what was reviewed, or nothing: whatever moves on meanwhile, and however often it is killed. What files say never
//! takes the place of what the API says, nor of what a later file says.

use std::{collections::BTreeMap, fs, io::Write, path::Path, thread};

use chrono::TimeDelta;
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::records::{assert_current_is_the_truth, assert_lake_is_the_truth};
use crate::support::{
    api::ScriptedApi,
    backfilled::{Backfill, Planned},
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, end, program_without_credentials, run, spawn},
    random::Random,
    sandbox::Sandbox,
    tables::Resource,
    tiny::{self, Time},
    verified::assert_verified,
};

/// Kills that meet a backfill alive.
const KILLS: u32 = 100;
/// Nothing is asked of it.
const NO_API: &str = "http://127.0.0.1:9";

/// The cursor of the last commit.
fn cursor(lake: &Lake, resource: &str) -> Value {
    let mut status = program_without_credentials(lake.folder());
    let ended = run(status.args(["status", "--json", "--resource", resource, "--lake"]).arg(lake.path()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut status: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    let cursor = status.as_object_mut().unwrap();
    cursor.retain(|name, _| !["resource", "head", "objects", "bytes"].contains(&name.as_str()));
    status
}

#[track_caller]
fn assert_refused(backfill: &Backfill<'_>, code: i32, why: &str, lake: &Lake) {
    let before = lake.listing();
    let ended = backfill.run();
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
    assert_untouched(&before, &lake.listing(), why);
}

#[test]
fn a_range_of_dates_is_written_as_planned_and_a_sync_brings_the_rest() {
    let (lake, sandbox, mut duckdb) = (Lake::new(), Sandbox::start(201, 500), DuckDb::start());
    let deposits = Resource::named("deposits");
    let all = Backfill::of(&lake, &sandbox.url(), "deposits");
    let backfill = all.clone().args(&["--from", "2025-09-10", "--to", "2025-12-05"]);
    let plan = backfill.plan();
    assert_eq!(lake.files(), Vec::<String>::new(), "a plan writes nothing, and makes no lake");
    let names: Vec<&str> = plan.partitions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["2025-09", "2025-10", "2025-11", "2025-12"]);
    let [added, changed, removed] = plan.changes();
    assert_eq!((changed, removed, plan.figure("outside")), (0, 0, plan.figure("listed") - added));
    assert!(added >= 20 && plan.figure("outside") > 20, "{:?}", plan.plan);
    assert_eq!(backfill.publish().hash(), plan.hash());
    let days = "min(CAST(created_at AS DATE)) >= '2025-09-10' AND max(CAST(created_at AS DATE)) <= '2025-12-05'";
    let days = days.replace("created_at", "completed_at");
    let scan = lake.scan("current", "deposits");
    assert_eq!(
        duckdb.value(&format!("SELECT CAST({days} AS VARCHAR) || ' ' || count(*) FROM {scan}")),
        format!("true {added}")
    );
    assert_verified(&lake);
    // Again there is nothing to do, and an empty plan is carried out like any other.
    let again = backfill.plan();
    assert_eq!((again.changes(), again.figure("equal")), ([0, 0, 0], added));
    let nothing = Planned::of(&backfill.publishing(&again).run());
    assert_eq!((nothing.figure("commits"), nothing.plan["published"].as_bool()), (0, Some(true)));

    // Syncs have come nowhere yet, and go on as ever.
    assert_eq!(cursor(&lake, "deposits")["backfill"]["synced"], Value::Null);
    let synced = Sync::of(&lake, &sandbox.url(), "deposits").succeed();
    assert_eq!(synced.figure("deposits", "unchanged"), added);
    assert_lake_is_the_truth(&mut duckdb, &lake, &sandbox, &[deposits]);
    assert_eq!(all.plan().changes(), [0, 0, 0]);
}

#[test]
fn what_changes_and_goes_is_shown_before_it_is_done_and_the_rest_is_left_to_syncs() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    tiny::serve(&api, Time::Before);
    let sync = || Sync::of(&lake, &api.url(), "trades");
    sync().succeed();
    let before = cursor(&lake, "trades");
    tiny::serve(&api, Time::After);
    let all = Backfill::of(&lake, &api.url(), "trades");
    let january = all.clone().args(&["--from=2026-01-01", "--to=2026-01-31"]);
    let plan = january.plan();
    assert_eq!(plan.partitions, [("2026-01".to_owned(), [1, 1, 1])]);
    assert_eq!((plan.figure("outside"), plan.figure("rejected")), (2, 1));
    let sample = |sample: [&str; 5]| sample.map(str::to_owned);
    for expected in [
        sample(["changed", "T1", "status", "PENDING", "COMPLETED"]),
        sample(["changed", "T1", "fills", "1 element", "2 elements"]),
        sample(["added", "T6", "from_amount", "null", "60"]),
        sample(["removed", "T2", "status", "COMPLETED", "null"]),
    ] {
        assert!(plan.samples.contains(&expected), "{expected:?} in {:?}", plan.samples);
    }
    january.publish();
    assert_verified(&lake);
    let after = cursor(&lake, "trades");
    assert_eq!(after["backfill"]["synced"], before, "how far syncs have come is as it was");
    assert_eq!(after["backfill"]["plan"], plan.hash());
    for name in ["full_poll_at", "newest_event_time"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let synced = sync().succeed();
    assert_eq!(["added", "changed", "removed"].map(|name| synced.figure("trades", name)), [1, 1, 0]);
    let held = &tiny::held(&mut DuckDb::start(), lake.folder());
    let held = held.values().next().unwrap();
    let versions: Vec<_> = held.changes_of("trades").iter().collect();
    assert_eq!(versions.len(), tiny::versions("trades", Time::After).len(), "each version once: {versions:?}");
    assert_verified(&lake);
}

#[test]
fn a_plan_that_is_stale_is_refused_and_one_that_others_do_not_touch_is_not() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(202, 400));
    let backfill = |args: &[&str]| Backfill::of(&lake, &sandbox.url(), "withdrawals").args(args);
    Sync::of(&lake, &sandbox.url(), "accounts").succeed();
    let (early, late) = (backfill(&["--to", "2025-10-31"]), backfill(&["--from", "2025-11-01"]));
    let (plan, other) = (early.plan(), late.plan());
    assert_refused(&early.clone().args(&["--plan", "0123456789abcdef"]), 65, "is stale", &lake);
    assert_refused(&early.publishing(&other), 65, "is stale", &lake);
    assert_refused(&late.publishing(&plan), 65, "is stale", &lake);

    // The API's answer has changed since: there are new ones.
    sandbox.advance(TimeDelta::days(20));
    assert_refused(&late.publishing(&other), 65, "look at it again with --dry-run", &lake);
    // In the other range nothing has, and what is committed elsewhere is no matter.
    let other = late.plan();
    assert_eq!(Planned::of(&late.publishing(&other).run()).changes(), other.changes());
    let published = Planned::of(&early.publishing(&plan).run());
    assert_eq!(published.changes(), plan.changes());
    assert_verified(&lake);

    // A sync has done a part of it.
    sandbox.advance(TimeDelta::days(20));
    let plan = late.plan();
    Sync::of(&lake, &sandbox.url(), "withdrawals").succeed();
    assert_refused(&late.publishing(&plan), 65, "is stale", &lake);

    // Guards hold for plans as for syncs.
    sandbox.switch("fault?kind=short&resource=withdrawals");
    assert_refused(&late.clone().args(&["--dry-run"]), 65, "are missing from the API's answer", &lake);
    let accepted = late.clone().args(&["--accept-removals"]);
    let plan = accepted.plan();
    assert!(plan.figure("removed") > 10, "{}", plan.plan);
    assert_refused(&late.publishing(&plan), 65, "are missing from the API's answer", &lake);
    accepted.publish();
    assert_verified(&lake);
}

#[test]
fn a_plan_is_stale_if_what_the_lake_has_of_a_record_is_not_what_was_reviewed() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let serve = |amount: &str| api.serve("/api/v1/trades", list(&[trade("T1", "2026-01-03", "COMPLETED", amount)]));
    let sync = || Sync::of(&lake, &api.url(), "trades").succeed();
    let backfill = Backfill::of(&lake, &api.url(), "trades");
    serve("1.5");
    sync();
    serve("2");
    let plan = backfill.plan();
    // From 3 to 2 is not from 1.5 to 2.
    serve("3");
    sync();
    serve("2");
    assert_refused(&backfill.publishing(&plan), 65, "is stale", &lake);
    assert_eq!(backfill.publish().changes(), [0, 1, 0]);
    assert_verified(&lake);
}

#[test]
fn the_moment_of_which_files_tell_is_part_of_the_plan() {
    let lake = Lake::new();
    let file = input(&lake, "a.json", &[trade("A", "2025-01-01", "COMPLETED", "1")]);
    let of = |time: &str| Backfill::of(&lake, NO_API, "trades").args(&["--input", &file, "--observed-at", time]);
    Sync::of(&lake, &Sandbox::start(204, 20).url(), "accounts").succeed();
    let plan = of("2024-03-01T00:00:00Z").plan();
    assert_refused(&of("2025-09-09T00:00:00Z").publishing(&plan), 65, "is stale", &lake);
    assert_eq!(Planned::of(&of("2024-03-01T00:00:00Z").publishing(&plan).run()).changes(), [1, 0, 0]);
}

#[test]
fn no_plan_is_made_while_it_is_not_certain_what_is_in_the_lake() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(205, 300));
    Sync::of(&lake, &sandbox.url(), "deposits").succeed();
    // As if it had been killed before the last two of its objects.
    let mut objects = lake.files_below("changes/deposits");
    objects.sort_by_key(|file| file.rsplit('/').next().unwrap().to_owned());
    let lost =
        [objects.split_off(objects.len() - 2), lake.files_below("current"), lake.files_below("meta/deposits/state")];
    lost.concat().iter().for_each(|file| fs::remove_file(lake.path().join(file)).unwrap());
    let backfill = Backfill::of(&lake, &sandbox.url(), "deposits");
    assert_refused(&backfill.clone().args(&["--dry-run"]), 75, "a run is committing, or was cut off", &lake);
    Sync::of(&lake, &sandbox.url(), "deposits").succeed();
    assert_eq!(backfill.plan().changes(), [0, 0, 0]);
    assert_verified(&lake);
}

#[test]
fn nothing_is_done_without_a_review() {
    let lake = Lake::new();
    let backfill = |args: &[&str]| Backfill::of(&lake, NO_API, "trades").args(args);
    assert_refused(&backfill(&[]), 2, "--dry-run", &lake);
    assert_refused(&backfill(&["--dry-run", "--plan", "0123456789abcdef"]), 2, "cannot be used with", &lake);
    assert_refused(&backfill(&["--dry-run", "--observed-at", "2026-01-01T00:00:00Z"]), 2, "--input", &lake);
    assert_refused(&backfill(&["--dry-run", "--from", "2026-13-01"]), 2, "2026-13-01", &lake);
    let backwards = ["--dry-run", "--from", "2026-02-01", "--to", "2026-01-31"];
    assert_refused(&backfill(&backwards), 78, "no day is on 2026-02-01 or later", &lake);
    assert_refused(&Backfill::of(&lake, NO_API, "trade").args(&["--dry-run"]), 78, "trades", &lake);
}

/// A trade as the API writes it: no digit of the amount goes through a binary number.
fn trade(id: &str, day: &str, status: &str, amount: &str) -> String {
    format!(
        r#"{{"transactionId":"{id}","createdAt":"{day}T08:00:00Z","status":"{status}","fromAmount":{amount},"fills":[]}}"#
    )
}

fn list(records: &[String]) -> String {
    format!("[{}]", records.join(","))
}

/// A file of these records.
fn input(lake: &Lake, name: &str, records: &[String]) -> String {
    let text = list(records).into_bytes();
    let bytes = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        }
        Some("zst") => zstd::encode_all(&text[..], 3).unwrap(),
        _ => text,
    };
    let path = lake.folder().join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// The current rows: status, and whether they are from an input, by id.
fn current(duckdb: &mut DuckDb, lake: &Lake) -> BTreeMap<String, (String, bool)> {
    let sql = format!(
        "SELECT transaction_id, status, CAST(_poll_id LIKE 'input-%' AS VARCHAR) FROM {}",
        lake.scan("current", "trades")
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    duckdb.query(&sql).rows.iter().map(|row| (text(&row[0]), (text(&row[1]), text(&row[2]) == "true"))).collect()
}

#[test]
fn files_bring_what_the_api_does_not_list_and_change_nothing_that_is_newer() {
    let (lake, api, mut duckdb) = (Lake::new(), ScriptedApi::start(), DuckDb::start());
    tiny::serve(&api, Time::Before);
    let sync = || Sync::of(&lake, &api.url(), "trades").succeed();
    sync();
    let synced = cursor(&lake, "trades");
    let of = |files: &[&str], time: &str| {
        let backfill = Backfill::of(&lake, NO_API, "trades").args(&["--input"]).args(files);
        backfill.args(&["--observed-at", time])
    };
    let old = |id: &str, status: &str| trade(id, "2019-03-03", status, "12345678901234567.000000000000000001");
    // Three files of one moment, the same record in two of them, and one that the API lists otherwise.
    let plain = input(&lake, "a.json", &[old("X1", "COMPLETED"), old("X2", "PENDING")]);
    let gzip = input(&lake, "b.json.gz", &[old("X2", "PENDING"), old("X3", "COMPLETED"), old("T1", "FAILED")]);
    let zstd = input(&lake, "c.json.zst", &[trade("X4", "2020-01-01", "COMPLETED", "1")]);
    let first = of(&[&plain, &gzip, &zstd], "2022-01-01T00:00:00Z");
    let plan = first.publish();
    assert_eq!((plan.changes(), plan.figure("kept"), plan.figure("listed")), ([4, 0, 0], 1, 5));
    assert_eq!(first.plan().changes(), [0, 0, 0]);
    let amount = "SELECT CAST(from_amount AS VARCHAR) FROM {} WHERE transaction_id = 'X1'";
    let amount = amount.replace("{}", &lake.scan("current", "trades"));
    assert_eq!(duckdb.value(&amount), "12345678901234567.000000000000000001");
    // What is open is open in the API; and what was known before is what it was.
    let mut ddl = program_without_credentials(lake.folder());
    duckdb.query(&run(ddl.args(["ddl", "duckdb", "--lake"]).arg(lake.path())).stdout);
    let keys = |from: &str| format!("SELECT string_agg(key, ' ' ORDER BY key) FROM ({from})");
    assert_eq!(duckdb.value(&keys("SELECT key FROM open_records")), "T1 T3");
    let then = format!("make_timestamptz({}::BIGINT)", synced["observed_at"]);
    let known = keys(&format!("SELECT transaction_id AS key FROM trades_as_of({then})"));
    assert_eq!(duckdb.value(&known), "T1 T2 T3 T4");
    assert_eq!(duckdb.value("SELECT count(DISTINCT plan) || ' ' || count(*) FROM syncs WHERE plan IS NOT NULL"), "1 2");

    // Older, of the same moment, and newer.
    let other = input(&lake, "d.json", &[old("X1", "REVERSED"), old("X2", "COMPLETED"), old("X5", "COMPLETED")]);
    for time in ["2021-12-31T23:59:59.999999Z", "2022-01-01T00:00:00Z"] {
        let plan = of(&[&other], time).args(&["--to=2019-12-31"]).plan();
        assert_eq!((plan.changes(), plan.figure("kept")), ([1, 0, 0], 2), "{time}");
    }
    let newer = of(&[&other], "2022-01-01T00:00:00.000001Z");
    assert_eq!(newer.publish().changes(), [1, 2, 0]);
    // The older one again.
    assert_eq!((first.plan().changes(), first.plan().figure("kept")), ([0, 0, 0], 3));
    let row = |(id, status, is_input): (&str, &str, bool)| (id.to_owned(), (status.to_owned(), is_input));
    let expected = [
        ("T1", "PENDING", false),
        ("T2", "COMPLETED", false),
        ("T3", "PENDING", false),
        ("T4", "COMPLETED", false),
        ("X1", "REVERSED", true),
        ("X2", "COMPLETED", true),
        ("X3", "COMPLETED", true),
        ("X4", "COMPLETED", true),
        ("X5", "COMPLETED", true),
    ];
    assert_eq!(current(&mut duckdb, &lake), expected.map(row).into());
    assert_verified(&lake);
    assert_eq!(cursor(&lake, "trades")["backfill"]["synced"], synced);

    // What was never listed is not missing, be it ever so much of all that is known.
    let synced = sync();
    assert_eq!(["added", "changed", "removed", "unchanged"].map(|name| synced.figure("trades", name)), [0, 0, 0, 4]);
    // The API has the last word on what it does list, even with a value of before, and from then on it can go.
    let listed = [old("X1", "COMPLETED"), old("X3", "COMPLETED")];
    let serve = |records: &[String]| api.serve("/api/v1/trades", list(records));
    let trades: Vec<String> = ["T1", "T2", "T3", "T4"].map(|id| trade(id, "2026-01-03", "COMPLETED", "1")).to_vec();
    serve(&[&trades[..], &listed].concat());
    let synced = sync();
    assert_eq!(["added", "changed", "removed"].map(|name| synced.figure("trades", name)), [0, 6, 0]);
    assert_verified(&lake);
    let rows = current(&mut duckdb, &lake);
    assert_eq!((&rows["X1"], &rows["X3"]), (&("COMPLETED".to_owned(), false), &("COMPLETED".to_owned(), false)));
    serve(&trades);
    assert_eq!(sync().figure("trades", "removed"), 2);
    // No file brings it back.
    let plan = of(&[&plain, &gzip], "2030-01-01T00:00:00Z").plan();
    assert_eq!((plan.changes(), plan.figure("kept")), ([0, 1, 0], 3), "X2 is of a file alone");
    assert_verified(&lake);
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused_by_name_and_nothing_is_taken() {
    let lake = Lake::new();
    let of = |files: &[&str]| {
        let backfill =
            Backfill::of(&lake, NO_API, "trades").args(&["--dry-run", "--observed-at", "2026-01-01T00:00:00Z"]);
        backfill.args(&["--input"]).args(files)
    };
    let record = |id: &str, status: &str| trade(id, "2025-01-01", status, "1");
    let good = input(&lake, "good.json", &[record("A", "COMPLETED")]);
    let other = input(&lake, "other.json", &[record("A", "REVERSED")]);
    let cut = |name: &str, by: usize| {
        let path = input(&lake, name, &[record("A", "COMPLETED"), record("B", "COMPLETED")]);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - by]).unwrap();
        path
    };
    let odd = |name: &str, text: &str| {
        let path = lake.folder().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    assert_refused(&of(&[&good, &other]), 65, "other.json: refused: the key `A` stands twice", &lake);
    for (file, why) in [
        (cut("cut.json", 1), "cut.json: refused"),
        (cut("cut.json.gz", 9), "cut.json.gz: "),
        (cut("cut.json.zst", 2), "cut.json.zst: "),
        (odd("empty.json", ""), "empty.json: refused"),
        (odd("page.json", r#"{"content":[]}"#), "page.json: "),
        (odd("two.json", "[][]"), "two.json: refused"),
        (lake.folder().join("none.json").display().to_string(), "none.json: "),
    ] {
        assert_refused(&of(&[&file]), 65, why, &lake);
        assert_refused(&of(&[&good, &file]), 65, why, &lake);
    }
    // As many as may be odd in a list may be odd here; they are told, and not taken.
    let text = odd("text.json", r#"[{"transactionId":"Z","fromAmount":"1"}]"#);
    assert_refused(&of(&[&text]), 65, "text.json: refused: 1 of 1 records do not fit", &lake);
    let ended = of(&[&good, &text]).run();
    assert_eq!((Planned::of(&ended).figure("rejected"), Planned::of(&ended).figure("added")), (1, 1));
    assert!(ended.stderr.contains("record `Z`, fromAmount"), "{}", ended.stderr);
    let untimed = Backfill::of(&lake, NO_API, "trades").args(&["--dry-run", "--input", &good]);
    assert_refused(&untimed, 65, "good.json: nothing says of when it is; --observed-at does", &lake);
}

#[test]
fn an_archived_answer_says_itself_what_it_is_and_personal_data_is_not_treated_twice() {
    let (lake, sandbox, mut duckdb) = (Lake::new(), Sandbox::start(203, 300), DuckDb::start());
    let settings = "raw_archive = true\npersonal_data = \"hmac\"\n";
    let key = "0123456789abcdef0123456789abcdef";
    let sync = |lake: &Lake| {
        let sync = Sync::new(lake, &sandbox.url()).settings(settings).without("LUMETRADE_PERSONAL_DATA");
        sync.with("LUMETRADE_HMAC_KEY", key)
    };
    sync(&lake).succeed();
    let anew = Lake::new();
    for resource in ["beneficiaries", "withdrawals"] {
        let [archived] = &lake.files_below(&format!("raw/{resource}"))[..] else { panic!("one poll") };
        let file = lake.path().join(archived).display().to_string();
        let backfill = |resource: &str| {
            let backfill = Backfill::of(&anew, NO_API, resource).with("LUMETRADE_PERSONAL_DATA", "hmac");
            backfill.with("LUMETRADE_HMAC_KEY", key).args(&["--input", &file])
        };
        assert_refused(
            &backfill("trades").args(&["--dry-run"]),
            65,
            &format!("is of {resource}, not of trades"),
            &anew,
        );
        backfill(resource).publish();
        let rows = |lake: &Lake| {
            let scan = lake.scan("current", resource);
            format!("(SELECT * EXCLUDE (_seq, _observed_at, _first_seen_at, _poll_id) FROM {scan})")
        };
        assert_eq!(duckdb.rows_apart(&rows(&lake), &rows(&anew)), "0", "{resource}");
    }
    assert_verified(&anew);
    // A hash that the settings do not want is not stored either, and nobody needs its key for that.
    let dropping = Lake::new();
    let [archived] = &lake.files_below("raw/beneficiaries")[..] else { panic!("one poll") };
    let file = lake.path().join(archived).display().to_string();
    let backfill = Backfill::of(&dropping, NO_API, "beneficiaries").with("LUMETRADE_PERSONAL_DATA", "drop");
    backfill.args(&["--input", &file]).publish();
    let mut nicknames =
        |lake: &Lake| duckdb.value(&format!("SELECT count(nickname) FROM {}", lake.scan("current", "beneficiaries")));
    assert_eq!([&lake, &anew].map(&mut nicknames).map(|count| count != "0"), [true, true]);
    assert_eq!(nicknames(&dropping), "0");
    // All of it is the API's as soon as that lists it.
    let synced = sync(&anew).succeed();
    assert_eq!(synced.figure("withdrawals", "unchanged"), 0);
    assert_current_is_the_truth(&mut duckdb, &anew, &sandbox, &[Resource::named("deposits")]);
    let marked = format!(
        "SELECT CAST(count(*) AS VARCHAR) FROM {} WHERE _poll_id LIKE 'input-%'",
        anew.scan("current", "withdrawals")
    );
    assert_eq!(duckdb.value(&marked), "0");
    assert_verified(&anew);
}

#[test]
fn a_backfill_that_is_killed_a_hundred_times_and_gone_on_with_gives_the_same_lake() {
    let (sandbox, mut random, mut duckdb) = (Sandbox::start(204, 450), Random::seeded(20400), DuckDb::start());
    let rows = |lake: &Lake| {
        let scan = lake.scan("changes", "trades");
        format!("(SELECT * EXCLUDE (_seq, _observed_at, _first_seen_at, _poll_id) FROM {scan})")
    };
    // From the API, and from a file of what it said; many objects, so that a kill mostly leaves a part of them.
    let inputs = Lake::new();
    let (file, settings) = (inputs.folder().join("trades.json"), inputs.folder().join("settings.toml"));
    fs::write(&settings, "partition = \"day\"\n").unwrap();
    let settings = ["--config", settings.to_str().unwrap()];
    fs::write(&file, listed(&sandbox)).unwrap();
    let with_input = ["--input", file.to_str().unwrap(), "--observed-at", "2026-01-01T00:00:00Z"];
    for args in [&["--from", "2025-01-01"][..], &with_input] {
        let whole = Lake::new();
        let began = std::time::Instant::now();
        let plan = Backfill::of(&whole, &sandbox.url(), "trades").args(&settings).args(args).publish();
        let reach = began.elapsed() / 2;
        assert!(plan.partitions.len() > 100, "many commits: {:?}", plan.partitions);
        let (mut kills, mut gone_on) = (0, 0);
        while kills < KILLS / 2 {
            let lake = Lake::new();
            let backfill = Backfill::of(&lake, &sandbox.url(), "trades").args(&settings).args(args).publishing(&plan);
            let ended = loop {
                let mut child = spawn(&mut backfill.command());
                if random.one_in(2) {
                    thread::sleep(reach.mul_f64(random.share()));
                } else {
                    // Somewhere among its commits.
                    let few = random.below(plan.partitions.len() as u64) as usize;
                    let is_at_it =
                        || lake.files_below("changes").iter().filter(|file| file.ends_with(".parquet")).count() < few;
                    while is_at_it() && child.try_wait().unwrap().is_none() {}
                }
                if child.try_wait().unwrap().is_some() || random.one_in(8) {
                    break end(child);
                }
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            };
            let published = Planned::of(&ended);
            assert_eq!(published.figure("added") + published.figure("committed_before"), plan.figure("added"));
            gone_on += u32::from(published.figure("committed_before") > 0);
            assert_eq!(duckdb.rows_apart(&rows(&whole), &rows(&lake)), "0", "{args:?}");
            assert_verified(&lake);
        }
        println!("{args:?}: {kills} kills, {gone_on} backfills had a part committed when they were gone on with");
        assert!(gone_on > 5);
    }
}

/// What the sandbox lists.
fn listed(sandbox: &Sandbox) -> String {
    let lake = Lake::new();
    Sync::of(&lake, &sandbox.url(), "trades").settings("raw_archive = true\n").succeed();
    let [archived] = &lake.files_below("raw/trades")[..] else { panic!("one poll") };
    let bytes = zstd::decode_all(fs::File::open(lake.path().join(archived)).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}
