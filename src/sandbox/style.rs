//! The form of what the API serves. No style changes a value.

use serde::{Deserialize, Serialize};

/// The form of what the API serves; the default is what a Java back end would send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Style {
    /// Order of the members of an object, of free-form ones too.
    pub key_order: KeyOrder,
    /// White space between tokens.
    pub whitespace: Whitespace,
    /// How declared numbers are written. Those of free-form objects and of undeclared members stay: their text is their value.
    pub numbers: Numbers,
    /// Order of the records of a list.
    pub order: ListOrder,
}

/// Order of the members of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyOrder {
    /// As in the reference.
    #[default]
    Documented,
    /// Another in each record.
    Shuffled,
}

/// White space between tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whitespace {
    /// None.
    #[default]
    Compact,
    /// A line a member, indented.
    Pretty,
}

/// How declared numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Each in the form that its record drew.
    #[default]
    Stable,
    /// Each in another form: `1.00` as `1e0`, `1` as `1.0`, `1E+2` as `100`.
    Alternate,
}

/// Order of the records of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListOrder {
    /// Oldest first.
    #[default]
    Natural,
    /// Newest first.
    Reversed,
    /// Neither.
    Shuffled,
}

impl ListOrder {
    /// Which record stands at `place` in a list of `count`; one-to-one, and without a table, so that long lists stay cheap.
    pub(super) fn record_at(self, place: u64, count: u64) -> u64 {
        /// A prime beyond any count, hence coprime to it: its multiples visit every record once.
        const STRIDE: u64 = 2_147_483_647;
        match self {
            ListOrder::Natural => place,
            ListOrder::Reversed => count - 1 - place,
            ListOrder::Shuffled => (place * STRIDE + count / 3) % count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_names_every_record_once() {
        for count in [1, 2, 3, 10, 1000, 9999] {
            for order in [ListOrder::Natural, ListOrder::Reversed, ListOrder::Shuffled] {
                let mut records: Vec<_> = (0..count).map(|place| order.record_at(place, count)).collect();
                records.sort_unstable();
                assert!(records.into_iter().eq(0..count), "{order:?} of {count}");
            }
        }
    }
}
