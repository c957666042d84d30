//! Checks that several laws share: the lake against the truth of a sandbox, and `changes/` against its own laws.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    duckdb::DuckDb,
    lake::Lake,
    rows::{Version, assert_same_records, changes, current, current_elements, elements},
    sandbox::Sandbox,
    tables::Resource,
    verified::assert_verified,
};

/// Fails unless `current/` holds what the sandbox says of each resource, in all tables and all columns.
#[track_caller]
pub fn assert_current_is_the_truth(duckdb: &mut DuckDb, lake: &Lake, sandbox: &Sandbox, resources: &[Resource]) {
    for resource in resources {
        let truth = sandbox.truth(resource);
        let found = current(duckdb, lake, resource);
        assert_same_records(&found, &truth, &format!("current/{}", resource.name));
        for (list, table) in resource.flat_tables() {
            let (found, expected) = (current_elements(duckdb, lake, list), elements(&truth, list));
            let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            assert_eq!(differing, None, "current/{}", table.name);
            assert_eq!(found.len(), expected.len(), "current/{}", table.name);
        }
    }
}

/// The versions of each record in `changes/`, oldest first, after checking what holds whatever has happened:
///
/// - no record has two rows of one number, and no two neighbouring versions of a record are the same;
/// - a row's number is that of its file, and all numbers up to the last are there once;
/// - time goes with the numbers, and one poll has one time;
/// - a record's versions lie in one partition, and agree on when it was first seen.
#[track_caller]
pub fn lawful_changes(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource) -> BTreeMap<String, Vec<Version>> {
    let name = &resource.name;
    let versions = changes(duckdb, lake, resource);
    let numbers = lake.commits(name);
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{name}: commits {numbers:?}");
    assert!(versions.iter().all(|version| version.seq == version.file_seq), "{name}: a row in another commit's file");
    for pair in versions.windows(2) {
        let same_poll = pair[0].poll_id == pair[1].poll_id;
        let in_order = if same_poll {
            pair[0].observed_at == pair[1].observed_at
        } else {
            pair[0].observed_at < pair[1].observed_at && pair[0].seq < pair[1].seq
        };
        assert!(
            in_order,
            "{name}: {} at {} before {} at {}",
            pair[0].seq, pair[0].observed_at, pair[1].seq, pair[1].observed_at
        );
    }
    let mut records: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for version in versions {
        records.entry(version.key.clone()).or_default().push(version);
    }
    for (key, versions) in &records {
        for pair in versions.windows(2) {
            assert!(pair[0].seq < pair[1].seq, "{name}: {key} twice in commit {}", pair[0].seq);
            let repeated =
                pair[0].row == pair[1].row && (pair[0].operation == "removed") == (pair[1].operation == "removed");
            assert!(!repeated, "{name}: {key} is the same in commits {} and {}", pair[0].seq, pair[1].seq);
        }
        let partitions: BTreeSet<_> = versions.iter().map(|version| &version.partition).collect();
        assert_eq!(partitions.len(), 1, "{name}: {key} lies in {partitions:?}");
        let first_seen: BTreeSet<_> = versions.iter().map(|version| &version.first_seen_at).collect();
        assert_eq!(first_seen.len(), 1, "{name}: {key} was first seen at {first_seen:?}");
        assert_eq!(versions[0].first_seen_at, versions[0].observed_at, "{name}: {key}");
        assert_eq!(versions[0].partition, expected_partition(resource, &versions[0]), "{name}: {key}");
    }
    records
}

/// The month of the first event time that the first version has, else of when it was observed.
fn expected_partition(resource: &Resource, first: &Version) -> Option<String> {
    let event_time = resource.event_time.iter().find_map(|column| first.row[column].as_str());
    resource.partitioned.then(|| event_time.unwrap_or(&first.observed_at)[..7].to_owned())
}

/// Fails unless `changes/`, folded, is what `current/` shows, and what is true; and unless `verify` finds the same.
#[track_caller]
pub fn assert_lake_is_the_truth(duckdb: &mut DuckDb, lake: &Lake, sandbox: &Sandbox, resources: &[Resource]) {
    assert_current_is_the_truth(duckdb, lake, sandbox, resources);
    for resource in resources {
        let records = lawful_changes(duckdb, lake, resource);
        let last = records.into_iter().filter_map(|(key, mut versions)| Some((key, versions.pop()?)));
        let present = last.filter(|(_, last)| last.operation != "removed").map(|(key, last)| (key, last.row)).collect();
        assert_same_records(&present, &sandbox.truth(resource), &format!("the fold of changes/{}", resource.name));
    }
    assert_verified(lake);
}

/// The resources that the reference documents.
pub fn documented() -> Vec<Resource> {
    Resource::all().into_iter().filter(|resource| !resource.optional).collect()
}
