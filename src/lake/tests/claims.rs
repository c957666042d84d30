//! Claims of several objects: whichever of them there are, and how few requests it takes.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tokio::time::Instant;

use super::*;
use crate::lake::{Depth, Law, Verification};

/// A store in memory that counts requests and takes its time for each.
#[derive(Debug, Default)]
struct Far {
    inner: InMemory,
    latency: Duration,
    requests: AtomicU64,
    listed: Arc<AtomicU64>,
}

impl Far {
    fn after(latency: Duration) -> Arc<Self> {
        Arc::new(Self { latency, ..Self::default() })
    }

    /// Requests since the last time that this was asked, and objects that listings showed.
    fn take(&self) -> (u64, u64) {
        (self.requests.swap(0, Relaxed), self.listed.swap(0, Relaxed))
    }

    async fn travel(&self) {
        self.requests.fetch_add(1, Relaxed);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }

    fn count(&self, listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.requests.fetch_add(1, Relaxed);
        let listed = self.listed.clone();
        listing
            .inspect(move |_| {
                listed.fetch_add(1, Relaxed);
            })
            .boxed()
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store far away")
    }
}

#[async_trait]
impl ObjectStore for Far {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.travel().await;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.travel().await;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.travel().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn lake_in(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::open_or_create(Store::new(store, "store"), identity()).await.unwrap()
}

/// A diff of three objects, of three months.
const THREE: [Version<'_>; 3] = [(Added, 0, "a", 1), (Added, 1, "b", 1), (Added, 2, "c", 1)];

impl Writer<'_> {
    /// Claims for a diff, and creates some of its objects.
    async fn leave(&self, diff: &SealedDiff, created: impl Fn(usize) -> bool) {
        let layout = Layout::new(&self.deposits, Granularity::Month);
        self.lake.store.create(&layout.claim(diff.claim.seq), &diff.claim.to_bytes().unwrap()).await.unwrap();
        for (_, sealed) in diff.objects().enumerate().filter(|(index, _)| created(*index)) {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut sealed.written.content.clone(), &mut bytes).unwrap();
            self.lake.store.create(&sealed.object.key, &bytes.into()).await.unwrap();
        }
    }

    /// What a verification finds, but for versions: the rows here tell nothing of when they were first seen.
    async fn found(&self, depth: Depth) -> Vec<(Law, String)> {
        let mut report = Verification::of("deposits");
        self.lake.verify(&self.decoder(), &spool(), depth, &mut report).await.unwrap();
        let is_ours = |law| !matches!(law, Law::Versions | Law::Cursor);
        report.findings.into_iter().filter(|it| is_ours(it.law)).map(|it| (it.law, it.problem)).collect()
    }
}

#[tokio::test]
async fn whichever_objects_a_writer_leaves_the_rest_is_closed_and_gone_on_from() {
    for left in 0..4_usize {
        let lake = lake().await;
        let writer = Writer::of(&lake);
        let head = writer.commit("p1", &[(Added, 0, "z", 1)]).await;
        writer.save(&lake, &head).await;
        let diff = writer.seal(&head, "p2", &THREE);
        let is_left = |index: usize| left >> index & 1 == 1;
        writer.leave(&diff, is_left).await;

        assert_eq!(writer.log().head().await.unwrap(), head, "looking settles nothing");
        for depth in [Depth::Full, Depth::Quick] {
            assert_eq!(writer.found(depth).await, [], "{left:b}");
        }
        let settled = writer.settle().await;
        assert_eq!((settled.seq, settled.claim), (4, 2), "{left:b}");
        let poll = settled.cursor.as_ref().map(|cursor| cursor.poll_id.as_str());
        assert_eq!(poll, Some(if left == 0 { "p1" } else { "p2" }), "{left:b}");
        assert_eq!(writer.settle().await, settled);
        assert_eq!(writer.known(&settled).await.present(), 1 + u64::from(left.count_ones()), "{left:b}");

        // Its writer wakes up, and all that it sends comes too late.
        let mut confirmed = Vec::new();
        let late = writer.log().commit(&diff, |sealed| confirmed.push(sealed.commit.seq)).await.unwrap();
        assert_eq!(late, Outcome::Lost);
        assert!(!confirmed.contains(&4), "{left:b}: {confirmed:?}");
        assert_eq!(writer.settle().await, settled);

        let rest: Vec<_> = (0..3).filter(|index| !is_left(*index)).map(|index| THREE[index]).collect();
        let head = writer.commit("p3", &rest).await;
        assert_eq!(head.seq, 4 + rest.len() as u64);
        writer.save(&lake, &head).await;
        writer.project(&head).await;
        let ids: Vec<String> = writer.current().await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a", "b", "c", "z"], "{left:b}");
        for depth in [Depth::Full, Depth::Quick] {
            assert_eq!(writer.found(depth).await, [], "{left:b}");
        }
    }
}

#[tokio::test]
async fn a_last_object_without_those_before_it_is_damage() {
    for left in [0b100, 0b101, 0b110] {
        let lake = lake().await;
        let writer = Writer::of(&lake);
        let diff = writer.seal(&writer.settle().await, "p", &THREE);
        writer.leave(&diff, |index| left >> index & 1 == 1).await;
        for ended in [writer.log().head().await, writer.log().settle(&spool()).await] {
            assert!(matches!(ended, Err(LakeError::Damaged { .. })), "{left:b}: {ended:?}");
        }
        assert!(!writer.found(Depth::Quick).await.is_empty(), "{left:b}");
        // Nor is a void there a reason for it.
        for (seq, object) in diff.claim.numbered().filter(|(seq, _)| left >> (seq - 1) & 1 == 0) {
            let void = writer.log().void(seq, None, None, &spool()).unwrap();
            lake.store.create(&object.key, &void).await.unwrap();
        }
        let ended = writer.log().settle(&spool()).await;
        assert!(matches!(ended, Err(LakeError::Damaged { .. })), "{left:b}: {ended:?}");
    }
}

#[tokio::test]
async fn a_void_anywhere_loses_the_diff_and_nothing_more_is_begun() {
    let ids: Vec<String> = (0..9).map(|number| format!("r{number}")).collect();
    let versions: Vec<Version<'_>> =
        ids.iter().enumerate().map(|(month, id)| (Added, month as i32, &**id, 1)).collect();
    for lost in 0..9 {
        let lake = lake().await;
        let writer = Writer::of(&lake);
        let diff = writer.seal(&writer.settle().await, "p", &versions);
        let keys: Vec<&String> = diff.claim.objects.iter().map(|object| &object.key).collect();
        let void = writer.log().void(lost as u64 + 1, None, None, &spool()).unwrap();
        lake.store.create(keys[lost], &void).await.unwrap();
        let mut confirmed = Vec::new();
        let outcome =
            writer.log().commit(&diff, |sealed| confirmed.push(sealed.commit.seq as usize - 1)).await.unwrap();
        assert_eq!(outcome, Outcome::Lost);
        let mut there: Vec<usize> = Vec::new();
        for (index, key) in keys.iter().enumerate().filter(|(index, _)| *index != lost) {
            there.extend(lake.store.get(key).await.unwrap().map(|_| index));
        }
        confirmed.sort_unstable();
        assert_eq!(confirmed, there, "what is there was told");
        assert!(!there.contains(&8) && there.len() <= (lost + 4).min(8), "{lost}: {there:?}");
    }
}

#[tokio::test]
async fn an_object_that_a_cache_has_seen_is_missed_wherever_it_was_in_its_claim() {
    for lost in 1..=3 {
        let objects = Arc::new(InMemory::new());
        let lake = lake_in(objects.clone()).await;
        let writer = Writer::of(&lake);
        let head = writer.commit("p", &THREE).await;
        writer.save(&lake, &head).await;
        let key = Layout::new(&writer.deposits, Granularity::Month).commit(partition(lost - 1), lost as u64);
        objects.delete(&key.into()).await.unwrap();
        let ended = writer.log().settle(&spool()).await;
        assert!(matches!(ended, Err(LakeError::RolledBack { seq: 3, .. })), "{lost}: {ended:?}");
    }
}

#[tokio::test]
async fn a_hint_that_is_wrong_changes_nothing() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    writer.commit("p1", &THREE).await;
    let head = writer.commit("p2", &[(Added, 0, "d", 1), (Added, 1, "e", 1)]).await;
    for claim in [0, 1, 2, 3, 4, 5, 6, 99] {
        assert_eq!(writer.log().head_since(&Head { claim, ..Head::default() }).await.unwrap(), head, "{claim}");
    }
    let state = Layout::new(&writer.deposits, Granularity::Month).state();
    for hint in ["", "{}", "{\"claim\":3}", "\n"] {
        lake.store.replace(&state, Bytes::from_static(hint.as_bytes())).await.unwrap();
        assert_eq!(writer.settle().await, head, "{hint}");
    }
}

#[tokio::test]
async fn a_claim_beyond_a_gap_and_one_within_another_are_damage() {
    let claim = |seq: u64, keys: &[u64]| {
        let layout = Layout::new(&resource("deposits"), Granularity::Month);
        let object =
            |number: &u64| format!(r#"{{"key":"{}","size":1,"sha256":"0"}}"#, layout.commit(partition(0), *number));
        let objects: Vec<_> = keys.iter().map(object).collect();
        (layout.claim(seq), format!(r#"{{"seq":{seq},"poll_id":"p","objects":[{}]}}"#, objects.join(",")))
    };
    for (seq, keys) in [(5, [5, 6]), (3, [3, 4]), (2, [2, 3])] {
        let lake = lake().await;
        let writer = Writer::of(&lake);
        writer.commit("p1", &THREE).await;
        let (key, text) = claim(seq, &keys);
        lake.store.create(&key, &text.into()).await.unwrap();
        for hint in [0, 1] {
            let ended = writer.log().head_since(&Head { claim: hint, ..Head::default() }).await;
            assert!(matches!(ended, Err(LakeError::Damaged { .. })), "{key}: {ended:?}");
        }
        assert!(!writer.found(Depth::Quick).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn many_partitions_take_few_round_trips_in_a_row() {
    const PARTITIONS: usize = 24;
    let lake = lake_in(Far::after(Duration::from_millis(100))).await;
    let writer = Writer::of(&lake);
    let head = writer.settle().await;
    let mut drafts = Drafts::new(&lake, &writer.deposits, head, &spool(), "p", 1_000).unwrap();
    for number in 0..PARTITIONS {
        let folder = format!("event_month={}-{:02}", 1970 + number / 12, number % 12 + 1);
        let partition = Granularity::Month.parse_folder(&folder).unwrap();
        let filed = Filed { partition, first_seen_at: 7, was_open: false, digest: None };
        let text = format!(r#"{{"transactionId":"r{number}","amount":1,"status":"PENDING"}}"#);
        let row = Decoder::new(&writer.deposits, Zone::UTC).decode(text.as_bytes()).unwrap();
        drafts.append(Added, filed, &row, Effect::default()).unwrap();
    }
    let body = Body { bytes: 9, hash: "x".into(), records: 1 };
    let diff = drafts
        .seal(&PollFacts { body, etag: None, full_poll_at: None, known_before: 0, open_before: 0, backfill: None })
        .unwrap()
        .unwrap();
    let (began, mut confirmed) = (Instant::now(), 0);
    let committed = writer.log().commit(&diff, |_| confirmed += 1).await.unwrap();
    assert!(matches!(committed, Outcome::Committed(Head { seq: 24, claim: 1, .. })), "{committed:?}");
    assert_eq!(confirmed, PARTITIONS);
    // The claim; 23 objects, four at a time; the last.
    assert_eq!(began.elapsed().as_millis() / 100, 1 + 6 + 1);
    let began = Instant::now();
    assert_eq!(writer.settle().await.seq, 24);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_read_and_listed_follows_from_what_has_changed() {
    let mut costs = Vec::new();
    for earlier in [3, 200] {
        let store = Far::after(Duration::ZERO);
        let lake = lake_in(store.clone()).await;
        let writer = Writer::of(&lake);
        for round in 0..earlier {
            writer.commit(&format!("p{round}"), &[(Added, 0, &format!("r{round}"), 1)]).await;
        }
        let head = writer.settle().await;
        writer.save(&lake, &head).await;
        writer.project(&head).await;
        store.take();

        // As a sync does.
        let head = writer.settle().await;
        writer.project(&head).await;
        let quiet = store.take();
        let known = writer.known(&head).await;
        assert_eq!(known.present(), earlier);
        let diff = writer.seal(&head, "p", &[(Changed, 0, "r0", 2), (Added, 1, "new", 1)]);
        let Outcome::Committed(head) = writer.log().commit(&diff, |_| ()).await.unwrap() else { panic!("lost") };
        writer.save(&lake, &head).await;
        writer.project(&head).await;
        assert_eq!(writer.current().await.len() as u64, earlier + 1);
        costs.push((quiet, store.take()));
    }
    println!("requests and objects listed, of a quiet sync and of one that commits: {costs:?}");
    assert_eq!(costs[0], costs[1]);
}
