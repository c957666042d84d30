//! The served JSON, read without the sandbox's own code: order of members, exact text of numbers, and what it should become in a lake.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::Resource;

/// The members of a served object, in order.
pub(super) struct Object(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Object {
    pub(super) fn list(json: &str) -> Vec<Object> {
        serde_json::from_str(json).unwrap()
    }

    /// The member's exact text; none if it is left out.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.get())
    }

    /// The member's text.
    pub(super) fn text(&self, name: &str) -> String {
        serde_json::from_str(self.raw(name).unwrap()).unwrap()
    }

    pub(super) fn key(&self) -> String {
        ["transactionId", "id", "code"]
            .iter()
            .find(|name| self.raw(name).is_some())
            .map(|name| self.text(name))
            .unwrap()
    }
}

/// A column, as `schemas/*.json` declares it.
#[derive(Deserialize)]
pub(super) struct Column {
    name: String,
    json: String,
    r#type: String,
    #[serde(default)]
    columns: Vec<Column>,
}

/// The columns that the exporter has for the resource.
pub(super) fn columns(resource: Resource) -> Vec<Column> {
    #[derive(Deserialize)]
    struct Schema {
        columns: Vec<Column>,
    }
    let path = format!("{}/schemas/{}.json", env!("CARGO_MANIFEST_DIR"), resource.name());
    let schema: Schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    schema.columns
}

/// What the served object should be in a lake.
pub(super) fn expected(columns: &[Column], object: &Object) -> Value {
    let mut extra = Vec::new();
    let mut row: BTreeMap<_, _> = columns.iter().map(|column| (column.name.clone(), Value::Null)).collect();
    for (name, value) in &object.0 {
        let entry = format!("{}:{}", json!(name), value.get());
        let Some(column) = columns.iter().find(|column| column.json == *name) else {
            extra.push(entry);
            continue;
        };
        if is_beyond_column(column, value.get()) {
            extra.push(entry);
        }
        if value.get() != "null" {
            row.insert(column.name.clone(), typed(column, value.get()));
        }
    }
    let extra = if extra.is_empty() { Value::Null } else { format!("{{{}}}", extra.join(",")).into() };
    row.insert("_extra".into(), extra);
    json!(row)
}

/// Whether the column loses something of the text: the null of a list, or digits beyond the microsecond.
fn is_beyond_column(column: &Column, raw: &str) -> bool {
    match column.r#type.as_str() {
        "list" => raw == "null",
        "timestamp" => {
            let fraction = raw.trim_matches(['"', 'Z']).split_once('.').map_or("", |(_, fraction)| fraction);
            fraction.bytes().skip(6).any(|digit| digit != b'0')
        }
        _ => false,
    }
}

fn typed(column: &Column, raw: &str) -> Value {
    let text = || serde_json::from_str::<String>(raw).unwrap();
    match column.r#type.as_str() {
        "string" => text().into(),
        "boolean" => serde_json::from_str(raw).unwrap(),
        "decimal" => fixed(raw).into(),
        "timestamp" => timestamp(&text()).into(),
        "json" => raw.into(),
        "list" => Object::list(raw).iter().map(|object| expected(&column.columns, object)).collect(),
        other => panic!("no such type: {other}"),
    }
}

/// A number's text with 18 fractional digits and no exponent.
pub(super) fn fixed(raw: &str) -> String {
    let (digits, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let point = whole.len() as i32 + exponent.parse::<i32>().unwrap();
    let all: String = "0".repeat(30) + whole + fraction + &"0".repeat(50);
    let point = (30 + point) as usize;
    let (whole, fraction) = (all[..point].trim_start_matches('0'), &all[point..]);
    assert!(fraction[18..].bytes().all(|digit| digit == b'0'), "{raw} has more than 18 fractional digits");
    format!("{}.{}", if whole.is_empty() { "0" } else { whole }, &fraction[..18])
}

fn timestamp(text: &str) -> String {
    let (seconds, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{}.{:0<6}", seconds.replace('T', " "), &fraction[..fraction.len().min(6)])
}
