//! A sync that is killed anywhere leaves a lake that reads right, and the next one finds the rest.

use std::{
    thread,
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use super::records::{assert_lake_is_the_truth, documented, lawful_changes};
use crate::support::{
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, program_without_credentials, run},
    random::Random,
    sandbox::Sandbox,
};

/// Syncs to be killed while they run: first ones, and later ones that find little.
const FIRST_KILLS: u32 = 14;
const LATER_KILLS: u32 = 18;
/// How often a moment may be too late, because the machine was quicker than it was before.
const MISSES_MAX: u32 = 100;

struct Killing {
    lake: Lake,
    sandbox: Sandbox,
    duckdb: DuckDb,
    random: Random,
    misses: u32,
}

impl Killing {
    fn sync(&self, lake: &Lake) -> Sync {
        Sync::new(lake, &self.sandbox.url())
    }

    /// How long a sync takes that is left alone.
    fn measure(&self, lake: &Lake) -> Duration {
        let begun = Instant::now();
        self.sync(lake).succeed();
        begun.elapsed()
    }

    /// Kills a sync in the `part`th of `parts` equal parts of `whole`, the time that one takes. If it has ended by then,
    /// `whole` was too long; it is made shorter, and `again` prepares another attempt.
    fn kill(&mut self, whole: &mut Duration, part: u32, parts: u32, again: impl Fn(&mut Self)) {
        loop {
            let moment = whole.mul_f64((f64::from(part) + self.random.share()) / f64::from(parts));
            let mut child = self.sync(&self.lake).spawn();
            thread::sleep(moment);
            let is_alive = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            println!("killed after {moment:?} of {whole:?}: {}", if is_alive { "alive" } else { "it had ended" });
            self.check_what_was_left();
            if is_alive {
                return;
            }
            self.misses += 1;
            assert!(self.misses < MISSES_MAX, "too few syncs are met alive");
            *whole = whole.mul_f64(0.9);
            again(self);
        }
    }

    /// What readers find: whole files only, each version once, and a status that agrees.
    fn check_what_was_left(&mut self) {
        for resource in documented() {
            if !self.lake.commits(&resource.name).is_empty() {
                lawful_changes(&mut self.duckdb, &self.lake, &resource);
            }
        }
        if self.lake.path().join("meta/lake.json").exists() {
            let mut command = program_without_credentials(self.lake.folder());
            let status = run(command.args(["status", "--json", "--lake"]).arg(self.lake.path()));
            assert_eq!(status.code, Some(0), "{}", status.stderr);
            for line in status.stdout.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let commits = self.lake.commits(line["resource"].as_str().unwrap());
                assert_eq!((&line["head"], &line["objects"]), (&commits.len().into(), &commits.len().into()), "{line}");
            }
        }
    }

    fn finish(&mut self) {
        self.sync(&self.lake).succeed();
        assert_lake_is_the_truth(&mut self.duckdb, &self.lake, &self.sandbox, &documented());
    }
}

#[test]
fn a_sync_that_is_killed_at_any_moment_is_finished_by_the_next() {
    let mut killing = Killing {
        lake: Lake::new(),
        sandbox: Sandbox::start(11, 3000),
        duckdb: DuckDb::start(),
        random: Random::seeded(1109),
        misses: 0,
    };
    let mut whole = killing.measure(&Lake::new());
    for part in 0..FIRST_KILLS {
        // Every second lake is begun anew; the others are what two kills have left.
        if part % 2 == 0 {
            killing.lake = Lake::new();
        }
        killing.kill(&mut whole, part, FIRST_KILLS, |killing| killing.lake = Lake::new());
        if part % 2 == 1 {
            killing.finish();
        }
    }
    killing.sandbox.advance(TimeDelta::days(2));
    let mut whole = killing.measure(&killing.lake);
    for part in 0..LATER_KILLS {
        let advance = |killing: &mut Killing| killing.sandbox.advance(TimeDelta::hours(13 + i64::from(part)));
        advance(&mut killing);
        killing.kill(&mut whole, part, LATER_KILLS, advance);
        if part % 3 == 2 {
            killing.finish();
        }
    }
}
