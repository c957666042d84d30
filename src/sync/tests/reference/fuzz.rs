//! The comparison as a fuzz target: polls from any bytes.
//!
//! ```text
//! resource │ two sizes of chunks │ habits │ body ␞ body ␞ body …
//!   1 byte │              2 bytes │ 1 byte │ ␞ is the byte 0x1e, which stands in no JSON
//! ```

use super::{
    pair::{Ground, Habits, Pair},
    plain::{Findings, Refused},
};
use crate::tests::{fuzz::Target, random::Random};

/// Between two bodies.
const SEPARATOR: u8 = 0x1e;
const HEADER_BYTES: usize = 4;
const RESOURCES: [&str; 4] = ["deposits", "trades", "beneficiaries", "currencies"];

/// What JSON and its breaking are made of.
const WORDS: [&str; 32] = [
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    ":",
    " ",
    "0",
    "-",
    ".5",
    "e1",
    "E-20",
    "null",
    "true",
    "{}",
    "[]",
    "\\u00e9",
    "\\ud83e",
    "\\\"",
    "\0",
    "\u{1e}",
    "\u{1e}[]",
    "é",
    "\"transactionId\":",
    "\"id\":",
    "\"status\":\"ODD\"",
    "\"amount\":",
    "\"fills\":[{}]",
    "\"createdAt\":\"2026-01-01T00:00:00Z\"",
    "99999999999999999999",
];

/// How a poll ended, roughly: each figure as none, one or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Refused(Refused),
    Believed([u64; 7]),
}

/// Both ways take the polls of these bytes, and must agree.
///
/// # Panics
///
/// If they do not.
fn agree(ground: &Ground, bytes: &[u8]) -> Vec<End> {
    let Some((&[resource, size, other_size, habits], bodies)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Vec::new();
    };
    let sizes = [usize::from(size) + 1, usize::from(other_size) * 16 + 1];
    let mut pair = Pair::new(ground, RESOURCES[usize::from(resource) % RESOURCES.len()]);
    let polls = bodies.split(|byte| *byte == SEPARATOR).zip((0..4).cycle());
    let take = |(body, nth): (&[u8], u32)| {
        // Two bits for each of four polls, and over again.
        let bits = habits >> (2 * nth);
        let habits = Habits { withholds: bits & 1 == 1, forgets: bits & 2 == 2, takes_inputs: bits & 3 == 3 };
        match pair.poll(body, &sizes, habits) {
            Err(how) => panic!("poll {nth}: {how}"),
            Ok(Err(refused)) => End::Refused(refused),
            Ok(Ok(findings)) => end(&findings),
        }
    };
    polls.map(take).collect()
}

fn end(findings: &Findings) -> End {
    let Findings { added, changed, missing, as_known, repeated, rejected, rejected_without_key, .. } = *findings;
    let figures = [added, changed, missing, as_known, repeated, rejected, rejected_without_key];
    End::Believed(figures.map(|figure| figure.min(2)))
}

/// Puts a record of the input again, or in the place of another; or adds another poll, of a body that there was.
fn twist(random: &mut Random, input: &[u8], bytes: &mut Vec<u8>) {
    if random.one_in(3) {
        let bodies: Vec<_> = input.get(HEADER_BYTES..).unwrap_or_default().split(|b| *b == SEPARATOR).collect();
        bytes.push(SEPARATOR);
        return bytes.extend_from_slice(bodies[random.below(bodies.len() as u64) as usize]);
    }
    let (from, to) = (record(random, input), record(random, bytes));
    let mut copy = input[from].to_vec();
    if random.one_in(2) {
        copy.push(b',');
        bytes.splice(to.start..to.start, copy);
    } else {
        bytes.splice(to, copy);
    }
}

/// From a brace to the next closing one: mostly a record.
fn record(random: &mut Random, bytes: &[u8]) -> std::ops::Range<usize> {
    let braces: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == b'{').collect();
    if braces.is_empty() {
        return 0..0;
    }
    let start = random.pick(&braces);
    let length = bytes[start..].iter().position(|byte| *byte == b'}').map_or(1, |at| at + 1);
    start..start + length
}

#[test]
fn both_ways_agree_on_the_corpus_and_its_mutants() {
    let ground = Ground::new();
    Target { name: "observations", words: &WORDS, twist: Some(twist) }.run(|bytes| agree(&ground, bytes));
}
