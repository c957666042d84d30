//! A source of bytes that remembers what the disk said.
//!
//! The Parquet reader passes an error of the disk on as a text of its own, in which it looks like damage to the file. What is
//! read through here is told apart: the first failure is kept.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};

/// The source.
pub(super) struct Watched<R> {
    source: R,
    failure: Failure,
}

/// The first failure of a source, if there was one.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

/// A part of the source.
pub(super) struct WatchedRead<T> {
    read: T,
    failure: Failure,
}

impl<R> Watched<R> {
    pub(super) fn new(source: R) -> (Self, Failure) {
        let failure = Failure::default();
        (Self { source, failure: failure.clone() }, failure)
    }
}

impl Failure {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &io::Error) {
        let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(copy);
    }

    fn watch<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(ParquetError::External(source)) = &result
            && let Some(error) = source.downcast_ref::<io::Error>()
        {
            self.note(error);
        }
        result
    }
}

impl<R: Length> Length for Watched<R> {
    fn len(&self) -> u64 {
        self.source.len()
    }
}

impl<R: ChunkReader> ChunkReader for Watched<R> {
    type T = WatchedRead<R::T>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let read = self.failure.watch(self.source.get_read(start))?;
        Ok(WatchedRead { read, failure: self.failure.clone() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.failure.watch(self.source.get_bytes(start, length))
    }
}

impl<T: Read> Read for WatchedRead<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read.read(buffer).inspect_err(|error| {
            // A call that was interrupted is made again.
            if error.kind() != io::ErrorKind::Interrupted {
                self.failure.note(error);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_kept_and_an_interruption_is_none() {
        struct Failing(Vec<io::ErrorKind>);
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
            }
        }
        let failure = Failure::default();
        let failing = Failing(vec![io::ErrorKind::StorageFull, io::ErrorKind::Interrupted]);
        let mut read = WatchedRead { read: failing, failure: failure.clone() };
        assert!(read.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(failure.take().unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(failure.take().is_none());
    }
}
