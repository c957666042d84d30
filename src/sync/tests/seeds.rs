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

use super::{
    figures::Figures,
    simulation::{Verdict, simulate},
    stage::Violation,
};

/// Seeds simulated unless the environment asks for another number.
const SEEDS: u64 = 10_000;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

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
