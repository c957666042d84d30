//! A record as a tree of typed values: what the API's JSON and the truth are both written from.

use std::borrow::Cow;

use super::number::Number;
use super::timestamp::Timestamp;

/// The members of one object, in the order in which they are served by default.
pub(super) type Record = Vec<Member>;

/// A name and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The JSON name.
    pub(super) name: &'static str,
    /// Whether the contract declares it; what it does not goes to the truth's `_extra`.
    pub(super) declared: bool,
    /// What it holds.
    pub(super) value: Value,
}

/// A member that the contract declares, or one of a free-form object.
pub(super) fn member(name: &'static str, value: impl Into<Value>) -> Member {
    Member { name, declared: true, value: value.into() }
}

/// A member that the contract does not declare.
pub(super) fn undeclared(name: &'static str, value: impl Into<Value>) -> Member {
    Member { name, declared: false, value: value.into() }
}

/// What a member holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Declared, and left out of this object.
    Absent,
    /// `null`
    Null,
    /// `null` where a list of records belongs, which the truth tells from absence.
    NullRecords,
    /// `true` or `false`
    Bool(bool),
    /// Text, served as UTF-8.
    Text(Cow<'static, str>),
    /// Text, served with everything beyond ASCII escaped.
    Escaped(&'static str),
    /// A declared number, of which only the value counts.
    Number(Number),
    /// JSON text that counts as it stands, such as a number in a free-form object.
    Verbatim(Cow<'static, str>),
    /// A declared point in time.
    Time(Timestamp),
    /// A free-form object.
    Object(Vec<Member>),
    /// A list in a free-form object.
    List(Vec<Value>),
    /// A declared list of records.
    Records(Vec<Record>),
}

impl Value {
    /// JSON text that counts as it stands.
    pub(super) fn verbatim(json: impl Into<Cow<'static, str>>) -> Value {
        Value::Verbatim(json.into())
    }

    /// The record's value, or one of the two ways to have none: `null`, or nothing at all.
    pub(super) fn or_none(value: Option<impl Into<Value>>, explicit: bool) -> Value {
        match value {
            Some(value) => value.into(),
            None if explicit => Value::Null,
            None => Value::Absent,
        }
    }

    /// Whether it is this text.
    pub(super) fn is_text(&self, text: &str) -> bool {
        match self {
            Value::Text(own) => own == text,
            Value::Escaped(own) => *own == text,
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        Value::Number(number)
    }
}

impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Value {
        Value::Time(timestamp)
    }
}

impl From<Vec<Member>> for Value {
    fn from(members: Vec<Member>) -> Value {
        Value::Object(members)
    }
}
