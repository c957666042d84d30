//! Trades: what they bring and cost, and whether their fills say the same.
//!
//! | a trade that | its fills that have moved money |
//! |---|---|
//! | has moved money | come to its amounts, if it has any fills |
//! | is open | may come to anything: it may have been executed in part |
//! | has ended otherwise | come to nothing |

use std::{collections::HashSet, sync::Arc};

use super::{
    TRADES,
    columns::{amount, column, element, elements, list, text},
    finding::Law,
    fold::Fold,
    ledger::Ledger,
    life::{Life, Rules},
    sum::Sum,
};
use crate::{
    config::TradeAmount,
    decode::{Row, Seed, Stamp, key_hash},
    error::Error,
    schema::{Resource, Type},
};

/// The trades of a ledger.
pub(super) struct Trades<'l, 's> {
    rules: Rules<'l>,
    ledger: &'l mut Ledger<'s>,
    from: Side,
    to: Side,
    fills: Fills,
    seed: Seed,
    /// Hashes of the ids of all fills.
    seen: HashSet<u128>,
    without_fills: u64,
}

/// Columns of what is given, or of what is received.
#[derive(Clone, Copy)]
struct Side {
    currency: usize,
    amount: usize,
}

/// Columns of the fills, and that of their list.
struct Fills {
    list: usize,
    id: usize,
    status: usize,
    from: Side,
    to: Side,
}

/// A trade as it was told last, and the fills that it ever had.
#[derive(Default)]
pub(super) struct Kept {
    life: Life,
    from: Money,
    to: Money,
    filled: Filled,
    ids: Vec<FillId>,
}

/// An amount of a currency, as far as it is told.
#[derive(Default)]
struct Money {
    currency: Option<Arc<str>>,
    amount: Option<i128>,
}

/// What the fills come to that have moved money.
#[derive(Default, Clone, Copy)]
struct Filled {
    fills: u64,
    from: Sum,
    to: Sum,
    /// Whether one of them lacks an amount, or is in other currencies than its trade.
    is_odd: bool,
}

struct FillId {
    id: Box<str>,
    /// How often the last version lists it.
    times: u32,
}

impl<'l, 's: 'l> Trades<'l, 's> {
    pub(super) fn new(resource: &'l Resource, seed: Seed, ledger: &'l mut Ledger<'s>) -> Result<Self, Error> {
        let settings = ledger.settings;
        let side = |currency: &str, amount: &str| {
            let currency = column(resource, currency, &Type::String)?;
            Ok::<_, Error>(Side { currency, amount: column(resource, amount, &Type::Decimal)? })
        };
        let (place, fills) = list(resource, "fills")?;
        let side_of_fill = |currency: &str, amount: &str| {
            let currency = element(fills, currency, &Type::String)?;
            Ok::<_, Error>(Side { currency, amount: element(fills, amount, &Type::Decimal)? })
        };
        let fills = Fills {
            list: place,
            id: element(fills, "transaction_id", &Type::String)?,
            status: element(fills, "status", &Type::String)?,
            from: side_of_fill("from_currency", "from_currency_amount")?,
            to: side_of_fill("to_currency", "to_currency_amount")?,
        };
        Ok(Self {
            rules: Rules::new(resource, &settings.trade_statuses)?,
            from: side("from_currency", "from_amount")?,
            to: side("to_currency", "to_amount")?,
            ledger,
            fills,
            seed,
            seen: HashSet::new(),
            without_fills: 0,
        })
    }

    /// Says what is to be said of all trades together.
    pub(super) fn conclude(self) {
        if self.without_fills > 0 {
            let text = format!("{} moved money without fills that could be compared", self.without_fills);
            self.ledger.note(TRADES, text);
        }
    }

    fn money(&mut self, row: &Row<'_>, side: Side) -> Money {
        let currency = text(row, side.currency).map(|currency| self.ledger.name(currency));
        Money { currency, amount: amount(row, side.amount) }
    }

    fn take_fills(&self, kept: &mut Kept, fills: &[Row<'_>]) {
        kept.ids.iter_mut().for_each(|fill| fill.times = 0);
        kept.filled = Filled { fills: fills.len() as u64, ..Filled::default() };
        for fill in fills {
            if let Some(id) = text(fill, self.fills.id) {
                match kept.ids.iter_mut().find(|known| *known.id == *id) {
                    Some(known) => known.times += 1,
                    None => kept.ids.push(FillId { id: id.into(), times: 1 }),
                }
            }
            let status = text(fill, self.fills.status);
            if self.ledger.settings.fill_statuses.iter().any(|moving| Some(moving.as_str()) == status) {
                let is_of = |money: &Money, side: Side| text(fill, side.currency) == money.currency.as_deref();
                let (from, to) = (self.fills.from, self.fills.to);
                kept.filled.is_odd |= !is_of(&kept.from, from) || !is_of(&kept.to, to);
                match (amount(fill, from.amount), amount(fill, to.amount)) {
                    (Some(from), Some(to)) => {
                        kept.filled.from.add(from);
                        kept.filled.to.add(to);
                    }
                    _ => kept.filled.is_odd = true,
                }
            }
        }
    }

    /// Each fill is there, and is this trade's alone.
    fn check_ids(&mut self, key: &str, ids: &[FillId]) {
        for FillId { id, times } in ids {
            let mut find = |law, problem: String| self.ledger.findings.add(law, TRADES, key, || problem);
            match times {
                0 => find(Law::FillKept, format!("lacks its fill `{id}`, which it had")),
                1 => {}
                _ => find(Law::FillOnce, format!("has its fill `{id}` {times} times")),
            }
            if *times > 0 && !self.seen.insert(key_hash(self.seed, (self.fills.id, id))) {
                find(Law::FillOnce, format!("has the fill `{id}`, which another trade has too"));
            }
        }
    }

    fn check_sums(&mut self, key: &str, Kept { life, from, to, filled, .. }: &Kept) {
        let mut find = |law, problem: String| self.ledger.findings.add(law, TRADES, key, || problem);
        if filled.is_odd {
            return find(Law::Fills, "has a fill in other currencies than its own, or without an amount".to_owned());
        }
        let (is_from, is_to) = (from.currency.as_deref().unwrap_or("?"), to.currency.as_deref().unwrap_or("?"));
        let tell = |from: Sum, to: Sum| format!("{from} {is_from} for {to} {is_to}");
        let told = tell(filled.from, filled.to);
        if !life.moves(&self.rules) {
            let status = life.status.as_deref().unwrap_or_default();
            if life.has_ended(&self.rules) && (filled.from, filled.to) != (Sum::ZERO, Sum::ZERO) {
                find(Law::Fills, format!("is {status}, and its fills come to {told}"));
            }
            return;
        }
        let (Some(from), Some(to)) = (from.amount, to.amount) else { return };
        if filled.fills == 0 {
            self.without_fills += 1;
        } else if (filled.from, filled.to) != (Sum::of(from), Sum::of(to)) {
            find(Law::Fills, format!("is of {}, and its fills come to {told}", tell(Sum::of(from), Sum::of(to))));
        }
    }

    /// Books both sides of a trade.
    fn book(&mut self, key: &str, Kept { life, from, to, filled, .. }: &Kept) {
        let moves = life.moves(&self.rules);
        let by_fills = self.ledger.settings.trade_amount == TradeAmount::Fills;
        let own = from.amount.zip(to.amount).map(|(from, to)| (Sum::of(from), Sum::of(to)));
        let nothing = (Sum::ZERO, Sum::ZERO);
        let moved = match (by_fills, moves) {
            (true, _) => Some((filled.from, filled.to)),
            (false, true) => own,
            (false, false) => Some(nothing),
        };
        let is_open = !moves && !life.has_ended(&self.rules);
        let (Some(moved), Some(from), Some(to)) = (moved, &from.currency, &to.currency) else {
            if moves {
                let problem = || "has moved money, and says not how much, or in which currencies".to_owned();
                self.ledger.findings.add(Law::Amount, TRADES, key, problem);
            }
            return;
        };
        let open = own.filter(|_| is_open).map(|own| (moved.0.minus(own.0), own.1.minus(moved.1)));
        let totals = self.ledger.books.of(from);
        totals.trades_out = totals.trades_out.plus(moved.0);
        if let Some((given, _)) = open {
            totals.add_open(TRADES, key, given);
        }
        let totals = self.ledger.books.of(to);
        totals.trades_in = totals.trades_in.plus(moved.1);
        if let Some((_, received)) = open {
            totals.add_open(TRADES, key, received);
        }
    }
}

impl Fold for Trades<'_, '_> {
    type Kept = Kept;

    fn resource(&self) -> &Resource {
        self.rules.resource
    }

    fn take(&mut self, kept: &mut Kept, row: &Row<'_>, stamp: Stamp<'_>) {
        kept.life.take(&self.rules, row, stamp, self.ledger);
        (kept.from, kept.to) = (self.money(row, self.from), self.money(row, self.to));
        self.take_fills(kept, elements(row, self.fills.list));
    }

    fn close(&mut self, key: &str, kept: Kept) {
        if !kept.life.check(&self.rules, key, self.ledger) {
            return;
        }
        for currency in [&kept.from.currency, &kept.to.currency].into_iter().flatten() {
            self.ledger.refer(currency, TRADES, key);
        }
        self.check_ids(key, &kept.ids);
        self.check_sums(key, &kept);
        self.book(key, &kept);
    }
}
