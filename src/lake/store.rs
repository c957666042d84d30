//! The verbs of a store that the lake needs: get, list, create if absent, and replace for what can be rebuilt.
//!
//! A create is never believed on its error: it may have happened although the answer says otherwise. So what is there is
//! read back, and only that decides ([`Store::create`]).

use std::{
    fs::File,
    io::{Read, Seek, Write},
    path::Path as FilePath,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    WriteMultipart, local::LocalFileSystem, path::Path,
};

use super::{LakeError, error::is_denial};

/// Attempts at a create before its outcome is given up as unknown.
const CREATE_ATTEMPTS: u32 = 8;
/// Pause before the second attempt; it doubles with each further one.
const CREATE_BACKOFF: Duration = Duration::from_millis(50);
/// Objects up to this size are replaced in one request, larger ones in parts of this size.
const PART_BYTES: usize = 8 << 20;

/// What a create came to. Both are ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// The object is there with our bytes.
    Ours,
    /// The object is there with these other bytes.
    Theirs(Bytes),
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

/// A place for objects, and the name people know it by.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    location: String,
}

impl Store {
    /// Opens a folder, and makes it where `create` says so.
    ///
    /// # Errors
    ///
    /// [`LakeError::Missing`] if it is not there and not to be made, [`LakeError::Location`] if it cannot be one.
    pub fn open(location: &str, create: bool) -> Result<Self, LakeError> {
        let problem = |problem: String| LakeError::Location { location: location.to_owned(), problem };
        if let Some((scheme, _)) = location.split_once("://") {
            return Err(problem(format!("`{scheme}` is no kind of store that this version can use; give a folder")));
        }
        let folder = FilePath::new(location);
        if create {
            std::fs::create_dir_all(folder).map_err(|source| LakeError::file("make the folder", location, source))?;
        } else if !folder.is_dir() {
            return Err(LakeError::Missing { location: location.to_owned() });
        }
        let objects =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| problem(error.to_string()))?.with_fsync(true);
        Ok(Self::new(Arc::new(objects), location))
    }

    /// A lake in any object store.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self { objects, location: location.to_owned() }
    }

    /// Where it is, as people write it.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Number and bytes of all objects.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub async fn size(&self) -> Result<(u64, u64), LakeError> {
        let metas = self.objects.list(None);
        let count = |(files, bytes), meta: ObjectMeta| futures::future::ok((files + 1, bytes + meta.size));
        metas.try_fold((0, 0), count).await.map_err(|source| LakeError::store("list", &self.location, source))
    }

    /// The object's bytes, or `None` if it is not there.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, LakeError> {
        self.read(key, GetOptions::default()).await
    }

    /// The last `length` bytes of an object, or all of a shorter one.
    pub(super) async fn tail(&self, key: &str, length: u64) -> Result<Option<Bytes>, LakeError> {
        self.read(key, GetOptions { range: Some(GetRange::Suffix(length)), ..GetOptions::default() }).await
    }

    async fn read(&self, key: &str, options: GetOptions) -> Result<Option<Bytes>, LakeError> {
        let error = |source| LakeError::store("read", key, source);
        match self.objects.get_opts(&Path::from(key), options).await {
            Ok(found) => found.bytes().await.map(Some).map_err(error),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(source) => Err(error(source)),
        }
    }

    /// The object as a file on this machine, without holding it in memory; `None` if it is not there.
    pub(super) async fn download(&self, key: &str, folder: &FilePath) -> Result<Option<File>, LakeError> {
        let io = |source| LakeError::io("keep a copy of", key, source);
        let error = |source| LakeError::store("read", key, source);
        let mut chunks = match self.objects.get(&Path::from(key)).await {
            Ok(found) => found.into_stream(),
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        let mut file = tempfile::tempfile_in(folder).map_err(io)?;
        while let Some(chunk) = chunks.try_next().await.map_err(error)? {
            file.write_all(&chunk).map_err(io)?;
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
        let metas: Vec<ObjectMeta> = self
            .objects
            .list(Some(&Path::from(folder)))
            .try_collect()
            .await
            .map_err(|source| LakeError::store("list", folder, source))?;
        let mut listed: Vec<Listed> = metas
            .into_iter()
            .map(|meta| Listed { key: meta.location.to_string(), size: meta.size, etag: meta.e_tag })
            .collect();
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// What lies directly in a folder: its folders and its objects, by key.
    pub(super) async fn folder(&self, folder: &str) -> Result<Folder, LakeError> {
        let listed = self.objects.list_with_delimiter(Some(&Path::from(folder))).await;
        let listed = listed.map_err(|source| LakeError::store("list", folder, source))?;
        let mut folders: Vec<_> = listed.common_prefixes.iter().map(ToString::to_string).collect();
        let mut objects: Vec<_> = listed.objects.iter().map(|meta| meta.location.to_string()).collect();
        folders.sort();
        objects.sort();
        Ok(Folder { folders, objects })
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
        let mut pause = CREATE_BACKOFF;
        let mut attempt = 1;
        loop {
            let payload = PutPayload::from(bytes.clone());
            let Err(error) = self.objects.put_opts(&path, payload, PutMode::Create.into()).await else {
                return Ok(Creation::Ours);
            };
            match self.get(key).await {
                Ok(Some(there)) if there == *bytes => return Ok(Creation::Ours),
                Ok(Some(there)) => return Ok(Creation::Theirs(there)),
                Ok(None) if attempt == CREATE_ATTEMPTS || is_denial(&error) => {
                    return Err(not_created(key, error));
                }
                Ok(None) => tracing::debug!(key, attempt, %error, "creating again"),
                Err(LakeError::Denied { action, key, source }) => {
                    return Err(LakeError::Denied { action, key, source });
                }
                Err(_) if attempt == CREATE_ATTEMPTS => {
                    return Err(LakeError::OutcomeUnknown { key: key.to_owned(), source: error.into() });
                }
                Err(read) => tracing::debug!(key, attempt, %error, %read, "cannot tell whether it was created"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// Writes an object that may be there already, and can be rebuilt. Returns its ETag.
    pub(super) async fn replace(&self, key: &str, bytes: Bytes) -> Result<Option<String>, LakeError> {
        let put = self.objects.put(&Path::from(key), bytes.into()).await;
        put.map(|written| written.e_tag).map_err(|source| LakeError::store("replace", key, source))
    }

    /// The same with content of any size, holding one part at a time.
    pub(super) async fn replace_from(
        &self,
        key: &str,
        mut content: impl Read,
        size: u64,
    ) -> Result<Option<String>, LakeError> {
        let io = |source| LakeError::io("read the copy of", key, source);
        if size <= PART_BYTES as u64 {
            let mut bytes = Vec::with_capacity(size as usize);
            content.read_to_end(&mut bytes).map_err(io)?;
            return self.replace(key, bytes.into()).await;
        }
        let error = |source| LakeError::store("replace", key, source);
        let upload = self.objects.put_multipart(&Path::from(key)).await.map_err(error)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut part = vec![0; PART_BYTES];
        loop {
            let read = content.read(&mut part).map_err(io)?;
            if read == 0 {
                break;
            }
            upload.wait_for_capacity(1).await.map_err(error)?;
            upload.write(&part[..read]);
        }
        upload.finish().await.map(|written| written.e_tag).map_err(error)
    }
}

/// The error of a create whose object was not there when it was last looked for. A disk that refuses has refused; what was
/// sent over a network may still arrive.
fn not_created(key: &str, error: StoreError) -> LakeError {
    let over = is_denial(&error) || matches!(error, StoreError::Generic { store: "LocalFileSystem", .. });
    if over {
        LakeError::store("create", key, error)
    } else {
        LakeError::OutcomeUnknown { key: key.to_owned(), source: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn stores() -> Vec<(Store, Option<tempfile::TempDir>)> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Store::open(folder.path().to_str().unwrap(), true).unwrap();
        vec![(Store::new(Arc::new(InMemory::new()), "memory"), None), (disk, Some(folder))]
    }

    #[tokio::test]
    async fn a_create_wins_once_and_shows_the_loser_what_is_there() {
        for (store, _folder) in stores() {
            let (mine, other) = (Bytes::from_static(b"mine"), Bytes::from_static(b"other"));
            assert_eq!(store.create("a/b", &mine).await.unwrap(), Creation::Ours);
            assert_eq!(store.create("a/b", &mine).await.unwrap(), Creation::Ours);
            assert_eq!(store.create("a/b", &other).await.unwrap(), Creation::Theirs(mine.clone()));
            assert_eq!(store.get("a/b").await.unwrap(), Some(mine));
            assert_eq!(store.get("a/c").await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_listing_shows_what_a_replacement_returned() {
        for (store, _folder) in stores() {
            let etag = store.replace("x/y", Bytes::from_static(b"1")).await.unwrap();
            let large = vec![7; PART_BYTES + 1];
            let large_etag = store.replace_from("x/z", large.as_slice(), large.len() as u64).await.unwrap();
            let listed = store.list("x").await.unwrap();
            assert_eq!(listed[0], Listed { key: "x/y".into(), size: 1, etag });
            assert_eq!(listed[1], Listed { key: "x/z".into(), size: large.len() as u64, etag: large_etag });
            assert_eq!(store.list("nothing").await.unwrap(), []);
            store.replace("x/deep/er", Bytes::new()).await.unwrap();
            let folder = Folder { folders: vec!["x/deep".into()], objects: vec!["x/y".into(), "x/z".into()] };
            assert_eq!(store.folder("x").await.unwrap(), folder);
            assert_eq!(store.folder("nothing").await.unwrap(), Folder::default());
            assert_eq!(store.tail("x/z", 3).await.unwrap().unwrap(), Bytes::from_static(&[7, 7, 7]));
        }
    }

    #[test]
    fn a_location_that_is_no_folder_is_refused_with_a_reason() {
        let message = Store::open("ftp://x/y", true).unwrap_err().to_string();
        assert!(message.contains("`ftp` is no kind of store"), "{message}");
        assert!(matches!(Store::open("/nonexistent/lake", false), Err(LakeError::Missing { .. })));
    }
}
