//! Disk, clock and randomness as traits, with the real ones behind them.
//!
//! This is the only crate that asks the operating system for the time, for random bytes, or to make bytes durable.
//! Everything else gets a [`Disk`], a [`Clock`] or an [`Rng`] handed in, so that a test can lose, tear and refuse
//! writes, set the time, and repeat a run from its seed.

mod belief;
mod clock;
mod disk;
mod rng;
mod thread;

pub use belief::{LEAP_DAYS_MAX, SURE_DAYS, believed_day};
pub use clock::{Clock, SystemClock, UnixMillis};
pub use disk::{Disk, DiskFile, Inspected, LocalDisk, is_full};
pub use rng::{Rng, SystemRng};
pub use thread::yield_to_others;
