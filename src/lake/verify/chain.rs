//! The commits one after the other, and their rows to the versions.
//!
//! A commit that is missing or cannot be believed is a finding. The one after it is then held to what is known of it, and
//! the rows of its partition are left out from there on: they follow from what cannot be read.

use std::{collections::BTreeSet, fs::File};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{Commit, CommitKind, Cursor, Head, LakeError, parquet_file::Content},
    Depth, Inventory, Law, READS_AT_ONCE, Scope, Verification,
    commit::{Columns, check_cursor, check_footer, check_parent, check_schema},
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
    /// The last number that has an object.
    pub head: u64,
    /// The last number claimed.
    pub last_claimed: u64,
    /// Where the last claim's object will be, if it is not there yet.
    pub open: Option<String>,
    parent: Parent,
    before: Option<Commit>,
    /// What cursors count beyond the versions: 0 until something is found, and not known where rows could not be read.
    known_offset: Option<i64>,
    open_offset: Option<i64>,
}

impl Chain {
    pub(super) async fn verify(
        scope: &Scope<'_>,
        inventory: &Inventory,
        report: &mut Verification,
    ) -> Result<Self, LakeError> {
        let mut chain = Self::before_the_first(inventory.last);
        let at_once = if scope.depth == Depth::Quick { READS_AT_ONCE } else { 1 };
        let places: Vec<Option<Place>> = inventory.numbered.iter().map(|numbered| numbered.place.clone()).collect();
        let read = |place: Option<Place>| async move { Object::read(scope, place.as_ref()).await };
        let mut objects = stream::iter(places).map(read).buffered(at_once);
        let mut next = 1;
        for numbered in &inventory.numbered {
            let Some(object) = objects.try_next().await? else { break };
            if numbered.seq != next {
                chain.lose_all();
            }
            next = numbered.seq + 1;
            chain.add(scope, numbered, object, report)?;
        }
        chain.conclude(scope, report);
        Ok(chain)
    }

    fn before_the_first(last_claimed: u64) -> Self {
        Self {
            versions: Versions::default(),
            partitions: BTreeSet::new(),
            head: 0,
            last_claimed,
            open: None,
            parent: Parent::None,
            before: None,
            known_offset: Some(0),
            open_offset: Some(0),
        }
    }

    /// The last commit as caches may name it; none if damage has hidden it.
    pub(super) fn heads(&self) -> Vec<Head> {
        let head = |sha256: Option<&String>| Head { seq: self.head, sha256: sha256.cloned(), cursor: None };
        match &self.parent {
            Parent::None => vec![head(None)],
            Parent::OneOf(hashes) => hashes.iter().map(|hash| head(Some(hash))).collect(),
            Parent::Hidden => Vec::new(),
        }
    }

    fn conclude(&self, scope: &Scope<'_>, report: &mut Verification) {
        let figures = &mut report.figures;
        (figures.head, figures.open_claims) = (self.head, u64::from(self.open.is_some()));
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
        let Some(object) = object.believed(numbered, place, report) else {
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
        check_cursor(numbered, place, self.before.as_ref(), &commit, report);
        report.figures.voids += u64::from(commit.kind == CommitKind::Void);
        report.figures.other_schemas += u64::from(commit.schema != scope.resource.fingerprint());
        match object.content {
            Some(content) => self.fold(scope, place, &commit, content, report)?,
            None => report.figures.rows += commit.rows,
        }
        self.before = Some(commit);
        Ok(())
    }

    fn absent(&mut self, numbered: &Numbered, place: &Place, report: &mut Verification) {
        if numbered.seq == self.last_claimed {
            report.note(&place.key, "is claimed and not there yet; the next sync settles it");
            self.open = Some(place.key.clone());
        } else {
            report.find(Law::Objects, &place.key, "is missing");
            self.partitions.insert(place.partition);
            self.parent = Parent::Hidden;
            self.lose(place.partition);
        }
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
        check(&mut self.known_offset, "records", cursor.known, self.versions.present());
        if same_schema {
            check(&mut self.open_offset, "open records", cursor.open, self.versions.open());
        }
    }

    /// A commit of this partition cannot be read.
    fn lose(&mut self, partition: EventPartition) {
        self.versions.lost.add(Some(partition));
        (self.before, self.known_offset, self.open_offset) = (None, None, None);
    }

    /// A commit cannot be found, nor told in which partition it was.
    fn lose_all(&mut self) {
        self.versions.lost.add(None);
        (self.before, self.known_offset, self.open_offset) = (None, None, None);
        self.parent = Parent::Hidden;
    }
}
