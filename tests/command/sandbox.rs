//! `sandbox` serves until it is stopped, says where, and lets its faults be rehearsed.

use std::{
    io::{BufRead, BufReader},
    process::Command,
};

use crate::support::{
    lake::{Lake, assert_untouched},
    program::{Sync, end, program_without_credentials, spawn},
    sandbox::{Sandbox, request},
};

#[test]
fn a_sandbox_on_any_free_port_says_where_and_ends_at_a_signal() {
    let lake = Lake::new();
    let args = ["sandbox", "--port", "0", "--seed", "5", "--records", "300"];
    let mut child = spawn(program_without_credentials(lake.folder()).args(args));
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let url =
        line.strip_prefix("listening on ").and_then(|rest| rest.split([',', ' ', '\n']).next()).unwrap().to_owned();
    let synced = Sync::new(&lake, &url).succeed();
    let transactions: u64 = ["deposits", "withdrawals", "trades"].map(|name| synced.figure(name, "added")).iter().sum();
    assert_eq!(transactions, 300);
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(request(address, "GET", "/control/clock").1, r#"{"clock":"2026-05-15T00:00:00Z"}"#);

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    child.stdout = Some(stdout.into_inner());
    let ended = end(child);
    assert_eq!(ended.code, Some(143));
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
}

#[test]
fn faults_can_be_rehearsed() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(6, 300));
    sandbox.switch("fault?kind=status&code=503&retry_after=0&resource=trades&times=2");
    let synced = Sync::new(&lake, &sandbox.url()).succeed();
    assert_eq!(synced.ended.stderr.matches("trying again").count(), 2, "{}", synced.ended.stderr);
    let before = lake.contents();
    for (fault, code, message) in [
        ("kind=short", 65, "are missing from the API's answer"),
        ("kind=empty", 65, "lists no record"),
        ("kind=conflict", 65, "stands twice, with different content"),
        ("kind=error-in-200", 65, "a JSON object, not a JSON array"),
        ("kind=html", 65, "HTML"),
        ("kind=cut", 69, "cannot receive the whole answer"),
        ("kind=gzip-bomb", 65, "is refused"),
        ("kind=status&code=403", 77, "denies"),
        ("kind=redirect&to=http://127.0.0.1:1/", 78, "redirects are not followed"),
    ] {
        sandbox.switch(&format!("fault?{fault}"));
        let synced = Sync::of(&lake, &sandbox.url(), "deposits").run();
        assert_eq!(synced.ended.code, Some(code), "{fault}: {}", synced.ended.stderr);
        assert!(synced.failure("deposits").contains(message), "{fault}: {}", synced.failure("deposits"));
        assert_untouched(&before, &lake.contents(), fault);
    }
    sandbox.switch("reset");
    assert_eq!(Sync::new(&lake, &sandbox.url()).succeed().figure("deposits", "rows"), 0);
}
