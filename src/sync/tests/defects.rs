//! The simulation finds defects: each that is put into the code on purpose is caught, and soon.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{simulation::simulate, stage::Violation};
use crate::lake::defect::Defect;

/// Seeds within which each must be caught.
const SEEDS_MAX: u64 = 2_000;

const DEFECTS: [Defect; 14] = [
    Defect::PassesOverOpenClaims,
    Defect::IgnoresLostClaims,
    Defect::CreatesTheLastBesideTheOthers,
    Defect::OverwritesCommits,
    Defect::BelievesExistingIsOurs,
    Defect::BelievesExistingIsTheirs,
    Defect::PollsTooEarly,
    Defect::KeepsStateTooEarly,
    Defect::TrustsStaleState,
    Defect::ProjectsWithoutASecondLook,
    Defect::BuildsOnUncheckedBase,
    Defect::IgnoresDamagedProjections,
    Defect::TrustsTheClock,
    Defect::MovesRecords,
];

/// The first seed that catches it, and the law that was broken.
fn catch(defect: Defect) -> Option<(u64, Violation)> {
    (1..=SEEDS_MAX).find_map(|seed| {
        let verdict = catch_unwind(AssertUnwindSafe(|| simulate(seed, Some(defect)).violation));
        Some((seed, verdict.unwrap_or_else(|_| panic!("seed {seed} panics with {defect:?}"))?))
    })
}

#[test]
fn every_deliberate_defect_is_caught() {
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(defect) = DEFECTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch(*defect) {
                Some((seeds, Violation { law, how })) => {
                    let how: String = how.chars().take(160).collect();
                    println!("{defect:?} is caught after {seeds} seeds: {law}\n    {how}");
                }
                None => {
                    missed.fetch_add(1, Ordering::Relaxed);
                    println!("{defect:?} is not caught within {SEEDS_MAX} seeds");
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    assert_eq!(missed.into_inner(), 0, "see above");
}
