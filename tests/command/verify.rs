//! `verify` says what it looked at, in figures, and what is wrong and where.

use std::{fs, os::unix::fs::symlink};

use crate::support::{
    api::ScriptedApi,
    lake::Lake,
    program::{Ended, Sync, program_without_credentials, run},
    strace::{Fault, Point, Tracer},
    verified::Verified,
};

const PATH: &str = "/api/v1/deposits";

/// For people.
fn verify(lake: &Lake, args: &[&str]) -> Ended {
    run(program_without_credentials(lake.folder()).args(["verify", "--lake"]).arg(lake.path()).args(args))
}

/// Three deposits and a trade.
fn synced() -> Lake {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let deposit = |n: usize| format!(r#"{{"transactionId":"D{n}","completedAt":"2026-0{n}-03T00:00:00Z"}}"#);
    api.serve(PATH, format!("[{},{},{}]", deposit(1), deposit(2), deposit(3)));
    api.serve("/api/v1/trades", r#"[{"transactionId":"T1","createdAt":"2026-05-01T00:00:00Z","fills":[{}]}]"#);
    Sync::new(&lake, &api.url()).succeed();
    lake
}

#[test]
fn a_lake_that_is_right_is_a_table_with_a_line_a_resource_and_a_sum() {
    let lake = synced();
    for (args, how) in [(&[][..], "every byte and row was read"), (&["--quick"][..], "looked at quickly")] {
        let ended = verify(&lake, args);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let cells = |name: &str| -> Vec<String> {
            let line = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect()
        };
        let records = |count: &str| if args.is_empty() { count.to_owned() } else { "-".to_owned() };
        assert_eq!(cells("deposits")[1..5], ["3".to_owned(), "0".to_owned(), "3".to_owned(), records("3")]);
        assert_eq!(cells("trades")[1..5], ["1".to_owned(), "0".to_owned(), "1".to_owned(), records("1")]);
        // One trade and its fill.
        assert_eq!(cells("trades")[6], if args.is_empty() { "2" } else { "0" });
        assert_eq!(cells("trades")[8..], ["0", "0"]);
        let sum = ended.stdout.lines().last().unwrap();
        assert!(sum.starts_with("0 findings in 10 commits with 4 rows") && sum.contains(how), "{sum}");
    }
}

#[test]
fn what_is_wrong_is_a_line_with_law_key_and_both_values_and_exit_76() {
    let lake = synced();
    let key = "changes/deposits/event_month=2026-02/00000000000000000002.parquet";
    fs::write(lake.path().join(key), "short").unwrap();
    let ended = verify(&lake, &[]);
    assert_eq!(ended.code, Some(76), "{}", ended.stderr);
    let line = ended.stdout.lines().find(|line| line.starts_with("finding: ")).unwrap();
    assert!(line.starts_with(&format!("finding: bytes: {key}: has 5 bytes, its claim promised ")), "{line}");
    let note = ended.stdout.lines().find(|line| line.starts_with("note: ")).unwrap();
    assert!(note.contains("records in event_month=2026-02 were not looked at"), "{note}");
    assert!(ended.stdout.lines().last().unwrap().starts_with("1 finding in 10 commits"), "{}", ended.stdout);
}

#[test]
fn more_findings_than_people_read_are_counted_and_all_are_in_the_json() {
    let lake = synced();
    for n in 0..25 {
        fs::write(lake.path().join(format!("changes/deposits/event_month=2026-02/x{n:02}.parquet")), "").unwrap();
    }
    let ended = verify(&lake, &[]);
    let told = ended.stdout.lines().filter(|line| line.starts_with("finding: strays: ")).count();
    assert_eq!((ended.code, told), (Some(76), 20));
    assert!(ended.stdout.contains("finding: and 5 more of deposits"), "{}", ended.stdout);
    let verified = Verified::of(&lake, &[]);
    assert_eq!((verified.findings().len(), verified.figure("deposits", "found")), (25, 25));
    assert_eq!((&verified.run["found"], &verified.run["exit_code"]), (&25.into(), &76.into()));
}

#[test]
fn a_resource_that_cannot_be_read_fails_and_the_others_are_verified() {
    let lake = synced();
    let path = lake.path().join("meta/trades/current.json");
    let point = Point { call: "openat".into(), path, nth: 1, creates: false };
    let tracer = Tracer::new(lake.folder().join("trace"));
    let verified = || {
        let struck = tracer.strike(&Verified::command(&lake, &[]), &point, Fault::Once("EIO"));
        assert!(struck.met.is_some());
        Verified::told(struck.ended)
    };
    let failed = verified();
    assert_eq!(failed.ended.code, Some(74), "{}", failed.ended.stdout);
    assert!(
        failed.ended.stderr.starts_with("error: trades: cannot read meta/trades/current.json"),
        "{}",
        failed.ended.stderr
    );
    assert_eq!(failed.resources["trades"]["failure"]["exit_code"], 74);
    assert_eq!((failed.figure("deposits", "records"), failed.figure("trades", "commits")), (3, 1));
    // What is damaged goes before what could not be read.
    fs::write(lake.path().join("changes/x"), "").unwrap();
    assert_eq!(verified().ended.code, Some(76));
}

#[test]
fn only_the_resources_asked_for_are_looked_at_and_nothing_beside_them() {
    let lake = synced();
    fs::write(lake.path().join("changes/trades/x"), "").unwrap();
    fs::write(lake.path().join("changes/x"), "").unwrap();
    let verified = Verified::of(&lake, &["--resource", "deposits"]);
    assert_eq!((verified.ended.code, verified.resources.len()), (Some(0), 1), "{}", verified.ended.stdout);
    let verified = Verified::of(&lake, &["--resource", "trades"]);
    assert_eq!(verified.findings().into_iter().collect::<Vec<_>>(), [("strays".into(), "changes/trades/x".into())]);
}

#[test]
fn a_resource_that_the_schemas_do_not_describe_is_noted_and_not_taken_for_strays() {
    let (lake, api) = (synced(), ScriptedApi::without_records());
    let schemas = lake.folder().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let trades = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/trades.json")).unwrap();
    let swaps =
        trades.replace("\"trades\"", "\"swaps\"").replace("trade_fills", "swap_legs").replace("v1/trades", "v1/swaps");
    fs::write(schemas.join("swaps.json"), swaps).unwrap();
    api.serve("/api/v1/swaps", r#"[{"transactionId":"S1","fills":[{}]}]"#);
    Sync::of(&lake, &api.url(), "swaps").schemas(schemas.clone()).succeed();
    let verified = Verified::of(&lake, &[]);
    assert_eq!((verified.ended.code, verified.notes()), (Some(0), vec!["meta/swaps"]), "{}", verified.ended.stdout);
    let verified = Verified::of(&lake, &["--schemas", schemas.to_str().unwrap()]);
    assert_eq!((verified.ended.code, verified.notes()), (Some(0), vec![]), "{}", verified.ended.stdout);
    assert_eq!(verified.figure("swaps", "current_rows"), 2);
}

#[test]
fn verify_of_no_lake_or_of_another_key_is_a_settings_error() {
    let lake = Lake::new();
    let ended = verify(&lake, &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no lake at") && !lake.path().exists(), "{}", ended.stderr);
    let lake = synced();
    let schemas = lake.folder().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let deposits = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/deposits.json")).unwrap();
    let other = deposits.replace(r#""key": ["transaction_id"]"#, r#""key": ["status"]"#);
    fs::write(schemas.join("deposits.json"), other).unwrap();
    let ended = verify(&lake, &["--schemas", schemas.to_str().unwrap()]);
    assert_eq!(ended.code, Some(78), "{}", ended.stdout);
    assert!(ended.stderr.contains("deposits is keyed by transaction_id in the lake"), "{}", ended.stderr);
}

#[test]
fn a_link_that_leads_out_of_the_lake_is_refused_as_a_sync_refuses_it() {
    let lake = synced();
    symlink("/", lake.path().join("changes/trades/elsewhere")).unwrap();
    let ended = verify(&lake, &[]);
    assert_eq!(ended.code, Some(76), "{}", ended.stdout);
    assert!(ended.stderr.contains("changes/trades/elsewhere: is a symbolic link"), "{}", ended.stderr);
}
