//! Which records are known, by hash: a cache beside the log, and its rebuilding from the log.
//!
//! The cache says for which head it was made. What was committed since is folded in; without a cache, or with one that is
//! damaged or of another schema, everything is. The result is the same but for the hashes of exact bytes, which only the
//! cache knows: the next poll then compares by value.
//!
//! ```text
//! header as one line of JSON │ 45 bytes a record, little-endian │ XXH3-128 of all before it
//! ```

use std::path::Path;

use arrow_array::{Array, RecordBatch, cast::AsArray, types::TimestampMicrosecondType};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    Head, Lake, LakeError,
    fold::{row_key, version},
    layout::Layout,
    log::read_commit,
    parquet_file,
};
use crate::{
    decode::Row,
    diff::{Known, KnownRecord},
    schema::{EventPartition, Resource},
};

const RECORD_BYTES: usize = 16 + 8 + 8 + 8 + 4 + 1;
const CHECKSUM_BYTES: usize = 16;
const OPEN: u8 = 1;
const REMOVED: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    lake: String,
    resource: String,
    schema: String,
    seq: u64,
    sha256: Option<String>,
}

impl Header {
    fn of(lake: &Lake, resource: &Resource, head: &Head) -> Self {
        Self {
            format: super::FORMAT,
            lake: lake.identity.id.clone(),
            resource: resource.name.clone(),
            schema: resource.fingerprint(),
            seq: head.seq,
            sha256: head.sha256.clone(),
        }
    }
}

/// The records known as of `head`.
///
/// # Errors
///
/// [`LakeError::Damaged`] if a commit that should be folded in is missing or unreadable. A bad cache is no error.
pub async fn load_known(lake: &Lake, resource: &Resource, head: &Head, spool: &Path) -> Result<Known, LakeError> {
    let layout = Layout::new(resource, lake.identity.granularity);
    let (cached, mut known) = match lake.store.get(&layout.state()).await? {
        Some(bytes) => parse(&bytes, &Header::of(lake, resource, head)).unwrap_or_default(),
        None => (Head::default(), Known::default()),
    };
    if cached.seq == head.seq {
        if cached.sha256 == head.sha256 {
            return Ok(known);
        }
        known = Known::default();
    }
    let mut commits = commits_after(lake, &layout, cached.seq, head.seq).await?;
    if !follows(lake, &commits, &cached).await? {
        known = Known::default();
        commits = commits_after(lake, &layout, 0, head.seq).await?;
    }
    for (partition, key) in commits {
        let file = lake.store.download(&key, spool).await?;
        let unreadable = |error: parquet::errors::ParquetError| LakeError::damaged(&key, error.to_string());
        for batch in parquet_file::read_batches(file, None).map_err(unreadable)? {
            fold(&mut known, &batch.map_err(unreadable)?, partition, resource, lake)
                .ok_or_else(|| LakeError::damaged(&key, "holds rows that no commit of this resource has"))?;
        }
    }
    Ok(known)
}

/// Keeps what is known as of `head` for the next run. Only time is lost if it is not kept.
///
/// # Errors
///
/// Whatever the store fails with.
pub async fn save_known(lake: &Lake, resource: &Resource, head: &Head, known: &Known) -> Result<(), LakeError> {
    let key = Layout::new(resource, lake.identity.granularity).state();
    let header =
        serde_json::to_vec(&Header::of(lake, resource, head)).map_err(|error| LakeError::io("write", &key, error))?;
    let mut bytes = Vec::with_capacity(header.len() + 1 + known.records().len() * RECORD_BYTES + CHECKSUM_BYTES);
    bytes.extend_from_slice(&header);
    bytes.push(b'\n');
    for record in known.records() {
        write_record(&mut bytes, record);
    }
    let checksum = xxh3_128(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    lake.store.replace(&key, bytes.into()).await.map(drop)
}

/// Commits with numbers in `(after, up_to]`, in order; each number must be there once.
async fn commits_after(
    lake: &Lake,
    layout: &Layout,
    after: u64,
    up_to: u64,
) -> Result<Vec<(EventPartition, String)>, LakeError> {
    let mut found: Vec<(u64, EventPartition, String)> = Vec::new();
    for listed in lake.store.list(&layout.changes()).await? {
        match layout.parse_commit(&listed.key) {
            Some((partition, seq)) if seq > after && seq <= up_to => found.push((seq, partition, listed.key)),
            _ => {}
        }
    }
    found.sort_by_key(|(seq, ..)| *seq);
    if !found.iter().map(|(seq, ..)| *seq).eq(after + 1..=up_to) {
        let problem = format!("commits {} to {up_to} are not each there once", after + 1);
        return Err(LakeError::damaged(&layout.changes(), problem));
    }
    Ok(found.into_iter().map(|(_, partition, key)| (partition, key)).collect())
}

/// Whether the first of these commits names the cached head as its parent: else the cache is of another history.
async fn follows(lake: &Lake, commits: &[(EventPartition, String)], cached: &Head) -> Result<bool, LakeError> {
    match commits.first() {
        Some((_, key)) if cached.seq > 0 => {
            Ok(read_commit(lake, key).await?.is_some_and(|commit| commit.parent == cached.sha256))
        }
        _ => Ok(cached.seq == 0),
    }
}

/// Folds one batch of a commit in; `None` if it is not one.
fn fold(
    known: &mut Known,
    batch: &RecordBatch,
    partition: EventPartition,
    resource: &Resource,
    lake: &Lake,
) -> Option<()> {
    let first_seen_at = batch.column_by_name("_first_seen_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    for index in 0..batch.num_rows() {
        let row = Row::read(batch, index, resource);
        let record = KnownRecord {
            key: row_key(batch, index, resource, lake.seed)?,
            element: 0,
            digest: row.digest(resource, lake.seed),
            first_seen_at: first_seen_at.is_valid(index).then(|| first_seen_at.value(index))?,
            partition,
            open: row.is_open(resource),
            removed: version(batch, index)?.removed,
        };
        match known.find(record.key) {
            Some(position) => *known.get_mut(position)? = record,
            None => drop(known.push(record)),
        }
    }
    Some(())
}

/// The head and the records of a cache; `None` unless it is whole and of this lake, resource and schema, and not newer
/// than the head.
fn parse(bytes: &Bytes, expected: &Header) -> Option<(Head, Known)> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if xxh3_128(content).to_le_bytes() != *checksum {
        return None;
    }
    let (header, records) = content.split_at(content.iter().position(|byte| *byte == b'\n')?);
    let header: Header = serde_json::from_slice(header).ok()?;
    let comparable = Header { seq: expected.seq, sha256: expected.sha256.clone(), ..header.clone() };
    if comparable != *expected || header.seq > expected.seq {
        return None;
    }
    let records = records[1..].chunks_exact(RECORD_BYTES).map(read_record).collect::<Option<Vec<_>>>()?;
    Some((Head { seq: header.seq, sha256: header.sha256, cursor: None }, Known::new(records)))
}

fn write_record(bytes: &mut Vec<u8>, record: &KnownRecord) {
    bytes.extend_from_slice(&record.key.to_le_bytes());
    bytes.extend_from_slice(&record.element.to_le_bytes());
    bytes.extend_from_slice(&record.digest.to_le_bytes());
    bytes.extend_from_slice(&record.first_seen_at.to_le_bytes());
    bytes.extend_from_slice(&record.partition.0.to_le_bytes());
    bytes.push(if record.open { OPEN } else { 0 } | if record.removed { REMOVED } else { 0 });
}

fn read_record(bytes: &[u8]) -> Option<KnownRecord> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (element, rest) = rest.split_first_chunk()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (first_seen_at, rest) = rest.split_first_chunk()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let flags = *rest.first()?;
    Some(KnownRecord {
        key: u128::from_le_bytes(*key),
        element: u64::from_le_bytes(*element),
        digest: u64::from_le_bytes(*digest),
        first_seen_at: i64::from_le_bytes(*first_seen_at),
        partition: EventPartition(i32::from_le_bytes(*partition)),
        open: flags & OPEN != 0,
        removed: flags & REMOVED != 0,
    })
}
