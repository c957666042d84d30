//! The sandbox's world keeps its books by rules of its own, and says what its accounts hold.

use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::{
    config::{Basis, TradeAmount},
    sandbox::{Options, Resource as Kind, Snapshot, Style, World},
};

const KINDS: [(&str, Kind); 4] =
    [(ACCOUNTS, Kind::Accounts), (DEPOSITS, Kind::Deposits), (WITHDRAWALS, Kind::Withdrawals), (TRADES, Kind::Trades)];

/// The lists of a world so many days after its start.
fn lists(world: &Arc<World>, days: i64) -> Vec<(&'static str, String)> {
    let snapshot = Arc::new(Snapshot::new(world.clone(), World::start() + TimeDelta::days(days)));
    let list = |kind| snapshot.list(kind, Style::default()).flat_map(Vec::from).collect();
    KINDS.map(|(name, kind)| (name, String::from_utf8(list(kind)).unwrap())).into()
}

fn world(seed: u64, records: u64) -> Arc<World> {
    Arc::new(World::new(&Options { seed, records, ..Options::default() }).unwrap())
}

fn books_of(settings: &Reconciling, polls: &[Vec<(&'static str, String)>]) -> Report {
    let polls: Vec<Vec<(&str, &str)>> =
        polls.iter().map(|lists| lists.iter().map(|(name, list)| (*name, list.as_str())).collect()).collect();
    books(settings, &polls.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn they_balance_to_the_last_digit_for_any_seed_and_after_any_polls() {
    for (seed, records) in [(1, 1), (2, 17), (3, 900), (4, 900), (5, 3000)] {
        let world = world(seed, records);
        let mut polls = Vec::new();
        for days in [0, 1, 9, 400] {
            polls.push(lists(&world, days));
            let report = books_of(&settings(), &polls);
            assert!(report.verdicts().iter().all(|verdict| *verdict == Verdict::Balanced), "{seed} {days}\n{report}");
            assert_eq!((report.found, report.exit_code()), (0, 0), "{seed} {days}\n{report}");
            assert!(!report.lines.is_empty() && report.lines.iter().all(|line| line.accounts.len() == 1), "{report}");
        }
    }
}

#[test]
fn fills_say_what_their_trades_say() {
    let polls = [lists(&world(6, 2000), 0)];
    let by_trade = books_of(&settings(), &polls);
    let by_fills = books_of(&Reconciling { trade_amount: TradeAmount::Fills, ..settings() }, &polls);
    assert_eq!(by_trade.lines, by_fills.lines);
}

#[test]
fn amounts_taken_for_what_they_are_not_are_off_by_exactly_their_fees() {
    let polls = [lists(&world(7, 2000), 0)];
    let right = books_of(&settings(), &polls);
    let wrong = [
        (Reconciling { deposit_amount: Basis::Net, ..settings() }, "less"),
        (Reconciling { withdrawal_amount: Basis::Gross, ..settings() }, "less"),
    ];
    for (settings, side) in wrong {
        let report = books_of(&settings, &polls);
        assert_eq!(report.exit_code(), 65);
        for (wrong, right) in report.lines.iter().zip(&right.lines) {
            let fees = right.fees.minus(wrong.fees);
            assert_ne!(fees.known(), Some(0), "{}", wrong.currency);
            assert_eq!((wrong.verdict, wrong.difference), (Verdict::Off, Some(wrong.fees.minus(right.fees))));
            let finding = report.findings.iter().find(|finding| finding.key == wrong.accounts[0]).unwrap();
            assert!(finding.problem.contains(&format!("which is {fees} {side} than its books")), "{finding:?}");
        }
    }
}

#[test]
fn each_status_that_moves_money_counts() {
    let polls = [lists(&world(8, 2000), 0)];
    let (none, all) = (Vec::new(), vec!["COMPLETED".to_owned(), "REVERSED".to_owned()]);
    for statuses in [none, all] {
        let wrong = [
            Reconciling { deposit_statuses: statuses.clone(), ..settings() },
            Reconciling { withdrawal_statuses: statuses.clone(), ..settings() },
            Reconciling { trade_statuses: statuses.clone(), ..settings() },
        ];
        for settings in wrong {
            let report = books_of(&settings, &polls);
            assert!(report.verdicts().contains(&Verdict::Off), "{report}");
            assert_eq!(report.exit_code(), 65);
        }
        let report = books_of(&Reconciling { fill_statuses: statuses, ..settings() }, &polls);
        assert!(report.broken().iter().all(|(law, _)| *law == Law::Fills) && report.found > 0, "{report}");
    }
}
