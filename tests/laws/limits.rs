//! What a sync needs does not grow with what is in the lake.

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::{Ended, Sync, behind, run},
};

/// Files that a process may have open here; on most machines it is 1024.
const OPEN_FILES_MAX: usize = 128;

/// Syncs one resource with few open files allowed.
fn sync(lake: &Lake, api: &ScriptedApi, resource: &str) -> Ended {
    let script = format!("ulimit -n {OPEN_FILES_MAX}; exec \"$0\" \"$@\"");
    run(&mut behind(["sh", "-c", &script], &Sync::of(lake, &api.url(), resource).command()))
}

#[test]
fn more_partitions_than_a_process_may_open_files_are_synced() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    std::fs::write(lake.folder().join("lumetrade-export.toml"), "partition = \"day\"\n").unwrap();
    let days = (0..2 * OPEN_FILES_MAX).map(|n| (n, 1 + n / 28 % 12, 1 + n % 28));
    let trades: Vec<_> = days
        .map(|(n, month, day)| {
            format!(r#"{{"transactionId":"T{n}","createdAt":"2026-{month:02}-{day:02}T00:00:00Z"}}"#)
        })
        .collect();
    api.serve("/api/v1/trades", format!("[{}]", trades.join(",")));
    let ended = sync(&lake, &api, "trades");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lake.files_below("current/trades").len(), trades.len());
}

#[test]
fn more_commits_than_a_process_may_open_files_are_folded() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    for n in 0..OPEN_FILES_MAX + 20 {
        api.serve("/api/v1/accounts", format!(r#"[{{"id":"a","balance":{n}}}]"#));
        let ended = sync(&lake, &api, "accounts");
        assert_eq!(ended.code, Some(0), "commit {n}: {}", ended.stderr);
    }
    std::fs::remove_file(lake.path().join("meta/accounts/current.json")).unwrap();
    let ended = sync(&lake, &api, "accounts");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sql = format!("SELECT CAST(balance AS VARCHAR) FROM {}", lake.scan("current", "accounts"));
    assert!(DuckDb::start().value(&sql).starts_with(&format!("{}.", OPEN_FILES_MAX + 19)));
}
