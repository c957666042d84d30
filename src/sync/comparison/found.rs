//! What a comparison has found: everything is counted, and as much is kept as people can use.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    decode::{ColumnDifference, Row, Values},
    lake::{Cursor, Head},
    schema::Resource,
};

/// Differences of one resource that are kept; more are only counted.
const DIFFERENCES_MAX: usize = 1000;
/// Characters of a value or a key that are kept.
const VALUE_CHARS_MAX: usize = 60;
/// Of these, the ones before the first that differs.
const LEAD_CHARS: usize = 15;

/// A resource, compared. All but `differences` count records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The API has no such endpoint, and may lack it; nor has the lake any record of it.
    pub absent: bool,
    /// Number of the last commit.
    pub head: u64,
    /// When the poll began whose changes that commit holds. Later polls have found nothing new, or there were none.
    pub observed_at: Option<DateTime<Utc>>,
    /// When the comparison's poll began.
    pub polled_at: DateTime<Utc>,
    /// Records that are in the lake and have not gone.
    pub lake: u64,
    /// Records that the API lists.
    pub api: u64,
    /// With the same values in both.
    pub equal: u64,
    /// That the lake does not have, or has as gone: not synced yet, or lost.
    pub only_in_api: u64,
    /// That the API does not list: gone since, or never there.
    pub only_in_lake: u64,
    /// With other values.
    pub differ: u64,
    /// Of all these, the ones that time alone does not explain.
    pub unexpected: u64,
    /// Listed, but no row can hold them. They are not compared.
    pub quarantined: u64,
    /// In the lake and missing from an answer that leaves a doubt: whether they have gone cannot be told.
    pub withheld: u64,
    /// Differences in all, of which a record may have several: one a column.
    pub differences_found: u64,
    /// The first thousand of them, the unexpected before the others.
    #[serde(skip)]
    pub differences: Vec<Difference>,
}

/// In what a record differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where the record is.
    pub kind: DifferenceKind,
    /// Whether time alone does not explain it: the record had ended and differs without another status, or is older than what
    /// was known, or happened long before the last poll that should have listed it.
    pub unexpected: bool,
    /// The record's key.
    pub key: String,
    /// The column, as in `fills[1].rate`; none where the record is on one side alone.
    pub column: Option<String>,
    /// Whether it is personal data, of which nothing is told.
    pub hidden: bool,
    /// The lake's value, or what of it is around the first difference.
    pub lake: Option<String>,
    /// The API's value, likewise.
    pub api: Option<String>,
}

/// Where a record is that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// In the API alone.
    OnlyInApi,
    /// In the lake alone.
    OnlyInLake,
    /// In both, with other values.
    Differs,
}

impl Comparison {
    pub(super) fn of(head: &Head, polled_at: i64) -> Self {
        let time = |micros: i64| DateTime::from_timestamp_micros(micros);
        Self {
            head: head.seq,
            observed_at: head.cursor.as_ref().and_then(Cursor::synced).and_then(|cursor| time(cursor.observed_at)),
            polled_at: time(polled_at).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether both say the same, as far as it can be told; what cannot be told is no agreement.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.only_in_api + self.only_in_lake + self.differ + self.withheld == 0
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    unexpected: Kept,
    expected: Kept,
    only_in_api: u64,
    only_in_lake: u64,
    differ: u64,
    unexpected_records: u64,
}

#[derive(Debug, Default)]
struct Kept {
    differences: Vec<Difference>,
    count: u64,
}

impl Kept {
    /// Counts a difference, which is made only if there is room.
    fn add(&mut self, difference: impl FnOnce() -> Difference) {
        self.count += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference());
        }
    }
}

impl Found {
    /// Adds a record that the lake does not have.
    pub(super) fn only_in_api(&mut self, key: &str, unexpected: bool) {
        self.only_in_api += 1;
        self.kept(unexpected).add(|| Difference::of(DifferenceKind::OnlyInApi, key, unexpected));
    }

    /// Adds a record that the API does not list.
    pub(super) fn only_in_lake(&mut self, key: &str) {
        self.only_in_lake += 1;
        self.kept(false).add(|| Difference::of(DifferenceKind::OnlyInLake, key, false));
    }

    /// Adds a record with other values, where `stored` is the lake's and `fresh` the API's, which may be of an older version.
    pub(super) fn differs(
        &mut self,
        key: &str,
        stored: &Row<'_>,
        fresh: &Row<'_>,
        resource: &Resource,
        is_stale: bool,
    ) {
        self.differ += 1;
        let columns = stored.differences(fresh, &resource.columns);
        let unexpected = is_stale || has_ended_otherwise(stored, fresh, resource, &columns);
        let kept = self.kept(unexpected);
        let difference = || Difference::of(DifferenceKind::Differs, key, unexpected);
        if columns.is_empty() {
            // Digests have differed, so that it must not go untold.
            kept.add(difference);
        }
        for ColumnDifference { column, values } in columns {
            kept.add(|| {
                let hidden = values.is_none();
                let (lake, api) = values.map_or((None, None), excerpts);
                Difference { column: Some(column), hidden, lake, api, ..difference() }
            });
        }
    }

    /// Says in the comparison what was found.
    pub(super) fn conclude(self, comparison: &mut Comparison) {
        (comparison.only_in_api, comparison.only_in_lake) = (self.only_in_api, self.only_in_lake);
        (comparison.differ, comparison.unexpected) = (self.differ, self.unexpected_records);
        comparison.differences_found = self.unexpected.count + self.expected.count;
        comparison.differences = self.unexpected.differences;
        comparison.differences.extend(self.expected.differences);
        comparison.differences.truncate(DIFFERENCES_MAX);
    }

    /// Where the differences of one more record are kept.
    fn kept(&mut self, unexpected: bool) -> &mut Kept {
        self.unexpected_records += u64::from(unexpected);
        if unexpected { &mut self.unexpected } else { &mut self.expected }
    }
}

/// Whether a record had come to an end, and has other values in the same status. What the settings do with personal data may
/// have changed, so that such columns alone tell nothing.
fn has_ended_otherwise(stored: &Row<'_>, fresh: &Row<'_>, resource: &Resource, columns: &[ColumnDifference]) -> bool {
    resource.statuses.is_some()
        && !stored.is_open(resource)
        && stored.status(resource) == fresh.status(resource)
        && columns.iter().any(|column| column.values.is_some())
}

impl Difference {
    fn of(kind: DifferenceKind, key: &str, unexpected: bool) -> Self {
        Self { kind, unexpected, key: excerpt(key, 0), column: None, hidden: false, lake: None, api: None }
    }
}

/// Both values, or if one is long, what of them is around the place from which on they differ.
pub(in crate::sync) fn excerpts(Values { this, other }: Values) -> (Option<String>, Option<String>) {
    let start = match (&this, &other) {
        (Some(this), Some(other)) if is_long(this) || is_long(other) => {
            this.chars().zip(other.chars()).take_while(|(this, other)| this == other).count().saturating_sub(LEAD_CHARS)
        }
        _ => 0,
    };
    (this.map(|value| excerpt(&value, start)), other.map(|value| excerpt(&value, start)))
}

fn is_long(text: &str) -> bool {
    text.chars().nth(VALUE_CHARS_MAX).is_some()
}

/// As much of a text from this character on as is kept, with a sign where something is left out.
pub(in crate::sync) fn excerpt(text: &str, start: usize) -> String {
    let mut rest = text.chars().skip(start);
    let kept: String = rest.by_ref().take(VALUE_CHARS_MAX).collect();
    let (before, after) = (if start > 0 { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
    format!("{before}{kept}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Decoder, Zone},
        schema::Schemas,
    };

    fn values(lake: &str, api: &str) -> (String, String) {
        let values = Values { this: Some(lake.to_owned()), other: Some(api.to_owned()) };
        let (lake, api) = excerpts(values);
        (lake.unwrap(), api.unwrap())
    }

    #[test]
    fn long_values_are_shown_from_a_little_before_where_they_differ() {
        assert_eq!(values("ab", "ac"), ("ab".to_owned(), "ac".to_owned()));
        let (lake, api) = (format!("{}X{}", "é".repeat(500), "z".repeat(500)), format!("{}Y", "é".repeat(500)));
        let (shown_lake, shown_api) = values(&lake, &api);
        assert_eq!(
            shown_lake,
            format!("…{}X{}…", "é".repeat(LEAD_CHARS), "z".repeat(VALUE_CHARS_MAX - LEAD_CHARS - 1))
        );
        assert_eq!(shown_api, format!("…{}Y", "é".repeat(LEAD_CHARS)));
        assert_eq!(values(&lake, "").0.chars().count(), VALUE_CHARS_MAX + 1);
        let one_is_null = Values { this: None, other: Some(lake) };
        assert!(matches!(excerpts(one_is_null), (None, Some(api)) if api.chars().count() == VALUE_CHARS_MAX + 1));
    }

    #[test]
    fn what_time_does_not_explain_is_unexpected() {
        let schemas = Schemas::builtin().unwrap();
        let row =
            |status: &str, amount: &str| format!(r#"{{"transactionId":"a","status":{status},"amount":{amount}}}"#);
        let rows = [
            ((r#""COMPLETED""#, "1"), (r#""COMPLETED""#, "2"), false, true),
            ((r#""COMPLETED""#, "1"), (r#""REVERSED""#, "2"), false, false),
            ((r#""COMPLETED""#, "1"), (r#""REVERSED""#, "2"), true, true),
            ((r#""PENDING""#, "1"), (r#""PENDING""#, "2"), false, false),
            (("null", "1"), ("null", "2"), false, false),
        ];
        let deposits = schemas.get("deposits").unwrap();
        for (stored, fresh, is_stale, expected) in rows {
            let (stored, fresh) = (row(stored.0, stored.1), row(fresh.0, fresh.1));
            let decoder = Decoder::new(deposits, Zone::UTC);
            let (mut one, mut other) = (decoder.clone(), decoder);
            let (stored, fresh) = (one.decode(stored.as_bytes()).unwrap(), other.decode(fresh.as_bytes()).unwrap());
            let mut found = Found::default();
            found.differs("a", &stored, &fresh, deposits, is_stale);
            assert_eq!(found.unexpected_records == 1, expected, "{stored:?} {fresh:?}");
        }
        // Without a status, nothing tells whether a record may still change.
        let accounts = schemas.get("accounts").unwrap();
        let (stored, fresh) = (r#"{"id":"a","balance":1}"#, r#"{"id":"a","balance":2}"#);
        let decoder = Decoder::new(accounts, Zone::UTC);
        let (mut one, mut other) = (decoder.clone(), decoder);
        let mut found = Found::default();
        found.differs(
            "a",
            &one.decode(stored.as_bytes()).unwrap(),
            &other.decode(fresh.as_bytes()).unwrap(),
            accounts,
            false,
        );
        assert_eq!((found.differ, found.unexpected_records), (1, 0));
    }
}
