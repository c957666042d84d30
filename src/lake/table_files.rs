//! Files of some tables of a resource, all filled from the same rows.

use arrow_array::RecordBatch;
use parquet::errors::ParquetError;

use super::{parquet_file::Writer, spool::Spool};
use crate::{
    decode::flatten,
    schema::{Resource, Table, TableRows},
};

/// A file for each of the tables, in their order.
pub(super) struct TableFiles<'t> {
    resource: &'t Resource,
    tables: &'t [Table],
    files: Vec<Writer>,
}

impl<'t> TableFiles<'t> {
    pub(super) fn begin(resource: &'t Resource, tables: &'t [Table], spool: &Spool) -> Result<Self, ParquetError> {
        let files = tables.iter().map(|table| Writer::new(table.schema.clone(), spool.begin()));
        Ok(Self { resource, tables, files: files.collect::<Result<_, _>>()? })
    }

    /// Writes rows of the resource to each table in its form.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        for (table, file) in self.tables.iter().zip(&mut self.files) {
            match table.rows {
                TableRows::Records => file.write(rows)?,
                TableRows::Elements(list) => file.write(&flatten(rows, self.resource, list, &table.schema)?)?,
            }
        }
        Ok(())
    }

    /// Ends the row groups, which frees what they hold in memory.
    pub(super) fn flush(&mut self) -> Result<(), ParquetError> {
        self.files.iter_mut().try_for_each(Writer::flush)
    }

    /// Bytes held in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.files.iter().map(Writer::memory_bytes).sum()
    }

    /// The files, to be closed.
    pub(super) fn into_files(self) -> Vec<Writer> {
        self.files
    }
}
