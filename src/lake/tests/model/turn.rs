//! What a writer does: its run, step by step.

use super::{
    protocol::{Answer, Outcome, Protocol, Setting, Step},
    records::{Records, Version},
    store::{Claim, Entry, Key, NUMBERS_MAX, Object, Write},
    world::{At, Name, World, Writer},
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
                    happens(Step::Lists(name), self.list(self.last().saturating_sub(1)));
                }
                // Who dies before it has done anything might as well not have begun.
                return;
            }
            At::Looking(last) => happens(Step::Looks(name), self.look(last)),
            At::Polling(head) => happens(Step::Polls(name), self.poll(head)),
            At::Voiding(_) | At::Claiming(_) | At::Creating(_) => {
                for answer in [Answer::Created, Answer::Exists, Answer::Failed] {
                    if answer != Answer::Created || self.read_back() == There::Ours {
                        let (outcome, next) = self.answered(answer);
                        happens(Step::Answered(name, answer, outcome), next);
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
            At::Voiding(_) | At::Claiming(_) | At::Creating(_) => Some(self.answered(Answer::Created).1),
        }
    }

    /// The last number that is claimed.
    fn last(&self) -> u8 {
        match self.setting.protocol {
            Protocol::WithoutClaim => self.world.store.last(Entry::has_object),
            _ => self.world.store.last(|entry| entry.claim.is_some()),
        }
    }

    /// Lists the claims, and finds that this is the last.
    fn list(self, last: u8) -> World {
        self.at(if last == 0 { At::Polling(0) } else { At::Looking(last) })
    }

    /// A claim without its object is closed with a void, before anything else is done.
    fn look(self, last: u8) -> World {
        if self.setting.protocol == Protocol::WithoutClaim {
            return self.at(At::Polling(last));
        }
        let Some(claim) = self.world.store.claim(last) else { return self.end_run() };
        let key = Key { seq: last, partition: claim.partition };
        match self.world.store.object(key) {
            None if self.setting.protocol != Protocol::WithoutVoid => self.void(key),
            _ => self.at(At::Polling(last)),
        }
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
        self.commit_next(head + 1)
    }

    /// Whatever the answer, what is there decides.
    fn answered(self, answer: Answer) -> (Outcome, World) {
        if let Some(misled) = self.misled(answer) {
            return misled;
        }
        match (self.writer().at, self.read_back()) {
            (At::Voiding(key), There::Nothing) => (Outcome::SentAgain, self.void(key)),
            (At::Voiding(key), _) => (Outcome::Settled, self.at(At::Polling(key.seq))),
            (At::Claiming(key), There::Nothing) => (Outcome::SentAgain, self.claim(key)),
            (At::Claiming(key), There::Ours) => (Outcome::Claimed, self.create(key)),
            (At::Creating(key), There::Nothing) => (Outcome::SentAgain, self.create(key)),
            (At::Creating(key), There::Ours) => (Outcome::Committed, self.committed(key)),
            (_, There::Theirs) => (Outcome::Lost, self.lose()),
            (at, There::Nothing | There::Ours) => unreachable!("{at:?} awaits no answer"),
        }
    }

    /// What a writer does that follows another rule.
    fn misled(self, answer: Answer) -> Option<(Outcome, World)> {
        match (self.setting.protocol, self.writer().at, answer) {
            (Protocol::VoidNotReadBack, At::Voiding(key), _)
            | (Protocol::SilenceMeansSuccess, At::Voiding(key), Answer::Failed) => {
                Some((Outcome::Settled, self.at(At::Polling(key.seq))))
            }
            (Protocol::SilenceMeansSuccess, At::Claiming(key), Answer::Failed) => {
                Some((Outcome::Claimed, self.create(key)))
            }
            (Protocol::SilenceMeansSuccess, At::Creating(key), Answer::Failed) => {
                Some((Outcome::Committed, self.committed(key)))
            }
            (Protocol::ExistsMeansLost, At::Claiming(_) | At::Creating(_), Answer::Exists) => {
                Some((Outcome::Lost, self.lose()))
            }
            (
                Protocol::NewNumberWithoutReadBack,
                At::Claiming(key) | At::Creating(key),
                Answer::Exists | Answer::Failed,
            ) => Some((Outcome::PassedOver, self.commit_next(key.seq + 1))),
            _ => None,
        }
    }

    /// What is at the key of the create that waits for its answer.
    fn read_back(&self) -> There {
        let store = &self.world.store;
        let author = match self.writer().at {
            At::Voiding(key) => store.object(key).map(|object| (object == Object::Void).then_some(self.name)),
            At::Claiming(key) => store.claim(key.seq).map(|claim| claim.author),
            At::Creating(key) => store.object(key).map(Object::author),
            At::Listing | At::Looking(_) | At::Polling(_) | At::Over => None,
        };
        match author {
            Some(author) if author == Some(self.name) => There::Ours,
            Some(_) => There::Theirs,
            None => There::Nothing,
        }
    }

    fn committed(mut self, key: Key) -> World {
        self.world.writer_mut(self.name).rows.set(key.partition, Version::Unseen);
        if self.setting.protocol == Protocol::ClaimsCollected {
            (1..key.seq).for_each(|seq| *self.world.store.claim_mut(seq) = None);
        }
        self.commit_next(key.seq + 1)
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

    /// What is left to commit takes this number. Nothing is left: the run is over.
    fn commit_next(self, seq: u8) -> World {
        let has_room = usize::from(seq) <= NUMBERS_MAX;
        assert!(has_room || self.setting.protocol.is_broken(), "the model has too few numbers");
        match self.writer().rows.seen().next() {
            Some(partition) if has_room => self.claim(Key { seq, partition }),
            _ => self.end_run(),
        }
    }

    fn void(self, key: Key) -> World {
        self.send(Write::Object(key, Object::Void), At::Voiding(key))
    }

    fn claim(self, key: Key) -> World {
        if self.setting.protocol == Protocol::WithoutClaim {
            return self.create(key);
        }
        let claim = Claim { partition: key.partition, author: Some(self.name) };
        self.send(Write::Claim(key.seq, claim), At::Claiming(key))
    }

    fn create(self, key: Key) -> World {
        let Writer { rows, said, .. } = *self.writer();
        let is_last = rows.seen().count() == 1 || self.setting.protocol == Protocol::CompleteTooEarly;
        let version = rows.of(key.partition);
        let object = Object::Rows { version, completes: said.filter(|_| is_last), author: Some(self.name) };
        self.send(Write::Object(key, object), At::Creating(key))
    }

    /// Sends a create, and waits for its answer. What is sent takes effect when it arrives, so sending is no step of its own.
    fn send(mut self, write: Write, at: At) -> World {
        let has_room = self.world.sent.add(write);
        assert!(has_room || self.setting.protocol.is_broken(), "the model has too little room for writes");
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

/// What a writer finds at the key of its create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Ours,
    Theirs,
}
