//! What the store has, and what is on its way to it.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use super::{
    records::{Partition, Records, Version},
    world::Name,
};

/// Numbers that the log has room for. The protocol as designed never asks for more within the bounds that are explored.
pub(super) const NUMBERS_MAX: usize = 18;
/// Writes that there is room for on the way to the store, likewise.
const SENT_MAX: usize = 6;

/// Whose attempt wrote something. Nobody compares bytes with those of an attempt that has ended: then it is none.
pub(super) type Author = Option<Name>;

/// The claim of the numbers of a diff, at the first of them: the partitions say which keys it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Claim {
    pub first: Partition,
    /// Of the next number, if the diff has two objects.
    pub second: Option<Partition>,
    pub author: Author,
}

impl Claim {
    /// The keys that it names if it is at this number.
    pub(super) fn keys(self, seq: u8) -> impl DoubleEndedIterator<Item = Key> {
        let second = self.second.map(|partition| Key { seq: seq + 1, partition });
        [Some(Key { seq, partition: self.first }), second].into_iter().flatten()
    }

    /// The number of the claim after it.
    pub(super) fn next(self, seq: u8) -> u8 {
        seq + 1 + u8::from(self.second.is_some())
    }
}

/// The object of a commit. Voids of one number are equal, whoever wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Object {
    Void,
    /// A version of the partition's record; in the last object of a poll, all that the API said in it.
    Rows {
        version: Version,
        completes: Option<Records>,
        author: Author,
    },
}

impl Object {
    pub(super) fn author(self) -> Author {
        match self {
            Object::Void => None,
            Object::Rows { author, .. } => author,
        }
    }

    fn rewrite_author(&mut self, rewrite: impl Fn(Author) -> Author) {
        if let Object::Rows { author, .. } = self {
            *author = rewrite(*author);
        }
    }
}

/// The key of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub seq: u8,
    pub partition: Partition,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.seq, self.partition)
    }
}

/// A create that was sent to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Write {
    Claim(u8, Claim),
    Object(Key, Object),
}

/// What the store has of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub claim: Option<Claim>,
    /// By partition.
    pub objects: [Option<Object>; 2],
}

/// The store, by number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Store([Entry; NUMBERS_MAX]);

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().take_while(|entry| **entry != Entry::UNUSED).for_each(|entry| entry.hash(state));
    }
}

impl Store {
    pub(super) const EMPTY: Self = Store([Entry::UNUSED; NUMBERS_MAX]);

    /// All numbers with what there is of them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u8, &Entry)> {
        (1..).zip(&self.0)
    }

    pub(super) fn claim(&self, seq: u8) -> Option<Claim> {
        self.0.get(usize::from(seq) - 1)?.claim
    }

    /// The claims with their numbers.
    pub(super) fn claims(&self) -> impl Iterator<Item = (u8, Claim)> {
        self.entries().filter_map(|(seq, entry)| Some((seq, entry.claim?)))
    }

    /// The keys of a claim that have nothing.
    pub(super) fn missing(&self, seq: u8, claim: Claim) -> impl Iterator<Item = Key> {
        claim.keys(seq).filter(|key| self.object(*key).is_none())
    }

    pub(super) fn claim_mut(&mut self, seq: u8) -> &mut Option<Claim> {
        &mut self.0[usize::from(seq) - 1].claim
    }

    pub(super) fn object(&self, key: Key) -> Option<Object> {
        self.0[usize::from(key.seq) - 1].objects[key.partition as usize]
    }

    pub(super) fn object_mut(&mut self, key: Key) -> &mut Option<Object> {
        &mut self.0[usize::from(key.seq) - 1].objects[key.partition as usize]
    }

    /// Whether the key of this write has something already.
    pub(super) fn has_taken(&self, write: Write) -> bool {
        match write {
            Write::Claim(seq, _) => self.claim(seq).is_some(),
            Write::Object(key, _) => self.object(key).is_some(),
        }
    }

    pub(super) fn put(&mut self, write: Write) {
        match write {
            Write::Claim(seq, claim) => *self.claim_mut(seq) = Some(claim),
            Write::Object(key, object) => *self.object_mut(key) = Some(object),
        }
    }

    pub(super) fn rewrite_authors(&mut self, rewrite: impl Fn(Author) -> Author) {
        for entry in &mut self.0 {
            entry.claim.iter_mut().for_each(|claim| claim.author = rewrite(claim.author));
            entry.objects.iter_mut().flatten().for_each(|object| object.rewrite_author(&rewrite));
        }
    }

    /// The highest number whose entry is as asked for; 0 if none is.
    pub(super) fn last(&self, is: impl Fn(&Entry) -> bool) -> u8 {
        self.0.iter().rposition(is).map_or(0, |index| index as u8 + 1)
    }

    /// The records as the commits up to `head` leave them.
    pub(super) fn fold(&self, head: u8) -> Records {
        let mut records = Records::UNSEEN;
        for (key, object) in self.objects().filter(|(key, _)| key.seq <= head) {
            if let Object::Rows { version, .. } = object {
                records.set(key.partition, version);
            }
        }
        records
    }

    /// All objects in the order of their numbers: what a reader's glob finds.
    pub(super) fn objects(&self) -> impl Iterator<Item = (Key, Object)> {
        self.entries().flat_map(|(seq, entry)| {
            let keys = Partition::ALL.map(|partition| Key { seq, partition });
            keys.into_iter().zip(entry.objects).filter_map(|(key, object)| Some((key, object?)))
        })
    }
}

impl Entry {
    const UNUSED: Self = Entry { claim: None, objects: [None; 2] };

    pub(super) fn has_object(&self) -> bool {
        self.objects.iter().any(Option::is_some)
    }
}

/// Writes that have been sent and have neither arrived nor been dropped, sorted, each once: of two equal ones the second
/// changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sent([Option<Write>; SENT_MAX]);

impl Sent {
    pub(super) const NONE: Self = Sent([None; SENT_MAX]);

    pub(super) fn iter(&self) -> impl Iterator<Item = Write> {
        self.0.iter().copied().flatten()
    }

    /// Adds a write. `false` if there is no room.
    pub(super) fn add(&mut self, write: Write) -> bool {
        if self.0.contains(&Some(write)) {
            return true;
        }
        let free = self.0.iter_mut().find(|place| place.is_none());
        let added = free.map(|place| *place = Some(write)).is_some();
        self.0.sort_unstable();
        added
    }

    /// What becomes equal by this becomes one.
    pub(super) fn rewrite_authors(&mut self, rewrite: impl Fn(Author) -> Author) {
        let sent = std::mem::replace(self, Sent::NONE);
        for mut write in sent.iter() {
            match &mut write {
                Write::Claim(_, claim) => claim.author = rewrite(claim.author),
                Write::Object(_, object) => object.rewrite_author(&rewrite),
            }
            self.add(write);
        }
    }

    /// Keeps only the writes that are as asked for.
    pub(super) fn retain(&mut self, is: impl Fn(Write) -> bool) {
        for place in &mut self.0 {
            *place = place.filter(|write| is(*write));
        }
        self.0.sort_unstable();
    }
}
