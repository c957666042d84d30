//! What the commits up to a head come to, by themselves: no cache is asked.
//!
//! In: the claims, which name every commit. Out: what is known of each record, folded from the rows; then, of the records that
//! are asked for, the last versions, a batch at a time. In memory are some 80 bytes a record while they are folded, some 100 a
//! record that is asked for, and no rows but those of a batch.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use arrow_array::RecordBatch;

use super::{
    Head, Lake, LakeError,
    commits::{CommitObject, commits_up_to},
    fold::Fold,
    layout::Layout,
    state::fold_in,
};
use crate::{
    diff::{Known, KnownMap},
    schema::{EventPartition, Resource},
};

/// The commits of a resource.
pub struct Truth<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    spool: PathBuf,
    commits: Vec<CommitObject>,
}

impl<'a> Truth<'a> {
    /// The commits up to `head`. `spool` is a folder for temporary files.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if a number is not claimed once, and whatever the store fails with.
    pub async fn up_to(
        head: &Head,
        lake: &'a Lake,
        resource: &'a Resource,
        spool: &Path,
    ) -> Result<Truth<'a>, LakeError> {
        let layout = Layout::new(resource, lake.identity.granularity);
        let commits = commits_up_to(lake, &layout, head).await?;
        Ok(Self { lake, resource, spool: spool.to_owned(), commits })
    }

    /// The same, of the records of these partitions alone.
    #[must_use]
    pub fn of_partitions(mut self, partitions: &HashSet<EventPartition>) -> Self {
        self.commits.retain(|commit| partitions.contains(&commit.partition));
        self
    }

    /// What is known of the records.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if a commit is missing or unreadable, and whatever the store fails with.
    pub async fn known(&self) -> Result<Known, LakeError> {
        let mut known = KnownMap::default();
        fold_in(&mut known, self.lake, self.resource, &self.commits, &self.spool).await?;
        known.into_known(&self.spool).map_err(|error| LakeError::spool(&error))
    }

    /// Calls `each` with the last versions of the records whose key hash is in `wanted`, in batches, but for those that have
    /// gone.
    ///
    /// # Errors
    ///
    /// As [`known`](Self::known), and with what `each` fails with.
    pub async fn last_rows(
        &self,
        wanted: &HashSet<u128>,
        each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let keys = self.commits.iter().map(|commit| commit.key.clone()).collect();
        let fold = Fold::of(self.lake, self.resource, &self.spool, Vec::new(), keys, Some(wanted)).await?;
        fold.present_rows(each).await
    }
}
