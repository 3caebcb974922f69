//! Calibration tables: straight lines between points that somebody has measured.

use crate::Fault;
use crate::source::Source;
use odograph_model::Record;
use serde::{Deserialize, Serialize};

/// Where a table names its parameter.
pub(crate) const TABLE_PARAMETER: &str = "calibration.parameter";

/// Points of a table: a tank is measured in steps of a few litres.
pub const POINTS_MAX: usize = 256;

/// A table from a parameter's value to what the sensor shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The parameter, as `fuel.voltage`, or `raw.NAME`.
    pub parameter: String,
    /// What it says, and what the sensor shows then, in the order of the former.
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<(f64, f64)>,
    /// What the sensor shows beyond the first and the last point.
    #[serde(default)]
    pub beyond: Beyond,
}

/// What a sensor shows beyond its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// What it shows at the end of the table: a full tank is full.
    #[default]
    Clamp,
    /// Nothing: the value cannot be.
    Nothing,
}

/// A table that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    source: Source,
    points: Vec<(f64, f64)>,
    beyond: Beyond,
}

impl Table {
    pub(crate) fn of(calibration: &Calibration) -> Result<Self, Fault> {
        let source = Source::of(TABLE_PARAMETER, &calibration.parameter)?;
        let points = &calibration.points;
        let wrong = |reason: String| Err(Fault::new("calibration.points", reason));
        if points.len() < 2 {
            return wrong(format!("are {}: a line takes two", points.len()));
        }
        if points.len() > POINTS_MAX {
            return wrong(format!("are {}, at most {POINTS_MAX} are possible", points.len()));
        }
        for (index, (from, to)) in points.iter().enumerate() {
            if !from.is_finite() || !to.is_finite() {
                return wrong(format!("point {}: is no number", index + 1));
            }
            if let Some((before, _)) = index.checked_sub(1).and_then(|before| points.get(before))
                && from <= before
            {
                return wrong(format!("point {}: {from} does not come behind {before}", index + 1));
            }
        }
        Ok(Self { source, points: points.clone(), beyond: calibration.beyond })
    }

    pub(crate) fn value(&self, record: &Record) -> Option<f64> {
        let number = self.source.number(record)?;
        let behind = self.points.partition_point(|(from, _)| *from < number);
        let (below, above) = (behind.checked_sub(1).and_then(|at| self.points.get(at)), self.points.get(behind));
        match (below, above) {
            (_, Some((from, to))) if *from == number => Some(*to),
            (Some((x0, y0)), Some((x1, y1))) => Some(y0 + (y1 - y0) * ((number - x0) / (x1 - x0))),
            (Some((_, end)), None) | (None, Some((_, end))) => (self.beyond == Beyond::Clamp).then_some(*end),
            (None, None) => None,
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_model::Key;

    fn table(points: &[(f64, f64)], beyond: Beyond) -> Result<Table, String> {
        let calibration = Calibration { parameter: "external.power.voltage".into(), points: points.to_vec(), beyond };
        Table::of(&calibration).map_err(|fault| fault.to_string())
    }

    #[test]
    fn between_points_there_are_straight_lines() {
        let points = [(0.5, 0.0), (2.0, 150.0), (4.5, 300.0)];
        let check = |beyond, voltage: f64, expected: Option<f64>| {
            let mut record = Record::new();
            record.set(Key::ExternalPowerVoltage, voltage);
            assert_eq!(table(&points, beyond).unwrap().value(&record), expected, "{voltage} {beyond:?}");
        };
        for (voltage, litres) in [(0.5, 0.0), (1.25, 75.0), (2.0, 150.0), (3.25, 225.0), (4.5, 300.0)] {
            check(Beyond::Nothing, voltage, Some(litres));
        }
        check(Beyond::Clamp, 0.1, Some(0.0));
        check(Beyond::Clamp, 9.0, Some(300.0));
        check(Beyond::Nothing, 0.1, None);
        check(Beyond::Nothing, 9.0, None);
        assert_eq!(table(&points, Beyond::Clamp).unwrap().value(&Record::new()), None);
    }

    #[test]
    fn a_table_that_cannot_be_says_where() {
        let check = |points: &[(f64, f64)], expected: &str| {
            assert_eq!(table(points, Beyond::Clamp).map(drop), Err(expected.to_owned()));
        };
        check(&[(1.0, 1.0)], "calibration.points: are 1: a line takes two");
        check(&[(1.0, 1.0), (2.0, 1.0), (2.0, 3.0)], "calibration.points: point 3: 2 does not come behind 2");
        check(&[(1.0, 1.0), (f64::NAN, 1.0)], "calibration.points: point 2: is no number");
        let many: Vec<_> = (0..257).map(|number| (f64::from(number), 0.0)).collect();
        check(&many, "calibration.points: are 257, at most 256 are possible");
        table(&many[1..], Beyond::Clamp).unwrap();
    }
}
