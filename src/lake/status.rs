//! What the lake says of a resource, without writing anything.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Cursor, Lake, LakeError, Log, layout::Layout};
use crate::schema::{Resource, Table};

/// How far a resource has come, and what it takes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceStatus {
    /// The resource.
    pub resource: String,
    /// Number of the last commit; 0 if there is none.
    pub head: u64,
    /// The cursor in that commit.
    #[serde(flatten)]
    pub cursor: Option<Cursor>,
    /// Commits in `changes/`.
    pub objects: u64,
    /// Their size.
    pub bytes: u64,
}

impl Lake {
    /// The folders below `changes/` and `current/` that hold a file of one of these resources, as in `changes/trades` and
    /// `changes/trades/event_month=2026-05`.
    ///
    /// # Errors
    ///
    /// [`LakeError::Io`] or [`LakeError::Denied`] if the lake cannot be listed.
    pub async fn folders(&self, resources: &[Resource]) -> Result<BTreeSet<String>, LakeError> {
        let mut folders = BTreeSet::new();
        for resource in resources {
            let layout = Layout::new(resource, self.identity.granularity);
            let mut keys = self.store.list(&layout.changes()).await?;
            keys.retain(|object| layout.parse_commit(&object.key).is_some());
            for Table { name, .. } in resource.tables() {
                let current = self.store.list(&format!("current/{name}")).await?;
                keys.extend(current.into_iter().filter(|object| layout.parse_current(&name, &object.key).is_some()));
            }
            // The layer, the table and, where there are partitions, theirs.
            let each =
                keys.iter().flat_map(|object| object.key.match_indices('/').skip(1).map(|(at, _)| &object.key[..at]));
            folders.extend(each.map(str::to_owned));
        }
        Ok(folders)
    }

    /// The status of one resource.
    ///
    /// # Errors
    ///
    /// As [`Log::head`].
    pub async fn status(&self, resource: &Resource) -> Result<ResourceStatus, LakeError> {
        let layout = Layout::new(resource, self.identity.granularity);
        let head = Log::new(self, resource).head().await?;
        let mut commits = self.store.list(&layout.changes()).await?;
        commits.retain(|object| layout.parse_commit(&object.key).is_some_and(|(_, seq)| seq > 0));
        Ok(ResourceStatus {
            resource: resource.name.clone(),
            head: head.seq,
            cursor: head.cursor,
            objects: commits.len() as u64,
            bytes: commits.iter().map(|commit| commit.size).sum(),
        })
    }
}
