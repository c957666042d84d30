//! The rows of a list's flat table, by the records they belong to.
//!
//! Two tables hold the same rows, in whatever order, if for each record they have as many rows and the sums of their
//! hashes are equal. So what is held in memory is a few bytes a record of one partition.

use std::collections::{BTreeSet, HashMap};

use arrow_array::{Array, RecordBatch, cast::AsArray};
use xxhash_rust::xxh3::Xxh3;

use super::{Scope, commit::without_columns};
use crate::{
    decode::{Row, Stamp, key_hash},
    schema::{Resource, Table, declared_columns},
};

/// Rows of a flat table: for each record how many, and the sum of their hashes.
#[derive(Default)]
pub(super) struct Elements {
    by_record: HashMap<u128, (u64, u64)>,
}

impl Elements {
    /// Adds rows of the flat table.
    pub(super) fn add(&mut self, scope: &Scope<'_>, table: &Table, rows: &RecordBatch) {
        let (seed, resource) = (scope.lake.seed, scope.resource);
        let Some(columns) = declared_columns(&table.schema) else { return };
        let flat = Resource { columns, ..without_columns(resource) };
        let parents = rows.column(0).as_string::<i32>();
        for index in 0..rows.num_rows() {
            let parent = if parents.is_valid(index) { parents.value(index) } else { "" };
            let mut hasher = Xxh3::with_seed(seed.0);
            hasher.update(&Row::read(rows, index, &flat).digest(&flat, seed).to_le_bytes());
            if let Some(stamp) = Stamp::read(rows, index) {
                let numbers = [stamp.seq, stamp.observed_at, stamp.first_seen_at];
                numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
                hasher.update(stamp.operation.name().as_bytes());
                hasher.update(stamp.poll_id.as_bytes());
            }
            let (count, sum) = self.by_record.entry(key_hash(seed, (resource.key[0], parent))).or_default();
            (*count, *sum) = (*count + 1, sum.wrapping_add(hasher.digest()));
        }
    }

    /// Records whose rows differ, by the hash of their key.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<u128> {
        let keys = self.by_record.keys().chain(other.by_record.keys()).copied();
        keys.filter(|key| self.by_record.get(key) != other.by_record.get(key)).collect()
    }
}
