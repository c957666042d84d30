//! The archive: what each poll was answered with, so that a lake can be made anew from what the API has said.
//!
//! ```text
//! raw/<resource>/<poll id>.json.zst      a frame that decoders skip, with what was asked and when, as JSON behind its XXH3 in eight
//!                                        bytes (least significant first); then the body
//! raw/<resource>/<poll id>.json.zst.1    what is more of it than an object shall hold, and so on
//! ```
//!
//! `zstd -d` makes the body of the parts together: its bytes as they were received, decoded; or, where personal data is not kept,
//! its records with what is stored in its place. Objects are created once, the first part last: without it, the others are
//! nothing.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;
use zstd::stream::{read::Decoder, write::Encoder};

use super::{
    Creation, LakeError, Store, layout,
    parquet_file::{Hashing, Written, sha256_of},
    spool::{Spool, Spooled},
    store::Listed,
};
use crate::{
    decode::treated,
    record::Splitter,
    schema::{Column, HmacKey, Resource, Treatment, Type},
};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// The fastest. Lists of trades become a sixth of their size, and at the next two levels no less.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of an object.
const PART_BYTES: u64 = 32 << 20;
/// How a frame begins that decoders skip (RFC 8878, 3.1.2), in front of the length of its content.
const SKIPPED: [u8; 4] = 0x184d_2a50_u32.to_le_bytes();
/// Bytes of both.
const FRAME_START: usize = 8;
/// Bytes of the checksum in front of what a frame tells.
const CHECKSUM_BYTES: usize = 8;
/// Bytes of an object that are read to know what it is, which are mostly enough.
const START_BYTES: u64 = 16 << 10;
/// Objects that are asked for at the same time.
pub(super) const READ_AT_ONCE: usize = 8;
/// Bytes of a body that are decoded at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A poll, as the archive tells of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchivedPoll {
    /// The archive's format.
    pub format: u32,
    /// The lake that the poll was made for.
    pub lake: String,
    /// The resource.
    pub resource: String,
    /// The poll.
    pub poll_id: String,
    /// When it began, in microseconds.
    pub observed_at: i64,
    /// From when on the list was asked for, in microseconds; null for the whole of it.
    pub since: Option<i64>,
    /// The size of pages, if it was asked for page by page.
    pub page_size: Option<u32>,
    /// The body's ETag, where the server gave one.
    pub etag: Option<String>,
    /// Whether whatever was missing was taken for removed.
    pub accept_removals: bool,
    /// Why a guard did not believe it; null if it was taken.
    pub refused: Option<String>,
    /// Columns of personal data that are not as they were received: `drop`, or `hmac:` and the name of the key.
    pub treated: BTreeMap<String, String>,
    /// Records that did not fit the schema.
    pub rejected: u64,
    /// Whether what was missing was not taken for removed.
    pub withheld: bool,
    /// Records that were asked for by themselves.
    pub singles: Vec<SingleRead>,
    /// Bytes of the body, compressed.
    pub size: u64,
    /// SHA-256 of these.
    pub sha256: String,
}

/// What the API said of one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SingleRead {
    /// Its key.
    pub key: String,
    /// Its text; null if the API does not have it.
    pub text: Option<String>,
}

/// A body while it is received.
pub struct Recording<'r> {
    output: Encoder<'static, Hashing>,
    /// Cuts the records out of the body where they hold what is not kept.
    splitter: Option<Splitter>,
    columns: &'r [Column],
    records: u64,
}

/// A body that was received to its end.
pub struct Recorded(Written);

/// The archive of one resource.
pub struct Archive<'a> {
    store: &'a Store,
    resource: &'a Resource,
    spool: &'a Path,
}

/// What a poll was answered with.
pub struct ArchivedBody {
    key: String,
    content: Spooled,
}

impl<'r> Recording<'r> {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn start(resource: &'r Resource, spool: &Path) -> Result<Self, LakeError> {
        let start = || {
            let mut output = Encoder::new(Hashing::new(Spool::new(spool)?.begin()), ZSTD_LEVEL)?;
            output.include_checksum(true)?;
            Ok(output)
        };
        let output = start().map_err(|error: io::Error| LakeError::spool(&error))?;
        let splitter = (!treatments(resource).is_empty()).then(|| Splitter::new(0));
        Ok(Self { output, splitter, columns: &resource.columns, records: 0 })
    }

    /// Takes more of the body. Whatever is complete in it must have been found to be records.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), LakeError> {
        let Self { output, splitter, columns, records } = self;
        let pushed = match splitter {
            None => output.write_all(chunk).map_err(Into::into),
            Some(splitter) => splitter.push::<Box<dyn std::error::Error + Send + Sync>>(chunk, |slice| {
                output.write_all(if *records == 0 { b"[" } else { b",\n" })?;
                *records += 1;
                let text = std::str::from_utf8(slice.text)?;
                Ok(output.write_all(treated(text, columns).as_bytes())?)
            }),
        };
        pushed.map_err(|error| LakeError::spool(&*error))
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If the spool folder cannot be written.
    pub fn finish(mut self) -> Result<Recorded, LakeError> {
        let end = match (&self.splitter, self.records) {
            (None, _) => "",
            (Some(_), 0) => "[]",
            (Some(_), _) => "]",
        };
        let written = self.output.write_all(end.as_bytes()).and_then(|()| self.output.finish()?.finish());
        written.map(Recorded).map_err(|error| LakeError::spool(&error))
    }
}

/// What is done with the columns of personal data that are not kept.
fn treatments(resource: &Resource) -> BTreeMap<String, String> {
    let told = |treatment: &Treatment| match treatment {
        Treatment::Keep => None,
        Treatment::Drop => Some("drop".to_owned()),
        Treatment::Hmac(key) => Some(format!("hmac:{}", key.id())),
    };
    let columns = resource.personal_columns().into_iter();
    columns.filter_map(|(column, treatment)| Some((column, told(treatment)?))).collect()
}

impl<'a> Archive<'a> {
    /// The archive of a resource in this store, with a folder for temporary files.
    #[must_use]
    pub fn new(store: &'a Store, resource: &'a Resource, spool: &'a Path) -> Self {
        Self { store, resource, spool }
    }

    /// Puts a poll into the archive. What is to be told of the body, and how columns are treated, is filled in.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub async fn keep(&self, recorded: Recorded, mut poll: ArchivedPoll) -> Result<(), LakeError> {
        let Recorded(Written { content, size, sha256 }) = recorded;
        (poll.format, poll.size, poll.sha256) = (FORMAT, size, sha256);
        poll.treated = treatments(self.resource);
        for SingleRead { text, .. } in &mut poll.singles {
            *text = text.as_ref().map(|text| treated(text, &self.resource.columns).into_owned());
        }
        let told = serde_json::to_vec(&poll).map_err(|error| LakeError::spool(&error))?;
        let length = u32::try_from(CHECKSUM_BYTES + told.len()).map_err(|error| LakeError::spool(&error))?;
        let frame = [&SKIPPED[..], &length.to_le_bytes(), &xxh3_64(&told).to_le_bytes(), &told].concat();
        let whole_size = frame.len() as u64 + size;
        let parts: Vec<_> = (0..).zip(part_sizes(whole_size)).collect();
        for (part, part_size) in parts.into_iter().rev() {
            let start = part * PART_BYTES;
            let in_frame = &frame[frame.len().min(start as usize)..];
            let behind = content.clone().skip(start.saturating_sub(frame.len() as u64));
            let key = layout::archived(&self.resource.name, &poll.poll_id, part);
            let held = self.store.hold(&key, in_frame.chain(behind).take(part_size), part_size).await?;
            if let Creation::Theirs(_) = self.store.create(&key, &held.bytes).await? {
                return Err(LakeError::damaged(&key, "is there already, with something else in it"));
            }
        }
        Ok(())
    }

    /// The polls of the archive, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is damaged.
    pub async fn polls(&self) -> Result<Vec<ArchivedPoll>, LakeError> {
        let resource = &self.resource.name;
        let listed = self.store.list(&layout::archive(resource)).await?;
        let parts = listed.iter().filter_map(|listed| Some((listed, layout::parse_archived(resource, &listed.key)?)));
        let firsts = parts.filter(|(_, (_, part))| *part == 0);
        let read = |(listed, (poll_id, _))| async move { Ok(self.read_start(listed, poll_id).await?.0) };
        let starts = firsts.map(read).collect::<Vec<_>>();
        let mut polls: Vec<_> = stream::iter(starts).buffered(READ_AT_ONCE).try_collect().await?;
        polls.sort_by_key(|poll: &ArchivedPoll| poll.observed_at);
        Ok(polls)
    }

    /// What the first part of a poll tells, and the bytes of all its parts together.
    pub(super) async fn read_start(
        &self,
        Listed { key, size, .. }: &Listed,
        poll_id: &str,
    ) -> Result<(ArchivedPoll, u64), LakeError> {
        let damaged = |problem: &str| LakeError::damaged(key, problem);
        let vanished = || damaged("has vanished");
        if *size == 0 {
            return Err(damaged("is empty"));
        }
        let mut start = self.store.start(key, START_BYTES).await?.ok_or_else(vanished)?;
        let end = frame_end(&start).ok_or_else(|| damaged("does not begin with what tells of its poll"))?;
        if start.len() < end {
            start = self.store.start(key, end as u64).await?.ok_or_else(vanished)?;
        }
        let told = start.get(FRAME_START..end).ok_or_else(|| damaged("ends too early"))?;
        let poll = ArchivedPoll::told(told).map_err(|problem| damaged(&problem))?;
        if poll.format != FORMAT {
            return Err(LakeError::NewerFormat { found: poll.format });
        }
        if (poll.poll_id.as_str(), &poll.resource) != (poll_id, &self.resource.name) {
            return Err(damaged("tells of another poll"));
        }
        let bytes =
            poll.size.checked_add(end as u64).ok_or_else(|| damaged("tells of more bytes than there can be"))?;
        Ok((poll, bytes))
    }

    /// What a poll was answered with, once it is found to be whole.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is damaged.
    pub async fn open(&self, poll: &ArchivedPoll) -> Result<ArchivedBody, LakeError> {
        let first = layout::archived(&self.resource.name, &poll.poll_id, 0);
        let mut whole = self.store.fetch(&first, self.spool).await?;
        let mut size = end_of(&first, &mut whole)?;
        let mut start = [0; FRAME_START];
        whole
            .rewind()
            .and_then(|()| whole.read_exact(&mut start))
            .map_err(|error| LakeError::io("read", &first, error))?;
        let body = frame_end(&start).ok_or_else(|| LakeError::damaged(&first, "does not begin as it did"))? as u64;
        for part in 1.. {
            if size >= body + poll.size {
                break;
            }
            let key = layout::archived(&self.resource.name, &poll.poll_id, part);
            let mut more = self.store.fetch(&key, self.spool).await?;
            end_of(&first, &mut whole)?;
            size += io::copy(&mut more, &mut whole).map_err(|error| LakeError::io("keep a copy of", &key, error))?;
        }
        let content = Spooled::of(whole, size).skip(body);
        let sha256 = sha256_of(content.clone()).map_err(|error| LakeError::io("read the copy of", &first, error))?;
        if (size, &sha256) != (body + poll.size, &poll.sha256) {
            return Err(LakeError::damaged(&first, "has another body than it says"));
        }
        Ok(ArchivedBody { key: first, content })
    }
}

impl ArchivedPoll {
    /// What a file of the archive tells of its poll, from its beginning on; `None` if it is no such file. What follows is the
    /// body, compressed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or tells nothing that is understood.
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        file.by_ref().take(FRAME_START as u64).read_to_end(&mut start)?;
        let Some(end) = frame_end(&start) else {
            file.rewind()?;
            return Ok(None);
        };
        let mut told = Vec::new();
        file.by_ref().take((end - FRAME_START) as u64).read_to_end(&mut told)?;
        let poll = Self::told(&told).map_err(io::Error::other)?;
        match poll.format {
            FORMAT => Ok(Some(poll)),
            found => Err(io::Error::other(format!("it has format {found}, this version knows {FORMAT}"))),
        }
    }

    /// What a frame tells, from its content, or why it is not to be believed.
    fn told(content: &[u8]) -> Result<Self, String> {
        let (checksum, told) = content.split_first_chunk::<CHECKSUM_BYTES>().ok_or("tells nothing")?;
        if u64::from_le_bytes(*checksum) != xxh3_64(told) {
            return Err("tells something else of its poll than was written".to_owned());
        }
        serde_json::from_slice(told).map_err(|error| error.to_string())
    }

    /// Takes over what was done with personal data before it came to the archive: it cannot be undone, and must not be done
    /// twice. What is not to be in the lake at all is dropped all the same.
    pub fn take_treatments(&self, columns: &mut [Column]) {
        take_treatments(columns, "", &self.treated);
    }
}

fn take_treatments(columns: &mut [Column], prefix: &str, all: &BTreeMap<String, String>) {
    for Column { name, kind, personal, .. } in columns {
        let name = format!("{prefix}{name}");
        match (kind, all.get(&name)) {
            (Type::List(list), _) => take_treatments(&mut list.columns, &format!("{name}."), all),
            (_, Some(_)) if *personal == Some(Treatment::Drop) => {}
            (_, Some(treated)) => {
                let key = treated.strip_prefix("hmac:").map(HmacKey::applied);
                *personal = Some(key.map_or(Treatment::Drop, Treatment::Hmac));
            }
            (_, None) => {}
        }
    }
}

/// The sizes of the objects of so many bytes in all.
pub(super) fn part_sizes(bytes: u64) -> impl Iterator<Item = u64> {
    (0..bytes.div_ceil(PART_BYTES)).map(move |part| PART_BYTES.min(bytes - part * PART_BYTES))
}

/// Where the frame ends that tells of the poll, if this is how it begins.
fn frame_end(start: &[u8]) -> Option<usize> {
    let length = start.strip_prefix(&SKIPPED)?.first_chunk()?;
    Some(FRAME_START + u32::from_le_bytes(*length) as usize)
}

/// Goes to the end of a file, and says where that is.
fn end_of(key: &str, file: &mut File) -> Result<u64, LakeError> {
    file.seek(SeekFrom::End(0)).map_err(|error| LakeError::io("read the copy of", key, error))
}

impl ArchivedBody {
    /// The object of its first part.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its bytes, chunk by chunk.
    ///
    /// # Errors
    ///
    /// If they cannot be decoded, at the beginning or in each chunk.
    pub fn chunks(&self) -> io::Result<impl Iterator<Item = io::Result<Bytes>> + Send + use<>> {
        let mut decoder = Decoder::new(self.content.clone())?;
        Ok(std::iter::from_fn(move || {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match decoder.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => None,
                Ok(_) => Some(Ok(chunk.into())),
                Err(error) => Some(Err(error)),
            }
        }))
    }
}
