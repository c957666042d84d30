//! A poll the plain way: nothing is recognised, nothing is near or far, nothing is kept from one record to the next.

use std::collections::{BTreeSet, HashMap};

use serde_json::value::RawValue;

use crate::{
    decode::{Decoder, Refusal, Rejection, Row, Seed, Zone, key_hash},
    diff::KnownRecord,
    record::ElementId,
    schema::{EventPartition, Granularity, Resource},
    tests::json::depth,
};

/// Brackets in brackets that a record may have.
const DEPTH_MAX: usize = 128;

/// What a poll finds, in records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub added: u64,
    pub changed: u64,
    /// Known and not listed.
    pub missing: u64,
    /// As known, in the same bytes or in others.
    pub as_known: u64,
    pub repeated: u64,
    pub rejected: u64,
    pub rejected_without_key: u64,
    /// Records that were listed before.
    pub listed_before: u64,
    /// Those of them that were expected to change.
    pub open_before: u64,
    /// The texts of the rejected.
    pub quarantined: Vec<String>,
    /// Statuses of the added and changed that the schema does not list.
    pub undocumented: BTreeSet<String>,
    /// Changed ones whose status was closed and is listed as open.
    pub regressed: u64,
    /// In an older version than is known.
    pub stale: u64,
}

/// Why a body is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    NotUtf8,
    NotAList,
    TooDeep,
    Contradiction,
}

/// What the body has said of a key.
enum Said {
    Row(u64),
    Rejected(String),
}

/// Whose records, and in what lake.
pub(super) struct Plain<'a> {
    pub resource: &'a Resource,
    pub seed: Seed,
    pub granularity: Granularity,
    /// When the poll began, in microseconds.
    pub observed_at: i64,
    /// Whether what is missing stays even if all keys can be read.
    pub withholds: bool,
}

/// A body that is being gone through.
struct Reading<'a> {
    plain: &'a Plain<'a>,
    known: HashMap<u128, &'a KnownRecord>,
    said: HashMap<u128, Said>,
    findings: Findings,
    after: Vec<KnownRecord>,
}

impl Plain<'_> {
    /// What the body says against what is known, and what is known then: as the body lists it, then the others. Hashes of exact
    /// bytes are left 0.
    pub(super) fn observe(&self, known: &[KnownRecord], body: &[u8]) -> Result<(Findings, Vec<KnownRecord>), Refused> {
        let text = std::str::from_utf8(body).map_err(|_| Refused::NotUtf8)?;
        let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Refused::NotAList)?;
        let present = || known.iter().filter(|record| !record.removed);
        let findings = Findings {
            listed_before: present().filter(|record| !record.unlisted).count() as u64,
            open_before: present().filter(|record| record.open).count() as u64,
            ..Findings::default()
        };
        let by_key = known.iter().map(|record| (record.key, record)).collect();
        let mut reading = Reading { plain: self, known: by_key, said: HashMap::new(), findings, after: Vec::new() };
        elements.iter().try_for_each(|element| reading.element(element.get()))?;
        let Reading { said, mut findings, mut after, .. } = reading;
        let others = || known.iter().filter(|record| !said.contains_key(&record.key));
        findings.missing = others().filter(|record| !record.removed && !record.unlisted).count() as u64;
        let stays = self.withholds || findings.rejected_without_key > 0;
        let goes = |record: &KnownRecord| !stays && !record.unlisted;
        after.extend(others().map(|record| KnownRecord { removed: record.removed || goes(record), ..*record }));
        Ok((findings, after))
    }

    /// By when it happened, else by when it was observed.
    fn file(&self, row: &Row<'_>) -> EventPartition {
        let granularity = if self.resource.partitioned { self.granularity } else { Granularity::None };
        granularity.partition_of(row.event_time(self.resource).unwrap_or(self.observed_at))
    }
}

impl Reading<'_> {
    fn element(&mut self, text: &str) -> Result<(), Refused> {
        match Decoder::new(self.plain.resource, Zone::UTC).decode(text.as_bytes()) {
            Ok(row) => self.row(&row),
            Err(Refusal::Rejected(rejection)) => self.rejected(&rejection, text),
            Err(Refusal::Malformed { .. }) => {
                assert!(depth(text) > DEPTH_MAX, "JSON that is not taken for JSON: {text}");
                Err(Refused::TooDeep)
            }
        }
    }

    /// Its key has not gone, and its last good version stays.
    fn rejected(&mut self, rejection: &Rejection, text: &str) -> Result<(), Refused> {
        self.findings.rejected += 1;
        self.findings.quarantined.push(text.to_owned());
        let Some((column, key)) = &rejection.key else {
            self.findings.rejected_without_key += 1;
            return Ok(());
        };
        let key = key_hash(self.plain.seed, (*column, key));
        match self.said.insert(key, Said::Rejected(text.to_owned())) {
            None => self.after.extend(self.known.get(&key).copied()),
            Some(Said::Rejected(before)) if before == text => {}
            Some(_) => return Err(Refused::Contradiction),
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), Refused> {
        let &Plain { resource, seed, observed_at, .. } = self.plain;
        let (key, digest) = (key_hash(seed, row.key(resource).unwrap()), row.digest(resource, seed));
        match self.said.insert(key, Said::Row(digest)) {
            None => {}
            Some(Said::Row(before)) if before == digest => {
                self.findings.repeated += 1;
                return Ok(());
            }
            Some(_) => return Err(Refused::Contradiction),
        }
        let (open, last_change) = (row.is_open(resource), row.last_change(resource));
        let before = self.known.get(&key).copied();
        let newer = before.filter(|before| !before.removed && !before.unlisted && before.digest != digest);
        if let Some(newer) =
            newer.filter(|newer| last_change.zip(newer.last_change).is_some_and(|(it, known)| it < known))
        {
            self.findings.stale += 1;
            self.after.push(*newer);
            return Ok(());
        }
        self.after.push(match before {
            Some(before) => KnownRecord { digest, last_change, open, removed: false, unlisted: false, ..*before },
            None => KnownRecord {
                key,
                element: ElementId::UNKNOWN,
                digest,
                first_seen_at: observed_at,
                last_change,
                partition: self.plain.file(row),
                open,
                removed: false,
                unlisted: false,
            },
        });
        let count = match before {
            Some(before) if before.removed => &mut self.findings.added,
            Some(before) if before.digest == digest && !before.unlisted => &mut self.findings.as_known,
            Some(before) => {
                let open = resource.statuses.iter().flat_map(|statuses| &statuses.open);
                let is_listed = row.status(resource).is_some_and(|status| open.into_iter().any(|open| open == status));
                self.findings.regressed += u64::from(is_listed && !before.open && !before.unlisted);
                &mut self.findings.changed
            }
            None => &mut self.findings.added,
        };
        *count += 1;
        if before.is_none_or(|before| before.removed || before.unlisted || before.digest != digest) {
            self.note_status(row);
        }
        Ok(())
    }

    fn note_status(&mut self, row: &Row<'_>) {
        let statuses = self.plain.resource.statuses.as_ref();
        let status = row.status(self.plain.resource);
        let undocumented = status.filter(|status| !statuses.is_some_and(|statuses| statuses.is_documented(status)));
        self.findings.undocumented.extend(undocumented.map(str::to_owned));
    }
}
