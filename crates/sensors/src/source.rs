//! Where a sensor gets its numbers: a parameter of the dictionary, or an element that the dictionary does not name.

use crate::Fault;
use odograph_model::{Key, Kind, NUMBER_MAX, PARAMETERS, Record, Value};

/// A parameter that a definition names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Parameter(Key),
    /// Its name without `raw.`.
    Raw(String),
}

impl Source {
    /// The parameter of this name.
    pub(crate) fn of(field: &'static str, name: &str) -> Result<Self, Fault> {
        if let Some(raw) = name.strip_prefix("raw.").filter(|raw| !raw.is_empty() && raw.len() <= RAW_BYTES_MAX) {
            return Ok(Self::Raw(raw.to_owned()));
        }
        let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        let unknown = || {
            let meant = nearest(&shown).map_or(String::new(), |near| format!("did you mean {near}? "));
            let what =
                format!("there is no parameter {shown}: {meant}/api/v1/parameters lists them, and others are raw.NAME");
            Fault::new(field, what)
        };
        Key::from_name(name).map(Self::Parameter).ok_or_else(unknown)
    }

    /// What is odd about taking a number of it: a text may be none.
    ///
    /// # Errors
    ///
    /// Where it never has one.
    pub(crate) fn judged(&self) -> Result<Option<String>, String> {
        let Self::Parameter(key) = self else { return Ok(None) };
        match key.kind() {
            Kind::Float | Kind::Int | Kind::Bool => Ok(None),
            Kind::Text => Ok(Some(format!("{key} is a text, and counts where it reads as a number"))),
            Kind::List => Err(format!("{key} is a list, which is no number")),
        }
    }

    /// The number that a record has of it; a state is 1 or 0.
    pub(crate) fn number(&self, record: &Record) -> Option<f64> {
        match self {
            Self::Parameter(key) => match record.get(*key)? {
                Value::Float(number) => Some(*number),
                Value::Int(number) => Some(*number as f64),
                Value::Bool(is) => Some(f64::from(u8::from(*is))),
                Value::Text(text) => text.trim().parse().ok(),
                Value::List(_) => None,
            },
            Self::Raw(name) => {
                let found = record.raw_values().iter().rfind(|(known, _)| known == name);
                found.and_then(|(_, text)| text.trim().parse::<f64>().ok())
            }
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Parameter(key) => key.to_string(),
            Self::Raw(name) => format!("raw.{name}"),
        }
    }
}

/// The parameter that somebody probably meant: by its last part, too, because people leave out the first.
fn nearest(name: &str) -> Option<String> {
    let plain = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let numbered = plain.rsplit_once('.').and_then(|(stem, number)| Some((stem, number.parse::<u64>().ok()?)));
    let (stem, number) = numbered.map_or((plain.as_str(), None), |(stem, number)| (stem, Some(number)));
    let likeness = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(stem, known).max(0.95 * strsim::jaro_winkler(stem, last))
    };
    let known = PARAMETERS.iter().map(|parameter| match parameter.name.split_once(".{") {
        Some((stem, _)) => (likeness(stem), stem, true),
        None => (likeness(parameter.name), parameter.name, false),
    });
    let (_, near, has_number) =
        known.filter(|(likeness, ..)| *likeness >= LIKELY).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let number = number.filter(|number| (1..=u64::from(NUMBER_MAX)).contains(number)).unwrap_or(1);
    Some(if has_number { format!("{near}.{number}") } else { near.to_owned() })
}

/// Less alike than this, a suggestion would be a guess.
const LIKELY: f64 = 0.8;
/// Longer than any name that a protocol gives.
const RAW_BYTES_MAX: usize = 128;
const SHOWN_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_comes_with_the_one_that_was_meant() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(nearest(name).as_deref(), expected, "{name}");
        check("position.sped", Some("position.speed"));
        check("position_speed", Some("position.speed"));
        check("Position.Speed", Some("position.speed"));
        check("temperature", Some("temperature.1"));
        check("temprature.3", Some("temperature.3"));
        check("temperature.65", Some("temperature.1"));
        check("tire.presure.12", Some("tire.pressure.12"));
        check("nothing of the kind", None);
        check("", None);
        let fault = Source::of("calibration.parameter", "fuel.levl").unwrap_err().to_string();
        let expected = "calibration.parameter: there is no parameter fuel.levl: did you mean fuel.level? /api/v1/parameters \
                        lists them, and others are raw.NAME";
        assert_eq!(fault, expected);
    }

    #[test]
    fn a_list_is_no_number_and_a_text_may_be_one() {
        let judged = |name: &str| Source::of("f", name).unwrap().judged();
        for name in ["position.speed", "din", "din.1", "raw.9"] {
            assert_eq!(judged(name), Ok(None), "{name}");
        }
        assert_eq!(judged("alarm"), Err("alarm is a list, which is no number".to_owned()));
        let text = "driver.id is a text, and counts where it reads as a number".to_owned();
        assert_eq!(judged("driver.id"), Ok(Some(text)));
    }
}
