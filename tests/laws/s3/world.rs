//! A lake in a bucket that already has commits, what the API says next, and the check of what is there at the end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use tempfile::TempDir;

use crate::{
    laws::records::{assert_lake_is_the_truth, lawful_changes},
    support::{
        duckdb::DuckDb,
        lake::Lake,
        program::{Sync, Synced},
        rows::Records,
        s3::{
            Options, S3,
            bucket::{Bucket, Verb},
            fault::Class,
        },
        sandbox::Sandbox,
        tables::Resource,
    },
};

/// A request that is not answered is given up after this time.
const TIMEOUT: &str = "700 ms";

/// What all cases begin with.
pub struct World {
    pub sandbox: Sandbox,
    pub resources: Vec<Resource>,
    /// What is in the bucket: what the API said before.
    pub bucket: Bucket,
    /// What the API said before, and what it says now, of each resource.
    truths: [Vec<Records>; 2],
    /// The requests of a sync that nothing happens to, by class.
    pub requests: BTreeMap<Class, u64>,
}

/// A lake in a bucket of its own, and a folder to run in.
pub struct Place {
    pub s3: S3,
    pub folder: TempDir,
}

impl World {
    pub fn new(seed: u64, records: u64, names: &[&str]) -> Self {
        let sandbox = Sandbox::start(seed, records);
        let resources: Vec<_> = names.iter().map(|name| Resource::named(name)).collect();
        let truth = || resources.iter().map(|resource| sandbox.truth(resource)).collect::<Vec<_>>();
        let place = Place::new(S3::start(Options::default()));
        let before = truth();
        place.sync(&sandbox, &resources).succeed();
        let bucket = place.s3.bucket(|bucket| bucket.clone());
        sandbox.advance(TimeDelta::days(20));
        let after = truth();
        let clean = Place::new(S3::with(bucket.clone(), Options::default()));
        clean.sync(&sandbox, &resources).succeed();
        let requests = clean.s3.counts();
        Self { sandbox, resources, bucket, truths: [before, after], requests }
    }

    /// The lake, in a bucket of its own.
    pub fn place(&self) -> Place {
        self.place_with(Options::default())
    }

    pub fn place_with(&self, options: Options) -> Place {
        Place::new(S3::with(self.bucket.clone(), options))
    }

    pub fn sync(&self, place: &Place) -> Sync {
        place.sync(&self.sandbox, &self.resources)
    }

    /// Fails unless the lake holds each record as it was before and as it is now, once each, and reads so in both layers.
    #[track_caller]
    pub fn assert_is_the_truth(&self, place: &Place, duckdb: &mut DuckDb) {
        let lake = Lake::of(&place.s3.contents());
        assert_lake_is_the_truth(duckdb, &lake, &self.sandbox, &self.resources);
        for (place, resource) in self.resources.iter().enumerate() {
            let [before, after] = &self.truths;
            for (key, versions) in lawful_changes(duckdb, &lake, resource) {
                let was = before[place].get(&key);
                let is = after[place].get(&key).filter(|is| was != Some(is));
                let expected: Vec<_> = was.into_iter().chain(is).collect();
                let found: Vec<_> = versions.iter().filter(|version| version.operation != "removed").collect();
                let same = expected.len() == found.len()
                    && expected.iter().zip(&found).all(|(expected, found)| **expected == found.row);
                assert!(same, "{}: {key} has the versions {found:?}, and not {expected:?}", resource.name);
            }
        }
        let deletes = place.s3.seen().into_iter().filter(|seen| seen.verb == Verb::Delete).count();
        assert_eq!(deletes, 0, "a sync deletes nothing");
    }
}

impl Place {
    pub fn new(s3: S3) -> Self {
        Self { s3, folder: TempDir::new().unwrap() }
    }

    pub fn sync(&self, sandbox: &Sandbox, resources: &[Resource]) -> Sync {
        let mut location = self.s3.location();
        location.environment.insert("AWS_TIMEOUT", TIMEOUT.to_owned());
        let sync = Sync::into_bucket(self.folder.path(), &location, &sandbox.url());
        resources.iter().fold(sync, |sync, resource| sync.arg("--resource").arg(&resource.name))
    }

    /// Fails unless what a report calls committed is there.
    #[track_caller]
    pub fn assert_is_there(&self, synced: &Synced) {
        let contents = self.s3.contents();
        for (name, line) in &synced.resources {
            for seq in line["commits"].as_array().unwrap() {
                let file = format!("/{:020}.parquet", seq.as_u64().unwrap());
                let folder = format!("changes/{name}/");
                let is_there = contents.keys().any(|key| key.starts_with(&folder) && key.ends_with(&file));
                assert!(is_there, "{name}: commit {seq} is reported, and not there");
            }
        }
    }
}

/// What a test has of its time; what takes longer is not bounded.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = run();
    (result, begun.elapsed())
}
