//! Everything at one moment: what the API says, the store, what is on its way to it, and the writers.

use super::{
    records::{Records, Version},
    store::{Author, Key, Sent, Store},
};

/// A writer's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    A,
    B,
}

impl Name {
    pub(super) const BOTH: [Self; 2] = [Name::A, Name::B];

    pub(super) fn other(self) -> Self {
        match self {
            Name::A => Name::B,
            Name::B => Name::A,
        }
    }
}

/// Where in its run a writer is. Whoever creates has sent its write and waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    /// It will list the claims.
    Listing,
    /// It will read the objects of the claim at this number, the last.
    Looking(u8),
    /// It is creating voids, side by side, and knows the head that there will be.
    Voiding(Keys, u8),
    /// It knows the head, and will poll.
    Polling(u8),
    /// It is creating its claim of this number and those after it.
    Claiming(u8),
    /// It is creating objects, side by side, and then this last one.
    Creating(Keys, Option<Key>),
    /// It has no more runs.
    Over,
}

/// Keys of creates that are not yet answered.
pub(super) type Keys = [Option<Key>; 2];

/// A writer, at some point of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Writer {
    pub at: At,
    /// Runs that it may still make, with this one.
    pub runs: u8,
    /// Attempts that it may still make in this run, with this one.
    pub attempts: u8,
    /// What the API said in the poll that it is committing.
    pub said: Option<Records>,
    /// What of that is still to be committed; unseen where nothing is.
    pub rows: Records,
}

impl Writer {
    pub(super) fn new(runs: u8, attempts: u8) -> Self {
        let at = if runs == 0 { At::Over } else { At::Listing };
        Self { at, runs, attempts, said: None, rows: Records::UNSEEN }
    }
}

/// Everything, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct World {
    /// What the API says.
    pub api: Records,
    pub store: Store,
    pub sent: Sent,
    pub writers: [Writer; 2],
    /// What is known, as kept by a protocol that does not find it in the data.
    pub apart: Records,
}

/// How far things go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The last version of each record.
    pub last: Records,
    /// Runs of each writer.
    pub runs: u8,
    /// Attempts of a run.
    pub attempts: u8,
}

impl World {
    /// The API has one record, the store has nothing, and no run has begun.
    pub(super) fn new(bounds: Bounds) -> Self {
        let writer = Writer::new(bounds.runs, bounds.attempts);
        Self {
            api: Records([Version::Pending, Version::Unseen]),
            store: Store::EMPTY,
            sent: Sent::NONE,
            writers: [writer; 2],
            apart: Records::UNSEEN,
        }
    }

    pub(super) fn writer(&self, name: Name) -> &Writer {
        &self.writers[name as usize]
    }

    pub(super) fn writer_mut(&mut self, name: Name) -> &mut Writer {
        &mut self.writers[name as usize]
    }

    /// Forgets who the author was of what the attempt of this writer has written: the attempt has ended.
    pub(super) fn forget_author(&mut self, name: Name) {
        self.rewrite_authors(|author| author.filter(|author| *author != name));
    }

    /// Of this world and the one with the writers' names exchanged, always the same.
    pub(super) fn canonical(self) -> Self {
        let [a, b] = &self.writers;
        if a < b {
            return self;
        }
        let mut exchanged = self;
        exchanged.writers.reverse();
        exchanged.rewrite_authors(|author| author.map(Name::other));
        if self.writers[0] == self.writers[1] { self.min(exchanged) } else { exchanged }
    }

    fn rewrite_authors(&mut self, rewrite: impl Fn(Author) -> Author) {
        self.store.rewrite_authors(&rewrite);
        self.sent.rewrite_authors(&rewrite);
    }
}
