//! The many ways in which one value can be written. Each is a style; style 0 is the plainest.

use chrono::DateTime;

use crate::tests::random::Random;

/// A JSON value by its meaning.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// As good as absent, in a column.
    Null,
    Boolean(bool),
    Text(String),
    /// `digits / 10^scale`.
    Number(i64, u32),
    /// Milliseconds since 1970.
    Time(i64),
    Array(Vec<Value>),
    Object(Members),
    /// This very text.
    Raw(&'static str),
}

pub(super) type Members = Vec<(&'static str, Value)>;

/// Writes plainly, or as a random source has it.
pub(super) struct Pen {
    random: Option<Random>,
    text: String,
}

impl Pen {
    pub(super) fn of(style: u64) -> Self {
        Self { random: (style > 0).then(|| Random::new(style)), text: String::new() }
    }

    /// The text of an object.
    pub(super) fn write(mut self, members: Members) -> String {
        self.object(members);
        self.text
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.as_mut().map_or(0, |random| random.below(bound))
    }

    /// Never, plainly.
    fn one_in(&mut self, count: u64) -> bool {
        self.random.as_mut().is_some_and(|random| random.one_in(count))
    }

    fn gap(&mut self) {
        while self.one_in(6) {
            let space = [' ', '\n', '\t', '\r'][self.below(4) as usize];
            self.text.push(space);
        }
    }

    /// In any order. A column that is null may as well be absent.
    fn object(&mut self, mut members: Members) {
        for at in (1..members.len()).rev() {
            if self.random.is_some() {
                let other = self.below(at as u64 + 1) as usize;
                members.swap(at, other);
            }
        }
        self.text.push('{');
        let mut first = true;
        for (name, value) in members {
            if matches!(value, Value::Null) && !self.one_in(2) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.gap();
            self.string(name);
            self.gap();
            self.text.push(':');
            self.gap();
            self.value(value);
            self.gap();
        }
        self.text.push('}');
    }

    fn value(&mut self, value: Value) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Boolean(value) => self.text.push_str(if value { "true" } else { "false" }),
            Value::Text(text) => self.string(&text),
            Value::Number(digits, scale) => self.number(digits, scale),
            Value::Time(millis) => self.time(millis),
            Value::Object(members) => self.object(members),
            Value::Raw(text) => self.text.push_str(text),
            Value::Array(values) => {
                self.text.push('[');
                for (nth, value) in values.into_iter().enumerate() {
                    self.text.push_str(if nth > 0 { "," } else { "" });
                    self.gap();
                    self.value(value);
                    self.gap();
                }
                self.text.push(']');
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for sign in text.chars() {
            let short = match sign {
                '"' | '\\' => Some(sign),
                '/' if self.one_in(2) => Some('/'),
                '\t' => Some('t'),
                _ => None,
            };
            if self.one_in(8) {
                let big = self.one_in(2);
                for unit in sign.encode_utf16(&mut [0; 2]) {
                    self.text += &if big { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                }
            } else if let Some(short) = short {
                self.text.extend(['\\', short]);
            } else {
                self.text.push(sign);
            }
        }
        self.text.push('"');
    }

    fn number(&mut self, digits: i64, scale: u32) {
        let sign = if digits < 0 || digits == 0 && self.one_in(4) { "-" } else { "" };
        let magnitude = digits.unsigned_abs();
        let one = 10_u64.pow(scale);
        let (whole, fraction, width) = (magnitude / one, magnitude % one, scale as usize);
        self.text.push_str(sign);
        let written = match (self.below(5), scale) {
            (0 | 1, 0) => format!("{whole}"),
            (0 | 1, _) => format!("{whole}.{fraction:0width$}"),
            (2, _) => format!("{whole}.{fraction:0width$}000"),
            (3, _) => format!("{magnitude}e-{scale}"),
            (4, _) if magnitude > 0 => format!("{magnitude}0.0E-0{}", scale + 1),
            (_, _) => format!("{magnitude}E-0{scale}"),
        };
        self.text += &written;
    }

    fn time(&mut self, millis: i64) {
        let east_h = if self.one_in(3) { self.below(24) as i64 - 12 } else { 0 };
        let there = DateTime::from_timestamp_millis(millis + east_h * 3_600_000).unwrap();
        let (day, clock) = (there.format("%Y-%m-%d"), there.format("%H:%M:%S%.3f"));
        let between = [' ', 't', 'T'][if self.one_in(3) { self.below(2) as usize } else { 2 }];
        let zeros = "0".repeat(self.below(7) as usize);
        let zone = match self.below(3) {
            0 if east_h == 0 => "Z".to_owned(),
            1 => format!("{east_h:+03}00"),
            _ => format!("{east_h:+03}:00"),
        };
        self.text += &format!("\"{day}{between}{clock}{zeros}{zone}\"");
    }
}
