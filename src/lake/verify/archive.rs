//! The archive: what each poll was answered with is what was kept of it.
//!
//! A poll that is in the archive need not be in the log, nor the other way round: answers are kept before anything is committed,
//! and only while the settings say so.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use super::{
    super::{Archive, ArchivedPoll, LakeError, layout, store::Listed},
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
    let mut firsts = Vec::new();
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for object in store.list(&folder).await? {
        match layout::parse_archived(&resource.name, &object.key) {
            Some((poll_id, 0)) => firsts.push((object.clone(), poll_id.to_owned())),
            Some(_) => drop(others.insert(object.key, object.size)),
            None => report.find(Law::Strays, &object.key, "is no part of the archive"),
        }
    }
    let (mut polls, mut is_whole) = (BTreeSet::new(), true);
    let (mut first_at, mut last_at) = (i64::MAX, i64::MIN);
    for (first, poll_id) in &firsts {
        report.figures.archived_polls += 1;
        let looked_at = look_at(scope, &archive, first, poll_id, &mut others, report).await;
        let Some(poll) = report.admit(Law::Archive, looked_at)? else {
            is_whole = false;
            continue;
        };
        (first_at, last_at) = (first_at.min(poll.observed_at), last_at.max(poll.observed_at));
        polls.insert(poll_id.clone());
    }
    if let Some(key) = others.keys().next().filter(|_| is_whole) {
        report.note(key, "is of an answer of which no first part is there: its poll was cut off, or is being kept");
    }
    let between = committed.iter().filter(|(at, _)| (first_at..last_at).contains(at));
    let absent: Vec<_> = between.filter(|(_, poll)| !polls.contains(*poll)).collect();
    if let (Some((at, _)), true) = (absent.first(), is_whole) {
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
    poll_id: &str,
    others: &mut BTreeMap<String, u64>,
    report: &mut Verification,
) -> Result<ArchivedPoll, LakeError> {
    let (poll, sizes) = archive.read_start(first, poll_id).await?;
    let parts = (0..).zip(sizes).map(|(part, size)| (layout::archived(&scope.resource.name, poll_id, part), size));
    for (key, size) in parts {
        let listed = match others.remove(&key) {
            None if key == first.key => Some(first.size),
            // A listing may show the first, which is created last, and not another.
            None => scope.lake.store().size_of(&key).await?,
            listed => listed,
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
