//! Random numbers from a printed seed: SplitMix64, which is small, and good enough to choose tests with.

/// A source of random numbers.
pub struct Random(u64);

impl Random {
    /// From `seed`, or from `LUMETRADE_TEST_SEED` if that is set. The seed is printed, which shows it with a failure.
    pub fn seeded(seed: u64) -> Self {
        let seed = std::env::var("LUMETRADE_TEST_SEED").ok().map_or(seed, |text| text.parse().unwrap());
        println!("seed {seed} (LUMETRADE_TEST_SEED={seed} draws the same)");
        Self(seed)
    }

    /// From another's number.
    pub fn from(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// `count` decimal digits.
    pub fn digits(&mut self, count: u64) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    /// At least 0, below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
