//! What `check` says before a sync would have to fail.

use std::process::Command;

use crate::support::{
    api::{Answer, ScriptedApi},
    lake::Lake,
    program::{Ended, Sync, program, run},
    sandbox::Sandbox,
};

fn check(lake: &Lake, url: &str, args: &[&str]) -> Command {
    let mut command = program(lake.folder());
    command.args(["check", "-vvv", "--base-url", url, "--lake"]).arg(lake.path()).args(args);
    command
}

/// What is said of one thing: the outcome, and the rest of the line.
fn line<'e>(ended: &'e Ended, what: &str) -> (&'e str, &'e str) {
    let line = ended.stdout.lines().find(|line| line.starts_with(&format!("{what:<24}")));
    let line = line.unwrap_or_else(|| panic!("{what}: {}{}", ended.stdout, ended.stderr));
    let (outcome, detail) = line[24..].split_at(8);
    (outcome.trim(), detail)
}

#[test]
fn where_a_sync_works_everything_is_well_and_nothing_is_written() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(5, 100));
    let ended = run(&mut check(&lake, &sandbox.url(), &[]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(line(&ended, "lake"), ("well", "there is none yet; the first sync makes it"));
    assert!(line(&ended, "trades").1.starts_with("a list, which began after "), "{}", ended.stdout);
    assert_eq!(line(&ended, "currencies"), ("well", "the API lacks it, and may"));
    assert!(line(&ended, "personal data").1.starts_with("kept: wallets.deposit_details, "), "{}", ended.stdout);
    assert!(!lake.path().exists());

    Sync::new(&lake, &sandbox.url()).succeed();
    let before = lake.listing();
    let ended = run(check(&lake, &sandbox.url(), &["--json"]).env_remove("LUMETRADE_PERSONAL_DATA"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let findings: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |what: &str| findings.iter().find(|finding| finding["what"] == what).unwrap();
    assert_eq!(of("lake")["detail"], "it is there, and of this version");
    assert!(of("personal data")["detail"].as_str().unwrap().starts_with("not stored: wallets.deposit_details, "));
    assert!(findings.iter().all(|finding| finding["outcome"] != "failed"), "{findings:?}");
    crate::support::lake::assert_untouched(&before, &lake.listing(), "a check");
}

#[test]
fn what_would_fail_is_named_with_what_may_help_and_the_gravest_is_the_exit_code() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.answer("/api/v1/accounts", [Answer::error(401, "Unknown key", "req_1")]);
    api.serve("/api/v1/deposits", r#"{"content":[]}"#);
    api.answer("/api/v1/trades", [Answer::ok(" \n [").header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    let ended = run(&mut check(&lake, &api.url(), &[]));
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
    let (outcome, detail) = line(&ended, "accounts");
    assert!(outcome == "FAILED" && detail.contains("Unknown key") && detail.contains("req_1"), "{detail}");
    assert_eq!(line(&ended, "deposits"), ("FAILED", "the answer is no list"));
    assert_eq!(line(&ended, "trades").0, "well");
    let (outcome, detail) = line(&ended, "clock");
    assert!(outcome == "odd" && detail.ends_with("s ahead of the API's"), "{detail}");
    assert!(ended.stderr.contains("hint: check LUMETRADE_API_KEY"), "{}", ended.stderr);

    let ended = run(check(&lake, &api.url(), &[]).env_remove("LUMETRADE_API_KEY"));
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(line(&ended, "credentials").1.contains("set LUMETRADE_API_KEY"), "{}", ended.stdout);
    assert_eq!(line(&ended, "lake").0, "well", "the rest is tried all the same");
}

#[test]
fn a_lake_that_files_its_records_otherwise_is_found_before_a_sync_finds_it() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    Sync::new(&lake, &api.url()).succeed();
    let settings = lake.folder().join("settings.toml");
    std::fs::write(&settings, "partition = \"day\"").unwrap();
    let ended = run(&mut check(&lake, &api.url(), &["--config", settings.to_str().unwrap()]));
    assert_eq!((ended.code, line(&ended, "lake").0), (Some(78), "FAILED"), "{}", ended.stdout);
}
