//! `sandbox` serves until it is stopped, says where, and lets its faults be rehearsed.

use std::{
    io::{BufRead, BufReader},
    process::Command,
};

use chrono::TimeDelta;

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
fn what_an_api_may_do_wrong_is_rehearsed_in_the_sandbox() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(7, 1000));
    let sync = || Sync::of(&lake, &sandbox.url(), "deposits");
    sandbox.fault("kind=status&code=503&retry_after=0&resource=deposits&times=2");
    assert_eq!(sync().succeed().figure("deposits", "added"), 400);
    sandbox.advance(TimeDelta::days(30));
    let before = lake.contents();
    for (fault, code, says) in [
        ("kind=short", 65, "--accept-removals"),
        ("kind=cut", 69, "cannot receive"),
        ("kind=gzip-bomb", 65, "200 times"),
        ("kind=redirect&to=http://localhost:1/", 78, "localhost"),
    ] {
        sandbox.fault(fault);
        let synced = sync().run();
        assert_eq!(synced.ended.code, Some(code), "{fault}: {}", synced.ended.stderr);
        assert!(synced.ended.stderr.contains(says), "{fault}: {}", synced.ended.stderr);
        assert_untouched(&before, &lake.contents(), fault);
    }
    sandbox.reset();
    assert!(sync().succeed().figure("deposits", "added") > 0);
}
