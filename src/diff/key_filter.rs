//! Which keys a body may have listed already: two to four bytes a key, and now and then yes for no.
//!
//! A Bloom filter in stages, each twice as large as the one before, since nobody says how many records there will be.

/// Keys of the first stage.
const FIRST_STAGE_KEYS: usize = 1 << 16;
const BITS_PER_KEY: usize = 16;

#[derive(Debug, Default)]
pub(super) struct KeyFilter {
    stages: Vec<Vec<u64>>,
    /// Keys that the last stage still takes.
    room: usize,
}

impl KeyFilter {
    /// Adds a key hash. Whether it may have been there before; `false` is certain.
    pub(super) fn insert(&mut self, key: u128) -> bool {
        if self.stages.iter().any(|stage| bits(stage, key).all(|bit| stage[bit / 64] >> (bit % 64) & 1 == 1)) {
            return true;
        }
        if self.room == 0 {
            let keys = FIRST_STAGE_KEYS << self.stages.len();
            self.stages.push(vec![0; keys * BITS_PER_KEY / 64]);
            self.room = keys;
        }
        self.room -= 1;
        if let Some(stage) = self.stages.last_mut() {
            let places: [usize; 4] = std::array::from_fn(|nth| bit(stage, key, nth));
            places.into_iter().for_each(|bit| stage[bit / 64] |= 1 << (bit % 64));
        }
        false
    }
}

fn bits(stage: &[u64], key: u128) -> impl Iterator<Item = usize> {
    (0..4).map(move |nth| bit(stage, key, nth))
}

/// Each quarter of the hash names a bit. Stages have a power of two of them, and not more than a quarter can name.
fn bit(stage: &[u64], key: u128, nth: usize) -> usize {
    (key >> (32 * nth)) as u32 as usize & (stage.len() * 64 - 1)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    #[test]
    fn what_was_added_is_always_there_and_what_was_not_mostly_not() {
        let key = |n: u64| xxh3_128(&n.to_le_bytes());
        let mut filter = KeyFilter::default();
        let wrong = (0..300_000).filter(|n| filter.insert(key(*n))).count();
        assert!(wrong < 6_000, "{wrong} of 300,000 new keys were taken for known");
        assert!((0..300_000).all(|n| filter.insert(key(n))));
    }
}
