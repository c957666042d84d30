//! Figures as people read them, in the report's page and on a terminal.

/// A name and its plural, as often as it is.
#[must_use]
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A number with its thousands set off.
#[must_use]
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A number in decimal digits with its thousands set off; any other text as it is.
#[must_use]
pub fn grouped(number: &str) -> String {
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

/// Bytes in a few characters.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => plural(bytes, "byte", "bytes"),
    }
}

/// A span of time in microseconds, as fine as it matters: days with hours, hours with minutes, minutes, seconds, or thousandths.
#[must_use]
pub fn span(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let (sign, micros) = (if micros < 0 { "\u{2212}" } else { "" }, micros.saturating_abs());
    let (unit, name, rest) = match micros {
        DAY.. => (DAY, "d", Some((HOUR, "h"))),
        HOUR.. => (HOUR, "h", Some((MINUTE, "min"))),
        MINUTE.. => (MINUTE, "min", None),
        SECOND.. => (SECOND, "s", None),
        _ => (1000, "ms", None),
    };
    let rest = rest.map(|(next, name)| (micros % unit / next, name)).filter(|(count, _)| *count > 0);
    let rest = rest.map_or_else(String::new, |(count, name)| format!(" {count} {name}"));
    format!("{sign}{} {name}{rest}", micros / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_told_as_finely_as_they_matter() {
        let second = 1_000_000;
        let rows = [
            (0, "0 ms"),
            (999_999, "999 ms"),
            (59 * second, "59 s"),
            (3599 * second, "59 min"),
            (3600 * second, "1 h"),
            (86_399 * second + 999_999, "23 h 59 min"),
            (86_400 * second, "1 d"),
            (-93_600 * second, "\u{2212}1 d 2 h"),
        ];
        for (micros, told) in rows {
            assert_eq!(span(micros), told, "{micros}");
        }
        let sizes =
            [(0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (u64::MAX, "16777215.9 TiB")];
        for (size, told) in sizes {
            assert_eq!(bytes(size), told);
        }
    }
}
