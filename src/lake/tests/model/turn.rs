//! What a writer does: its run, step by step.

use super::{
    protocol::{Answer, Asked, Outcome, Protocol, Setting, Step},
    records::{Records, Version},
    store::{Claim, Entry, Key, NUMBERS_MAX, Object, Write},
    world::{At, Keys, Name, World, Writer},
};

/// A writer's turn to do something.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub world: World,
    pub setting: Setting,
    pub name: Name,
}

impl Turn {
    /// Everything that the writer can do next, and its death.
    pub(super) fn steps(self, happens: &mut impl FnMut(Step, World)) {
        let Self { name, .. } = self;
        match self.writer().at {
            At::Over => return,
            At::Listing => {
                happens(Step::Lists(name), self.list(self.last()));
                if self.setting.protocol == Protocol::ListingLags {
                    happens(Step::Lists(name), self.list(self.last_before(self.last())));
                }
                // Who dies before it has done anything might as well not have begun.
                return;
            }
            At::Looking(last) => happens(Step::Looks(name), self.look(last)),
            At::Polling(head) => happens(Step::Polls(name), self.poll(head)),
            At::Voiding(..) | At::Claiming(_) | At::Creating(..) => {
                for asked in self.asked() {
                    for answer in [Answer::Created, Answer::Exists, Answer::Failed] {
                        if answer != Answer::Created || self.read_back(asked) == There::Ours {
                            let (outcome, next) = self.answered(asked, answer);
                            happens(Step::Answered(name, asked, answer, outcome), next);
                        }
                    }
                }
            }
        }
        happens(Step::Crashes(name), self.end_run());
    }

    /// What the writer does next if all goes well; `None` if it has no more runs.
    pub(super) fn next(self) -> Option<World> {
        match self.writer().at {
            At::Over => None,
            At::Listing => Some(self.list(self.last())),
            At::Looking(last) => Some(self.look(last)),
            At::Polling(head) => Some(self.poll(head)),
            At::Voiding(..) | At::Claiming(_) | At::Creating(..) => {
                self.asked().next().map(|asked| self.answered(asked, Answer::Created).1)
            }
        }
    }

    /// The creates that wait for an answer.
    fn asked(&self) -> impl Iterator<Item = Asked> + use<> {
        let (claim, keys, is_void) = match self.writer().at {
            At::Claiming(seq) => (Some(seq), [None; 2], false),
            At::Voiding(keys, _) => (None, keys, true),
            At::Creating(keys, _) => (None, keys, false),
            At::Listing | At::Looking(_) | At::Polling(_) | At::Over => (None, [None; 2], false),
        };
        let object = move |key| if is_void { Asked::Void(key) } else { Asked::Object(key) };
        claim.map(Asked::Claim).into_iter().chain(keys.into_iter().flatten().map(object))
    }

    /// The number of the last claim.
    fn last(&self) -> u8 {
        match self.setting.protocol {
            Protocol::WithoutClaim => self.world.store.last(Entry::has_object),
            _ => self.world.store.last(|entry| entry.claim.is_some()),
        }
    }

    /// The number of the claim before one.
    fn last_before(&self, seq: u8) -> u8 {
        self.world.store.claims().map(|(number, _)| number).filter(|number| *number < seq).last().unwrap_or_default()
    }

    /// Lists the claims, and finds that this is the last.
    fn list(self, last: u8) -> World {
        self.at(if last == 0 { At::Polling(0) } else { At::Looking(last) })
    }

    /// A claim of which an object is missing is closed with voids, before anything else is done.
    fn look(self, last: u8) -> World {
        if self.setting.protocol == Protocol::WithoutClaim {
            return self.at(At::Polling(last));
        }
        let Some(claim) = self.world.store.claim(last) else { return self.end_run() };
        let head = claim.next(last) - 1;
        if self.setting.protocol == Protocol::WithoutVoid {
            return self.at(At::Polling(head));
        }
        let mut missing = self.world.store.missing(last, claim);
        let keys = [missing.next(), missing.next()];
        if keys == [None; 2] {
            return self.at(At::Polling(head));
        }
        let voids = keys.map(|key| key.map(|key| Write::Object(key, Object::Void)));
        drop(missing);
        self.send(voids, At::Voiding(keys, head))
    }

    /// Takes what the API says against exactly what is known as of the head. Nothing new: the run is over.
    fn poll(mut self, head: u8) -> World {
        let known = match self.setting.protocol {
            Protocol::KnownKeptApart => self.world.apart,
            _ => self.world.store.fold(head),
        };
        let api = self.world.api;
        let writer = self.world.writer_mut(self.name);
        let said = *writer.said.get_or_insert(api);
        writer.rows = said.differing_from(known);
        if self.setting.protocol == Protocol::KnownKeptApart {
            self.world.apart = said;
        }
        self.commit_at(head + 1)
    }

    /// Whatever the answer, what is there decides.
    fn answered(self, asked: Asked, answer: Answer) -> (Outcome, World) {
        if let Some(misled) = self.misled(asked, answer) {
            return misled;
        }
        match (asked, self.read_back(asked)) {
            (Asked::Void(_) | Asked::Object(_), There::Nothing) => (Outcome::SentAgain, self.send_again(asked)),
            (Asked::Void(key), _) => (Outcome::Settled, self.voided(key)),
            (Asked::Claim(seq), There::Nothing) => (Outcome::SentAgain, self.claim(seq)),
            (Asked::Claim(seq), There::Ours) => (Outcome::Claimed, self.create(seq)),
            (Asked::Object(key), There::Ours) => (Outcome::Committed, self.committed(key)),
            (_, There::Theirs) => (Outcome::Lost, self.lose()),
        }
    }

    /// What a writer does that follows another rule.
    fn misled(self, asked: Asked, answer: Answer) -> Option<(Outcome, World)> {
        match (self.setting.protocol, asked, answer) {
            (Protocol::VoidNotReadBack, Asked::Void(key), _)
            | (Protocol::SilenceMeansSuccess, Asked::Void(key), Answer::Failed) => {
                Some((Outcome::Settled, self.voided(key)))
            }
            (Protocol::SilenceMeansSuccess, Asked::Claim(seq), Answer::Failed) => {
                Some((Outcome::Claimed, self.create(seq)))
            }
            (Protocol::SilenceMeansSuccess, Asked::Object(key), Answer::Failed) => {
                Some((Outcome::Committed, self.committed(key)))
            }
            (Protocol::ExistsMeansLost, Asked::Claim(_) | Asked::Object(_), Answer::Exists) => {
                Some((Outcome::Lost, self.lose()))
            }
            (
                Protocol::NewNumberWithoutReadBack,
                Asked::Claim(seq) | Asked::Object(Key { seq, .. }),
                Answer::Exists | Answer::Failed,
            ) => Some((Outcome::PassedOver, self.commit_at(seq + 1))),
            _ => None,
        }
    }

    /// What is at the key of a create that waits for its answer.
    fn read_back(&self, asked: Asked) -> There {
        let store = &self.world.store;
        let author = match asked {
            Asked::Void(key) => store.object(key).map(|object| (object == Object::Void).then_some(self.name)),
            Asked::Claim(seq) => store.claim(seq).map(|claim| claim.author),
            Asked::Object(key) => store.object(key).map(Object::author),
        };
        match author {
            Some(author) if author == Some(self.name) => There::Ours,
            Some(_) => There::Theirs,
            None => There::Nothing,
        }
    }

    /// One number is final. When all are, the head is.
    fn voided(self, key: Key) -> World {
        let At::Voiding(keys, head) = self.writer().at else { return self.end_run() };
        match without(keys, key) {
            [None, None] => self.at(At::Polling(head)),
            keys => self.at(At::Voiding(keys, head)),
        }
    }

    /// One object is there. When all but the last are, the last is sent; when that is, the run is over.
    fn committed(mut self, key: Key) -> World {
        let At::Creating(keys, last) = self.writer().at else { return self.end_run() };
        self.world.writer_mut(self.name).rows.set(key.partition, Version::Unseen);
        if self.setting.protocol == Protocol::ClaimsCollected {
            (1..key.seq).for_each(|seq| *self.world.store.claim_mut(seq) = None);
        }
        match (without(keys, key), last) {
            ([None, None], None) => self.end_run(),
            ([None, None], Some(last)) => self.create_keys([Some(last), None], None),
            (keys, last) => self.at(At::Creating(keys, last)),
        }
    }

    /// What was observed is thrown away, and observed again.
    fn lose(mut self) -> World {
        let writer = self.world.writer_mut(self.name);
        if writer.attempts == 1 {
            return self.end_run();
        }
        writer.attempts -= 1;
        if self.setting.protocol != Protocol::RebasedObservation {
            writer.said = None;
        }
        writer.rows = Records::UNSEEN;
        self.world.forget_author(self.name);
        self.at(At::Listing)
    }

    fn end_run(mut self) -> World {
        let writer = self.world.writer_mut(self.name);
        *writer = Writer::new(writer.runs - 1, self.setting.bounds.attempts);
        self.world.forget_author(self.name);
        self.world
    }

    /// What is left to commit takes the numbers from this one on. Nothing is left: the run is over.
    fn commit_at(self, seq: u8) -> World {
        if self.writer().rows.seen().next().is_none() {
            return self.end_run();
        }
        let has_room = usize::from(seq) < NUMBERS_MAX;
        assert!(has_room || self.setting.protocol.is_broken(), "the model has too few numbers");
        if has_room { self.claim(seq) } else { self.end_run() }
    }

    fn claim(self, seq: u8) -> World {
        if self.setting.protocol == Protocol::WithoutClaim {
            return self.create(seq);
        }
        let mut partitions = self.writer().rows.seen();
        let Some(first) = partitions.next() else { return self.end_run() };
        let claim = Claim { first, second: partitions.next(), author: Some(self.name) };
        self.send([Some(Write::Claim(seq, claim)), None], At::Claiming(seq))
    }

    /// Creates the objects from this number on: all but the last, and then that.
    fn create(self, seq: u8) -> World {
        let mut keys = (seq..).zip(self.writer().rows.seen()).map(|(seq, partition)| Key { seq, partition });
        match (keys.next(), keys.next()) {
            (first, Some(last)) if self.setting.protocol == Protocol::LastBesideTheOther => {
                self.create_keys([first, Some(last)], None)
            }
            (first, last) => self.create_keys([first, None], last),
        }
    }

    fn create_keys(self, keys: Keys, last: Option<Key>) -> World {
        self.send(keys.map(|key| key.map(|key| self.write(key))), At::Creating(keys, last))
    }

    /// The object of a key. The last of the diff says that nothing of the poll is missing.
    fn write(&self, key: Key) -> Write {
        let Writer { rows, said, .. } = *self.writer();
        let is_last = rows.seen().last() == Some(key.partition) || self.setting.protocol == Protocol::CompleteTooEarly;
        let version = rows.of(key.partition);
        Write::Object(key, Object::Rows { version, completes: said.filter(|_| is_last), author: Some(self.name) })
    }

    fn send_again(self, asked: Asked) -> World {
        let write = match asked {
            Asked::Object(key) => Some(self.write(key)),
            Asked::Void(key) => Some(Write::Object(key, Object::Void)),
            Asked::Claim(_) => None,
        };
        self.send([write, None], self.writer().at)
    }

    /// Sends creates, and waits for their answers. What is sent takes effect when it arrives, so sending is no step of its
    /// own.
    fn send(mut self, writes: [Option<Write>; 2], at: At) -> World {
        for write in writes.into_iter().flatten() {
            let has_room = self.world.sent.add(write);
            assert!(has_room || self.setting.protocol.is_broken(), "the model has too little room for writes");
        }
        self.setting.protocol.forget_futile(&mut self.world);
        self.at(at)
    }

    fn at(mut self, at: At) -> World {
        self.world.writer_mut(self.name).at = at;
        self.world
    }

    fn writer(&self) -> &Writer {
        self.world.writer(self.name)
    }
}

fn without(mut keys: Keys, key: Key) -> Keys {
    keys.iter_mut().filter(|waiting| **waiting == Some(key)).for_each(|waiting| *waiting = None);
    keys.sort_unstable();
    keys
}

/// What a writer finds at the key of its create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Ours,
    Theirs,
}
