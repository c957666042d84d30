//! The laws: whatever becomes of a list, both ways say the same of it.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

use super::{
    pair::{Ground, Habits, Pair},
    plain::{Findings, Refused},
    polls::{List, Poll, Step, history},
    records::{FLAWS, Flaw, Kind, Record},
};

const IN_WHOLE: [usize; 1] = [usize::MAX];

/// What has happened, and in how many polls.
type Happened = BTreeMap<String, u64>;

/// What must happen in this many cases, or the law says less than it seems to.
const MUST_HAPPEN_IN: u32 = 200;
const MUST_HAPPEN: [&str; 11] = [
    "added",
    "as known",
    "changed",
    "missing",
    "refused: Contradiction",
    "refused: NotAList",
    "refused: NotUtf8",
    "rejected",
    "rejected without key",
    "repeated",
    "returned or new beside known ones",
];

/// What must happen beside it, to records that have what it takes.
fn must_happen_to(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Deposits => &["regressed"],
        Kind::ShortDeposits => &[],
        Kind::Trades => &["regressed", "stale"],
    }
}

fn count(happened: &mut Happened, outcome: &Result<Findings, Refused>) {
    let mut note = |what: &str, times: u64| *happened.entry(what.to_owned()).or_default() += u64::from(times > 0);
    match outcome {
        Err(refused) => note(&format!("refused: {refused:?}"), 1),
        Ok(findings) => {
            note("added", findings.added);
            note("as known", findings.as_known);
            note("changed", findings.changed);
            note("missing", findings.missing);
            note("regressed", findings.regressed);
            note("stale", findings.stale);
            note("rejected", findings.rejected);
            note("rejected without key", findings.rejected_without_key);
            note("repeated", findings.repeated);
            note("returned or new beside known ones", findings.added * findings.listed_before);
        }
    }
}

/// Tries the law on so many histories for each hundred of proptest's own number.
fn try_law(kind: Kind, share: u32, histories: impl Strategy<Value = (usize, Vec<Poll>)>) {
    let (ground, happened) = (Ground::new(), RefCell::new(Happened::new()));
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    config.cases = (config.cases * share).div_ceil(100);
    let must_happen = config.cases >= MUST_HAPPEN_IN;
    let tried = TestRunner::new(config).run(&histories, |(records, polls)| {
        let mut list = List::new(kind, records);
        let mut pair = Pair::new(&ground, kind.resource());
        for (nth, poll) in polls.iter().enumerate() {
            let agreement = pair.poll(&list.body(poll), &poll.sizes, poll.habits);
            let outcome = agreement.map_err(|how| TestCaseError::fail(format!("poll {nth}: {how}")))?;
            count(&mut happened.borrow_mut(), &outcome);
        }
        Ok(())
    });
    let happened = happened.into_inner();
    println!("{happened:#?}");
    if let Err(error) = tried {
        panic!("{error}");
    }
    let expected = MUST_HAPPEN.iter().chain(must_happen_to(kind));
    let never: Vec<_> = expected.filter(|what| !happened.contains_key(**what)).collect();
    assert!(never.is_empty() || !must_happen, "never happened: {never:?}");
}

#[test]
fn both_ways_agree_on_deposits() {
    try_law(Kind::Deposits, 100, history(0..12, 1..7, 4));
}

#[test]
fn both_ways_agree_on_trades_with_fills() {
    try_law(Kind::Trades, 100, history(0..8, 1..7, 4));
}

/// Beyond the window, and often enough beside it that all elements are indexed.
#[test]
fn both_ways_agree_on_thousands_of_records() {
    try_law(Kind::ShortDeposits, 20, history(200..4_000, 2..6, 2_000));
}

fn poll(steps: Vec<Step>, layout: u64) -> Poll {
    Poll { steps, layout, damage: None, sizes: IN_WHOLE.to_vec(), habits: Habits::default() }
}

proptest! {
    /// What changes is known from the model here, so that both ways cannot be wrong together.
    #[test]
    fn a_list_says_the_same_however_it_is_written(
        pick in 0..2, records in 1..40_usize, style in 1_u64.., every in 1..40_usize, layout in any::<u64>(),
    ) {
        let (ground, kind) = (Ground::new(), [Kind::Deposits, Kind::Trades][pick as usize]);
        let (mut list, mut pair) = (List::new(kind, records), Pair::new(&ground, kind.resource()));
        let mut take = |poll: Poll| pair.poll(&list.body(&poll), &poll.sizes, poll.habits).unwrap().unwrap();
        prop_assert_eq!(take(poll(vec![], 0)).added, records as u64);
        let rewritten = take(poll(vec![Step::RewriteAll(style), Step::Shuffle(style)], layout));
        prop_assert_eq!((rewritten.as_known, rewritten.quarantined), (records as u64, vec![]));
        let changed = take(poll(vec![Step::RewriteAll(0), Step::ChangeEvery(every)], 0));
        prop_assert_eq!(changed.changed + changed.stale, records.div_ceil(every) as u64);
        prop_assert_eq!(changed.as_known, (records - records.div_ceil(every)) as u64);
    }
}

/// A body of these elements.
fn body(elements: &[String]) -> Vec<u8> {
    format!("[{}]", elements.join(",")).into_bytes()
}

/// The elements of a list of deposits of which as many are known as the window holds, and more.
fn elements(count: u32) -> Vec<String> {
    let record = |number| Record { number, version: 0, style: 0, flaw: None };
    (0..count).map(|number| record(number).write(Kind::Deposits)).collect()
}

#[test]
fn what_is_broken_between_unchanged_records_is_refused_wherever_it_is() {
    let (ground, elements) = (Ground::new(), elements(700));
    let mut pair = Pair::new(&ground, "deposits");
    pair.poll(&body(&elements), &IN_WHOLE, Habits::default()).unwrap().unwrap();
    let whole = String::from_utf8(body(&elements)).unwrap();
    let with = |at: usize, element: &str| {
        let mut elements = elements.clone();
        element.clone_into(&mut elements[at]);
        body(&elements)
    };
    let mut bodies = Vec::new();
    for at in [0, 1, 255, 256, 300, 699] {
        let (known, far) = (&elements[at], &elements[(at + 350) % 700]);
        let another = known.replacen("\"amount\":", "\"amount\":1", 1);
        assert_ne!(*known, another);
        bodies.extend([
            with(at, &known[..known.len() - 1]),
            with(at, &known[1..]),
            with(at, &known.replacen(':', "", 1)),
            with(at, &known.replacen(',', ",,", 1)),
            with(at, &format!("{known}{far}")),
            with(at, &format!("{known},{another}")),
            with(at, &format!("{another},{known}")),
            with((at + 350) % 700, &format!("{far},{another}")),
            with((at + 350) % 700, &another),
            with(at, &format!("{known},")),
            with(at, &format!("{known}\n{{}}")),
            with(at, &format!("{known},{}", known.replacen("\"amount\":", "\"amount\":\"\",\"x\":", 1))),
            with(at, "nul"),
            with(at, ""),
        ]);
        let mut bytes = with(at, known);
        let place = whole.find(known.as_str()).unwrap() + 20;
        bytes[place] = 0xff;
        bodies.push(bytes);
    }
    bodies.extend(["", ",", "]", "[]", "x", "\0"].map(|end| format!("{whole}{end}").into_bytes()).into_iter().skip(1));
    bodies.extend((0..whole.len()).step_by(997).chain([whole.len() - 1]).map(|end| whole.as_bytes()[..end].to_vec()));
    for (nth, body) in bodies.iter().enumerate() {
        let agreement = pair.poll(body, &[4_096], Habits::default());
        assert!(matches!(agreement, Ok(Err(_))), "body {nth}: {agreement:?}");
    }
    let again = pair.poll(whole.as_bytes(), &[100], Habits::default()).unwrap().unwrap();
    assert_eq!(again.as_known, 700, "what was refused has left nothing behind");
}

#[test]
fn a_record_that_does_not_fit_keeps_its_last_good_version_and_stands_but_once() {
    let ground = Ground::new();
    let whole = elements(600);
    for (at, flaw) in [3_u32, 300, 599].into_iter().flat_map(|at| FLAWS.map(|flaw| (at, flaw))) {
        let mut pair = Pair::new(&ground, "deposits");
        let mut take = |elements: &[String]| pair.poll(&body(elements), &[512], Habits::default()).unwrap();
        take(&whole).unwrap();
        let unfit = |style| Record { number: at, version: 1, style, flaw: Some(flaw) }.write(Kind::Deposits);
        let mut elements = whole.clone();
        elements[at as usize] = unfit(0);
        let has_key = !matches!(flaw, Flaw::NoKey | Flaw::NullKey | Flaw::KeyTwice | Flaw::NoObject);
        let found = take(&elements).unwrap();
        assert_eq!((found.rejected, found.rejected_without_key), (1, u64::from(!has_key)), "{flaw:?}");
        assert_eq!(found.missing, u64::from(!has_key), "{flaw:?}");
        let doubled = |other: String| [&elements[..], &[other]].concat();
        assert_eq!(take(&doubled(unfit(0))).unwrap().rejected, 2, "{flaw:?}");
        assert_eq!(take(&doubled(unfit(7))).is_err(), has_key, "{flaw:?}");
        assert_eq!(take(&doubled(whole[at as usize].clone())).is_err(), has_key, "{flaw:?}");
        assert_eq!(take(&whole).unwrap().as_known, 600, "{flaw:?}");
    }
}

/// So far from what is expected that all elements are indexed, a record is not taken for known a second time.
#[test]
fn in_another_order_a_record_that_stands_twice_is_found_all_the_same() {
    let write = |number: u32, version: u32, style: u64, flaw: Option<Flaw>| {
        Record { number, version, style, flaw }.write(Kind::ShortDeposits)
    };
    let whole: Vec<_> = (0..3_000).map(|number| write(number, 0, 0, None)).collect();
    let reversed: Vec<_> = whole.iter().rev().cloned().collect();
    let rotated = [&whole[1_500..], &whole[..1_500]].concat();
    let spread: Vec<_> = (0..3_000).map(|nth| whole[nth * 1_009 % 3_000].clone()).collect();
    let ground = Ground::new();
    for (order, twice) in [&reversed, &rotated, &spread].into_iter().flat_map(|o| [0, 40, 1_700].map(|t| (o, t))) {
        let mut pair = Pair::new(&ground, "deposits");
        let mut take = |elements: &[String]| pair.poll(&body(elements), &[1 << 16], Habits::default()).unwrap();
        take(&whole).unwrap();
        for place in [0, 1_200, 3_000] {
            let mut with = |record: String| take(&[&order[..place], &[record], &order[place..]].concat());
            assert_eq!(with(write(twice, 1, 0, None)), Err(Refused::Contradiction));
            assert_eq!(with(write(twice, 1, 0, Some(Flaw::WrongType))), Err(Refused::Contradiction));
            // Only the last of the polls is believed, and the next finds its order.
            let same = [0, 9].map(|style| write(twice, 0, style, None));
            let found = with(same[usize::from(place == 1_200)].clone()).unwrap();
            assert_eq!((found.as_known, found.repeated), (3_000, 1), "record {twice} again at {place}");
            take(&whole).unwrap();
        }
    }
}

/// So many records wait that they are placed before the body has ended.
#[test]
fn both_ways_agree_where_more_records_are_new_than_may_wait() {
    let short = |number: u32, version: u32| Record { number, version, style: 0, flaw: None }.write(Kind::ShortDeposits);
    let ground = Ground::new();
    let mut pair = Pair::new(&ground, "deposits");
    let mut take = |elements: &[String]| pair.poll(&body(elements), &[1 << 16], Habits::default()).unwrap();
    let known: Vec<_> = (0..2).map(|number| short(number, 0)).collect();
    take(&known).unwrap();
    let many: Vec<_> = (0..140_000).map(|number| short(number, 0)).collect();
    let with = |last: &[String]| [&many[..], last].concat();
    let spoilt = Record { number: 5, version: 0, style: 0, flaw: Some(Flaw::WrongType) }.write(Kind::ShortDeposits);
    assert_eq!(take(&with(&[short(5, 1)])), Err(Refused::Contradiction));
    assert_eq!(take(&with(&[short(139_999, 1)])), Err(Refused::Contradiction));
    assert_eq!(take(&with(&[spoilt])), Err(Refused::Contradiction));
    let found = take(&with(&[short(5, 0), short(1, 0), short(139_999, 0)])).unwrap();
    assert_eq!((found.added, found.repeated), (139_998, 3));
    let backwards: Vec<_> = many.iter().rev().cloned().collect();
    assert_eq!(take(&backwards).unwrap().as_known, 140_000);
}
