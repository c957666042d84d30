//! Inputs of a backfill: files of what the API has once said, as they are found on a disk.
//!
//! In: files that each hold a JSON array, as it is or compressed by gzip or zstd; among them those of the archive, which tell what
//! they are. Out: their bytes, decoded, and the one moment of which all of them tell.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use flate2::bufread::MultiGzDecoder;

use crate::{error::Error, lake::ArchivedPoll, schema::Resource};

/// Bytes that are decoded at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// How files of gzip and of zstd begin (RFC 1952, 2.3.1; RFC 8878, 3.1.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Files that tell of the same moment.
pub(super) struct Inputs {
    /// Of what moment, in microseconds.
    pub observed_at: i64,
    /// The resource, with personal data handled as it was before where that was done.
    pub resource: Resource,
    files: Vec<PathBuf>,
}

impl Inputs {
    /// Looks at the beginning of each file. Where one does not tell its time, it is `observed_at`.
    pub(super) fn open(
        files: &[PathBuf],
        observed_at: Option<DateTime<Utc>>,
        mut resource: Resource,
    ) -> Result<Self, Error> {
        let given = observed_at.map(|time| time.timestamp_micros());
        let mut first: Option<(i64, Option<ArchivedPoll>)> = None;
        for path in files {
            let refuse = |problem: String| Error::Input { path: path.clone(), problem };
            let poll = told(path).map_err(|error| refuse(error.to_string()))?;
            if let Some(poll) = &poll {
                check(poll, &resource).map_err(refuse)?;
            }
            let time = poll.as_ref().map(|poll| poll.observed_at).or(given);
            let time = time.ok_or_else(|| refuse("nothing says of when it is; --observed-at does".to_owned()))?;
            match &first {
                None => first = Some((time, poll)),
                Some((other, _)) if *other != time => {
                    return Err(refuse("is of another time than the others; give one after the other".to_owned()));
                }
                Some((_, other)) => {
                    let treated = |poll: &Option<ArchivedPoll>| poll.as_ref().map(|poll| poll.treated.clone());
                    if treated(other) != treated(&poll) {
                        return Err(refuse("has personal data in another form than the others".to_owned()));
                    }
                }
            }
        }
        let (observed_at, poll) = first.ok_or_else(|| Error::Bug("a backfill of no inputs".to_owned()))?;
        if let Some(poll) = poll {
            poll.take_treatments(&mut resource.columns);
        }
        Ok(Self { observed_at, resource, files: files.to_vec() })
    }

    /// The file that is read last.
    pub(super) fn last(&self) -> &Path {
        self.files.last().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Calls `each` with every file's path, and its content chunk by chunk; at its end with nothing.
    pub(super) fn read(&self, mut each: impl FnMut(&Path, Option<&[u8]>) -> Result<(), Error>) -> Result<(), Error> {
        for path in &self.files {
            let refuse = |error: io::Error| {
                let problem = format!("cannot be read and decoded to its end: {error}");
                Error::Input { path: path.clone(), problem }
            };
            let mut content = content(path).map_err(refuse)?;
            let mut chunk = Vec::new();
            while content.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(refuse)? > 0 {
                each(path, Some(&chunk))?;
                chunk.clear();
            }
            each(path, None)?;
        }
        Ok(())
    }
}

/// Why a file is not taken, where its content is the reason. It is read as an answer of the API is.
pub(super) fn explain(path: &Path, error: Error) -> Error {
    let problem = error.to_string();
    match error {
        Error::Lake(_) | Error::Bug(_) => error,
        _ => {
            let problem = problem.strip_prefix("the API's answer is ").unwrap_or(&problem).to_owned();
            Error::Input { path: path.to_owned(), problem }
        }
    }
}

/// What a file of the archive tells; `None` of any other.
fn told(path: &Path) -> io::Result<Option<ArchivedPoll>> {
    ArchivedPoll::read(&mut BufReader::new(File::open(path)?))
}

fn check(poll: &ArchivedPoll, resource: &Resource) -> Result<(), String> {
    match &poll.refused {
        _ if poll.resource != resource.name => Err(format!("is of {}, not of {}", poll.resource, resource.name)),
        Some(refused) => Err(format!("is of a poll that was refused: {refused}")),
        None => Ok(()),
    }
}

/// What a file holds, decoded.
fn content(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = BufReader::new(File::open(path)?);
    ArchivedPoll::read(&mut file)?;
    let at = file.stream_position()?;
    let mut start = Vec::new();
    file.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(match start {
        start if start.starts_with(&GZIP) => Box::new(MultiGzDecoder::new(file)),
        start if start == ZSTD => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}
