//! A set of positions, a bit each.

#[derive(Debug)]
pub(super) struct Positions {
    bits: Vec<u64>,
    count: u64,
}

impl Positions {
    /// None of `0..length`.
    pub(super) fn none_of(length: u64) -> Self {
        Self { bits: vec![0; length.div_ceil(64) as usize], count: 0 }
    }

    pub(super) fn contains(&self, position: u64) -> bool {
        self.bits[position as usize / 64] >> (position % 64) & 1 == 1
    }

    /// Adds a position that is not in the set.
    pub(super) fn insert(&mut self, position: u64) {
        self.bits[position as usize / 64] |= 1 << (position % 64);
        self.count += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}
