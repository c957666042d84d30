//! Commits as they are read: which there are between two numbers, and what the footer of each says.
//!
//! What is made of commits has to be made of all of them: so they are taken from the claims, which name each number once, and
//! not from a listing, which may leave one out.

use super::{
    Commit, Head, Lake, LakeError,
    claim::{self, Claim, ClaimedObject},
    footer::COMMIT_KEY,
    layout::Layout,
    log::LISTINGS_MAX,
    parquet_file,
};
use crate::schema::EventPartition;

/// Footers are a few kilobytes; this much of an object's end holds all but the very long ones.
const FOOTER_BYTES: u64 = 64 << 10;

/// A commit's object as its claim has it: where a void took its place, that is found when it is read.
#[derive(Debug, Clone)]
pub(super) struct CommitObject {
    /// Number of its claim: the objects of one hold different records.
    pub claim: u64,
    pub seq: u64,
    pub partition: EventPartition,
    pub key: String,
    pub size: u64,
    pub sha256: String,
}

/// The commits after the one with number `after`, which had this SHA-256, up to `head`, in order. `None` if that one is none
/// of the log that ends with `head`, or is in the middle of a diff, where no head is.
pub(super) async fn commits_between(
    lake: &Lake,
    layout: &Layout,
    (after, sha256): (u64, Option<&str>),
    head: &Head,
) -> Result<Option<Vec<CommitObject>>, LakeError> {
    if after >= head.seq {
        let is_head = (after, sha256) == (head.seq, head.sha256.as_deref());
        return Ok(is_head.then(Vec::new));
    }
    let commits = commits_from(lake, layout, after + 1, head).await?;
    let Some(first) = commits.first().filter(|first| first.claim == after + 1) else { return Ok(None) };
    if after > 0 {
        let commit = read_commit(lake, &first.key).await?;
        if commit.is_none_or(|commit| commit.parent.as_deref() != sha256) {
            return Ok(None);
        }
    }
    Ok(Some(commits))
}

/// The commits from number `first` up to `head`, in order.
pub(super) async fn commits_from(
    lake: &Lake,
    layout: &Layout,
    first: u64,
    head: &Head,
) -> Result<Vec<CommitObject>, LakeError> {
    let claims = claims_covering(lake, layout, first, head.seq).await?;
    let objects = claims.into_iter().flat_map(|claim| claim.objects.into_iter().map(move |object| (claim.seq, object)));
    let commits = objects.filter_map(|(claim, ClaimedObject { key, size, sha256 })| {
        let (partition, seq) = layout.parse_commit(&key)?;
        (first..=head.seq).contains(&seq).then_some(CommitObject { claim, seq, partition, key, size, sha256 })
    });
    Ok(commits.collect())
}

/// All commits up to `head`, in order.
pub(super) async fn commits_up_to(lake: &Lake, layout: &Layout, head: &Head) -> Result<Vec<CommitObject>, LakeError> {
    let commits = commits_between(lake, layout, (0, None), head).await?;
    commits.ok_or_else(|| LakeError::damaged(&layout.log(), "does not begin with number 1"))
}

/// The claims that have the numbers from `first` to `last`, each of which must be claimed once: what is made of them is
/// complete, or is not made. A folder that is listed while others write to it may not show all at once, so what is missing is
/// looked for again.
async fn claims_covering(lake: &Lake, layout: &Layout, first: u64, last: u64) -> Result<Vec<Claim>, LakeError> {
    for _ in 0..LISTINGS_MAX {
        let mut numbers = claim::numbers(lake, layout, first - 1).await?;
        if numbers.first() != Some(&first) {
            // It is another claim that has the number, or none.
            numbers = claim::numbers(lake, layout, 0).await?;
            let at = numbers.iter().rposition(|number| *number <= first).unwrap_or_default();
            numbers.drain(..at);
        }
        numbers.retain(|number| *number <= last);
        let claims: Vec<Claim> = claim::read_all(lake, layout, numbers).await?.into_values().collect();
        let is_gapless = claims.windows(2).all(|pair| pair[0].next() == pair[1].seq);
        let begins = claims.first().is_some_and(|claim| claim.seq <= first);
        let ends = claims.last().is_some_and(|claim| claim.last() >= last);
        if is_gapless && begins && ends {
            return Ok(claims);
        }
    }
    let problem = format!("numbers {first} to {last} are not each claimed once");
    Err(LakeError::damaged(&layout.log(), problem))
}

/// All commits of a partition up to number `up_to`, in order, as a listing of its folder shows them. A disk that
/// fails for a moment leaves a file out of one: so it is believed when the next is the same.
pub(super) async fn commits_of(
    lake: &Lake,
    layout: &Layout,
    partition: EventPartition,
    up_to: u64,
) -> Result<Vec<(u64, String)>, LakeError> {
    let folder = layout.commits_of(partition);
    let mut listed = lake.store.list(&folder).await?;
    for _ in 1..LISTINGS_MAX {
        let again = lake.store.list(&folder).await?;
        if again == listed {
            break;
        }
        listed = again;
    }
    let mut commits: Vec<(u64, String)> = listed
        .into_iter()
        .filter_map(|object| {
            let (of, seq) = layout.parse_commit(&object.key)?;
            (of == partition && seq <= up_to).then_some((seq, object.key))
        })
        .collect();
    commits.sort();
    Ok(commits)
}

/// What the footer of an object says; `None` if the object is not there.
pub(super) async fn read_commit(lake: &Lake, key: &str) -> Result<Option<Commit>, LakeError> {
    let Some(entry) = footer_entry(lake, key, COMMIT_KEY).await? else { return Ok(None) };
    commit_of(key, entry.as_deref()).map(Some)
}

/// An entry in the footer of the object `key`, if it has one of this name; `None` if the object is not there.
pub(super) async fn footer_entry(lake: &Lake, key: &str, name: &str) -> Result<Option<Option<String>>, LakeError> {
    let Some(mut tail) = lake.store.tail(key, FOOTER_BYTES).await? else { return Ok(None) };
    if let Some(length) = parquet_file::footer_bytes(&tail).filter(|length| *length > tail.len() as u64) {
        tail = lake.store.tail(key, length).await?.unwrap_or_default();
    }
    parquet_file::footer_value(&tail, name).map(Some).map_err(|error| LakeError::damaged(key, error))
}

/// The commit that the footer of the object `key` names.
pub(super) fn commit_of(key: &str, entry: Option<&str>) -> Result<Commit, LakeError> {
    let text = entry.ok_or_else(|| LakeError::damaged(key, "its footer names no commit"))?;
    serde_json::from_str(text).map_err(|error| LakeError::damaged(key, error.to_string()))
}
