//! The names of polls: UUIDs of version 7, which sort by the time at which a poll began.
//!
//! The time is the one in which its rows are observed. Where that had to be moved behind the poll before, the name is another
//! than the same chance would make of the moment itself: as where a poll is replayed of which there is a part.

/// Name of a poll that begins `now` and is observed at a time that is not before that, both in microseconds.
#[must_use]
pub fn poll_name(now: i64, observed_at: i64, chance: u128) -> String {
    let milliseconds = u64::try_from(observed_at / 1000).unwrap_or_default();
    let moved = if observed_at == now { 0 } else { observed_at as u128 };
    let random: [u8; 16] = (chance ^ moved).to_le_bytes();
    let mut tail = [0; 10];
    tail.copy_from_slice(&random[..10]);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &tail).into_uuid().to_string()
}

/// The chance to which a poll owes its name, if it was not moved; `None` if no poll has this name.
#[must_use]
pub fn chance_of_poll(name: &str) -> Option<u128> {
    let name = uuid::Uuid::parse_str(name).ok()?;
    Some(name.as_u128().to_be_bytes()[6..].iter().rev().fold(0, |chance, byte| chance << 8 | u128::from(*byte)))
}

/// Whether a poll of this name, observed at `observed_at`, is the one that began `now`, or was to make up for a part of it that
/// is missing.
#[must_use]
pub fn is_part_of((name, observed_at): (&str, i64), (whole, now): (&str, i64)) -> bool {
    chance_of_poll(whole).is_some_and(|chance| poll_name(now, observed_at, chance) == name)
}
