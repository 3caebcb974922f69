//! How much each tenant used, day by day, exactly: a bill can be written from it.
//!
//! The counts are a function of the journal. A file keeps them together with the place in the journal up to which they
//! cover it, in one piece: whatever is killed, reading the journal again from there counts the rest, each entry once. Whoever
//! fills history keeps the file ahead of it ([`Meter::keep`] before each commit), for what is committed there is not told
//! as new a second time.

mod file;
mod meter;
mod quota;
mod tally;

pub use file::MeterError;
pub use meter::{CLOSED_ROWS_MAX, Flow, Meter, OPEN_DAYS_MAX};
pub use quota::{NEAR_PERCENT, Standing};
pub use tally::{Counts, DayOf, Row};

/// The UTC day of a moment, since 1970.
pub fn day_of(moment: odograph_model::Time) -> i32 {
    // No clock shows days so far away.
    i32::try_from(moment.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
