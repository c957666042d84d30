//! What has happened, told so that a person can follow it.

use std::fmt;

use super::{
    laws::Law,
    protocol::{Answer, Asked, Outcome, Setting, Step},
    store::{Author, Object, Write},
    world::{At, Keys, Name, World},
};

/// A step, with the world before and after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub before: World,
    pub step: Step,
    pub after: World,
}

/// A shortest way from the beginning to where a law is broken.
pub(super) struct Story {
    pub setting: Setting,
    pub law: Law,
    pub events: Vec<Event>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} breaks {:?} in {} steps", self.setting.protocol, self.law, self.events.len())?;
        for (index, event) in self.events.iter().enumerate() {
            writeln!(f, "{:4}. {event}", index + 1)?;
        }
        let Some(Event { after, .. }) = self.events.last() else { return Ok(()) };
        writeln!(f, "      the API says {:?}; the lake has", after.api)?;
        list(f, after)?;
        if matches!(self.law, Law::NothingLost | Law::Fenced) {
            let clean = self.setting.clean_run(after);
            writeln!(f, "      if all die, and one run is made without accidents")?;
            list(f, &clean)?;
            writeln!(f, "      and if then all arrives that was on its way")?;
            list(f, &self.setting.all_arrived(clean, after.sent))?;
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, world: &World) -> fmt::Result {
    world.store.objects().try_for_each(|(key, object)| writeln!(f, "        {key}: {}", content(object)))
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, step, after } = self;
        match *step {
            Step::Moves(partition) => write!(f, "the record of {partition:?} becomes {:?}", after.api.of(partition)),
            Step::Arrives(write) if after.store == before.store => write!(f, "{} arrives too late", told(write)),
            Step::Arrives(write) if before.store.has_taken(write) => {
                write!(f, "{} replaces what is there", told(write))
            }
            Step::Arrives(write) => write!(f, "{} arrives", told(write)),
            Step::Dropped(write) => write!(f, "{} is dropped", told(write)),
            Step::Lists(name) => write!(f, "{name:?} lists the claims; {}", self.then(name)),
            Step::Looks(name) => write!(f, "{name:?} looks for the last claim's objects; {}", self.then(name)),
            Step::Polls(name) => match before.writer(name).said {
                Some(said) => write!(f, "{name:?} keeps to its poll of {said:?}; {}", self.then(name)),
                None => write!(f, "{name:?} polls {:?}; {}", before.api, self.then(name)),
            },
            Step::Answered(name, asked, answer, outcome) => {
                let (asked, said, concluded) = (asked_for(asked), said(answer), concluded(outcome));
                write!(f, "{name:?} is answered {asked} {said}, and {concluded}; {}", self.then(name))
            }
            Step::Crashes(name) => write!(f, "{name:?} dies"),
        }
    }
}

impl Event {
    /// Whether a write arrives at a key that is free, and is as asked for.
    pub(super) fn creates(&self, is: impl Fn(Write) -> bool) -> bool {
        matches!(self.step, Step::Arrives(write) if !self.before.store.has_taken(write) && is(write))
    }

    /// Whether a writer is answered, and the create, the answer and what it makes of it are as asked for.
    pub(super) fn answered(&self, is: impl Fn(Asked, Answer, Outcome) -> bool) -> bool {
        matches!(self.step, Step::Answered(_, asked, answer, outcome) if is(asked, answer, outcome))
    }

    /// What a writer is about to do.
    fn then(&self, name: Name) -> String {
        let (writer, before) = (self.after.writer(name), self.before.writer(name));
        match writer.at {
            _ if writer.runs < before.runs => "its run is over".to_owned(),
            At::Listing => "it begins again".to_owned(),
            At::Looking(last) => format!("the last is {last}"),
            At::Polling(head) => format!("its head is {head}"),
            At::Voiding(keys, _) => format!("it waits for voids of {}", listed(keys)),
            At::Claiming(seq) => format!("it waits for its claim of {seq}"),
            At::Creating(keys, _) => format!("it waits for its objects for {}", listed(keys)),
            At::Over => "it is done".to_owned(),
        }
    }
}

fn listed(keys: Keys) -> String {
    keys.into_iter().flatten().map(|key| key.to_string()).collect::<Vec<_>>().join(" and ")
}

fn asked_for(asked: Asked) -> String {
    match asked {
        Asked::Claim(seq) => format!("for its claim of {seq}"),
        Asked::Void(key) => format!("for its void for {key}"),
        Asked::Object(key) => format!("for its object for {key}"),
    }
}

fn told(write: Write) -> String {
    match write {
        Write::Claim(seq, claim) => {
            let keys: Vec<_> = claim.keys(seq).map(|key| key.to_string()).collect();
            format!("{} claim of {}", possessive(claim.author), keys.join(" and "))
        }
        Write::Object(key, Object::Void) => format!("the void for {key}"),
        Write::Object(key, object) => format!("{} object for {key}, {}", possessive(object.author()), content(object)),
    }
}

fn possessive(author: Author) -> &'static str {
    match author {
        Some(Name::A) => "A's",
        Some(Name::B) => "B's",
        None => "an ended attempt's",
    }
}

fn content(object: Object) -> String {
    match object {
        Object::Void => "a void".to_owned(),
        Object::Rows { version, completes: None, .. } => format!("{version:?}"),
        Object::Rows { version, completes: Some(said), .. } => {
            format!("{version:?}, which completes a poll of {said:?}")
        }
    }
}

fn said(answer: Answer) -> &'static str {
    match answer {
        Answer::Created => "that it is created",
        Answer::Exists => "that it exists",
        Answer::Failed => "with an error",
    }
}

fn concluded(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::SentAgain => "finds nothing",
        Outcome::Settled => "takes what is there for final",
        Outcome::Claimed => "takes the number for its own",
        Outcome::Committed => "takes its object for committed",
        Outcome::Lost => "takes it for lost",
        Outcome::PassedOver => "gives the number up",
    }
}
