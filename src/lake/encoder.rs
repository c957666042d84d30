//! Parquet encoded beside the reading of the body, on a thread of its own.
//!
//! In: batches of rows, each for one of many objects. Out: their files, not yet closed. A few batches wait at most, so that
//! whoever reads is slowed down to what can be encoded. What becomes of the batches depends on their order alone.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use arrow_array::RecordBatch;
use parquet::errors::ParquetError;

use super::{LakeError, parquet_file::Writer, spool::Spool};
use crate::{
    decode::flatten,
    schema::{Resource, Table, TableRows},
};

/// Batches that wait.
const WAITING_MAX: usize = 4;
/// Encoded bytes that all files together hold in memory before the largest writes its row group.
const MEMORY_BYTES_MAX: usize = 16 << 20;

/// What is to be done, by object: the first is 0, and each is begun before it is written to.
enum Job {
    Begin,
    Write(usize, RecordBatch),
    /// Ends the row group, which frees the memory that it takes up.
    Flush(usize),
}

/// The files of one object: with its rows, and of each table that is encoded beside them.
type Files = Vec<Writer>;

pub(super) struct Encoder {
    jobs: SyncSender<Job>,
    thread: JoinHandle<Result<Vec<Files>, ParquetError>>,
}

impl Encoder {
    /// For rows of this resource, and the `tables` of it that are to be encoded: at least its own, which comes first.
    pub(super) fn start(resource: Resource, tables: Vec<Table>, spool: Spool) -> Result<Self, LakeError> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("encoder".to_owned());
        let thread = thread.spawn(move || encode(&resource, &tables, &spool, waiting));
        Ok(Self { jobs, thread: thread.map_err(|error| LakeError::spool(&error))? })
    }

    /// Begins the next object.
    pub(super) fn begin(&self) {
        self.send(Job::Begin);
    }

    /// Writes rows to an object.
    pub(super) fn write(&self, object: usize, rows: RecordBatch) {
        self.send(Job::Write(object, rows));
    }

    /// Ends the row groups of an object.
    pub(super) fn flush(&self, object: usize) {
        self.send(Job::Flush(object));
    }

    /// A thread that takes no more has failed: which [`finish`](Self::finish) tells.
    fn send(&self, job: Job) {
        drop(self.jobs.send(job));
    }

    /// Waits until everything is written, and gives out the files of each object.
    ///
    /// # Errors
    ///
    /// If something could not be encoded, or the spool not be written.
    pub(super) fn finish(self) -> Result<Vec<Files>, LakeError> {
        drop(self.jobs);
        match self.thread.join() {
            Ok(written) => written.map_err(|error| LakeError::spool(&error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn encode(
    resource: &Resource,
    tables: &[Table],
    spool: &Spool,
    jobs: Receiver<Job>,
) -> Result<Vec<Files>, ParquetError> {
    let mut objects: Vec<Files> = Vec::new();
    for job in jobs {
        match job {
            Job::Begin => {
                let files = tables.iter().map(|table| Writer::new(table.schema.clone(), spool.begin()));
                objects.push(files.collect::<Result<_, _>>()?);
            }
            Job::Write(object, rows) => {
                for (table, file) in tables.iter().zip(&mut objects[object]) {
                    match table.rows {
                        TableRows::Records => file.write(&rows)?,
                        TableRows::Elements(list) => file.write(&flatten(&rows, resource, list, &table.schema)?)?,
                    }
                }
                keep_within_memory(&mut objects)?;
            }
            Job::Flush(object) => objects[object].iter_mut().try_for_each(Writer::flush)?,
        }
    }
    Ok(objects)
}

fn keep_within_memory(objects: &mut [Files]) -> Result<(), ParquetError> {
    let held: usize = objects.iter().flatten().map(Writer::memory_bytes).sum();
    match objects.iter_mut().flatten().max_by_key(|file| file.memory_bytes()) {
        Some(largest) if held > MEMORY_BYTES_MAX => largest.flush(),
        _ => Ok(()),
    }
}
