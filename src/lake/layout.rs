//! Where everything lies in a lake. Keys are made of names that the schemas vouch for, dates and numbers alone.

use crate::schema::{EventPartition, Granularity, Resource};

pub(super) const LAKE: &str = "meta/lake.json";

/// The last runs.
pub(super) const RUNS: &str = "meta/runs.json";

/// What was written to try stores.
pub(super) const PROBES: &str = "meta/probe";

/// The snapshots of all resources.
pub(super) const SNAPSHOTS: &str = "snapshots";

/// The archive of all resources.
pub(super) const RAW: &str = "raw";

/// How the name of what a poll was answered with ends.
const ARCHIVED: &str = ".json.zst";

/// What polls of a resource were answered with.
pub(super) fn archive(resource: &str) -> String {
    format!("{RAW}/{resource}")
}

/// What a poll was answered with: the first part of it, whose number is 0, or another.
pub(super) fn archived(resource: &str, poll_id: &str, part: u64) -> String {
    let number = if part == 0 { String::new() } else { format!(".{part}") };
    format!("{}/{poll_id}{ARCHIVED}{number}", archive(resource))
}

/// The poll that a key stands for in the archive, and the number of the part.
pub(super) fn parse_archived<'k>(resource: &str, key: &'k str) -> Option<(&'k str, u64)> {
    let (poll_id, number) = key.rsplit_once('/')?.1.split_once(ARCHIVED)?;
    let part = if number.is_empty() { 0 } else { number.strip_prefix('.')?.parse().ok()? };
    (archived(resource, poll_id, part) == key).then_some((poll_id, part))
}

/// What was written to try the store, by the trial's name.
pub(super) fn probes(name: &str) -> String {
    format!("{PROBES}/{name}")
}

pub(super) fn probe(name: &str, what: &str) -> String {
    format!("{}/{what}", probes(name))
}

/// Digits of a sequence number in a key, so that keys sort as numbers do.
const SEQ_DIGITS: usize = 20;

/// Keys of one resource.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    resource: String,
    granularity: Granularity,
}

impl Layout {
    pub(super) fn new(resource: &Resource, granularity: Granularity) -> Self {
        let granularity = if resource.partitioned { granularity } else { Granularity::None };
        Self { resource: resource.name.clone(), granularity }
    }

    pub(super) fn granularity(&self) -> Granularity {
        self.granularity
    }

    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// All claims.
    pub(super) fn log(&self) -> String {
        format!("meta/{}/log", self.resource)
    }

    /// The claim whose first number this is.
    pub(super) fn claim(&self, seq: u64) -> String {
        format!("{}/{seq:0SEQ_DIGITS$}.json", self.log())
    }

    /// All commits.
    pub(super) fn changes(&self) -> String {
        format!("changes/{}", self.resource)
    }

    pub(super) fn commit(&self, partition: EventPartition, seq: u64) -> String {
        self.within(self.changes(), partition, &format!("{seq:0SEQ_DIGITS$}.parquet"))
    }

    /// All commits of a partition.
    pub(super) fn commits_of(&self, partition: EventPartition) -> String {
        match self.granularity.folder(partition) {
            Some(name) => format!("{}/{name}", self.changes()),
            None => self.changes(),
        }
    }

    pub(super) fn current(&self, table: &str, partition: EventPartition) -> String {
        self.within(format!("current/{table}"), partition, "data.parquet")
    }

    pub(super) fn current_index(&self) -> String {
        format!("meta/{}/current.json", self.resource)
    }

    pub(super) fn state(&self) -> String {
        format!("meta/{}/state/known.bin", self.resource)
    }

    /// All snapshots.
    pub(super) fn snapshots(&self) -> String {
        format!("{SNAPSHOTS}/{}", self.resource)
    }

    /// The snapshot whose first commit has this number.
    pub(super) fn snapshot(&self, first: u64) -> String {
        format!("{}/{first:0SEQ_DIGITS$}.parquet", self.snapshots())
    }

    pub(super) fn quarantine(&self) -> String {
        format!("quarantine/{}", self.resource)
    }

    pub(super) fn quarantined(&self, number: u64) -> String {
        format!("{}/{number:0SEQ_DIGITS$}.parquet", self.quarantine())
    }

    /// The partition and number that a key under `changes/` stands for; `None` for a key that no commit has.
    pub(super) fn parse_commit(&self, key: &str) -> Option<(EventPartition, u64)> {
        let rest = key.strip_prefix(&self.changes())?.strip_prefix('/')?;
        let (partition, file) = match self.granularity.column() {
            None => (EventPartition::default(), rest),
            Some(_) => {
                let (folder, file) = rest.split_once('/')?;
                (self.granularity.parse_folder(folder)?, file)
            }
        };
        // A glob for one depth does not see what lies deeper, so no commit may.
        let seq = parse_number(file, ".parquet").filter(|_| !file.contains('/'))?;
        Some((partition, seq))
    }

    /// The number that a key stands for among the claims; `None` for a key that no claim has.
    pub(super) fn parse_claim(&self, key: &str) -> Option<u64> {
        parse_number(key, ".json").filter(|number| *number > 0 && self.claim(*number) == key)
    }

    /// The same in the quarantine.
    pub(super) fn parse_quarantined(&self, key: &str) -> Option<u64> {
        parse_number(key, ".parquet").filter(|number| *number > 0 && self.quarantined(*number) == key)
    }

    /// The number of the first commit of the snapshot that a key stands for; `None` for a key that none has.
    pub(super) fn parse_snapshot(&self, key: &str) -> Option<u64> {
        parse_number(key, ".parquet").filter(|first| *first > 0 && self.snapshot(*first) == key)
    }

    /// The partition that a key under `current/<table>/` stands for; `None` for a key that no projection has.
    pub(super) fn parse_current(&self, table: &str, key: &str) -> Option<EventPartition> {
        let partition = match self.granularity.column() {
            None => EventPartition::default(),
            Some(_) => self.granularity.parse_folder(key.rsplit('/').nth(1)?)?,
        };
        (self.current(table, partition) == key).then_some(partition)
    }

    fn within(&self, folder: String, partition: EventPartition, file: &str) -> String {
        match self.granularity.folder(partition) {
            Some(name) => format!("{folder}/{name}/{file}"),
            None => format!("{folder}/{file}"),
        }
    }
}

/// The number in a key of numbered objects, given the file's suffix.
pub(super) fn parse_number(key: &str, suffix: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?.strip_suffix(suffix)?;
    (name.len() == SEQ_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;

    #[test]
    fn keys_are_those_of_the_layout_and_read_back() {
        let schemas = Schemas::builtin().unwrap();
        let deposits = Layout::new(schemas.get("deposits").unwrap(), Granularity::Month);
        let may = Granularity::Month.parse_folder("event_month=2026-05").unwrap();
        let key = deposits.commit(may, 42);
        assert_eq!(key, "changes/deposits/event_month=2026-05/00000000000000000042.parquet");
        assert_eq!(deposits.parse_commit(&key), Some((may, 42)));
        assert_eq!(deposits.claim(42), "meta/deposits/log/00000000000000000042.json");
        assert!(key.starts_with(&format!("{}/", deposits.commits_of(may))));
        let accounts = Layout::new(schemas.get("accounts").unwrap(), Granularity::Month);
        let key = accounts.commit(EventPartition::default(), 1);
        assert_eq!(key, "changes/accounts/00000000000000000001.parquet");
        assert_eq!(accounts.parse_commit(&key), Some((EventPartition::default(), 1)));
        for (layout, table, partition) in
            [(&deposits, "deposits", may), (&accounts, "accounts", EventPartition::default())]
        {
            let key = layout.current(table, partition);
            assert_eq!(layout.parse_current(table, &key), Some(partition), "{key}");
            assert_eq!(layout.parse_current("other", &key), None);
            assert_eq!(layout.parse_current(table, &key.replace("data", "other")), None);
        }
    }

    #[test]
    fn numbered_keys_are_read_back_and_others_are_not() {
        let schemas = Schemas::builtin().unwrap();
        let layout = Layout::new(schemas.get("deposits").unwrap(), Granularity::Month);
        assert_eq!(layout.parse_claim(&layout.claim(7)), Some(7));
        assert_eq!(layout.parse_quarantined(&layout.quarantined(7)), Some(7));
        assert_eq!(layout.parse_snapshot(&layout.snapshot(7)), Some(7));
        for key in
            [layout.claim(0), layout.claim(7).replace("log", "logs"), layout.claim(7).replace("/log/", "/log/x/")]
        {
            assert_eq!(layout.parse_claim(&key), None, "{key}");
        }
        for key in [layout.quarantined(0), layout.claim(7), "quarantine/deposits/x/00000000000000000007.parquet".into()]
        {
            assert_eq!(layout.parse_quarantined(&key), None, "{key}");
        }
    }

    #[test]
    fn strays_are_no_commits() {
        let schemas = Schemas::builtin().unwrap();
        let layout = Layout::new(schemas.get("deposits").unwrap(), Granularity::Month);
        let strays = [
            "changes/deposits/x.parquet",
            "changes/deposits/event_month=2026-05/x.parquet",
            "changes/deposits/event_month=2026-05/42.parquet",
            "changes/deposits/event_month=2026-05/deeper/00000000000000000042.parquet",
            "changes/deposits/event_day=2026-05-01/00000000000000000042.parquet",
            "changes/deposits/event_month=2026-05/00000000000000000042.parquet#1",
            "changes/depositsx/event_month=2026-05/00000000000000000042.parquet",
        ];
        for stray in strays {
            assert_eq!(layout.parse_commit(stray), None, "{stray}");
        }
    }
}
