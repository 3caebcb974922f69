//! Records, the parameter dictionary and the identifiers that everything else speaks in.
//!
//! Everything here is a value: no input or output, no clock, no async.

mod alarm;
mod key;
mod lsn;
mod record;
mod show;
mod time;
mod value;

pub use alarm::Alarm;
pub use key::{Key, Kind, NUMBER_MAX, PARAMETERS, Parameter};
pub use lsn::Lsn;
pub use record::{Record, RecordId, VALUES_MAX};
pub use show::RecordView;
pub use time::Time;
pub use value::{AccessPoint, Cell, Item, Value};
