//! Every fault of every class of requests, before and after it took effect: what the sync says of it is right, and what the
//! lake holds after the next one is the truth.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::world::{Place, World, run_all};
use crate::support::{
    duckdb::DuckDb,
    random::Random,
    s3::fault::{CLASSES, Class, Fault, WHAT, What, When},
};

/// When what is late arrives: before the next sync, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    BeforeTheNext,
    AfterTheNext,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    fault: Fault,
    arrival: Arrival,
}

/// The exit codes that are right for a fault that happens once, or three times in a row.
fn codes(fault: &Fault) -> &'static [i32] {
    use Class::{Cache, Get, List};
    use What::{Conflict, PreconditionFailed, Reset, SlowDown, TooManyRequests};
    match (fault.class, fault.what) {
        // A read of what only says where to begin can be done without.
        (Get, Conflict | PreconditionFailed) if fault.times == 1 => &[0, 74],
        // A read knows no conflict: whoever answers so is not asked again.
        (List | Get, Conflict | PreconditionFailed) => &[74],
        // What can be rebuilt is left to the next sync after three attempts, unless the server asks for patience.
        (Cache, What::InternalError | SlowDown | TooManyRequests | Reset) => &[0],
        (Cache, _) if fault.times > 1 => &[0, 74],
        _ => &[0],
    }
}

/// All combinations once for a single request, and once for three in a row, each at a place of its own.
fn cases(world: &World, random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for class in CLASSES {
        for what in WHAT {
            for when in [When::Before, When::After] {
                for times in [1, 3] {
                    let first = 1 + random.below(world.requests[&class]);
                    let fault = Fault { class, what, when, first, times };
                    cases.push(Case { fault, arrival: Arrival::BeforeTheNext });
                    if what == What::Late {
                        cases.push(Case { fault, arrival: Arrival::AfterTheNext });
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn a_fault_of_any_kind_at_any_request_loses_and_doubles_nothing() {
    let world = World::new();
    let mut random = Random::seeded(3101);
    let cases = cases(&world, &mut random);
    assert!(cases.len() >= 90);
    run_all(&cases, |Case { fault, arrival }, duckdb| {
        let place = world.place();
        place.s3.inject(*fault);
        let synced = world.sync(&place).run();
        assert!(place.s3.heal() > 0, "the fault has not happened");
        let right = codes(fault);
        assert!(synced.ended.code.is_some_and(|code| right.contains(&code)), "{right:?}: {:?}", synced.ended);
        place.check_report(&synced);
        if *arrival == Arrival::BeforeTheNext {
            place.s3.land();
        }
        place.check_report(&world.sync(&place).succeed());
        if *arrival == Arrival::AfterTheNext {
            place.s3.land();
            world.sync(&place).succeed();
        }
        world.assert_is_the_truth(&place, duckdb);
    });
}

#[test]
fn a_bucket_with_the_least_thing_wrong_does_not_pass() {
    let (world, mut duckdb) = (World::new(), DuckDb::start());
    let place = world.place();
    let mut passes = |place: &Place| {
        let check = || world.assert_reads_as_the_truth(place, &mut duckdb);
        catch_unwind(AssertUnwindSafe(check)).is_ok()
    };
    assert!(!passes(&place), "what the API says now is not in the lake yet");
    world.sync(&place).succeed();
    assert!(passes(&place));
    for (key, bytes) in place.s3.contents() {
        if !key.starts_with("changes/") && !key.starts_with("current/") {
            continue;
        }
        place.s3.forget(&key);
        assert!(!passes(&place), "{key} is gone");
        let again = key.replace("data.parquet", "more.parquet").replace("/0000000000000000000", "/0000000000000000001");
        place.s3.put(&key, &bytes);
        place.s3.put(&again, &bytes);
        assert!(!passes(&place), "{key} is there twice");
        place.s3.forget(&again);
    }
    assert!(passes(&place));
}
