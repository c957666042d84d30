//! Whether a sync would work: what it needs is tried, one thing after the other, and nothing is written.

mod reserved;

use std::fmt::{self, Display};

use chrono::TimeDelta;
use serde::Serialize;

use crate::{
    api::{Client, Look},
    config::{Config, Polling},
    error::{Error, Kind},
    lake::{Lake, LakeError, Store},
    schema::{Resource, Treatment},
    sync::Ambient,
};
use reserved::Trial;

/// How far this machine's clock may be from the API's without a word.
const CLOCK_OFFSET_MAX: TimeDelta = TimeDelta::seconds(5);

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// In the order in which it was tried.
    pub findings: Vec<Finding>,
}

/// One thing that a sync needs.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was tried: a part of the settings, or a resource.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// What may help.
    pub hint: Option<&'static str>,
    #[serde(skip)]
    kind: Option<Kind>,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Well,
    /// A sync works, and somebody may want to know.
    Odd,
    /// A sync fails.
    Failed,
}

/// Tries everything that a sync of these settings needs; what the contract reserves too, if it is wanted or the settings rely
/// on it.
pub async fn run(config: &Config, ambient: &Ambient, reserved: bool) -> Report {
    let resources = config.resources.len();
    let settings = format!("{resources} resources of {} into {}", config.connection.base_url, config.lake);
    let mut findings = vec![Finding::new("settings", Outcome::Well, settings), personal_data(&config.resources)];
    let credentials = config.credentials().map_err(Error::from);
    let client = credentials
        .and_then(|credentials| Ok(Client::new(config.connection.clone(), &credentials, ambient.random() as u64)?));
    match client {
        Ok(client) => ask(&client, config, ambient, reserved, &mut findings).await,
        Err(error) => findings.push(Finding::failed("credentials", &error)),
    }
    findings.push(match lake(config).await {
        Ok(detail) => Finding::new("lake", Outcome::Well, detail),
        Err(error) => Finding::failed("lake", &error),
    });
    Report { findings }
}

/// Reads the beginning of each resource's list.
async fn ask(client: &Client, config: &Config, ambient: &Ambient, reserved: bool, findings: &mut Vec<Finding>) {
    let mut clock = None;
    for resource in &config.resources {
        let name = &resource.name;
        findings.push(match client.look(resource).await {
            Ok(None) => Finding::new(name, Outcome::Well, "the API lacks it, and may".to_owned()),
            Ok(Some(Look { took, date, is_list })) => {
                clock = clock.or_else(|| Some(ambient.now() - date?));
                let took_ms = took.as_millis();
                match is_list {
                    true => Finding::new(name, Outcome::Well, format!("a list, which began after {took_ms} ms")),
                    false => Finding::not_a_list(name),
                }
            }
            Err(error) => Finding::failed(name, &error.into()),
        });
        let polling = &config.polling[name];
        let is_tried = reserved || *polling != Polling::default();
        if is_tried && findings.last().is_some_and(|finding| finding.outcome != Outcome::Failed) {
            findings.extend(Trial { client, resource, polling, naive_zone: config.naive_zone }.run().await);
        }
    }
    findings.extend(clock.map(of_clock));
}

fn of_clock(ahead: TimeDelta) -> Finding {
    let (seconds, side) = (ahead.num_seconds().abs(), if ahead < TimeDelta::zero() { "behind" } else { "ahead of" });
    let outcome = if ahead.abs() > CLOCK_OFFSET_MAX { Outcome::Odd } else { Outcome::Well };
    Finding::new("clock", outcome, format!("this machine's is {seconds} s {side} the API's"))
}

fn personal_data(resources: &[Resource]) -> Finding {
    let mut treated = [("not stored", Vec::new()), ("hashed", Vec::new()), ("kept", Vec::new())];
    for resource in resources {
        for (column, treatment) in resource.personal_columns() {
            let place = match treatment {
                Treatment::Drop => 0,
                Treatment::Hmac(_) => 1,
                Treatment::Keep => 2,
            };
            treated[place].1.push(format!("{}.{column}", resource.name));
        }
    }
    let parts = treated.iter().filter(|(_, columns)| !columns.is_empty());
    let parts: Vec<_> = parts.map(|(what, columns)| format!("{what}: {}", columns.join(", "))).collect();
    let detail = if parts.is_empty() { "these resources have none".to_owned() } else { parts.join("; ") };
    Finding::new("personal data", Outcome::Well, detail)
}

async fn lake(config: &Config) -> Result<String, Error> {
    let opened = match Store::open(&config.lake, &config.s3, false) {
        Ok(store) => Lake::open(store).await,
        Err(error) => Err(error),
    };
    match opened.and_then(|lake| lake.filed_by(config.granularity)) {
        Ok(_) => Ok("it is there, and of this version".to_owned()),
        Err(LakeError::Missing { .. }) => Ok("there is none yet; the first sync makes it".to_owned()),
        Err(error) => Err(error.into()),
    }
}

impl Finding {
    fn new(what: &str, outcome: Outcome, detail: String) -> Self {
        Self { what: what.to_owned(), outcome, detail, hint: None, kind: None }
    }

    fn failed(what: &str, error: &Error) -> Self {
        let (kind, hint) = (Some(error.kind()), error.hint());
        Self { kind, hint, ..Self::new(what, Outcome::Failed, error.to_string()) }
    }

    /// The same, where a sync works all the same.
    fn at_worst_odd(self) -> Self {
        match self.outcome {
            Outcome::Failed if self.kind == Some(Kind::Settings) => Self { outcome: Outcome::Odd, kind: None, ..self },
            _ => self,
        }
    }

    fn not_a_list(what: &str) -> Self {
        Self { kind: Some(Kind::Data), ..Self::new(what, Outcome::Failed, "the answer is no list".to_owned()) }
    }
}

impl Report {
    /// The exit code: that of the gravest failure, 0 if there is none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let kinds = self.findings.iter().filter_map(|finding| finding.kind);
        Kind::gravest(kinds).map_or(0, Kind::exit_code)
    }

    /// What may help, each once.
    pub fn hints(&self) -> impl Iterator<Item = &'static str> {
        let mut hints: Vec<_> = self.findings.iter().filter_map(|finding| finding.hint).collect();
        hints.dedup();
        hints.into_iter()
    }

    /// One line of JSON each.
    ///
    /// # Errors
    ///
    /// None in practice: a finding can be JSON.
    pub fn to_json_lines(&self) -> Result<String, Error> {
        let line = |finding| serde_json::to_string(finding).map(|line| line + "\n");
        self.findings.iter().map(line).collect::<Result<_, _>>().map_err(|error| Error::Bug(error.to_string()))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { what, outcome, detail, .. } in &self.findings {
            let outcome = match outcome {
                Outcome::Well => "well",
                Outcome::Odd => "odd",
                Outcome::Failed => "FAILED",
            };
            writeln!(f, "{what:<24}{outcome:<8}{detail}")?;
        }
        Ok(())
    }
}
