//! What an element's bytes are known by.

use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_64_with_seed};

/// The exact bytes of an element: their hash, which means nothing in another lake, and their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ElementId {
    /// Of XXH3, with a secret of the lake.
    pub hash: u64,
    /// Length of the text; 0 where the bytes are not known.
    pub bytes: u32,
}

impl ElementId {
    /// Of what is known otherwise than by its bytes.
    pub const UNKNOWN: Self = Self { hash: 0, bytes: 0 };
}

/// XXH3 with a secret that is made once: with a seed it is made anew for each text.
pub(super) struct ElementHasher {
    secret: [u8; SECRET_BYTES],
}

/// As long as XXH3's own.
const SECRET_BYTES: usize = 192;

impl ElementHasher {
    pub(super) fn new(seed: u64) -> Self {
        let mut secret = [0; SECRET_BYTES];
        for (number, part) in (0_u8..).zip(secret.as_chunks_mut().0) {
            *part = xxh3_64_with_seed(&[number], seed).to_le_bytes();
        }
        Self { secret }
    }

    pub(super) fn identify(&self, text: &[u8]) -> ElementId {
        ElementId { hash: xxh3_64_with_secret(text, &self.secret), bytes: text.len() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_and_another_seed_give_another_identity() {
        let texts = (0..600).map(|length| "x".repeat(length)).chain(["{\"a\":1}".into(), "{\"a\":2}".into()]);
        let all: Vec<ElementId> = [1, 2]
            .into_iter()
            .flat_map(|seed| texts.clone().map(move |text| ElementHasher::new(seed).identify(text.as_bytes())))
            .collect();
        let hashes: std::collections::HashSet<u64> = all.iter().map(|element| element.hash).collect();
        assert_eq!(hashes.len(), all.len());
        assert_eq!(all[7], ElementHasher::new(1).identify(b"xxxxxxx"));
    }
}
