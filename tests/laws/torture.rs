//! Two syncs compete for one lake, are killed and stopped at any moment, a thousand times, and DuckDB reads all the while.
//!
//! What readers may rely upon, whatever becomes of the writers: `changes/` always reads, holds each version once and never
//! less than before; `current/` holds each record once, and loses none. In the end the lake is the truth.

use std::{
    collections::BTreeMap,
    process::Child,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use chrono::TimeDelta;
use rustix::process::{Pid, Signal, kill_process};

use super::records::{assert_lake_is_the_truth, documented};
use crate::support::{
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, end},
    random::Random,
    sandbox::Sandbox,
    tables::Resource,
    verified::assert_verified,
};

/// Kills that meet a sync alive.
const KILLS: u64 = 1000;
/// Queries beside them.
const QUERIES: u64 = 5000;
/// New lakes whose making is interrupted.
const NEW_LAKES: u64 = 30;

/// How long a sync is let run at most, to begin with. It follows what the machine can do.
const REACH: Duration = Duration::from_millis(150);
const REACH_MIN: Duration = Duration::from_millis(20);
const REACH_MAX: Duration = Duration::from_millis(1500);
/// One in so many is stopped for a while before its end, as a machine that sleeps.
const STOPPED: u64 = 6;
/// The world goes on at every so many syncs of a writer.
const ADVANCE: u64 = 12;

/// What is read: layer, table, and what there is once only.
const TABLES: [(&str, &str, &str); 7] = [
    ("changes", "deposits", "(transaction_id, _seq)"),
    ("current", "deposits", "transaction_id"),
    ("changes", "trades", "(transaction_id, _seq)"),
    ("current", "trades", "transaction_id"),
    ("current", "trade_fills", "(trade_id, transaction_id)"),
    ("changes", "accounts", "(id, _seq)"),
    ("current", "accounts", "id"),
];

fn resources() -> Vec<Resource> {
    documented().into_iter().filter(|resource| ["accounts", "deposits", "trades"].contains(&&*resource.name)).collect()
}

fn start(lake: &Lake, sandbox: &Sandbox) -> Child {
    let sync = Sync::new(lake, &sandbox.url());
    resources().iter().fold(sync, |sync, resource| sync.arg("--resource").arg(&resource.name)).spawn()
}

/// Kills a sync after a random part of `reach`, which follows how long one lives. Whether it was met alive; one that had
/// ended by itself must have ended well.
fn kill(mut child: Child, reach: &mut Duration, random: &mut Random) -> bool {
    thread::sleep(reach.mul_f64(random.share()));
    if random.one_in(STOPPED) {
        let process = Pid::from_child(&child);
        // What has ended already cannot be stopped.
        let _ = kill_process(process, Signal::STOP);
        thread::sleep(Duration::from_millis(random.below(60)));
        let _ = kill_process(process, Signal::CONT);
        thread::sleep(Duration::from_millis(random.below(30)));
    }
    let is_alive = child.try_wait().unwrap().is_none();
    if is_alive {
        child.kill().unwrap();
        child.wait().unwrap();
        *reach = reach.mul_f64(1.02).min(REACH_MAX);
    } else {
        let ended = end(child);
        assert!(matches!(ended.code, Some(0 | 75)), "{ended:?}");
        *reach = reach.mul_f64(0.97).max(REACH_MIN);
    }
    is_alive
}

fn assert_is_right(lake: &Lake, sandbox: &Sandbox, duckdb: &mut DuckDb) {
    let ended = end(start(lake, sandbox));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_lake_is_the_truth(duckdb, lake, sandbox, &resources());
}

/// What a reader finds in one table, time after time.
#[derive(Default)]
struct Looks {
    queries: u64,
    rows: u64,
    errors: BTreeMap<String, u64>,
}

impl Looks {
    fn look(&mut self, duckdb: &mut DuckDb, lake: &Lake, (layer, table, once): (&str, &str, &str)) {
        let text = |figure: &str| format!("CAST({figure} AS VARCHAR)");
        let (rows, distinct) = (text("count(*)"), text(&format!("count(DISTINCT {once})")));
        let sql = format!("SELECT {rows}, {distinct} FROM {}", lake.scan(layer, table));
        self.queries += 1;
        match duckdb.try_query(&sql) {
            Ok(answer) => {
                let figures: Vec<u64> =
                    answer.rows[0].iter().map(|figure| figure.as_str().unwrap().parse().unwrap()).collect();
                assert_eq!(figures[0], figures[1], "{layer}/{table}: something stands twice");
                assert!(figures[0] >= self.rows, "{layer}/{table}: {} rows, and there were {}", figures[0], self.rows);
                self.rows = figures[0];
            }
            // Before the first commit there is nothing to read.
            Err(error) if self.rows == 0 && error.contains("No files found") => {}
            Err(error) => *self.errors.entry(error).or_default() += 1,
        }
    }
}

#[test]
fn a_thousand_kills_of_two_syncs_lose_and_double_nothing_for_any_reader() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(41, 250));
    let mut random = Random::seeded(4100);
    let kills = AtomicU64::new(0);
    let writer = |mut random: Random, moves_on: bool| {
        let (mut reach, mut syncs) = (REACH, 0);
        while kills.load(Ordering::Relaxed) < KILLS {
            let met = kill(start(&lake, &sandbox), &mut reach, &mut random);
            kills.fetch_add(u64::from(met), Ordering::Relaxed);
            syncs += 1;
            if moves_on && syncs % ADVANCE == 0 {
                sandbox.advance(TimeDelta::hours(1 + random.below(12) as i64));
            }
        }
        syncs
    };
    let mut looks: [Looks; TABLES.len()] = Default::default();
    let seeds = [random.next(), random.next()];
    thread::scope(|scope| {
        let writers = [(seeds[0], true), (seeds[1], false)]
            .map(|(seed, moves_on)| scope.spawn(move || writer(Random::from(seed), moves_on)));
        let mut duckdb = DuckDb::start();
        let mut queries = 0;
        while queries < QUERIES || !writers.iter().all(|writer| writer.is_finished()) {
            let table = queries as usize % TABLES.len();
            looks[table].look(&mut duckdb, &lake, TABLES[table]);
            queries += 1;
        }
        let syncs: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        println!("{} kills of {syncs} syncs, {queries} queries", kills.load(Ordering::Relaxed));
    });
    for ((layer, table, _), Looks { queries, rows, errors }) in TABLES.iter().zip(&looks) {
        println!("{layer}/{table}: {queries} queries, {rows} rows at last, errors {errors:?}");
        assert!(errors.is_empty() && *rows > 0, "{layer}/{table}");
    }
    assert_is_right(&lake, &sandbox, &mut DuckDb::start());
}

#[test]
fn a_lake_whose_making_is_interrupted_is_made_by_the_next_sync() {
    let (sandbox, mut duckdb, mut random) = (Sandbox::start(42, 60), DuckDb::start(), Random::seeded(4200));
    let (mut reach, mut met) = (REACH, 0);
    for round in 0..NEW_LAKES {
        let lake = Lake::new();
        let both = [start(&lake, &sandbox), start(&lake, &sandbox)];
        met += both.into_iter().filter_map(|child| kill(child, &mut reach, &mut random).then_some(())).count();
        if round % 5 == 0 {
            assert_is_right(&lake, &sandbox, &mut duckdb);
        } else {
            let ended = end(start(&lake, &sandbox));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_verified(&lake);
        }
    }
    assert!(met as u64 > NEW_LAKES / 4, "{met} of {} syncs were met alive", 2 * NEW_LAKES);
}
