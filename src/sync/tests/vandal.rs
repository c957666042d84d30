//! Somebody who lays hands on what may be rebuilt: the truth must not care, and the next run mends the rest.

use std::sync::Arc;

use bytes::Bytes;

use super::{process::sleep, random::Random, stage::Stage};

/// What is done to a cache.
#[derive(Debug, Clone, Copy)]
enum Act {
    Delete,
    Flip,
    Cut,
    /// Puts back what it was before.
    Restore,
    /// Flips a byte as a disk may, so that no listing shows it.
    Rot,
}

const ACTS: [(Act, &str); 5] = [
    (Act::Delete, "caches deleted"),
    (Act::Flip, "caches damaged"),
    (Act::Cut, "caches cut off"),
    (Act::Restore, "caches put back to what they were"),
    (Act::Rot, "projections rotten unnoticed"),
];

/// Does as much harm as the plan says, spread over the time that the writers take.
pub(super) async fn spoil(stage: Arc<Stage>, mut random: Random) {
    let span_ms = stage.plan.span_ms();
    for act in 0..stage.plan.vandalism {
        let due_ms = span_ms * (act + 1) / (stage.plan.vandalism + 1) + random.below(stage.plan.tick_ms);
        sleep(due_ms.saturating_sub(stage.now_ms())).await;
        if stage.is_rough() {
            spoil_one(&stage, &mut random);
        }
    }
}

fn spoil_one(stage: &Stage, random: &mut Random) {
    let who: Arc<str> = "vandal".into();
    let (act, name) = random.pick(&ACTS);
    let mut caches = stage.shelf().caches();
    if let Act::Rot = act {
        caches.retain(|key| key.starts_with("current/"));
    }
    if caches.is_empty() {
        return;
    }
    let key = caches.swap_remove(random.below(caches.len() as u64) as usize);
    let Some(there) = stage.shelf().get(&key).cloned() else { return };
    let length = there.bytes.len() as u64;
    let bytes = match act {
        Act::Delete => None,
        Act::Cut => Some(there.bytes.slice(..random.below(length) as usize)),
        Act::Flip | Act::Rot => {
            let at = random.below(length) as usize;
            Some(there.bytes.iter().enumerate().map(|(place, byte)| byte ^ u8::from(place == at)).collect())
        }
        Act::Restore => {
            let earlier: Vec<Bytes> = stage.shelf().earlier(&key);
            let Some(bytes) = earlier.get(random.below(earlier.len() as u64) as usize) else { return };
            Some(bytes.clone())
        }
    };
    stage.figures().count(name);
    let event = stage.note(&who, "spoils", &key, name, bytes.as_deref().unwrap_or_default());
    stage.shelf().vandalise(&key, bytes, matches!(act, Act::Rot), event);
    stage.runs().disturb();
}

/// Deletes every cache there is.
pub(super) fn forget(stage: &Stage) {
    let who: Arc<str> = "vandal".into();
    let caches = stage.shelf().caches();
    for key in caches {
        let event = stage.note(&who, "spoils", &key, "deletes", &[]);
        stage.shelf().vandalise(&key, None, false, event);
    }
}
