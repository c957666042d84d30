//! `verify` finds nothing in a lake that is right, and what is wrong with one that is not, where it is.

use std::{collections::BTreeSet, fs, path::Path};

use chrono::TimeDelta;
use serde_json::json;

use super::records::documented;
use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::Sync,
    sandbox::Sandbox,
    verified::{Verified, assert_verified},
};

const DEPOSITS: &str = "/api/v1/deposits";
/// What knows the last commit beside the log.
const STATE: &str = "meta/deposits/state/known.bin";
const INDEX: &str = "meta/deposits/current.json";
const TRADES: &str = "/api/v1/trades";

fn deposit(n: usize, month: usize, status: &str) -> String {
    format!(
        r#"{{"transactionId":"D{n}","amount":{n}.5,"fee":0.25,"status":"{status}","completedAt":"2026-{month:02}-03T00:00:00Z"}}"#
    )
}

fn trade(n: usize, fills: usize) -> String {
    let fill = |f| format!(r#"{{"transactionId":"F{n}-{f}","toCurrencyAmount":{f}}}"#);
    let fills: Vec<_> = (0..fills).map(fill).collect();
    let (month, fills) = (n % 2 + 4, fills.join(","));
    format!(
        r#"{{"transactionId":"T{n}","status":"PENDING","createdAt":"2026-{month:02}-07T00:00:00Z","fills":[{fills}]}}"#
    )
}

/// Schemas of an earlier day, when the fee was not declared.
fn schemas_without_fee(folder: &Path) -> std::path::PathBuf {
    let schemas = folder.join("schemas");
    fs::create_dir_all(&schemas).unwrap();
    let declared = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/deposits.json")).unwrap();
    let mut earlier: serde_json::Value = serde_json::from_str(&declared).unwrap();
    earlier["columns"].as_array_mut().unwrap().retain(|column| column["name"] != "fee");
    fs::write(schemas.join("deposits.json"), earlier.to_string()).unwrap();
    schemas
}

/// A lake in which everything has happened that may: several polls and partitions, changes, removals, fills, a quarantine, a
/// claim whose writer was never seen again, and a column that was declared on the way.
fn eventful() -> Lake {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let sync = || Sync::new(&lake, &api.url()).arg("--resource=deposits").arg("--resource=trades");
    let serve = |deposits: &[String], trades: &[String]| {
        api.serve(DEPOSITS, format!("[{}]", deposits.join(",")));
        api.serve(TRADES, format!("[{}]", trades.join(",")));
    };
    let mut deposits: Vec<_> = (0..23).map(|n| deposit(n, n % 3 + 3, "PENDING")).collect();
    let mut trades: Vec<_> = (0..13).map(|n| trade(n, n % 4)).collect();
    serve(&deposits, &trades);
    sync().schemas(schemas_without_fee(lake.folder())).succeed();
    // From here on the fee has its column.
    sync().succeed();
    deposits[4] = deposit(4, 5, "COMPLETED");
    deposits[5] = deposit(5, 5, "PENDING").replace("5.5", "\"5.5\"");
    trades[3] = trade(3, 5);
    serve(&deposits, &trades);
    sync().succeed();
    let next = lake.commits("deposits").len() as u64 + 1;
    let claim = json!({
        "seq": next, "key": format!("changes/deposits/event_month=2025-12/{next:020}.parquet"),
        "size": 1, "sha256": "0".repeat(64), "poll_id": "another",
    });
    fs::write(lake.path().join(format!("meta/deposits/log/{next:020}.json")), claim.to_string()).unwrap();
    deposits.remove(9);
    deposits.remove(2);
    deposits[4] = deposit(5, 5, "COMPLETED");
    trades.remove(7);
    serve(&deposits, &trades);
    sync().succeed();
    // The removed come back, in part.
    deposits.push(deposit(2, 3, "REVERSED"));
    serve(&deposits, &trades);
    sync().succeed();
    lake
}

#[test]
fn an_eventful_lake_is_found_right_with_its_figures_and_left_alone() {
    let (lake, mut duckdb) = (eventful(), DuckDb::start());
    let before = lake.listing();
    let (full, quick) = (Verified::of(&lake, &[]), Verified::of(&lake, &["--quick"]));
    assert_untouched(&before, &lake.listing(), "verify");
    for verified in [&full, &quick] {
        assert_eq!((verified.findings(), verified.notes()), (BTreeSet::new(), vec![]), "{}", verified.ended.stdout);
        assert_eq!(verified.ended.code, Some(0), "{}", verified.ended.stderr);
        assert_eq!(verified.resources.len(), 8);
    }
    for name in ["deposits", "trades"] {
        let commits = lake.commits(name).len() as u64;
        let mut count = |what: &str, layer: &str, table: &str| -> u64 {
            let scan =
                format!("read_parquet('{}/{layer}/{table}/**/*.parquet', union_by_name = true)", lake.path().display());
            duckdb.value(&format!("SELECT CAST(count({what}) AS VARCHAR) FROM {scan}")).parse().unwrap()
        };
        let (versions, keys) = (count("*", "changes", name), count("DISTINCT transaction_id", "changes", name));
        let records = count("*", "current", name);
        for verified in [&full, &quick] {
            assert_eq!((verified.figure(name, "commits"), verified.figure(name, "head")), (commits, commits));
            assert_eq!(verified.figure(name, "rows"), versions);
            assert_eq!(verified.figure(name, "open_claims"), 0);
        }
        assert_eq!(full.figure(name, "records"), records);
        assert_eq!(full.figure(name, "removed"), keys - records);
        assert!(quick.resources[name]["records"].is_null());
        let tables = if name == "trades" { vec!["trades", "trade_fills"] } else { vec!["deposits"] };
        let mut shown = 0;
        let mut files = lake.files_below(&format!("changes/{name}"));
        for table in tables {
            shown += count("*", "current", table);
            files.extend(lake.files_below(&format!("current/{table}")));
        }
        assert_eq!(full.figure(name, "current_rows"), shown);
        assert_eq!(full.figure(name, "current_objects"), files.len() as u64 - commits);
        let bytes: u64 = files.iter().map(|file| fs::metadata(lake.path().join(file)).unwrap().len()).sum();
        assert_eq!(full.figure(name, "bytes_hashed"), bytes);
    }
    let figures = ["voids", "other_schemas", "removed", "quarantine_objects"].map(|name| full.figure("deposits", name));
    assert_eq!(figures, [1, 3, 1, 2], "{}", full.ended.stdout);
    assert_eq!((full.figure("trades", "voids"), full.figure("trades", "removed")), (0, 1));
}

/// What is done to a lake, and what is found then, as law and key; at full depth, and quickly.
struct Case {
    what: &'static str,
    harm: Box<dyn Fn(&Lake)>,
    full: Vec<(&'static str, String)>,
    quick: Vec<(&'static str, String)>,
}

fn case(what: &'static str, harm: impl Fn(&Lake) + 'static, full: &[(&'static str, &str)]) -> Case {
    let full: Vec<_> = full.iter().map(|(law, key)| (*law, (*key).to_owned())).collect();
    Case { what, harm: Box::new(harm), quick: full.clone(), full }
}

impl Case {
    /// Another outcome where it is looked at quickly.
    fn quickly(self, quick: &[(&'static str, &str)]) -> Self {
        Self { quick: quick.iter().map(|(law, key)| (*law, (*key).to_owned())).collect(), ..self }
    }
}

pub(super) fn write(file: &str, bytes: &'static [u8]) -> impl Fn(&Lake) + use<> {
    let file = file.to_owned();
    move |lake| {
        let path = lake.path().join(&file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub(super) fn delete(file: &str) -> impl Fn(&Lake) + use<> {
    let file = file.to_owned();
    move |lake| fs::remove_file(lake.path().join(&file)).unwrap()
}

pub(super) fn copy(from: &str, to: &str) -> impl Fn(&Lake) + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |lake| {
        let path = lake.path().join(&to);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(lake.path().join(&from), path).unwrap();
    }
}

fn replace(file: &str, from: &'static str, to: &'static str) -> impl Fn(&Lake) + use<> {
    let file = file.to_owned();
    move |lake| {
        let path = lake.path().join(&file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

/// Changes one bit and leaves size and time of change as they were.
pub(super) fn flip<F: Fn(usize) -> usize>(file: &str, place: F) -> impl Fn(&Lake) + use<F> {
    let file = file.to_owned();
    move |lake| {
        let path = lake.path().join(&file);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let place = place(bytes.len());
        bytes[place] ^= 4;
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }
}

/// The objects and claims of deposits by number, from 1 on.
struct Keys {
    commits: Vec<String>,
    claims: Vec<String>,
}

impl Keys {
    fn of(lake: &Lake) -> Self {
        let mut commits = lake.files_below("changes/deposits");
        commits.sort_by_key(|key| key.rsplit('/').next().unwrap().to_owned());
        let mut claims = lake.files_below("meta/deposits/log");
        claims.sort();
        Self { commits, claims }
    }

    fn commit(&self, number: usize) -> &str {
        &self.commits[number - 1]
    }
}

fn cases(keys: &Keys) -> Vec<Case> {
    let last = keys.commits.len();
    let (second, third, newest) = (keys.commit(2), keys.commit(3), keys.commit(last));
    // The first is of a claim with the two after it.
    let first = keys.commit(1);
    let [claim, second_claim, .., last_claim] = keys.claims.as_slice() else { panic!("{:?}", keys.claims) };
    let elsewhere = "changes/deposits/event_month=2031-01/00000000000000000002.parquet";
    let beyond = format!("changes/deposits/event_month=2026-03/{:020}.parquet", last + 1);
    let current = "current/deposits/event_month=2026-04/data.parquet";
    let fills = "current/trade_fills/event_month=2026-04/data.parquet";
    let unbacked = "current/deposits/event_month=2031-01/data.parquet";
    let strays = [
        "changes/deposits/event_month=2026-03/x.parquet",
        "changes/deposits/event_month=2026-03/.hidden.parquet",
        "changes/deposits/.DS_Store",
        "changes/deposits/_x/00000000000000000002.parquet",
        "changes/deposits/event_month=2026-03/deeper/00000000000000000002.parquet",
        "changes/deposits/event_day=2026-03-01/00000000000000000002.parquet",
        "changes/deposits/00000000000000000002.parquet",
        "current/deposits/data.parquet",
        "current/deposits/event_month=2026-03/data-1.parquet",
        "current/deposits/event_month=2026-03/.data.parquet",
        "current/trade_fills/_temporary/0.parquet",
        "quarantine/deposits/x.parquet",
        "meta/deposits/log/1.json",
        "meta/deposits/log/00000000000000000000.json",
        "meta/deposits/state/other.bin",
        "meta/deposits/x",
        "changes/x.parquet",
        "current/.hidden",
        "meta/notes.txt",
        "quarantine/x.parquet",
    ];
    let mut cases = vec![
        case("nothing", |_| (), &[]),
        case("a bit of a page flips", flip(second, |size| size / 3), &[("bytes", second)]).quickly(&[]),
        case("the first bit flips", flip(third, |_| 0), &[("bytes", third)]).quickly(&[]),
        case("a bit of the length of the footer flips", flip(second, |size| size - 6), &[("bytes", second)])
            .quickly(&[("footer", second)]),
        case("a commit is empty", write(second, b""), &[("bytes", second)]),
        case("a commit is text", write(newest, b"text"), &[("bytes", newest)]),
        case("a commit is gone", delete(second), &[("objects", second)]),
        case("a commit is another's", copy(third, second), &[("bytes", second)]),
        case("a number has two objects", copy(second, elsewhere), &[("objects", elsewhere)]),
        case("a number has an object and no claim", copy(second, &beyond), &[("objects", &beyond)]),
        case("a claim is gone", delete(claim), &[("claims", claim)]),
        case("the last claim is gone", delete(last_claim), &[("objects", newest), ("chain", INDEX), ("chain", STATE)])
            .quickly(&[("objects", newest), ("chain", INDEX)]),
        case("the last commit is gone", delete(newest), &[("chain", INDEX), ("chain", STATE)])
            .quickly(&[("chain", INDEX)]),
        case("a claim is empty", write(second_claim, b""), &[("claims", second_claim)]),
        case("a claim is another's", copy(second_claim, claim), &[("claims", claim)]),
        case("a claim is of another number", replace(claim, "\"seq\":1", "\"seq\":3"), &[("claims", claim)]),
        case("a claim is of another poll", replace(claim, "\"poll_id\":\"", "\"poll_id\":\"x"), &[("claims", claim)]),
        case("a claim promises other bytes", replace(claim, "\"sha256\":\"", "\"sha256\":\"0"), &[("bytes", first)])
            .quickly(&[("chain", second)]),
        case("a claim promises more bytes", replace(claim, "\"size\":", "\"size\":1"), &[("claims", claim)])
            .quickly(&[("bytes", first)]),
        case("a claim names another key", replace(claim, "event_month=", "event_month=0"), &[("claims", claim)]),
        case("a claim names no object", write(claim, br#"{"seq":1,"poll_id":"p","objects":[]}"#), &[("claims", claim)]),
        case(
            "a number is claimed twice",
            copy(last_claim, &claim.replace("01.json", "02.json")),
            &[("claims", &claim.replace("01.json", "02.json"))],
        ),
        case("a bit of `current/` flips, and its time stays", flip(current, |size| size / 2), &[("current", current)])
            .quickly(&[]),
        case("an object of `current/` is gone", delete(current), &[("current", current)]),
        case("an object of `current/` is longer", write(current, b"PAR1PAR1"), &[("current", current)]),
        case("fills are gone", delete(fills), &[("current", fills)]),
        case("`current/` has a partition without commits", copy(current, unbacked), &[("strays", unbacked)]),
        case(
            "the quarantine is text",
            write("quarantine/deposits/00000000000000000001.parquet", b"x"),
            &[("quarantine", "quarantine/deposits/00000000000000000001.parquet")],
        )
        .quickly(&[]),
        case(
            "the quarantine has a gap",
            delete("quarantine/deposits/00000000000000000001.parquet"),
            &[("quarantine", "quarantine/deposits/00000000000000000001.parquet")],
        ),
        case("a folder of no resource", write("changes/_x/a.parquet", b"x"), &[("strays", "changes/_x")]),
        case(
            "a folder of no table",
            write("current/old_deposits/a.parquet", b"x"),
            &[("strays", "current/old_deposits")],
        ),
        case("what a probe of the store left is no stray", write("meta/probe/1/a", b"x"), &[]),
    ];
    for stray in strays {
        cases.push(case(stray, write(stray, b"x"), &[("strays", stray)]));
    }
    cases
}

#[test]
fn each_damage_is_found_where_it_is() {
    let lake = eventful();
    let mut wrong = Vec::new();
    for Case { what, harm, full, quick } in cases(&Keys::of(&lake)) {
        let harmed = Lake::of(&lake.contents());
        harm(&harmed);
        for (args, expected) in [(&[][..], full), (&["--quick"][..], quick)] {
            let verified = Verified::of(&harmed, args);
            let found = verified.findings();
            let expected: BTreeSet<_> = expected.into_iter().map(|(law, key)| (law.to_owned(), key)).collect();
            let code = if expected.is_empty() { 0 } else { 76 };
            if found != expected || verified.ended.code != Some(code) || verified.run["exit_code"] != code {
                wrong.push(format!("{what} {args:?}: {found:?} for {expected:?}\n{}", verified.ended.stdout));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_lake_is_found_right_while_two_syncs_write_to_it() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(31, 600));
    Sync::new(&lake, &sandbox.url()).succeed();
    let mut looks = 0;
    for round in 0..4 {
        sandbox.advance(TimeDelta::days(2));
        let mut both = [(); 2].map(|()| Sync::new(&lake, &sandbox.url()).spawn());
        while both.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
            let args: &[&str] = if looks % 2 == 0 { &[] } else { &["--quick"] };
            let verified = Verified::of(&lake, args);
            assert_eq!(verified.findings(), BTreeSet::new(), "round {round}: {}", verified.ended.stdout);
            assert_eq!(verified.ended.code, Some(0), "round {round}: {}", verified.ended.stderr);
            looks += 1;
        }
        both.into_iter().for_each(|child| drop(crate::support::program::end(child)));
    }
    assert!(looks > 0);
    Sync::new(&lake, &sandbox.url()).succeed();
    assert_verified(&lake);
    for resource in documented() {
        let figure = Verified::of(&lake, &[]).figure(&resource.name, "records");
        assert_eq!(figure, sandbox.truth(&resource).len() as u64, "{}", resource.name);
    }
}

#[test]
fn what_the_next_sync_mends_is_a_note_until_it_has() {
    let lake = eventful();
    for lost in ["meta/deposits/current.json", "meta/deposits/state/known.bin"] {
        let harmed = Lake::of(&lake.contents());
        delete(lost)(&harmed);
        let verified = Verified::of(&harmed, &[]);
        assert_eq!((verified.findings(), verified.ended.code), (BTreeSet::new(), Some(0)), "{}", verified.ended.stdout);
        assert!(verified.notes().contains(&lost), "{:?}", verified.notes());
    }
    // A claim whose object another run may be about to create.
    let next = lake.commits("deposits").len() as u64 + 1;
    let key = format!("changes/deposits/event_month=2031-01/{next:020}.parquet");
    let claim = json!({"seq": next, "key": key, "size": 1, "sha256": "0".repeat(64), "poll_id": "another"});
    fs::write(lake.path().join(format!("meta/deposits/log/{next:020}.json")), claim.to_string()).unwrap();
    let verified = Verified::of(&lake, &[]);
    assert_eq!((verified.findings(), verified.notes()), (BTreeSet::new(), vec![key.as_str()]));
    assert_eq!((verified.figure("deposits", "open_claims"), verified.figure("deposits", "head")), (1, next - 1));
}
