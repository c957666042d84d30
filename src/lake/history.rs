//! All versions of a resource's records as of its head, for whoever makes something of them.
//!
//! In: the truth, commit by commit, as the claims have it. Out: typed rows with their stamps, partition by partition, and of one
//! partition in the order of the commits. All versions of a record lie in one partition, so nobody has to hold more than a
//! partition's records; here, a few rows are held.
//!
//! What another run commits meanwhile is not looked at. Whether bytes are those that were committed, `verify` tells.

use std::{collections::BTreeMap, path::Path};

use futures::{StreamExt, TryStreamExt, stream};

use super::{Head, Lake, LakeError, Log, commits::commits_up_to, fold::conform, layout::Layout, parquet_file};
use crate::{
    decode::{Row, Stamp},
    schema::{EventPartition, Resource},
};

/// Objects that are fetched before they are read: they may be many, small and far away.
const FETCHED_AHEAD: usize = 8;

/// The versions of one resource's records, up to the head that it had when it was opened.
pub struct History<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    spool: &'a Path,
    head: Head,
    commits: BTreeMap<EventPartition, Vec<String>>,
}

impl<'a> History<'a> {
    /// Finds the head and the commits up to it. `spool` is a folder for temporary files. Nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Log::head`].
    pub async fn open(lake: &'a Lake, resource: &'a Resource, spool: &'a Path) -> Result<Self, LakeError> {
        let head = Log::new(lake, resource).head().await?;
        let layout = Layout::new(resource, lake.identity.granularity);
        let mut commits: BTreeMap<EventPartition, Vec<String>> = BTreeMap::new();
        for commit in commits_up_to(lake, &layout, &head).await? {
            commits.entry(commit.partition).or_default().push(commit.key);
        }
        Ok(Self { lake, resource, spool, head, commits })
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &'a Resource {
        self.resource
    }

    /// The last commit that is looked at.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The partitions that have commits, in their order.
    pub fn partitions(&self) -> impl Iterator<Item = EventPartition> {
        self.commits.keys().copied()
    }

    /// Calls `each` with every version of the partition's records, none of which is without a key, in the order of their
    /// commits, in the columns of the schema as it is: one that an object lacks is null.
    ///
    /// # Errors
    ///
    /// If an object cannot be read, is not what a commit is, or has a column of another type than the schema.
    pub async fn versions(
        &self,
        partition: EventPartition,
        mut each: impl FnMut(&Row<'_>, Stamp<'_>),
    ) -> Result<(), LakeError> {
        let keys = self.commits.get(&partition).cloned().unwrap_or_default();
        let fetch = |key: String| async move {
            let file = self.lake.store.fetch(&key, self.spool).await?;
            Ok::<_, LakeError>((key, file))
        };
        let schema = self.resource.arrow_schema();
        let mut files = stream::iter(keys).map(fetch).buffered(FETCHED_AHEAD);
        while let Some((key, file)) = files.try_next().await? {
            for batch in parquet_file::read_batches(&key, file, None)? {
                let batch = conform(&batch?, &schema, self.resource)?;
                for index in 0..batch.num_rows() {
                    let stamp = Stamp::read(&batch, index)
                        .ok_or_else(|| LakeError::damaged(&key, "holds a row without its system columns"))?;
                    let row = Row::read(&batch, index, self.resource);
                    if row.key(self.resource).is_none() {
                        return Err(LakeError::damaged(&key, "holds a row without a key"));
                    }
                    each(&row, stamp);
                }
            }
        }
        Ok(())
    }
}
