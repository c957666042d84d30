//! A `verify --json`, and what it found.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use super::{
    lake::Lake,
    program::{Ended, program_without_credentials, run},
};

/// A `verify --json` that has ended.
#[derive(Debug)]
pub struct Verified {
    pub ended: Ended,
    /// Each resource's line.
    pub resources: BTreeMap<String, Value>,
    /// The lines of differences from the API.
    pub differences: Vec<Value>,
    /// The line of the run.
    pub run: Value,
}

/// A law, and the key of the object that breaks it.
pub type Finding = (String, String);

impl Verified {
    /// Verifies a lake, without credentials and without an API.
    pub fn of(lake: &Lake, args: &[&str]) -> Self {
        Self::told(run(&mut Self::command(lake, args)))
    }

    /// The command that does so.
    pub fn command(lake: &Lake, args: &[&str]) -> Command {
        let mut command = program_without_credentials(lake.folder());
        command.args(["verify", "--json", "--lake"]).arg(lake.path()).args(args);
        command
    }

    /// What a command that has ended has told.
    pub fn told(ended: Ended) -> Self {
        let (mut resources, mut differences) = (BTreeMap::new(), Vec::new());
        let mut of_run = Value::Null;
        for line in ended.stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            match (line["resource"].as_str(), line.get("difference")) {
                (Some(resource), _) => drop(resources.insert(resource.to_owned(), line)),
                (None, Some(difference)) => differences.push(difference.clone()),
                (None, None) => of_run = line["run"].clone(),
            }
        }
        Self { ended, resources, differences, run: of_run }
    }

    /// All findings.
    pub fn findings(&self) -> BTreeSet<Finding> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.listed("findings").map(|finding| (text(&finding["law"]), text(&finding["key"]))).collect()
    }

    /// The keys of all notes.
    pub fn notes(&self) -> Vec<&str> {
        self.listed("notes").map(|note| note["key"].as_str().unwrap()).collect()
    }

    /// A figure of a resource's comparison with the API.
    pub fn compared(&self, resource: &str, name: &str) -> u64 {
        let figure = &self.resources[resource]["against_api"][name];
        figure.as_u64().unwrap_or_else(|| panic!("{resource} has no {name}: {}", self.ended.stderr))
    }

    /// A figure of a resource's line.
    pub fn figure(&self, resource: &str, name: &str) -> u64 {
        self.resources[resource][name].as_u64().unwrap_or_else(|| panic!("{resource} has no {name}"))
    }

    fn listed(&self, what: &str) -> impl Iterator<Item = &Value> {
        self.resources.values().chain([&self.run]).flat_map(move |line| line[what].as_array().into_iter().flatten())
    }
}

/// Fails unless a lake breaks no law.
#[track_caller]
pub fn assert_verified(lake: &Lake) {
    let verified = Verified::of(lake, &[]);
    assert_eq!(verified.findings(), BTreeSet::new(), "{}", verified.ended.stdout);
    assert_eq!(verified.ended.code, Some(0), "{}", verified.ended.stderr);
}
