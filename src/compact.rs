//! Snapshots of the log, so that reading all versions stays quick after thousands of small commits: a table for people, or one
//! line of JSON a resource and one for the run.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::{
    config::Config,
    error::{Error, Kind},
    lake::{Compacted, Lake, Snapshots, Store},
    sync::Failure,
};

/// What compacting came to, in the order of the schemas.
#[derive(Debug, Clone)]
pub struct Report(Vec<Resource>);

/// What it came to for one resource.
#[derive(Debug, Clone, Serialize)]
pub struct Resource {
    /// The resource.
    pub resource: String,
    /// What was done.
    #[serde(flatten)]
    pub compacted: Compacted,
    /// Why it was not done to the end.
    pub failure: Option<Failure>,
}

/// Copies the commits of the resources of the settings that no snapshot has, where there are at least `commits_min`. The API is
/// not asked.
///
/// # Errors
///
/// If there is no lake, or it cannot be opened. What else fails is in the report.
pub async fn run(config: &Config, commits_min: u64) -> Result<Report, Error> {
    let store = Store::open(&config.lake, &config.s3, false)?;
    store.refuse_links().await?;
    let lake = Lake::open(store).await?;
    let mut resources = Vec::new();
    for resource in &config.resources {
        let extended = Snapshots::new(&lake, resource, &config.spool).extend(commits_min).await;
        let (compacted, failure) = match extended {
            Ok(compacted) => (compacted, None),
            Err(error) => {
                let state = "snapshots that were created stay, and the next run goes on from there";
                (Compacted::default(), Some(Failure::of(&error.into(), state.to_owned())))
            }
        };
        resources.push(Resource { resource: resource.name.clone(), compacted, failure });
    }
    Ok(Report(resources))
}

impl Report {
    /// That of the gravest failure; 0 if there is none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        Kind::gravest(self.failures().map(|(_, failure)| failure.kind())).map_or(0, Kind::exit_code)
    }

    /// What was not done to the end, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.0.iter().filter_map(|resource| Some((resource.resource.as_str(), resource.failure.as_ref()?)))
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
        let total =
            |figure: fn(&Compacted) -> u64| self.0.iter().map(|resource| figure(&resource.compacted)).sum::<u64>();
        let run = serde_json::json!({
            "run": {
                "exit_code": self.exit_code(),
                "resources": self.0.len(),
                "commits": total(|compacted| compacted.commits),
                "rows": total(|compacted| compacted.rows),
                "snapshots": total(|compacted| compacted.snapshots),
                "bytes": total(|compacted| compacted.bytes),
            }
        });
        Ok(lines + &run.to_string() + "\n")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |cells: [&str; 7]| {
            let [resource, head, through, commits, rows, snapshots, bytes] = cells;
            writeln!(f, "{resource:<16}{head:>8}{through:>12}{commits:>10}{rows:>10}{snapshots:>11}{bytes:>12}")
        };
        line(["resource", "head", "up to", "commits", "rows", "snapshots", "bytes"])?;
        for Resource { resource, compacted, failure } in &self.0 {
            let Compacted { head, through, commits, rows, snapshots, bytes } = compacted;
            match failure {
                Some(_) => line([resource, "-", "-", "-", "-", "-", "-"])?,
                None => line([
                    resource,
                    &head.to_string(),
                    &through.to_string(),
                    &commits.to_string(),
                    &rows.to_string(),
                    &snapshots.to_string(),
                    &bytes.to_string(),
                ])?,
            }
        }
        Ok(())
    }
}
