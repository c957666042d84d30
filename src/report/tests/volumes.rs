//! What moved on which day.

use super::*;
use crate::report::volume::{Flow, Window};
use Operation::{Added, Removed};

fn told(window: &Window) -> Vec<(&str, i64, String)> {
    let days = window
        .currencies
        .iter()
        .flat_map(|currency| currency.days.iter().map(move |(day, moved)| (currency, day, moved)));
    days.map(|(currency, day, moved)| {
        let sums = Flow::ALL.map(|flow| moved.sums.of(flow).to_string()).join(" ");
        (&*currency.name, *day, sums)
    })
    .collect()
}

#[test]
fn what_moved_counts_on_its_day_and_what_is_gone_open_or_nameless_does_not() {
    let of = |id: &str, status: &str, currency: &str, day: u32| {
        let members = format!(
            r#""currency":{currency},"amount":0.000000000000000001,"status":"{status}","completedAt":"1970-01-{day:02}T23:59:59.999999Z""#
        );
        deposit(id, &members)
    };
    let zar = r#""ZAR""#;
    let gone = of("gone", "COMPLETED", zar, 2);
    let versions = [
        (1, Added, of("a", "COMPLETED", zar, 2)),
        (1, Added, of("b", "COMPLETED", zar, 2)),
        (1, Added, of("c", "COMPLETED", zar, 3)),
        (1, Added, of("pending", "PENDING", zar, 2)),
        (1, Added, of("nameless", "COMPLETED", "null", 2)),
        (1, Added, of("to-come", "COMPLETED", zar, 12)),
        (1, Added, gone.clone()),
        (2, Removed, gone),
    ];
    let versions: Vec<Version<'_>> =
        versions.iter().map(|(day, operation, text)| (*day, *operation, text.as_str())).collect();
    let window = fold("deposits", 10, &versions).1.conclude(10 * DAY);
    assert_eq!(window.days, Some((-87, 2)));
    let expected =
        [("ZAR", 1, "0.000000000000000002 0 0 0".to_owned()), ("ZAR", 2, "0.000000000000000001 0 0 0".to_owned())];
    assert_eq!(told(&window), expected);
    assert_eq!((window.to_come, window.currencies[0].total.movements), (1, 3));
}

#[test]
fn a_trade_counts_on_both_its_sides_when_it_was_created() {
    let trade = r#"{"transactionId":"T","fromCurrency":"ZAR","toCurrency":"BTC","fromAmount":5,"toAmount":-7,
        "status":"COMPLETED","createdAt":"1970-01-05T00:00:00Z","completedAt":"1970-01-06T00:00:00Z"}"#;
    let window = fold("trades", 10, &[(9, Added, trade)]).1.conclude(10 * DAY);
    assert_eq!(told(&window), [("BTC", 4, "0 -7 0 0".to_owned()), ("ZAR", 4, "0 0 0 5".to_owned())]);
}

#[test]
fn a_window_is_of_ninety_days_and_what_moved_before_is_named() {
    let (mut volumes, mut names) = (Volumes::default(), Names::default());
    let mut add = |currency: &str, day: i64| volumes.add(&names.name(currency), day * DAY, Flow::Deposits, i128::MAX);
    for (currency, day) in
        [("B", 1000), ("B", 911), ("B", 910), ("A", 1000), ("A", 1000), ("A", 999), ("OLD", 910), ("SOON", 1001)]
    {
        add(currency, day);
    }
    let window = volumes.conclude(1000 * DAY + DAY - 1);
    assert_eq!(window.days, Some((911, 1000)));
    let busiest: Vec<_> =
        window.currencies.iter().map(|currency| (&*currency.name, currency.total.movements)).collect();
    assert_eq!(busiest, [("A", 3), ("B", 2)]);
    assert_eq!(window.idle.iter().map(|name| &**name).collect::<Vec<_>>(), ["OLD"]);
    assert_eq!(window.to_come, 1);
    let sum = window.currencies[0].days[&1000].sums.of(Flow::Deposits);
    assert_eq!(sum.to_string(), "too large", "a sum that is not known is not a wrong one");
    let nothing = Volumes::default().conclude(0);
    assert!(nothing.days.is_none() && nothing.currencies.is_empty());
}
