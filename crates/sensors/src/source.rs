//! Where a sensor gets its numbers: a parameter of the dictionary, or an element that the dictionary does not name.

use crate::Fault;
use odograph_model::{Key, Record, Value};

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
            Fault::new(
                field,
                format!(
                    "there is no parameter {shown}: `odograph protocols` and /api/v1/parameters list them, and others are raw.NAME"
                ),
            )
        };
        Key::from_name(name).map(Self::Parameter).ok_or_else(unknown)
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

/// Longer than any name that a protocol gives.
const RAW_BYTES_MAX: usize = 128;
const SHOWN_CHARS_MAX: usize = 100;
