//! Rows into Arrow columns, and back.
//!
//! In: rows with the stamp of the commit that writes them. Out: a batch of the resource's table. [`Row::read`] is the way
//! back, so that a stored row and a freshly decoded one can be compared.

use std::{borrow::Cow, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, UInt64Array,
    builder::{
        BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, NullBufferBuilder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    cast::AsArray,
    types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, SchemaRef};
use arrow_select::take::take;

use super::row::{Cell, Row};
use crate::schema::{Column, DECIMAL_PRECISION, DECIMAL_SCALE, Resource, Type};

/// What was observed of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It was not there before.
    Added,
    /// A value of it differs.
    Changed,
    /// It is not there any more.
    Removed,
}

impl Operation {
    /// The text in `_op`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Added => "added",
            Operation::Changed => "changed",
            Operation::Removed => "removed",
        }
    }

    /// The operation of this name; `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Operation::Added, Operation::Changed, Operation::Removed]
            .into_iter()
            .find(|operation| operation.name() == name)
    }
}

/// The system columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// Number of the commit.
    pub seq: i64,
    /// What was observed.
    pub operation: Operation,
    /// When the poll began, in microseconds.
    pub observed_at: i64,
    /// When the record was first observed, in microseconds.
    pub first_seen_at: i64,
    /// The poll.
    pub poll_id: &'a str,
}

/// Collects rows of one table.
#[derive(Debug)]
pub struct Columns {
    schema: SchemaRef,
    declared: Vec<ColumnBuilder>,
    extra: StringBuilder,
    seq: Int64Builder,
    operation: StringBuilder,
    observed_at: TimestampMicrosecondBuilder,
    first_seen_at: TimestampMicrosecondBuilder,
    poll_id: StringBuilder,
    rows: usize,
    text_bytes: usize,
}

impl Columns {
    /// An empty collection for the resource's own table. It takes no memory before its first row: there may be thousands.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        Self {
            schema: resource.arrow_schema(),
            declared: resource.columns.iter().map(ColumnBuilder::new).collect(),
            extra: StringBuilder::with_capacity(0, 0),
            seq: Int64Builder::with_capacity(0),
            operation: StringBuilder::with_capacity(0, 0),
            observed_at: timestamps(),
            first_seen_at: timestamps(),
            poll_id: StringBuilder::with_capacity(0, 0),
            rows: 0,
            text_bytes: 0,
        }
    }

    /// Rows collected since the last [`finish`](Self::finish).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of text collected since the last [`finish`](Self::finish): the part of a batch that has no fixed size.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Adds a row.
    pub fn append(&mut self, row: &Row<'_>, stamp: Stamp<'_>) {
        for (builder, cell) in self.declared.iter_mut().zip(&row.cells) {
            self.text_bytes += builder.append(cell);
        }
        self.text_bytes += row.extra.as_ref().map_or(0, |extra| extra.len());
        self.extra.append_option(row.extra.as_deref());
        self.seq.append_value(stamp.seq);
        self.operation.append_value(stamp.operation.name());
        self.observed_at.append_value(stamp.observed_at);
        self.first_seen_at.append_value(stamp.first_seen_at);
        self.poll_id.append_value(stamp.poll_id);
        self.rows += 1;
    }

    /// Gives out the rows as one batch, and starts anew.
    ///
    /// # Errors
    ///
    /// If the columns do not agree with the schema, which would be a defect of this module.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.declared.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(self.extra.finish()));
        columns.push(Arc::new(self.seq.finish()));
        columns.push(Arc::new(self.operation.finish()));
        columns.push(Arc::new(self.observed_at.finish()));
        columns.push(Arc::new(self.first_seen_at.finish()));
        columns.push(Arc::new(self.poll_id.finish()));
        self.rows = 0;
        self.text_bytes = 0;
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn timestamps() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC")
}

#[derive(Debug)]
enum ColumnBuilder {
    Text(StringBuilder),
    Decimal(Decimal128Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    List(ListBuilder),
}

impl ColumnBuilder {
    fn new(column: &Column) -> Self {
        match &column.kind {
            Type::String | Type::Json => Self::Text(StringBuilder::with_capacity(0, 0)),
            Type::Decimal => Self::Decimal(
                Decimal128Builder::with_capacity(0)
                    .with_data_type(DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE)),
            ),
            Type::Integer => Self::Integer(Int64Builder::with_capacity(0)),
            Type::Boolean => Self::Boolean(BooleanBuilder::with_capacity(0)),
            Type::Timestamp => Self::Timestamp(timestamps()),
            Type::Date => Self::Date(Date32Builder::with_capacity(0)),
            Type::List(list) => Self::List(ListBuilder::new(&list.columns, element_of(column))),
        }
    }

    /// Adds a cell, and says how many bytes of text it held.
    fn append(&mut self, cell: &Cell<'_>) -> usize {
        match self {
            Self::Text(builder) => {
                let text = if let Cell::Text(text) = cell { Some(text.as_ref()) } else { None };
                builder.append_option(text);
                return text.map_or(0, str::len);
            }
            Self::Decimal(builder) => {
                builder.append_option(if let Cell::Decimal(value) = cell { Some(*value) } else { None })
            }
            Self::Integer(builder) => {
                builder.append_option(if let Cell::Integer(value) = cell { Some(*value) } else { None })
            }
            Self::Boolean(builder) => {
                builder.append_option(if let Cell::Boolean(value) = cell { Some(*value) } else { None })
            }
            Self::Timestamp(builder) => {
                builder.append_option(if let Cell::Timestamp(value) = cell { Some(*value) } else { None });
            }
            Self::Date(builder) => {
                builder.append_option(if let Cell::Date(value) = cell { Some(*value) } else { None })
            }
            Self::List(builder) => return builder.append(cell),
        }
        0
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::List(builder) => Arc::new(builder.finish()?),
        })
    }
}

/// The list's element field, as the table's schema has it.
fn element_of(column: &Column) -> Arc<Field> {
    match crate::schema::data_type(&column.kind) {
        DataType::List(element) => element,
        other => Arc::new(Field::new("element", other, false)),
    }
}

#[derive(Debug)]
struct ListBuilder {
    element: Arc<Field>,
    lengths: Vec<usize>,
    validity: NullBufferBuilder,
    columns: Vec<ColumnBuilder>,
    extra: StringBuilder,
}

impl ListBuilder {
    fn new(columns: &[Column], element: Arc<Field>) -> Self {
        Self {
            element,
            lengths: Vec::new(),
            validity: NullBufferBuilder::new(0),
            columns: columns.iter().map(ColumnBuilder::new).collect(),
            extra: StringBuilder::with_capacity(0, 0),
        }
    }

    fn append(&mut self, cell: &Cell<'_>) -> usize {
        let Cell::List(rows) = cell else {
            self.lengths.push(0);
            self.validity.append_null();
            return 0;
        };
        self.lengths.push(rows.len());
        self.validity.append_non_null();
        rows.iter().map(|row| self.append_element(row)).sum()
    }

    fn append_element(&mut self, row: &Row<'_>) -> usize {
        self.extra.append_option(row.extra.as_deref());
        let extra_bytes = row.extra.as_ref().map_or(0, |extra| extra.len());
        extra_bytes + self.columns.iter_mut().zip(&row.cells).map(|(builder, cell)| builder.append(cell)).sum::<usize>()
    }

    fn finish(&mut self) -> Result<ListArray, ArrowError> {
        let mut columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(self.extra.finish()));
        let elements = StructArray::try_new(element_fields(&self.element), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(self.lengths.drain(..));
        ListArray::try_new(self.element.clone(), offsets, Arc::new(elements), self.validity.finish())
    }
}

fn element_fields(element: &Field) -> Fields {
    match element.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::empty(),
    }
}

impl<'a> Row<'a> {
    /// Reads row `index` of a stored batch. A declared column that the batch lacks, because it was declared later, is null.
    #[must_use]
    pub fn read(batch: &'a RecordBatch, index: usize, resource: &Resource) -> Row<'a> {
        let column = |name: &str| batch.column_by_name(name);
        Row {
            cells: resource
                .columns
                .iter()
                .map(|declared| read_cell(column(&declared.name), index, &declared.kind))
                .collect(),
            extra: column("_extra").and_then(|array| read_text(array, index)),
        }
    }
}

impl<'a> Stamp<'a> {
    /// Reads the system columns of row `index` of a stored batch; `None` if one is missing or means nothing.
    #[must_use]
    pub fn read(batch: &'a RecordBatch, index: usize) -> Option<Stamp<'a>> {
        let column = |name: &str| batch.column_by_name(name).filter(|array| array.is_valid(index));
        let text = |name: &str| Some(column(name)?.as_string_opt::<i32>()?.value(index));
        let time = |name: &str| Some(column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(index));
        Some(Stamp {
            seq: column("_seq")?.as_primitive_opt::<Int64Type>()?.value(index),
            operation: Operation::named(text("_op")?)?,
            observed_at: time("_observed_at")?,
            first_seen_at: time("_first_seen_at")?,
            poll_id: text("_poll_id")?,
        })
    }
}

fn read_cell<'a>(array: Option<&'a ArrayRef>, index: usize, kind: &Type) -> Cell<'a> {
    let Some(array) = array.filter(|array| array.is_valid(index)) else { return Cell::Null };
    let cell = match kind {
        Type::String | Type::Json => {
            array.as_string_opt().map(|a: &StringArray| Cell::Text(Cow::Borrowed(a.value(index))))
        }
        Type::Decimal => {
            array.as_primitive_opt::<Decimal128Type>().map(|a: &Decimal128Array| Cell::Decimal(a.value(index)))
        }
        Type::Integer => array.as_primitive_opt::<Int64Type>().map(|a: &Int64Array| Cell::Integer(a.value(index))),
        Type::Boolean => array.as_boolean_opt().map(|a: &BooleanArray| Cell::Boolean(a.value(index))),
        Type::Timestamp => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|a: &TimestampMicrosecondArray| Cell::Timestamp(a.value(index))),
        Type::Date => array.as_primitive_opt::<Date32Type>().map(|a: &Date32Array| Cell::Date(a.value(index))),
        Type::List(list) => array.as_list_opt::<i32>().map(|a: &ListArray| read_list(a, index, &list.columns)),
    };
    cell.unwrap_or(Cell::Null)
}

fn read_list<'a>(array: &'a ListArray, index: usize, columns: &[Column]) -> Cell<'a> {
    let Some(elements) = array.values().as_struct_opt() else { return Cell::Null };
    let offsets = array.value_offsets();
    let rows = (offsets[index] as usize..offsets[index + 1] as usize).map(|at| Row {
        cells: columns
            .iter()
            .map(|column| read_cell(elements.column_by_name(&column.name), at, &column.kind))
            .collect(),
        extra: elements.column_by_name("_extra").and_then(|extra| read_text(extra, at)),
    });
    Cell::List(rows.collect())
}

fn read_text(array: &ArrayRef, index: usize) -> Option<Cow<'_, str>> {
    let texts = array.as_string_opt::<i32>().filter(|texts| texts.is_valid(index))?;
    Some(Cow::Borrowed(texts.value(index)))
}

/// One row for each element of the list column `list`, with the key of its record in front and the record's system
/// columns behind: the flat table of the list.
///
/// # Errors
///
/// If the batch is not one of this resource's, which would be a defect.
pub fn flatten(
    batch: &RecordBatch,
    resource: &Resource,
    list: usize,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let wrong = || ArrowError::SchemaError(format!("no list of records in column {list} of {}", resource.name));
    let name = &resource.columns.get(list).ok_or_else(wrong)?.name;
    let lists = batch.column_by_name(name).and_then(|array| array.as_list_opt::<i32>()).ok_or_else(wrong)?;
    let elements = lists.values().as_struct_opt().ok_or_else(wrong)?;
    let offsets = lists.value_offsets();
    let (first, count) = (offsets[0] as usize, (offsets[lists.len()] - offsets[0]) as usize);
    let parents: UInt64Array = (0..lists.len())
        .filter(|row| lists.is_valid(*row))
        .flat_map(|row| std::iter::repeat_n(row as u64, (offsets[row + 1] - offsets[row]) as usize))
        .collect::<Vec<_>>()
        .into();
    if parents.len() != count {
        return Err(ArrowError::InvalidArgumentError(format!("a list of {name} is null and has elements")));
    }
    let key = &resource.columns[resource.key[0]].name;
    let of_parent = |name: &str| take(batch.column_by_name(name).ok_or_else(wrong)?, &parents, None);
    let of_element = |name: &str| Ok(elements.column_by_name(name).ok_or_else(wrong)?.slice(first, count));
    let columns = schema.fields().iter().enumerate().map(|(index, field)| match (index, field.name().as_str()) {
        (0, _) => of_parent(key),
        (_, "_extra") => of_element("_extra"),
        (_, system) if system.starts_with('_') => of_parent(system),
        (_, declared) => of_element(declared),
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Decoder, Seed, Zone},
        schema::Schemas,
    };

    const STAMP: Stamp<'static> =
        Stamp { seq: 7, operation: Operation::Added, observed_at: 5, first_seen_at: 3, poll_id: "p" };

    fn batch(resource: &Resource, records: &[&str]) -> RecordBatch {
        let mut decoder = Decoder::new(resource, Zone::UTC);
        let mut columns = Columns::new(resource);
        for record in records {
            columns.append(&decoder.decode(record.as_bytes()).unwrap(), STAMP);
        }
        columns.finish().unwrap()
    }

    const TRADES: [&str; 4] = [
        r#"{"transactionId":"a","rate":18.4,"isRfq":true,"createdAt":"2026-05-11T10:15:30.123456789Z","x":[1.0]}"#,
        r#"{"transactionId":"b","fills":[{"transactionId":"f1","toCurrencyAmount":-1e-18,"y":1},{"transactionId":"f2"}]}"#,
        r#"{"transactionId":"c","fills":[]}"#,
        r#"{"transactionId":"d","fills":[{"transactionId":"f3","status":"REVERSED"}],"status":""}"#,
    ];

    #[test]
    fn a_row_that_was_stored_reads_back_equal() {
        let schemas = Schemas::builtin().unwrap();
        let trades = schemas.get("trades").unwrap();
        let batch = batch(trades, &TRADES);
        for (index, text) in TRADES.iter().enumerate() {
            let decoded = Decoder::new(trades, Zone::UTC).decode(text.as_bytes()).unwrap();
            let stored = Row::read(&batch, index, trades);
            assert_eq!(stored, decoded);
            assert_eq!(stored.digest(trades, Seed(3)), decoded.digest(trades, Seed(3)));
            assert_eq!(Stamp::read(&batch, index), Some(STAMP));
        }
    }

    #[test]
    fn the_flat_table_has_a_row_an_element_with_its_parents_key() {
        let schemas = Schemas::builtin().unwrap();
        let trades = schemas.get("trades").unwrap();
        let table = &trades.tables()[1];
        let flat = flatten(&batch(trades, &TRADES), trades, 11, &table.schema).unwrap();
        let text = |name: &str| -> Vec<Option<&str>> {
            flat.column_by_name(name).unwrap().as_string::<i32>().iter().collect()
        };
        assert_eq!(text("trade_id"), [Some("b"), Some("b"), Some("d")]);
        assert_eq!(text("transaction_id"), [Some("f1"), Some("f2"), Some("f3")]);
        assert_eq!(text("_extra"), [Some(r#"{"y":1}"#), None, None]);
        assert_eq!(flat.column_by_name("_seq").unwrap().as_primitive::<Int64Type>().values(), &[7, 7, 7]);
    }

    #[test]
    fn a_column_that_was_declared_later_reads_as_null_and_changes_no_digest() {
        let schemas = Schemas::builtin().unwrap();
        let accounts = schemas.get("accounts").unwrap();
        let old = batch(accounts, &[r#"{"id":"a","balance":1}"#]);
        let mut later = accounts.clone();
        later.columns.push(Column {
            name: "label".into(),
            json: "label".into(),
            kind: Type::String,
            doc: String::new(),
            personal: None,
        });
        let row = Row::read(&old, 0, &later);
        assert_eq!(row.cells[4], Cell::Null);
        assert_eq!(row.digest(&later, Seed(1)), Row::read(&old, 0, accounts).digest(accounts, Seed(1)));
    }
}
