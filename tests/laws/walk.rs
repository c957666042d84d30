//! A long walk: the clock moves on, a sync follows, and at each step the lake is what is true; at the end it is also all
//! that was ever seen.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::records::{assert_current_is_the_truth, lawful_changes};
use crate::support::{
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced},
    rows::{Records, Row},
    sandbox::Sandbox,
    tables::Resource,
};

/// How far the clock moves before each sync but the first, in hours.
const STEPS_H: [i64; 12] = [1, 6, 24, 2, 72, 7 * 24, 1, 14 * 24, 12, 30 * 24, 3, 5 * 24];

/// What a sync should have seen of one resource so far: of each record every distinct version, and what it was then.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, Vec<(&'static str, Row)>>,
    present: Records,
}

/// What one poll should have found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    added: u64,
    changed: u64,
    removed: u64,
}

impl Seen {
    fn poll(&mut self, truth: Records) -> Found {
        let mut found = Found::default();
        for (key, row) in &truth {
            let (operation, count) = match self.present.get(key) {
                None => ("added", &mut found.added),
                Some(known) if known != row => ("changed", &mut found.changed),
                Some(_) => continue,
            };
            *count += 1;
            self.versions.entry(key.clone()).or_default().push((operation, row.clone()));
        }
        for (key, row) in self.present.iter().filter(|(key, _)| !truth.contains_key(*key)) {
            found.removed += 1;
            self.versions.entry(key.clone()).or_default().push(("removed", row.clone()));
        }
        self.present = truth;
        found
    }
}

struct Walk {
    duckdb: DuckDb,
    lake: Lake,
    sandbox: Sandbox,
    seen: BTreeMap<String, Seen>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let (lake, sandbox) = (Lake::new(), Sandbox::start(seed, 10_000));
        Self { duckdb: DuckDb::start(), lake, sandbox, seen: BTreeMap::new() }
    }

    fn sync(&self) -> Synced {
        Sync::new(&self.lake, &self.sandbox.url()).succeed()
    }

    /// Syncs, and compares report and lake with what is true.
    fn step(&mut self, resources: &[Resource]) {
        let synced = self.sync();
        for resource in resources {
            let found = self.seen.entry(resource.name.clone()).or_default().poll(self.sandbox.truth(resource));
            let figure = |name| synced.figure(&resource.name, name);
            let told = Found { added: figure("added"), changed: figure("changed"), removed: figure("removed") };
            assert_eq!(told, found, "the report of {}", resource.name);
            assert_eq!(figure("rows"), found.added + found.changed + found.removed, "{}", resource.name);
        }
        assert_current_is_the_truth(&mut self.duckdb, &self.lake, &self.sandbox, resources);
    }

    /// Syncs, and fails if anything was written.
    fn quiet_sync(&self, when: &str) {
        let before = self.lake.listing();
        let synced = self.sync();
        assert_untouched(&before, &self.lake.listing(), when);
        let outcome = |resource: &String| synced.outcome(resource) == "unchanged";
        assert!(self.seen.keys().all(outcome), "{when}: {}", synced.ended.stdout);
    }
}

#[test]
fn after_every_sync_the_lake_is_what_is_true_and_at_the_end_all_that_was_seen() {
    let mut walk = Walk::new(7);
    let all = Resource::all();
    let documented = all.iter().position(|resource| resource.optional).unwrap();
    walk.step(&all[..documented]);
    walk.sandbox.serve_optional();
    for hours in STEPS_H {
        walk.sandbox.advance(TimeDelta::hours(hours));
        walk.step(&all);
        walk.quiet_sync(&format!("a second sync after {hours} hours"));
    }
    for resource in &all {
        let records = lawful_changes(&mut walk.duckdb, &walk.lake, resource);
        let seen = &walk.seen[&resource.name].versions;
        assert!(records.keys().eq(seen.keys()), "{}: other records than were seen", resource.name);
        for (key, versions) in records {
            let found: Vec<_> = versions.iter().map(|version| (version.operation.as_str(), &version.row)).collect();
            let expected: Vec<_> = seen[&key].iter().map(|(operation, row)| (*operation, row)).collect();
            assert_eq!(found, expected, "{}: versions of {key}", resource.name);
        }
    }
    assert_the_walk_was_worth_it(&walk);
}

/// The walk shows something only if the world did: every operation, and records that changed more than once.
fn assert_the_walk_was_worth_it(walk: &Walk) {
    let all = || walk.seen.values().flat_map(|seen| seen.versions.values());
    for operation in ["added", "changed", "removed"] {
        assert!(all().flatten().any(|(found, _)| *found == operation), "nothing was {operation}");
    }
    assert!(all().any(|versions| versions.len() > 3), "no record changed often");
}

#[test]
fn another_way_of_writing_the_same_values_writes_nothing() {
    let mut walk = Walk::new(8);
    let all = Resource::all();
    walk.sandbox.serve_optional();
    walk.step(&all);
    for style in [
        "key_order=shuffled",
        "whitespace=pretty",
        "numbers=alternate",
        "order=reversed",
        "order=shuffled",
        "key_order=shuffled&whitespace=pretty&numbers=alternate&order=shuffled",
        "",
    ] {
        walk.sandbox.style(style);
        walk.quiet_sync(style);
    }
    // What comes later in the other form is stored as what it means.
    walk.sandbox.style("whitespace=pretty&numbers=alternate&order=reversed");
    walk.sandbox.advance(TimeDelta::days(9));
    walk.step(&all);
}
