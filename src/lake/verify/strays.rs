//! What lies in a lake and is no part of it.
//!
//! Strays among the commits, in `current/` and in the quarantine are found where these are listed; here are those beside
//! the claims and caches, and the folders of no resource.

use std::collections::HashSet;

use super::{
    super::{
        Lake, LakeError,
        layout::{LAKE, PROBES, RAW, RUNS, SNAPSHOTS},
        store::Folder,
    },
    Law, Scope, Verification,
};
use crate::schema::Resource;

pub(super) async fn verify(scope: &Scope<'_>, report: &mut Verification) -> Result<(), LakeError> {
    let layout = &scope.layout;
    let is_part =
        |key: &str| layout.parse_claim(key).is_some() || key == layout.state() || key == layout.current_index();
    for object in scope.lake.store.list(&format!("meta/{}", layout.resource())).await? {
        if !is_part(&object.key) {
            report.find(Law::Strays, &object.key, "is no claim and no cache");
        }
    }
    Ok(())
}

impl Lake {
    /// Finds what lies beside the folders of `resources`, which are all there are. `meta/lake.json` is held to nothing here:
    /// it was read to open the lake. Neither is the history of runs, which says nothing of records.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn verify_folders(&self, resources: &[Resource], report: &mut Verification) -> Result<(), LakeError> {
        let names: HashSet<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
        let tables: HashSet<String> = resources.iter().flat_map(Resource::tables).map(|table| table.name).collect();
        let mut undescribed = HashSet::new();
        for tree in ["meta", "changes", "current", "quarantine", SNAPSHOTS, RAW] {
            let Folder { folders, objects } = self.store.folder(tree).await?;
            for object in objects.iter().filter(|object| ![LAKE, RUNS].contains(&object.as_str())) {
                report.find(Law::Strays, object, "belongs to no resource");
            }
            for folder in folders.iter().filter(|folder| *folder != PROBES) {
                let name = folder.rsplit('/').next().unwrap_or_default();
                let is_known = if tree == "current" { tables.contains(name) } else { names.contains(name) };
                let objects = if is_known { 0 } else { self.store.list(folder).await?.len() };
                if objects == 0 {
                    continue;
                }
                if tree == "meta" && !self.store.list(&format!("{folder}/log")).await?.is_empty() {
                    undescribed.insert(name.to_owned());
                    report.note(folder, "is of a resource that the schemas do not describe, and was not looked at");
                } else if !undescribed.contains(name) && (tree != "current" || undescribed.is_empty()) {
                    report.find(Law::Strays, folder, format!("belongs to no resource; it holds {objects} objects"));
                }
            }
        }
        Ok(())
    }
}
