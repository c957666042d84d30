//! Decimals, and the forms in which a Java back end writes them as JSON numbers.
//!
//! The reference declares `number` and nothing more. Jackson writes a `BigDecimal` as it is held, so the same amount may come as:
//!
//! | form | 100 | 2500 | 18.4 | 0.00000001 | 0 |
//! |---|---|---|---|---|---|
//! | [`Form::Scaled`], scale 8 | `100.00000000` | `2500.00000000` | `18.40000000` | `0.00000001` | `0.00000000` |
//! | [`Form::Plain`] | `100` | `2500` | `18.4` | `0.00000001` | `0` |
//! | [`Form::Java`], scale 8 | `100.00000000` | `2500.00000000` | `18.40000000` | `1E-8` | `0E-8` |
//! | [`Form::Stripped`] | `1E+2` | `2.5E+3` | `18.4` | `1E-8` | `0` |

use rust_decimal::Decimal;

use super::draw::Draw;
use super::text::put;

/// Fractional digits of a decimal in the truth.
const TRUTH_SCALE: u32 = 18;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With all digits of the asset's scale.
    Scaled,
    /// Without trailing zeros, never with an exponent.
    Plain,
    /// `BigDecimal.toString` at the asset's scale: an exponent once the first digit is more than six places behind the point.
    Java,
    /// `stripTrailingZeros().toString()`: also an exponent for trailing zeros of an integer.
    Stripped,
}

impl Form {
    /// The form of one number, which it keeps.
    pub(super) fn choose(draw: &mut Draw) -> Form {
        match draw.below(10) {
            0..5 => Form::Scaled,
            5..8 => Form::Plain,
            8 => Form::Java,
            _ => Form::Stripped,
        }
    }
}

/// A declared amount, fee, rate or balance.
#[derive(Clone, Debug)]
pub(super) struct Number {
    /// What it is worth.
    pub(super) value: Decimal,
    /// Fractional digits that its asset has.
    pub(super) scale: u32,
    /// How it is written.
    pub(super) form: Form,
}

impl Number {
    /// Appends the number as the API serves it; `alternate` writes the same value in another form.
    pub(super) fn put(&self, out: &mut Vec<u8>, alternate: bool) {
        self.put_sign(out);
        let scaled = Digits::new(self.value, self.scale.max(self.value.scale()));
        match (self.form, alternate) {
            (Form::Scaled, false) => scaled.put_plain(out),
            (Form::Scaled, true) => scaled.stripped().put_exponent(out, "e"),
            (Form::Plain, false) | (Form::Java | Form::Stripped, true) => scaled.stripped().scaled_up().put_plain(out),
            (Form::Plain, true) => scaled.stripped().scaled_up().with_a_zero().put_plain(out),
            (Form::Java, false) => scaled.put_java(out),
            (Form::Stripped, false) => scaled.stripped().put_java(out),
        }
    }

    /// Appends the number with exactly 18 fractional digits.
    pub(super) fn put_truth(&self, out: &mut Vec<u8>) {
        self.put_sign(out);
        Digits::new(self.value, TRUTH_SCALE).put_plain(out);
    }

    fn put_sign(&self, out: &mut Vec<u8>) {
        if self.value.is_sign_negative() && !self.value.is_zero() {
            out.push(b'-');
        }
    }
}

/// `digits` · 10^−`scale`, as Java's `BigDecimal` holds a value.
#[derive(Clone, Copy)]
struct Digits {
    digits: u128,
    scale: i32,
}

impl Digits {
    /// The value's magnitude, with zeros added up to the scale.
    fn new(value: Decimal, scale: u32) -> Digits {
        let zeros = scale.saturating_sub(value.scale());
        let scale = value.scale() + zeros;
        Digits { digits: value.mantissa().unsigned_abs() * 10_u128.pow(zeros), scale: scale as i32 }
    }

    fn stripped(mut self) -> Digits {
        if self.digits == 0 {
            return Digits { digits: 0, scale: 0 };
        }
        while self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    fn scaled_up(self) -> Digits {
        let zeros = (-self.scale).max(0);
        Digits { digits: self.digits * 10_u128.pow(zeros.unsigned_abs()), scale: self.scale + zeros }
    }

    fn with_a_zero(self) -> Digits {
        Digits { digits: self.digits * 10, scale: self.scale + 1 }
    }

    /// The power of ten of the first digit.
    fn exponent(self) -> i32 {
        self.digits.checked_ilog10().unwrap_or(0) as i32 - self.scale
    }

    /// Asks for a scale that is not negative.
    fn put_plain(self, out: &mut Vec<u8>) {
        let scale = self.scale.unsigned_abs() as usize;
        put(out, format_args!("{:0width$}", self.digits, width = scale + 1));
        if scale > 0 {
            out.insert(out.len() - scale, b'.');
        }
    }

    /// The rule of `BigDecimal.toString`.
    fn put_java(self, out: &mut Vec<u8>) {
        if self.scale >= 0 && self.exponent() >= -6 {
            self.put_plain(out);
        } else {
            self.put_exponent(out, if self.exponent() > 0 { "E+" } else { "E" });
        }
    }

    fn put_exponent(self, out: &mut Vec<u8>, mark: &str) {
        let first = out.len();
        put(out, format_args!("{}", self.digits));
        if out.len() > first + 1 {
            out.insert(first + 1, b'.');
        }
        put(out, format_args!("{mark}{}", self.exponent()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &str, scale: u32, form: Form, alternate: bool) -> String {
        let number = Number { value: Decimal::from_str_exact(value).unwrap(), scale, form };
        let mut out = Vec::new();
        number.put(&mut out, alternate);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_is_written_as_java_would() {
        let rows = [
            (Form::Scaled, ["100.00000000", "2500.00000000", "18.40000000", "0.00000001", "0.00000000"]),
            (Form::Plain, ["100", "2500", "18.4", "0.00000001", "0"]),
            (Form::Java, ["100.00000000", "2500.00000000", "18.40000000", "1E-8", "0E-8"]),
            (Form::Stripped, ["1E+2", "2.5E+3", "18.4", "1E-8", "0"]),
        ];
        for (form, texts) in rows {
            for (value, text) in ["100", "2500", "18.4", "0.00000001", "0"].into_iter().zip(texts) {
                assert_eq!(written(value, 8, form, false), text, "{form:?}");
            }
        }
    }

    #[test]
    fn the_alternate_form_differs_where_it_can() {
        assert_eq!(written("1", 2, Form::Scaled, true), "1e0");
        assert_eq!(written("2500", 2, Form::Scaled, true), "2.5e3");
        assert_eq!(written("1", 2, Form::Plain, true), "1.0");
        assert_eq!(written("1.5", 2, Form::Plain, true), "1.50");
        assert_eq!(written("2500", 2, Form::Stripped, true), "2500");
        assert_eq!(written("-0.5", 2, Form::Java, true), "-0.5");
    }

    #[test]
    fn the_truth_has_eighteen_fractional_digits() {
        let number =
            Number { value: Decimal::from_str_exact("12345678901234567.89").unwrap(), scale: 2, form: Form::Java };
        let mut out = Vec::new();
        number.put_truth(&mut out);
        assert_eq!(out, b"12345678901234567.890000000000000000");
    }

    proptest! {
        #[test]
        fn no_form_changes_a_value(mantissa in 0..10_i64.pow(18), held in 0..=18_u32, scale in 0..=18_u32, alternate: bool) {
            let value = Decimal::new(mantissa, held);
            for form in [Form::Scaled, Form::Plain, Form::Java, Form::Stripped] {
                let text = written(&value.to_string(), scale, form, alternate);
                let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                // Compared as digits · 10^shift: a mantissa of 19 digits and an exponent are more than a Decimal reads.
                let shift = exponent.parse::<i32>().unwrap() - fraction.len() as i32 + 40;
                let read = format!("{whole}{fraction}{}", "0".repeat(shift as usize));
                let meant = format!("{mantissa}{}", "0".repeat(40 - held as usize));
                prop_assert_eq!(read.trim_start_matches('0'), meant.trim_start_matches('0'), "{}", text);
            }
        }
    }
}
