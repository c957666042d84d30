//! The stages of a poll, each alone, in bytes of JSON a second: `cargo bench --bench stages [FILTER]`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use lumetrade_export::{
    decode::{Columns, Decoder, Operation, Seed, Stamp, Zone},
    record::{ElementId, Elements, MalformedBody, RecordSlice, Splitter},
    sandbox,
    schema::{Resource, Schemas},
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Transactions in the sandbox: some megabytes of each list.
const RECORDS: u64 = 20_000;
/// Rows of a batch.
const BATCH_ROWS: usize = 1024;
const SEED: Seed = Seed(7);

/// A resource's list as the API serves it.
fn body(resource: sandbox::Resource) -> Vec<Vec<u8>> {
    let options = sandbox::Options { records: RECORDS, ..sandbox::Options::default() };
    let world = sandbox::World::new(&options).unwrap();
    let snapshot = std::sync::Arc::new(sandbox::Snapshot::new(world.into(), sandbox::World::start()));
    snapshot.list(resource, sandbox::Style::default()).map(Vec::from).collect()
}

fn elements(chunks: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    let mut splitter = Splitter::new(SEED.0);
    for chunk in chunks {
        let pushed: Result<(), MalformedBody> = splitter.push(chunk, |slice| {
            elements.push(slice.text.to_vec());
            Ok(())
        });
        pushed.unwrap();
    }
    elements
}

/// Expects these, as a quiet poll does.
struct Expecting<'e>(std::slice::Iter<'e, ElementId>);

impl Elements for Expecting<'_> {
    type Error = MalformedBody;

    fn expected(&mut self) -> Result<ElementId, MalformedBody> {
        Ok(self.0.next().copied().unwrap_or_default())
    }

    fn take(&mut self, slice: RecordSlice<'_>) -> Result<(), MalformedBody> {
        black_box(slice);
        Ok(())
    }
}

fn group<'c>(criterion: &'c mut Criterion, name: &str, bytes: usize) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes as u64));
    group
}

fn receiving(criterion: &mut Criterion) {
    let chunks = body(sandbox::Resource::Trades);
    let bytes = chunks.iter().map(Vec::len).sum();
    let elements = elements(&chunks);
    group(criterion, "split", bytes).bench_function("trades", |bencher| {
        bencher.iter(|| {
            let mut splitter = Splitter::new(SEED.0);
            for chunk in &chunks {
                let pushed: Result<(), MalformedBody> = splitter.push(chunk, |slice| {
                    black_box(slice);
                    Ok(())
                });
                pushed.unwrap();
            }
            splitter.finish().unwrap()
        });
    });
    let mut known = Vec::new();
    let mut splitter = Splitter::new(SEED.0);
    for chunk in &chunks {
        let pushed: Result<(), MalformedBody> = splitter.push(chunk, |slice| {
            known.push(slice.element);
            Ok(())
        });
        pushed.unwrap();
    }
    group(criterion, "split as expected", bytes).bench_function("trades", |bencher| {
        bencher.iter(|| {
            let (mut splitter, mut expecting) = (Splitter::new(SEED.0), Expecting(known.iter()));
            chunks.iter().try_for_each(|chunk| splitter.push_to(chunk, &mut expecting)).unwrap();
            splitter.finish().unwrap()
        });
    });
    group(criterion, "hash", bytes).bench_function("trades", |bencher| {
        bencher.iter(|| elements.iter().fold(0, |sum, element| sum ^ xxh3_64_with_seed(element, SEED.0)));
    });
}

/// Every resource that is polled for money, and a column of each type alone.
fn decoding(criterion: &mut Criterion) {
    let schemas = Schemas::builtin().unwrap();
    let resources = [
        ("trades", sandbox::Resource::Trades),
        ("deposits", sandbox::Resource::Deposits),
        ("withdrawals", sandbox::Resource::Withdrawals),
    ];
    for (name, resource) in resources {
        let elements = elements(&body(resource));
        rows(criterion, schemas.get(name).unwrap(), name, &elements);
    }
    let types = [
        ("string", r#""fromCurrency":"EUR""#),
        ("decimal", r#""rate":417246.75768000"#),
        ("timestamp", r#""createdAt":"2024-05-15T00:00:58.900113Z""#),
        ("boolean", r#""isRfq":true"#),
        ("list", r#""fills":[{"status":"COMPLETED"},{"status":"COMPLETED"}]"#),
    ];
    for (name, member) in types {
        let element = format!(r#"{{"transactionId":"t",{member}}}"#).into_bytes();
        rows(criterion, schemas.get("trades").unwrap(), name, &vec![element; BATCH_ROWS]);
    }
}

fn rows(criterion: &mut Criterion, resource: &Resource, name: &str, elements: &[Vec<u8>]) {
    let bytes = elements.iter().map(Vec::len).sum();
    let mut decoder = Decoder::new(resource, Zone::UTC);
    group(criterion, "decode", bytes).bench_function(name, |bencher| {
        bencher.iter(|| elements.iter().for_each(|element| drop(black_box(decoder.decode(element)))));
    });
    let rows: Vec<_> = elements.iter().map(|element| decoder.decode(element).unwrap()).collect();
    group(criterion, "digest", bytes).bench_function(name, |bencher| {
        bencher.iter(|| rows.iter().fold(0, |sum, row| sum ^ row.digest(resource, SEED)));
    });
    let stamp = Stamp { seq: 1, operation: Operation::Added, observed_at: 0, first_seen_at: 0, poll_id: "poll" };
    group(criterion, "columns", bytes).bench_function(name, |bencher| {
        let mut columns = Columns::new(resource);
        bencher.iter(|| {
            for batch in rows.chunks(BATCH_ROWS) {
                batch.iter().for_each(|row| columns.append(row, stamp));
                black_box(columns.finish().unwrap());
            }
        });
    });
}

criterion_group!(stages, receiving, decoding);
criterion_main!(stages);
