//! Stores that break a law, and what the probe says of them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use super::{Writer, identity, resource};
use crate::{
    decode::Operation::{Added, Changed},
    lake::{Identity, Lake, LakeError, Projection, Store, layout::Layout},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lawless {
    /// A create overwrites.
    IgnoresTheCondition,
    /// A create looks, and then writes.
    ChecksBeforeItWrites,
    /// A listing shows what was there before.
    ListsThePast,
    /// No law, but an offer that is not made.
    NeverReplacesOnCondition,
    /// Likewise, and worse.
    ReplacesOnAnyCondition,
}

#[derive(Debug)]
struct LawlessStore {
    inner: InMemory,
    lawless: Lawless,
}

impl fmt::Display for LawlessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lawless")
    }
}

#[async_trait]
impl ObjectStore for LawlessStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match (self.lawless, &options.mode) {
            (Lawless::IgnoresTheCondition, PutMode::Create) => self.inner.put(path, payload).await,
            (Lawless::ChecksBeforeItWrites, PutMode::Create) => {
                if self.inner.head(path).await.is_ok() {
                    return Err(Error::AlreadyExists { path: path.to_string(), source: "it is there".into() });
                }
                tokio::task::yield_now().await;
                self.inner.put(path, payload).await
            }
            (Lawless::NeverReplacesOnCondition, PutMode::Update(_)) => {
                Err(Error::NotImplemented { operation: "replace on condition".into(), implementer: self.to_string() })
            }
            (Lawless::ReplacesOnAnyCondition, PutMode::Update(_)) => self.inner.put(path, payload).await,
            _ => self.inner.put_opts(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.lawless {
            Lawless::ListsThePast => futures::stream::empty().boxed(),
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn make(lawless: Lawless) -> std::result::Result<Lake, LakeError> {
    let store = LawlessStore { inner: InMemory::new(), lawless };
    Lake::open_or_create(Store::new(Arc::new(store), "lawless"), identity()).await
}

#[tokio::test]
async fn a_store_that_breaks_a_law_is_refused_and_the_law_is_named() {
    let rows = [
        (Lawless::IgnoresTheCondition, "created although it was there"),
        (Lawless::ChecksBeforeItWrites, "of 64 creates of one key at once 64 won"),
        (Lawless::ListsThePast, "a listing afterwards does not show it"),
    ];
    for (lawless, law) in rows {
        match make(lawless).await {
            Err(LakeError::Contract { law: broken, .. }) => assert!(broken.contains(law), "{broken}"),
            other => panic!("{lawless:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_lake_records_what_its_store_was_found_to_do() {
    let lake = Lake::open_or_create(Store::new(Arc::new(InMemory::new()), "memory"), identity()).await.unwrap();
    let probe = lake.identity.probe.clone().unwrap();
    assert_eq!((probe.at, probe.racers, probe.conditional_replace), (lake.identity.created_at, 64, true));
    let reopened = Lake::open(lake.store.clone()).await.unwrap();
    assert_eq!(reopened.identity.probe, Some(probe));
    for lawless in [Lawless::NeverReplacesOnCondition, Lawless::ReplacesOnAnyCondition] {
        let lake = make(lawless).await.unwrap();
        assert!(!lake.identity.probe.unwrap().conditional_replace, "{lawless:?}");
    }
}

/// Two views of one lake: as it is, and as one whose store was found not to replace on condition.
async fn with_and_without_conditions() -> [Lake; 2] {
    let conditional = Lake::open_or_create(Store::new(Arc::new(InMemory::new()), "memory"), identity()).await.unwrap();
    let plain = make(Lawless::NeverReplacesOnCondition).await.unwrap();
    [conditional, plain]
}

#[tokio::test]
async fn a_projection_is_right_with_conditional_replacement_and_without() {
    for lake in with_and_without_conditions().await {
        let writer = Writer::of(&lake);
        let head = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1)]).await;
        writer.project(&head).await;
        let head = writer.commit("p2", &[(Changed, 1, "b", 2)]).await;
        writer.project(&head).await;
        assert_eq!(writer.current().await, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    }
}

#[tokio::test]
async fn an_index_that_another_run_has_replaced_is_not_overwritten() {
    let [lake, _] = with_and_without_conditions().await;
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    writer.project(&head).await;
    let index = Layout::new(&resource("deposits"), crate::schema::Granularity::Month).current_index();
    let (bytes, etag) = lake.store.get_with_etag(&index).await.unwrap().unwrap();
    lake.store.replace(&index, bytes).await.unwrap();
    let outdated = lake.store.replace_if(&index, Bytes::from_static(b"{}"), etag.as_deref()).await.unwrap();
    assert_eq!(outdated, crate::lake::Replacement::Outdated);
    // The projection looks at it anew, and so goes through.
    let head = writer.commit("p2", &[(Changed, 0, "a", 2)]).await;
    writer.project(&head).await;
    assert_eq!(writer.current().await, [("a".to_owned(), 2)]);
}

#[tokio::test]
async fn a_lake_made_before_there_was_a_probe_opens() {
    let store = Store::new(Arc::new(InMemory::new()), "memory");
    let mut old = serde_json::to_value(identity()).unwrap();
    old.as_object_mut().unwrap().remove("probe");
    store.replace("meta/lake.json", serde_json::to_vec(&old).unwrap().into()).await.unwrap();
    let lake = Lake::open_or_create(store, Identity { id: "another".into(), ..identity() }).await.unwrap();
    assert_eq!((lake.identity.id.clone(), lake.identity.probe.clone()), (identity().id, None));
    let (deposits, folder) = (resource("deposits"), super::spool());
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    Projection::new(&lake, &deposits, &folder)
        .advance(&writer.log(), &head, &crate::lake::Twins::default())
        .await
        .unwrap();
    assert_eq!(writer.current().await, [("a".to_owned(), 1)]);
}
