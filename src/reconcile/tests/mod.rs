//! The books of lists that stand here, and of the sandbox's world.

mod records;
mod world;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    ACCOUNTS, DEPOSITS, Law, Line, Report, TRADES, Verdict, WITHDRAWALS,
    accounts::Accounts,
    fold::{Fold, Records},
    ledger::Ledger,
    trades::Trades,
    transfers::{Direction, Transfers},
};
use crate::{
    config::{Config, Environment, Flags, Reconciling},
    decode::{Decoder, Operation, Seed, Stamp, Zone},
    schema::{Resource, Schemas},
};

/// What the API lists at one moment, by resource; a resource that is not named is as it was.
type Poll<'p> = &'p [(&'static str, &'p str)];

/// The settings as they are unless a file says otherwise.
fn settings() -> Reconciling {
    Config::without_file(Flags::default(), &Environment::of(&[])).unwrap().reconciling
}

/// The books after these polls. What is not listed any more has been removed.
fn books(settings: &Reconciling, polls: &[Poll<'_>]) -> Report {
    let schemas = Schemas::builtin().unwrap();
    let resource = |name: &str| schemas.get(name).unwrap();
    let mut ledger = Ledger::new(settings);
    feed(&mut Accounts::new(resource(ACCOUNTS), &mut ledger).unwrap(), polls);
    feed(&mut Transfers::new(resource(DEPOSITS), Direction::In, &mut ledger).unwrap(), polls);
    feed(&mut Transfers::new(resource(WITHDRAWALS), Direction::Out, &mut ledger).unwrap(), polls);
    let mut trades = Trades::new(resource(TRADES), Seed(7), &mut ledger).unwrap();
    feed(&mut trades, polls);
    trades.conclude();
    Report::new(ledger, BTreeMap::new())
}

fn feed<F: Fold>(fold: &mut F, polls: &[Poll<'_>]) {
    let resource: Resource = fold.resource().clone();
    let mut decoder = Decoder::new(&resource, Zone::UTC);
    let mut records = Records::default();
    let mut listed: BTreeMap<String, String> = BTreeMap::new();
    let lists = polls.iter().enumerate().filter_map(|(poll, lists)| {
        let (_, list) = lists.iter().find(|(name, _)| *name == resource.name)?;
        Some((poll as i64 + 1, list))
    });
    for (seq, list) in lists {
        let stamp = |operation| Stamp { seq, operation, observed_at: seq, first_seen_at: 0, poll_id: "" };
        let mut before = std::mem::take(&mut listed);
        for record in serde_json::from_str::<Vec<&RawValue>>(list).unwrap() {
            let row = decoder.decode(record.get().as_bytes()).unwrap();
            let key = row.key(&resource).unwrap().1.to_owned();
            let operation = if before.remove(&key).is_some() { Operation::Changed } else { Operation::Added };
            records.take(fold, &row, stamp(operation));
            listed.insert(key, record.get().to_owned());
        }
        for gone in before.into_values() {
            let row = decoder.decode(gone.as_bytes()).unwrap();
            records.take(fold, &row, stamp(Operation::Removed));
        }
    }
    records.close(fold);
}

impl Report {
    fn line(&self, currency: &str) -> &Line {
        self.lines.iter().find(|line| line.currency == currency).unwrap()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.lines.iter().map(|line| line.verdict).collect()
    }

    /// Laws that are broken, with the keys of the records.
    fn broken(&self) -> Vec<(Law, &str)> {
        self.findings.iter().map(|finding| (finding.law, finding.key.as_str())).collect()
    }
}
