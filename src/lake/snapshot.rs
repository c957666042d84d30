//! Snapshots: the log once more in fewer, larger objects, for those who read all versions of a table.
//!
//! In: the commits that no snapshot has yet, up to the head. Out: objects below `snapshots/<resource>/`, each with all rows of a
//! run of commits and named by the number of the first of them; the next begins behind its last. Nothing in `changes/` is
//! touched. A snapshot is created once and never overwritten, so a run that is killed leaves whole snapshots, and of two
//! runs that begin one at the same number one wins: no row is ever in two of them.
//!
//! ```text
//! changes/    1 2 3 4 5 6 7 8 9        the truth
//! snapshots/  └── 1 ──┘ └ 5 ┘          rows up to number 7; readers take 8 and 9 from `changes/`
//! ```
//!
//! Rows are as in the commits, with the partition as a column of text, and lie by partition and then by commit, so that a
//! reader that looks for a partition passes over the row groups of others. Columns are those declared and, behind them,
//! whatever else the commits have.
//!
//! Each commit is held to its claim before it is copied. Whether snapshots are what they should be, `verify` tells.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::{
    errors::ParquetError,
    file::{FOOTER_SIZE, reader::ChunkReader},
};
use serde::{Deserialize, Serialize};

use super::{
    CommitKind, Creation, FORMAT, Head, Lake, LakeError, Log,
    commits::{CommitObject, commit_of, commits_from, footer_entry},
    fold::conform,
    footer::COMMIT_KEY,
    layout::Layout,
    parquet_file::{self, Content, Writer, Written},
    spool::{Spool, Spooled},
};
use crate::schema::{EventPartition, Granularity, Resource};

/// Bytes of commits in one snapshot, unless one alone has more: a snapshot is sent from memory.
const COPIED_BYTES_MAX: u64 = 64 << 20;
/// Commits that are fetched before they are copied: they may be many, small and far away.
const FETCHED_AHEAD: usize = 8;
/// Rows that a row group has at least before it ends with its partition: each has a cost of its own.
const ROW_GROUP_ROWS_MIN: usize = 16 << 10;

/// What stands for a SHA-256 until it is known.
const NO_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Key of the entry in a snapshot's footer.
pub(super) const SNAPSHOT_KEY: &str = "lumetrade.snapshot";

/// What a snapshot says of itself, in its footer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Version of the format.
    pub format: u32,
    /// Identity of the lake.
    pub lake: String,
    /// The resource.
    pub resource: String,
    /// Number of the first commit that it has.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// SHA-256 of the last in hexadecimal, as it was claimed.
    pub last_sha256: String,
    /// Rows of all of them.
    pub rows: u64,
    /// SHA-256 of the snapshot itself in hexadecimal, taken with zeros in its place.
    pub sha256: String,
}

/// What compacting a resource came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Number of the resource's last commit.
    pub head: u64,
    /// Number of the last commit that is in a snapshot.
    pub through: u64,
    /// Commits that were copied.
    pub commits: u64,
    /// Rows that were copied.
    pub rows: u64,
    /// Snapshots that were created.
    pub snapshots: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The snapshots of one resource.
pub struct Snapshots<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    layout: Layout,
    spool: PathBuf,
}

/// Commits in the making of one snapshot.
struct Run {
    commits: Vec<(CommitObject, Spooled)>,
    /// All columns that one of them has, without the partition.
    columns: Fields,
}

impl<'a> Snapshots<'a> {
    /// The snapshots of `resource`, with a folder for temporary files.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &'a Resource, spool: &Path) -> Self {
        let layout = Layout::new(resource, lake.identity.granularity);
        Self { lake, resource, layout, spool: spool.to_owned() }
    }

    /// Copies the commits that no snapshot has into further ones, if there are at least `commits_min`. What another run is
    /// copying at the same time is left to it.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if a commit or the last snapshot is not what it should be, [`LakeError::RolledBack`] if a
    /// snapshot has commits that the log has not, and whatever the store fails with. What was created by then stays.
    pub async fn extend(&self, commits_min: u64) -> Result<Compacted, LakeError> {
        let head = Log::new(self.lake, self.resource).head().await?;
        let last = self.last().await?;
        let mut compacted =
            Compacted { head: head.seq, through: last.as_ref().map_or(0, |last| last.last), ..Compacted::default() };
        let commits = self.commits_behind(last, &head).await?;
        if (commits.len() as u64) < commits_min.max(1) {
            return Ok(compacted);
        }
        for commits in runs(commits) {
            let (first, through) = (commits[0].seq, commits[commits.len() - 1].seq);
            let count = commits.len() as u64;
            let run = self.gather(commits).await?;
            let Some((written, rows)) = self.encode(run)? else { break };
            let key = self.layout.snapshot(first);
            let sealed = sealed(&written).map_err(|error| LakeError::spool(&error))?;
            let held = self.lake.store.hold(&key, sealed, written.size).await?;
            if let Creation::Theirs(_) = self.lake.store.create(&key, &held.bytes).await? {
                tracing::warn!(key, "another run is compacting: the rest is left to it");
                break;
            }
            compacted.through = through;
            compacted.commits += count;
            compacted.rows += rows;
            compacted.snapshots += 1;
            compacted.bytes += written.size;
        }
        Ok(compacted)
    }

    /// What the last snapshot says of itself; `None` if there is none.
    async fn last(&self) -> Result<Option<Snapshot>, LakeError> {
        let listed = self.lake.store.list(&self.layout.snapshots()).await?;
        let Some(first) = listed.iter().filter_map(|object| self.layout.parse_snapshot(&object.key)).max() else {
            return Ok(None);
        };
        Snapshot::read(self.lake, &self.layout, first).await
    }

    /// The commits behind the last snapshot, up to `head`. One that is of another log is not built upon.
    async fn commits_behind(&self, last: Option<Snapshot>, head: &Head) -> Result<Vec<CommitObject>, LakeError> {
        let Some(last) = last else {
            return if head.seq == 0 { Ok(Vec::new()) } else { commits_from(self.lake, &self.layout, 1, head).await };
        };
        let key = self.layout.snapshot(last.first);
        if head.seq < last.last {
            let resource = self.resource.name.clone();
            return Err(LakeError::RolledBack { resource, seq: last.last, cache: key });
        }
        let mut commits = commits_from(self.lake, &self.layout, last.last, head).await?;
        if commits.first().is_none_or(|commit| (commit.seq, &commit.sha256) != (last.last, &last.last_sha256)) {
            return Err(LakeError::damaged(
                &key,
                format!("is not of this log, which has another commit {}", last.last),
            ));
        }
        commits.remove(0);
        Ok(commits)
    }

    /// Fetches the commits of a run.
    async fn gather(&self, commits: Vec<CommitObject>) -> Result<Run, LakeError> {
        let spool = Spool::new(&self.spool).map_err(|error| LakeError::spool(&error))?;
        let fetch = |commit: CommitObject| async move {
            let file = self.lake.store.fetch(&commit.key, &self.spool).await?;
            Ok::<_, LakeError>((commit, file))
        };
        let declared = self.resource.arrow_schema();
        let mut run = Run { commits: Vec::new(), columns: declared.fields().clone() };
        let mut files = stream::iter(commits).map(fetch).buffered(FETCHED_AHEAD);
        while let Some((commit, file)) = files.try_next().await? {
            let copy = copied(&commit, file, &spool)?;
            run.columns = extended(&run.columns, Content::open(&commit.key, copy.clone())?.schema().fields());
            run.commits.push((commit, copy));
        }
        Ok(run)
    }

    /// One file of all rows of a run, and how many there are; `None` if there are none.
    fn encode(&self, Run { mut commits, columns }: Run) -> Result<Option<(Written, u64)>, LakeError> {
        let spooling = |error: ParquetError| LakeError::spool(&error);
        let spool = Spool::new(&self.spool).map_err(|error| LakeError::spool(&error))?;
        let (first, last) = (commits[0].0.seq, commits[commits.len() - 1].0.clone());
        commits.sort_by_key(|(commit, _)| (commit.partition, commit.seq));
        let rows_schema = Arc::new(Schema::new(columns));
        let schema = with_partition_field(&rows_schema, self.layout.granularity());
        let mut file = Writer::new(schema.clone(), spool.begin()).map_err(spooling)?;
        let (mut rows, mut rows_of_group, mut partition) = (0, 0, None);
        for (commit, content) in commits {
            if partition.replace(commit.partition) != Some(commit.partition) && rows_of_group >= ROW_GROUP_ROWS_MIN {
                file.flush().map_err(spooling)?;
                rows_of_group = 0;
            }
            for batch in parquet_file::read_batches(&commit.key, content, None)? {
                let batch = conform(&batch?, &rows_schema, self.resource)?;
                rows += batch.num_rows() as u64;
                rows_of_group += batch.num_rows();
                let batch = with_partition(&batch, &schema, self.layout.granularity(), commit.partition);
                file.write(&batch.map_err(|error| LakeError::spool(&error))?).map_err(spooling)?;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let snapshot = Snapshot {
            format: FORMAT,
            lake: self.lake.identity.id.clone(),
            resource: self.resource.name.clone(),
            first,
            last: last.seq,
            last_sha256: last.sha256,
            rows,
            sha256: NO_SHA256.to_owned(),
        };
        let entry = serde_json::to_string(&snapshot).map_err(|error| LakeError::spool(&error))?;
        Ok(Some((file.close(SNAPSHOT_KEY, entry).map_err(spooling)?, rows)))
    }
}

impl Snapshot {
    /// What the snapshot that begins with this number says of itself; `None` if it is not there.
    pub(super) async fn read(lake: &Lake, layout: &Layout, first: u64) -> Result<Option<Self>, LakeError> {
        let key = layout.snapshot(first);
        let Some(entry) = footer_entry(lake, &key, SNAPSHOT_KEY).await? else { return Ok(None) };
        Self::parse(entry.as_deref(), lake, layout, first).map(Some)
    }

    /// What an entry of the footer of the snapshot that begins with this number says, if it can be true.
    pub(super) fn parse(entry: Option<&str>, lake: &Lake, layout: &Layout, first: u64) -> Result<Self, LakeError> {
        let damaged = |problem: String| LakeError::damaged(&layout.snapshot(first), problem);
        let entry = entry.ok_or_else(|| damaged("its footer names no snapshot".to_owned()))?;
        let snapshot: Self = serde_json::from_str(entry).map_err(|error| damaged(error.to_string()))?;
        if snapshot.format > FORMAT {
            return Err(LakeError::NewerFormat { found: snapshot.format });
        }
        let is_of = (snapshot.lake.as_str(), snapshot.resource.as_str(), snapshot.first);
        if is_of != (lake.identity.id.as_str(), layout.resource(), first) || snapshot.last < first {
            return Err(damaged("says that it is of another lake, resource or number".to_owned()));
        }
        Ok(snapshot)
    }
}

/// Commits in their order, each run of them for one snapshot.
fn runs(commits: Vec<CommitObject>) -> Vec<Vec<CommitObject>> {
    let mut runs: Vec<Vec<CommitObject>> = Vec::new();
    let mut bytes = 0_u64;
    for commit in commits {
        bytes = bytes.saturating_add(commit.size);
        match runs.last_mut().filter(|_| bytes <= COPIED_BYTES_MAX) {
            Some(run) => run.push(commit),
            None => {
                bytes = commit.size;
                runs.push(vec![commit]);
            }
        }
    }
    runs
}

/// A finished file with its SHA-256 where there are zeros for it.
fn sealed(file: &Written) -> Result<impl Read, ParquetError> {
    let missing = || ParquetError::General("the footer has no place for its SHA-256".to_owned());
    let place = place_of_sha256(&file.content, NO_SHA256)?.ok_or_else(missing)?;
    let behind = file.content.get_read(place + NO_SHA256.len() as u64)?;
    Ok(file.content.get_read(0)?.take(place).chain(Cursor::new(file.sha256.clone())).chain(behind))
}

/// SHA-256 of a file with zeros where its footer has this one; `None` if it has not.
pub(super) fn sha256_without<R: ChunkReader>(file: &R, sha256: &str) -> Result<Option<String>, ParquetError> {
    let Some(place) = place_of_sha256(file, sha256)? else { return Ok(None) };
    let behind = file.get_read(place + sha256.len() as u64)?;
    let whole = file.get_read(0)?.take(place).chain(NO_SHA256.as_bytes()).chain(behind);
    Ok(Some(parquet_file::sha256_of(whole)?))
}

/// Where the footer of a file has this as the file's SHA-256.
fn place_of_sha256<R: ChunkReader>(file: &R, sha256: &str) -> Result<Option<u64>, ParquetError> {
    let end = file.len().saturating_sub(FOOTER_SIZE as u64);
    let length = parquet_file::footer_bytes(&file.get_bytes(end, FOOTER_SIZE)?).unwrap_or_default().min(file.len());
    let start = file.len() - length;
    let footer = file.get_bytes(start, length as usize)?;
    let (before, entry) = ("\"sha256\":\"", format!("\"sha256\":\"{sha256}\""));
    let place = footer.windows(entry.len()).position(|window| window == entry.as_bytes());
    Ok(place.map(|place| start + (place + before.len()) as u64))
}

/// A copy of a commit's object, which is what its claim promised, or a void.
fn copied(commit: &CommitObject, mut file: File, spool: &Spool) -> Result<Spooled, LakeError> {
    let io = |source: io::Error| LakeError::io("read the copy of", &commit.key, source);
    let sha256 = parquet_file::sha256_of_file(&mut file).map_err(io)?;
    let mut segment = spool.begin();
    io::copy(&mut file, &mut segment).map_err(io)?;
    let copy = segment.finish().map_err(io)?;
    if sha256 != commit.sha256 {
        let content = Content::open(&commit.key, copy.clone())?;
        let found = commit_of(&commit.key, content.entry(COMMIT_KEY).as_deref())?;
        if (found.kind, found.seq, content.rows()) != (CommitKind::Void, commit.seq, 0) {
            return Err(LakeError::damaged(&commit.key, "is not what was claimed"));
        }
    }
    Ok(copy)
}

/// The columns and, behind them, those that only `more` has, in lists and structures too.
pub(super) fn extended(columns: &Fields, more: &Fields) -> Fields {
    let both = columns.iter().map(|column| match more.find(column.name()) {
        Some((_, other)) => extended_field(column, other),
        None => column.clone(),
    });
    let others = more.iter().filter(|other| columns.find(other.name()).is_none());
    both.chain(others.map(|other| Arc::new(other.as_ref().clone().with_nullable(true)))).collect()
}

fn extended_field(column: &FieldRef, other: &FieldRef) -> FieldRef {
    let kind = match (column.data_type(), other.data_type()) {
        (DataType::List(element), DataType::List(more)) => DataType::List(extended_field(element, more)),
        (DataType::Struct(members), DataType::Struct(more)) => DataType::Struct(extended(members, more)),
        _ => return column.clone(),
    };
    Arc::new(column.as_ref().clone().with_data_type(kind))
}

fn with_partition_field(schema: &SchemaRef, granularity: Granularity) -> SchemaRef {
    match granularity.column() {
        Some(column) => {
            let partition = Arc::new(Field::new(column, DataType::Utf8, false));
            Arc::new(Schema::new(schema.fields().iter().cloned().chain([partition]).collect::<Fields>()))
        }
        None => schema.clone(),
    }
}

/// The rows with their partition, in the columns of `schema`.
pub(super) fn with_partition(
    rows: &RecordBatch,
    schema: &SchemaRef,
    granularity: Granularity,
    partition: EventPartition,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let value = granularity.value(partition);
    let column =
        value.map(|value| Arc::new(StringArray::from_iter_values((0..rows.num_rows()).map(|_| &value))) as ArrayRef);
    RecordBatch::try_new(schema.clone(), rows.columns().iter().cloned().chain(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(seq: u64, size: u64) -> CommitObject {
        let partition = EventPartition::default();
        CommitObject { claim: seq, seq, partition, key: String::new(), size, sha256: String::new() }
    }

    #[test]
    fn a_run_has_as_many_commits_as_fit_and_at_least_one() {
        let max = COPIED_BYTES_MAX;
        let rows: [(&[u64], &[usize]); 6] = [
            (&[], &[]),
            (&[1], &[1]),
            (&[1, max - 1, 1, 2], &[2, 2]),
            (&[max, max], &[1, 1]),
            (&[1, 2 * max, 1, 1], &[1, 1, 2]),
            (&[u64::MAX, u64::MAX], &[1, 1]),
        ];
        for (sizes, expected) in rows {
            let commits = sizes.iter().zip(1..).map(|(size, seq)| commit(seq, *size)).collect();
            let runs = runs(commits);
            assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{sizes:?}");
            let numbers: Vec<u64> = runs.iter().flatten().map(|commit| commit.seq).collect();
            assert_eq!(numbers, (1..=sizes.len() as u64).collect::<Vec<_>>(), "{sizes:?}");
        }
    }

    #[test]
    fn columns_are_those_of_both_in_the_order_of_the_first() {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let list = |members: Vec<Field>| {
            let element = Arc::new(Field::new("element", DataType::Struct(members.into()), false));
            Field::new("fills", DataType::List(element), true)
        };
        let declared: Fields = vec![text("id").with_nullable(false), list(vec![text("a"), text("b")])].into();
        let found: Fields =
            vec![list(vec![text("c"), text("a")]), text("id").with_nullable(false), text("gone").with_nullable(false)]
                .into();
        let both: Fields =
            vec![text("id").with_nullable(false), list(vec![text("a"), text("b"), text("c")]), text("gone")].into();
        assert_eq!(extended(&declared, &found), both);
        assert_eq!(extended(&both, &found), both);
        assert_eq!(extended(&declared, &declared), declared);
    }
}
