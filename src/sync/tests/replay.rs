//! A seed is all that it takes: the same again, to the last byte and millisecond.

use std::thread;

use super::simulation::{Verdict, simulate};

const SEEDS: u64 = 100;

#[test]
fn a_seed_replays_identically() {
    let play = || (1..=SEEDS).map(|seed| simulate(seed, None)).collect::<Vec<Verdict>>();
    let other = thread::spawn(play);
    let (one, other) = (play(), other.join().unwrap());
    for (one, other) in one.iter().zip(&other) {
        let differ = one.trace.0.iter().zip(&other.trace.0).position(|(one, other)| one != other);
        if let Some(at) = differ {
            panic!("seed {}: event {at} is\n{} or\n{}", one.seed, one.trace.0[at], other.trace.0[at]);
        }
        assert_eq!(one.trace.0.len(), other.trace.0.len(), "seed {}", one.seed);
        assert_eq!(one.figures, other.figures, "seed {}", one.seed);
    }
    assert_ne!(one[0].trace, one[1].trace, "another seed is another story");
}
