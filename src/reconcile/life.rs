//! The statuses of one record, from version to version.
//!
//! | it had ended as | and is | that is |
//! |---|---|---|
//! | any | open | a way back |
//! | what moves no money (FAILED, CANCELLED, REVERSED) | what moves money (COMPLETED) | a way back |
//! | COMPLETED | REVERSED | lawful |
//!
//! A status that the schema does not list says nothing.

use std::sync::Arc;

use super::{columns::statuses, finding::Law, ledger::Ledger};
use crate::{
    decode::{Operation, Row, Stamp},
    error::Error,
    schema::{Resource, Statuses},
};

/// What the statuses of a resource mean.
pub(super) struct Rules<'r> {
    pub resource: &'r Resource,
    statuses: &'r Statuses,
    moving: &'r [String],
}

/// One record's statuses.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub status: Option<Arc<str>>,
    is_gone: bool,
    /// How it had ended, and in which commit.
    ended: Option<(Arc<str>, i64)>,
    is_back: bool,
    was_back: bool,
}

impl<'r> Rules<'r> {
    /// Those of a resource of which records in a `moving` status have moved money.
    pub(super) fn new(resource: &'r Resource, moving: &'r [String]) -> Result<Self, Error> {
        Ok(Self { resource, statuses: statuses(resource)?, moving })
    }

    /// Whether a record of this status has moved money.
    pub(super) fn moves(&self, status: Option<&str>) -> bool {
        status.is_some_and(|status| self.moving.iter().any(|moving| moving == status))
    }

    /// Whether a record of this status has ended.
    pub(super) fn has_ended(&self, status: Option<&str>) -> bool {
        !self.statuses.is_open(status)
    }

    fn is_way_back(&self, ended: &str, status: &str) -> bool {
        self.statuses.is_listed_open(Some(status)) || self.moves(Some(status)) && !self.moves(Some(ended))
    }
}

impl Life {
    /// Goes on with the next version.
    pub(super) fn take(&mut self, rules: &Rules<'_>, row: &Row<'_>, stamp: Stamp<'_>, ledger: &mut Ledger<'_>) {
        self.is_gone = stamp.operation == Operation::Removed;
        self.status = row.status(rules.resource).map(|status| ledger.name(status));
        let Some(status) = &self.status else { return };
        self.is_back = self.ended.as_ref().is_some_and(|(ended, _)| rules.is_way_back(ended, status));
        self.was_back |= self.is_back;
        if !self.is_back && rules.has_ended(Some(status)) {
            self.ended = Some((status.clone(), stamp.seq));
        }
    }

    /// Whether money has moved.
    pub(super) fn moves(&self, rules: &Rules<'_>) -> bool {
        rules.moves(self.status.as_deref())
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self, rules: &Rules<'_>) -> bool {
        rules.has_ended(self.status.as_deref())
    }

    /// Tells the ledger what is wrong with it. Whether the record is still listed, and so counts.
    pub(super) fn check(&self, rules: &Rules<'_>, key: &str, ledger: &mut Ledger<'_>) -> bool {
        let name = &rules.resource.name;
        let is = self.status.as_deref().unwrap_or("without a status");
        if self.is_gone {
            if self.moves(rules) {
                ledger.findings.add(Law::Listed, name, key, || format!("was {is}, and is not listed any more"));
            }
            return false;
        }
        match &self.ended {
            Some((ended, seq)) if self.is_back => {
                ledger.findings.add(Law::Status, name, key, || format!("is {is}, and was {ended} in commit {seq}"));
            }
            _ if self.was_back => ledger.healed(name),
            _ => {}
        }
        true
    }
}
