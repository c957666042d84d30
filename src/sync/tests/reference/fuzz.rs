//! The comparison as a fuzz target: polls from any bytes.
//!
//! ```text
//! resource │ two sizes of chunks │ habits │ body ␞ body ␞ body …
//!   1 byte │              2 bytes │ 1 byte │ ␞ is the byte 0x1e, which stands in no JSON
//! ```
//!
//! A mutant that comes to an end which none before it came to is mutated further. What is tried follows from a seed.

use std::{
    collections::HashSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    pair::{Ground, Habits, Pair},
    plain::{Findings, Refused},
};
use crate::sync::tests::{random::Random, seeds::variable};

/// Between two bodies.
const SEPARATOR: u8 = 0x1e;
const HEADER_BYTES: usize = 4;
/// Inputs that are mutated further.
const POOL_MAX: usize = 1 << 12;
/// Bytes beyond which a mutant grows no more.
const INPUT_BYTES_MAX: usize = 1 << 14;
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
        let habits = Habits { withholds: bits & 1 == 1, forgets: bits & 2 == 2 };
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

/// A mutant of one input; pieces of another may get into it.
fn mutant(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(11) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..bytes.len().min(at + 1 + random.below(6) as usize))),
            3 | 4 => drop(bytes.splice(at..at, random.pick(&WORDS).bytes())),
            5 => {
                let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[random.pick(&digits)] = b'0' + random.below(10) as u8;
                }
            }
            6 => {
                let piece = piece(random, other);
                bytes.splice(at..at, piece);
            }
            7 | 8 => {
                // A record again, or instead of another.
                let (from, to) = (record(random, input), record(random, &bytes));
                let mut copy = input[from].to_vec();
                if random.one_in(2) {
                    copy.push(b',');
                    bytes.splice(to.start..to.start, copy);
                } else {
                    bytes.splice(to, copy);
                }
            }
            9 => {
                // Another poll, of a body that there was.
                let bodies: Vec<_> = input.get(HEADER_BYTES..).unwrap_or_default().split(|b| *b == SEPARATOR).collect();
                bytes.push(SEPARATOR);
                bytes.extend_from_slice(bodies[random.below(bodies.len() as u64) as usize]);
            }
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn piece(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let start = random.below(bytes.len() as u64 + 1) as usize;
    let length = random.below(64) as usize;
    bytes[start..bytes.len().min(start + length)].to_vec()
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

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/observations");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut corpus: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
    corpus.sort();
    corpus
}

/// Seconds that the corpus is mutated unless the environment asks for more.
const SECONDS: u64 = 3;

#[test]
fn both_ways_agree_on_the_corpus_and_its_mutants() {
    let ground = Ground::new();
    let (mut ends, mut pool) = (HashSet::new(), Vec::new());
    for (name, input) in corpus() {
        let found = agree(&ground, &input);
        println!("{name}: {found:?}");
        ends.insert(found);
        pool.push(input);
    }
    let (seed, seconds) = (variable("LUMETRADE_TEST_SEED", 1), variable("LUMETRADE_FUZZ_SECONDS", SECONDS));
    let (mut random, began, mut tried) = (Random::new(seed), Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut pick = || pool[random.below(pool.len() as u64) as usize].clone();
        let (input, other) = (pick(), pick());
        let mutant = mutant(&mut random, &input, &other);
        let found = catch_unwind(AssertUnwindSafe(|| agree(&ground, &mutant)));
        let Ok(found) = found else { panic!("seed {seed}, input {tried}: b\"{}\"", mutant.escape_ascii()) };
        if ends.insert(found) && pool.len() < POOL_MAX {
            pool.push(mutant);
        }
        tried += 1;
    }
    println!("seed {seed}: {tried} mutants in {seconds} s, {} different ends", ends.len());
    assert!(ends.len() > corpus().len(), "the mutants come to no ends of their own");
}
