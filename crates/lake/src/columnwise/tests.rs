//! Rows of very many columns: both ways of writing them make the same, and neither holds all of them at once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::files;
use crate::rows::{Row, Rows};
use crate::shape::RECORDS;
use datafusion::arrow::array::{
    Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use odograph_model::{Key, Record, RecordId, Time};

/// So many numbered keys there are.
const KEYS: usize = 448;

fn key(number: usize) -> Key {
    let kinds = [
        Key::AinN,
        Key::TemperatureN,
        Key::HumidityN,
        Key::TirePressureN,
        Key::TireTemperatureN,
        Key::AxleWeightN,
        Key::FuelVolumeN,
    ];
    kinds[number / 64](u8::try_from(1 + number % 64).unwrap())
}

/// Rows of a device in the order in which they came, each with eight of very many keys.
fn batches(first: usize, count: usize) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut rows = Rows::default();
    for number in first..first + count {
        let time = Time(1_767_225_600_000 + (number * 7919 % 100_003) as i64 * 800);
        let mut record = Record::at(time);
        for value in 0..8 {
            record.set(key((number * 8 + value) % KEYS), number as f64 / 8.0);
        }
        record.raw("t", number.to_string());
        let device = format!("device-{}", number % 5);
        let id = RecordId(number as u64);
        rows.push(&Row { device: &device, time, received: time, id, protocol: "test", record: &record });
        if rows.count() == 2048 || number + 1 == first + count {
            batches.push(std::mem::take(&mut rows).batch().unwrap());
        }
    }
    batches
}

fn schema_of(batches: &[RecordBatch]) -> SchemaRef {
    let fixed: SchemaRef = Arc::new(Schema::new(columns::fixed()));
    crate::tenant::grown(&fixed, batches)
}

/// The rows of files of one day.
fn decoded(files: Vec<File>, schema: &SchemaRef) -> RecordBatch {
    let mut rows = Vec::new();
    for (number, file) in files.into_iter().enumerate() {
        let mut parts = Encoded::new(vec![Part::new(number.to_string(), 20_454, file.into_bytes().into()).unwrap()]);
        let arrays = parts.columns(schema.fields()).unwrap().into_iter().zip(schema.fields());
        let count = parts.counts()[0];
        let arrays = arrays
            .map(|(mut parts, field)| parts.pop().unwrap().unwrap_or_else(|| new_null_array(field.data_type(), count)));
        rows.push(RecordBatch::try_new(schema.clone(), arrays.collect()).unwrap());
    }
    concat_batches(schema, &rows).unwrap()
}

fn parts(count: usize, rows: usize) -> (Encoded, SchemaRef, usize) {
    let (mut parts, mut schema, mut bytes) = (Vec::new(), schema_of(&[]), 0);
    for number in 0..count {
        let batches = batches(number * rows, rows);
        schema = crate::tenant::grown(&schema, &batches);
        for file in files::encode(&batches, &schema, &RECORDS, "x").unwrap() {
            let file = file.into_bytes();
            bytes += file.len();
            parts.push(Part::new(number.to_string(), 20_454, file.into()).unwrap());
        }
    }
    (Encoded::new(parts), schema, bytes)
}

#[test]
fn both_ways_make_the_same_rows() {
    let batches = batches(0, 5000);
    let schema = schema_of(&batches);
    let at_once = files::encode(&batches, &schema, &RECORDS, "x").unwrap();
    let one_by_one = encode(&mut &batches[..], &schema, &RECORDS, "x", false).unwrap().files;
    assert_eq!((at_once.len(), one_by_one.len()), (1, 1));
    assert_eq!(at_once[0].stats(), one_by_one[0].stats());
    assert_eq!(decoded(at_once, &schema), decoded(one_by_one, &schema));
}

#[test]
fn a_column_without_values_is_in_no_file() {
    let (first, second) = (batches(0, 3), batches(20, 3));
    let all: Vec<_> = first.iter().chain(&second).cloned().collect();
    let schema = schema_of(&all);
    let padded = columns::fitted(&first[0], &schema).unwrap();
    for file in [
        files::encode(std::slice::from_ref(&padded), &schema, &RECORDS, "x").unwrap(),
        encode(&mut &[padded][..], &schema, &RECORDS, "x", false).unwrap().files,
    ] {
        let part = Part::new("x".to_owned(), 20_454, file.into_iter().next().unwrap().into_bytes().into()).unwrap();
        // Device, time, receipt, id and protocol; three rows of eight parameters; and what is not in the dictionary.
        assert_eq!(part.fields(), 5 + 24 + 1);
    }
}

#[test]
fn a_hundred_thousand_rows_of_very_many_columns_take_little_memory() {
    const MIB: usize = 1 << 20;
    let (mut parts, schema, bytes) = parts(10, 10_000);
    assert_eq!(schema.fields().len(), 6 + KEYS + 1);
    let made = encode(&mut parts, &schema, &RECORDS, "merged", true).unwrap();
    assert_eq!(made.files.len(), 1);
    // As rows with all columns they take 360 MB, and twice that while they are sorted.
    let padded = 100_000 * KEYS * 8;
    assert!(padded > 340 * MIB, "{padded}");
    assert!(made.held_max < 100 * MIB, "{} of {bytes}", made.held_max);
    let few = Arc::new(schema.project(&[0, 1, 2, 3, 4, 5, 6, 200, 453, 454]).unwrap());
    let rows = decoded(made.files, &few);
    let times = rows.column(1).as_primitive::<TimestampMicrosecondType>();
    let devices = rows.column(0).as_string::<i32>();
    let keys: Vec<_> = devices.iter().zip(times.values()).collect();
    assert!(keys.is_sorted() && keys.len() == 100_000);
    let values = |index: usize| rows.column(index).len() - rows.column(index).null_count();
    // Eight of 448 in each row.
    assert_eq!([6, 7, 8].map(values), [1786, 1786, 1785]);
    let batches = batches(0, 20_000);
    let waiting: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let flushed = encode(&mut &batches[..], &schema_of(&batches), &RECORDS, "flushed", false).unwrap();
    assert!(flushed.held_max < waiting + 16 * MIB, "{} with {waiting}", flushed.held_max);
}

/// What a column of somebody else's file is in a table, or why it cannot be in it.
fn becomes(values: ArrayRef, wanted: DataType, is_nullable: bool) -> Result<ArrayRef, String> {
    let rows = RecordBatch::try_from_iter([("value", values)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let part = Part::new("theirs".to_owned(), 20_454, writer.into_inner().unwrap().into()).unwrap();
    let field: FieldRef = Arc::new(Field::new("value", wanted, is_nullable));
    let found = Encoded::new(vec![part]).columns(&[field]);
    let refused = |error: Error| match error {
        Error::Unfit { file, why } if file == "theirs" => why,
        error => panic!("{error}"),
    };
    found.map(|mut found| found.remove(0).remove(0).unwrap()).map_err(refused)
}

#[test]
fn what_somebody_wrote_as_another_type_is_exactly_the_same_or_refused() {
    let moments = |times: Vec<i64>| TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let nanoseconds = |times: Vec<i64>| TimestampNanosecondArray::from(times).with_timezone("UTC");
    let same: [(ArrayRef, ArrayRef); 5] = [
        (Arc::new(Int32Array::from(vec![Some(5), None])), Arc::new(Int64Array::from(vec![Some(5), None]))),
        (Arc::new(Float64Array::from(vec![5.0, -7.0])), Arc::new(Int64Array::from(vec![5, -7]))),
        (Arc::new(Int64Array::from(vec![5])), Arc::new(Float64Array::from(vec![5.0]))),
        (Arc::new(StringArray::from(vec!["5"])), Arc::new(Int64Array::from(vec![5]))),
        (Arc::new(nanoseconds(vec![5000])), Arc::new(moments(vec![5]))),
    ];
    for (values, expected) in same {
        assert_eq!(becomes(values, expected.data_type().clone(), true), Ok(expected));
    }
    let other: [(ArrayRef, DataType); 7] = [
        (Arc::new(Float64Array::from(vec![1.0, 5.5])), DataType::Int64),
        (Arc::new(Float64Array::from(vec![1e300])), DataType::Int64),
        (Arc::new(Float64Array::from(vec![f64::NAN])), DataType::Int64),
        (Arc::new(Int64Array::from(vec![i64::MAX])), DataType::Float64),
        (Arc::new(StringArray::from(vec!["5.0", "fast"])), DataType::Float64),
        (Arc::new(StringArray::from(vec!["never"])), columns::moment()),
        (Arc::new(nanoseconds(vec![5001])), columns::moment()),
    ];
    for (values, wanted) in other {
        let why = becomes(values, wanted.clone(), true).unwrap_err();
        assert!(why.starts_with("in its column value, "), "{wanted}: {why}");
    }
    let lacking: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
    let why = "its column value lacks values, and each row has to have one";
    assert_eq!(becomes(lacking, DataType::Int64, false), Err(why.to_owned()));
}
