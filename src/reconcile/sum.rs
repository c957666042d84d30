//! Sums of amounts, exact or not known.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::to_plain;

/// A sum of amounts, each times 10^18. One that 128 bits do not hold (more than 20 digits before the point) is not known,
/// and neither is what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum(Option<i128>);

impl Sum {
    /// Of no amounts.
    pub const ZERO: Self = Self(Some(0));

    /// Of one amount.
    #[must_use]
    pub fn of(amount: i128) -> Self {
        Self(Some(amount))
    }

    /// Times 10^18; `None` if it is not known.
    #[must_use]
    pub fn known(self) -> Option<i128> {
        self.0
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).and_then(|(one, other)| one.checked_add(other)))
    }

    /// What is left of it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).and_then(|(one, other)| one.checked_sub(other)))
    }

    /// Adds one amount more.
    pub fn add(&mut self, amount: i128) {
        *self = self.plus(Self::of(amount));
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Without zeros behind the last digit that counts.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => f.pad(&to_plain(value)),
            None => f.pad("too large"),
        }
    }
}

/// As text, since JSON's numbers are doubles to most who read them; `null` if it is not known.
impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(_) => serializer.collect_str(self),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_told_to_its_last_digit() {
        let rows = [
            (0, "0"),
            (1, "0.000000000000000001"),
            (-1, "-0.000000000000000001"),
            (1_840_500_000_000_000_000_000, "1840.5"),
            (-100_000_000_000_000_000_000, "-100"),
            (i128::MIN, "-170141183460469231731.687303715884105728"),
        ];
        for (value, text) in rows {
            assert_eq!(Sum::of(value).to_string(), text);
            assert_eq!(serde_json::to_string(&Sum::of(value)).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_128_bits_do_not_hold_is_never_known_again() {
        let mut sum = Sum::of(i128::MAX);
        assert_eq!(sum.minus(Sum::of(i128::MAX)), Sum::ZERO);
        sum.add(1);
        assert_eq!((sum.known(), sum.to_string().as_str()), (None, "too large"));
        assert_eq!(sum.minus(Sum::of(i128::MAX)).known(), None);
        assert_eq!(Sum::of(1).minus(sum).known(), None);
        assert_eq!(serde_json::to_string(&sum).unwrap(), "null");
    }
}
