//! Cuts a JSON array into its elements as the chunks arrive.
//!
//! In: the chunks of one body, of any size. Out: each top-level element, in order, as a slice of exact text, held in
//! memory alone. Only strings, escapes and brackets are looked at: an element ends where its own brackets have closed. Not even
//! these are where the bytes that are expected next stand: those end where they did before.

use std::fmt;

use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::{
    element::{ElementHasher, ElementId},
    scan::ElementScan,
};

/// The largest record taken, in bytes. A record of the API is a few hundred; a text without end must not fill memory.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// One element of the body: its exact text, without the white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSlice<'a> {
    /// The bytes as received. Not yet known to be UTF-8 or JSON.
    pub text: &'a [u8],
    /// What it is known by.
    pub element: ElementId,
    /// Offset of the first byte in the body.
    pub offset: u64,
}

/// What a complete body was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3 of 128 bits, in lower-case hexadecimal.
    pub hash: String,
    /// Number of elements.
    pub records: u64,
}

/// Why a body is not one complete JSON array. Offsets count bytes from the start of the body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedBody {
    /// The body is something else than an array.
    #[error("the body is {found}, not a JSON array")]
    NotAnArray {
        /// What it begins with, in words.
        found: &'static str,
    },
    /// The body ends before the array does.
    #[error("the body ends at byte {at}, before its array does")]
    Incomplete {
        /// Length of the body.
        at: u64,
    },
    /// A byte stands where it cannot.
    #[error("unexpected {found} at byte {at} of the body, {expected} was expected")]
    Unexpected {
        /// Offset of the byte.
        at: u64,
        /// The byte.
        found: Byte,
        /// What could have stood there.
        expected: &'static str,
    },
    /// A record is larger than is taken.
    #[error("the record at byte {at} of the body is larger than {RECORD_BYTES_MAX} bytes")]
    RecordTooLarge {
        /// Offset of the record.
        at: u64,
    },
}

/// A byte that prints as its character where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Byte(pub u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "`{}`", char::from(self.0))
        } else {
            write!(f, "byte 0x{:02x}", self.0)
        }
    }
}

/// Where in the array the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeArray,
    /// Behind the opening bracket.
    FirstOrEnd,
    Element,
    /// Behind an element.
    CommaOrEnd,
    /// Behind a comma.
    Next,
    AfterArray,
}

/// Takes the elements of a body.
pub trait Elements {
    /// Why it takes no more.
    type Error: From<MalformedBody>;

    /// The object that probably comes next, by its bytes. Where it does, its end is not looked for.
    ///
    /// # Errors
    ///
    /// If that cannot be found out.
    fn expected(&mut self) -> Result<ElementId, Self::Error>;

    /// Takes the next element.
    ///
    /// # Errors
    ///
    /// If it is not to be taken.
    fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), Self::Error>;
}

/// Calls a function with each element, and expects none.
struct Each<F>(F);

impl<E: From<MalformedBody>, F: FnMut(RecordSlice<'_>) -> Result<(), E>> Elements for Each<F> {
    type Error = E;

    fn expected(&mut self) -> Result<ElementId, E> {
        Ok(ElementId::UNKNOWN)
    }

    fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), E> {
        self.0(slice)
    }
}

/// The cutter. Feed it every chunk with [`push`](Self::push), then ask it with [`finish`](Self::finish) whether that was all.
pub struct Splitter {
    hasher: ElementHasher,
    place: Place,
    scan: ElementScan,
    /// The part of the current element that came in earlier chunks.
    carried: Vec<u8>,
    /// Offset in the body of the next chunk.
    received: u64,
    hash: Xxh3,
    records: u64,
}

impl Splitter {
    /// A cutter for one body whose elements are hashed with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: ElementHasher::new(seed),
            place: Place::BeforeArray,
            scan: ElementScan::default(),
            carried: Vec::new(),
            received: 0,
            hash: Xxh3::new(),
            records: 0,
        }
    }

    /// Takes the next chunk and calls `each` with every element that ends in it.
    ///
    /// # Errors
    ///
    /// [`MalformedBody`] as soon as the bytes cannot be part of one array, and whatever `each` fails with.
    pub fn push<E: From<MalformedBody>>(
        &mut self,
        chunk: &[u8],
        each: impl FnMut(RecordSlice<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push_to(chunk, &mut Each(each))
    }

    /// Takes the next chunk and gives on every element that ends in it.
    ///
    /// # Errors
    ///
    /// [`MalformedBody`] as soon as the bytes cannot be part of one array, and whatever `elements` fails with.
    pub fn push_to<E: Elements>(&mut self, chunk: &[u8], elements: &mut E) -> Result<(), E::Error> {
        self.hash.update(chunk);
        let mut at = 0;
        while at < chunk.len() {
            if self.place == Place::Element {
                at = self.element(chunk, at, elements)?;
            } else {
                at = self.between(chunk, at)?;
            }
        }
        self.received += chunk.len() as u64;
        Ok(())
    }

    /// Elements that have ended so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    ///
    /// [`MalformedBody::Incomplete`] if the array has not.
    pub fn finish(self) -> Result<Body, MalformedBody> {
        if self.place != Place::AfterArray {
            return Err(MalformedBody::Incomplete { at: self.received });
        }
        let hash = format!("{:032x}", self.hash.digest128());
        Ok(Body { bytes: self.received, hash, records: self.records })
    }

    /// Takes one byte between elements, or none if an element begins there.
    fn between(&mut self, chunk: &[u8], at: usize) -> Result<usize, MalformedBody> {
        let byte = chunk[at];
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(at + 1);
        }
        self.place = match (self.place, byte) {
            (Place::BeforeArray, b'[') => Place::FirstOrEnd,
            (Place::FirstOrEnd | Place::CommaOrEnd, b']') => Place::AfterArray,
            (Place::CommaOrEnd, b',') => Place::Next,
            (Place::FirstOrEnd | Place::Next, byte) if !matches!(byte, b',' | b']' | b'}' | b':') => {
                self.scan = ElementScan::default();
                self.place = Place::Element;
                return Ok(at);
            }
            (place, byte) => return Err(self.unexpected(place, byte, at)),
        };
        Ok(at + 1)
    }

    /// Takes bytes of the current element, and hands it on if it ends in this chunk.
    fn element<E: Elements>(&mut self, chunk: &[u8], start: usize, elements: &mut E) -> Result<usize, E::Error> {
        if self.carried.is_empty() {
            let element = elements.expected()?;
            if let Some(text) = self.expected_at(&chunk[start..], element) {
                self.ended();
                elements.take(RecordSlice { text, element, offset: self.received + start as u64 })?;
                return Ok(start + text.len());
            }
        }
        let scanned = self.scan.advance(&chunk[start..]);
        let part = &chunk[start..start + scanned.taken];
        let offset = self.received + start as u64 - self.carried.len() as u64;
        if self.carried.len() + part.len() > RECORD_BYTES_MAX {
            return Err(MalformedBody::RecordTooLarge { at: offset }.into());
        }
        if !scanned.complete {
            self.carried.extend_from_slice(part);
            return Ok(chunk.len());
        }
        self.ended();
        if self.carried.is_empty() {
            elements.take(self.slice(part, offset))?;
        } else {
            let mut whole = std::mem::take(&mut self.carried);
            whole.extend_from_slice(part);
            elements.take(self.slice(&whole, offset))?;
            whole.clear();
            self.carried = whole;
        }
        Ok(start + scanned.taken)
    }

    fn ended(&mut self) {
        self.place = Place::CommaOrEnd;
        self.records += 1;
    }

    /// The text that these bytes begin with, if it is that of this element: an object, so that it ends where it did.
    fn expected_at<'c>(&self, bytes: &'c [u8], element: ElementId) -> Option<&'c [u8]> {
        let (text, behind) = bytes.split_at_checked(element.bytes as usize)?;
        // Two bytes mostly tell when it is another.
        let may_be =
            text.last() == Some(&b'}') && matches!(behind, [] | [b',' | b']' | b' ' | b'\t' | b'\n' | b'\r', ..]);
        (may_be && self.hasher.identify(text) == element).then_some(text)
    }

    fn slice<'a>(&self, text: &'a [u8], offset: u64) -> RecordSlice<'a> {
        RecordSlice { text, element: self.hasher.identify(text), offset }
    }

    fn unexpected(&self, place: Place, byte: u8, at: usize) -> MalformedBody {
        let expected = match place {
            Place::BeforeArray => return MalformedBody::NotAnArray { found: beginning(byte) },
            Place::FirstOrEnd => "a record or `]`",
            Place::CommaOrEnd => "`,` or `]`",
            Place::AfterArray => "the end of the body",
            Place::Element | Place::Next => "a record",
        };
        MalformedBody::Unexpected { at: self.received + at as u64, found: Byte(byte), expected }
    }
}

fn beginning(byte: u8) -> &'static str {
    match byte {
        b'{' => "a JSON object",
        b'<' => "HTML or XML",
        b'"' => "a JSON string",
        b'n' => "`null`",
        0xef | 0xfe | 0xff => "text with a byte-order mark",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::fuzz::Target;

    fn split(chunks: &[&[u8]]) -> Result<(Vec<String>, Body), MalformedBody> {
        let mut splitter = Splitter::new(1);
        let mut slices = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |slice| {
                slices.push(String::from_utf8_lossy(slice.text).into_owned());
                Ok::<(), MalformedBody>(())
            })?;
        }
        Ok((slices, splitter.finish()?))
    }

    #[test]
    fn elements_are_cut_as_they_stand() {
        let rows: [(&str, &[&str]); 8] = [
            ("[]", &[]),
            (" [ ] \n", &[]),
            (r#"[{"a":1}]"#, &[r#"{"a":1}"#]),
            (r#"[{"a":1} , {"b":[2,{}]}]"#, &[r#"{"a":1}"#, r#"{"b":[2,{}]}"#]),
            (r#"[{"a":"}],[{\""},{}]"#, &[r#"{"a":"}],[{\""}"#, "{}"]),
            (r#"[{"a":"\\"},{"b":"\\\""}]"#, &[r#"{"a":"\\"}"#, r#"{"b":"\\\""}"#]),
            (r#"[1, "x,]" ,null,[[]] ]"#, &["1", r#""x,]""#, "null", "[[]]"]),
            // Two objects without a comma: the second begins where only `,` or `]` may stand.
            ("[{}]", &["{}"]),
        ];
        for (body, expected) in rows {
            let (slices, _) = split(&[body.as_bytes()]).unwrap();
            assert_eq!(slices, expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_one_complete_array_is_refused() {
        let rows = [
            ("", "ends at byte 0"),
            ("[", "ends at byte 1"),
            (r#"[{"a":1}"#, "ends at byte 8"),
            (r#"[{"a":1},"#, "ends at byte 9"),
            (r#"[{"a":"#, "ends at byte 6"),
            (r#"[{"a":1},]"#, "unexpected `]` at byte 9"),
            (r#"[{"a":1} {"b":2}]"#, "unexpected `{` at byte 9"),
            ("[,]", "unexpected `,` at byte 1"),
            ("[] []", "unexpected `[` at byte 3"),
            ("[]x", "unexpected `x` at byte 2"),
            ("[1}", "unexpected `}` at byte 2"),
            (r#"{"content":[]}"#, "a JSON object, not a JSON array"),
            ("null", "`null`, not a JSON array"),
            ("<html>", "HTML or XML"),
            ("\u{feff}[]", "byte-order mark"),
        ];
        for (body, expected) in rows {
            let message = split(&[body.as_bytes()]).unwrap_err().to_string();
            assert!(message.contains(expected), "{body}: {message}");
        }
    }

    #[test]
    fn a_record_without_end_is_refused_before_it_fills_memory() {
        let chunk = vec![b' '; 1 << 20];
        let mut splitter = Splitter::new(1);
        let mut push = |bytes: &[u8]| splitter.push(bytes, |_| Ok::<(), MalformedBody>(()));
        push(b"[{").unwrap();
        let refused = (0..17).find_map(|_| push(&chunk).err());
        assert_eq!(refused, Some(MalformedBody::RecordTooLarge { at: 1 }));
    }

    /// The first byte says in chunks of how many bytes the others come.
    ///
    /// Another parser takes a body if and only if it is split, and each of its slices is JSON; and then it finds the same ones.
    #[test]
    fn the_mutants_of_the_corpus_are_split_as_another_parser_splits_them() {
        use serde_json::value::RawValue;

        let words =
            ["[", "]", "{", "}", ",", ":", "\"", "\\", "\\\"", "\\\\", " ", "\n", "\u{feff}", "null", "1", "[]"];
        let other_parser = |body: &[u8]| -> Option<Vec<String>> {
            let values: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
            Some(values.iter().map(|value| value.get().to_owned()).collect())
        };
        let is_json = |slice: &String| serde_json::from_str::<&RawValue>(slice).is_ok();
        Target { name: "splitter", words: &words, twist: None }.run(|input| {
            let (size, body) = input.split_first().map_or((1, &[][..]), |(size, body)| (usize::from(*size) + 1, body));
            let mut splitter = Splitter::new(1);
            let (mut slices, mut is_text) = (Vec::new(), true);
            let pushed = body.chunks(size).try_for_each(|chunk| {
                splitter.push(chunk, |slice| {
                    let start = slice.offset as usize;
                    assert_eq!(slice.text, &body[start..start + slice.text.len()]);
                    assert_eq!(slice.element, ElementHasher::new(1).identify(slice.text));
                    is_text &= std::str::from_utf8(slice.text).is_ok();
                    slices.push(String::from_utf8_lossy(slice.text).into_owned());
                    Ok::<(), MalformedBody>(())
                })
            });
            let split = pushed.and_then(|()| splitter.finish());
            let whole = self::split(&[body]).map(|(slices, _)| slices);
            assert_eq!(split.is_ok(), whole.is_ok(), "in chunks of {size} or whole");
            let found = other_parser(body);
            let Ok(Body { bytes, records, .. }) = split else {
                assert_eq!(found, None);
                return (false, 0);
            };
            assert_eq!((bytes, records), (body.len() as u64, slices.len() as u64));
            assert_eq!(whole.as_ref(), Ok(&slices));
            if is_text && slices.iter().all(is_json) {
                assert_eq!(found.as_ref(), Some(&slices));
            } else {
                assert_eq!(found, None);
            }
            (found.is_some(), records.min(8))
        });
    }

    /// Expects these, one after the other, whatever comes.
    struct Expecting {
        expected: Vec<ElementId>,
        taken: Vec<(String, ElementId, u64)>,
    }

    impl Elements for Expecting {
        type Error = MalformedBody;

        fn expected(&mut self) -> Result<ElementId, MalformedBody> {
            Ok(self.expected.get(self.taken.len()).copied().unwrap_or_default())
        }

        fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), MalformedBody> {
            self.taken.push((String::from_utf8_lossy(slice.text).into_owned(), slice.element, slice.offset));
            Ok(())
        }
    }

    proptest! {
        /// Objects that begin alike, with what may stand between and behind them, right or wrong.
        #[test]
        fn what_is_expected_changes_nothing_but_the_time(
            body in r#"(\{("a":\{\})?\}|1|,|,|,| |\]|x){0,12}"#,
            expected in prop::collection::vec(prop::sample::select(vec!["{}", r#"{"a":{}}"#, ""]), 0..12),
            size in 1_usize..40,
        ) {
            let body = format!("[{body}]");
            let hasher = ElementHasher::new(1);
            let identify = |text: &str| if text.is_empty() { ElementId::UNKNOWN } else { hasher.identify(text.as_bytes()) };
            let [with, without] = [expected.into_iter().map(identify).collect(), Vec::new()].map(|expected| {
                let mut splitter = Splitter::new(1);
                let mut elements = Expecting { expected, taken: Vec::new() };
                let pushed = body.as_bytes().chunks(size).try_for_each(|chunk| splitter.push_to(chunk, &mut elements));
                (pushed.and_then(|()| splitter.finish()), elements.taken)
            });
            prop_assert_eq!(with, without);
        }

        #[test]
        fn the_cut_does_not_depend_on_the_chunks(
            elements in prop::collection::vec(r#"\{"[a-z"\\\\]{0,1}x":"([a-z,\[\]\{\} é]|\\\\|\\")*"\}"#, 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let elements: Vec<String> = elements.iter().map(|e| format!("{{\"k\":{}}}", serde_json::json!(e))).collect();
            let body = format!(" [{}] ", elements.join(" ,\n")).into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([body.len()]) {
                chunks.push(&body[start..cut]);
                start = cut;
            }
            let (slices, summary) = split(&chunks).unwrap();
            prop_assert_eq!(&slices, &elements);
            prop_assert_eq!(summary.records, elements.len() as u64);
            prop_assert_eq!(summary.bytes, body.len() as u64);
        }

        #[test]
        fn any_bytes_are_split_or_refused(body in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(split(&[&body]));
        }
    }
}
