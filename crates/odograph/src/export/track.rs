//! Records as points of ways: which ones have a place, and where a way ends.

use compact_str::CompactString;
use odograph_lake::Stored;
use odograph_model::{Key, Time, Value};

/// A place at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) time: Time,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// In metres.
    pub(super) altitude: Option<f64>,
    pub(super) speed_kph: Option<f64>,
    /// In degrees, clockwise from north.
    pub(super) course: Option<f64>,
    pub(super) satellites: Option<i64>,
    pub(super) hdop: Option<f64>,
}

impl Point {
    /// `None` where there is no position, or none that is on the earth, or the device says that it does not hold.
    pub(super) fn of(stored: &Stored<'_>) -> Option<Self> {
        let record = &stored.record;
        let float = |key| match record.get(key) {
            Some(Value::Float(value)) => Some(*value),
            _ => None,
        };
        let latitude = float(Key::PositionLatitude).filter(|degrees| (-90.0..=90.0).contains(degrees))?;
        let longitude = float(Key::PositionLongitude).filter(|degrees| (-180.0..=180.0).contains(degrees))?;
        if record.get(Key::PositionValid) == Some(&Value::Bool(false)) {
            return None;
        }
        let satellites = match record.get(Key::PositionSatellites) {
            Some(Value::Int(count)) if *count >= 0 => Some(*count),
            _ => None,
        };
        Some(Self {
            time: stored.time(),
            latitude,
            // 180 degrees east is 180 degrees west, and some formats know only the one.
            longitude: if longitude == 180.0 { -180.0 } else { longitude },
            altitude: float(Key::PositionAltitude),
            speed_kph: float(Key::PositionSpeed).filter(|speed| *speed >= 0.0),
            course: float(Key::PositionDirection).filter(|course| (0.0..=360.0).contains(course)),
            satellites,
            hdop: float(Key::PositionHdop).filter(|hdop| *hdop >= 0.0),
        })
    }
}

/// How a point follows the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Another device's way begins.
    Device,
    /// The same device's, after a time of which nothing is known.
    Gap,
    /// The way goes on.
    On,
}

/// Where ways end.
#[derive(Default)]
pub(super) struct Ways {
    last: Option<(CompactString, Time)>,
}

impl Ways {
    /// Takes the next point's device and time.
    pub(super) fn step(&mut self, device: &str, time: Time) -> Step {
        let step = match &self.last {
            Some((same, last)) if same == device && time.0 - last.0 <= GAP_MS => Step::On,
            Some((same, _)) if same == device => Step::Gap,
            _ => Step::Device,
        };
        match &mut self.last {
            Some((same, last)) if same == device => *last = time,
            last => *last = Some((device.into(), time)),
        }
        step
    }

    /// The device whose way it is.
    pub(super) fn device(&self) -> Option<&str> {
        self.last.as_ref().map(|(device, _)| device.as_str())
    }
}

/// Longer without a position, and a straight line would be an invention. Trackers that stand still report each few minutes.
pub(super) const GAP_MS: i64 = 15 * 60 * 1000;

/// A way is held in memory while its end is not known, so it is cut after so many points; the next piece begins with the
/// last point of this one.
pub(super) const PIECE_POINTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_model::{Record, RecordId};

    fn point(set: impl Fn(&mut Record)) -> Option<Point> {
        let mut record = Record::at(Time(7));
        record.set(Key::PositionLatitude, 54.5);
        record.set(Key::PositionLongitude, 25.5);
        set(&mut record);
        Point::of(&Stored { device: "1", received: Time(9), id: RecordId(1), protocol: "test", record })
    }

    #[test]
    fn a_record_without_a_place_is_no_point() {
        let plain = Point {
            time: Time(7),
            latitude: 54.5,
            longitude: 25.5,
            altitude: None,
            speed_kph: None,
            course: None,
            satellites: None,
            hdop: None,
        };
        assert_eq!(point(|_| {}), Some(plain));
        assert_eq!(point(|record| record.set(Key::PositionValid, true)), Some(plain));
        assert_eq!(point(|record| record.set(Key::PositionValid, false)), None);
        assert_eq!(point(|record| record.set(Key::PositionLatitude, 90.1)), None);
        assert_eq!(point(|record| record.set(Key::PositionLongitude, -180.1)), None);
        let odd = |record: &mut Record| {
            record.set(Key::PositionLongitude, 180.0);
            record.set(Key::PositionDirection, 361.0);
            record.set(Key::PositionSpeed, -1.0);
            record.set(Key::PositionSatellites, -1_i64);
        };
        assert_eq!(point(odd), Some(Point { longitude: -180.0, ..plain }));
    }

    #[test]
    fn a_way_ends_at_a_gap_and_with_its_device() {
        let mut ways = Ways::default();
        let steps = [("1", 0), ("1", GAP_MS), ("1", 2 * GAP_MS + 1), ("2", 0), ("2", 0)];
        let steps = steps.map(|(device, time)| ways.step(device, Time(time)));
        assert_eq!(steps, [Step::Device, Step::On, Step::Gap, Step::Device, Step::On]);
        assert_eq!(ways.device(), Some("2"));
    }
}
