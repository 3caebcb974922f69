//! Rows to Parquet files: one for each day, sorted by the device first.

use crate::shape::Shape;
use crate::{Error, checksum, columns, columnwise, storage};
use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{Date32Type, FieldRef, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::parquet::arrow::ArrowWriter;
use deltalake::kernel::Add;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use odograph_model::Time;
use serde_json::json;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A file that was encoded and waits to be written.
pub(crate) struct File {
    path: String,
    day: String,
    bytes: Vec<u8>,
    stats: String,
}

#[cfg(test)]
impl File {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn stats(&self) -> &str {
        &self.stats
    }
}

/// Encodes rows: one file for each day that occurs. `name` must be one that no other file of the table has.
///
/// All batches have columns of `schema`, though none need have all of them. It takes a while: not for a thread on which others wait.
pub(crate) fn encode(
    mut batches: &[RecordBatch],
    schema: &SchemaRef,
    shape: &Shape,
    name: &str,
) -> Result<Vec<File>, Error> {
    let has = |field: &&FieldRef| batches.iter().any(|batch| batch.column_by_name(field.name()).is_some());
    let own: SchemaRef = Arc::new(Schema::new(schema.fields().iter().filter(has).cloned().collect::<Vec<_>>()));
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows.saturating_mul(own.fields().len()).saturating_mul(VALUE_BYTES) > PADDED_BYTES_MAX {
        return Ok(columnwise::encode(&mut batches, &own, shape, name, false)?.files);
    }
    let batches: Vec<_> = batches.iter().map(|batch| columns::fitted(batch, &own)).collect::<Result<_, _>>()?;
    let rows = sorted(&concat_batches(&own, &batches)?, shape)?;
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
pub(crate) fn days(rows: &RecordBatch) -> Vec<Range<usize>> {
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
    let is_fixed = |name: &str| (shape.fixed)().iter().any(|field| field.name() == name);
    let has_schema = rows.schema();
    let columns = has_schema.fields().iter().enumerate().filter(|(index, field)| {
        // The day is in the path, and what is not there is nothing to whoever reads.
        field.name() != columns::DAY && (is_fixed(field.name()) || rows.column(*index).null_count() < rows.num_rows())
    });
    let stored = rows.project(&columns.map(|(index, _)| index).collect::<Vec<_>>())?;
    let properties = storage::properties(&stored, stored.num_rows(), shape)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), stored.schema(), Some(properties))?;
    writer.write(&stored)?;
    Encoder { shape, name }.named(rows, writer.into_inner()?)
}

/// Makes files of what was encoded.
pub(crate) struct Encoder<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) name: &'a str,
}

impl Encoder<'_> {
    /// The file of a day, with what the table's log says of its rows, which are sorted.
    pub(crate) fn named(&self, rows: &RecordBatch, bytes: Vec<u8>) -> Result<File, Error> {
        let Self { shape, name } = self;
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
        let path = checksum::file_name(&format!("{}={day}/{name}", columns::DAY), &bytes);
        Ok(File { path, day, bytes, stats: stats.to_string() })
    }
}

/// A day as the table's log and its folders have it: `2026-06-01`.
pub(crate) fn day_name(day: i32) -> String {
    let midnight = Time(i64::from(day) * 24 * 60 * 60 * 1000).to_string();
    midnight.split('T').next().unwrap_or_default().to_owned()
}

/// Up to here, all rows with all columns at once are sorted quickest: they take it twice.
const PADDED_BYTES_MAX: usize = 64 << 20;
/// What a value takes that is not there.
const VALUE_BYTES: usize = 8;
