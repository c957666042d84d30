//! A fault that does not go away ends the sync in time, with the right code and a message of what was attempted; a writer that
//! dies leaves writes behind that arrive when nobody waits for them. Neither loses or doubles anything.

use std::time::Duration;

use super::world::{World, run_all, timed};
use crate::support::s3::fault::{Class, FOR_EVER, Fault, What, When};

/// No sync takes longer, however often it asks again.
const TIME_MAX: Duration = Duration::from_secs(100);

const HOPELESS: [What; 10] = [
    What::SlowDown,
    What::Reset,
    What::Timeout,
    What::Conflict,
    What::PreconditionFailed,
    What::ErrorBody,
    What::Html,
    What::Expired,
    What::Denied,
    What::Late,
];

/// What the message begins with, and the exit code of a fault that is no denial.
fn attempted(class: Class) -> (&'static [&'static str], i32) {
    match class {
        Class::List => (&["list meta/withdrawals/log"], 74),
        Class::Get => (&["read meta/lake.json"], 74),
        Class::Claim => (&["create meta/withdrawals/log/", "whether meta/withdrawals/log/"], 79),
        Class::Data => (&["create changes/withdrawals/", "whether changes/withdrawals/"], 79),
        Class::Cache => (&["replace meta/withdrawals/state", "replace current/withdrawals"], 74),
        Class::Begin | Class::Part | Class::Complete | Class::Other => panic!("nothing else is written here"),
    }
}

fn cases() -> Vec<Fault> {
    // The writes first: they are asked for the longest.
    let classes = [Class::Data, Class::Claim, Class::List, Class::Get, Class::Cache];
    let fault = |class, what, when| Fault { class, what, when, first: 1, times: FOR_EVER };
    let before = classes.into_iter().flat_map(|class| HOPELESS.map(|what| fault(class, what, When::Before)));
    // What took effect is found when it is looked for, whatever was answered.
    let after = [Class::Data, Class::Claim].into_iter();
    let after = after.flat_map(|class| HOPELESS.map(|what| fault(class, what, When::After)));
    before.chain(after.filter(|fault| fault.what != What::Late)).collect()
}

#[test]
fn a_fault_for_ever_ends_the_sync_in_time_and_says_what_was_attempted() {
    let world = World::new();
    run_all(&cases(), |fault, duckdb| {
        let place = world.place();
        place.s3.inject(*fault);
        let (synced, took) = timed(|| world.sync_of_withdrawals(&place).run());
        assert!(place.s3.heal() > 0, "the fault has not happened");
        assert!(took < TIME_MAX, "{took:?}");
        place.check_report(&synced);
        let (attempts, code) = attempted(fault.class);
        let code = match (fault.when, fault.what) {
            (When::After, _) => 0,
            (When::Before, What::Expired | What::Denied) => 77,
            (When::Before, _) => code,
        };
        let stderr = &synced.ended.stderr;
        assert_eq!(synced.ended.code, Some(code), "{stderr}");
        if code != 0 {
            // Log lines begin with a time.
            let mut told = stderr.lines().skip_while(|line| !line.starts_with("error: "));
            let error = told.next().expect(stderr);
            assert!(attempts.iter().any(|text| error.contains(text)), "{error}");
            assert!(error.chars().count() < 700 && told.count() <= 2, "{stderr}");
        }
        place.check_report(&world.sync(&place).succeed());
        let landed = place.s3.land();
        assert!(landed == 0 || fault.class == Class::Cache, "what was settled has been written to");
        world.sync(&place).succeed();
        world.assert_is_the_truth(&place, duckdb);
    });
}

/// Which write hangs until its writer is killed, and whether it arrives before the next sync or after it.
#[derive(Debug)]
struct Orphan {
    class: Class,
    first: u64,
    is_early: bool,
}

#[test]
fn a_write_that_arrives_after_its_writer_was_killed_loses_and_doubles_nothing() {
    let world = World::new();
    let mut orphans = Vec::new();
    for class in [Class::Claim, Class::Data, Class::Cache] {
        for first in 1..=world.requests[&class] {
            orphans.extend([true, false].map(|is_early| Orphan { class, first, is_early }));
        }
    }
    run_all(&orphans, |&Orphan { class, first, is_early }, duckdb| {
        let place = world.place();
        place.s3.inject(Fault { class, what: What::Late, when: When::After, first, times: 1 });
        let mut writer = world.sync(&place).with("AWS_TIMEOUT", "60 seconds").spawn();
        place.s3.await_late(1);
        writer.kill().unwrap();
        writer.wait().unwrap();
        place.s3.heal();
        if is_early {
            place.s3.land();
            world.sync(&place).succeed();
        } else {
            world.sync(&place).succeed();
            let landed = place.s3.land();
            assert!(landed == 0 || class == Class::Cache, "what was settled has been written to");
            world.sync(&place).succeed();
        }
        world.assert_is_the_truth(&place, duckdb);
    });
}
