//! The ways in which phones write a moment.

use odograph_model::Time;

/// The moment that `text` names: seconds or milliseconds since 1970, ISO 8601, or a date and time of day on a clock that
/// is `zone` minutes ahead of UTC.
pub(super) fn moment(text: &str, zone: i32) -> Option<Time> {
    let text = text.trim();
    since_1970(text).or_else(|| Time::parse(text)).or_else(|| with_blank_for_plus(text)).or_else(|| local(text, zone))
}

/// Numbers below this are seconds (until the year 5138), those above are milliseconds (since 1973).
const SECONDS_BELOW: f64 = 1e11;

fn since_1970(text: &str) -> Option<Time> {
    let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'e' | b'E' | b'+'));
    if let Ok(number) = text.parse::<i64>() {
        let seconds = number.unsigned_abs() < 100_000_000_000;
        return if seconds { number.checked_mul(1000) } else { Some(number) }
            .map(Time)
            .filter(|time| time.is_writable());
    }
    let number = text.parse::<f64>().ok().filter(|number| is_number && number.is_finite())?;
    let ms = if number.abs() < SECONDS_BELOW { number * 1000.0 } else { number };
    whole(ms).map(Time).filter(|time| time.is_writable())
}

/// The nearest whole number.
fn whole(number: f64) -> Option<i64> {
    let rounded = number.round();
    // Through its digits, since a cast would not tell what does not fit.
    (rounded.abs() < 1e15).then(|| format!("{rounded:.0}").parse().ok())?
}

/// In a query, a plus that nobody encoded is read as a blank.
fn with_blank_for_plus(text: &str) -> Option<Time> {
    let (moment, offset) = text.rsplit_once(' ')?;
    let is_offset = offset.len() >= 4 && offset.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    is_offset.then(|| Time::parse(&format!("{moment}+{offset}")))?
}

fn local(text: &str, zone: i32) -> Option<Time> {
    let civil = Time::parse(&format!("{text}Z"))?;
    Some(civil.plus_ms(i64::from(zone).saturating_mul(-60_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = moment(text, 90).map_or_else(|| "none".to_owned(), |time| time.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn moments_are_written_in_many_ways() {
        check("1377177267", "2013-08-22T13:14:27.000Z");
        check("1442068686579", "2015-09-12T14:38:06.579Z");
        check("1377177267.25", "2013-08-22T13:14:27.250Z");
        check("1442068686579.6", "2015-09-12T14:38:06.580Z");
        check("0", "1970-01-01T00:00:00.000Z");
        check("-1", "1969-12-31T23:59:59.000Z");
        check("2025-06-15T13:45:12.862Z", "2025-06-15T13:45:12.862Z");
        check("2014-06-04T09:10:11+02:00", "2014-06-04T07:10:11.000Z");
        check("2014-06-04T09:10:11 02:00", "2014-06-04T07:10:11.000Z");
        check("2014-06-04T09:10:11-0230", "2014-06-04T11:40:11.000Z");
        check("2014-06-04T09:10:11+02:00[Europe/Paris]", "2014-06-04T07:10:11.000Z");
        check("2014-06-04 09:10:11", "2014-06-04T07:40:11.000Z");
        check("2014-06-04T09:10:11.5", "2014-06-04T07:40:11.500Z");
        for none in ["", "now", "2014-06-31 09:10:11", "1e400", "nan", "inf", "99999999999999999", "2014-06-04"] {
            check(none, "none");
        }
    }
}
