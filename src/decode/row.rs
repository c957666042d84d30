//! A typed row: what a record's text means, column by column.

use std::borrow::Cow;

use crate::schema::{LastChange, Resource};

/// A record as typed values. Borrows from the text or the batch that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// One cell a declared column, in their order.
    pub cells: Vec<Cell<'a>>,
    /// JSON object of what the columns do not hold; `None` if they hold everything.
    pub extra: Option<Cow<'a, str>>,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Absent or null.
    Null,
    /// Of a string or a JSON column.
    Text(Cow<'a, str>),
    /// Value × 10^18.
    Decimal(i128),
    /// Of an integer column.
    Integer(i64),
    /// Of a boolean column.
    Boolean(bool),
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
    /// Elements in their order.
    List(Vec<Row<'a>>),
}

impl Row<'_> {
    /// The same row with texts of its own.
    #[must_use]
    pub fn to_static(&self) -> Row<'static> {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        let cell = |cell: &Cell<'_>| match cell {
            Cell::Null => Cell::Null,
            Cell::Text(text) => Cell::Text(own(text)),
            Cell::Decimal(value) => Cell::Decimal(*value),
            Cell::Integer(value) => Cell::Integer(*value),
            Cell::Boolean(value) => Cell::Boolean(*value),
            Cell::Timestamp(micros) => Cell::Timestamp(*micros),
            Cell::Date(days) => Cell::Date(*days),
            Cell::List(rows) => Cell::List(rows.iter().map(Row::to_static).collect()),
        };
        Row { cells: self.cells.iter().map(cell).collect(), extra: self.extra.as_ref().map(own) }
    }

    /// The column that identifies the record, and its value: the first key column that is present.
    #[must_use]
    pub fn key(&self, resource: &Resource) -> Option<(usize, &str)> {
        resource.key.iter().find_map(|&column| Some((column, self.text(column)?)))
    }

    /// When the record happened, in microseconds: the first event time that is present.
    #[must_use]
    pub fn event_time(&self, resource: &Resource) -> Option<i64> {
        resource.event_time.iter().find_map(|&column| self.timestamp(column))
    }

    /// When the record last changed by its own account, in microseconds.
    #[must_use]
    pub fn last_change(&self, resource: &Resource) -> Option<i64> {
        let LastChange { column, element } = resource.last_change?;
        match (self.cells.get(column)?, element) {
            (Cell::Timestamp(micros), None) => Some(*micros),
            (Cell::List(rows), Some(element)) => rows.iter().filter_map(|row| row.timestamp(element)).max(),
            _ => None,
        }
    }

    /// The record's status, where the resource has one and the record gives it.
    #[must_use]
    pub fn status(&self, resource: &Resource) -> Option<&str> {
        self.text(resource.statuses.as_ref()?.column)
    }

    /// Whether the record is still expected to change; `false` for a resource without statuses.
    #[must_use]
    pub fn is_open(&self, resource: &Resource) -> bool {
        resource.statuses.as_ref().is_some_and(|statuses| statuses.is_open(self.status(resource)))
    }

    fn timestamp(&self, column: usize) -> Option<i64> {
        match self.cells.get(column)? {
            Cell::Timestamp(micros) => Some(*micros),
            _ => None,
        }
    }

    fn text(&self, column: usize) -> Option<&str> {
        match self.cells.get(column)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}
