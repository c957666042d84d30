//! Equality by value, as a number.
//!
//! Two rows have the same digest if they are equal by value: a JSON column compares with its objects' members in any
//! order and its numbers by value. Only cells that hold something count, each under its column's name, so that a column
//! that is declared later and has always been null changes no digest.

use std::cell::RefCell;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::{
    decimal::Normal,
    json::{Kind, Parsed, Reader},
    row::{Cell, Row},
};
use crate::schema::{Column, Resource, Type};

/// Memory that is kept from one row to the next.
const KEPT_BYTES: usize = 64 << 10;

/// A key up to about this length is hashed without allocating memory for it.
const SHORT_KEY_BYTES: usize = 64;

/// The lake's own seed: hashes mean nothing outside it, and nobody who sends us data can aim at a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// Identity of a record within its resource: a seeded 128-bit hash of the key column and its value.
#[must_use]
pub fn key_hash(seed: Seed, (column, key): (usize, &str)) -> u128 {
    let column = (column as u16).to_le_bytes();
    let mut short = [0; SHORT_KEY_BYTES];
    match short.get_mut(..column.len() + key.len()) {
        Some(bytes) => {
            bytes[..column.len()].copy_from_slice(&column);
            bytes[column.len()..].copy_from_slice(key.as_bytes());
            xxh3_128_with_seed(bytes, seed.0)
        }
        None => xxh3_128_with_seed(&[&column, key.as_bytes()].concat(), seed.0),
    }
}

impl Row<'_> {
    /// Digest of all that the row says.
    #[must_use]
    pub fn digest(&self, resource: &Resource, seed: Seed) -> u64 {
        GATHERED.with_borrow_mut(|gathered| {
            gathered.0.clear();
            hash_row(gathered, self, &resource.columns, seed);
            let digest = xxh3_64_with_seed(&gathered.0, seed.0);
            gathered.0.shrink_to(KEPT_BYTES);
            digest
        })
    }
}

/// What is hashed, gathered first: many small pieces are hashed several times faster in one.
struct Hashed(Vec<u8>);

thread_local! {
    /// Of the row that is hashed. It outlives the row, as memory of this size takes longer to get than a row to hash.
    static GATHERED: RefCell<Hashed> = const { RefCell::new(Hashed(Vec::new())) };
}

impl Hashed {
    fn update(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn hash_row(hasher: &mut Hashed, row: &Row<'_>, columns: &[Column], seed: Seed) {
    for (cell, column) in row.cells.iter().zip(columns) {
        if !matches!(cell, Cell::Null) {
            hash_bytes(hasher, column.name.as_bytes());
            hash_cell(hasher, cell, &column.kind, seed);
        }
    }
    if let Some(extra) = &row.extra {
        hash_bytes(hasher, b"_extra");
        hash_json_text(hasher, extra, seed);
    }
    hasher.update(b"end");
}

fn hash_cell(hasher: &mut Hashed, cell: &Cell<'_>, kind: &Type, seed: Seed) {
    match cell {
        Cell::Null => {}
        Cell::Text(text) if *kind == Type::Json => hash_json_text(hasher, text, seed),
        Cell::Text(text) => hash_bytes(hasher, text.as_bytes()),
        Cell::Decimal(value) => hasher.update(&value.to_le_bytes()),
        Cell::Integer(value) | Cell::Timestamp(value) => hasher.update(&value.to_le_bytes()),
        Cell::Date(days) => hasher.update(&days.to_le_bytes()),
        Cell::Boolean(value) => hasher.update(&[u8::from(*value)]),
        Cell::List(rows) => {
            hasher.update(&(rows.len() as u64).to_le_bytes());
            if let Type::List(list) = kind {
                rows.iter().for_each(|row| hash_row(hasher, row, &list.columns, seed));
            }
        }
    }
}

/// Length first, so that neighbours cannot run into each other.
fn hash_bytes(hasher: &mut Hashed, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn hash_json_text(hasher: &mut Hashed, text: &str, seed: Seed) {
    match digest_json(&mut Reader::new(text), &|bytes| xxh3_128_with_seed(bytes, seed.0).to_le_bytes()) {
        Ok(digest) => hasher.update(&digest),
        // Columns hold only JSON that was checked; should one not, its text stands for itself.
        Err(_) => hash_bytes(hasher, text.as_bytes()),
    }
}

/// Digest of a JSON value, made of this hash of bytes: members in any order, numbers by value, strings by what they mean.
pub(super) fn digest_json<D: AsRef<[u8]> + Ord>(reader: &mut Reader<'_>, hash: &impl Fn(&[u8]) -> D) -> Parsed<D> {
    let kind = reader.kind()?;
    let mut hasher = Hashed(Vec::new());
    hasher.update(&[kind as u8]);
    match kind {
        Kind::Null => reader.null()?,
        Kind::Boolean => hasher.update(&[u8::from(reader.boolean()?)]),
        Kind::Number => hash_number(&mut hasher, reader.number()?.text),
        Kind::String => {
            let string = reader.string()?;
            hash_bytes(&mut hasher, string.unescape().as_deref().unwrap_or(string.raw()).as_bytes());
        }
        Kind::Array => reader.array(|reader| {
            hasher.update(digest_json(reader, hash)?.as_ref());
            Ok(())
        })?,
        Kind::Object => {
            let mut members = Vec::new();
            reader.object(|reader| {
                let key = reader.key()?;
                let name = key.unescape().map_or_else(|| key.raw().to_owned(), std::borrow::Cow::into_owned);
                members.push((name, digest_json(reader, hash)?));
                Ok(())
            })?;
            members.sort();
            for (name, digest) in members {
                hash_bytes(&mut hasher, name.as_bytes());
                hasher.update(digest.as_ref());
            }
        }
    }
    Ok(hash(&hasher.0))
}

fn hash_number(hasher: &mut Hashed, number: &str) {
    let (negative, magnitude) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let normal = Normal::of(magnitude);
    let digits: Vec<u8> = normal.digits().collect();
    hasher.update(&[u8::from(negative && !digits.is_empty())]);
    hash_bytes(hasher, &digits);
    hasher.update(&normal.exponent.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Decoder, Zone},
        schema::Schemas,
    };

    fn digest(resource: &str, text: &str) -> u64 {
        let schemas = Schemas::builtin().unwrap();
        let resource = schemas.get(resource).unwrap();
        Decoder::new(resource, Zone::UTC).decode(text.as_bytes()).unwrap().digest(resource, Seed(1))
    }

    #[test]
    fn another_way_of_writing_is_no_other_value() {
        let first = r#"{"id":"w","currency":"é","depositDetails":{"a":1.10,"b":[{"c":-0,"d":"x"}]},"new":100}"#;
        let rows = [
            r#"{ "currency":"\u00e9", "id":"w", "new":1e2, "depositDetails":{"b":[{"d":"x","c":0.0}],"a":1.1} }"#,
            r#"{"id":"w","currency":"é","depositDetails":{"a":11E-1,"b":[{"c":0,"d":"\u0078"}]},"new":100.00,"networkName":null}"#,
        ];
        for text in rows {
            assert_eq!(digest("wallets", text), digest("wallets", first), "{text}");
        }
    }

    #[test]
    fn another_value_has_another_digest() {
        let rows = [
            r#"{"id":"w","depositDetails":{"a":1,"b":[1,2]}}"#,
            r#"{"id":"w","depositDetails":{"a":1,"b":[2,1]}}"#,
            r#"{"id":"w","depositDetails":{"a":1,"b":[1,[2]]}}"#,
            r#"{"id":"w","depositDetails":{"a":1,"b":[1,"2"]}}"#,
            r#"{"id":"w","depositDetails":{"b":1,"a":[1,2]}}"#,
            r#"{"id":"w","depositDetails":{"a":-1,"b":[1,2]}}"#,
            r#"{"id":"w","depositDetails":{"a":1.0000000000000000000001,"b":[1,2]}}"#,
            r#"{"id":"w","depositDetails":"x"}"#,
            r#"{"id":"w","currency":"x"}"#,
            r#"{"id":"w","networkName":"x"}"#,
            r#"{"id":"w","networkName":""}"#,
            r#"{"id":"w","x":null}"#,
            r#"{"id":"w"}"#,
        ];
        let digests: std::collections::HashSet<_> = rows.iter().map(|text| digest("wallets", text)).collect();
        assert_eq!(digests.len(), rows.len());
    }

    #[test]
    fn absent_null_and_empty_lists_are_three_values() {
        let rows = [
            r#"{"transactionId":"t"}"#,
            r#"{"transactionId":"t","fills":null}"#,
            r#"{"transactionId":"t","fills":[]}"#,
        ];
        let digests: std::collections::HashSet<_> = rows.iter().map(|text| digest("trades", text)).collect();
        assert_eq!(digests.len(), 3);
    }

    #[test]
    fn a_key_is_hashed_alike_whatever_its_length() {
        for length in 0..200 {
            let key = "k".repeat(length);
            let bytes = [&[3, 0], key.as_bytes()].concat();
            assert_eq!(key_hash(Seed(1), (3, &key)), xxh3_128_with_seed(&bytes, 1), "{length}");
        }
    }

    #[test]
    fn keys_of_different_columns_are_different_records() {
        assert_ne!(key_hash(Seed(1), (0, "x")), key_hash(Seed(1), (1, "x")));
        assert_ne!(key_hash(Seed(1), (0, "x")), key_hash(Seed(2), (0, "x")));
    }
}
