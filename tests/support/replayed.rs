//! A lake that was made anew from the archive of another.

use serde_json::Value;

use super::{
    duckdb::DuckDb,
    lake::Lake,
    program::{Ended, program_without_credentials, run},
};

/// A replay from one lake into another.
pub fn command(from: &Lake, into: &Lake, args: &[&str]) -> std::process::Command {
    let mut command = program_without_credentials(into.folder());
    command.args(["replay", "--json", "--from"]).arg(from.path()).arg("--lake").arg(into.path()).args(args);
    command
}

/// Replays, and gives each resource's line.
#[track_caller]
pub fn replay(from: &Lake, into: &Lake, args: &[&str]) -> Vec<Value> {
    lines(&run(&mut command(from, into, args)))
}

/// The lines of the resources of a replay that went well.
#[track_caller]
pub fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("resource").is_some()).collect()
}

/// Fails unless both lakes have the same rows everywhere, to the last column, in files of the same names.
#[track_caller]
pub fn assert_same_rows(one: &Lake, other: &Lake) {
    let rows = |lake: &Lake| {
        let files = lake.files().into_iter();
        files.filter(|file| file.ends_with(".parquet") && !file.starts_with("snapshots/")).collect::<Vec<_>>()
    };
    assert_eq!(rows(one), rows(other));
    let mut duckdb = DuckDb::start();
    for file in rows(one) {
        let read =
            |lake: &Lake| format!("read_parquet('{}', hive_partitioning = false)", lake.path().join(&file).display());
        assert_eq!(duckdb.rows_apart(&read(one), &read(other)), "0", "{file}");
    }
}

/// Replays the archive of a lake into a new one, which must be its equal.
#[track_caller]
pub fn assert_replayed(lake: &Lake, args: &[&str]) -> Vec<Value> {
    let anew = Lake::new();
    let lines = replay(lake, &anew, args);
    assert_same_rows(lake, &anew);
    super::verified::assert_verified(&anew);
    lines
}
