//! The diff of one poll.
//!
//! In: the element hash of every record, in order, and key and digest of those that were decoded. Out: a verdict on each, at
//! once or after a look at everything known; then what is missing, and the records as they are known after the poll.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
};

use thiserror::Error;

use super::{
    Known, KnownRecord,
    index::ElementIndex,
    key_filter::KeyFilter,
    order::{Order, Slot},
    positions::Positions,
    unplaced::{TextAt, Unplaced, Waiting},
    window::Window,
};
use crate::{
    record::{ElementId, RecordSlice},
    schema::EventPartition,
};

/// By how many more elements may not be found near their place than are, before all known ones are indexed by their bytes.
const MISSES_MAX: u32 = 1024;

/// A decoded record, as far as the diff needs it.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// Hash of the key.
    pub key: u128,
    /// Its exact bytes.
    pub element: ElementId,
    /// Digest by value.
    pub digest: u64,
    /// When the record last changed by its own account, in microseconds.
    pub last_change: Option<i64>,
    /// Whether the record is expected to change.
    pub open: bool,
}

/// What a decoded record is against what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Equal by value to what is known.
    Unchanged,
    /// Not known, or known to have gone.
    Added(Filed),
    /// Known with another value.
    Changed(Filed),
    /// Known from an input alone, and listed by the API: from here on what that says stands.
    Listed(Filed),
    /// Known with another value that is newer: the server that has answered is behind, or an input is older than what is
    /// known. What is known stays.
    Stale,
    /// It takes a look at everything known to tell: [`Diff::place`] will.
    Waits,
}

/// A record that has waited for its verdict.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Anything but `Unchanged` and `Waits`.
    pub verdict: Verdict,
    /// Its text, until the next record waits.
    pub text: TextAt,
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
    /// Digest of the version that was known; `None` of a record that is new, or returns.
    pub digest: Option<u64>,
}

/// Why a diff cannot be made.
#[derive(Debug, Error)]
pub enum DiffError {
    /// One body has the same key twice with different content, so neither can be believed.
    #[error("the same key stands twice in one answer, with different content")]
    Conflict {
        /// The later of the two.
        text: Vec<u8>,
        /// Its place in the body.
        offset: u64,
    },
    /// A temporary file cannot be read or written.
    #[error("{0}")]
    Spool(#[from] io::Error),
}

/// What a poll found, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Not known before, or returned.
    pub added: u64,
    /// With another value, or listed for the first time where an input had told of it.
    pub changed: u64,
    /// Gone.
    pub removed: u64,
    /// As known, by their bytes.
    pub unchanged: u64,
    /// As known, but written in another way or not known by their bytes.
    pub equal: u64,
    /// In an older version than is known.
    pub stale: u64,
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
        self.added + self.changed + self.unchanged + self.equal + self.stale + self.repeated + self.rejected
    }

    /// Whether any of the missing could be one of those whose key cannot be read, or have come since the answer was true.
    #[must_use]
    pub fn hides_the_missing(&self) -> bool {
        self.rejected_without_key > 0 || self.stale > 0
    }
}

/// The diff while the body is read.
#[derive(Debug)]
pub struct Diff {
    known: Known,
    /// Positions of the known records that the body has listed.
    listed: Positions,
    window: Window,
    /// By how many more elements were not found in the window than were.
    misses: u32,
    /// All elements, once the window does not suffice.
    index: Option<ElementIndex>,
    /// Where the index last found one.
    indexed: Option<u64>,
    order: Order,
    /// The keys that the body has listed, where nothing was known before.
    first_sights: KeyFilter,
    unplaced: Unplaced,
    /// Rejected keys with the bytes they came with.
    rejected: HashMap<u128, ElementId>,
    /// Keys of records that are listed in an older version than is known, with its digest.
    stale: HashMap<u128, u64>,
    /// Where the body is an input: the keys of which a newer input is known.
    input: Option<HashSet<u128>>,
    tally: Tally,
}

/// The diff after the body.
#[derive(Debug)]
pub struct Conclusion {
    /// What was found; `removed` counts what is missing.
    pub tally: Tally,
    /// Records listed by the API before this poll.
    pub listed_before: u64,
    known: Known,
    listed: Positions,
    order: Order,
    /// Whether what is missing has gone.
    removals: bool,
}

impl Diff {
    /// Against what is known. `folder` is for temporary files.
    #[must_use]
    pub fn new(known: Known, folder: &Path) -> Self {
        Self {
            listed: Positions::none_of(known.count()),
            window: Window::new(known.clone()),
            misses: 0,
            index: None,
            indexed: None,
            order: Order::new(known.clone(), folder),
            first_sights: KeyFilter::default(),
            unplaced: Unplaced::new(folder),
            rejected: HashMap::new(),
            stale: HashMap::new(),
            input: None,
            tally: Tally::default(),
            known,
        }
    }

    /// The diff of an input instead of the API's list. It adds what the API has never listed and nothing else: what that lists
    /// or has dropped, and what is `newer`, by the hashes of keys, stays as it is known.
    #[must_use]
    pub fn of_input(self, newer: HashSet<u128>) -> Self {
        Self { input: Some(newer), ..self }
    }

    /// What the body lists next if it goes on as the last one did.
    ///
    /// # Errors
    ///
    /// If the known records cannot be read.
    pub fn expected(&mut self) -> io::Result<ElementId> {
        Ok(self.window.expected()?.map_or(ElementId::UNKNOWN, |(_, record)| record.element))
    }

    /// Whether these bytes are those of a known record that the body has not listed yet. If so the record is unchanged and
    /// done with.
    ///
    /// # Errors
    ///
    /// If the known records cannot be read.
    pub fn recognize(&mut self, element: ElementId) -> io::Result<bool> {
        if element == ElementId::UNKNOWN || self.known.count() == 0 {
            return Ok(false);
        }
        let listed = &self.listed;
        let is_it = |position: u64, record: &KnownRecord| {
            record.element == element && !record.removed && !listed.contains(position)
        };
        let expected = self.window.expected()?.filter(|(position, record)| is_it(*position, record));
        let found = match expected {
            Some((position, record)) => Some((position, *record)),
            None if self.index.is_none() => self.window.find(is_it),
            None => None,
        };
        if let Some((position, record)) = found {
            self.misses = self.misses.saturating_sub(1);
            self.window.pass(position);
            return self.recognized(position, &record);
        }
        self.misses += 1;
        if self.index.is_none() && self.misses > MISSES_MAX {
            self.index = Some(ElementIndex::new(&self.known, &self.listed)?);
        }
        let Some(index) = &self.index else { return Ok(false) };
        let Some((position, record)) = index.find(element, &self.listed)? else { return Ok(false) };
        // Two neighbours: the order is the known one again, from here on.
        if self.indexed.replace(position) == position.checked_sub(1) {
            self.window.seek(position + 1);
        }
        self.recognized(position, &record)
    }

    fn recognized(&mut self, position: u64, record: &KnownRecord) -> io::Result<bool> {
        self.listed.insert(position);
        self.order.follow(position, record)?;
        self.tally.unchanged += 1;
        Ok(true)
    }

    /// Says what a decoded record is. `file` is asked for the partition and the time of first sight of one that may be new.
    ///
    /// # Errors
    ///
    /// [`DiffError::Conflict`] if the body already had the key, with another value.
    pub fn classify(
        &mut self,
        sighting: Sighting,
        slice: RecordSlice<'_>,
        file: impl FnOnce() -> Filed,
    ) -> Result<Verdict, DiffError> {
        if self.rejected.contains_key(&sighting.key) {
            return Err(conflict(slice));
        }
        if let Some(&digest) = self.stale.get(&sighting.key) {
            self.tally.repeated += 1;
            return if digest == sighting.digest { Ok(Verdict::Unchanged) } else { Err(conflict(slice)) };
        }
        if let Some((position, record)) = self.find_near(sighting.key)? {
            self.window.pass(position);
            return Ok(self.known_as(position, &record, sighting, None)?);
        }
        // Where nothing was known, only a key that was listed already is not new.
        if self.known.count() == 0 && !self.first_sights.insert(sighting.key) {
            return Ok(self.add(sighting, file(), None)?);
        }
        self.wait(sighting, Some(file()), slice)?;
        Ok(Verdict::Waits)
    }

    /// Notes a record that could not be a row. If its key is known it has not gone: its last good version stays.
    ///
    /// # Errors
    ///
    /// [`DiffError::Conflict`] if the body already had the key, with other bytes.
    pub fn reject(&mut self, key: Option<u128>, slice: RecordSlice<'_>) -> Result<(), DiffError> {
        self.tally.rejected += 1;
        let Some(key) = key else {
            self.tally.rejected_without_key += 1;
            return Ok(());
        };
        match self.rejected.insert(key, slice.element) {
            Some(before) if before == slice.element => return Ok(()),
            Some(_) => return Err(conflict(slice)),
            None => {}
        }
        // One that waits was a row: its known record may have come near only since.
        if self.unplaced.find(key).is_some() || self.stale.contains_key(&key) {
            return Err(conflict(slice));
        }
        if let Some((position, record)) = self.find_near(key)? {
            self.window.pass(position);
            self.listed.insert(position);
            return Ok(self.order.append(&record)?);
        }
        self.wait(Sighting { key, element: slice.element, digest: 0, last_change: None, open: false }, None, slice)
    }

    /// The known record of this key, if it is in the window and not listed yet.
    fn find_near(&mut self, key: u128) -> io::Result<Option<(u64, KnownRecord)>> {
        self.window.expected()?;
        let listed = &self.listed;
        Ok(self.window.find(|position, record| record.key == key && !listed.contains(position)))
    }

    fn wait(&mut self, sighting: Sighting, filed: Option<Filed>, slice: RecordSlice<'_>) -> Result<(), DiffError> {
        if let Some(index) = self.unplaced.find(sighting.key) {
            let before = self.unplaced.get(index);
            if before.filed.is_none() || filed.is_none() || before.sighting.digest != sighting.digest {
                return Err(conflict(slice));
            }
            self.tally.repeated += 1;
            return Ok(());
        }
        let text = self.unplaced.keep(slice.text)?;
        let slot = self.order.reserve()?;
        self.unplaced.add(Waiting { sighting, filed, slot, offset: slice.offset, text });
        Ok(())
    }

    /// Whether so many records wait that it is time to [`place`](Self::place) them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unplaced.is_full()
    }

    /// Gives the records that wait their verdicts, by a look at all that the body has listed and at all that is known; those
    /// that are added or changed come out, in the order of the body.
    ///
    /// # Errors
    ///
    /// [`DiffError::Conflict`] if the body already had one of the keys, with another value.
    pub fn place(&mut self) -> Result<Vec<Placed>, DiffError> {
        if self.unplaced.len() == 0 {
            return Ok(Vec::new());
        }
        let repeated = self.find_repeated()?;
        let places = self.find_places()?;
        let mut placed = Vec::new();
        for (index, waiting) in self.unplaced.take().into_iter().enumerate() {
            let Waiting { sighting, filed, slot, text, .. } = waiting;
            if repeated.contains(index as u64) {
                self.tally.repeated += 1;
                continue;
            }
            let verdict = match (places.get(&index), filed) {
                (Some((position, record)), Some(_)) => self.known_as(*position, record, sighting, Some(slot))?,
                (Some((position, record)), None) => {
                    self.listed.insert(*position);
                    self.order.fill(slot, record)?;
                    continue;
                }
                (None, Some(filed)) => self.add(sighting, filed, Some(slot))?,
                (None, None) => continue,
            };
            if verdict != Verdict::Unchanged {
                placed.push(Placed { verdict, text });
            }
        }
        Ok(placed)
    }

    /// The text of a record that was placed.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn text(&mut self, placed: &Placed) -> io::Result<Vec<u8>> {
        self.unplaced.text(placed.text)
    }

    /// Those that wait and that the body has listed already, with the same value.
    fn find_repeated(&mut self) -> Result<Positions, DiffError> {
        let mut repeated = Positions::none_of(self.unplaced.len() as u64);
        for record in self.order.listed()? {
            let record = record?;
            let Some(index) = self.unplaced.find(record.key) else { continue };
            let Waiting { sighting, filed, offset, text, .. } = *self.unplaced.get(index);
            let listed = self.stale.get(&record.key).unwrap_or(&record.digest);
            if filed.is_none() || sighting.digest != *listed {
                return Err(DiffError::Conflict { text: self.unplaced.text(text)?, offset });
            }
            repeated.insert(index as u64);
        }
        Ok(repeated)
    }

    /// The known records that those who wait are, with their positions.
    fn find_places(&self) -> io::Result<HashMap<usize, (u64, KnownRecord)>> {
        let mut places = HashMap::new();
        for (position, record) in (0..).zip(self.known.records()) {
            let record = record?;
            if !self.listed.contains(position)
                && let Some(index) = self.unplaced.find(record.key)
            {
                places.insert(index, (position, record));
            }
        }
        Ok(places)
    }

    /// Lists a known record as it is seen now, in its slot or behind what is listed.
    fn known_as(
        &mut self,
        position: u64,
        record: &KnownRecord,
        sighting: Sighting,
        slot: Option<Slot>,
    ) -> io::Result<Verdict> {
        let Sighting { element, digest, last_change, open, .. } = sighting;
        self.listed.insert(position);
        let is_known = record.digest == digest && !record.removed;
        let is_stale = match &self.input {
            // What the API says for the first time stands, whatever an input has said.
            None => !is_known && !record.removed && !record.unlisted && is_older(last_change, record.last_change),
            Some(newer) => {
                let is_behind = newer.contains(&record.key) || is_older(last_change, record.last_change);
                !is_known && (!record.unlisted || is_behind)
            }
        };
        let unlisted = record.unlisted && self.input.is_some();
        let seen = KnownRecord { element, digest, last_change, open, removed: false, unlisted, ..*record };
        let now = if is_stale { *record } else { seen };
        match slot {
            Some(slot) => self.order.fill(slot, &now)?,
            None => self.order.append(&now)?,
        }
        if is_stale {
            self.stale.insert(record.key, digest);
            self.tally.stale += 1;
            return Ok(Verdict::Stale);
        }
        let was_open = record.open && !record.removed;
        let known = (!record.removed).then_some(record.digest);
        let KnownRecord { partition, first_seen_at, .. } = *record;
        let filed = Filed { partition, first_seen_at, was_open, digest: known };
        let (count, verdict) = match record.removed {
            true => (&mut self.tally.added, Verdict::Added(filed)),
            // Even if it says the same: where a record is from is told by its row.
            false if record.unlisted && !unlisted => (&mut self.tally.changed, Verdict::Listed(filed)),
            false if is_known => (&mut self.tally.equal, Verdict::Unchanged),
            false => (&mut self.tally.changed, Verdict::Changed(filed)),
        };
        *count += 1;
        Ok(verdict)
    }

    fn add(&mut self, sighting: Sighting, filed: Filed, slot: Option<Slot>) -> io::Result<Verdict> {
        let Sighting { key, element, digest, last_change, open } = sighting;
        let Filed { partition, first_seen_at, .. } = filed;
        let unlisted = self.input.is_some();
        let record =
            KnownRecord { key, element, digest, first_seen_at, last_change, partition, open, removed: false, unlisted };
        match slot {
            Some(slot) => self.order.fill(slot, &record)?,
            None => self.order.append(&record)?,
        }
        self.tally.added += 1;
        Ok(Verdict::Added(filed))
    }

    /// Ends the diff, once nothing waits any more: what the body did not list is missing.
    ///
    /// # Errors
    ///
    /// If the known records cannot be read.
    pub fn conclude(mut self) -> io::Result<Conclusion> {
        debug_assert!(self.unplaced.len() == 0, "records wait to be placed");
        for record in missing(&self.known, &self.listed) {
            record?;
            self.tally.removed += 1;
        }
        Ok(Conclusion {
            tally: self.tally,
            listed_before: self.known.listed(),
            known: self.known,
            listed: self.listed,
            order: self.order,
            removals: false,
        })
    }
}

/// Whether a version is older than the one that is known. Where one of them does not say, that cannot be told.
fn is_older(version: Option<i64>, known: Option<i64>) -> bool {
    version.zip(known).is_some_and(|(version, known)| version < known)
}

fn conflict(slice: RecordSlice<'_>) -> DiffError {
    DiffError::Conflict { text: slice.text.to_vec(), offset: slice.offset }
}

/// The known records that are not listed.
fn unlisted<'a>(
    known: &Known,
    listed: &'a Positions,
) -> impl Iterator<Item = io::Result<KnownRecord>> + Clone + use<'a> {
    let all = if listed.count() < known.count() { known.count() } else { 0 };
    (0..).zip(known.stream(0, all)).filter(|(position, _)| !listed.contains(*position)).map(|(_, record)| record)
}

/// Those of them that the API has listed before, and that have not gone.
fn missing<'a>(
    known: &Known,
    listed: &'a Positions,
) -> impl Iterator<Item = io::Result<KnownRecord>> + Clone + use<'a> {
    unlisted(known, listed).filter(|record| !record.as_ref().is_ok_and(|record| record.removed || record.unlisted))
}

impl Conclusion {
    /// The missing records as they were known, as many as [`Tally::removed`]. All may be, so that guards come before.
    ///
    /// # Errors
    ///
    /// If the known records cannot be read.
    pub fn missing(&self) -> io::Result<Vec<KnownRecord>> {
        let count = self.tally.removed as usize;
        missing(&self.known, &self.listed).take(count).collect()
    }

    /// Keeps what is missing, as if it had been listed: for a poll that cannot tell whether it has gone.
    pub fn withhold_removals(&mut self) {
        self.tally.removed = 0;
    }

    /// Takes what is missing for gone, once that is committed.
    pub fn settle_removals(&mut self) {
        self.removals = self.tally.removed > 0;
    }

    /// The records as they are known after the poll: in the order in which it listed them, and then the others.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or, each by itself, written before.
    pub fn known_in_order(&mut self) -> io::Result<impl Iterator<Item = io::Result<KnownRecord>> + Clone> {
        let removals = self.removals;
        let settled = move |record: KnownRecord| {
            let goes = removals && !record.removed && !record.unlisted;
            KnownRecord {
                removed: record.removed || goes,
                element: if goes { ElementId::UNKNOWN } else { record.element },
                ..record
            }
        };
        let others = unlisted(&self.known, &self.listed).map(move |record| record.map(settled));
        Ok(self.order.listed()?.chain(others))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, env::temp_dir};

    use proptest::prelude::*;

    use super::*;
    use crate::diff::KnownMap;

    /// Different bytes for different numbers.
    fn bytes(number: u64) -> ElementId {
        ElementId { hash: number, bytes: 4 }
    }

    const NEW: Filed = Filed { partition: EventPartition(9), first_seen_at: 90, was_open: false, digest: None };

    fn record(key: u128, value: u64) -> KnownRecord {
        KnownRecord {
            key,
            element: bytes(value * 10),
            digest: value,
            first_seen_at: 1,
            last_change: None,
            partition: EventPartition(2),
            open: false,
            removed: false,
            unlisted: false,
        }
    }

    fn sighting(key: u128, value: u64) -> Sighting {
        Sighting { key, element: bytes(value * 10), digest: value, last_change: None, open: false }
    }

    /// A slice of these bytes; its text and place are for messages only.
    fn slice(element: u64) -> RecordSlice<'static> {
        RecordSlice { text: b"text", element: bytes(element), offset: 7 }
    }

    fn classify(diff: &mut Diff, sighting: Sighting) -> Verdict {
        diff.classify(sighting, slice(sighting.element.hash), || NEW).unwrap()
    }

    fn is_conflict<T>(result: Result<T, DiffError>) -> bool {
        matches!(result, Err(DiffError::Conflict { text, offset: 7 }) if text == b"text")
    }

    fn known_of(records: impl IntoIterator<Item = KnownRecord>) -> Known {
        let mut map = KnownMap::default();
        records.into_iter().for_each(|record| _ = map.push(record));
        map.into_known(&temp_dir()).unwrap()
    }

    fn known(values: &[(u128, u64)]) -> Known {
        known_of(values.iter().map(|&(key, value)| record(key, value)))
    }

    fn diff(known: Known) -> Diff {
        Diff::new(known, &temp_dir())
    }

    /// What is known once a poll is committed.
    fn known_after(mut conclusion: Conclusion) -> Known {
        conclusion.settle_removals();
        known_of(conclusion.known_in_order().unwrap().map(|record| record.unwrap()))
    }

    /// Runs a poll that lists these keys with these values.
    fn poll(known: Known, body: &[(u128, u64)]) -> Result<Conclusion, DiffError> {
        let mut diff = diff(known);
        for &(key, value) in body {
            if !diff.recognize(bytes(value * 10))? {
                diff.classify(sighting(key, value), slice(value * 10), || NEW)?;
            }
        }
        diff.place()?;
        Ok(diff.conclude()?)
    }

    #[test]
    fn each_record_gets_its_verdict() {
        let mut diff = diff(known(&[(1, 101), (2, 102), (3, 103)]));
        assert!(diff.recognize(bytes(1010)).unwrap());
        assert!(!diff.recognize(bytes(2020)).unwrap());
        let filed = Filed { partition: EventPartition(2), first_seen_at: 1, was_open: false, digest: Some(102) };
        assert_eq!(classify(&mut diff, sighting(2, 202)), Verdict::Changed(filed));
        let reformatted = Sighting { element: bytes(7), ..sighting(3, 103) };
        assert_eq!(classify(&mut diff, reformatted), Verdict::Unchanged);
        assert_eq!(classify(&mut diff, sighting(4, 104)), Verdict::Waits);
        assert_eq!(classify(&mut diff, sighting(4, 104)), Verdict::Waits);
        assert_eq!(classify(&mut diff, sighting(1, 101)), Verdict::Waits);
        let placed = diff.place().unwrap();
        assert_eq!(placed.iter().map(|placed| placed.verdict).collect::<Vec<_>>(), [Verdict::Added(NEW)]);
        assert_eq!(diff.text(&placed[0]).unwrap(), b"text");
        let tally = diff.conclude().unwrap().tally;
        assert_eq!(
            (tally.unchanged, tally.changed, tally.equal, tally.added, tally.repeated, tally.removed),
            (1, 1, 1, 1, 2, 0)
        );
    }

    #[test]
    fn where_nothing_was_known_records_are_new_at_once() {
        let mut diff = diff(Known::default());
        let values = shuffled(1000);
        for (key, value) in &values {
            assert!(!diff.recognize(bytes(10)).unwrap());
            assert_eq!(classify(&mut diff, sighting(*key, *value)), Verdict::Added(NEW));
        }
        let (key, value) = values[7];
        assert_eq!(classify(&mut diff, sighting(key, value)), Verdict::Waits);
        assert!(diff.place().unwrap().is_empty());
        let conclusion = diff.conclude().unwrap();
        assert_eq!((conclusion.tally.added, conclusion.tally.repeated), (1000, 1));
        assert_eq!(known_after(conclusion).present(), 1000);
    }

    #[test]
    fn a_key_that_stands_twice_with_different_content_is_refused_however_far_apart() {
        let known_records = || known(&[(1, 101), (2, 102), (3, 103)]);
        let bodies: [&[(u128, u64)]; 5] = [
            &[(1, 101), (2, 102), (3, 103), (1, 201)],
            &[(1, 201), (2, 102), (3, 103), (1, 101)],
            &[(1, 101), (2, 102), (3, 103), (9, 1), (9, 2)],
            &[(9, 1), (1, 101), (2, 102), (3, 103), (9, 2)],
            &[(3, 103), (1, 101), (2, 102), (3, 104)],
        ];
        for body in bodies {
            assert!(is_conflict(poll(known_records(), body)), "{body:?}");
            assert!(is_conflict(poll(Known::default(), body)), "{body:?}");
        }
    }

    #[test]
    fn a_record_that_returns_goes_back_to_its_own_partition() {
        let gone = known_after(poll(known(&[(1, 101), (2, 102)]), &[(2, 102)]).unwrap());
        assert_eq!((gone.present(), gone.count()), (1, 2));
        let mut diff = diff(gone);
        assert!(diff.recognize(bytes(1020)).unwrap());
        let filed = Filed { partition: EventPartition(2), first_seen_at: 1, was_open: false, digest: None };
        assert_eq!(classify(&mut diff, sighting(1, 101)), Verdict::Added(filed));
    }

    #[test]
    fn a_rejected_record_has_not_gone() {
        let mut diff = diff(known(&[(1, 101), (2, 102)]));
        diff.reject(Some(1), slice(5)).unwrap();
        assert!(diff.recognize(bytes(1020)).unwrap());
        diff.reject(Some(2), slice(6)).unwrap();
        assert!(is_conflict(diff.place()), "the body has listed it");

        let mut diff = self::diff(known(&[(1, 101), (2, 102)]));
        diff.reject(Some(1), slice(5)).unwrap();
        diff.reject(Some(8), slice(8)).unwrap();
        assert!(diff.recognize(bytes(1020)).unwrap());
        assert!(is_conflict(diff.classify(sighting(8, 1), slice(10), || NEW)));
        assert!(diff.place().unwrap().is_empty());
        let conclusion = diff.conclude().unwrap();
        assert_eq!((conclusion.tally.removed, conclusion.tally.rejected), (0, 2));
        let after: Vec<_> = known_after(conclusion).records().map(|record| record.unwrap()).collect();
        assert_eq!(after, [record(1, 101), record(2, 102)]);
    }

    #[test]
    fn a_rejected_record_contradicts_one_of_its_key_that_waits() {
        let values: Vec<_> = (1..=600).map(|n| (u128::from(n), 100 + n)).collect();
        let mut diff = diff(known(&values));
        assert_eq!(classify(&mut diff, sighting(600, 700)), Verdict::Waits, "its place is far");
        for (_, value) in &values[..599] {
            assert!(diff.recognize(bytes(value * 10)).unwrap());
        }
        assert!(is_conflict(diff.reject(Some(600), slice(5))), "though its place is near by then");
    }

    /// A poll of one resource that says when its records last changed.
    fn at(key: u128, value: u64, last_change: i64) -> Sighting {
        Sighting { last_change: Some(last_change), ..sighting(key, value) }
    }

    #[test]
    fn an_older_version_than_is_known_is_skipped_and_what_is_known_stays() {
        let last_changed = |known: i64| KnownRecord { last_change: Some(known), ..record(1, 101) };
        let gone = KnownRecord { removed: true, ..last_changed(50) };
        let returns = Filed { partition: EventPartition(2), first_seen_at: 1, was_open: false, digest: None };
        let filed = Filed { digest: Some(101), ..returns };
        let rows = [
            (last_changed(50), at(1, 100, 49), Verdict::Stale),
            (last_changed(50), at(1, 100, 50), Verdict::Changed(filed)),
            (last_changed(50), at(1, 100, 51), Verdict::Changed(filed)),
            (last_changed(50), at(1, 101, 49), Verdict::Unchanged),
            (last_changed(50), sighting(1, 100), Verdict::Changed(filed)),
            (record(1, 101), at(1, 100, 49), Verdict::Changed(filed)),
            (gone, at(1, 100, 49), Verdict::Added(returns)),
        ];
        for (known, sighting, expected) in rows {
            let mut diff = diff(known_of([known]));
            assert_eq!(classify(&mut diff, sighting), expected, "{sighting:?}");
            let conclusion = diff.conclude().unwrap();
            assert_eq!(conclusion.tally.stale, u64::from(expected == Verdict::Stale));
            assert_eq!((conclusion.tally.listed(), conclusion.tally.removed), (1, 0));
            let [after] = known_after(conclusion).records().map(|record| record.unwrap()).collect::<Vec<_>>()[..]
            else {
                panic!("one is known")
            };
            let seen = Sighting { last_change: after.last_change, ..self::sighting(1, after.digest) };
            let stays = if expected == Verdict::Stale { self::at(1, 101, 50) } else { sighting };
            assert_eq!(
                (seen.digest, seen.last_change, after.element),
                (stays.digest, stays.last_change, stays.element)
            );
        }
    }

    #[test]
    fn an_older_version_stands_once_or_twice_alike_and_never_beside_another() {
        // So many that the last is far from the first.
        let values: Vec<_> = (1..=2000).map(|n| (u128::from(n), 100 + n)).collect();
        let known = || {
            known_of(values.iter().map(|(key, value)| KnownRecord { last_change: Some(50), ..record(*key, *value) }))
        };
        let poll = |first: Sighting, second: Sighting, rejected: bool| {
            let mut diff = diff(known());
            let take = |diff: &mut Diff, sighting: Sighting| -> Result<(), DiffError> {
                if !diff.recognize(sighting.element)? {
                    diff.classify(sighting, slice(sighting.element.hash), || NEW)?;
                }
                Ok(())
            };
            take(&mut diff, first)?;
            for (key, value) in values.iter().filter(|(key, _)| ![first.key, second.key].contains(key)) {
                take(&mut diff, at(*key, *value, 50))?;
            }
            if rejected {
                diff.reject(Some(second.key), slice(9))?
            } else {
                take(&mut diff, second)?
            }
            diff.place()?;
            Ok(diff.conclude()?.tally)
        };
        for key in [1, 1000, 2000] {
            let (old, other, known) = (at(key, 7, 40), at(key, 8, 40), at(key, 100 + key as u64, 50));
            let tally = poll(old, old, false).unwrap();
            assert_eq!((tally.stale, tally.repeated, tally.unchanged), (1, 1, 1999), "{key}");
            for (first, second) in [(old, other), (old, known), (known, old)] {
                assert!(is_conflict(poll(first, second, false)), "{key}");
            }
            assert!(is_conflict(poll(old, old, true)), "{key}");
        }
    }

    /// What an input has told of, and the API has not.
    fn unlisted(key: u128, value: u64) -> KnownRecord {
        KnownRecord { element: ElementId::UNKNOWN, unlisted: true, ..record(key, value) }
    }

    #[test]
    fn what_only_an_input_has_told_of_is_not_missing_and_is_the_apis_once_that_lists_it() {
        let mut diff = diff(known_of([record(1, 101), unlisted(2, 102), unlisted(3, 103)]));
        assert!(diff.recognize(bytes(1010)).unwrap());
        assert!(!diff.recognize(bytes(1030)).unwrap(), "what the API has not listed has no bytes of its own");
        let verdict = classify(&mut diff, sighting(3, 103));
        assert!(matches!(verdict, Verdict::Listed(_)), "{verdict:?}");
        let mut conclusion = diff.conclude().unwrap();
        let Tally { unchanged, changed, removed, .. } = conclusion.tally;
        assert_eq!((unchanged, changed, removed, conclusion.listed_before), (1, 1, 0, 1));
        conclusion.settle_removals();
        let after = known_after(conclusion);
        let unlisted: Vec<_> = after.records().map(|record| record.unwrap()).map(|it| (it.key, it.unlisted)).collect();
        assert_eq!(unlisted, [(1, false), (3, false), (2, true)]);
        assert_eq!((after.present(), after.listed()), (3, 2));

        // From here on it can go.
        let mut diff = self::diff(after);
        assert!(diff.recognize(bytes(1010)).unwrap());
        assert_eq!(
            diff.conclude().unwrap().missing().unwrap().iter().map(|record| record.key).collect::<Vec<_>>(),
            [3]
        );
    }

    #[test]
    fn an_input_adds_what_the_api_has_not_listed_and_leaves_the_rest_as_it_is_known() {
        let gone = KnownRecord { removed: true, ..record(3, 103) };
        let known = || known_of([record(1, 101), record(2, 102), gone, unlisted(4, 104), unlisted(5, 105)]);
        for (key, value, newer, expected) in [
            (1, 101, false, "Unchanged"),
            (2, 7, false, "Stale"),
            (3, 103, false, "Stale"),
            (3, 7, false, "Stale"),
            (4, 104, false, "Unchanged"),
            (4, 104, true, "Unchanged"),
            (4, 7, false, "Changed"),
            (5, 7, true, "Stale"),
            (6, 106, false, "Added"),
        ] {
            let newer = if newer { HashSet::from([key]) } else { HashSet::new() };
            let mut diff = diff(known()).of_input(newer);
            let mut verdict = classify(&mut diff, sighting(key, value));
            if let Some(placed) = diff.place().unwrap().first() {
                verdict = placed.verdict;
            }
            assert!(format!("{verdict:?}").starts_with(expected), "{key} {value}: {verdict:?}");
            // The same once more, and another of the same key.
            classify(&mut diff, sighting(key, value));
            let other = Sighting { digest: 999, ..sighting(key, value) };
            assert!(is_conflict(diff.classify(other, slice(1), || NEW).and_then(|_| diff.place()).map(drop)));
        }
    }

    /// Keys that no order of a few is near to, so that the window and the index both have work.
    fn shuffled(count: u64) -> Vec<(u128, u64)> {
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut values: Vec<(u128, u64)> =
            (1..=count).map(|n| (u128::from(spread(n)) << 64 | u128::from(n), n)).collect();
        values.sort_by_key(|(key, _)| *key);
        values
    }

    #[test]
    fn a_body_in_any_order_is_recognized_and_the_next_in_its_order() {
        let values = shuffled(20_000);
        let mut in_order = values.clone();
        in_order.sort_by_key(|(_, value)| *value);
        let rotated: Vec<_> = in_order[7_000..].iter().chain(&in_order[..7_000]).copied().collect();
        let reversed: Vec<_> = in_order.iter().rev().copied().collect();
        for body in [&in_order, &values, &rotated, &reversed] {
            let conclusion = poll(known(&in_order), body).unwrap();
            let Tally { unchanged, equal, added, changed, removed, .. } = conclusion.tally;
            assert_eq!(unchanged + equal, 20_000);
            assert!(equal < 2_000, "{equal} were decoded");
            assert_eq!((added, changed, removed), (0, 0, 0));
            let again = poll(known_after(conclusion), body).unwrap();
            assert_eq!(again.tally, Tally { unchanged: 20_000, ..Tally::default() });
        }
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
            let mut again = diff(known_after(conclusion));
            let mut once = std::collections::HashSet::new();
            for (key, value) in listed {
                prop_assert!(!once.insert(key) || again.recognize(bytes(value * 10)).unwrap());
            }
            let tally = again.conclude().unwrap().tally;
            prop_assert_eq!(tally.added + tally.changed + tally.removed, 0);
        }
    }
}
