//! Which keys a body may have listed already: two to four bytes a key, and once in hundreds of times yes for no.
//!
//! A Bloom filter in stages, each twice as large as the one before, since nobody says how many records there will be.

/// Keys of the first stage.
const FIRST_STAGE_KEYS: usize = 1 << 20;
/// A key has all its bits in one block, so that asking for it reads memory once a stage.
type Block = [u64; 8];
const KEYS_PER_BLOCK: usize = 32;
const BITS_PER_KEY: u32 = 7;

#[derive(Debug, Default)]
pub(super) struct KeyFilter {
    stages: Vec<Vec<Block>>,
    /// Keys that the last stage still takes.
    room: usize,
}

impl KeyFilter {
    /// Adds a key hash. Whether it may have been there before; `false` is certain.
    pub(super) fn insert(&mut self, key: u128) -> bool {
        let has_all = |block: &Block| bits(key).all(|(word, bit)| block[word] & bit != 0);
        if self.stages.iter().any(|stage| has_all(&stage[place(stage, key)])) {
            return true;
        }
        if self.room == 0 {
            let keys = FIRST_STAGE_KEYS << self.stages.len();
            self.stages.push(vec![Block::default(); keys / KEYS_PER_BLOCK]);
            self.room = keys;
        }
        self.room -= 1;
        if let Some(stage) = self.stages.last_mut() {
            let place = place(stage, key);
            bits(key).for_each(|(word, bit)| stage[place][word] |= bit);
        }
        false
    }
}

/// The upper half of the hash names the block. Stages have a power of two of them.
fn place(stage: &[Block], key: u128) -> usize {
    (key >> 64) as usize & (stage.len() - 1)
}

/// The lower half names the bits, nine bits of it each: three for the word, and six for the bit in it.
fn bits(key: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS_PER_KEY).map(move |nth| {
        let bit = (key as u64 >> (9 * nth)) as usize & 511;
        (bit / 64, 1 << (bit % 64))
    })
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
        assert!(wrong < 300, "{wrong} of 300,000 new keys were taken for known");
        assert!((0..300_000).all(|n| filter.insert(key(n))));
    }
}
