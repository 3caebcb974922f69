//! The clock window: a wrong clock harms nobody.

use compact_str::format_compact;
use odograph_model::{Key, Record, Time};

/// A device's time may be this long before its receipt: a truck that was laid up for a year still has its history.
pub const CLOCK_BEHIND_MAX_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// And this long after it: a day covers any confusion of time zones.
pub const CLOCK_AHEAD_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// How far a device's clock may be from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// So much before the receipt, in milliseconds.
    pub behind_max_ms: i64,
    /// So much after it, in milliseconds.
    pub ahead_max_ms: i64,
}

impl Default for Window {
    fn default() -> Self {
        Self { behind_max_ms: CLOCK_BEHIND_MAX_MS, ahead_max_ms: CLOCK_AHEAD_MAX_MS }
    }
}

impl Window {
    /// Gives the record its event time: what the device claims where that can be, else the time of receipt, with
    /// `time.source` saying so and `device.time` keeping the claim. Its id must have been taken before.
    pub fn apply(&self, record: &mut Record, received: Time) {
        let claimed = record.time;
        let fits = claimed.is_some_and(|time| {
            received.plus_ms(-self.behind_max_ms) <= time && time <= received.plus_ms(self.ahead_max_ms)
        });
        if fits {
            return;
        }
        record.time = Some(received);
        record.set(Key::TimeSource, "received");
        if let Some(claimed) = claimed {
            record.set(Key::DeviceTime, format_compact!("{claimed}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_outside_the_window_is_kept_beside_the_time_of_receipt() {
        let received = Time::parse("2026-06-01T12:00:00Z").expect("a time");
        let apply = |claimed: Option<&str>| {
            let mut record = Record::new();
            record.time = claimed.and_then(Time::parse);
            Window::default().apply(&mut record, received);
            let text = |key| record.get(key).map(|value| format!("{value:?}"));
            (record.time.map(|time| time.to_string()), text(Key::TimeSource), text(Key::DeviceTime))
        };
        let at = |time: &str| Some(time.to_owned());
        let receipt = at("2026-06-01T12:00:00.000Z");
        assert_eq!(apply(Some("2026-06-02T12:00:00Z")), (at("2026-06-02T12:00:00.000Z"), None, None));
        assert_eq!(apply(Some("2025-04-27T12:00:00Z")), (at("2025-04-27T12:00:00.000Z"), None, None));
        let source = Some("Text(\"received\")".to_owned());
        let claim = |time: &str| Some(format!("Text(\"{time}\")"));
        let early = claim("2025-04-27T11:59:59.000Z");
        assert_eq!(apply(Some("2025-04-27T11:59:59Z")), (receipt.clone(), source.clone(), early));
        let late = claim("2080-01-01T00:00:00.000Z");
        assert_eq!(apply(Some("2080-01-01T00:00:00Z")), (receipt.clone(), source.clone(), late));
        assert_eq!(apply(None), (receipt, source, None));
    }
}
