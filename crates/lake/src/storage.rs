//! How each column of a file is stored: in which way it takes little room, and how much of it is read at a time.

use crate::shape::Shape;
use crate::{Error, columns, events, frames};
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use std::collections::HashSet;
use std::sync::Arc;

/// How a file of so many rows is written, which are sorted: of these, or of some more like them.
pub(crate) fn properties(rows: &RecordBatch, count: usize, shape: &Shape) -> Result<WriterProperties, Error> {
    let level = if count < LARGE_ROWS { COMPRESSION } else { LARGE_COMPRESSION };
    let level = Compression::ZSTD(ZstdLevel::try_new(level).expect("the level is one that Zstandard has"));
    let path = |name: &str| ColumnPath::from(name);
    let mut properties = WriterProperties::builder()
        .set_compression(level)
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
            DataType::Float64 if seldom_repeats(column.as_primitive()) => {
                properties = properties
                    .set_column_dictionary_enabled(name.clone(), false)
                    .set_column_encoding(name, smallest(column, level)?);
            }
            _ => {}
        }
    }
    Ok(properties.build())
}

/// Whether a dictionary of the values would be nearly as large as they are.
fn seldom_repeats(values: &Float64Array) -> bool {
    let step = values.len().div_ceil(SAMPLE_ROWS).max(1);
    let sample = (0..values.len()).step_by(step).filter(|row| values.is_valid(*row));
    let sample: Vec<u64> = sample.map(|row| values.value(row).to_bits()).collect();
    let different: HashSet<u64> = sample.iter().copied().collect();
    different.len() * 4 > sample.len()
}

/// In which of the ways that keep each value a column takes least room: tried on rows from its middle.
///
/// Coordinates differ from row to row while a vehicle moves, but share their first bytes: these lie together once values are split into
/// bytes. An odometer stands still as often as its vehicle, and whole values that come again are found in one piece.
fn smallest(column: &ArrayRef, level: Compression) -> Result<Encoding, Error> {
    let count = column.len().min(TRIAL_ROWS);
    let sample = column.slice((column.len() - count) / 2, count);
    let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Float64, true)]));
    let rows = RecordBatch::try_new(schema, vec![sample])?;
    let size = |encoding| -> Result<usize, Error> {
        let properties = WriterProperties::builder()
            .set_compression(level)
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(WRITE_ROWS)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
        writer.write(&rows)?;
        Ok(writer.into_inner()?.len())
    };
    let (split, whole) = (Encoding::BYTE_STREAM_SPLIT, Encoding::PLAIN);
    Ok(if size(whole)? < size(split)? { whole } else { split })
}

/// Files are written once and read often; above this, size hardly shrinks and time grows.
const COMPRESSION: i32 = 3;
/// A reader looks at the statistics of each group: fewer are faster.
pub(crate) const GROUP_ROWS: usize = 1 << 20;
/// How often the length of a page is looked at: rows may be long.
const WRITE_ROWS: usize = 256;
/// What is read at least of a column for one device. Fewer are read faster, and take more room: with a quarter of these, 7 %
/// more for all but ids.
const PAGE_ROWS: usize = 8192;
/// Most files of so many rows stay as they are: more work on them pays.
const LARGE_ROWS: usize = 1 << 17;
const LARGE_COMPRESSION: i32 = 6;
/// Enough to tell columns apart.
const SAMPLE_ROWS: usize = 1 << 14;
/// Two pages.
const TRIAL_ROWS: usize = 2 * PAGE_ROWS;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: impl Iterator<Item = f64>, expected: Encoding) {
        let column: ArrayRef = Arc::new(values.collect::<Float64Array>());
        let level = Compression::ZSTD(ZstdLevel::try_new(LARGE_COMPRESSION).unwrap());
        assert_eq!(smallest(&column, level).unwrap(), expected);
    }

    #[test]
    fn a_column_is_stored_in_the_way_that_takes_less_room() {
        let mut dice = 7_u64;
        let mut throw = move || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice
        };
        // Always another value, near the one before.
        let mut latitude = 500_000_000_u64;
        let mut moves = std::iter::repeat_with(|| {
            latitude += throw() % 4096;
            latitude as f64 / 1e7
        });
        check((&mut moves).take(TRIAL_ROWS), Encoding::BYTE_STREAM_SPLIT);
        check((&mut moves).take(3), Encoding::BYTE_STREAM_SPLIT);
        // A value for three rows, none twice.
        let stands: Vec<f64> = moves.take(TRIAL_ROWS / 3).flat_map(|value| [value; 3]).collect();
        check(stands.into_iter(), Encoding::PLAIN);
        check(std::iter::empty(), Encoding::BYTE_STREAM_SPLIT);
    }
}
