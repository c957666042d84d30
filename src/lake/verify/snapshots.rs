//! The snapshots: each follows the one before it, and has the rows of its commits and no others.
//!
//! Readers of the views take a snapshot for its commits, so every value of it is compared with theirs. Both are read side by
//! side in the order in which a snapshot has its rows; a few of each are held.

use std::{collections::BTreeSet, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::{Fields, Schema};

use super::{
    super::{
        LakeError, claim,
        fold::conform,
        parquet_file::Content,
        snapshot::{SNAPSHOT_KEY, Snapshot, extended, sha256_without, with_partition},
        spool::Spooled,
    },
    Depth, Law, Scope, Verification, damage,
    inventory::{Inventory, Place},
};

pub(super) async fn verify(
    scope: &Scope<'_>,
    inventory: &Inventory,
    report: &mut Verification,
) -> Result<(), LakeError> {
    let Scope { lake, layout, .. } = scope;
    let mut listed = BTreeSet::new();
    for object in lake.store.list(&layout.snapshots()).await? {
        match layout.parse_snapshot(&object.key) {
            Some(first) => drop(listed.insert(first)),
            None => report.find(Law::Strays, &object.key, "is no snapshot, and the views read it"),
        }
    }
    let (mut next, mut is_readable) = (1, true);
    while let Some(read) = Opened::read(scope, next).await? {
        listed.remove(&next);
        report.figures.snapshots += 1;
        let Some(Opened { snapshot, is_as_made, content }) = report.admit(Law::Snapshots, read)? else {
            is_readable = false;
            break;
        };
        next = snapshot.last.saturating_add(1);
        let key = layout.snapshot(snapshot.first);
        let held = match (promised(scope, inventory, snapshot.last).await?, content) {
            (None, _) => Err(LakeError::damaged(&key, format!("has commits up to {}, not all claimed", snapshot.last))),
            (Some(sha256), _) if sha256 != snapshot.last_sha256 => {
                Err(LakeError::damaged(&key, format!("is not of this log, which has another commit {}", snapshot.last)))
            }
            (Some(_), _) if !is_as_made => Err(LakeError::damaged(&key, "has other bytes than when it was made")),
            (Some(_), Some(content)) => compare(scope, inventory, &snapshot, content).await,
            (Some(_), None) => Ok(()),
        };
        match held {
            Err(LakeError::Damaged { key: at, problem }) if at != key => {
                report.note(&key, format!("was not compared with its commits: {at} {problem}"));
            }
            held => drop(report.admit(Law::Snapshots, held)?),
        }
    }
    for first in listed {
        let key = layout.snapshot(first);
        match is_readable {
            true => report.find(Law::Snapshots, &key, format!("follows none: there is none that begins with {next}")),
            false => report.note(&key, "was not looked at: one before it cannot be read"),
        }
    }
    Ok(())
}

/// A snapshot, as far as it is looked at.
struct Opened {
    snapshot: Snapshot,
    /// Whether its bytes are those that were hashed when it was made, if that is looked at.
    is_as_made: bool,
    /// Its rows. None if they are not to be read.
    content: Option<Content<Spooled>>,
}

impl Opened {
    /// The snapshot that begins with this number, or how it is damaged; `None` if it is not there.
    async fn read(scope: &Scope<'_>, first: u64) -> Result<Option<Result<Self, LakeError>>, LakeError> {
        let Scope { lake, layout, .. } = scope;
        if scope.depth == Depth::Quick {
            let read = Snapshot::read(lake, layout, first).await.transpose();
            return Ok(read.map(|snapshot| Ok(Self { snapshot: snapshot?, is_as_made: true, content: None })));
        }
        let key = layout.snapshot(first);
        let Some(file) = lake.store.download(&key, scope.spool).await? else { return Ok(None) };
        let io = |source| LakeError::io("read the copy of", &key, source);
        let size = file.metadata().map_err(io)?.len();
        let file = Spooled::of(file, size);
        Ok(Some(Content::open(&key, file.clone()).and_then(|content| {
            let snapshot = Snapshot::parse(content.entry(SNAPSHOT_KEY).as_deref(), lake, layout, first)?;
            let sha256 = sha256_without(&file, &snapshot.sha256);
            let sha256 = sha256.map_err(|error| LakeError::io("read the copy of", &key, error))?;
            let is_as_made = sha256.as_ref() == Some(&snapshot.sha256);
            Ok(Self { snapshot, is_as_made, content: Some(content) })
        })))
    }
}

/// The SHA-256 that the claim of a number promises. What has been claimed since the inventory was taken is another run's.
async fn promised(scope: &Scope<'_>, inventory: &Inventory, seq: u64) -> Result<Option<String>, LakeError> {
    if let [numbered] = inventory.between(seq, seq) {
        return Ok(numbered.promised().map(|object| object.sha256.clone()));
    }
    let claim = damage(claim::of_number(scope.lake, &scope.layout, seq, 0).await)?.ok().flatten();
    Ok(claim.and_then(|claim| claim.object(seq).map(|object| object.sha256.clone())))
}

/// Compares the rows of a snapshot with those of its commits.
///
/// # Errors
///
/// [`LakeError::Damaged`] of the snapshot if it has others, and of a commit that is damaged or has gone.
async fn compare(
    scope: &Scope<'_>,
    inventory: &Inventory,
    snapshot: &Snapshot,
    content: Content<Spooled>,
) -> Result<(), LakeError> {
    let Scope { lake, layout, .. } = scope;
    let damaged = |problem: String| LakeError::damaged(&layout.snapshot(snapshot.first), problem);
    let partition = layout.granularity().column();
    let schema = content.schema().clone();
    let columns = schema.fields().iter().filter(|field| Some(field.name().as_str()) != partition).cloned();
    let rows_schema = Arc::new(Schema::new(columns.collect::<Fields>()));
    let counts = (content.rows(), snapshot.rows);
    let mut stored = Stored { batches: content.batches(None)?, rest: None };
    let unknown = || LakeError::damaged(&layout.changes(), "lacks a commit of it, or more than one is there");
    for (seq, Place { key, partition, .. }) in places(inventory, snapshot).ok_or_else(unknown)? {
        let commit = Content::open(key, lake.store.fetch(key, scope.spool).await?)?;
        if extended(rows_schema.fields(), commit.schema().fields()) != *rows_schema.fields() {
            return Err(damaged(format!("lacks a column of commit {seq}")));
        }
        for batch in commit.batches(None)? {
            let expected =
                conform(&batch?, &rows_schema, scope.resource).map_err(|error| damaged(error.to_string()))?;
            let expected = with_partition(&expected, &schema, layout.granularity(), *partition);
            let expected = expected.map_err(|error| damaged(error.to_string()))?;
            if let Some(difference) = stored.difference(expected)? {
                return Err(damaged(format!("has not the rows of commit {seq}: {difference}")));
            }
        }
    }
    if stored.has_more()? || counts.0 != counts.1 {
        return Err(damaged("has rows of none of its commits, or counts them wrongly".to_owned()));
    }
    Ok(())
}

/// Where the commits of a snapshot are, with their numbers, in the order in which it has them; `None` if one is not known.
fn places<'i>(inventory: &'i Inventory, snapshot: &Snapshot) -> Option<Vec<(u64, &'i Place)>> {
    let numbered = inventory.between(snapshot.first, snapshot.last);
    let mut places: Vec<_> =
        numbered.iter().map(|numbered| Some((numbered.seq, numbered.place.as_ref()?))).collect::<Option<_>>()?;
    places.sort_by_key(|(seq, place)| (place.partition, *seq));
    (places.len() as u64 == snapshot.last - snapshot.first + 1).then_some(places)
}

/// The rows of a snapshot, as they are read.
struct Stored<I> {
    batches: I,
    rest: Option<RecordBatch>,
}

impl<I: Iterator<Item = Result<RecordBatch, LakeError>>> Stored<I> {
    /// Reads as many rows as these, and says how they differ from them.
    fn difference(&mut self, mut expected: RecordBatch) -> Result<Option<String>, LakeError> {
        while expected.num_rows() > 0 {
            if !self.has_more()? {
                return Ok(Some("there are fewer".to_owned()));
            }
            let Some(rest) = self.rest.take() else { continue };
            let count = rest.num_rows().min(expected.num_rows());
            let is_other = |column: &usize| {
                rest.column(*column).slice(0, count).as_ref() != expected.column(*column).slice(0, count).as_ref()
            };
            if let Some(column) = (0..rest.num_columns()).find(is_other) {
                return Ok(Some(format!("column `{}` is another", rest.schema().field(column).name())));
            }
            expected = expected.slice(count, expected.num_rows() - count);
            self.rest = Some(rest.slice(count, rest.num_rows() - count));
        }
        Ok(None)
    }

    /// Whether there are rows that have not been read. What cannot be read is an error.
    fn has_more(&mut self) -> Result<bool, LakeError> {
        while self.rest.as_ref().is_none_or(|rest| rest.num_rows() == 0) {
            match self.batches.next() {
                Some(batch) => self.rest = Some(batch?),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}
