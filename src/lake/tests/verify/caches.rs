//! Caches that are whole, consistent with their own checksums, and wrong; and those that are only behind.

use std::io::Read;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow_select::{concat::concat_batches, take::take_record_batch};
use bytes::Bytes;

use super::*;
use crate::{
    diff::KnownRecord,
    lake::{
        Head, Log,
        current::Index,
        layout::Layout,
        load_known,
        parquet_file::{Writer, read_batches},
        save_known,
        spool::Spool,
    },
    schema::{EventPartition, Granularity, Resource},
};

fn layout(resource: &Resource) -> Layout {
    Layout::new(resource, Granularity::Month)
}

/// Rows by their numbers.
fn pick(rows: &RecordBatch, numbers: &[u32]) -> RecordBatch {
    take_record_batch(rows, &UInt32Array::from(numbers.to_vec())).unwrap()
}

/// The same rows with another column of this name.
fn with_column(rows: &RecordBatch, name: &str, column: impl Array + 'static) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[rows.schema().index_of(name).unwrap()] = Arc::new(column);
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

async fn read(lake: &Lake, key: &str) -> RecordBatch {
    let bytes = lake.store.get(key).await.unwrap().unwrap();
    let batches: Vec<_> = read_batches(key, bytes, None).unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Replaces an object of `current/` by one with these rows, and makes the index vouch for it.
async fn forge(lake: &Lake, resource: &Resource, key: &str, rows: &RecordBatch) {
    let mut writer = Writer::new(rows.schema(), Spool::new(&spool()).unwrap().begin()).unwrap();
    writer.write(rows).unwrap();
    let mut written = writer.close("lumetrade.projection", "{}".into()).unwrap();
    let mut bytes = Vec::new();
    written.content.read_to_end(&mut bytes).unwrap();
    let etag = lake.store.replace(key, bytes.into()).await.unwrap();
    let index = layout(resource).current_index();
    let mut forged = Index::read(&lake.store.get(&index).await.unwrap().unwrap()).unwrap();
    let object = forged.objects.get_mut(key).unwrap();
    (object.size, object.sha256, object.etag) = (written.size, written.sha256, etag);
    lake.store.replace(&index, forged.write().unwrap()).await.unwrap();
}

/// How the rows of May are bent: `a` as of commit 3, with those of commit 1 (`a` and `b`) at hand.
type Bend = fn(&RecordBatch, &RecordBatch) -> RecordBatch;

const BENDS: [(&str, &str, Bend); 8] = [
    ("a row that is missing", "lacks 1 records, one of them of commit 3", |rows, _| rows.slice(0, 0)),
    ("a row that stands twice", "is shown twice", |rows, _| pick(rows, &[0, 0])),
    ("a version that is not the last", "as of commit 1, the last is 3", |_, old| pick(old, &[0])),
    ("a record that has gone", "has gone: `b` since commit 4", |rows, old| {
        concat_batches(&rows.schema(), [rows, &pick(old, &[1])]).unwrap()
    }),
    ("a value that is another", "is shown with other values: `a` of commit 3", |rows, _| {
        with_column(rows, "currency", StringArray::from(vec!["XXX"]))
    }),
    ("a record that there never was", "is of no commit: `z`", |rows, _| {
        with_column(rows, "transaction_id", StringArray::from(vec!["z"]))
    }),
    ("a number that is another", "is not shown as of its last version", |rows, _| {
        with_column(rows, "_seq", Int64Array::from(vec![2]))
    }),
    ("an operation that is another", "is not shown as of its last version", |rows, _| {
        with_column(rows, "_op", StringArray::from(vec!["added"]))
    }),
];

#[tokio::test]
async fn rows_of_current_that_are_not_the_fold_are_found_though_the_index_vouches_for_them() {
    let plan = Plan::lawful();
    let key = layout(&plan.resource).current("deposits", partition(MAY));
    for (what, told, bend) in BENDS {
        let lake = plan.write(memory()).await;
        plan.add_caches(&lake).await;
        let bent = bend(&read(&lake, &key).await, &read(&lake, &plan.key(1)).await);
        forge(&lake, &plan.resource, &key, &bent).await;
        let report = verify(&lake, &plan, Depth::Full).await;
        assert!(
            found(&report).iter().all(|found| *found == (Law::Current, key.clone())),
            "{what}: {:?}",
            report.findings
        );
        let problems: Vec<_> = report.findings.iter().map(|finding| finding.problem.as_str()).collect();
        assert!(problems.iter().any(|problem| problem.contains(told)), "{what}: {problems:?}");
        assert_eq!(found(&verify(&lake, &plan, Depth::Quick).await), [], "{what}: it takes all rows to see that");
    }
}

#[tokio::test]
async fn a_row_in_another_partition_and_columns_of_another_type_are_found() {
    let plan = Plan::lawful();
    let lake = plan.write(memory()).await;
    plan.add_caches(&lake).await;
    let [may, june] = [MAY, JUNE].map(|month| layout(&plan.resource).current("deposits", partition(month)));
    let (a, c) = (read(&lake, &may).await, read(&lake, &june).await);
    forge(&lake, &plan.resource, &may, &concat_batches(&a.schema(), [&a, &c]).unwrap()).await;
    forge(&lake, &plan.resource, &june, &c.slice(0, 0)).await;
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!(found(&report), [(Law::Current, may.clone())], "{:?}", report.findings);
    assert!(report.findings[0].problem.contains("another partition"), "{:?}", report.findings);
    forge(&lake, &plan.resource, &may, &a).await;
    forge(&lake, &plan.resource, &june, &c.project(&[0, 1]).unwrap()).await;
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!(found(&report), [(Law::Current, june)], "{:?}", report.findings);
    assert!(report.findings[0].problem.contains("column `amount` is missing"), "{:?}", report.findings);
}

/// Two trades in May, one with two fills.
fn trades() -> Plan {
    let mut plan = Plan::empty("trades");
    let with_fills = r#"{"transactionId":"t","status":"PENDING","fills":[
        {"transactionId":"f1","toCurrencyAmount":1},{"transactionId":"f2","status":"REVERSED","x":{"a":1,"b":2}}]}"#;
    let without = r#"{"transactionId":"u","status":"PENDING","fills":[]}"#;
    let rows = [with_fills, without].map(|text| (Operation::Added, text.to_owned()));
    plan.poll("p1", FIRST, &[(CommitKind::Changes, MAY, (2, 2), &rows)]);
    plan
}

#[tokio::test]
async fn fills_that_are_not_those_of_their_trades_are_found() {
    let plan = trades();
    let key = layout(&plan.resource).current("trade_fills", partition(MAY));
    type Bend = fn(&RecordBatch) -> RecordBatch;
    let bends: [(&str, Bend, usize); 7] = [
        ("nothing", Clone::clone, 0),
        ("another order", |rows| pick(rows, &[1, 0]), 0),
        ("a fill that is missing", |rows| pick(rows, &[1]), 1),
        ("a fill that stands twice", |rows| pick(rows, &[0, 1, 1]), 1),
        ("one twice in the place of another", |rows| pick(rows, &[1, 1]), 1),
        ("another value", |rows| with_column(rows, "status", StringArray::from(vec![None, Some("COMPLETED")])), 1),
        ("another trade", |rows| with_column(rows, "trade_id", StringArray::from(vec!["u", "t"])), 1),
    ];
    for (what, bend, findings) in bends {
        let lake = plan.write(memory()).await;
        plan.add_caches(&lake).await;
        let rows = bend(&read(&lake, &key).await);
        forge(&lake, &plan.resource, &key, &rows).await;
        let report = verify(&lake, &plan, Depth::Full).await;
        let expected = vec![(Law::Current, key.clone()); findings];
        assert_eq!(found(&report), expected, "{what}: {:?}", report.findings);
        assert_eq!(report.figures.current_rows, 2 + rows.num_rows() as u64, "{what}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_name_what_there_is_is_found() {
    let plan = Plan::lawful();
    let lake = plan.write(memory()).await;
    plan.add_caches(&lake).await;
    let index_key = layout(&plan.resource).current_index();
    let good = Index::read(&lake.store.get(&index_key).await.unwrap().unwrap()).unwrap();
    let key = layout(&plan.resource).current("deposits", partition(MAY));
    let mut without = good.clone();
    let object = without.objects.remove(&key).unwrap();
    let mut beyond = good.clone();
    let unknown = layout(&plan.resource).current("deposits", partition(9));
    beyond.objects.insert(unknown.clone(), object);
    for (index, key) in [(without, key), (beyond, unknown)] {
        lake.store.replace(&index_key, index.write().unwrap()).await.unwrap();
        for depth in [Depth::Full, Depth::Quick] {
            let report = verify(&lake, &plan, depth).await;
            assert_eq!(found(&report), [(Law::Current, key.clone())], "{:?}", report.findings);
        }
    }
}

#[tokio::test]
async fn an_index_of_commits_that_have_gone_is_found_quickly() {
    let plan = Plan::lawful();
    let whole = plan.write(memory()).await;
    plan.add_caches(&whole).await;
    let key = layout(&plan.resource).current_index();
    let index = whole.store.get(&key).await.unwrap().unwrap();
    let mut earlier = plan.clone();
    earlier.commits.truncate(3);
    let lake = earlier.write(memory()).await;
    lake.store.replace(&key, index).await.unwrap();
    for depth in [Depth::Full, Depth::Quick] {
        let report = verify(&lake, &earlier, depth).await;
        assert!(found(&report).contains(&(Law::Chain, key.clone())), "{:?}", report.findings);
    }
}

#[tokio::test]
async fn caches_that_are_behind_or_not_to_be_read_are_notes() {
    let plan = Plan::lawful();
    let (index, state) = (layout(&plan.resource).current_index(), layout(&plan.resource).state());
    let mut earlier = plan.clone();
    earlier.commits.truncate(3);
    let behind = earlier.write(memory()).await;
    earlier.add_caches(&behind).await;
    for key in [&index, &state] {
        let lake = plan.write(memory()).await;
        plan.add_caches(&lake).await;
        let old = behind.store.get(key).await.unwrap().unwrap();
        for (what, bytes) in [
            ("empty", Bytes::new()),
            ("none", Bytes::from_static(b"{}")),
            ("older", old),
            ("text", Bytes::from_static(b"x")),
        ] {
            lake.store.replace(key, bytes).await.unwrap();
            let report = verify(&lake, &plan, Depth::Full).await;
            let notes: Vec<_> = report.notes.iter().map(|note| &note.key).collect();
            assert_eq!((found(&report), notes), (vec![], vec![key]), "{what}");
        }
    }
}

#[tokio::test]
async fn a_log_that_was_put_back_to_an_earlier_day_is_found_by_what_the_caches_know() {
    let plan = Plan::lawful();
    let (index, state) = (layout(&plan.resource).current_index(), layout(&plan.resource).state());
    let mut earlier = plan.clone();
    earlier.commits.truncate(3);
    let ahead = plan.write(memory()).await;
    plan.add_caches(&ahead).await;
    let lake = earlier.write(memory()).await;
    earlier.add_caches(&lake).await;
    for key in [&index, &state] {
        lake.store.replace(key, ahead.store.get(key).await.unwrap().unwrap()).await.unwrap();
    }
    let report = verify(&lake, &earlier, Depth::Full).await;
    assert_eq!(found(&report), [(Law::Chain, index), (Law::Chain, state)], "{:?}", report.findings);
}

#[tokio::test]
async fn a_state_cache_that_is_whole_and_wrong_is_found() {
    let plan = Plan::lawful();
    let lake = plan.write(memory()).await;
    plan.add_caches(&lake).await;
    let head: Head = Log::new(&lake, &plan.resource).head().await.unwrap();
    let decoder = Decoder::new(&plan.resource, Zone::UTC);
    let good = load_known(&lake, &decoder, &head, &spool()).await.unwrap().0;
    let good: Vec<KnownRecord> = good.records().map(|record| record.unwrap()).collect();
    let key = layout(&plan.resource).state();
    type Bend = fn(&mut Vec<KnownRecord>);
    let bends: [(&str, usize, Bend); 10] = [
        ("nothing", 0, |_| ()),
        ("other bytes last seen, and another order", 0, |records| {
            records[0].element.hash ^= 77;
            records.reverse();
        }),
        ("another value", 1, |records| records[0].digest ^= 1),
        ("another partition", 1, |records| records[0].partition = EventPartition(0)),
        ("another first sight", 1, |records| records[0].first_seen_at += 1),
        ("open", 1, |records| records[0].open ^= true),
        ("gone", 1, |records| records[0].removed ^= true),
        ("one record less", 1, |records| records.truncate(2)),
        ("a record that there never was", 2, |records| records[0].key ^= 1),
        ("one for another", 2, |records| records[0] = records[1]),
    ];
    for (what, findings, bend) in bends {
        let mut records = good.clone();
        bend(&mut records);
        save_known(&lake, &decoder, &head, records.into_iter().map(Ok)).await.unwrap();
        let report = verify(&lake, &plan, Depth::Full).await;
        assert_eq!(found(&report), vec![(Law::State, key.clone()); findings], "{what}: {:?}", report.findings);
        assert_eq!((verify(&lake, &plan, Depth::Quick).await.found, report.notes.len()), (0, 0), "{what}");
    }
}
