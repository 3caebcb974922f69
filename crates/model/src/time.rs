//! Moments, in milliseconds since 1970 UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use std::fmt;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The moment of a UTC date and time of day; `None` for one that is not in the calendar.
    pub fn utc(year: i16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let small = |value: u8| i8::try_from(value).ok();
        let civil = DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0);
        let moment = TimeZone::UTC.to_timestamp(civil.ok()?).ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// The moment of an RFC 3339 text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// The moment `milliseconds` later, or the last one there is.
    #[must_use]
    pub const fn plus_ms(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Whether it lies in the years 0000 to 9999, which RFC 3339 can write.
    pub const fn is_writable(self) -> bool {
        const YEAR_0_MS: i64 = -62_167_219_200_000;
        const YEAR_10000_MS: i64 = 253_402_300_800_000;
        YEAR_0_MS <= self.0 && self.0 < YEAR_10000_MS
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_moments_and_texts() {
        let time = Time::utc(2019, 6, 10, 10, 4, 46).expect("a date of the calendar");
        assert_eq!(time, Time(1_560_161_086_000));
        assert_eq!(time.plus_ms(7).to_string(), "2019-06-10T10:04:46.007Z");
        assert_eq!(Time::parse("2019-06-10T10:04:46.007Z"), Some(time.plus_ms(7)));
    }

    #[test]
    fn dates_outside_the_calendar_are_none() {
        assert_eq!(Time::utc(2023, 2, 29, 0, 0, 0), None);
        assert_eq!(Time::utc(2023, 13, 1, 0, 0, 0), None);
        assert_eq!(Time::utc(2023, 1, 1, 24, 0, 0), None);
        assert_eq!(Time::utc(2023, 1, 1, 200, 0, 0), None);
    }
}
