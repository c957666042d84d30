//! A history small enough to know by heart, and what many lakes at once hold of it.
//!
//! Two resources, as the API lists them before and after: a partitioned one with lists, and one without partitions. Between
//! the two, records are added, changed and removed, in partitions that are there and in one that is not, and one comes that
//! fits no column. A row here is a text with all that matters of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use serde_json::{Value, json};

use super::{api::ScriptedApi, duckdb::DuckDb};

/// The resources, with the columns that make up a row's text in DuckDB.
pub const RESOURCES: [(&str, &str); 2] = [
    ("accounts", "id || ' ' || currency || ' ' || CAST(balance AS VARCHAR)"),
    ("trades", "transaction_id || ' ' || status || ' ' || CAST(from_amount AS VARCHAR) || ' ' || fill_ids"),
];

/// A trade: id, month, status, amount, ids of its fills.
type Trade = (&'static str, &'static str, &'static str, u32, &'static [&'static str]);
/// An account: id, currency, balance.
type Account = (&'static str, &'static str, u32);

const TRADES: [&[Trade]; 2] = [
    &[
        ("T1", "2026-01", "PENDING", 10, &["F1"]),
        ("T2", "2026-01", "COMPLETED", 20, &["F2", "F3"]),
        ("T3", "2026-02", "PENDING", 30, &[]),
        ("T4", "2026-02", "COMPLETED", 40, &["F4"]),
    ],
    &[
        ("T1", "2026-01", "COMPLETED", 10, &["F1", "F5"]),
        ("T3", "2026-02", "PENDING", 30, &[]),
        ("T4", "2026-02", "REVERSED", 40, &["F4"]),
        ("T5", "2026-03", "PENDING", 50, &["F6"]),
        ("T6", "2026-01", "PENDING", 60, &[]),
    ],
];
const ACCOUNTS: [&[Account]; 2] =
    [&[("A1", "EUR", 1), ("A2", "USD", 2)], &[("A1", "EUR", 7), ("A2", "USD", 2), ("A3", "GBP", 3)]];

/// As the API lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    Before,
    After,
}

/// What there is of a resource: rows of `current/`, and versions in `changes/` with the operation before the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// By resource.
    pub changes: BTreeMap<&'static str, BTreeMap<String, u32>>,
    pub current: BTreeMap<&'static str, BTreeMap<String, u32>>,
    /// Fills in their table, with the trade's id.
    pub fills: BTreeMap<String, u32>,
    /// Rows whose number is not that of the file they are in.
    pub misfiled: u64,
}

impl Held {
    pub fn changes_of(&self, resource: &str) -> &BTreeMap<String, u32> {
        self.changes.get(resource).unwrap_or(&NONE)
    }

    pub fn current_of(&self, resource: &str) -> &BTreeMap<String, u32> {
        self.current.get(resource).unwrap_or(&NONE)
    }
}

static NONE: BTreeMap<String, u32> = BTreeMap::new();

/// Makes the API list what there is at this time.
pub fn serve(api: &ScriptedApi, time: Time) {
    let trade = |(id, month, status, amount, fills): &Trade| {
        let fills: Vec<_> = fills.iter().map(|fill| json!({ "transactionId": fill, "status": "COMPLETED" })).collect();
        json!({ "transactionId": id, "createdAt": format!("{month}-03T00:00:00Z"), "status": status, "fromAmount": amount, "fills": fills })
    };
    let account = |(id, currency, balance): &Account| json!({ "id": id, "currency": currency, "balance": balance });
    let mut trades: Vec<Value> = TRADES[time as usize].iter().map(trade).collect();
    if time == Time::After {
        trades.push(json!({ "transactionId": "T9", "createdAt": "2026-01-09T00:00:00Z", "fromAmount": "much" }));
    }
    let accounts: Vec<Value> = ACCOUNTS[time as usize].iter().map(account).collect();
    api.serve("/api/v1/trades", Value::from(trades).to_string());
    api.serve("/api/v1/accounts", Value::from(accounts).to_string());
}

/// Each row there is at this time, by the record's id.
pub fn rows(resource: &str, time: Time) -> BTreeMap<&'static str, String> {
    let decimal = |value: u32| format!("{value}.{:018}", 0);
    match resource {
        "trades" => TRADES[time as usize]
            .iter()
            .map(|(id, _, status, amount, fills)| {
                (*id, format!("{id} {status} {} {}", decimal(*amount), fills.join("+")))
            })
            .collect(),
        _ => ACCOUNTS[time as usize]
            .iter()
            .map(|(id, currency, balance)| (*id, format!("{id} {currency} {}", decimal(*balance))))
            .collect(),
    }
}

/// The fills there are at this time, with their trades.
pub fn fills(time: Time) -> BTreeSet<String> {
    let of = |(id, .., fills): &Trade| fills.iter().map(move |fill| format!("{id} {fill}")).collect::<Vec<_>>();
    TRADES[time as usize].iter().flat_map(of).collect()
}

/// The versions that a complete log has: of a first sync then, or of that and of another afterwards.
pub fn versions(resource: &str, time: Time) -> BTreeSet<String> {
    let before = rows(resource, Time::Before);
    let mut versions: BTreeSet<String> = before.values().map(|row| format!("added {row}")).collect();
    if time == Time::After {
        let after = rows(resource, Time::After);
        versions
            .extend(before.iter().filter(|(id, _)| !after.contains_key(*id)).map(|(_, row)| format!("removed {row}")));
        versions.extend(after.iter().filter_map(|(id, row)| match before.get(id) {
            None => Some(format!("added {row}")),
            Some(known) => (known != row).then(|| format!("changed {row}")),
        }));
    }
    versions
}

/// What is held by each of the lakes `<folder>/<name>`, as globs find it.
pub fn held(duckdb: &mut DuckDb, folder: &Path) -> BTreeMap<String, Held> {
    let mut all: BTreeMap<String, Held> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (resource, row) in RESOURCES {
        let fill_ids = if resource == "trades" {
            ", array_to_string(list_transform(fills, e -> e.transaction_id), '+') AS fill_ids"
        } else {
            ""
        };
        for (layer, table) in [("changes", resource), ("current", resource)] {
            let Some(scan) = scan(duckdb, folder, layer, table) else { continue };
            let row = if layer == "changes" { format!("_op || ' ' || {row}") } else { row.to_owned() };
            let misfiled = if layer == "changes" {
                "count(*) FILTER (CAST(parse_filename(filename, true) AS BIGINT) <> _seq)"
            } else {
                "0"
            };
            let sql = format!(
                "SELECT lake, {row}, CAST(count(*) AS VARCHAR), CAST({misfiled} AS VARCHAR) FROM (SELECT *{fill_ids} FROM {scan}) \
                 GROUP BY ALL"
            );
            for cells in duckdb.query(&sql).rows {
                let held = all.entry(text(&cells[0])).or_default();
                let layer = if layer == "changes" { &mut held.changes } else { &mut held.current };
                layer.entry(resource).or_default().insert(text(&cells[1]), text(&cells[2]).parse().unwrap());
                held.misfiled += text(&cells[3]).parse::<u64>().unwrap();
            }
        }
    }
    if let Some(scan) = scan(duckdb, folder, "current", "trade_fills") {
        let sql = format!(
            "SELECT lake, trade_id || ' ' || transaction_id, CAST(count(*) AS VARCHAR) FROM {scan} GROUP BY ALL"
        );
        for cells in duckdb.query(&sql).rows {
            all.entry(text(&cells[0])).or_default().fills.insert(text(&cells[1]), text(&cells[2]).parse().unwrap());
        }
    }
    all
}

/// The files of a table in all lakes, with the lake's name; none if there are no files.
fn scan(duckdb: &mut DuckDb, folder: &Path, layer: &str, table: &str) -> Option<String> {
    let folder = folder.to_str().unwrap();
    let glob = format!("{folder}/*/{layer}/{table}/**/*.parquet");
    let count = duckdb.value(&format!("SELECT CAST(count(*) AS VARCHAR) FROM glob('{glob}')"));
    let mut scan = String::new();
    write!(
        scan,
        "(SELECT *, split_part(substr(filename, {}), '/', 1) AS lake FROM read_parquet('{glob}', filename = true, \
         hive_partitioning = false))",
        folder.len() + 2
    )
    .unwrap();
    (count != "0").then_some(scan)
}
