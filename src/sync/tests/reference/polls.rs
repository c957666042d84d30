//! Polls, each a mutation of the one before: what is listed, how it is laid out, and what happens to the bytes.

use proptest::{
    collection::{SizeRange, vec},
    prelude::*,
    sample::{Index, select},
};

use super::{
    pair::Habits,
    records::{FLAWS, Flaw, Kind, Record},
};
use crate::tests::random::Random;

/// What becomes of the list between two polls.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Change(Index),
    ChangeEvery(usize),
    Rewrite(Index),
    RewriteAll(u64),
    Drop(Index, usize),
    Insert(Index, usize),
    /// Records that had gone stand in the list again.
    Return(Index, usize),
    /// So many, from one place to another.
    Move(Index, usize, Index),
    Shuffle(u64),
    Reverse,
    Rotate(Index),
    /// A record stands a second time, in this style.
    Repeat(Index, Index, u64),
    /// A record stands a second time with another value.
    Contradict(Index, Index),
    Spoil(Index, Flaw),
    Mend,
}

/// What happens to the bytes.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Flip(Index, u8),
    Delete(Index, usize),
    Insert(Index, u8),
    Truncate(Index),
    Append(&'static str),
    DropComma(Index),
    DoubleComma(Index),
}

/// A poll.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    pub steps: Vec<Step>,
    /// Of the white space between the records; 0 for none.
    pub layout: u64,
    pub damage: Option<Damage>,
    /// Sizes of the chunks.
    pub sizes: Vec<usize>,
    pub habits: Habits,
}

/// What the API lists.
pub(super) struct List {
    kind: Kind,
    records: Vec<Record>,
    gone: Vec<Record>,
    /// Records that there have been.
    numbers: u32,
}

impl List {
    pub(super) fn new(kind: Kind, count: usize) -> Self {
        let mut list = Self { kind, records: Vec::new(), gone: Vec::new(), numbers: 0 };
        list.insert(0, count);
        list
    }

    /// The body of the next poll.
    pub(super) fn body(&mut self, poll: &Poll) -> Vec<u8> {
        let mut numbers = std::collections::HashSet::new();
        self.records.retain(|record| numbers.insert(record.number));
        poll.steps.iter().for_each(|step| self.step(step));
        self.write(poll)
    }

    fn write(&self, poll: &Poll) -> Vec<u8> {
        let mut random = Random::new(poll.layout);
        let mut gap = || if poll.layout == 0 { "" } else { random.pick(&["", "", " ", "\n", "\r\n\t"]) };
        let (mut body, mut commas) = (format!("{}[", gap()), Vec::new());
        for (nth, record) in self.records.iter().enumerate() {
            if nth > 0 {
                commas.push(body.len());
                body.push(',');
            }
            body += gap();
            body += &record.write(self.kind);
            body += gap();
        }
        body.push(']');
        body += gap();
        let mut body = body.into_bytes();
        if let Some(damage) = &poll.damage {
            damage.strike(&mut body, &commas);
        }
        body
    }

    fn step(&mut self, step: &Step) {
        let count = self.records.len();
        let place = |index: &Index| index.index(count + 1);
        let some = |index: &Index, length: usize| {
            let start = place(index);
            start..count.min(start + length)
        };
        match step {
            Step::Change(at) => self.records[some(at, 1)].iter_mut().for_each(|record| record.version += 1),
            Step::ChangeEvery(nth) => self.records.iter_mut().step_by(*nth).for_each(|record| record.version += 1),
            Step::Rewrite(at) => {
                self.records[some(at, 1)].iter_mut().for_each(|record| record.style = record.style.wrapping_add(1))
            }
            Step::RewriteAll(seed) => {
                let styles = (0..).map(|nth| if *seed == 0 { 0 } else { seed.wrapping_add(nth).max(1) });
                self.records.iter_mut().zip(styles).for_each(|(record, style)| record.style = style);
            }
            Step::Drop(at, length) => self.gone.extend(self.records.drain(some(at, *length))),
            Step::Insert(at, length) => self.insert(place(at), *length),
            Step::Return(at, length) => {
                let back = self.gone.drain(self.gone.len().saturating_sub(*length)..).collect::<Vec<_>>();
                self.records.splice(place(at)..place(at), back);
            }
            Step::Move(from, length, to) => {
                let moved: Vec<_> = self.records.drain(some(from, *length)).collect();
                let to = to.index(self.records.len() + 1);
                self.records.splice(to..to, moved);
            }
            Step::Shuffle(seed) => {
                let mut random = Random::new(*seed);
                (1..count).rev().for_each(|at| self.records.swap(at, random.below(at as u64 + 1) as usize));
            }
            Step::Reverse => self.records.reverse(),
            Step::Rotate(by) => self.records.rotate_left(by.index(count + 1)),
            Step::Repeat(at, to, style) => self.double(at, to, |record| Record { style: *style, ..record }),
            Step::Contradict(at, to) => self.double(at, to, |record| Record { version: record.version + 1, ..record }),
            Step::Spoil(at, flaw) => self.records[some(at, 1)].iter_mut().for_each(|record| record.flaw = Some(*flaw)),
            Step::Mend => self.records.iter_mut().for_each(|record| record.flaw = None),
        }
    }

    fn insert(&mut self, place: usize, count: usize) {
        let numbers = self.numbers..self.numbers + count as u32;
        self.numbers = numbers.end;
        let new = numbers.map(|number| Record { number, version: 0, style: 0, flaw: None });
        self.records.splice(place..place, new);
    }

    fn double(&mut self, at: &Index, to: &Index, other: impl FnOnce(Record) -> Record) {
        if !self.records.is_empty() {
            let record = other(self.records[at.index(self.records.len())]);
            self.records.insert(to.index(self.records.len() + 1), record);
        }
    }
}

impl Damage {
    fn strike(&self, body: &mut Vec<u8>, commas: &[usize]) {
        let place = |index: &Index| index.index(body.len());
        match self {
            Damage::Flip(at, bits) => {
                let at = place(at);
                body[at] ^= bits;
            }
            Damage::Delete(at, length) => {
                let at = place(at);
                body.drain(at..body.len().min(at + length));
            }
            Damage::Insert(at, byte) => body.insert(place(at), *byte),
            Damage::Truncate(at) => body.truncate(place(at)),
            Damage::Append(text) => body.extend_from_slice(text.as_bytes()),
            Damage::DropComma(nth) if !commas.is_empty() => drop(body.remove(commas[nth.index(commas.len())])),
            Damage::DoubleComma(nth) if !commas.is_empty() => body.insert(commas[nth.index(commas.len())], b','),
            Damage::DropComma(_) | Damage::DoubleComma(_) => body.push(b','),
        }
    }
}

/// A first list of so many records, and what becomes of it. `reach` is how many records a step concerns at most.
pub(super) fn history(
    records: impl Into<SizeRange>,
    polls: impl Into<SizeRange>,
    reach: usize,
) -> impl Strategy<Value = (usize, Vec<Poll>)> {
    let records: SizeRange = records.into();
    ((records.start()..records.end_excl()), vec(poll(reach), polls))
}

fn poll(reach: usize) -> impl Strategy<Value = Poll> {
    let sizes = prop_oneof![vec(1_usize..80, 1..4), vec(1_usize..5_000, 1..4), Just(vec![usize::MAX])];
    let layout = prop_oneof![Just(0), any::<u64>()];
    let habits = prop_oneof![3 => Just((false, false, false)), 1 => any::<(bool, bool, bool)>()];
    let damage = prop_oneof![4 => Just(None), 1 => damage().prop_map(Some)];
    (vec(step(reach), 0..6), layout, damage, sizes, habits).prop_map(|(steps, layout, damage, sizes, habits)| {
        let (withholds, forgets, takes_inputs) = habits;
        Poll { steps, layout, damage, sizes, habits: Habits { withholds, forgets, takes_inputs } }
    })
}

/// Records that are no neighbours any more.
const FAR: usize = 256;

fn step(reach: usize) -> impl Strategy<Value = Step> {
    let at = any::<Index>;
    let style = || prop_oneof![2 => Just(0), 1 => any::<u64>()];
    // In a long list it takes another order to leave the window, and it is then that a record may hide that stands twice.
    let far = if reach > FAR { 4 } else { 1 };
    prop_oneof![
        4 => at().prop_map(Step::Change),
        1 => (1_usize..40).prop_map(Step::ChangeEvery),
        2 => at().prop_map(Step::Rewrite),
        1 => style().prop_map(Step::RewriteAll),
        3 => (at(), 1..=reach).prop_map(|(at, length)| Step::Drop(at, length)),
        3 => (at(), 1..=reach).prop_map(|(at, length)| Step::Insert(at, length)),
        3 => (at(), 1..=reach).prop_map(|(at, length)| Step::Return(at, length)),
        3 => (at(), 1..=reach, at()).prop_map(|(from, length, to)| Step::Move(from, length, to)),
        far => any::<u64>().prop_map(Step::Shuffle),
        far => Just(Step::Reverse),
        far => at().prop_map(Step::Rotate),
        2 * far => (at(), at(), style()).prop_map(|(at, to, style)| Step::Repeat(at, to, style)),
        1 => (at(), at()).prop_map(|(at, to)| Step::Contradict(at, to)),
        2 => (at(), select(&FLAWS[..])).prop_map(|(at, flaw)| Step::Spoil(at, flaw)),
        1 => Just(Step::Mend),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        2 => (at(), 1_usize..8).prop_map(|(at, length)| Damage::Delete(at, length)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => (at(), select(&b"\"\\{}[],: 0\x00\xff"[..])).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => at().prop_map(Damage::Truncate),
        1 => select(&[" ", "\n\n", ",", "]", "[]", "x", "\0"][..]).prop_map(Damage::Append),
        1 => at().prop_map(Damage::DropComma),
        1 => at().prop_map(Damage::DoubleComma),
    ]
}
