//! A run that has ended, as it is remembered and told to others.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Report, Stopwatch, report::rounded};
use crate::{error::Error, redact::redact};

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it was.
    pub seconds: f64,
    /// Its exit code, or what it would have been.
    pub exit_code: u8,
    /// Why it could not begin.
    pub error: Option<String>,
    /// The resources' reports, as `--json` prints them.
    pub resources: Vec<Value>,
}

/// A failure of a past run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastFailure<'r> {
    /// What has failed; none of them if the run could not begin.
    pub resource: Option<&'r str>,
    /// Why.
    pub message: &'r str,
    /// What may help.
    pub hint: Option<&'r str>,
    /// The exit code it stands for.
    pub exit_code: u64,
}

impl PastRun {
    /// What became of a run.
    #[must_use]
    pub fn of(started_at: DateTime<Utc>, began: Stopwatch, ended: &Result<Report, Error>) -> Self {
        let seconds = rounded(began.elapsed());
        let told = |report: &Report| report.resources.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
        let (exit_code, error, resources) = match ended {
            Ok(report) => (report.exit_code(), None, told(report)),
            Err(error) => (error.kind().exit_code(), Some(error.to_string()), Vec::new()),
        };
        Self { started_at, seconds, exit_code, error, resources }
    }

    /// As one line of JSON, without secrets.
    ///
    /// # Errors
    ///
    /// None in practice: all of it is JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(redact(&serde_json::to_string(self)?).into_owned())
    }

    /// What has failed.
    pub fn failures(&self) -> impl Iterator<Item = PastFailure<'_>> {
        let exit_code = u64::from(self.exit_code);
        let whole =
            self.error.iter().map(move |message| PastFailure { resource: None, message, hint: None, exit_code });
        whole.chain(self.resources.iter().filter_map(failure_of))
    }

    /// A figure of all resources together.
    #[must_use]
    pub fn total(&self, figure: &str) -> u64 {
        self.resources.iter().filter_map(|report| report.get(figure)?.as_u64()).sum()
    }
}

fn failure_of(report: &Value) -> Option<PastFailure<'_>> {
    let failure = report.get("failure").filter(|failure| !failure.is_null())?;
    Some(PastFailure {
        resource: report.get("resource")?.as_str(),
        message: failure.get("message")?.as_str()?,
        hint: failure.get("hint")?.as_str(),
        exit_code: failure.get("exit_code")?.as_u64()?,
    })
}
