//! What the API says now beside what the lake has, value by value. Nothing is written.
//!
//! ```text
//! commits ──fold──▶ Known: a digest a record ─┐
//!                                             ├─▶ Observation ──▶ equal: done with
//! poll of the whole list ──guards─────────────┘        └─▶ differing: last rows from the commits ──▶ Difference, by column
//! ```
//!
//! The law: the lake's side is the commits up to the head and nothing else, so that no cache can hide a difference; the API's
//! side is a body that a sync would believe, decoded as a sync decodes it. What is in memory follows from the number of records
//! (some 80 bytes each, and some 250 of one that differs), and never from their size.
//!
//! Both sides move on. If another run commits meanwhile, both are read again; what has happened since the last sync is a
//! difference like any other, and [`Difference::unexpected`] marks what that does not explain.

mod found;
mod texts;

use std::{collections::HashSet, path::Path};

use arrow_array::RecordBatch;

use found::Found;
pub use found::{Comparison, Difference, DifferenceKind};
pub(super) use found::{excerpt, excerpts};
use texts::Texts;

use super::{
    ATTEMPTS_MAX, Ambient, is_torn,
    observation::{Observation, Observed, Sink},
    singles::Singles,
};
use crate::{
    api::{Answer, ListRequest, Source},
    config::{Config, Polling},
    decode::{Decoder, Row, Seed, key_hash},
    diff::{Filed, GuardRefusal, Limits, Verdict},
    error::Error,
    lake::{Cursor, Head, Lake, LakeError, Log, Truth},
    schema::{EventPartition, Resource},
};

/// By how much longer than a record is known to have happened it may take until it is listed, in microseconds.
const LISTED_WITHIN_US: i64 = 3_600_000_000;
/// When a record was first seen that never was.
const NEVER_SEEN: i64 = i64::MIN;

/// Compares a resource with the API.
///
/// # Errors
///
/// What a sync would fail with before it writes anything: the API, a guard, or a lake that cannot be read; and
/// [`Error::Outrun`] if other runs commit again and again meanwhile.
pub async fn compare<S: Source>(
    config: &Config,
    ambient: &Ambient,
    source: &S,
    lake: &Lake,
    resource: &Resource,
) -> Result<Comparison, Error> {
    let comparing = Comparing { config, ambient, source, lake, resource };
    for attempt in 1..=ATTEMPTS_MAX {
        match comparing.attempt().await {
            Ok(Some(comparison)) if comparison.withheld == 0 || attempt == ATTEMPTS_MAX => return Ok(comparison),
            Ok(Some(_)) => {
                tracing::warn!(resource = resource.name, attempt, "the answer leaves a doubt; polling again")
            }
            Ok(None) => tracing::warn!(resource = resource.name, attempt, "another run has committed; comparing again"),
            Err(error) if attempt < ATTEMPTS_MAX && is_torn(&error, comparing.polling()) => {
                tracing::warn!(resource = resource.name, attempt, %error, "polling again");
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Outrun { resource: resource.name.clone(), attempts: ATTEMPTS_MAX })
}

struct Comparing<'a, S> {
    config: &'a Config,
    ambient: &'a Ambient,
    source: &'a S,
    lake: &'a Lake,
    resource: &'a Resource,
}

/// Keeps the versions that the lake does not have.
struct Differing {
    seed: Seed,
    /// A record that happened before should have been listed at the last poll, in microseconds.
    listed_before: Option<i64>,
    found: Found,
    /// Of records that the lake has with other values.
    texts: Texts,
}

impl<S: Source> Comparing<'_, S> {
    /// `None` if another run has committed meanwhile.
    async fn attempt(&self) -> Result<Option<Comparison>, Error> {
        let log = Log::new(self.lake, self.resource);
        let head = log.head().await?;
        let truth = Truth::up_to(&head, self.lake, self.resource, self.spool()).await?;
        let known = truth.known().await?;
        let request = ListRequest { page_size: self.polling().page_size, ..ListRequest::default() };
        let poll = self.ambient.begin_poll(&head);
        let mut comparison = Comparison { lake: known.present(), ..Comparison::of(&head, poll.observed_at) };
        let mut body = match self.source.poll(self.resource, &request).await? {
            Answer::Body(body) => body,
            Answer::Absent if known.present() == 0 => return Ok(Some(Comparison { absent: true, ..comparison })),
            Answer::Absent => return Err(GuardRefusal::Emptied { known: known.present() }.into()),
            Answer::NotModified => return Err(Error::Bug("an answer to a question that was not asked".to_owned())),
        };
        let sink = Differing::new(self.lake.seed(), self.listed_before(&head), self.spool());
        let mut observation = Observation::new(self.decoder(), self.lake.seed(), known, sink, self.spool());
        while let Some(chunk) = body.next().await? {
            observation.push(&chunk)?;
        }
        let mut observed = observation.finish(poll, None, false)?;
        let limits = Limits { paged: request.page_size.is_some(), ..self.config.limits };
        limits.check(&observed.conclusion).map_err(|refusal| observed.refuse(refusal))?;
        comparison.withheld = self.withhold_missing(&head, &mut observed).await?;
        if log.head_since(&head).await? != head {
            return Ok(None);
        }
        self.look_up(&truth, observed, &mut comparison).await?;
        Ok(Some(comparison))
    }

    /// Leaves out what is missing where it may be there all the same, as a sync does, and says how much that is.
    async fn withhold_missing(&self, head: &Head, observed: &mut Observed<Differing>) -> Result<u64, Error> {
        let missing = observed.conclusion.tally.removed;
        let is_paged = self.polling().page_size.is_some();
        let is_certain = missing == 0
            || !observed.conclusion.tally.hides_the_missing()
                && (!is_paged || self.singles().have_gone(head, &observed.missing()?).await?);
        if is_certain {
            return Ok(0);
        }
        observed.conclusion.withhold_removals();
        Ok(missing)
    }

    /// Reads what the lake has of the records that differ or are missing, and compares that.
    async fn look_up(
        &self,
        truth: &Truth<'_>,
        observed: Observed<Differing>,
        comparison: &mut Comparison,
    ) -> Result<(), Error> {
        let missing = observed.missing()?;
        let Observed { conclusion, sink: Differing { mut found, mut texts, .. }, .. } = observed;
        let tally = conclusion.tally;
        comparison.api = tally.listed() - tally.repeated;
        comparison.equal = tally.unchanged + tally.equal;
        comparison.quarantined = tally.rejected;
        let wanted: HashSet<u128> = texts.keys().chain(missing.iter().map(|record| record.key)).collect();
        if !wanted.is_empty() {
            let mut decoder = self.decoder();
            let mut met = 0;
            let each = |batch: RecordBatch| {
                met += batch.num_rows();
                self.compare_batch(&batch, &mut decoder, &mut texts, &mut found)
            };
            truth.last_rows(&wanted, each).await?;
            if met != wanted.len() {
                let problem = format!("has {met} of the {} records that differ, as their last versions", wanted.len());
                return Err(LakeError::damaged(&format!("changes/{}", self.resource.name), problem).into());
            }
        }
        found.conclude(comparison);
        Ok(())
    }

    fn compare_batch(
        &self,
        batch: &RecordBatch,
        decoder: &mut Decoder<'_>,
        texts: &mut Texts,
        found: &mut Found,
    ) -> Result<(), LakeError> {
        for index in 0..batch.num_rows() {
            let stored = Row::read(batch, index, self.resource);
            let Some((column, key)) = stored.key(self.resource) else { continue };
            let text = texts.read(key_hash(self.lake.seed(), (column, key)));
            match text.map_err(|error| LakeError::spool(&error))? {
                None => found.only_in_lake(key),
                Some((text, is_stale)) => {
                    let fresh = decoder.decode(&text).map_err(|refusal| LakeError::spool(&refusal))?;
                    found.differs(key, &stored, &fresh, self.resource, is_stale);
                }
            }
        }
        Ok(())
    }

    /// Where a resource tells how far its records have come, it lists them from the beginning on: one that happened well before
    /// the last event of the last whole list, and is not in the lake, was not listed then or has been lost.
    fn listed_before(&self, head: &Head) -> Option<i64> {
        self.resource.statuses.as_ref()?;
        let Cursor { newest_event_time, full_poll_at, .. } = head.cursor.as_ref().filter(|cursor| cursor.complete)?;
        newest_event_time.zip(*full_poll_at).map(|(event, poll)| event.min(poll) - LISTED_WITHIN_US)
    }

    fn singles(&self) -> Singles<'_, S> {
        let (source, lake, resource) = (self.source, self.lake, self.resource);
        Singles { source, lake, resource, decoder: self.decoder(), spool: self.spool(), read: Vec::new() }
    }

    fn polling(&self) -> &Polling {
        &self.config.polling[&self.resource.name]
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(self.resource, self.config.naive_zone)
    }

    fn spool(&self) -> &Path {
        &self.config.spool
    }
}

impl Differing {
    fn new(seed: Seed, listed_before: Option<i64>, spool: &Path) -> Self {
        Self { seed, listed_before, found: Found::default(), texts: Texts::new(spool) }
    }
}

impl Sink for Differing {
    fn file(&self, _event_time: Option<i64>) -> Filed {
        Filed { partition: EventPartition(0), first_seen_at: NEVER_SEEN, was_open: false, digest: None }
    }

    fn take(&mut self, resource: &Resource, verdict: Verdict, row: &Row<'_>, text: &[u8]) -> Result<(), LakeError> {
        let Some((column, key)) = row.key(resource) else { return Ok(()) };
        let is_stale = match verdict {
            Verdict::Unchanged | Verdict::Waits => return Ok(()),
            Verdict::Added(filed) => {
                let is_new = filed.first_seen_at == NEVER_SEEN;
                let is_late = row.event_time(resource).zip(self.listed_before).is_some_and(|(at, before)| at < before);
                self.found.only_in_api(key, is_new && is_late);
                return Ok(());
            }
            Verdict::Changed(_) | Verdict::Listed(_) => false,
            Verdict::Stale => true,
        };
        let kept = self.texts.keep(key_hash(self.seed, (column, key)), text, is_stale);
        kept.map_err(|error| LakeError::spool(&error))
    }
}
