//! Whether the lake is what its laws say, and if it is asked for, what the API says: a table for people, or one line of JSON a
//! resource, one a difference and one for the run.
//!
//! What is wrong or different is data, and goes to standard output. Only what keeps the lake from being read, or the API from
//! being asked, is a failure; the other resources are verified all the same.

mod against_api;

use std::fmt::{self, Display};

use serde::Serialize;

use crate::{
    api::Client,
    config::Config,
    decode::Decoder,
    error::{Error, Kind},
    figure,
    lake::{Depth, Lake, LakeError, Note, Store, Verification},
    redact::printable,
    schema::Resource,
    sync::{self, Ambient, Comparison, Failure},
};

/// Findings of one resource that the table for people lists.
const FINDINGS_TOLD_MAX: usize = 20;

/// A verification of the lake.
#[derive(Debug, Clone)]
pub struct Report {
    /// How closely was looked.
    pub depth: Depth,
    /// In the order of the schemas.
    pub resources: Vec<Verified>,
    /// What lies beside the resources. Not looked at if only some of them were asked for.
    pub folders: Verified,
}

/// A resource that was verified, as far as it could be.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// What was found.
    #[serde(flatten)]
    pub verification: Verification,
    /// Where it was compared with the API, what came of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_api: Option<Comparison>,
    /// Why it was not looked at to the end.
    pub failure: Option<Failure>,
}

/// Verifies the resources of the settings, and compares them with the API if that is asked for. Nothing is written.
///
/// # Errors
///
/// If there is no lake, it cannot be opened, or the API is to be asked and there are no credentials. What is wrong with the
/// lake is in the report.
pub async fn run(config: &Config, depth: Depth, against_api: Option<&Ambient>) -> Result<Report, Error> {
    let client = |ambient: &Ambient| -> Result<Client, Error> {
        Ok(Client::new(config.connection.clone(), &config.credentials()?, ambient.random() as u64)?)
    };
    let api = against_api.map(|ambient| Ok::<_, Error>((ambient, client(ambient)?))).transpose()?;
    let store = Store::open(&config.lake, &config.s3, false)?;
    store.refuse_links().await?;
    let lake = Lake::open(store).await?;
    let mut resources = Vec::new();
    for resource in &config.resources {
        let mut verification = Verification::of(&resource.name);
        let decoder = Decoder::new(resource, config.naive_zone);
        let result = lake.verify(&decoder, &config.spool, depth, &mut verification).await;
        resources.push(Verified::of(verification, result));
    }
    let mut verification = Verification::of("");
    let result = match config.all_resources {
        true => lake.verify_folders(&config.resources, &mut verification).await,
        false => Ok(()),
    };
    let folders = Verified::of(verification, result);
    if let Some((ambient, client)) = &api {
        for (verified, resource) in resources.iter_mut().zip(&config.resources) {
            verified.compare(config, ambient, client, &lake, resource).await;
        }
    }
    Ok(Report { depth, resources, folders })
}

impl Verified {
    fn of(verification: Verification, result: Result<(), LakeError>) -> Self {
        let state = "nothing was written, and what could not be read was not verified";
        let failure = result.err().map(|error| Failure::of(&error.into(), state.to_owned()));
        Self { verification, against_api: None, failure }
    }

    /// Compares the resource with the API, if it was found to be whole: of one that is not, nobody could tell what it says.
    async fn compare(&mut self, config: &Config, ambient: &Ambient, client: &Client, lake: &Lake, resource: &Resource) {
        if self.failure.is_some() {
            return;
        }
        if self.verification.found > 0 {
            let text = "was not compared with the API: first it has to be whole".to_owned();
            return self.verification.notes.push(Note { key: format!("changes/{}", resource.name), text });
        }
        match sync::compare(config, ambient, client, lake, resource).await {
            Ok(comparison) => self.against_api = Some(comparison),
            Err(error) => {
                let state = "nothing was written, and the resource was not compared with the API";
                self.failure = Some(Failure::of(&error, state.to_owned()));
            }
        }
    }

    fn kind(&self) -> Option<Kind> {
        let found = (self.verification.found > 0).then_some(Kind::Damaged);
        let differs = self.against_api.as_ref().filter(|comparison| !comparison.is_equal()).map(|_| Kind::Data);
        Kind::gravest(found.into_iter().chain(differs).chain(self.failure.as_ref().map(Failure::kind)))
    }
}

impl Report {
    /// The exit code: 76 if anything was found, else that of the gravest failure, or 65 if the API differs; 0 if there is
    /// nothing of that kind.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        Kind::gravest(self.all().filter_map(Verified::kind)).map_or(0, Kind::exit_code)
    }

    /// What was not looked at to the end, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.all().filter_map(|verified| {
            let name = verified.verification.resource.as_str();
            Some((if name.is_empty() { "the lake's folders" } else { name }, verified.failure.as_ref()?))
        })
    }

    /// One line of JSON a resource, each with a line for each of its differences behind it, then one for the run.
    ///
    /// # Errors
    ///
    /// None in practice: all of it can be JSON.
    pub fn to_json_lines(&self) -> Result<String, Error> {
        let bug = |error: serde_json::Error| Error::Bug(error.to_string());
        let mut lines = String::new();
        for resource in &self.resources {
            lines.push_str(&serde_json::to_string(resource).map_err(bug)?);
            lines.push('\n');
            if let Some(comparison) = &resource.against_api {
                let name = &resource.verification.resource;
                lines.push_str(&against_api::json_lines(name, comparison).map_err(bug)?);
            }
        }
        let Verified { verification, failure, .. } = &self.folders;
        let mut run = serde_json::json!({
            "run": {
                "exit_code": self.exit_code(),
                "quick": self.depth == Depth::Quick,
                "resources": self.resources.len(),
                "commits": self.total(|resource| resource.figures.commits),
                "rows": self.total(|resource| resource.figures.rows),
                "bytes_hashed": self.total(|resource| resource.figures.bytes_hashed),
                "found": self.total(|resource| resource.found),
                "findings": verification.findings,
                "notes": verification.notes,
                "failure": failure,
            }
        });
        if let Some(sum) = against_api::sum(&self.compared()) {
            run["run"]["against_api"] = serde_json::to_value(sum).map_err(bug)?;
        }
        lines.push_str(&run.to_string());
        lines.push('\n');
        Ok(lines)
    }

    /// The resources that were compared with the API, with their names.
    fn compared<'r>(&'r self) -> Vec<(&'r str, &'r Comparison)> {
        let compared =
            |resource: &'r Verified| Some((resource.verification.resource.as_str(), resource.against_api.as_ref()?));
        self.resources.iter().filter_map(compared).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Verified> {
        self.resources.iter().chain([&self.folders])
    }

    fn total(&self, figure: fn(&Verification) -> u64) -> u64 {
        self.all().map(|verified| figure(&verified.verification)).sum()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16}{:>8}{:>7}{:>10}{:>10}{:>9}{:>14}{:>14}{:>10}{:>7}",
            "resource",
            "commits",
            "voids",
            "rows",
            "records",
            "removed",
            "current rows",
            "bytes hashed",
            "findings",
            "notes"
        )?;
        for Verified { verification: Verification { resource, figures, found, notes, .. }, .. } in &self.resources {
            let known = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
            writeln!(
                f,
                "{resource:<16}{:>8}{:>7}{:>10}{:>10}{:>9}{:>14}{:>14}{found:>10}{:>7}",
                figures.commits,
                figures.voids,
                figures.rows,
                known(figures.records),
                known(figures.removed),
                figures.current_rows,
                figures.bytes_hashed,
                notes.len()
            )?;
        }
        self.all().try_for_each(|verified| tell(&verified.verification, f))?;
        let (found, commits, rows) = (
            self.total(|resource| resource.found),
            self.total(|resource| resource.figures.commits),
            self.total(|resource| resource.figures.rows),
        );
        let how = match self.depth {
            Depth::Full => "every byte and row was read",
            Depth::Quick => "looked at quickly: no row was read, and a bit that has flipped is not seen",
        };
        let s = if found == 1 { "" } else { "s" };
        let answers = match self.total(|resource| resource.figures.archived_polls) {
            0 => String::new(),
            polls => format!(" and {}", figure::plural(polls, "archived answer", "archived answers")),
        };
        writeln!(f, "{found} finding{s} in {commits} commits with {rows} rows{answers}; {how}")?;
        against_api::tell(&self.compared(), f)
    }
}

/// A line, part of which may be the API's own text.
fn line(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", printable(text))
}

/// Findings and notes, one a line.
fn tell(verification: &Verification, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut line = |text: String| line(&text, f);
    for finding in verification.findings.iter().take(FINDINGS_TOLD_MAX) {
        line(format!("finding: {}: {}: {}", finding.law.name(), finding.key, finding.problem))?;
    }
    let more = verification.found.saturating_sub(FINDINGS_TOLD_MAX as u64);
    if more > 0 {
        line(format!("finding: and {more} more of {}; --json has up to a thousand", verification.resource))?;
    }
    verification.notes.iter().try_for_each(|note| line(format!("note: {}: {}", note.key, note.text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{Finding, Law, Note};

    fn report(verification: Verification) -> Report {
        let folders = Verified::of(Verification::of(""), Ok(()));
        Report { depth: Depth::Full, resources: vec![Verified::of(verification, Ok(()))], folders }
    }

    #[test]
    fn what_the_api_wrote_cannot_steer_a_terminal_or_begin_a_line() {
        let steering = "`\u{1b}[2J\nfinding: claims: x`";
        let finding = Finding { law: Law::Rows, key: "k".into(), problem: steering.into() };
        let note = Note { key: "k".into(), text: steering.into() };
        let text =
            report(Verification { found: 1, findings: vec![finding], notes: vec![note], ..Verification::of("r") })
                .to_string();
        assert!(!text.contains('\u{1b}') && !text.contains("\nfinding: claims"), "{text}");
        assert!(text.contains("\nfinding: rows: k: `\u{fffd}[2J\u{fffd}finding: claims: x`\n"), "{text}");
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn findings_go_before_failures_and_notes_are_neither() {
        let failed = |found| {
            let verification = Verification { found, ..Verification::of("r") };
            let mut report = report(verification);
            let error = LakeError::Missing { location: "l".into() };
            report.folders = Verified::of(Verification::of(""), Err(error));
            report.exit_code()
        };
        assert_eq!((failed(0), failed(1)), (78, 76));
        let note = Note { key: "k".into(), text: "t".into() };
        assert_eq!(report(Verification { notes: vec![note], ..Verification::of("r") }).exit_code(), 0);
    }
}
