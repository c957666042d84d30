//! Commits folded to the last version of each record, by the laws that versions keep.

use std::collections::BTreeMap;

use super::super::{
    lists::KINDS,
    rows::{Row, Rows},
    stage::{Violation, violation},
};

/// The records that are present, by key.
pub(in super::super) type Fold = BTreeMap<String, Row>;

/// Folds a commit in.
///
/// # Errors
///
/// If a record is added that is there, changed to what it is, removed or changed though it is not there, removed with other
/// values than it had, or first seen at another time than before.
pub(in super::super) fn fold(folded: &mut Fold, commit: &Rows, kind: usize, name: &str) -> Result<(), Violation> {
    for row in &commit.rows {
        let Some(key) = row.text(KINDS[kind].key) else {
            return Err(violation("every row has a key", format!("one in {name} has none")));
        };
        let before = folded.get(key);
        let lawful = match (row.operation.as_str(), before) {
            ("added", None) => Ok(()),
            ("changed", Some(before)) if before.values != row.values => Ok(()),
            ("removed", Some(before)) if before.values == row.values => Ok(()),
            ("changed", Some(_)) => Err("is changed to what it was"),
            ("removed", Some(_)) => Err("is removed with other values than it had"),
            (_, Some(_)) => Err("is added twice"),
            (_, None) => Err("is changed or removed but not there"),
        };
        let since_then = before.is_none_or(|before| before.first_seen_at == row.first_seen_at);
        let lawful = lawful.and(if since_then { Ok(()) } else { Err("was first seen at another time") });
        lawful.map_err(|how| {
            violation("consecutive versions follow from each other", format!("{key} {how} in {name}"))
        })?;
        if row.operation == "removed" {
            folded.remove(key);
        } else {
            folded.insert(key.to_owned(), row.clone());
        }
    }
    Ok(())
}
