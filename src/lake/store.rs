//! The verbs of a store that the lake needs: get, list, create if absent, and replace for what can be rebuilt.
//!
//! A create is never believed on its error: it may have happened although the answer says otherwise. So what is there is
//! read back, and only that decides ([`Store::create`]).

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{TryStreamExt, stream::BoxStream};
use object_store::{
    Error as StoreError, GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutPayload, UpdateVersion, local::LocalFileSystem, memory::InMemory, path::Path,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::JoinHandle,
};

use super::{
    LakeError, S3Options, bucket,
    defect::{Defect, has},
    error::{is_denial, is_elsewhere},
    folder,
    traffic::Traffic,
};

/// Attempts at a create before its outcome is given up as unknown.
const CREATE_ATTEMPTS: u32 = 8;
/// Pause before the second attempt; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(50);
/// Attempts at a replacement.
const REPLACE_ATTEMPTS: u32 = 3;
/// Objects up to this size are replaced in one request, larger ones in parts of this size.
pub(super) const PART_BYTES: usize = 8 << 20;
/// The same in a folder, where a part costs next to nothing and only takes up memory.
const FOLDER_PART_BYTES: usize = 1 << 20;

/// Memory for objects that are being sent, unless one alone takes up more.
const SENDING_KIB_MAX: u32 = 32 << 10;
/// The same in a folder, which is near: sending more at once does not make it quicker.
const FOLDER_SENDING_KIB_MAX: u32 = 12 << 10;

/// What a create came to. Both are ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// The object is there with our bytes.
    Ours,
    /// The object is there with these other bytes.
    Theirs(Bytes),
}

/// What a replacement on a condition came to. Both are ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replacement {
    /// The object has the new bytes, and this ETag.
    Done(Option<String>),
    /// The object is another than the one that was seen.
    Outdated,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub key: String,
    pub size: u64,
    pub etag: Option<String>,
}

/// What lies directly in a folder, sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folder {
    pub folders: Vec<String>,
    pub objects: Vec<String>,
}

/// A place for objects, and the name people know it by. That is all that prints of it: a client holds credentials.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    traffic: Arc<Traffic>,
    location: String,
    /// Where the objects are files.
    folder: Option<PathBuf>,
    /// Folders that were made to last, with those around them.
    persisted: Arc<Mutex<HashSet<String>>>,
    /// Memory for objects that are being sent, and how much of it is free.
    sending_kib_max: u32,
    room_kib: Arc<Semaphore>,
}

/// An object in memory, to be sent.
pub(super) struct Held<'s> {
    pub bytes: Bytes,
    _room: Option<SemaphorePermit<'s>>,
}

impl Store {
    /// Opens a folder, which is made where `create` says so, or `s3://bucket/prefix`.
    ///
    /// # Errors
    ///
    /// [`LakeError::Missing`] if the folder is not there and not to be made, [`LakeError::Location`] if there can be no lake.
    /// Nothing is asked of S3 yet.
    pub fn open(location: &str, s3: &S3Options, create: bool) -> Result<Self, LakeError> {
        let problem = |problem: String| LakeError::Location { location: location.to_owned(), problem };
        match location.split_once("://") {
            Some(("s3", place)) => {
                let objects = bucket::open(place, s3).map_err(problem)?;
                Ok(Self::new(objects, location.trim_end_matches('/')))
            }
            Some((scheme, _)) => {
                Err(problem(format!("`{scheme}` is no kind of store; give a folder or s3://bucket/prefix")))
            }
            None => {
                let folder = folder::open(location, create)?;
                let objects = LocalFileSystem::new_with_prefix(&folder)
                    .map_err(|source| LakeError::store("open the folder", location, source))?;
                let store = Self::holding(Arc::new(objects.with_fsync(true)), location, FOLDER_SENDING_KIB_MAX);
                Ok(Self { folder: Some(folder), ..store })
            }
        }
    }

    /// The same, and of a folder that is not there an empty store in memory in its place: nothing is made.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_or_imagine(location: &str, s3: &S3Options) -> Result<Self, LakeError> {
        match Self::open(location, s3, false) {
            Err(LakeError::Missing { .. }) => Ok(Self::new(Arc::new(InMemory::new()), location)),
            opened => opened,
        }
    }

    /// A lake in any object store.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self::holding(objects, location, SENDING_KIB_MAX)
    }

    fn holding(objects: Arc<dyn ObjectStore>, location: &str, sending_kib_max: u32) -> Self {
        Self {
            objects,
            traffic: Arc::default(),
            location: location.to_owned(),
            folder: None,
            persisted: Arc::default(),
            sending_kib_max,
            room_kib: Arc::new(Semaphore::new(sending_kib_max as usize)),
        }
    }

    /// Where it is, as people write it.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where it is, for others to find it: a folder by its whole path.
    pub(super) fn place(&self) -> String {
        self.folder.as_ref().map_or_else(|| self.location.clone(), |folder| folder.display().to_string())
    }

    /// What it was asked so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The store, for one request.
    fn objects(&self) -> &dyn ObjectStore {
        self.traffic.request();
        self.objects.as_ref()
    }

    /// Where the objects are files: refuses links out of the lake.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] for a link, and if the folder cannot be read.
    pub async fn refuse_links(&self) -> Result<(), LakeError> {
        self.in_folder(|folder| folder::look_through(folder, |_| Ok(()))).await
    }

    /// Where the objects are files: refuses links out of the lake, and removes what a crash left before `abandoned`.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] for a link, and if the folder cannot be read.
    pub async fn tidy(&self, abandoned: DateTime<Utc>) -> Result<(), LakeError> {
        self.in_folder(move |folder| folder::tidy(folder, abandoned)).await
    }

    /// Where the objects are files: fails if a file cannot have a second name.
    pub(super) async fn require_hard_links(&self) -> Result<(), LakeError> {
        self.in_folder(folder::require_hard_links).await
    }

    /// Makes sure that objects which are there stay, whatever happens to this machine. Only a folder needs that: what a
    /// bucket has shown it keeps.
    pub(super) async fn persist(&self, keys: impl IntoIterator<Item = &str>) -> Result<(), LakeError> {
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        self.in_folder(move |folder| folder::persist(folder, &keys)).await
    }

    /// Does something in the folder, where there is one, on a thread that may wait for the disk.
    async fn in_folder(
        &self,
        work: impl FnOnce(&FilePath) -> Result<(), LakeError> + Send + 'static,
    ) -> Result<(), LakeError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.map_err(|error| LakeError::io("look through", &self.location, error))?
    }

    /// Number and bytes of all objects.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub async fn size(&self) -> Result<(u64, u64), LakeError> {
        let metas = self.objects().list(None);
        let count = |(files, bytes), meta: ObjectMeta| futures::future::ok((files + 1, bytes + meta.size));
        metas.try_fold((0, 0), count).await.map_err(|source| LakeError::store("list", &self.location, source))
    }

    /// Number and bytes of the objects by the first two parts of their keys, as in `changes/trades`; the second is empty where
    /// a key has one part alone.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub async fn sizes(&self) -> Result<BTreeMap<(String, String), (u64, u64)>, LakeError> {
        let metas = self.objects().list(None);
        let add = |mut sizes: BTreeMap<_, (u64, u64)>, meta: ObjectMeta| {
            let mut parts = meta.location.as_ref().split('/').map(str::to_owned);
            let folder = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let (objects, bytes) = sizes.entry(folder).or_default();
            (*objects, *bytes) = (*objects + 1, *bytes + meta.size);
            futures::future::ok(sizes)
        };
        metas.try_fold(BTreeMap::new(), add).await.map_err(|source| LakeError::store("list", &self.location, source))
    }

    /// The object's bytes, or `None` if it is not there.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, LakeError> {
        Ok(self.get_with_etag(key).await?.map(|(bytes, _)| bytes))
    }

    /// The same with its ETag.
    pub(super) async fn get_with_etag(&self, key: &str) -> Result<Option<(Bytes, Option<String>)>, LakeError> {
        self.read(key, GetOptions::default()).await
    }

    /// The last `length` bytes of an object, or all of a shorter one.
    pub(super) async fn tail(&self, key: &str, length: u64) -> Result<Option<Bytes>, LakeError> {
        let options = GetOptions { range: Some(GetRange::Suffix(length)), ..GetOptions::default() };
        Ok(self.read(key, options).await?.map(|(bytes, _)| bytes))
    }

    /// The first `length` bytes of an object, or all of a shorter one.
    pub(super) async fn start(&self, key: &str, length: u64) -> Result<Option<Bytes>, LakeError> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..length)), ..GetOptions::default() };
        Ok(self.read(key, options).await?.map(|(bytes, _)| bytes))
    }

    async fn read(&self, key: &str, options: GetOptions) -> Result<Option<(Bytes, Option<String>)>, LakeError> {
        let error = |source| LakeError::store("read", key, source);
        match self.objects().get_opts(&Path::from(key), options).await {
            Ok(found) => {
                let etag = found.meta.e_tag.clone();
                Ok(Some((found.bytes().await.map_err(error)?, etag)))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(source) => Err(error(source)),
        }
    }

    /// The object's size, or `None` if it is not there.
    pub(super) async fn size_of(&self, key: &str) -> Result<Option<u64>, LakeError> {
        Ok(self.head(key).await?.map(|meta| meta.size))
    }

    /// The object as a file on this machine, without holding it in memory; `None` if it is not there.
    pub(super) async fn download(&self, key: &str, folder: &FilePath) -> Result<Option<File>, LakeError> {
        let io = |source| LakeError::io("keep a copy of", key, source);
        let error = |source| LakeError::store("read", key, source);
        let found = match self.objects().get(&Path::from(key)).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        let mut file = tempfile::tempfile_in(folder).map_err(io)?;
        match found.payload {
            // The kernel copies a file by itself.
            GetResultPayload::File(mut object, _) => drop(io::copy(&mut object, &mut file).map_err(io)?),
            GetResultPayload::Stream(mut chunks) => {
                while let Some(chunk) = chunks.try_next().await.map_err(error)? {
                    file.write_all(&chunk).map_err(io)?;
                }
            }
        }
        file.rewind().map_err(io)?;
        Ok(Some(file))
    }

    /// The same of an object that must be there.
    pub(super) async fn fetch(&self, key: &str, folder: &FilePath) -> Result<File, LakeError> {
        self.download(key, folder).await?.ok_or_else(|| LakeError::damaged(key, "has vanished"))
    }

    /// All objects below a folder, sorted by key.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, LakeError> {
        listed(folder, self.objects().list(Some(&Path::from(folder)))).await
    }

    /// Those of them whose keys sort behind this one: the store is not asked for the others.
    pub(super) async fn list_after(&self, folder: &str, key: &str) -> Result<Vec<Listed>, LakeError> {
        let metas = self.objects().list_with_offset(Some(&Path::from(folder)), &Path::from(key));
        let mut listed = listed(folder, metas).await?;
        // A store that does not know how to begin somewhere begins at the first.
        listed.retain(|object| object.key.as_str() > key);
        Ok(listed)
    }

    /// What lies directly in a folder: its folders and its objects, by key.
    pub(super) async fn folder(&self, folder: &str) -> Result<Folder, LakeError> {
        let listed = self.objects().list_with_delimiter(Some(&Path::from(folder))).await;
        let listed = listed.map_err(|source| LakeError::store("list", folder, source))?;
        let mut folders: Vec<_> = listed.common_prefixes.iter().map(ToString::to_string).collect();
        let mut objects: Vec<_> = listed.objects.iter().map(|meta| meta.location.to_string()).collect();
        folders.sort();
        objects.sort();
        Ok(Folder { folders, objects })
    }

    /// Reads content of this size into memory, once there is room for it.
    pub(super) async fn hold(&self, key: &str, mut content: impl Read, size: u64) -> Result<Held<'_>, LakeError> {
        let room = self.room_for(size).await;
        let mut bytes = Vec::with_capacity(size as usize);
        content.read_to_end(&mut bytes).map_err(|source| LakeError::io("read the copy of", key, source))?;
        Ok(Held { bytes: bytes.into(), _room: room })
    }

    /// Waits for memory to be free. The semaphore is never closed, so that there is always a permit.
    async fn room_for(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(size >> 10).map_or(self.sending_kib_max, |kib| kib.min(self.sending_kib_max));
        self.room_kib.acquire_many(kib).await.ok()
    }

    /// Creates an object that must not be there yet.
    ///
    /// Any error but success is answered by reading back: equal bytes are our own write, other bytes another's, and if
    /// nothing is there the same bytes are sent again.
    ///
    /// # Errors
    ///
    /// [`LakeError::OutcomeUnknown`] when neither writing nor reading back has led to a decision,
    /// [`LakeError::Denied`] when the store forbids it.
    pub(super) async fn create(&self, key: &str, bytes: &Bytes) -> Result<Creation, LakeError> {
        let path = Path::from(key);
        let (mut pause, mut attempt) = (BACKOFF, 1);
        let mut may_arrive = false;
        loop {
            let payload = PutPayload::from(bytes.clone());
            let overwrites = has(Defect::OverwritesCommits) && key.starts_with("changes/");
            let mode = if overwrites { PutMode::Overwrite } else { PutMode::Create };
            let Err(error) = self.objects().put_opts(&path, payload, mode.into()).await else {
                self.traffic.written();
                return self.persist_first_in_folder(key).await.map(|()| Creation::Ours);
            };
            match error {
                StoreError::AlreadyExists { .. } if has(Defect::BelievesExistingIsOurs) => return Ok(Creation::Ours),
                StoreError::AlreadyExists { .. } if has(Defect::BelievesExistingIsTheirs) => {
                    return Ok(Creation::Theirs(Bytes::new()));
                }
                _ => {}
            }
            match self.get(key).await {
                Ok(Some(there)) => {
                    self.persist([key]).await.map_err(|error| LakeError::not_persisted(key, error))?;
                    return Ok(if there == *bytes { Creation::Ours } else { Creation::Theirs(there) });
                }
                // An attempt before this one may still be on its way.
                Ok(None) if is_final(&error) && may_arrive => return Err(LakeError::outcome_unknown(key, &error)),
                Ok(None) if attempt == CREATE_ATTEMPTS || is_final(&error) => return Err(not_created(key, error)),
                Ok(None) => tracing::debug!(key, attempt, %error, "creating again"),
                Err(denied @ LakeError::Denied { .. }) if is_final(&error) && !may_arrive => return Err(denied),
                Err(LakeError::Denied { .. }) => return Err(LakeError::outcome_unknown(key, &error)),
                Err(_) if attempt == CREATE_ATTEMPTS => return Err(LakeError::outcome_unknown(key, &error)),
                Err(read) => tracing::debug!(key, attempt, %error, %read, "cannot tell whether it was created"),
            }
            may_arrive |= !is_final(&error);
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// The first object in a folder is made to last with all the folders around it, which another writer may have made and
    /// not yet synced. Its own folder is synced with each object.
    async fn persist_first_in_folder(&self, key: &str) -> Result<(), LakeError> {
        let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        if self.folder.is_none() || self.persisted.lock().is_ok_and(|persisted| persisted.contains(folder)) {
            return Ok(());
        }
        self.persist([key]).await.map_err(|error| LakeError::not_persisted(key, error))?;
        if let Ok(mut persisted) = self.persisted.lock() {
            persisted.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Writes an object that may be there already, and can be rebuilt. Returns its ETag.
    pub(super) async fn replace(&self, key: &str, bytes: Bytes) -> Result<Option<String>, LakeError> {
        let path = Path::from(key);
        let (mut pause, mut attempt) = (BACKOFF, 1);
        loop {
            let error = match self.objects().put(&path, bytes.clone().into()).await {
                Ok(written) => {
                    self.traffic.written();
                    return Ok(written.e_tag);
                }
                Err(error) => error,
            };
            if attempt == REPLACE_ATTEMPTS || is_final(&error) {
                return Err(LakeError::store("replace", key, error));
            }
            tracing::debug!(key, attempt, %error, "replacing again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// The same, if the object is the one with the ETag `seen`, or is not there if none was. As with a create, only what is
    /// there afterwards decides.
    pub(super) async fn replace_if(
        &self,
        key: &str,
        bytes: Bytes,
        seen: Option<&str>,
    ) -> Result<Replacement, LakeError> {
        let path = Path::from(key);
        let mode = match seen {
            Some(etag) => PutMode::Update(UpdateVersion { e_tag: Some(etag.to_owned()), version: None }),
            None => PutMode::Create,
        };
        let (mut pause, mut attempt) = (BACKOFF, 1);
        loop {
            let error = match self.objects().put_opts(&path, bytes.clone().into(), mode.clone().into()).await {
                Ok(written) => {
                    self.traffic.written();
                    return Ok(Replacement::Done(written.e_tag));
                }
                // The lake was made in a store that can, and was moved to one that cannot.
                Err(StoreError::NotImplemented { .. }) => return self.replace(key, bytes).await.map(Replacement::Done),
                Err(error) => error,
            };
            match self.get_with_etag(key).await? {
                Some((there, etag)) if there == bytes => return Ok(Replacement::Done(etag)),
                there if there.as_ref().and_then(|(_, etag)| etag.as_deref()) != seen => {
                    return Ok(Replacement::Outdated);
                }
                _ if attempt == REPLACE_ATTEMPTS || is_final(&error) => {
                    return Err(LakeError::store("replace", key, error));
                }
                _ => tracing::debug!(key, attempt, %error, "replacing again"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// Replaces an object by content of any size, holding two parts at a time. The content is read anew for each attempt.
    pub(super) async fn replace_from(
        &self,
        key: &str,
        content: impl Read + Clone,
        size: u64,
    ) -> Result<Option<String>, LakeError> {
        let io = |source| LakeError::io("read the copy of", key, source);
        if size <= self.part_bytes() as u64 {
            let held = self.hold(key, content, size).await?;
            return self.replace(key, held.bytes.clone()).await;
        }
        let _room = self.room_for(2 * self.part_bytes() as u64).await;
        let path = Path::from(key);
        let (mut pause, mut attempt) = (BACKOFF, 1);
        loop {
            let error = match self.upload(&path, content.clone()).await.map_err(io)? {
                Ok(etag) if etag.as_ref().is_none_or(String::is_empty) => return self.etag_of_upload(key, size).await,
                Ok(etag) => return Ok(etag),
                Err(error) => error,
            };
            if attempt == REPLACE_ATTEMPTS || is_final(&error) {
                return Err(LakeError::store("replace", key, error));
            }
            tracing::debug!(key, attempt, %error, "uploading again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    fn part_bytes(&self) -> usize {
        if self.folder.is_some() { FOLDER_PART_BYTES } else { PART_BYTES }
    }

    /// Uploads in parts, and returns the ETag. An upload that is not completed is seen by nobody; the store is told to drop
    /// it, and if that is not allowed either, the error is still that of the upload.
    async fn upload(&self, path: &Path, content: impl Read) -> io::Result<Result<Option<String>, StoreError>> {
        let mut upload = match self.objects().put_multipart(path).await {
            Ok(upload) => upload,
            Err(error) => return Ok(Err(error)),
        };
        let sent = self.send_parts(upload.as_mut(), content).await;
        if !matches!(sent, Ok(Ok(_)))
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%path, %error, "an upload that failed cannot be dropped");
        }
        sent
    }

    /// Sends one part while the next is read.
    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        mut content: impl Read,
    ) -> io::Result<Result<Option<String>, StoreError>> {
        let part_bytes = self.part_bytes();
        let mut sending: Option<JoinHandle<Result<(), StoreError>>> = None;
        loop {
            let mut part = Vec::with_capacity(part_bytes);
            content.by_ref().take(part_bytes as u64).read_to_end(&mut part)?;
            if let Some(sending) = sending.take()
                && let Err(error) = sending.await.unwrap_or_else(|aborted| Err(aborted.into()))
            {
                return Ok(Err(error));
            }
            self.traffic.request();
            if part.is_empty() {
                let completed = upload.complete().await;
                return Ok(completed.map(|written| {
                    self.traffic.written();
                    written.e_tag
                }));
            }
            sending = Some(tokio::spawn(upload.put_part(part.into())));
        }
    }

    /// The ETag of an object just uploaded in parts, which Ceph's gateway leaves out of its answer. `None` if the object has
    /// another size, and so is another's.
    async fn etag_of_upload(&self, key: &str, size: u64) -> Result<Option<String>, LakeError> {
        Ok(self.head(key).await?.filter(|meta| meta.size == size).and_then(|meta| meta.e_tag))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, LakeError> {
        match self.objects().head(&Path::from(key)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(source) => Err(LakeError::store("read", key, source)),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.location).finish()
    }
}

/// What a listing shows, sorted by key.
async fn listed(
    folder: &str,
    metas: BoxStream<'static, Result<ObjectMeta, StoreError>>,
) -> Result<Vec<Listed>, LakeError> {
    let listed = metas.map_ok(|meta| Listed { key: meta.location.to_string(), size: meta.size, etag: meta.e_tag });
    let listed = listed.try_collect::<Vec<_>>().await;
    let mut listed = listed.map_err(|source| LakeError::store("list", folder, source))?;
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(listed)
}

/// Whether a write that failed so would fail again: the store forbids it or cannot do it, or there is no bucket.
fn is_final(error: &StoreError) -> bool {
    is_denial(error) || is_elsewhere(error) || matches!(error, StoreError::NotImplemented { .. })
}

/// The error of a create whose object was not there when it was last looked for. A disk that refuses has refused; what was
/// sent over a network may still arrive.
fn not_created(key: &str, error: StoreError) -> LakeError {
    if is_final(&error) || matches!(error, StoreError::Generic { store: "LocalFileSystem", .. }) {
        LakeError::store("create", key, error)
    } else {
        LakeError::outcome_unknown(key, &error)
    }
}
