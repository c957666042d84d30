//! What every account holds at a clock: one pass over all transactions, by the rules in the module's head.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::assets::Asset;
use super::clock::Nanos;
use super::deposits::Deposit;
use super::lifecycle::Status;
use super::trades::Trade;
use super::withdrawals::Withdrawal;
use super::world::World;

/// What every account holds, by code of its currency.
pub(super) struct Books(BTreeMap<&'static str, Holding>);

/// What one account holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    /// Available.
    pub(super) balance: Decimal,
    /// Held for open withdrawals.
    pub(super) locked: Decimal,
}

impl Books {
    /// Adds up all transactions that exist at the clock.
    pub(super) fn new(world: &World, clock: Nanos) -> Books {
        let mut books = Books(BTreeMap::new());
        (0..world.deposits.count(clock)).for_each(|number| books.deposit(&Deposit::new(world, number), clock));
        (0..world.withdrawals.count(clock)).for_each(|number| books.withdraw(&Withdrawal::new(world, number), clock));
        (0..world.trades.count(clock)).for_each(|number| books.trade(&Trade::new(world, number), clock));
        books
    }

    /// What the account of the asset holds.
    pub(super) fn holding(&self, asset: &Asset) -> Holding {
        self.0.get(asset.code).copied().unwrap_or_default()
    }

    fn of(&mut self, asset: &Asset) -> &mut Holding {
        self.0.entry(asset.code).or_default()
    }

    fn deposit(&mut self, deposit: &Deposit, clock: Nanos) {
        if deposit.life.status(clock) == Status::Completed {
            self.of(deposit.asset).balance += deposit.amount - deposit.fee;
        }
    }

    fn withdraw(&mut self, withdrawal: &Withdrawal, clock: Nanos) {
        let total = withdrawal.amount + withdrawal.fee;
        let holding = self.of(withdrawal.asset);
        match withdrawal.life.status(clock) {
            Status::Completed => holding.balance -= total,
            status if status.is_open() => {
                holding.balance -= total;
                holding.locked += total;
            }
            _ => {}
        }
    }

    fn trade(&mut self, trade: &Trade, clock: Nanos) {
        if trade.life.status(clock) == Status::Completed {
            self.of(trade.from).balance -= trade.from_amount;
            self.of(trade.to).balance += trade.to_amount();
        }
    }
}
