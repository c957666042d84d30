//! Snapshots of the log, so that reading all versions stays quick after thousands of small commits: a table for people, or one
//! line of JSON a resource and one for the run.

use std::fmt::{self, Display};

use crate::{
    config::Config,
    error::Error,
    lake::{Compacted, Lake, Snapshots, Store},
    sync::{ByResource, Failure, Figures, OfResource},
};

/// What compacting came to.
pub type Report = ByResource<Compacted>;

impl Figures for Compacted {
    fn summed(&self) -> Vec<(&'static str, u64)> {
        let Self { commits, rows, snapshots, bytes, .. } = *self;
        vec![("commits", commits), ("rows", rows), ("snapshots", snapshots), ("bytes", bytes)]
    }
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
        let (figures, failure) = match extended {
            Ok(compacted) => (compacted, None),
            Err(error) => {
                let state = "snapshots that were created stay, and the next run goes on from there";
                (Compacted::default(), Some(Failure::of(&error.into(), state.to_owned())))
            }
        };
        resources.push(OfResource { resource: resource.name.clone(), figures, failure });
    }
    Ok(ByResource(resources))
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |cells: [&str; 7]| {
            let [resource, head, through, commits, rows, snapshots, bytes] = cells;
            writeln!(f, "{resource:<16}{head:>8}{through:>12}{commits:>10}{rows:>10}{snapshots:>11}{bytes:>12}")
        };
        line(["resource", "head", "up to", "commits", "rows", "snapshots", "bytes"])?;
        for OfResource { resource, figures, failure } in &self.0 {
            let Compacted { head, through, commits, rows, snapshots, bytes } = figures;
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
