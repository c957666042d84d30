//! `demo` shows it all to whoever has neither credentials nor patience.

use std::path::Path;

use crate::support::{
    duckdb::DuckDb,
    program::{Ended, program_without_credentials, run},
};

fn demo(folder: &Path, args: &[&str]) -> Ended {
    let ended = run(program_without_credentials(folder).arg("demo").args(args));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// The statements that the demo prints, without their comments.
fn queries(story: &str) -> Vec<String> {
    let (_, queries) = story.split_once("Paste these into duckdb:").expect("the demo offers queries");
    let lines = queries.lines().filter(|line| !line.starts_with("--"));
    let text = lines.map(|line| format!("{line}\n")).collect::<String>();
    text.split(';').map(|query| query.trim().to_owned()).filter(|query| !query.is_empty()).collect()
}

#[test]
fn the_demo_ends_well_and_its_queries_run() {
    let folder = tempfile::tempdir().unwrap();
    let ended = demo(folder.path(), &["--lake", "it's a lake"]);
    assert!(folder.path().join("it's a lake/changes/deposits").is_dir());
    let queries = queries(&ended.stdout);
    assert_eq!(queries.len(), 3, "{}", ended.stdout);
    let mut duckdb = DuckDb::start();
    // A demo is run where its lake is named from; here DuckDB runs elsewhere.
    let absolute =
        |query: &String| query.replace("'it''s a lake/", &format!("'{}/it''s a lake/", folder.path().display()));
    let answers: Vec<_> = queries.iter().map(|query| duckdb.query(&absolute(query))).collect();
    assert!(!answers[0].rows.is_empty() && !answers[1].rows.is_empty());
    assert_eq!(answers[2].rows.len(), 0, "fills add up to their trades");
    // The second shows versions: a record that was seen before and after its reversal.
    let first: Vec<_> = answers[1].rows.iter().map(|row| row[0].to_string()).collect();
    assert!(first.windows(2).any(|pair| pair[0] == pair[1]), "{first:?}");
}

#[test]
fn the_demo_needs_no_folder_of_its_own_and_tells_two_syncs_and_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let ended = demo(folder.path(), &[]);
    for part in ["First sync", "A week later", "deposits", "committed", "MiB"] {
        assert!(ended.stdout.contains(part), "{part} in: {}", ended.stdout);
    }
    let mut duckdb = DuckDb::start();
    for query in queries(&ended.stdout) {
        assert!(query.contains(&folder.path().display().to_string()), "the lake is in TMPDIR: {query}");
        duckdb.query(&query);
    }
}

#[test]
fn the_demo_does_not_touch_a_lake_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    std::fs::write(folder.path().join("lake/mine"), "mine").unwrap();
    let ended = run(program_without_credentials(folder.path()).args(["demo", "--lake", "lake"]));
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("already") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(folder.path().join("lake")).unwrap().count(), 1);
}
