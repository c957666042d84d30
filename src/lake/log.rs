//! The log of a resource: which commits there are, in which order, and how one more is made.
//!
//! "Claim, then create": a claim says which one object a number may become, and the creation of that object is the commit.
//! A claim without its object is closed with a void before anything else is done, so that a writer which wakes up late
//! finds its key taken.

use std::{io::Read, ops::RangeInclusive, path::Path};

use bytes::Bytes;

use super::{
    Commit, CommitKind, Creation, Cursor, FORMAT, Lake, LakeError, Sealed,
    claim::Claim,
    defect::{Defect, has},
    draft,
    footer::COMMIT_KEY,
    layout::{self, Layout},
    parquet_file::{self, Writer},
    spool::Spool,
    state,
};
use crate::schema::{EventPartition, Resource};

/// Footers are a few kilobytes; this much of an object's end holds all but the very long ones.
const FOOTER_BYTES: u64 = 64 << 10;

/// Listings of the log before a gap in it is believed.
pub(super) const LISTINGS_MAX: u32 = 4;

/// The last commit of a resource, whose successor can be claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 if there is none.
    pub seq: u64,
    /// SHA-256 of its object.
    pub sha256: Option<String>,
    /// How far the resource has come.
    pub cursor: Option<Cursor>,
}

/// What an attempt to commit came to. Both are ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object is in the lake.
    Committed(Head),
    /// Another writer has the number: what was observed must be thrown away and observed again.
    Lost,
}

/// The log of one resource.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    layout: Layout,
}

impl<'a> Log<'a> {
    /// The log of `resource`.
    #[must_use]
    pub fn new(lake: &'a Lake, resource: &'a Resource) -> Self {
        Self { lake, resource, layout: Layout::new(resource, lake.identity.granularity) }
    }

    /// Finds the head without writing anything: a claim that has no object yet is passed over.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if the log has gaps or an object is not what its claim says.
    pub async fn head(&self) -> Result<Head, LakeError> {
        let last = self.last_claim().await?;
        match self.read(last).await? {
            Some(head) => Ok(head),
            None => self.read(last - 1).await?.ok_or_else(|| self.gap(last - 1)),
        }
    }

    /// Finds the head, and closes the last claim with a void if its object is missing. What is there afterwards, void or a
    /// slow writer's rows, is final, and made to last before anything is built upon it. `spool` is a folder for temporary
    /// files.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head), [`LakeError::RolledBack`] if the missing object was once there, and whatever the store fails
    /// with.
    pub async fn settle(&self, spool: &Path) -> Result<Head, LakeError> {
        let last = self.last_claim().await?;
        if last == 0 {
            return Ok(Head::default());
        }
        let claim = self.claim(last).await?;
        let head = match self.read_claimed(&claim).await? {
            Some(head) => head,
            None => self.close(&claim, spool).await?,
        };
        self.lake.store.persist(&self.layout.claim(last)).await?;
        self.lake.store.persist(&claim.key).await?;
        Ok(head)
    }

    /// Closes a claim whose object was not there when it was last looked for.
    async fn close(&self, claim: &Claim, spool: &Path) -> Result<Head, LakeError> {
        let last_known = state::last_known(self.lake, &self.layout, spool).await?;
        // Its writer may have come to its end since.
        if let Some(head) = self.read_claimed(claim).await? {
            return Ok(head);
        }
        if last_known >= claim.seq {
            return Err(state::rolled_back(&self.layout, last_known));
        }
        let before = self.read(claim.seq - 1).await?.ok_or_else(|| self.gap(claim.seq - 1))?;
        if has(Defect::PassesOverOpenClaims) {
            return Ok(Head { seq: claim.seq, ..before });
        }
        tracing::warn!(resource = self.layout.resource(), seq = claim.seq, "closing a claim that its writer left open");
        self.lake.store.create(&claim.key, &self.void(claim.seq, before, spool)?).await?;
        self.read_claimed(claim).await?.ok_or_else(|| self.gap(claim.seq))
    }

    /// Commits an object, whose number must follow the head's.
    ///
    /// # Errors
    ///
    /// [`LakeError::OutcomeUnknown`] if the store does not let us find out, and whatever else it fails with. A lost race
    /// is no error.
    pub async fn commit(&self, sealed: &Sealed) -> Result<Outcome, LakeError> {
        let claim = &sealed.claim;
        let claimed = self.lake.store.create(&self.layout.claim(claim.seq), &claim.to_bytes()?).await?;
        if claimed != Creation::Ours && !has(Defect::IgnoresLostClaims) {
            return Ok(Outcome::Lost);
        }
        let mut bytes = Vec::with_capacity(claim.size as usize);
        let mut content = sealed.written.content.clone();
        content.read_to_end(&mut bytes).map_err(|source| LakeError::io("read the copy of", &claim.key, source))?;
        match self.lake.store.create(&claim.key, &Bytes::from(bytes)).await? {
            Creation::Ours => Ok(Outcome::Committed(Head {
                seq: claim.seq,
                sha256: Some(claim.sha256.clone()),
                cursor: sealed.commit.cursor.clone(),
            })),
            Creation::Theirs(_) => Ok(Outcome::Lost),
        }
    }

    /// The highest number claimed; 0 if none is. A listing may leave out what is there, and others claim while we list: so
    /// the numbers that it shows from 1 on are followed, claim by claim, to their end. If it shows a number beyond that, the
    /// claims between are looked for once more before they are called missing.
    async fn last_claim(&self) -> Result<u64, LakeError> {
        let mut problem = String::new();
        for _ in 0..LISTINGS_MAX {
            let claims = self.lake.store.list(&self.layout.log()).await?;
            let numbers: Vec<u64> =
                claims.iter().filter_map(|claim| layout::parse_number(&claim.key, ".json")).collect();
            let mut last = numbers.iter().zip(1..).take_while(|(number, expected)| *number == expected).count() as u64;
            while self.lake.store.get(&self.layout.claim(last + 1)).await?.is_some() {
                last += 1;
            }
            match numbers.last() {
                Some(highest) if *highest > last => {
                    problem = format!("claim {} is missing, and there is claim {highest}", last + 1)
                }
                _ => return Ok(last),
            }
        }
        Err(LakeError::damaged(&self.layout.log(), problem))
    }

    /// The claim of a number.
    ///
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if it is not there, or is no claim of this log and number.
    pub(super) async fn claim(&self, seq: u64) -> Result<Claim, LakeError> {
        let key = self.layout.claim(seq);
        let bytes = self.lake.store.get(&key).await?.ok_or_else(|| LakeError::damaged(&key, "is missing"))?;
        let claim = Claim::parse(&key, &bytes)?;
        let of_this_log = self.layout.parse_commit(&claim.key).is_some_and(|(_, number)| number == seq);
        if claim.seq == seq && of_this_log {
            Ok(claim)
        } else {
            Err(LakeError::damaged(&key, "claims another number or key"))
        }
    }

    /// The commit with this number as a head; `None` if it is claimed but not there.
    async fn read(&self, seq: u64) -> Result<Option<Head>, LakeError> {
        if seq == 0 {
            return Ok(Some(Head::default()));
        }
        self.read_claimed(&self.claim(seq).await?).await
    }

    async fn read_claimed(&self, claim: &Claim) -> Result<Option<Head>, LakeError> {
        let Some(commit) = read_commit(self.lake, &claim.key).await? else { return Ok(None) };
        self.check(claim, &commit)?;
        let sha256 = match commit.kind {
            CommitKind::Changes | CommitKind::Removals => claim.sha256.clone(),
            CommitKind::Void => self.sha256_of(&claim.key).await?,
        };
        Ok(Some(Head { seq: claim.seq, sha256: Some(sha256), cursor: commit.cursor }))
    }

    fn check(&self, claim: &Claim, commit: &Commit) -> Result<(), LakeError> {
        if commit.format > FORMAT {
            return Err(LakeError::NewerFormat { found: commit.format });
        }
        let key = key_columns(self.resource);
        if commit.key != key {
            return Err(LakeError::KeyChanged {
                resource: self.resource.name.clone(),
                lake: commit.key.join(", "),
                schema: key.join(", "),
            });
        }
        let expected = (&self.lake.identity.id, &self.resource.name, claim.seq);
        if (&commit.lake, &commit.resource, commit.seq) == expected {
            return Ok(());
        }
        let problem = format!("is commit {} of {} in lake {}", commit.seq, commit.resource, commit.lake);
        Err(LakeError::damaged(&claim.key, problem))
    }

    async fn sha256_of(&self, key: &str) -> Result<String, LakeError> {
        let bytes = self.lake.store.get(key).await?.ok_or_else(|| LakeError::damaged(key, "has vanished"))?;
        Ok(parquet_file::sha256(&bytes))
    }

    fn void(&self, seq: u64, before: Head, spool: &Path) -> Result<Bytes, LakeError> {
        let segment = Spool::new(spool).map_err(|error| LakeError::spool(&error))?.begin();
        let writer = Writer::new(self.resource.arrow_schema(), segment).map_err(|error| LakeError::spool(&error))?;
        let commit = Commit {
            format: FORMAT,
            lake: self.lake.identity.id.clone(),
            resource: self.resource.name.clone(),
            seq,
            kind: CommitKind::Void,
            rows: 0,
            parent: before.sha256,
            schema: self.resource.fingerprint(),
            key: key_columns(self.resource),
            cursor: before.cursor,
        };
        let (mut written, _) = draft::close(writer, commit)?;
        let mut bytes = Vec::new();
        written.content.read_to_end(&mut bytes).map_err(|error| LakeError::spool(&error))?;
        Ok(bytes.into())
    }

    fn gap(&self, seq: u64) -> LakeError {
        LakeError::damaged(&self.layout.claim(seq), "is claimed, but its object is missing")
    }
}

/// Names of the columns that identify a record.
pub(super) fn key_columns(resource: &Resource) -> Vec<String> {
    resource.key.iter().map(|&column| resource.columns[column].name.clone()).collect()
}

/// A commit's object as a listing shows it.
#[derive(Debug, Clone)]
pub(super) struct CommitObject {
    pub seq: u64,
    pub partition: EventPartition,
    pub key: String,
    pub size: u64,
}

/// The commits with these numbers that a listing shows, in their order.
pub(super) async fn list_commits(
    lake: &Lake,
    layout: &Layout,
    numbers: RangeInclusive<u64>,
) -> Result<Vec<CommitObject>, LakeError> {
    let listed = lake.store.list(&layout.changes()).await?;
    let mut commits: Vec<CommitObject> = listed
        .into_iter()
        .filter_map(|object| {
            let (partition, seq) = layout.parse_commit(&object.key)?;
            numbers.contains(&seq).then_some(CommitObject { seq, partition, key: object.key, size: object.size })
        })
        .collect();
    commits.sort_by_key(|commit| commit.seq);
    Ok(commits)
}

/// The commits with numbers in `(after, up_to]`, in order and each there once: what is made of them is complete, or is not
/// made. A folder that is listed while others write to it may not show all at once, so what is missing is looked for again.
pub(super) async fn commits_after(
    lake: &Lake,
    layout: &Layout,
    after: u64,
    up_to: u64,
) -> Result<Vec<CommitObject>, LakeError> {
    for _ in 0..LISTINGS_MAX {
        let commits = list_commits(lake, layout, after + 1..=up_to).await?;
        if commits.iter().map(|commit| commit.seq).eq(after + 1..=up_to) {
            return Ok(commits);
        }
    }
    let problem = format!("commits {} to {up_to} are not each there once", after + 1);
    Err(LakeError::damaged(&layout.changes(), problem))
}

/// What the footer of an object says; `None` if the object is not there.
pub(super) async fn read_commit(lake: &Lake, key: &str) -> Result<Option<Commit>, LakeError> {
    let Some(tail) = lake.store.tail(key, FOOTER_BYTES).await? else { return Ok(None) };
    let value = match parquet_file::footer_value(&tail, COMMIT_KEY) {
        Err(_) if tail.len() as u64 == FOOTER_BYTES => {
            let whole = lake.store.get(key).await?.unwrap_or_default();
            parquet_file::footer_value(&whole, COMMIT_KEY)
        }
        decided => decided,
    };
    commit_of(key, value.map_err(|error| LakeError::damaged(key, error.to_string()))?.as_deref()).map(Some)
}

/// The commit that the footer of the object `key` names.
pub(super) fn commit_of(key: &str, entry: Option<&str>) -> Result<Commit, LakeError> {
    let text = entry.ok_or_else(|| LakeError::damaged(key, "its footer names no commit"))?;
    serde_json::from_str(text).map_err(|error| LakeError::damaged(key, error.to_string()))
}
