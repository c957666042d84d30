//! `reconcile` says whether the books balance, and names what does not add up.

use std::{collections::BTreeMap, fs};

use chrono::TimeDelta;
use serde_json::Value;

use crate::support::{
    api::ScriptedApi,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, program_without_credentials, run},
    sandbox::Sandbox,
};

/// Without credentials and without an API.
fn reconcile(lake: &Lake, args: &[&str]) -> Ended {
    run(program_without_credentials(lake.folder()).args(["reconcile", "--lake"]).arg(lake.path()).args(args))
}

/// A `reconcile --json` that has ended.
struct Reconciled {
    ended: Ended,
    /// Each currency's line.
    lines: BTreeMap<String, Value>,
    findings: Vec<Value>,
    /// The line of the run.
    run: Value,
}

impl Reconciled {
    fn of(lake: &Lake, args: &[&str]) -> Self {
        let ended = reconcile(lake, &[&["--json"], args].concat());
        let (mut lines, mut findings, mut run) = (BTreeMap::new(), Vec::new(), Value::Null);
        for line in ended.stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            match (line["currency"].as_str(), line.get("run")) {
                (Some(currency), _) => drop(lines.insert(currency.to_owned(), line)),
                (None, Some(of_run)) => run = of_run.clone(),
                (None, None) => findings.push(line),
            }
        }
        Self { ended, lines, findings, run }
    }

    /// With these settings.
    fn with(lake: &Lake, settings: &str) -> Self {
        let file = lake.folder().join("reconcile.toml");
        fs::write(&file, settings).unwrap();
        Self::of(lake, &["--config", file.to_str().unwrap()])
    }

    /// Laws that are broken, with resource and key.
    fn broken(&self) -> Vec<[&str; 3]> {
        let text = |finding: &'_ Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let told = self.findings.iter().all(|finding| !text(finding, "problem").is_empty());
        assert!(told && self.run["found"] == self.findings.len(), "{}", self.ended.stdout);
        self.findings
            .iter()
            .map(|finding| ["finding", "resource", "key"].map(|name| finding[name].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    fn assert_balanced(&self) {
        assert_eq!((self.ended.code, self.broken()), (Some(0), vec![]), "{}", self.ended.stderr);
        assert!(!self.lines.is_empty() && self.lines.values().all(|line| line["verdict"] == "balanced"));
    }
}

#[test]
fn two_years_balance_after_every_sync_and_nothing_is_written() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(31, 2000));
    for days in [0, 1, 6, 30] {
        sandbox.advance(TimeDelta::days(days));
        Sync::new(&lake, &sandbox.url()).succeed();
        let before = lake.listing();
        let reconciled = Reconciled::of(&lake, &[]);
        reconciled.assert_balanced();
        assert_eq!(reconciled.run["heads"].as_object().unwrap().len(), 4);
        assert_untouched(&before, &lake.listing(), "reconciling");
    }
    let ended = reconcile(&lake, &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("currency") && lines[0].ends_with("verdict"), "{}", ended.stdout);
    assert_eq!(lines.iter().filter(|line| line.ends_with("  balanced")).count(), lines.len() - 2, "{}", ended.stdout);
    assert!(lines.last().unwrap().starts_with("0 findings in "), "{}", ended.stdout);
}

#[test]
fn a_cheated_balance_a_vanished_fill_and_a_status_that_went_back_are_each_found_and_named() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(32, 1000));
    let cheat = |fault: &str| {
        sandbox.switch(&format!("fault?{fault}"));
        Sync::new(&lake, &sandbox.url()).succeed();
        sandbox.switch("fault?reset");
        Reconciled::of(&lake, &[])
    };
    cheat("kind=none").assert_balanced();

    let cheated = cheat("kind=wrong-balance");
    let off: Vec<_> = cheated.lines.values().filter(|line| line["verdict"] != "balanced").collect();
    let [off] = off[..] else { panic!("{}", cheated.ended.stdout) };
    assert_eq!((&off["verdict"], &off["difference"], cheated.ended.code), (&"off".into(), &"0.01".into(), Some(65)));
    assert_eq!(cheated.broken(), [["balance", "accounts", off["accounts"][0].as_str().unwrap()]]);
    let currency = off["currency"].as_str().unwrap();
    let problem = cheated.findings[0]["problem"].as_str().unwrap();
    assert!(problem.contains(&format!("{currency}, which is 0.01 more than its books: ")), "{problem}");
    let told = reconcile(&lake, &[]).stdout;
    assert!(told.contains(&format!("\nfinding: balance: accounts: {}: ", cheated.broken()[0][2])), "{told}");
    cheat("kind=none").assert_balanced();

    let cheated = cheat("kind=lost-fill");
    assert_eq!(cheated.ended.code, Some(65), "{}", cheated.ended.stderr);
    let broken = cheated.broken();
    let key = broken[0][2];
    assert_eq!(broken, [["fill-kept", "trades", key], ["fills", "trades", key]]);
    let problem = cheated.findings[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("lacks its fill `fil_") && problem.ends_with("`, which it had"), "{problem}");
    assert!(cheated.lines.values().all(|line| line["verdict"] == "balanced"), "the trade itself says what it moved");
    let by_fills = Reconciled::with(&lake, "[reconcile]\ntrade_amount = \"fills\"\n");
    assert_eq!(by_fills.lines.values().filter(|line| line["verdict"] != "balanced").count(), 2);
    cheat("kind=none").assert_balanced();

    let cheated = cheat("kind=regressed-status&resource=trades");
    assert_eq!(cheated.ended.code, Some(65), "{}", cheated.ended.stderr);
    let gone_back = cheated.broken().iter().filter(|broken| broken[..2] == ["status", "trades"]).count();
    let completed = sandbox.truth(&crate::support::tables::Resource::named("trades"));
    let completed = completed.values().filter(|row| row["status"] == "COMPLETED").count();
    assert_eq!(gone_back, completed);
    let status = cheated.findings.iter().find(|finding| finding["finding"] == "status").unwrap();
    assert!(status["problem"].as_str().unwrap().starts_with("is PENDING, and was COMPLETED in commit "), "{status}");
    let healed = cheat("kind=none");
    healed.assert_balanced();
    let note = format!("{completed} had gone back to an earlier status, and ended again");
    assert_eq!(healed.run["notes"], serde_json::json!([{"resource": "trades", "text": note}]));
}

#[test]
fn wrong_settings_are_told_by_the_fees_that_they_leave_out_and_a_tolerance_by_what_it_lets_pass() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(33, 500));
    Sync::new(&lake, &sandbox.url()).succeed();
    Reconciled::of(&lake, &[]).assert_balanced();
    for setting in ["deposit_amount = \"net\"", "withdrawal_amount = \"gross\"", "withdrawal_statuses = []"] {
        let wrong = Reconciled::with(&lake, &format!("[reconcile]\n{setting}\n"));
        assert_eq!(wrong.ended.code, Some(65), "{setting}");
        assert!(wrong.broken().iter().all(|[law, resource, _]| (*law, *resource) == ("balance", "accounts")));
        assert!(wrong.lines.values().any(|line| line["verdict"] == "off"), "{setting}");
    }
    let opened = "[reconcile.opening]\nZAR = \"0.000000000000000001\"\n";
    assert_eq!(Reconciled::with(&lake, opened).lines["ZAR"]["difference"], "-0.000000000000000001");
    let tolerated = Reconciled::with(&lake, &format!("[reconcile]\ntolerance = \"0.01\"\n{opened}"));
    assert_eq!((tolerated.ended.code, &tolerated.lines["ZAR"]["verdict"]), (Some(0), &"tolerated".into()));
    let mistyped = Reconciled::with(&lake, "[reconcile]\ndeposit_statuses = [\"COMPLETE\"]\n");
    assert_eq!(mistyped.ended.code, Some(78));
    assert!(mistyped.ended.stderr.contains("deposits have no status `COMPLETE`"), "{}", mistyped.ended.stderr);
}

#[test]
fn without_what_the_books_are_made_of_there_are_none() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let refused = |args: &[&str], message: &str| {
        let ended = reconcile(&lake, args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    };
    refused(&[], "there is no lake at");
    assert!(!lake.path().exists());
    for resource in ["deposits", "withdrawals", "trades"] {
        Sync::of(&lake, &api.url(), resource).succeed();
    }
    refused(&[], "there are no books without accounts: no sync has brought them yet");
    Sync::of(&lake, &api.url(), "accounts").succeed();
    assert_eq!(reconcile(&lake, &[]).code, Some(0), "no accounts, and nothing that they could hold");

    let settings = lake.folder().join("some.toml");
    fs::write(&settings, "resources = [\"accounts\", \"trades\"]\n").unwrap();
    refused(&["--config", settings.to_str().unwrap()], "without deposits: `resources` in the settings leaves them out");
    let schemas = lake.folder().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let trades = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/trades.json")).unwrap();
    fs::write(schemas.join("trades.json"), trades.replace("\"to_currency_amount\"", "\"to_sum\"")).unwrap();
    refused(&["--schemas", schemas.to_str().unwrap()], "trade_fills: their schema has no decimal column `to_currency_");
}

#[test]
fn a_lake_that_is_damaged_has_no_books() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(34, 200));
    Sync::new(&lake, &sandbox.url()).succeed();
    let key = lake.files_below("changes/withdrawals").remove(3);
    fs::write(lake.path().join(&key), "short").unwrap();
    let ended = reconcile(&lake, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(76), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(&key), "{}", ended.stderr);
}

#[test]
fn a_record_in_a_currency_without_an_account_and_one_in_quarantine_are_told() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let deposit = |id: &str, amount: &str| {
        format!(r#"{{"transactionId":"{id}","currency":"ZAR","amount":{amount},"fee":0,"status":"COMPLETED"}}"#)
    };
    api.serve("/api/v1/deposits", format!("[{},{}]", deposit("D1", "5"), deposit("D2", "\"much\"")));
    Sync::new(&lake, &api.url()).succeed();
    let reconciled = Reconciled::of(&lake, &[]);
    assert_eq!((reconciled.ended.code, reconciled.broken()), (Some(65), vec![["account", "deposits", "D1"]]));
    assert_eq!(reconciled.lines["ZAR"]["verdict"], "no-account");
    let note = &reconciled.run["notes"][0];
    assert_eq!(note["resource"], "deposits");
    assert_eq!(note["text"], "1 in quarantine, and as listed now in no sum");
}
