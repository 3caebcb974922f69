//! Sensors as people define them, and as they are read.

use crate::Fault;
use crate::calibration::{Calibration, TABLE_PARAMETER, Table};
use crate::formula::Formula;
use odograph_model::Record;
use serde::{Deserialize, Serialize};

/// Characters of a sensor's name.
pub const NAME_CHARS_MAX: usize = 64;
/// Characters of a unit.
pub const UNIT_CHARS_MAX: usize = 16;

/// What people say of a sensor: by a calibration table, or by a formula.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// Its name: records have it as `sensor.NAME`. Letters, digits, `.`, `_` and `-`, a letter first.
    pub name: String,
    /// The unit of what it shows, for people.
    pub unit: String,
    /// A table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// A formula in CEL, as `value("position.speed") * 1.02`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
}

/// A sensor that was checked.
#[derive(Debug, Clone)]
pub struct Sensor {
    name: String,
    unit: String,
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Table(Table),
    Formula(Formula),
}

impl Sensor {
    /// Checks a definition that is kept already: what it gives does not change with what is asked of new ones.
    ///
    /// # Errors
    ///
    /// When it is wrong, with the place.
    pub fn of(definition: &Definition) -> Result<Self, Fault> {
        Self::checked(definition, |formula| Formula::of(formula).map(How::Formula))
    }

    /// Checks a definition that is new, and says what is odd about it, as `formula: line 1, column 9: …`.
    ///
    /// # Errors
    ///
    /// When it is wrong, with the place; also when what it takes is never a number, or what comes out.
    pub fn new(definition: &Definition) -> Result<(Self, Vec<String>), Fault> {
        let mut warnings = Vec::new();
        let sensor = Self::checked(definition, |formula| {
            let formula = Formula::new(formula)?;
            warnings = formula.1;
            Ok(How::Formula(formula.0))
        })?;
        if let How::Table(table) = &sensor.how {
            let odd = table.source().judged().map_err(|why| Fault::new(TABLE_PARAMETER, why))?;
            warnings.extend(odd.map(|odd| Fault::new(TABLE_PARAMETER, odd).to_string()));
        }
        Ok((sensor, warnings))
    }

    fn checked(definition: &Definition, formula_of: impl FnOnce(&str) -> Result<How, Fault>) -> Result<Self, Fault> {
        let Definition { name, unit, calibration, formula } = definition;
        check_name(name)?;
        if unit.chars().count() > UNIT_CHARS_MAX || unit.chars().any(char::is_control) {
            return Err(Fault::new("unit", format!("is longer than {UNIT_CHARS_MAX} characters, or cannot be shown")));
        }
        let how = match (calibration, formula) {
            (Some(calibration), None) => How::Table(Table::of(calibration)?),
            (None, Some(formula)) => formula_of(formula)?,
            (None, None) => return Err(Fault::new("formula", "is missing: a sensor has it, or a calibration")),
            (Some(_), Some(_)) => {
                return Err(Fault::new("formula", "is there besides a calibration: a sensor has one of both"));
            }
        };
        Ok(Self { name: name.clone(), unit: unit.clone(), how })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The unit of what it shows.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// What it shows for a record; nothing where the record lacks what it takes, or it cannot be computed.
    pub fn value(&self, record: &Record) -> Option<f64> {
        self.tried(record).ok().flatten()
    }

    /// The same for whoever tries it out.
    ///
    /// # Errors
    ///
    /// When the formula does not give a number, whatever the record has.
    pub fn tried(&self, record: &Record) -> Result<Option<f64>, Fault> {
        match &self.how {
            How::Table(table) => Ok(table.value(record)),
            How::Formula(formula) => formula.result(record).map_err(|reason| Fault::new("formula", reason)),
        }
    }

    /// The parameters that it takes, with what a record has of them.
    pub fn inputs(&self, record: &Record) -> Vec<(String, Option<f64>)> {
        let input = |source: &crate::source::Source| (source.name(), source.number(record));
        match &self.how {
            How::Table(table) => vec![input(table.source())],
            How::Formula(formula) => {
                let mut inputs: Vec<_> = formula.sources().map(input).collect();
                inputs.sort_by(|one, other| one.0.cmp(&other.0));
                inputs.dedup_by(|one, other| one.0 == other.0);
                inputs
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), Fault> {
    let is_one = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    match name.chars().next() {
        None => Err(Fault::new("name", "is empty")),
        Some(_) if name.len() > NAME_CHARS_MAX => Err(Fault::new(
            "name",
            format!("has {} characters, at most {NAME_CHARS_MAX} are possible", name.chars().count()),
        )),
        Some(first) if !first.is_ascii_alphabetic() || !is_one => Err(Fault::new(
            "name",
            "has letters (a to z), digits, dots, underscores and hyphens, and begins with a letter",
        )),
        Some(_) if name == PREVIEW => Err(Fault::new("name", "is that of the call that tries a sensor: take another")),
        Some(_) => Ok(()),
    }
}

/// What stands in the place of a name in the API, where a sensor is tried.
const PREVIEW: &str = "preview";

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_model::Key;

    #[test]
    fn a_definition_is_json_and_gives_a_sensor() {
        let text = r#"{"name":"fuel.main","unit":"l","calibration":{"parameter":"raw.9","points":[[0,0],[5000,300]]}}"#;
        let definition: Definition = serde_json::from_str(text).unwrap();
        let mut record = Record::new();
        record.raw("9", "2500");
        let sensor = Sensor::of(&definition).unwrap();
        assert_eq!((sensor.name(), sensor.unit(), sensor.value(&record)), ("fuel.main", "l", Some(150.0)));
        assert_eq!(sensor.inputs(&record), [("raw.9".to_owned(), Some(2500.0))]);
        let again: Definition = serde_json::from_str(&serde_json::to_string(&definition).unwrap()).unwrap();
        assert_eq!(again, definition);
        let formula = Some("value(\"position.speed\") + value(\"position.speed\", 3) + value(\"raw.8\", 1)".to_owned());
        let sensor = Sensor::of(&Definition { name: "s".into(), formula, ..Definition::default() }).unwrap();
        record.set(Key::PositionSpeed, 10.0);
        assert_eq!(sensor.value(&record), Some(21.0));
        let inputs = [("position.speed".to_owned(), Some(10.0)), ("raw.8".to_owned(), None)];
        assert_eq!(sensor.inputs(&record), inputs);
    }

    #[test]
    fn what_a_sensor_cannot_be_is_said() {
        let check = |name: &str, formula: Option<&str>, expected: &str| {
            let formula = formula.map(ToOwned::to_owned);
            let definition = Definition { name: name.into(), formula, ..Definition::default() };
            assert_eq!(Sensor::of(&definition).map(drop).unwrap_err().to_string(), expected);
        };
        check("", Some("1"), "name: is empty");
        check("preview", Some("1"), "name: is that of the call that tries a sensor: take another");
        let rule = "name: has letters (a to z), digits, dots, underscores and hyphens, and begins with a letter";
        check("1a", Some("1"), rule);
        check("a b", Some("1"), rule);
        check(&"a".repeat(65), Some("1"), "name: has 65 characters, at most 64 are possible");
        check("a", None, "formula: is missing: a sensor has it, or a calibration");
        let unknown = serde_json::from_str::<Definition>(r#"{"name":"a","formel":"1"}"#).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `formel`"), "{unknown}");
    }
}
