//! What time it is for trucks.

/// Simulated time as a function of the real one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// When the simulation began, really.
    pub(crate) began_ms: i64,
    /// When it began for the trucks.
    pub(crate) from_ms: i64,
    /// How many times as fast as it happened the past goes by; `None` makes it now at once, so that the past is a backlog.
    pub(crate) speed_up: Option<f64>,
}

impl Pace {
    /// What trucks take for now. It never lies ahead: once the past has gone by, time goes on as it does.
    pub(crate) fn now_ms(self, real_ms: i64) -> i64 {
        let Some(speed_up) = self.speed_up else { return real_ms };
        let gone_ms = (real_ms - self.began_ms).max(0) as f64;
        (self.from_ms + (gone_ms * speed_up) as i64).min(real_ms)
    }

    /// How many real milliseconds a simulated duration takes now.
    pub(crate) fn real_ms(self, simulated_ms: i64, real_ms: i64) -> i64 {
        match self.speed_up {
            Some(speed_up) if self.now_ms(real_ms) < real_ms => (simulated_ms as f64 / speed_up) as i64,
            _ => simulated_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_goes_by_faster_until_it_is_now() {
        let pace = Pace { began_ms: 100_000, from_ms: 40_000, speed_up: Some(4.0) };
        for (real, simulated) in [(100_000, 40_000), (110_000, 80_000), (120_000, 120_000), (130_000, 130_000)] {
            assert_eq!(pace.now_ms(real), simulated, "at {real}");
        }
        assert_eq!((pace.real_ms(10_000, 110_000), pace.real_ms(10_000, 125_000)), (2500, 10_000));
        let at_once = Pace { speed_up: None, ..pace };
        assert_eq!((at_once.now_ms(100_000), at_once.real_ms(10_000, 100_000)), (100_000, 10_000));
    }
}
