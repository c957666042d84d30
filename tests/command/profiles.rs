//! Several entities, each with an API key of its own: one command runs all, each has its lake, and queries see all of them.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::{Ended, Sync, program_without_credentials, run, spawn},
    sandbox::Sandbox,
    service::{Run, Service},
};

const NAMES: [&str; 2] = ["acme_ke", "acme_za"];

/// A sandbox for each profile, settings that name them, and credentials for either.
struct Entities {
    lake: Lake,
    sandboxes: [Sandbox; 2],
}

impl Entities {
    fn start() -> Self {
        let [ke, za] = NAMES.map(key);
        let sandboxes = [Sandbox::start_with_key(71, 300, &ke), Sandbox::start_with_key(72, 200, &za)];
        let entities = Self { lake: Lake::new(), sandboxes };
        entities.settings("");
        entities
    }

    /// With something at the end of what is common to the profiles.
    fn settings(&self, common: &str) {
        let [ke, za] = self.sandboxes.each_ref().map(Sandbox::url);
        let settings = format!(
            "requests_per_second = 1000.0\nlake = \"{}\"\n{common}\n[profiles.acme_ke]\nbase_url = \"{ke}\"\n\
             [profiles.acme_za]\nbase_url = \"{za}\"\n",
            self.lake.path().display()
        );
        fs::write(self.lake.folder().join("lumetrade-export.toml"), settings).unwrap();
    }

    /// A command with the credentials of both in its environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = program_without_credentials(self.lake.folder());
        for name in NAMES {
            let upper = name.to_uppercase();
            command.env(format!("LUMETRADE_API_KEY_{upper}"), key(name));
            command.env(format!("LUMETRADE_API_SECRET_{upper}"), "sandbox-secret");
        }
        command.args(args);
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ended {
        told_without_keys(run(&mut self.command(args)))
    }

    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    fn is_synced(&self, name: &str) -> bool {
        self.lake.path().join(format!("source={name}/changes/trades")).is_dir()
    }
}

fn key(name: &str) -> String {
    format!("canary-key-of-{name}")
}

#[track_caller]
fn told_without_keys(ended: Ended) -> Ended {
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!told.contains("canary-key") && !told.contains("sandbox-secret"), "{told}");
    ended
}

/// The profiles that lines of JSON are of. Each begins with its own.
fn profiles(lines: &str) -> BTreeSet<String> {
    let profile = |line: &str| {
        assert!(line.starts_with("{\"profile\":\""), "{line}");
        let line: Value = serde_json::from_str(line).unwrap();
        line["profile"].as_str().unwrap().to_owned()
    };
    lines.lines().map(profile).collect()
}

#[test]
fn one_sync_fills_a_lake_for_each_entity_and_queries_see_all_of_them() {
    let entities = Entities::start();
    assert_eq!(profiles(&entities.succeed(&["sync", "--json"])), NAMES.map(str::to_owned).into());
    let mut duckdb = DuckDb::start();
    let glob = format!("'{}/source=*/current/trades/**/*.parquet'", entities.lake.path().display());
    duckdb.query(&entities.succeed(&["ddl", "duckdb"]));
    let moment = duckdb.value("SELECT CAST(max(observed_at) + INTERVAL 1 SECOND AS VARCHAR) FROM syncs");
    let counts = |duckdb: &mut DuckDb, from: &str| {
        let sql = format!(
            "SELECT string_agg(source || ' ' || rows, ', ' ORDER BY source) FROM (SELECT source, count(*) AS rows FROM {from} GROUP BY source)"
        );
        duckdb.value(&sql)
    };
    let plain = format!("read_parquet({glob}, hive_partitioning = true)");
    assert_eq!(counts(&mut duckdb, "trades"), counts(&mut duckdb, &plain));
    let said = counts(&mut duckdb, "trades");
    assert!(said.contains("acme_ke") && said.contains("acme_za"), "{said}");

    entities.sandboxes.iter().for_each(|sandbox| sandbox.advance(chrono::TimeDelta::days(20)));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    entities.succeed(&["sync"]);
    entities.succeed(&["compact", "--min-commits", "1"]);
    duckdb.query(&entities.succeed(&["ddl", "duckdb"]));
    assert_eq!(counts(&mut duckdb, &format!("trades_as_of('{moment}')")), said, "before what came since");
    assert_ne!(counts(&mut duckdb, "trades"), said);
    for name in ["deposits", "trades_changes", "trades_history", "trade_fills", "trade_fills_changes", "syncs"] {
        let [ke, za] = NAMES.map(|profile| format!("SELECT '{profile}' AS source, * FROM \"{profile}\".{name}"));
        let apart = duckdb.rows_apart(&format!("(FROM {name})"), &format!("({ke} UNION ALL {za})"));
        assert_eq!(apart, "0", "{name}");
    }
    let first = duckdb.describe("FROM trades_history").remove(0);
    assert_eq!(first, ("source".to_owned(), "VARCHAR".to_owned()));
    // With one profile, it is as it is with one lake.
    let one = entities.succeed(&["ddl", "duckdb", "--profile", "acme_za"]);
    let mut duckdb = DuckDb::start();
    duckdb.query(&one);
    assert_eq!(duckdb.describe("FROM trades").remove(0).0, "transaction_id");
}

#[test]
fn every_command_is_of_all_profiles_or_of_those_that_are_named() {
    let entities = Entities::start();
    entities.succeed(&["sync", "--profile", "acme_za"]);
    assert!(entities.is_synced("acme_za") && !entities.is_synced("acme_ke"));
    let refused = entities.run(&["status"]);
    assert_eq!(refused.code, Some(78), "one has no lake yet");
    assert!(refused.stdout.starts_with("# acme_za\n\nresource "), "{}", refused.stdout);
    assert!(refused.stderr.contains("error: acme_ke: there is no lake"), "{}", refused.stderr);
    let refused = entities.run(&["ddl", "duckdb"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(78), ""));
    assert!(refused.stderr.contains("acme_ke: there is no lake"), "{}", refused.stderr);

    entities.succeed(&["sync"]);
    let commands: [&[&str]; 6] = [
        &["status", "--json"],
        &["verify", "--json"],
        &["verify", "--against-api", "--json"],
        &["reconcile", "--json"],
        &["compact", "--json"],
        &["check", "--json"],
    ];
    for args in commands {
        assert_eq!(profiles(&entities.succeed(args)), NAMES.map(str::to_owned).into(), "{args:?}");
        let one = [args, &["--profile", "acme_ke"]].concat();
        assert_eq!(profiles(&entities.succeed(&one)), ["acme_ke".to_owned()].into(), "{one:?}");
    }
    let one_alone: [&[&str]; 2] = [&["report"], &["replay", "--from", entities.lake.path().to_str().unwrap()]];
    for args in one_alone {
        let refused = entities.run(args);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(78), ""), "{args:?}");
        assert!(refused.stderr.contains("name it with --profile: acme_ke, acme_za"), "{}", refused.stderr);
    }
    assert!(entities.succeed(&["report", "--profile", "acme_ke"]).contains("<html"));
    let refused = entities.run(&["sync", "--profile", "acme_zz"]);
    assert_eq!(refused.code, Some(78));
    assert!(refused.stderr.contains("there is no `acme_zz`; did you mean `acme_za`?"), "{}", refused.stderr);
}

#[test]
fn a_wrong_key_keeps_nobody_else_from_being_synced() {
    let entities = Entities::start();
    let mut command = entities.command(&["sync", "-v"]);
    let ended = told_without_keys(run(command.env("LUMETRADE_API_KEY_ACME_KE", "canary-key-that-is-wrong")));
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: acme_ke/trades: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("of{profile=\"acme_za\"}: synced"), "log lines name the profile: {}", ended.stderr);
    assert!(entities.is_synced("acme_za") && !entities.is_synced("acme_ke"));
}

#[test]
fn a_key_is_of_one_profile_alone() {
    let entities = Entities::start();
    let sync = |profile: &[&str]| {
        let mut command = entities.command(&[&["sync"], profile].concat());
        told_without_keys(run(command.env("LUMETRADE_API_KEY_ACME_KE", key("acme_za"))))
    };
    for profile in [&[][..], &["--profile", "acme_za"]] {
        let refused = sync(profile);
        assert_eq!(refused.code, Some(78), "{}", refused.stderr);
        assert!(refused.stderr.contains("acme_za: the API key is that of profile `acme_ke` too"), "{}", refused.stderr);
    }
    // One pair of credentials is not enough for two, whosever it is.
    let mut command = program_without_credentials(entities.lake.folder());
    let ended = run(command.arg("sync").env("LUMETRADE_API_KEY", key("acme_za")).env("LUMETRADE_API_SECRET", "x"));
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("acme_ke: no credential: set LUMETRADE_API_KEY_ACME_KE"), "{}", ended.stderr);
    assert!(!NAMES.into_iter().any(|name| entities.is_synced(name)));
}

#[test]
fn a_process_that_goes_on_syncs_all_profiles_in_each_run_and_counts_them_apart() {
    let entities = Entities::start();
    let metrics = entities.lake.folder().join("metrics.prom");
    entities.settings(&format!("[operate]\nruns_kept = 9\nmetrics_file = \"{}\"", metrics.display()));
    let sync = Sync::of_command(entities.command(&["sync", "--json"]));
    let mut service = Service::start(sync, "10ms");
    // Two of each.
    for _ in 0..4 {
        let run = service.next_run();
        assert_eq!(run.exit_code, 0);
        assert!(NAMES.contains(&run.resources["trades"]["profile"].as_str().unwrap()));
    }
    assert_eq!(told_without_keys(service.stop()).code, Some(143));
    let runs = |text: &str, profile: &str| {
        let name = format!("lumetrade_export_runs_total{{profile=\"{profile}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or_default()
    };
    let text = fs::read_to_string(&metrics).unwrap();
    let counted = NAMES.map(|profile| runs(&text, profile));
    assert!(counted[0] >= 2 && counted[1] >= 1, "{text}");
    assert!(text.contains("lumetrade_export_known_records{profile=\"acme_ke\",resource=\"trades\"} "), "{text}");
    assert!(!text.contains("\nlumetrade_export_runs_total "), "none is of no profile: {text}");
    // One by itself goes on from there, and leaves the others as they are.
    entities.succeed(&["sync", "--profile", "acme_za"]);
    let text = fs::read_to_string(&metrics).unwrap();
    assert_eq!(NAMES.map(|profile| runs(&text, profile)), [counted[0], counted[1] + 1], "{text}");
    assert_eq!(profiles(&entities.succeed(&["status", "--runs", "--json"])), NAMES.map(str::to_owned).into());
}

#[test]
fn profiles_come_and_go_when_the_settings_are_read_again() {
    let entities = Entities::start();
    let file = entities.lake.folder().join("lumetrade-export.toml");
    let both = format!("{}[operate]\nmetrics_file = \"metrics.prom\"\n", fs::read_to_string(&file).unwrap());
    let without = |name: &str| {
        let lines: Vec<&str> = both.lines().collect();
        let at = lines.iter().position(|line| *line == format!("[profiles.{name}]")).unwrap();
        [&lines[..at], &lines[at + 2..]].concat().join("\n")
    };
    fs::write(&file, without("acme_za")).unwrap();
    let mut service = Service::start(Sync::of_command(entities.command(&["sync", "--json"])), "1h");
    let profile = |run: Run| run.resources["trades"]["profile"].as_str().unwrap().to_owned();
    assert_eq!(profile(service.next_run()), "acme_ke");
    let mut read_again = |settings: &str, names: &[&str]| {
        fs::write(&file, settings).unwrap();
        service.signal(Signal::HUP);
        names.iter().for_each(|name| assert_eq!(profile(service.next_run()), *name));
        // Nothing is said of a profile that is no more.
        let metrics = fs::read_to_string(entities.lake.folder().join("metrics.prom")).unwrap();
        let gone = NAMES.iter().filter(|name| !names.contains(name));
        gone.for_each(|name| assert!(!metrics.contains(&format!("profile=\"{name}\"")), "{metrics}"));
    };
    read_again(&both, &NAMES);
    read_again(&without("acme_ke"), &["acme_za"]);
    read_again("[profiles.acme_ke]\nlake = 7\n", &["acme_za"]);
    let ended = told_without_keys(service.stop());
    assert!(ended.stderr.contains("those from before are kept"), "{}", ended.stderr);
    fs::write(&file, &both).unwrap();
    entities.succeed(&["verify"]);
}

#[test]
fn a_failure_is_told_of_its_profile_and_so_is_the_recovery() {
    let (entities, hook) = (Entities::start(), ScriptedApi::start());
    hook.serve("/hook", "taken");
    let url = format!("{}/hook", hook.url());
    let secret = entities.lake.folder().join("hook");
    fs::write(&secret, url).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    entities.settings(&format!("[operate]\nruns_kept = 9\nwebhook_url_file = \"{}\"", secret.display()));
    for (key_of_za, code) in [(key(NAMES[1]), 0), ("canary-key-that-is-wrong".to_owned(), 77), (key(NAMES[1]), 0)] {
        let mut command = entities.command(&["sync"]);
        let ended = told_without_keys(run(command.env("LUMETRADE_API_KEY_ACME_ZA", key_of_za)));
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
    let messages: Vec<Value> = hook.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let told =
        |message: &Value| (message["event"].clone(), message["lake"].as_str().unwrap().ends_with("/source=acme_za"));
    let told: Vec<_> = messages.iter().map(told).collect();
    assert_eq!(told, [("failure".into(), true), ("recovery".into(), true)], "{messages:?}");
}

#[test]
fn a_collector_is_told_of_its_own_profile_and_of_no_other() {
    let entities = Entities::start();
    let collectors = NAMES.map(|_| ScriptedApi::start());
    let file = entities.lake.folder().join("lumetrade-export.toml");
    let mut settings = fs::read_to_string(&file).unwrap();
    for (name, collector) in NAMES.iter().zip(&collectors) {
        ["/v1/metrics", "/v1/traces"].iter().for_each(|path| collector.serve(path, "{}"));
        settings += &format!("[profiles.{name}.operate]\notlp_endpoint = \"{}\"\n", collector.url());
    }
    fs::write(&file, settings).unwrap();
    let mut service = spawn(&mut entities.command(&["sync", "--json", "--every", "10ms"]));
    for collector in &collectors {
        // Of the second run, when there is something to be told of both.
        collector.await_requests(4);
    }
    service.kill().unwrap();
    service.wait().unwrap();
    for (collector, names) in collectors.iter().zip([NAMES, [NAMES[1], NAMES[0]]]) {
        let told = collector.bodies().concat();
        assert!(told.contains(names[0]) && !told.contains(names[1]), "{names:?}: {told}");
    }
}
