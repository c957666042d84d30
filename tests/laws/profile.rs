//! Files keep to the one profile of Parquet that DuckDB, Athena, Spark and ClickHouse all read.

use std::fs::File;

use parquet::{
    basic::{Compression, Encoding, LogicalType, TimeUnit, Type},
    column::page::Page,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use crate::support::{lake::Lake, program::Sync, sandbox::Sandbox};

/// Encodings that the oldest of these readers knows.
const ENCODINGS: [Encoding; 4] = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];

#[test]
fn every_file_keeps_to_the_profile_that_all_readers_share() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(17, 600));
    Sync::new(&lake, &sandbox.url()).succeed();
    let files: Vec<String> = lake.files().into_iter().filter(|file| file.ends_with(".parquet")).collect();
    assert!(files.len() > 100, "{files:?}");
    let mut kinds = std::collections::BTreeSet::new();
    for file in &files {
        let reader = SerializedFileReader::new(File::open(lake.path().join(file)).unwrap()).unwrap();
        for column in reader.metadata().file_metadata().schema_descr().columns() {
            kinds.insert(check_type(file, column));
        }
        for group in 0..reader.num_row_groups() {
            check_row_group(file, &reader, group);
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["boolean", "decimal", "integer", "text", "time"]);
}

/// Names the kind of a column, or fails if no reader need know it.
fn check_type(file: &str, column: &ColumnDescriptor) -> &'static str {
    let path = column.path().string();
    assert!(!path.starts_with("event_"), "{file}: the partition is in the path alone, not in {path}");
    let found = (column.physical_type(), column.logical_type_ref());
    match found {
        (Type::BYTE_ARRAY, Some(LogicalType::String)) => "text",
        (Type::BOOLEAN, None) => "boolean",
        (Type::INT64, None) => "integer",
        (Type::INT64, Some(LogicalType::Timestamp(time)))
            if time.is_adjusted_to_u_t_c && time.unit == TimeUnit::MICROS =>
        {
            "time"
        }
        (Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Decimal(decimal)))
            if (decimal.precision, decimal.scale) == (38, 18) =>
        {
            "decimal"
        }
        _ => panic!("{file}: {path} is {found:?}"),
    }
}

fn check_row_group(file: &str, reader: &SerializedFileReader<File>, group: usize) {
    let row_group = reader.get_row_group(group).unwrap();
    for (index, column) in row_group.metadata().columns().iter().enumerate() {
        let path = column.column_path();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{file}: {path} is {}", column.compression());
        assert!(column.encodings().all(|encoding| ENCODINGS.contains(&encoding)), "{file}: {path}");
        for page in row_group.get_column_page_reader(index).unwrap() {
            assert!(!matches!(page.unwrap(), Page::DataPageV2 { .. }), "{file}: {path} has a page of version 2");
        }
    }
}
