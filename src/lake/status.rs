//! What the lake says of a resource, without writing anything.

use serde::Serialize;

use super::{Cursor, Lake, LakeError, Log, layout::Layout};
use crate::schema::Resource;

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
