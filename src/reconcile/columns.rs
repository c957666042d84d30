//! Columns by their names, in schemas that may be the user's own, and what a row has in them.

use crate::{
    decode::{Cell, Row},
    error::Error,
    schema::{Column, List, Resource, Statuses, Type},
};

/// The place of a column that the books need.
pub(crate) fn column(resource: &Resource, name: &str, kind: &Type) -> Result<usize, Error> {
    place(&resource.name, &resource.columns, name, kind)
}

/// The place of a list, and the list.
pub(super) fn list<'r>(resource: &'r Resource, name: &str) -> Result<(usize, &'r List), Error> {
    let lists = resource.columns.iter().enumerate().filter(|(_, column)| column.name == name);
    let mut lists = lists.filter_map(|(place, column)| match &column.kind {
        Type::List(list) => Some((place, list)),
        _ => None,
    });
    lists.next().ok_or_else(|| lacks(&resource.name, name, "list"))
}

/// The place of a column of a list's elements.
pub(super) fn element(list: &List, name: &str, kind: &Type) -> Result<usize, Error> {
    place(&list.table, &list.columns, name, kind)
}

/// The statuses of a resource.
pub(super) fn statuses(resource: &Resource) -> Result<&Statuses, Error> {
    let problem = "their schema does not say which statuses there are".to_owned();
    resource.statuses.as_ref().ok_or_else(|| Error::NoBooks { resource: resource.name.clone(), problem })
}

/// What a row has in a column of text.
pub(crate) fn text<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r str> {
    match row.cells.get(column) {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    }
}

/// What a row has in a column of amounts, times 10^18.
pub(crate) fn amount(row: &Row<'_>, column: usize) -> Option<i128> {
    match row.cells.get(column) {
        Some(Cell::Decimal(amount)) => Some(*amount),
        _ => None,
    }
}

/// The elements that a row has in a column of lists.
pub(super) fn elements<'r, 'a>(row: &'r Row<'a>, column: usize) -> &'r [Row<'a>] {
    match row.cells.get(column) {
        Some(Cell::List(elements)) => elements,
        _ => &[],
    }
}

fn place(table: &str, columns: &[Column], name: &str, kind: &Type) -> Result<usize, Error> {
    let place = columns.iter().position(|column| column.name == name && column.kind == *kind);
    place.ok_or_else(|| lacks(table, name, kind.name()))
}

fn lacks(table: &str, name: &str, kind: &str) -> Error {
    let problem = format!("their schema has no {kind} column `{name}`");
    Error::NoBooks { resource: table.to_owned(), problem }
}
