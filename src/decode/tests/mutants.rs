//! A record as it is decoded, beside what another strict parser reads.
//!
//! The law: a text is malformed if and only if the other parser does not take it (or it is too deep); a row has in each cell
//! what its member says, to the last digit, and in `_extra` the members that no column holds; a decoder that has seen others
//! reads as a fresh one does; and what is stored is read back equal.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use crate::{
    decode::{Cell, Columns, Decoder, Operation, Refusal, Row, Seed, Stamp, Zone, key_hash},
    schema::{Resource, Schemas, Type},
    tests::{fuzz::Target, json::depth},
};

const RESOURCES: [&str; 4] = ["trades", "deposits", "wallets", "accounts"];
const DEPTH_MAX: usize = 128;
const STAMP: Stamp<'static> =
    Stamp { seq: 7, operation: Operation::Added, observed_at: 5, first_seen_at: 3, poll_id: "p" };

const WORDS: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\u00e9",
    "\\ud83e",
    "\\ud83e\\udd80",
    "\\u0061mount",
    "null",
    "true",
    "false",
    "0",
    "-",
    ".5",
    "e18",
    "E-19",
    "99999999999999999999",
    "1e400",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "\"transactionId\":\"t\",",
    "\"id\":\"a\",",
    "\"amount\":",
    "\"fills\":[{\"transactionId\":\"f\"}],",
    "\"fills\":null,",
    "\"createdAt\":\"2026-05-11T10:15:30.1234567Z\",",
    "\"isRfq\":true,",
    "\"depositDetails\":{\"a\": [1.0, {}]},",
    "é🦀",
];

type Members<'t> = BTreeMap<String, &'t RawValue>;

#[test]
fn the_mutants_of_the_corpus_are_read_as_another_parser_reads_them() {
    let schemas = Schemas::builtin().unwrap();
    Target { name: "records", words: &WORDS, twist: None }.run(|input| {
        let (which, text) = input.split_first().map_or((0, &[][..]), |(which, text)| (usize::from(*which), text));
        let resource = schemas.get(RESOURCES[which % RESOURCES.len()]).unwrap();
        let decoded = Decoder::new(resource, Zone::UTC).decode(text);
        let mut worn = Decoder::new(resource, Zone::UTC);
        drop(worn.decode(br#"{"x":1,"status":"A","id":"b","transactionId":"c","fills":[{"status":"B"}],"id":0}"#));
        drop(worn.decode(text));
        assert_eq!(worn.decode(text), decoded);
        let other = serde_json::from_slice::<&RawValue>(text).ok();
        match decoded {
            Err(Refusal::Malformed { at }) => {
                assert!(at <= text.len());
                assert!(other.is_none_or(|other| depth(other.get()) > DEPTH_MAX), "JSON that is not taken for JSON");
                "malformed".to_owned()
            }
            Err(Refusal::Rejected(rejection)) => {
                assert!(other.is_some(), "no JSON, and only rejected");
                rejection.reason.chars().filter(char::is_ascii_lowercase).take(24).collect()
            }
            Ok(row) => {
                let members: Members<'_> = serde_json::from_str(other.expect("a row of JSON").get()).unwrap();
                assert_says(&row, &resource.columns, &members);
                assert_stored(&row, resource);
                let present = row.cells.iter().map(|cell| if *cell == Cell::Null { '0' } else { '1' });
                present.chain(row.extra.iter().map(|_| 'x')).collect()
            }
        }
    });
}

/// Fails unless each cell has what its member says, and `_extra` the rest.
fn assert_says(row: &Row<'_>, columns: &[crate::schema::Column], members: &Members<'_>) {
    let extra: Members<'_> =
        row.extra.as_deref().map_or_else(Members::new, |extra| serde_json::from_str(extra).unwrap());
    for (column, cell) in columns.iter().zip(&row.cells) {
        let said = members.get(&column.json).map(|raw| raw.get());
        let text = || serde_json::from_str::<String>(said.unwrap()).unwrap();
        match (&column.kind, cell) {
            (_, Cell::Null) => assert!(said.is_none_or(|said| said == "null"), "{}: {said:?}", column.json),
            (Type::Json, Cell::Text(json)) => {
                assert_eq!(tokens(json), tokens(said.unwrap()), "{}", column.json);
            }
            (_, Cell::Text(value)) => assert_eq!(**value, text(), "{}", column.json),
            (_, Cell::Boolean(value)) => assert_eq!(value.to_string(), said.unwrap()),
            (_, Cell::Decimal(value)) => assert_eq!(plain(&format!("{value}e-18")), plain(said.unwrap())),
            (_, Cell::Integer(value)) => assert_eq!(plain(&value.to_string()), plain(said.unwrap())),
            (_, Cell::Timestamp(_) | Cell::Date(_)) => assert!(text().len() >= 10, "{}", text()),
            (Type::List(list), Cell::List(rows)) => {
                let elements: Vec<Members<'_>> = serde_json::from_str(said.unwrap()).unwrap();
                assert_eq!(elements.len(), rows.len());
                rows.iter().zip(&elements).for_each(|(row, members)| assert_says(row, &list.columns, members));
            }
            (kind, cell) => panic!("{cell:?} in a column of {kind:?}"),
        }
    }
    let is_declared = |name: &String| columns.iter().any(|column| column.json == **name);
    for (name, said) in members.iter().filter(|(name, _)| !is_declared(name)) {
        assert_eq!(extra.get(name).map(|kept| tokens(kept.get())), Some(tokens(said.get())), "{name}");
    }
    for name in extra.keys() {
        assert!(members.contains_key(name), "{name} was not said");
    }
}

/// Fails unless the row is the same once it has been stored.
fn assert_stored(row: &Row<'_>, resource: &Resource) {
    let mut columns = Columns::new(resource);
    columns.append(row, STAMP);
    let batch = columns.finish().unwrap();
    let stored = Row::read(&batch, 0, resource);
    assert_eq!(stored, *row);
    assert_eq!(stored.digest(resource, Seed(1)), row.digest(resource, Seed(1)));
    assert_eq!(key_hash(Seed(1), stored.key(resource).unwrap()), key_hash(Seed(1), row.key(resource).unwrap()));
}

/// A JSON text by what it means, numbers by their text.
fn tokens(json: &str) -> String {
    fn write(raw: &RawValue, text: &mut String) {
        match raw.get().as_bytes()[0] {
            b'{' => {
                let members: Vec<(String, &RawValue)> = ordered(raw);
                text.push('{');
                for (name, value) in members {
                    *text += &Value::from(name).to_string();
                    text.push(':');
                    write(value, text);
                    text.push(',');
                }
                text.push('}');
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap();
                text.push('[');
                for element in elements {
                    write(element, text);
                    text.push(',');
                }
                text.push(']');
            }
            b'"' => *text += &Value::from(serde_json::from_str::<String>(raw.get()).unwrap()).to_string(),
            _ => *text += raw.get(),
        }
    }
    let mut text = String::new();
    write(serde_json::from_str(json).unwrap(), &mut text);
    text
}

/// The members of an object in their order.
fn ordered(object: &RawValue) -> Vec<(String, &RawValue)> {
    struct Visit;
    impl<'de> serde::de::Visitor<'de> for Visit {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    serde::Deserializer::deserialize_map(&mut deserializer, Visit).unwrap()
}

/// A number's sign, digits and power of ten, with nothing that does not count.
fn plain(number: &str) -> (bool, String, i64) {
    let (number, is_negative) = number.strip_prefix('-').map_or((number, false), |number| (number, true));
    let (digits, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let dropped = (digits.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0').to_owned();
    if kept.is_empty() {
        return (false, kept, 0);
    }
    (is_negative, kept, power.parse::<i64>().unwrap() - fraction.len() as i64 + dropped)
}
