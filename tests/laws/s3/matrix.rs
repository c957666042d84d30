use super::world::{World, timed};
use crate::support::{duckdb::DuckDb, s3::fault::*};

#[test]
fn explore() {
    let (world, took) = timed(|| World::new(31, 40, &["withdrawals", "accounts"]));
    println!("world in {took:?}: {:?}", world.requests);
    println!("{:#?}", world.bucket.contents().keys().collect::<Vec<_>>());
    let mut duckdb = DuckDb::start();
    for class in CLASSES {
        for what in WHAT {
            for when in [When::Before, When::After] {
                let place = world.place();
                place.s3.inject(Fault { class, what, when, first: 1, times: 1 });
                let (synced, took) = timed(|| world.sync(&place).run());
                let hits = place.s3.heal();
                println!(
                    "{class:?} {what:?} {when:?}: {:?} in {took:?}, {hits} hits {}",
                    synced.ended.code, synced.ended.stderr
                );
                place.assert_is_there(&synced);
                place.s3.land();
                let (again, took) = timed(|| world.sync(&place).run());
                if again.ended.code != Some(0) {
                    println!("    AGAIN {:?} in {took:?} {}", again.ended.code, again.ended.stderr);
                }
                let truth = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    world.assert_is_the_truth(&place, &mut duckdb)
                }));
                if truth.is_err() {
                    println!("    UNTRUE");
                }
            }
        }
    }
}
