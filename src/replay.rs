//! A lake made anew from an archive: each poll again, at the time at which it was made, answered with what it was answered with.
//!
//! In: the polls that `raw_archive` has kept, in their order. Out: what syncs had committed after them, with the same numbers,
//! operations, times, polls and values. It goes on from the last poll that is in the lake, so that it may be killed and begun
//! again, and leaves alone a lake that has other polls.

use std::{
    collections::HashMap,
    fmt::{self, Display},
};

use chrono::DateTime;
use futures::stream;
use serde::Serialize;

use crate::{
    api::{Answer, ApiError, BodyStream, ListRequest, Source},
    config::{Config, Polling},
    diff::Believed,
    error::Error,
    figure,
    lake::{
        Archive, ArchivedBody, ArchivedPoll, Cursor, Head, Lake, LakeError, Log, Projection, Store, Twins, is_part_of,
    },
    schema::Resource,
    sync::{self, Ambient, ByResource, Failure, Figures, OfResource},
};

/// What replaying came to.
pub type Report = ByResource<Replayed>;

/// What was replayed.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Replayed {
    /// Polls in the archive.
    pub polls: u64,
    /// Of these, those that a guard had refused, and that are passed over.
    pub refused: u64,
    /// Those that were replayed; the others were in the lake.
    pub replayed: u64,
    /// Commits made.
    pub commits: u64,
    /// Not known before, or returned.
    pub added: u64,
    /// With another value.
    pub changed: u64,
    /// Gone.
    pub removed: u64,
    /// That fit no column, and went to quarantine.
    pub quarantined: u64,
    /// Missing, and not taken for gone.
    pub withheld: u64,
    /// Number of the last commit.
    pub head: u64,
}

/// Replays the archive of the lake at `from` into the lake of the settings, which is made if there is none. The API is not asked.
///
/// # Errors
///
/// If a lake cannot be opened. What else fails is in the report.
pub async fn run(config: &Config, from: &str, ambient: &Ambient) -> Result<Report, Error> {
    let source = Store::open(from, &config.s3, false).map_err(|error| match error {
        LakeError::Missing { location } => Error::Replay { location, problem: "it is not there".to_owned() },
        error => error.into(),
    })?;
    source.refuse_links().await?;
    let mut archives = Vec::new();
    for resource in &config.resources {
        archives.push(Archive::new(&source, resource, &config.spool).polls().await);
    }
    if archives.iter().all(|polls| polls.as_ref().is_ok_and(Vec::is_empty)) {
        let problem = "there is no archive of a poll; `raw_archive = true` has syncs keep one".to_owned();
        return Err(Error::Replay { location: from.to_owned(), problem });
    }
    // Where nothing can be replayed, no lake is made.
    if !archives.iter().any(|polls| polls.as_ref().is_ok_and(|polls| !polls.is_empty()))
        && let Some(failed) = archives.iter().position(Result::is_err)
    {
        archives.swap_remove(failed)?;
    }
    let store = Store::open(&config.lake, &config.s3, true)?;
    store.refuse_links().await?;
    let lake = Lake::open_or_create(store, ambient.identity(config.granularity)).await?;
    let mut resources = Vec::new();
    for (resource, polls) in config.resources.iter().zip(archives) {
        let mut figures = Replayed::default();
        let replay = Replay { config, source: &source, lake: &lake, resource };
        let ended = async { replay.run(polls?, &mut figures).await }.await;
        let state = match figures.replayed {
            0 => "nothing was replayed",
            _ => "what was replayed is in the lake; another replay goes on there",
        };
        let failure = ended.unwrap_or_else(|error| Some(Failure::of(&error, state.to_owned())));
        resources.push(OfResource { resource: resource.name.clone(), figures, failure });
    }
    Ok(ByResource(resources))
}

/// The replay of one resource.
struct Replay<'a> {
    config: &'a Config,
    source: &'a Store,
    lake: &'a Lake,
    resource: &'a Resource,
}

impl Replay<'_> {
    /// What was replayed, as far as it went. A sync that failed says so itself.
    async fn run(&self, polls: Vec<ArchivedPoll>, replayed: &mut Replayed) -> Result<Option<Failure>, Error> {
        let archive = Archive::new(self.source, self.resource, &self.config.spool);
        replayed.polls = polls.len() as u64;
        replayed.refused = polls.iter().filter(|poll| poll.refused.is_some()).count() as u64;
        let head = self.head(&polls).await?;
        replayed.head = head.seq;
        for poll in polls.iter().filter(|poll| poll.refused.is_none() && is_behind(&head, poll)) {
            let report = self.replay(&archive, poll).await?;
            let Some(resource) = report.resources.into_iter().next() else { continue };
            replayed.replayed += 1;
            replayed.commits += resource.commits.len() as u64;
            replayed.added += resource.added;
            replayed.changed += resource.changed;
            replayed.removed += resource.removed;
            replayed.quarantined += resource.quarantined;
            replayed.withheld += resource.withheld;
            replayed.head = resource.head;
            if resource.failure.is_some() {
                return Ok(resource.failure);
            }
        }
        if replayed.replayed == 0 && head.seq > 0 {
            // The one before may have been killed behind its last commit.
            let log = Log::new(self.lake, self.resource);
            Projection::new(self.lake, self.resource, &self.config.spool)
                .advance(&log, &head, &Twins::default())
                .await?;
        }
        Ok(None)
    }

    /// The last commit, which must be of one of these polls. So must none of them be from before the first.
    async fn head(&self, polls: &[ArchivedPoll]) -> Result<Head, Error> {
        let log = Log::new(self.lake, self.resource);
        let head = log.head().await?;
        let Some(last) = &head.cursor else { return Ok(head) };
        let refuse = |problem: String| {
            let problem = format!("{} {problem}", self.resource.name);
            Err(Error::Replay { location: self.lake.location(), problem })
        };
        if !polls.iter().any(|poll| is_of(last, poll)) {
            return refuse("has commits of polls that are not in the archive".to_owned());
        }
        let first = log.first().await?;
        let begins = |poll: &ArchivedPoll| first.as_ref().is_some_and(|first| is_of(first, poll));
        let taken = || polls.iter().filter(|poll| poll.refused.is_none());
        match taken().position(begins) {
            None | Some(0) => Ok(head),
            Some(before) => {
                let polls = figure::plural(before as u64, "poll", "polls");
                refuse(format!(
                    "begins with a later poll than the archive: {polls} of it can only come to another lake"
                ))
            }
        }
    }

    async fn replay(&self, archive: &Archive<'_>, poll: &ArchivedPoll) -> Result<sync::Report, Error> {
        let body = archive.open(poll).await?;
        let damaged = |problem| LakeError::Damaged { key: body.key().to_owned(), problem };
        let ambient = Ambient::of_poll(&poll.poll_id, poll.observed_at);
        let ambient = ambient.ok_or_else(|| damaged("no poll has this name and time".to_owned()))?;
        let mut resource = self.resource.clone();
        poll.take_treatments(&mut resource.columns);
        let mut config = self.config.clone();
        // As it was then.
        let polling = Polling { page_size: poll.page_size, ..Polling::default() };
        config.polling = [(resource.name.clone(), polling)].into();
        config.resources = vec![resource];
        config.limits.accept_removals = poll.accept_removals;
        // What was taken is taken again, be it that something else has come or gone since.
        config.limits.believed = Some(Believed { rejected: poll.rejected, withheld: poll.withheld });
        config.raw_archive = false;
        let since = poll
            .since
            .map(|since| DateTime::from_timestamp_micros(since).ok_or_else(|| damaged("asks for no time".to_owned())));
        let request = ListRequest { page_size: poll.page_size, since: since.transpose()?, etag: None };
        let singles = poll.singles.iter().map(|single| (single.key.as_str(), single.text.as_deref())).collect();
        let source = Archived { poll, request, body, singles };
        Ok(sync::run_with(&config, &ambient, &source, self.lake).await)
    }
}

/// Whether something of a poll may not be in a lake with this head.
fn is_behind(head: &Head, poll: &ArchivedPoll) -> bool {
    let is_in =
        |cursor: &Cursor| if is_of(cursor, poll) { cursor.complete } else { poll.observed_at < cursor.observed_at };
    !head.cursor.as_ref().is_some_and(is_in)
}

/// Whether a commit is of this poll, or of one that was to make up for a part of it.
fn is_of(cursor: &Cursor, poll: &ArchivedPoll) -> bool {
    is_part_of((&cursor.poll_id, cursor.observed_at), (&poll.poll_id, poll.observed_at))
}

/// Answers one poll as it was answered before.
struct Archived<'p> {
    poll: &'p ArchivedPoll,
    request: ListRequest,
    body: ArchivedBody,
    singles: HashMap<&'p str, Option<&'p str>>,
}

/// What the archive does not have, or cannot give.
fn missing(key: &str, reason: impl ToString) -> ApiError {
    ApiError::Interrupted { url: key.to_owned(), reason: reason.to_string() }
}

impl Source for Archived<'_> {
    fn offers(&self) -> Option<ListRequest> {
        Some(self.request.clone())
    }

    async fn poll(&self, _: &Resource, _: &ListRequest) -> Result<Answer, ApiError> {
        let key = self.body.key().to_owned();
        let chunks = self.body.chunks().map_err(|error| missing(&key, error))?;
        let chunks = chunks.map(move |chunk| chunk.map_err(|error| missing(&key, error)));
        Ok(Answer::Body(BodyStream::new(self.poll.etag.clone(), stream::iter(chunks))))
    }

    async fn single(&self, _: &Resource, key: &str) -> Result<Option<Vec<u8>>, ApiError> {
        // What was not asked for was not missed by the lake of then, or not expected to change: a backfill, which is in no archive,
        // has seen to it.
        Ok(self.singles.get(key).copied().flatten().map(|text| text.as_bytes().to_vec()))
    }
}

impl Figures for Replayed {
    fn summed(&self) -> Vec<(&'static str, u64)> {
        let Self { polls, refused, replayed, commits, .. } = *self;
        vec![("polls", polls), ("refused", refused), ("replayed", replayed), ("commits", commits)]
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |cells: [&str; 9]| {
            let [resource, polls, refused, replayed, commits, added, changed, removed, head] = cells;
            write!(f, "{resource:<16}{polls:>7}{refused:>9}{replayed:>10}{commits:>9}")?;
            writeln!(f, "{added:>10}{changed:>10}{removed:>9}{head:>8}")
        };
        line(["resource", "polls", "refused", "replayed", "commits", "added", "changed", "removed", "head"])?;
        for OfResource { resource, figures, .. } in &self.0 {
            let Replayed { polls, refused, replayed, commits, added, changed, removed, head, .. } = figures;
            let [polls, refused, replayed, commits, added, changed, removed, head] =
                [polls, refused, replayed, commits, added, changed, removed, head].map(ToString::to_string);
            line([resource, &polls, &refused, &replayed, &commits, &added, &changed, &removed, &head])?;
        }
        Ok(())
    }
}
