//! One column of one row group while it is written.
//!
//! In: arrays of the few types that a table's columns have. Out: pages of version 1, compressed as soon as they are full, and
//! what the footer says of them. Values that repeat go to a dictionary, as long as that is small, and others are written plain.
//! That takes a third of the time of a writer for all types and encodings that there are.

use arrow_array::{
    Array, StringArray,
    cast::AsArray,
    types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, PageType, Type, ZstdLevel},
    column::{
        page::{CompressedPage, PageWriteSpec, PageWriter},
        writer::ColumnCloseResult,
    },
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, PageEncodingStats},
        statistics::Statistics,
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

use super::{
    dictionary::Dictionary,
    levels::Lists,
    page::{self, OpenPage, ZSTD_LEVEL},
};

/// The column chunk.
pub(super) struct ColumnChunk {
    column: ColumnDescPtr,
    /// Of a column whose values repeat.
    dictionary: Option<Dictionary>,
    /// Whether further values are written as places in it.
    repeats: bool,
    page: OpenPage,
    pages: Vec<CompressedPage>,
    /// Bytes of these pages.
    pages_bytes: usize,
    /// Values, null ones among them.
    values: u64,
    nulls: u64,
    /// The least and the greatest value, where they are numbers.
    range: Option<(i64, i64)>,
}

impl ColumnChunk {
    /// An empty one, of a column whose values are expected to repeat or not. It takes no memory before its first value.
    pub(super) fn new(column: ColumnDescPtr, repeats: bool) -> Self {
        Self {
            column,
            dictionary: repeats.then(Dictionary::default),
            repeats,
            page: OpenPage::default(),
            pages: Vec::new(),
            pages_bytes: 0,
            values: 0,
            nulls: 0,
            range: None,
        }
    }

    /// Bytes held in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.page.memory_bytes() + self.pages_bytes + self.dictionary.as_ref().map_or(0, Dictionary::memory_bytes)
    }

    /// Bytes of the pages that are complete.
    pub(super) fn pages_bytes(&self) -> usize {
        self.pages_bytes
    }

    /// Adds all values of an array: of one a record, or of the elements of these lists.
    pub(super) fn write(&mut self, array: &dyn Array, lists: Option<&Lists>) -> Result<(), ParquetError> {
        let max = self.column.max_def_level() as u8;
        if array.null_count() > 0 && !self.column.self_type().is_optional() {
            return Err(ParquetError::General(format!("{} is null", self.column.path())));
        }
        let count = self.page.write_levels(array, lists, max);
        self.values += count as u64;
        self.nulls += (count - array.len() + array.null_count()) as u64;
        self.write_values(array)?;
        let dictionary_ends = self.repeats && self.dictionary.as_ref().is_some_and(Dictionary::is_full);
        if self.page.is_full() || dictionary_ends {
            self.end_page()?;
        }
        self.repeats &= !dictionary_ends;
        Ok(())
    }

    fn write_values(&mut self, array: &dyn Array) -> Result<(), ParquetError> {
        match array.data_type() {
            DataType::Utf8 => self.write_texts(array.as_string()),
            DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().iter().flatten().for_each(|value| {
                self.write_fixed(value.to_be_bytes());
            }),
            DataType::Int64 => self.write_numbers(array.as_primitive::<Int64Type>().iter()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.write_numbers(array.as_primitive::<TimestampMicrosecondType>().iter())
            }
            DataType::Date32 => array.as_primitive::<Date32Type>().iter().flatten().for_each(|days| {
                self.note(days.into());
                self.write_fixed(days.to_le_bytes());
            }),
            DataType::Boolean => array.as_boolean().iter().flatten().for_each(|value| {
                self.note(value.into());
                self.page.plain.push(value.into());
            }),
            other => return Err(ParquetError::NYI(format!("no column has the type {other}"))),
        }
        Ok(())
    }

    fn write_texts(&mut self, texts: &StringArray) {
        let data = texts.value_data();
        for (at, bounds) in texts.value_offsets().windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            match &mut self.dictionary {
                _ if texts.is_null(at) => {}
                Some(dictionary) if self.repeats => self.page.places.push(dictionary.place_of_text(data, start..end)),
                _ => {
                    self.page.plain.extend_from_slice(&((end - start) as u32).to_le_bytes());
                    self.page.plain.extend_from_slice(&data[start..end]);
                }
            }
        }
    }

    fn write_numbers(&mut self, values: impl Iterator<Item = Option<i64>>) {
        for value in values.flatten() {
            self.note(value);
            self.write_fixed(value.to_le_bytes());
        }
    }

    #[inline]
    fn note(&mut self, value: i64) {
        let (least, greatest) = self.range.unwrap_or((value, value));
        self.range = Some((least.min(value), greatest.max(value)));
    }

    #[inline]
    fn write_fixed<const N: usize>(&mut self, value: [u8; N]) {
        match &mut self.dictionary {
            Some(dictionary) if self.repeats => self.page.places.push(dictionary.place_of(&[], &value)),
            _ => self.page.plain.extend_from_slice(&value),
        }
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let page = self.page.end(&self.column, self.dictionary.as_ref())?;
        page.into_iter().for_each(|page| self.keep(page));
        Ok(())
    }

    fn keep(&mut self, page: CompressedPage) {
        self.pages_bytes += page.compressed_size();
        self.pages.push(page);
    }

    /// Gives out all pages as they follow each other in a file, and what its footer says of them.
    pub(super) fn finish(mut self, rows: u64) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        self.end_page()?;
        let statistics = self.statistics();
        if let Some(dictionary) = self.dictionary.take().filter(|dictionary| dictionary.count() > 0) {
            self.keep(page::of_dictionary(&dictionary)?);
            // It is complete last, and read first.
            self.pages.rotate_right(1);
        }
        let mut chunk = TrackedWrite::new(Vec::with_capacity(self.pages_bytes));
        let mut writer = SerializedPageWriter::new(&mut chunk);
        let mut specs = Vec::with_capacity(self.pages.len());
        for page in self.pages {
            let encoding = page.encoding();
            specs.push((encoding, writer.write_page(page)?));
        }
        let chunk = Bytes::from(chunk.into_inner()?);
        let offset_of = |wanted| {
            let page = specs.iter().find(|(_, spec)| spec.page_type == wanted);
            page.map(|(_, spec)| spec.offset as i64)
        };
        let pages = [
            (PageType::DICTIONARY_PAGE, Encoding::PLAIN),
            (PageType::DATA_PAGE, Encoding::RLE_DICTIONARY),
            (PageType::DATA_PAGE, Encoding::PLAIN),
        ];
        let pages = pages.map(|(page_type, encoding)| {
            let is_one = |(of, spec): &&(Encoding, PageWriteSpec)| (spec.page_type, *of) == (page_type, encoding);
            PageEncodingStats { page_type, encoding, count: specs.iter().filter(is_one).count() as i32 }
        });
        let pages: Vec<_> = pages.into_iter().filter(|pages| pages.count > 0).collect();
        let encodings = pages.iter().map(|pages| pages.encoding).chain([Encoding::RLE]).collect();
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings(encodings)
            .set_page_encoding_stats(pages)
            .set_num_values(self.values as i64)
            .set_total_compressed_size(chunk.len() as i64)
            .set_total_uncompressed_size(specs.iter().map(|(_, spec)| spec.uncompressed_size as i64).sum())
            .set_dictionary_page_offset(offset_of(PageType::DICTIONARY_PAGE))
            .set_data_page_offset(offset_of(PageType::DATA_PAGE).unwrap_or_default())
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: chunk.len() as u64,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((chunk, close))
    }

    /// By which readers that look for other values can pass the rows over. Of texts only a dictionary tells.
    fn statistics(&self) -> Statistics {
        let nulls = Some(self.nulls);
        let (least, greatest) = self.range.unzip();
        match self.column.physical_type() {
            Type::BOOLEAN => {
                let truth = |number: Option<i64>| number.map(|number| number != 0);
                Statistics::boolean(truth(least), truth(greatest), None, nulls, false)
            }
            Type::INT32 => {
                let days = |number: Option<i64>| number.map(|number| number as i32);
                Statistics::int32(days(least), days(greatest), None, nulls, false)
            }
            Type::INT64 => Statistics::int64(least, greatest, None, nulls, false),
            Type::BYTE_ARRAY => {
                let range = self.dictionary.as_ref().filter(|_| self.repeats).and_then(Dictionary::range);
                let (least, greatest) = range.unzip();
                Statistics::byte_array(least, greatest, None, nulls, false)
            }
            _ => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
        }
    }
}
