//! A backfill: records of a range of dates, brought in once, after a person has seen what that changes.
//!
//! ```text
//! the API's list, or inputs ──▶ diff ──▶ range of dates ──▶ drafts ──▶ Plan: figures, samples, a hash
//!                                                             └─ the hash is the one that was reviewed ──▶ commit ▸ project
//! ```
//!
//! The plan is its changes and nothing else: an operation, a key, and the digests after and before of each, in any order; and of
//! inputs, their moment. So it stays the same while
//! syncs commit other records, and is another as soon as one of its own is; and a run that was killed is gone on with by the same
//! hash, since what it has committed and what is left to do are together what was reviewed.
//!
//! An input adds what the API has never listed. What the API lists, or has dropped, stays as it is; of two inputs the one that
//! tells of the later moment stands. How far syncs have come is in each commit as it was before.

mod input;
mod plan;
mod planning;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use arrow_array::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use input::Inputs;
use plan::hash_of;
pub use plan::{Changes, Plan, Sample};
use planning::{Differing, Planning, Sampled};

use super::{
    ATTEMPTS_MAX, Ambient, Missing,
    ambient::PollStart,
    filed, is_torn,
    observation::{Observation, Observed, Sink},
    open_lake,
};
use crate::{
    api::{Answer, Client, ListRequest, Source},
    config::{Config, ConfigError},
    decode::{Cell, Decoder, Operation, Row, Stamp, key_hash},
    diff::{GuardRefusal, Known, Limits},
    error::Error,
    lake::{
        self, ChangeSum, Drafts, Effect, Head, Lake, LakeError, Log, Outcome, PollFacts, Projection, Store, Truth,
        Twins, input_time,
    },
    schema::{EventPartition, Resource},
};

/// What is to be brought in.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Records that happened on this day (UTC) or later. Where a record does not say when, it counts when it was first seen.
    pub from: Option<NaiveDate>,
    /// Records that happened on this day or before.
    pub to: Option<NaiveDate>,
    /// Files to read instead of the API's list, of the same moment.
    pub inputs: Vec<PathBuf>,
    /// That moment, where they do not say it.
    pub observed_at: Option<DateTime<Utc>>,
    /// The plan to carry out; none to make one and write nothing.
    pub plan: Option<String>,
}

/// Makes the plan for the one resource of the settings, or carries it out.
///
/// # Errors
///
/// [`Error::StalePlan`] if carrying it out would not do what was reviewed, [`Error::Input`] if a file cannot be used, and as
/// [`run`](super::run). Nothing is committed then, but for what an interruption leaves.
pub async fn backfill(config: &Config, wanted: &Wanted, ambient: &Ambient) -> Result<Plan, Error> {
    let [resource] = &config.resources[..] else {
        return Err(Error::Bug("a backfill of several resources".to_owned()));
    };
    if let (Some(from), Some(to)) = (wanted.from, wanted.to)
        && from > to
    {
        let problem = format!("no day is on {from} or later, and on {to} or before");
        return Err(ConfigError::Invalid { setting: "--from and --to", problem }.into());
    }
    let store = match wanted.plan {
        Some(_) => Store::open(&config.lake, &config.s3, true)?,
        None => Store::open_or_imagine(&config.lake, &config.s3)?,
    };
    if wanted.inputs.is_empty() {
        let client = Client::new(config.connection.clone(), &config.credentials()?, ambient.random() as u64)?;
        return from(config, wanted, ambient, resource, &Said::Api(&client), store).await;
    }
    let inputs = Inputs::open(&wanted.inputs, wanted.observed_at, resource.clone())?;
    let resource = inputs.resource.clone();
    from(config, wanted, ambient, &resource, &Said::<Client>::In(&inputs), store).await
}

/// Where it is said what there is.
enum Said<'a, S> {
    /// By the API, as it is now.
    Api(&'a S),
    /// In files, as it once was.
    In(&'a Inputs),
}

async fn from<S: Source>(
    config: &Config,
    wanted: &Wanted,
    ambient: &Ambient,
    resource: &Resource,
    said: &Said<'_, S>,
    store: Store,
) -> Result<Plan, Error> {
    let lake = match wanted.plan {
        Some(_) => open_lake(config, ambient, store).await?,
        None => Lake::open_or_imagine(store, ambient.identity(config.granularity)).await?,
    };
    let backfill = Backfill { config, wanted, ambient, resource, said, lake: &lake };
    for attempt in 1..=ATTEMPTS_MAX {
        match backfill.attempt().await {
            Ok(Some(plan)) => return Ok(plan),
            Ok(None) => tracing::warn!(resource = resource.name, "another run was quicker; beginning again"),
            Err(error) if attempt < ATTEMPTS_MAX && is_torn(&error, &config.polling[&resource.name]) => {
                tracing::warn!(resource = resource.name, attempt, %error, "polling again");
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Outrun { resource: resource.name.clone(), attempts: ATTEMPTS_MAX })
}

/// The backfill of one resource.
struct Backfill<'a, S> {
    config: &'a Config,
    wanted: &'a Wanted,
    ambient: &'a Ambient,
    resource: &'a Resource,
    said: &'a Said<'a, S>,
    lake: &'a Lake,
}

impl<S: Source> Backfill<'_, S> {
    /// `None` if another run has committed meanwhile.
    async fn attempt(&self) -> Result<Option<Plan>, Error> {
        let log = Log::new(self.lake, self.resource);
        let projection = Projection::new(self.lake, self.resource, self.spool());
        let publishes = self.wanted.plan.is_some();
        let head = match publishes {
            true => log.settle(self.spool()).await?,
            false => log.settled().await?.ok_or_else(|| Error::Unsettled { resource: self.resource.name.clone() })?,
        };
        if publishes && head.seq > 0 {
            projection.advance(&log, &head, &Twins::default()).await?;
        }
        let (known, _) = lake::load_known(self.lake, &self.decoder(), &head, self.spool()).await?;
        let Some(mut observed) = self.observe(&head, known).await? else {
            return Ok(Some(Plan { resource: self.resource.name.clone(), head: head.seq, ..Plan::default() }));
        };
        self.draft_removals(&head, &mut observed).await?;
        let samples = if publishes { Vec::new() } else { self.samples(&head, &mut observed.sink).await? };
        let (tally, changes) = (observed.conclusion.tally, observed.sink.sum);
        let partitions = observed.sink.by_name();
        let mut plan = Plan {
            resource: self.resource.name.clone(),
            plan: self.hash_of(changes),
            head: head.seq,
            listed: tally.listed() - tally.repeated,
            equal: tally.unchanged + tally.equal,
            kept: tally.stale,
            rejected: tally.rejected,
            withheld: observed.withheld,
            outside: observed.sink.outside,
            changes: partitions.values().fold(Changes::default(), |sum, changes| sum.and(*changes)),
            partitions,
            samples,
            ..Plan::default()
        };
        let Some(reviewed) = &self.wanted.plan else { return Ok(Some(plan)) };
        let base = self.base(&log, &head, reviewed, changes, &mut plan).await?;
        let facts = PollFacts {
            body: observed.body,
            etag: None,
            full_poll_at: head.cursor.as_ref().and_then(|cursor| cursor.full_poll_at),
            known_before: observed.before.present,
            open_before: observed.before.open,
            backfill: Some((reviewed.clone(), base)),
        };
        if let Some(diff) = observed.sink.drafts.seal(&facts)? {
            let Outcome::Committed(head) = log.commit(&diff, |_| plan.commits += 1).await? else { return Ok(None) };
            plan.head = head.seq;
            let mut twins = Twins::default();
            diff.into_objects().for_each(|sealed| twins.add(sealed, self.resource));
            projection.advance(&log, &head, &twins).await?;
        }
        plan.published = true;
        Ok(Some(plan))
    }

    /// The number of the last commit before the plan's, if what there is to be done is what was reviewed, or the rest of it.
    async fn base(
        &self,
        log: &Log<'_>,
        head: &Head,
        reviewed: &str,
        changes: ChangeSum,
        plan: &mut Plan,
    ) -> Result<u64, Error> {
        if plan.plan == reviewed {
            return Ok(head.seq);
        }
        let stale = || Error::StalePlan { reviewed: reviewed.to_owned(), plan: self.hash_of(changes) };
        let (base, done) = log.begun_backfill(head, reviewed).await?.ok_or_else(stale)?;
        if self.hash_of(changes.and(done)) != reviewed {
            return Err(stale());
        }
        plan.plan = reviewed.to_owned();
        plan.committed_before = done.count;
        Ok(base)
    }

    fn hash_of(&self, changes: ChangeSum) -> String {
        let moment = match self.said {
            Said::Api(_) => None,
            Said::In(inputs) => Some(inputs.observed_at),
        };
        hash_of(&self.resource.name, changes, moment)
    }

    /// Reads what is said, and drafts what it adds and changes. `None` if the API lacks the resource, and may.
    async fn observe(&self, head: &Head, known: Known) -> Result<Option<Observed<Planning>>, Error> {
        let poll = match self.said {
            Said::Api(_) => self.ambient.begin_poll(head),
            Said::In(inputs) => self.ambient.begin_input(head, inputs.observed_at),
        };
        let page_size = self.config.polling[&self.resource.name].page_size;
        let limits = Limits { paged: page_size.is_some(), ..self.config.limits };
        let mut observed = match self.said {
            Said::Api(source) => {
                let listed = known.listed();
                let request = ListRequest { page_size, ..ListRequest::default() };
                let mut body = match source.poll(self.resource, &request).await? {
                    Answer::Body(body) => body,
                    Answer::Absent if listed == 0 => return Ok(None),
                    Answer::Absent => return Err(GuardRefusal::Emptied { known: listed }.into()),
                    Answer::NotModified => {
                        return Err(Error::Bug("an answer to a question that was not asked".to_owned()));
                    }
                };
                let sink = self.planning(head, &poll)?;
                let mut observation = Observation::new(self.decoder(), self.lake.seed(), known, sink, self.spool());
                while let Some(chunk) = body.next().await? {
                    observation.push(&chunk)?;
                }
                observation.finish(poll, None, false)?
            }
            Said::In(inputs) => {
                let newer = self.newer(head, &known, inputs).await?;
                let sink = self.planning(head, &poll)?;
                let mut observed = self.read(inputs, known, newer, sink, poll)?;
                // What is not in a file has not gone.
                observed.conclusion.withhold_removals();
                observed
            }
        };
        limits.check(&observed.conclusion).map_err(|refusal| match self.said {
            Said::Api(_) => observed.refuse(refusal),
            Said::In(inputs) => input::explain(inputs.last(), observed.refuse(refusal)),
        })?;
        if let Some((first, _)) = observed.rejected.first() {
            let records = observed.rejected.len();
            tracing::warn!(resource = self.resource.name, records, %first, "records do not fit the schema; not taken");
        }
        let doubtful = observed.conclusion.tally.hides_the_missing() || page_size.is_some();
        if doubtful && !self.config.limits.accept_removals {
            observed.withhold_removals();
        }
        Ok(Some(observed))
    }

    fn read<K: Sink>(
        &self,
        inputs: &Inputs,
        known: Known,
        newer: HashSet<u128>,
        sink: K,
        poll: PollStart,
    ) -> Result<Observed<K>, Error> {
        let observation = Observation::new(self.decoder(), self.lake.seed(), known, sink, self.spool());
        let mut observation = observation.of_input(newer);
        inputs.read(|path, chunk| {
            let read = match chunk {
                Some(chunk) => observation.push(chunk),
                None => observation.end_body(),
            };
            read.map_err(|error| input::explain(path, error))
        })?;
        observation.finish(poll, None, false).map_err(|error| input::explain(inputs.last(), error))
    }

    /// The records of which a newer input is known than these.
    async fn newer(&self, head: &Head, known: &Known, inputs: &Inputs) -> Result<HashSet<u128>, Error> {
        if known.census().unlisted == 0 {
            return Ok(HashSet::new());
        }
        let sink = Differing { seed: self.lake.seed(), records: HashMap::new() };
        let poll = PollStart { id: String::new(), observed_at: inputs.observed_at };
        let records = self.read(inputs, known.clone(), HashSet::new(), sink, poll)?.sink.records;
        let mut newer = HashSet::new();
        self.last_rows(head, &records, |key, _, stamp| {
            if input_time(stamp.poll_id).is_none_or(|time| time >= inputs.observed_at) {
                newer.insert(key);
            }
            Ok(())
        })
        .await?;
        Ok(newer)
    }

    fn planning(&self, head: &Head, poll: &PollStart) -> Result<Planning, Error> {
        let (lake, resource) = (self.lake, self.resource);
        let drafts = Drafts::new(lake, resource, head.clone(), self.spool(), &poll.id, poll.observed_at)?;
        Ok(Planning::new(drafts, lake.seed(), lake.granularity(), self.wanted, resource))
    }

    /// Drafts a last row for each record of the range that is missing.
    async fn draft_removals(&self, head: &Head, observed: &mut Observed<Planning>) -> Result<(), Error> {
        let missing: Missing = observed.missing()?.into_iter().map(|record| (record.key, record)).collect();
        let wanted = missing.iter().map(|(key, record)| (*key, record.partition)).collect();
        let sink = &mut observed.sink;
        sink.drafts.begin_removals();
        self.last_rows(head, &wanted, |key, row, _| {
            let Some(record) = missing.get(&key) else { return Ok(()) };
            sink.draft(self.resource, Operation::Removed, filed(record), row, Effect::removed(record.open))
        })
        .await
    }

    /// Some of the plan, value by value.
    async fn samples(&self, head: &Head, sink: &mut Planning) -> Result<Vec<Sample>, Error> {
        let sampled = std::mem::take(&mut sink.sampled);
        let wanted = sampled.iter().filter(|sampled| sampled.operation == Operation::Changed);
        let wanted = wanted.map(|sampled| (sampled.key, sampled.partition)).collect();
        let mut before = HashMap::new();
        self.last_rows(head, &wanted, |key, row, _| {
            before.insert(key, row.to_static());
            Ok(())
        })
        .await?;
        let nothing = Row { cells: vec![Cell::Null; self.resource.columns.len()], extra: None };
        let sample = |sampled: &Sampled| {
            let Sampled { operation, key, partition, row } = sampled;
            let (before, after) = match operation {
                Operation::Removed => (row, &nothing),
                Operation::Added | Operation::Changed => (before.get(key).unwrap_or(&nothing), row),
            };
            Sample::of(*operation, &sink.name_of(*partition), before, after, self.resource)
        };
        Ok(sampled.iter().flat_map(sample).collect())
    }

    /// Calls `each` with the last row of each of these records that have not gone, all of which must be there.
    async fn last_rows(
        &self,
        head: &Head,
        records: &HashMap<u128, EventPartition>,
        mut each: impl FnMut(u128, &Row<'_>, Stamp<'_>) -> Result<(), LakeError>,
    ) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let (wanted, partitions) = (records.keys().copied().collect(), records.values().copied().collect());
        let truth = Truth::up_to(head, self.lake, self.resource, self.spool()).await?.of_partitions(&partitions);
        let mut met = 0;
        let each_of = |batch: RecordBatch| {
            for index in 0..batch.num_rows() {
                let row = Row::read(&batch, index, self.resource);
                let key = row.key(self.resource).map(|key| key_hash(self.lake.seed(), key));
                let (Some(key), Some(stamp)) = (key, Stamp::read(&batch, index)) else { continue };
                met += 1;
                each(key, &row, stamp)?;
            }
            Ok(())
        };
        truth.last_rows(&wanted, each_of).await?;
        if met == records.len() {
            return Ok(());
        }
        let problem = format!("has the last versions of {met} of {} records", records.len());
        Err(LakeError::damaged(&format!("changes/{}", self.resource.name), problem).into())
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(self.resource, self.config.naive_zone)
    }

    fn spool(&self) -> &Path {
        &self.config.spool
    }
}
