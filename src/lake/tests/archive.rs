//! Bodies that are larger than an object, and archives that are not whole.

use object_store::{ObjectStoreExt, path::Path};

use super::*;
use crate::lake::{Archive, ArchivedPoll, Recording, SingleRead};

/// Bytes that no compression makes fewer.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = crate::tests::random::Random::new(1);
    std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(bytes).collect()
}

fn poll(id: &str, observed_at: i64) -> ArchivedPoll {
    let single = SingleRead { key: "k".to_owned(), text: Some("t".repeat(40_000)) };
    let poll = ArchivedPoll { poll_id: id.to_owned(), resource: "trades".to_owned(), ..ArchivedPoll::default() };
    ArchivedPoll { observed_at, singles: vec![single], ..poll }
}

#[tokio::test]
async fn a_large_body_lies_in_several_objects_and_is_read_back_whole_or_not_at_all() {
    let objects = Arc::new(InMemory::new());
    let (store, trades) = (Store::new(objects.clone(), "memory"), resource("trades"));
    let (archive, spool) = (|| Archive::new(&store, &trades, std::path::Path::new("/tmp")), spool());
    let body = noise(70 << 20);
    for (id, observed_at, body) in [("b", 1, &body[..]), ("a", 2, b"[]")] {
        let mut recording = Recording::start(&trades, &spool).unwrap();
        body.chunks(1 << 20).for_each(|chunk| recording.push(chunk).unwrap());
        archive().keep(recording.finish().unwrap(), poll(id, observed_at)).await.unwrap();
    }
    let polls = archive().polls().await.unwrap();
    assert_eq!(polls.iter().map(|poll| poll.poll_id.as_str()).collect::<Vec<_>>(), ["b", "a"], "by their times");
    let opened = archive().open(&polls[0]).await.unwrap();
    let read: Vec<u8> = opened.chunks().unwrap().flat_map(|chunk| chunk.unwrap()).collect();
    assert!(read == body);

    let key = |part: &str| Path::from(format!("raw/trades/b.json.zst{part}"));
    let second = objects.get(&key(".1")).await.unwrap().bytes().await.unwrap();
    let damaged = async || matches!(archive().open(&polls[0]).await, Err(LakeError::Damaged { .. }));
    for harmed in [second.slice(1..), [&second[..], b"x"].concat().into()] {
        objects.put(&key(".1"), harmed.into()).await.unwrap();
        assert!(damaged().await);
    }
    objects.delete(&key(".1")).await.unwrap();
    assert!(damaged().await);
    // What an object says of its length is not believed.
    let told = serde_json::to_vec(&ArchivedPoll { format: 1, size: u64::MAX, ..poll("c", 3) }).unwrap();
    let length = (8 + told.len() as u32).to_le_bytes();
    let checksum = xxhash_rust::xxh3::xxh3_64(&told).to_le_bytes();
    let endless = [&[0x50, 0x2a, 0x4d, 0x18], &length[..], &checksum, &told].concat();
    objects.put(&Path::from("raw/trades/c.json.zst"), endless.into()).await.unwrap();
    assert!(matches!(archive().polls().await, Err(LakeError::Damaged { .. })));
    objects.delete(&Path::from("raw/trades/c.json.zst")).await.unwrap();
    // Without the first part there is no poll.
    objects.delete(&key("")).await.unwrap();
    assert_eq!(archive().polls().await.unwrap().len(), 1);
}
