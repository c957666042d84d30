//! What the records of each currency come to, and what is held.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    ACCOUNTS, DEPOSITS, TRADES, WITHDRAWALS,
    finding::{Findings, Law},
    sum::Sum,
};

/// Open records of a currency that are looked at one by one: where all are open, none of them explains anything.
const OPEN_RECORDS_MAX: usize = 10_000;

/// The totals of every currency that a record, an account or the settings name.
#[derive(Debug, Default)]
pub(super) struct Books(BTreeMap<Arc<str>, Totals>);

/// What the records of one currency come to.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub opening: Sum,
    pub deposits: Sum,
    pub withdrawals: Sum,
    pub fees: Sum,
    pub trades_in: Sum,
    pub trades_out: Sum,
    pub open: Open,
    /// Open records, each with what it adds once it completes: so many of them as are looked at one by one.
    pub open_records: Vec<(&'static str, Box<str>, Sum)>,
    /// `balance + lockedBalance` of its accounts.
    pub held: Sum,
    /// Keys of its accounts.
    pub accounts: Vec<String>,
}

/// What open records add once they complete.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Open {
    /// All open deposits.
    pub deposits: Sum,
    /// All open withdrawals: less than nothing.
    pub withdrawals: Sum,
    /// All open trades, on both their sides.
    pub trades: Sum,
}

/// The books of one currency. All sums are exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The currency.
    pub currency: String,
    /// What there was before the first record.
    pub opening: Sum,
    /// Amounts of deposits.
    pub deposits: Sum,
    /// Amounts of withdrawals.
    pub withdrawals: Sum,
    /// Fees that are not part of these amounts, or were taken out of them.
    pub fees: Sum,
    /// What trades have brought.
    pub trades_in: Sum,
    /// What trades have cost.
    pub trades_out: Sum,
    /// What the account should hold.
    pub expected: Sum,
    /// `balance + lockedBalance`; `None` without an account.
    pub held: Option<Sum>,
    /// What is held beyond what is expected.
    pub difference: Option<Sum>,
    /// What is the difference to the last digit, if it counts as completed: an open record, as `withdrawals WD5M8Q1P`, or all
    /// open records of these kinds.
    pub explained_by: Vec<String>,
    /// What open records add once they complete.
    pub open: Open,
    /// What it comes to.
    pub verdict: Verdict,
    /// Keys of the accounts.
    pub accounts: Vec<String>,
}

/// Whether books balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// To the last digit.
    Balanced,
    /// The difference is within what the settings let pass.
    Tolerated,
    /// The difference is what open records come to.
    Explained,
    /// They do not.
    Off,
    /// Nothing is held that could be compared.
    NoAccount,
    /// A sum is beyond what can be reckoned with.
    TooLarge,
}

impl Books {
    /// Books that begin with these amounts.
    pub(super) fn opened(opening: &BTreeMap<String, i128>) -> Self {
        let opened = |(currency, amount): (&String, &i128)| {
            (Arc::from(currency.as_str()), Totals { opening: Sum::of(*amount), ..Totals::default() })
        };
        Self(opening.iter().map(opened).collect())
    }

    /// The totals of a currency.
    pub(super) fn of(&mut self, currency: &Arc<str>) -> &mut Totals {
        self.0.entry(currency.clone()).or_default()
    }

    /// Whether there is an account of the currency.
    pub(super) fn has_account(&self, currency: &str) -> bool {
        self.0.get(currency).is_some_and(|totals| !totals.accounts.is_empty())
    }

    /// A line a currency, in their order.
    pub(super) fn lines(&self, tolerance: i128) -> Vec<Line> {
        self.0.iter().map(|(currency, totals)| totals.line(currency, tolerance)).collect()
    }
}

impl Totals {
    /// Adds an open record with what it adds once it completes.
    pub(super) fn add_open(&mut self, resource: &'static str, key: &str, effect: Sum) {
        let sum = match resource {
            DEPOSITS => &mut self.open.deposits,
            WITHDRAWALS => &mut self.open.withdrawals,
            _ => &mut self.open.trades,
        };
        *sum = sum.plus(effect);
        if self.open_records.len() < OPEN_RECORDS_MAX {
            self.open_records.push((resource, key.into(), effect));
        }
    }

    /// The first open record that comes to exactly this, else the fewest kinds of them that do; nothing if none does.
    fn explain(&self, difference: Sum) -> Vec<String> {
        if difference.known().is_none_or(|difference| difference == 0) {
            return Vec::new();
        }
        match self.open_records.iter().find(|(.., effect)| *effect == difference) {
            Some((resource, key, _)) => vec![format!("{resource} {key}")],
            None => self.open.explain(difference),
        }
    }

    fn line(&self, currency: &str, tolerance: i128) -> Line {
        let Self { opening, deposits, withdrawals, fees, trades_in, trades_out, open, .. } = *self;
        let expected = opening.plus(deposits).minus(withdrawals).minus(fees).plus(trades_in).minus(trades_out);
        let held = (!self.accounts.is_empty()).then_some(self.held);
        let difference = held.map(|held| held.minus(expected));
        let explained_by = difference.map(|difference| self.explain(difference)).unwrap_or_default();
        let verdict = match difference.map(Sum::known) {
            None => Verdict::NoAccount,
            Some(None) => Verdict::TooLarge,
            Some(Some(0)) => Verdict::Balanced,
            Some(Some(difference)) if difference.unsigned_abs() <= tolerance.unsigned_abs() => Verdict::Tolerated,
            Some(Some(_)) if !explained_by.is_empty() => Verdict::Explained,
            Some(Some(_)) => Verdict::Off,
        };
        Line {
            currency: currency.to_owned(),
            opening,
            deposits,
            withdrawals,
            fees,
            trades_in,
            trades_out,
            expected,
            held,
            difference,
            explained_by,
            open,
            verdict,
            accounts: self.accounts.clone(),
        }
    }
}

impl Open {
    /// All of them together.
    pub(crate) fn sum(self) -> Sum {
        self.deposits.plus(self.withdrawals).plus(self.trades)
    }

    fn explain(self, difference: Sum) -> Vec<String> {
        let kinds = [(DEPOSITS, self.deposits), (WITHDRAWALS, self.withdrawals), (TRADES, self.trades)];
        let mut choices: Vec<u32> = (1..1 << kinds.len()).collect();
        choices.sort_by_key(|choice| choice.count_ones());
        let chosen = |choice: u32| kinds.iter().enumerate().filter(move |(place, _)| choice & 1 << place != 0);
        let explains = |choice: &u32| {
            let sum = chosen(*choice).fold(Sum::ZERO, |sum, (_, (_, open))| sum.plus(*open));
            let is_each_something = chosen(*choice).all(|(_, (_, open))| *open != Sum::ZERO);
            is_each_something && sum == difference
        };
        let choice = choices.into_iter().find(explains).unwrap_or_default();
        chosen(choice).map(|(_, (kind, _))| (*kind).to_owned()).collect()
    }
}

impl Line {
    /// Tells what is wrong with it.
    pub(super) fn check(&self, findings: &mut Findings) {
        let Self { currency, expected, .. } = self;
        let accounts = self.accounts.join(", ");
        let mut find = |law, problem: String| findings.add(law, ACCOUNTS, &accounts, || problem);
        match (self.verdict, self.held, self.difference) {
            (Verdict::Off, Some(held), Some(difference)) => {
                let is_less = difference.known().is_some_and(|difference| difference < 0);
                let (by, side) = match is_less {
                    true => (Sum::ZERO.minus(difference), "less"),
                    false => (difference, "more"),
                };
                let problem = format!("holds {held} {currency}, which is {by} {side} than its books: {expected}");
                find(Law::Balance, problem);
            }
            (Verdict::TooLarge, ..) => {
                find(Law::Balance, format!("the sums of {currency} have more than 20 digits before the point"));
            }
            (Verdict::NoAccount, ..) if self.opening != Sum::ZERO => {
                let problem = format!("there is no account of {currency}, of which `reconcile.opening` tells");
                find(Law::Account, problem);
            }
            _ => {}
        }
    }
}
