//! Sums, times and texts as people read them.

use chrono::{DateTime, SecondsFormat};
use maud::{Markup, html};

use super::super::DAY;
pub(super) use crate::figure::{bytes, count, plural, span as span_text};
use crate::{
    figure::grouped,
    reconcile::Sum,
    redact::{printable, redact},
};

/// A longer text of the API is cut in its middle.
const TEXT_CHARS_MAX: usize = 64;
const CODE_CHARS_MAX: usize = 24;
const LONG_CHARS_MAX: usize = 400;
/// Of one that is cut, so many characters at its end stay.
const END_CHARS: usize = 16;

/// A text that may be the API's own: without secrets, without what could steer a reader, not too long, and in a direction of its
/// own, so that one from right to left leaves what stands beside it alone.
pub(super) fn own(text: &str) -> Markup {
    html! { bdi { (cut(text, TEXT_CHARS_MAX)) } }
}

/// A sentence with texts of the API in it.
pub(super) fn long(text: &str) -> Markup {
    html! { bdi.long { (cut(text, LONG_CHARS_MAX)) } }
}

/// The code of a currency, which is short unless something is wrong.
pub(super) fn code(text: &str) -> Markup {
    html! { bdi { (cut(text, CODE_CHARS_MAX)) } }
}

/// Such a text, cut and not marked up.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let text = printable(&redact(text)).replace(turns_text, "\u{fffd}");
    let count = text.chars().count();
    if count <= chars_max {
        return text;
    }
    let end = END_CHARS.min(chars_max / 4);
    let start: String = text.chars().take(chars_max - end - 1).collect();
    let end: String = text.chars().skip(count - end).collect();
    format!("{start}…{end}")
}

/// Whether a character changes the direction of the text behind it.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A sum to its last digit, with its thousands set off.
pub(super) fn amount(sum: Sum) -> String {
    grouped(&sum.to_string())
}

/// A sum in a few characters, cut and not rounded, for charts: `12.3 M`.
pub(super) fn short(sum: Sum) -> String {
    const UNITS: [(u32, &str); 6] = [(18, " × 10¹⁸"), (15, " × 10¹⁵"), (12, " tn"), (9, " bn"), (6, " M"), (3, " k")];
    let Some(value) = sum.known() else { return sum.to_string() };
    let whole = (value / 10_i128.pow(18)).unsigned_abs();
    let digits = |text: String| text.chars().take(if value < 0 { 6 } else { 5 }).collect::<String>();
    let text = match UNITS.iter().find(|(power, _)| whole >= 10_u128.pow(*power)) {
        // A thousandth of a unit is a whole number of what is below it.
        Some((power, unit)) => {
            digits(Sum::of(value / 10_i128.pow(*power)).to_string()).trim_end_matches('.').to_owned() + unit
        }
        None if whole > 0 => digits(sum.to_string()).trim_end_matches('.').to_owned(),
        None => {
            let text = sum.to_string();
            let zeros = text.chars().take_while(|character| matches!(character, '-' | '0' | '.')).count();
            text.chars().take(zeros + 3).collect()
        }
    };
    text.replace('-', "\u{2212}")
}

/// A day, given in days since 1970.
pub(super) fn day(day: i64) -> String {
    let time = day.checked_mul(DAY).and_then(DateTime::from_timestamp_micros);
    time.map_or_else(|| day.to_string(), |time| time.format("%Y-%m-%d").to_string())
}

/// A time in microseconds, to the minute in UTC.
pub(super) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.format("%Y-%m-%d %H:%M").to_string())
}

/// The same, with what a machine reads.
pub(super) fn moment(micros: i64) -> Markup {
    let exact = DateTime::from_timestamp_micros(micros).map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
    html! { time datetime=[exact] { (time(micros)) } }
}

/// A span of time in microseconds, as fine as it matters, with what a machine reads.
pub(super) fn span(micros: i64) -> Markup {
    html! { data value=(micros) { (span_text(micros)) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::parse_plain;

    fn sum(text: &str) -> Sum {
        Sum::of(parse_plain(text).unwrap())
    }

    #[test]
    fn an_amount_is_told_to_its_last_digit_and_in_a_chart_in_few() {
        let rows = [
            ("0", "0", "0"),
            ("-0.000000000000000001", "\u{2212}0.000000000000000001", "\u{2212}0.000000000000000001"),
            ("0.077642354", "0.077642354", "0.0776"),
            ("999.99999", "999.99999", "999.9"),
            ("-999", "\u{2212}999", "\u{2212}999"),
            ("1000", "1,000", "1 k"),
            ("-1234567.5", "\u{2212}1,234,567.5", "\u{2212}1.234 M"),
            ("999999999", "999,999,999", "999.9 M"),
            ("12345679381234567.89", "12,345,679,381,234,567.89", "12.34 × 10¹⁵"),
            (
                "99999999999999999999.123456789012345678",
                "99,999,999,999,999,999,999.123456789012345678",
                "99.99 × 10¹⁸",
            ),
        ];
        for (text, exact, few) in rows {
            assert_eq!((amount(sum(text)).as_str(), short(sum(text)).as_str()), (exact, few), "{text}");
        }
        let unknown = Sum::of(i128::MAX).plus(Sum::of(1));
        assert_eq!((amount(unknown), short(unknown)), ("too large".to_owned(), "too large".to_owned()));
    }

    #[test]
    fn times_are_told_to_the_minute_and_those_that_are_none_as_numbers() {
        assert_eq!((time(-1), day(-1)), ("1969-12-31 23:59".to_owned(), "1969-12-31".to_owned()));
        assert_eq!((time(i64::MAX), day(i64::MAX)), (i64::MAX.to_string(), i64::MAX.to_string()));
    }

    #[test]
    fn a_text_of_the_api_is_marked_off_cut_and_turns_nothing() {
        assert_eq!(own("<b>&\"").into_string(), "<bdi>&lt;b&gt;&amp;&quot;</bdi>");
        assert_eq!(cut("a\u{202e}b\nc", 9), "a\u{fffd}b\u{fffd}c");
        let long = format!("{}é{}", "a".repeat(100), "z".repeat(100));
        let told = cut(&long, 64);
        assert_eq!((told.chars().count(), &told[46..50], told.ends_with("…zzzzzzzzzzzzzzzz")), (64, "a…", true));
        assert_eq!(cut(&"é".repeat(64), 64), "é".repeat(64));
    }
}
