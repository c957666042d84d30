//! `sync --every` goes on until it is told to stop, says how it is to whoever asks, and tells when something fails.

use std::{fs, net::TcpListener, os::unix::net::UnixDatagram, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    api::{Answer, Gate, ScriptedApi},
    lake::Lake,
    program::{Ended, Sync, program, run},
    sandbox::{Sandbox, request},
    service::Service,
    verified::assert_verified,
};

const DEPOSITS: &str = "/api/v1/deposits";
/// In a form that is a secret by itself.
const HOOK: &str = "/hooks/canary-webhook-token";

fn sync(lake: &Lake, url: &str) -> Sync {
    Sync::of(lake, url, "deposits")
}

#[test]
fn it_syncs_again_and_again_until_it_is_stopped_and_says_so() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(61, 100));
    let mut service = Service::start(Sync::new(&lake, &sandbox.url()).settings("requests_per_second = 1000.0"), "10ms");
    let first = service.next_run();
    assert_eq!((first.exit_code, first.resources["deposits"]["outcome"].as_str()), (0, Some("committed")));
    sandbox.advance(chrono::TimeDelta::days(7));
    // The run that is under way may have asked before.
    let found = (0..3).map(|_| service.next_run()).any(|run| run.resources["trades"]["outcome"] == "committed");
    assert!(found, "what came since is found by a later run");
    let ended = service.stop();
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_verified(&lake);
}

#[test]
fn it_stops_within_seconds_though_a_list_never_comes() {
    let (lake, api, never) = (Lake::new(), ScriptedApi::start(), Gate::default());
    api.answer(DEPOSITS, [Answer::ok("[]").behind(&never)]);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let asked = api.requests().len();
        let service = Service::start(sync(&lake, &api.url()), "1h");
        api.await_requests(asked + 1);
        let began = std::time::Instant::now();
        service.signal(signal);
        let ended = service.end();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    lake.assert_nothing_committed();
}

#[test]
fn settings_are_read_again_at_a_hangup_and_kept_if_they_are_wrong() {
    let (lake, api, port) = (Lake::new(), ScriptedApi::without_records(), free_port());
    let settings =
        |resource: &str| format!("resources = [\"{resource}\"]\n[operate]\nmetrics_listen = \"127.0.0.1:{port}\"\n");
    let file = lake.folder().join("settings.toml");
    let all = Sync::new(&lake, &api.url()).settings(&settings("deposits"));
    let mut service = Service::start(all, "1h");
    assert!(service.next_run().resources.keys().eq(["deposits"]));
    fs::write(&file, settings("wallets")).unwrap();
    service.signal(Signal::HUP);
    assert!(service.next_run().resources.keys().eq(["wallets"]), "the next run begins at once, with the new settings");
    assert_eq!(metric(port, "lumetrade_export_settings_last_reload_successful"), 1.0);
    fs::write(&file, settings("wallet")).unwrap();
    service.signal(Signal::HUP);
    assert!(service.next_run().resources.keys().eq(["wallets"]));
    assert_eq!(metric(port, "lumetrade_export_settings_last_reload_successful"), 0.0);
    let ended = service.stop();
    assert!(ended.stderr.contains("there is no resource `wallet`"), "{}", ended.stderr);
}

#[test]
fn wrong_settings_end_it_at_the_start_and_nothing_else_does() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let code = |sync: Sync| run(&mut sync.arg("--every").arg("1h").command()).code;
    assert_eq!(code(sync(&lake, &api.url()).settings("lake = 7")), Some(78));
    assert_eq!(code(sync(&lake, &api.url()).without("LUMETRADE_API_KEY")), Some(78));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let holds = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let listen = format!("[operate]\nmetrics_listen = \"{}\"", holds.local_addr().unwrap());
    assert_eq!(code(sync(&lake, &api.url()).settings(&listen)), Some(78));
    for period in ["0s", "31days", "soon"] {
        assert_eq!(run(&mut sync(&lake, &api.url()).arg("--every").arg(period).command()).code, Some(2), "{period}");
    }
    assert_eq!(code(sync(&lake, &api.url()).arg("--accept-removals")), Some(2));

    api.answer(DEPOSITS, [Answer::error(401, "no", "req_1"), Answer::ok("[]")]);
    let mut service = Service::start(sync(&lake, &api.url()), "100ms");
    assert_eq!(service.next_run().exit_code, 77);
    assert_eq!(service.next_run().exit_code, 0);
    service.stop();
}

#[test]
fn systemd_is_told_when_it_is_ready_when_the_next_run_is_due_and_when_it_stops() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let path = lake.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let receive = || {
        let mut bytes = [0; 1000];
        let length = socket.recv(&mut bytes).expect("systemd is told something");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let sync = sync(&lake, &api.url()).with("NOTIFY_SOCKET", path.to_str().unwrap());
    let service = Service::start(sync.with("WATCHDOG_USEC", "400000"), "1h");
    assert!(receive().starts_with("READY=1\n"));
    let mut told = Vec::new();
    while !told.iter().any(|told: &String| told.starts_with("STATUS=the next run is due at 20")) {
        told.push(receive());
    }
    told = (0..3).map(|_| receive()).collect();
    assert!(told.iter().all(|told| told.starts_with("WATCHDOG=1")), "{told:?}");
    service.stop();
    let mut told = receive();
    while told.starts_with("WATCHDOG=1") {
        told = receive();
    }
    // It was waiting, so there was nothing to be brought to an end.
    assert!(told.starts_with("STOPPING=1"), "{told}");
}

#[test]
fn a_failure_and_the_recovery_from_it_are_told_once_and_without_secrets() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let hook = format!("{}{HOOK}", api.url());
    api.serve(HOOK, "taken");
    let denied = Answer::error(403, "the key sandbox-key may not", "req_1");
    api.answer(DEPOSITS, [denied.clone(), denied, Answer::ok("[]"), Answer::ok("[]")]);
    let told = sync(&lake, &api.url()).with("LUMETRADE_WEBHOOK_URL", &hook).settings("[operate]\nruns_kept = 3");
    let mut service = Service::start(told, "20ms");
    service.run_with(0, 10);
    service.next_run();
    let ended = service.stop();
    let messages: Vec<Value> = api.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let events: Vec<_> = messages.iter().map(|message| message["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["failure", "recovery"], "{messages:?}");
    let failure = &messages[0]["failures"][0];
    assert_eq!((failure["resource"].as_str(), failure["exit_code"].as_u64()), (Some("deposits"), Some(77)));
    assert!(failure["message"].as_str().unwrap().contains("the key [secret] may not"), "{failure}");

    let runs = status_runs(&lake, &["--json"]);
    let codes: Vec<_> = runs.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(codes.len(), 3, "no more runs are kept than the settings say: {}", runs.stdout);
    for text in [&ended.stderr, &ended.stdout, &runs.stdout, &api.bodies().concat()] {
        assert!(!text.contains("canary-webhook-token"), "{text}");
    }
    assert_verified(&lake);
}

#[test]
fn single_syncs_keep_their_history_too_and_go_by_it() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.serve(HOOK, "taken");
    api.answer(
        DEPOSITS,
        [Answer::ok("[]"), Answer::error(400, "no", "r"), Answer::error(400, "no", "r"), Answer::ok("[]")],
    );
    let url = format!("{}{HOOK}", api.url());
    let settings = "[operate]\nruns_kept = 10\nwebhook_form = \"slack\"";
    for code in [0, 65, 65, 0] {
        let synced = sync(&lake, &api.url()).with("LUMETRADE_WEBHOOK_URL", &url).settings(settings).run();
        assert_eq!(synced.ended.code, Some(code), "{}", synced.ended.stderr);
    }
    let messages = api.bodies();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("failed, with exit code 65") && messages[1].contains("all is well again"));
    let table = status_runs(&lake, &[]).stdout;
    let exits: Vec<_> = table.lines().filter(|line| line.starts_with("20")).map(|line| &line[31..37]).collect();
    assert_eq!(exits, ["     0", "    65", "    65", "     0"], "{table}");
    assert_eq!(table.matches("  deposits: the API answers").count(), 2, "{table}");
}

#[test]
fn a_webhook_that_does_not_take_it_changes_nothing_of_the_sync() {
    let (lake, api, port) = (Lake::new(), ScriptedApi::without_records(), free_port());
    api.answer(DEPOSITS, [Answer::error(400, "no", "r"), Answer::ok("[]")]);
    for hook in ["http://example.com/canary-hook", "https://169.254.169.254/canary-hook", "canary-hook"] {
        let (ended, before) = (sync(&lake, &api.url()).with("LUMETRADE_WEBHOOK_URL", hook), api.requests().len());
        api.answer(DEPOSITS, [Answer::error(400, "no", "r")]);
        let synced = ended.run();
        assert_eq!((synced.ended.code, api.requests().len()), (Some(65), before + 1));
        assert!(synced.ended.stderr.contains("the webhook was not told"), "{}", synced.ended.stderr);
        assert!(!synced.ended.stderr.contains("canary-hook"), "{}", synced.ended.stderr);
    }
    // Nobody listens there.
    let hook = format!("http://127.0.0.1:{port}/canary-hook");
    let synced = sync(&lake, &api.url()).with("LUMETRADE_WEBHOOK_URL", &hook).run();
    assert_eq!(synced.ended.code, Some(65));
    assert!(synced.ended.stderr.contains("it cannot be reached"), "{}", synced.ended.stderr);
}

fn status_runs(lake: &Lake, args: &[&str]) -> Ended {
    let ended = run(program(lake.folder()).args(["status", "--runs", "--lake"]).arg(lake.path()).args(args));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn metric(port: u16, name: &str) -> f64 {
    let (status, text) = request(([127, 0, 0, 1], port).into(), "GET", "/metrics");
    assert_eq!(status, 200, "{text}");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}:\n{text}"))
}
