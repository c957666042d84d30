//! Records that are not what they are: what a fault does to those of one answer.
//!
//! What happens to one record happens to the first of each answer that it can happen to.

use std::mem;

use rust_decimal::Decimal;

use super::Resource;
use super::lifecycle::Status;
use super::value::{Record, Value, undeclared};

/// More digits than any column holds.
const HUGE: &str = "123456789012345678901234567890123456789012345678901234567890";

/// What happens to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tamper {
    /// One stands twice.
    Duplicate,
    /// One stands twice, the second time with another amount.
    Conflict,
    /// One lacks its key.
    NoId,
    /// One has an amount of 60 digits.
    HugeAmount,
    /// One has a status that no reference knows.
    UnknownStatus,
    /// Those that are COMPLETED are PENDING.
    RegressedStatus,
    /// Each has a member that no reference knows.
    NewField,
    /// One account holds a little more than the books say.
    WrongBalance,
    /// One trade lacks the last of its several fills.
    LostFill,
}

impl Tamper {
    /// Whether it can happen to records of the resource.
    pub(super) fn suits(self, resource: Resource) -> bool {
        match self {
            Tamper::Conflict | Tamper::HugeAmount => resource.has_amounts(),
            Tamper::UnknownStatus | Tamper::RegressedStatus => resource.is_transaction(),
            Tamper::WrongBalance => resource == Resource::Accounts,
            Tamper::LostFill => resource == Resource::Trades,
            Tamper::Duplicate | Tamper::NoId | Tamper::NewField => true,
        }
    }
}

/// What happens to the records of one answer, in their order.
#[derive(Debug)]
pub(super) struct Tampering {
    tamper: Tamper,
    resource: Resource,
    is_done: bool,
}

impl Tampering {
    /// Nothing has happened yet.
    pub(super) fn new(tamper: Tamper, resource: Resource) -> Tampering {
        Tampering { tamper, resource, is_done: false }
    }

    /// Changes a record; if it stands twice, the other one is returned.
    pub(super) fn apply(&mut self, record: &mut Record) -> Option<Record> {
        match self.tamper {
            Tamper::RegressedStatus => regress(record),
            Tamper::NewField => record.push(undeclared("settlementRail", "INSTANT")),
            Tamper::LostFill => self.is_done = self.is_done || lose_fill(record),
            _ if mem::replace(&mut self.is_done, true) => {}
            Tamper::Duplicate => return Some(record.clone()),
            Tamper::Conflict => {
                let mut other = record.clone();
                raise(&mut other);
                return Some(other);
            }
            Tamper::NoId => set(record, self.resource.key(), Value::Absent),
            Tamper::HugeAmount => enlarge(record),
            Tamper::WrongBalance => add_a_little(record),
            Tamper::UnknownStatus => set(record, "status", Value::from("ON_HOLD")),
        }
        None
    }
}

fn regress(record: &mut Record) {
    let completed = Status::Completed.name();
    if record.iter().any(|member| member.name == "status" && member.value.is_text(completed)) {
        set(record, "status", Value::from(Status::Pending.name()));
    }
}

fn raise(record: &mut Record) {
    if let Some(Value::Number(number)) = amount(record) {
        number.value = number.value.saturating_add(Decimal::ONE);
    }
}

fn add_a_little(record: &mut Record) {
    if let Some(Value::Number(number)) = amount(record) {
        number.value = number.value.saturating_add(Decimal::new(1, number.scale));
    }
}

/// Whether there was one to lose.
fn lose_fill(record: &mut Record) -> bool {
    let fills = record.iter_mut().find_map(|member| match &mut member.value {
        Value::Records(fills) if fills.len() > 1 => Some(fills),
        _ => None,
    });
    fills.and_then(Vec::pop).is_some()
}

fn enlarge(record: &mut Record) {
    if let Some(amount) = amount(record) {
        *amount = Value::verbatim(HUGE);
    }
}

/// The first of the record's amounts.
fn amount(record: &mut Record) -> Option<&mut Value> {
    record.iter_mut().map(|member| &mut member.value).find(|value| matches!(value, Value::Number(_)))
}

fn set(record: &mut Record, name: &str, value: Value) {
    if let Some(member) = record.iter_mut().find(|member| member.name == name) {
        member.value = value;
    }
}
