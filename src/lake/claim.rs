//! The claim of the numbers of one diff: which objects may carry them.
//!
//! It lies at the first of its numbers and names the objects in their order, which take the numbers from there on. The next
//! claim has the number behind its last object, so that the numbers of claims have gaps where a diff has several objects.
//! A claim in the form of one object, without a list, is read as one of a list with that object.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{Lake, LakeError, layout::Layout};

/// Claims, footers and voids that are on their way at once: they are small, and far away.
pub(super) const SMALL_AT_ONCE: usize = 16;

/// A claim, as in `meta/<resource>/log/<seq>.json`. Created before its objects, and never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub(super) struct Claim {
    /// The first number claimed.
    pub seq: u64,
    /// The poll that made the claim: two writers' claims differ even if they saw the same.
    pub poll_id: String,
    /// The objects, in the order of their numbers; at least one.
    pub objects: Vec<ClaimedObject>,
}

/// What a claim says of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimedObject {
    /// The only key that the commit may have.
    pub key: String,
    /// Size of the object in bytes.
    pub size: u64,
    /// SHA-256 of the object, in hexadecimal.
    pub sha256: String,
}

/// The forms in which claims are found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Whole {
        seq: u64,
        poll_id: String,
        objects: Vec<ClaimedObject>,
    },
    Single {
        seq: u64,
        poll_id: String,
        #[serde(flatten)]
        object: ClaimedObject,
    },
}

impl TryFrom<Form> for Claim {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        let claim = match form {
            Form::Whole { seq, poll_id, objects } => Self { seq, poll_id, objects },
            Form::Single { seq, poll_id, object } => Self { seq, poll_id, objects: vec![object] },
        };
        if claim.objects.is_empty() { Err("it names no object") } else { Ok(claim) }
    }
}

impl Claim {
    pub(super) fn to_bytes(&self) -> Result<bytes::Bytes, LakeError> {
        let text =
            serde_json::to_vec(self).map_err(|source| LakeError::io("write a claim of", &self.poll_id, source))?;
        Ok(text.into())
    }

    pub(super) fn parse(key: &str, bytes: &[u8]) -> Result<Self, LakeError> {
        serde_json::from_slice(bytes).map_err(|error| LakeError::damaged(key, format!("is no claim: {error}")))
    }

    /// The last number claimed.
    pub(super) fn last(&self) -> u64 {
        self.seq.saturating_add(self.objects.len() as u64 - 1)
    }

    /// The number of the claim after this one.
    pub(super) fn next(&self) -> u64 {
        self.last().saturating_add(1)
    }

    /// The object that has a number.
    pub(super) fn object(&self, seq: u64) -> Option<&ClaimedObject> {
        self.objects.get(usize::try_from(seq.checked_sub(self.seq)?).ok()?)
    }

    /// The objects with their numbers.
    pub(super) fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &ClaimedObject)> + ExactSizeIterator {
        self.objects.iter().enumerate().map(|(index, object)| (self.seq.saturating_add(index as u64), object))
    }

    /// Whether it is of this log, and names only keys of its own numbers.
    pub(super) fn is_of(&self, layout: &Layout, seq: u64) -> bool {
        let of_this_log = |(seq, object): (u64, &ClaimedObject)| {
            layout.parse_commit(&object.key).is_some_and(|(_, number)| number == seq)
        };
        self.seq == seq && self.numbered().all(of_this_log)
    }
}

/// The claim at a number; `None` if there is none.
///
/// # Errors
///
/// [`LakeError::Damaged`] if what is there is no claim of this log and number.
pub(super) async fn read(lake: &Lake, layout: &Layout, seq: u64) -> Result<Option<Claim>, LakeError> {
    let key = layout.claim(seq);
    let Some(bytes) = lake.store.get(&key).await? else { return Ok(None) };
    let claim = Claim::parse(&key, &bytes)?;
    if claim.is_of(layout, seq) {
        Ok(Some(claim))
    } else {
        Err(LakeError::damaged(&key, "claims another number or key"))
    }
}

/// The numbers greater than `after` at which a listing shows claims.
pub(super) async fn numbers(lake: &Lake, layout: &Layout, after: u64) -> Result<Vec<u64>, LakeError> {
    let listed = lake.store.list_after(&layout.log(), &layout.claim(after)).await?;
    Ok(listed.iter().filter_map(|object| layout.parse_claim(&object.key)).collect())
}

/// The claims at these numbers.
///
/// # Errors
///
/// As [`read`], and [`LakeError::Damaged`] if one is not there.
pub(super) async fn read_all(
    lake: &Lake,
    layout: &Layout,
    numbers: Vec<u64>,
) -> Result<BTreeMap<u64, Claim>, LakeError> {
    let read = |seq: u64| async move {
        let claim = read(lake, layout, seq).await?;
        claim.map(|claim| (seq, claim)).ok_or_else(|| LakeError::damaged(&layout.claim(seq), "is missing"))
    };
    stream::iter(numbers).map(read).buffer_unordered(SMALL_AT_ONCE).try_collect().await
}

/// The claim that has a number among its own, if there is one that is made after number `after`.
pub(super) async fn of_number(lake: &Lake, layout: &Layout, seq: u64, after: u64) -> Result<Option<Claim>, LakeError> {
    let numbers = numbers(lake, layout, after).await?;
    let Some(first) = numbers.into_iter().filter(|number| *number <= seq).max() else { return Ok(None) };
    Ok(read(lake, layout, first).await?.filter(|claim| claim.object(seq).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: u64) -> ClaimedObject {
        ClaimedObject { key: format!("k{number}"), size: number, sha256: format!("s{number}") }
    }

    #[test]
    fn both_forms_are_read_and_the_one_with_a_list_is_written() {
        let single = r#"{"seq":7,"key":"k1","size":1,"sha256":"s1","poll_id":"p"}"#;
        let claim = Claim { seq: 7, poll_id: "p".into(), objects: vec![object(1)] };
        assert_eq!(Claim::parse("", single.as_bytes()).unwrap(), claim);
        let written = r#"{"seq":7,"poll_id":"p","objects":[{"key":"k1","size":1,"sha256":"s1"}]}"#;
        assert_eq!(claim.to_bytes().unwrap(), written.as_bytes());
        assert_eq!(Claim::parse("", written.as_bytes()).unwrap(), claim);
        for none in ["", "{}", r#"{"seq":7,"poll_id":"p","objects":[]}"#, r#"{"seq":7,"key":"k1","poll_id":"p"}"#] {
            assert!(Claim::parse("", none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn objects_take_the_numbers_from_the_claims_own_on() {
        let claim = Claim { seq: 7, poll_id: "p".into(), objects: vec![object(1), object(2)] };
        assert_eq!((claim.last(), claim.next()), (8, 9));
        let at = |seq| claim.object(seq).map(|object| object.size);
        assert_eq!([6, 7, 8, 9].map(at), [None, Some(1), Some(2), None]);
    }
}
