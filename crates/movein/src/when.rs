//! Moments, as databases and people write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The moment that a text means, in `zone` where it names none; whether it named one. A day without a time means its end:
/// "valid until" includes the day.
pub(crate) fn parse(text: &str, zone: &TimeZone) -> Option<(Timestamp, bool)> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some((moment, true));
    }
    let local = match day(text) {
        Some(day) => day.checked_add(1.day()).ok()?.to_datetime(jiff::civil::Time::midnight()),
        None => text.parse::<DateTime>().ok()?,
    };
    Some((zone.to_timestamp(local).ok()?, false))
}

/// `2027-03-31` and `31.03.2027`. With slashes it may be one day or another, so it is neither.
fn day(text: &str) -> Option<Date> {
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_it = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_it { text.parse::<i16>().ok() } else { None }
    };
    let mut parts = text.splitn(3, '.');
    if let (Some(day), Some(month), Some(year)) = (parts.next(), parts.next(), parts.next()) {
        let (day, month) = (number(day, 1..=2)?, number(month, 1..=2)?);
        return Date::new(number(year, 4..=4)?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    }
    if text.len() == "2027-03-31".len() { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, bool)>) {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let found = parse(text, &zone).map(|(moment, named)| (moment.to_string(), named));
        assert_eq!(found, expected.map(|(moment, named)| (moment.to_owned(), named)), "{text:?}");
    }

    #[test]
    fn moments_are_read_in_the_zone_that_they_name_or_the_given_one() {
        check("2027-03-31 12:30:00", Some(("2027-03-31T10:30:00Z", false)));
        check("2027-03-31T12:30", Some(("2027-03-31T10:30:00Z", false)));
        check("2027-03-31 12:30:00.5", Some(("2027-03-31T10:30:00.5Z", false)));
        check("2027-03-31 12:30:00+00", Some(("2027-03-31T12:30:00Z", true)));
        check("2027-03-31T12:30:00.000+05:30", Some(("2027-03-31T07:00:00Z", true)));
        check("2027-03-31T12:30:00Z", Some(("2027-03-31T12:30:00Z", true)));
    }

    #[test]
    fn a_day_means_its_end() {
        check("2027-03-31", Some(("2027-03-31T22:00:00Z", false)));
        check("31.03.2027", Some(("2027-03-31T22:00:00Z", false)));
        check("1.4.2027", Some(("2027-04-01T22:00:00Z", false)));
        check("9999-12-31", None);
    }

    #[test]
    fn what_may_mean_two_days_means_none() {
        for text in ["03/04/2027", "0000-00-00 00:00:00", "never", "", "31.02.2027", "2027", "1.4.27"] {
            check(text, None);
        }
    }
}
