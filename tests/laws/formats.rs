//! Lakes of every format that was ever written are read and extended; newer ones are left alone.
//!
//! `tests/fixtures/format-<n>/lake` was written by the version of this program that made the format, from the polls in
//! `bodies/<resource>-1.json` and `-2.json`, with a claim between them that its writer left open. It is never made anew.

use std::{fs, path::PathBuf};

use super::records::lawful_changes;
use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced, program_without_credentials, run},
    tables::Resource,
};

/// The format that this version writes.
const FORMAT: u32 = lumetrade_export::lake::FORMAT;
/// Resources of the fixtures, with their number of commits.
const RESOURCES: [(&str, u64); 3] = [("accounts", 2), ("deposits", 7), ("trades", 3)];

fn fixture(format: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}"))
}

/// A copy of a fixture's lake, and an API that says what it said last.
fn copy(format: u32) -> (Lake, ScriptedApi) {
    let (lake, api) = (Lake::copy_of(&fixture(format).join("lake")), ScriptedApi::start());
    serve(&api, format, 2);
    (lake, api)
}

fn serve(api: &ScriptedApi, format: u32, poll: u32) {
    for (resource, _) in RESOURCES {
        let body = fs::read(fixture(format).join(format!("bodies/{resource}-{poll}.json"))).unwrap();
        api.serve(&format!("/api/v1/{resource}"), body);
    }
}

fn sync(lake: &Lake, api: &ScriptedApi) -> Synced {
    let sync = Sync::new(lake, &api.url());
    RESOURCES.iter().fold(sync, |sync, (resource, _)| sync.arg("--resource").arg(resource)).run()
}

/// The files that are no caches.
fn truth(lake: &Lake) -> std::collections::BTreeMap<String, Vec<u8>> {
    let is_truth =
        |file: &str| file.starts_with("changes/") || file.contains("/log/") || file.starts_with("quarantine/");
    lake.contents().into_iter().filter(|(file, _)| is_truth(file)).collect()
}

#[test]
fn a_lake_of_every_format_is_read_and_extended() {
    let mut duckdb = DuckDb::start();
    for format in 1..=FORMAT {
        let (lake, api) = copy(format);
        let mut status = program_without_credentials(lake.folder());
        let status = run(status.args(["status", "--json", "--lake"]).arg(lake.path()));
        assert_eq!(status.code, Some(0), "{}", status.stderr);
        for line in status.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
            let known = RESOURCES.iter().find(|(resource, _)| line["resource"] == **resource);
            assert_eq!(line["head"], known.map_or(0, |(_, head)| *head), "{line}");
        }

        let before = truth(&lake);
        let quiet = sync(&lake, &api);
        assert_eq!(quiet.ended.code, Some(0), "{:?}", quiet.ended);
        assert!(RESOURCES.iter().all(|(resource, _)| quiet.outcome(resource) == "unchanged"), "{}", quiet.ended.stdout);
        assert_untouched(&before, &truth(&lake), "what was said last is said again");

        serve(&api, format, 3);
        let synced = sync(&lake, &api);
        assert_eq!(synced.ended.code, Some(0), "{:?}", synced.ended);
        let figures = |resource| ["added", "changed", "removed"].map(|name| synced.figure(resource, name));
        assert_eq!(RESOURCES.map(|(resource, _)| figures(resource)), [[0, 1, 0], [1, 1, 0], [0, 1, 0]]);
        let after = truth(&lake);
        assert!(before.iter().all(|(file, bytes)| after.get(file) == Some(bytes)), "the truth is only added to");
        for (resource, _) in RESOURCES {
            let versions = lawful_changes(&mut duckdb, &lake, &Resource::named(resource));
            assert!(!versions.is_empty());
        }
        let history = format!(
            "SELECT transaction_id || ' ' || string_agg(_op || ' ' || status, ', ' ORDER BY _seq) FROM {} \
             GROUP BY transaction_id ORDER BY transaction_id",
            lake.scan("changes", "deposits")
        );
        let history: Vec<String> =
            duckdb.query(&history).rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            history,
            [
                "D1 added COMPLETED, changed REVERSED",
                "D2 added PENDING, changed COMPLETED, changed REVERSED",
                "D3 added COMPLETED, removed COMPLETED, added COMPLETED",
                "D5 added ON_HOLD",
            ]
        );
        let exact = [
            ("current/deposits", "amount", "transaction_id = 'D5'", "99999999999999999999.999999999999999999"),
            ("current/deposits", "completed_at", "transaction_id = 'D1'", "2026-03-31 23:59:59.999999+00"),
            ("current/accounts", "balance", "id = 'A2'", "123456789012345678.123456789012345678"),
            ("current/trade_fills", "string_agg(status, ' ' ORDER BY transaction_id)", "true", "REVERSED COMPLETED"),
        ];
        for (table, column, filter, value) in exact {
            let (layer, table) = table.split_once('/').unwrap();
            let scan = lake.scan(layer, table);
            let sql = format!("SELECT CAST({column} AS VARCHAR) FROM {scan} WHERE {filter}");
            assert_eq!(duckdb.value(&sql), value, "{table}");
        }
    }
}

#[test]
fn a_newer_lake_is_refused_and_left_alone() {
    let newer = FORMAT + 1;
    let lake_json = |lake: &Lake| replace(lake, "meta/lake.json", "\"format\": ", newer);
    let footers = |lake: &Lake| {
        for file in lake.files_below("changes") {
            replace(lake, &file, "{\"format\":", newer);
        }
    };
    for (what, make_newer) in [("the lake", &lake_json as &dyn Fn(&Lake)), ("its commits", &footers)] {
        let (lake, api) = copy(FORMAT);
        make_newer(&lake);
        let before = lake.listing();
        let refused = sync(&lake, &api);
        assert_eq!(refused.ended.code, Some(76), "{what}: {:?}", refused.ended);
        let message = format!("the lake has format {newer}, this version writes up to {FORMAT}");
        assert!(refused.ended.stderr.contains(&message), "{what}: {}", refused.ended.stderr);
        assert!(refused.ended.stderr.contains("use a newer version"), "{what}: {}", refused.ended.stderr);
        assert_untouched(&before, &lake.listing(), what);
    }
}

/// Makes a file say that its format is `newer`, in as many bytes.
fn replace(lake: &Lake, file: &str, before: &str, newer: u32) {
    let path = lake.path().join(file);
    let mut bytes = fs::read(&path).unwrap();
    let (old, new) = (format!("{before}{FORMAT},"), format!("{before}{newer},"));
    let place = bytes.windows(old.len()).position(|window| window == old.as_bytes()).expect("a format is there");
    bytes[place..place + new.len()].copy_from_slice(new.as_bytes());
    fs::write(path, bytes).unwrap();
}
