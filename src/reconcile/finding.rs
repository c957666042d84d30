//! What does not add up, each thing with the record that it is about.

use std::fmt;

use serde::Serialize;

/// What should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// An account holds what its books come to.
    Balance,
    /// The currency of a record has an account.
    Account,
    /// A record that moves money says how much, and in which currency.
    Amount,
    /// The fills that have moved money come to what their trade has.
    Fills,
    /// A trade keeps the fills that it had.
    FillKept,
    /// A fill is one trade's, and that once.
    FillOnce,
    /// What has ended does not go on, and what has failed is not completed.
    Status,
    /// What has moved money goes on being listed.
    Listed,
}

/// What does not hold, of which record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What should hold.
    #[serde(rename = "finding")]
    pub law: Law,
    /// The resource of the record.
    pub resource: String,
    /// The key of the record.
    pub key: String,
    /// What is the case.
    pub problem: String,
}

/// Findings that are kept; all are counted.
const KEPT_MAX: usize = 1000;

/// Findings as they come.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub kept: Vec<Finding>,
    pub found: u64,
}

impl Findings {
    pub(super) fn add(&mut self, law: Law, resource: &str, key: &str, problem: impl FnOnce() -> String) {
        self.found += 1;
        if self.kept.len() < KEPT_MAX {
            let (resource, key) = (resource.to_owned(), key.to_owned());
            self.kept.push(Finding { law, resource, key, problem: problem() });
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Law::Balance => "balance",
            Law::Account => "account",
            Law::Amount => "amount",
            Law::Fills => "fills",
            Law::FillKept => "fill-kept",
            Law::FillOnce => "fill-once",
            Law::Status => "status",
            Law::Listed => "listed",
        })
    }
}
