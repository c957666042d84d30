//! The projection against the fold of all commits.

use serde_json::{Map, Value};

use super::{
    super::{
        glob::{self, folder},
        lists::{KINDS, ordered},
        rows::Row,
        stage::{Stage, Violation, violation},
    },
    fold::{Fold, fold},
};

/// Checks that `current/` holds what all commits come to.
pub(in super::super) fn projection_is_up_to_date(stage: &Stage, kind: usize) -> Result<(), Violation> {
    let mut state = Fold::new();
    for (key, _, rows) in glob::commits(stage, kind)? {
        fold(&mut state, &rows, kind, &key)?;
    }
    equals(stage, kind, &state)
}

/// Checks that `current/` holds these rows, each in its own partition, and their elements in the flat table.
pub(super) fn equals(stage: &Stage, kind: usize, state: &Fold) -> Result<(), Violation> {
    let name = KINDS[kind].name;
    let Some(rows) = rows(stage, name)? else { return Ok(()) };
    let mut found: Vec<&Row> = rows.iter().map(|(_, row)| row).collect();
    found.sort_by_key(|row| row.text(KINDS[kind].key));
    if !found.iter().copied().eq(state.values()) {
        let seqs = |rows: &mut dyn Iterator<Item = &Row>| -> Vec<String> {
            rows.map(|row| format!("{}@{}", row.text(KINDS[kind].key).unwrap_or_default(), row.seq)).collect()
        };
        let (found, expected) = (seqs(&mut found.into_iter()), seqs(&mut state.values()));
        let how = format!("current/{name} has {found:?}, the commits come to {expected:?}");
        return Err(violation("`current/` is what the commits come to", how));
    }
    let commits = glob::commits(stage, kind)?;
    for (partition, row) in &rows {
        let commit = commits.get(row.seq as usize - 1).map(|(key, ..)| folder(key.trim_start_matches("changes/")));
        if commit != Some(partition.as_deref()) {
            return Err(violation("`current/` is partitioned as `changes/` is", format!("{name} in {partition:?}")));
        }
    }
    elements_equal(stage, kind, state)
}

fn elements_equal(stage: &Stage, kind: usize, state: &Fold) -> Result<(), Violation> {
    let Some((table, list, parent)) = KINDS[kind].flat else { return Ok(()) };
    let mut expected = Vec::new();
    for (key, row) in state {
        for element in row.values[list].as_array().into_iter().flatten() {
            let mut element: Map<String, Value> = element.as_object().cloned().unwrap_or_default();
            element.insert(parent.to_owned(), key.clone().into());
            expected.push((ordered(&Value::from(element).to_string()), row.seq, row.poll_id.clone()));
        }
    }
    let Some(rows) = rows(stage, table)? else { return Ok(()) };
    let mut found: Vec<_> =
        rows.into_iter().map(|(_, row)| (ordered(&row.values.to_string()), row.seq, row.poll_id)).collect();
    found.sort();
    expected.sort();
    if found == expected {
        return Ok(());
    }
    let how = format!("current/{table} has {} rows, {} were expected", found.len(), expected.len());
    Err(violation("`current/` is what the commits come to", how))
}

/// A row with its partition.
type Filed = (Option<String>, Row);

/// All rows of a table with their partitions. `None` if a part of it has rotten without anybody being able to notice.
fn rows(stage: &Stage, table: &str) -> Result<Option<Vec<Filed>>, Violation> {
    let mut all = Vec::new();
    let listed = stage.shelf().list(&format!("current/{table}"));
    for (key, object) in listed {
        if object.vandalised {
            return Ok(None);
        }
        let rows = stage.library().read(&object.bytes);
        let rows = rows.map_err(|error| violation("readers see whole files", format!("{key}: {error}")))?;
        let partition = folder(key.trim_start_matches("current/")).map(str::to_owned);
        all.extend(rows.rows.iter().map(|row| (partition.clone(), row.clone())));
    }
    Ok(Some(all))
}
