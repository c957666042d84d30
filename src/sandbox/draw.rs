//! The random choices of one record.
//!
//! A record draws all its choices in a fixed order, whatever the clock: that is what makes it a pure function of (seed, number).
//! ChaCha gives the same on every machine, and has a stream for each record, so record 1,000,000 costs what record 0 does.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::clock::Nanos;

/// The choices of all records of one kind.
pub(super) struct Source(ChaCha8Rng);

impl Source {
    /// `kind` keeps apart what is drawn for different purposes from one seed.
    pub(super) fn new(seed: u64, kind: &'static str) -> Source {
        let mut key = [0; 32];
        for (place, byte) in key.iter_mut().zip(seed.to_le_bytes().into_iter().chain(kind.bytes())) {
            *place = byte;
        }
        Source(ChaCha8Rng::from_seed(key))
    }

    /// The choices of one record, from the first.
    pub(super) fn draw(&self, number: u64) -> Draw {
        let mut choices = self.0.clone();
        choices.set_stream(number);
        Draw(choices)
    }
}

/// The choices of one record.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// A number in `0..end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// A span of time in `low..high`.
    pub(super) fn span(&mut self, low: Nanos, high: Nanos) -> Nanos {
        low + self.below(high.abs_diff(low)) as Nanos
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the choices, of which there must be one.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// So many decimal digits, leading zeros included.
    pub(super) fn digits(&mut self, count: usize) -> String {
        format!("{:0count$}", self.below(10_u64.pow(count as u32)))
    }
}
