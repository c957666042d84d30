//! Where settings and credentials come from, and who may read what is written.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
};

use crate::support::{
    api::ScriptedApi,
    lake::Lake,
    program::{KEY, SECRET, Sync, program, program_without_credentials, run},
    sandbox::Sandbox,
};

#[test]
fn all_settings_may_come_from_the_environment_or_from_a_file_with_credentials_of_ones_own() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(23, 50));
    let in_folder = |name: &str| lake.folder().join(name);
    for (name, secret) in [("key", KEY), ("secret", SECRET)] {
        fs::write(in_folder(name), format!("{secret}\n")).unwrap();
        fs::set_permissions(in_folder(name), Permissions::from_mode(0o600)).unwrap();
    }
    let settings = format!(
        "base_url = \"{}\"\nlake = \"{}\"\napi_key_file = \"key\"\napi_secret_file = \"secret\"\nresources = [\"trades\"]\n",
        sandbox.url(),
        lake.path().display()
    );
    // The file of this name is read without being asked for.
    fs::write(in_folder("lumetrade-export.toml"), settings).unwrap();
    let ended = run(program_without_credentials(lake.folder()).arg("sync"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!lake.commits("trades").is_empty() && lake.commits("deposits").is_empty());

    fs::set_permissions(in_folder("secret"), Permissions::from_mode(0o644)).unwrap();
    let ended = run(program_without_credentials(lake.folder()).arg("sync"));
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("can be read by others (mode 0644)"), "{}", ended.stderr);

    let other = Lake::new();
    let mut command = program(other.folder());
    command.env("LUMETRADE_BASE_URL", sandbox.url()).env("LUMETRADE_LAKE", other.path());
    let ended = run(command.arg("sync"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!other.commits("deposits").is_empty());
}

#[test]
fn a_credential_in_a_file_of_another_user_is_refused() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    let file = lake.folder().join("secret");
    fs::write(&file, "canary").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let sync = || {
        let sync = Sync::of(&lake, &api.url(), "wallets").settings("api_secret_file = \"secret\"");
        run(&mut sync.without("LUMETRADE_API_SECRET").command())
    };
    // Only root can give a file away; for others there is none that they could read.
    if chown(&file, Some(12_345), None).is_ok() {
        let ended = sync();
        assert_eq!(ended.code, Some(78), "{}", ended.stderr);
        assert!(ended.stderr.contains("12345") && !ended.stderr.contains("canary"), "{}", ended.stderr);
        assert_eq!(api.requests(), [""; 0]);
        chown(&file, Some(0), None).unwrap();
    }
    assert_eq!(sync().code, Some(0));
}

#[test]
fn a_mistyped_setting_names_the_one_that_was_meant() {
    let lake = Lake::new();
    fs::write(lake.folder().join("lumetrade-export.toml"), "base_ulr = \"x\"\n").unwrap();
    let ended = run(program(lake.folder()).arg("sync"));
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("`base_ulr`") && ended.stderr.contains("`base_url`"), "{}", ended.stderr);
}

#[test]
fn a_lake_keeps_how_it_files_its_records_and_refuses_another_way() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let day = r#"[{"transactionId":"T","createdAt":"2026-05-31T23:59:59.999999999Z"}]"#;
    api.serve("/api/v1/trades", day);
    let settings = lake.folder().join("lumetrade-export.toml");
    for (partition, file) in [("day", "event_day=2026-05-31"), ("year", "event_year=2026"), ("none", ".parquet")] {
        fs::write(&settings, format!("partition = \"{partition}\"\n")).unwrap();
        Sync::of(&lake, &api.url(), "trades").succeed();
        let files = lake.files_below("current/trades");
        assert!(files.len() == 1 && files[0].contains(file), "{files:?}");
        fs::write(&settings, "partition = \"month\"\n").unwrap();
        let refused = Sync::of(&lake, &api.url(), "trades").run();
        assert_eq!(refused.ended.code, Some(78));
        assert!(refused.ended.stderr.contains(partition), "{}", refused.ended.stderr);
        fs::remove_dir_all(lake.path()).unwrap();
    }
}

#[test]
fn a_time_without_a_zone_is_in_the_zone_that_is_set() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve("/api/v1/deposits", r#"[{"transactionId":"D","completedAt":"2026-06-01T01:30:00"}]"#);
    fs::write(lake.folder().join("lumetrade-export.toml"), "naive_zone = \"+02:00\"\n").unwrap();
    Sync::of(&lake, &api.url(), "deposits").succeed();
    let mut duckdb = crate::support::duckdb::DuckDb::start();
    let scan = lake.scan("current", "deposits");
    assert_eq!(duckdb.value(&format!("SELECT CAST(completed_at AS VARCHAR) FROM {scan}")), "2026-05-31 23:30:00+00");
    assert_eq!(duckdb.value(&format!("SELECT event_month FROM {scan}")), "2026-05");
}

#[test]
fn the_zone_of_the_machine_means_nothing() {
    let mut duckdb = crate::support::duckdb::DuckDb::start();
    for zone in ["UTC", "America/New_York", "Pacific/Kiritimati", "XYZ-13"] {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        // An hour that is not there where clocks are put forward, and one that is another month's further east or west.
        let times = ["2026-03-08T02:30:00", "2026-05-31T23:30:00", "2026-06-01T00:30:00Z"];
        let deposits = times.map(|time| format!(r#"{{"transactionId":"{time}","completedAt":"{time}"}}"#));
        api.serve("/api/v1/deposits", format!("[{}]", deposits.join(",")));
        Sync::of(&lake, &api.url(), "deposits").with("TZ", zone).succeed();
        let scan = lake.scan("changes", "deposits");
        let sql =
            format!("SELECT CAST(completed_at AS VARCHAR) || ' ' || event_month FROM {scan} ORDER BY completed_at");
        let found: Vec<_> = duckdb.query(&sql).rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
        let expected =
            ["2026-03-08 02:30:00+00 2026-03", "2026-05-31 23:30:00+00 2026-05", "2026-06-01 00:30:00+00 2026-06"];
        assert_eq!(found, expected, "{zone}");
    }
}

#[test]
fn what_is_written_is_for_its_owner_alone() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.serve("/api/v1/wallets", r#"[{"id":"w1","depositDetails":{"iban":"x"}},{"id":7}]"#);
    Sync::new(&lake, &api.url()).succeed();
    let files = lake.files();
    assert!(files.iter().any(|file| file.starts_with("quarantine/")), "{files:?}");
    let folders = files.iter().flat_map(|file| file.match_indices('/').map(|(at, _)| &file[..at]));
    for path in files.iter().map(String::as_str).chain(folders).chain([""]) {
        let mode = fs::metadata(lake.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{path} has mode {mode:o}");
    }
    fs::set_permissions(lake.path(), Permissions::from_mode(0o755)).unwrap();
    let warned = Sync::new(&lake, &api.url()).succeed();
    assert!(warned.ended.stderr.contains("others may enter the lake's folder"), "{}", warned.ended.stderr);
}

#[test]
fn threads_may_be_counted_and_a_count_that_is_none_is_refused() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(24, 50));
    let sync = |threads: &str| {
        let mut command = Sync::of(&lake, &sandbox.url(), "trades").command();
        run(command.env("LUMETRADE_THREADS", threads))
    };
    let ended = sync("none");
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("`LUMETRADE_THREADS`: `none` is no number of threads"), "{}", ended.stderr);
    assert!(!lake.path().exists());
    assert_eq!(sync("1").code, Some(0));
    assert!(!lake.commits("trades").is_empty());
}
