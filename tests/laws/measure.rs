//! The checks that the laws rest on find what is wrong: a lake that was tampered with does not pass.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use chrono::TimeDelta;

use super::records::{assert_lake_is_the_truth, documented};
use crate::support::{duckdb::DuckDb, lake::Lake, program::Sync, sandbox::Sandbox, tables::Resource};

struct Tampering {
    lake: Lake,
    sandbox: Sandbox,
    duckdb: DuckDb,
    resources: Vec<Resource>,
}

impl Tampering {
    /// Whether the lake passes.
    fn passes(&mut self) -> bool {
        let check = || assert_lake_is_the_truth(&mut self.duckdb, &self.lake, &self.sandbox, &self.resources);
        catch_unwind(AssertUnwindSafe(check)).is_ok()
    }

    /// Writes a file anew, with what the query finds in `old`.
    fn rewrite(&mut self, file: &str, query: &str) {
        let path = self.lake.path().join(file).display().to_string();
        let aside = self.lake.folder().join("aside.parquet").display().to_string();
        let old = format!("read_parquet('{path}', hive_partitioning = false)");
        self.duckdb.query(&format!(
            "COPY ({}) TO '{aside}' (FORMAT parquet)",
            query.replace("FROM old", &format!("FROM {old}"))
        ));
        fs::rename(aside, path).unwrap();
    }

    fn rows(&mut self, file: &str) -> u64 {
        let path = self.lake.path().join(file);
        let sql = format!("SELECT CAST(count(*) AS VARCHAR) FROM read_parquet('{}')", path.display());
        self.duckdb.value(&sql).parse().unwrap()
    }
}

#[test]
fn a_lake_with_the_least_thing_wrong_does_not_pass() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(22, 1000));
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.advance(TimeDelta::days(3));
    Sync::new(&lake, &sandbox.url()).succeed();
    let mut tampering = Tampering { lake, sandbox, duckdb: DuckDb::start(), resources: documented() };
    assert!(tampering.passes());

    const KEY: &str = "(SELECT max(transaction_id) FROM old WHERE created_at IS NOT NULL)";
    let other_value = |column: &str, value: &str| {
        let changed = format!("CASE WHEN transaction_id = {KEY} THEN {value} ELSE {column} END");
        format!("SELECT * REPLACE ({changed} AS {column}) FROM old")
    };
    let without = format!("SELECT * FROM old WHERE transaction_id <> {KEY}");
    let twice = format!("SELECT * FROM old UNION ALL SELECT * FROM old WHERE transaction_id = {KEY}");
    let rows = [
        ("current/trades", other_value("from_amount", "CAST(from_amount + 0.000000000000000001 AS DECIMAL(38,18))")),
        ("current/trades", other_value("created_at", "created_at + INTERVAL 1 MICROSECOND")),
        ("current/trades", other_value("_extra", "'{}'")),
        ("current/trades", other_value("is_rfq", "NOT is_rfq")),
        ("current/trades", without.clone()),
        ("current/trades", twice.clone()),
        ("current/trade_fills", "SELECT * REPLACE (trade_id || 'x' AS trade_id) FROM old".to_owned()),
        ("current/trade_fills", without.clone()),
        ("changes/trades", without),
        ("changes/trades", twice),
        ("changes/trades", other_value("status", "status || 'x'")),
        ("changes/trades", other_value("_seq", "_seq + 1")),
        ("changes/trades", other_value("_observed_at", "_observed_at - INTERVAL 1 MICROSECOND")),
        ("changes/trades", other_value("_first_seen_at", "_first_seen_at - INTERVAL 1 MICROSECOND")),
    ];
    for (folder, query) in rows {
        let files = tampering.lake.files_below(folder);
        let file = files.into_iter().find(|file| tampering.rows(file) > 1).unwrap();
        let path = tampering.lake.path().join(&file);
        let whole = fs::read(&path).unwrap();
        tampering.rewrite(&file, &query);
        assert!(!tampering.passes(), "{folder}: {query}");
        fs::write(path, whole).unwrap();
    }
    for resource in ["deposits", "accounts"] {
        let files = tampering.lake.files_below(&format!("changes/{resource}"));
        let (first, last) = (tampering.lake.path().join(&files[0]), files.last().unwrap());
        let whole = fs::read(&first).unwrap();
        fs::remove_file(&first).unwrap();
        assert!(!tampering.passes(), "{resource} without its first file");
        fs::write(&first, whole).unwrap();
        // A commit that stands twice.
        let again = tampering.lake.path().join(last).with_file_name("00000000000000009999.parquet");
        fs::copy(tampering.lake.path().join(last), &again).unwrap();
        assert!(!tampering.passes(), "{resource} with a commit twice");
        fs::remove_file(again).unwrap();
    }
    assert!(tampering.passes());
}
