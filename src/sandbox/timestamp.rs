//! Timestamps, and the forms in which the API writes them.
//!
//! The contract's examples mix two kinds: `2026-05-11T10:15:30Z` and, for `completedAt`, `2026-05-11T10:15:30` without a zone. Here both
//! are UTC. Each has zero to nine fractional digits, as Java prints an `Instant` or a `LocalDateTime`.

use chrono::{Datelike, Timelike};

use super::clock::{Nanos, date_time};
use super::draw::Draw;

const MICRO_DIGITS: u32 = 6;
const NANO_DIGITS: u32 = 9;

/// How many fractional digits a timestamp shows; mostly none, three or six.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precision(u32);

impl Precision {
    /// The precision of one timestamp, which it keeps.
    pub(super) fn choose(draw: &mut Draw) -> Precision {
        Precision(match draw.below(100) {
            0..40 => 0,
            40..65 => 3,
            65..88 => 6,
            88..92 => NANO_DIGITS,
            _ => *draw.pick(&[1, 2, 4, 5, 7, 8]),
        })
    }
}

/// A moment as the API writes it; digits beyond those written are no part of it.
#[derive(Clone, Debug)]
pub(super) struct Timestamp {
    at: Nanos,
    digits: u32,
    zoned: bool,
}

impl Timestamp {
    /// `2026-05-11T10:15:30.123Z`
    pub(super) fn zoned(at: Nanos, precision: Precision) -> Timestamp {
        Timestamp { at, digits: precision.0, zoned: true }
    }

    /// `2026-05-11T10:15:30.123`, which is UTC too.
    pub(super) fn zoneless(at: Nanos, precision: Precision) -> Timestamp {
        Timestamp { at, digits: precision.0, zoned: false }
    }

    /// Appends the text that the API serves, without quotes.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.put_digits(out, b'T', self.digits);
        if self.zoned {
            out.push(b'Z');
        }
    }

    /// Appends `2026-05-11 10:15:30.123000`: to the microsecond, which is what a lake holds.
    pub(super) fn put_truth(&self, out: &mut Vec<u8>) {
        self.put_digits(out, b' ', self.digits.min(MICRO_DIGITS));
        if self.digits == 0 {
            out.push(b'.');
        }
        out.extend((self.digits..MICRO_DIGITS).map(|_| b'0'));
    }

    /// Whether the text says more than microseconds can hold.
    pub(super) fn exceeds_micros(&self) -> bool {
        let shown = 10_i64.pow(NANO_DIGITS - self.digits);
        self.at / shown * shown % 1000 != 0
    }

    /// The moment that the text names: without the digits that it does not show.
    pub(super) fn shown(&self) -> Nanos {
        let unit = 10_i64.pow(NANO_DIGITS - self.digits);
        self.at.div_euclid(unit) * unit
    }

    fn put_digits(&self, out: &mut Vec<u8>, separator: u8, digits: u32) {
        let at = date_time(self.at);
        put_padded(out, at.year().unsigned_abs(), 4);
        for (mark, field) in
            [(b'-', at.month()), (b'-', at.day()), (separator, at.hour()), (b':', at.minute()), (b':', at.second())]
        {
            out.push(mark);
            put_padded(out, field, 2);
        }
        if digits > 0 {
            out.push(b'.');
            put_padded(out, at.nanosecond() / 10_u32.pow(NANO_DIGITS - digits), digits);
        }
    }
}

/// Ten times as fast as `format!`, and half of a record's text is times.
fn put_padded(out: &mut Vec<u8>, number: u32, digits: u32) {
    out.extend((0..digits).rev().map(|place| b'0' + (number / 10_u32.pow(place) % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::super::clock::START;
    use super::*;

    #[test]
    fn a_timestamp_shows_the_digits_it_has() {
        let at = START + 123_456_789;
        for (at, digits, text, truth, exceeds) in [
            (at, 0, "2026-05-15T00:00:00", "2026-05-15 00:00:00.000000", false),
            (at, 1, "2026-05-15T00:00:00.1", "2026-05-15 00:00:00.100000", false),
            (at, 6, "2026-05-15T00:00:00.123456", "2026-05-15 00:00:00.123456", false),
            (at, 7, "2026-05-15T00:00:00.1234567", "2026-05-15 00:00:00.123456", true),
            (at, 9, "2026-05-15T00:00:00.123456789", "2026-05-15 00:00:00.123456", true),
            (START + 1000, 9, "2026-05-15T00:00:00.000001000", "2026-05-15 00:00:00.000001", false),
        ] {
            let timestamp = Timestamp::zoneless(at, Precision(digits));
            let (mut served, mut meant) = (Vec::new(), Vec::new());
            timestamp.put(&mut served);
            timestamp.put_truth(&mut meant);
            assert_eq!(String::from_utf8_lossy(&served), text);
            assert_eq!(String::from_utf8_lossy(&meant), truth);
            assert_eq!(timestamp.exceeds_micros(), exceeds, "{text}");
        }
    }
}
