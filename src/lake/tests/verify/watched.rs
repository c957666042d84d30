//! A store in memory that counts what is read of it, remembers what was written, and can be written to by others while it is
//! being read.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

pub(super) type Write = (Path, PutPayload);

#[derive(Debug, Default)]
pub(super) struct Watched {
    inner: std::sync::Arc<InMemory>,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    /// Whether it is only to be read.
    closed: bool,
    written: Vec<Write>,
    bytes_read: u64,
    requests: usize,
    /// Others' writes, one before each request from a number on.
    others: VecDeque<Write>,
    others_from: usize,
}

impl Watched {
    /// A store with these writes done.
    pub(super) async fn with(writes: &[Write]) -> Self {
        let watched = Self::default();
        for (path, payload) in writes {
            watched.inner.put(path, payload.clone()).await.unwrap();
        }
        watched
    }

    /// From here on nothing is written, except by others, who begin before the request with this number.
    pub(super) fn close(&self, others: &[Write], others_from: usize) {
        let others = others.iter().cloned().collect();
        *self.watch() = Watch { closed: true, others, others_from, ..Watch::default() };
    }

    pub(super) fn written(&self) -> Vec<Write> {
        self.watch().written.clone()
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.watch().bytes_read
    }

    pub(super) fn requests(&self) -> usize {
        self.watch().requests
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap()
    }

    /// What another writes before this request.
    fn next(&self) -> Option<Write> {
        let mut watch = self.watch();
        watch.requests += 1;
        if watch.requests > watch.others_from { watch.others.pop_front() } else { None }
    }

    async fn let_others_write(&self) -> Result<()> {
        match self.next() {
            Some((path, payload)) => self.inner.put(&path, payload).await.map(drop),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a watched store")
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if self.watch().closed {
            return Err(Error::Generic { store: "watched", source: "a write to what is only to be read".into() });
        }
        self.watch().written.push((path.clone(), payload.clone()));
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::Generic { store: "watched", source: "an upload in parts of what is small".into() })
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.let_others_write().await?;
        let found = self.inner.get_opts(path, options).await?;
        self.watch().bytes_read += found.range.end - found.range.start;
        Ok(found)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix, write) = (self.inner.clone(), prefix.cloned(), self.next());
        let list = async move {
            if let Some((path, payload)) = write {
                inner.put(&path, payload).await?;
            }
            Ok::<_, Error>(inner.list(prefix.as_ref()))
        };
        futures::stream::once(list).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.let_others_write().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
