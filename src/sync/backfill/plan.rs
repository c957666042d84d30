//! What a backfill would do, and has done: for people, or as lines of JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    decode::{ColumnDifference, Operation, Row},
    error::Error,
    figure,
    lake::ChangeSum,
    schema::Resource,
    sync::comparison::{excerpt, excerpts},
};

/// Records of which a plan shows what changes, of those that are added, changed and removed each.
pub(super) const SAMPLES_MAX: usize = 3;

/// A backfill: what it comes to, and the hash by which it is carried out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// The resource.
    pub resource: String,
    /// The plan's hash: the same for the same changes to the same lake.
    pub plan: String,
    /// Whether all of it is in the lake.
    pub published: bool,
    /// Commits made.
    pub commits: u64,
    /// Number of the last commit.
    pub head: u64,
    /// Rows that there are to be, or that were committed.
    #[serde(flatten)]
    pub changes: Changes,
    /// Rows that an earlier run of the same plan has committed.
    pub committed_before: u64,
    /// Records of the answer or the inputs.
    pub listed: u64,
    /// Of these, the ones that are as the lake has them.
    pub equal: u64,
    /// Of an input: records that the API lists or has dropped, or a newer input has, with other values. They stay.
    pub kept: u64,
    /// Changes that are not of the range of dates.
    pub outside: u64,
    /// That no row can hold, and that are not taken.
    pub rejected: u64,
    /// Missing records that are not taken for removed, since the answer leaves a doubt.
    pub withheld: u64,
    /// What there is to be in each partition, by its name, as in `2026-05`.
    #[serde(skip)]
    pub partitions: BTreeMap<String, Changes>,
    /// Some of it, value by value.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// Records by what happens to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// That are new, or return.
    pub added: u64,
    /// With another value.
    pub changed: u64,
    /// That have gone.
    pub removed: u64,
}

/// A column of a record, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// What happens to the record.
    pub operation: &'static str,
    /// Its partition.
    pub partition: String,
    /// Its key.
    pub key: String,
    /// The column, as in `fills[1].rate`.
    pub column: String,
    /// Whether it is personal data, of which nothing is told.
    pub hidden: bool,
    /// The value in the lake; none where there is none, or it is null.
    pub before: Option<String>,
    /// The value that there is to be, likewise.
    pub after: Option<String>,
}

impl Changes {
    pub(super) fn count(&mut self, operation: Operation) {
        *match operation {
            Operation::Added => &mut self.added,
            Operation::Changed => &mut self.changed,
            Operation::Removed => &mut self.removed,
        } += 1;
    }

    /// These and others.
    pub(super) fn and(self, other: Self) -> Self {
        let (added, changed) = (self.added + other.added, self.changed + other.changed);
        Self { added, changed, removed: self.removed + other.removed }
    }

    fn total(self) -> u64 {
        self.added + self.changed + self.removed
    }
}

/// The name of a set of changes to a resource, and of the moment of the inputs that they are from, if they are.
pub(super) fn hash_of(resource: &str, changes: ChangeSum, moment: Option<i64>) -> String {
    let ChangeSum { sum, count } = changes;
    let moment = moment.map(i64::to_le_bytes);
    let moment = moment.as_ref().map_or(&[][..], |moment| moment);
    format!("{:016x}", xxh3_64(&[resource.as_bytes(), &sum.to_le_bytes(), &count.to_le_bytes(), moment].concat()))
}

impl Sample {
    /// Where the row of a record differs from what it was.
    pub(super) fn of(
        operation: Operation,
        partition: &str,
        before: &Row<'_>,
        after: &Row<'_>,
        resource: &Resource,
    ) -> Vec<Self> {
        let key = [after, before].into_iter().find_map(|row| row.key(resource)).map_or("", |(_, key)| key);
        let sample = |ColumnDifference { column, values }| {
            let hidden = values.is_none();
            let (before, after) = values.map_or((None, None), excerpts);
            let (partition, key) = (partition.to_owned(), excerpt(key, 0));
            Self { operation: operation.name(), partition, key, column, hidden, before, after }
        };
        before.differences(after, &resource.columns).into_iter().map(sample).collect()
    }
}

impl Plan {
    /// A line a partition, one for each value of the samples, and one for the whole.
    ///
    /// # Errors
    ///
    /// None in practice: all of it can be JSON.
    pub fn to_json_lines(&self) -> Result<String, Error> {
        let mut lines = String::new();
        let mut line = |value: serde_json::Value| lines += &(value.to_string() + "\n");
        for (partition, Changes { added, changed, removed }) in &self.partitions {
            line(serde_json::json!({ "partition": partition, "added": added, "changed": changed, "removed": removed }));
        }
        self.samples.iter().for_each(|sample| line(serde_json::json!({ "sample": sample })));
        line(serde_json::json!({ "backfill": self }));
        Ok(lines)
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, cells: [String; 3]| {
            let [added, changed, removed] = cells;
            writeln!(f, "{name:<16}{added:>10}{changed:>10}{removed:>10}")
        };
        let figures = |Changes { added, changed, removed }: Changes| [added, changed, removed].map(|n| n.to_string());
        if self.changes.total() > 0 {
            line("partition", ["added", "changed", "removed"].map(str::to_owned))?;
            for (partition, changes) in &self.partitions {
                line(partition, figures(*changes))?;
            }
            line("in all", figures(self.changes))?;
        }
        self.tell_samples(f)?;
        let odd = [
            (self.kept, "known otherwise from the API, or newer: as the lake has it"),
            (self.outside, "that would change, and not of these dates"),
            (self.rejected, "that no row can hold: not taken"),
            (self.withheld, "missing from an answer that leaves a doubt whether it is all: not taken for removed"),
            (self.committed_before, "committed by an earlier run of this plan"),
        ];
        for (count, what) in odd.iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "{} {what}", figure::plural(*count, "record", "records"))?;
        }
        let rows = figure::plural(self.changes.total(), "row", "rows");
        match (self.published, self.changes.total()) {
            (false, 0) if self.outside > 0 => writeln!(f, "nothing to do: of these dates the lake has all"),
            (false, 0) => writeln!(f, "nothing to do: the lake has all of it"),
            (false, _) => {
                writeln!(f, "nothing is written yet; the same with --plan {} commits exactly this", self.plan)
            }
            (true, 0) => writeln!(f, "nothing was left to do: the lake has all of plan {}", self.plan),
            (true, _) => writeln!(f, "plan {}: {rows} committed, the last commit is {}", self.plan, self.head),
        }
    }
}

impl Plan {
    fn tell_samples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |hidden: bool, value: &Option<String>| match (hidden, value) {
            (true, _) => "(personal data)".to_owned(),
            (false, Some(value)) => value.clone(),
            (false, None) => "null".to_owned(),
        };
        let mut last = None;
        for Sample { operation, partition, key, column, hidden, before, after } in &self.samples {
            if last != Some((operation, key)) {
                writeln!(f, "\n{operation} {key}, in {partition}")?;
                last = Some((operation, key));
            }
            let (before, after) = (value(*hidden, before), value(*hidden, after));
            match *operation {
                "added" => writeln!(f, "  {column}: {after}")?,
                "removed" => writeln!(f, "  {column}: {before}")?,
                _ => writeln!(f, "  {column}: {before} → {after}")?,
            }
        }
        if last.is_some() { writeln!(f) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{Added, Changed, Removed};

    #[test]
    fn a_plan_is_its_changes_in_any_order_and_in_any_parts() {
        let sum_of = |changes: &[(Operation, u128, u64)]| {
            let sum = |sum: ChangeSum, (operation, key, digest): &(Operation, u128, u64)| {
                sum.and(ChangeSum::of(*operation, *key, *digest, Some(7)))
            };
            changes.iter().fold(ChangeSum::default(), sum)
        };
        let hash = |changes: &[(Operation, u128, u64)]| hash_of("trades", sum_of(changes), None);
        let plan = hash(&[(Added, 1, 10), (Changed, 2, 20), (Removed, 3, 30)]);
        assert_eq!(hash(&[(Removed, 3, 30), (Added, 1, 10), (Changed, 2, 20)]), plan);
        let others: [&[(Operation, u128, u64)]; 8] = [
            &[],
            &[(Added, 1, 10), (Changed, 2, 20)],
            &[(Added, 1, 10), (Changed, 2, 20), (Removed, 3, 30), (Removed, 3, 30)],
            &[(Changed, 1, 10), (Changed, 2, 20), (Removed, 3, 30)],
            &[(Added, 2, 10), (Changed, 1, 20), (Removed, 3, 30)],
            &[(Added, 1, 20), (Changed, 2, 10), (Removed, 3, 30)],
            &[(Added, 1, 10), (Changed, 2, 21), (Removed, 3, 29)],
            &[(Added, 4, 10), (Changed, 2, 20), (Removed, 3, 30)],
        ];
        for other in others {
            assert_ne!(hash(other), plan, "{other:?}");
        }
        let elsewhere = [("deposits", None), ("trades", Some(0)), ("trades", Some(1))];
        let hashes = elsewhere.map(|(resource, moment)| hash_of(resource, sum_of(&[(Added, 1, 10)]), moment));
        assert!(!hashes.contains(&hash(&[(Added, 1, 10)])) && hashes[1] != hashes[2], "{hashes:?}");
        assert_ne!(
            ChangeSum::of(Changed, 1, 10, Some(7)),
            ChangeSum::of(Changed, 1, 10, Some(8)),
            "of another version"
        );
    }
}
