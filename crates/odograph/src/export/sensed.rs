//! What sensors show, besides what records say.

use super::Sink;
use super::formats::Encoder;
use super::parquet::Parquet;
use anyhow::Result;
use odograph_lake::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use odograph_lake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use odograph_lake::stored;
use odograph_model::Record;
use odograph_sensors::Sensor;
use std::sync::Arc;

/// Adds what they show to a record that was written as a JSON object, which is never empty.
pub(super) fn add(sensors: &[Sensor], record: &Record, object: &mut Vec<u8>) -> Result<()> {
    for sensor in sensors {
        if let Some(value) = sensor.value(record) {
            object.pop();
            // A sensor's name has nothing in it that JSON escapes.
            object.extend_from_slice(format!(",\"sensor.{}\":", sensor.name()).as_bytes());
            serde_json::to_writer(&mut *object, &value)?;
            object.push(b'}');
        }
    }
    Ok(())
}

/// The names of columns with what they show: as those of parameters, without dots. Two names may then be the same.
pub(super) fn columns(sensors: &[Sensor]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sensor in sensors {
        let name = format!("sensor_{}", sensor.name().replace(['.', '-'], "_"));
        let same = |name: &str| names.iter().any(|known| known == name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !same(name));
        names.extend(free);
    }
    names
}

/// The columns, and one for each sensor.
pub(super) fn schema_with(schema: &SchemaRef, sensors: &[Sensor]) -> SchemaRef {
    let more = columns(sensors).into_iter().map(|name| Arc::new(Field::new(name, DataType::Float64, true)));
    let fields: Vec<_> = schema.fields().iter().cloned().chain(more).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The rows with what sensors show of them, in the columns of [`schema_with`].
pub(super) fn rows_with(rows: &RecordBatch, schema: &SchemaRef, sensors: &[Sensor]) -> Result<RecordBatch> {
    if sensors.is_empty() {
        return Ok(rows.clone());
    }
    let records: Vec<Record> = stored(rows)?.map(|stored| stored.record).collect();
    let column = |sensor: &Sensor| -> ArrayRef {
        Arc::new(records.iter().map(|record| sensor.value(record)).collect::<Float64Array>())
    };
    let arrays = rows.columns().iter().cloned().chain(sensors.iter().map(column)).collect();
    Ok(RecordBatch::try_new(schema.clone(), arrays)?)
}

/// A Parquet file with a column for each sensor.
pub(super) struct Sensed {
    schema: SchemaRef,
    sensors: Vec<Sensor>,
    inner: Parquet,
}

impl Sensed {
    pub(super) fn new(schema: &SchemaRef, sensors: &[Sensor]) -> Result<Self> {
        let schema = schema_with(schema, sensors);
        Ok(Self { inner: Parquet::new(&schema)?, schema, sensors: sensors.to_vec() })
    }
}

impl Encoder for Sensed {
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()> {
        self.inner.begin(out)
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        self.inner.rows(&rows_with(rows, &self.schema, &self.sensors)?, out)
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64> {
        self.inner.finish(out)
    }
}
