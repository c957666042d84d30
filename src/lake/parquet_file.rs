//! Parquet files in the one profile that DuckDB, Athena, Spark and ClickHouse all read: version 1 pages, zstd,
//! dictionaries, signed integers, microseconds in UTC, decimals as fixed-length bytes.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, Write},
    panic::{self, AssertUnwindSafe},
};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        FOOTER_SIZE,
        metadata::{ColumnChunkMetaData, FileMetaData, FooterTail, KeyValue, ParquetMetaDataReader, RowGroupMetaData},
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        reader::ChunkReader,
    },
    schema::types::ColumnPath,
};
use sha2::{Digest, Sha256};

use super::{
    LakeError,
    spool::{Segment, Spooled},
    watched::{Failure, Watched},
};
use crate::schema::is_partition_column;

/// Bytes of a row group, encoded. It bounds what an open file holds in memory.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;
/// Bytes of a page before compression. An open row group holds one of each column in full, and of the others what is left
/// of them.
const PAGE_BYTES_MAX: usize = 256 << 10;
/// Distinct values up to this many bytes a column are written as a dictionary.
const DICTIONARY_BYTES_MAX: usize = 256 << 10;
/// The fastest: the next two cost half as much time again for files that are a few percent smaller.
const ZSTD_LEVEL: i32 = 1;
/// Bytes read at a time to be hashed.
const HASHED_BYTES: usize = 128 << 10;
/// Rows read at a time.
const READ_ROWS: usize = 4096;

/// A Parquet file that is being written.
pub(super) struct Writer {
    file: ArrowWriter<Hashing>,
}

/// A finished file.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub content: Spooled,
    pub size: u64,
    pub sha256: String,
}

impl Writer {
    pub(super) fn new(schema: SchemaRef, segment: Segment) -> Result<Self, ParquetError> {
        let hashing = Hashing::new(segment);
        let profile = profile(&schema)?;
        Ok(Self { file: ArrowWriter::try_new(hashing, schema, Some(profile))? })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.file.write(batch)
    }

    /// Ends the row group, which frees what it held in memory.
    pub(super) fn flush(&mut self) -> Result<(), ParquetError> {
        self.file.flush()
    }

    /// Bytes held in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.file.memory_size()
    }

    /// Closes the file with one more entry in its footer.
    pub(super) fn close(mut self, key: &str, value: String) -> Result<Written, ParquetError> {
        self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        Ok(self.file.into_inner()?.finish()?)
    }
}

/// One file of the row groups of several with the same columns, which are copied as they are encoded. One more entry stands
/// in its footer.
pub(super) fn join(
    parts: &[Spooled],
    schema: SchemaRef,
    segment: Segment,
    (key, value): (&str, String),
) -> Result<Written, ParquetError> {
    let (mut joined, _) = Writer::new(schema, segment)?.file.into_serialized_writer()?;
    for part in parts {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(part)?;
        for group in metadata.row_groups() {
            let mut copy = joined.next_row_group()?;
            for column in group.columns() {
                copy.append_column(part, as_closed(column, group))?;
            }
            copy.close()?;
        }
    }
    joined.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    Ok(joined.into_inner()?.finish()?)
}

/// What closing the writer of this column came to.
fn as_closed(column: &ColumnChunkMetaData, group: &RowGroupMetaData) -> ColumnCloseResult {
    ColumnCloseResult {
        bytes_written: column.compressed_size().unsigned_abs(),
        rows_written: group.num_rows().unsigned_abs(),
        metadata: column.clone(),
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    }
}

/// A file as it is.
pub(super) fn as_it_is(mut file: File) -> std::io::Result<Written> {
    let sha256 = sha256_of_file(&mut file)?;
    let size = file.metadata()?.len();
    Ok(Written { content: Spooled::of(file, size), size, sha256 })
}

fn profile(schema: &Schema) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("lumetrade-export ", env!("CARGO_PKG_VERSION")).to_owned());
    for (path, leaf) in schema.fields().iter().flat_map(|field| leaves(field, Vec::new())) {
        let column = ColumnPath::new(path);
        if is_distinct(leaf) {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
        }
        if !is_ordered(leaf) {
            properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
        }
    }
    Ok(properties.build())
}

/// The columns of a field as Parquet has them, each with its path: those of a list's elements too.
fn leaves(field: &Field, mut path: Vec<String>) -> Vec<(Vec<String>, &Field)> {
    path.push(field.name().clone());
    match field.data_type() {
        DataType::List(element) => {
            path.push("list".to_owned());
            leaves(element, path)
        }
        DataType::Struct(fields) => fields.iter().flat_map(|field| leaves(field, path.clone())).collect(),
        _ => vec![(path, field)],
    }
}

/// Whether values hardly repeat: identifiers, amounts and times, but for those that are ours and the same all over a commit.
fn is_distinct(leaf: &Field) -> bool {
    let name = leaf.name();
    !name.starts_with('_')
        && match leaf.data_type() {
            DataType::Decimal128(..) | DataType::Timestamp(..) => true,
            DataType::Utf8 => name == "id" || name.ends_with("_id"),
            _ => false,
        }
}

/// Whether the rows of a group may lie in a range of their own, so that readers that look for others can pass it over: times,
/// partitions and what is ours, but neither amounts nor other texts.
fn is_ordered(leaf: &Field) -> bool {
    leaf.name().starts_with('_')
        || is_partition_column(leaf.name())
        || !matches!(leaf.data_type(), DataType::Decimal128(..) | DataType::Utf8)
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Of a whole file, which is left at its start.
pub(super) fn sha256_of_file(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    let sha256 = sha256_of(&mut *file)?;
    file.rewind()?;
    Ok(sha256)
}

/// Of whatever is read.
pub(super) fn sha256_of(mut content: impl Read) -> std::io::Result<String> {
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; HASHED_BYTES];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => sha256.update(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hex::encode(sha256.finalize()))
}

/// Counts and hashes what passes.
pub(super) struct Hashing {
    segment: Segment,
    sha256: Sha256,
    bytes: u64,
}

impl Hashing {
    pub(super) fn new(segment: Segment) -> Self {
        Self { segment, sha256: Sha256::new(), bytes: 0 }
    }

    pub(super) fn finish(self) -> std::io::Result<Written> {
        let sha256 = hex::encode(self.sha256.finalize());
        Ok(Written { content: self.segment.finish()?, size: self.bytes, sha256 })
    }
}

impl Write for Hashing {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.segment.write(buffer)?;
        self.sha256.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.segment.flush()
    }
}

/// The object `key`, opened: its schema and footer are read, its rows are not yet.
pub(super) struct Content<R: ChunkReader + 'static> {
    key: String,
    reader: ParquetRecordBatchReaderBuilder<Watched<R>>,
    failure: Failure,
}

impl<R: ChunkReader + 'static> Content<R> {
    /// # Errors
    ///
    /// [`LakeError::Damaged`] if it is no Parquet file, [`LakeError::Io`] if it cannot be read.
    pub(super) fn open(key: &str, content: R) -> Result<Self, LakeError> {
        let (content, failure) = Watched::new(content);
        let reader = caught(|| ParquetRecordBatchReaderBuilder::try_new(content));
        let reader = reader.map_err(|problem| unreadable(key, problem, &failure))?;
        Ok(Self { key: key.to_owned(), reader: reader.with_batch_size(READ_ROWS), failure })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.reader.schema()
    }

    /// Rows that the footer counts.
    pub(super) fn rows(&self) -> u64 {
        self.reader.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// An entry of the footer.
    pub(super) fn entry(&self, name: &str) -> Option<String> {
        entry(self.reader.metadata().file_metadata(), name)
    }

    /// The rows in order, with all columns or those named.
    pub(super) fn batches(
        self,
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<R>, LakeError> {
        let Self { key, reader, failure } = self;
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let reader = caught(|| reader.with_projection(mask).build());
        let mut reader = Some(reader.map_err(|problem| unreadable(&key, problem, &failure))?);
        Ok(std::iter::from_fn(move || {
            let batches = reader.as_mut()?;
            let batch = caught(|| batches.next().transpose());
            if batch.is_err() {
                // Nothing that follows is to be believed.
                reader = None;
            }
            batch.map_err(|problem| unreadable(&key, problem, &failure)).transpose()
        }))
    }
}

/// The batches of the object `key`, in order, with all columns or those named.
///
/// # Errors
///
/// As [`Content::open`].
pub(super) fn read_batches<R: ChunkReader + 'static>(
    key: &str,
    content: R,
    columns: Option<&[&str]>,
) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<R>, LakeError> {
    Content::open(key, content)?.batches(columns)
}

/// A file that cannot be read is not damaged: that is for its content to show.
fn unreadable(key: &str, problem: String, failure: &Failure) -> LakeError {
    match failure.take() {
        Some(failure) => LakeError::io("read the copy of", key, failure),
        None => LakeError::damaged(key, problem),
    }
}

/// Reads, and says why not if it cannot be done. Some damage the reader does not look for, and panics where it meets it.
fn caught<T, E: ToString>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("contradicts itself".to_owned()),
    }
}

/// Length of the footer with what ends it, from the last bytes of a file; `None` if they do not end one.
pub(super) fn footer_bytes(tail: &Bytes) -> Option<u64> {
    let end = tail.last_chunk::<FOOTER_SIZE>()?;
    Some(FooterTail::try_new(end).ok()?.metadata_length() as u64 + FOOTER_SIZE as u64)
}

/// An entry of the footer of a whole file, or of its last bytes. `Err` if the footer is longer than these, or damaged.
pub(super) fn footer_value(tail: &Bytes, key: &str) -> Result<Option<String>, String> {
    let metadata = caught(|| {
        let mut reader = ParquetMetaDataReader::new();
        // Offsets in the footer are relative to the file, and none of them is followed here.
        reader.try_parse_sized(tail, tail.len() as u64)?;
        reader.finish()
    })?;
    Ok(entry(metadata.file_metadata(), key))
}

fn entry(metadata: &FileMetaData, name: &str) -> Option<String> {
    metadata.key_value_metadata()?.iter().find(|entry| entry.key == name)?.value.clone()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray, cast::AsArray};
    use proptest::prelude::*;

    use super::{super::spool::Spool, *};

    fn file() -> Vec<u8> {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let rows = RecordBatch::try_from_iter([("id", column)]).unwrap();
        let segment = Spool::new(&std::env::temp_dir()).unwrap().begin();
        let mut writer = Writer::new(rows.schema(), segment).unwrap();
        writer.write(&rows).unwrap();
        let mut written = writer.close("key", "value".to_owned()).unwrap();
        let mut bytes = Vec::new();
        written.content.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn joined_files_have_the_row_groups_of_all_as_they_were() {
        let spool = Spool::new(&std::env::temp_dir()).unwrap();
        let rows = |values: Vec<&str>| {
            let column: ArrayRef = Arc::new(StringArray::from(values));
            RecordBatch::try_from_iter([("id", column)]).unwrap()
        };
        let schema = rows(vec![]).schema();
        let parts = [vec![vec!["a", "b"], vec!["c"]], vec![], vec![vec!["d"]]].map(|groups| {
            let mut writer = Writer::new(schema.clone(), spool.begin()).unwrap();
            for group in groups {
                writer.write(&rows(group)).unwrap();
                writer.flush().unwrap();
            }
            writer.close("key", "part".to_owned()).unwrap().content
        });
        let mut joined = join(&parts, schema, spool.begin(), ("key", "joined".to_owned())).unwrap();
        let mut bytes = Vec::new();
        joined.content.read_to_end(&mut bytes).unwrap();
        assert_eq!((joined.size, joined.sha256), (bytes.len() as u64, sha256(&bytes)));
        let content = Content::open("x", Bytes::from(bytes)).unwrap();
        assert_eq!((content.rows(), content.entry("key").as_deref()), (4, Some("joined")));
        assert_eq!(content.reader.metadata().num_row_groups(), 3);
        let batches: Vec<_> = content.batches(None).unwrap().map(|batch| batch.unwrap()).collect();
        let ids: Vec<_> =
            batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_footer_is_read_from_a_files_end() {
        let file = Bytes::from(file());
        assert_eq!(footer_value(&file, "key").unwrap().as_deref(), Some("value"));
        assert_eq!(footer_value(&file, "other").unwrap(), None);
        assert!(footer_value(&file.slice(file.len() - 100..), "key").is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_an_error_and_no_panic(
            places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
            noise in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut damaged = file();
            for (place, byte) in places {
                let place = place.index(damaged.len());
                damaged[place] = byte;
            }
            let cut = Bytes::copy_from_slice(&damaged[cut.index(damaged.len())..]);
            for content in [Bytes::from(damaged), cut, Bytes::from([&noise[..], b"PAR1"].concat())] {
                let _ = footer_value(&content, "key");
                if let Ok(mut batches) = read_batches("x", content, None) {
                    let _ = batches.try_for_each(|batch| batch.map(drop));
                }
            }
        }
    }
}
