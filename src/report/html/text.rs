//! Figures and texts as people read them.

use chrono::{DateTime, SecondsFormat};
use maud::{Markup, html};

use super::super::DAY;
use crate::{
    reconcile::Sum,
    redact::{printable, redact},
};

/// A longer text of the API is cut in its middle.
const TEXT_CHARS_MAX: usize = 64;
/// Of one that is cut, so many characters at its end stay.
const END_CHARS: usize = 16;

/// A text that may be the API's own: without secrets, without what could steer a reader, not too long, and in a direction of its
/// own, so that one from right to left leaves what stands beside it alone.
pub(super) fn own(text: &str) -> Markup {
    html! { bdi { (cut(text, TEXT_CHARS_MAX)) } }
}

/// The same as plain text.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let text = printable(&redact(text));
    let count = text.chars().count();
    if count <= chars_max {
        return text;
    }
    let end = END_CHARS.min(chars_max / 4);
    let start: String = text.chars().take(chars_max - end - 1).collect();
    let end: String = text.chars().skip(count - end).collect();
    format!("{start}…{end}")
}

/// A name and its plural, as often as it is.
pub(super) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A number with its thousands set off.
pub(super) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A sum to its last digit, with its thousands set off.
pub(super) fn amount(sum: Sum) -> String {
    grouped(&sum.to_string())
}

fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("\u{2212}", digits));
    let (integer, fraction) = digits.split_once('.').map_or((digits, None), |(integer, rest)| (integer, Some(rest)));
    if !integer.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut text = sign.to_owned();
    for (place, digit) in integer.chars().enumerate() {
        if place > 0 && (integer.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A sum in a few characters, cut and not rounded, for charts: `12.3 M`.
pub(super) fn short(sum: Sum) -> String {
    const UNITS: [(u32, &str); 5] = [(15, " P"), (12, " T"), (9, " G"), (6, " M"), (3, " k")];
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

/// Bytes in a few characters.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => plural(bytes, "byte", "bytes"),
    }
}

/// A day, given in days since 1970.
pub(super) fn day(day: i64) -> String {
    let time = day.checked_mul(DAY).and_then(DateTime::from_timestamp_micros);
    time.map_or_else(|| day.to_string(), |time| time.format("%Y-%m-%d").to_string())
}

/// A time in microseconds, to the minute.
pub(super) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// The same, with what a machine reads.
pub(super) fn moment(micros: i64) -> Markup {
    let exact = DateTime::from_timestamp_micros(micros).map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
    html! { time datetime=[exact] { (time(micros)) } }
}

/// A span of time in microseconds, in its two largest units, with what a machine reads.
pub(super) fn span(micros: i64) -> Markup {
    html! { data value=(micros) { (span_text(micros)) } }
}

/// The same as plain text.
pub(super) fn span_text(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    let (sign, micros) = (if micros < 0 { "\u{2212}" } else { "" }, micros.saturating_abs());
    let units = [(DAY, "d"), (DAY / 24, "h"), (60 * SECOND, "min"), (SECOND, "s")];
    let Some(at) = units.iter().position(|(unit, _)| micros >= *unit) else {
        return format!("{sign}{} ms", micros / 1000);
    };
    let (unit, name) = units[at];
    let rest = units.get(at + 1).map(|(next, name)| (micros % unit / next, name)).filter(|(count, _)| *count > 0);
    let rest = rest.map_or_else(String::new, |(count, name)| format!(" {count} {name}"));
    format!("{sign}{} {name}{rest}", micros / unit)
}
