//! Whether the lake is what its laws say: a table for people, or one line of JSON a resource and one for the run.
//!
//! What is wrong is data, and goes to standard output. Only what keeps the lake from being read is a failure; the other
//! resources are verified all the same.

use std::fmt::{self, Display, Write};

use serde::Serialize;

use crate::{
    config::Config,
    decode::Decoder,
    error::{Error, Kind},
    lake::{Depth, Lake, LakeError, Store, Verification},
    sync::Failure,
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
    /// Why it was not looked at to the end.
    pub failure: Option<Failure>,
}

/// Verifies the resources of the settings. Nothing is written, and the API is not asked.
///
/// # Errors
///
/// If there is no lake, or it cannot be opened. What is wrong with it is in the report.
pub async fn run(config: &Config, depth: Depth) -> Result<Report, Error> {
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
    Ok(Report { depth, resources, folders: Verified::of(verification, result) })
}

impl Verified {
    fn of(verification: Verification, result: Result<(), LakeError>) -> Self {
        let state = "nothing was written, and what could not be read was not verified";
        Self { verification, failure: result.err().map(|error| Failure::of(&error.into(), state.to_owned())) }
    }

    fn kind(&self) -> Option<Kind> {
        let found = (self.verification.found > 0).then_some(Kind::Damaged);
        Kind::gravest(found.into_iter().chain(self.failure.as_ref().map(Failure::kind)))
    }
}

impl Report {
    /// The exit code: 76 if anything was found, else that of the gravest failure, 0 if there is none.
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

    /// One line of JSON a resource, then one for the run.
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
        }
        let Verified { verification, failure } = &self.folders;
        let run = serde_json::json!({
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
        lines.push_str(&run.to_string());
        lines.push('\n');
        Ok(lines)
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
        writeln!(f, "{found} finding{s} in {commits} commits with {rows} rows; {how}")
    }
}

/// Findings and notes, one a line. Part of them may be the API's own text, so nothing in it may steer a terminal or begin
/// a line.
fn tell(verification: &Verification, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut line = |text: String| {
        let mut printable = text.chars().map(|sign| if sign.is_control() { '\u{fffd}' } else { sign });
        printable.try_for_each(|sign| f.write_char(sign))?;
        f.write_char('\n')
    };
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
