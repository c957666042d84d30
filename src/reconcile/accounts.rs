//! What the accounts hold: `balance + lockedBalance`. A `lockedBalance` that is missing is none.

use std::sync::Arc;

use super::{
    columns::{amount, column, text},
    finding::Law,
    fold::Fold,
    ledger::Ledger,
};
use crate::{
    decode::{Operation, Row, Stamp},
    error::Error,
    schema::{Resource, Type},
};

/// The accounts of a ledger.
pub(super) struct Accounts<'l, 's> {
    resource: &'l Resource,
    ledger: &'l mut Ledger<'s>,
    currency: usize,
    balance: usize,
    locked: usize,
}

/// An account as it was told last.
#[derive(Default)]
pub(super) struct Kept {
    is_gone: bool,
    currency: Option<Arc<str>>,
    balance: Option<i128>,
    locked: Option<i128>,
}

impl<'l, 's> Accounts<'l, 's> {
    pub(super) fn new(resource: &'l Resource, ledger: &'l mut Ledger<'s>) -> Result<Self, Error> {
        Ok(Self {
            resource,
            ledger,
            currency: column(resource, "currency", &Type::String)?,
            balance: column(resource, "balance", &Type::Decimal)?,
            locked: column(resource, "locked_balance", &Type::Decimal)?,
        })
    }
}

impl Fold for Accounts<'_, '_> {
    type Kept = Kept;

    fn resource(&self) -> &Resource {
        self.resource
    }

    fn take(&mut self, kept: &mut Kept, row: &Row<'_>, stamp: Stamp<'_>) {
        *kept = Kept {
            is_gone: stamp.operation == Operation::Removed,
            currency: text(row, self.currency).map(|currency| self.ledger.name(currency)),
            balance: amount(row, self.balance),
            locked: amount(row, self.locked),
        };
    }

    fn close(&mut self, key: &str, kept: Kept) {
        if kept.is_gone {
            return;
        }
        let (Some(currency), Some(balance)) = (&kept.currency, kept.balance) else {
            let problem = || "has no balance, or no currency".to_owned();
            return self.ledger.findings.add(Law::Amount, &self.resource.name, key, problem);
        };
        let totals = self.ledger.books.of(currency);
        totals.held.add(balance);
        totals.held.add(kept.locked.unwrap_or_default());
        totals.accounts.push(key.to_owned());
    }
}
