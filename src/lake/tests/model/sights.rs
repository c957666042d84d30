//! What must come about, or the model leaves out what it is about.

use super::{
    protocol::{Answer, Asked, Outcome, Step},
    store::{Key, Object, Write},
    story::Event,
    world::Name,
};

/// Something that should come about, and how to recognise it.
pub(super) type Sight = (&'static str, fn(&Event) -> bool);

pub(super) const SIGHTS: [Sight; 19] = [
    ("a void closes a claim", |event| event.creates(|write| matches!(write, Write::Object(_, Object::Void)))),
    ("a claim arrives after its writer's end", |event| {
        event.creates(|write| matches!(write, Write::Claim(_, claim) if claim.author.is_none()))
    }),
    ("rows arrive after their writer's end, and are the commit", |event| event.creates(|write| rows_of(write, None))),
    ("a void fences rows that a writer has left on their way", |event| {
        event.creates(|write| match write {
            Write::Object(key, Object::Void) => event.before.sent.iter().any(|late| late_rows_for(key, late)),
            _ => false,
        })
    }),
    ("a writer that is alive finds a void at its key", |event| {
        event.answered(|asked, _, outcome| matches!(asked, Asked::Object(_)) && outcome == Outcome::Lost)
    }),
    ("rows are quicker than the void that was to fence them", |event| {
        event.answered(|asked, _, outcome| match asked {
            Asked::Void(key) => outcome == Outcome::Settled && event.before.store.object(key) != Some(Object::Void),
            _ => false,
        })
    }),
    ("a lost acknowledgement of a claim is resolved by reading back", |event| {
        event.answered(|_, answer, outcome| (answer, outcome) == (Answer::Failed, Outcome::Claimed))
    }),
    ("a lost acknowledgement of a commit is resolved by reading back", |event| {
        event.answered(|_, answer, outcome| (answer, outcome) == (Answer::Failed, Outcome::Committed))
    }),
    ("one's own write is answered with: it exists", |event| {
        event.answered(|_, answer, outcome| (answer, outcome) == (Answer::Exists, Outcome::Committed))
    }),
    ("a create fails with: it exists, and nothing is there", |event| {
        event.answered(|_, answer, outcome| (answer, outcome) == (Answer::Exists, Outcome::SentAgain))
    }),
    ("a write that was dropped is sent again", |event| {
        event.answered(|_, _, outcome| outcome == Outcome::SentAgain && event.before.sent != event.after.sent)
    }),
    ("a claim is lost to another's", |event| {
        event.answered(|asked, _, outcome| matches!(asked, Asked::Claim(_)) && outcome == Outcome::Lost)
    }),
    ("a run loses all its attempts", |event| {
        let lasts = |name| event.after.writer(name).runs < event.before.writer(name).runs;
        matches!(event.step, Step::Answered(name, _, _, Outcome::Lost) if lasts(name))
    }),
    ("both writers have committed", |event| {
        let has_committed = |name| event.after.store.objects().any(|(_, object)| object.author() == Some(name));
        Name::BOTH.into_iter().all(has_committed)
    }),
    ("what is left of a dead writer's diff is committed by the next", |event| {
        event.answered(|asked, _, outcome| match asked {
            Asked::Object(Key { seq, .. }) => outcome == Outcome::Committed && is_left_in_part(event, seq),
            _ => false,
        })
    }),
    ("a diff is closed of which nothing is there", |event| {
        let claims = event.after.store.claims();
        let mut keys = claims.filter(|(_, claim)| claim.second.is_some()).map(|(seq, claim)| claim.keys(seq));
        keys.any(|mut keys| keys.all(|key| event.after.store.object(key) == Some(Object::Void)))
    }),
    ("the first object of a diff is lost while its claim is its writer's", |event| {
        event.answered(|asked, _, outcome| match asked {
            Asked::Object(key) => {
                outcome == Outcome::Lost
                    && event.before.store.claim(key.seq).is_some_and(|claim| claim.second.is_some())
            }
            _ => false,
        })
    }),
    ("the last object of a diff is lost, and the first is its writer's", |event| {
        event.answered(|asked, _, outcome| match asked {
            Asked::Object(Key { seq, .. }) if outcome == Outcome::Lost => event.before.store.claim(seq).is_none(),
            _ => false,
        })
    }),
    ("a run finds nothing new", |event| {
        let ends = |name| event.after.writer(name).runs < event.before.writer(name).runs;
        matches!(event.step, Step::Polls(name) if ends(name))
    }),
];

fn rows_of(write: Write, by: Option<Name>) -> bool {
    matches!(write, Write::Object(_, Object::Rows { author, .. }) if author == by)
}

fn late_rows_for(key: Key, write: Write) -> bool {
    rows_of(write, None) && matches!(write, Write::Object(late, _) if late == key)
}

/// Whether the claim before this number has the first object of a diff whose writer is gone, and a void for the last.
fn is_left_in_part(event: &Event, before: u8) -> bool {
    let store = &event.before.store;
    let diffs = store.claims().filter(|(seq, claim)| claim.next(*seq) <= before);
    diffs.filter(|(_, claim)| claim.second.is_some()).last().is_some_and(|(seq, claim)| {
        let objects: Vec<_> = claim.keys(seq).map(|key| store.object(key)).collect();
        matches!(objects[..], [Some(Object::Rows { completes: None, author: None, .. }), Some(Object::Void)])
    })
}
