//! The log of a resource: which commits there are, in which order, and how the commits of one more diff are made.
//!
//! "Claim, then create": a claim says which one object each number of a diff may become, and the creation of such an object is
//! a commit.
//!
//! ```text
//! claim ─▸ all objects but the last, side by side ─▸ when each of them is known to be there: the last
//! ```
//!
//! A claim of which an object is missing is closed before anything else is done: a void takes each free key, so that a
//! writer which wakes up late finds it taken. What is there then, rows or void, is final.
//!
//! Why that is safe:
//!
//! - The objects of a diff hold different records, so whichever of them there are, their rows follow from the commits before
//!   the diff. What is missing the next diff finds: it is taken against what is there.
//! - Only the last says that its poll is complete, and it is sent when all others are there. Rows of it beside a missing object
//!   or a void of the same claim are therefore damage, and no crash.
//! - Nothing is claimed behind a claim that is not closed, so that only the last one can be open.
//!
//! Each commit names the one before it: within a diff as the claim has it, whatever came to be there; the first of a diff as it
//! was found. A void tells the cursor from before its claim, so that all who close a claim write the same.

use std::{io::Read, path::Path};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::FuturesUnordered};

use super::{
    ChangeSum, Commit, CommitKind, Creation, Cursor, FORMAT, Lake, LakeError, Sealed, SealedDiff,
    claim::{self, Claim, ClaimedObject, SMALL_AT_ONCE},
    commits::{CommitObject, commits_from, read_commit},
    defect::{Defect, has},
    draft,
    layout::Layout,
    parquet_file::{self, Writer},
    spool::Spool,
    state,
};
use crate::schema::Resource;

/// Listings of the log before a gap in it is believed.
pub(super) const LISTINGS_MAX: u32 = 4;

/// Objects of a diff that are created side by side.
const CREATES_AT_ONCE: usize = 4;

/// Commits, of syncs and its own, in which a backfill that was broken off is looked for.
const BACKFILL_WITHIN: u64 = 10_000;

/// The last commit of a resource, whose successor can be claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 if there is none.
    pub seq: u64,
    /// Number of the claim that it ends; 0 if there is none, or it is not known.
    pub claim: u64,
    /// SHA-256 of its object.
    pub sha256: Option<String>,
    /// How far the resource has come: the cursor of the last commit that is no void.
    pub cursor: Option<Cursor>,
}

/// What an attempt to commit came to. Both are ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All objects are in the lake.
    Committed(Head),
    /// Another writer has a number: what was observed must be thrown away and observed again. Some of the objects may be in
    /// the lake.
    Lost,
}

/// The log of one resource.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    layout: Layout,
}

/// The end of a log.
#[derive(Debug)]
struct Tail {
    /// The claim before the last, if it was met on the way.
    before: Option<Claim>,
    last: Claim,
}

/// What there is of the objects of a claim, in their order.
struct Found(Vec<Option<There>>);

/// An object that is there, with the cursor that it tells.
enum There {
    /// What its writer promised; without the cursor where it was not read.
    Rows(Option<Cursor>),
    Void(Option<Cursor>),
}

impl<'a> Log<'a> {
    /// The log of `resource`.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &'a Resource) -> Self {
        Self { lake, resource, layout: Layout::new(resource, lake.identity.granularity) }
    }

    /// Finds the head without writing anything: a claim that is not closed yet is passed over.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if the log has gaps or an object is not what its claim says.
    pub async fn head(&self) -> Result<Head, LakeError> {
        self.head_from(state::claim_hint(self.lake, &self.layout).await).await
    }

    /// The same, beginning at a head that was found before.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    pub async fn head_since(&self, before: &Head) -> Result<Head, LakeError> {
        self.head_from(before.claim).await
    }

    /// The head if the last claim is closed; `None` if its writer is at work, or was cut off, so that what is there of its
    /// objects is behind the last head.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    pub async fn settled(&self) -> Result<Option<Head>, LakeError> {
        Ok(self.end(state::claim_hint(self.lake, &self.layout).await).await?.ok())
    }

    /// The cursor of the first commit that is not a void which followed nothing; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn first(&self) -> Result<Option<Cursor>, LakeError> {
        let mut seq = 1;
        while let Some(claim) = claim::read(self.lake, &self.layout, seq).await? {
            for object in &claim.objects {
                let commit = read_commit(self.lake, &object.key).await?;
                if let Some(cursor) = commit.and_then(|commit| commit.cursor) {
                    return Ok(Some(cursor));
                }
            }
            seq = claim.next();
        }
        Ok(None)
    }

    async fn head_from(&self, hint: u64) -> Result<Head, LakeError> {
        match self.end(hint).await? {
            Ok(head) => Ok(head),
            Err(open) => self.head_before(&open).await,
        }
    }

    /// The head, or the claims at the end if the last is open.
    async fn end(&self, hint: u64) -> Result<Result<Head, Tail>, LakeError> {
        let Some(tail) = self.tail(hint).await? else { return Ok(Ok(Head::default())) };
        let found = self.look(&tail.last).await?;
        let missing = found.missing(&tail.last).next();
        match missing {
            None => self.head_of(&tail.last, found).await.map(Ok),
            Some((_, missing)) if found.has_rows_of_last() => Err(gap(&missing.key)),
            Some(_) => Ok(Err(tail)),
        }
    }

    /// Finds the head, and closes the last claim with voids where objects are missing. What is there afterwards, voids or a
    /// slow writer's rows, is final, and made to last before anything is built upon it. `spool` is a folder for temporary
    /// files.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head), [`LakeError::RolledBack`] if a missing object was once there, and whatever the store fails
    /// with.
    pub async fn settle(&self, spool: &Path) -> Result<Head, LakeError> {
        let hint = state::claim_hint(self.lake, &self.layout).await;
        let Some(tail) = self.tail(hint).await? else { return Ok(Head::default()) };
        let claim = &tail.last;
        let found = self.look(claim).await?;
        let missing = found.missing(claim).next();
        let head = match missing {
            None => self.head_of(claim, found).await?,
            Some(_) => self.close(&tail, spool).await?,
        };
        let claim_key = self.layout.claim(claim.seq);
        let keys = claim.objects.iter().map(|object| object.key.as_str());
        self.lake.store.persist(keys.chain([claim_key.as_str()])).await?;
        Ok(head)
    }

    /// Closes the last claim, of which an object was not there when it was last looked for.
    async fn close(&self, tail: &Tail, spool: &Path) -> Result<Head, LakeError> {
        let claim = &tail.last;
        let last_known = state::last_known(self.lake, &self.layout, spool).await?;
        // Its writer may have come to its end since.
        let found = self.look(claim).await?;
        let missing: Vec<(u64, &ClaimedObject)> = found.missing(claim).collect();
        let Some((first, object)) = missing.first() else { return self.head_of(claim, found).await };
        if last_known >= *first {
            return Err(state::rolled_back(&self.layout, last_known));
        }
        if found.has_rows_of_last() {
            return Err(gap(&object.key));
        }
        let before = self.head_before(tail).await?;
        if has(Defect::PassesOverOpenClaims) {
            return Ok(Head { seq: claim.last(), claim: claim.seq, ..before });
        }
        tracing::warn!(resource = self.layout.resource(), seq = *first, "closing a claim that its writer left open");
        let mut voids = Vec::with_capacity(missing.len());
        for (seq, object) in missing {
            let parent = match seq.checked_sub(1).and_then(|before| claim.object(before)) {
                Some(claimed) => Some(claimed.sha256.clone()),
                None => before.sha256.clone(),
            };
            voids.push((object.key.clone(), self.void(seq, parent, before.cursor.clone(), spool)?));
        }
        let create = |(key, void): (String, Bytes)| async move { self.lake.store.create(&key, &void).await.map(drop) };
        stream::iter(voids).map(create).buffer_unordered(SMALL_AT_ONCE).try_collect::<()>().await?;
        let closed = self.look(claim).await?;
        self.head_of(claim, closed).await
    }

    /// What is in the lake of a backfill that was begun: the number of the last commit before it, and the changes that it has
    /// committed. `None` if it is not among the last commits.
    ///
    /// # Errors
    ///
    /// If a commit cannot be read.
    pub async fn begun_backfill(&self, head: &Head, plan: &str) -> Result<Option<(u64, ChangeSum)>, LakeError> {
        let first = head.seq.saturating_sub(BACKFILL_WITHIN) + 1;
        let (mut base, mut done) = (None, ChangeSum::default());
        let commits = if head.seq > 0 { commits_from(self.lake, &self.layout, first, head).await? } else { Vec::new() };
        let read = |CommitObject { seq, key, .. }: CommitObject| async move {
            let commit = read_commit(self.lake, &key).await;
            (seq, key, commit)
        };
        let mut read = stream::iter(commits.into_iter().rev()).map(read).buffered(SMALL_AT_ONCE);
        while let Some((seq, key, commit)) = read.next().await {
            if base.is_some_and(|base| seq <= base) {
                break;
            }
            let commit = commit?.filter(|commit| commit.kind != CommitKind::Void);
            let backfill = commit.and_then(|commit| commit.cursor).and_then(|cursor| cursor.backfill);
            let Some(backfill) = backfill.filter(|backfill| backfill.plan == plan) else { continue };
            let changes = ChangeSum::told(&backfill).ok_or_else(|| LakeError::damaged(&key, "tells of no changes"))?;
            base.get_or_insert(backfill.base);
            done = done.and(changes);
        }
        Ok(base.map(|base| (base, done)))
    }

    /// Commits a diff, whose numbers must follow the head's. `confirmed` is called with each object that is known to be in
    /// the lake as ours, in any order, whatever the outcome.
    ///
    /// # Errors
    ///
    /// [`LakeError::OutcomeUnknown`] if the store does not let us find out, and whatever else it fails with. A lost race
    /// is no error.
    pub async fn commit(&self, diff: &SealedDiff, mut confirmed: impl FnMut(&Sealed)) -> Result<Outcome, LakeError> {
        let claim = &diff.claim;
        let claimed = self.lake.store.create(&self.layout.claim(claim.seq), &claim.to_bytes()?).await?;
        if claimed != Creation::Ours && !has(Defect::IgnoresLostClaims) {
            return Ok(Outcome::Lost);
        }
        let SealedDiff { earlier, last, .. } = diff;
        let steps = match has(Defect::CreatesTheLastBesideTheOthers) {
            true => [diff.objects().collect(), Vec::new()],
            false => [earlier.iter().collect(), vec![last]],
        };
        for objects in steps {
            if !self.create_all(objects, &mut confirmed).await? {
                return Ok(Outcome::Lost);
            }
        }
        let sha256 = Some(last.object.sha256.clone());
        Ok(Outcome::Committed(Head {
            seq: last.commit.seq,
            claim: claim.seq,
            sha256,
            cursor: last.commit.cursor.clone(),
        }))
    }

    /// Creates objects side by side. Where one fails or is lost, no more are begun; those on their way are waited for. Whether
    /// all are ours.
    async fn create_all(&self, objects: Vec<&Sealed>, confirmed: &mut impl FnMut(&Sealed)) -> Result<bool, LakeError> {
        let mut waiting = objects.into_iter();
        let mut creating = FuturesUnordered::new();
        let mut outcome = Ok(true);
        loop {
            if matches!(outcome, Ok(true))
                && creating.len() < CREATES_AT_ONCE
                && let Some(next) = waiting.next()
            {
                creating.push(self.create(next));
                continue;
            }
            match creating.next().await {
                None => return outcome,
                Some(Ok((sealed, Creation::Ours))) => confirmed(sealed),
                Some(Ok((_, Creation::Theirs(_)))) => outcome = outcome.map(|_| false),
                // That one may be there after all is not to be hidden by another's failure.
                Some(Err(_)) if matches!(outcome, Err(LakeError::OutcomeUnknown { .. })) => {}
                Some(Err(error)) => outcome = Err(error),
            }
        }
    }

    async fn create<'s>(&self, sealed: &'s Sealed) -> Result<(&'s Sealed, Creation), LakeError> {
        let ClaimedObject { key, size, .. } = &sealed.object;
        let held = self.lake.store.hold(key, sealed.written.content.clone(), *size).await?;
        Ok((sealed, self.lake.store.create(key, &held.bytes).await?))
    }

    /// The last claims; `None` if there are none. `hint` is the number of a claim that was there, from which on they are
    /// looked for; where that is not so, all are.
    ///
    /// A listing may leave out what is there, and others claim while we list: so claims are followed one by one to their
    /// end. If a listing shows a number beyond that, the claims between are looked for once more before they are called
    /// missing.
    async fn tail(&self, hint: u64) -> Result<Option<Tail>, LakeError> {
        let (lake, layout) = (self.lake, &self.layout);
        let start = if hint > 0 { claim::read(lake, layout, hint).await? } else { None };
        let mut problem = String::new();
        for _ in 0..LISTINGS_MAX {
            let after = start.as_ref().map_or(0, |claim| claim.seq);
            let mut listed = claim::read_all(lake, layout, claim::numbers(lake, layout, after).await?).await?;
            let mut tail = start.clone().map(|last| Tail { before: None, last });
            loop {
                let next = tail.as_ref().map_or(1, |tail| tail.last.next());
                let claim = match listed.remove(&next) {
                    Some(claim) => Some(claim),
                    None => claim::read(lake, layout, next).await?,
                };
                let Some(last) = claim else { break };
                tail = Some(Tail { before: tail.map(|tail| tail.last), last });
            }
            let Some(left) = listed.keys().next_back() else { return Ok(tail) };
            let next = tail.map_or(1, |tail| tail.last.next());
            problem = match *left < next {
                true => format!("claim {left} is of a number that the claim before it has"),
                false => format!("claim {next} is missing, and there is claim {left}"),
            };
        }
        Err(LakeError::damaged(&layout.log(), problem))
    }

    /// What there is of a claim's objects. The last is looked for first: if its writer has created it, the others were there
    /// before, and it is enough to see that they still are.
    async fn look(&self, claim: &Claim) -> Result<Found, LakeError> {
        let mut objects: Vec<(u64, ClaimedObject)> =
            claim.numbered().map(|(seq, object)| (seq, object.clone())).collect();
        let last = match objects.pop() {
            Some((seq, object)) => self.read(seq, &object.key).await?,
            None => None,
        };
        let is_committed = matches!(last, Some(There::Rows(_)));
        let look = |(seq, object)| self.look_for(seq, object, is_committed);
        let mut found: Vec<_> = stream::iter(objects).map(look).buffered(SMALL_AT_ONCE).try_collect().await?;
        found.push(last);
        Ok(Found(found))
    }

    /// What there is of an object. One that should be there is taken for what was promised by its size.
    async fn look_for(&self, seq: u64, object: ClaimedObject, is_expected: bool) -> Result<Option<There>, LakeError> {
        if is_expected && self.lake.store.size_of(&object.key).await? == Some(object.size) {
            return Ok(Some(There::Rows(None)));
        }
        self.read(seq, &object.key).await
    }

    async fn read(&self, seq: u64, key: &str) -> Result<Option<There>, LakeError> {
        let Some(commit) = read_commit(self.lake, key).await? else { return Ok(None) };
        self.check(seq, key, &commit)?;
        Ok(Some(match commit.kind {
            CommitKind::Changes | CommitKind::Removals => There::Rows(commit.cursor),
            CommitKind::Void => There::Void(commit.cursor),
        }))
    }

    /// The head that a claim ends with, all of whose objects are there.
    async fn head_of(&self, claim: &Claim, found: Found) -> Result<Head, LakeError> {
        if let Some((_, object)) = found.missing(claim).next() {
            return Err(gap(&object.key));
        }
        let mut objects: Vec<(&ClaimedObject, There)> =
            claim.objects.iter().zip(found.0.into_iter().flatten()).collect();
        let Some((last, there)) = objects.pop() else { return Err(gap(&self.layout.claim(claim.seq))) };
        let (sha256, cursor) = match there {
            There::Rows(cursor) => {
                if let Some((void, _)) = objects.iter().find(|(_, there)| matches!(there, There::Void(_))) {
                    return Err(LakeError::damaged(&last.key, format!("is there, and {} is a void", void.key)));
                }
                (last.sha256.clone(), cursor)
            }
            There::Void(before) => {
                let rows = objects.into_iter().rev().find_map(|(_, there)| match there {
                    There::Rows(cursor) => Some(cursor),
                    There::Void(_) => None,
                });
                (self.sha256_of(&last.key).await?, rows.unwrap_or(before))
            }
        };
        Ok(Head { seq: claim.last(), claim: claim.seq, sha256: Some(sha256), cursor })
    }

    /// The head that the last claim was made on.
    async fn head_before(&self, Tail { before, last }: &Tail) -> Result<Head, LakeError> {
        let Some(seq) = last.seq.checked_sub(1).filter(|seq| *seq > 0) else { return Ok(Head::default()) };
        let before = match before {
            Some(before) => Some(before.clone()),
            None => claim::of_number(self.lake, &self.layout, seq, 0).await?,
        };
        let Some(before) = before.filter(|before| before.last() == seq) else {
            return Err(LakeError::damaged(&self.layout.log(), format!("number {seq} is not claimed")));
        };
        let found = self.look(&before).await?;
        self.head_of(&before, found).await
    }

    fn check(&self, seq: u64, key: &str, commit: &Commit) -> Result<(), LakeError> {
        if commit.format > FORMAT {
            return Err(LakeError::NewerFormat { found: commit.format });
        }
        let columns = key_columns(self.resource);
        if commit.key != columns {
            return Err(LakeError::KeyChanged {
                resource: self.resource.name.clone(),
                lake: commit.key.join(", "),
                schema: columns.join(", "),
            });
        }
        let expected = (&self.lake.identity.id, &self.resource.name, seq);
        if (&commit.lake, &commit.resource, commit.seq) == expected {
            return Ok(());
        }
        let problem = format!("is commit {} of {} in lake {}", commit.seq, commit.resource, commit.lake);
        Err(LakeError::damaged(key, problem))
    }

    async fn sha256_of(&self, key: &str) -> Result<String, LakeError> {
        let bytes = self.lake.store.get(key).await?.ok_or_else(|| LakeError::damaged(key, "has vanished"))?;
        Ok(parquet_file::sha256(&bytes))
    }

    pub(super) fn void(
        &self,
        seq: u64,
        parent: Option<String>,
        cursor: Option<Cursor>,
        spool: &Path,
    ) -> Result<Bytes, LakeError> {
        let segment = Spool::new(spool).map_err(|error| LakeError::spool(&error))?.begin();
        let writer = Writer::new(self.resource.arrow_schema(), segment).map_err(|error| LakeError::spool(&error))?;
        let commit = Commit {
            format: FORMAT,
            lake: self.lake.identity.id.clone(),
            resource: self.resource.name.clone(),
            seq,
            kind: CommitKind::Void,
            rows: 0,
            parent,
            schema: self.resource.fingerprint(),
            key: key_columns(self.resource),
            cursor,
        };
        let (mut written, _) = draft::close(writer, commit)?;
        let mut bytes = Vec::new();
        written.content.read_to_end(&mut bytes).map_err(|error| LakeError::spool(&error))?;
        Ok(bytes.into())
    }
}

impl Found {
    /// The objects that are not there, with their numbers.
    fn missing<'c>(&self, claim: &'c Claim) -> impl Iterator<Item = (u64, &'c ClaimedObject)> {
        claim.numbered().zip(&self.0).filter(|(_, there)| there.is_none()).map(|(object, _)| object)
    }

    /// Whether the last object is there with its writer's rows.
    fn has_rows_of_last(&self) -> bool {
        matches!(self.0.last(), Some(Some(There::Rows(_))))
    }
}

fn gap(key: &str) -> LakeError {
    LakeError::damaged(key, "is claimed, but missing")
}

/// Names of the columns that identify a record.
pub(super) fn key_columns(resource: &Resource) -> Vec<String> {
    resource.key.iter().map(|&column| resource.columns[column].name.clone()).collect()
}
