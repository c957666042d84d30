//! What one commit says of itself, held to what it is and to the commit before it.

use std::fs::File;

use arrow_array::RecordBatch;

use super::{
    super::{Commit, CommitKind, Cursor, FORMAT, LakeError, fold::conform, log::key_columns, parquet_file::Content},
    Law, Scope, Verification, damage, difference,
    inventory::{Numbered, Place},
    object::Parent,
};
use crate::schema::{Resource, declared_columns};

/// The footer tells of the object that it is in.
///
/// # Errors
///
/// [`LakeError::KeyChanged`] if the very first commit has another key: then it is the schema that is another lake's.
pub(super) fn check_footer(
    scope: &Scope<'_>,
    numbered: &Numbered,
    place: &Place,
    commit: &Commit,
    content: Option<&Content<File>>,
    report: &mut Verification,
) -> Result<(), LakeError> {
    let key = key_columns(scope.resource);
    if commit.key != key && report.figures.commits == 1 {
        let (resource, lake) = (scope.resource.name.clone(), commit.key.join(", "));
        return Err(LakeError::KeyChanged { resource, lake, schema: key.join(", ") });
    }
    let mut find = |problem: String| report.find(Law::Footer, &place.key, problem);
    if commit.format > FORMAT {
        find(format!("has format {}, this version knows up to {FORMAT}", commit.format));
    }
    let (lake, resource) = (&scope.lake.identity.id, &scope.resource.name);
    if (&commit.lake, &commit.resource, commit.seq) != (lake, resource, numbered.seq) {
        find(format!("says that it is commit {} of {} in lake {}", commit.seq, commit.resource, commit.lake));
    }
    if commit.key != key {
        find(format!("is keyed by {}, the schema says {}", commit.key.join(", "), key.join(", ")));
    }
    if let Some(rows) = content.map(Content::rows).filter(|rows| *rows != commit.rows) {
        find(format!("says {} rows, there are {rows}", commit.rows));
    }
    if commit.kind == CommitKind::Void && commit.rows > 0 {
        find(format!("says that it is a void, with {} rows", commit.rows));
    }
    Ok(())
}

/// The commit names the one before it.
pub(super) fn check_parent(place: &Place, commit: &Commit, parent: &Parent, report: &mut Verification) {
    let is_right = match (parent, &commit.parent) {
        (Parent::Hidden, _) | (Parent::None, None) => true,
        (Parent::OneOf(hashes), Some(named)) => hashes.contains(named),
        _ => false,
    };
    if is_right {
        return;
    }
    let expected = match parent {
        Parent::OneOf(hashes) => hashes.join(" or "),
        Parent::None | Parent::Hidden => "none".to_owned(),
    };
    let named = commit.parent.as_deref().unwrap_or("none");
    report.find(Law::Chain, &place.key, format!("names {named} as the commit before it, which is {expected}"));
}

/// The last commit that is no void.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    /// None if there is no such commit.
    pub cursor: Option<Cursor>,
    /// The number of its claim.
    pub claim: Option<u64>,
    /// Whether a void came after it.
    pub void_since: bool,
}

/// Time grows from poll to poll; one poll's commits say the same of it and end with the complete one, which is there only if all
/// of its claim are; a void says what the commit before its claim said. `before` is what came before the commit, `at_claim`
/// what came before its claim, if that is known; `hole` tells whether an object of its claim before it is not there.
pub(super) fn check_cursor(
    scope: &Scope<'_>,
    numbered: &Numbered,
    place: &Place,
    (before, at_claim, hole): (Option<&Before>, Option<&Before>, bool),
    commit: &Commit,
    report: &mut Verification,
) {
    if commit.kind == CommitKind::Void {
        let expected = numbered.claim.as_ref().and(at_claim).map(|before| &before.cursor);
        if expected.is_some_and(|expected| *expected != commit.cursor) {
            report.find(Law::Cursor, &place.key, "is a void whose cursor is not that of the commit before its claim");
        }
        return;
    }
    let Some(cursor) = &commit.cursor else {
        return report.find(Law::Cursor, &place.key, "has no cursor");
    };
    let claim = numbered.claim.as_deref();
    let problem = before.and_then(|before| succession(before, claim.map(|claim| claim.seq), cursor));
    let problem = problem.or_else(|| completeness(numbered, hole, cursor));
    if let Some(problem) = problem {
        report.find(Law::Cursor, &place.key, problem);
    }
    if let Some(claim) = claim.filter(|claim| claim.poll_id != cursor.poll_id) {
        let problem =
            format!("is of poll {}, its commit {} is of poll {}", claim.poll_id, numbered.seq, cursor.poll_id);
        report.find(Law::Claims, &scope.layout.claim(claim.seq), problem);
    }
}

/// What is wrong with a cursor that says that its poll is complete, or does not. One object alone may be all that is left of a
/// poll which was claimed object by object.
fn completeness(numbered: &Numbered, hole: bool, cursor: &Cursor) -> Option<String> {
    let claim = numbered.claim.as_ref().filter(|claim| claim.objects.len() > 1)?;
    match (numbered.is_last(), cursor.complete) {
        (true, true) if hole => Some("completes a poll of which an object is missing".to_owned()),
        (true, true) | (false, false) => None,
        (true, false) => Some("is the last of its claim, and does not complete its poll".to_owned()),
        (false, true) => Some(format!("completes its poll, and the claim goes on to number {}", claim.last())),
    }
}

/// What is wrong with a cursor that follows `before`.
fn succession(
    Before { cursor: before, claim, void_since }: &Before,
    of: Option<u64>,
    cursor: &Cursor,
) -> Option<String> {
    let before = before.as_ref()?;
    if cursor.poll_id == before.poll_id {
        let same_claim = of.is_some() && of == *claim;
        let id = &cursor.poll_id;
        let same_poll = Cursor {
            complete: before.complete,
            newest_event_time: before.newest_event_time,
            known: before.known,
            open: before.open,
            backfill: before.backfill.clone(),
            ..cursor.clone()
        };
        return match *void_since && !same_claim {
            true => Some(format!("goes on with poll {id}, which a void has ended")),
            _ if before.complete => Some(format!("goes on with poll {id}, which was complete")),
            _ if same_poll != *before => Some(format!("tells of poll {id} otherwise than the commit before it")),
            _ => None,
        };
    }
    if cursor.observed_at <= before.observed_at {
        let (at, earlier) = (cursor.observed_at, before.observed_at);
        return Some(format!("was observed at {at}, which is not after {earlier}, as of the commit before it"));
    }
    (cursor.newest_event_time < before.newest_event_time)
        .then(|| "knows an older newest event than the commit before it".to_owned())
}

/// In which columns an object's rows are written.
pub(super) enum Columns {
    /// Those declared today.
    Declared,
    /// The resource with others, which can be read as if they were.
    Own(Box<Resource>),
    /// Others, which cannot.
    Unreadable,
}

/// Holds an object's columns to the schema it was written with, as far as that is known.
pub(super) fn check_schema(
    scope: &Scope<'_>,
    place: &Place,
    commit: &Commit,
    content: &Content<File>,
    report: &mut Verification,
) -> Result<Columns, LakeError> {
    let declared = scope.resource.arrow_schema();
    let found = content.schema();
    let Some(difference) = difference(found.fields(), declared.fields()) else { return Ok(Columns::Declared) };
    let conformed = match conform(&RecordBatch::new_empty(found.clone()), &declared, scope.resource) {
        Err(error @ LakeError::Incompatible { .. }) => Err(error.to_string()),
        result => damage(result.map(drop))?,
    };
    let columns = conformed.and_then(|()| {
        declared_columns(found).ok_or_else(|| "has a column of a type that none is declared with".to_owned())
    });
    match columns {
        Ok(columns) => {
            if commit.schema == scope.resource.fingerprint() {
                report.find(Law::Schema, &place.key, difference);
            }
            Ok(Columns::Own(Box::new(Resource { columns, ..without_columns(scope.resource) })))
        }
        Err(problem) => {
            report.find(Law::Schema, &place.key, problem);
            Ok(Columns::Unreadable)
        }
    }
}

/// Without columns, and without what refers to them by number.
pub(super) fn without_columns(resource: &Resource) -> Resource {
    let resource = resource.clone();
    Resource { columns: Vec::new(), key: Vec::new(), event_time: Vec::new(), statuses: None, ..resource }
}
