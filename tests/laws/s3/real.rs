//! In a real S3, end to end: syncs while time passes, two at once, killed at any moment, and read by DuckDB where it lies.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use chrono::TimeDelta;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    laws::records::{assert_lake_is_the_truth, documented, lawful_changes},
    support::{
        duckdb::DuckDb,
        lake::Lake,
        program::{S3Location, Sync, Synced, end, program_on, run},
        radosgw::Radosgw,
        random::Random,
        sandbox::Sandbox,
        tables::Resource,
    },
};

const KILLS: u32 = 20;
const RACES: i64 = 4;
/// Syncs while DuckDB reads.
const READ_SYNCS: u32 = 20;
/// One without partitions, one with, and one with a table for its lists besides.
const RESOURCES: [&str; 3] = ["accounts", "withdrawals", "trades"];
const PREFIX: &str = "a lake/of tests";

/// A lake in the bucket.
struct Bucket {
    server: Radosgw,
    place: S3Location,
    folder: TempDir,
    sandbox: Sandbox,
    duckdb: DuckDb,
    resources: Vec<Resource>,
}

/// A DuckDB that reads where the lake lies.
fn reader(server: &Radosgw) -> DuckDb {
    let mut duckdb = DuckDb::start();
    duckdb.load("httpfs");
    duckdb.query(&server.duckdb_secret());
    duckdb
}

impl Bucket {
    fn new(seed: u64, records: u64) -> Self {
        let server = Radosgw::start();
        let (place, duckdb) = (server.location(PREFIX), reader(&server));
        let resources = RESOURCES.map(Resource::named).into_iter().collect();
        let (folder, sandbox) = (TempDir::new().unwrap(), Sandbox::start(seed, records));
        Self { server, place, folder, sandbox, duckdb, resources }
    }

    fn sync(&self) -> Sync {
        let sync = Sync::into_bucket(self.folder.path(), &self.place, &self.sandbox.url());
        RESOURCES.iter().fold(sync, |sync, name| sync.arg("--resource").arg(name))
    }

    fn lake(&self) -> Lake {
        self.server.lake(PREFIX)
    }

    /// Fails unless the lake is what the sandbox says, and sound.
    fn check(&mut self) {
        let verified = run(&mut program_on(&self.place, self.folder.path(), "verify"));
        assert_eq!(verified.code, Some(0), "{verified:?}");
        let lake = self.lake();
        assert_lake_is_the_truth(&mut self.duckdb, &lake, &self.sandbox, &self.resources);
    }

    /// Fails unless DuckDB, which reads where the lake lies, finds what lies there.
    fn check_what_duckdb_reads(&mut self) {
        let lake = self.lake();
        for resource in &self.resources {
            for layer in ["changes", "current"] {
                let pattern = format!("{}/{layer}/{}/**/*.parquet", self.place.location, resource.name);
                self.duckdb.query(&format!("CREATE OR REPLACE TEMP TABLE there AS FROM read_parquet('{pattern}')"));
                let here = lake.scan(layer, &resource.name);
                assert_eq!(self.duckdb.rows_apart("there", &here), "0", "{layer}/{}", resource.name);
            }
        }
    }

    /// Fails unless the views that `ddl` prints have, where the lake lies, the rows that lie there.
    fn check_views(&mut self) {
        let printed = run(program_on(&self.place, self.folder.path(), "ddl").arg("duckdb"));
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        self.duckdb.query(&printed.stdout);
        let lake = self.lake();
        for resource in &self.resources {
            let name = &resource.name;
            for (view, layer) in [(name.clone(), "current"), (format!("{name}_changes"), "changes")] {
                assert_eq!(self.duckdb.rows_apart(&view, &lake.scan(layer, name)), "0", "{view}");
            }
        }
    }

    /// Copies all commits into snapshots.
    fn compact(&self) {
        let compacted = run(program_on(&self.place, self.folder.path(), "compact").args(["--min-commits", "1"]));
        assert_eq!(compacted.code, Some(0), "{}", compacted.stderr);
        assert!(!self.lake().files_below("snapshots/withdrawals").is_empty());
    }

    /// What readers find of a sync that was killed: whole files only, each version once, and a status that agrees.
    fn check_what_was_left(&mut self) {
        let lake = self.lake();
        for resource in &self.resources {
            if !lake.commits(&resource.name).is_empty() {
                lawful_changes(&mut self.duckdb, &lake, resource);
            }
        }
        if !lake.files_below("meta").iter().any(|file| file == "meta/lake.json") {
            return;
        }
        for line in self.status() {
            let commits = lake.commits(line["resource"].as_str().unwrap());
            // The objects of a claim are created side by side: one may be there before the one in front of it.
            let head = commits.iter().zip(1..).take_while(|(seq, expected)| *seq == expected).count();
            assert_eq!((&line["head"], &line["objects"]), (&head.into(), &commits.len().into()), "{line}: {commits:?}");
        }
    }

    fn status(&self) -> Vec<Value> {
        let status = run(program_on(&self.place, self.folder.path(), "status").arg("--json"));
        assert_eq!(status.code, Some(0), "{}", status.stderr);
        status.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_lake_in_a_real_bucket_is_what_one_on_disk_is() {
    let mut bucket = Bucket::new(41, 150);
    let mut random = Random::seeded(4101);
    bucket.sync().succeed();
    bucket.check();
    bucket.check_what_duckdb_reads();
    bucket.check_views();
    bucket.compact();
    bucket.check_views();
    assert_eq!(bucket.sync().succeed().outcome("withdrawals"), "unchanged");
    for days in [1, 30] {
        bucket.sandbox.advance(TimeDelta::days(days));
        bucket.sync().succeed();
        bucket.check();
        bucket.check_views();
    }
    for line in bucket.status() {
        let records = line["known"].as_u64().unwrap_or(0);
        let resource = bucket.resources.iter().find(|resource| line["resource"] == *resource.name);
        let truth = resource.map_or(0, |resource| bucket.sandbox.truth(resource).len() as u64);
        assert_eq!(records, truth, "{line}");
    }
    race(&mut bucket);
    read(&bucket);
    kill(&mut bucket, &mut random);
    let wrong = bucket.sync().with("AWS_SECRET_ACCESS_KEY", "canary").run();
    assert_eq!(wrong.ended.code, Some(77), "{:?}", wrong.ended);
    assert!(wrong.ended.stderr.contains("SignatureDoesNotMatch") && !wrong.ended.stderr.contains("canary"));
    bucket.check();
    bucket.check_what_duckdb_reads();
}

fn race(bucket: &mut Bucket) {
    let mut raced = 0;
    for round in 0..RACES {
        bucket.sandbox.advance(TimeDelta::days(5 + round));
        let both = [(); 2].map(|()| bucket.sync().spawn()).map(|child| Synced::of(end(child)));
        for synced in &both {
            assert!(matches!(synced.ended.code, Some(0 | 75)), "round {round}: {:?}", synced.ended);
            raced += u32::from(synced.ended.stderr.contains("another run") || synced.ended.code == Some(75));
        }
        bucket.sync().succeed();
        bucket.check();
    }
    assert!(raced > 0, "in {RACES} rounds no sync met the other");
}

/// DuckDB reads while syncs commit and replace. `changes/` always reads; of `current/`, a query may be told that an object is
/// another one than it was when the query began, and fail; it never finds a record twice, or none that was there.
fn read(bucket: &Bucket) {
    let writing = AtomicBool::new(true);
    let mut duckdb = reader(&bucket.server);
    let (mut queries, mut replaced) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..READ_SYNCS {
                bucket.sandbox.advance(TimeDelta::days(2));
                bucket.sync().succeed();
            }
            writing.store(false, Ordering::Relaxed);
        });
        let mut rows = [0; 4];
        while writing.load(Ordering::Relaxed) {
            let tables = ["changes/withdrawals", "current/withdrawals", "changes/trades", "current/trades"];
            for (table, rows) in tables.iter().zip(&mut rows) {
                let once = if table.starts_with("changes") { "(transaction_id, _seq)" } else { "transaction_id" };
                let sql = format!(
                    "SELECT count(*)::VARCHAR, count(DISTINCT {once})::VARCHAR, sum(length(status))::VARCHAR \
                     FROM read_parquet('{}/{table}/**/*.parquet')",
                    bucket.place.location
                );
                queries += 1;
                match duckdb.try_query(&sql) {
                    Ok(answer) => {
                        let figure = |n: usize| answer.rows[0][n].as_str().unwrap().parse::<u64>().unwrap();
                        assert_eq!(figure(0), figure(1), "{table}: something stands twice");
                        assert!(figure(0) >= *rows, "{table}: {} rows, and there were {rows}", figure(0));
                        *rows = figure(0);
                    }
                    Err(error) => {
                        // Mostly of another ETag; at times of what parts of two objects look like together.
                        assert!(table.starts_with("current"), "{table}: {error}");
                        replaced += 1;
                    }
                }
            }
        }
    });
    println!("{queries} queries, {replaced} of them failed as an object was replaced");
    assert!(queries > 100, "{queries} queries");
}

fn kill(bucket: &mut Bucket, random: &mut Random) {
    bucket.sandbox.advance(TimeDelta::days(9));
    let begun = Instant::now();
    bucket.sync().succeed();
    let mut whole = begun.elapsed();
    let (mut kills, mut misses) = (0, 0);
    while kills < KILLS {
        bucket.sandbox.advance(TimeDelta::days(3));
        let mut child = bucket.sync().spawn();
        thread::sleep(whole.mul_f64(random.share()));
        if child.try_wait().unwrap().is_some() {
            misses += 1;
            assert!(misses < 5 * KILLS, "too few syncs are met alive");
            whole = whole.mul_f64(0.9);
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        bucket.check_what_was_left();
        if kills % 4 == 0 {
            bucket.sync().succeed();
            bucket.check();
        }
    }
}

#[test]
fn the_demo_runs_in_a_real_bucket_and_not_twice() {
    let (server, folder) = (Radosgw::start(), TempDir::new().unwrap());
    let place = server.location("demo");
    let demo = || run(&mut program_on(&place, folder.path(), "demo"));
    let ended = demo();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains(&format!("{}/current/deposits", place.location)), "{}", ended.stdout);
    let lake = server.lake("demo");
    assert!(lake.commits("deposits").len() > 2);
    let mut duckdb = DuckDb::start();
    for resource in documented() {
        lawful_changes(&mut duckdb, &lake, &resource);
    }
    let again = demo();
    assert_eq!(again.code, Some(78), "{}", again.stderr);
    assert_eq!(server.lake("demo").contents(), lake.contents());
}
