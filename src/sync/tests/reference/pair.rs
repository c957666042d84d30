//! One body, both ways: the fast path as it is, the plain one beside it, and what they disagree about.

use std::{env::temp_dir, io, path::PathBuf, sync::Arc};

use chrono::DateTime;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;

use super::plain::{Findings, Plain, Refused};
use crate::{
    decode::{Decoder, Zone},
    diff::{Conclusion, Known, KnownRecord},
    error::Error,
    lake::{self, Drafts, Head, Identity, Lake, PollFacts, RowCounts, SealedDiff, Store},
    record::{Body, ElementId},
    schema::{Granularity, Resource, Schemas},
    sync::{
        ambient::PollStart,
        drafting::Drafting,
        observation::{Observation, Observed},
    },
};

const GRANULARITY: Granularity = Granularity::Month;
/// Between two polls: enough that records without a time are filed elsewhere.
const POLLS_APART_US: i64 = 20 * 86_400 * 1_000_000;

/// What the pairs of a test share: a lake in memory, for the state cache.
pub(super) struct Ground {
    runtime: Runtime,
    lake: Lake,
    schemas: Schemas,
}

impl Ground {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let identity = Identity::new(1, 2, DateTime::UNIX_EPOCH, GRANULARITY);
        let store = Store::new(Arc::new(InMemory::new()), "memory");
        let lake = runtime.block_on(Lake::open_or_create(store, identity)).unwrap();
        Self { runtime, lake, schemas: Schemas::builtin().unwrap() }
    }
}

/// What a run does with a poll beside reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// What is missing is not taken for gone.
    pub withholds: bool,
    /// The hashes of exact bytes are lost afterwards, as after a rebuilding from the commits.
    pub forgets: bool,
    /// Every third of the records is one of an input afterwards, which the API has not listed.
    pub takes_inputs: bool,
}

/// Both ways, over the polls of one resource.
pub(super) struct Pair<'g> {
    ground: &'g Ground,
    resource: &'g Resource,
    head: Head,
    polls: i64,
    /// What the plain way knows.
    known: Vec<KnownRecord>,
}

/// What both say of a body, or what they disagree about.
pub(super) type Agreement = Result<Result<Findings, Refused>, String>;

impl<'g> Pair<'g> {
    pub(super) fn new(ground: &'g Ground, resource: &str) -> Self {
        let resource = ground.schemas.get(resource).unwrap();
        Self { ground, resource, head: Head::default(), polls: 0, known: Vec::new() }
    }

    /// Takes a body, in chunks of these sizes over and over.
    pub(super) fn poll(&mut self, body: &[u8], sizes: &[usize], habits: Habits) -> Agreement {
        self.polls += 1;
        let poll = PollStart { id: format!("poll {}", self.polls), observed_at: self.polls * POLLS_APART_US };
        let plain = Plain {
            resource: self.resource,
            seed: self.ground.lake.seed(),
            granularity: GRANULARITY,
            observed_at: poll.observed_at,
            withholds: habits.withholds,
        };
        let expected = plain.observe(&self.known, body);
        match (self.observe(body, sizes, poll)?, expected) {
            (Err(_), Err(refused)) => Ok(Err(refused)),
            (Ok(observed), Ok((findings, after))) => {
                agree("figures", &figures(&observed)?, &findings)?;
                agree("bytes and records", &(observed.body.bytes, observed.body.records), &sizes_of(body, &findings))?;
                agree(
                    "drafted rows",
                    &drafted(observed.sink.drafts, observed.body)?,
                    &(findings.added, findings.changed, 0),
                )?;
                self.keep(observed.conclusion, &findings, after, habits)?;
                Ok(Ok(findings))
            }
            (Ok(observed), Err(refused)) => {
                Err(format!("only the plain way refuses ({refused:?}); the fast one: {:?}", observed.conclusion.tally))
            }
            (Err(error), Ok((findings, _))) => Err(format!("only the fast way refuses: {error}; plain: {findings:?}")),
        }
    }

    /// The fast way. What is no verdict on the body is an error of its own.
    fn observe(
        &self,
        body: &[u8],
        sizes: &[usize],
        poll: PollStart,
    ) -> Result<Result<Observed<Drafting>, Error>, String> {
        let lake = &self.ground.lake;
        let drafts = Drafts::new(lake, self.resource, self.head.clone(), &spool(), &poll.id, poll.observed_at);
        let drafts = drafts.map_err(|error| error.to_string())?;
        let mut observation =
            Observation::new(self.decoder(), lake.seed(), self.load()?, Drafting::new(drafts), &spool());
        let (mut rest, mut sizes) = (body, sizes.iter().cycle());
        while !rest.is_empty() {
            let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
            let (chunk, after) = rest.split_at(size);
            rest = after;
            if let Err(error) = observation.push(chunk) {
                return refusal(error).map(Err);
            }
        }
        match observation.finish(poll, None, false) {
            Ok(observed) => Ok(Ok(observed)),
            Err(error) => refusal(error).map(Err),
        }
    }

    /// Compares what is known afterwards, and keeps it for the next poll.
    fn keep(
        &mut self,
        mut conclusion: Conclusion,
        findings: &Findings,
        after: Vec<KnownRecord>,
        habits: Habits,
    ) -> Result<(), String> {
        if habits.withholds || findings.rejected_without_key > 0 {
            conclusion.withhold_removals();
        }
        conclusion.settle_removals();
        let known = conclusion.known_in_order().and_then(|records| records.collect::<io::Result<Vec<_>>>());
        let mut known = known.map_err(|error| error.to_string())?;
        let found: Vec<_> = known.iter().map(|record| KnownRecord { element: ElementId::UNKNOWN, ..*record }).collect();
        if findings.repeated == 0 {
            agree("known, in order", &found, &after)?;
        } else {
            // A record that stands twice has its place at one of the two.
            agree("known", &sorted(&found), &sorted(&after))?;
        }
        self.known = found;
        if habits.takes_inputs {
            for records in [&mut self.known, &mut known] {
                let records = records.iter_mut().filter(|record| record.key % 3 == 0 && !record.removed);
                records.for_each(|record| {
                    (record.unlisted, record.open, record.element) = (true, false, ElementId::UNKNOWN)
                });
            }
        }
        if habits.forgets {
            known.iter_mut().for_each(|record| record.element = ElementId::UNKNOWN);
        }
        self.save(known)
    }

    fn load(&self) -> Result<Known, String> {
        if self.head.seq == 0 {
            return Ok(Known::default());
        }
        let Ground { runtime, lake, .. } = self.ground;
        let loaded = runtime.block_on(lake::load_known(lake, &self.decoder(), &self.head, &spool()));
        match loaded.map_err(|error| error.to_string())? {
            (known, false) => Ok(known),
            (_, true) => Err("the state cache was not believed".to_owned()),
        }
    }

    fn save(&mut self, known: Vec<KnownRecord>) -> Result<(), String> {
        let seq = self.head.seq + 1;
        self.head = Head { seq, claim: seq, sha256: Some(format!("{seq:064x}")), cursor: None };
        let Ground { runtime, lake, .. } = self.ground;
        let records = known.into_iter().map(Ok);
        let saved = runtime.block_on(lake::save_known(lake, &self.decoder(), &self.head, records));
        saved.map(drop).map_err(|error| error.to_string())
    }

    fn decoder(&self) -> Decoder<'g> {
        Decoder::new(self.resource, Zone::UTC)
    }
}

fn spool() -> PathBuf {
    temp_dir()
}

/// A verdict on the body; anything else must not happen here.
fn refusal(error: Error) -> Result<Error, String> {
    match error {
        Error::Malformed(_) | Error::Paginated { .. } | Error::MalformedRecord { .. } | Error::Duplicate { .. } => {
            Ok(error)
        }
        other => Err(format!("the fast way fails: {other}")),
    }
}

/// Rows that go to the lake: added, changed, removed. Those of the removed are drafted later.
fn drafted(drafts: Drafts, body: Body) -> Result<(u64, u64, u64), String> {
    let facts = PollFacts { body, etag: None, full_poll_at: None, known_before: 0, open_before: 0, backfill: None };
    let sealed = drafts.seal(&facts).map_err(|error| error.to_string())?;
    let add = |(added, changed, removed), counts: RowCounts| {
        (added + counts.added, changed + counts.changed, removed + counts.removed)
    };
    Ok(sealed.iter().flat_map(SealedDiff::objects).map(|object| object.counts).fold((0, 0, 0), add))
}

/// What the fast way found, in the plain one's terms.
fn figures(observed: &Observed<Drafting>) -> Result<Findings, String> {
    let tally = observed.conclusion.tally;
    agree("older versions", &observed.sink.oddities.stale.count, &tally.stale)?;
    agree("missing", &(observed.conclusion.missing().unwrap().len() as u64), &tally.removed)?;
    Ok(Findings {
        added: tally.added,
        changed: tally.changed,
        missing: tally.removed,
        as_known: tally.unchanged + tally.equal,
        repeated: tally.repeated,
        rejected: tally.rejected,
        rejected_without_key: tally.rejected_without_key,
        listed_before: observed.conclusion.listed_before,
        open_before: observed.before.open,
        quarantined: observed.rejected.iter().map(|(_, record)| record.text.clone()).collect(),
        undocumented: observed.sink.oddities.undocumented.clone(),
        regressed: observed.sink.oddities.regressed.count,
        stale: tally.stale,
    })
}

fn sizes_of(body: &[u8], findings: &Findings) -> (u64, u64) {
    let Findings { added, changed, stale, as_known, repeated, rejected, .. } = findings;
    (body.len() as u64, added + changed + stale + as_known + repeated + rejected)
}

fn sorted(records: &[KnownRecord]) -> Vec<KnownRecord> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| record.key);
    records
}

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, fast: &T, plain: &T) -> Result<(), String> {
    if fast == plain { Ok(()) } else { Err(format!("{what}: {fast:?} the fast way, {plain:?} the plain one")) }
}
