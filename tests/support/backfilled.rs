//! Backfills: their plans, and what comes of them.

use std::process::Command;

use serde_json::Value;

use super::{
    lake::Lake,
    program::{Ended, assert_without_secrets, program, run},
};

/// A `backfill --json`, to be started.
#[derive(Clone)]
pub struct Backfill<'l> {
    lake: &'l Lake,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a backfill has printed.
#[derive(Debug)]
pub struct Planned {
    /// The line of the whole.
    pub plan: Value,
    /// Each partition: its name, added, changed, removed.
    pub partitions: Vec<(String, [u64; 3])>,
    /// Each sampled value: operation, key, column, before, after.
    pub samples: Vec<[String; 5]>,
}

impl<'l> Backfill<'l> {
    pub fn of(lake: &'l Lake, base_url: &str, resource: &str) -> Self {
        let args = ["backfill", "-vvv", "--json", "--base-url", base_url, "--resource", resource, "--lake"];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.push(lake.path().display().to_string());
        Self { lake, args, environment: Vec::new() }
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub fn command(&self) -> Command {
        let mut command = program(self.lake.folder());
        command.args(&self.args).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self) -> Ended {
        let ended = run(&mut self.command());
        assert_without_secrets(&ended);
        ended
    }

    /// What there would be to do.
    #[track_caller]
    pub fn plan(&self) -> Planned {
        let planned = Planned::of(&self.clone().args(&["--dry-run"]).run());
        assert_eq!(planned.plan["published"], false);
        planned
    }

    /// Carries a plan out.
    pub fn publishing(&self, plan: &Planned) -> Self {
        self.clone().args(&["--plan", plan.hash()])
    }

    /// Makes a plan and carries it out, which must come to the same.
    #[track_caller]
    pub fn publish(&self) -> Planned {
        let plan = self.plan();
        let published = Planned::of(&self.publishing(&plan).run());
        assert_eq!((published.plan["published"].as_bool(), published.hash()), (Some(true), plan.hash()));
        assert_eq!((&published.partitions, published.changes()), (&plan.partitions, plan.changes()));
        plan
    }
}

impl Planned {
    #[track_caller]
    pub fn of(ended: &Ended) -> Self {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
        let partition = |line: &Value| {
            let counts = ["added", "changed", "removed"].map(|name| line[name].as_u64().unwrap());
            Some((line["partition"].as_str()?.to_owned(), counts))
        };
        let samples = lines.iter().filter_map(|line| line.get("sample"));
        Self {
            plan: lines.last().unwrap()["backfill"].clone(),
            partitions: lines.iter().filter(|line| line.get("partition").is_some()).filter_map(partition).collect(),
            samples: samples
                .map(|sample| ["operation", "key", "column", "before", "after"].map(|name| text(&sample[name])))
                .collect(),
        }
    }

    pub fn hash(&self) -> &str {
        self.plan["plan"].as_str().unwrap()
    }

    pub fn figure(&self, name: &str) -> u64 {
        self.plan[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.plan))
    }

    /// Added, changed, removed.
    pub fn changes(&self) -> [u64; 3] {
        ["added", "changed", "removed"].map(|name| self.figure(name))
    }
}
