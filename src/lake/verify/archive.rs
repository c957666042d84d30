//! The archive: what each poll was answered with is what was kept of it.
//!
//! A poll that is in the archive need not be in the log, nor the other way round: answers are kept before anything is committed,
//! and only while the settings say so.

use std::collections::BTreeMap;

use chrono::DateTime;
use futures::{StreamExt, stream};

use super::{
    super::{
        Archive, ArchivedPoll, LakeError,
        archive::{READ_AT_ONCE, part_sizes},
        is_part_of, layout,
        store::Listed,
    },
    Depth, Law, Scope, Verification,
};
use crate::figure;

/// `committed` are the polls that have commits, by their times.
pub(super) async fn verify(
    scope: &Scope<'_>,
    committed: &BTreeMap<i64, String>,
    report: &mut Verification,
) -> Result<(), LakeError> {
    let (store, resource) = (scope.lake.store(), scope.resource);
    let archive = Archive::new(store, resource, scope.spool);
    let folder = layout::archive(&resource.name);
    let mut firsts = BTreeMap::new();
    let mut others = BTreeMap::new();
    for object in store.list(&folder).await? {
        match layout::parse_archived(&resource.name, &object.key) {
            Some((poll_id, 0)) => drop(firsts.insert(poll_id.to_owned(), object.clone())),
            Some((poll_id, _)) => drop(others.insert(object.key.clone(), (poll_id.to_owned(), object.size))),
            None => report.find(Law::Strays, &object.key, "is no part of the archive"),
        }
    }
    let mut archived: BTreeMap<i64, String> = BTreeMap::new();
    let archive = &archive;
    let starts = firsts.iter().map(|(poll_id, first)| async move { (first, archive.read_start(first, poll_id).await) });
    let mut starts = stream::iter(starts.collect::<Vec<_>>()).buffered(READ_AT_ONCE);
    while let Some((first, start)) = starts.next().await {
        report.figures.archived_polls += 1;
        let looked_at = match start {
            Ok(start) => look_at(scope, archive, first, start, &mut others, report).await,
            Err(error) => Err(error),
        };
        if let Some(poll) = report.admit(Law::Archive, looked_at)? {
            archived.insert(poll.observed_at, poll.poll_id);
        }
    }
    for (key, (poll_id, _)) in &others {
        if archived.values().any(|archived| archived == poll_id) {
            report.find(Law::Strays, key, "is of no answer: that of its poll ends before it");
        }
    }
    if archived.len() < firsts.len() {
        // What else there is may be of those that cannot be read.
        return Ok(());
    }
    if let Some(key) = others.iter().find(|(_, (poll_id, _))| !firsts.contains_key(poll_id)).map(|(key, _)| key) {
        report.note(key, "is of an answer of which no first part is there: its poll was cut off, or is being kept");
    }
    let Some((&first_at, &last_at)) = archived.keys().next().zip(archived.keys().next_back()) else { return Ok(()) };
    // A poll of which a part was missing is one a moment later.
    let is_absent = |at: i64, name: &str| {
        let before = archived.range(..=at).next_back();
        !before.is_some_and(|(began, whole)| whole == name || is_part_of((name, at), (whole, *began)))
    };
    let between = committed.range(first_at..last_at);
    let absent: Vec<_> = between.filter(|(at, poll)| is_absent(**at, poll)).collect();
    if let Some((at, _)) = absent.first() {
        let count = figure::plural(absent.len() as u64, "poll", "polls");
        let at = DateTime::from_timestamp_micros(**at).map(|at| at.to_rfc3339()).unwrap_or_default();
        report.note(
            &folder,
            format!("lacks {count} that came to the lake between its first and its last; of {at} first"),
        );
    }
    Ok(())
}

/// Holds the parts of a poll to what the first tells of them, and takes them from the `others`.
async fn look_at(
    scope: &Scope<'_>,
    archive: &Archive<'_>,
    first: &Listed,
    (poll, bytes): (ArchivedPoll, u64),
    others: &mut BTreeMap<String, (String, u64)>,
    report: &mut Verification,
) -> Result<ArchivedPoll, LakeError> {
    let parts = (0..)
        .zip(part_sizes(bytes))
        .map(|(part, size)| (layout::archived(&scope.resource.name, &poll.poll_id, part), size));
    for (key, size) in parts {
        let listed = match others.remove(&key) {
            None if key == first.key => Some(first.size),
            // A listing may show the first, which is created last, and not another.
            None => scope.lake.store().size_of(&key).await?,
            listed => listed.map(|(_, size)| size),
        };
        match listed {
            Some(listed) if listed == size => report.figures.archived_bytes += size,
            Some(listed) => return Err(LakeError::damaged(&key, format!("has {listed} bytes and should have {size}"))),
            None => return Err(LakeError::damaged(&key, "is missing")),
        }
    }
    if scope.depth == Depth::Full {
        archive.open(&poll).await?;
    }
    Ok(poll)
}
