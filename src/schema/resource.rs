//! A validated resource: the form in which every other module sees a schema.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A collection of the API: where it is read, what a record of it holds, and how it is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Name in snake_case, used as folder and table name.
    pub name: String,
    /// What the resource is, for people.
    pub doc: String,
    /// Path of the list endpoint, from the root of the API.
    pub path: String,
    /// Path of the single read, with `{key}` where the key goes.
    pub item_path: String,
    /// Whether the API may lack the endpoint: a 404 is then a notice and not a failure.
    pub optional: bool,
    /// Whether records are filed by event time. Reference resources are not.
    pub partitioned: bool,
    /// Indices of the columns that may identify a record; the first present one does.
    pub key: Vec<usize>,
    /// Indices of the timestamp columns that tell when a record happened, best first.
    pub event_time: Vec<usize>,
    /// Where a record says when it last changed, if it does.
    pub last_change: Option<LastChange>,
    /// Which statuses leave a record open, where it has a status at all.
    pub statuses: Option<Statuses>,
    /// The declared columns, in the order of the table.
    pub columns: Vec<Column>,
}

/// A field of a record and the column it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name of the column, in snake_case.
    pub name: String,
    /// Name of the JSON member.
    pub json: String,
    /// What the member may hold.
    pub kind: Type,
    /// What the column means, for people.
    pub doc: String,
    /// What is done with its values if they are personal data, such as bank details.
    pub personal: Option<Treatment>,
}

impl Resource {
    /// The columns that may hold personal data, those of its lists as `list.column`, with what is done with them.
    #[must_use]
    pub fn personal_columns(&self) -> Vec<(String, &Treatment)> {
        fn of<'c>(columns: &'c [Column], prefix: &str, found: &mut Vec<(String, &'c Treatment)>) {
            for Column { name, kind, personal, .. } in columns {
                match (kind, personal) {
                    (Type::List(list), _) => of(&list.columns, &format!("{prefix}{name}."), found),
                    (_, Some(treatment)) => found.push((format!("{prefix}{name}"), treatment)),
                    (_, None) => {}
                }
            }
        }
        let mut found = Vec::new();
        of(&self.columns, "", &mut found);
        found
    }
}

/// What is done with personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Stored as it comes.
    Keep,
    /// Not stored: the column is null.
    Drop,
    /// Replaced by a keyed hash, with which equal values can be found.
    Hmac(HmacKey),
}

/// A key with a name that is stored beside what it made.
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    key: Option<SecretString>,
}

impl HmacKey {
    /// A key of this name.
    #[must_use]
    pub fn new(id: &str, key: SecretString) -> Self {
        Self { id: id.to_owned(), key: Some(key) }
    }

    /// The name of a key that has been applied: values come as it made them.
    #[must_use]
    pub fn applied(id: &str) -> Self {
        Self { id: id.to_owned(), key: None }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself, unless it has been applied.
    #[must_use]
    pub fn expose(&self) -> Option<&[u8]> {
        Some(self.key.as_ref()?.expose_secret().as_bytes())
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HmacKey").field(&self.id).finish()
    }
}

/// Keys are told apart by their names.
impl PartialEq for HmacKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for HmacKey {}

/// What a column holds. Every type admits null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A JSON string, stored as text.
    String,
    /// A JSON number, stored as `decimal(38,18)`; exact or not at all.
    Decimal,
    /// A JSON integer, stored as a signed 64-bit integer.
    Integer,
    /// A JSON boolean.
    Boolean,
    /// A JSON string holding a date and a time, stored as microseconds in UTC.
    Timestamp,
    /// A JSON string holding a calendar date.
    Date,
    /// Any JSON value, stored as its text without insignificant white space.
    Json,
    /// A JSON array of objects, stored as a list of structs.
    List(List),
}

/// The elements of a list column, and the flat table they also become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Name of the flat table, one row an element.
    pub table: String,
    /// What the flat table is, for people.
    pub table_doc: String,
    /// Column of the flat table that holds the key of the record the element belongs to.
    pub parent_key: String,
    /// The declared columns of an element; none of them is a list.
    pub columns: Vec<Column>,
}

/// Where a record says when it last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastChange {
    /// Index of a timestamp column, or of a list.
    pub column: usize,
    /// Index of a timestamp column of the list's elements: the latest of them counts.
    pub element: Option<usize>,
}

/// Statuses of a resource, as far as they are documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses {
    /// Index of the column that holds the status.
    pub column: usize,
    /// Statuses of records that are expected to change.
    pub open: Vec<String>,
    /// Statuses of records that have come to an end, even if a reversal may follow.
    pub closed: Vec<String>,
}

impl Statuses {
    /// Whether a record with this status is still expected to change. A status that is unknown or missing counts as
    /// open: it is safer to look at such a record again than to forget it.
    #[must_use]
    pub fn is_open(&self, status: Option<&str>) -> bool {
        status.is_none_or(|status| !self.closed.iter().any(|closed| closed == status))
    }

    /// Whether the status is one that the schema lists as open.
    #[must_use]
    pub fn is_listed_open(&self, status: Option<&str>) -> bool {
        status.is_some_and(|status| self.open.iter().any(|open| open == status))
    }

    /// Whether the status is one that the schema lists.
    #[must_use]
    pub fn is_documented(&self, status: &str) -> bool {
        self.open.iter().chain(&self.closed).any(|known| known == status)
    }
}

impl Type {
    /// The type's name in a schema file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Decimal => "decimal",
            Type::Integer => "integer",
            Type::Boolean => "boolean",
            Type::Timestamp => "timestamp",
            Type::Date => "date",
            Type::Json => "json",
            Type::List(_) => "list",
        }
    }
}
