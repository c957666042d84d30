//! What the README shows works as it stands there.

use chrono::TimeDelta;

use crate::support::{
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, program_without_credentials, run},
    sandbox::Sandbox,
};

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let parts = readme.split("```").skip(1).step_by(2);
    parts.filter_map(|block| Some(block.strip_prefix(language)?.strip_prefix('\n')?.to_owned())).collect()
}

#[test]
fn the_queries_of_the_readme_run_and_find_something() {
    let (lake, sandbox, mut duckdb) = (Lake::new(), Sandbox::start(7, 3000), DuckDb::start());
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.advance(TimeDelta::days(2));
    Sync::new(&lake, &sandbox.url()).succeed();
    let mut ddl = program_without_credentials(lake.folder());
    duckdb.query(&run(ddl.args(["ddl", "duckdb", "--lake"]).arg(lake.path())).stdout);
    let text = blocks("sql").concat();
    let statements: Vec<_> = text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).collect();
    assert!(statements.len() >= 3, "{statements:?}");
    let key = duckdb.value(&format!("SELECT min(transaction_id) FROM {}", lake.scan("changes", "deposits")));
    let today = duckdb.value("SELECT CAST(CAST(now() AS DATE) + 1 AS VARCHAR)");
    for statement in statements {
        // The id and the day are examples of the README's own.
        let statement = statement.replace("DP9H2K7P", &key).replace("2026-06-01", &today);
        assert!(!duckdb.query(&statement).rows.is_empty(), "{statement}");
    }
}

#[test]
fn the_books_of_the_readme_are_those_that_it_says() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(7, 6));
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.switch("fault?kind=wrong-balance&resource=accounts");
    sandbox.switch("fault?kind=lost-fill&resource=trades");
    Sync::new(&lake, &sandbox.url()).succeed();
    let ended = run(program_without_credentials(lake.folder()).args(["reconcile", "--lake"]).arg(lake.path()));
    assert_eq!((ended.code, blocks("text")), (Some(65), vec![ended.stdout]));
}

#[test]
fn every_command_of_the_readme_is_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let text = blocks("sh").concat();
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("lumetrade-export ")).collect();
    assert!(!commands.is_empty());
    for command in commands {
        let words = command.split('#').next().unwrap().split_whitespace();
        let ended = run(program_without_credentials(folder.path()).args(words).arg("--help"));
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr);
    }
}
