//! Deposits and withdrawals: what they bring and take, by what their amount is.
//!
//! | | `gross` | `net` |
//! |---|---|---|
//! | a deposit adds | amount − fee | amount |
//! | a withdrawal takes | amount | amount + fee |
//!
//! A fee that is missing is none.

use std::sync::Arc;

use super::{
    DEPOSITS, WITHDRAWALS,
    columns::{amount, column, text},
    finding::Law,
    fold::Fold,
    ledger::Ledger,
    life::{Life, Rules},
    sum::Sum,
};
use crate::{
    config::Basis,
    decode::{Row, Stamp},
    error::Error,
    schema::{Resource, Type},
};

/// Which way money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Deposits.
    In,
    /// Withdrawals.
    Out,
}

/// The deposits, or the withdrawals, of a ledger.
pub(super) struct Transfers<'l, 's> {
    rules: Rules<'l>,
    direction: Direction,
    ledger: &'l mut Ledger<'s>,
    currency: usize,
    amount: usize,
    fee: usize,
}

/// A record as it was told last.
#[derive(Default)]
pub(super) struct Kept {
    life: Life,
    currency: Option<Arc<str>>,
    amount: Option<i128>,
    fee: Option<i128>,
}

impl<'l, 's: 'l> Transfers<'l, 's> {
    pub(super) fn new(resource: &'l Resource, direction: Direction, ledger: &'l mut Ledger<'s>) -> Result<Self, Error> {
        let settings = ledger.settings;
        let moving = match direction {
            Direction::In => &settings.deposit_statuses,
            Direction::Out => &settings.withdrawal_statuses,
        };
        Ok(Self {
            rules: Rules::new(resource, moving)?,
            direction,
            ledger,
            currency: column(resource, "currency", &Type::String)?,
            amount: column(resource, "amount", &Type::Decimal)?,
            fee: column(resource, "fee", &Type::Decimal)?,
        })
    }

    /// The fee as far as it counts beside the amount.
    fn fee_beside(&self, fee: Option<i128>) -> i128 {
        let settings = self.ledger.settings;
        let counts = match self.direction {
            Direction::In => settings.deposit_amount == Basis::Gross,
            Direction::Out => settings.withdrawal_amount == Basis::Net,
        };
        if counts { fee.unwrap_or_default() } else { 0 }
    }

    fn name(&self) -> &'static str {
        match self.direction {
            Direction::In => DEPOSITS,
            Direction::Out => WITHDRAWALS,
        }
    }
}

impl Fold for Transfers<'_, '_> {
    type Kept = Kept;

    fn resource(&self) -> &Resource {
        self.rules.resource
    }

    fn take(&mut self, kept: &mut Kept, row: &Row<'_>, stamp: Stamp<'_>) {
        kept.life.take(&self.rules, row, stamp, self.ledger);
        kept.currency = text(row, self.currency).map(|currency| self.ledger.name(currency));
        kept.amount = amount(row, self.amount);
        kept.fee = amount(row, self.fee);
    }

    fn close(&mut self, key: &str, Kept { life, currency, amount, fee }: Kept) {
        if !life.check(&self.rules, key, self.ledger) {
            return;
        }
        let (moves, is_open) = (life.moves(&self.rules), !life.has_ended(&self.rules));
        if let Some(currency) = &currency {
            self.ledger.refer(currency, self.name(), key);
        }
        let (Some(currency), Some(amount)) = (currency, amount) else {
            if moves {
                let problem = || "has moved money, and says not how much, or in which currency".to_owned();
                self.ledger.findings.add(Law::Amount, self.name(), key, problem);
            }
            return;
        };
        let fee = self.fee_beside(fee);
        let direction = self.direction;
        let totals = self.ledger.books.of(&currency);
        match (moves, direction) {
            (true, Direction::In) => totals.deposits.add(amount),
            (true, Direction::Out) => totals.withdrawals.add(amount),
            (false, Direction::In) if is_open => {
                totals.add_open(DEPOSITS, key, Sum::of(amount).minus(Sum::of(fee)));
            }
            (false, Direction::Out) if is_open => {
                totals.add_open(WITHDRAWALS, key, Sum::ZERO.minus(Sum::of(amount)).minus(Sum::of(fee)));
            }
            (false, _) => {}
        }
        if moves {
            totals.fees.add(fee);
        }
    }
}
