//! Fuzz targets: a law about any bytes, tried on a corpus and its mutants.
//!
//! A target takes bytes, panics if its law does not hold for them, and says how they ended. A mutant that comes to an end which
//! none before it came to is mutated further. What is tried follows from a seed, `LUMETRADE_TEST_SEED`;
//! `LUMETRADE_FUZZ_SECONDS` says for how long. An input that breaks a law is written into the corpus, where it stays.

use std::{
    collections::HashSet,
    fmt::Debug,
    fs,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use xxhash_rust::xxh3::xxh3_64;

use super::{random::Random, seeds::variable};

/// Seconds that a corpus is mutated unless the environment asks for more.
const SECONDS: u64 = 1;
/// Inputs that are mutated further.
const POOL_MAX: usize = 1 << 12;
/// Bytes beyond which a mutant grows no more.
const INPUT_BYTES_MAX: usize = 1 << 16;

/// Tries a law on the corpus of this name in `tests/corpus`, and on its mutants, into which these words get.
///
/// # Panics
///
/// If the law does not hold, naming the input.
#[track_caller]
pub(crate) fn hold<E: Eq + Hash + Debug>(corpus: &str, words: &[&str], law: impl Fn(&[u8]) -> E) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(corpus);
    let (mut ends, mut pool) = (HashSet::new(), Vec::new());
    for (name, input) in inputs(&folder) {
        println!("{name}");
        ends.insert(law(&input));
        pool.push(input);
    }
    assert!(pool.len() >= 10, "{} has too few inputs", folder.display());
    let of_the_corpus = ends.len();
    let (seed, seconds) = (variable("LUMETRADE_TEST_SEED", 1), variable("LUMETRADE_FUZZ_SECONDS", SECONDS));
    let (mut random, began, mut tried) = (Random::new(seed), Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut pick = || random.below(pool.len() as u64) as usize;
        let (input, other) = (pick(), pick());
        let mutant = mutant(&mut random, &pool[input], &pool[other], words);
        let Ok(end) = catch_unwind(AssertUnwindSafe(|| law(&mutant))) else {
            let kept = folder.join(format!("broken-{:016x}", xxh3_64(&mutant)));
            fs::write(&kept, &mutant).unwrap();
            panic!("seed {seed}, mutant {tried}: kept as {}", kept.display());
        };
        if ends.insert(end) && pool.len() < POOL_MAX {
            pool.push(mutant);
        }
        tried += 1;
    }
    println!("seed {seed}: {tried} mutants in {seconds} s, {} ends, {of_the_corpus} of them the corpus's", ends.len());
}

fn inputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    let mut inputs: Vec<_> = paths.map(read).collect();
    inputs.sort();
    inputs
}

/// A mutant of one input; pieces of another may get into it.
fn mutant(random: &mut Random, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let piece = |random: &mut Random, bytes: &[u8]| {
            let start = random.below(bytes.len() as u64 + 1) as usize;
            let length = 1 + random.below(64) as usize;
            bytes[start..bytes.len().min(start + length)].to_vec()
        };
        match random.below(10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..bytes.len().min(at + 1 + random.below(16) as usize))),
            3..=5 => drop(bytes.splice(at..at, random.pick(words).bytes())),
            6 => {
                let again = piece(random, &bytes);
                bytes.splice(at..at, again);
            }
            7 => {
                let foreign = piece(random, other);
                bytes.splice(at..at, foreign);
            }
            8 => {
                // The beginning of one and the end of the other.
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len() as u64 + 1) as usize..]);
            }
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

#[test]
fn an_input_that_breaks_a_law_is_found_again_from_its_seed() {
    let find = |seed| {
        let mut random = Random::new(seed);
        (0..100_000).find(|_| mutant(&mut random, b"[{}]", b"[1]", &["\\", ","]).starts_with(b"[,"))
    };
    assert!(find(1).is_some());
    assert_eq!(find(1), find(1));
}
