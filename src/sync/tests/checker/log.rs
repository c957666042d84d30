//! The log: one claim a number, one object of it, bytes that are what was claimed, and a chain of parents.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::{
    glob::{self, folder, number},
    lists::KINDS,
    rows::Rows,
    stage::{Stage, Violation, violation},
};

/// A commit as it is in the lake.
pub(super) struct Commit {
    /// The first number of its claim.
    pub claim: u64,
    pub key: String,
    /// The partition's folder, where the resource is partitioned.
    pub partition: Option<String>,
    /// Number of the event that created it.
    pub since: u64,
    pub is_void: bool,
    pub footer: Value,
    pub rows: Arc<Rows>,
}

/// What a claim says of a number.
struct Claimed {
    /// The first and the last number of the claim.
    claim: (u64, u64),
    object: Value,
}

/// All commits of a kind, which keep the laws of the log.
pub(super) fn commits(stage: &Stage, kind: usize) -> Result<Vec<Commit>, Violation> {
    let name = KINDS[kind].name;
    let claims = claims(stage, name)?;
    let mut commits: Vec<Commit> = Vec::new();
    let mut parent = Value::Null;
    for (key, object, rows) in glob::commits(stage, kind)? {
        let seq = commits.len() as u64 + 1;
        let claim = (number(&key) == Some(seq)).then(|| claims.get(commits.len())).flatten();
        let claim =
            claim.ok_or_else(|| violation("one object a number, without gaps", format!("{key} is no. {seq}")))?;
        let Claimed { claim: (first, last), object: claimed } = claim;
        if claimed["key"] != *key {
            return Err(violation("a commit lies where its claim says", format!("{key} was claimed as {claimed}")));
        }
        let footer = rows.commit.clone().ok_or_else(|| violation("a commit says what it is", key.clone()))?;
        let sha256 = hex::encode(Sha256::digest(&object.bytes));
        let is_void = footer["kind"] == "void";
        let as_claimed = claimed["sha256"] == *sha256 && claimed["size"] == object.bytes.len() as u64;
        if !(as_claimed || is_void && rows.rows.is_empty()) {
            return Err(violation("an object is what its claim says, or a void", key));
        }
        let says = (&footer["seq"], &footer["resource"], &footer["rows"]);
        if says != (&seq.into(), &name.into(), &rows.rows.len().into()) {
            return Err(violation("a commit says what it is", format!("{key} says {footer}")));
        }
        if footer["parent"] != parent {
            return Err(violation("each commit names the one before", format!("{key} names {}", footer["parent"])));
        }
        // Within a claim, what was promised is named, whatever came of it.
        parent = if seq == *last { sha256.into() } else { claimed["sha256"].clone() };
        let is_whole =
            !is_void && commits.iter().rev().take_while(|before| before.claim == *first).all(|it| !it.is_void);
        if !is_void && footer["cursor"]["complete"] != (seq == *last) || seq == *last && !is_void && !is_whole {
            return Err(violation(
                "the last of a claim is there only if all are, and it alone completes its poll",
                key,
            ));
        }
        let partition = folder(key.trim_start_matches("changes/")).map(str::to_owned);
        commits.push(Commit { claim: *first, key, partition, since: object.since, is_void, footer, rows });
    }
    if commits.len() != claims.len() {
        let how = format!("{} claims and {} objects of {name}", claims.len(), commits.len());
        return Err(violation("every claim is settled in the end", how));
    }
    let is_left = |pair: &&[Commit]| pair[0].claim == pair[1].claim && !pair[0].is_void && pair[1].is_void;
    stage.figures().add("diffs that are there in part", commits.windows(2).filter(is_left).count() as u64);
    stage.figures().add("commits", commits.len() as u64);
    stage.figures().add("voids", commits.iter().filter(|commit| commit.is_void).count() as u64);
    Ok(commits)
}

/// What is claimed of a resource, by number from 1 on.
fn claims(stage: &Stage, resource: &str) -> Result<Vec<Claimed>, Violation> {
    let listed = stage.shelf().list(&format!("meta/{resource}/log"));
    let mut claimed = Vec::new();
    for (key, object) in listed {
        let first = claimed.len() as u64 + 1;
        if key != format!("meta/{resource}/log/{first:020}.json") {
            return Err(violation("claims have no gaps", format!("{key} is of no. {first}")));
        }
        let claim: Value = serde_json::from_slice(&object.bytes)
            .map_err(|error| violation("a claim can be read", format!("{key}: {error}")))?;
        let objects = claim["objects"].as_array().cloned().unwrap_or_default();
        if claim["seq"] != first || objects.is_empty() {
            return Err(violation("a claim says what it claims", format!("{key}: {claim}")));
        }
        let claim = (first, first + objects.len() as u64 - 1);
        claimed.extend(objects.into_iter().map(|object| Claimed { claim, object }));
    }
    Ok(claimed)
}

/// The numbers that must be there if anything of the resource is, and those that may be: the last claim's.
pub(in super::super) fn numbers(stage: &Stage, resource: &str) -> Result<(u64, u64), Violation> {
    let claims = claims(stage, resource)?;
    Ok(claims.last().map_or((0, 0), |last| (last.claim.0 - 1, last.claim.1)))
}
