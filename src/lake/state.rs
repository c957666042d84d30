//! Which records are known, by hash: a cache beside the log, and its rebuilding from the log.
//!
//! The cache says for which head it was made. What was committed since is folded in; without a cache, or with one that is
//! damaged or of another schema, everything is. The result is the same but for the hashes of exact bytes, which only the
//! cache knows: the next poll then compares by value.
//!
//! ```text
//! header as one line of JSON │ 57 bytes a record, little-endian │ XXH3-128 of all before it
//! ```

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{
    Head, Lake, LakeError, claim,
    commits::{CommitObject, commits_between, commits_up_to},
    defect::{Defect, has},
    footer::input_time,
    layout::Layout,
    parquet_file,
};
use crate::{
    decode::{Decoder, Operation, Row, Stamp, key_hash},
    diff::{Census, KNOWN_RECORD_BYTES, Known, KnownMap, KnownRecord},
    record::ElementId,
    schema::{EventPartition, Resource},
};

const CHECKSUM_BYTES: usize = 16;
/// More than a header takes up.
const HEADER_BYTES_MAX: u64 = 4 << 10;
/// Bytes of a cache read at a time.
const READ_BYTES: usize = 1024 * KNOWN_RECORD_BYTES;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    format: u32,
    lake: String,
    resource: String,
    /// What the records were known by: the schema, and what is kept of a record.
    schema: String,
    seq: u64,
    sha256: Option<String>,
    /// The number of the claim that ends with `seq`; 0 if it is not told.
    #[serde(default)]
    claim: u64,
}

impl Header {
    fn of(lake: &Lake, decoder: &Decoder<'_>, head: &Head) -> Self {
        Self {
            format: super::FORMAT,
            lake: lake.identity.id.clone(),
            resource: decoder.resource().name.clone(),
            schema: format!("{}/{:?}/{KNOWN_RECORD_BYTES}", decoder.fingerprint(), decoder.resource().last_change),
            seq: head.seq,
            sha256: head.sha256.clone(),
            claim: head.claim,
        }
    }

    fn is_of(&self, lake: &Lake, layout: &Layout) -> bool {
        (self.format, &self.lake, self.resource.as_str()) == (super::FORMAT, &lake.identity.id, layout.resource())
    }

    /// Whether it is of the same history, as far as can be told, and of the same schema.
    fn is_like(&self, other: &Self) -> bool {
        Header { seq: other.seq, sha256: other.sha256.clone(), claim: other.claim, ..self.clone() } == *other
    }
}

/// The records known as of `head`, and whether they had to be found out from the commits: then keeping them saves time.
///
/// # Errors
///
/// [`LakeError::Damaged`] if a commit that should be folded in is missing or unreadable, [`LakeError::RolledBack`] if the
/// cache proves that there were more. A bad cache is no error.
pub async fn load_known(
    lake: &Lake,
    decoder: &Decoder<'_>,
    head: &Head,
    spool: &Path,
) -> Result<(Known, bool), LakeError> {
    let resource = decoder.resource();
    let layout = Layout::new(resource, lake.identity.granularity);
    let (mut cached, mut known) = cached(lake, decoder, head, spool).await?.unwrap_or_default();
    if has(Defect::TrustsStaleState) && cached.seq > 0 {
        return Ok((known, false));
    }
    if cached.seq == head.seq {
        if cached.sha256 == head.sha256 {
            return Ok((known, false));
        }
        (cached, known) = Default::default();
    }
    let commits = match commits_between(lake, &layout, (cached.seq, cached.sha256.as_deref()), head).await? {
        Some(commits) => commits,
        None => {
            known = Known::default();
            commits_up_to(lake, &layout, head).await?
        }
    };
    let mut folded = KnownMap::default();
    for record in known.records() {
        folded.push(record.map_err(|error| LakeError::spool(&error))?);
    }
    fold_in(&mut folded, lake, resource, &commits, spool).await?;
    let known = folded.into_known(spool).map_err(|error| LakeError::spool(&error))?;
    Ok((known, true))
}

/// What the cache holds, and as of which head; `None` unless it is whole, of this lake, resource and schema, and not newer
/// than `head`.
///
/// # Errors
///
/// [`LakeError::RolledBack`] if it knows a commit that is not in the log.
pub(super) async fn cached(
    lake: &Lake,
    decoder: &Decoder<'_>,
    head: &Head,
    spool: &Path,
) -> Result<Option<(Head, Known)>, LakeError> {
    let layout = Layout::new(decoder.resource(), lake.identity.granularity);
    match load(lake, &layout, spool).await? {
        Some((header, _)) if header.seq > head.seq => {
            require_commit(lake, &layout, &header, head).await?;
            Ok(None)
        }
        Some((header, known)) if header.is_like(&Header::of(lake, decoder, head)) => {
            let Header { seq, claim, sha256, .. } = header;
            Ok(Some((Head { seq, claim, sha256, cursor: None }, known)))
        }
        _ => Ok(None),
    }
}

/// Keeps what is known as of `head` for the next run, in this order, and counts it. Only time is lost if it is not kept.
///
/// # Errors
///
/// Whatever the store fails with, or the records.
pub async fn save_known(
    lake: &Lake,
    decoder: &Decoder<'_>,
    head: &Head,
    records: impl Iterator<Item = io::Result<KnownRecord>> + Clone,
) -> Result<Census, LakeError> {
    let key = Layout::new(decoder.resource(), lake.identity.granularity).state();
    let header =
        serde_json::to_vec(&Header::of(lake, decoder, head)).map_err(|error| LakeError::io("write", &key, error))?;
    let (content, size) = StateBytes::of(header, records).map_err(|error| LakeError::spool(&error))?;
    let census = content.census;
    lake.store.replace_from(&key, content, size).await.map(|_| census)
}

/// A cache as it is read to be sent: no copy of it is made.
#[derive(Clone)]
struct StateBytes<I> {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read.
    taken: usize,
    records: I,
    /// Of the records that were read.
    census: Census,
    checksum: Option<[u8; CHECKSUM_BYTES]>,
}

impl<I: Iterator<Item = io::Result<KnownRecord>> + Clone> StateBytes<I> {
    /// With its size. The records are read once for the checksum, which comes last, and for each sending.
    fn of(mut header: Vec<u8>, records: I) -> io::Result<(Self, u64)> {
        header.push(b'\n');
        let mut bytes = Self { buffer: header, taken: 0, records, census: Census::default(), checksum: None };
        let (mut checksum, mut size) = (Xxh3::new(), 0);
        let mut read = bytes.clone();
        while read.taken < read.buffer.len() {
            checksum.update(&read.buffer);
            size += read.buffer.len() as u64;
            read.fill()?;
        }
        bytes.checksum = Some(checksum.digest128().to_le_bytes());
        bytes.census = read.census;
        Ok((bytes, size + CHECKSUM_BYTES as u64))
    }

    /// The next bytes; none at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.taken = 0;
        for record in self.records.by_ref().take(READ_BYTES / KNOWN_RECORD_BYTES) {
            let record = record?;
            self.census.count(&record);
            self.buffer.extend_from_slice(&record.to_bytes());
        }
        if self.buffer.is_empty() {
            self.buffer.extend(self.checksum.take().into_iter().flatten());
        }
        Ok(())
    }
}

impl<I: Iterator<Item = io::Result<KnownRecord>> + Clone> Read for StateBytes<I> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            self.fill()?;
        }
        let read = (&self.buffer[self.taken..]).read(bytes)?;
        self.taken += read;
        Ok(read)
    }
}

/// Folds the rows of these commits in, which follow what is known.
pub(super) async fn fold_in(
    known: &mut KnownMap,
    lake: &Lake,
    resource: &Resource,
    commits: &[CommitObject],
    spool: &Path,
) -> Result<(), LakeError> {
    for CommitObject { partition, key, .. } in commits {
        let file = lake.store.fetch(key, spool).await?;
        for batch in parquet_file::read_batches(key, file, None)? {
            fold(known, &batch?, *partition, resource, lake)
                .ok_or_else(|| LakeError::damaged(key, "holds rows that no commit of this resource has"))?;
        }
    }
    Ok(())
}

/// Folds one batch of a commit in; `None` if it is not one.
fn fold(
    known: &mut KnownMap,
    batch: &RecordBatch,
    partition: EventPartition,
    resource: &Resource,
    lake: &Lake,
) -> Option<()> {
    for index in 0..batch.num_rows() {
        let row = Row::read(batch, index, resource);
        let record = known_record(&row, Stamp::read(batch, index)?, partition, resource, lake)?;
        match known.find(record.key) {
            Some(position) => *known.get_mut(position)? = record,
            None => drop(known.push(record)),
        }
    }
    Some(())
}

/// The last commit that the cache knows to have been there; 0 if it knows nothing.
pub(super) async fn last_known(lake: &Lake, layout: &Layout, spool: &Path) -> Result<u64, LakeError> {
    Ok(load(lake, layout, spool).await?.map_or(0, |(header, _)| header.seq))
}

/// The number of a claim that was there when the cache was kept; 0 if nothing tells. It says where to begin and no more, so
/// whatever is wrong with the cache is no error.
pub(super) async fn claim_hint(lake: &Lake, layout: &Layout) -> u64 {
    let start = lake.store.start(&layout.state(), HEADER_BYTES_MAX).await.ok().flatten().unwrap_or_default();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = serde_json::from_slice::<Header>(line).ok().filter(|header| header.is_of(lake, layout));
    header.map_or(0, |header| header.claim)
}

/// A cache that is ahead of the head was kept by another run just now, or by one whose commits are gone.
async fn require_commit(lake: &Lake, layout: &Layout, header: &Header, head: &Head) -> Result<(), LakeError> {
    let claim = claim::of_number(lake, layout, header.seq, head.seq).await?;
    let commit = match claim.as_ref().and_then(|claim| claim.object(header.seq)) {
        Some(object) => lake.store.tail(&object.key, 1).await?,
        None => None,
    };
    if commit.is_some() { Ok(()) } else { Err(rolled_back(layout, header.seq)) }
}

/// The cache knows a commit that is not there.
pub(super) fn rolled_back(layout: &Layout, seq: u64) -> LakeError {
    LakeError::RolledBack { resource: layout.resource().to_owned(), seq, cache: layout.state() }
}

/// The cache of this lake and resource, if there is one and it is whole.
async fn load(lake: &Lake, layout: &Layout, spool: &Path) -> Result<Option<(Header, Known)>, LakeError> {
    let file = lake.store.download(&layout.state(), spool).await?;
    Ok(file.and_then(read).filter(|(header, _)| header.is_of(lake, layout)))
}

/// What is known of a record by a row of a commit; `None` if the row has no key.
pub(super) fn known_record(
    row: &Row<'_>,
    stamp: Stamp<'_>,
    partition: EventPartition,
    resource: &Resource,
    lake: &Lake,
) -> Option<KnownRecord> {
    // An input is taken for what the API has never listed.
    let unlisted = input_time(stamp.poll_id).is_some();
    Some(KnownRecord {
        key: key_hash(lake.seed, row.key(resource)?),
        element: ElementId::UNKNOWN,
        digest: row.digest(resource, lake.seed),
        first_seen_at: stamp.first_seen_at,
        last_change: row.last_change(resource),
        partition,
        open: row.is_open(resource) && !unlisted,
        removed: stamp.operation == Operation::Removed,
        unlisted,
    })
}

/// What a cache holds; `None` unless it is whole. Of one that was kept in another form, the header alone has a meaning.
pub(super) fn read(file: File) -> Option<(Header, Known)> {
    let content = file.metadata().ok()?.len().checked_sub(CHECKSUM_BYTES as u64)?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let header: Header = serde_json::from_slice(&line).ok()?;
    let mut checksum = Xxh3::new();
    checksum.update(&line);
    let start = line.len() as u64;
    let records = content.checked_sub(start)?;
    let (mut left, mut census) = (records, Census::default());
    let mut buffer = vec![0; READ_BYTES];
    while left > 0 {
        let part = &mut buffer[..usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES))];
        reader.read_exact(part).ok()?;
        checksum.update(part);
        part.as_chunks().0.iter().for_each(|bytes| census.count(&KnownRecord::from_bytes(bytes)));
        left -= part.len() as u64;
    }
    let mut stored = [0; CHECKSUM_BYTES];
    reader.read_exact(&mut stored).ok()?;
    let whole = stored == checksum.digest128().to_le_bytes();
    let count = records / KNOWN_RECORD_BYTES as u64;
    whole.then(|| (header, Known::counted(reader.into_inner(), start, count, census)))
}
