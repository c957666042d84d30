//! The world's laws: it is the same from a seed, its history only grows, its statuses only go on, and its books balance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rust_decimal::Decimal;

use super::super::{Error, Options, RECORDS_MAX, Resource, Snapshot, World};
use super::served::{Object, fixed};
use super::{at, list, world};

const TRANSACTIONS: [Resource; 3] = [Resource::Deposits, Resource::Withdrawals, Resource::Trades];

#[test]
fn equal_options_give_equal_bytes_whatever_was_asked_before() {
    let (one, other) = (world(1000), world(1000));
    let later = Resource::ALL.map(|resource| list(&at(&one, 100), resource));
    let first = Resource::ALL.map(|resource| list(&at(&one, 0), resource));
    for (place, resource) in Resource::ALL.into_iter().enumerate().rev() {
        assert_eq!(first[place], list(&at(&other, 0), resource));
        assert_eq!(later[place], list(&at(&other, 100), resource));
    }
}

#[test]
fn another_seed_gives_another_world() {
    let other = Arc::new(World::new(&Options { seed: 8, records: 1000, ..Options::default() }).unwrap());
    for resource in Resource::ALL.into_iter().filter(|resource| *resource != Resource::Currencies) {
        assert_ne!(list(&at(&world(1000), 0), resource), list(&at(&other, 0), resource));
    }
}

#[test]
fn so_many_records_exist_at_the_start_as_were_asked_for_and_more_come_at_the_same_rate() {
    for records in [0, 1, 2, 3, 4, 5, 10, 77, 1000] {
        let world = world(records);
        let total = |hours| TRANSACTIONS.iter().map(|resource| at(&world, hours).count(*resource)).sum::<u64>();
        assert_eq!(total(0), records);
        assert_eq!(total(24 * 730), 2 * records);
    }
    let too_many = World::new(&Options { records: RECORDS_MAX + 1, ..Options::default() });
    assert!(matches!(too_many, Err(Error::TooManyRecords { .. })));
}

#[test]
fn transactions_never_vanish_and_come_in_order() {
    let world = world(2000);
    for resource in TRANSACTIONS {
        let mut before: Vec<String> = Vec::new();
        for hours in (0..2000).step_by(97) {
            let ids: Vec<_> = Object::list(&list(&at(&world, hours), resource)).iter().map(Object::key).collect();
            assert!(ids.starts_with(&before));
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice");
            before = ids;
        }
    }
}

#[test]
fn a_status_only_goes_on_and_every_documented_one_occurs() {
    let documented = [
        "SUBMITTED PENDING PROCESSING COMPLIANCE_PENDING COMPLETED FAILED CANCELLED REVERSED",
        "PENDING ACCEPTED AWAITING_CONFIRMATION PROCESSING COMPLIANCE_PENDING COMPLETED FAILED CANCELLED REVERSED",
        "PENDING COMPLETED CANCELLED REVERSED",
    ];
    let world = world(3000);
    for (resource, documented) in TRANSACTIONS.into_iter().zip(documented) {
        let documented: Vec<_> = documented.split(' ').collect();
        let mut known = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for hours in (0..24 * 20).step_by(3) {
            for object in Object::list(&list(&at(&world, hours), resource)) {
                let status = object.text("status");
                if let Some(before) = known.insert(object.key(), status.clone()) {
                    assert!(may_follow(&documented, &before, &status), "{before} → {status}");
                }
                assert_eq!(has_completed(&status), object.raw("completedAt").is_some_and(|at| at != "null"));
                seen.insert(status);
            }
        }
        assert_eq!(seen, documented.into_iter().map(String::from).collect());
    }
}

/// In the documented order open statuses only go on, and of the closed ones COMPLETED alone may change.
fn may_follow(documented: &[&str], before: &str, after: &str) -> bool {
    let place = |status| documented.iter().position(|known| *known == status).unwrap();
    match before {
        "COMPLETED" => has_completed(after),
        "FAILED" | "CANCELLED" | "REVERSED" => before == after,
        _ => place(before) <= place(after),
    }
}

fn has_completed(status: &str) -> bool {
    matches!(status, "COMPLETED" | "REVERSED")
}

#[test]
fn the_books_balance_to_the_last_digit_at_every_clock() {
    for records in [0, 1, 3, 4, 17, 5000] {
        let world = world(records);
        for hours in [0, 1, 5, 24, 500, 24 * 730, 24 * 3652] {
            assert_balanced(&at(&world, hours));
        }
    }
}

fn assert_balanced(snapshot: &Arc<Snapshot>) {
    let mut totals: BTreeMap<String, Decimal> = BTreeMap::new();
    let mut locked: BTreeMap<String, Decimal> = BTreeMap::new();
    for deposit in Object::list(&list(snapshot, Resource::Deposits)) {
        if deposit.text("status") == "COMPLETED" {
            *totals.entry(deposit.text("currency")).or_default() +=
                amount(&deposit, "amount") - amount(&deposit, "fee");
        }
    }
    for withdrawal in Object::list(&list(snapshot, Resource::Withdrawals)) {
        let (currency, total) =
            (withdrawal.text("currency"), amount(&withdrawal, "amount") + amount(&withdrawal, "fee"));
        match withdrawal.text("status").as_str() {
            "COMPLETED" => *totals.entry(currency).or_default() -= total,
            "FAILED" | "CANCELLED" | "REVERSED" => {}
            _ => *locked.entry(currency).or_default() += total,
        }
    }
    for trade in Object::list(&list(snapshot, Resource::Trades)) {
        if trade.text("status") == "COMPLETED" {
            *totals.entry(trade.text("fromCurrency")).or_default() -= amount(&trade, "fromAmount");
            *totals.entry(trade.text("toCurrency")).or_default() += amount(&trade, "toAmount");
        }
    }
    let accounts = Object::list(&list(snapshot, Resource::Accounts));
    assert!(
        totals.keys().chain(locked.keys()).all(|code| accounts.iter().any(|account| account.text("currency") == *code))
    );
    for account in accounts {
        let currency = account.text("currency");
        let (balance, held) = (amount(&account, "balance"), amount(&account, "lockedBalance"));
        assert_eq!(balance + held, totals[&currency], "{currency} at {}", snapshot.clock());
        assert_eq!(held, locked.get(&currency).copied().unwrap_or_default(), "{currency}");
        assert!(balance >= Decimal::ZERO, "{currency}");
    }
}

pub(super) fn amount(object: &Object, name: &str) -> Decimal {
    let text = fixed(object.raw(name).unwrap());
    Decimal::from_str_exact(text.trim_end_matches('0').trim_end_matches('.')).unwrap()
}

#[test]
fn fills_add_up_to_their_trade_and_the_rate_explains_it() {
    let mut counts = BTreeSet::new();
    for trade in Object::list(&list(&at(&world(5000), 0), Resource::Trades)) {
        let (from, to, rate) = (amount(&trade, "fromAmount"), amount(&trade, "toAmount"), amount(&trade, "rate"));
        let exact = if trade.raw("isRateInverted") == Some("true") { from / rate } else { from * rate };
        // One smallest unit of the coarsest asset, where that is more than nothing.
        assert!(to <= exact.max(Decimal::ONE) && exact - to < Decimal::ONE, "{exact} {to}");
        if !has_completed(&trade.text("status")) {
            continue;
        }
        let fills = Object::list(trade.raw("fills").unwrap());
        assert_eq!(fills.iter().map(|fill| amount(fill, "fromCurrencyAmount")).sum::<Decimal>(), from);
        assert_eq!(fills.iter().map(|fill| amount(fill, "toCurrencyAmount")).sum::<Decimal>(), to);
        assert!(fills.iter().all(|fill| amount(fill, "toCurrencyAmount") > Decimal::ZERO));
        assert!(fills.iter().all(|fill| fill.text("status") == trade.text("status")));
        counts.insert(fills.len());
    }
    assert_eq!(counts, BTreeSet::from([1, 2, 3]));
}

#[test]
fn beneficiaries_appear_change_go_and_come_back() {
    let world = world(1000);
    let (mut gone, mut back, mut changed, mut added) = (BTreeSet::new(), 0, 0, 0);
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for hours in (0..24 * 300).step_by(12) {
        let present = by_key(&list(&at(&world, hours), Resource::Beneficiaries));
        assert!((20..=60).contains(&present.len()), "{} beneficiaries", present.len());
        back += gone.iter().filter(|id| present.contains_key(*id)).count();
        gone.retain(|id| !present.contains_key(id));
        gone.extend(known.keys().filter(|id| !present.contains_key(*id)).cloned());
        changed += present.iter().filter(|(id, text)| known.get(*id).is_some_and(|before| before != *text)).count();
        added += present.keys().filter(|id| !known.contains_key(*id)).count();
        known = present;
    }
    assert!(gone.len() > 5 && back > 1 && changed > 20 && added > 5, "{} {back} {changed} {added}", gone.len());
}

#[test]
fn wallets_stay_appear_and_change_their_address() {
    let world = world(1000);
    let before = by_key(&list(&at(&world, 0), Resource::Wallets));
    let after = by_key(&list(&at(&world, 24 * 100), Resource::Wallets));
    assert!(after.len() > before.len());
    assert!(before.keys().all(|id| after.contains_key(id)));
    let changed = before.iter().filter(|(id, text)| after[*id] != **text).count();
    assert!((3..before.len()).contains(&changed), "{changed}");
}

fn by_key(json: &str) -> BTreeMap<String, String> {
    let text = |object: &Object| object.0.iter().map(|(_, value)| value.get()).collect::<Vec<_>>().join(",");
    Object::list(json).iter().map(|object| (object.key(), text(object))).collect()
}
