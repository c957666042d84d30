//! `verify` finds nothing in what was found right, at either depth.

use std::{env::temp_dir, sync::Arc};

use object_store::{ObjectStoreExt, memory::InMemory};

use super::super::{
    lists::KINDS,
    stage::{Stage, Violation, violation},
};
use crate::{
    decode::{Decoder, Zone},
    lake::{Depth, Lake, LakeError, Store, Verification},
    schema::Schemas,
};

/// Checks that nothing is found but what the vandal did to caches without anybody noticing.
pub(super) async fn finds_nothing(stage: &Stage) -> Result<(), Violation> {
    for depth in [Depth::Full, Depth::Quick] {
        let found = verify(stage, depth).await;
        let found = found.map_err(|error| violation("a lake can be verified", format!("{depth:?}: {error}")))?;
        if let Some(report) = found.iter().find(|report| report.found > 0) {
            return Err(violation("what is right is found right", format!("{depth:?}: {:?}", report.findings)));
        }
    }
    Ok(())
}

/// Verifies a copy, without the findings that are the vandal's.
async fn verify(stage: &Stage, depth: Depth) -> Result<Vec<Verification>, LakeError> {
    let objects = Arc::new(InMemory::new());
    let listed = stage.shelf().list("");
    for (key, object) in listed {
        objects.put(&key.into(), object.bytes.into()).await.unwrap();
    }
    let lake = Lake::open(Store::new(objects, "copy")).await?;
    let schemas = Schemas::builtin().unwrap();
    let mut reports = Vec::new();
    for kind in &KINDS {
        let decoder = Decoder::new(schemas.get(kind.name).unwrap(), Zone::UTC);
        let mut report = Verification::of(kind.name);
        lake.verify(&decoder, &temp_dir(), depth, &mut report).await?;
        reports.push(report);
    }
    let resources: Vec<_> = schemas.iter().cloned().collect();
    let mut report = Verification::of("");
    lake.verify_folders(&resources, &mut report).await?;
    reports.push(report);
    for report in &mut reports {
        let is_vandalised = |key: &str| stage.shelf().get(key).is_some_and(|object| object.vandalised);
        report.findings.retain(|finding| !is_vandalised(&finding.key));
        report.found = report.findings.len() as u64;
    }
    Ok(reports)
}
