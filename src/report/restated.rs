//! What changed of records after they had ended: every version behind one with a status that is an end.
//!
//! | version | told as |
//! |---|---|
//! | differs in columns | each column by its name, without the place in a list |
//! | of a record that is not listed any more | `no longer listed` |
//! | of one that is listed again | `listed again`, and the columns |
//!
//! Values are told of amounts and of the status alone, and never of personal data.

use std::{cmp::Reverse, collections::BTreeMap};

use super::day_of;
use crate::{
    decode::{ColumnDifference, Operation, Row, Stamp, Values},
    schema::{Column, Resource, Type},
};

/// Restatements that are told one by one, the last of them.
const LAST_MAX: usize = 50;

/// What stands for a removal, beside the columns.
pub(super) const GONE: &str = "no longer listed";
/// What stands for the end of one.
pub(super) const BACK: &str = "listed again";

/// What changed of a resource's records after they had ended.
#[derive(Default)]
pub(super) struct Restated {
    /// Records that ever ended.
    pub ended: u64,
    /// Of these, records that changed afterwards.
    pub records: u64,
    /// Versions by which they did.
    pub versions: u64,
    /// Versions by what changed.
    pub columns: BTreeMap<String, u64>,
    /// By the day on which it was seen, in days since 1970.
    pub days: BTreeMap<i64, Day>,
    last: Vec<Restatement>,
}

/// What was seen on one day.
pub(super) struct Day {
    pub versions: u64,
    /// When the first and the last of these records happened, in microseconds.
    pub happened: (i64, i64),
}

/// One version after the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Restatement {
    /// When the poll began that saw it, in microseconds.
    pub seen_at: i64,
    pub seq: i64,
    pub resource: String,
    pub key: String,
    /// When the record happened, in microseconds.
    pub happened_at: i64,
    pub changes: Vec<Change>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    /// A column, as in `fills.status`, [`GONE`] or [`BACK`].
    pub what: String,
    /// The value before and after, where they may be told; `None` for null.
    pub values: Option<(Option<String>, Option<String>)>,
}

impl Restated {
    /// Adds a version of a record that had ended.
    pub(super) fn add(&mut self, resource: &Resource, key: &str, before: &Row<'_>, row: &Row<'_>, stamp: Stamp<'_>) {
        let happened_at = row.event_time(resource).unwrap_or(stamp.first_seen_at);
        let changes = changes(resource, before, row, stamp.operation);
        if changes.is_empty() {
            return;
        }
        self.versions += 1;
        let mut names: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *self.columns.entry(name.to_owned()).or_default() += 1;
        }
        let day = Day { versions: 0, happened: (happened_at, happened_at) };
        let day = self.days.entry(day_of(stamp.observed_at)).or_insert(day);
        day.versions += 1;
        day.happened = (day.happened.0.min(happened_at), day.happened.1.max(happened_at));
        let (seen_at, seq) = (stamp.observed_at, stamp.seq);
        let (resource, key) = (resource.name.clone(), key.to_owned());
        self.last.push(Restatement { seen_at, seq, resource, key, happened_at, changes });
        if self.last.len() == 2 * LAST_MAX {
            keep_last(&mut self.last);
        }
    }

    /// The last of several resources, the latest first.
    pub(super) fn last<'r>(all: impl Iterator<Item = &'r Restated>) -> Vec<Restatement> {
        let mut last = all.flat_map(|restated| restated.last.iter().cloned()).collect();
        keep_last(&mut last);
        last
    }
}

fn keep_last(restatements: &mut Vec<Restatement>) {
    restatements.sort_by(|one, other| {
        let place = |of: &Restatement| (Reverse(of.seen_at), of.resource.clone(), of.seq);
        place(one).cmp(&place(other)).then_with(|| one.key.cmp(&other.key))
    });
    restatements.truncate(LAST_MAX);
}

fn changes(resource: &Resource, before: &Row<'_>, row: &Row<'_>, operation: Operation) -> Vec<Change> {
    let mark = |what: &str| Change { what: what.to_owned(), values: None };
    let mut changes = match operation {
        // A removed record keeps the values that it had.
        Operation::Removed => return vec![mark(GONE)],
        Operation::Added => vec![mark(BACK)],
        Operation::Changed => Vec::new(),
    };
    let differences = row.differences(before, &resource.columns).into_iter();
    changes.extend(differences.map(|ColumnDifference { column, values }| {
        let what = without_places(&column);
        let values = values.filter(|_| is_told(resource, &what)).map(|Values { this, other }| (other, this));
        Change { what, values }
    }));
    changes
}

/// `fills.status` of `fills[1].status`.
fn without_places(column: &str) -> String {
    let mut parts = column.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + part.split_once(']').map_or("", |(_, rest)| rest))
}

/// Whether values of a column may be told: an amount's and the status's.
fn is_told(resource: &Resource, name: &str) -> bool {
    let is_status = |place| resource.statuses.as_ref().is_some_and(|statuses| statuses.column == place);
    let is_amount = |column: &Column| column.kind == Type::Decimal && column.personal.is_none();
    match name.split_once('.') {
        None => resource.columns.iter().enumerate().any(|(place, column)| {
            column.name == name && (is_amount(column) || is_status(place) && column.personal.is_none())
        }),
        Some((list, name)) => resource.columns.iter().any(|column| match &column.kind {
            Type::List(of) if column.name == list => {
                of.columns.iter().any(|column| column.name == name && is_amount(column))
            }
            _ => false,
        }),
    }
}
