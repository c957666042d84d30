//! The object of one number, and whether its bytes may be believed.
//!
//! | what is there | taken for |
//! |---|---|
//! | bytes that the claim promised | the commit |
//! | other bytes, whose footer says that they are a void of this number | a void: the claim's writer came too late |
//! | other bytes | damage |

use std::{collections::BTreeSet, fs::File};

use super::{
    super::{
        Commit, CommitKind, LakeError,
        claim::ClaimedObject,
        commits::{commit_of, read_commit},
        footer::COMMIT_KEY,
        parquet_file::{self, Content},
    },
    Depth, Law, Scope, Verification, damage,
    inventory::{Numbered, Place},
};

/// An object, as far as it has been read.
pub(super) struct Object {
    pub size: Option<u64>,
    pub sha256: Option<String>,
    /// What its footer says, or what is wrong with it.
    pub commit: Result<Commit, String>,
    pub content: Option<Content<File>>,
}

/// What the next commit has to name as the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parent {
    /// None: it is the first.
    None,
    /// One of these: where bytes and claim disagree, which has been found already, either may be what was there.
    OneOf(Vec<String>),
    /// Damage has hidden it.
    Hidden,
}

impl Parent {
    /// What comes after a number whose object is not there: within a diff the claim says all the same what it should be.
    pub(super) fn as_claimed(numbered: &Numbered) -> Self {
        match numbered.promised() {
            Some(object) if !numbered.is_last() => Parent::OneOf(vec![object.sha256.clone()]),
            _ => Parent::Hidden,
        }
    }
}

impl Object {
    /// `None` if it is not there.
    pub(super) async fn read(scope: &Scope<'_>, place: Option<&Place>) -> Result<Option<Self>, LakeError> {
        let Some(Place { key, size, .. }) = place else { return Ok(None) };
        match scope.depth {
            Depth::Full => Self::read_whole(scope, key).await,
            Depth::Quick => Self::read_footer(scope, key, *size).await,
        }
    }

    async fn read_whole(scope: &Scope<'_>, key: &str) -> Result<Option<Self>, LakeError> {
        let Some(copy) = scope.copy(key).await? else { return Ok(None) };
        let (commit, content) = match damage(Content::open(key, copy.content))? {
            Ok(content) => (damage(commit_of(key, content.entry(COMMIT_KEY).as_deref()))?, Some(content)),
            Err(problem) => (Err(problem), None),
        };
        Ok(Some(Self { size: Some(copy.size), sha256: Some(copy.sha256), commit, content }))
    }

    /// The footer alone, but for a void: nothing vouches for its bytes but the commit after it.
    async fn read_footer(scope: &Scope<'_>, key: &str, size: Option<u64>) -> Result<Option<Self>, LakeError> {
        let commit = match damage(read_commit(scope.lake, key).await)? {
            Ok(Some(commit)) => Ok(commit),
            Ok(None) => return Ok(None),
            Err(problem) => Err(problem),
        };
        let is_void = commit.as_ref().is_ok_and(|commit| commit.kind == CommitKind::Void);
        let bytes = if is_void { scope.lake.store.get(key).await? } else { None };
        let sha256 = bytes.map(|bytes| parquet_file::sha256(&bytes));
        Ok(Some(Self { size, sha256, commit, content: None }))
    }

    fn is_void(&self, seq: u64) -> bool {
        self.commit.as_ref().is_ok_and(|commit| commit.kind == CommitKind::Void && commit.seq == seq)
    }

    /// What the commit after it has to name. Behind a void, that is what was promised in its place, unless the claim ends
    /// with it.
    pub(super) fn link(&self, numbered: &Numbered) -> Parent {
        let promised = numbered.promised().map(|object| &object.sha256);
        let hashes: BTreeSet<&String> = match (self.is_void(numbered.seq), promised) {
            (false, _) => promised.into_iter().chain(&self.sha256).collect(),
            (true, Some(_)) if numbered.is_last() => self.sha256.iter().collect(),
            (true, _) => promised.into_iter().collect(),
        };
        if hashes.is_empty() { Parent::Hidden } else { Parent::OneOf(hashes.into_iter().cloned().collect()) }
    }

    /// The object if its bytes are those of the claim, or a void's; without a claim it has to speak for itself.
    pub(super) fn believed(
        self,
        scope: &Scope<'_>,
        numbered: &Numbered,
        place: &Place,
        report: &mut Verification,
    ) -> Option<Self> {
        let claimed = numbered.promised().filter(|_| !self.is_void(numbered.seq));
        let Some(claimed) = claimed else { return Some(self) };
        let is_promised = match (&self.sha256, self.size) {
            (Some(sha256), _) => *sha256 == claimed.sha256,
            (None, size) => size.is_none_or(|size| size == claimed.size),
        };
        if !is_promised {
            report.find(Law::Bytes, &place.key, self.tell_other_bytes(numbered.seq, claimed));
            return None;
        }
        if let Some(size) = self.size.filter(|size| *size != claimed.size) {
            let problem = format!("promises {} bytes of {}, they are {size}", claimed.size, place.key);
            let claim = numbered.claim.as_ref().map_or(numbered.seq, |claim| claim.seq);
            report.find(Law::Claims, &scope.layout.claim(claim), problem);
        }
        Some(self)
    }

    fn tell_other_bytes(&self, seq: u64, claim: &ClaimedObject) -> String {
        let size = self.size.unwrap_or_default();
        let difference = match &self.sha256 {
            Some(sha256) if size == claim.size => format!("has SHA-256 {sha256}, its claim promised {}", claim.sha256),
            _ => format!("has {size} bytes, its claim promised {}", claim.size),
        };
        match &self.commit {
            Ok(commit) if commit.seq != seq => {
                format!("{difference}; its footer is that of commit {} of {}", commit.seq, commit.resource)
            }
            _ => difference,
        }
    }
}
