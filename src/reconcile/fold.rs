//! Versions to records: what is made of each record once all its versions have been seen.

use std::collections::BTreeMap;

use crate::{
    decode::{Row, Stamp},
    lake::{History, LakeError},
    schema::Resource,
};

/// What is made of a resource's records.
pub(crate) trait Fold {
    /// What is kept of a record until all its versions have been seen.
    type Kept: Default + Send;

    /// The resource.
    fn resource(&self) -> &Resource;

    /// Takes the next version of a record.
    fn take(&mut self, kept: &mut Self::Kept, row: &Row<'_>, stamp: Stamp<'_>);

    /// All versions of the record have been taken.
    fn close(&mut self, key: &str, kept: Self::Kept);
}

/// The records of one partition.
pub(crate) struct Records<K>(BTreeMap<Box<str>, K>);

/// Folds the whole history, a partition at a time.
pub(super) async fn fold<F: Fold + Send>(history: &History<'_>, fold: &mut F) -> Result<(), LakeError> {
    for partition in history.partitions() {
        let mut records = Records::default();
        history.versions(partition, |row, stamp| records.take(fold, row, stamp)).await?;
        records.close(fold);
    }
    Ok(())
}

impl<K> Default for Records<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Default> Records<K> {
    /// Takes a version of a record, which has a key.
    pub(crate) fn take(&mut self, fold: &mut impl Fold<Kept = K>, row: &Row<'_>, stamp: Stamp<'_>) {
        let Some((_, key)) = row.key(fold.resource()) else { return };
        match self.0.get_mut(key) {
            Some(kept) => fold.take(kept, row, stamp),
            None => {
                let mut kept = K::default();
                fold.take(&mut kept, row, stamp);
                self.0.insert(key.into(), kept);
            }
        }
    }

    /// Closes all records, in the order of their keys.
    pub(crate) fn close(self, fold: &mut impl Fold<Kept = K>) {
        for (key, kept) in self.0 {
            fold.close(&key, kept);
        }
    }
}
