//! Dates as devices write them.

/// Year, month, day, hour, minute and second, UTC.
pub(super) fn parts(time_ms: i64) -> [u16; 6] {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    [
        time.year() as u16,
        time.month() as u16,
        time.day() as u16,
        time.hour() as u16,
        time.minute() as u16,
        time.second() as u16,
    ]
}
