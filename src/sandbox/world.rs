//! The world, and the world at a clock.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};

use super::assets::{ASSETS, Asset, Rates};
use super::books::Books;
use super::clock::{BEGIN, DAY, END, Nanos, SECOND, START, clamped, date_time};
use super::deposits::Deposit;
use super::ids::Ids;
use super::lifecycle::COMPLETION_MAX;
use super::series::Series;
use super::trades::Trade;
use super::value::Record;
use super::withdrawals::Withdrawal;
use super::{Body, Error, Options, RECORDS_MAX, Resource, Style};
use super::{accounts, beneficiaries, directory, wallets};

/// Per cent of the records; the rest are deposits, of which there is at least one.
const WITHDRAWALS_SHARE: u64 = 25;
const TRADES_SHARE: u64 = 35;

/// Wallets made by the start clock.
const WALLETS_PER_HISTORY: u64 = 28;

/// All records of all times, of which none is stored.
pub struct World {
    /// Transactions at the start clock.
    pub(super) records: u64,
    /// The currencies in use: those that a deposit funds.
    pub(super) assets: &'static [Asset],
    pub(super) rates: Rates,
    pub(super) accounts: Series,
    pub(super) wallets: Series,
    pub(super) beneficiaries: Series,
    pub(super) deposits: Series,
    pub(super) withdrawals: Series,
    pub(super) trades: Series,
    pub(super) route_ids: Ids,
    pub(super) fill_ids: Ids,
}

impl World {
    /// The world of a seed and a number of records.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyRecords`] beyond [`RECORDS_MAX`].
    pub fn new(options: &Options) -> Result<World, Error> {
        let Options { seed, records, .. } = *options;
        if records > RECORDS_MAX {
            return Err(Error::TooManyRecords { asked: records });
        }
        let (withdrawals, trades) = (records * WITHDRAWALS_SHARE / 100, records * TRADES_SHARE / 100);
        let deposits = records - withdrawals - trades;
        let assets = &ASSETS[..ASSETS.len().min(deposits as usize)];
        // Without a currency there is nothing to keep a wallet or a beneficiary for.
        let if_funded = |count| if assets.is_empty() { 0 } else { count };
        Ok(World {
            records,
            assets,
            rates: Rates::new(),
            accounts: Series::new(seed, "accounts", "acc_", 0),
            wallets: Series::new(seed, "wallets", "wal_", if_funded(WALLETS_PER_HISTORY)),
            beneficiaries: Series::new(seed, "beneficiaries", "ben_", if_funded(beneficiaries::PER_HISTORY)),
            deposits: Series::new(seed, "deposits", "DP", deposits),
            withdrawals: Series::new(seed, "withdrawals", "WD", withdrawals),
            trades: Series::new(seed, "trades", "trd_", trades),
            route_ids: Ids::new(seed, "route_"),
            fill_ids: Ids::new(seed, "fil_"),
        })
    }

    /// Where the clock stands at first: 2026-05-15T00:00:00Z, two years after the first record.
    pub fn start() -> DateTime<Utc> {
        date_time(START)
    }

    /// Where the clock stops, ten years later.
    pub fn end() -> DateTime<Utc> {
        date_time(END)
    }

    /// Every currency with each of its rails or networks.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&'static Asset, &'static str)> {
        self.assets.iter().flat_map(|asset| asset.rails.iter().map(move |rail| (asset, *rail)))
    }
}

/// The world at a clock.
pub struct Snapshot {
    world: Arc<World>,
    clock: Nanos,
    books: OnceLock<Books>,
}

impl Snapshot {
    /// The world at the clock; before [`World::start`] or after [`World::end`], at that.
    pub fn new(world: Arc<World>, clock: DateTime<Utc>) -> Snapshot {
        Snapshot { world, clock: clamped(clock), books: OnceLock::new() }
    }

    /// The clock.
    pub fn clock(&self) -> DateTime<Utc> {
        date_time(self.clock)
    }

    /// The resource's list as the API serves it, in chunks that are made when they are asked for.
    ///
    /// The first chunk of accounts takes a pass over all transactions, once for each snapshot.
    pub fn list(self: &Arc<Self>, resource: Resource, style: Style) -> Body {
        Body::list(self.clone(), resource, style)
    }

    /// What the exporter should have stored of the resource, as NDJSON in chunks.
    pub fn truth(self: &Arc<Self>, resource: Resource) -> Body {
        Body::truth(self.clone(), resource)
    }

    /// List and truth of the records from a number on, as if there had been none before: a small window on a busy world.
    #[cfg(test)]
    pub(crate) fn since(self: &Arc<Self>, resource: Resource, first: u64, style: Style) -> (Body, Body) {
        (self.list(resource, style).since(first), self.truth(resource).since(first))
    }

    /// The world so many days before, but not before its first record was made.
    pub(super) fn ago(&self, days: u32) -> Snapshot {
        let clock = self.clock.saturating_sub(DAY.saturating_mul(days.into())).max(BEGIN);
        Snapshot { world: self.world.clone(), clock, books: OnceLock::new() }
    }

    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// What the accounts hold, reckoned when it is first asked for.
    pub(super) fn books(&self) -> &Books {
        self.books.get_or_init(|| Books::new(&self.world, self.clock))
    }

    /// How many records have been made; of beneficiaries, some are gone.
    pub(crate) fn count(&self, resource: Resource) -> u64 {
        let (world, clock) = (&self.world, self.clock);
        match resource {
            Resource::Accounts => accounts::count(self),
            Resource::Wallets => world.wallets.count(clock),
            Resource::Beneficiaries => world.beneficiaries.count(clock),
            Resource::Deposits => world.deposits.count(clock),
            Resource::Withdrawals => world.withdrawals.count(clock),
            Resource::Trades => world.trades.count(clock),
            Resource::Currencies => world.assets.len() as u64,
            Resource::PaymentRoutes => world.routes().count() as u64,
        }
    }

    /// Numbers of the records that may show two moments, or one between them, as when they were made or completed; no others do.
    pub(super) fn during(&self, resource: Resource, from: Nanos, to: Nanos) -> Range<u64> {
        let count = self.count(resource);
        let (series, funding) = match resource {
            // Funding deposits are older than their place in the series says.
            Resource::Deposits => (&self.world.deposits, self.world.assets.len() as u64),
            Resource::Withdrawals => (&self.world.withdrawals, 0),
            Resource::Trades => (&self.world.trades, 0),
            _ => return 0..count,
        };
        let made_before = |at: Nanos| series.count(at.clamp(BEGIN, self.clock));
        let first = made_before(from.saturating_sub(COMPLETION_MAX));
        // What happened within a second after a moment may show as that moment.
        let end = made_before(to.saturating_add(SECOND)).max(funding).min(count);
        first.min(end)..end
    }

    /// The record of a number below the count, unless it is gone.
    pub(super) fn record(&self, resource: Resource, number: u64) -> Option<Record> {
        let (world, clock) = (self.world.as_ref(), self.clock);
        match resource {
            Resource::Accounts => accounts::record(self, number),
            Resource::Wallets => Some(wallets::record(world, number, clock)),
            Resource::Beneficiaries => beneficiaries::record(world, number, clock),
            Resource::Deposits => Some(Deposit::new(world, number).record(world, number, clock)),
            Resource::Withdrawals => Some(Withdrawal::new(world, number).record(world, number, clock)),
            Resource::Trades => Some(Trade::new(world, number).record(world, number, clock)),
            Resource::Currencies => directory::currency(world, number),
            Resource::PaymentRoutes => directory::payment_route(world, number),
        }
    }

    /// The record whose member is this text, with its number; for transactions and their key, without a search.
    pub(super) fn find(&self, resource: Resource, name: &str, text: &str) -> Option<(u64, Record)> {
        let count = self.count(resource);
        let numbers = match resource {
            Resource::Deposits => one(self.world.deposits.ids.decode(text)?),
            Resource::Withdrawals => one(self.world.withdrawals.ids.decode(text)?),
            Resource::Trades => one(self.world.trades.ids.decode(text)?),
            _ => 0..count,
        };
        let mut records = numbers
            .filter(|number| *number < count)
            .filter_map(|number| Some((number, self.record(resource, number)?)));
        records.find(|(_, record)| has_text(record, name, text))
    }
}

/// Whether the record has a member of this name that is this text.
pub(super) fn has_text(record: &Record, name: &str, text: &str) -> bool {
    record.iter().any(|member| member.name == name && member.value.is_text(text))
}

fn one(number: u64) -> Range<u64> {
    number..number + 1
}
