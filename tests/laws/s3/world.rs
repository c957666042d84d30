//! A lake in a bucket that already has commits, what the API says next, and the check of what is there at the end.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    laws::records::lawful_changes,
    support::{
        api::ScriptedApi,
        duckdb::DuckDb,
        lake::Lake,
        program::{Sync, Synced, program_on, run},
        rows::{Records, Row, assert_same_records, by_key, current},
        s3::{
            Options, S3, SECRETS,
            bucket::{Bucket, Verb},
            fault::Class,
        },
        tables::Resource,
    },
};

/// A request that is not answered is given up after this time.
const TIMEOUT: &str = "700 ms";
/// Cases that run at once. They wait more than they work.
const WORKERS: usize = 8;

/// The resources in the order in which they are synced.
const RESOURCES: [&str; 2] = ["accounts", "withdrawals"];

/// What all cases begin with.
pub struct World {
    pub api: ScriptedApi,
    pub resources: Vec<Resource>,
    /// What is in the bucket: what the API said before.
    pub bucket: Bucket,
    /// The requests of a sync that nothing happens to, by class.
    pub requests: BTreeMap<Class, u64>,
}

/// A server with the lake in its bucket, and a folder to run in.
pub struct Place {
    pub s3: S3,
    pub folder: TempDir,
}

/// A withdrawal: number, month of 2026, status, and amount.
type Withdrawal = (u32, u32, &'static str, &'static str);

const BEFORE: [Withdrawal; 9] = [
    (0, 1, "PENDING", "1.5"),
    (1, 1, "COMPLETED", "2"),
    (2, 1, "PENDING", "0.000000000000000001"),
    (3, 2, "PENDING", "4"),
    (4, 2, "PENDING", "5"),
    (5, 2, "REJECTED", "6"),
    (6, 3, "PENDING", "7"),
    (7, 3, "PENDING", "8"),
    (8, 3, "PENDING", "9"),
];

/// Three partitions change, and one withdrawal of each of two is gone: five commits.
const AFTER: [Withdrawal; 9] = [
    (0, 1, "COMPLETED", "1.5"),
    (1, 1, "COMPLETED", "2"),
    (3, 2, "PENDING", "4.25"),
    (4, 2, "COMPLETED", "5"),
    (5, 2, "REJECTED", "6"),
    (6, 3, "PENDING", "7"),
    (7, 3, "REVERSED", "8"),
    (9, 3, "PENDING", "10"),
    (10, 1, "PENDING", "11"),
];

const BALANCES: [&[(u32, &str)]; 2] = [&[(0, "10"), (1, "20.5")], &[(0, "11"), (1, "20.50"), (2, "0")]];

/// A decimal as the lake has it.
fn decimal(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<18}")
}

fn withdrawal_json(&(number, month, status, amount): &Withdrawal) -> String {
    format!(
        r#"{{"transactionId":"W{number}","status":"{status}","amount":{amount},"createdAt":"2026-{month:02}-03T00:00:00Z"}}"#
    )
}

fn withdrawal_row(&(number, month, status, amount): &Withdrawal) -> Row {
    object(json!({
        "transaction_id": format!("W{number}"), "currency": null, "amount": decimal(amount), "fee": null, "status": status,
        "withdraw_details": null, "created_at": format!("2026-{month:02}-03 00:00:00.000000"), "completed_at": null,
        "_extra": null,
    }))
}

fn account_row(&(number, balance): &(u32, &str)) -> Row {
    object(json!({
        "id": format!("A{number}"), "currency": null, "balance": decimal(balance), "locked_balance": null, "_extra": null,
    }))
}

fn object(value: Value) -> Row {
    if let Value::Object(row) = value { row } else { panic!("no object") }
}

/// What the API says of each resource, before (0) or now (1), and the records that it means.
fn said(when: usize) -> [(String, Vec<Row>); 2] {
    let withdrawals: &[Withdrawal] = [&BEFORE, &AFTER][when];
    let accounts = BALANCES[when];
    let account_json = |(number, balance): &(u32, &str)| format!(r#"{{"id":"A{number}","balance":{balance}}}"#);
    let list = |records: Vec<String>| format!("[{}]", records.join(","));
    [
        (list(accounts.iter().map(account_json).collect()), accounts.iter().map(account_row).collect()),
        (list(withdrawals.iter().map(withdrawal_json).collect()), withdrawals.iter().map(withdrawal_row).collect()),
    ]
}

impl World {
    pub fn new() -> Self {
        let api = ScriptedApi::start();
        let resources = RESOURCES.map(Resource::named).into_iter().collect();
        let mut world = Self { api, resources, bucket: Bucket::default(), requests: BTreeMap::new() };
        let place = Place::new(S3::start(Options::default()));
        world.say(0);
        world.sync(&place).succeed();
        world.bucket = place.s3.bucket(|bucket| bucket.clone());
        world.say(1);
        let place = world.place();
        world.sync(&place).succeed();
        world.requests = place.s3.counts();
        world
    }

    /// A lake that is yet to be made, of what the API says now.
    pub fn without_lake() -> Self {
        let api = ScriptedApi::start();
        let resources = RESOURCES.map(Resource::named).into_iter().collect();
        let world = Self { api, resources, bucket: Bucket::default(), requests: BTreeMap::new() };
        world.say(1);
        world
    }

    fn say(&self, when: usize) {
        for (resource, (body, _)) in self.resources.iter().zip(said(when)) {
            self.api.serve(&resource.path, body);
        }
    }

    /// The lake, in a bucket of its own.
    pub fn place(&self) -> Place {
        self.place_with(Options::default())
    }

    pub fn place_with(&self, options: Options) -> Place {
        Place::new(S3::with(self.bucket.clone(), options))
    }

    /// A sync of both resources.
    pub fn sync(&self, place: &Place) -> Sync {
        RESOURCES.iter().fold(self.sync_of_all(place), |sync, name| sync.arg("--resource").arg(name))
    }

    /// A sync of the withdrawals.
    pub fn sync_of_withdrawals(&self, place: &Place) -> Sync {
        self.sync_of_all(place).arg("--resource").arg(RESOURCES[1])
    }

    fn sync_of_all(&self, place: &Place) -> Sync {
        Sync::into_bucket(place.folder.path(), &place.s3.location(), &self.api.url()).with("AWS_TIMEOUT", TIMEOUT)
    }

    /// Fails unless the lake holds each record as it was before and as it is now, once each, and reads so in both layers.
    #[track_caller]
    pub fn assert_is_the_truth(&self, place: &Place, duckdb: &mut DuckDb) {
        let verified = run(&mut program_on(&place.s3.location(), place.folder.path(), "verify"));
        assert_eq!(verified.code, Some(0), "{verified:?}");
        self.assert_reads_as_the_truth(place, duckdb);
        let deletes = place.s3.seen().into_iter().filter(|seen| seen.verb == Verb::Delete).count();
        assert_eq!(deletes, 0, "a sync deletes nothing");
        for (key, bytes) in place.s3.contents() {
            assert!(!tells_a_secret(&bytes), "{key} holds a secret");
        }
    }

    /// The same as far as readers see it, without the program's own word.
    #[track_caller]
    pub fn assert_reads_as_the_truth(&self, place: &Place, duckdb: &mut DuckDb) {
        let lake = Lake::of(&place.s3.contents());
        let [before, after] = [said(0), said(1)].map(|said| said.map(|(_, rows)| rows));
        for (resource, (before, after)) in self.resources.iter().zip(before.into_iter().zip(after)) {
            let [before, after] = [before, after].map(|rows| by_key(resource, rows));
            assert_same_records(&current(duckdb, &lake, resource), &after, &format!("current/{}", resource.name));
            assert_versions(duckdb, &lake, resource, &before, &after);
        }
    }
}

/// Fails unless `changes/` holds each record's two values, or one where they are the same, or a removal.
#[track_caller]
fn assert_versions(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource, before: &Records, after: &Records) {
    let expected = |key: &String| {
        let (was, is) = (before.get(key), after.get(key));
        let first = was.or(is).map(|row| ("added", row));
        let second = match (was, is) {
            (Some(was), None) => Some(("removed", was)),
            (Some(was), Some(is)) if was != is => Some(("changed", is)),
            _ => None,
        };
        first.into_iter().chain(second).map(|(operation, row)| (operation.to_owned(), row.clone())).collect::<Vec<_>>()
    };
    let found = lawful_changes(duckdb, lake, resource);
    let keys: Vec<&String> = found.keys().collect();
    let mut all: Vec<&String> = before.keys().chain(after.keys()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(keys, all, "keys in changes/{}", resource.name);
    for (key, versions) in &found {
        let versions: Vec<_> =
            versions.iter().map(|version| (version.operation.clone(), version.row.clone())).collect();
        assert_eq!(versions, expected(key), "versions of {key} in changes/{}", resource.name);
    }
}

/// Whether a secret stands there: as it is, or as URLs, headers and dumps have it.
fn tells_a_secret(bytes: &[u8]) -> bool {
    let forms = SECRETS.iter().flat_map(|secret| {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let escape = |character: char| match character {
            '/' | '+' | '=' => format!("%{:02X}", u32::from(character)),
            other => other.to_string(),
        };
        [(*secret).to_owned(), secret.chars().map(escape).collect(), hex, base64(secret)]
    });
    forms.into_iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

/// Without the padding, and without what depends on what follows.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    text.as_bytes().chunks_exact(3).flat_map(digits).collect()
}

impl Place {
    pub fn new(s3: S3) -> Self {
        Self { s3, folder: TempDir::new().unwrap() }
    }

    /// Fails unless what a report calls committed is there, and nothing of it tells a secret.
    #[track_caller]
    pub fn check_report(&self, synced: &Synced) {
        let contents = self.s3.contents();
        for (name, line) in &synced.resources {
            for seq in line["commits"].as_array().unwrap() {
                let file = format!("/{:020}.parquet", seq.as_u64().unwrap());
                let folder = format!("changes/{name}/");
                let is_there = contents.keys().any(|key| key.starts_with(&folder) && key.ends_with(&file));
                assert!(is_there, "{name}: commit {seq} is reported, and not there");
            }
        }
        for output in [&synced.ended.stdout, &synced.ended.stderr] {
            assert!(!tells_a_secret(output.as_bytes()), "{output}");
            assert!(!output.contains("panicked"), "{output}");
        }
    }
}

/// What a test has of its time.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = run();
    (result, begun.elapsed())
}

/// Runs all cases, several at once, each worker with a DuckDB of its own. Fails after the last if any did, and names them.
#[track_caller]
pub fn run_all<C: std::marker::Sync + std::fmt::Debug>(cases: &[C], run: impl Fn(&C, &mut DuckDb) + std::marker::Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(cases.len()) {
            scope.spawn(|| {
                let mut duckdb = DuckDb::start();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(case, &mut duckdb))) {
                        let why = panic.downcast_ref::<String>().map_or("", String::as_str).to_owned();
                        failed.lock().unwrap().push(format!("{case:?}: {why}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
