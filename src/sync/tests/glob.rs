//! A reader that globs while the writers write: it lists, then reads each object, and at no moment may anything look wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    checker::{
        fold::{Fold, fold},
        log,
    },
    lists::KINDS,
    process::sleep,
    random::Random,
    rows::{Row, Rows},
    shelf::Object,
    stage::{Stage, Violation, violation},
};

/// What one reader has seen.
pub(super) struct Reader {
    stage: Arc<Stage>,
    random: Random,
    /// Objects of the truth, with their bytes' hashes.
    seen: BTreeMap<String, u128>,
}

type Read = (String, Object, Arc<Rows>);

impl Reader {
    pub(super) fn new(stage: Arc<Stage>, random: Random) -> Self {
        Self { stage, random, seen: BTreeMap::new() }
    }

    /// Looks at random moments for as long as the simulation lasts, less and less often.
    pub(super) async fn watch(mut self) {
        let mut pause_ms = self.stage.plan.tick_ms;
        loop {
            sleep(self.random.below(pause_ms)).await;
            pause_ms += pause_ms / 4;
            let kind = self.random.pick(&self.stage.plan.kinds);
            let looked = if self.random.one_in(2) { self.changes(kind).await } else { self.current(kind).await };
            if let Err(violation) = looked {
                return self.stage.report(violation);
            }
        }
    }

    /// A glob over `changes/`: whole files, no version twice, no gap before the last claim, and nothing that was there is gone
    /// or another.
    async fn changes(&mut self, kind: usize) -> Result<(), Violation> {
        let folder = format!("changes/{}", KINDS[kind].name);
        let listed = self.stage.shelf().list(&folder);
        let (settled, last) = log::numbers(&self.stage, KINDS[kind].name)?;
        let before: Vec<String> = self.seen.keys().filter(|key| key.starts_with(&folder)).cloned().collect();
        let keys: BTreeSet<&String> = listed.iter().map(|(key, _)| key).collect();
        if let Some(gone) = before.iter().find(|key| !keys.contains(key)) {
            return Err(violation("what is in `changes/` stays there", format!("{gone} has gone")));
        }
        let mut objects = self.read(&listed, false).await?;
        for (key, object, _) in &objects {
            let hash = xxhash_rust::xxh3::xxh3_128(&object.bytes);
            if *self.seen.entry(key.clone()).or_insert(hash) != hash {
                return Err(violation("an object of the truth never changes", format!("{key} is another")));
            }
        }
        objects.sort_by_key(|(key, ..)| number(key));
        let numbers: Vec<u64> = objects.iter().filter_map(|(key, ..)| number(key)).collect();
        let is_once = numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers.last().is_none_or(|it| *it <= last);
        if !is_once || !numbers.iter().copied().take(settled as usize).eq(1..=settled) {
            return Err(violation(
                "one object a number, without gaps",
                format!("a glob over {folder} sees {numbers:?}"),
            ));
        }
        self.stage.figures().count("globs over changes/");
        versions(kind, &objects)
    }

    /// A glob over `current/`: whole files, each record once, each partition as of one commit.
    async fn current(&mut self, kind: usize) -> Result<(), Violation> {
        for table in KINDS[kind].tables() {
            let listed = self.stage.shelf().list(&format!("current/{table}"));
            let objects = self.read(&listed, true).await?;
            let mut once = BTreeSet::new();
            for (key, _, rows) in &objects {
                for row in &rows.rows {
                    let id = (row.text(KINDS[kind].key).map(str::to_owned), parent(kind, table, row));
                    if !once.insert(id.clone()) {
                        let how = format!("{id:?} stands twice in current/{table}, again in {key}");
                        return Err(violation("each record stands once in `current/`", how));
                    }
                }
                if table == KINDS[kind].name {
                    self.as_of_one_commit(kind, key, rows)?;
                }
            }
        }
        self.stage.figures().count("globs over current/");
        Ok(())
    }

    /// Compares a partition with what its commits came to after each of them.
    fn as_of_one_commit(&self, kind: usize, key: &str, rows: &Rows) -> Result<(), Violation> {
        let partition = folder(key.trim_start_matches("current/"));
        let mut found: Vec<&Row> = rows.rows.iter().collect();
        found.sort_by_key(|row| row.text(KINDS[kind].key));
        let commits = commits(&self.stage, kind)?;
        let mut folded = Fold::new();
        let mut is_some_moment = found.is_empty();
        for (key, _, rows) in commits.iter().filter(|(key, ..)| folder(key.trim_start_matches("changes/")) == partition)
        {
            fold(&mut folded, rows, kind, key)?;
            is_some_moment |= folded.values().eq(found.iter().copied());
        }
        if is_some_moment {
            return Ok(());
        }
        Err(violation("a partition of `current/` is as of one commit", format!("{key} is as of none")))
    }

    /// Reads objects one after the other, while time passes. Of caches, what somebody has laid hands on is passed over.
    async fn read(&mut self, listed: &[(String, Object)], caches: bool) -> Result<Vec<Read>, Violation> {
        let mut objects = Vec::new();
        for (key, _) in listed {
            let pause_ms = self.random.pick(&[0, 0, 1, 20, 300]);
            sleep(self.random.below(pause_ms)).await;
            let object = self.stage.shelf().get(key).cloned();
            let Some(object) = object.filter(|object| !(caches && object.vandalised)) else {
                if caches {
                    continue;
                }
                return Err(violation("what is in `changes/` stays there", format!("{key} has gone")));
            };
            let rows = self.stage.library().read(&object.bytes);
            let rows = rows.map_err(|error| violation("readers see whole files", format!("{key}: {error}")))?;
            objects.push((key.clone(), object, rows));
        }
        Ok(objects)
    }
}

/// All commits of a kind, in their order.
pub(super) fn commits(stage: &Stage, kind: usize) -> Result<Vec<Read>, Violation> {
    let listed = stage.shelf().list(&format!("changes/{}", KINDS[kind].name));
    let mut commits = Vec::with_capacity(listed.len());
    for (key, object) in listed {
        let rows = stage.library().read(&object.bytes);
        let rows = rows.map_err(|error| violation("readers see whole files", format!("{key}: {error}")))?;
        commits.push((key, object, rows));
    }
    commits.sort_by_key(|(key, ..)| number(key));
    Ok(commits)
}

/// No version twice, each in the object of its number, and the versions of a record in the order of their times.
fn versions(kind: usize, objects: &[Read]) -> Result<(), Violation> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut folded = Fold::new();
    for (key, _, rows) in objects {
        let mut once = BTreeSet::new();
        for row in &rows.rows {
            let id = row.text(KINDS[kind].key).unwrap_or_default();
            if !once.insert(id) {
                return Err(violation("no version stands twice", format!("{id} stands twice in {key}")));
            }
            if Some(row.seq as u64) != number(key) {
                return Err(violation("a row names its commit", format!("{id} in {key} says {}", row.seq)));
            }
            let before = last.insert(id, row.observed_at);
            if before.is_some_and(|before| before >= row.observed_at) {
                let how = format!("{id} in {key} was observed before the version that it follows");
                return Err(violation("`_seq` and `_observed_at` grow together", how));
            }
        }
        fold(&mut folded, rows, kind, key)?;
    }
    Ok(())
}

/// The number in the name of an object.
pub(super) fn number(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.strip_suffix(".parquet")?.parse().ok()
}

/// The folder of a partition, of a key without its first part; the table's own if it is not partitioned.
pub(super) fn folder(key: &str) -> Option<&str> {
    let mut parts = key.split('/').skip(1);
    parts.next().filter(|_| parts.next().is_some())
}

/// In a flat table, the record that a row belongs to.
fn parent(kind: usize, table: &str, row: &Row) -> Option<String> {
    let (_, _, parent) = KINDS[kind].flat.filter(|(flat, ..)| *flat == table)?;
    row.text(parent).map(str::to_owned)
}
