//! Every commit against the answer of the API that it came from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    super::{
        api::Said,
        lists::{KINDS, Kind},
        rows::{Row, time},
        stage::{Stage, Violation, violation},
    },
    fold::{Fold, fold},
    log::Commit,
};
use crate::schema::Granularity;

/// The poll whose commits are being looked at: those of one claim.
struct Poll {
    claim: u64,
    id: String,
    said: Arc<Said>,
    /// What was present before its first commit.
    before: Fold,
}

/// Replays the commits, and gives what they come to.
pub(super) fn replay(stage: &Stage, kind: usize, commits: &[Commit]) -> Result<Fold, Violation> {
    let mut state = Fold::new();
    let mut poll: Option<Poll> = None;
    let mut filed = BTreeMap::new();
    let mut last_said = None;
    let mut last_observed = i64::MIN;
    for commit in commits {
        let before = &commits[..commit.claim as usize - 1];
        let cursor = &commit.footer["cursor"];
        if commit.is_void {
            let said = before.iter().rfind(|before| !before.is_void);
            if said.map_or(&Value::Null, |said| &said.footer["cursor"]) != cursor {
                return Err(violation("a void changes nothing", commit.key.clone()));
            }
            continue;
        }
        let id = cursor["poll_id"].as_str().unwrap_or_default();
        if poll.as_ref().is_none_or(|poll| poll.claim != commit.claim) {
            let (number, said) = answer(stage, kind, commit)?;
            if last_said.is_some_and(|last| last >= number) {
                let how = format!("{} has answer {number}, after answer {last_said:?}", commit.key);
                return Err(violation("polls are committed in the order in which they were answered", how));
            }
            if before.iter().any(|before| before.since >= said.at) {
                let how = format!("{} was said at {} and follows {}", commit.key, said.at, commit.claim - 1);
                return Err(violation("a poll is taken after what it follows", how));
            }
            let observed = cursor["observed_at"].as_i64().unwrap_or(i64::MIN);
            if observed <= last_observed {
                return Err(violation("`_seq` and `_observed_at` grow together", commit.key.clone()));
            }
            (last_said, last_observed) = (Some(number), observed);
            is_believable(&said, &state, commit)?;
            poll = Some(Poll { claim: commit.claim, id: id.to_owned(), said, before: state.clone() });
        }
        let Some(poll) = &poll else { continue };
        if poll.id != id {
            return Err(violation("a claim is of one poll", commit.key.clone()));
        }
        rows_are_of_the_answer(kind, commit, poll)?;
        rows_are_filed(stage, kind, commit, &mut filed)?;
        fold(&mut state, &commit.rows, kind, &commit.key)?;
        if cursor["complete"] == true {
            stage.figures().count("polls committed whole");
            is_what_was_said(kind, commit, poll, &state)?;
        }
    }
    final_state_is_the_last_answer(stage, kind, &state)?;
    Ok(state)
}

/// The answer that a commit came from, by the ETag in its cursor, and whether it was that.
fn answer(stage: &Stage, kind: usize, commit: &Commit) -> Result<(usize, Arc<Said>), Violation> {
    let cursor = &commit.footer["cursor"];
    let found = cursor["etag"].as_str().and_then(|etag| stage.mood().with_etag(etag));
    let (number, said) = found
        .ok_or_else(|| violation("a commit is of an answer that was given", format!("{}: {cursor}", commit.key)))?;
    if cursor["body_hash"] != *said.hash || cursor["body_bytes"] != said.bytes || said.kind != kind {
        return Err(violation("a commit is of an answer that was given", format!("{}: {cursor}", commit.key)));
    }
    Ok((number, said))
}

/// The guards, reckoned again.
fn is_believable(said: &Said, before: &Fold, commit: &Commit) -> Result<(), Violation> {
    let missing = missing(said, before).len() as u64;
    let known = before.len() as u64;
    let suspicious =
        said.listed == 0 || missing > (known / 100).max(10) || [10, 20, 25, 50, 100].contains(&said.listed);
    if !said.whole || said.contradicts_itself || (missing > 0 && suspicious && !said.accepts_removals) {
        let how = format!("{} came from one that lists {} and misses {missing} of {known}", commit.key, said.listed);
        return Err(violation("an answer that cannot be believed is refused", how));
    }
    Ok(())
}

fn missing<'f>(said: &Said, before: &'f Fold) -> BTreeSet<&'f String> {
    let listed_unfit = |key: &String| said.unfit.iter().any(|(unfit, _)| unfit.as_ref() == Some(key));
    before.keys().filter(|key| !said.records.contains_key(*key) && !listed_unfit(key)).collect()
}

/// Each row is what the answer says of its record, stamped as its commit says.
fn rows_are_of_the_answer(kind: usize, commit: &Commit, poll: &Poll) -> Result<(), Violation> {
    let cursor = &commit.footer["cursor"];
    for row in &commit.rows.rows {
        let key = row.text(KINDS[kind].key).unwrap_or_default();
        let said = poll.said.records.get(key);
        let as_said = match row.operation.as_str() {
            "removed" => said.is_none(),
            _ => said == Some(&row.values),
        };
        if !as_said {
            let how = format!("{key} in {}: found {}, said {said:?}", commit.key, row.values);
            return Err(violation("a row is what the API said", how));
        }
        let stamp = (cursor["observed_at"].as_i64(), cursor["poll_id"].as_str());
        if stamp != (Some(row.observed_at), Some(&row.poll_id)) {
            return Err(violation("a row names its poll", format!("{key} in {}", commit.key)));
        }
    }
    Ok(())
}

/// Where a record is filed, and when it was first seen.
type Filed = (Option<String>, i64);

/// A record is filed when it is first seen, and stays there, even if it goes and returns.
fn rows_are_filed<'c>(
    stage: &Stage,
    kind: usize,
    commit: &'c Commit,
    filed: &mut BTreeMap<&'c str, Filed>,
) -> Result<(), Violation> {
    for row in &commit.rows.rows {
        let key = row.text(KINDS[kind].key).unwrap_or_default();
        let found = (commit.partition.clone(), row.first_seen_at);
        let expected =
            filed.entry(key).or_insert_with(|| (partition_of(stage.plan.granularity, kind, row), row.observed_at));
        if found != *expected {
            let how = format!("{key} is filed as {found:?} in {}, and belongs to {expected:?}", commit.key);
            return Err(violation("a record is filed by when it happened, and stays there", how));
        }
    }
    Ok(())
}

/// The folder for a record that was never seen: that of when it happened, else of when it was observed.
fn partition_of(granularity: Granularity, kind: usize, row: &Row) -> Option<String> {
    let Kind { partitioned, event_times, .. } = KINDS[kind];
    let happened = event_times.iter().find_map(|column| row.text(column)).map(str::to_owned);
    let date = happened.unwrap_or_else(|| time(row.observed_at));
    match granularity {
        _ if !partitioned => None,
        Granularity::None => None,
        Granularity::Year => Some(format!("event_year={}", &date[..4])),
        Granularity::Month => Some(format!("event_month={}", &date[..7])),
        Granularity::Day => Some(format!("event_day={}", &date[..10])),
    }
}

/// Once all of a poll is committed, the lake holds what the answer said: no record more, none less, each with that value.
fn is_what_was_said(kind: usize, commit: &Commit, poll: &Poll, state: &Fold) -> Result<(), Violation> {
    let expected = expected(&poll.said, &poll.before);
    let found: Vec<(&String, &Arc<Value>)> = state.iter().map(|(key, row)| (key, &row.values)).collect();
    if found != expected {
        let how = difference(&found, &expected);
        return Err(violation("a whole poll is what the API said", format!("{}: {how}", commit.key)));
    }
    let is_open = |row: &&Row| {
        let status = row.text("status");
        KINDS[kind].closed.is_some_and(|closed| !status.is_some_and(|status| closed.contains(&status)))
    };
    let cursor = &commit.footer["cursor"];
    let figures = (cursor["known"].as_u64(), cursor["open"].as_u64());
    let counted = (Some(state.len() as u64), Some(state.values().filter(is_open).count() as u64));
    if figures != counted {
        let how = format!("{}: {figures:?}, counted {counted:?}", commit.key);
        return Err(violation("a cursor counts what is known and open", how));
    }
    Ok(())
}

/// What the lake must hold after an answer: what it lists; the last good version of what it lists garbled; and what it does
/// not list, if it could be one of those whose keys cannot be read.
fn expected<'s>(said: &'s Said, before: &'s Fold) -> Vec<(&'s String, &'s Arc<Value>)> {
    let unreadable = said.unfit.iter().any(|(key, _)| key.is_none());
    let withheld = unreadable && !said.accepts_removals;
    let missing = missing(said, before);
    let kept =
        before.iter().filter(|(key, _)| !said.records.contains_key(*key) && (withheld || !missing.contains(key)));
    let mut expected: Vec<_> = said.records.iter().chain(kept.map(|(key, row)| (key, &row.values))).collect();
    expected.sort_by_key(|(key, _)| *key);
    expected
}

fn difference(found: &[(&String, &Arc<Value>)], expected: &[(&String, &Arc<Value>)]) -> String {
    let lost = expected.iter().find(|record| !found.contains(record));
    let surplus = found.iter().find(|record| !expected.contains(record));
    format!("expected {lost:?}, found {surplus:?}")
}

/// After a run in calm weather, the lake holds the last thing that the API said.
fn final_state_is_the_last_answer(stage: &Stage, kind: usize, state: &Fold) -> Result<(), Violation> {
    let said = stage.mood().said().iter().rfind(|said| said.kind == kind).cloned();
    let Some(said) = said else { return Ok(()) };
    let expected = expected(&said, state);
    let found: Vec<_> = state.iter().map(|(key, row)| (key, &row.values)).collect();
    if found == expected && missing(&said, state).is_empty() {
        return Ok(());
    }
    let how = format!("{}: {}", KINDS[kind].name, difference(&found, &expected));
    Err(violation("in the end the lake holds what the API says", how))
}
