//! One process syncs for years, in minutes, from an API that fails at one request in twenty: its lake is the truth, and the
//! process is as small at the end as in the beginning.
//!
//! `LUMETRADE_TEST_RUNS=10000 cargo test --test main -- endurance --nocapture` prints the table for as many runs.

use std::{collections::BTreeMap, env};

use chrono::TimeDelta;

use super::records::{assert_lake_is_the_truth, documented};
use crate::support::{duckdb::DuckDb, lake::Lake, program::Sync, random::Random, sandbox::Sandbox, service::Service};

/// Runs, unless `LUMETRADE_TEST_RUNS` says otherwise.
const RUNS: usize = 300;
/// Lines of the table.
const LINES: usize = 20;
/// One run in so many has a fault: of the six lists that it asks for, and two that are not there, one in twenty.
const FAULTY: u64 = 3;
/// The world goes on at every so many runs.
const ADVANCE: usize = 10;
/// An allocator may keep this much more than before without any of it being lost.
const GROWTH_KIB_MAX: u64 = 6 << 10;

/// What goes wrong, once each time.
const FAULTS: [&str; 12] = [
    "status&code=503&retry_after=0",
    "status&code=429&retry_after=0",
    "status&code=500&retry_after=0",
    "status&code=401",
    "html",
    "error-in-200",
    "cut",
    "short",
    "empty",
    "duplicate",
    "no-id",
    "conflict",
];
/// Lists of records that have an amount: with two, they conflict.
const WITH_AMOUNTS: [&str; 3] = ["deposits", "withdrawals", "trades"];

#[test]
fn a_process_that_goes_on_neither_grows_nor_loses_anything() {
    let runs = env::var("LUMETRADE_TEST_RUNS").map_or(RUNS, |text| text.parse().unwrap());
    let (lake, sandbox, mut random) = (Lake::new(), Sandbox::start(63, 60), Random::seeded(6300));
    let settings = "requests_per_second = 1000.0\n[operate]\nruns_kept = 100\nmetrics_file = \"metrics.prom\"\n";
    let mut service = Service::start(Sync::quietly(&lake, &sandbox.url()).settings(settings), "1ms");
    let (resources, mut codes) = (documented(), BTreeMap::<u64, usize>::new());
    let mut table = Vec::new();
    println!("{:>8}{:>14}{:>12}", "runs", "resident KiB", "open files");
    for nth in 1..=runs {
        *codes.entry(service.next_run().exit_code).or_default() += 1;
        if nth % ADVANCE == 0 {
            sandbox.advance(TimeDelta::minutes(20));
        }
        if random.one_in(FAULTY) {
            let resource = &resources[random.below(resources.len() as u64) as usize].name;
            let kinds = FAULTS.len() - usize::from(!WITH_AMOUNTS.contains(&resource.as_str()));
            sandbox.switch(&format!("fault?times=1&resource={resource}&kind={}", random.pick(&FAULTS[..kinds])));
        }
        if nth % (runs / LINES).max(1) == 0 {
            let (resident, files) = service.footprint();
            println!("{nth:>8}{resident:>14}{files:>12}");
            table.push((nth as f64, resident, files));
        }
    }
    println!("exit codes: {codes:?}; resident memory grows by {:.3} KiB a run", slope(&table[table.len() / 4..]));
    assert!(codes[&0] > runs / 2 && codes.len() > 2, "{codes:?}");
    let (first, last) = (&table[LINES / 4], &table[LINES - 1]);
    assert!(last.1 <= first.1 + GROWTH_KIB_MAX, "{table:?}");
    // A run is under way whenever they are counted, with a connection more or less; one lost a run would be hundreds.
    let most = |table: &[(f64, u64, usize)]| table.iter().map(|row| row.2).max();
    let (before, after) = table.split_at(LINES / 2);
    assert!(most(after) <= most(before).map(|most| most + 1), "{table:?}");

    sandbox.switch("fault?kind=none");
    // The first of these may have been under way.
    service.next_run();
    service.run_with(0, 3);
    assert_eq!(service.stop().code, Some(143));
    assert_lake_is_the_truth(&mut DuckDb::start(), &lake, &sandbox, &resources);
}

/// By how much memory grows a run, by least squares.
fn slope(table: &[(f64, u64, usize)]) -> f64 {
    let count = table.len() as f64;
    let (x, y) = table.iter().fold((0.0, 0.0), |(x, y), row| (x + row.0 / count, y + row.1 as f64 / count));
    let (above, below) = table.iter().fold((0.0, 0.0), |(above, below), row| {
        (above + (row.0 - x) * (row.1 as f64 - y), below + (row.0 - x).powi(2))
    });
    above / below
}
