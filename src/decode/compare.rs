//! Two rows of one record, column by column.
//!
//! | kind of column | told as different where | told as |
//! |---|---|---|
//! | JSON, and `_extra` | they do not mean the same: order of members and form of numbers do not count | their texts |
//! | list | an element differs from the one at its place, or their number does | `fills[1].rate`; `2 elements` |
//! | personal data that is dropped or hashed | they differ | nothing: neither value leaves this module |
//! | any other | they differ | the values |
//!
//! The law: there is a difference if and only if the digests differ.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use sha2::{Digest, Sha256};

use super::{
    decimal::to_plain,
    digest::digest_json,
    json::Reader,
    personal::without_personal,
    row::{Cell, Row},
};
use crate::schema::{Column, Treatment, Type};

/// A column in which two rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDifference {
    /// The column, as in `fills[1].rate`.
    pub column: String,
    /// What the rows say there; none where it is personal data that is not kept.
    pub values: Option<Values>,
}

/// What two rows say of one thing; `None` for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// The row that is compared.
    pub this: Option<String>,
    /// The row that it is compared with.
    pub other: Option<String>,
}

impl Row<'_> {
    /// Where two rows of these columns differ by value.
    #[must_use]
    pub fn differences(&self, other: &Row<'_>, columns: &[Column]) -> Vec<ColumnDifference> {
        let mut found = Vec::new();
        compare(self, other, columns, "", &mut found);
        found
    }
}

fn compare(this: &Row<'_>, other: &Row<'_>, columns: &[Column], prefix: &str, found: &mut Vec<ColumnDifference>) {
    for ((cell, other), column) in this.cells.iter().zip(&other.cells).zip(columns) {
        if let (Cell::List(rows), Cell::List(others), Type::List(list)) = (cell, other, &column.kind) {
            for (index, (row, other)) in rows.iter().zip(others).enumerate() {
                compare(row, other, &list.columns, &format!("{prefix}{}[{index}].", column.name), found);
            }
            if rows.len() == others.len() {
                continue;
            }
        } else if is_same(cell, other, &column.kind) {
            continue;
        }
        let is_shown = matches!(column.personal, None | Some(Treatment::Keep));
        let values = is_shown.then(|| Values { this: told(cell), other: told(other) });
        found.push(ColumnDifference { column: format!("{prefix}{}", column.name), values });
    }
    if !is_same_extra(this.extra.as_deref(), other.extra.as_deref()) {
        // A field may have come here before its column was declared, and is what the column is.
        let shown = |extra: &Option<Cow<'_, str>>| Some(without_personal(extra.as_deref()?, columns).into_owned());
        let values = Some(Values { this: shown(&this.extra), other: shown(&other.extra) });
        found.push(ColumnDifference { column: format!("{prefix}_extra"), values });
    }
}

fn is_same(this: &Cell<'_>, other: &Cell<'_>, kind: &Type) -> bool {
    match (this, other, kind) {
        (Cell::Text(this), Cell::Text(other), Type::Json) => is_same_json(this, other),
        _ => this == other,
    }
}

fn is_same_extra(this: Option<&str>, other: Option<&str>) -> bool {
    match (this, other) {
        (Some(this), Some(other)) => is_same_json(this, other),
        _ => this == other,
    }
}

fn is_same_json(this: &str, other: &str) -> bool {
    let meaning = |text: &str| digest_json(&mut Reader::new(text), &|bytes| Sha256::digest(bytes).to_vec()).ok();
    // What is no JSON, such as what stands for personal data, is only its text.
    this == other || meaning(this).zip(meaning(other)).is_some_and(|(this, other)| this == other)
}

/// A value for people; `None` for null.
fn told(cell: &Cell<'_>) -> Option<String> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Text(text) => text.to_string(),
        Cell::Decimal(value) => to_plain(*value),
        Cell::Integer(value) => value.to_string(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Timestamp(micros) => DateTime::from_timestamp_micros(*micros)
            .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        Cell::Date(days) => DateTime::from_timestamp(i64::from(*days) * 86_400, 0)
            .map_or_else(|| days.to_string(), |time| time.date_naive().to_string()),
        Cell::List(rows) if rows.len() == 1 => "1 element".to_owned(),
        Cell::List(rows) => format!("{} elements", rows.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Decoder, Seed, Zone, personal::tests::beneficiaries},
        schema::{HmacKey, Resource, Schemas},
    };

    fn differences(resource: &Resource, this: &str, other: &str) -> Vec<(String, Option<[Option<String>; 2]>)> {
        let decoder = Decoder::new(resource, Zone::UTC);
        let (mut one, mut another) = (decoder.clone(), decoder);
        let (this, other) = (one.decode(this.as_bytes()).unwrap(), another.decode(other.as_bytes()).unwrap());
        let found = this.differences(&other, &resource.columns);
        assert_eq!(found.is_empty(), this.digest(resource, Seed(7)) == other.digest(resource, Seed(7)));
        found
            .into_iter()
            .map(|found| (found.column, found.values.map(|Values { this, other }| [this, other])))
            .collect()
    }

    fn of(resource: &str, this: &str, other: &str) -> Vec<(String, Option<[Option<String>; 2]>)> {
        differences(Schemas::builtin().unwrap().get(resource).unwrap(), this, other)
    }

    #[test]
    fn each_column_that_differs_is_named_with_both_values() {
        let rows = [
            (
                "deposits",
                r#"{"transactionId":"a","amount":1}"#,
                r#"{"transactionId":"a","amount":1.50}"#,
                "amount",
                ["1", "1.5"],
            ),
            (
                "deposits",
                r#"{"transactionId":"a"}"#,
                r#"{"transactionId":"a","amount":-1e-18}"#,
                "amount",
                ["null", "-0.000000000000000001"],
            ),
            (
                "deposits",
                r#"{"transactionId":"a","status":"X"}"#,
                r#"{"transactionId":"a","status":""}"#,
                "status",
                ["X", ""],
            ),
            (
                "deposits",
                r#"{"transactionId":"a","completedAt":"2026-05-01T00:00:00"}"#,
                r#"{"transactionId":"a","completedAt":"2026-05-01T02:00:00.25+01:00"}"#,
                "completed_at",
                ["2026-05-01T00:00:00Z", "2026-05-01T01:00:00.250Z"],
            ),
            (
                "deposits",
                r#"{"transactionId":"a","x":1}"#,
                r#"{"transactionId":"a","x":2}"#,
                "_extra",
                [r#"{"x":1}"#, r#"{"x":2}"#],
            ),
            (
                "trades",
                r#"{"transactionId":"a","isRfq":true}"#,
                r#"{"transactionId":"a","isRfq":false}"#,
                "is_rfq",
                ["true", "false"],
            ),
            (
                "trades",
                r#"{"transactionId":"a","fills":[{},{}]}"#,
                r#"{"transactionId":"a","fills":[{}]}"#,
                "fills",
                ["2 elements", "1 element"],
            ),
            (
                "trades",
                r#"{"transactionId":"a","fills":[{},{"status":"X"}]}"#,
                r#"{"transactionId":"a","fills":[{},{"status":"Y"}]}"#,
                "fills[1].status",
                ["X", "Y"],
            ),
            (
                "trades",
                r#"{"transactionId":"a","fills":[{"x":1}]}"#,
                r#"{"transactionId":"a","fills":[{}]}"#,
                "fills[0]._extra",
                [r#"{"x":1}"#, "null"],
            ),
        ];
        for (resource, this, other, column, values) in rows {
            let values = values.map(|value| (value != "null").then(|| value.to_owned()));
            assert_eq!(of(resource, this, other), [(column.to_owned(), Some(values))], "{this} {other}");
        }
    }

    #[test]
    fn of_any_two_rows_there_is_a_difference_if_and_only_if_their_digests_differ() {
        let trade = |rest: &str| format!(r#"{{"transactionId":"a"{rest}}}"#);
        let fill = r#"{"transactionId":"f","rate":1.5,"modifiedAt":"2026-05-01T00:00:00Z"}"#;
        let fills = [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            format!("[{fill}]"),
            format!("[{fill},{{}}]"),
            format!("[{{}},{fill}]"),
            format!("[{}]", fill.replace("1.5", "15e-1")),
            format!("[{}]", fill.replace("00Z", "00.0000001Z")),
            format!("[{}]", fill.replace("}", r#","x":{"b":1,"a":[1.0]}}"#)),
            format!("[{}]", fill.replace("}", r#","x":{"a":[1],"b":1.0}}"#)),
        ];
        let fills = fills.map(|fills| if fills.is_empty() { fills } else { format!(r#","fills":{fills}"#) });
        let others = ["", r#","isRfq":true"#, r#","rate":-0.10"#, r#","rate":null"#, r#","status":"""#, r#","y":"é""#];
        let texts: Vec<_> =
            fills.iter().flat_map(|fills| others.map(|other| trade(&format!("{fills}{other}")))).collect();
        // The law is held to wherever differences are asked for.
        let differing = texts.iter().flat_map(|this| texts.iter().map(|other| of("trades", this, other)));
        let (differing, equal): (Vec<_>, Vec<_>) = differing.partition(|found| !found.is_empty());
        assert!(differing.len() > 2000 && equal.len() > texts.len(), "{} {}", differing.len(), equal.len());
    }

    #[test]
    fn the_order_of_a_list_is_part_of_its_value() {
        let [one, other] = [r#"[{"status":"X"},{"status":"Y"}]"#, r#"[{"status":"Y"},{"status":"X"}]"#]
            .map(|fills| format!(r#"{{"transactionId":"a","fills":{fills}}}"#));
        let columns: Vec<_> = of("trades", &one, &other).into_iter().map(|(column, _)| column).collect();
        assert_eq!(columns, ["fills[0].status", "fills[1].status"]);
    }

    #[test]
    fn what_is_only_written_otherwise_does_not_differ() {
        let rows = [
            (
                "deposits",
                r#"{"transactionId":"a","amount":1.50,"fee":null}"#,
                r#"{ "amount":15E-1, "transactionId":"\u0061"}"#,
            ),
            (
                "wallets",
                r#"{"id":"w","depositDetails":{"a":1,"b":[2.0]}}"#,
                r#"{"id":"w","depositDetails":{"b":[2],"a":1.0}}"#,
            ),
            ("wallets", r#"{"id":"w","x":{"a":1,"b":2}}"#, r#"{"x":{"b":2,"a":1},"id":"w"}"#),
            (
                "trades",
                r#"{"transactionId":"a","fills":[{"rate":1}]}"#,
                r#"{"transactionId":"a","fills":[{"rate":1.0}]}"#,
            ),
        ];
        for (resource, this, other) in rows {
            assert_eq!(of(resource, this, other), [], "{this} {other}");
        }
        for (this, other) in [("null", "[]"), ("null", "[{}]"), ("[]", "[{}]")] {
            let text = |fills| format!(r#"{{"transactionId":"a","fills":{fills}}}"#);
            assert!(!of("trades", &text(this), &text(other)).is_empty(), "{this} {other}");
        }
    }

    #[test]
    fn of_personal_data_that_is_not_kept_only_the_column_is_told() {
        let treated = |treatment: Treatment| beneficiaries(&treatment);
        let (this, other) = (r#"{"id":"b","nickname":"Canary"}"#, r#"{"id":"b","nickname":"Other"}"#);
        let kept = differences(&treated(Treatment::Keep), this, other);
        assert_eq!(kept, [("nickname".to_owned(), Some(["Canary", "Other"].map(|value| Some(value.to_owned()))))]);
        let hashed = differences(&treated(Treatment::Hmac(HmacKey::new("k", "key".into()))), this, other);
        assert_eq!(hashed, [("nickname".to_owned(), None)]);
        // What was stored before it was to be dropped.
        let kept = treated(Treatment::Keep);
        let stored = Decoder::new(&kept, Zone::UTC).decode(this.as_bytes()).unwrap();
        let dropping = treated(Treatment::Drop);
        let fresh = Decoder::new(&dropping, Zone::UTC).decode(this.as_bytes()).unwrap();
        let nickname = ColumnDifference { column: "nickname".to_owned(), values: None };
        assert_eq!(stored.differences(&fresh, &dropping.columns), [nickname]);
        // And what was stored before it had a column.
        let before = Row { extra: Some(r#"{"nickname":"Canary","x":1}"#.into()), ..fresh.clone() };
        let found = before.differences(&fresh, &dropping.columns).pop().unwrap();
        assert_eq!(found.values.unwrap().this.as_deref(), Some(r#"{"nickname":"[dropped]","x":1}"#));
    }
}
