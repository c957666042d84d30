//! The protocol: what may happen next, as designed and with one rule broken.

use super::{
    records::Partition,
    store::{Key, Sent, Write},
    turn::Turn,
    world::{Bounds, Name, World, Writer},
};

/// The protocol, or what becomes of it with one rule broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    AsDesigned,
    /// As designed, on a store whose listing may not show the last claim yet.
    ListingLags,
    /// A claim without its object is passed over.
    WithoutVoid,
    /// A void is taken to be there because it was sent.
    VoidNotReadBack,
    /// Objects are put, whatever is at their key.
    Overwriting,
    /// The store takes every create for a put.
    ConditionIgnored,
    /// A number is taken by whoever creates an object with it first, wherever that is.
    WithoutClaim,
    /// Claims below the head are deleted.
    ClaimsCollected,
    /// A create that was answered with an error is given up, and the next number tried.
    NewNumberWithoutReadBack,
    /// "It exists" is taken for another's, without reading back.
    ExistsMeansLost,
    /// No answer is taken for success, without reading back.
    SilenceMeansSuccess,
    /// Who loses a race compares what it has observed with the new head, and does not poll again.
    RebasedObservation,
    /// Each object of a poll says that nothing of the poll is missing.
    CompleteTooEarly,
    /// The last object of a diff is sent together with the other.
    LastBesideTheOther,
    /// What is known is kept beside the data, and written before it.
    KnownKeptApart,
}

impl Protocol {
    pub(super) fn is_broken(self) -> bool {
        !matches!(self, Protocol::AsDesigned | Protocol::ListingLags)
    }

    /// Whether this write replaces what is at its key.
    fn replaces(self, write: Write) -> bool {
        match self {
            Protocol::ConditionIgnored => true,
            Protocol::Overwriting => matches!(write, Write::Object(..)),
            _ => false,
        }
    }

    /// Forgets the writes on their way whose key is taken: where that is for good, they can change nothing any more.
    pub(super) fn forget_futile(self, world: &mut World) {
        if !matches!(self, Protocol::ConditionIgnored | Protocol::Overwriting | Protocol::ClaimsCollected) {
            let store = &world.store;
            world.sent.retain(|write| !store.has_taken(write));
        }
    }
}

/// How the store, or the network before it, answers a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was created.
    Created,
    /// Something is there, or somebody else was at it: 412, and S3's 409 although nothing is there.
    Exists,
    /// 5xx, a timeout, a reset. It may have happened, it may still happen, it may never happen.
    Failed,
}

/// The create that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Claim(u8),
    Void(Key),
    Object(Key),
}

/// What a writer makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing is there: the same is sent again.
    SentAgain,
    /// What is at the voided key is final.
    Settled,
    /// The number is its own.
    Claimed,
    /// The object is its own: this is the commit.
    Committed,
    /// Another's is there.
    Lost,
    /// It does not know, and takes the next number.
    PassedOver,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record of the API has its next version.
    Moves(Partition),
    /// A write arrives at the store.
    Arrives(Write),
    /// A write is dropped on its way.
    Dropped(Write),
    /// A writer begins an attempt, and lists the claims.
    Lists(Name),
    /// It reads the objects of the last claim.
    Looks(Name),
    /// It polls, and compares with what is known as of the head.
    Polls(Name),
    /// It is answered, and reads back.
    Answered(Name, Asked, Answer, Outcome),
    /// It dies, or gives up with an error; what it sent may still arrive.
    Crashes(Name),
}

/// A protocol, and how far it is explored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub protocol: Protocol,
    pub bounds: Bounds,
}

impl Setting {
    /// Everything that can happen next.
    pub(super) fn steps(self, world: &World, mut happens: impl FnMut(Step, World)) {
        for partition in Partition::ALL {
            let version = world.api.of(partition);
            if version < self.bounds.last.of(partition) {
                let mut next = *world;
                next.api.set(partition, version.next());
                happens(Step::Moves(partition), next);
            }
        }
        for write in world.sent.iter() {
            happens(Step::Arrives(write), self.arrived(world, write));
            happens(Step::Dropped(write), dropped(world, write));
        }
        for name in Name::BOTH {
            Turn { world: *world, setting: self, name }.steps(&mut happens);
        }
    }

    /// What one run makes of a world in which everybody has died and all that was on its way is lost, if nothing happens to it.
    pub(super) fn clean_run(self, world: &World) -> World {
        let writers = [Writer::new(1, self.bounds.attempts), Writer::new(0, 0)];
        let mut world = World { sent: Sent::NONE, writers, ..*world };
        Name::BOTH.into_iter().for_each(|name| world.forget_author(name));
        while let Some(next) = (Turn { world, setting: self, name: Name::A }).next() {
            world = self.all_arrived(next, next.sent);
        }
        world
    }

    /// What becomes of a world when these writes arrive.
    pub(super) fn all_arrived(self, world: World, sent: Sent) -> World {
        sent.iter().fold(world, |world, write| self.arrived(&world, write))
    }

    /// The store creates what is not there.
    fn arrived(self, world: &World, write: Write) -> World {
        let mut next = dropped(world, write);
        if self.protocol.replaces(write) || !next.store.has_taken(write) {
            next.store.put(write);
        }
        self.protocol.forget_futile(&mut next);
        next
    }
}

fn dropped(world: &World, write: Write) -> World {
    let mut next = *world;
    next.sent.retain(|sent| sent != write);
    next
}
