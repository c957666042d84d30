//! Levels: how Parquet tells which values of a column are null, and which belong to one list.
//!
//! Tables have columns of single values and of lists of records, which lie in no other lists and are never null themselves. So
//! a value has one of at most four definition levels:
//!
//! | | in a list | alone |
//! |---|---|---|
//! | there is a value | 3 | 1 |
//! | it is null | 2 | 0 |
//! | its list is empty | 1 | |
//! | its list is null | 0 | |
//!
//! In a column that is never null a value has the level of what would be null, and alone it needs none.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray};
use arrow_schema::{DataType, Field};
use parquet::errors::ParquetError;

use super::run_length;

/// Where in their records the elements of lists stand.
pub(super) struct Lists {
    /// 0 for the first of a record, and 1 for the others.
    pub repetition: Vec<u8>,
    /// [`Lists::ELEMENT`] for an element: whether a value in it is null is for its column to say.
    pub definition: Vec<u8>,
}

impl Lists {
    pub(super) const ELEMENT: u8 = u8::MAX;
}

/// Values of a column, and the lists that they are the elements of, if they are.
pub(super) type Leaf = (ArrayRef, Option<Arc<Lists>>);

/// The columns of a batch as Parquet has them, in their order: of a list, those of its elements.
pub(super) fn leaves(batch: &RecordBatch) -> Result<Vec<Leaf>, ParquetError> {
    let mut leaves = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        match field.data_type() {
            DataType::List(element) => {
                let (lists, elements) = take_apart(field, element, array)?;
                leaves.extend(elements.into_iter().map(|array| (array, Some(lists.clone()))));
            }
            _ => leaves.push((array.clone(), None)),
        }
    }
    Ok(leaves)
}

fn take_apart(field: &Field, element: &Field, array: &ArrayRef) -> Result<(Arc<Lists>, Vec<ArrayRef>), ParquetError> {
    let refuse = |what| ParquetError::NYI(format!("{} {what}", field.name()));
    let lists = array.as_list::<i32>();
    let records = lists.values().as_struct_opt().ok_or_else(|| refuse("is a list of something else than records"))?;
    if !field.is_nullable() || element.is_nullable() {
        return Err(refuse("is a list that is never null, or of records that may be"));
    }
    let offsets = lists.value_offsets();
    let mut levels = Lists { repetition: Vec::new(), definition: Vec::new() };
    for (row, bounds) in offsets.windows(2).enumerate() {
        levels.repetition.push(0);
        match (lists.is_valid(row), (bounds[1] - bounds[0]) as usize) {
            (false, 0) => levels.definition.push(0),
            (false, _) => return Err(refuse("has a list that is null and has elements")),
            (true, 0) => levels.definition.push(1),
            (true, length) => {
                levels.repetition.extend(std::iter::repeat_n(1, length - 1));
                levels.definition.extend(std::iter::repeat_n(Lists::ELEMENT, length));
            }
        }
    }
    let (first, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
    Ok((Arc::new(levels), records.columns().iter().map(|column| column.slice(first, end - first)).collect()))
}

/// Writes levels up to this one behind what is there, with their length in front of them.
pub(super) fn write(levels: &[u8], max: i16, page: &mut Vec<u8>) {
    if max > 0 {
        let start = page.len();
        page.extend_from_slice(&[0; 4]);
        run_length::write(levels, run_length::bits_of(max as u32), page);
        let length = (page.len() - start - 4) as u32;
        page[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}
