//! What a verification finds in logs that were bent on purpose, and that it finds nothing where nothing is wrong.

mod caches;
mod damage;
mod plan;
mod reading;
mod watched;

use std::sync::Arc;

use object_store::memory::InMemory;

use self::plan::{FIRST, JUNE, MAY, Plan, SECOND, dated, deposit};
use super::{partition, spool};
use crate::{
    decode::{Decoder, Operation, Zone},
    lake::{CommitKind, Depth, Lake, LakeError, Law, Store, Verification},
    schema::Type,
};

fn memory() -> Store {
    Store::new(Arc::new(InMemory::new()), "memory")
}

async fn verify(lake: &Lake, plan: &Plan, depth: Depth) -> Verification {
    let mut report = Verification::of("deposits");
    let decoder = Decoder::new(&plan.resource, Zone::UTC);
    lake.verify(&decoder, &spool(), depth, &mut report).await.unwrap();
    report
}

/// Law and key of each finding, in their order.
fn found(report: &Verification) -> Vec<(Law, String)> {
    let mut found: Vec<_> = report.findings.iter().map(|finding| (finding.law, finding.key.clone())).collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_lawful_log_is_found_so_with_its_figures() {
    let plan = Plan::lawful();
    let lake = plan.write(memory()).await;
    plan.add_caches(&lake).await;
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!((report.found, &report.findings, &report.notes), (0, &vec![], &vec![]));
    let figures = &report.figures;
    assert_eq!((figures.head, figures.commits, figures.rows, figures.current_rows), (4, 4, 5, 2));
    assert_eq!((figures.records, figures.removed, figures.current_objects), (Some(2), Some(1), 2));
    let objects = [lake.store.list("changes").await.unwrap(), lake.store.list("current").await.unwrap()].concat();
    assert_eq!(figures.bytes_hashed, objects.iter().map(|object| object.size).sum::<u64>());
    let report = verify(&lake, &plan, Depth::Quick).await;
    assert_eq!((report.found, &report.notes, report.figures.rows), (0, &vec![], 5));
    assert_eq!((report.figures.records, report.figures.bytes_hashed), (None, 0));
}

/// How a plan is bent, and what is found then: laws with the number of the commit at fault.
type Case = (&'static str, fn(&mut Plan), &'static [(Law, usize)]);

/// The chain is written anew around each, so that hashes give nothing away.
const CASES: &[Case] = &[
    ("nothing", |_| {}, &[]),
    (
        "a version that stands twice",
        |plan| plan.row(3, 0).text = deposit("a", 1, "PENDING"),
        // It is still open, where the cursor counts it closed.
        &[(Law::Versions, 3), (Law::Cursor, 3)],
    ),
    (
        "a version that is only written otherwise",
        |plan| {
            plan.row(1, 0).text = r#"{"transactionId":"a","status":"COMPLETED","x":[1.0,{"y":1,"z":2}]}"#.into();
            plan.row(3, 0).text = r#"{"x":[1,{"z":2.0,"y":1}],"status":"COMPLETED","transactionId":"a"}"#.into();
            (plan.cursor(1).open, plan.cursor(2).open) = (1, 1);
        },
        &[(Law::Versions, 3)],
    ),
    (
        "a record that is added while it is there",
        |plan| plan.row(3, 0).operation = Operation::Added,
        &[(Law::Versions, 3)],
    ),
    (
        "a record that was never there and changes",
        |plan| plan.row(2, 0).operation = Operation::Changed,
        &[(Law::Versions, 2)],
    ),
    (
        "a record that has gone and changes",
        |plan| {
            plan.commit(4).kind = CommitKind::Changes;
            (plan.row(4, 0).operation, plan.row(3, 0).operation) = (Operation::Changed, Operation::Removed);
            (plan.row(3, 0).text, plan.row(4, 0).text) = (deposit("b", 1, "PENDING"), deposit("b", 2, "COMPLETED"));
            plan.commit(3).kind = CommitKind::Removals;
            (plan.cursor(3).known, plan.cursor(3).open) = (2, 1);
            (plan.cursor(4).known, plan.cursor(4).open) = (3, 1);
        },
        &[(Law::Versions, 4)],
    ),
    (
        "a record that goes twice",
        |plan| {
            let (first, second) = (plan.row(3, 0).clone(), plan.row(4, 0).clone());
            plan.set_rows(3, vec![plan::PlannedRow { seq: 3, ..second.clone() }]);
            plan.commit(3).kind = CommitKind::Removals;
            (plan.cursor(3).known, plan.cursor(3).open) = (2, 1);
            (plan.cursor(4).known, plan.cursor(4).open) = (2, 1);
            drop(first);
        },
        &[(Law::Versions, 4)],
    ),
    (
        "a record that goes with other values",
        |plan| plan.row(4, 0).text = deposit("b", 9, "PENDING"),
        &[(Law::Versions, 4)],
    ),
    (
        "a record that returns is lawful",
        |plan| {
            plan.poll(
                "p3",
                SECOND + 1,
                &[(CommitKind::Changes, MAY, (3, 1), &[(Operation::Added, deposit("b", 1, "PENDING"))])],
            );
            plan.row(5, 0).first_seen_at = FIRST;
        },
        &[],
    ),
    (
        "a record that returns and was first seen then",
        |plan| {
            plan.poll(
                "p3",
                SECOND + 1,
                &[(CommitKind::Changes, MAY, (3, 1), &[(Operation::Added, deposit("b", 1, "PENDING"))])],
            )
        },
        &[(Law::Versions, 5)],
    ),
    (
        "a record that moves to another partition",
        |plan| {
            let row = plan.row(3, 0).clone();
            plan.commits[2].partition = partition(JUNE);
            plan.set_rows(3, vec![row]);
        },
        &[(Law::Versions, 3)],
    ),
    (
        "a record that is filed under no time of its own",
        |plan| plan.commits[1].partition = partition(9),
        &[(Law::Versions, 2)],
    ),
    ("a first version that was seen before", |plan| plan.row(2, 0).first_seen_at -= 1, &[(Law::Versions, 2)]),
    ("a later version that was first seen later", |plan| plan.row(3, 0).first_seen_at = SECOND, &[(Law::Versions, 3)]),
    (
        "a record that is in a commit twice",
        |plan| {
            let row = plan.row(2, 0).clone();
            plan.set_rows(2, vec![row.clone(), row]);
        },
        &[(Law::Rows, 2)],
    ),
    ("a row of another commit", |plan| plan.row(1, 1).seq = 9, &[(Law::Rows, 1)]),
    ("a row of another poll", |plan| plan.row(1, 1).poll_id = "p9".into(), &[(Law::Rows, 1)]),
    (
        "a row of another time",
        |plan| {
            (plan.row(1, 1).observed_at, plan.row(1, 1).first_seen_at, plan.row(4, 0).first_seen_at) =
                (FIRST + 1, FIRST + 1, FIRST + 1)
        },
        &[(Law::Rows, 1)],
    ),
    ("a removal among changes", |plan| plan.commit(4).kind = CommitKind::Changes, &[(Law::Rows, 4)]),
    ("a change among removals", |plan| plan.commit(3).kind = CommitKind::Removals, &[(Law::Rows, 3)]),
    ("a commit that names another before it", |plan| plan.parents[2] = Some(Some("f".repeat(64))), &[(Law::Chain, 3)]),
    ("a commit that names none before it", |plan| plan.parents[1] = Some(None), &[(Law::Chain, 2)]),
    (
        "a first commit that names one before it",
        |plan| plan.parents[0] = Some(Some("f".repeat(64))),
        &[(Law::Chain, 1)],
    ),
    ("a commit of another lake", |plan| plan.commit(2).lake = "other".into(), &[(Law::Footer, 2)]),
    ("a commit of another resource", |plan| plan.commit(2).resource = "trades".into(), &[(Law::Footer, 2)]),
    ("a commit of another number", |plan| plan.commit(2).seq = 7, &[(Law::Footer, 2), (Law::Rows, 2)]),
    ("a commit of a newer format", |plan| plan.commit(2).format = 99, &[(Law::Footer, 2)]),
    ("a commit with another key", |plan| plan.commit(2).key = vec!["status".into()], &[(Law::Footer, 2)]),
    ("a commit with fewer rows than it says", |plan| plan.commit(2).rows = 2, &[(Law::Footer, 2)]),
    ("a commit without a cursor", |plan| plan.commit(2).cursor = None, &[(Law::Cursor, 2)]),
    (
        "a poll that is not later",
        |plan| {
            plan.cursor(3).observed_at = FIRST;
            plan.cursor(4).observed_at = FIRST;
            (plan.row(3, 0).observed_at, plan.row(4, 0).observed_at) = (FIRST, FIRST);
        },
        &[(Law::Cursor, 3)],
    ),
    (
        "a poll that goes on when it was complete",
        |plan| plan.cursor(1).complete = true,
        &[(Law::Cursor, 1), (Law::Cursor, 2)],
    ),
    (
        "a claim whose last commit does not complete its poll",
        |plan| plan.cursor(2).complete = false,
        &[(Law::Cursor, 2)],
    ),
    ("claims of one commit each are lawful", Plan::claim_each, &[]),
    (
        "a poll of such claims that goes on when it was complete",
        |plan| {
            plan.claim_each();
            plan.cursor(1).complete = true;
        },
        &[(Law::Cursor, 2)],
    ),
    (
        "a poll of such claims that ends without its last commit is lawful",
        |plan| {
            plan.claim_each();
            plan.cursor(2).complete = false;
        },
        &[],
    ),
    ("a poll with two bodies", |plan| plan.cursor(2).body_hash = "y".into(), &[(Law::Cursor, 2)]),
    ("a poll with two lengths", |plan| plan.cursor(4).body_bytes = 8, &[(Law::Cursor, 4)]),
    ("a poll with two ETags", |plan| plan.cursor(4).etag = Some("e".into()), &[(Law::Cursor, 4)]),
    (
        "a poll at two times",
        |plan| {
            plan.cursor(4).observed_at += 1;
            plan.row(4, 0).observed_at += 1;
        },
        &[(Law::Cursor, 4)],
    ),
    (
        "a newest event that grows older",
        |plan| {
            (plan.cursor(3).newest_event_time, plan.cursor(4).newest_event_time) = (Some(1), Some(1));
        },
        &[(Law::Cursor, 3)],
    ),
    ("a cursor that counts one too many", |plan| plan.cursor(4).known = 3, &[(Law::Cursor, 4)]),
    (
        "cursors that count one too many from there on",
        |plan| {
            for seq in 2..=4 {
                plan.cursor(seq).known += 1;
            }
        },
        &[(Law::Cursor, 2)],
    ),
    ("a cursor that counts other open records", |plan| plan.cursor(4).open = 1, &[(Law::Cursor, 4)]),
    (
        "a claim of another poll",
        |plan| plan.commits[2].claimed_poll = Some("p9".into()),
        &[(Law::Claims, 3), (Law::Claims, 3)],
    ),
    (
        "a void is lawful",
        |plan| {
            plan.make_void(4);
            plan.poll(
                "p3",
                SECOND + 1,
                &[(CommitKind::Removals, MAY, (2, 0), &[(Operation::Removed, deposit("b", 1, "PENDING"))])],
            );
        },
        &[],
    ),
    (
        "a void of the first number is lawful",
        |plan| {
            plan.commits.truncate(1);
            plan.set_rows(1, Vec::new());
            (plan.commit(1).kind, plan.commit(1).cursor) = (CommitKind::Void, None);
        },
        &[],
    ),
    (
        "a first void with a cursor",
        |plan| {
            plan.commits.truncate(1);
            plan.set_rows(1, Vec::new());
            plan.commit(1).kind = CommitKind::Void;
        },
        &[(Law::Cursor, 1)],
    ),
    (
        "a void that tells of another poll",
        |plan| {
            plan.make_void(4);
            plan.cursor(4).known = 9;
        },
        &[(Law::Cursor, 4)],
    ),
    (
        "a poll that goes on behind a void",
        |plan| {
            plan.make_void(4);
            plan.poll(
                "p2",
                SECOND,
                &[(CommitKind::Removals, MAY, (2, 0), &[(Operation::Removed, deposit("b", 1, "PENDING"))])],
            );
            plan.cursor(3).complete = false;
        },
        &[(Law::Cursor, 5)],
    ),
    ("voids of a whole claim are lawful", |plan| [3, 4].into_iter().for_each(|seq| plan.make_void(seq)), &[]),
    (
        "commits behind a void of their claim are lawful, and count what it does not hold",
        |plan| {
            plan.more();
            plan.make_void(5);
            plan.make_void(7);
            plan.even_more();
        },
        &[],
    ),
    (
        "a commit behind a void of its claim that names the void",
        |plan| {
            plan.more();
            plan.make_void(5);
            plan.make_void(7);
            plan.parents[5] = Some(plan.sha256_of(5));
        },
        &[(Law::Chain, 6)],
    ),
    (
        "a commit that follows a claim which ends with a void, and names what was promised",
        |plan| {
            plan.more();
            plan.make_void(7);
            plan.even_more();
            plan.parents[7] = Some(Some("0".repeat(64)));
        },
        &[(Law::Chain, 8)],
    ),
    (
        "a commit behind a void of its claim that counts one too many",
        |plan| {
            plan.more();
            plan.make_void(5);
            plan.make_void(7);
            plan.cursor(6).known += 1;
        },
        // It is the only one: nothing tells how many records the void was to hold.
        &[],
    ),
    (
        "a commit in a claim with a void that counts otherwise than the one before it",
        |plan| {
            plan.more();
            plan.make_void(5);
            plan.cursor(7).known += 1;
            plan.cursor(7).complete = false;
        },
        &[(Law::Cursor, 7), (Law::Cursor, 7)],
    ),
    (
        "a count that is not right again behind a claim with a void",
        |plan| {
            plan.more();
            plan.make_void(5);
            plan.make_void(7);
            plan.even_more();
            plan.cursor(8).known += 1;
            plan.cursor(9).known += 1;
        },
        &[(Law::Cursor, 8)],
    ),
    (
        "a void that tells of a commit of its own claim",
        |plan| {
            plan.more();
            plan.make_void(7);
            plan.commit(7).cursor = plan.commit(6).cursor.clone();
        },
        &[(Law::Cursor, 7)],
    ),
    (
        "a poll that is complete, and a void in its claim",
        |plan| {
            plan.more();
            plan.make_void(6);
        },
        &[(Law::Cursor, 7)],
    ),
    (
        "a commit in the middle of a claim that tells otherwise of its poll than the one before the void",
        |plan| {
            plan.more();
            plan.make_void(6);
            plan.cursor(7).body_hash = "y".into();
        },
        &[(Law::Cursor, 7)],
    ),
    (
        "a void with rows",
        |plan| {
            plan.commit(4).kind = CommitKind::Void;
            plan.commit(4).cursor = plan.commit(2).cursor.clone();
            (plan.row(4, 0).poll_id, plan.row(4, 0).observed_at) = ("p1".into(), FIRST);
        },
        &[(Law::Footer, 4), (Law::Rows, 4)],
    ),
    (
        "a column less than the schema has",
        |plan| {
            let mut own = plan.resource.clone();
            own.columns.remove(3);
            own.event_time.clear();
            own.statuses = None;
            plan.commits[1].own = Some(own);
        },
        &[(Law::Schema, 2)],
    ),
    (
        "a column of another type",
        |plan| {
            let mut own = plan.resource.clone();
            own.columns[2].kind = Type::Integer;
            plan.commits[1].own = Some(own);
        },
        &[(Law::Schema, 2)],
    ),
    (
        "a column of another type, of an older schema",
        |plan| {
            let mut own = plan.resource.clone();
            own.columns[2].kind = Type::Integer;
            plan.commits[1].own = Some(own);
            plan.commit(2).schema = "older".into();
        },
        &[(Law::Schema, 2)],
    ),
];

#[tokio::test]
async fn each_law_that_is_broken_is_found_where_it_is() {
    let mut wrong = Vec::new();
    for (what, bend, expected) in CASES {
        let mut plan = Plan::lawful();
        bend(&mut plan);
        let lake = plan.write(memory()).await;
        let report = verify(&lake, &plan, Depth::Full).await;
        let key =
            |&(law, seq): &(Law, usize)| (law, if law == Law::Claims { plan.claim_key(seq) } else { plan.key(seq) });
        let mut expected: Vec<_> = expected.iter().map(key).collect();
        expected.sort();
        if found(&report) != expected {
            wrong.push(format!("{what}: {:#?} instead of {expected:?}", report.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Deposits with one more column, as an earlier schema may have had it.
fn labelled(plan: &Plan) -> crate::schema::Resource {
    let mut own = plan.resource.clone();
    let mut column = own.columns[1].clone();
    (column.name, column.json) = ("label".into(), "label".into());
    own.columns.push(column);
    own
}

#[tokio::test]
async fn versions_are_compared_by_the_columns_that_they_were_written_with() {
    let labelled_deposit = |id: &str, label: &str| {
        format!(r#"{{"transactionId":"{id}","amount":1,"label":"{label}","status":"PENDING"}}"#)
    };
    let plan = |later: &str| {
        let mut plan = Plan::lawful();
        // The column has been taken away with the last commit; what was declared then is in `_extra` today.
        for seq in 1..=3 {
            plan.commits[seq - 1].own = Some(labelled(&plan));
            plan.commit(seq).schema = "older".into();
        }
        (plan.row(1, 0).text, plan.row(1, 1).text) = (labelled_deposit("a", "x"), labelled_deposit("b", "x"));
        plan.row(3, 0).text = labelled_deposit("a", later);
        plan.cursor(4).open = 1;
        plan
    };
    for (later, expected) in [("y", vec![]), ("x", vec![(Law::Versions, plan("x").key(3))])] {
        let plan = plan(later);
        let lake = plan.write(memory()).await;
        plan.add_caches(&lake).await;
        let report = verify(&lake, &plan, Depth::Full).await;
        assert_eq!(found(&report), expected, "{later}: {:?}", report.findings);
        assert_eq!((report.figures.other_schemas, &report.notes), (3, &vec![]));
    }
}

#[tokio::test]
async fn what_moves_from_extra_into_a_column_that_was_declared_since_has_changed() {
    let mut plan = Plan::lawful();
    let mut own = plan.resource.clone();
    let status = own.statuses.take().unwrap().column;
    own.columns.truncate(status.max(2));
    own.event_time.clear();
    plan.commits[0].own = Some(own);
    plan.commit(1).schema = "older".into();
    plan.row(3, 0).text = deposit("a", 1, "PENDING");
    plan.cursor(3).open = 2;
    plan.cursor(4).open = 1;
    let lake = plan.write(memory()).await;
    plan.add_caches(&lake).await;
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!(found(&report), [], "{:?}", report.findings);
}

#[tokio::test]
async fn a_schema_with_another_key_is_the_settings_fault() {
    let plan = Plan::lawful();
    let lake = plan.write(memory()).await;
    let mut other = plan.clone();
    other.resource.key = vec![1];
    let decoder = Decoder::new(&other.resource, Zone::UTC);
    let verified = lake.verify(&decoder, &spool(), Depth::Full, &mut Verification::of("deposits")).await;
    assert!(matches!(verified, Err(LakeError::KeyChanged { .. })));
}
