//! Records as the JSON that the API serves.

use super::style::{KeyOrder, Numbers, Style, Whitespace};
use super::text::put_string;
use super::value::{Member, Value};

const INDENT: &[u8] = b"  ";

/// Appends the record's object, indented as an element of a list; `salt` makes one record's shuffled keys differ from another's.
pub(super) fn put_record(out: &mut Vec<u8>, record: &[Member], style: Style, salt: u64) {
    Writer { out, style, salt, depth: 1 }.object(record);
}

/// Appends a free-form or undeclared value as it is served by default: without white space, in its own order.
pub(super) fn put_document(out: &mut Vec<u8>, value: &Value) {
    Writer { out, style: Style::default(), salt: 0, depth: 0 }.value(value);
}

/// Begins a line at the depth, where the style has lines.
pub(super) fn put_line(out: &mut Vec<u8>, style: Style, depth: usize) {
    if style.whitespace == Whitespace::Pretty {
        out.push(b'\n');
        (0..depth).for_each(|_| out.extend_from_slice(INDENT));
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
    salt: u64,
    depth: usize,
}

impl Writer<'_> {
    fn object(&mut self, members: &[Member]) {
        let present = members.iter().filter(|member| !matches!(member.value, Value::Absent));
        if self.style.key_order == KeyOrder::Shuffled {
            let mut members: Vec<_> = present.collect();
            members.sort_by_key(|member| scramble(self.salt, member.name));
            self.sequence([b'{', b'}'], members.into_iter(), Writer::member);
        } else {
            self.sequence([b'{', b'}'], present, Writer::member);
        }
    }

    fn member(&mut self, member: &Member) {
        put_string(self.out, member.name, false);
        self.out.push(b':');
        if self.style.whitespace == Whitespace::Pretty {
            self.out.push(b' ');
        }
        self.value(&member.value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Absent | Value::Null | Value::NullRecords => self.out.extend_from_slice(b"null"),
            Value::Bool(value) => self.out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Text(text) => put_string(self.out, text, false),
            Value::Escaped(text) => put_string(self.out, text, true),
            Value::Number(number) => number.put(self.out, self.style.numbers == Numbers::Alternate),
            Value::Verbatim(json) => self.out.extend_from_slice(json.as_bytes()),
            Value::Time(timestamp) => {
                self.out.push(b'"');
                timestamp.put(self.out);
                self.out.push(b'"');
            }
            Value::Object(members) => self.object(members),
            Value::List(values) => self.sequence([b'[', b']'], values.iter(), Writer::value),
            Value::Records(records) => {
                self.sequence([b'[', b']'], records.iter(), |writer, record| writer.object(record))
            }
        }
    }

    /// Brackets, commas and lines around the items.
    fn sequence<T>(&mut self, brackets: [u8; 2], items: impl Iterator<Item = T>, put: impl Fn(&mut Self, T)) {
        self.out.push(brackets[0]);
        self.depth += 1;
        let mut empty = true;
        for item in items {
            if !empty {
                self.out.push(b',');
            }
            put_line(self.out, self.style, self.depth);
            put(self, item);
            empty = false;
        }
        self.depth -= 1;
        if !empty {
            put_line(self.out, self.style, self.depth);
        }
        self.out.push(brackets[1]);
    }
}

/// FNV-1a: any mixing will do, as long as it is the same everywhere.
fn scramble(salt: u64, name: &str) -> u64 {
    let bytes = salt.to_le_bytes().into_iter().chain(name.bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::super::value::{member, undeclared};
    use super::*;

    fn written(style: Style) -> String {
        let details =
            vec![member("bank", "FNB"), member("fee", Value::verbatim("1.10")), member("tags", Value::List(vec![]))];
        let record = [
            member("id", "a"),
            member("gone", Value::Absent),
            member("name", Value::Null),
            member("ok", true),
            undeclared("details", details),
        ];
        let mut out = Vec::new();
        put_record(&mut out, &record, style, 3);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_default_is_compact_and_in_order() {
        let json = r#"{"id":"a","name":null,"ok":true,"details":{"bank":"FNB","fee":1.10,"tags":[]}}"#;
        assert_eq!(written(Style::default()), json);
    }

    #[test]
    fn pretty_puts_a_member_on_a_line() {
        let json = written(Style { whitespace: Whitespace::Pretty, ..Style::default() });
        assert!(json.starts_with("{\n    \"id\": \"a\",\n    \"name\": null,"), "{json}");
        assert!(json.ends_with("      \"tags\": []\n    }\n  }"), "{json}");
    }

    #[test]
    fn shuffling_moves_keys_and_nothing_else() {
        let shuffled = written(Style { key_order: KeyOrder::Shuffled, ..Style::default() });
        assert_ne!(shuffled, written(Style::default()));
        let parse = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(parse(&shuffled), parse(&written(Style::default())));
    }
}
