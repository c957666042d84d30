//! What is odd in a poll that is believed all the same: it is counted, and told once.

use std::collections::BTreeSet;

use crate::{decode::Row, diff::Filed, schema::Resource};

/// What was odd in a poll.
#[derive(Debug, Clone, Default)]
pub(super) struct Oddities {
    /// Statuses that the schema does not list.
    pub undocumented: BTreeSet<String>,
    /// Records that had come to an end, and are listed with an open status again.
    pub regressed: Noted,
    /// Records that are listed in an older version than is known, which is skipped.
    pub stale: Noted,
}

/// Records of which something is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    pub count: u64,
    /// The key of the first.
    first: String,
}

impl Noted {
    fn note(&mut self, row: &Row<'_>, resource: &Resource) {
        if self.count == 0 {
            self.first = row.key(resource).map_or_else(String::new, |(_, key)| key.to_owned());
        }
        self.count += 1;
    }
}

impl Oddities {
    /// Looks at a version that is added or changed.
    pub(super) fn look_at(&mut self, row: &Row<'_>, resource: &Resource) {
        let Some(status) = row.status(resource) else { return };
        let is_documented = resource.statuses.as_ref().is_some_and(|statuses| statuses.is_documented(status));
        if !is_documented && !self.undocumented.contains(status) {
            self.undocumented.insert(status.to_owned());
        }
    }

    /// Looks at a changed version beside what it follows. A status that the schema does not list says nothing of a way back,
    /// and neither does a missing one.
    pub(super) fn compare(&mut self, row: &Row<'_>, before: Filed, resource: &Resource) {
        let is_open = resource.statuses.as_ref().is_some_and(|statuses| statuses.is_listed_open(row.status(resource)));
        if is_open && !before.was_open {
            self.regressed.note(row, resource);
        }
    }

    /// Looks at a version that is older than the known one.
    pub(super) fn note_stale(&mut self, row: &Row<'_>, resource: &Resource) {
        self.stale.note(row, resource);
    }

    /// Tells all of it, once.
    pub(super) fn warn(&self, resource: &str) {
        for status in &self.undocumented {
            tracing::warn!(resource, status, "a status that the schema does not list; kept as it came");
        }
        if let Noted { count: records @ 1.., first } = &self.regressed {
            tracing::warn!(resource, records, first, "records that had ended are open again; kept as they came");
        }
        if let Noted { count: records @ 1.., first } = &self.stale {
            tracing::warn!(
                resource,
                records,
                first,
                "older versions than are known, as from a server that is behind; skipped"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Decoder, Zone},
        schema::{EventPartition, Schemas},
    };

    #[test]
    fn a_record_has_gone_back_if_it_had_ended_and_is_listed_open() {
        let schemas = Schemas::builtin().unwrap();
        let rows = [
            (false, r#""PENDING""#, 1),
            (false, r#""SUBMITTED""#, 1),
            (false, r#""REVERSED""#, 0),
            (false, r#""FAILED""#, 0),
            (false, r#""ON_HOLD""#, 0),
            (false, "null", 0),
            (true, r#""PENDING""#, 0),
            (true, r#""COMPLETED""#, 0),
        ];
        for (was_open, status, expected) in rows {
            let deposits = schemas.get("deposits").unwrap();
            let text = format!(r#"{{"transactionId":"D1","status":{status}}}"#);
            let mut decoder = Decoder::new(deposits, Zone::UTC);
            let row = decoder.decode(text.as_bytes()).unwrap();
            let mut oddities = Oddities::default();
            let before = Filed { partition: EventPartition(0), first_seen_at: 0, was_open, digest: None };
            oddities.compare(&row, before, deposits);
            assert_eq!(oddities.regressed.count, expected, "{was_open} {status}");
            assert_eq!(oddities.regressed.first, ["", "D1"][expected as usize], "{was_open} {status}");
        }
    }

    #[test]
    fn the_first_of_many_is_named() {
        let schemas = Schemas::builtin().unwrap();
        let accounts = schemas.get("accounts").unwrap();
        let mut noted = Noted::default();
        for id in ["A1", "A2", "A3"] {
            let text = format!(r#"{{"id":"{id}"}}"#);
            noted.note(&Decoder::new(accounts, Zone::UTC).decode(text.as_bytes()).unwrap(), accounts);
        }
        assert_eq!((noted.count, noted.first.as_str()), (3, "A1"));
    }
}
