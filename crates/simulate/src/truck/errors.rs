//! What goes wrong with devices: no network for a while, and clocks that are wrong.

use crate::dice::Dice;

/// On the road, so many hours until the network is gone.
const GAP_HOURS: f64 = 6.0;
/// For so many minutes; one gap in six is of the long kind.
const GAP_MINUTES: (f64, f64) = (3.0, 18.0);
const LONG_GAP_MINUTES: (f64, f64) = (45.0, 150.0);

/// Whether there is a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// Seconds until it is back; nothing while it is there.
    gap_s: f64,
}

impl Coverage {
    pub(crate) fn is_there(&self) -> bool {
        self.gap_s <= 0.0
    }

    pub(crate) fn advance(&mut self, seconds: f64, drives: bool, dice: &mut Dice) {
        if self.gap_s > 0.0 {
            self.gap_s -= seconds;
        } else if drives && dice.happens_within(seconds, GAP_HOURS) {
            let (least, most) = if dice.happens(1.0 / 6.0) { LONG_GAP_MINUTES } else { GAP_MINUTES };
            self.gap_s = dice.between(least, most) * 60.0;
        }
    }
}

/// So many hours until a clock goes wrong, and minutes until a satellite puts it right.
const WRONG_HOURS: f64 = 200.0;
const WRONG_MINUTES: (f64, f64) = (3.0, 12.0);
/// What a clock says that lost its battery: the first of January 2000.
const POWER_UP_MS: i64 = 946_684_800_000;
/// The weeks of GPS have ten bits: a receiver of old is so far behind.
const ROLLOVER_MS: i64 = 1024 * 7 * 24 * 3_600_000;
/// And somebody may have set a clock to another month.
const AHEAD_MS: i64 = 31 * 24 * 3_600_000;

/// A clock that is right, mostly.
#[derive(Debug, Clone, Default)]
pub(crate) struct WrongClock {
    wrong: Option<Wrong>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    until_ms: i64,
    by_ms: i64,
}

impl WrongClock {
    pub(crate) fn reading(&self, time_ms: i64) -> i64 {
        time_ms + self.wrong.map_or(0, |wrong| wrong.by_ms)
    }

    pub(crate) fn advance(&mut self, time_ms: i64, step_ms: i64, dice: &mut Dice) {
        self.wrong = self.wrong.filter(|wrong| time_ms < wrong.until_ms);
        if self.wrong.is_none() && dice.happens_within(step_ms as f64 / 1000.0, WRONG_HOURS) {
            let until_ms = time_ms + (dice.between(WRONG_MINUTES.0, WRONG_MINUTES.1) * 60_000.0) as i64;
            let by_ms = match dice.pick(3) {
                0 => POWER_UP_MS - time_ms,
                1 => -ROLLOVER_MS,
                _ => AHEAD_MS,
            };
            self.wrong = Some(Wrong { until_ms, by_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_goes_on_the_road_and_comes_back() {
        let (mut coverage, mut dice) = (Coverage::default(), Dice::new(5, 5));
        for _ in 0..100_000 {
            coverage.advance(10.0, false, &mut dice);
            assert!(coverage.is_there(), "a truck that stands keeps its network");
        }
        let there = (0..100_000).filter(|_| {
            coverage.advance(10.0, true, &mut dice);
            coverage.is_there()
        });
        let share = there.count() as f64 / 100_000.0;
        assert!((0.85..0.99).contains(&share), "{share}");
    }

    #[test]
    fn a_wrong_clock_is_put_right() {
        let (mut clock, mut dice) = (WrongClock::default(), Dice::new(9, 9));
        let (mut wrong, mut episodes, mut time) = (0, 0, 1_790_000_000_000);
        for _ in 0..1_000_000 {
            time += 10_000;
            let before = clock.wrong.is_some();
            clock.advance(time, 10_000, &mut dice);
            wrong += i32::from(clock.reading(time) != time);
            episodes += i32::from(clock.wrong.is_some() && !before);
        }
        // Some 2778 hours.
        assert!((6..28).contains(&episodes), "{episodes} episodes");
        assert!((episodes * 18..=episodes * 73).contains(&wrong), "{wrong} steps in {episodes} episodes");
    }
}
