//! GPX 1.1: a track for each device, a segment for each way without a gap.
//!
//! Speed and course are no part of a track's point there; Garmin's extension for them is what programs read.

use super::Sink;
use super::formats::Encoder;
use super::track::{Point, Step, Ways};
use super::xml::escaped;
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::stored;
use std::fmt::Write as _;

/// Writes points as they come.
#[derive(Default)]
pub(super) struct Gpx {
    ways: Ways,
    unplaced: u64,
    text: String,
}

impl Encoder for Gpx {
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()> {
        Ok(out.write(HEAD.as_bytes())?)
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        self.text.clear();
        for record in stored(rows)? {
            let Some(point) = Point::of(&record) else {
                self.unplaced += 1;
                continue;
            };
            let began = self.ways.device().is_some();
            match self.ways.step(record.device, point.time) {
                Step::On => {}
                Step::Gap => self.text.push_str("</trkseg>\n<trkseg>\n"),
                Step::Device => {
                    self.text.push_str(if began { "</trkseg>\n</trk>\n" } else { "" });
                    writeln!(self.text, "<trk>\n<name>{}</name>\n<trkseg>", escaped(record.device))?;
                }
            }
            write(&point, &mut self.text)?;
        }
        Ok(out.write(self.text.as_bytes())?)
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64> {
        if self.ways.device().is_some() {
            out.write(b"</trkseg>\n</trk>\n")?;
        }
        out.write(b"</gpx>\n")?;
        Ok(self.unplaced)
    }
}

/// The elements in the order that the schema asks for.
fn write(point: &Point, text: &mut String) -> Result<()> {
    write!(text, "<trkpt lat=\"{}\" lon=\"{}\">", point.latitude, point.longitude)?;
    if let Some(altitude) = point.altitude {
        write!(text, "<ele>{altitude}</ele>")?;
    }
    write!(text, "<time>{}</time>", point.time)?;
    if let Some(satellites) = point.satellites {
        write!(text, "<sat>{satellites}</sat>")?;
    }
    if let Some(hdop) = point.hdop {
        write!(text, "<hdop>{hdop}</hdop>")?;
    }
    if point.speed_kph.is_some() || point.course.is_some() {
        text.push_str("<extensions><gpxtpx:TrackPointExtension>");
        if let Some(speed) = point.speed_kph {
            // In metres per second there, to the millimetre: the division leaves digits that nobody measured.
            write!(text, "<gpxtpx:speed>{:.3}</gpxtpx:speed>", speed / KPH_IN_METRES_PER_SECOND)?;
        }
        if let Some(course) = point.course {
            write!(text, "<gpxtpx:course>{course}</gpxtpx:course>")?;
        }
        text.push_str("</gpxtpx:TrackPointExtension></extensions>");
    }
    text.push_str("</trkpt>\n");
    Ok(())
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<gpx version=\"1.1\" creator=\"odograph\" xmlns=\"http://www.topografix.com/GPX/1/1\" \
xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
xmlns:gpxtpx=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v2\" \
xsi:schemaLocation=\"http://www.topografix.com/GPX/1/1 http://www.topografix.com/GPX/1/1/gpx.xsd \
http://www.garmin.com/xmlschemas/TrackPointExtension/v2 http://www.garmin.com/xmlschemas/TrackPointExtensionv2.xsd\">
";
const KPH_IN_METRES_PER_SECOND: f64 = 3.6;
