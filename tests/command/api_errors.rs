//! What the program does when the API, the settings or the user err: the code, the message, and what it must not do.

use std::{fs, net::TcpListener};

use crate::support::{
    api::{Answer, ScriptedApi},
    lake::{Lake, assert_untouched},
    program::{KEY, SECRET, Sync, program, program_without_credentials, run},
    sandbox::Sandbox,
    tables::RESOURCES,
};

const PATH: &str = "/api/v1/wallets";

#[test]
fn denied_credentials_end_at_once_with_the_request_to_ask_support_about() {
    for status in [401, 403] {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        api.answer(PATH, [Answer::error(status, "The request could not be authenticated", "req_01HY_ask")]);
        let synced = Sync::of(&lake, &api.url(), "wallets").run();
        assert_eq!(synced.ended.code, Some(77));
        let message = synced.failure("wallets");
        for part in ["could not be authenticated", "req_01HY_ask", &status.to_string()] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(api.requests().len(), 1, "a denial is not tried again");
        lake.assert_nothing_committed();
        let hint = if status == 401 { "hint: check LUMETRADE_API_KEY and LUMETRADE_API_SECRET" } else { "hint: " };
        assert!(synced.ended.stderr.contains(hint), "{}", synced.ended.stderr);
    }
}

#[test]
fn the_sandbox_denies_a_wrong_secret() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(17, 100));
    let mut command = program(lake.folder());
    command
        .env("LUMETRADE_API_SECRET", "wrong")
        .args(["sync", "--base-url", &sandbox.url(), "--lake"])
        .arg(lake.path());
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
    assert!(ended.stderr.contains("req_01HY"), "{}", ended.stderr);
}

#[test]
fn every_request_carries_both_headers_and_asks_for_json() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    Sync::new(&lake, &api.url()).succeed();
    let requests = api.requests();
    assert_eq!(requests.len(), RESOURCES.len());
    for head in requests {
        let head = head.to_ascii_lowercase();
        for header in [
            format!("x-api-key: {KEY}\r\n"),
            format!("x-api-secret: {SECRET}\r\n"),
            "accept: application/json\r\n".into(),
            "cache-control: no-cache\r\n".into(),
        ] {
            assert!(head.contains(&header), "{head}");
        }
        assert!(head.starts_with("get ") && !head.contains('?'), "{head}");
    }
}

#[test]
fn on_request_all_that_is_told_is_json() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.answer("/api/v1/wallets", [Answer::error(401, "the key sandbox-key\nis none", "req_1")]);
    let synced = Sync::of(&lake, &api.url(), "wallets").arg("--log-json").run();
    let lines = synced.ended.stderr.lines().map(|line| serde_json::from_str(line).expect(line));
    let lines: Vec<serde_json::Value> = lines.collect();
    let failure = lines.iter().find(|line| line["level"] == "ERROR" && line["what"] == "wallets").expect("a failure");
    assert!(failure["message"].as_str().unwrap().contains("the key [secret]"), "{failure}");
    assert!(failure["state"] == "nothing was committed" && failure["hint"].is_string(), "{failure}");
    let settings = Sync::of(&lake, &api.url(), "wallets").arg("--log-json").settings("lake = 7").run();
    let line: serde_json::Value = serde_json::from_str(settings.ended.stderr.trim_end()).unwrap();
    assert!(line["message"].as_str().unwrap().contains("expected a string"), "{line}");
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let failure = Answer::error(500, "An unexpected error occurred", "req_1");
    let slow_down = Answer::error(429, "Too many requests", "req_2").header("Retry-After", "0");
    api.answer(PATH, [failure, slow_down, Answer::ok(r#"[{"id":"w1"}]"#)]);
    let synced = Sync::of(&lake, &api.url(), "wallets").succeed();
    assert_eq!((synced.figure("wallets", "added"), api.requests().len()), (1, 3));
}

#[test]
fn a_failure_that_stays_is_the_apis_and_says_what_it_said() {
    for status in [429, 500, 502, 503, 504] {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        api.answer(PATH, [Answer::error(status, "Down for maintenance", "req_01HY_down").header("Retry-After", "0")]);
        let synced = Sync::of(&lake, &api.url(), "wallets").run();
        assert_eq!(synced.ended.code, Some(69), "{status}");
        let message = synced.failure("wallets");
        assert!(message.contains("Down for maintenance") && message.contains("req_01HY_down"), "{message}");
        assert_eq!(api.requests().len(), 5, "{status}");
        lake.assert_nothing_committed();
    }
}

#[test]
fn an_api_that_is_not_there_is_unavailable() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lake = Lake::new();
    let synced = Sync::of(&lake, &format!("http://127.0.0.1:{port}"), "wallets").run();
    assert_eq!(synced.ended.code, Some(69));
    assert!(synced.failure("wallets").contains("refused"), "{}", synced.failure("wallets"));
    lake.assert_nothing_committed();
}

#[test]
fn a_name_that_means_nothing_is_unavailable() {
    let lake = Lake::new();
    let synced = Sync::of(&lake, "https://api.lumetrade.invalid", "wallets").run();
    assert_eq!(synced.ended.code, Some(69), "{}", synced.ended.stderr);
    assert!(synced.failure("wallets").contains("cannot reach"), "{}", synced.failure("wallets"));
    lake.assert_nothing_committed();
}

#[test]
fn an_error_or_a_page_that_comes_with_200_is_no_list() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, r#"[{"id":"w1"}]"#);
    Sync::of(&lake, &api.url(), "wallets").succeed();
    let before = lake.contents();
    let page = format!("<!DOCTYPE html><html><body>Sign in as {KEY} {SECRET} {}</body></html>", "x".repeat(5000));
    for (answer, what) in [
        (Answer::error(200, "Something went wrong", "req_1"), "a JSON object, not a JSON array"),
        (Answer::ok(page).header("Content-Type", "text/html"), "HTML"),
    ] {
        api.answer(PATH, [answer]);
        let synced = Sync::of(&lake, &api.url(), "wallets").run();
        assert_eq!(synced.ended.code, Some(65), "{what}: {}", synced.ended.stderr);
        let message = synced.failure("wallets");
        assert!(message.contains(what) && message.chars().count() <= 200, "{message}");
        assert!(!synced.ended.stderr.contains(KEY) && !synced.ended.stderr.contains(SECRET), "{}", synced.ended.stderr);
        assert_untouched(&before, &lake.contents(), what);
    }
}

#[test]
fn a_redirect_is_not_followed_and_the_target_is_not_asked() {
    for status in [301, 302, 307, 308] {
        let (lake, api, target) = (Lake::new(), ScriptedApi::start(), ScriptedApi::without_records());
        let elsewhere = format!("{}{PATH}", target.url().replace("127.0.0.1", "localhost"));
        api.answer(PATH, [Answer { status, ..Answer::ok("") }.header("Location", elsewhere)]);
        let synced = Sync::of(&lake, &api.url(), "wallets").run();
        assert_eq!(synced.ended.code, Some(78), "{status}");
        assert!(synced.failure("wallets").contains("localhost"), "{}", synced.failure("wallets"));
        assert_eq!(target.requests(), [""; 0], "{status}");
        lake.assert_nothing_committed();
    }
}

#[test]
fn other_answers_than_200_are_no_lists() {
    for status in [204, 206, 400, 404, 409, 418] {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        api.answer(PATH, [Answer { status, ..Answer::ok("[]") }]);
        let synced = Sync::of(&lake, &api.url(), "wallets").run();
        assert_eq!(synced.ended.code, Some(65), "{status}: {}", synced.ended.stdout);
        assert!(synced.failure("wallets").contains(&status.to_string()), "{}", synced.failure("wallets"));
        assert_eq!(api.requests().len(), 1, "{status}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_anything_is_asked_or_written() {
    let rows: [(&[&str], &str); 14] = [
        (&["--base-url", "http://api.lumetrade.com"], "https://"),
        (&["--base-url", "http://127.0.0.1.evil.example"], "https://"),
        (&["--base-url", "http://10.0.0.1"], "https://"),
        (&["--base-url", "ftp://127.0.0.1"], "https://"),
        (&["--base-url", "https://user:pa55@127.0.0.1"], "settings of their own"),
        (&["--base-url", "https://127.0.0.1/?key=pa55"], "settings of their own"),
        (&["--base-url", "https://169.254.169.254"], "address of this link alone"),
        (&["--resource", "deposit"], "there is no resource `deposit`"),
        (&["--resource", "../../etc"], "there is no resource `../../etc`"),
        (&["--resource", "dep*"], "there is no resource `dep*`"),
        (&["--resource", "DEPOSITS"], "there is no resource `DEPOSITS`"),
        (&["--schemas", "/nonexistent"], "/nonexistent"),
        (&["--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["--lake", "ftp://x/y"], "ftp"),
    ];
    for (args, message) in rows {
        let folder = tempfile::tempdir().unwrap();
        let ended = run(program(folder.path()).arg("sync").args(args));
        assert_eq!(ended.code, Some(78), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message) && !ended.stderr.contains("pa55"), "{args:?}: {}", ended.stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn without_credentials_nothing_is_asked_and_the_message_names_what_is_missing() {
    let api = ScriptedApi::without_records();
    for (variable, missing) in
        [("LUMETRADE_API_KEY", "LUMETRADE_API_SECRET"), ("LUMETRADE_API_SECRET", "LUMETRADE_API_KEY")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program_without_credentials(folder.path());
        let ended = run(command.env(variable, "x").args(["sync", "--base-url", &api.url()]));
        assert_eq!(ended.code, Some(78), "{}", ended.stderr);
        assert!(ended.stderr.contains(missing), "{}", ended.stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    assert_eq!(api.requests(), [""; 0]);
}

#[test]
fn what_is_typed_wrong_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let rows: [&[&str]; 9] = [
        &["sync", "--api-key", "canary"],
        &["sync", "--api-secret=canary"],
        &["sync", "--insecure"],
        &["sync", "--lakes", "x"],
        &["sync", "--lake"],
        &["synch"],
        &["sync", "x"],
        &["sandbox", "--port", "x"],
        &[],
    ];
    for args in rows {
        let ended = run(program(folder.path()).args(args));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(ended.stderr.contains("--help") && !ended.stderr.contains("canary"), "{args:?}: {}", ended.stderr);
    }
    for args in [["--help"], ["--version"]] {
        let ended = run(program(folder.path()).args(args));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_lake_that_is_damaged_is_told_from_one_that_is_not() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, r#"[{"id":"w1"}]"#);
    let commit = Sync::of(&lake, &api.url(), "wallets").succeed();
    assert_eq!(commit.figure("wallets", "head"), 1);
    api.serve(PATH, r#"[{"id":"w1"},{"id":"w2"}]"#);
    Sync::of(&lake, &api.url(), "wallets").succeed();
    let files = lake.files_below("changes/wallets");
    fs::remove_file(lake.path().join(&files[0])).unwrap();
    // The caches hide the loss from a sync that finds nothing new; without them it is found.
    fs::remove_dir_all(lake.path().join("meta/wallets/state")).unwrap();
    let before = lake.contents();
    let synced = Sync::of(&lake, &api.url(), "wallets").run();
    assert_eq!(synced.ended.code, Some(76), "{:?}", synced.ended);
    assert_untouched(&before, &lake.contents(), "a damaged lake");
}

#[test]
fn the_secret_is_nowhere_to_be_seen() {
    const CANARY_KEY: &str = "canary-key-5cb1f6";
    const CANARY_SECRET: &str = "canary-secret-93ad07";
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.serve(PATH, r#"[{"id":"w1"}]"#);
    api.answer("/api/v1/trades", [Answer::error(500, "no", "req_1").header("Retry-After", "0"), Answer::ok("[{}]")]);
    api.answer("/api/v1/deposits", [Answer::error(401, "no", "req_2")]);
    api.answer(
        "/api/v1/accounts",
        [Answer { status: 302, ..Answer::ok("") }.header("Location", "http://localhost:1/")],
    );
    let mut seen = String::new();
    for verbosity in ["-v", "-vv", "-vvv"] {
        let mut command = program_without_credentials(lake.folder());
        command.env("LUMETRADE_API_KEY", CANARY_KEY).env("LUMETRADE_API_SECRET", CANARY_SECRET);
        command.args(["sync", verbosity, "--base-url", &api.url(), "--lake"]).arg(lake.path());
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(78), "the gravest of the failures: {}", ended.stderr);
        seen.push_str(&ended.stdout);
        seen.push_str(&ended.stderr);
    }
    assert!(seen.len() > 1000, "the finest detail is more than this: {seen}");
    assert!(api.requests()[0].contains(CANARY_SECRET), "the API has got it");
    let is_in = |text: &[u8], canary: &str| text.windows(canary.len()).any(|window| window == canary.as_bytes());
    for canary in [CANARY_KEY, CANARY_SECRET] {
        assert!(!is_in(seen.as_bytes(), canary), "{seen}");
        for (file, bytes) in lake.contents() {
            assert!(!is_in(&bytes, canary) && !file.contains(canary), "{file}");
        }
    }
}
