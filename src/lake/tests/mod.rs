//! The commit protocol, the caches and the projection, on a store in memory.

mod archive;
mod claims;
mod conformance;
mod faulty;
mod model;
mod mutants;
mod probe;
mod radosgw;
mod verify;

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use arrow_array::{RecordBatch, cast::AsArray};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::memory::InMemory;

use self::faulty::{Fault, FaultyStore};
use super::{
    Commit, CommitKind, Drafts, Effect, Head, History, Identity, Lake, LakeError, Log, Outcome, PollFacts, Projection,
    Quarantine, Quarantined, SealedDiff, Store, Truth, commits::read_commit, fold::Fold, last_rows, layout::Layout,
    load_known, parquet_file, save_known,
};
use crate::{
    decode::{Cell, Decoder, Operation, Row, Stamp, Zone, key_hash},
    diff::{Filed, Known, KnownRecord},
    record::Body,
    schema::{EventPartition, Granularity, Resource, Schemas},
};

fn resource(name: &str) -> Resource {
    Schemas::builtin().unwrap().get(name).unwrap().clone()
}

fn identity() -> Identity {
    Identity::new(1, 2, DateTime::<Utc>::UNIX_EPOCH, Granularity::Month)
}

fn spool() -> PathBuf {
    std::env::temp_dir()
}

async fn lake() -> Lake {
    Lake::open_or_create(Store::new(Arc::new(InMemory::new()), "memory"), identity()).await.unwrap()
}

/// A writer of deposits that has seen a head.
struct Writer<'a> {
    lake: &'a Lake,
    deposits: Resource,
}

/// A version of a deposit: what was observed, month of its partition (0 for January 1970), id and amount.
type Version<'v> = (Operation, i32, &'v str, u32);

impl<'a> Writer<'a> {
    fn of(lake: &'a Lake) -> Self {
        Self { lake, deposits: resource("deposits") }
    }

    fn log(&self) -> Log<'_> {
        Log::new(self.lake, &self.deposits)
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(&self.deposits, Zone::UTC)
    }

    async fn settle(&self) -> Head {
        self.log().settle(&spool()).await.unwrap()
    }

    /// Seals these versions as the successors of `head`.
    fn seal(&self, head: &Head, poll: &str, versions: &[Version<'_>]) -> SealedDiff {
        let mut drafts = Drafts::new(self.lake, &self.deposits, head.clone(), &spool(), poll, 1_000).unwrap();
        for &(operation, month, id, amount) in versions {
            if operation == Operation::Removed {
                drafts.begin_removals();
            }
            let text = format!(r#"{{"transactionId":"{id}","amount":{amount},"status":"PENDING"}}"#);
            let row = Decoder::new(&self.deposits, Zone::UTC).decode(text.as_bytes()).unwrap();
            let filed = Filed { partition: partition(month), first_seen_at: 7, was_open: false, digest: None };
            let effect = if operation == Operation::Added {
                Effect { known: 1, open: 1, ..Effect::default() }
            } else {
                Effect::default()
            };
            drafts.append(operation, filed, &row, effect).unwrap();
        }
        let body = Body { bytes: 9, hash: "x".into(), records: 1 };
        drafts
            .seal(&PollFacts { body, etag: None, full_poll_at: None, known_before: 0, open_before: 0, backfill: None })
            .unwrap()
            .unwrap()
    }

    async fn commit(&self, poll: &str, versions: &[Version<'_>]) -> Head {
        let head = self.settle().await;
        let diff = self.seal(&head, poll, versions);
        let Outcome::Committed(next) = self.log().commit(&diff, |_| ()).await.unwrap() else { panic!("lost") };
        next
    }

    async fn known(&self, head: &Head) -> Known {
        load_known(self.lake, &self.decoder(), head, &spool()).await.unwrap().0
    }

    /// Keeps what is known as of `head` in the cache of a lake.
    async fn save(&self, lake: &Lake, head: &Head) {
        let known = self.known(head).await;
        save_known(lake, &self.decoder(), head, known.records()).await.unwrap();
    }

    async fn project(&self, head: &Head) {
        Projection::new(self.lake, &self.deposits, &spool())
            .advance(&self.log(), head, &super::Twins::default())
            .await
            .unwrap();
    }

    /// Ids in `current/`, with the commit that each row is of.
    async fn current(&self) -> Vec<(String, i64)> {
        let listed = self.lake.store.list("current/deposits").await.unwrap();
        let mut rows = Vec::new();
        for object in listed {
            let bytes = self.lake.store.get(&object.key).await.unwrap().unwrap();
            for batch in parquet_file::read_batches(&object.key, bytes, None).unwrap() {
                let batch = batch.unwrap();
                let ids = batch.column_by_name("transaction_id").unwrap().as_string::<i32>().iter();
                let seqs =
                    batch.column_by_name("_seq").unwrap().as_primitive::<arrow_array::types::Int64Type>().values();
                rows.extend(ids.map(|id| id.unwrap().to_owned()).zip(seqs.iter().copied()));
            }
        }
        rows.sort();
        rows
    }
}

fn partition(month: i32) -> EventPartition {
    Granularity::Month.parse_folder(&format!("event_month=1970-{:02}", month + 1)).unwrap()
}

use Operation::{Added, Changed, Removed};

#[tokio::test]
async fn a_diff_becomes_one_commit_a_partition_each_naming_the_one_before() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1), (Added, 0, "c", 1)]).await;
    let head = {
        assert_eq!(head.seq, 2);
        writer.commit("p2", &[(Changed, 1, "b", 2), (Removed, 1, "a", 1)]).await
    };
    assert_eq!(head.seq, 4);
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    let mut parent = None;
    let kinds = [CommitKind::Changes, CommitKind::Changes, CommitKind::Changes, CommitKind::Removals];
    for (index, (month, kind)) in [0, 1, 1, 1].into_iter().zip(kinds).enumerate() {
        let key = layout.commit(partition(month), index as u64 + 1);
        let commit: Commit = read_commit(&lake, &key).await.unwrap().unwrap();
        assert_eq!((commit.kind, commit.parent), (kind, parent));
        assert_eq!(commit.cursor.unwrap().complete, index % 2 == 1);
        parent = Some(parquet_file::sha256(&lake.store.get(&key).await.unwrap().unwrap()));
    }
    assert_eq!(head.cursor.unwrap().poll_id, "p2");
}

#[tokio::test]
async fn of_two_writers_with_one_head_one_commits_and_the_other_loses() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let head = writer.settle().await;
    let mine = writer.seal(&head, "mine", &[(Added, 0, "a", 1)]);
    let theirs = writer.seal(&head, "theirs", &[(Added, 0, "a", 1)]);
    assert!(matches!(writer.log().commit(&mine, |_| ()).await.unwrap(), Outcome::Committed(_)));
    assert_eq!(writer.log().commit(&theirs, |_| ()).await.unwrap(), Outcome::Lost);
    assert_eq!(writer.settle().await.cursor.unwrap().poll_id, "mine");
}

#[tokio::test]
async fn a_claim_without_its_object_is_voided_and_its_late_writer_fenced() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    let head = writer.settle().await;
    let late = writer.seal(&head, "late", &[(Added, 1, "b", 1)]);
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    lake.store.create(&layout.claim(2), &late.claim.to_bytes().unwrap()).await.unwrap();

    assert_eq!(writer.log().head().await.unwrap().seq, 1, "looking settles nothing");
    let settled = writer.settle().await;
    assert_eq!((settled.seq, settled.cursor.as_ref().map(|cursor| cursor.poll_id.as_str())), (2, Some("p1")));
    assert_eq!(writer.log().commit(&late, |_| ()).await.unwrap(), Outcome::Lost);
    let commit = read_commit(&lake, &layout.commit(partition(1), 2)).await.unwrap().unwrap();
    assert_eq!((commit.kind, commit.rows), (CommitKind::Void, 0));

    let head = writer.commit("p3", &[(Added, 1, "c", 1)]).await;
    assert_eq!(head.seq, 3);
    let commit = read_commit(&lake, &layout.commit(partition(1), 3)).await.unwrap().unwrap();
    assert_eq!(commit.parent, settled.sha256, "the void is a link of the chain");
    writer.project(&head).await;
    assert_eq!(writer.current().await, [("a".to_owned(), 1), ("c".to_owned(), 3)]);
}

#[tokio::test]
async fn whatever_a_create_is_answered_with_what_is_there_decides() {
    for fault in [
        Fault::AppliedButReset,
        Fault::AppliedButAlreadyExists,
        Fault::ConflictBeforeApplied,
        Fault::UnavailableBeforeApplied,
    ] {
        let store = Arc::new(FaultyStore::new(fault));
        let lake = Lake::open_or_create(Store::new(store.clone(), "faulty"), identity()).await.unwrap();
        let writer = Writer::of(&lake);
        for round in 1..=3 {
            store.arm();
            let head = writer.commit(&format!("p{round}"), &[(Added, 0, &format!("r{round}"), 1)]).await;
            assert_eq!(head.seq, round, "{fault:?}");
        }
        assert!(store.injected() >= 3, "{fault:?}");
        assert_eq!(writer.known(&writer.settle().await).await.present(), 3, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_outcome_cannot_be_learnt_says_so() {
    // What was sent before the store forbade it may still arrive.
    for fault in [Fault::Gone, Fault::ThenForbidden] {
        let store = Arc::new(FaultyStore::new(fault));
        let lake = Lake::open_or_create(Store::new(store.clone(), "faulty"), identity()).await.unwrap();
        let writer = Writer::of(&lake);
        let sealed = writer.seal(&Head::default(), "p", &[(Added, 0, "a", 1)]);
        store.arm();
        let ended = writer.log().commit(&sealed, |_| ()).await;
        assert!(matches!(ended, Err(LakeError::OutcomeUnknown { .. })), "{fault:?}: {ended:?}");
    }
}

#[tokio::test]
async fn known_records_are_the_same_from_the_cache_and_from_the_log() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let first = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1)]).await;
    writer.save(&lake, &first).await;
    let head = writer.commit("p2", &[(Changed, 0, "a", 2), (Added, 2, "c", 1), (Removed, 1, "b", 1)]).await;
    let with_cache = writer.known(&head).await;
    let state = Layout::new(&writer.deposits, Granularity::Month).state();
    let damages: [fn(&Bytes) -> Bytes; 4] = [
        |_| Bytes::new(),
        |good| good.slice(..good.len() - 1),
        |good| good.slice(1..),
        |good| good.iter().enumerate().map(|(at, byte)| if at == good.len() / 2 { byte ^ 1 } else { *byte }).collect(),
    ];
    let good = lake.store.get(&state).await.unwrap().unwrap();
    for damage in damages {
        lake.store.replace(&state, damage(&good)).await.unwrap();
        assert_eq!(all(&writer.known(&head).await), all(&with_cache));
    }
    assert_eq!((with_cache.present(), with_cache.open(), with_cache.count()), (2, 2, 3));
    assert!(all(&with_cache).iter().all(|record| record.first_seen_at == 7));
}

#[tokio::test]
async fn the_truth_is_that_of_the_commits_up_to_a_head_whatever_a_cache_says() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let first = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1)]).await;
    let earlier = all(&writer.known(&first).await);
    let head = writer.commit("p2", &[(Changed, 0, "a", 2), (Added, 2, "c", 1), (Removed, 1, "b", 1)]).await;
    let later = all(&writer.known(&head).await);
    // A cache that is whole, and of the head, and tells what was before.
    save_known(&lake, &writer.decoder(), &head, earlier.clone().into_iter().map(Ok)).await.unwrap();
    assert_eq!(all(&writer.known(&head).await), earlier);
    for (head, records, rows) in
        [(&Head::default(), &vec![], vec![]), (&first, &earlier, vec![1, 1]), (&head, &later, vec![2, 1])]
    {
        let truth = Truth::up_to(head, &lake, &writer.deposits, &spool()).await.unwrap();
        assert_eq!(&all(&truth.known().await.unwrap()), records);
        let wanted = records.iter().map(|record| record.key).collect();
        let mut amounts = Vec::new();
        let each = |batch: RecordBatch| {
            for row in 0..batch.num_rows() {
                let Cell::Decimal(amount) = Row::read(&batch, row, &writer.deposits).cells[2] else {
                    panic!("no amount")
                };
                amounts.push(amount / 10_i128.pow(18));
            }
            Ok(())
        };
        truth.last_rows(&wanted, each).await.unwrap();
        assert_eq!(amounts, rows, "as of {}", head.seq);
    }
}

fn all(known: &Known) -> Vec<KnownRecord> {
    known.records().map(|record| record.unwrap()).collect()
}

#[tokio::test]
async fn a_cache_of_another_history_is_not_believed() {
    let (lake, other) = (lake().await, lake().await);
    for (lake, amount) in [(&lake, 1), (&other, 2)] {
        Writer::of(lake).commit("p", &[(Added, 0, "a", amount)]).await;
    }
    let (writer, foreign) = (Writer::of(&lake), Writer::of(&other));
    let foreign_head = foreign.settle().await;
    foreign.save(&lake, &foreign_head).await;
    let expected = all(&writer.known(&writer.settle().await).await)[0].digest;
    assert_ne!(expected, all(&foreign.known(&foreign_head).await)[0].digest);
    let head = writer.commit("p2", &[(Added, 0, "b", 1)]).await;
    assert_eq!(all(&writer.known(&head).await)[0].digest, expected);
}

#[tokio::test]
async fn the_projection_heals_whatever_happened_to_it() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    writer.commit("p1", &[(Added, 0, "a", 1), (Added, 1, "b", 1), (Added, 1, "c", 1)]).await;
    let old = writer.settle().await;
    writer.project(&old).await;
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    let key = layout.current("deposits", partition(1));
    let stale = lake.store.get(&key).await.unwrap().unwrap();
    let head = writer.commit("p2", &[(Changed, 1, "b", 2), (Removed, 1, "c", 1)]).await;
    writer.project(&head).await;
    let expected = [("a".to_owned(), 1), ("b".to_owned(), 3)];
    assert_eq!(writer.current().await, expected);

    // A slow writer's object over a newer one, a damaged index, an index of the past, and nothing at all.
    let index = layout.current_index();
    for (key, bytes) in
        [(&key, stale), (&index, Bytes::from_static(b"{")), (&index, Bytes::from_static(b"{}")), (&key, Bytes::new())]
    {
        lake.store.replace(key, bytes).await.unwrap();
        writer.project(&head).await;
        assert_eq!(writer.current().await, expected);
    }
    let before = lake.store.list("").await.unwrap();
    writer.project(&head).await;
    assert_eq!(lake.store.list("").await.unwrap(), before, "a projection that is right is left alone");
}

/// The store in memory gives a new ETag to every write, so the index is made to vouch for the damaged bytes' own.
#[tokio::test]
async fn a_damaged_projection_is_never_built_upon() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1), (Added, 0, "b", 1)]).await;
    writer.project(&head).await;
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    let key = layout.current("deposits", partition(0));
    let good = lake.store.get(&key).await.unwrap().unwrap();
    let before = lake.store.list("current/deposits").await.unwrap().remove(0).etag.unwrap();
    let damaged: Bytes = good.iter().enumerate().map(|(at, byte)| if at == 300 { byte ^ 1 } else { *byte }).collect();
    let after = lake.store.replace(&key, damaged).await.unwrap().unwrap();
    let index = lake.store.get(&layout.current_index()).await.unwrap().unwrap();
    let index = String::from_utf8(index.to_vec()).unwrap();
    let quoted = |etag: &str| serde_json::to_string(etag).unwrap();
    let forged = index.replace(&quoted(&before), &quoted(&after));
    assert_ne!(index, forged);
    lake.store.replace(&layout.current_index(), forged.into()).await.unwrap();

    let head = writer.commit("p2", &[(Changed, 0, "b", 2)]).await;
    writer.project(&head).await;
    assert_eq!(writer.current().await, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[tokio::test]
async fn a_run_that_projects_late_does_not_take_readers_back() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let late = writer.commit("late", &[(Added, 0, "a", 1)]).await;
    let head = writer.commit("next", &[(Changed, 0, "a", 2)]).await;
    writer.project(&head).await;
    let before = lake.store.list("").await.unwrap();
    writer.project(&late).await;
    assert_eq!(lake.store.list("").await.unwrap(), before);
    // Nor does one that finds nothing projected yet.
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    lake.store.replace(&layout.current_index(), Bytes::new()).await.unwrap();
    writer.project(&late).await;
    assert_eq!(writer.current().await, [("a".to_owned(), 2)]);
}

#[tokio::test]
async fn an_index_that_skips_commits_is_not_believed() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    writer.project(&head).await;
    writer.commit("p2", &[(Added, 0, "b", 1)]).await;
    let head = writer.commit("p3", &[(Added, 1, "c", 1)]).await;
    let key = Layout::new(&writer.deposits, Granularity::Month).current_index();
    let index = String::from_utf8(lake.store.get(&key).await.unwrap().unwrap().to_vec()).unwrap();
    for seq in [2, 3, 9] {
        lake.store.replace(&key, index.replace("\"seq\":1", &format!("\"seq\":{seq}")).into()).await.unwrap();
        writer.project(&head).await;
        assert_eq!(writer.current().await.len(), 3, "an index that says {seq}");
    }
}

#[tokio::test]
async fn a_lake_that_lost_its_identity_gets_no_new_one() {
    let objects = Arc::new(InMemory::new());
    let store = Store::new(objects.clone(), "memory");
    let lake = Lake::open_or_create(store.clone(), identity()).await.unwrap();
    Writer::of(&lake).commit("p1", &[(Added, 0, "a", 1)]).await;
    object_store::ObjectStoreExt::delete(objects.as_ref(), &"meta/lake.json".into()).await.unwrap();
    assert!(matches!(Lake::open_or_create(store, identity()).await, Err(LakeError::Damaged { .. })));
}

#[tokio::test]
async fn records_that_are_keyed_otherwise_are_refused() {
    let lake = lake().await;
    let mut writer = Writer::of(&lake);
    writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    writer.deposits.key = vec![1];
    assert!(matches!(writer.log().settle(&spool()).await, Err(LakeError::KeyChanged { .. })));
}

#[tokio::test]
async fn another_zone_makes_what_was_known_anew() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    writer.save(&lake, &head).await;
    let rebuilt = async |decoder: Decoder<'_>| load_known(&lake, &decoder, &head, &spool()).await.unwrap().1;
    assert!(!rebuilt(Decoder::new(&writer.deposits, Zone::UTC)).await);
    assert!(rebuilt(Decoder::new(&writer.deposits, "+02:00".parse().unwrap())).await);
}

#[tokio::test]
async fn a_missing_commit_or_claim_is_damage_and_never_passed_over() {
    for lost in [
        "changes/deposits/event_month=1970-01/00000000000000000001.parquet",
        "meta/deposits/log/00000000000000000001.json",
    ] {
        let objects = Arc::new(InMemory::new());
        let lake = Lake::open_or_create(Store::new(objects.clone(), "memory"), identity()).await.unwrap();
        let writer = Writer::of(&lake);
        writer.commit("p1", &[(Added, 0, "a", 1)]).await;
        writer.commit("p2", &[(Added, 0, "b", 1)]).await;
        object_store::ObjectStoreExt::delete(objects.as_ref(), &lost.into()).await.unwrap();
        if lost.starts_with("changes") {
            let head = writer.log().head().await.unwrap();
            let projected = Projection::new(&lake, &writer.deposits, &spool())
                .advance(&writer.log(), &head, &super::Twins::default())
                .await;
            assert!(matches!(projected, Err(LakeError::Damaged { .. })));
        }
        let outcome = match writer.log().settle(&spool()).await {
            Ok(head) => load_known(&lake, &writer.decoder(), &head, &spool()).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(LakeError::Damaged { .. })), "{lost}");
    }
}

#[tokio::test]
async fn last_rows_are_those_of_the_records_asked_for_as_of_the_head() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    writer.commit("p1", &[(Added, 0, "a", 1), (Added, 0, "b", 1)]).await;
    writer.commit("p2", &[(Changed, 0, "a", 2)]).await;
    let wanted = HashSet::from([key_hash(lake.seed, (0, "a"))]);
    let head = writer.settle().await;
    // Another writer has seen the record go, after the head that this one polled against.
    writer.commit("p3", &[(Removed, 0, "a", 2)]).await;
    let mut seqs: Vec<i64> = Vec::new();
    let each = |batch: RecordBatch| {
        seqs.extend(batch["_seq"].as_primitive::<arrow_array::types::Int64Type>().values());
        Ok(())
    };
    let partitions = HashSet::from([partition(0)]);
    last_rows(&lake, &writer.deposits, &head, &spool(), &partitions, &wanted, each).await.unwrap();
    assert_eq!(seqs, [2]);
}

#[tokio::test]
async fn a_lake_of_another_kind_is_refused() {
    let store = Store::new(Arc::new(InMemory::new()), "memory");
    assert!(matches!(Lake::open(store.clone()).await, Err(LakeError::Missing { .. })));
    Lake::open_or_create(store.clone(), identity()).await.unwrap();
    let daily = Identity { granularity: Granularity::Day, ..identity() };
    assert!(matches!(Lake::open_or_create(store.clone(), daily).await, Err(LakeError::Granularity { .. })));
    store.replace("meta/lake.json", Bytes::from_static(br#"{"format":99,"unheard_of":1}"#)).await.unwrap();
    assert!(matches!(Lake::open(store).await, Err(LakeError::NewerFormat { found: 99 })));
}

#[tokio::test]
async fn the_quarantine_holds_what_the_last_poll_rejected_and_repeats_nothing() {
    let lake = lake().await;
    let deposits = resource("deposits");
    let folder = spool();
    let quarantine = Quarantine::new(&lake, &deposits, &folder);
    let record = |text: &str| Quarantined { key: None, path: "amount".into(), reason: "r".into(), text: text.into() };
    let (one, two) = (record("1"), record("2"));
    let steps = [
        (vec![one.clone()], 1),
        (vec![one.clone()], 0),
        (vec![two.clone()], 2),
        (vec![], 1),
        (vec![], 0),
        (vec![one.clone(), one], 1),
    ];
    for (step, (rejected, written)) in steps.into_iter().enumerate() {
        assert_eq!(quarantine.update(&rejected, "p", 1).await.unwrap(), written, "step {step}");
    }
    assert_eq!(lake.store.list("quarantine").await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_column_that_was_declared_later_is_null_in_what_was_written_before() {
    let lake = lake().await;
    let mut writer = Writer::of(&lake);
    let head = writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    let mut column = writer.deposits.columns[1].clone();
    (column.name, column.json) = ("network".into(), "network".into());
    writer.deposits.columns.push(column);
    writer.project(&head).await;
    assert_eq!(writer.current().await, [("a".to_owned(), 1)]);
    writer.deposits.columns[2].kind = crate::schema::Type::String;
    let key = Layout::new(&writer.deposits, Granularity::Month).commit(partition(0), 1);
    let folder = spool();
    let fold = Fold::of(&lake, &writer.deposits, &folder, Vec::new(), vec![key], None).await.unwrap();
    assert!(
        matches!(fold.present_rows(|_| Ok(())).await, Err(LakeError::Incompatible { column, .. }) if column == "amount")
    );
}

#[tokio::test]
async fn commits_that_have_gone_are_missed() {
    let store = || Store::new(Arc::new(InMemory::new()), "memory");
    let (full, rolled_back, torn) = (store(), store(), store());
    let lake = Lake::open_or_create(full.clone(), identity()).await.unwrap();
    let writer = Writer::of(&lake);
    writer.commit("p1", &[(Added, 0, "a", 1)]).await;
    let backup = full.list("").await.unwrap();
    let head = writer.commit("p2", &[(Changed, 0, "a", 2)]).await;
    writer.save(&lake, &head).await;
    let layout = Layout::new(&writer.deposits, Granularity::Month);
    let state = layout.state();

    // A backup from before, beside what the caches have learnt since; and a lake that has lost its last object.
    for key in backup.iter().map(|object| &object.key).chain([&state]) {
        rolled_back.replace(key, full.get(key).await.unwrap().unwrap()).await.unwrap();
    }
    for object in full.list("").await.unwrap().iter().filter(|object| object.key != layout.commit(partition(0), 2)) {
        torn.replace(&object.key, full.get(&object.key).await.unwrap().unwrap()).await.unwrap();
    }
    for store in [rolled_back, torn] {
        let lake = Lake::open(store).await.unwrap();
        let writer = Writer::of(&lake);
        let missed = match writer.log().settle(&spool()).await {
            Ok(head) => load_known(&lake, &writer.decoder(), &head, &spool()).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(missed, Err(LakeError::RolledBack { seq: 2, .. })), "{missed:?}");
        // Without the cache nobody knows, and what is left is gone on from.
        lake.store.replace(&state, Bytes::new()).await.unwrap();
        let head = writer.commit("p3", &[(Changed, 0, "a", 3)]).await;
        assert_eq!(writer.known(&head).await.present(), 1);
    }
}

#[tokio::test]
async fn a_history_is_every_version_up_to_its_head_partition_by_partition_in_order() {
    let lake = lake().await;
    let writer = Writer::of(&lake);
    assert_eq!(History::open(&lake, &writer.deposits, &spool()).await.unwrap().partitions().count(), 0);
    writer.commit("p1", &[(Operation::Added, 0, "a", 1), (Operation::Added, 1, "b", 1)]).await;
    writer.commit("p2", &[(Operation::Changed, 0, "a", 2)]).await;
    let head = writer.commit("p3", &[(Operation::Added, 0, "c", 3), (Operation::Removed, 1, "b", 1)]).await;
    let folder = spool();
    let history = History::open(&lake, &writer.deposits, &folder).await.unwrap();
    // What is committed from here on is not looked at.
    writer.commit("p4", &[(Operation::Changed, 0, "c", 4)]).await;
    assert_eq!(history.head(), &head);
    let mut read = Vec::new();
    for partition in history.partitions() {
        let each = |row: &Row<'_>, stamp: Stamp<'_>| {
            let key = row.key(&writer.deposits).unwrap().1.to_owned();
            read.push((partition, key, stamp.seq, stamp.operation));
        };
        history.versions(partition, each).await.unwrap();
    }
    let (january, february) = (partition(0), partition(1));
    let expected = [
        (january, "a", 1, Operation::Added),
        (january, "a", 3, Operation::Changed),
        (january, "c", 4, Operation::Added),
        (february, "b", 2, Operation::Added),
        (february, "b", 5, Operation::Removed),
    ];
    assert_eq!(read, expected.map(|(partition, key, seq, operation)| (partition, key.to_owned(), seq, operation)));
}
