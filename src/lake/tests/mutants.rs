//! What the lake reads of its own, from any bytes: claims, commits, and the cache of what is known.
//!
//! The law: whatever the bytes, reading them ends, with an error or with what another reading of them says too; and nothing
//! that is taken for a claim of a number names anything but commits of that number and those behind it.

use std::io::{Seek, Write};

use bytes::Bytes;

use super::super::{claim::Claim, commits::commit_of, footer::COMMIT_KEY, layout::Layout, parquet_file, state};
use crate::{
    schema::{Granularity, Schemas},
    tests::fuzz::Target,
};

const WORDS: [&str; 18] = [
    "PAR1",
    "\0\0\0\0",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"seq\":",
    "18446744073709551615",
    "-1",
    "\"objects\":[]",
    "\"key\":\"changes/deposits/event_month=2026-11/00000000000000000002.parquet\"",
    "../",
    "lumetrade.commit",
    "\"format\":2",
    "\"cursor\":null",
    "\n",
];

#[test]
fn the_mutants_of_the_corpus_are_what_they_were_or_damage() {
    let schemas = Schemas::builtin().unwrap();
    let layout = Layout::new(schemas.get("deposits").unwrap(), Granularity::Month);
    Target { name: "lake", words: &WORDS, twist: None }
        .run(|input| (claim(input, &layout), commit(input), known(input)));
}

/// Objects of a claim, if it is one.
fn claim(input: &[u8], layout: &Layout) -> Option<(usize, bool)> {
    let claim = Claim::parse("x", input).ok()?;
    assert!(!claim.objects.is_empty() && claim.last() >= claim.seq && claim.next() >= claim.last());
    assert_eq!(Claim::parse("x", &claim.to_bytes().unwrap()).unwrap(), claim);
    let is_of = claim.is_of(layout, claim.seq);
    if is_of {
        for (number, object) in claim.numbered() {
            let (partition, _) = layout.parse_commit(&object.key).unwrap();
            assert_eq!(object.key, layout.commit(partition, number));
        }
    }
    Some((claim.objects.len().min(3), is_of))
}

/// Whether the footer can be read, whether it names a commit, and whether all rows can be read.
fn commit(input: &[u8]) -> [bool; 3] {
    let content = Bytes::copy_from_slice(input);
    let entry = parquet_file::footer_value(&content, COMMIT_KEY);
    let commit = entry.as_ref().ok().and_then(|entry| commit_of("x", entry.as_deref()).ok());
    if let Some(commit) = &commit {
        let text = serde_json::to_string(commit).unwrap();
        assert_eq!(&commit_of("x", Some(&text)).unwrap(), commit);
    }
    let rows = parquet_file::read_batches("x", content, None)
        .and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop)));
    [entry.is_ok(), commit.is_some(), rows.is_ok()]
}

/// Records of a cache, if it is whole.
fn known(input: &[u8]) -> Option<u64> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    let (_, known) = state::read(file)?;
    let records = known.records().map(|record| record.unwrap());
    assert_eq!(records.filter(|record| !record.removed).count() as u64, known.present());
    Some(known.count().min(3))
}
