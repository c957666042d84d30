//! What a store must be able to do, tried once before a lake is made in it.
//!
//! The commit protocol stands on three laws: of creates of one key one wins and the others change nothing, be they one after
//! the other or at once; what was created is listed. A store that breaks one of them would lose or double rows in silence, so
//! it is refused. What is written for the trial stays under `meta/probe/`, for a sync may need no right to delete.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Creation, LakeError, Replacement, Store, layout};

/// Creates of one key at once.
const RACERS: usize = 64;

/// What was found out about the store, as `meta/lake.json` records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When.
    pub at: DateTime<Utc>,
    /// How many creates of one key were sent at once, of which one won.
    pub racers: usize,
    /// Whether an object can be replaced on condition that it is the one last seen.
    pub conditional_replace: bool,
}

/// Tries the laws, below a name that no other trial has.
///
/// # Errors
///
/// [`LakeError::Contract`] with the law that is broken, and whatever the store fails with.
pub(super) async fn probe(store: &Store, name: &str, at: DateTime<Utc>) -> Result<Probe, LakeError> {
    store.require_hard_links().await?;
    let broken = |law: String| LakeError::Contract { location: store.location().to_owned(), law };
    let twice = layout::probe(name, "twice");
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let creations = [store.create(&twice, &first).await?, store.create(&twice, &second).await?];
    if creations != [Creation::Ours, Creation::Theirs(first.clone())] || store.get(&twice).await? != Some(first) {
        return Err(broken("an object was created although it was there (does it ignore `If-None-Match`?)".to_owned()));
    }
    if !store.list(&layout::probes(name)).await?.iter().any(|listed| listed.key == twice) {
        return Err(broken("an object was created and a listing afterwards does not show it".to_owned()));
    }
    let race = layout::probe(name, "race");
    let racers: Vec<Bytes> = (0..RACERS).map(|racer| Bytes::from(racer.to_string())).collect();
    let finishes = futures::future::try_join_all(racers.iter().map(|bytes| store.create(&race, bytes))).await?;
    let winners: Vec<&Bytes> =
        racers.iter().zip(&finishes).filter(|(_, finish)| **finish == Creation::Ours).map(|(bytes, _)| bytes).collect();
    let there = store.get(&race).await?;
    let agreed = |finish: &Creation| match finish {
        Creation::Ours => true,
        Creation::Theirs(theirs) => Some(theirs) == there.as_ref(),
    };
    if winners.len() != 1 || there.as_ref() != Some(winners[0]) || !finishes.iter().all(agreed) {
        let winners = winners.len();
        return Err(broken(format!("of {RACERS} creates of one key at once {winners} won, and one must")));
    }
    Ok(Probe {
        at,
        racers: RACERS,
        conditional_replace: replaces_on_condition(store, &layout::probe(name, "replace")).await,
    })
}

/// Whether a replacement goes through if the object is the one last seen, and not if it is another. No law: a store may fail
/// at this in any way.
async fn replaces_on_condition(store: &Store, key: &str) -> bool {
    let replace = async |bytes: &'static [u8], seen: Option<&str>| {
        store.replace_if(key, Bytes::from_static(bytes), seen).await.ok()
    };
    let Some(Replacement::Done(Some(first))) = replace(b"1", None).await else { return false };
    let Some(Replacement::Done(Some(second))) = replace(b"2", Some(&first)).await else { return false };
    first != second
        && replace(b"3", Some(&first)).await == Some(Replacement::Outdated)
        && replace(b"3", None).await == Some(Replacement::Outdated)
}
