//! What a backfill finds, as it comes: drafted if it is of the range, and accounted for.

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use super::{
    Wanted,
    plan::{Changes, SAMPLES_MAX},
};
use crate::{
    decode::{Operation, Row, Seed, key_hash},
    diff::{Filed, Verdict},
    lake::{ChangeSum, Drafts, Effect, LakeError},
    schema::{EventPartition, Granularity, Resource},
    sync::observation::Sink,
};

/// Of what there is to be, hashes are the same in every lake, be it there yet or not.
const PLAN_SEED: Seed = Seed(0);

/// Microseconds of a day.
const DAY_US: i64 = TimeDelta::days(1).num_seconds() * 1_000_000;

/// The first moment of a day, in microseconds.
fn start_of(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

/// Drafts what is of the range, and keeps account of it.
pub(super) struct Planning {
    pub drafts: Drafts,
    seed: Seed,
    granularity: Granularity,
    /// The range, in microseconds, without its end.
    from: i64,
    until: i64,
    is_input: bool,
    /// What there is to be in each partition.
    partitions: BTreeMap<EventPartition, Changes>,
    /// Changes that are not of the range.
    pub outside: u64,
    pub sum: ChangeSum,
    pub sampled: Vec<Sampled>,
}

/// A record of which it is shown what changes.
pub(super) struct Sampled {
    pub operation: Operation,
    pub key: u128,
    pub partition: EventPartition,
    /// As it will be; of one that has gone, as it was.
    pub row: Row<'static>,
}

impl Planning {
    pub(super) fn new(
        drafts: Drafts,
        seed: Seed,
        granularity: Granularity,
        wanted: &Wanted,
        resource: &Resource,
    ) -> Self {
        Self {
            drafts,
            seed,
            granularity: if resource.partitioned { granularity } else { Granularity::None },
            from: wanted.from.map_or(i64::MIN, start_of),
            until: wanted.to.map_or(i64::MAX, |day| start_of(day).saturating_add(DAY_US)),
            is_input: !wanted.inputs.is_empty(),
            partitions: BTreeMap::new(),
            outside: 0,
            sum: ChangeSum::default(),
            sampled: Vec::new(),
        }
    }

    /// What a partition is called; one word for a table that has none.
    pub(super) fn name_of(&self, partition: EventPartition) -> String {
        self.granularity.value(partition).unwrap_or_else(|| "all".to_owned())
    }

    /// What there is to be in each partition, by its name.
    pub(super) fn by_name(&self) -> BTreeMap<String, Changes> {
        self.partitions.iter().map(|(partition, changes)| (self.name_of(*partition), *changes)).collect()
    }

    /// Drafts a version, if it is of the range.
    pub(super) fn draft(
        &mut self,
        resource: &Resource,
        operation: Operation,
        filed: Filed,
        row: &Row<'_>,
        effect: Effect,
    ) -> Result<(), LakeError> {
        let date = row.event_time(resource).unwrap_or(filed.first_seen_at);
        if !(self.from..self.until).contains(&date) {
            self.outside += 1;
            return Ok(());
        }
        let Some(key) = row.key(resource) else { return Ok(()) };
        let (record, digest) = (key_hash(PLAN_SEED, key), row.digest(resource, PLAN_SEED));
        let change = ChangeSum::of(operation, record, digest, filed.digest);
        self.sum = self.sum.and(change);
        self.partitions.entry(filed.partition).or_default().count(operation);
        if self.sampled.iter().filter(|sampled| sampled.operation == operation).count() < SAMPLES_MAX {
            let (key, partition) = (key_hash(self.seed, key), filed.partition);
            self.sampled.push(Sampled { operation, key, partition, row: row.to_static() });
        }
        self.drafts.append(operation, filed, row, Effect { change, ..effect })
    }
}

impl Sink for Planning {
    fn file(&self, event_time: Option<i64>) -> Filed {
        self.drafts.file(event_time)
    }

    fn take(&mut self, resource: &Resource, verdict: Verdict, row: &Row<'_>, _text: &[u8]) -> Result<(), LakeError> {
        // What the API does not list is not expected to change.
        let open = row.is_open(resource) && !self.is_input;
        match verdict {
            Verdict::Unchanged | Verdict::Waits | Verdict::Stale => Ok(()),
            Verdict::Added(filed) => self.draft(resource, Operation::Added, filed, row, Effect::added(open)),
            Verdict::Changed(filed) | Verdict::Listed(filed) => {
                self.draft(resource, Operation::Changed, filed, row, Effect::changed(filed.was_open, open))
            }
        }
    }
}

/// Keeps the keys of the records that are known from an input with other values, and where they are filed.
pub(super) struct Differing {
    pub seed: Seed,
    pub records: HashMap<u128, EventPartition>,
}

impl Sink for Differing {
    fn file(&self, _event_time: Option<i64>) -> Filed {
        Filed { partition: EventPartition::default(), first_seen_at: 0, was_open: false, digest: None }
    }

    fn take(&mut self, resource: &Resource, verdict: Verdict, row: &Row<'_>, _text: &[u8]) -> Result<(), LakeError> {
        if let (Verdict::Changed(filed), Some(key)) = (verdict, row.key(resource)) {
            self.records.insert(key_hash(self.seed, key), filed.partition);
        }
        Ok(())
    }
}
