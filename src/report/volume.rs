//! What has moved, a currency and day.
//!
//! A record counts as it was told last, if it is still listed and has a status that moves money (`config::Reconciling`), on the
//! day in UTC under which the lake files it: that of the first present of its event times, else that on which it was first seen.

use std::{collections::BTreeMap, sync::Arc};

use super::day_of;
use crate::{
    config::Reconciling,
    error::Error,
    reconcile::{DEPOSITS, Sum, TRADES, WITHDRAWALS, column},
    schema::{Resource, Type},
};

/// Days that are told of.
const DAYS: i64 = 90;

/// A kind of movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Deposits,
    TradesIn,
    Withdrawals,
    TradesOut,
}

impl Flow {
    /// What comes in, then what goes out.
    pub(super) const ALL: [Self; 4] = [Self::Deposits, Self::TradesIn, Self::Withdrawals, Self::TradesOut];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deposits => "Deposits",
            Self::TradesIn => "Trades in",
            Self::Withdrawals => "Withdrawals",
            Self::TradesOut => "Trades out",
        }
    }
}

/// Sums of amounts, by the place of their flow in [`Flow::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums([Sum; 4]);

/// All days of all currencies.
#[derive(Default)]
pub(super) struct Volumes {
    days: BTreeMap<Arc<str>, BTreeMap<i64, Day>>,
    left_out: Vec<String>,
}

/// What moved on one day in one currency.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Day {
    pub sums: Sums,
    /// Deposits, withdrawals and sides of trades.
    pub movements: u64,
}

/// Which records of a resource count, and what of them.
#[derive(Clone)]
pub(super) struct Counted {
    moving: Vec<String>,
    pub sides: Vec<Side>,
}

/// Columns of a currency and its amount.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub flow: Flow,
    pub currency: usize,
    pub amount: usize,
}

/// The days that are told of.
pub(super) struct Window {
    /// Days since 1970, both included; `None` if nothing has moved.
    pub days: Option<(i64, i64)>,
    /// Those that moved in these days, the busiest first.
    pub currencies: Vec<Currency>,
    /// Those that moved before alone.
    pub idle: Vec<Arc<str>>,
    /// Movements on days that are still to come.
    pub to_come: u64,
    /// What is not counted, and why.
    pub left_out: Vec<String>,
}

/// A currency in a window.
pub(super) struct Currency {
    pub name: Arc<str>,
    /// Days on which it moved.
    pub days: BTreeMap<i64, Day>,
    pub total: Day,
}

impl Sums {
    pub(super) fn of(&self, flow: Flow) -> Sum {
        self.0[flow as usize]
    }

    pub(super) fn incoming(&self) -> Sum {
        self.of(Flow::Deposits).plus(self.of(Flow::TradesIn))
    }

    pub(super) fn outgoing(&self) -> Sum {
        self.of(Flow::Withdrawals).plus(self.of(Flow::TradesOut))
    }
}

impl Day {
    fn add(&mut self, other: &Self) {
        for (sum, other) in self.sums.0.iter_mut().zip(other.sums.0) {
            *sum = sum.plus(other);
        }
        self.movements += other.movements;
    }
}

impl Counted {
    pub(super) fn moves(&self, status: Option<&str>) -> bool {
        status.is_some_and(|status| self.moving.iter().any(|moving| moving == status))
    }
}

impl Volumes {
    /// What of a resource counts: nothing, if it moves no money. What its schema lacks is told on the page.
    pub(super) fn counted(&mut self, resource: &Resource, settings: &Reconciling) -> Result<Counted, Error> {
        let (moving, sides) = match resource.name.as_str() {
            DEPOSITS => (&settings.deposit_statuses, [Some((Flow::Deposits, "currency", "amount")), None]),
            WITHDRAWALS => (&settings.withdrawal_statuses, [Some((Flow::Withdrawals, "currency", "amount")), None]),
            TRADES => (
                &settings.trade_statuses,
                [(Flow::TradesOut, "from_currency", "from_amount"), (Flow::TradesIn, "to_currency", "to_amount")]
                    .map(Some),
            ),
            _ => return Ok(Counted { moving: Vec::new(), sides: Vec::new() }),
        };
        let side = |(flow, currency, amount): (Flow, &str, &str)| {
            let currency = column(resource, currency, &Type::String)?;
            Ok(Side { flow, currency, amount: column(resource, amount, &Type::Decimal)? })
        };
        let sides = match sides.into_iter().flatten().map(side).collect() {
            Ok(sides) => sides,
            Err(Error::NoBooks { resource, problem }) => {
                self.left_out.push(format!("{resource} are left out: {problem}"));
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        Ok(Counted { moving: moving.clone(), sides })
    }

    /// Adds what moved at a time in microseconds.
    pub(super) fn add(&mut self, currency: &Arc<str>, happened_at: i64, flow: Flow, amount: i128) {
        let day = self.days.entry(currency.clone()).or_default().entry(day_of(happened_at)).or_default();
        day.sums.0[flow as usize].add(amount);
        day.movements += 1;
    }

    /// The days that end with the last one on which something moved, and not after `now`.
    pub(super) fn conclude(self, now: i64) -> Window {
        let today = day_of(now);
        let last = self.days.values().filter_map(|days| days.range(..=today).next_back()).map(|(day, _)| *day).max();
        let window = last.map(|last| (last - DAYS + 1, last));
        let (mut currencies, mut idle, mut to_come) = (Vec::new(), Vec::new(), 0);
        for (name, mut days) in self.days {
            to_come += days.split_off(&(today + 1)).values().map(|day| day.movements).sum::<u64>();
            let Some((first, _)) = window else { continue };
            let is_idle = !days.is_empty();
            let days = days.split_off(&first);
            let mut total = Day::default();
            days.values().for_each(|day| total.add(day));
            if !days.is_empty() {
                currencies.push(Currency { name, days, total });
            } else if is_idle {
                idle.push(name);
            }
        }
        // Those that are equally busy stay in the order of their names.
        currencies.sort_by_key(|currency| std::cmp::Reverse(currency.total.movements));
        Window { days: window, currencies, idle, to_come, left_out: self.left_out }
    }
}
