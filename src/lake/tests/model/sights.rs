//! What must come about, or the model leaves out what it is about.

use super::{
    protocol::{Answer, Outcome, Step},
    records::Partition,
    store::{Key, Object, Write},
    story::Event,
    world::{At, Name},
};

/// Something that should come about, and how to recognise it.
pub(super) type Sight = (&'static str, fn(&Event) -> bool);

pub(super) const SIGHTS: [Sight; 16] = [
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
        event.answered(|at, _, outcome| matches!(at, At::Creating(_)) && outcome == Outcome::Lost)
    }),
    ("rows are quicker than the void that was to fence them", |event| {
        event.answered(|at, _, outcome| match at {
            At::Voiding(key) => outcome == Outcome::Settled && event.before.store.object(key) != Some(Object::Void),
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
        event.answered(|at, _, outcome| matches!(at, At::Claiming(_)) && outcome == Outcome::Lost)
    }),
    ("a run loses all its attempts", |event| {
        let lasts = |name| event.after.writer(name).runs < event.before.writer(name).runs;
        matches!(event.step, Step::Answered(name, _, Outcome::Lost) if lasts(name))
    }),
    ("both writers have committed", |event| {
        let has_committed = |name| event.after.store.objects().any(|(_, object)| object.author() == Some(name));
        Name::BOTH.into_iter().all(has_committed)
    }),
    ("what is left of a dead writer's diff is committed by the next", |event| {
        event.answered(|at, _, outcome| match at {
            At::Creating(Key { seq, .. }) if seq > 1 => outcome == Outcome::Committed && is_abandoned(event, seq - 1),
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

/// Whether a writer that is gone has committed this number, and did not come to the end of its diff.
fn is_abandoned(event: &Event, seq: u8) -> bool {
    Partition::ALL.into_iter().any(|partition| {
        let object = event.before.store.object(Key { seq, partition });
        matches!(object, Some(Object::Rows { completes: None, author: None, .. }))
    })
}
