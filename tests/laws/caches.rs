//! Everything but `changes/` and the claims is a cache: whatever is done to it, the next sync mends it and commits nothing.

use std::fs;

use chrono::TimeDelta;

use super::records::{assert_current_is_the_truth, assert_lake_is_the_truth, documented};
use crate::support::{duckdb::DuckDb, lake::Lake, program::Sync, random::Random, sandbox::Sandbox};

const ROUNDS: usize = 10;

/// What may become of a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Deleted,
    Emptied,
    Halved,
    OneByteOther,
    Text,
    OfAnother,
}

const DAMAGES: [Damage; 6] =
    [Damage::Deleted, Damage::Emptied, Damage::Halved, Damage::OneByteOther, Damage::Text, Damage::OfAnother];

/// The files of a lake that are caches.
fn caches(lake: &Lake) -> Vec<String> {
    let is_cache = |file: &String| {
        file.starts_with("current/") || file.ends_with("/current.json") || file.split('/').nth(2) == Some("state")
    };
    lake.files().into_iter().filter(is_cache).collect()
}

fn damage(lake: &Lake, file: &str, other: &str, damage: Damage, random: &mut Random) {
    let path = lake.path().join(file);
    // What is damaged already stays so.
    let Ok(mut bytes) = fs::read(&path) else { return };
    match damage {
        Damage::Deleted => return fs::remove_file(path).unwrap(),
        Damage::Emptied => bytes.clear(),
        Damage::Halved => bytes.truncate(bytes.len() / 2),
        Damage::OneByteOther if !bytes.is_empty() => {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << random.below(8);
        }
        Damage::OneByteOther => {}
        Damage::Text => bytes = b"{\"format\":1}\n".to_vec(),
        Damage::OfAnother => bytes = fs::read(lake.path().join(other)).unwrap_or_default(),
    }
    fs::write(path, bytes).unwrap();
}

/// Everything that is no cache.
fn truth_files(lake: &Lake) -> Vec<(String, Vec<u8>)> {
    let caches = caches(lake);
    lake.contents().into_iter().filter(|(file, _)| !caches.contains(file)).collect()
}

struct Damaged {
    lake: Lake,
    sandbox: Sandbox,
    duckdb: DuckDb,
}

impl Damaged {
    fn new(seed: u64) -> Self {
        let damaged = Self { lake: Lake::new(), sandbox: Sandbox::start(seed, 1500), duckdb: DuckDb::start() };
        for _ in 0..3 {
            Sync::new(&damaged.lake, &damaged.sandbox.url()).succeed();
            damaged.sandbox.advance(TimeDelta::days(3));
        }
        Sync::new(&damaged.lake, &damaged.sandbox.url()).succeed();
        damaged
    }

    /// Syncs, and fails unless that restores `current/` and leaves the truth as it was.
    fn mend(&mut self, what: &str) {
        let before = truth_files(&self.lake);
        let synced = Sync::new(&self.lake, &self.sandbox.url()).run();
        assert_eq!(synced.ended.code, Some(0), "{what}: {:?}", synced.ended);
        assert!(truth_files(&self.lake) == before, "{what}: something was committed");
        assert_current_is_the_truth(&mut self.duckdb, &self.lake, &self.sandbox, &documented());
    }
}

#[test]
fn caches_that_are_gone_are_made_again() {
    let mut damaged = Damaged::new(14);
    let all = caches(&damaged.lake);
    for part in ["state", "current.json", "current/", ""] {
        for file in all.iter().filter(|file| file.contains(part)) {
            let _ = fs::remove_file(damaged.lake.path().join(file));
        }
        if part == "current/" {
            fs::remove_dir_all(damaged.lake.path().join("current")).unwrap();
        }
        damaged.mend(&format!("without all of *{part}*"));
    }
}

#[test]
fn caches_that_are_damaged_at_random_are_made_again() {
    let mut random = Random::seeded(1503);
    let mut damaged = Damaged::new(15);
    for round in 0..ROUNDS {
        let all = caches(&damaged.lake);
        let share = 1 + random.below(12);
        let mut done = Vec::new();
        for file in &all {
            if random.one_in(share) {
                let kind = random.pick(&DAMAGES);
                damage(&damaged.lake, file, &all[random.below(all.len() as u64) as usize], kind, &mut random);
                done.push((kind, file));
            }
        }
        println!("round {round}: {done:?}");
        damaged.mend(&format!("round {round}"));
    }
    // Nor does it matter when something is new too.
    for file in caches(&damaged.lake) {
        damage(&damaged.lake, &file, &file, Damage::OneByteOther, &mut random);
    }
    damaged.sandbox.advance(TimeDelta::days(8));
    Sync::new(&damaged.lake, &damaged.sandbox.url()).succeed();
    assert_lake_is_the_truth(&mut damaged.duckdb, &damaged.lake, &damaged.sandbox, &documented());
}

#[test]
fn caches_of_an_earlier_day_are_brought_up_to_date() {
    let mut damaged = Damaged::new(16);
    let earlier: Vec<_> =
        damaged.lake.contents().into_iter().filter(|(file, _)| caches(&damaged.lake).contains(file)).collect();
    damaged.sandbox.advance(TimeDelta::days(10));
    Sync::new(&damaged.lake, &damaged.sandbox.url()).succeed();
    for (file, bytes) in &earlier {
        fs::write(damaged.lake.path().join(file), bytes).unwrap();
    }
    damaged.mend("as of ten days ago");
    // Or only some of them.
    for part in ["state", "current.json", "current/trades", "meta/trades"] {
        for (file, bytes) in earlier.iter().filter(|(file, _)| file.contains(part)) {
            fs::write(damaged.lake.path().join(file), bytes).unwrap();
        }
        damaged.mend(&format!("*{part}* as of ten days ago"));
    }
}
