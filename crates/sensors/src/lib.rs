//! What sensors of a device show: what a calibration table or a formula makes of the parameters that the device sends.
//!
//! A [`Definition`] is what people write; [`Sensor::of`] checks it and says in which place it is wrong; [`Sensor::value`] is
//! a function of one record. What it costs is bounded by the definition alone: formulas have no loops.

mod calibration;
mod formula;
mod sensor;
mod source;

pub use calibration::{Beyond, Calibration, POINTS_MAX};
pub use formula::{DEPTH_MAX, FORMULA_BYTES_MAX, NODES_MAX};
pub use sensor::{Definition, NAME_CHARS_MAX, Sensor, UNIT_CHARS_MAX};

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which field.
    pub field: &'static str,
    /// What, and in which place of it.
    pub reason: String,
}

impl Fault {
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for Fault {}
