//! A page while it is filled, and its compression.

use std::{cell::RefCell, io};

use arrow_array::Array;
use bytes::Bytes;
use parquet::{
    basic::{Encoding, Type},
    column::page::{CompressedPage, Page},
    schema::types::ColumnDescriptor,
};
use zstd::bulk::Compressor;

use super::{
    dictionary::Dictionary,
    levels::{self, Lists},
    run_length,
};

/// Bytes of a page before compression. An open column chunk holds one in full.
const BYTES_MAX: usize = 256 << 10;
/// Values of a page, those that are null among them.
const VALUES_MAX: usize = 32 << 10;
/// Memory that a press keeps for further pages, which are mostly no larger.
const KEPT_BYTES: usize = 2 * BYTES_MAX;
/// The fastest: the next two cost half as much time again for files that are a few percent smaller.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Values that are not a page yet.
#[derive(Default)]
pub(super) struct OpenPage {
    repetition: Vec<u8>,
    definition: Vec<u8>,
    count: usize,
    /// Values that are not null: their bytes, or truth values as one each.
    pub plain: Vec<u8>,
    /// The same as places in a dictionary.
    pub places: Vec<u32>,
}

impl OpenPage {
    /// Bytes held in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let Self { repetition, definition, plain, places, .. } = self;
        repetition.capacity() + definition.capacity() + plain.capacity() + 4 * places.capacity()
    }

    pub(super) fn is_full(&self) -> bool {
        self.plain.len() >= BYTES_MAX || self.count >= VALUES_MAX
    }

    /// Adds the levels of an array, and says how many they are.
    pub(super) fn write_levels(&mut self, array: &dyn Array, lists: Option<&Lists>, max: u8) -> usize {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let mut own = nulls.into_iter().flatten().map(|is_valid| max - u8::from(!is_valid));
        let count = match (lists, nulls) {
            (None, None) if max == 0 => array.len(),
            (None, None) => {
                self.definition.resize(self.definition.len() + array.len(), max);
                array.len()
            }
            (None, Some(_)) => {
                self.definition.extend(own);
                array.len()
            }
            (Some(lists), _) => {
                self.repetition.extend_from_slice(&lists.repetition);
                let levels = lists.definition.iter().copied();
                match nulls {
                    None => {
                        self.definition.extend(levels.map(|level| if level == Lists::ELEMENT { max } else { level }))
                    }
                    Some(_) => self.definition.extend(levels.map(|level| match level {
                        Lists::ELEMENT => own.next().unwrap_or(max),
                        level => level,
                    })),
                }
                lists.definition.len()
            }
        };
        self.count += count;
        count
    }

    /// Makes it a page, and empties it; `None` if it is empty. Places are those of this dictionary.
    pub(super) fn end(
        &mut self,
        column: &ColumnDescriptor,
        dictionary: Option<&Dictionary>,
    ) -> io::Result<Option<CompressedPage>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut encoding = Encoding::PLAIN;
        let (size, buf) = compressed(|page| {
            levels::write(&self.repetition, column.max_rep_level(), page);
            levels::write(&self.definition, column.max_def_level(), page);
            match dictionary {
                Some(dictionary) if !self.places.is_empty() => {
                    encoding = Encoding::RLE_DICTIONARY;
                    let bits = run_length::bits_of(dictionary.count() - 1);
                    page.push(bits as u8);
                    run_length::write(&self.places, bits, page);
                }
                _ if column.physical_type() == Type::BOOLEAN => {
                    let bytes = self.plain.chunks(8);
                    page.extend(bytes.map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit)));
                }
                _ => page.extend_from_slice(&self.plain),
            }
        })?;
        let page = Page::DataPage {
            buf,
            num_values: self.count as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        [&mut self.repetition, &mut self.definition, &mut self.plain].into_iter().for_each(Vec::clear);
        self.places.clear();
        self.count = 0;
        Ok(Some(CompressedPage::new(page, size)))
    }
}

/// The page of a dictionary.
pub(super) fn of_dictionary(dictionary: &Dictionary) -> io::Result<CompressedPage> {
    let (size, buf) = compressed(|page| page.extend_from_slice(dictionary.bytes()))?;
    let num_values = dictionary.count();
    let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
    Ok(CompressedPage::new(page, size))
}

/// Compresses pages.
struct Press {
    compressor: Compressor<'static>,
    page: Vec<u8>,
    compressed: Vec<u8>,
}

thread_local! {
    /// One for all files of a thread: it takes up more memory than a page, and keeps nothing of one for the next.
    static PRESS: RefCell<Option<Press>> = const { RefCell::new(None) };
}

/// What is written, compressed, and its size before that.
fn compressed(write: impl FnOnce(&mut Vec<u8>)) -> io::Result<(usize, Bytes)> {
    PRESS.with_borrow_mut(|press| {
        let Press { compressor, page, compressed } = match press {
            Some(press) => press,
            None => {
                let compressor = Compressor::new(ZSTD_LEVEL)?;
                press.insert(Press { compressor, page: Vec::new(), compressed: Vec::new() })
            }
        };
        page.clear();
        write(page);
        compressed.clear();
        compressed.reserve(zstd::zstd_safe::compress_bound(page.len()));
        compressor.compress_to_buffer(page, compressed)?;
        let (size, pressed) = (page.len(), Bytes::copy_from_slice(compressed));
        [page, compressed].into_iter().for_each(|buffer| buffer.shrink_to(KEPT_BYTES));
        Ok((size, pressed))
    })
}
