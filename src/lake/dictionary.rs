//! The dictionary of a column chunk: its distinct values, and where in their order each stands.

use std::ops::Range;

use hashbrown::HashTable;
use parquet::data_type::ByteArray;
use xxhash_rust::xxh3::xxh3_64;

/// Distinct values up to this many bytes make a dictionary.
const BYTES_MAX: usize = 256 << 10;
/// Texts up to this length are looked up as numbers.
const SHORT_BYTES_MAX: usize = 15;
/// Texts up to this length are told as the least or the greatest.
const RANGE_BYTES_MAX: usize = 64;

/// Distinct values, in the order in which they came first.
#[derive(Default)]
pub(super) struct Dictionary {
    /// As the dictionary's page has them: texts each behind its length.
    bytes: Vec<u8>,
    /// Where each begins, without its length, and ends.
    spans: Vec<(u32, u32)>,
    /// Places of short texts: as numbers they are told apart at once.
    short: HashTable<(u128, u32)>,
    /// Places of the others.
    index: HashTable<u32>,
    /// What was looked for last is often looked for again.
    last_short: (u128, u32),
    last: u32,
}

impl Dictionary {
    /// Bytes held in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + 8 * self.spans.capacity() + self.index.allocation_size() + self.short.allocation_size()
    }

    /// Its page.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of values.
    pub(super) fn count(&self) -> u32 {
        self.spans.len() as u32
    }

    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX
    }

    /// The place of the text that is a part of these.
    #[inline]
    pub(super) fn place_of_text(&mut self, texts: &[u8], span: Range<usize>) -> u32 {
        let length = span.len();
        if length > SHORT_BYTES_MAX {
            return self.place_of(&(length as u32).to_le_bytes(), &texts[span]);
        }
        let key = short_key(&texts[span.start..], length);
        if self.last_short.0 != key {
            let hash = hash_short(key);
            let place = match self.short.find(hash, |(known, _)| *known == key) {
                Some((_, place)) => *place,
                None => {
                    let place = self.add(&(length as u32).to_le_bytes(), &texts[span]);
                    self.short.insert_unique(hash, (key, place), |(key, _)| hash_short(*key));
                    place
                }
            };
            self.last_short = (key, place);
        }
        self.last_short.1
    }

    /// The place of a value, behind the others if it is new. Its length, if it has one, goes to the page with it.
    #[inline]
    pub(super) fn place_of(&mut self, length: &[u8], value: &[u8]) -> u32 {
        if self.spans.is_empty() || self.value(self.last) != value {
            self.last = self.look_up(length, value);
        }
        self.last
    }

    fn look_up(&mut self, length: &[u8], value: &[u8]) -> u32 {
        let hash = xxh3_64(value);
        if let Some(place) = self.index.find(hash, |place| self.value(*place) == value) {
            return *place;
        }
        let place = self.add(length, value);
        let Self { bytes, spans, index, .. } = self;
        index.insert_unique(hash, place, |place| xxh3_64(part(bytes, spans[*place as usize])));
        place
    }

    fn add(&mut self, length: &[u8], value: &[u8]) -> u32 {
        self.bytes.extend_from_slice(length);
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.spans.push((start, self.bytes.len() as u32));
        self.spans.len() as u32 - 1
    }

    #[inline]
    fn value(&self, place: u32) -> &[u8] {
        part(&self.bytes, self.spans[place as usize])
    }

    /// The least and the greatest text, unless one is long.
    pub(super) fn range(&self) -> Option<(ByteArray, ByteArray)> {
        let values = || (0..self.spans.len() as u32).map(|place| self.value(place));
        let (least, greatest) = (values().min()?, values().max()?);
        let is_short = least.len() <= RANGE_BYTES_MAX && greatest.len() <= RANGE_BYTES_MAX;
        is_short.then(|| (least.to_vec().into(), greatest.to_vec().into()))
    }
}

#[inline]
fn part(bytes: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &bytes[start as usize..end as usize]
}

/// A text of so many bytes and its length plus one, as one number. Bytes that follow the text are left out.
#[inline]
fn short_key(text: &[u8], length: usize) -> u128 {
    let sixteen = match text.first_chunk() {
        Some(sixteen) => u128::from_le_bytes(*sixteen),
        None => text[..length].iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
    };
    sixteen & ((1 << (8 * length)) - 1) | (length as u128 + 1) << (8 * SHORT_BYTES_MAX)
}

/// The upper half of a product depends on all bits of its factors, and so does the lower.
#[inline]
fn hash_short(key: u128) -> u64 {
    let product =
        u128::from(key as u64 ^ 0x9e37_79b9_7f4a_7c15) * u128::from((key >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_have_numbers_of_their_own() {
        let texts = [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"b", b"abcdefghijklmno", b"abcdefghijklmnp"];
        let keys: Vec<u128> = texts.iter().map(|text| short_key(text, text.len())).collect();
        for (text, key) in texts.iter().zip(&keys) {
            let followed = [text, &b"0123456789abcdef"[..]].concat();
            assert_eq!(short_key(&followed, text.len()), *key);
            assert_eq!(keys.iter().filter(|other| *other == key).count(), 1);
        }
    }
}
