//! Statuses, times, ages and restatements of single records.

use super::*;
use crate::report::{
    life::{AGES, Meaning, Status, bucket},
    restated::Restated,
};
use Operation::{Added, Changed, Removed};

/// Name, now, ever and times in days of a status.
type Told<'s> = (Option<&'s str>, u64, u64, Vec<i64>);

/// The statuses that a record ever had.
fn told(life: &Life) -> Vec<Told<'_>> {
    let had = life.statuses.iter().filter(|status| status.ever > 0);
    had.map(|status| {
        let days = status.times.iter().map(|time| time / DAY).collect();
        (status.name.as_deref(), status.now, status.ever, days)
    })
    .collect()
}

#[test]
fn a_record_is_timed_from_when_it_was_first_seen_open_to_each_end() {
    let version = |status: &str| deposit("D", &format!(r#""status":"{status}""#));
    let [submitted, pending, completed, reversed] = ["SUBMITTED", "PENDING", "COMPLETED", "REVERSED"].map(version);
    let (life, _) = fold(
        "deposits",
        100,
        &[(1, Added, &submitted), (3, Changed, &pending), (8, Changed, &completed), (20, Changed, &reversed)],
    );
    let expected = [
        (Some("SUBMITTED"), 0, 1, vec![]),
        (Some("PENDING"), 0, 1, vec![]),
        (Some("COMPLETED"), 0, 1, vec![7]),
        (Some("REVERSED"), 1, 1, vec![19]),
    ];
    assert_eq!(told(&life), expected);

    let rows: [(&[Version<'_>], &[Told<'_>]); 4] = [
        // Never seen open.
        (&[(1, Added, &completed)], &[(Some("COMPLETED"), 1, 1, vec![])]),
        // Open only after its end, which took no time that could be told.
        (
            &[(1, Added, &completed), (2, Changed, &pending), (5, Changed, &completed)],
            &[(Some("PENDING"), 0, 1, vec![]), (Some("COMPLETED"), 1, 1, vec![])],
        ),
        // Gone: it was seen, and is not now.
        (&[(1, Added, &pending), (2, Removed, &pending)], &[(Some("PENDING"), 0, 1, vec![])]),
        // Without a status.
        (&[(1, Added, r#"{"transactionId":"D"}"#)], &[(None, 1, 1, vec![])]),
    ];
    for (versions, expected) in rows {
        assert_eq!(told(&fold("deposits", 100, versions).0), expected, "{versions:?}");
    }
}

#[test]
fn statuses_are_told_in_the_order_of_the_schema_and_unknown_ones_behind() {
    let odd = deposit("D", r#""status":"ON_HOLD""#);
    let (life, _) = fold("deposits", 1, &[(0, Added, &odd)]);
    let names: Vec<_> = life.statuses.iter().map(|status| (status.name.as_deref().unwrap(), status.meaning)).collect();
    assert_eq!(names[0], ("SUBMITTED", Meaning::Open));
    assert_eq!(names[7], ("REVERSED", Meaning::Ended));
    assert_eq!(names[8..], [("ON_HOLD", Meaning::Unknown)]);
    assert_eq!(life.open_count(), 1);
}

#[test]
fn a_percentile_is_a_time_that_so_many_did_not_exceed() {
    let status = |times: &[i64]| Status { name: None, meaning: Meaning::Ended, now: 0, ever: 0, times: times.to_vec() };
    let hundred: Vec<i64> = (1..=100).collect();
    let rows: [(&[i64], Option<i64>, Option<i64>); 6] = [
        (&[], None, None),
        (&[5], Some(5), Some(5)),
        (&[1, 9], Some(1), Some(9)),
        (&[1, 2, 9], Some(2), Some(9)),
        (&hundred, Some(50), Some(95)),
        (&hundred[..20], Some(10), Some(19)),
    ];
    for (times, median, percentile) in rows {
        assert_eq!((status(times).within(50), status(times).within(95)), (median, percentile), "{times:?}");
    }
}

#[test]
fn an_age_is_in_the_bucket_that_begins_with_it() {
    let hour = DAY / 24;
    let rows = [(i64::MIN, 0), (-1, 0), (0, 0), (hour - 1, 0), (hour, 1), (DAY, 3), (7 * DAY, 5), (30 * DAY - 1, 5)];
    for (age, expected) in rows {
        assert_eq!(bucket(age), expected, "{age}");
    }
    assert_eq!((bucket(30 * DAY), bucket(i64::MAX)), (AGES.len() - 1, AGES.len() - 1));
}

#[test]
fn what_changes_after_the_end_is_told_by_its_column_and_personal_data_by_nothing_else() {
    let withdrawal = |status: &str, amount: &str, iban: &str| {
        let members = format!(r#""amount":{amount},"status":"{status}","withdrawDetails":{{"iban":"{iban}"}}"#);
        deposit("W", &members)
    };
    let open = withdrawal("PENDING", "1", "A");
    let (ended, other) = (withdrawal("COMPLETED", "2", "A"), withdrawal("COMPLETED", "3", "B"));
    let reversed = withdrawal("REVERSED", "3", "B");
    let versions = [
        (1, Added, open.as_str()),
        (2, Changed, ended.as_str()),
        (3, Changed, other.as_str()),
        (4, Removed, other.as_str()),
        (5, Added, reversed.as_str()),
    ];
    let (life, _) = fold("withdrawals", 9, &versions);
    let restated = &life.restated;
    assert_eq!((restated.ended, restated.records, restated.versions), (1, 1, 3));
    let told: Vec<String> = Restated::last([restated].into_iter())
        .iter()
        .flat_map(|restatement| {
            restatement.changes.iter().map(|change| format!("{} {change:?}", restatement.seen_at / DAY))
        })
        .collect();
    let change = |what: &str, values: &str| format!("Change {{ what: {what:?}, values: {values} }}");
    let expected = [
        format!("5 {}", change("listed again", "None")),
        format!("5 {}", change("status", r#"Some((Some("COMPLETED"), Some("REVERSED")))"#)),
        format!("4 {}", change("no longer listed", "None")),
        format!("3 {}", change("amount", r#"Some((Some("2"), Some("3")))"#)),
        format!("3 {}", change("withdraw_details", "None")),
    ];
    assert_eq!(told, expected);
    let (before_its_end, _) = fold("withdrawals", 9, &versions[..2]);
    assert_eq!(before_its_end.restated.versions, 0);
}

#[test]
fn a_change_within_a_list_is_told_without_its_place() {
    let trade = |status: &str, amount: &str| {
        let fill = |status: &str| format!(r#"{{"transactionId":"f","toCurrencyAmount":{amount},"status":"{status}"}}"#);
        let fills = [fill("COMPLETED"), fill(status)].join(",");
        deposit("T", &format!(r#""status":"COMPLETED","fills":[{fills}]"#))
    };
    let (one, other) = (trade("COMPLETED", "1"), trade("REVERSED", "2"));
    let (life, _) = fold("trades", 9, &[(1, Added, &one), (2, Changed, &other)]);
    let columns: Vec<_> = life.restated.columns.iter().map(|(column, count)| (column.as_str(), *count)).collect();
    assert_eq!(columns, [("fills.status", 1), ("fills.to_currency_amount", 1)]);
}
