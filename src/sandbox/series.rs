//! A resource's endless series of records: which exist at a clock, since when, and under which id.
//!
//! The two years of history are cut into equal slots, and so is the time after them. Record *i* is made at a random moment of slot
//! *i*. So creation is in order, what exists at a clock is a prefix of the series, and counting it needs no search.

use super::clock::{BEGIN, HISTORY, Nanos};
use super::draw::{Draw, Source};
use super::ids::Ids;

/// One resource's records, from the first to any that is yet to come.
pub(super) struct Series {
    per_history: u64,
    source: Source,
    /// Identifiers of its records.
    pub(super) ids: Ids,
}

impl Series {
    /// So many records by the start clock, and as many again every two years; none ever for 0.
    pub(super) fn new(seed: u64, kind: &'static str, id_prefix: &'static str, per_history: u64) -> Series {
        Series { per_history, source: Source::new(seed, kind), ids: Ids::new(seed, id_prefix) }
    }

    /// When the record is made, and the choices left to make for it.
    pub(super) fn begin(&self, number: u64) -> (Nanos, Draw) {
        let mut draw = self.source.draw(number);
        let made = draw.span(self.slot(number), self.slot(number + 1));
        (made, draw)
    }

    /// Choices of the record's `version`, counted from 1; other ones than those of [`Series::begin`].
    pub(super) fn redraw(&self, number: u64, version: u64) -> Draw {
        self.source.draw(version << 40 | number)
    }

    /// How many records were made before the clock, which is not before [`BEGIN`].
    pub(super) fn count(&self, clock: Nanos) -> u64 {
        if self.per_history == 0 {
            return 0;
        }
        let elapsed = u128::from(clock.abs_diff(BEGIN));
        let begun = (elapsed * u128::from(self.per_history) / u128::from(HISTORY.unsigned_abs())) as u64;
        begun + u64::from(self.begin(begun).0 < clock)
    }

    /// Where the record's slot begins.
    fn slot(&self, number: u64) -> Nanos {
        let elapsed = u128::from(number) * u128::from(HISTORY.unsigned_abs());
        BEGIN + (elapsed / u128::from(self.per_history)) as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::START;
    use super::*;

    #[test]
    fn the_count_agrees_with_the_times_of_creation() {
        for per_history in [1, 2, 3, 7, 1000, 999_983] {
            let series = Series::new(7, "test", "t_", per_history);
            assert_eq!(series.count(START), per_history);
            for clock in (0..500).map(|step| START + step * (HISTORY / 4999)) {
                let count = series.count(clock);
                assert!(series.begin(count - 1).0 < clock);
                assert!(series.begin(count).0 >= clock);
            }
        }
    }

    #[test]
    fn an_empty_series_stays_empty() {
        assert_eq!(Series::new(7, "test", "t_", 0).count(START + HISTORY), 0);
    }
}
