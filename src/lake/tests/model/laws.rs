//! What must hold, in every world and across every step.

use super::{
    protocol::{Asked, Outcome, Setting, Step},
    records::{Partition, Records, Version},
    store::{Entry, Key, Object, Store},
    story::Event,
    world::{Name, World},
};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    /// A number has at most one object, at the key that its claim names.
    OneObjectANumber,
    /// Claims take the numbers from 1 on without a gap, and all but the last have all their objects.
    NoGaps,
    /// An object that a reader can see neither changes nor vanishes.
    Immutable,
    /// A record's versions, in the order of the numbers, are each another than the one before.
    NothingTwice,
    /// They are in the order in which the API said them.
    NeverBack,
    /// What the commits up to the last of a poll make of the records is what the API said in that poll.
    WholePolls,
    /// A writer calls its own what is there with its bytes, and lost what is there with another's.
    HonestOutcomes,
    /// If all that is on its way is lost, one run without accidents leaves the records as the API says them.
    NothingLost,
    /// After such a run, what was on its way all the same comes too late to change what readers see.
    Fenced,
}

impl Law {
    pub(super) const ALL: [Self; 9] = [
        Law::OneObjectANumber,
        Law::NoGaps,
        Law::Immutable,
        Law::NothingTwice,
        Law::NeverBack,
        Law::WholePolls,
        Law::HonestOutcomes,
        Law::NothingLost,
        Law::Fenced,
    ];

    /// Whether a step keeps the law.
    pub(super) fn allows(self, Event { before, step, after }: &Event) -> bool {
        match self {
            Law::Immutable => before.store.objects().all(|(key, object)| still_there(&after.store, key, object)),
            Law::HonestOutcomes => match *step {
                Step::Answered(name, asked, _, outcome) => is_honest(before, name, asked, outcome),
                _ => true,
            },
            _ => true,
        }
    }

    /// Whether a world keeps the law.
    pub(super) fn holds(self, world: &World, setting: Setting, clean: impl Fn() -> World) -> bool {
        let store = &world.store;
        match self {
            Law::Immutable | Law::HonestOutcomes => true,
            Law::OneObjectANumber => has_one_object_a_number(store),
            Law::NoGaps => is_gapless(store),
            Law::NothingTwice => successions(store).all(|(earlier, later)| earlier != later),
            Law::NeverBack => successions(store).all(|(earlier, later)| earlier <= later),
            Law::WholePolls => store.objects().all(|(key, object)| match object {
                Object::Rows { completes: Some(said), .. } => store.fold(key.seq) == said,
                _ => true,
            }),
            Law::NothingLost => clean().store.fold(u8::MAX) == world.api,
            Law::Fenced => {
                let clean = clean();
                setting.all_arrived(clean, world.sent).store.objects().eq(clean.store.objects())
            }
        }
    }
}

fn has_one_object_a_number(store: &Store) -> bool {
    let claimed: Vec<Key> = store.claims().flat_map(|(seq, claim)| claim.keys(seq)).collect();
    store.entries().all(|(seq, entry)| {
        let mut there = Partition::ALL.into_iter().filter(|partition| entry.objects[*partition as usize].is_some());
        let (first, more) = (there.next(), there.next());
        let is_claimed = |partition| {
            let mut of_number = claimed.iter().filter(|key| key.seq == seq).peekable();
            of_number.peek().is_none() || of_number.any(|key| key.partition == partition)
        };
        more.is_none() && first.is_none_or(is_claimed)
    })
}

fn is_gapless(store: &Store) -> bool {
    let mut next = 1;
    let mut is_closed = true;
    for (seq, claim) in store.claims() {
        if seq != next || !is_closed {
            return false;
        }
        is_closed = store.missing(seq, claim).next().is_none();
        next = claim.next(seq);
    }
    store.last(Entry::has_object) < next
}

/// Each version of a record with the one after it.
fn successions(store: &Store) -> impl Iterator<Item = (Version, Version)> {
    let mut last = Records::UNSEEN;
    store.objects().filter_map(move |(key, object)| match object {
        Object::Void => None,
        Object::Rows { version, .. } => {
            let before = last.of(key.partition);
            last.set(key.partition, version);
            Some((before, version))
        }
    })
}

fn still_there(store: &Store, key: Key, object: Object) -> bool {
    match (object, store.object(key)) {
        (Object::Rows { version, completes, .. }, Some(Object::Rows { version: v, completes: c, .. })) => {
            (version, completes) == (v, c)
        }
        (object, found) => found == Some(object),
    }
}

fn is_honest(before: &World, name: Name, asked: Asked, outcome: Outcome) -> bool {
    let author = match asked {
        Asked::Claim(seq) => before.store.claim(seq).map(|claim| claim.author),
        Asked::Object(key) => before.store.object(key).map(Object::author),
        Asked::Void(_) => return true,
    };
    match outcome {
        Outcome::Claimed | Outcome::Committed => author == Some(Some(name)),
        Outcome::Lost => author.is_some_and(|author| author != Some(name)),
        Outcome::SentAgain | Outcome::Settled | Outcome::PassedOver => true,
    }
}
