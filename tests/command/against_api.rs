//! `verify --against-api` finds what the API says otherwise than the lake, all of it and nothing else, and writes nothing.

use std::{fs, process::Command};

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, Gate, ScriptedApi},
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, end, program, run, spawn},
    sandbox::Sandbox,
    tables::RESOURCES,
    verified::Verified,
};

const DEPOSITS: &str = "/api/v1/deposits";
const TRADES: &str = "/api/v1/trades";

/// A lake, and the API that it comes from.
struct World {
    lake: Lake,
    api: ScriptedApi,
}

impl World {
    /// With these deposits in both.
    fn synced(deposits: &[String]) -> Self {
        let world = Self { lake: Lake::new(), api: ScriptedApi::without_records() };
        world.serve(deposits);
        world.sync("").succeed();
        world
    }

    fn serve(&self, deposits: &[String]) {
        self.api.serve(DEPOSITS, format!("[{}]", deposits.join(",")));
    }

    fn sync(&self, settings: &str) -> Sync {
        Sync::new(&self.lake, &self.api.url()).settings(settings)
    }

    /// Compares, and sees that nothing is written.
    fn compare(&self, args: &[&str]) -> Verified {
        compare(&self.lake, &self.api.url(), args)
    }
}

fn command(lake: &Lake, url: &str, args: &[&str]) -> Command {
    let mut command = program(lake.folder());
    command.args(["verify", "--against-api", "--base-url", url, "--lake"]).arg(lake.path()).args(args);
    command
}

fn untouched(lake: &Lake, command: &mut Command) -> Ended {
    let (listing, contents) = (lake.listing(), lake.contents());
    let ended = run(command);
    assert_untouched(&listing, &lake.listing(), "a comparison");
    assert_untouched(&contents, &lake.contents(), "a comparison");
    ended
}

fn compare(lake: &Lake, url: &str, args: &[&str]) -> Verified {
    Verified::told(untouched(lake, command(lake, url, args).arg("--json")))
}

fn deposit(id: &str, amount: &str, status: &str, month: u32) -> String {
    format!(
        r#"{{"transactionId":"{id}","amount":{amount},"status":"{status}","completedAt":"2026-{month:02}-03T00:00:00Z"}}"#
    )
}

/// Three that have ended and one that has not.
fn deposits() -> Vec<String> {
    let ended = (1..=3).map(|n| deposit(&format!("D{n}"), "10.5", "COMPLETED", n + 2));
    ended.chain([r#"{"transactionId":"D4","amount":7,"status":"PENDING"}"#.to_owned()]).collect()
}

/// Kind, key, whether it is unexpected, column, and the values of the lake and the API.
type Told<'v> = (&'v str, &'v str, bool, Option<&'v str>, [Option<&'v str>; 2]);

fn told(verified: &Verified) -> Vec<Told<'_>> {
    fn told(difference: &Value) -> Told<'_> {
        let text = |name: &str| difference[name].as_str();
        let unexpected = difference["unexpected"].as_bool().unwrap();
        (text("kind").unwrap(), text("key").unwrap(), unexpected, text("column"), [text("lake"), text("api")])
    }
    verified.differences.iter().map(told).collect()
}

#[test]
fn differences_are_what_the_next_sync_commits_and_after_it_there_are_none() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(11, 2000));
    sandbox.serve_optional();
    Sync::new(&lake, &sandbox.url()).succeed();
    for days in [1, 30] {
        let equal = compare(&lake, &sandbox.url(), &[]);
        assert_eq!(equal.ended.code, Some(0), "{}{}", equal.ended.stdout, equal.ended.stderr);
        assert_eq!(told(&equal), []);
        sandbox.advance(TimeDelta::days(days));
        let differs = compare(&lake, &sandbox.url(), &["--quick"]);
        assert_eq!((differs.ended.code, &differs.run["exit_code"]), (Some(65), &json!(65)), "{}", differs.ended.stderr);
        let synced = Sync::new(&lake, &sandbox.url()).succeed();
        for resource in RESOURCES {
            let found = ["only_in_api", "differ", "only_in_lake", "equal"].map(|name| differs.compared(resource, name));
            let made = ["added", "changed", "removed", "unchanged"].map(|name| synced.figure(resource, name));
            assert_eq!(found, made, "{resource} after {days} days");
            let in_lake = found[1] + found[2] + found[3];
            assert_eq!(differs.compared(resource, "lake"), in_lake, "{resource} after {days} days");
            let unexpected = differs.compared(resource, "unexpected");
            assert_eq!(unexpected, 0, "{resource} after {days} days: {:?}", told(&differs));
        }
        let run = &differs.run["against_api"];
        assert!(run["only_in_api"].as_u64() > Some(0) && run["differ"].as_u64() > Some(0), "{run}");
    }
    assert_eq!(compare(&lake, &sandbox.url(), &[]).ended.code, Some(0));
}

#[test]
fn a_value_that_is_otherwise_in_the_lake_is_named_with_both_values() {
    let world = World::synced(&deposits());
    let mut served = deposits();
    served[1] = deposit("D2", "10.25", "COMPLETED", 4);
    served[2] = deposit("D3", "10.5", "REVERSED", 5);
    served[3] = r#"{"transactionId":"D4","amount":7,"status":"COMPLETED"}"#.to_owned();
    world.serve(&served);
    let expected = [
        ("differs", "D2", true, Some("amount"), [Some("10.5"), Some("10.25")]),
        ("differs", "D3", false, Some("status"), [Some("COMPLETED"), Some("REVERSED")]),
        ("differs", "D4", false, Some("status"), [Some("PENDING"), Some("COMPLETED")]),
    ];
    let sorted = |verified: &Verified| -> Vec<String> {
        let mut lines: Vec<_> = told(verified).iter().skip(1).map(|told| format!("{told:?}")).collect();
        lines.sort();
        lines
    };
    for args in [&[][..], &["--quick"]] {
        let verified = world.compare(args);
        assert_eq!(verified.ended.code, Some(65), "{}", verified.ended.stderr);
        assert_eq!(told(&verified)[0], expected[0], "what is unexpected comes first");
        assert_eq!(sorted(&verified), expected[1..].iter().map(|told| format!("{told:?}")).collect::<Vec<_>>());
        assert_eq!(["differ", "unexpected", "equal"].map(|name| verified.compared("deposits", name)), [3, 1, 1]);
    }
}

/// The records in a state cache, between its first line and its checksum.
fn records_of(state: &[u8]) -> std::ops::Range<usize> {
    let line = state.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    line..state.len() - 16
}

#[test]
fn a_cache_that_takes_the_lake_for_what_the_api_says_hides_nothing() {
    const STATE: &str = "meta/deposits/state/known.bin";
    let world = World::synced(&deposits());
    let mut served = deposits();
    served[1] = deposit("D2", "10.25", "COMPLETED", 4);
    world.serve(&served);
    let ahead = Lake::copy_of(world.lake.path());
    Sync::of(&ahead, &world.api.url(), "deposits").succeed();
    let (ours, theirs) =
        (fs::read(world.lake.path().join(STATE)).unwrap(), fs::read(ahead.path().join(STATE)).unwrap());
    let mut lie = [&ours[..records_of(&ours).start], &theirs[records_of(&theirs)]].concat();
    lie.extend(xxhash_rust::xxh3::xxh3_128(&lie).to_le_bytes());
    fs::write(world.lake.path().join(STATE), lie).unwrap();
    let deceived = Sync::of(&Lake::copy_of(world.lake.path()), &world.api.url(), "deposits").succeed();
    assert_eq!(deceived.figure("deposits", "unchanged"), 4, "a sync believes its cache");
    let verified = world.compare(&["--quick", "--resource", "deposits"]);
    assert_eq!(told(&verified), [("differs", "D2", true, Some("amount"), [Some("10.5"), Some("10.25")])]);
}

#[test]
fn for_people_it_is_a_table_of_figures_one_of_differences_and_a_sum() {
    let world = World::synced(&deposits());
    let mut served = deposits();
    served[1] = deposit("D2", "10.25", "COMPLETED\\u001b[2J", 4);
    served.remove(0);
    served.push(deposit("D5", "1", "COMPLETED", 6));
    world.serve(&served);
    let ended = untouched(&world.lake, &mut command(&world.lake, &world.api.url(), &["--resource", "deposits"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(65), ""));
    let (_, compared) = ended.stdout.split_once("\nagainst the API\n").unwrap();
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut lines = compared.lines();
    assert!(lines.next().unwrap().starts_with("resource"), "{compared}");
    assert_eq!(cells(lines.next().unwrap())[..9], ["deposits", "4", "4", "2", "1", "1", "1", "0", "0"]);
    let differences: Vec<Vec<String>> = lines.by_ref().skip(2).take_while(|line| !line.is_empty()).map(cells).collect();
    assert!(differences.contains(&cells("deposits differs D2 amount 10.5 10.25")), "{compared}");
    assert!(differences.contains(&cells("deposits differs D2 status COMPLETED COMPLETED\u{fffd}[2J")), "{compared}");
    assert!(differences.contains(&cells("deposits only in API D5")), "{compared}");
    assert!(differences.contains(&cells("deposits only in lake D1")), "{compared}");
    let sum = lines.next().unwrap();
    assert!(sum.starts_with("2 records are equal, 1 differ, 1 are only in the API, 1 only in the lake; 0 of"), "{sum}");
}

#[test]
fn more_differences_than_anybody_reads_are_counted_and_the_unexpected_are_kept_before_the_others() {
    let open = |n: usize, amount: usize| {
        format!(r#"{{"transactionId":"P{n:04}","amount":{amount},"fee":{amount},"status":"PENDING"}}"#)
    };
    let with = |amount: usize, of_the_ended: &str| -> Vec<String> {
        (0..600).map(|n| open(n, amount)).chain([deposit("D1", of_the_ended, "COMPLETED", 5)]).collect()
    };
    let world = World::synced(&with(1, "1"));
    world.serve(&with(2, "2"));
    let verified = world.compare(&["--resource", "deposits"]);
    let figures = ["differ", "unexpected", "differences_found"].map(|name| verified.compared("deposits", name));
    assert_eq!((figures, verified.differences.len()), ([601, 1, 1201], 1000));
    assert_eq!(told(&verified)[0], ("differs", "D1", true, Some("amount"), [Some("1"), Some("2")]));
    let ended = untouched(&world.lake, &mut command(&world.lake, &world.api.url(), &["--resource", "deposits"]));
    assert_eq!(ended.stdout.lines().filter(|line| line.contains("  differs")).count(), 20, "{}", ended.stdout);
    assert!(ended.stdout.contains("deposits: and 1181 more; --json has up to a thousand"), "{}", ended.stdout);
}

#[test]
fn a_list_that_is_written_in_another_way_has_no_differences() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(5, 500));
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.style("whitespace=pretty&numbers=alternate&order=reversed&key_order=shuffled");
    let verified = compare(&lake, &sandbox.url(), &[]);
    assert_eq!(verified.ended.code, Some(0), "{}{}", verified.ended.stdout, verified.ended.stderr);
    assert!(verified.run["against_api"]["equal"].as_u64() >= Some(500), "{}", verified.run);
}

#[test]
fn the_whole_list_is_asked_for_whatever_the_settings_say_of_polls() {
    let settings = "incremental = \"window\"\nconditional = true\n";
    let world = World::synced(&deposits());
    let file = world.lake.folder().join("settings.toml");
    fs::write(&file, settings).unwrap();
    let verified = world.compare(&["--config", file.to_str().unwrap()]);
    assert_eq!(verified.ended.code, Some(0), "{}", verified.ended.stderr);
    let requests = world.api.requests();
    let asked = requests.iter().rev().find(|request| request.contains(DEPOSITS)).unwrap();
    assert!(asked.starts_with(&format!("GET {DEPOSITS} HTTP")), "{asked}");
    assert!(!asked.to_lowercase().contains("if-none-match"), "{asked}");
}

#[test]
fn a_list_in_pages_is_compared_whole_and_what_is_on_none_of_them_is_asked_for_by_itself() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(5, 300));
    Sync::new(&lake, &sandbox.url()).succeed();
    let file = lake.folder().join("settings.toml");
    fs::write(&file, "pagination = \"page\"\npage_size = 30\n").unwrap();
    sandbox.switch("paginate?on=true&size_max=25");
    let config = ["--config", file.to_str().unwrap()];
    let verified = compare(&lake, &sandbox.url(), &config);
    assert_eq!(verified.ended.code, Some(0), "{}{}", verified.ended.stdout, verified.ended.stderr);
    // Between two pages some records are left out.
    sandbox.switch("paginate?on=true&size_max=25&shift=-1");
    let verified =
        compare(&lake, &sandbox.url(), &[&config[..], &["--resource", "accounts", "--resource", "deposits"]].concat());
    assert_eq!(verified.ended.code, Some(65), "{}{}", verified.ended.stdout, verified.ended.stderr);
    let figures = ["only_in_lake", "only_in_api", "differ"].map(|name| verified.compared("deposits", name));
    assert_eq!(figures, [0, 0, 0], "{}", verified.ended.stdout);
    assert!(verified.compared("deposits", "withheld") > 0, "{}", verified.ended.stdout);
}

#[test]
fn of_personal_data_nothing_is_told_but_that_it_differs() {
    const PATH: &str = "/api/v1/beneficiaries";
    let beneficiary = |nickname: &str| {
        format!(r#"[{{"id":"b1","nickname":"{nickname}","withdrawFormDetails":{{"iban":"CANARY-{nickname}"}}}}]"#)
    };
    let hmac = "personal_data = \"hmac\"\nhmac_key_command = [\"echo\", \"canary-key\"]\n";
    // What the lake was made with, what it is compared with, and the columns that differ then.
    let rows = [
        ("", "", 0),
        (hmac, hmac, 2),
        ("personal_data = \"keep\"\n", "", 2),
        ("personal_data = \"keep\"\n", hmac, 2),
        ("", hmac, 2),
        (hmac, "personal_data = \"keep\"\n", 2),
    ];
    for (stored, compared, columns) in rows {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        api.serve(PATH, beneficiary("Canary"));
        let sync = Sync::of(&lake, &api.url(), "beneficiaries").without("LUMETRADE_PERSONAL_DATA");
        sync.settings(stored).succeed();
        api.serve(PATH, beneficiary("Carol"));
        let file = lake.folder().join("compared.toml");
        fs::write(&file, compared).unwrap();
        for json in [true, false] {
            let args = ["--resource", "beneficiaries", "--config", file.to_str().unwrap()];
            let mut command = command(&lake, &api.url(), &args);
            command.env_remove("LUMETRADE_PERSONAL_DATA");
            let ended = untouched(&lake, if json { command.arg("--json") } else { &mut command });
            assert_eq!(ended.code, Some(if columns == 0 { 0 } else { 65 }), "{}{}", ended.stdout, ended.stderr);
            if compared.contains("keep") {
                // They are shown to whoever keeps them.
                assert!(ended.stdout.contains("Carol"), "{}", ended.stdout);
                continue;
            }
            for canary in ["Canary", "CANARY", "Carol", "hmac:"] {
                assert!(!ended.stdout.contains(canary), "{canary}: {}", ended.stdout);
            }
            let mark = if json { "\"hidden\":true" } else { "(personal data)  (personal data)" };
            assert_eq!(ended.stdout.matches(mark).count(), columns, "{}", ended.stdout);
        }
    }
}

#[test]
fn a_record_that_should_have_been_listed_long_ago_is_unexpected_and_a_new_one_is_not() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let trade = |id: &str, at: &str, status: &str| {
        format!(r#"{{"transactionId":"{id}","createdAt":"2026-{at}:00Z","status":"{status}"}}"#)
    };
    let serve = |trades: &[String]| api.serve(TRADES, format!("[{}]", trades.join(",")));
    let mut trades = vec![trade("T1", "05-01T10:00", "COMPLETED"), trade("T2", "05-03T10:00", "PENDING")];
    let returns = trade("T3", "05-02T10:00", "COMPLETED");
    serve(&[trades.clone(), vec![returns.clone()]].concat());
    Sync::of(&lake, &api.url(), "trades").succeed();
    serve(&trades);
    Sync::of(&lake, &api.url(), "trades").succeed();
    trades.extend([
        returns,
        trade("T4", "05-03T08:30", "PENDING"),
        trade("T5", "05-03T09:30", "PENDING"),
        trade("T6", "05-04T10:00", "COMPLETED"),
    ]);
    serve(&trades);
    let verified = compare(&lake, &api.url(), &["--resource", "trades"]);
    let expected = [("T4", true), ("T3", false), ("T5", false), ("T6", false)];
    let expected = expected.map(|(key, unexpected)| ("only_in_api", key, unexpected, None, [None, None]));
    assert_eq!(told(&verified), expected);
}

#[test]
fn what_no_row_can_hold_is_counted_and_no_difference_unless_it_may_be_what_is_missing() {
    let world = World::synced(&deposits());
    let mut served = deposits();
    served[0] = deposit("D1", "\"much\"", "COMPLETED", 3);
    served.push(deposit("D9", "\"much\"", "COMPLETED", 3));
    world.serve(&served);
    let verified = world.compare(&["--resource", "deposits"]);
    assert_eq!(verified.ended.code, Some(0), "{}{}", verified.ended.stdout, verified.ended.stderr);
    let names = ["lake", "api", "equal", "quarantined", "withheld"];
    assert_eq!(names.map(|name| verified.compared("deposits", name)), [4, 5, 3, 2, 0]);
    // One that is missing, and one whose key cannot be read.
    served[3] = r#"{"amount":1}"#.to_owned();
    world.serve(&served);
    let verified = world.compare(&["--resource", "deposits"]);
    assert_eq!((verified.ended.code, told(&verified)), (Some(65), vec![]), "{}", verified.ended.stdout);
    assert_eq!(names.map(|name| verified.compared("deposits", name)), [4, 5, 2, 3, 1]);
}

#[test]
fn a_list_that_a_sync_would_refuse_is_not_compared_and_the_others_are() {
    let (cut, twice) = (format!("[{}", deposits().join(",")), deposits()[0].replace("10.5", "10"));
    let rows = [
        ("[]".to_owned(), "the API lists no record where 4 are known"),
        (cut, "before its array does"),
        (format!("[{},{twice}]", deposits().join(",")), "the key `D1` stands twice"),
        (r#"{"content":[]}"#.to_owned(), "as if it had begun to paginate"),
        (r#"[{"transactionId":7}]"#.to_owned(), "1 of 1 records do not fit"),
    ];
    for (body, why) in rows {
        let world = World::synced(&deposits());
        world.api.serve(DEPOSITS, body.as_str());
        let verified = world.compare(&[]);
        assert_eq!(verified.ended.code, Some(65), "{body}: {}", verified.ended.stderr);
        assert!(verified.ended.stderr.contains(why), "{body}: {}", verified.ended.stderr);
        assert!(verified.ended.stderr.contains("was not compared with the API"), "{}", verified.ended.stderr);
        assert_eq!(verified.resources["deposits"]["failure"]["exit_code"], 65);
        assert!(verified.resources["deposits"].get("against_api").is_none(), "{}", verified.ended.stdout);
        assert_eq!(verified.compared("trades", "lake"), 0);
    }
}

#[test]
fn an_api_that_is_not_there_or_denies_fails_and_the_lake_is_verified_all_the_same() {
    let world = World::synced(&deposits());
    let verified = compare(&world.lake, "http://127.0.0.1:9", &["--resource", "deposits"]);
    assert_eq!(verified.ended.code, Some(69), "{}", verified.ended.stderr);
    assert_eq!(verified.figure("deposits", "records"), 4);
    world.api.answer(DEPOSITS, [Answer::error(401, "Unknown key", "req_1")]);
    let verified = world.compare(&["--resource", "deposits"]);
    assert_eq!(verified.ended.code, Some(77), "{}", verified.ended.stderr);
    let mut without = command(&world.lake, &world.api.url(), &[]);
    let ended = untouched(&world.lake, without.env_remove("LUMETRADE_API_KEY"));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""), "{}", ended.stderr);
}

#[test]
fn a_damaged_lake_is_told_first_and_is_not_compared() {
    let world = World::synced(&deposits());
    let object = world.lake.files_below("changes/deposits").pop().unwrap();
    fs::write(world.lake.path().join(object), "short").unwrap();
    let requests = world.api.requests().len();
    for args in [&["--resource", "deposits"][..], &["--resource", "deposits", "--quick"]] {
        let verified = world.compare(args);
        assert_eq!(verified.ended.code, Some(76), "{}", verified.ended.stderr);
        assert!(verified.notes().contains(&"changes/deposits"), "{}", verified.ended.stdout);
    }
    assert_eq!(world.api.requests().len(), requests, "the API was asked");
}

#[test]
fn only_the_resources_asked_for_are_compared_and_without_the_flag_the_api_is_not_asked() {
    let world = World::synced(&deposits());
    let requests = world.api.requests().len();
    let verified = world.compare(&["--resource", "trades"]);
    assert_eq!((verified.ended.code, &verified.run["against_api"]["resources"]), (Some(0), &json!(1)));
    let asked = world.api.requests().split_off(requests);
    assert!(asked.len() == 1 && asked[0].contains(TRADES), "{asked:?}");
    let verified = Verified::of(&world.lake, &[]);
    assert!(verified.run.get("against_api").is_none() && verified.resources["trades"].get("against_api").is_none());
    assert_eq!(world.api.requests().len(), requests + 1);
}

#[test]
fn what_another_run_commits_while_the_list_is_read_is_no_difference() {
    let world = World::synced(&deposits());
    let mut served = deposits();
    served.push(deposit("D5", "1", "COMPLETED", 6));
    let (body, gate) = (format!("[{}]", served.join(",")), Gate::default());
    world.api.answer(DEPOSITS, [Answer::ok(body.clone()).behind(&gate), Answer::ok(body)]);
    let requests = world.api.requests().len();
    let mut comparing = command(&world.lake, &world.api.url(), &["--resource", "deposits", "--json"]);
    let child = spawn(&mut comparing);
    world.api.await_requests(requests + 1);
    Sync::of(&world.lake, &world.api.url(), "deposits").succeed();
    gate.open();
    let verified = Verified::told(end(child));
    assert_eq!(verified.ended.code, Some(0), "{}{}", verified.ended.stdout, verified.ended.stderr);
    assert_eq!((verified.compared("deposits", "lake"), verified.compared("deposits", "equal")), (5, 5));
}

#[test]
fn a_resource_that_the_api_has_no_more_is_refused_if_the_lake_has_records_of_it() {
    let (lake, sandbox, without) = (Lake::new(), Sandbox::start(5, 100), Sandbox::start(5, 100));
    sandbox.serve_optional();
    Sync::of(&lake, &sandbox.url(), "currencies").succeed();
    let verified = compare(&lake, &without.url(), &["--resource", "currencies"]);
    assert_eq!(verified.ended.code, Some(65), "{}", verified.ended.stderr);
    let verified = compare(&lake, &without.url(), &["--resource", "payment_routes"]);
    assert_eq!(verified.resources["payment_routes"]["against_api"]["absent"], true);
    assert_eq!(verified.ended.code, Some(0), "{}", verified.ended.stderr);
}
