//! One run: what the API says, into the lake.
//!
//! ```text
//! settle ▸ what is known ▸ project what an earlier run left ▸ poll ▸ guards ▸ claim ▸ create, an object a partition ▸ project
//! ```
//!
//! As many resources at once as the settings allow; the failure of one does not stop the rest. A resource that loses a race to another run
//! throws its observation away and polls again: a change is only ever taken against exactly what it follows.
//!
//! [`compare`] polls and reads as a run does, and writes nothing.

mod ambient;
mod backfill;
mod brake;
mod by_resource;
mod comparison;
mod drafting;
mod observation;
mod oddities;
mod past_run;
mod plan;
mod progress;
mod report;
mod singles;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

pub use ambient::{Ambient, Stopwatch};
use arrow_array::RecordBatch;
pub use backfill::{Changes, Plan as BackfillPlan, Sample, Wanted, backfill};
pub use brake::Brake;
pub use by_resource::{ByResource, Figures, OfResource};
use chrono::{DateTime, TimeDelta};
pub use comparison::{Comparison, Difference, DifferenceKind, compare};
use drafting::Drafting;
use futures::{StreamExt, stream};
use observation::{Observation, Observed};
pub use past_run::{PastFailure, PastRun};
use plan::Plan;
use progress::ResourceProgress;
pub use progress::{Glimpse, Progress, Step};
pub use report::{Effort, Failure, Report, ResourceOutcome, ResourceReport, Stage};
use singles::{Given, Singles};

use crate::{
    api::{Answer, Client, ListRequest, Source},
    config::{Config, Polling},
    decode::{Decoder, Operation, Row, key_hash},
    diff::{Census, Conclusion, Filed, Known, KnownRecord, Limits},
    error::Error,
    lake::{
        self, Archive, ArchivedPoll, Drafts, Effect, Head, Lake, LakeError, Log, Outcome, PollFacts, Projection,
        Quarantine, Recorded, Recording, SingleRead, Store, Twins,
        defect::{Defect, has},
    },
    schema::{Resource, Treatment},
};

/// Polls of one resource before a run that always comes second gives up.
const ATTEMPTS_MAX: u32 = 3;
/// Age at which a file that was being written is no living writer's any more.
const ABANDONED_AFTER: TimeDelta = TimeDelta::days(1);

/// Syncs all resources of the settings. With the brake it can be ended between two writes; progress says how far it has come.
///
/// # Errors
///
/// If the run cannot begin: settings, credentials, or a lake that cannot be opened. What happens to a single resource is
/// in the report.
pub async fn run(config: &Config, ambient: &Ambient, brake: &Brake, progress: &Progress) -> Result<Report, Error> {
    let client = Client::new(config.connection.clone(), &config.credentials()?, ambient.random() as u64)?;
    let store = Store::open(&config.lake, &config.s3, true)?;
    let mut report = sync(config, ambient, brake, progress, &client, store).await?;
    report.effort.asked(client.traffic());
    Ok(report)
}

/// Syncs the resources of the settings with what `source` says instead of the API.
pub async fn run_with<S: Source>(config: &Config, ambient: &Ambient, source: &S, lake: &Lake) -> Report {
    sync_into(lake, config, ambient, &Brake::default(), &Progress::default(), source).await
}

/// A run, wherever its polls are answered and its lake is kept.
async fn sync<S: Source>(
    config: &Config,
    ambient: &Ambient,
    brake: &Brake,
    progress: &Progress,
    source: &S,
    store: Store,
) -> Result<Report, Error> {
    let lake = open_lake(config, ambient, store).await?;
    Ok(sync_into(&lake, config, ambient, brake, progress, source).await)
}

async fn sync_into<S: Source>(
    lake: &Lake,
    config: &Config,
    ambient: &Ambient,
    brake: &Brake,
    progress: &Progress,
    source: &S,
) -> Report {
    let (began, started_at) = (Stopwatch::start(), ambient.now());
    let syncs = config.resources.iter().enumerate().map(|(place, resource)| {
        let progress = progress.of(&resource.name);
        let sync = ResourceSync { config, ambient, brake, progress, source, lake, resource };
        async move { (place, sync.run().await) }
    });
    let syncs: Vec<_> = syncs.collect();
    // One that has ended makes room, be there longer ones before it.
    let mut ended: Vec<_> = stream::iter(syncs).buffer_unordered(config.polls_at_once).collect().await;
    ended.sort_by_key(|(place, _)| *place);
    let resources = ended.into_iter().map(|(_, report)| report).collect();
    let traffic = lake.store().traffic();
    tracing::info!(requests = traffic.requests(), objects = traffic.objects_written(), "asked the store");
    Report { started_at, resources, effort: Effort::new(began.elapsed(), traffic) }
}

async fn open_lake(config: &Config, ambient: &Ambient, store: Store) -> Result<Lake, Error> {
    let candidate = ambient.identity(config.granularity);
    store.tidy(ambient.now() - ABANDONED_AFTER).await?;
    Ok(Lake::open_or_create(store, candidate).await?)
}

/// The sync of one resource.
struct ResourceSync<'a, S> {
    config: &'a Config,
    ambient: &'a Ambient,
    brake: &'a Brake,
    progress: Arc<ResourceProgress>,
    source: &'a S,
    lake: &'a Lake,
    resource: &'a Resource,
}

/// What a poll was answered with.
enum Seen {
    Records(Box<Observed<Drafting>>),
    /// The list is what it was at the last poll.
    Same,
    /// The API lacks the resource, and may.
    Nothing,
    /// A part of the list that leaves a doubt, which the whole of it settles.
    Doubtful,
}

/// Whether a poll's findings are in the lake.
enum Written {
    All,
    /// Another run was quicker, perhaps after a part of it.
    Lost,
}

impl<S: Source> ResourceSync<'_, S> {
    async fn run(self) -> ResourceReport {
        let mut report = ResourceReport::new(&self.resource.name);
        let began = Stopwatch::start();
        report.started_at = Some(self.ambient.now());
        match self.try_run(&mut report).await {
            Ok(()) => tracing::info!(resource = self.resource.name, outcome = %report.outcome, "synced"),
            Err(error) => report.fail(&error),
        }
        report.took = began.elapsed();
        self.progress.ends(report.outcome);
        report
    }

    async fn try_run(&self, report: &mut ResourceReport) -> Result<(), Error> {
        for attempt in 1..=ATTEMPTS_MAX {
            match self.attempt(report).await {
                Ok(Written::All) => return Ok(()),
                Ok(Written::Lost) => {
                    tracing::warn!(resource = self.resource.name, "another run was quicker; polling again");
                }
                // Nothing of a poll that did not come to its end is used.
                Err(error) if attempt < ATTEMPTS_MAX && is_torn(&error, self.polling()) => {
                    tracing::warn!(resource = self.resource.name, attempt, %error, "polling again");
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Outrun { resource: self.resource.name.clone(), attempts: ATTEMPTS_MAX })
    }

    async fn attempt(&self, report: &mut ResourceReport) -> Result<Written, Error> {
        report.begin_stages();
        self.progress.begins_anew();
        let early = if has(Defect::PollsTooEarly) {
            Some(self.source.poll(self.resource, &ListRequest::default()).await?)
        } else {
            None
        };
        let log = Log::new(self.lake, self.resource);
        let projection = Projection::new(self.lake, self.resource, self.spool());
        let head = log.settle(self.spool()).await?;
        report.stands_at(&head);
        if head.seq > 0 {
            projection.advance(&log, &head, &Twins::default()).await?;
        }
        report.end_stage(Stage::Settle);
        self.progress.begins(Stage::Poll);
        let seen = self.observe(&head, early).await?;
        report.end_stage(Stage::Poll);
        match seen {
            Seen::Records(observed) => {
                let _writing = self.brake.writing().await;
                self.progress.begins(Stage::Commit);
                return self.write(&log, &projection, head, *observed, report).await;
            }
            Seen::Same => {
                tracing::info!(resource = self.resource.name, "the list has the ETag that it had");
                report.unchanged = head.cursor.map_or(0, |cursor| cursor.known);
            }
            Seen::Doubtful => return Err(Error::Bug("the whole list leaves a doubt".to_owned())),
            Seen::Nothing => {
                tracing::info!(
                    resource = self.resource.name,
                    path = self.resource.path,
                    "the API has no such endpoint"
                );
                report.outcome = ResourceOutcome::Absent;
            }
        }
        Ok(Written::All)
    }

    /// Polls what is due: a part of the list, or the whole, to which it comes back if the part leaves a doubt.
    async fn observe(&self, head: &Head, early: Option<Answer>) -> Result<Seen, Error> {
        match self.read(head, early, false).await? {
            Seen::Doubtful => self.read(head, None, true).await,
            seen => Ok(seen),
        }
    }

    /// Polls what is due, or the whole list.
    async fn read(&self, head: &Head, early: Option<Answer>, whole: bool) -> Result<Seen, Error> {
        let decoder = self.decoder();
        let (known, rebuilt) = lake::load_known(self.lake, &decoder, head, self.spool()).await?;
        let poll = self.ambient.begin_poll(head);
        let drafts = Drafts::new(self.lake, self.resource, head.clone(), self.spool(), &poll.id, poll.observed_at)?;
        let plan = match self.source.offers() {
            Some(request) => Plan { request },
            None => Plan::of(self.polling(), head, rebuilt || whole, known.open(), poll.observed_at),
        };
        let (singles, mut read) = match plan.is_whole() {
            true => (Given::Texts(Vec::new()), Vec::new()),
            false => self.ask_for_open(head, &known).await?,
        };
        let Given::Texts(singles) = singles else { return Ok(Seen::Doubtful) };
        let answer = match early {
            Some(answer) => answer,
            None => self.source.poll(self.resource, &plan.request).await?,
        };
        let mut body = match answer {
            Answer::Body(body) => body,
            Answer::NotModified => return Ok(Seen::Same),
            Answer::Absent => return Ok(Seen::Nothing),
        };
        let mut observation = Observation::new(decoder, self.lake.seed(), known, Drafting::new(drafts), self.spool());
        singles.iter().try_for_each(|text| observation.push_single(text))?;
        let recording = || Recording::start(self.resource, self.spool());
        let mut recording = self.config.raw_archive.then(recording).transpose()?;
        self.progress.receives(&body.received);
        while let Some(chunk) = body.next().await? {
            observation.push(&chunk)?;
            self.progress.has_read(observation.records());
            recording.as_mut().map_or(Ok(()), |recording| recording.push(&chunk))?;
        }
        let mut observed = observation.finish(poll, body.etag, rebuilt)?;
        observed.since = plan.request.since;
        let limits = Limits { paged: plan.request.page_size.is_some(), ..self.config.limits };
        if !plan.is_whole() {
            // What is not listed was not asked for.
            observed.conclusion.withhold_removals();
            if let Some(doubt) = doubt_of_part(&observed, limits).filter(|_| limits.believed.is_none()) {
                tracing::warn!(resource = self.resource.name, doubt, "reading the whole list");
                return Ok(Seen::Doubtful);
            }
        }
        let refusal = limits.check(&observed.conclusion).err().map(|refusal| observed.refuse(refusal));
        if refusal.is_none() {
            self.remove_missing(head, &mut observed, &mut read).await?;
        }
        if let Some(recording) = recording {
            self.archive(recording.finish()?, &observed, &plan, read, refusal.as_ref()).await?;
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        observed.sink.drafts.ensure_table()?;
        Ok(Seen::Records(Box::new(observed)))
    }

    /// The open records, each asked for by itself, and all that was read for that.
    async fn ask_for_open(&self, head: &Head, known: &Known) -> Result<(Given, Vec<SingleRead>), Error> {
        let mut open = HashMap::new();
        for record in known.records() {
            let record = record.map_err(|error| LakeError::spool(&error))?;
            if record.open && !record.removed {
                open.insert(record.key, record);
            }
        }
        let mut singles = self.singles();
        let given = singles.ask(head, &open).await?;
        if let Given::Less { key } = &given {
            let resource = &self.resource.name;
            tracing::warn!(resource, key, "a single read says less than the list; reading the whole list");
        }
        Ok((given, singles.read))
    }

    fn singles(&self) -> Singles<'_, S> {
        let (source, lake, resource) = (self.source, self.lake, self.resource);
        Singles { source, lake, resource, decoder: self.decoder(), spool: self.spool(), read: Vec::new() }
    }

    /// Keeps what the poll was answered with, before anything of it is in the lake.
    async fn archive(
        &self,
        recorded: Recorded,
        observed: &Observed<Drafting>,
        plan: &Plan,
        read: Vec<SingleRead>,
        refusal: Option<&Error>,
    ) -> Result<(), Error> {
        let poll = ArchivedPoll {
            lake: self.lake.id().to_owned(),
            resource: self.resource.name.clone(),
            poll_id: observed.poll.id.clone(),
            observed_at: observed.poll.observed_at,
            since: plan.request.since.map(|since| since.timestamp_micros()),
            page_size: plan.request.page_size,
            etag: observed.etag.clone(),
            accept_removals: self.config.limits.accept_removals,
            refused: refusal.map(ToString::to_string),
            rejected: observed.conclusion.tally.rejected,
            withheld: observed.withheld > 0,
            singles: read,
            ..ArchivedPoll::default()
        };
        Ok(Archive::new(self.lake.store(), self.resource, self.spool()).keep(recorded, poll).await?)
    }

    fn polling(&self) -> &Polling {
        &self.config.polling[&self.resource.name]
    }

    /// Drafts a last row for each record that is missing, with the values it had.
    async fn remove_missing(
        &self,
        head: &Head,
        observed: &mut Observed<Drafting>,
        read: &mut Vec<SingleRead>,
    ) -> Result<(), Error> {
        let tally = observed.conclusion.tally;
        let Limits { accept_removals, believed, .. } = self.config.limits;
        if tally.removed > 0 && believed.is_some_and(|believed| believed.withheld) {
            tracing::warn!(
                resource = self.resource.name,
                missing = tally.removed,
                "removals are withheld, as they were then"
            );
            observed.withhold_removals();
            return Ok(());
        }
        if tally.removed > 0 && tally.hides_the_missing() && !accept_removals {
            tracing::warn!(
                resource = self.resource.name,
                missing = tally.removed,
                without_key = tally.rejected_without_key,
                stale = tally.stale,
                "removals are withheld: some records came without a readable key, or in an older version than is known; \
                 --accept-removals takes them"
            );
            observed.withhold_removals();
            return Ok(());
        }
        let missing = observed.missing()?;
        let paged = self.polling().page_size.is_some() && !accept_removals;
        let mut singles = self.singles();
        let may_be_there = paged && !missing.is_empty() && !singles.have_gone(head, &missing).await?;
        read.append(&mut singles.read);
        if may_be_there {
            tracing::warn!(
                resource = self.resource.name,
                missing = missing.len(),
                "removals are withheld: the list may have moved while its pages were read; --accept-removals takes them"
            );
            observed.withhold_removals();
            return Ok(());
        }
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Missing = missing.into_iter().map(|record| (record.key, record)).collect();
        let partitions: HashSet<_> = missing.values().map(|record| record.partition).collect();
        let wanted: HashSet<_> = missing.keys().copied().collect();
        let drafts = &mut observed.sink.drafts;
        drafts.begin_removals();
        let mut drafted = 0;
        let draft = |batch: RecordBatch| {
            for index in 0..batch.num_rows() {
                let row = Row::read(&batch, index, self.resource);
                let key = row.key(self.resource).map(|key| key_hash(self.lake.seed(), key));
                let Some(record) = key.and_then(|key| missing.get(&key)) else { continue };
                // An older version of it, where the last is not to be found.
                if row.digest(self.resource, self.lake.seed()) != record.digest {
                    continue;
                }
                drafts.append(Operation::Removed, filed(record), &row, Effect::removed(record.open))?;
                drafted += 1;
            }
            Ok(())
        };
        lake::last_rows(self.lake, self.resource, head, self.spool(), &partitions, &wanted, draft).await?;
        if drafted == missing.len() {
            Ok(())
        } else {
            let (lost, missing) = (missing.len() - drafted, missing.len());
            let problem = format!("the last versions of {lost} of {missing} records to be removed are not there");
            Err(LakeError::damaged(&format!("changes/{}", self.resource.name), problem).into())
        }
    }

    async fn write(
        &self,
        log: &Log<'_>,
        projection: &Projection<'_>,
        mut head: Head,
        observed: Observed<Drafting>,
        report: &mut ResourceReport,
    ) -> Result<Written, Error> {
        let Observed {
            poll,
            mut conclusion,
            sink: Drafting { drafts, oddities },
            body,
            etag,
            before: census,
            rebuilt,
            withheld,
            rejected,
            since,
        } = observed;
        oddities.warn(&self.resource.name);
        if let Some((first, _)) = rejected.first() {
            let records = rejected.len();
            tracing::warn!(resource = self.resource.name, records, %first, "records do not fit the schema; quarantined");
        }
        report.observed(&conclusion, &body, since);
        (report.withheld, report.regressed) = (withheld, oddities.regressed.count);
        let before = head.seq;
        let full_poll_at = match (since, withheld) {
            (None, 0) if conclusion.tally.stale == 0 => Some(poll.observed_at),
            _ => head.cursor.as_ref().and_then(|cursor| cursor.full_poll_at),
        };
        let (known_before, open_before) = (census.present, census.open);
        let facts = PollFacts { body, etag, full_poll_at, known_before, open_before, backfill: None };
        if has(Defect::KeepsStateTooEarly) {
            self.save_known(&head, &mut conclusion).await?;
        }
        let mut twins = Twins::default();
        if let Some(diff) = drafts.seal(&facts)? {
            match log.commit(&diff, |sealed| report.committed(sealed.commit.seq, sealed.counts)).await? {
                Outcome::Committed(next) => head = next,
                Outcome::Lost => return Ok(Written::Lost),
            }
            diff.into_objects().for_each(|sealed| twins.add(sealed, self.resource));
        }
        report.stands_at(&head);
        report.end_stage(Stage::Commit);
        self.progress.begins(Stage::Project);
        if before == 0 {
            self.tell_what_is_dropped();
        }
        if since.is_none() {
            let texts: Vec<_> = rejected.into_iter().map(|(_, record)| record).collect();
            Quarantine::new(self.lake, self.resource, self.spool()).update(&texts, &poll.id, poll.observed_at).await?;
        }
        let committed = head.seq > before;
        let keep = async { if committed || rebuilt { self.keep_known(&head, conclusion).await } else { Ok(census) } };
        let project = async { if committed { Ok(projection.advance(log, &head, &twins).await?) } else { Ok(()) } };
        let (census, ()) = tokio::try_join!(keep, project)?;
        report.oldest_open_at = census.oldest_open.and_then(DateTime::from_timestamp_micros);
        report.end_stage(Stage::Project);
        Ok(Written::All)
    }

    async fn keep_known(&self, head: &Head, mut conclusion: Conclusion) -> Result<Census, Error> {
        conclusion.settle_removals();
        self.save_known(head, &mut conclusion).await
    }

    async fn save_known(&self, head: &Head, conclusion: &mut Conclusion) -> Result<Census, Error> {
        let records = conclusion.known_in_order().map_err(|error| LakeError::spool(&error))?;
        Ok(lake::save_known(self.lake, &self.decoder(), head, records).await?)
    }

    /// Said once, when the resource comes to the lake.
    fn tell_what_is_dropped(&self) {
        let columns = self.resource.personal_columns().into_iter();
        let columns: Vec<_> =
            columns.filter(|(_, treatment)| **treatment == Treatment::Drop).map(|(column, _)| column).collect();
        if !columns.is_empty() {
            let (resource, columns) = (&self.resource.name, columns.join(", "));
            tracing::warn!(
                resource,
                columns,
                "personal data is not stored; `personal_data` in the settings can change that"
            );
        }
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(self.resource, self.config.naive_zone)
    }

    fn spool(&self) -> &Path {
        &self.config.spool
    }
}

/// Whether an answer does not hold together and may do so when it is asked for again. What is read in several answers may
/// have changed between them.
fn is_torn(error: &Error, polling: &Polling) -> bool {
    let in_parts = polling.page_size.is_some() || polling.window.is_some();
    match error {
        Error::Api(error) => error.is_torn(),
        Error::Duplicate { .. } => in_parts,
        _ => false,
    }
}

/// What a part of a list leaves open: the quarantine tells of whole lists, and no record that is missing shows a server that
/// has begun to paginate.
fn doubt_of_part<S>(observed: &Observed<S>, limits: Limits) -> Option<&'static str> {
    if !observed.rejected.is_empty() {
        Some("records do not fit the schema")
    } else if limits.looks_like_a_page(observed.body.records) {
        Some("the part is as long as a page")
    } else {
        None
    }
}

type Missing = HashMap<u128, KnownRecord>;

fn filed(record: &KnownRecord) -> Filed {
    let KnownRecord { partition, first_seen_at, open, digest, .. } = *record;
    Filed { partition, first_seen_at, was_open: open, digest: Some(digest) }
}
