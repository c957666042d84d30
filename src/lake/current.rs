//! The projection `current/`: one row a record, for readers.
//!
//! It can be rebuilt from `changes/` at any time, and rebuilds itself: its index (`meta/<resource>/current.json`) says which
//! commits it reflects and what its objects look like. A partition that has been committed to since, or whose object is
//! not the one in the index, is folded anew and replaced whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OnceCell};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    FORMAT, Head, Lake, LakeError, Log, Replacement, Sealed, claim,
    commits::{CommitObject, commits_between, commits_up_to},
    defect::{Defect, has},
    encoder::Encoder,
    fold::{Fold, Input},
    layout::Layout,
    parquet_file::{self, Content, Writer, Written},
    spool::Spool,
    store::Listed,
};
use crate::schema::{EventPartition, Resource, Table, TableRows};

/// Objects up to this size are replaced in one request, which can have a condition.
const CONDITIONAL_BYTES_MAX: u64 = 64 << 20;
/// Partitions that are folded and sent at once: while one waits for the store, the others go on.
const PROJECTED_AT_ONCE: usize = 4;
/// Times that other runs' projecting is looked at again before the rest is left to the next sync.
const OVERTAKEN_MAX: u32 = 8;

/// Key in the footer of a projection's object.
const PROJECTION_KEY: &str = "lumetrade.projection";

/// Projects the commits of one resource.
pub struct Projection<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    layout: Layout,
    tables: Vec<Table>,
    /// Held by the partition that is being encoded: one at a time takes up memory, while others are read or sent.
    encoding: Mutex<()>,
    spool: PathBuf,
}

/// Which commits are reflected, and by which objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    pub format: u32,
    pub seq: u64,
    pub sha256: Option<String>,
    pub schema: String,
    /// By key.
    pub objects: BTreeMap<String, Object>,
    /// Of all of the above, XXH3 in hex. An index that has rotten, or has none, is made anew.
    #[serde(default)]
    checksum: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub size: u64,
    pub etag: Option<String>,
    pub sha256: String,
}

/// What partitions are projected from.
struct Basis<'b> {
    head: &'b Head,
    index: &'b Index,
    /// Partitions whose objects are not those in the index.
    damaged: &'b BTreeSet<EventPartition>,
    /// The commits since the index.
    since: Vec<CommitObject>,
    /// All commits; read only if a partition has to be made anew from its first one on.
    all: OnceCell<Vec<CommitObject>>,
    /// The objects that a listing shows.
    there: &'b BTreeMap<String, Listed>,
    twins: &'b Twins,
}

/// What an attempt to project came to.
enum Reflected {
    /// Everything is as it should be already, or further.
    Already,
    Written,
    /// Another run has replaced something since we looked.
    Overtaken,
}

/// Closes a file of a projection.
pub(super) fn close(writer: Writer, lake: &str) -> Result<Written, LakeError> {
    writer.close(PROJECTION_KEY, about(lake)).map_err(|error| LakeError::spool(&error))
}

/// What the footer of a projection's object says.
fn about(lake: &str) -> String {
    format!("{{\"format\":{FORMAT},\"lake\":\"{lake}\"}}")
}

/// Objects that are in the log as they were encoded, with the tables of their lists: what `current/` shows of a partition
/// that has no other commit. By key.
#[derive(Debug, Default)]
pub struct Twins(BTreeMap<String, Vec<Written>>);

impl Twins {
    /// Takes an object that was committed.
    pub fn add(&mut self, committed: Sealed, resource: &Resource) {
        let files: Vec<Written> = std::iter::once(committed.written).chain(committed.lists).collect();
        if files.len() == resource.tables().len() {
            self.0.insert(committed.object.key, files);
        }
    }

    /// Those of these commits, if they are all of one diff, which has no record twice.
    fn of(&self, commits: &[CommitObject]) -> Option<Vec<&[Written]>> {
        let diff = commits.first()?.claim;
        commits
            .iter()
            .map(|commit| self.0.get(&commit.key).filter(|_| commit.claim == diff).map(Vec::as_slice))
            .collect()
    }
}

impl Index {
    /// The index in a file's bytes, or why it is not to be believed.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(bytes).map_err(|error| format!("is no index: {error}"))?;
        let whole = index.checksum == index.sum().map_err(|error| error.to_string())?;
        if whole { Ok(index) } else { Err("has rotten: its checksum is another".to_owned()) }
    }

    pub(super) fn write(mut self) -> Result<Bytes, serde_json::Error> {
        self.checksum = self.sum()?;
        serde_json::to_vec(&self).map(Bytes::from)
    }

    fn sum(&self) -> Result<String, serde_json::Error> {
        let unsummed = serde_json::to_vec(&Self { checksum: String::new(), ..self.clone() })?;
        Ok(hex::encode(xxh3_128(&unsummed).to_be_bytes()))
    }

    fn reflects(&self, head: &Head, schema: &str) -> bool {
        (self.format, self.seq, &self.sha256, self.schema.as_str()) == (FORMAT, head.seq, &head.sha256, schema)
    }
}

impl<'a> Projection<'a> {
    /// The projection of `resource`, with a folder for temporary files.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &'a Resource, spool: &Path) -> Self {
        let layout = Layout::new(resource, lake.identity.granularity);
        Self { lake, resource, layout, tables: resource.tables(), encoding: Mutex::default(), spool: spool.to_owned() }
    }

    /// Makes `current/` reflect every commit up to `head`, and whatever other runs commit meanwhile. Writes nothing if it
    /// does already, or if another run is further.
    ///
    /// The log is read again *after* the last write. So if another run has committed since, either we see it here and
    /// project once more, or it commits later, lists what we have written, and finds it to be other than its index says.
    ///
    /// # Errors
    ///
    /// If a commit cannot be read or an object not be written. What is there then is a mixture of partitions as they were
    /// and as they are, and the next run finds and mends it.
    pub async fn advance(&self, log: &Log<'_>, head: &Head, twins: &Twins) -> Result<(), LakeError> {
        let mut head = head.clone();
        let mut overtaken = 0;
        loop {
            match self.reflect(&head, twins).await? {
                Reflected::Already => return Ok(()),
                Reflected::Written => {
                    let latest = log.head_since(&head).await?;
                    if latest.seq == head.seq || has(Defect::ProjectsWithoutASecondLook) {
                        return Ok(());
                    }
                    head = latest;
                }
                Reflected::Overtaken if overtaken == OVERTAKEN_MAX => {
                    tracing::warn!(
                        resource = self.resource.name,
                        "other runs are projecting; the next sync mends the rest"
                    );
                    return Ok(());
                }
                Reflected::Overtaken => {
                    overtaken += 1;
                    head = log.head_since(&head).await?;
                }
            }
        }
    }

    /// Projects up to `head`.
    async fn reflect(&self, head: &Head, twins: &Twins) -> Result<Reflected, LakeError> {
        let (index, _) = self.load_index().await?;
        if self.is_ahead(&index, head).await? {
            return Ok(Reflected::Already);
        }
        let there = self.list_objects().await?;
        if index.reflects(head, &self.resource.fingerprint()) && self.damaged(&index, &there).is_empty() {
            return Ok(Reflected::Already);
        }
        let (mut index, since) = match self.commits_since(&index, head).await? {
            Some(since) => (index, since),
            None => (Index::default(), commits_up_to(self.lake, &self.layout, head).await?),
        };
        let damaged = self.damaged(&index, &there);
        let stale: BTreeSet<EventPartition> =
            since.iter().map(|commit| commit.partition).chain(damaged.iter().copied()).collect();
        let basis = Basis { head, index: &index, damaged: &damaged, since, all: OnceCell::new(), there: &there, twins };
        let Some(projected) = self.project_all(&stale, basis).await? else { return Ok(Reflected::Overtaken) };
        index.objects.extend(projected);
        self.warn_of_strays(&index, &there);
        let (found, etag) = self.load_index().await?;
        if self.is_ahead(&found, head).await? {
            return Ok(Reflected::Overtaken);
        }
        let schema = self.resource.fingerprint();
        let (seq, sha256) = (head.seq, head.sha256.clone());
        let index = Index { format: FORMAT, seq, sha256, schema, ..index };
        self.save_index(index, etag.as_deref()).await
    }

    /// Whether another run has projected a commit that there really is, beyond `head`.
    async fn is_ahead(&self, index: &Index, head: &Head) -> Result<bool, LakeError> {
        if index.seq <= head.seq {
            return Ok(false);
        }
        Ok(claim::of_number(self.lake, &self.layout, index.seq, head.seq).await?.is_some())
    }

    /// The commits that the index does not reflect; `None` if what it reflects is no beginning of the log as it is, in the
    /// form of the schema as it is.
    async fn commits_since(&self, index: &Index, head: &Head) -> Result<Option<Vec<CommitObject>>, LakeError> {
        if index.format != FORMAT || index.schema != self.resource.fingerprint() {
            return Ok(None);
        }
        commits_between(self.lake, &self.layout, (index.seq, index.sha256.as_deref()), head).await
    }

    /// The index and its ETag; an empty one if there is none to be believed.
    async fn load_index(&self) -> Result<(Index, Option<String>), LakeError> {
        let Some((bytes, etag)) = self.lake.store.get_with_etag(&self.layout.current_index()).await? else {
            return Ok((Index::default(), None));
        };
        Ok((Index::read(&bytes).unwrap_or_default(), etag))
    }

    async fn save_index(&self, index: Index, seen: Option<&str>) -> Result<Reflected, LakeError> {
        let key = self.layout.current_index();
        let bytes = index.write().map_err(|error| LakeError::io("write", &key, error))?;
        if !self.replaces_on_condition() {
            return self.lake.store.replace(&key, bytes).await.map(|_| Reflected::Written);
        }
        self.lake.store.replace_if(&key, bytes, seen).await.map(|replacement| match replacement {
            Replacement::Done(_) => Reflected::Written,
            Replacement::Outdated => Reflected::Overtaken,
        })
    }

    fn replaces_on_condition(&self) -> bool {
        self.lake.identity.probe.as_ref().is_some_and(|probe| probe.conditional_replace)
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
            !has(Defect::IgnoresDamagedProjections)
                && there.get(key).is_none_or(|found| found.size != object.size || found.etag != object.etag)
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

    /// What is projected of a partition, if its bytes are those that the index vouches for.
    async fn intact_base(&self, partition: EventPartition, index: &Index) -> Result<Option<(String, File)>, LakeError> {
        let key = self.layout.current(&self.resource.name, partition);
        let Some(object) = index.objects.get(&key) else { return Ok(None) };
        let Some(mut file) = self.lake.store.download(&key, &self.spool).await? else { return Ok(None) };
        let sha256 = parquet_file::sha256_of_file(&mut file).map_err(|error| LakeError::spool(&error))?;
        Ok((sha256 == object.sha256 || has(Defect::BuildsOnUncheckedBase)).then_some((key, file)))
    }

    /// Objects that no commit backs are read by whoever globs the table. They are not ours to delete.
    fn warn_of_strays(&self, index: &Index, there: &BTreeMap<String, Listed>) {
        for key in there.keys().filter(|key| !index.objects.contains_key(*key)) {
            tracing::warn!(key, "a stray object in the projection: remove it, readers count its rows");
        }
    }

    /// Projects partitions, and returns their objects; `None` if another run has replaced one that was there.
    async fn project_all(
        &self,
        partitions: &BTreeSet<EventPartition>,
        basis: Basis<'_>,
    ) -> Result<Option<BTreeMap<String, Object>>, LakeError> {
        let projections: Vec<_> = partitions.iter().map(|partition| self.project(*partition, &basis)).collect();
        let mut projections = stream::iter(projections).buffer_unordered(PROJECTED_AT_ONCE);
        let mut projected = BTreeMap::new();
        while let Some(objects) = projections.try_next().await? {
            let Some(objects) = objects else { return Ok(None) };
            projected.extend(objects);
        }
        Ok(Some(projected))
    }

    /// Folds one partition: what is projected already, where that can be relied upon, and the commits since. Returns its
    /// objects; `None` if another run has replaced one that was there.
    async fn project(
        &self,
        partition: EventPartition,
        basis: &Basis<'_>,
    ) -> Result<Option<BTreeMap<String, Object>>, LakeError> {
        let Basis { index, there, twins, .. } = basis;
        let base = match basis.damaged.contains(&partition) {
            true => None,
            false => self.intact_base(partition, index).await?,
        };
        let is_in_index = index.objects.contains_key(&self.layout.current(&self.resource.name, partition));
        let commits = match base.is_some() || !is_in_index {
            true => &basis.since,
            false => basis.all.get_or_try_init(|| commits_up_to(self.lake, &self.layout, basis.head)).await?,
        };
        let commits: Vec<_> = commits.iter().filter(|commit| commit.partition == partition).cloned().collect();
        let spool = Spool::new(&self.spool).map_err(|error| LakeError::spool(&error))?;
        let folded = match (&base, commits.as_slice(), twins.of(&commits)) {
            (None, _, Some(twins)) => Some(self.join(twins, &spool).await?),
            (None, [only], None) => self.take_over(only, &spool).await?,
            _ => None,
        };
        let folded = match folded {
            Some(folded) => folded,
            None => self.fold(base, commits, &spool).await?,
        };
        let mut objects = BTreeMap::new();
        for (table, written) in self.tables.iter().zip(folded) {
            let key = self.layout.current(&table.name, partition);
            let seen = there.get(&key).and_then(|object| object.etag.as_deref());
            let Some(object) = self.replace(&key, written, seen).await? else { return Ok(None) };
            objects.insert(key, object);
        }
        Ok(Some(objects))
    }

    /// What the tables hold of these commits.
    async fn fold(
        &self,
        base: Option<(String, File)>,
        mut commits: Vec<CommitObject>,
        spool: &Spool,
    ) -> Result<Vec<Written>, LakeError> {
        let base = match base {
            Some((key, file)) => vec![Input { key, kept: Some(file) }],
            // Nothing was removed before there was anything.
            None => {
                let first = commits.first().map(|first| first.claim);
                let later = commits.iter().position(|commit| Some(commit.claim) != first).unwrap_or(commits.len());
                commits.drain(..later).map(|commit| Input { key: commit.key, kept: None }).collect()
            }
        };
        let commits = commits.into_iter().map(|commit| commit.key).collect();
        let fold = Fold::of(self.lake, self.resource, &self.spool, base, commits, None).await?;
        let _encoding = self.encoding.lock().await;
        let encoder = self.encode(self.tables.clone(), spool)?;
        fold.present_rows(|rows| {
            encoder.write(0, rows);
            Ok(())
        })
        .await?;
        self.close(encoder)
    }

    /// What the tables hold where each of these is a part of them: a file of each table.
    async fn join(&self, parts: Vec<&[Written]>, spool: &Spool) -> Result<Vec<Written>, LakeError> {
        if let [only] = parts.as_slice() {
            return Ok(only.to_vec());
        }
        let _encoding = self.encoding.lock().await;
        let tables = self.tables.iter().enumerate().map(|(number, table)| {
            let parts: Vec<_> = parts.iter().map(|files| files[number].content.clone()).collect();
            let entry = (PROJECTION_KEY, about(&self.lake.identity.id));
            parquet_file::join(&parts, table.schema.clone(), spool.begin(), entry)
        });
        tables.collect::<Result<_, _>>().map_err(|error| LakeError::spool(&error))
    }

    /// The same of a partition's only commit: its rows are all there is, so that its object can stand in both layers. `None`
    /// if it was written with other columns, or has not the bytes that were claimed.
    async fn take_over(&self, commit: &CommitObject, spool: &Spool) -> Result<Option<Vec<Written>>, LakeError> {
        let CommitObject { key, sha256, .. } = commit;
        let object = self.lake.store.fetch(key, &self.spool).await?;
        let io = |source| LakeError::io("read the copy of", key, source);
        let content = Content::open(key, object.try_clone().map_err(io)?)?;
        if content.schema().fields() != self.resource.arrow_schema().fields() {
            return Ok(None);
        }
        let (records, lists) = self.tables.split_at(1);
        debug_assert_eq!(records[0].rows, TableRows::Records);
        let object = parquet_file::as_it_is(object).map_err(io)?;
        if object.sha256 != *sha256 {
            return Ok(None);
        }
        let mut written = vec![object];
        let _encoding = self.encoding.lock().await;
        if !lists.is_empty() {
            let encoder = self.encode(lists.to_vec(), spool)?;
            for rows in content.batches(None)? {
                encoder.write(0, rows?);
            }
            written.extend(self.close(encoder)?);
        }
        Ok(Some(written))
    }

    /// Encodes rows of one object beside the reading of those that follow.
    fn encode(&self, tables: Vec<Table>, spool: &Spool) -> Result<Encoder, LakeError> {
        let encoder = Encoder::start(self.resource.clone(), tables, spool.clone())?;
        encoder.begin();
        Ok(encoder)
    }

    fn close(&self, encoder: Encoder) -> Result<Vec<Written>, LakeError> {
        let files = encoder.finish()?.into_iter().flatten();
        files.map(|file| close(file, &self.lake.identity.id)).collect()
    }

    /// Replaces an object, where the store can only if it is still the one that was `seen`.
    async fn replace(&self, key: &str, written: Written, seen: Option<&str>) -> Result<Option<Object>, LakeError> {
        let replacement = if self.replaces_on_condition() && written.size <= CONDITIONAL_BYTES_MAX {
            let held = self.lake.store.hold(key, written.content, written.size).await?;
            self.lake.store.replace_if(key, held.bytes.clone(), seen).await?
        } else {
            Replacement::Done(self.lake.store.replace_from(key, written.content, written.size).await?)
        };
        Ok(match replacement {
            Replacement::Done(etag) => Some(Object { size: written.size, etag, sha256: written.sha256 }),
            Replacement::Outdated => None,
        })
    }
}
