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
use crate::{
    config::Config,
    error::Error,
    lake::{History, Lake, Quarantine, Store},
    schema::Resource,
};

const ACCOUNTS: &str = "accounts";
const DEPOSITS: &str = "deposits";
const WITHDRAWALS: &str = "withdrawals";
const TRADES: &str = "trades";

/// Reckons the books of the lake. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// [`Error::NoBooks`] if a resource that moves money is not in the lake or not in the settings, or its schema lacks a column that
/// the books need; and if the lake cannot be read. What does not add up is in the report.
pub async fn run(config: &Config) -> Result<Report, Error> {
    let lake = Lake::open(Store::open(&config.lake, &config.s3, false)?).await?;
    // All heads before any row: a sync that commits meanwhile is left out as far as may be.
    let histories = [
        open(&lake, config, ACCOUNTS).await?,
        open(&lake, config, DEPOSITS).await?,
        open(&lake, config, WITHDRAWALS).await?,
        open(&lake, config, TRADES).await?,
    ];
    let [accounts, deposits, withdrawals, trades] = &histories;
    let mut ledger = Ledger::new(&config.reconciling);
    fold(accounts, &mut Accounts::new(accounts.resource(), &mut ledger)?).await?;
    for (history, direction) in [(deposits, Direction::In), (withdrawals, Direction::Out)] {
        fold(history, &mut Transfers::new(history.resource(), direction, &mut ledger)?).await?;
    }
    let mut folded = Trades::new(trades.resource(), lake.seed(), &mut ledger)?;
    fold(trades, &mut folded).await?;
    folded.conclude();
    for history in &histories {
        let resource = history.resource();
        let count = Quarantine::new(&lake, resource, &config.spool).count().await?;
        if count > 0 {
            ledger.note(&resource.name, format!("{count} in quarantine, and as listed now in no sum"));
        }
    }
    let heads = histories.iter().map(|history| (history.resource().name.clone(), history.head().seq));
    Ok(Report::new(ledger, heads.collect::<BTreeMap<_, _>>()))
}

/// The history of a resource that the books need.
async fn open<'c>(lake: &'c Lake, config: &'c Config, name: &str) -> Result<History<'c>, Error> {
    let missing = |problem: &str| Error::NoBooks { resource: name.to_owned(), problem: problem.to_owned() };
    let resource = config.resources.iter().find(|resource: &&Resource| resource.name == name);
    let resource = resource.ok_or_else(|| missing("`resources` in the settings leaves them out"))?;
    let history = History::open(lake, resource, &config.spool).await?;
    if history.head().seq == 0 { Err(missing("no sync has brought them yet")) } else { Ok(history) }
}
