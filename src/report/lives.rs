//! Versions to lives: what became of each record of a resource, a partition at a time.
//!
//! | version | counts for |
//! |---|---|
//! | the first that is open | the beginning of its time |
//! | the first with each status that is an end | the end of it |
//! | any after one that had ended | restatements: the partition is read again for the values of these records alone |
//! | the last | statuses now, ages, volumes; unless the record has gone |

use std::{collections::BTreeMap, sync::Arc};

use super::{
    life::{AGES, Counts, Life, bucket},
    restated::Restated,
    volume::{Counted, Flow, Volumes},
};
use crate::{
    decode::{Operation, Row, Stamp},
    error::Error,
    lake::{History, input_time},
    reconcile::{Fold, Names, Records, amount, text},
    schema::{Resource, Statuses},
};

/// The lives of a resource's records.
pub(super) struct Lives<'l> {
    resource: &'l Resource,
    now: i64,
    counted: Counted,
    volumes: &'l mut Volumes,
    names: &'l mut Names,
    counts: Counts,
    open: [u64; AGES.len()],
    oldest: Option<(i64, String)>,
    restated: Restated,
    /// Records of the partition that changed after their end, with their last version after it, once it is known.
    changed_after_end: BTreeMap<String, Option<Row<'static>>>,
}

/// A record as far as its versions have been seen.
#[derive(Default)]
pub(super) struct Kept {
    is_gone: bool,
    is_open: bool,
    status: Option<Arc<str>>,
    happened_at: i64,
    moved: Vec<(Flow, Arc<str>, i128)>,
    /// Statuses with the time at which each was first seen.
    seen: Vec<(Option<Arc<str>>, i64)>,
    /// When it was first seen open.
    opened_at: Option<i64>,
    has_ended: bool,
    is_restated: bool,
}

impl<'l> Lives<'l> {
    pub(super) fn new(
        resource: &'l Resource,
        now: i64,
        counted: Counted,
        volumes: &'l mut Volumes,
        names: &'l mut Names,
    ) -> Self {
        Self {
            resource,
            now,
            counted,
            volumes,
            names,
            counts: Counts::default(),
            open: [0; AGES.len()],
            oldest: None,
            restated: Restated::default(),
            changed_after_end: BTreeMap::new(),
        }
    }

    /// Folds the whole history.
    pub(super) async fn fold(mut self, history: &History<'_>) -> Result<Life, Error> {
        for partition in history.partitions() {
            let mut records = Records::default();
            history.versions(partition, |row, stamp| records.take(&mut self, row, stamp)).await?;
            records.close(&mut self);
            if !self.changed_after_end.is_empty() {
                history.versions(partition, |row, stamp| self.compare(row, stamp)).await?;
                self.changed_after_end.clear();
            }
        }
        Ok(self.conclude())
    }

    /// Compares a version of a record that changed after its end with the one before it.
    pub(super) fn compare(&mut self, row: &Row<'_>, stamp: Stamp<'_>) {
        let Some((_, key)) = row.key(self.resource) else { return };
        let Some(before) = self.changed_after_end.get_mut(key) else { return };
        if let Some(before) = before.as_ref() {
            self.restated.add(self.resource, key, before, row, stamp);
        }
        if before.is_some() || !row.is_open(self.resource) {
            *before = Some(row.to_static());
        }
    }

    pub(super) fn conclude(self) -> Life {
        let none = Statuses { column: 0, open: Vec::new(), closed: Vec::new() };
        Life {
            resource: self.resource.name.clone(),
            statuses: self.counts.conclude(self.resource.statuses.as_ref().unwrap_or(&none)),
            open: self.open,
            oldest: self.oldest,
            restated: self.restated,
        }
    }

    fn is_end(&self, status: &Option<Arc<str>>) -> bool {
        self.resource.statuses.as_ref().is_some_and(|statuses| !statuses.is_open(status.as_deref()))
    }

    fn count_statuses(&mut self, kept: &Kept) {
        for (status, seen_at) in &kept.seen {
            let is_end = self.is_end(status);
            let count = self.counts.of(status);
            count.ever += 1;
            if let Some(opened_at) = kept.opened_at.filter(|opened_at| is_end && opened_at < seen_at) {
                count.times.push(seen_at - opened_at);
            }
        }
    }

    fn count_open(&mut self, key: &str, since: i64) {
        self.open[bucket(self.now - since)] += 1;
        if self.oldest.as_ref().is_none_or(|(oldest, _)| since < *oldest) {
            self.oldest = Some((since, key.to_owned()));
        }
    }
}

impl Fold for Lives<'_> {
    type Kept = Kept;

    fn resource(&self) -> &Resource {
        self.resource
    }

    fn take(&mut self, kept: &mut Kept, row: &Row<'_>, stamp: Stamp<'_>) {
        // When a file is brought in tells nothing of when its records came to be what they are.
        let is_of_api = input_time(stamp.poll_id).is_none();
        kept.is_restated |= kept.has_ended && is_of_api;
        kept.is_gone = stamp.operation == Operation::Removed;
        kept.is_open = row.is_open(self.resource) && is_of_api;
        kept.has_ended |= !kept.is_open && is_of_api;
        kept.status = row.status(self.resource).map(|status| self.names.name(status));
        kept.happened_at = row.event_time(self.resource).unwrap_or(stamp.first_seen_at);
        if kept.is_open {
            kept.opened_at.get_or_insert(stamp.observed_at);
        }
        if !kept.seen.iter().any(|(status, _)| *status == kept.status) {
            kept.seen.push((kept.status.clone(), stamp.observed_at));
        }
        kept.moved.clear();
        if self.counted.moves(kept.status.as_deref()) {
            for side in &self.counted.sides {
                if let (Some(currency), Some(amount)) = (text(row, side.currency), amount(row, side.amount)) {
                    kept.moved.push((side.flow, self.names.name(currency), amount));
                }
            }
        }
    }

    fn close(&mut self, key: &str, kept: Kept) {
        self.count_statuses(&kept);
        self.restated.ended += u64::from(kept.has_ended);
        if kept.is_restated {
            self.restated.records += 1;
            self.changed_after_end.insert(key.to_owned(), None);
        }
        if kept.is_gone {
            return;
        }
        self.counts.of(&kept.status).now += 1;
        if kept.is_open {
            self.count_open(key, kept.happened_at);
        }
        for (flow, currency, amount) in &kept.moved {
            self.volumes.add(currency, kept.happened_at, *flow, *amount);
        }
    }
}
