//! KML 2.2 with Google's `gx:Track`, which is what has a time for each point: a placemark for each device.

use super::Sink;
use super::formats::Encoder;
use super::track::{PIECE_POINTS_MAX, Point, Step, Ways};
use super::xml::escaped;
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::stored;
use std::fmt::Write as _;

/// Writes a way once its end is known: its times stand before its places.
#[derive(Default)]
pub(super) struct Kml {
    ways: Ways,
    piece: Vec<Point>,
    unplaced: u64,
}

impl Encoder for Kml {
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()> {
        Ok(out.write(HEAD.as_bytes())?)
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        for record in stored(rows)? {
            let Some(point) = Point::of(&record) else {
                self.unplaced += 1;
                continue;
            };
            let began = self.ways.device().is_some();
            match self.ways.step(record.device, point.time) {
                Step::On => {
                    if self.piece.len() >= PIECE_POINTS_MAX {
                        self.end_piece(out)?;
                        self.piece = self.piece.split_off(self.piece.len() - 1);
                    }
                }
                Step::Gap => {
                    self.end_piece(out)?;
                    self.piece.clear();
                }
                Step::Device => {
                    if began {
                        self.end_piece(out)?;
                        self.piece.clear();
                        out.write(PLACEMARK_END.as_bytes())?;
                    }
                    let name = escaped(record.device);
                    let begin = format!(
                        "<Placemark>\n<name>{name}</name>\n<gx:MultiTrack>\n<gx:interpolate>0</gx:interpolate>\n"
                    );
                    out.write(begin.as_bytes())?;
                }
            }
            self.piece.push(point);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64> {
        if self.ways.device().is_some() {
            self.end_piece(out)?;
            out.write(PLACEMARK_END.as_bytes())?;
        }
        out.write(b"</Document>\n</kml>\n")?;
        Ok(self.unplaced)
    }
}

impl Kml {
    fn end_piece(&self, out: &mut dyn Sink) -> Result<()> {
        let mut text = "<gx:Track>\n".to_owned();
        for point in &self.piece {
            writeln!(text, "<when>{}</when>", point.time)?;
        }
        for point in &self.piece {
            let altitude = point.altitude.unwrap_or(0.0);
            writeln!(text, "<gx:coord>{} {} {altitude}</gx:coord>", point.longitude, point.latitude)?;
        }
        text.push_str("<ExtendedData><SchemaData schemaUrl=\"#point\">\n");
        for (name, value) in ARRAYS {
            if !self.piece.iter().any(|point| value(point).is_some()) {
                continue;
            }
            writeln!(text, "<gx:SimpleArrayData name=\"{name}\">")?;
            for point in &self.piece {
                match value(point) {
                    Some(value) => writeln!(text, "<gx:value>{value}</gx:value>")?,
                    None => text.push_str("<gx:value/>\n"),
                }
            }
            text.push_str("</gx:SimpleArrayData>\n");
        }
        text.push_str("</SchemaData></ExtendedData>\n</gx:Track>\n");
        Ok(out.write(text.as_bytes())?)
    }
}

type Value = fn(&Point) -> Option<f64>;

/// What is told of each point besides, under the names of the schema in [`HEAD`].
const ARRAYS: [(&str, Value); 2] = [("speed", |point| point.speed_kph), ("course", |point| point.course)];

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<kml xmlns=\"http://www.opengis.net/kml/2.2\" xmlns:gx=\"http://www.google.com/kml/ext/2.2\">
<Document>
<name>odograph</name>
<Schema id=\"point\">
<gx:SimpleArrayField name=\"speed\" type=\"float\"><displayName>Speed (km/h)</displayName></gx:SimpleArrayField>
<gx:SimpleArrayField name=\"course\" type=\"float\"><displayName>Course (degrees)</displayName></gx:SimpleArrayField>
</Schema>
";
const PLACEMARK_END: &str = "</gx:MultiTrack>\n</Placemark>\n";
