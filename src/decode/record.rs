//! A record's text, read into a [`Row`].
//!
//! The whole text is read even when a column has already failed: a malformed text refuses the body, a rejected record
//! only itself, and the key of a rejected record tells that it has not gone.

use std::{borrow::Cow, fmt::Write};

use thiserror::Error;

use super::{
    date_time::{self, Zone},
    decimal::{self, Misfit},
    json::{self, Keys, Kind, Number, Parsed, RawString, Reader},
    personal::replacement,
    row::{Cell, Row},
};
use crate::schema::{Column, Resource, Treatment, Type};

/// Reads the records of one resource.
#[derive(Debug, Clone)]
pub struct Decoder<'r> {
    resource: &'r Resource,
    members: Members<'r>,
}

/// Why a text did not become a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The text is not one JSON value in UTF-8, so the body it came from is not to be trusted.
    #[error("not JSON: unexpected text at byte {at} of the record")]
    Malformed {
        /// Offset in the record's text.
        at: usize,
    },
    /// The text is JSON, but cannot be a row of this resource.
    #[error(transparent)]
    Rejected(Box<Rejection>),
}

/// Why a record cannot be a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{path}: {reason}", self.of())]
pub struct Rejection {
    /// The key column and its value, if the record has a readable key.
    pub key: Option<(usize, String)>,
    /// Where in the record, as in `fills[0].rate`; `$` for the record itself.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl Rejection {
    fn of(&self) -> String {
        self.key.as_ref().map_or_else(String::new, |(_, key)| format!("record `{key}`, "))
    }
}

impl<'r> Decoder<'r> {
    /// A decoder for `resource` that takes times without a zone to be in `naive`.
    #[must_use]
    pub fn new(resource: &'r Resource, naive: Zone) -> Self {
        Self { resource, members: Members::new(&resource.columns, naive) }
    }

    /// The resource whose records it reads.
    #[must_use]
    pub fn resource(&self) -> &'r Resource {
        self.resource
    }

    /// A short text that changes whenever the same record could become another row.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{}{}", self.resource.fingerprint(), self.members.naive)
    }

    /// Reads one record.
    ///
    /// # Errors
    ///
    /// [`Refusal::Malformed`] if the text is not JSON in UTF-8, [`Refusal::Rejected`] if a value does not fit its column,
    /// a key stands twice, or the record has no key.
    pub fn decode<'t>(&mut self, text: &'t [u8]) -> Result<Row<'t>, Refusal> {
        let text = simdutf8::compat::from_utf8(text).map_err(|error| Refusal::Malformed { at: error.valid_up_to() })?;
        let mut reader = Reader::new(text);
        let mut fit = Fit::default();
        let row = self.row(&mut reader, &mut fit).map_err(|error| Refusal::Malformed { at: error.at })?;
        self.accept(row, fit)
    }

    fn row<'t>(&mut self, reader: &mut Reader<'t>, fit: &mut Fit<'r>) -> Parsed<Row<'t>> {
        let row = if reader.kind()? == Kind::Object {
            self.members.read(reader, fit)?
        } else {
            fit.reject(format!("a record is an object, this is {}", reader.kind()?.name()));
            reader.value()?;
            Row { cells: vec![Cell::Null; self.resource.columns.len()], extra: None }
        };
        reader.end()?;
        Ok(row)
    }

    fn accept<'t>(&self, row: Row<'t>, mut fit: Fit<'_>) -> Result<Row<'t>, Refusal> {
        if row.key(self.resource).is_none_or(|(_, key)| key.is_empty()) {
            let names: Vec<_> = self.resource.key.iter().map(|&key| self.resource.columns[key].json.as_str()).collect();
            fit.reject(format!("no key: `{}` is missing, empty or no string", names.join("`, `")));
        }
        let Some((path, reason)) = fit.rejected else { return Ok(row) };
        let key = self.certain_key(&row, &fit.doubtful).map(|(column, key)| (column, key.to_owned()));
        Err(Refusal::Rejected(Box::new(Rejection { key, path, reason })))
    }

    /// The key of a record that was rejected, unless another may have been meant: a wrong key would let a record that the
    /// API lists pass for one that has gone.
    fn certain_key<'a>(&self, row: &'a Row<'_>, doubtful: &[&str]) -> Option<(usize, &'a str)> {
        let (column, key) = row.key(self.resource).filter(|(_, key)| !key.is_empty())?;
        let chosen = self.resource.key.iter().position(|candidate| *candidate == column)?;
        let mut decisive =
            self.resource.key[..=chosen].iter().map(|&column| self.resource.columns[column].json.as_str());
        decisive.all(|member| !doubtful.contains(&member)).then_some((column, key))
    }
}

/// What did not fit so far, and where the reader is.
#[derive(Debug, Default)]
struct Fit<'c> {
    path: Vec<Step<'c>>,
    rejected: Option<(String, String)>,
    /// Members of the record that do not say for certain what they hold.
    doubtful: Vec<&'c str>,
}

#[derive(Debug)]
enum Step<'c> {
    Member(&'c str),
    Element(usize),
}

impl<'c> Fit<'c> {
    /// Notes that the value at the current path does not fit. The first reason stands.
    fn reject(&mut self, reason: String) {
        if let Some(&Step::Member(name)) = self.path.first() {
            self.doubtful.push(name);
        }
        if self.rejected.is_none() {
            self.rejected = Some((self.path(), reason));
        }
    }

    /// Notes that a member of the record itself cannot be believed.
    fn doubt(&mut self, member: &'c str) {
        if self.path.is_empty() {
            self.doubtful.push(member);
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Member(name) if path.is_empty() => write!(path, "{name}"),
                Step::Member(name) => write!(path, ".{name}"),
                Step::Element(index) => write!(path, "[{index}]"),
            };
        }
        if path.is_empty() { "$".to_owned() } else { path }
    }
}

/// Reads the members of objects into the cells of these columns.
#[derive(Debug, Clone)]
struct Members<'c> {
    columns: &'c [Column],
    naive: Zone,
    /// The column's key as it is mostly written, with quotes and colon.
    keys: Vec<String>,
    /// Which column's member was last seen behind that of each column; at the end, which came first. Objects mostly keep
    /// the order of their members, so that a key is mostly known before it is read.
    following: Vec<usize>,
    /// Of the elements of a column that is a list.
    elements: Vec<Option<Members<'c>>>,
}

/// The columns that an object has given so far.
#[derive(Default)]
struct Seen {
    first: u64,
    /// Those from the 64th on.
    others: Vec<usize>,
}

impl Seen {
    /// Notes a column, and says whether it is new.
    fn insert(&mut self, column: usize) -> bool {
        if column >= 64 {
            let new = !self.others.contains(&column);
            self.others.push(column);
            return new;
        }
        let new = self.first >> column & 1 == 0;
        self.first |= 1 << column;
        new
    }
}

impl<'c> Members<'c> {
    fn new(columns: &'c [Column], naive: Zone) -> Self {
        let elements = |column: &'c Column| match &column.kind {
            Type::List(list) => Some(Members::new(&list.columns, naive)),
            _ => None,
        };
        Self {
            columns,
            naive,
            keys: columns.iter().map(|column| format!("{}:", serde_json::Value::from(column.json.as_str()))).collect(),
            following: (0..=columns.len()).map(|column| (column + 1) % (columns.len() + 1)).collect(),
            elements: columns.iter().map(elements).collect(),
        }
    }

    fn read<'t>(&mut self, reader: &mut Reader<'t>, fit: &mut Fit<'c>) -> Parsed<Row<'t>> {
        let mut cells: Vec<Cell<'t>> = std::iter::repeat_with(|| Cell::Null).take(self.columns.len()).collect();
        let mut seen = Seen::default();
        let mut unknown = Keys::default();
        let mut extra = Extra::default();
        let mut last = self.columns.len();
        reader.object(|reader| {
            let index = match self.column(reader, last)? {
                Ok(index) => index,
                Err(key) => {
                    let name = key.unescape();
                    if !unknown.insert(key) {
                        let name = name.as_deref().unwrap_or(key.raw());
                        fit.reject(format!("the key `{name}` stands twice"));
                    }
                    if name.is_none() {
                        fit.reject(json::HALF_A_PAIR.to_owned());
                    }
                    extra.add(&format!("\"{}\":", key.raw()), reader.value()?);
                    reject_flaw(reader, fit);
                    return Ok(());
                }
            };
            self.following[last] = index;
            last = index;
            let column = &self.columns[index];
            if !seen.insert(index) {
                fit.reject(format!("the key `{}` stands twice", column.json));
                fit.doubt(&column.json);
                cells[index] = Cell::Null;
            }
            fit.path.push(Step::Member(&column.json));
            reader.skip_space();
            let start = reader.at();
            if self.cell(index, reader, fit, &mut cells[index])? {
                extra.add(&self.keys[index], reader.since(start));
            }
            reject_flaw(reader, fit);
            fit.path.pop();
            Ok(())
        })?;
        Ok(Row { cells, extra: extra.finish() })
    }

    /// Takes the key of the member behind that of the column `last`: the column that it names, or the key if it names none.
    #[inline]
    fn column<'t>(&self, reader: &mut Reader<'t>, last: usize) -> Parsed<Result<usize, RawString<'t>>> {
        let expected = self.following[last];
        if self.keys.get(expected).is_some_and(|key| reader.take_key(key)) {
            return Ok(Ok(expected));
        }
        let key = reader.key()?;
        let name = key.unescape();
        let name = name.as_deref().unwrap_or(key.raw());
        Ok(self.columns.iter().position(|column| column.json == name).ok_or(key))
    }

    /// Reads a value into a cell that is null, and says whether its text has to be kept beside it. A value that does not fit
    /// leaves the cell null.
    fn cell<'t>(
        &mut self,
        column: usize,
        reader: &mut Reader<'t>,
        fit: &mut Fit<'c>,
        cell: &mut Cell<'t>,
    ) -> Parsed<bool> {
        let kind = &self.columns[column].kind;
        if self.columns[column].personal == Some(Treatment::Drop) {
            reader.value()?;
            // Whatever is odd in it has gone with it.
            drop(reader.take_flaw());
            return Ok(false);
        }
        let found = reader.kind()?;
        if found == Kind::Null && *kind != Type::Json {
            reader.null()?;
            // An absent list and a null one are told apart by the null's being kept.
            return Ok(matches!(kind, Type::List(_)));
        }
        let mut keep_text = false;
        let read = match (kind, found) {
            (Type::String, Kind::String) => text(reader.string()?, cell),
            (Type::Decimal, Kind::Number) => decimal(&reader.number()?, cell),
            (Type::Integer, Kind::Number) => integer(&reader.number()?, cell),
            (Type::Boolean, Kind::Boolean) => fill(cell, Cell::Boolean(reader.boolean()?)),
            (Type::Timestamp, Kind::String) => {
                match reader.string()?.and_then(|text| date_time::parse_instant(text, self.naive)) {
                    Some(instant) => {
                        keep_text = instant.finer;
                        fill(cell, Cell::Timestamp(instant.micros))
                    }
                    None => Err("no date and time between the years 1 and 9999"),
                }
            }
            (Type::Date, Kind::String) => match reader.string()?.and_then(date_time::parse_date) {
                Some(days) => fill(cell, Cell::Date(days)),
                None => Err("no date between the years 1 and 9999"),
            },
            (Type::Json, Kind::Null) => reader.null().map(Ok)?,
            (Type::Json, _) => fill(cell, Cell::Text(json::minify(reader.value()?))),
            (Type::List(_), Kind::Array) => fill(cell, Cell::List(self.list(column, reader, fit)?)),
            (kind, found) => {
                fit.reject(format!("a {} was expected, this is {}", kind.name(), found.name()));
                reader.value()?;
                Ok(())
            }
        };
        if let Err(reason) = read {
            fit.reject(reason.to_owned());
        }
        if let (Some(Treatment::Hmac(key)), Cell::Text(value)) = (&self.columns[column].personal, &*cell) {
            *cell = match replacement(value, &self.columns[column], key) {
                Some(replacement) => Cell::Text(replacement.into()),
                None => {
                    fit.reject(format!("this is nothing that the key `{}` has made", key.id()));
                    Cell::Null
                }
            };
        }
        Ok(keep_text)
    }

    fn list<'t>(&mut self, column: usize, reader: &mut Reader<'t>, fit: &mut Fit<'c>) -> Parsed<Vec<Row<'t>>> {
        let mut rows = Vec::with_capacity(LIST_ROWS);
        let elements = &mut self.elements[column];
        reader.array(|reader| {
            fit.path.push(Step::Element(rows.len()));
            match elements {
                Some(members) if reader.kind()? == Kind::Object => rows.push(members.read(reader, fit)?),
                _ => {
                    fit.reject(format!("an object was expected, this is {}", reader.kind()?.name()));
                    reader.value()?;
                }
            }
            fit.path.pop();
            Ok(())
        })?;
        Ok(rows)
    }
}

fn reject_flaw(reader: &mut Reader<'_>, fit: &mut Fit<'_>) {
    if let Some(flaw) = reader.take_flaw() {
        fit.reject(flaw);
    }
}

/// A value in its cell, or why it does not fit. Cells are written where they are: millions are read a second, and carrying
/// them about takes longer than reading them.
type Fits = Result<(), &'static str>;

#[inline]
fn fill<'t>(cell: &mut Cell<'t>, value: Cell<'t>) -> Fits {
    *cell = value;
    Ok(())
}

#[inline]
fn text<'t>(string: RawString<'t>, cell: &mut Cell<'t>) -> Fits {
    // Only an escape can mean a control character.
    if let Some(text) = string.plain() {
        return fill(cell, Cell::Text(Cow::Borrowed(text)));
    }
    match string.unescape() {
        Some(text) if !text.contains('\0') => fill(cell, Cell::Text(text)),
        Some(_) => Err("the string holds a NUL, which not every reader can"),
        None => Err(json::HALF_A_PAIR),
    }
}

fn decimal(number: &Number<'_>, cell: &mut Cell<'_>) -> Fits {
    let value = decimal::parse(number).map_err(Misfit::reason)?;
    fill(cell, Cell::Decimal(value))
}

/// An integer may be written `1`, `1.0` or `1e3`, as long as it is one.
fn integer(number: &Number<'_>, cell: &mut Cell<'_>) -> Fits {
    const ONE: i128 = 10_i128.pow(crate::schema::DECIMAL_SCALE as u32);
    let whole = decimal::parse(number).ok().filter(|value| value % ONE == 0);
    let value = whole.and_then(|value| i64::try_from(value / ONE).ok()).ok_or("no integer of 64 bits")?;
    fill(cell, Cell::Integer(value))
}

/// The JSON object for `_extra`, built member by member.
#[derive(Default)]
struct Extra(String);

impl Extra {
    /// A member, by its key with quotes and colon.
    fn add(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(key);
        self.0.push_str(&json::minify(value));
    }

    fn finish<'t>(mut self) -> Option<Cow<'t, str>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push('}');
        Some(Cow::Owned(self.0))
    }
}

/// Elements that a list has mostly room for.
const LIST_ROWS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;

    fn decode(resource: &str, text: &str) -> Result<Row<'static>, Refusal> {
        let schemas = Schemas::builtin().unwrap();
        let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
        Decoder::new(schemas.get(resource).unwrap(), Zone::UTC).decode(text.as_bytes())
    }

    fn trade(members: &str) -> Result<Row<'static>, Refusal> {
        decode("trades", &format!(r#"{{"transactionId":"t1",{members}}}"#))
    }

    const FILLS: usize = 11;

    #[test]
    fn absent_null_and_empty_fills_stay_apart() {
        let absent = trade(r#""rate":1"#).unwrap();
        let null = trade(r#""fills":null"#).unwrap();
        let empty = trade(r#""fills":[]"#).unwrap();
        assert_eq!((&absent.cells[FILLS], absent.extra.as_deref()), (&Cell::Null, None));
        assert_eq!((&null.cells[FILLS], null.extra.as_deref()), (&Cell::Null, Some(r#"{"fills":null}"#)));
        assert_eq!((&empty.cells[FILLS], empty.extra.as_deref()), (&Cell::List(vec![]), None));
    }

    #[test]
    fn what_the_schema_does_not_declare_is_kept_verbatim() {
        let row = trade(r#""b": {"x" : 1.10, "y":"\u00e9"} ,"a":null, "rate":1e0, "fills":[{"f":1E+2}]"#).unwrap();
        assert_eq!(row.extra.as_deref(), Some(r#"{"b":{"x":1.10,"y":"\u00e9"},"a":null}"#));
        let Cell::List(fills) = &row.cells[FILLS] else { panic!("{row:?}") };
        assert_eq!(fills[0].extra.as_deref(), Some(r#"{"f":1E+2}"#));
    }

    #[test]
    fn digits_beyond_the_microsecond_keep_their_text() {
        let row =
            trade(r#""createdAt":"2026-05-11T10:15:30.123456789Z","completedAt":"2026-05-11T10:15:30.5""#).unwrap();
        assert_eq!(row.extra.as_deref(), Some(r#"{"createdAt":"2026-05-11T10:15:30.123456789Z"}"#));
    }

    #[test]
    fn a_value_that_does_not_fit_rejects_the_record_and_says_where() {
        let rows = [
            (r#""rate":1e400"#, "rate", "20 integer digits"),
            (r#""rate":"1.0""#, "rate", "a decimal was expected, this is a string"),
            (r#""isRfq":1"#, "isRfq", "a boolean was expected"),
            (r#""createdAt":1747000000"#, "createdAt", "a timestamp was expected, this is a number"),
            (r#""createdAt":"yesterday""#, "createdAt", "no date and time"),
            (r#""fills":[{},{"toCurrencyAmount":1e-19}]"#, "fills[1].toCurrencyAmount", "18 significant"),
            (r#""fills":[1]"#, "fills[0]", "an object was expected"),
            (r#""status":"\ud800""#, "status", "surrogate"),
            (r#""status":"\u0000""#, "status", "NUL"),
            (r#""rate":1,"rate":1"#, "$", "`rate` stands twice"),
            (r#""x":1,"\u0078":1"#, "$", "`x` stands twice"),
            (r#""x":{"y":1,"y":1}"#, "$", "`y` stands twice"),
            (r#""x":["\ud83d"]"#, "$", "surrogate"),
            (r#""\ud83d":1"#, "$", "surrogate"),
        ];
        for (members, path, reason) in rows {
            let Err(Refusal::Rejected(rejection)) = trade(members) else { panic!("{members}") };
            assert_eq!(rejection.path, path, "{members}");
            assert!(rejection.reason.contains(reason), "{members}: {}", rejection.reason);
            assert_eq!(rejection.key, Some((0, "t1".to_owned())), "{members}");
        }
    }

    #[test]
    fn a_rejected_record_has_a_key_only_where_no_other_can_be_meant() {
        let rows = [
            ("trades", r#"{"transactionId":"a","rate":"x"}"#, Some((0, "a"))),
            ("trades", r#"{"transactionId":"a","fills":[{"status":1}],"rate":"x"}"#, Some((0, "a"))),
            ("trades", r#"{"transactionId":"","rate":1}"#, None),
            ("trades", r#"{"transactionId":"a","transactionId":"zz"}"#, None),
            ("trades", r#"{"transactionId":"zz","transactionId":7}"#, None),
            ("currencies", r#"{"code":7,"id":"1"}"#, None),
            ("currencies", r#"{"code":"USD","id":1}"#, Some((0, "USD"))),
        ];
        for (resource, text, key) in rows {
            let Err(Refusal::Rejected(rejection)) = decode(resource, text) else { panic!("{text}") };
            assert_eq!(rejection.key.as_ref().map(|(column, key)| (*column, key.as_str())), key, "{text}");
        }
    }

    #[test]
    fn a_record_without_a_key_is_rejected() {
        for text in ["{}", r#"{"transactionId":null}"#, r#"{"transactionId":7}"#, r#"{"transactionId":""}"#, "7", "[]"]
        {
            assert!(matches!(decode("trades", text), Err(Refusal::Rejected(_))), "{text}");
        }
    }

    #[test]
    fn the_first_key_that_is_present_identifies_a_record() {
        let schemas = Schemas::builtin().unwrap();
        let currencies = schemas.get("currencies").unwrap();
        let row = decode("currencies", r#"{"symbol":"Z","id":"c1"}"#).unwrap();
        assert_eq!(row.key(currencies), Some((1, "c1")));
    }

    #[test]
    fn what_is_not_json_is_malformed_even_behind_a_rejected_value() {
        let rows = [r#"{"rate":"x",}"#, r#"{"rate":1} {"#, "{", r#"{"x":[1}"#, "{\"x\":\"\u{1}\"}"];
        for text in rows {
            assert!(matches!(decode("trades", text), Err(Refusal::Malformed { .. })), "{text}");
        }
        let schemas = Schemas::builtin().unwrap();
        let mut decoder = Decoder::new(schemas.get("trades").unwrap(), Zone::UTC);
        assert_eq!(decoder.decode(b"{\"x\":\"\xff\"}"), Err(Refusal::Malformed { at: 6 }));
    }

    #[test]
    fn integers_are_integers_however_written() {
        let read = |text| {
            let mut cell = Cell::Null;
            integer(&Reader::new(text).number().unwrap(), &mut cell).map(|()| cell)
        };
        for (text, value) in [("7", 7), ("7.0", 7), ("7e2", 700), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(read(text), Ok(Cell::Integer(value)), "{text}");
        }
        for text in ["7.5", "9223372036854775808", "1e30"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
