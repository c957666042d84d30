//! What a seed decides beforehand: who runs how often, on what, and how rough it gets.

use super::random::Random;
use crate::schema::Granularity;

/// One simulation.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub writers: u64,
    /// Runs of each writer, one after the other.
    pub runs: u64,
    /// Time from one run to the next, which all writers share as if by one schedule.
    pub tick_ms: u64,
    /// Time that passes in the world until the last run is due. It stands still soon after.
    pub world_ms: u64,
    /// Indices into [`KINDS`](super::lists::KINDS).
    pub kinds: Vec<usize>,
    pub granularity: Granularity,
    pub etags: Etags,
    /// Whether the store can replace an object on condition that it is the one last seen.
    pub conditional_replace: bool,
    /// Whether the lake is made before anything fails.
    pub lake_is_there: bool,
    pub weather: Weather,
    /// Whether the API writes the same values in ever other ways.
    pub reformats: bool,
    /// One in so many polls finds that a record has gone, come back, or changed its form.
    pub restlessness: u64,
    /// Times that somebody lays hands on the caches.
    pub vandalism: u64,
    /// Whether the caches are gone before the last run.
    pub forgets: bool,
}

/// What an ETag is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Etags {
    /// Another with every write.
    Counted,
    /// Equal for equal bytes, as S3 makes them.
    OfContent,
}

/// How often things go wrong, in 10,000 operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weather {
    /// A write fails in one of its ways.
    pub writes: u64,
    /// A reading or a listing fails.
    pub reads: u64,
    /// The process dies at it.
    pub crashes: u64,
    /// The process sleeps for minutes, as if it had been stopped.
    pub stalls: u64,
    /// Replacing an object takes seconds, as large ones do.
    pub bulk: u64,
    /// A poll fails, or is answered with something odd.
    pub api: u64,
}

impl Weather {
    pub(super) const CALM: Self = Self { writes: 0, reads: 0, crashes: 0, stalls: 0, bulk: 0, api: 0 };
}

/// Which take part together. Trades have the most columns, and take the most time.
const KINDS_AT_ONCE: [&[usize]; 8] = [&[0], &[0], &[2], &[1], &[0, 2], &[0, 1], &[1, 2], &[0, 1, 2]];

const DAY_MS: u64 = 86_400_000;

/// Syncs of one resource that a seed has time for, roughly.
const SYNCS: u64 = 9;

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        let writers = random.pick(&[1, 2, 2, 2, 3, 3]);
        let kinds = random.pick(&KINDS_AT_ONCE).to_vec();
        let runs = (SYNCS / writers / kinds.len() as u64).clamp(2, 5);
        let tick_ms = random.pick(&[2_000, 10_000, 60_000, 120_000]);
        let granularities = [Granularity::Year, Granularity::None, Granularity::Month, Granularity::Month];
        let granularity = if random.one_in(12) { Granularity::Day } else { random.pick(&granularities) };
        let days = if granularity == Granularity::Day { 2 } else { random.pick(&[2, 6, 6, 15]) };
        Self {
            writers,
            runs,
            tick_ms,
            world_ms: days * DAY_MS,
            kinds,
            granularity,
            etags: random.pick(&[Etags::Counted, Etags::OfContent]),
            conditional_replace: random.one_in(3),
            lake_is_there: !random.one_in(8),
            weather: if random.one_in(3) {
                // Nothing fails, and still the runs overtake each other.
                Weather { stalls: random.pick(&[0, 300]), bulk: random.pick(&[0, 3_000, 6_000]), ..Weather::CALM }
            } else {
                Weather {
                    writes: random.pick(&[0, 300, 1_000, 2_000, 4_000]),
                    reads: random.pick(&[0, 20, 60, 200]),
                    crashes: random.pick(&[0, 50, 150, 300]),
                    stalls: random.pick(&[0, 0, 30, 100]),
                    bulk: random.pick(&[0, 0, 3_000]),
                    api: random.pick(&[0, 500, 2_000]),
                }
            },
            reformats: random.one_in(3),
            restlessness: random.pick(&[2, 4, 20]),
            vandalism: random.pick(&[0, 0, 1, 2, 4]),
            forgets: random.one_in(3),
        }
    }

    /// Time until the last run should be over.
    pub(super) fn span_ms(&self) -> u64 {
        self.runs * self.tick_ms
    }
}
