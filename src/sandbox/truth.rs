//! What the exporter should have stored of a record: one line of JSON in the lake's terms.
//!
//! It is made from the world's typed values, not from what the API serves, so the two can be compared:
//!
//! | the record holds | the truth says |
//! |---|---|
//! | `completedAt` | `completed_at` |
//! | `100`, `1E+2` | `"100.000000000000000000"` |
//! | `"2026-05-11T10:15:30"` | `"2026-05-11 10:15:30.000000"` |
//! | nothing, or `null` | `null` |
//! | a free-form object | its text, as a string |
//! | `fills` | a list of objects by the same rules |
//! | an undeclared member | part of `_extra`, the text of an object, as a string |
//! | digits beyond the microsecond | the original text, in `_extra`, under the JSON name |
//! | `"fills":null` | `null`, and `"fills":null` in `_extra`, which tells it from no `fills` |

use super::json::put_document;
use super::text::put_string;
use super::timestamp::Timestamp;
use super::value::{Member, Value};

/// Appends the record's object, without white space.
pub(super) fn put_truth(out: &mut Vec<u8>, record: &[Member]) {
    let mut extra = Vec::new();
    out.push(b'{');
    for member in record {
        put_extra(&mut extra, member);
        if member.declared {
            put_snake_case(out, member.name);
            put_value(out, &member.value);
            out.push(b',');
        }
    }
    out.extend_from_slice(b"\"_extra\":");
    if extra.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        extra.push(b'}');
        put_text(out, &extra);
    }
    out.push(b'}');
}

/// Adds to `_extra`, still without its closing brace, what no column can hold.
fn put_extra(extra: &mut Vec<u8>, member: &Member) {
    match &member.value {
        value if !member.declared => {
            put_extra_name(extra, member.name);
            put_document(extra, value);
        }
        Value::NullRecords => {
            put_extra_name(extra, member.name);
            extra.extend_from_slice(b"null");
        }
        Value::Time(timestamp) if timestamp.exceeds_micros() => {
            put_extra_name(extra, member.name);
            put_quoted(extra, |extra| timestamp.put(extra));
        }
        _ => {}
    }
}

fn put_extra_name(extra: &mut Vec<u8>, name: &str) {
    extra.push(if extra.is_empty() { b'{' } else { b',' });
    put_string(extra, name, false);
    extra.push(b':');
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Absent | Value::Null | Value::NullRecords => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Text(text) => put_string(out, text, false),
        Value::Escaped(text) => put_string(out, text, false),
        Value::Number(number) => put_quoted(out, |out| number.put_truth(out)),
        Value::Time(timestamp) => put_quoted(out, |out| Timestamp::put_truth(timestamp, out)),
        Value::Verbatim(_) | Value::Object(_) | Value::List(_) => {
            let mut document = Vec::new();
            put_document(&mut document, value);
            put_text(out, &document);
        }
        Value::Records(records) => put_records(out, records),
    }
}

fn put_records(out: &mut Vec<u8>, records: &[Vec<Member>]) {
    out.push(b'[');
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_truth(out, record);
    }
    out.push(b']');
}

fn put_quoted(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    put(out);
    out.push(b'"');
}

/// JSON text as a JSON string.
fn put_text(out: &mut Vec<u8>, json: &[u8]) {
    put_string(out, &String::from_utf8_lossy(json), false);
}

/// `"completedAt"` as `"completed_at":`
fn put_snake_case(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    for byte in name.bytes() {
        if byte.is_ascii_uppercase() {
            out.push(b'_');
        }
        out.push(byte.to_ascii_lowercase());
    }
    out.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use super::super::value::{member, undeclared};
    use super::*;

    #[test]
    fn what_no_column_holds_goes_to_extra_in_served_order() {
        let record = [
            member("transactionId", "T1"),
            undeclared("reference", "INV \"1\""),
            member("isRfq", true),
            member("fills", Value::NullRecords),
            member("completedAt", Value::Absent),
            undeclared("meta", vec![member("score", Value::verbatim("1.10"))]),
        ];
        let mut out = Vec::new();
        put_truth(&mut out, &record);
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "transaction_id": "T1", "is_rfq": true, "fills": null, "completed_at": null,
                "_extra": r#"{"reference":"INV \"1\"","fills":null,"meta":{"score":1.10}}"#,
            })
        );
    }
}
