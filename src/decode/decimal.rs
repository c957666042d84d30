//! The digits of a JSON number, as `decimal(38,18)`.
//!
//! In: the number's exact text. Out: its value times 10^18, or why the column cannot hold it. Never a rounded value.

use super::json::{Number, Plain};
use crate::schema::{DECIMAL_PRECISION, DECIMAL_SCALE};

/// Why a number does not fit. The text itself is kept by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    TooManyFractionalDigits,
    TooLarge,
}

impl Misfit {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Misfit::TooManyFractionalDigits => "the number has more than 18 significant fractional digits",
            Misfit::TooLarge => "the number has more than 20 integer digits",
        }
    }
}

/// Parses a JSON number.
///
/// | text | value × 10^18 |
/// |---|---|
/// | `1840`, `1840.00`, `1.84E+3` | 1840 × 10^18 |
/// | `1E-18` | 1 |
/// | `-0`, `0e999` | 0 |
/// | `1E-19` | too many fractional digits |
/// | `1E20` | too large |
#[inline]
pub(super) fn parse(number: &Number<'_>) -> Result<i128, Misfit> {
    number.plain.and_then(scale_plain).map_or_else(|| parse_any(number.text), Ok)
}

/// Parses an amount as people write it: digits, with a sign and a point if need be, and no exponent. `None` if it is another
/// text, or does not fit.
#[must_use]
pub fn parse_plain(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits(integer) && are_digits(fraction) { parse_any(text).ok() } else { None }
}

/// An amount times 10^18 as people write it, without zeros behind the last digit that counts. [`parse_plain`] reads it back.
#[must_use]
pub fn to_plain(value: i128) -> String {
    let scale = usize::from(DECIMAL_SCALE.unsigned_abs());
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (integer, fraction) = digits.split_at(digits.len() - scale);
    let (sign, fraction) = (if value < 0 { "-" } else { "" }, fraction.trim_end_matches('0'));
    if fraction.is_empty() { format!("{sign}{integer}") } else { format!("{sign}{integer}.{fraction}") }
}

/// The product of two that 64 bits hold is held by 128.
#[inline]
fn scale_plain(Plain { negative, digits, fractional }: Plain) -> Option<i128> {
    let zeros = (DECIMAL_SCALE as usize).checked_sub(fractional)?;
    let scaled = i128::from(digits) * i128::from(*POWERS_OF_TEN.get(zeros)?);
    Some(if negative { -scaled } else { scaled })
}

/// 10^0 to 10^18.
const POWERS_OF_TEN: [u64; 19] = {
    let mut powers = [1; 19];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = 10 * powers[exponent - 1];
        exponent += 1;
    }
    powers
};

fn parse_any(number: &str) -> Result<i128, Misfit> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let normal = Normal::of(number);
    let zeros = normal.exponent.saturating_add(i64::from(DECIMAL_SCALE));
    if normal.digits().next().is_none() {
        return Ok(0);
    }
    // No trailing zero is left among the digits, so a negative shift would cut off a significant one.
    let zeros =
        u32::try_from(zeros).map_err(|_| if zeros < 0 { Misfit::TooManyFractionalDigits } else { Misfit::TooLarge })?;
    if normal.digits().count() as u64 + u64::from(zeros) > u64::from(DECIMAL_PRECISION) {
        return Err(Misfit::TooLarge);
    }
    // At most 38 digits, which an i128 holds.
    let unscaled = normal.digits().fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let scaled = unscaled * 10_i128.pow(zeros);
    Ok(if negative { -scaled } else { scaled })
}

/// A number without sign, leading zeros and trailing zeros: `digits × 10^exponent`. Equal numbers have equal normals,
/// however they are written and however large they are.
pub(super) struct Normal<'a> {
    integer: &'a [u8],
    fraction: &'a [u8],
    /// Leading zeros to skip, and digits to take after them.
    skip: usize,
    take: usize,
    pub(super) exponent: i64,
}

impl<'a> Normal<'a> {
    /// Of the text of a JSON number without its sign.
    pub(super) fn of(number: &'a str) -> Self {
        let (mantissa, exponent) = match number.find(['e', 'E']) {
            Some(at) => (&number[..at], parse_exponent(&number[at + 1..])),
            None => (number, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (integer, fraction) = (integer.as_bytes(), fraction.as_bytes());
        let digits = || integer.iter().chain(fraction);
        let skip = digits().take_while(|digit| **digit == b'0').count();
        let trailing = digits().rev().take_while(|digit| **digit == b'0').count();
        let take = (integer.len() + fraction.len()).saturating_sub(skip + trailing);
        let exponent =
            if take == 0 { 0 } else { exponent.saturating_sub(fraction.len() as i64).saturating_add(trailing as i64) };
        Self { integer, fraction, skip, take, exponent }
    }

    /// The significant digits as ASCII; none for zero.
    pub(super) fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.integer.iter().chain(self.fraction).copied().skip(self.skip).take(self.take)
    }
}

/// Saturates: an exponent beyond 64 bits fits no column, and which way it does not is all that matters.
fn parse_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude =
        digits.iter().fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::{super::json::Reader, *};

    const ONE: i128 = 10_i128.pow(18);

    fn parse(number: &str) -> Result<i128, Misfit> {
        super::parse(&Reader::new(number).number().unwrap())
    }

    #[test]
    fn every_form_of_a_number_gives_its_value() {
        let rows = [
            ("0", 0),
            ("-0", 0),
            ("-0.000", 0),
            ("0e999999999999999999999", 0),
            ("1", ONE),
            ("-1", -ONE),
            ("18.4", 18 * ONE + 4 * ONE / 10),
            ("1840.00", 1840 * ONE),
            ("1.84E+3", 1840 * ONE),
            ("184e1", 1840 * ONE),
            ("1E-18", 1),
            ("0.000000000000000001", 1),
            ("10E-19", 1),
            ("0.0000000000000000010000", 1),
            ("12345678901234567.89", 12_345_678_901_234_567 * ONE + 89 * ONE / 100),
            ("99999999999999999999.999999999999999999", 10_i128.pow(38) - 1),
            ("-99999999999999999999.999999999999999999", 1 - 10_i128.pow(38)),
        ];
        for (text, value) in rows {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_rounded() {
        let rows = [
            ("1E-19", Misfit::TooManyFractionalDigits),
            ("0.0000000000000000001", Misfit::TooManyFractionalDigits),
            ("99999999999999999999.9999999999999999999", Misfit::TooManyFractionalDigits),
            ("1E-99999999999999999999999", Misfit::TooManyFractionalDigits),
            ("100000000000000000000", Misfit::TooLarge),
            ("1E20", Misfit::TooLarge),
            ("1e400", Misfit::TooLarge),
            ("1E99999999999999999999999", Misfit::TooLarge),
        ];
        for (text, misfit) in rows {
            assert_eq!(parse(text), Err(misfit), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_that_is_written_is_read_as_what_it_was(value in any::<i128>(), digits in 0..38_u32) {
            let value = value % 10_i128.pow(digits + 1);
            let text = to_plain(value);
            prop_assert_eq!(parse_plain(&text), Some(value));
            prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{}", text);
        }

        #[test]
        fn both_ways_of_parsing_agree(number in "-?(0|[1-9][0-9]{0,24})([.][0-9]{1,22})?([eE][+-]?[0-9]{1,2})?") {
            if let Some(value) = Reader::new(&number).number().unwrap().plain.and_then(scale_plain) {
                prop_assert_eq!(parse_any(&number), Ok(value));
            }
        }

        #[test]
        fn a_value_survives_any_way_of_writing_it(
            unscaled in -(10_i128.pow(27))..10_i128.pow(27), scale in 7_u32..=18, zeros in 0_usize..4,
        ) {
            let expected = unscaled * 10_i128.pow(18 - scale);
            let plain = Decimal::from_i128_with_scale(unscaled, scale).to_string();
            prop_assert_eq!(parse(&plain), Ok(expected));
            let padding = "0".repeat(zeros);
            prop_assert_eq!(parse(&format!("{plain}{padding}")), Ok(expected));
            prop_assert_eq!(parse(&format!("{unscaled}{padding}e-{}", scale as usize + zeros)), Ok(expected));
        }
    }
}
