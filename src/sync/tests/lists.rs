//! What the world has to say: small windows on busy sandbox worlds, each record with its meaning.
//!
//! The meaning comes from the world's typed values and not from the JSON that is served, so what the code under test made of
//! the JSON is compared with something that it had no part in.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use serde_json::{Value, value::RawValue};

use super::random::Random;
use crate::sandbox::{Options, Resource, Snapshot, Style, World};

/// A resource that takes part.
#[derive(Debug)]
pub(super) struct Kind {
    pub name: &'static str,
    resource: Resource,
    /// Column and JSON member of the key.
    pub key: &'static str,
    pub member: &'static str,
    pub partitioned: bool,
    /// Columns that tell when a record happened, best first.
    pub event_times: &'static [&'static str],
    /// Statuses of records that do not count as open; `None` where there are no statuses.
    pub closed: Option<&'static [&'static str]>,
    /// A member with a value that no row can have.
    pub unfit: (&'static str, &'static str),
    /// The flat table, the list that it is made from, and the column that names the record.
    pub flat: Option<(&'static str, &'static str, &'static str)>,
    /// How much faster this world ages than the others, so that something happens in it.
    haste: i32,
    /// Records of its world before the window, and in it at first.
    window: u64,
}

/// Partitioned by a time that most records lack at first; partitioned, with lists; and neither.
pub(super) const KINDS: [Kind; 3] = [
    Kind {
        name: "deposits",
        resource: Resource::Deposits,
        key: "transaction_id",
        member: "transactionId",
        partitioned: true,
        event_times: &["completed_at"],
        closed: Some(&["COMPLETED", "FAILED", "CANCELLED", "REVERSED"]),
        unfit: ("amount", "\"much\""),
        flat: None,
        haste: 1,
        window: 5,
    },
    Kind {
        name: "trades",
        resource: Resource::Trades,
        key: "transaction_id",
        member: "transactionId",
        partitioned: true,
        event_times: &["created_at", "completed_at"],
        closed: Some(&["COMPLETED", "CANCELLED", "REVERSED"]),
        unfit: ("rate", "\"good\""),
        flat: Some(("trade_fills", "fills", "trade_id")),
        haste: 1,
        window: 4,
    },
    Kind {
        name: "beneficiaries",
        resource: Resource::Beneficiaries,
        key: "id",
        member: "id",
        partitioned: false,
        event_times: &["created_at"],
        closed: None,
        unfit: ("createdAt", "\"yesterday\""),
        flat: None,
        haste: 15,
        window: 9,
    },
];

/// Columns that hold the text of free-form objects.
const DOCUMENTS: [&str; 2] = ["withdraw_form_details", "_extra"];

/// Transactions in two years of the world, so that hardly a day passes without one.
const RECORDS: u64 = 1_500;

/// The windows.
pub(super) struct Lists {
    world: Arc<World>,
    /// Number of the first record of each kind's window.
    firsts: [u64; KINDS.len()],
}

/// A record as it is listed.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub key: String,
    /// The text that is served.
    pub json: String,
    /// What it means, in the lake's terms.
    pub meaning: Arc<Value>,
}

impl Lists {
    pub(super) fn new(seed: u64, random: &mut Random) -> Self {
        let world = Arc::new(World::new(&Options { seed, records: RECORDS, ..Options::default() }).unwrap());
        let start = Snapshot::new(world.clone(), World::start());
        let firsts = KINDS.map(|kind| {
            let skipped = kind.window + random.below(3);
            start.count(kind.resource).saturating_sub(skipped)
        });
        Self { world, firsts }
    }

    /// The records of a kind when the world is so old.
    pub(super) fn records(&self, kind: usize, age: TimeDelta, style: Style) -> Vec<Record> {
        let Kind { resource, key, member, haste, .. } = KINDS[kind];
        let snapshot = Arc::new(Snapshot::new(self.world.clone(), World::start() + age * haste));
        let (list, truth) = snapshot.since(resource, self.firsts[kind], style);
        let truth: Vec<u8> = truth.flatten().collect();
        let meanings = truth.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut meanings: BTreeMap<String, Arc<Value>> = meanings
            .map(|line| {
                let meaning = with_ordered_documents(serde_json::from_slice(line).unwrap());
                (meaning[key].as_str().unwrap().to_owned(), Arc::new(meaning))
            })
            .collect();
        let list: Vec<u8> = list.flatten().collect();
        let records: Vec<&RawValue> = serde_json::from_slice(&list).unwrap();
        let record = |json: &&RawValue| {
            let fields: Value = serde_json::from_str(json.get()).unwrap();
            let key = fields[member].as_str().unwrap().to_owned();
            let meaning = meanings.remove(&key).unwrap();
            Record { key, json: json.get().to_owned(), meaning }
        };
        let records = records.iter().map(record).collect();
        assert!(meanings.is_empty(), "the world lists less than there is");
        records
    }
}

/// The same with the members of free-form objects in one order: they are stored as they came, and come in any.
pub(super) fn with_ordered_documents(mut values: Value) -> Value {
    match &mut values {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if DOCUMENTS.contains(&name.as_str()) => *text = ordered(text),
            value => *value = with_ordered_documents(value.take()),
        }),
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| *element = with_ordered_documents(element.take()));
        }
        _ => {}
    }
    values
}

/// JSON text with the members of every object in the order of their names.
pub(super) fn ordered(text: &str) -> String {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let members =
            members.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), ordered(value.get())));
        return format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(elements) => {
            format!("[{}]", elements.iter().map(|element| ordered(element.get())).collect::<Vec<_>>().join(","))
        }
        Err(_) => text.to_owned(),
    }
}

impl Kind {
    /// The kind's place among all.
    pub(super) fn of(resource: &str) -> usize {
        KINDS.iter().position(|kind| kind.name == resource).unwrap()
    }

    /// Names of its tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.flat.map(|(table, ..)| table))
    }
}
