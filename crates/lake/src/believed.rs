//! Which day retention goes by: see [`odograph_env::believed_day`].

use crate::Options;
use crate::rows::day_of;
use odograph_env::believed_day;
use odograph_model::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// The day that is believed, looked at now and then.
pub(crate) struct Believed {
    /// Whether anything is ever old.
    is_needed: bool,
    /// Not before this time of the monotonic clock, files are looked at again.
    look_at: Duration,
    day: i32,
    /// What the clock said of the day then.
    looked_on: i32,
    is_told: bool,
}

impl Believed {
    pub(crate) fn new(options: &Options) -> Self {
        Self { is_needed: options.retires(), look_at: Duration::ZERO, day: 0, looked_on: 0, is_told: false }
    }

    /// The day that is believed to be today, if anybody needs it. `seen` are the days of which there are records and entries of the
    /// journal: no event time is far ahead of the receipt.
    pub(crate) fn today(&mut self, now: Duration, clock: Time, seen: impl FnOnce() -> BTreeSet<i32>) -> Option<i32> {
        if !self.is_needed {
            return None;
        }
        let today = day_of(clock);
        if now >= self.look_at || self.looked_on != today {
            (self.look_at, self.looked_on) = (now + LOOK_EVERY, today);
            self.day = believed_day(today, &seen());
        }
        let days = today - self.day;
        let is_doubted = days > 0;
        if is_doubted && !self.is_told {
            tracing::error!(
                days,
                "the clock is far ahead of all that was received before: nothing of history goes for being old until it was \
                 put right, or something was received on {} days",
                odograph_env::SURE_DAYS
            );
        }
        self.is_told = is_doubted;
        Some(self.day)
    }
}

/// Maintenance looks at each table as often.
const LOOK_EVERY: Duration = Duration::from_secs(600);
