//! The laws of a store, the same in memory, on disk, and in a real S3.

use std::{
    collections::BTreeSet,
    io::Read,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::future::join_all;
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::{Writer, identity, radosgw, resource};
use crate::{
    decode::Operation::{Added, Changed},
    lake::{
        Creation, Lake, LakeError, Replacement, S3Options, Store,
        layout::{self, Layout},
        store::{Listed, PART_BYTES},
    },
    schema::{EventPartition, Granularity, Schemas},
};

/// Names that are hard to put into a URL or a path, for what lies around a lake.
const ODD: &str = "a b+c&d=e/ü~(1)'%41";

/// More objects than one page of a listing holds.
const MANY: usize = 1200;

/// An empty store of a kind, and what must stay while it is used.
struct Place {
    name: &'static str,
    store: Store,
    _folder: Option<TempDir>,
}

/// One of each kind. In the bucket, that is a prefix which no other test has.
fn places(law: &str) -> [Place; 3] {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join(ODD).display().to_string();
    let disk = Store::open(&location, &S3Options::default(), true).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let bucket = radosgw::store(&format!("{law}/{now}/{ODD}"));
    let place = |name, store, _folder| Place { name, store, _folder };
    [
        place("memory", Store::new(Arc::new(InMemory::new()), "memory"), None),
        place("disk", disk, Some(folder)),
        place("S3", bucket, None),
    ]
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn a_create_wins_once_and_shows_the_loser_what_is_there() {
    for Place { name, store, .. } in &places("create") {
        let (mine, other) = (bytes("mine"), bytes("other"));
        assert_eq!(store.create("a/b", &mine).await.unwrap(), Creation::Ours, "{name}");
        assert_eq!(store.create("a/b", &mine).await.unwrap(), Creation::Ours, "{name}");
        assert_eq!(store.create("a/b", &other).await.unwrap(), Creation::Theirs(mine.clone()), "{name}");
        assert_eq!(store.get("a/b").await.unwrap(), Some(mine), "{name}");
        let (empty, full) = (Bytes::new(), bytes("x"));
        assert_eq!(store.create("a/empty", &empty).await.unwrap(), Creation::Ours, "{name}");
        assert_eq!(store.create("a/empty", &full).await.unwrap(), Creation::Theirs(empty), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_none_and_no_error() {
    for Place { name, store, .. } in &places("missing") {
        store.create("folder/x", &bytes("x")).await.unwrap();
        // Neither a folder, nor the beginning of a name.
        for key in ["nothing", "folder", "folder/", "fold"] {
            assert_eq!(store.get(key).await.unwrap(), None, "{name}: {key}");
            assert_eq!(store.tail(key, 8).await.unwrap(), None, "{name}: {key}");
            assert!(store.download(key, &std::env::temp_dir()).await.unwrap().is_none(), "{name}: {key}");
            let error = store.fetch(key, &std::env::temp_dir()).await.unwrap_err();
            assert!(matches!(error, LakeError::Damaged { .. }), "{name}: {key}: {error}");
        }
        for folder in ["nothing", "fold", "folder/x"] {
            assert_eq!(store.list(folder).await.unwrap(), [], "{name}: {folder}");
        }
    }
}

#[tokio::test]
async fn a_listing_shows_what_a_replacement_returned() {
    for Place { name, store, .. } in &places("replace") {
        let etag = store.replace("x/y", bytes("1")).await.unwrap();
        let newer = store.replace("x/y", bytes("2")).await.unwrap();
        assert_ne!(etag, newer, "{name}");
        let large = vec![7; 2 * PART_BYTES + 1];
        let large_etag = store.replace_from("x/z", large.as_slice(), large.len() as u64).await.unwrap();
        let listed = store.list("x").await.unwrap();
        assert_eq!(listed[0], Listed { key: "x/y".into(), size: 1, etag: newer }, "{name}");
        assert_eq!(listed[1], Listed { key: "x/z".into(), size: large.len() as u64, etag: large_etag }, "{name}");
        assert_eq!(store.get("x/z").await.unwrap().unwrap(), large, "{name}");
        assert_eq!(store.get("x/y").await.unwrap().unwrap(), "2", "{name}");
        let (count, size) = store.size().await.unwrap();
        assert_eq!((count, size), (2, 1 + large.len() as u64), "{name}");
        for key in ["x/deeper/1", "z"] {
            store.create(key, &bytes("12")).await.unwrap();
        }
        let sizes = store.sizes().await.unwrap().into_iter();
        let sizes: Vec<_> = sizes.map(|((one, two), size)| (format!("{one}/{two}"), size)).collect();
        let expected = [("x/deeper", (1, 2)), ("x/y", (1, 1)), ("x/z", (1, large.len() as u64)), ("z/", (1, 2))];
        assert_eq!(sizes, expected.map(|(folder, size)| (folder.to_owned(), size)), "{name}");
    }
}

#[tokio::test]
async fn an_object_is_read_whole_or_from_its_end_to_memory_or_to_a_file() {
    for Place { name, store, .. } in &places("read") {
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        store.create("x", &Bytes::from(content.clone())).await.unwrap();
        for length in [1, 65_536, content.len() - 1, content.len(), content.len() + 1, 10 * content.len()] {
            let tail = store.tail("x", length as u64).await.unwrap().unwrap();
            assert_eq!(tail, content[content.len().saturating_sub(length)..], "{name}: {length}");
        }
        let mut file = store.fetch("x", &std::env::temp_dir()).await.unwrap();
        let mut copy = Vec::new();
        file.read_to_end(&mut copy).unwrap();
        assert_eq!(copy, content, "{name}");
        let (_, etag) = store.get_with_etag("x").await.unwrap().unwrap();
        assert!(etag.is_some(), "{name}");
        assert_eq!(store.list("").await.unwrap()[0].etag, etag, "{name}");
    }
}

#[tokio::test]
async fn a_listing_is_complete_in_order_and_of_one_folder_alone() {
    for Place { name, store, .. } in &places("list") {
        let keys: Vec<String> = (0..MANY).map(|n| format!("log/{:020}.json", n * 7919 % MANY)).collect();
        for some in keys.chunks(32) {
            join_all(some.iter().map(async |key| store.create(key, &bytes(key)).await.unwrap())).await;
        }
        for neighbour in ["log.json", "log2/1", "lo", "log-/1", "LOG/1"] {
            store.create(neighbour, &bytes("x")).await.unwrap();
        }
        let listed = store.list("log").await.unwrap();
        let listed: Vec<&str> = listed.iter().map(|listed| listed.key.as_str()).collect();
        let sorted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        assert!(listed.iter().copied().eq(sorted), "{name}: {} listed", listed.len());
        assert_eq!(store.size().await.unwrap().0, MANY as u64 + 5, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creates_at_once_one_wins_and_the_others_see_it() {
    for Place { name, store, .. } in &places("race") {
        for round in 0..4 {
            let key = format!("race/{round}");
            let racers: Vec<Bytes> = (0..64).map(|racer| bytes(&format!("{racer:08}").repeat(512))).collect();
            let runs: Vec<_> = racers
                .iter()
                .map(|racer| {
                    let (store, key, racer) = (store.clone(), key.clone(), racer.clone());
                    tokio::spawn(async move { store.create(&key, &racer).await.unwrap() })
                })
                .collect();
            let finishes: Vec<Creation> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
            let winner = store.get(&key).await.unwrap().unwrap();
            let expected: Vec<Creation> = racers
                .iter()
                .map(|racer| if *racer == winner { Creation::Ours } else { Creation::Theirs(winner.clone()) })
                .collect();
            assert_eq!(finishes, expected, "{name}, round {round}");
            assert!(racers.contains(&winner), "{name}, round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_beside_replacements_sees_one_of_them_whole() {
    for Place { name, store, .. } in &places("beside") {
        let version = |n: u8| Bytes::from(vec![n; 200_000 + usize::from(n)]);
        store.replace("x", version(0)).await.unwrap();
        let writer = store.clone();
        let writing = tokio::spawn(async move {
            for n in 1..=40 {
                writer.replace("x", version(n)).await.unwrap();
            }
        });
        let mut last = 0;
        while last < 40 {
            let found = store.get("x").await.unwrap().unwrap();
            assert_eq!(found, version(found[0]), "{name}");
            assert!(found[0] >= last, "{name}: {} after {last}", found[0]);
            last = found[0];
        }
        writing.await.unwrap();
    }
}

#[tokio::test]
async fn where_a_replacement_takes_a_condition_it_keeps_to_it() {
    let mut able = Vec::new();
    for Place { name, store, .. } in places("condition") {
        let lake = Lake::open_or_create(store.clone(), identity()).await.unwrap();
        if !lake.identity.probe.as_ref().unwrap().conditional_replace {
            continue;
        }
        able.push(name);
        let replace = async |text: &str, seen: Option<&str>| store.replace_if("x", bytes(text), seen).await.unwrap();
        let Replacement::Done(Some(first)) = replace("1", None).await else { panic!("{name}") };
        assert_eq!(replace("2", None).await, Replacement::Outdated, "{name}");
        let Replacement::Done(Some(second)) = replace("2", Some(&first)).await else { panic!("{name}") };
        assert_eq!(replace("3", Some(&first)).await, Replacement::Outdated, "{name}");
        assert_eq!(store.get_with_etag("x").await.unwrap(), Some((bytes("2"), Some(second))), "{name}");
    }
    assert!(able.contains(&"memory") && !able.contains(&"disk"), "{able:?}");
}

#[tokio::test]
async fn every_key_of_the_layout_can_be_created_listed_and_read() {
    let mut keys: BTreeSet<String> = [layout::LAKE.to_owned(), layout::probe("x-1", "race")].into();
    for resource in Schemas::builtin().unwrap().iter() {
        for granularity in [Granularity::Day, Granularity::Month, Granularity::Year, Granularity::None] {
            let layout = Layout::new(resource, granularity);
            let early = layout.granularity().folder(EventPartition(-1)).is_some();
            let partitions = if early { [-700_000, 0, 2_900_000].as_slice() } else { &[0] };
            for partition in partitions.iter().map(|&n| EventPartition(n)) {
                keys.insert(layout.commit(partition, 1));
                keys.insert(layout.commit(partition, u64::MAX));
                keys.insert(layout.current(&resource.name, partition));
            }
            keys.extend([layout.claim(1), layout.claim(u64::MAX), layout.current_index(), layout.state()]);
            keys.insert(layout.quarantined(7));
        }
    }
    for Place { name, store, .. } in &places("keys") {
        for key in &keys {
            assert_eq!(store.create(key, &bytes(key)).await.unwrap(), Creation::Ours, "{name}: {key}");
        }
        let listed: Vec<String> = store.list("").await.unwrap().into_iter().map(|listed| listed.key).collect();
        assert!(listed.iter().eq(&keys), "{name}");
        for key in &keys {
            assert_eq!(store.get(key).await.unwrap(), Some(bytes(key)), "{name}");
        }
    }
}

#[tokio::test]
async fn a_lake_is_made_committed_to_and_projected() {
    for Place { name, store, .. } in places("lake") {
        let lake = Lake::open_or_create(store.clone(), identity()).await.unwrap();
        let writer = Writer::of(&lake);
        let head = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1)]).await;
        writer.project(&head).await;
        let head = writer.commit("p2", &[(Changed, 0, "a", 2), (Added, 0, "c", 1)]).await;
        writer.project(&head).await;
        assert_eq!(writer.current().await, [("a".into(), 3), ("b".into(), 2), ("c".into(), 3)], "{name}");
        // Another process that opens it goes on from there.
        let again = Lake::open(store).await.unwrap();
        assert_eq!(again.identity, lake.identity, "{name}");
        assert_eq!(Writer::of(&again).settle().await, head, "{name}");
        assert_eq!(Writer::of(&again).known(&head).await.count(), 3, "{name}");
        let layout = Layout::new(&resource("deposits"), Granularity::Month);
        let after = async |seq| lake.store.list_after(&layout.log(), &layout.claim(seq)).await.unwrap();
        let keys = async |seq| after(seq).await.into_iter().map(|listed| listed.key).collect::<Vec<_>>();
        assert_eq!(keys(0).await, [layout.claim(1), layout.claim(3)], "{name}");
        assert_eq!((keys(1).await, keys(2).await), (vec![layout.claim(3)], vec![layout.claim(3)]), "{name}");
        assert!(keys(3).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_location_that_can_be_no_lake_is_refused_with_a_reason() {
    let open = |location: &str| Store::open(location, &S3Options::default(), false).unwrap_err();
    let message = open("ftp://x/y").to_string();
    assert!(message.contains("`ftp` is no kind of store"), "{message}");
    assert!(matches!(open("/nonexistent/lake"), LakeError::Missing { .. }));
}
