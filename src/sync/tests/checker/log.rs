//! The log: one claim and one object a number, bytes that are what was claimed, and a chain of parents.

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
    pub seq: u64,
    pub key: String,
    /// The partition's folder, where the resource is partitioned.
    pub partition: Option<String>,
    /// Number of the event that created it.
    pub since: u64,
    pub is_void: bool,
    pub footer: Value,
    pub rows: Arc<Rows>,
}

/// All commits of a kind, which keep the laws of the log.
pub(super) fn commits(stage: &Stage, kind: usize) -> Result<Vec<Commit>, Violation> {
    let name = KINDS[kind].name;
    let claims = claims(stage, name)?;
    let mut commits = Vec::new();
    let mut parent = Value::Null;
    for (key, object, rows) in glob::commits(stage, kind)? {
        let seq = commits.len() as u64 + 1;
        let claim = (number(&key) == Some(seq)).then(|| claims.get(commits.len())).flatten();
        let claim =
            claim.ok_or_else(|| violation("one object a number, without gaps", format!("{key} is no. {seq}")))?;
        if claim["key"] != *key || claim["seq"] != seq {
            return Err(violation("a commit lies where its claim says", format!("{key} was claimed as {claim}")));
        }
        let footer = rows.commit.clone().ok_or_else(|| violation("a commit says what it is", key.clone()))?;
        let sha256 = hex::encode(Sha256::digest(&object.bytes));
        let is_void = footer["kind"] == "void";
        let as_claimed = claim["sha256"] == *sha256 && claim["size"] == object.bytes.len() as u64;
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
        parent = sha256.into();
        let partition = folder(key.trim_start_matches("changes/")).map(str::to_owned);
        commits.push(Commit { seq, key, partition, since: object.since, is_void, footer, rows });
    }
    if commits.len() != claims.len() {
        let how = format!("{} claims and {} objects of {name}", claims.len(), commits.len());
        return Err(violation("every claim is settled in the end", how));
    }
    stage.figures().add("commits", commits.len() as u64);
    stage.figures().add("voids", commits.iter().filter(|commit| commit.is_void).count() as u64);
    Ok(commits)
}

fn claims(stage: &Stage, resource: &str) -> Result<Vec<Value>, Violation> {
    let folder = format!("meta/{resource}/log");
    let listed = stage.shelf().list(&folder);
    for (place, (key, _)) in listed.iter().enumerate() {
        if *key != format!("{folder}/{:020}.json", place + 1) {
            return Err(violation("claims have no gaps", format!("{key} is no. {}", place + 1)));
        }
    }
    let parse = |(key, object): (String, super::super::shelf::Object)| {
        serde_json::from_slice(&object.bytes)
            .map_err(|error| violation("a claim can be read", format!("{key}: {error}")))
    };
    listed.into_iter().map(parse).collect()
}
