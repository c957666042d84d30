//! The diff of one poll.
//!
//! In: the element hash of every record, in order, and key and digest of those that were decoded. Out: a verdict on each,
//! then what is missing, and the records as they are known after the poll.

use std::collections::HashMap;

use thiserror::Error;

use super::{Known, KnownRecord};
use crate::schema::EventPartition;

/// A decoded record, as far as the diff needs it.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// Hash of the key.
    pub key: u128,
    /// Hash of the bytes.
    pub element: u64,
    /// Digest by value.
    pub digest: u64,
    /// Whether the record is expected to change.
    pub open: bool,
}

/// What a decoded record is against what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Equal by value to what is known.
    Unchanged,
    /// The body has it twice, with the same value.
    Repeated,
    /// Not known, or known to have gone.
    Added(Filed),
    /// Known with another value.
    Changed(Filed),
}

/// Where a record is filed, and since when it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filed {
    /// Its partition.
    pub partition: EventPartition,
    /// When it was first observed, in microseconds.
    pub first_seen_at: i64,
    /// Whether it was listed before and expected to change.
    pub was_open: bool,
}

/// One body has the same key twice with different content, so neither can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the same key stands twice in one answer, with different content")]
pub struct ConflictingDuplicate;

/// What a poll found, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Not known before, or returned.
    pub added: u64,
    /// With another value.
    pub changed: u64,
    /// Gone.
    pub removed: u64,
    /// As known, by their bytes.
    pub unchanged: u64,
    /// As known, but written in another way or not known by their bytes.
    pub equal: u64,
    /// Listed twice with the same value.
    pub repeated: u64,
    /// That could not be rows.
    pub rejected: u64,
    /// Of the rejected, those without a readable key.
    pub rejected_without_key: u64,
}

impl Tally {
    /// Elements of the body.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.added + self.changed + self.unchanged + self.equal + self.repeated + self.rejected
    }
}

/// The diff while the body is read.
#[derive(Debug)]
pub struct Diff {
    known: Known,
    present_before: u64,
    /// Per position, whether the body has listed it.
    seen: Vec<bool>,
    /// Positions in the order of the body.
    order: Vec<u32>,
    /// The position that the next element is expected to have.
    next: usize,
    /// Rejected keys with the bytes they came with.
    rejected: HashMap<u128, u64>,
    tally: Tally,
}

/// The diff after the body.
#[derive(Debug)]
pub struct Conclusion {
    /// What was found; `removed` counts what is missing.
    pub tally: Tally,
    /// Records listed by the API before this poll.
    pub present_before: u64,
    /// The missing records as they were known.
    pub missing: Vec<KnownRecord>,
    known: Known,
    order: Vec<u32>,
}

impl Diff {
    /// Against what is known.
    #[must_use]
    pub fn new(known: Known) -> Self {
        let seen = vec![false; known.records().len()];
        let present_before = known.present();
        Self {
            known,
            present_before,
            seen,
            order: Vec::new(),
            next: 0,
            rejected: HashMap::new(),
            tally: Tally::default(),
        }
    }

    /// Whether these bytes are the ones expected next. If so the record is unchanged and done with.
    pub fn recognize(&mut self, element: u64) -> bool {
        let position = self.next;
        let expected =
            self.known.get(position).is_some_and(|record| record.element == element && element != 0 && !record.removed);
        if !expected || self.seen[position] {
            return false;
        }
        self.list(position);
        self.tally.unchanged += 1;
        true
    }

    /// Says what a decoded record is. `file` is asked for the partition and the time of first sight of a new one.
    ///
    /// # Errors
    ///
    /// [`ConflictingDuplicate`] if the body already had the key, with another value.
    pub fn classify(
        &mut self,
        sighting: Sighting,
        file: impl FnOnce() -> Filed,
    ) -> Result<Verdict, ConflictingDuplicate> {
        if self.rejected.contains_key(&sighting.key) {
            return Err(ConflictingDuplicate);
        }
        let Some(position) = self.known.find(sighting.key) else { return Ok(self.add(sighting, file())) };
        let Some(record) = self.known.get_mut(position) else { return Err(ConflictingDuplicate) };
        let equal = record.digest == sighting.digest && !record.removed;
        if self.seen[position] {
            self.tally.repeated += 1;
            return if equal { Ok(Verdict::Repeated) } else { Err(ConflictingDuplicate) };
        }
        let was_open = record.open && !record.removed;
        let filed = Filed { partition: record.partition, first_seen_at: record.first_seen_at, was_open };
        let returned = std::mem::replace(&mut record.removed, false);
        record.element = sighting.element;
        record.digest = sighting.digest;
        record.open = sighting.open;
        self.list(position);
        let (count, verdict) = match (equal, returned) {
            (true, _) => (&mut self.tally.equal, Verdict::Unchanged),
            (false, true) => (&mut self.tally.added, Verdict::Added(filed)),
            (false, false) => (&mut self.tally.changed, Verdict::Changed(filed)),
        };
        *count += 1;
        Ok(verdict)
    }

    /// Notes a record that could not be a row. If its key is known it has not gone: its last good version stays.
    ///
    /// # Errors
    ///
    /// [`ConflictingDuplicate`] if the body already had the key, with other bytes.
    pub fn reject(&mut self, key: Option<u128>, element: u64) -> Result<(), ConflictingDuplicate> {
        self.tally.rejected += 1;
        let Some(key) = key else {
            self.tally.rejected_without_key += 1;
            return Ok(());
        };
        match self.rejected.insert(key, element) {
            Some(before) if before == element => return Ok(()),
            Some(_) => return Err(ConflictingDuplicate),
            None => {}
        }
        match self.known.find(key) {
            Some(position) if self.seen[position] => Err(ConflictingDuplicate),
            Some(position) => {
                self.list(position);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends the diff: what the body did not list is missing.
    #[must_use]
    pub fn conclude(mut self) -> Conclusion {
        let unseen = self.known.records().iter().zip(&self.seen).filter(|(record, seen)| !**seen && !record.removed);
        let missing: Vec<_> = unseen.map(|(record, _)| *record).collect();
        self.tally.removed = missing.len() as u64;
        Conclusion {
            tally: self.tally,
            present_before: self.present_before,
            missing,
            known: self.known,
            order: self.order,
        }
    }

    fn add(&mut self, sighting: Sighting, filed: Filed) -> Verdict {
        let position = self.known.push(KnownRecord {
            key: sighting.key,
            element: sighting.element,
            digest: sighting.digest,
            first_seen_at: filed.first_seen_at,
            partition: filed.partition,
            open: sighting.open,
            removed: false,
        });
        self.seen.push(false);
        self.list(position);
        self.tally.added += 1;
        Verdict::Added(filed)
    }

    fn list(&mut self, position: usize) {
        self.seen[position] = true;
        self.order.push(position as u32);
        self.next = position + 1;
    }
}

impl Conclusion {
    /// Keeps what is missing, as if it had been listed: for a poll that cannot tell whether it has gone.
    pub fn withhold_removals(&mut self) {
        self.missing.clear();
        self.tally.removed = 0;
    }

    /// Takes what is missing for gone, once that is committed.
    pub fn settle_removals(&mut self) {
        for missing in &self.missing {
            if let Some(record) = self.known.find(missing.key).and_then(|position| self.known.get_mut(position)) {
                record.removed = true;
                record.element = 0;
            }
        }
    }

    /// The records as they are known after the poll, in the order in which it listed them.
    pub fn known_in_order(&self) -> impl Iterator<Item = &KnownRecord> {
        self.known.in_order(&self.order)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const NEW: Filed = Filed { partition: EventPartition(9), first_seen_at: 90, was_open: false };

    fn record(key: u128, value: u64) -> KnownRecord {
        KnownRecord {
            key,
            element: value * 10,
            digest: value,
            first_seen_at: 1,
            partition: EventPartition(2),
            open: false,
            removed: false,
        }
    }

    fn sighting(key: u128, value: u64) -> Sighting {
        Sighting { key, element: value * 10, digest: value, open: false }
    }

    /// What is known once a poll is committed.
    fn known_after(mut conclusion: Conclusion) -> Known {
        conclusion.settle_removals();
        Known::new(conclusion.known_in_order().copied().collect())
    }

    /// Runs a poll that lists these keys with these values.
    fn poll(known: Known, body: &[(u128, u64)]) -> Result<Conclusion, ConflictingDuplicate> {
        let mut diff = Diff::new(known);
        for &(key, value) in body {
            if !diff.recognize(value * 10) {
                diff.classify(sighting(key, value), || NEW)?;
            }
        }
        Ok(diff.conclude())
    }

    fn known(values: &[(u128, u64)]) -> Known {
        Known::new(values.iter().map(|&(key, value)| record(key, value)).collect())
    }

    #[test]
    fn each_record_gets_its_verdict() {
        let mut diff = Diff::new(known(&[(1, 101), (2, 102), (3, 103)]));
        assert!(diff.recognize(1010));
        assert!(!diff.recognize(2020));
        let filed = Filed { partition: EventPartition(2), first_seen_at: 1, was_open: false };
        assert_eq!(diff.classify(sighting(2, 202), || NEW), Ok(Verdict::Changed(filed)));
        let reformatted = Sighting { element: 7, ..sighting(3, 103) };
        assert_eq!(diff.classify(reformatted, || NEW), Ok(Verdict::Unchanged));
        assert_eq!(diff.classify(sighting(4, 104), || NEW), Ok(Verdict::Added(NEW)));
        assert_eq!(diff.classify(sighting(4, 104), || NEW), Ok(Verdict::Repeated));
        let tally = diff.conclude().tally;
        assert_eq!(
            (tally.unchanged, tally.changed, tally.equal, tally.added, tally.repeated, tally.removed),
            (1, 1, 1, 1, 1, 0)
        );
    }

    #[test]
    fn a_key_that_stands_twice_with_different_content_is_refused_however_far_apart() {
        let known_records = || known(&[(1, 101), (2, 102), (3, 103)]);
        let bodies: [&[(u128, u64)]; 4] = [
            &[(1, 101), (2, 102), (3, 103), (1, 201)],
            &[(1, 201), (2, 102), (3, 103), (1, 101)],
            &[(1, 101), (2, 102), (3, 103), (9, 1), (9, 2)],
            &[(3, 103), (1, 101), (2, 102), (3, 104)],
        ];
        for body in bodies {
            assert!(poll(known_records(), body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_record_that_returns_goes_back_to_its_own_partition() {
        let gone = known_after(poll(known(&[(1, 101), (2, 102)]), &[(2, 102)]).unwrap());
        assert_eq!(gone.present(), 1);
        let mut diff = Diff::new(gone);
        assert!(diff.recognize(1020));
        let filed = Filed { partition: EventPartition(2), first_seen_at: 1, was_open: false };
        assert_eq!(diff.classify(sighting(1, 101), || NEW), Ok(Verdict::Added(filed)));
    }

    #[test]
    fn a_rejected_record_has_not_gone() {
        let mut diff = Diff::new(known(&[(1, 101), (2, 102)]));
        diff.reject(Some(1), 5).unwrap();
        assert!(diff.recognize(1020));
        assert_eq!(diff.reject(Some(2), 6), Err(ConflictingDuplicate));
        let conclusion = diff.conclude();
        assert_eq!((conclusion.tally.removed, conclusion.tally.rejected), (0, 2));
        assert_eq!(known_after(conclusion).records()[0], record(1, 101));
    }

    proptest! {
        /// The diff agrees with a plain comparison of two maps, whatever the order of the body.
        #[test]
        fn agrees_with_comparing_two_maps(
            before in prop::collection::btree_map(0_u128..24, 1_u64..4, 0..20),
            after in prop::collection::vec((0_u128..24, 1_u64..4), 0..30),
        ) {
            let value = |key: u128, version: u64| key as u64 * 10 + version;
            let mut body: BTreeMap<u128, u64> = BTreeMap::new();
            let listed: Vec<(u128, u64)> =
                after.iter().map(|&(key, version)| (key, value(key, *body.entry(key).or_insert(version)))).collect();
            let records: Vec<_> = before.iter().map(|(&key, &version)| (key, value(key, version))).collect();
            let conclusion = poll(known(&records), &listed).unwrap();
            let tally = conclusion.tally;
            prop_assert_eq!(tally.added, body.keys().filter(|key| !before.contains_key(key)).count() as u64);
            prop_assert_eq!(tally.removed, before.keys().filter(|key| !body.contains_key(key)).count() as u64);
            let changed = body.iter().filter(|(key, version)| before.get(key).is_some_and(|old| old != *version)).count();
            prop_assert_eq!(tally.changed, changed as u64);
            prop_assert_eq!(tally.listed(), listed.len() as u64);
            // What is known afterwards recognises the same body from its bytes alone.
            let mut again = Diff::new(known_after(conclusion));
            let mut once = std::collections::HashSet::new();
            for (key, value) in listed {
                prop_assert!(!once.insert(key) || again.recognize(value * 10));
            }
            let tally = again.conclude().tally;
            prop_assert_eq!(tally.added + tally.changed + tally.removed, 0);
        }
    }
}
