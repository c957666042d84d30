//! Many seeds, on all cores.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use crate::tests::random::variable;

use super::{
    figures::Figures,
    simulation::{Verdict, simulate},
    stage::Violation,
};

/// Seeds simulated unless the environment asks for another number.
const SEEDS: u64 = 10_000;

/// What must have happened, once in so many seeds at least, or the simulation shows less than it says.
const HAPPENS_ONCE_IN: u64 = 500;
const MUST_HAPPEN: [&str; 51] = [
    "answers of 401",
    "answers of 503",
    "answers that broke off",
    "answers that contradict themselves",
    "answers that ended early",
    "answers that repeat a record",
    "answers that were cut and closed again",
    "answers with a page instead of a list",
    "caches cut off",
    "caches damaged",
    "caches deleted",
    "caches put back to what they were",
    "clocks set back",
    "commits",
    "crashes after a write",
    "crashes at a reading",
    "crashes before a write",
    "crashes with a write on its way",
    "creates refused for a conflict",
    "creates that found themselves",
    "diffs that are there in part",
    "globs over changes/",
    "globs over current/",
    "late writes that arrived",
    "listings that failed",
    "outages of the store",
    "polls",
    "polls committed whole",
    "polls without an answer",
    "processes stopped for a while",
    "projections compared after quiet runs",
    "projections rotten unnoticed",
    "quarantine objects",
    "races lost",
    "readings that broke off",
    "readings that failed",
    "records garbled",
    "records hidden",
    "runs of unknown outcome",
    "runs that crashed",
    "runs that ended",
    "runs that refused an answer",
    "runs that the store failed",
    "runs that were denied",
    "runs that were outrun",
    "runs without an answer",
    "voids",
    "writes denied",
    "writes lost before they took effect",
    "writes that timed out and came later",
    "writes whose acknowledgement was lost",
];

#[test]
fn whatever_happens_nothing_is_lost_doubled_or_taken_back() {
    let (first, count) = (variable("LUMETRADE_TEST_SEED", 1), variable("LUMETRADE_TEST_SEEDS", SEEDS));
    println!("seeds {first} to {}", first + count - 1);
    let began = Instant::now();
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let total = Mutex::new(Figures::default());
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break;
            }
            let verdict = catch_unwind(AssertUnwindSafe(|| simulate(seed, None)));
            let Ok(verdict) = verdict else {
                failed.store(true, Ordering::Relaxed);
                println!("seed {seed} panicked; {}", again(seed));
                break;
            };
            if let Some(violation) = &verdict.violation {
                failed.store(true, Ordering::Relaxed);
                tell(&verdict, violation);
            }
            total.lock().unwrap_or_else(PoisonError::into_inner).merge(&verdict.figures);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().unwrap();
    println!("{count} seeds in {:.1} s:\n{total}", began.elapsed().as_secs_f64());
    assert!(!failed.load(Ordering::Relaxed), "see above");
    let rare: Vec<_> = MUST_HAPPEN.into_iter().filter(|name| total.of(name) < count / HAPPENS_ONCE_IN).collect();
    assert!(rare.is_empty(), "hardly ever happened: {rare:?}");
}

fn tell(verdict: &Verdict, violation: &Violation) {
    let Verdict { seed, plan, trace, .. } = verdict;
    let events = variable("LUMETRADE_TEST_EVENTS", 60) as usize;
    println!(
        "seed {seed} breaks a law: {}\n  {}\n\nthe last events:\n{}\n{plan:?}\n{}",
        violation.law,
        violation.how,
        trace.tail(events),
        again(*seed)
    );
}

fn again(seed: u64) -> String {
    format!(
        "again: LUMETRADE_TEST_SEED={seed} LUMETRADE_TEST_SEEDS=1 LUMETRADE_TEST_EVENTS=10000 cargo test --lib sync::tests::seeds"
    )
}
