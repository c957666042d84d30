//! What a command came to for each resource: figures, or why there are none.

use serde::Serialize;

use super::Failure;
use crate::error::{Error, Kind};

/// A command's report, in the order of the settings: a line of JSON a resource and one for the run.
#[derive(Debug, Clone)]
pub struct ByResource<T>(pub Vec<OfResource<T>>);

/// What a command came to for one resource.
#[derive(Debug, Clone, Serialize)]
pub struct OfResource<T> {
    /// The resource.
    pub resource: String,
    /// What was done.
    #[serde(flatten)]
    pub figures: T,
    /// Why it was not done to the end.
    pub failure: Option<Failure>,
}

/// Figures, of which some are summed up for the run.
pub trait Figures: Serialize {
    /// These, by their names.
    fn summed(&self) -> Vec<(&'static str, u64)>;
}

impl<T: Figures> ByResource<T> {
    /// That of the gravest failure; 0 if there is none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        Kind::gravest(self.failures().map(|(_, failure)| failure.kind())).map_or(0, Kind::exit_code)
    }

    /// What was not done to the end, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.0.iter().filter_map(|of| Some((of.resource.as_str(), of.failure.as_ref()?)))
    }

    /// One line of JSON a resource, then one for the run.
    ///
    /// # Errors
    ///
    /// None in practice: all of it can be JSON.
    pub fn to_json_lines(&self) -> Result<String, Error> {
        let mut lines = String::new();
        for resource in &self.0 {
            lines += &serde_json::to_string(resource).map_err(|error| Error::Bug(error.to_string()))?;
            lines.push('\n');
        }
        let mut run = serde_json::json!({ "exit_code": self.exit_code(), "resources": self.0.len() });
        for (name, figure) in self.0.iter().flat_map(|of| of.figures.summed()) {
            run[name] = (run[name].as_u64().unwrap_or(0) + figure).into();
        }
        Ok(lines + &serde_json::json!({ "run": run }).to_string() + "\n")
    }
}
