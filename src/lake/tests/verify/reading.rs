//! A verification only reads, reads little if it is to be quick, and lets others write meanwhile.

use super::{
    super::identity,
    plan::PlannedPart,
    watched::{Watched, Write},
    *,
};
#[tokio::test]
async fn nothing_is_written_and_a_quick_look_reads_little() {
    let mut plan = Plan::empty("deposits");
    // What does not compress, so that the rows are most of the object.
    let noise = |n: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(n | 1));
    let text = |n: u64| (0..16).map(|part| noise(n * 16 + part)).collect::<String>();
    let row =
        |n: u64| (Operation::Added, format!(r#"{{"transactionId":"{n}","status":"COMPLETED","x":"{}"}}"#, text(n)));
    let rows: Vec<_> = (0..4000).map(row).collect();
    plan.poll("p1", FIRST, &[(CommitKind::Changes, MAY, (4000, 0), &rows)]);
    let watched = Arc::new(Watched::default());
    let lake = plan.write(Store::new(watched.clone(), "watched")).await;
    plan.add_caches(&lake).await;
    let size = lake.store.list("changes").await.unwrap()[0].size;
    assert!(size > 500_000, "{size}");
    watched.close(&[], 0);
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!((report.found, report.notes.len(), report.figures.records), (0, 0, Some(4000)));
    assert!(watched.bytes_read() > 2 * size, "{}", watched.bytes_read());
    watched.close(&[], 0);
    let report = verify(&lake, &plan, Depth::Quick).await;
    assert_eq!((report.found, report.notes.len(), report.figures.rows), (0, 0, 4000));
    assert!(watched.bytes_read() < 80_000, "{}", watched.bytes_read());
}

/// A run that settles an open claim, commits a poll, and makes its caches: what was written before it, and by it.
async fn a_run_after(open: bool) -> (Vec<Write>, Vec<Write>, Plan) {
    let mut after = Plan::lawful();
    if open {
        after.make_void(4);
        // Where nothing else is.
        after.commits[3].partition = super::partition(9);
    }
    let before = after.clone();
    let there = if open { 3 } else { 4 };
    // `b` is there and open, unless commit 4 removed it.
    let (known, left_open) = if open { (3, 1) } else { (2, 0) };
    let parts: [PlannedPart<'_>; 2] = [
        (CommitKind::Changes, MAY, (known, left_open), &[(Operation::Changed, deposit("a", 7, "COMPLETED"))]),
        (CommitKind::Changes, 7, (known + 1, left_open), &[(Operation::Added, dated("d", "1970-08-02"))]),
    ];
    after.poll("p3", SECOND + 1, &parts);
    let watched = Arc::new(Watched::default());
    let lake = Lake::open_or_create(Store::new(watched.clone(), "watched"), identity()).await.unwrap();
    before.write_range(&lake, 1..=there).await;
    before.add_caches(&lake).await;
    let earlier = watched.written().len();
    after.write_range(&lake, there + 1..=after.commits.len()).await;
    after.add_caches(&lake).await;
    let mut writes = watched.written();
    let later = writes.split_off(earlier);
    (writes, later, after)
}

#[tokio::test]
async fn what_another_run_writes_meanwhile_is_no_finding_whenever_it_does() {
    for open in [false, true] {
        let (before, later, plan) = a_run_after(open).await;
        for depth in [Depth::Full, Depth::Quick] {
            let mut requests = usize::MAX;
            let mut from = 0;
            while from <= requests {
                // As many of its writes as there are requests left, or all but a few, so that it stands still anywhere.
                for count in (0..=later.len()).rev() {
                    let watched = Arc::new(Watched::with(&before).await);
                    let store = Store::new(watched.clone(), "watched");
                    let lake = Lake::open_or_create(store, identity()).await.unwrap();
                    watched.close(&later[..count], from);
                    let report = verify(&lake, &plan, depth).await;
                    let what = format!("{count} writes from request {from}, open: {open}, {depth:?}");
                    assert_eq!(report.findings, [], "{what}: {:?}", report.notes);
                    assert!(
                        (4..=6).contains(&report.figures.commits) || (open && report.figures.commits == 3),
                        "{what}"
                    );
                    requests = requests.min(watched.requests());
                }
                from += 1;
            }
            println!("{requests} requests, {} writes", later.len());
            assert!(requests > 10);
        }
    }
}

#[tokio::test]
async fn what_is_committed_in_one_go_is_no_finding_either() {
    let (before, later, plan) = a_run_after(false).await;
    let all: Vec<Write> = before.iter().chain(&later).cloned().collect();
    let watched = Arc::new(Watched::with(&all).await);
    let lake = Lake::open_or_create(Store::new(watched.clone(), "watched"), identity()).await.unwrap();
    watched.close(&[], 0);
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!((report.findings, report.figures.commits), (vec![], 6));
}
