//! What the runs reported against what is in the lake.

use super::super::{
    glob,
    lists::Kind,
    runs::Ending,
    stage::{Stage, Violation, violation},
};

/// Checks that every commit a run reported is there, is of an answer that this run got, and has the rows it counted.
pub(super) fn are_true(stage: &Stage) -> Result<(), Violation> {
    let runs = stage.runs();
    for run in runs.ended() {
        let Ending::Reported(report) = &run.ending else { continue };
        for resource in &report.resources {
            let commits = glob::commits(stage, Kind::of(&resource.resource))?;
            let mut rows = 0;
            for seq in &resource.commits {
                let commit = commits.get(*seq as usize - 1).and_then(|(_, _, object)| object.commit.as_ref());
                let etag = commit.and_then(|commit| commit["cursor"]["etag"].as_str());
                let said = etag.and_then(|etag| stage.mood().with_etag(etag));
                let is_void = commit.is_some_and(|commit| commit["kind"] == "void");
                if is_void || said.is_none_or(|(_, said)| said.to != run.process.who) {
                    let how = format!("{} reported commit {seq} of {}", run.process.who, resource.resource);
                    return Err(violation("what was reported as committed is there", how));
                }
                rows += commit.and_then(|commit| commit["rows"].as_u64()).unwrap_or_default();
            }
            if rows != resource.rows {
                let how = format!("{} reported {} rows, {rows} are there", run.process.who, resource.rows);
                return Err(violation("what was reported as committed is there", how));
            }
        }
    }
    Ok(())
}
