//! Parquet encoded beside the reading of the body, on a thread of its own.
//!
//! In: batches of rows, each for one of many files. Out: the files, not yet closed. A few batches wait at most, so that
//! whoever reads is slowed down to what can be encoded. What becomes of the batches depends on their order alone.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::errors::ParquetError;

use super::{LakeError, parquet_file::Writer, spool::Spool};

/// Batches that wait.
const WAITING_MAX: usize = 4;
/// Encoded bytes that all files together hold in memory before the largest writes its row group.
const MEMORY_BYTES_MAX: usize = 16 << 20;

/// What is to be done, by file: the first is 0, and each is begun before it is written to.
enum Job {
    Begin,
    Write(usize, RecordBatch),
    /// Ends the row group, which frees the memory that it takes up.
    Flush(usize),
}

pub(super) struct Encoder {
    jobs: SyncSender<Job>,
    thread: JoinHandle<Result<Vec<Writer>, ParquetError>>,
}

impl Encoder {
    /// For files of this schema.
    pub(super) fn start(schema: SchemaRef, spool: Spool) -> Result<Self, LakeError> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("encoder".to_owned()).spawn(move || encode(&schema, &spool, waiting));
        let thread = thread.map_err(|error| LakeError::spool(&error))?;
        Ok(Self { jobs, thread })
    }

    /// Begins the next file.
    pub(super) fn begin(&self) {
        self.send(Job::Begin);
    }

    /// Writes rows to a file.
    pub(super) fn write(&self, file: usize, rows: RecordBatch) {
        self.send(Job::Write(file, rows));
    }

    /// Ends the row group of a file.
    pub(super) fn flush(&self, file: usize) {
        self.send(Job::Flush(file));
    }

    /// A thread that takes no more has failed: which [`finish`](Self::finish) tells.
    fn send(&self, job: Job) {
        drop(self.jobs.send(job));
    }

    /// Waits until everything is written, and gives out the files.
    ///
    /// # Errors
    ///
    /// If something could not be encoded, or the spool not be written.
    pub(super) fn finish(self) -> Result<Vec<Writer>, LakeError> {
        drop(self.jobs);
        match self.thread.join() {
            Ok(written) => written.map_err(|error| LakeError::spool(&error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn encode(schema: &SchemaRef, spool: &Spool, jobs: Receiver<Job>) -> Result<Vec<Writer>, ParquetError> {
    let mut files: Vec<Writer> = Vec::new();
    for job in jobs {
        match job {
            Job::Begin => files.push(Writer::new(schema.clone(), spool.begin())?),
            Job::Write(file, rows) => {
                files[file].write(&rows)?;
                keep_within_memory(&mut files)?;
            }
            Job::Flush(file) => files[file].flush()?,
        }
    }
    Ok(files)
}

fn keep_within_memory(files: &mut [Writer]) -> Result<(), ParquetError> {
    let held: usize = files.iter().map(Writer::memory_bytes).sum();
    match files.iter_mut().max_by_key(|file| file.memory_bytes()) {
        Some(largest) if held > MEMORY_BYTES_MAX => largest.flush(),
        _ => Ok(()),
    }
}
