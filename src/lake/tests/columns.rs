//! What is written to a Parquet file, and what a reader that knows nothing of how it was written finds in it.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::{
    basic::{Encoding, PageType},
    file::{
        metadata::{ParquetMetaData, ParquetMetaDataReader},
        reader::{ChunkReader, FileReader, SerializedFileReader},
    },
};
use proptest::prelude::*;

use crate::lake::{
    parquet_file::{Writer, read_batches},
    spool::{Spool, Spooled},
};

#[derive(Debug, Clone)]
struct Values {
    text: Option<String>,
    amount: Option<i128>,
    number: Option<i64>,
    truth: Option<bool>,
}

fn values() -> impl Strategy<Value = Values> {
    let text = prop_oneof![Just(String::new()), "[AB]{3}", "[a-cé]{0,20}", "[ab]{14,17}"];
    let amount = prop_oneof![Just(0), any::<i128>().prop_map(|value| value / 10_i128.pow(2))];
    (prop::option::of(text), prop::option::of(amount), prop::option::of(any::<i64>()), any::<Option<bool>>())
        .prop_map(|(text, amount, number, truth)| Values { text, amount, number, truth })
}

/// Each value under names and types that are written in different ways; in a list or not.
fn columns(values: &[Values]) -> Vec<(&'static str, ArrayRef)> {
    let texts = || -> ArrayRef { Arc::new(values.iter().map(|value| value.text.clone()).collect::<StringArray>()) };
    let amounts = values.iter().map(|value| value.amount).collect::<Decimal128Array>();
    let numbers = || values.iter().map(|value| value.number);
    vec![
        ("status", texts()),
        ("x_id", texts()),
        ("amount", Arc::new(amounts.with_precision_and_scale(38, 18).unwrap())),
        ("number", Arc::new(numbers().collect::<Int64Array>())),
        ("at", Arc::new(numbers().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("day", Arc::new(numbers().map(|number| Some(number? as i32)).collect::<Date32Array>())),
        ("truth", Arc::new(values.iter().map(|value| value.truth).collect::<BooleanArray>())),
    ]
}

fn struct_of(values: &[Values]) -> StructArray {
    let columns = columns(values);
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let fields: Fields = fields.collect();
    StructArray::new(fields, columns.into_iter().map(|(_, array)| array).collect(), None)
}

/// Rows of a table with columns of every type, alone and in a list, and one that is never null.
fn rows(records: &[(Values, Option<Vec<Values>>)]) -> RecordBatch {
    let own: Vec<Values> = records.iter().map(|(own, _)| own.clone()).collect();
    let elements: Vec<Values> = records.iter().flat_map(|(_, list)| list.clone().unwrap_or_default()).collect();
    let elements = struct_of(&elements);
    let element = Arc::new(Field::new("element", elements.data_type().clone(), false));
    let lengths = OffsetBuffer::from_lengths(records.iter().map(|(_, list)| list.as_ref().map_or(0, Vec::len)));
    let nulls = NullBuffer::from_iter(records.iter().map(|(_, list)| list.is_some()));
    let lists = ListArray::new(element, lengths, Arc::new(elements), Some(nulls));
    let seq: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(records.len())));
    let (fields, mut arrays, _) = struct_of(&own).into_parts();
    let others = [Field::new("lists", lists.data_type().clone(), true), Field::new("_seq", DataType::Int64, false)];
    let fields: Vec<_> = fields.iter().map(|field| field.as_ref().clone()).chain(others).collect();
    arrays.extend([Arc::new(lists) as ArrayRef, seq]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// A file of these batches; behind those marked, a row group ends.
fn file(schema: &SchemaRef, batches: &[(RecordBatch, bool)]) -> Spooled {
    let mut writer = Writer::new(schema.clone(), Spool::new(&std::env::temp_dir()).unwrap().begin()).unwrap();
    for (batch, ends) in batches {
        writer.write(batch).unwrap();
        if *ends {
            writer.flush().unwrap();
        }
    }
    writer.close("key", String::new()).unwrap().content
}

fn read<R: ChunkReader + 'static>(schema: &SchemaRef, content: R) -> RecordBatch {
    let batches: Vec<_> = read_batches("x", content, None).unwrap().map(|batch| batch.unwrap()).collect();
    concat_batches(schema, &batches).unwrap()
}

fn metadata(content: &Spooled) -> ParquetMetaData {
    ParquetMetaDataReader::new().parse_and_finish(content).unwrap()
}

fn texts(name: &str, values: Vec<String>) -> RecordBatch {
    RecordBatch::try_from_iter([(name, Arc::new(StringArray::from(values)) as ArrayRef)]).unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        records in prop::collection::vec((values(), prop::option::of(prop::collection::vec(values(), 0..4))), 0..60),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..5),
    ) {
        let rows = rows(&records);
        let mut cuts: Vec<_> =
            cuts.iter().map(|(at, ends)| (at.index(records.len() + 1), *ends)).chain([(records.len(), false)]).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().map(|(at, _)| *at));
        let batches = starts.zip(&cuts).map(|(start, (end, ends))| (rows.slice(start, end - start), *ends));
        let content = file(&rows.schema(), &batches.collect::<Vec<_>>());
        prop_assert_eq!(read(&rows.schema(), content), rows);
    }
}

#[test]
fn pages_and_dictionaries_end_when_they_are_full() {
    const DICTIONARY: (PageType, Encoding) = (PageType::DICTIONARY_PAGE, Encoding::PLAIN);
    const PLACES: (PageType, Encoding) = (PageType::DATA_PAGE, Encoding::RLE_DICTIONARY);
    const PLAIN: (PageType, Encoding) = (PageType::DATA_PAGE, Encoding::PLAIN);
    let repeated = |row: usize| format!("{}", row % 1000);
    let distinct = |row: usize| format!("{row:09}");
    let distinct_later = |row: usize| if row < 50_000 { "a".to_owned() } else { distinct(row) };
    let texts_of = |text: &dyn Fn(usize) -> String| (0..150_000).map(text).collect::<Vec<_>>();
    let rows = [
        ("repeated", texts_of(&repeated), &[DICTIONARY, PLACES][..]),
        ("distinct_later", texts_of(&distinct_later), &[DICTIONARY, PLACES, PLAIN]),
        ("distinct", texts_of(&distinct), &[DICTIONARY, PLACES, PLAIN]),
        ("its_id", texts_of(&distinct), &[PLAIN]),
    ];
    for (name, values, expected) in rows {
        let batch = texts(name, values);
        let content = file(&batch.schema(), &[(batch.clone(), false)]);
        let reader = SerializedFileReader::new(content.clone()).unwrap();
        let pages = reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
        let pages: Vec<_> = pages.map(|page| page.map(|page| (page.page_type(), page.encoding())).unwrap()).collect();
        let mut kinds = pages.clone();
        kinds.dedup();
        assert_eq!(kinds, expected, "{name}");
        assert!((5..20).contains(&pages.len()), "{name}: {pages:?}");
        assert_eq!(read(&batch.schema(), content), batch, "{name}");
    }
}

#[test]
fn the_footer_tells_the_range_of_what_has_one() {
    let record = |text: &str, number: i64, truth: bool| Values {
        text: Some(text.to_owned()),
        amount: Some(1),
        number: Some(number),
        truth: Some(truth),
    };
    let nothing = Values { text: None, amount: None, number: None, truth: None };
    let list = Some(vec![record("z", -9, true), nothing.clone()]);
    let rows = rows(&[(record("B", 7, true), list), (nothing, None), (record("A", -3, false), Some(Vec::new()))]);
    let metadata = metadata(&file(&rows.schema(), &[(rows.clone(), false)]));
    let told: Vec<String> = metadata.row_group(0).columns()[..9]
        .iter()
        .map(|column| {
            let statistics = column.statistics().unwrap();
            let bytes = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), hex::encode);
            let range = (bytes(statistics.min_bytes_opt()), bytes(statistics.max_bytes_opt()));
            format!("{} {} {} {:?}", column.column_path(), range.0, range.1, statistics.null_count_opt())
        })
        .collect();
    assert_eq!(
        told,
        [
            "\"status\" 41 42 Some(1)",
            "\"x_id\" - - Some(1)",
            "\"amount\" - - Some(1)",
            "\"number\" fdffffffffffffff 0700000000000000 Some(1)",
            "\"at\" fdffffffffffffff 0700000000000000 Some(1)",
            "\"day\" fdffffff 07000000 Some(1)",
            "\"truth\" 00 01 Some(1)",
            "\"lists.list.element.status\" 7a 7a Some(3)",
            "\"lists.list.element.x_id\" - - Some(3)",
        ]
    );
}

#[test]
fn a_null_where_there_can_be_none_and_a_column_of_another_type_are_refused() {
    let text = |nullable| Arc::new(Schema::new(vec![Field::new("status", DataType::Utf8, nullable)]));
    let null: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let rows = RecordBatch::try_new(text(true), vec![null]).unwrap();
    let segment = || Spool::new(&std::env::temp_dir()).unwrap().begin();
    assert!(Writer::new(text(false), segment()).unwrap().write(&rows).is_err());
    let other: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1.0]));
    let rows = RecordBatch::try_from_iter([("x", other)]).unwrap();
    let refused = Writer::new(rows.schema(), segment()).unwrap().write(&rows).unwrap_err().to_string();
    assert!(refused.contains("no column has the type Float64"), "{refused}");
}
