//! A strict reader of JSON text (RFC 8259) that gives out slices of it.
//!
//! It checks the whole grammar and keeps every lexeme as it stands: numbers stay text, strings stay escaped until asked.
//! Depth is capped. What is allowed by the grammar but not by us (a key that stands twice, half a surrogate pair) is
//! noted and read on, so that a malformed text and an unacceptable record are told apart.

use std::{borrow::Cow, collections::HashSet};

use wide::u8x16;

/// Deepest nesting taken.
pub(super) const DEPTH_MAX: u32 = 128;

/// Where the text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Offset of the offending byte, or the length of the text.
    pub at: usize,
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// Why a string is refused although it is JSON.
pub(super) const HALF_A_PAIR: &str = "a string holds half of a surrogate pair";

/// A position in a text.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: u32,
    /// The first thing found in a skipped value that the grammar allows and we do not.
    flaw: Option<String>,
}

/// The text between two quotes, still escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawString<'t> {
    inner: &'t str,
    escaped: bool,
}

/// A number as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'t> {
    /// Its text.
    pub text: &'t str,
    /// Its digits, if it is written as most are.
    pub plain: Option<Plain>,
}

/// A number without exponent and of few digits: `±digits / 10^fractional`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub negative: bool,
    pub digits: u64,
    pub fractional: usize,
}

/// As many as 64 bits hold, whatever they are.
const PLAIN_DIGITS_MAX: usize = 19;

/// What a value begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Boolean,
    Null,
    Object,
    Array,
}

impl Kind {
    /// In words, with an article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::Boolean => "a boolean",
            Kind::Null => "null",
            Kind::Object => "an object",
            Kind::Array => "an array",
        }
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, flaw: None }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    /// The first flaw found in what was skipped so far, in words; asking forgets it.
    #[inline]
    pub(super) fn take_flaw(&mut self) -> Option<String> {
        // Hardly ever is there one.
        if self.flaw.is_none() { None } else { self.flaw.take() }
    }

    pub(super) fn error<T>(&self) -> Parsed<T> {
        Err(SyntaxError { at: self.at })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` after white space, if it stands there.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.take(byte) { Ok(()) } else { self.error() }
    }

    /// Fails unless only white space is left.
    pub(super) fn end(&mut self) -> Parsed<()> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { self.error() }
    }

    /// What the next value is, without taking it.
    #[inline]
    pub(super) fn kind(&mut self) -> Parsed<Kind> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            _ => self.error(),
        }
    }

    /// Reads an object, calling `member` before each member; `member` must take its key and its value.
    #[inline]
    pub(super) fn object(&mut self, mut member: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.expect(b'{')?;
        self.deeper()?;
        if !self.take(b'}') {
            loop {
                member(self)?;
                if !self.take(b',') {
                    self.expect(b'}')?;
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Takes the key of a member, with its colon.
    pub(super) fn key(&mut self) -> Parsed<RawString<'t>> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Takes a key with its quotes and its colon, if it stands there just so.
    #[inline]
    pub(super) fn take_key(&mut self, key: &str) -> bool {
        self.skip_space();
        let found = self.text.as_bytes()[self.at..].starts_with(key.as_bytes());
        self.at += if found { key.len() } else { 0 };
        found
    }

    /// Reads an array, calling `element` before each element; `element` must take it.
    #[inline]
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.expect(b'[')?;
        self.deeper()?;
        if !self.take(b']') {
            loop {
                element(self)?;
                if !self.take(b',') {
                    self.expect(b']')?;
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.error() } else { Ok(()) }
    }

    #[inline]
    pub(super) fn string(&mut self) -> Parsed<RawString<'t>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) | None => return self.error(),
                Some(_) => self.at += 1,
            }
        }
        let inner = self.since(start);
        self.at += 1;
        Ok(RawString { inner, escaped })
    }

    fn escape(&mut self) -> Parsed<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.error();
                    }
                    self.at += 1;
                }
            }
            _ => return self.error(),
        }
        Ok(())
    }

    /// Takes a number.
    pub(super) fn number(&mut self) -> Parsed<Number<'t>> {
        self.skip_space();
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let mut digits = 0;
        let integral = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                1
            }
            _ => self.digits(&mut digits)?,
        };
        let mut fractional = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fractional = self.digits(&mut digits)?;
        }
        let scientific = matches!(self.peek(), Some(b'e' | b'E'));
        if scientific {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits(&mut 0)?;
        }
        let plain = !scientific && integral + fractional <= PLAIN_DIGITS_MAX;
        let plain = plain.then_some(Plain { negative, digits, fractional });
        Ok(Number { text: self.since(start), plain })
    }

    /// Takes at least one digit, puts them behind those before, and says how many they are.
    #[inline]
    fn digits(&mut self, digits: &mut u64) -> Parsed<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let mut count = 0;
        while let Some(eight) = rest[count..].first_chunk().and_then(|eight| eight_digits(*eight)) {
            *digits = digits.wrapping_mul(100_000_000).wrapping_add(eight);
            count += 8;
        }
        while let Some(byte @ b'0'..=b'9') = rest.get(count) {
            *digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            count += 1;
        }
        self.at += count;
        if count == 0 { self.error() } else { Ok(count) }
    }

    pub(super) fn boolean(&mut self) -> Parsed<bool> {
        self.skip_space();
        let value = self.peek() == Some(b't');
        self.literal(if value { "true" } else { "false" })?;
        Ok(value)
    }

    pub(super) fn null(&mut self) -> Parsed<()> {
        self.skip_space();
        self.literal("null")
    }

    fn literal(&mut self, literal: &str) -> Parsed<()> {
        if self.text[self.at..].starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else {
            self.error()
        }
    }

    /// Notes a string that means no text: readers of JSON columns would stumble over it.
    fn check(&mut self, string: RawString<'_>) {
        if string.escaped && string.unescape().is_none() {
            self.flaw.get_or_insert_with(|| HALF_A_PAIR.to_owned());
        }
    }

    /// Takes any value and gives its text as it stands.
    pub(super) fn value(&mut self) -> Parsed<&'t str> {
        self.skip_space();
        let start = self.at;
        match self.kind()? {
            Kind::String => {
                let string = self.string()?;
                self.check(string);
            }
            Kind::Number => drop(self.number()?),
            Kind::Boolean => drop(self.boolean()?),
            Kind::Null => self.null()?,
            Kind::Array => self.array(|reader| reader.value().map(drop))?,
            Kind::Object => {
                let mut keys = Keys::default();
                self.object(|reader| {
                    let key = reader.key()?;
                    reader.check(key);
                    if !keys.insert(key) {
                        reader.flaw.get_or_insert_with(|| format!("the key `{}` stands twice", key.inner));
                    }
                    reader.value().map(drop)
                })?;
            }
        }
        Ok(self.since(start))
    }
}

/// The number that eight digits are, or `None` if one of them is none: in three steps neighbours become pairs, fours, and one.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_le_bytes(text);
    let digits = text ^ (EACH * u64::from(b'0'));
    // A byte beyond 9 has one of its upper four bits set, or gets one.
    if (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0) != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Bytes of a string before the first quote, backslash or control character, as far as they come in sixteens.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut plain = 0;
    for sixteen in bytes.as_chunks().0 {
        let sixteen = u8x16::from(*sixteen);
        let quote = sixteen.simd_eq(u8x16::splat(b'"'));
        let backslash = sixteen.simd_eq(u8x16::splat(b'\\'));
        let control = sixteen.min(u8x16::splat(0x1f)).simd_eq(sixteen);
        match (quote | backslash | control).to_bitmask() {
            0 => plain += 16,
            found => return plain + found.trailing_zeros() as usize,
        }
    }
    plain
}

impl<'t> RawString<'t> {
    /// The text between the quotes, as it stands.
    pub(super) fn raw(self) -> &'t str {
        self.inner
    }

    /// The text, if nothing in it is escaped.
    #[inline]
    pub(super) fn plain(self) -> Option<&'t str> {
        if self.escaped { None } else { Some(self.inner) }
    }

    /// What `read` makes of the text that is meant; `None` if there is none.
    #[inline]
    pub(super) fn and_then<T>(self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        match self.plain() {
            Some(text) => read(text),
            None => read(&self.unescape()?),
        }
    }

    /// The text that is meant; `None` if an escape is half of a surrogate pair, which is no character.
    pub(super) fn unescape(self) -> Option<Cow<'t, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.inner));
        }
        let mut text = String::with_capacity(self.inner.len());
        let mut rest = self.inner;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let (character, taken) = unescape_one(&rest[at..])?;
            text.push(character);
            rest = &rest[at + taken..];
        }
        text.push_str(rest);
        Some(Cow::Owned(text))
    }
}

/// The character that a valid escape at the start of `text` means, and the length of the escape.
fn unescape_one(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(text),
        other => char::from(*other),
    };
    Some((character, 2))
}

fn unescape_unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(text.get(at..at + 4)?, 16).ok();
    let first = unit(2)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = if text.get(6..8) == Some("\\u") { unit(8)? } else { return None };
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
}

/// Keys of one object, to find one that stands twice.
#[derive(Default)]
pub(super) struct Keys<'t> {
    few: Vec<Cow<'t, str>>,
    many: HashSet<Cow<'t, str>>,
}

impl<'t> Keys<'t> {
    /// Beyond this many keys a set is quicker than looking at each.
    const FEW: usize = 16;

    /// Notes the key, and says whether it is new. A key that means no text is compared as it stands.
    pub(super) fn insert(&mut self, key: RawString<'t>) -> bool {
        let key = key.unescape().unwrap_or(Cow::Borrowed(key.inner));
        if self.few.len() < Self::FEW {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().cloned());
        }
        self.many.insert(key)
    }
}

/// A JSON value's text without the white space between its tokens.
pub(super) fn minify(value: &str) -> Cow<'_, str> {
    let mut in_string = false;
    let mut escaped = false;
    let mut insignificant = |character: char| {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            return false;
        }
        in_string = character == '"';
        matches!(character, ' ' | '\t' | '\n' | '\r')
    };
    match value.find(&mut insignificant) {
        None => Cow::Borrowed(value),
        Some(at) => {
            let rest = value[at + 1..].chars().filter(|character| !insignificant(*character));
            Cow::Owned(value[..at].chars().chain(rest).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(text: &str) -> bool {
        let mut reader = Reader::new(text);
        reader.value().and_then(|_| reader.end()).is_ok()
    }

    #[test]
    fn the_grammar_is_held_to_the_letter() {
        let good = ["0", "-0", "1.5e+10", " [ ] ", r#"{"a":[{},null,true,false,"x"]}"#, r#""\u00e9\n""#];
        let bad = [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "NaN",
            "Infinity",
            "nul",
            "tru",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "1 2",
            "{} {}",
            "]",
            "[1}",
            "{\"a\":1]",
        ];
        for text in good {
            assert!(valid(text), "{text}");
        }
        for text in bad {
            assert!(!valid(text), "{text}");
        }
    }

    #[test]
    fn nesting_is_capped_without_a_stack_overflow() {
        assert!(valid(&format!("{}{}", "[".repeat(128), "]".repeat(128))));
        assert!(!valid(&"[".repeat(100_000)));
    }

    #[test]
    fn escapes_mean_their_characters() {
        let rows = [
            (r#""plain""#, Some("plain")),
            (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e9 \ud83d\ude00""#, Some("é 😀")),
            (r#""\ud83d""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\ude00""#, None),
        ];
        for (text, meant) in rows {
            let string = Reader::new(text).string().unwrap();
            assert_eq!(string.unescape().as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_and_half_a_character_are_noted_at_any_depth() {
        let many: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
        let rows = [
            (r#"{"a":{"b":1,"b":2}}"#.to_owned(), true),
            (r#"[{"a":1,"\u0061":2}]"#.to_owned(), true),
            (r#"{"a":["\ud83d"]}"#.to_owned(), true),
            (r#"{"\ude00":1}"#.to_owned(), true),
            (r#"{"a":["\ud83d\ude00"]}"#.to_owned(), false),
            (r#"{"a":{"b":1},"c":{"b":2}}"#.to_owned(), false),
            (format!("{{{many}\"k3\":1}}"), true),
            (format!("{{{many}\"k99\":1}}"), false),
        ];
        for (text, repeated) in rows {
            let mut reader = Reader::new(&text);
            reader.value().unwrap();
            assert_eq!(reader.take_flaw().is_some(), repeated, "{text}");
        }
    }

    #[test]
    fn white_space_goes_only_where_it_means_nothing() {
        let rows = [
            (r#"{"a": [1 , 2]}"#, r#"{"a":[1,2]}"#),
            (r#""a b\" c""#, r#""a b\" c""#),
            (r#"{"\\" : " "}"#, r#"{"\\":" "}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(minify(text), expected);
        }
    }

    proptest! {
        #[test]
        fn eight_digits_are_read_as_one_by_one(text in "[0-9]{8}|[/-:0-9\\x00-\\x7f]{8}") {
            let plainly = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap());
            prop_assert_eq!(eight_digits(text.as_bytes().try_into().unwrap()), plainly);
        }

        #[test]
        fn accepts_exactly_what_another_strict_parser_accepts(text in r#"([\{\}\[\],:"0-9eE.\\+\- a-z]|"[a-z]"|\\u00e9|null|true){0,12}"#) {
            prop_assert_eq!(valid(&text), serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok(), "{}", text);
        }
    }
}
