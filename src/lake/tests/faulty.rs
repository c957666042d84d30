//! A store around a store that fails once, in one way, each time it is armed.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

/// How a create fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It happened, and the connection broke.
    AppliedButReset,
    /// It happened, and its own retry found it there.
    AppliedButAlreadyExists,
    /// It did not happen, and the store says that somebody else was at it.
    ConflictBeforeApplied,
    /// It did not happen.
    UnavailableBeforeApplied,
    /// From here on nothing is answered.
    Gone,
    /// The connection breaks, and from then on nothing may be written.
    ThenForbidden,
}

#[derive(Debug)]
pub(super) struct FaultyStore {
    inner: InMemory,
    fault: Fault,
    armed: AtomicUsize,
    injected: AtomicUsize,
}

impl FaultyStore {
    pub(super) fn new(fault: Fault) -> Self {
        Self { inner: InMemory::new(), fault, armed: AtomicUsize::new(0), injected: AtomicUsize::new(0) }
    }

    /// The next two creates fail: a claim and its object.
    pub(super) fn arm(&self) {
        self.armed.store(2, Ordering::SeqCst);
    }

    pub(super) fn injected(&self) -> usize {
        self.injected.load(Ordering::SeqCst)
    }

    fn fires(&self) -> bool {
        let fires = self.armed.load(Ordering::SeqCst) > 0;
        if fires && !matches!(self.fault, Fault::Gone | Fault::ThenForbidden) {
            self.armed.fetch_sub(1, Ordering::SeqCst);
        }
        self.injected.fetch_add(usize::from(fires), Ordering::SeqCst);
        fires
    }

    fn is_gone(&self) -> bool {
        self.fault == Fault::Gone && self.armed.load(Ordering::SeqCst) > 0
    }
}

fn broken() -> Error {
    Error::Generic { store: "faulty", source: "the connection was reset".into() }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "it is there".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a store with {:?}", self.fault)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode != PutMode::Create || !self.fires() {
            return self.inner.put_opts(path, payload, options).await;
        }
        match self.fault {
            Fault::AppliedButReset => self.inner.put_opts(path, payload, options).await.and(Err(broken())),
            Fault::AppliedButAlreadyExists => self.inner.put_opts(path, payload, options).await.and(Err(exists(path))),
            Fault::ConflictBeforeApplied => Err(exists(path)),
            Fault::ThenForbidden if self.injected() > 1 => {
                Err(Error::PermissionDenied { path: path.to_string(), source: "it is forbidden".into() })
            }
            Fault::UnavailableBeforeApplied | Fault::Gone | Fault::ThenForbidden => Err(broken()),
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if self.is_gone() { Err(broken()) } else { self.inner.get_opts(path, options).await }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
