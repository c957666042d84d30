//! The commits one after the other, and their rows to the versions.
//!
//! A commit that is missing or cannot be believed is a finding. The one after it is then held to what is known of it, and
//! the rows of its partition are left out from there on: they follow from what cannot be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{Commit, CommitKind, Cursor, Head, LakeError, parquet_file::Content},
    Depth, Inventory, Law, READS_AT_ONCE, Scope, Verification,
    commit::{Before, Columns, check_cursor, check_footer, check_parent, check_schema},
    inventory::{Numbered, Place},
    object::{Object, Parent},
    versions::{Facts, Versions},
};
use crate::schema::EventPartition;

/// The commits as far as they have been looked at.
pub(super) struct Chain {
    /// Their rows, folded.
    pub versions: Versions,
    /// The partitions they lie in.
    pub partitions: BTreeSet<EventPartition>,
    /// The polls of the API that they are of, by their times.
    pub polls: BTreeMap<i64, String>,
    /// The last number that has an object, of those whose claims are closed.
    pub head: u64,
    /// Number of the last claim.
    pub last_claim: u64,
    /// Where objects of the last claim will be, if it is not closed.
    pub open: Vec<String>,
    /// The number that is to be looked at next.
    next: u64,
    parent: Parent,
    /// None where damage has hidden it.
    before: Option<Before>,
    claim: AtClaim,
    offsets: Offsets,
}

/// What cursors count beyond the versions: 0 until something is found, and not known where rows could not be read.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    known: Option<i64>,
    open: Option<i64>,
}

/// The claim that is being looked at, and how things were when it began.
struct AtClaim {
    /// Its number; none if the claim of what is looked at is not there.
    seq: Option<u64>,
    before: Option<Before>,
    offsets: Offsets,
    /// Whether an object of it is not there: a void is in its place, or nothing yet. Those behind count its rows all the same.
    has_hole: bool,
}

impl Offsets {
    const NONE_FOUND: Self = Self { known: Some(0), open: Some(0) };
    const NOT_KNOWN: Self = Self { known: None, open: None };
}

impl Chain {
    pub(super) async fn verify(
        scope: &Scope<'_>,
        inventory: &Inventory,
        report: &mut Verification,
    ) -> Result<Self, LakeError> {
        let mut chain = Self::before_the_first(inventory.last_claim);
        let keys = inventory.open.iter().filter_map(|numbered| numbered.place.as_ref());
        chain.open = keys.filter(|place| place.size.is_none()).map(|place| place.key.clone()).collect();
        chain.follow(scope, &inventory.numbered, report).await?;
        chain.conclude(scope, report);
        if let Some(key) = chain.open.first() {
            report.note(key, "is claimed and not there yet; the next sync settles it");
        }
        Ok(chain)
    }

    /// Looks at what there is of a claim that is not closed. No cache can know of it, so these come last.
    pub(super) async fn verify_open(
        &mut self,
        scope: &Scope<'_>,
        inventory: &Inventory,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        self.follow(scope, &inventory.open, report).await
    }

    async fn follow(
        &mut self,
        scope: &Scope<'_>,
        numbered: &[Numbered],
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let at_once = if scope.depth == Depth::Quick { READS_AT_ONCE } else { 1 };
        let places: Vec<Option<Place>> = numbered.iter().map(|numbered| numbered.place.clone()).collect();
        let read = |place: Option<Place>| async move { Object::read(scope, place.as_ref()).await };
        let mut objects = stream::iter(places).map(read).buffered(at_once);
        for numbered in numbered {
            let Some(object) = objects.try_next().await? else { break };
            if numbered.seq != self.next {
                self.lose_all();
            }
            self.next = numbered.seq.saturating_add(1);
            self.enter_claim_of(numbered);
            self.add(scope, numbered, object, report)?;
        }
        Ok(())
    }

    fn before_the_first(last_claim: u64) -> Self {
        Self {
            versions: Versions::default(),
            partitions: BTreeSet::new(),
            polls: BTreeMap::new(),
            head: 0,
            last_claim,
            open: Vec::new(),
            next: 1,
            parent: Parent::None,
            before: Some(Before::default()),
            claim: AtClaim {
                seq: None,
                before: Some(Before::default()),
                offsets: Offsets::NONE_FOUND,
                has_hole: false,
            },
            offsets: Offsets::NONE_FOUND,
        }
    }

    /// What follows a claim is counted from what there is, whatever was missing in it.
    fn enter_claim_of(&mut self, numbered: &Numbered) {
        let seq = numbered.claim.as_ref().map(|claim| claim.seq);
        if seq.is_some() && seq == self.claim.seq {
            return;
        }
        if self.claim.has_hole {
            self.offsets = self.claim.offsets;
        }
        self.claim = AtClaim { seq, before: self.before.clone(), offsets: self.offsets, has_hole: false };
    }

    /// The last commit as caches may name it; none if damage has hidden it.
    pub(super) fn heads(&self) -> Vec<Head> {
        let head = |sha256: Option<&String>| Head { seq: self.head, sha256: sha256.cloned(), ..Head::default() };
        match &self.parent {
            Parent::None => vec![head(None)],
            Parent::OneOf(hashes) => hashes.iter().map(|hash| head(Some(hash))).collect(),
            Parent::Hidden => Vec::new(),
        }
    }

    fn conclude(&self, scope: &Scope<'_>, report: &mut Verification) {
        let figures = &mut report.figures;
        (figures.head, figures.open_claims) = (self.head, u64::from(!self.open.is_empty()));
        if scope.depth == Depth::Quick {
            return;
        }
        let lost = &self.versions.lost;
        if lost.is_empty() {
            (figures.records, figures.removed) = (Some(self.versions.present()), Some(self.versions.removed()));
        } else {
            let lost = lost.tell(&scope.layout);
            let text = format!("the versions of records {lost} were not looked at: a commit of theirs cannot be read");
            report.note(&scope.layout.changes(), text);
        }
    }

    fn add(
        &mut self,
        scope: &Scope<'_>,
        numbered: &Numbered,
        object: Option<Object>,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let Some(place) = &numbered.place else {
            self.lose_all();
            return Ok(());
        };
        let Some(object) = object else {
            self.absent(numbered, place, report);
            return Ok(());
        };
        self.partitions.insert(place.partition);
        self.head = numbered.seq;
        report.figures.commits += 1;
        if let (Some(_), Some(size)) = (&object.sha256, object.size) {
            report.figures.bytes_hashed += size;
        }
        let parent = std::mem::replace(&mut self.parent, object.link(numbered));
        let Some(object) = object.believed(scope, numbered, place, report) else {
            self.lose(place.partition);
            return Ok(());
        };
        let commit = match object.commit {
            Ok(commit) => commit,
            Err(problem) => {
                report.find(Law::Footer, &place.key, problem);
                self.lose(place.partition);
                return Ok(());
            }
        };
        check_footer(scope, numbered, place, &commit, object.content.as_ref(), report)?;
        check_parent(place, &commit, &parent, report);
        let so_far = (self.before.as_ref(), self.claim.before.as_ref(), self.claim.has_hole);
        check_cursor(scope, numbered, place, so_far, &commit, report);
        report.figures.voids += u64::from(commit.kind == CommitKind::Void);
        report.figures.other_schemas += u64::from(commit.schema != scope.resource.fingerprint());
        match object.content {
            Some(content) => self.fold(scope, place, &commit, content, report)?,
            None => report.figures.rows += commit.rows,
        }
        if commit.kind == CommitKind::Void {
            self.before.iter_mut().for_each(|before| before.void_since = true);
            self.leave_hole();
        } else {
            if let Some(cursor) = commit.cursor.as_ref().filter(|cursor| cursor.backfill.is_none()) {
                self.polls.entry(cursor.observed_at).or_insert_with(|| cursor.poll_id.clone());
            }
            self.before = Some(Before { cursor: commit.cursor, claim: self.claim.seq, void_since: false });
        }
        Ok(())
    }

    fn absent(&mut self, numbered: &Numbered, place: &Place, report: &mut Verification) {
        self.parent = Parent::as_claimed(numbered);
        if self.open.is_empty() || numbered.seq < self.last_claim {
            report.find(Law::Objects, &place.key, "is missing");
            self.partitions.insert(place.partition);
            self.lose(place.partition);
        } else {
            self.leave_hole();
        }
    }

    /// What should be here is not, and those of its claim that come behind it count it.
    fn leave_hole(&mut self) {
        self.claim.has_hole = true;
        if self.claim.seq.is_none() {
            // Nothing tells which these are.
            self.claim.offsets = Offsets::NOT_KNOWN;
        }
        self.offsets = Offsets::NOT_KNOWN;
    }

    fn fold(
        &mut self,
        scope: &Scope<'_>,
        place: &Place,
        commit: &Commit,
        content: Content<File>,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let own = match check_schema(scope, place, commit, &content, report)? {
            Columns::Declared => None,
            Columns::Own(resource) => Some(resource),
            Columns::Unreadable => {
                self.lose(place.partition);
                return Ok(());
            }
        };
        let facts = Facts::of(commit, place.partition);
        let is_read = self.versions.fold(scope, &place.key, facts, own.as_deref(), content, report)?;
        if !is_read || self.versions.lost.has(place.partition) {
            self.lose(place.partition);
        }
        if let (Some(cursor), CommitKind::Changes | CommitKind::Removals) = (&commit.cursor, commit.kind) {
            // Which are open, another schema may have told otherwise.
            let same_schema = commit.schema == scope.resource.fingerprint();
            self.check_counts(place, cursor, same_schema, report);
        }
        Ok(())
    }

    /// The cursor counts the records there are. What it is off by is found once, and not again at each commit after.
    fn check_counts(&mut self, place: &Place, cursor: &Cursor, same_schema: bool, report: &mut Verification) {
        let mut check = |offset: &mut Option<i64>, what: &str, counted: u64, folded: u64| {
            let beyond = counted as i64 - folded as i64;
            if offset.replace(beyond).is_some_and(|before| before != beyond) {
                let problem = format!("counts {counted} {what}, the versions up to it come to {folded}");
                report.find(Law::Cursor, &place.key, problem);
            }
        };
        check(&mut self.offsets.known, "records", cursor.known, self.versions.present());
        if same_schema {
            check(&mut self.offsets.open, "open records", cursor.open, self.versions.open());
        }
    }

    /// A commit of this partition cannot be read.
    fn lose(&mut self, partition: EventPartition) {
        self.versions.lost.add(Some(partition));
        self.hide();
    }

    /// A commit cannot be found, nor told in which partition it was.
    fn lose_all(&mut self) {
        self.versions.lost.add(None);
        self.hide();
        self.parent = Parent::Hidden;
    }

    fn hide(&mut self) {
        self.before = None;
        (self.offsets, self.claim.offsets) = (Offsets::NOT_KNOWN, Offsets::NOT_KNOWN);
    }
}
