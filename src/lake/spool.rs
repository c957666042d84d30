//! A nameless file on this machine that holds any number of objects in the making.
//!
//! All drafts of a diff share one file, so that a lake of many small partitions needs one descriptor and not hundreds. What
//! is written to a segment goes to the end of the file whenever enough of it has gathered; a segment is read back in the
//! order in which it was written. The file has no name and vanishes with the process.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

/// Bytes of a segment that are held in memory before they go to the file.
const BUFFER_BYTES: usize = 64 << 10;

/// The shared file.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    file: Arc<File>,
    end: Arc<AtomicU64>,
}

/// An object in the making.
#[derive(Debug)]
pub(super) struct Segment {
    spool: Spool,
    buffer: Vec<u8>,
    extents: Vec<Extent>,
}

/// A finished segment, to be read once from its start or at any place; a clone of one that is unread can be read again.
#[derive(Debug, Clone)]
pub(super) struct Spooled {
    file: Arc<File>,
    extents: std::vec::IntoIter<Extent>,
    current: Extent,
}

/// A part of the file.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    start: u64,
    length: u64,
}

impl Spool {
    /// A new file in this folder.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile_in(folder)?), end: Arc::default() })
    }

    /// Begins an object.
    pub(super) fn begin(&self) -> Segment {
        Segment { spool: self.clone(), buffer: Vec::new(), extents: Vec::new() }
    }
}

impl Segment {
    /// Ends the object.
    pub(super) fn finish(mut self) -> io::Result<Spooled> {
        self.spill()?;
        Ok(Spooled { file: self.spool.file, extents: self.extents.into_iter(), current: Extent::default() })
    }

    fn spill(&mut self) -> io::Result<()> {
        let length = self.buffer.len() as u64;
        let start = self.spool.end.fetch_add(length, Ordering::Relaxed);
        self.spool.file.write_all_at(&self.buffer, start)?;
        match self.extents.last_mut() {
            Some(last) if last.start + last.length == start => last.length += length,
            _ => self.extents.push(Extent { start, length }),
        }
        self.buffer.clear();
        Ok(())
    }
}

impl Write for Segment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.spill()?;
            // Segments may be many: what one has needed is not kept for it.
            self.buffer.shrink_to(BUFFER_BYTES);
        }
        Ok(bytes.len())
    }

    /// Nothing to do: what is buffered is read back too.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooled {
    /// All of a file that is as long as this.
    pub(super) fn of(file: File, length: u64) -> Self {
        Self { file: Arc::new(file), extents: Vec::new().into_iter(), current: Extent { start: 0, length } }
    }
}

impl Spooled {
    fn extents(&self) -> impl Iterator<Item = Extent> {
        std::iter::once(self.current).chain(self.extents.as_slice().iter().copied())
    }

    /// The same without its first bytes.
    pub(super) fn skip(mut self, mut bytes: u64) -> Self {
        while bytes > 0 {
            let skipped = self.current.length.min(bytes);
            self.current.start += skipped;
            self.current.length -= skipped;
            bytes -= skipped;
            if self.current.length == 0 {
                let Some(next) = self.extents.next() else { break };
                self.current = next;
            }
        }
        self
    }
}

impl Length for Spooled {
    fn len(&self) -> u64 {
        self.extents().map(|extent| extent.length).sum()
    }
}

impl ChunkReader for Spooled {
    type T = Self;

    fn get_read(&self, start: u64) -> Result<Self, ParquetError> {
        Ok(self.clone().skip(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.clone().skip(start).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.length == 0 {
            match self.extents.next() {
                Some(next) => self.current = next,
                None => return Ok(0),
            }
        }
        let wanted = buffer.len().min(usize::try_from(self.current.length).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..wanted], self.current.start)?;
        self.current.start += read as u64;
        self.current.length -= read as u64;
        if read == 0 && wanted > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_are_written_in_turns_are_read_back_whole() {
        let spool = Spool::new(&std::env::temp_dir()).unwrap();
        let mut segments: Vec<Segment> = (0..3).map(|_| spool.begin()).collect();
        let mut expected = vec![Vec::new(); 3];
        for round in 0..50_usize {
            let segment = round % 3;
            let bytes = vec![round as u8; round * 997];
            segments[segment].write_all(&bytes).unwrap();
            expected[segment].extend_from_slice(&bytes);
        }
        for (segment, expected) in segments.into_iter().zip(expected) {
            let mut bytes = Vec::new();
            let spooled = segment.finish().unwrap();
            assert_eq!(spooled.len(), expected.len() as u64);
            for start in [0, 1, 65_536, expected.len() / 2, expected.len() - 10] {
                assert_eq!(spooled.get_bytes(start as u64, 10).unwrap(), expected[start..start + 10]);
            }
            assert!(spooled.get_bytes(expected.len() as u64 - 9, 10).is_err());
            spooled.clone().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, expected);
        }
        let mut nothing = Vec::new();
        spool.begin().finish().unwrap().read_to_end(&mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}
