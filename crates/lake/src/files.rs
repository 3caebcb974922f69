//! Rows to Parquet files: one for each day, sorted by the device first.

use crate::shape::Shape;
use crate::{Error, columns, events, frames};
use datafusion::arrow::array::{Array as _, AsArray as _, Float64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Date32Type, SchemaRef, TimestampMicrosecondType};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use deltalake::kernel::Add;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use odograph_model::Time;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A file that was encoded and waits to be written.
pub(crate) struct File {
    path: String,
    day: String,
    bytes: Vec<u8>,
    stats: String,
}

/// Encodes rows: one file for each day that occurs. `name` must be one that no other file of the table has.
///
/// All batches need `schema`. It takes a while: not for a thread on which others wait.
pub(crate) fn encode(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    shape: &Shape,
    name: &str,
) -> Result<Vec<File>, Error> {
    let rows = sorted(&concat_batches(schema, batches)?, shape)?;
    days(&rows).into_iter().map(|range| encode_day(&rows.slice(range.start, range.len()), shape, name)).collect()
}

/// Writes a file, durably, and tells what the table's log says of it.
pub(crate) async fn write(store: &dyn ObjectStore, file: File, now: Time) -> Result<Add, Error> {
    let size = i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
    store.put(&Path::from(file.path.as_str()), file.bytes.into()).await?;
    Ok(Add {
        path: file.path,
        partition_values: HashMap::from([(columns::DAY.to_owned(), Some(file.day))]),
        size,
        modification_time: now.0,
        data_change: true,
        stats: Some(file.stats),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    })
}

/// By day, and then as the table is sorted.
fn sorted(rows: &RecordBatch, shape: &Shape) -> Result<RecordBatch, Error> {
    let by = std::iter::once(&columns::DAY).chain(shape.order).map(|name| SortColumn {
        values: rows.column_by_name(name).expect("every row has the fixed columns").clone(),
        options: None,
    });
    let order: UInt32Array = lexsort_to_indices(&by.collect::<Vec<_>>(), None)?;
    Ok(take_record_batch(rows, &order)?)
}

/// Where each day's rows are, in rows that are sorted by day.
fn days(rows: &RecordBatch) -> Vec<Range<usize>> {
    let days = rows.column_by_name(columns::DAY).expect("every row has the fixed columns").as_primitive::<Date32Type>();
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < days.len() {
        let day = days.value(start);
        let end = start + days.values()[start..].partition_point(|other| *other == day);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

fn encode_day(rows: &RecordBatch, shape: &Shape, name: &str) -> Result<File, Error> {
    let column = |name| rows.column_by_name(name).expect("every row has the fixed columns");
    let day = day_name(column(columns::DAY).as_primitive::<Date32Type>().value(0));
    let devices = column(columns::DEVICE).as_string::<i32>();
    let times = column(shape.time).as_primitive::<TimestampMicrosecondType>().values();
    let range = times.iter().min().zip(times.iter().max()).expect("a day has rows");
    let moment = |microseconds: &i64| Time(microseconds.div_euclid(1000)).to_string();
    let stats = json!({
        "numRecords": rows.num_rows(),
        "minValues": { columns::DEVICE: devices.value(0), shape.time: moment(range.0) },
        "maxValues": { columns::DEVICE: devices.value(rows.num_rows() - 1), shape.time: moment(range.1) },
        "nullCount": { columns::DEVICE: 0, shape.time: 0 },
    });
    let (index, _) = rows.schema().column_with_name(columns::DAY).expect("every row has the fixed columns");
    let mut rows = rows.clone();
    // The day is in the path.
    rows.remove_column(index);
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties(&rows, shape)))?;
    writer.write(&rows)?;
    let bytes = writer.into_inner()?;
    Ok(File { path: format!("{}={day}/{name}.parquet", columns::DAY), day, bytes, stats: stats.to_string() })
}

/// A day as the table's log and its folders have it: `2026-06-01`.
pub(crate) fn day_name(day: i32) -> String {
    let midnight = Time(i64::from(day) * 24 * 60 * 60 * 1000).to_string();
    midnight.split('T').next().unwrap_or_default().to_owned()
}

fn properties(rows: &RecordBatch, shape: &Shape) -> WriterProperties {
    let level = if rows.num_rows() < LARGE_ROWS { COMPRESSION } else { LARGE_COMPRESSION };
    let level = ZstdLevel::try_new(level).expect("the level is one that Zstandard has");
    let path = |name: &str| ColumnPath::from(name);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(format!("odograph {}", env!("CARGO_PKG_VERSION")));
    for name in [columns::DEVICE, shape.time] {
        properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    for name in [columns::TIME, columns::RECEIVED, frames::PLACE, events::BEGIN] {
        let (dictionary, encoding) = (false, Encoding::DELTA_BINARY_PACKED);
        properties =
            properties.set_column_dictionary_enabled(path(name), dictionary).set_column_encoding(path(name), encoding);
    }
    // Hardly any comes twice, and nobody asks for a range of them.
    properties = properties
        .set_column_dictionary_enabled(path(frames::PAYLOAD), false)
        .set_column_statistics_enabled(path(frames::PAYLOAD), EnabledStatistics::None)
        .set_column_statistics_enabled(path(frames::CONTEXT), EnabledStatistics::None)
        .set_column_statistics_enabled(path(frames::DECISION), EnabledStatistics::None);
    // A hash has no pattern to find.
    properties = properties
        .set_column_dictionary_enabled(path(columns::ID), false)
        .set_column_compression(path(columns::ID), Compression::UNCOMPRESSED)
        .set_column_statistics_enabled(path(columns::ID), EnabledStatistics::None);
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let (name, of) = (path(field.name()), columns::key(field));
        match column.data_type() {
            DataType::Int64 if of.is_some() => {
                properties = properties
                    .set_column_dictionary_enabled(name.clone(), false)
                    .set_column_encoding(name, Encoding::DELTA_BINARY_PACKED);
            }
            // Coordinates, odometers: neighbours share their first bytes, and hardly any value comes twice.
            DataType::Float64 if seldom_repeats(column.as_primitive()) => {
                properties = properties
                    .set_column_dictionary_enabled(name.clone(), false)
                    .set_column_data_page_size_limit(name.clone(), SPLIT_PAGE_BYTES)
                    .set_column_encoding(name, Encoding::BYTE_STREAM_SPLIT);
            }
            _ => {}
        }
    }
    properties.build()
}

/// Whether a dictionary of the values would be nearly as large as they are.
fn seldom_repeats(values: &Float64Array) -> bool {
    let step = values.len().div_ceil(SAMPLE_ROWS).max(1);
    let sample = (0..values.len()).step_by(step).filter(|row| values.is_valid(*row));
    let sample: Vec<u64> = sample.map(|row| values.value(row).to_bits()).collect();
    let different: HashSet<u64> = sample.iter().copied().collect();
    different.len() * 4 > sample.len()
}

/// Files are written once and read often; above this, size hardly shrinks and time grows.
const COMPRESSION: i32 = 3;
/// A reader looks at the statistics of each group: fewer are faster.
const GROUP_ROWS: usize = 1 << 20;
/// How often the length of a page is looked at: rows may be long.
const WRITE_ROWS: usize = 256;
/// What is read at least of a column for one device. Fewer are read faster, and take more room: with a quarter of these, 7 %
/// more for all but ids.
const PAGE_ROWS: usize = 8192;
/// Values that are kept as they are compress no better in larger pages: 2,048 rows.
const SPLIT_PAGE_BYTES: usize = 2048 * 8;
/// Most files of so many rows stay as they are: more work on them pays.
const LARGE_ROWS: usize = 1 << 17;
const LARGE_COMPRESSION: i32 = 6;
/// Enough to tell columns apart.
const SAMPLE_ROWS: usize = 1 << 14;
