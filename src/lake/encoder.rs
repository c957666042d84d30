//! Parquet encoded beside the reading of the rows, on a thread of its own.
//!
//! In: batches of rows, each for one of many objects. Out: their files, not yet closed. A few batches wait at most, so that
//! whoever reads is slowed down to what can be encoded. What becomes of the batches depends on their order alone.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::{
        LazyLock, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use arrow_array::RecordBatch;
use parquet::errors::ParquetError;
use tokio::runtime::{self, Runtime};

use super::{LakeError, parquet_file::Writer, spool::Spool, table_files::TableFiles};
use crate::schema::{Resource, Table};

/// Batches that wait.
const WAITING_MAX: usize = 4;
/// Encoded bytes that all files together hold in memory before the largest writes its row group.
const MEMORY_BYTES_MAX: usize = 12 << 20;
/// Jobs after which an object that none of them wrote to ends its row groups.
const IDLE_JOBS_MAX: usize = 64;

/// What is to be done, by object: the first is 0, and each is begun before it is written to.
enum Job {
    Begin,
    Write(usize, RecordBatch),
    /// Ends the row group, which frees the memory that it takes up.
    Flush(usize),
}

/// The files of one object: with its rows, and of each table that is encoded beside them.
type Files = Vec<Writer>;

/// What a thread comes to: the files of each object, or why they are not there, or its panic.
type Encoded = thread::Result<Result<Vec<Files>, ParquetError>>;

/// The threads of all encoders. One that has ended its work waits for the next encoder, which so finds the memory that this one
/// has used; a thread that is begun anew would take more.
static THREADS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    runtime::Builder::new_current_thread().thread_name("encoder").thread_keep_alive(Duration::MAX).build()
});

pub(super) struct Encoder {
    jobs: SyncSender<Job>,
    /// Received from once: behind a lock for those who hold an encoder across threads.
    encoded: Mutex<Receiver<Encoded>>,
}

impl Encoder {
    /// For rows of this resource, and the `tables` of it that are to be encoded: at least its own, which comes first.
    pub(super) fn start(resource: Resource, tables: Vec<Table>, spool: Spool) -> Result<Self, LakeError> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let (done, encoded) = mpsc::channel();
        let threads = THREADS.as_ref().map_err(|error| LakeError::spool(error))?;
        threads.spawn_blocking(move || {
            let encode = || encode(&resource, &tables, &spool, waiting);
            done.send(panic::catch_unwind(AssertUnwindSafe(encode)))
        });
        Ok(Self { jobs, encoded: Mutex::new(encoded) })
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
        let encoded = self.encoded.into_inner().unwrap_or_else(PoisonError::into_inner);
        match encoded.recv() {
            Ok(Ok(written)) => written.map_err(|error| LakeError::spool(&error)),
            Ok(Err(panic)) => panic::resume_unwind(panic),
            Err(gone) => Err(LakeError::spool(&gone)),
        }
    }
}

fn encode(
    resource: &Resource,
    tables: &[Table],
    spool: &Spool,
    jobs: Receiver<Job>,
) -> Result<Vec<Files>, ParquetError> {
    let mut objects: Vec<Object<'_>> = Vec::new();
    for (now, job) in jobs.into_iter().enumerate() {
        match job {
            Job::Begin => {
                let files = TableFiles::begin(resource, tables, spool)?;
                objects.push(Object { files, memory_bytes: 0, written_at: now });
            }
            Job::Write(object, rows) => {
                let object = &mut objects[object];
                object.files.write(&rows)?;
                object.written_at = now;
                object.memory_bytes = object.files.memory_bytes();
                keep_within_memory(&mut objects, now)?;
            }
            Job::Flush(object) => objects[object].flush()?,
        }
    }
    Ok(objects.into_iter().map(|object| object.files.into_files()).collect())
}

/// An object that is being encoded.
struct Object<'t> {
    files: TableFiles<'t>,
    /// Held for its open row groups.
    memory_bytes: usize,
    /// Number of the job that last wrote to it.
    written_at: usize,
}

impl Object<'_> {
    fn flush(&mut self) -> Result<(), ParquetError> {
        self.memory_bytes = 0;
        self.files.flush()
    }
}

/// Ends the row groups of the object that holds most, once all hold too much, and of those that nothing has come for in a
/// long time: a compressor for each column, which is not counted, is kept as long as a row group is open.
fn keep_within_memory(objects: &mut [Object<'_>], now: usize) -> Result<(), ParquetError> {
    let is_idle = |object: &&mut Object<'_>| object.memory_bytes > 0 && now - object.written_at > IDLE_JOBS_MAX;
    objects.iter_mut().filter(is_idle).try_for_each(Object::flush)?;
    let held: usize = objects.iter().map(|object| object.memory_bytes).sum();
    match objects.iter_mut().max_by_key(|object| object.memory_bytes) {
        Some(largest) if held > MEMORY_BYTES_MAX => largest.flush(),
        _ => Ok(()),
    }
}
