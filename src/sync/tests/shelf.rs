//! What is in the store: strongly consistent, and never wrong about what it holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::plan::Etags;

/// Objects by key.
#[derive(Debug)]
pub(super) struct Shelf {
    objects: BTreeMap<String, Object>,
    etags: Etags,
    writes: u64,
    /// Earlier bytes of objects that were replaced.
    replaced: Vec<(String, Bytes)>,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub bytes: Bytes,
    pub etag: String,
    /// Number of the event that made it what it is.
    pub since: u64,
    /// Whether somebody else than a writer made it what it is.
    pub vandalised: bool,
}

/// How a write behaves if there is something already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    Replace,
    /// Only if this is its ETag.
    Update(String),
}

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Exists,
    Otherwise,
}

/// Keys of objects that are created once and for all.
const TRUTH: [&str; 3] = ["changes/", "quarantine/", "meta/lake.json"];

/// Where a store is tried before a lake is made in it.
const TRIALS: &str = "meta/probe/";

/// Whether nothing may ever happen to an object but its creation.
pub(super) fn is_truth(key: &str) -> bool {
    TRUTH.iter().any(|prefix| key.starts_with(prefix)) || key.contains("/log/")
}

impl Shelf {
    pub(super) fn new(etags: Etags) -> Self {
        Self { objects: BTreeMap::new(), etags, writes: 0, replaced: Vec::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Objects below a folder.
    pub(super) fn list(&self, folder: &str) -> Vec<(String, Object)> {
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let objects = self.objects.range(below.clone()..).take_while(|(key, _)| key.starts_with(&below));
        objects.map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// Keys of all that may be rebuilt.
    pub(super) fn caches(&self) -> Vec<String> {
        let is_cache = |key: &&String| !is_truth(key) && !key.starts_with(TRIALS);
        self.objects.keys().filter(is_cache).cloned().collect()
    }

    /// The bytes that an object had before it was replaced.
    pub(super) fn earlier(&self, key: &str) -> Vec<Bytes> {
        self.replaced.iter().filter(|(replaced, _)| replaced == key).map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Writes, and gives the ETag. Whether the bytes of an object that is there have changed is told beside it.
    pub(super) fn put(&mut self, key: &str, bytes: Bytes, mode: &Mode, event: u64) -> Result<(String, bool), Refused> {
        let there = self.objects.get(key);
        match (mode, there) {
            (Mode::Create, Some(_)) => return Err(Refused::Exists),
            (Mode::Update(etag), there) if there.is_none_or(|there| there.etag != *etag) => {
                return Err(Refused::Otherwise);
            }
            _ => {}
        }
        let changed = there.is_some_and(|there| there.bytes != bytes);
        let etag = self.etag_of(&bytes);
        let object = Object { bytes, etag: etag.clone(), since: event, vandalised: false };
        if let Some(before) = self.objects.insert(key.to_owned(), object) {
            self.replaced.push((key.to_owned(), before.bytes));
        }
        Ok((etag, changed))
    }

    /// What somebody who is no writer does to a cache. With `unnoticed`, its ETag stays.
    pub(super) fn vandalise(&mut self, key: &str, bytes: Option<Bytes>, unnoticed: bool, event: u64) {
        let Some(bytes) = bytes else { return drop(self.objects.remove(key)) };
        let etag = self.etag_of(&bytes);
        if let Some(object) = self.objects.get_mut(key) {
            let etag = if unnoticed { object.etag.clone() } else { etag };
            *object = Object { bytes, etag, since: event, vandalised: true };
        }
    }

    fn etag_of(&mut self, bytes: &[u8]) -> String {
        self.writes += 1;
        match self.etags {
            Etags::Counted => format!("\"{}\"", self.writes),
            Etags::OfContent => format!("\"{:016x}\"", xxh3_64(bytes)),
        }
    }
}
