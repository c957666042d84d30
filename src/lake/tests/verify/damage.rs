//! Damage to a lake that was right: whatever happens to a byte or an object is found where it is.

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::{
    super::{Quarantine, Quarantined},
    *,
};
use crate::lake::claim::Claim;

/// A lake of deposits with all kinds of objects: five commits of which the fourth is a void, caches and a quarantine.
async fn with_everything() -> (Arc<InMemory>, Lake, Plan) {
    let mut plan = Plan::lawful();
    plan.make_void(4);
    let part: plan::PlannedPart<'_> =
        (CommitKind::Removals, MAY, (2, 0), &[(Operation::Removed, deposit("b", 1, "PENDING"))]);
    plan.poll("p3", SECOND + 1, &[part]);
    let objects = Arc::new(InMemory::new());
    let lake = plan.write(Store::new(objects.clone(), "memory")).await;
    plan.add_caches(&lake).await;
    let folder = spool();
    let record = Quarantined { key: None, path: "amount".into(), reason: "r".into(), text: "{}".into() };
    let quarantine = Quarantine::new(&lake, &plan.resource, &folder);
    quarantine.update(&[record], "p1", FIRST).await.unwrap();
    quarantine.update(&[], "p2", SECOND).await.unwrap();
    (objects, lake, plan)
}

/// Bytes that are left out between two that are changed, so that the test is over soon.
const STRIDE: usize = 23;

#[tokio::test]
async fn a_bit_that_flips_anywhere_in_the_truth_or_in_what_readers_see_is_found_there() {
    let (_, lake, plan) = with_everything().await;
    let sound = verify(&lake, &plan, Depth::Full).await;
    assert_eq!((sound.findings, sound.notes), (vec![], vec![]));
    let void_claim = plan.claim_key(4);
    for object in lake.store.list("").await.unwrap() {
        // A new one for each object: what is put back has another ETag.
        let (_, lake, plan) = with_everything().await;
        let key = object.key.as_str();
        let good = lake.store.get(key).await.unwrap().unwrap();
        for place in (0..good.len()).step_by(STRIDE).chain([good.len() - 1]) {
            let mut bytes = good.to_vec();
            bytes[place] ^= 1 << (place % 8);
            lake.store.replace(key, bytes.clone().into()).await.unwrap();
            let report = verify(&lake, &plan, Depth::Full).await;
            let (laws, notes) = (found(&report), report.notes.len());
            let exactly = |law| laws == [(law, key.to_owned())];
            let is_right = match key {
                "meta/lake.json" => continue,
                _ if key == plan.key(4) => !laws.is_empty(),
                _ if key.starts_with("changes/") => exactly(Law::Bytes),
                _ if key.starts_with("current/") => exactly(Law::Current),
                // What was promised in the place of a void was never made.
                _ if key == void_claim && names_the_same(&good, &bytes) => laws.is_empty(),
                _ if key.contains("/log/") => !laws.is_empty(),
                _ if key.ends_with("/current.json") || key.contains("/state/") => laws.is_empty() && notes == 1,
                // Nothing vouches for its bytes: what can be read is believed, if the rest of the quarantine agrees.
                _ => laws.iter().all(|(law, _)| *law == Law::Quarantine),
            };
            assert!(is_right, "byte {place} of {key}: {:?} {:?}", report.findings, report.notes);
        }
    }
}

/// Whether both are claims that differ in what they say of their last object beside its key.
fn names_the_same(claim: &[u8], other: &[u8]) -> bool {
    let named = |bytes| {
        let mut claim = Claim::parse("", bytes).ok()?;
        let last = claim.objects.last_mut()?;
        (last.size, last.sha256) = (0, String::new());
        Some(claim)
    };
    named(claim).is_some() && named(claim) == named(other)
}

#[tokio::test]
async fn a_bit_that_flips_in_a_footer_is_found_quickly() {
    let (_, lake, plan) = with_everything().await;
    let key = plan.key(3);
    let good = lake.store.get(&key).await.unwrap().unwrap();
    let seq = good.windows(7).rposition(|bytes| bytes == b"\"seq\":3").unwrap();
    let mut bytes = good.to_vec();
    bytes[seq + 6] = b'7';
    lake.store.replace(&key, bytes.into()).await.unwrap();
    assert_eq!(found(&verify(&lake, &plan, Depth::Quick).await), [(Law::Footer, key)]);
}

/// What becomes of an object: its bytes after, or nothing.
type Damage = fn(&Bytes, other: &Bytes) -> Option<Bytes>;

const DAMAGES: [(&str, Damage); 5] = [
    ("deleted", |_, _| None),
    ("emptied", |_, _| Some(Bytes::new())),
    ("cut", |good, _| Some(good.slice(..good.len() - 1))),
    ("halved", |good, _| Some(good.slice(..good.len() / 2))),
    ("another's", |_, other| Some(other.clone())),
];

#[tokio::test]
async fn what_becomes_of_a_whole_object_is_found_at_either_depth() {
    let (objects, lake, plan) = with_everything().await;
    let other = lake.store.get(&plan.key(1)).await.unwrap().unwrap();
    let current = "current/deposits/event_month=1970-05/data.parquet".to_owned();
    let quarantined = "quarantine/deposits/00000000000000000001.parquet".to_owned();
    // An object, the law that it breaks, and what it breaks when it is gone.
    let rows = [
        (plan.key(3), Law::Bytes, (Law::Objects, plan.key(3))),
        (plan.claim_key(3), Law::Claims, (Law::Claims, plan.claim_key(3))),
        (current.clone(), Law::Current, (Law::Current, current.clone())),
        (quarantined.clone(), Law::Quarantine, (Law::Quarantine, quarantined.clone())),
    ];
    for (key, law, gone) in rows {
        let good = lake.store.get(&key).await.unwrap().unwrap();
        for (what, damage) in DAMAGES {
            match damage(&good, &other) {
                Some(bytes) => drop(lake.store.replace(&key, bytes).await.unwrap()),
                None => objects.delete(&key.as_str().into()).await.unwrap(),
            }
            let expected = if what == "deleted" { gone.clone() } else { (law, key.clone()) };
            let full = verify(&lake, &plan, Depth::Full).await;
            assert!(found(&full).contains(&expected), "{key} is {what}: {:?}", full.findings);
            let quick = verify(&lake, &plan, Depth::Quick).await;
            let seen = key != quarantined || what == "deleted";
            assert_eq!(found(&quick).contains(&expected), seen, "{key} is {what}: {:?}", quick.findings);
            for report in [full, quick] {
                let elsewhere = report.findings.iter().find(|finding| finding.key != expected.1);
                assert_eq!(elsewhere, None, "{key} is {what}");
            }
            lake.store.replace(&key, good.clone()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_void_that_is_another_breaks_the_chain_behind_it() {
    let (_, lake, plan) = with_everything().await;
    let mut other = plan.clone();
    other.parents[3] = Some(Some("f".repeat(64)));
    let void = other.write(memory()).await.store.get(&plan.key(4)).await.unwrap().unwrap();
    lake.store.replace(&plan.key(4), void).await.unwrap();
    for depth in [Depth::Full, Depth::Quick] {
        let report = verify(&lake, &plan, depth).await;
        assert_eq!(found(&report), [(Law::Chain, plan.key(4)), (Law::Chain, plan.key(5))], "{:?}", report.findings);
    }
}

#[tokio::test]
async fn what_follows_from_damage_is_left_out_and_everything_else_looked_at() {
    let (_, lake, plan) = with_everything().await;
    lake.store.replace(&plan.key(1), Bytes::from_static(b"PAR1")).await.unwrap();
    // In another partition, so that it does not follow.
    let june = "current/deposits/event_month=1970-06/data.parquet";
    lake.store.replace(june, Bytes::from_static(b"PAR1")).await.unwrap();
    let report = verify(&lake, &plan, Depth::Full).await;
    assert_eq!(found(&report), [(Law::Bytes, plan.key(1)), (Law::Current, june.to_owned())], "{:?}", report.findings);
    assert_eq!((report.figures.commits, report.figures.records), (5, None));
    let notes: Vec<_> = report.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("in event_month=1970-05 were not looked at"), "{notes:?}");
}

#[tokio::test]
async fn a_number_that_is_gone_without_a_trace_is_one_finding() {
    let (objects, lake, plan) = with_everything().await;
    for key in [plan.key(2), plan.claim_key(2)] {
        objects.delete(&key.as_str().into()).await.unwrap();
    }
    for depth in [Depth::Full, Depth::Quick] {
        let report = verify(&lake, &plan, depth).await;
        let lost = (Law::Current, "current/deposits/event_month=1970-06/data.parquet".to_owned());
        let expected: Vec<_> = [(Law::Claims, plan.claim_key(2))].into_iter().collect();
        assert!(found(&report).iter().all(|found| expected.contains(found) || *found == lost), "{:?}", report.findings);
        assert!(found(&report).contains(&expected[0]));
    }
}

#[tokio::test]
async fn an_object_without_its_claim_is_still_held_to_the_chain() {
    let (objects, lake, plan) = with_everything().await;
    objects.delete(&plan.claim_key(2).as_str().into()).await.unwrap();
    let mut other = plan.clone();
    other.cursor(2).newest_event_time = None;
    let forged = other.write(memory()).await.store.get(&plan.key(2)).await.unwrap().unwrap();
    lake.store.replace(&plan.key(2), forged).await.unwrap();
    let report = verify(&lake, &plan, Depth::Full).await;
    let laws: Vec<Law> = report.findings.iter().map(|finding| finding.law).collect();
    assert!(laws.contains(&Law::Claims) && laws.contains(&Law::Chain), "{:?}", report.findings);
}

#[tokio::test]
async fn the_quarantine_releases_only_what_it_holds() {
    let (_, lake, plan) = with_everything().await;
    let key = |number: u64| format!("quarantine/deposits/{number:020}.parquet");
    let (first, second) = (key(1), key(2));
    let [quarantined, released] =
        [lake.store.get(&first).await.unwrap().unwrap(), lake.store.get(&second).await.unwrap().unwrap()];
    for (at, bytes, expected) in [(&first, released, &first), (&second, quarantined, &second)] {
        let good = lake.store.get(at).await.unwrap().unwrap();
        lake.store.replace(at, bytes).await.unwrap();
        let report = verify(&lake, &plan, Depth::Full).await;
        assert!(found(&report).contains(&(Law::Quarantine, expected.clone())), "{:?}", report.findings);
        lake.store.replace(at, good).await.unwrap();
    }
}
