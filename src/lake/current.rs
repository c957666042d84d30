//! The projection `current/`: one row a record, for readers.
//!
//! It can be rebuilt from `changes/` at any time, and rebuilds itself: its index (`meta/<resource>/current.json`) says which
//! commits it reflects and what its objects look like. A partition that has been committed to since, or whose object is
//! not the one in the index, is folded anew and replaced whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    FORMAT, Head, Lake, LakeError, draft::spool_error, fold::Fold, layout::Layout, parquet_file::Writer, spool::Spool,
    store::Listed,
};
use crate::{
    decode::flatten,
    schema::{EventPartition, Resource, Table, TableRows},
};

/// Key in the footer of a projection's object.
const PROJECTION_KEY: &str = "lumetrade.projection";

/// Projects the commits of one resource.
pub struct Projection<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    layout: Layout,
    tables: Vec<Table>,
    spool: PathBuf,
}

/// Which commits are reflected, and by which objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    format: u32,
    seq: u64,
    sha256: Option<String>,
    schema: String,
    /// By key.
    objects: BTreeMap<String, Object>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    rows: u64,
    size: u64,
    etag: Option<String>,
    sha256: String,
}

impl<'a> Projection<'a> {
    /// The projection of `resource`, with a folder for temporary files.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &'a Resource, spool: &Path) -> Self {
        let layout = Layout::new(resource, lake.identity.granularity);
        Self { lake, resource, layout, tables: resource.tables(), spool: spool.to_owned() }
    }

    /// Makes `current/` reflect every commit up to `head`. Writes nothing if it does already.
    ///
    /// # Errors
    ///
    /// If a commit cannot be read or an object not be written. What is there then is a mixture of partitions as they were
    /// and as they are, and the next run finds and mends it.
    pub async fn advance(&self, head: &Head) -> Result<(), LakeError> {
        let mut index = self.load_index().await?;
        let usable = index.format == FORMAT && index.schema == self.resource.fingerprint() && index.seq <= head.seq;
        if !usable || (index.seq == head.seq && index.sha256 != head.sha256) {
            index = Index::default();
        }
        let there = self.list_objects().await?;
        let damaged = self.damaged(&index, &there);
        if index.seq == head.seq && damaged.is_empty() {
            return Ok(());
        }
        let commits = self.commits(head).await?;
        let stale = commits.iter().filter(|(_, seqs)| seqs.keys().next_back().is_some_and(|last| *last > index.seq));
        let partitions: BTreeSet<EventPartition> =
            stale.map(|(partition, _)| *partition).chain(damaged.iter().copied()).collect();
        for partition in partitions {
            let Some(seqs) = commits.get(&partition) else { continue };
            let base = (!damaged.contains(&partition)).then_some(index.seq).filter(|seq| *seq > 0);
            self.project(partition, seqs, base, &mut index).await?;
        }
        index = Index {
            format: FORMAT,
            seq: head.seq,
            sha256: head.sha256.clone(),
            schema: self.resource.fingerprint(),
            objects: index.objects,
        };
        self.save_index(&index).await
    }

    async fn load_index(&self) -> Result<Index, LakeError> {
        let bytes = self.lake.store.get(&self.layout.current_index()).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    async fn save_index(&self, index: &Index) -> Result<(), LakeError> {
        let key = self.layout.current_index();
        let bytes = serde_json::to_vec(index).map_err(|error| LakeError::io("write", &key, error))?;
        self.lake.store.replace(&key, bytes.into()).await.map(drop)
    }

    async fn list_objects(&self) -> Result<BTreeMap<String, Listed>, LakeError> {
        let mut objects = BTreeMap::new();
        for table in &self.tables {
            let listed = self.lake.store.list(&format!("current/{}", table.name)).await?;
            objects.extend(listed.into_iter().map(|object| (object.key.clone(), object)));
        }
        Ok(objects)
    }

    /// Partitions of which an object in the index is missing or another one.
    fn damaged(&self, index: &Index, there: &BTreeMap<String, Listed>) -> BTreeSet<EventPartition> {
        let other = |key: &String, object: &Object| {
            there.get(key).is_none_or(|found| found.size != object.size || found.etag != object.etag)
        };
        let keys = index.objects.iter().filter(|(key, object)| other(key, object)).map(|(key, _)| key);
        keys.filter_map(|key| self.partition_of(key)).collect()
    }

    fn partition_of(&self, key: &str) -> Option<EventPartition> {
        match self.layout.granularity().column() {
            None => Some(EventPartition::default()),
            Some(_) => self.layout.granularity().parse_folder(key.rsplit('/').nth(1)?),
        }
    }

    /// Keys of the commits up to the head, by partition and number.
    async fn commits(&self, head: &Head) -> Result<BTreeMap<EventPartition, BTreeMap<u64, String>>, LakeError> {
        let mut commits: BTreeMap<EventPartition, BTreeMap<u64, String>> = BTreeMap::new();
        for listed in self.lake.store.list(&self.layout.changes()).await? {
            match self.layout.parse_commit(&listed.key) {
                Some((partition, seq)) if seq <= head.seq => {
                    commits.entry(partition).or_default().insert(seq, listed.key);
                }
                _ => {}
            }
        }
        Ok(commits)
    }

    /// Folds one partition: what is projected already, if it can be relied upon, and the commits since; else all commits.
    async fn project(
        &self,
        partition: EventPartition,
        commits: &BTreeMap<u64, String>,
        base: Option<u64>,
        index: &mut Index,
    ) -> Result<(), LakeError> {
        let own = self.layout.current(&self.resource.name, partition);
        let base = base.filter(|_| index.objects.contains_key(&own));
        let since = commits.range(base.map_or(0, |seq| seq + 1)..).map(|(_, key)| key.clone()).collect();
        let fold = Fold::of(self.lake, self.resource, &self.spool, base.map(|_| own), since, None).await?;
        let spool = Spool::new(&self.spool).map_err(|error| spool_error(&error))?;
        let mut writers = self
            .tables
            .iter()
            .map(|table| Writer::new(table.schema.clone(), spool.begin()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| spool_error(&error))?;
        fold.present_rows(|rows| {
            self.tables.iter().zip(&mut writers).try_for_each(|(table, writer)| match table.rows {
                TableRows::Records => writer.write(&rows),
                TableRows::Elements(list) => writer.write(&flatten(&rows, self.resource, list, &table.schema)?),
            })
        })
        .await?;
        for (table, writer) in self.tables.iter().zip(writers) {
            let key = self.layout.current(&table.name, partition);
            let object = self.replace(&key, writer).await?;
            index.objects.insert(key, object);
        }
        Ok(())
    }

    async fn replace(&self, key: &str, writer: Writer) -> Result<Object, LakeError> {
        let about = format!("{{\"format\":{FORMAT},\"lake\":\"{}\"}}", self.lake.identity.id);
        let written = writer.close(PROJECTION_KEY, about).map_err(|error| spool_error(&error))?;
        let etag = self.lake.store.replace_from(key, written.content, written.size).await?;
        Ok(Object { rows: written.rows, size: written.size, etag, sha256: written.sha256 })
    }
}
