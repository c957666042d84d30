//! Dates and times of JSON strings, as microseconds or days.
//!
//! In: a text such as `2026-05-11T10:15:30.123Z`, with `Z`, an offset, or no zone at all (the API shows both), and 0 to 9
//! fractional digits. Out: microseconds since 1970 in UTC, and whether digits beyond the microsecond were left over.

use thiserror::Error;

/// The offset from UTC, in seconds, that a time without a zone is taken to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    east_s: i32,
}

/// A zone that is neither `UTC` nor an offset such as `+02:00`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no zone: use `UTC`, or an offset such as `+02:00`")]
pub struct InvalidZone(String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone { east_s: 0 };
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = self.east_s.abs() / 60;
        write!(f, "{}{:02}:{:02}", if self.east_s < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }
}

impl std::str::FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Zone::UTC);
        }
        match offset(text.as_bytes()) {
            Some(Some(east_s)) => Ok(Zone { east_s }),
            _ => Err(InvalidZone(text.to_owned())),
        }
    }
}

/// A point in time as far as a column holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    /// Microseconds since 1970-01-01T00:00:00 UTC, cut off and not rounded.
    pub micros: i64,
    /// Whether digits other than zero stood behind the microsecond.
    pub finer: bool,
}

/// The years that all readers agree on, in UTC: an offset may lead out of them.
const YEARS_1_TO_9999_S: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// Parses a date and a time; `None` if the text is none.
///
/// | text | taken |
/// |---|---|
/// | `2026-05-11T10:15:30Z`, `2026-05-11 12:15:30+02:00`, `…+0200`, `…+02` | as it says |
/// | `2026-05-11T10:15:30`, `2026-05-11T10:15` | in `naive` |
/// | `…30.123456789Z` | to the microsecond, `finer` |
/// | a 60th second, hour 24, an offset of a day or more, a date alone, a number of seconds | not |
pub(super) fn parse_instant(text: &str, naive: Zone) -> Option<Instant> {
    let (date, rest) = split_at(text.as_bytes(), 10)?;
    let days = parse_days(date)?;
    let (separator, rest) = split_at(rest, 1)?;
    if !matches!(separator, b"T" | b"t" | b" ") {
        return None;
    }
    let (hour, minute, rest) = hour_and_minute(rest)?;
    let (second, rest) = match rest {
        [b':', rest @ ..] => {
            let (second, rest) = split_at(rest, 2)?;
            (number(second)?, rest)
        }
        rest => (0, rest),
    };
    let (micros, finer, rest) = fraction(rest)?;
    let east_s = offset(rest)?.unwrap_or(naive.east_s);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(days) * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - i64::from(east_s);
    YEARS_1_TO_9999_S.contains(&seconds).then_some(Instant { micros: seconds * 1_000_000 + i64::from(micros), finer })
}

/// Parses `YYYY-MM-DD` as days since 1970-01-01.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    parse_days(text.as_bytes())
}

#[inline]
fn parse_days(date: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    days_since_1970(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)
}

/// Of a date from year 1 on in the calendar of today; `None` if there is no such day.
fn days_since_1970(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (before, length) = match month {
        1 => (0, 31),
        2 => (31, if leap { 29 } else { 28 }),
        3..=12 => {
            // From March on, months of 31 and 30 days alternate, beginning anew in August.
            let from_march = 59 + (153 * (month - 3) + 2) / 5 + i32::from(leap);
            (from_march, if matches!(month, 4 | 6 | 9 | 11) { 30 } else { 31 })
        }
        _ => return None,
    };
    let years = year - 1;
    let new_year = 365 * years + years / 4 - years / 100 + years / 400;
    (year > 0 && (1..=length).contains(&day)).then_some(new_year + before + day - 1 - DAYS_TO_1970)
}

/// From the first day of year 1.
const DAYS_TO_1970: i32 = 719_162;

fn hour_and_minute(text: &[u8]) -> Option<(i32, i32, &[u8])> {
    let (time, rest) = split_at(text, 5)?;
    let [h1, h2, b':', m1, m2] = time else { return None };
    Some((number(&[*h1, *h2])?, number(&[*m1, *m2])?, rest))
}

/// Microseconds, whether there was more, and what follows.
fn fraction(text: &[u8]) -> Option<(i32, bool, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else { return Some((0, false, text)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, rest) = rest.split_at(count);
    let (kept, beyond) = digits.split_at(count.min(6));
    let micros = number(kept)? * 10_i32.pow(6 - kept.len() as u32);
    Some((micros, beyond.iter().any(|digit| *digit != b'0'), rest))
}

/// Seconds east of UTC; the inner `None` for no zone, the outer for what is no zone.
fn offset(text: &[u8]) -> Option<Option<i32>> {
    let (sign, rest) = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (number(&[*h1, *h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(Some(sign * (hours * 3600 + minutes * 60)))
}

fn split_at(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(at)
}

/// At most nine ASCII digits.
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Option<i64> {
        parse_instant(text, Zone::UTC).map(|instant| instant.micros)
    }

    #[test]
    fn every_form_of_a_time_gives_its_instant() {
        let expected = DateTime::parse_from_rfc3339("2026-05-11T10:15:30Z").unwrap().timestamp_micros();
        let rows = [
            ("2026-05-11T10:15:30Z", 0),
            ("2026-05-11T10:15:30", 0),
            ("2026-05-11t10:15:30z", 0),
            ("2026-05-11 10:15:30", 0),
            ("2026-05-11T12:15:30+02:00", 0),
            ("2026-05-11T12:15:30+0200", 0),
            ("2026-05-11T12:15:30+02", 0),
            ("2026-05-11T04:45:30-05:30", 0),
            ("2026-05-12T00:00:30+13:45", 0),
            ("2026-05-11T10:15", -30_000_000),
            ("2026-05-11T10:15:30.1Z", 100_000),
            ("2026-05-11T10:15:30.000001", 1),
            ("2026-05-11T10:15:30.123456000Z", 123_456),
        ];
        for (text, beyond) in rows {
            assert_eq!(micros(text), Some(expected + beyond), "{text}");
        }
    }

    #[test]
    fn digits_beyond_the_microsecond_are_cut_and_reported() {
        let rows = [
            ("999999999", 999_999, true),
            ("1234560", 123_456, false),
            ("1234561", 123_456, true),
            ("0000001", 0, true),
        ];
        for (digits, kept, finer) in rows {
            let instant = parse_instant(&format!("1969-12-31T23:59:59.{digits}Z"), Zone::UTC).unwrap();
            assert_eq!((instant.micros, instant.finer), (kept - 1_000_000, finer), "{digits}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_taken_in_the_zone_that_is_set() {
        let johannesburg: Zone = "+02:00".parse().unwrap();
        let naive = parse_instant("2026-05-11T12:15:30", johannesburg).unwrap();
        let explicit = parse_instant("2026-05-11T12:15:30Z", johannesburg).unwrap();
        assert_eq!(naive.micros, micros("2026-05-11T10:15:30Z").unwrap());
        assert_eq!(explicit.micros, micros("2026-05-11T12:15:30Z").unwrap());
        assert!("Mars".parse::<Zone>().is_err());
        assert!("".parse::<Zone>().is_err());
    }

    #[test]
    fn what_is_no_instant_is_not_taken_for_one() {
        let rows = [
            "",
            "2026-05-11",
            "2026-05-11T",
            "10:15:30",
            "2026-05-11T10",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-05-11T24:00:00Z",
            "2026-05-11T10:60:00Z",
            "2026-06-30T23:59:60Z",
            "2026-05-11T10:15:30.Z",
            "2026-05-11T10:15:30.1234567890Z",
            "2026-05-11T10:15:30+24:00",
            "2026-05-11T10:15:30+99:99",
            "2026-05-11T10:15:30ZZ",
            "2026-05-11T10:15:30 UTC",
            "292277-01-01T00:00:00Z",
            "1747000000",
            "1747000000000",
            "+026-05-11T10:15:30Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-05-11T10:15:3０",
        ];
        for text in rows {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_an_independent_parser(seconds in -62_135_596_800_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let instant: DateTime<Utc> = DateTime::from_timestamp(seconds, nanos).unwrap();
            let parsed = parse_instant(&instant.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true), Zone::UTC).unwrap();
            prop_assert_eq!(parsed.micros, seconds * 1_000_000 + i64::from(nanos / 1000));
            prop_assert_eq!(parsed.finer, nanos % 1000 != 0);
        }

        #[test]
        fn days_agree_with_an_independent_calendar(year in -1_i32..10_000, month in 0_i32..14, day in 0_i32..33) {
            let date = NaiveDate::from_ymd_opt(year, month as u32, day as u32).filter(|_| year > 0);
            prop_assert_eq!(days_since_1970(year, month, day), date.map(|date| date.to_epoch_days()));
        }
    }
}
