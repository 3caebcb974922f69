//! The formats in which records leave, and what each needs of them.

use super::{Sink, csv, geojson, gpx, kml, parquet, sensed};
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::arrow::datatypes::SchemaRef;
use odograph_lake::{Order, Parameters, stored};
use odograph_model::Key;
use odograph_sensors::Sensor;
use serde::{Deserialize, Serialize};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// Comma-separated values: a line a record, a column a parameter.
    Csv,
    /// One Parquet file with the columns of the table.
    Parquet,
    /// GPX 1.1: a track for each device, a segment for each way without a gap.
    Gpx,
    /// KML 2.2 with Google's tracks: a placemark for each device.
    Kml,
    /// A GeoJSON line for each way of a device without a gap, with the times of its points.
    Geojson,
}

/// Turns rows into a format.
pub(crate) trait Encoder {
    /// Writes what stands before all records.
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()>;

    /// Writes records.
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()>;

    /// Writes what stands behind all records, and says how many could not be written for want of a position.
    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64>;
}

impl RecordFormat {
    pub(super) fn encoder(self, schema: &SchemaRef, sensors: &[Sensor]) -> Result<Box<dyn Encoder>> {
        Ok(match self {
            Self::Jsonl => Box::new(Jsonl { line: Vec::new(), sensors: sensors.to_vec() }),
            Self::Csv => Box::new(csv::Csv::new(schema, sensors)),
            Self::Parquet if sensors.is_empty() => Box::new(parquet::Parquet::new(schema)?),
            Self::Parquet => Box::new(sensed::Sensed::new(schema, sensors)?),
            Self::Gpx => Box::new(gpx::Gpx::default()),
            Self::Kml => Box::new(kml::Kml::default()),
            Self::Geojson => Box::new(geojson::GeoJson::default()),
        })
    }

    /// Whether it shows ways on a map, and so needs positions and nothing else.
    pub(crate) const fn is_map(self) -> bool {
        matches!(self, Self::Gpx | Self::Kml | Self::Geojson)
    }

    /// The parameters that it is made of, where these are always the same.
    pub(super) fn parameters(self) -> Option<Parameters> {
        let keys = vec![
            Key::PositionLatitude,
            Key::PositionLongitude,
            Key::PositionAltitude,
            Key::PositionSpeed,
            Key::PositionDirection,
            Key::PositionValid,
            Key::PositionSatellites,
            Key::PositionHdop,
        ];
        self.is_map().then_some(Parameters { keys, raw: false })
    }

    /// A device's way is one piece, so its records must come one after the other.
    pub(super) const fn order(self) -> Order {
        if self.is_map() { Order::Device } else { Order::Day }
    }

    /// What [`super::Progress::done`] counts.
    pub(crate) const fn units(self) -> &'static str {
        if self.is_map() { "devices" } else { "days" }
    }
}

/// One JSON object a line.
struct Jsonl {
    line: Vec<u8>,
    sensors: Vec<Sensor>,
}

impl Encoder for Jsonl {
    fn begin(&mut self, _out: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        for record in stored(rows)? {
            self.line.clear();
            serde_json::to_writer(&mut self.line, &record.view())?;
            sensed::add(&self.sensors, &record.record, &mut self.line)?;
            self.line.push(b'\n');
            out.write(&self.line)?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn Sink) -> Result<u64> {
        Ok(0)
    }
}
