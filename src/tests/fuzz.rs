//! Fuzz targets: a law that holds for any bytes, a corpus, and its mutants.
//!
//! A mutant that comes to an end which none before it came to is mutated further. What is tried follows from a seed. Each target
//! has a folder of its own under `tests/corpus/`; a mutant that breaks the law is put there, so that it is tried ever after.
//! `LUMETRADE_FUZZ_SECONDS` says for how many seconds each corpus is mutated, `LUMETRADE_TEST_SEED` how.

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

use super::random::{Random, variable};

/// Inputs that are mutated further.
const POOL_MAX: usize = 1 << 12;
/// Bytes beyond which a mutant grows no more.
const INPUT_BYTES_MAX: usize = 1 << 14;
/// Seconds that a corpus is mutated unless the environment asks for more.
const SECONDS: u64 = 2;

/// What is fuzzed.
pub(crate) struct Target<'t> {
    /// The folder of its corpus.
    pub name: &'t str,
    /// What inputs, and their breaking, are made of.
    pub words: &'t [&'t str],
    /// A way to change an input that this target alone has.
    pub twist: Option<Twist>,
}

/// Changes a mutant of an input.
pub(crate) type Twist = fn(&mut Random, &[u8], &mut Vec<u8>);

impl Target<'_> {
    /// Tries the law, which says to what end an input comes and panics if it is broken.
    ///
    /// # Panics
    ///
    /// If the law is broken, or all mutants come to ends of the corpus.
    pub(crate) fn run<E: Debug + Eq + Hash>(&self, law: impl Fn(&[u8]) -> E) {
        let (mut ends, mut pool) = (HashSet::new(), Vec::new());
        for (name, input) in self.corpus() {
            let end = law(&input);
            println!("{name}: {end:?}");
            ends.insert(end);
            pool.push(input);
        }
        let (seed, seconds) = (variable("LUMETRADE_TEST_SEED", 1), variable("LUMETRADE_FUZZ_SECONDS", SECONDS));
        let (of_corpus, mut random, began, mut tried) = (ends.len(), Random::new(seed), Instant::now(), 0_u64);
        while began.elapsed() < Duration::from_secs(seconds) {
            let mut pick = || pool[random.below(pool.len() as u64) as usize].clone();
            let (input, other) = (pick(), pick());
            let mutant = self.mutant(&mut random, &input, &other);
            let Ok(end) = catch_unwind(AssertUnwindSafe(|| law(&mutant))) else {
                let file = self.folder().join(format!("found-{:016x}", xxh3_64(&mutant)));
                fs::write(&file, &mutant).unwrap();
                panic!("seed {seed}, input {tried}, kept as {}: b\"{}\"", file.display(), mutant.escape_ascii());
            };
            if ends.insert(end) && pool.len() < POOL_MAX {
                pool.push(mutant);
            }
            tried += 1;
        }
        println!("seed {seed}: {tried} mutants in {seconds} s, {} different ends", ends.len());
        assert!(ends.len() > of_corpus, "the mutants come to no ends of their own");
    }

    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(self.name)
    }

    fn corpus(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let mut corpus: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
        corpus.sort();
        corpus
    }

    /// A mutant of one input; pieces of another may get into it.
    fn mutant(&self, random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64 + 1) as usize;
            match random.below(12) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                1 if at < bytes.len() => bytes[at] = random.next() as u8,
                2 => drop(bytes.drain(at..bytes.len().min(at + 1 + random.below(6) as usize))),
                3 | 4 => drop(bytes.splice(at..at, random.pick(self.words).bytes())),
                5 => {
                    let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
                    if !digits.is_empty() {
                        bytes[random.pick(&digits)] = b'0' + random.below(10) as u8;
                    }
                }
                6 => drop(bytes.splice(at..at, piece(random, other))),
                7..=9 => match self.twist {
                    Some(twist) => twist(random, input, &mut bytes),
                    None => drop(bytes.splice(at..at, piece(random, input))),
                },
                10 => {
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
}

fn piece(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let start = random.below(bytes.len() as u64 + 1) as usize;
    let length = random.below(64) as usize;
    bytes[start..bytes.len().min(start + length)].to_vec()
}
