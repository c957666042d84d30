//! Many versions of many records, folded to the last one of each.
//!
//! In: objects that hold rows of one partition, oldest first. Out: for each record its last version. Two passes over the
//! commits: the first finds where each last version is, reading keys alone; the second reads those rows. Of what is beneath
//! them, which has each record once, everything stands that they do not replace. What is held in memory is a few bytes a
//! record of the commits, never rows.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    path::Path,
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, StructArray, UInt32Array, cast::AsArray, new_null_array, types::Int64Type,
};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use arrow_select::take::take_record_batch;

use super::{Head, Lake, LakeError, commits::commits_of, layout::Layout, parquet_file};
use crate::{
    decode::{Operation, Seed, key_hash},
    schema::{EventPartition, Resource},
};

/// Objects with the place of each record's last version among them.
pub(super) struct Fold<'a> {
    lake: &'a Lake,
    resource: &'a Resource,
    spool: &'a Path,
    base: Vec<Input>,
    commits: Vec<Input>,
    last: HashMap<u128, Place>,
}

/// An object that is folded. It can be read again as it was; a few are kept.
pub(super) struct Input {
    pub key: String,
    pub kept: Option<File>,
}

/// Objects that are fetched before they are read, and commits that are kept as files between the passes.
const KEPT_MAX: usize = 16;

/// Where a version is.
#[derive(Debug, Clone, Copy)]
struct Place {
    seq: i64,
    commit: usize,
    row: usize,
    removed: bool,
}

impl<'a> Fold<'a> {
    /// Folds these commits over `base`: objects that have each record at most once, such as what earlier commits came to. With
    /// `wanted`, only records whose key hash is in it are looked at.
    pub(super) async fn of(
        lake: &'a Lake,
        resource: &'a Resource,
        spool: &'a Path,
        mut base: Vec<Input>,
        commits: Vec<String>,
        wanted: Option<&HashSet<u128>>,
    ) -> Result<Self, LakeError> {
        for input in base.iter_mut().take(KEPT_MAX).filter(|input| input.kept.is_none()) {
            input.kept = Some(lake.store.fetch(&input.key, spool).await?);
        }
        let mut fold = Self { lake, resource, spool, base, commits: Vec::new(), last: HashMap::new() };
        for key in commits {
            let file = lake.store.fetch(&key, spool).await?;
            let kept = if fold.commits.len() < KEPT_MAX { Some(again(&key, &file)?) } else { None };
            fold.locate(&key, file, wanted)?;
            fold.commits.push(Input { key, kept });
        }
        Ok(fold)
    }

    /// Calls `each` with batches of last versions, of the records that have not gone.
    pub(super) async fn present_rows(
        self,
        mut each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let stands = |_, batch: &RecordBatch, row| self.key(batch, row).is_none_or(|key| !self.last.contains_key(&key));
        for input in &self.base {
            self.read(&input.key, self.open(input).await?, stands, &mut each)?;
        }
        let needed: HashSet<usize> =
            self.last.values().filter(|place| !place.removed).map(|place| place.commit).collect();
        for (commit, input) in self.commits.iter().enumerate().filter(|(commit, _)| needed.contains(commit)) {
            let is_last = |at: usize, batch: &RecordBatch, row| {
                let place = self.key(batch, row).and_then(|key| self.last.get(&key));
                place.is_some_and(|place| !place.removed && (place.commit, place.row) == (commit, at))
            };
            self.read(&input.key, self.open(input).await?, is_last, &mut each)?;
        }
        Ok(())
    }

    async fn open(&self, Input { key, kept }: &Input) -> Result<File, LakeError> {
        match kept {
            Some(file) => again(key, file),
            None => self.lake.store.fetch(key, self.spool).await,
        }
    }

    /// Reads the rows of an object that are `chosen`, by their number in the object and in their batch.
    fn read(
        &self,
        key: &str,
        file: File,
        chosen: impl Fn(usize, &RecordBatch, usize) -> bool,
        each: &mut impl FnMut(RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let schema = self.resource.arrow_schema();
        let mut first_row = 0;
        for batch in parquet_file::read_batches(key, file, None)? {
            let batch = batch?;
            let rows = (0..batch.num_rows()).filter(|row| chosen(first_row + row, &batch, *row));
            let rows: Vec<u32> = rows.map(|row| row as u32).collect();
            first_row += batch.num_rows();
            let rows = match rows.len() {
                0 => continue,
                count if count == batch.num_rows() => batch,
                _ => take_record_batch(&batch, &UInt32Array::from(rows))
                    .map_err(|error| LakeError::damaged(key, error.to_string()))?,
            };
            each(conform(&rows, &schema, self.resource)?)?;
        }
        Ok(())
    }

    fn key(&self, batch: &RecordBatch, row: usize) -> Option<u128> {
        row_key(batch, row, self.resource, self.lake.seed)
    }

    /// Notes where the last versions are in the next commit.
    fn locate(&mut self, key: &str, file: File, wanted: Option<&HashSet<u128>>) -> Result<(), LakeError> {
        let names = self.resource.key.iter().map(|&key| self.resource.columns[key].name.as_str());
        let columns: Vec<&str> = names.chain(["_seq", "_op"]).collect();
        let commit = self.commits.len();
        let mut first_row = 0;
        for batch in parquet_file::read_batches(key, file, Some(&columns))? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let hash = row_key(&batch, row, self.resource, self.lake.seed)
                    .ok_or_else(|| LakeError::damaged(key, "holds a row without a key"))?;
                if wanted.is_none_or(|wanted| wanted.contains(&hash)) {
                    let version =
                        version(&batch, row).ok_or_else(|| LakeError::damaged(key, "lacks `_seq` or `_op`"))?;
                    self.offer(
                        hash,
                        Place { seq: version.seq, commit, row: first_row + row, removed: version.removed },
                    );
                }
            }
            first_row += batch.num_rows();
        }
        Ok(())
    }

    fn offer(&mut self, key: u128, place: Place) {
        let last = self.last.entry(key).or_insert(place);
        if place.seq >= last.seq {
            *last = place;
        }
    }
}

fn again(key: &str, file: &File) -> Result<File, LakeError> {
    file.try_clone().map_err(|source| LakeError::io("read the copy of", key, source))
}

/// Calls `each` with the last versions as of `head` of the records whose key hash is in `wanted`, in batches, from the truth of
/// these partitions. What another writer has committed since is not looked at. What the listings of the partitions lack is not
/// missed here: what is given out is to be held to what is known of the records.
///
/// # Errors
///
/// If an object cannot be read, or is not what a commit is, and with what `each` fails with.
pub async fn last_rows(
    lake: &Lake,
    resource: &Resource,
    head: &Head,
    spool: &Path,
    partitions: &HashSet<EventPartition>,
    wanted: &HashSet<u128>,
    each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let layout = Layout::new(resource, lake.identity.granularity);
    let mut commits = Vec::new();
    for partition in partitions {
        commits.extend(commits_of(lake, &layout, *partition, head.seq).await?);
    }
    commits.sort();
    let commits = commits.into_iter().map(|(_, key)| key).collect();
    Fold::of(lake, resource, spool, Vec::new(), commits, Some(wanted)).await?.present_rows(each).await
}

/// A row's `_seq`, and whether it says that its record has gone.
pub(super) struct Version {
    pub seq: i64,
    pub removed: bool,
}

pub(super) fn version(batch: &RecordBatch, row: usize) -> Option<Version> {
    let seq = batch.column_by_name("_seq")?.as_primitive_opt::<Int64Type>()?.value(row);
    let operation = batch.column_by_name("_op")?.as_string_opt::<i32>()?.value(row);
    Some(Version { seq, removed: operation == Operation::Removed.name() })
}

/// Hash of the key of a stored row; `None` if it has none.
pub(super) fn row_key(batch: &RecordBatch, row: usize, resource: &Resource, seed: Seed) -> Option<u128> {
    resource.key.iter().find_map(|&column| {
        let texts = batch.column_by_name(&resource.columns[column].name)?.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| key_hash(seed, (column, texts.value(row))))
    })
}

/// A stored batch in the form of the schema as it is: a column that was declared later is null.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef, resource: &Resource) -> Result<RecordBatch, LakeError> {
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(array) => conform_array(array, field, resource),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| mismatch(resource, &error))
}

fn conform_array(array: &ArrayRef, field: &FieldRef, resource: &Resource) -> Result<ArrayRef, LakeError> {
    match (array.data_type(), field.data_type()) {
        (found, declared) if found == declared => Ok(array.clone()),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = conform_array(list.values(), element, resource)?;
            ListArray::try_new(element.clone(), list.offsets().clone(), values, list.nulls().cloned())
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(|error| mismatch(resource, &error))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let rows = array.as_struct();
            let columns = fields.iter().map(|field| match rows.column_by_name(field.name()) {
                Some(column) => conform_array(column, field, resource),
                None => Ok(new_null_array(field.data_type(), rows.len())),
            });
            StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, rows.nulls().cloned())
                .map(|rows| Arc::new(rows) as ArrayRef)
                .map_err(|error| mismatch(resource, &error))
        }
        (found, declared) => Err(LakeError::Incompatible {
            table: resource.name.clone(),
            column: field.name().clone(),
            found: found.to_string(),
            declared: declared.to_string(),
        }),
    }
}

fn mismatch(resource: &Resource, error: &ArrowError) -> LakeError {
    LakeError::damaged(&format!("changes/{}", resource.name), error.to_string())
}
