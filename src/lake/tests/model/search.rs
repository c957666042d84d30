//! Every world that can come about, breadth first: what breaks a law is found on a shortest way to it.

use std::{
    cell::LazyCell,
    hash::{Hash, Hasher},
};

use hashbrown::HashTable;

use super::{
    laws::Law,
    protocol::Setting,
    sights::Sight,
    story::{Event, Story},
    world::World,
};

/// What was found.
pub(super) struct Search {
    setting: Setting,
    laws: &'static [Law],
    /// In the order in which they were found.
    worlds: Vec<World>,
    /// For each, the world from which it was first reached.
    origins: Vec<u32>,
    /// Where in `worlds` each is.
    index: HashTable<u32>,
    /// Steps that were taken, those to known worlds included.
    pub steps: usize,
    /// Sights that have not been seen.
    pub unseen: Vec<Sight>,
    /// How one of the laws was broken.
    pub violation: Option<Story>,
}

impl Search {
    /// Explores until there is nothing left, or one of the laws is broken.
    pub(super) fn run(setting: Setting, laws: &'static [Law], sights: &[Sight]) -> Self {
        let mut search = Self {
            setting,
            laws,
            worlds: Vec::new(),
            origins: Vec::new(),
            index: HashTable::new(),
            steps: 0,
            unseen: sights.to_vec(),
            violation: None,
        };
        search.add(World::new(setting.bounds), 0);
        let mut explored = 0;
        while explored < search.worlds.len() && search.violation.is_none() {
            search.explore(explored);
            explored += 1;
        }
        search
    }

    /// Number of worlds found. Two that differ by an exchange of the writers' names count as one.
    pub(super) fn worlds(&self) -> usize {
        self.worlds.len()
    }

    fn explore(&mut self, from: usize) {
        let before = self.worlds[from];
        self.setting.steps(&before, |step, after| {
            let event = Event { before, step, after };
            self.steps += 1;
            self.unseen.retain(|(_, is_seen)| !is_seen(&event));
            let is_new = self.add(after, from);
            if self.violation.is_none()
                && let Some(law) = self.broken(&event, is_new)
            {
                self.violation = Some(Story { setting: self.setting, law, events: self.way_to(from, law) });
            }
        });
    }

    /// The law that this event breaks. What holds in a world that is known has been found out.
    fn broken(&self, event: &Event, is_new: bool) -> Option<Law> {
        let clean = LazyCell::new(|| self.setting.clean_run(&event.after));
        let keeps = |law: &Law| law.allows(event) && (!is_new || law.holds(&event.after, self.setting, || *clean));
        self.laws.iter().copied().find(|law| !keeps(law))
    }

    /// Whether this world is new.
    fn add(&mut self, world: World, origin: usize) -> bool {
        let world = world.canonical();
        let Self { worlds, index, .. } = self;
        let hash = hash_of(&world);
        let is_new = index.find(hash, |at| worlds[*at as usize] == world).is_none();
        if is_new {
            let at = worlds.len() as u32;
            worlds.push(world);
            index.insert_unique(hash, at, |at| hash_of(&worlds[*at as usize]));
            self.origins.push(origin as u32);
        }
        is_new
    }

    /// What happens from the beginning to this world, and then breaks the law. The worlds are kept with names that may be
    /// exchanged, so it is acted again with those that the writers had at first.
    fn way_to(&self, last: usize, law: Law) -> Vec<Event> {
        let mut way: Vec<usize> =
            std::iter::successors(Some(last), |at| (*at > 0).then(|| self.origins[*at] as usize)).collect();
        way.reverse();
        let mut events: Vec<Event> = Vec::new();
        let mut now = World::new(self.setting.bounds);
        for at in &way[1..] {
            events.extend(self.event(now, |event| event.after.canonical() == self.worlds[*at]));
            now = events.last().map_or(now, |event| event.after);
        }
        events.extend(self.event(now, |event| self.broken(event, true) == Some(law)));
        events
    }

    /// What can happen in this world and is as asked for.
    fn event(&self, before: World, is: impl Fn(&Event) -> bool) -> Option<Event> {
        let mut found = None;
        self.setting.steps(&before, |step, after| {
            let event = Event { before, step, after };
            if found.is_none() && is(&event) {
                found = Some(event);
            }
        });
        found
    }
}

fn hash_of(world: &World) -> u64 {
    let mut hasher = Mix(0);
    world.hash(&mut hasher);
    hasher.finish()
}

/// A hash of many small values. A bad one would cost time and nothing else.
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write_u8(&mut self, value: u8) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(value)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u8(value as u8);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u8(value as u8);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }
}
