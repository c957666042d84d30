//! Whether the books balance: what each account should hold after all that is in the lake, beside what it holds.
//!
//! ```text
//! History of deposits, withdrawals ─▶ Transfers ─┐ last versions
//! History of trades ────────────────▶ Trades ────┼─▶ Ledger: Totals a currency ─┐
//! History of accounts ──────────────▶ Accounts ──┘                              ├─▶ Report: Line a currency, Findings
//!                                     what the versions show: gone, gone back ──┘
//! ```
//!
//! For each currency, of the records whose status says that money has moved,
//!
//! ```text
//! opening + deposits − withdrawals − fees + trades in − trades out = balance + lockedBalance
//! ```
//!
//! What an amount is, and which statuses move money, the contract does not say: `config::Reconciling` does. The law: nothing is
//! rounded, and what is not known (a sum beyond 128 bits, an amount that is missing) is told and not taken for nothing.
//!
//! The lake is read and nothing is written. Held in memory are sums a currency, of each record of one partition a few hundred
//! bytes with its fills' ids, of some open records their keys, and of every fill a hash of 16 bytes, since any two trades may
//! have the same.

mod accounts;
mod books;
mod columns;
mod finding;
mod fold;
mod ledger;
mod life;
mod names;
mod report;
mod sum;
#[cfg(test)]
mod tests;
mod trades;
mod transfers;

use std::collections::BTreeMap;

use self::{
    accounts::Accounts,
    fold::fold,
    ledger::Ledger,
    trades::Trades,
    transfers::{Direction, Transfers},
};
pub use self::{
    books::{Line, Verdict},
    finding::{Finding, Law},
    report::Report,
    sum::Sum,
};
pub(crate) use self::{
    columns::{amount, column, text},
    fold::{Fold, Records},
    names::Names,
};
use crate::{
    config::Config,
    error::Error,
    lake::{History, Lake, Quarantine, Store},
};

const ACCOUNTS: &str = "accounts";
/// Resources that move money.
pub(crate) const DEPOSITS: &str = "deposits";
pub(crate) const WITHDRAWALS: &str = "withdrawals";
pub(crate) const TRADES: &str = "trades";
const OF_THE_BOOKS: [&str; 4] = [ACCOUNTS, DEPOSITS, WITHDRAWALS, TRADES];

/// Reckons the books of the lake. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// [`Error::NoBooks`] if a resource that moves money is not in the lake or not in the settings, or its schema lacks a column that
/// the books need; and if the lake cannot be read. What does not add up is in the report.
pub async fn run(config: &Config) -> Result<Report, Error> {
    let lake = Lake::open(Store::open(&config.lake, &config.s3, false)?).await?;
    // All heads before any row: a sync that commits meanwhile is left out as far as may be.
    let mut histories = Vec::new();
    for resource in config.resources.iter().filter(|resource| OF_THE_BOOKS.contains(&resource.name.as_str())) {
        histories.push(History::open(&lake, resource, &config.spool).await?);
    }
    reckon(&lake, config, &histories).await
}

/// Reckons the books from histories that are open already, of which those that do not matter are left alone.
///
/// # Errors
///
/// As [`run`].
pub async fn reckon(lake: &Lake, config: &Config, histories: &[History<'_>]) -> Result<Report, Error> {
    let [accounts, deposits, withdrawals, trades] = OF_THE_BOOKS.map(|name| needed(histories, config, name));
    let histories = [accounts?, deposits?, withdrawals?, trades?];
    let [accounts, deposits, withdrawals, trades] = histories;
    let mut ledger = Ledger::new(&config.reconciling);
    fold(accounts, &mut Accounts::new(accounts.resource(), &mut ledger)?).await?;
    for (history, direction) in [(deposits, Direction::In), (withdrawals, Direction::Out)] {
        fold(history, &mut Transfers::new(history.resource(), direction, &mut ledger)?).await?;
    }
    let mut folded = Trades::new(trades.resource(), lake.seed(), &mut ledger)?;
    fold(trades, &mut folded).await?;
    folded.conclude();
    for history in histories {
        let resource = history.resource();
        let count = Quarantine::new(lake, resource, &config.spool).count().await?;
        if count > 0 {
            ledger.note(&resource.name, format!("{count} in quarantine, and as listed now in no sum"));
        }
    }
    let heads = histories.iter().map(|history| (history.resource().name.clone(), history.head().seq));
    Ok(Report::new(ledger, heads.collect::<BTreeMap<_, _>>()))
}

/// The history of a resource that the books need.
fn needed<'h, 'a>(histories: &'h [History<'a>], config: &Config, name: &str) -> Result<&'h History<'a>, Error> {
    let missing = |problem: &str| Error::NoBooks { resource: name.to_owned(), problem: problem.to_owned() };
    if !config.resources.iter().any(|resource| resource.name == name) {
        return Err(missing("`resources` in the settings leaves them out"));
    }
    let history = histories.iter().find(|history| history.resource().name == name && history.head().seq > 0);
    history.ok_or_else(|| missing("no sync has brought them yet"))
}
