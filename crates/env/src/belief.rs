//! Whether the machine's clock can be believed, where what is old is deleted for it.
//!
//! A machine that begins in the year 2080, because its battery is empty and nobody on the network told it the time, would take
//! everything for old. What is old by a wrong clock must not be lost for good, so a leap ahead is believed late.

use std::collections::BTreeSet;

/// The day to go by where what is old is deleted, of days since 1970, UTC: `today`, as our own clock has it; or the day before
/// the clock leapt ahead by more than [`LEAP_DAYS_MAX`], until something was received on [`SURE_DAYS`] days behind that.
///
/// `seen` are the days on which something was received, as the clock said it then. Those after today, and times of events far
/// back that came with them, do no harm: less is deleted for a while.
pub fn believed_day(today: i32, seen: &BTreeSet<i32>) -> i32 {
    let mut later = today;
    for day in seen.range(..=today).rev().take(SURE_DAYS).copied() {
        if later.abs_diff(day) > LEAP_DAYS_MAX {
            return day;
        }
        later = day;
    }
    today
}

/// A fleet may rest for so long, in winter or between two owners, without anybody having to look at the clock.
pub const LEAP_DAYS_MAX: u32 = 60;
/// So long somebody has to see the alarm, and to put the clock right.
pub const SURE_DAYS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i32 = 20_000;
    const FAR: i32 = 40_000;

    #[track_caller]
    fn check(today: i32, seen: impl IntoIterator<Item = i32>, expected: i32) {
        assert_eq!(believed_day(today, &seen.into_iter().collect()), expected);
    }

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        check(DAY, [], DAY);
        check(DAY, [DAY], DAY);
        check(DAY, DAY - 9..=DAY, DAY);
        check(DAY, [DAY - 60, DAY - 120], DAY);
    }

    #[test]
    fn a_leap_is_believed_after_a_week_in_which_something_came() {
        check(DAY + 61, [DAY - 1, DAY], DAY);
        check(FAR, DAY - 9..=DAY, DAY);
        let sure = i32::try_from(SURE_DAYS).expect("a few");
        let since = |days: i32| (DAY - 9..=DAY).chain(FAR..FAR + days);
        check(FAR + 5, since(6), DAY);
        check(FAR + sure - 1, since(sure), FAR + sure - 1);
    }

    #[test]
    fn a_clock_that_is_put_right_is_believed_at_once() {
        check(DAY + 1, [DAY - 1, DAY, FAR, FAR + 1], DAY + 1);
    }
}
