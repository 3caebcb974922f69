//! GeoJSON, RFC 7946: a line for each way of a device without a gap, cut at midnight UTC.
//!
//! Lines, because what people draw is where a truck drove: a month of points is too many for any map, and neither shows
//! the order nor the gaps. The times, and the speeds, of a line's points stand in its properties as lists of the same length.
//! Whoever wants points takes CSV or Parquet, which programs for maps read as well.

use super::Sink;
use super::formats::Encoder;
use super::track::{PIECE_POINTS_MAX, Point, Step, Ways};
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::stored;
use serde::Serialize;

/// Writes a way once its end is known.
#[derive(Default)]
pub(super) struct GeoJson {
    ways: Ways,
    device: String,
    piece: Vec<Point>,
    features: u64,
    unplaced: u64,
}

impl Encoder for GeoJson {
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()> {
        Ok(out.write(b"{\"type\":\"FeatureCollection\",\"features\":[")?)
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        for record in stored(rows)? {
            let Some(point) = Point::of(&record) else {
                self.unplaced += 1;
                continue;
            };
            let step = self.ways.step(record.device, point.time);
            let another_day = self.piece.first().is_some_and(|first| day(first) != day(&point));
            match step {
                Step::On if another_day || self.piece.len() >= PIECE_POINTS_MAX => {
                    self.end_piece(out)?;
                    let kept = if another_day { 0 } else { 1 };
                    self.piece = self.piece.split_off(self.piece.len() - kept);
                }
                Step::On => {}
                Step::Gap | Step::Device => {
                    self.end_piece(out)?;
                    self.piece.clear();
                }
            }
            if step == Step::Device {
                record.device.clone_into(&mut self.device);
            }
            self.piece.push(point);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64> {
        self.end_piece(out)?;
        out.write(b"\n]}\n")?;
        Ok(self.unplaced)
    }
}

impl GeoJson {
    fn end_piece(&mut self, out: &mut dyn Sink) -> Result<()> {
        let [first, .., last] = &self.piece[..] else {
            return match self.piece[..] {
                [only] => self.feature(Geometry::Point { coordinates: only.position(true) }, only, only, out),
                _ => Ok(()),
            };
        };
        let (first, last) = (*first, *last);
        // All positions of a line have as many numbers, or some programs reject it.
        let high = self.piece.iter().all(|point| point.altitude.is_some());
        let coordinates = self.piece.iter().map(|point| point.position(high)).collect();
        self.feature(Geometry::LineString { coordinates }, first, last, out)
    }

    fn feature(&mut self, geometry: Geometry, first: Point, last: Point, out: &mut dyn Sink) -> Result<()> {
        let list = |value: fn(&Point) -> Option<f64>| -> Option<Vec<Option<f64>>> {
            self.piece.iter().any(|point| value(point).is_some()).then(|| self.piece.iter().map(value).collect())
        };
        let properties = Properties {
            device: &self.device,
            day: first.time.to_string().split('T').next().unwrap_or_default().to_owned(),
            begin: first.time.to_string(),
            end: last.time.to_string(),
            times: self.piece.iter().map(|point| point.time.to_string()).collect(),
            speeds: list(|point| point.speed_kph),
            courses: list(|point| point.course),
        };
        let feature = Feature { kind: "Feature", geometry, properties };
        let mut text = if self.features == 0 { "\n" } else { ",\n" }.to_owned();
        text.push_str(&serde_json::to_string(&feature)?);
        self.features += 1;
        Ok(out.write(text.as_bytes())?)
    }
}

impl Point {
    /// Longitude first, as GeoJSON wants it.
    fn position(&self, high: bool) -> Vec<f64> {
        let altitude = self.altitude.filter(|_| high);
        [self.longitude, self.latitude].into_iter().chain(altitude).collect()
    }
}

fn day(point: &Point) -> i64 {
    point.time.0.div_euclid(DAY_MS)
}

#[derive(Serialize)]
struct Feature<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Geometry,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Geometry {
    LineString {
        coordinates: Vec<Vec<f64>>,
    },
    /// A way of one point is no line.
    Point {
        coordinates: Vec<f64>,
    },
}

#[derive(Serialize)]
struct Properties<'a> {
    device: &'a str,
    day: String,
    begin: String,
    end: String,
    times: Vec<String>,
    /// In km/h.
    #[serde(skip_serializing_if = "Option::is_none")]
    speeds: Option<Vec<Option<f64>>>,
    /// In degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    courses: Option<Vec<Option<f64>>>,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
