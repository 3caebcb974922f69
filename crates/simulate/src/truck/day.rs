//! A truck's surroundings: when its driver works, how warm it is, how high.

use crate::dice::Dice;
use crate::roads::Place;
use std::f64::consts::TAU;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A journey that is begun within it is driven to its end.
const SHIFT_MS: i64 = 9 * HOUR_MS;

/// When a driver works, each day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    /// After midnight, UTC.
    begins_ms: i64,
}

impl Shift {
    /// Most begin in the morning, others in the evening: food is in the shops when they open.
    pub(crate) fn new(dice: &mut Dice, longitude: f64) -> Self {
        let local = if dice.happens(0.6) { dice.between(3.5, 8.0) } else { dice.between(15.0, 21.0) };
        let utc = (local - longitude / 15.0).rem_euclid(24.0);
        // Whole minutes.
        Self { begins_ms: (utc * 60.0) as i64 * 60_000 }
    }

    /// Whether he works at this moment.
    pub(crate) fn holds(self, time_ms: i64) -> bool {
        (time_ms - self.begins_ms).rem_euclid(DAY_MS) < SHIFT_MS
    }

    /// When he begins next, after this moment.
    pub(crate) fn next_begin(self, time_ms: i64) -> i64 {
        time_ms + DAY_MS - (time_ms - self.begins_ms).rem_euclid(DAY_MS)
    }
}

/// Outside air: by latitude, season and time of day, without weather.
pub(crate) fn ambient_c(place: Place, time_ms: i64) -> f64 {
    let away = place.latitude.abs();
    let day = (time_ms as f64 / DAY_MS as f64).rem_euclid(365.25);
    let warmest = if place.latitude >= 0.0 { 201.0 } else { 18.0 };
    let season = ((day - warmest) / 365.25 * TAU).cos() * away * 0.2;
    let hour = (time_ms as f64 / HOUR_MS as f64 + place.longitude / 15.0).rem_euclid(24.0);
    let daytime = ((hour - 15.0) / 24.0 * TAU).cos() * 4.5;
    30.0 - 0.4 * away + season + daytime
}

/// Metres above the sea: hills that are the same each time. There are no real ones in the file of roads.
pub(crate) fn altitude_m(place: Place) -> i16 {
    let wave = |north: f64, east: f64| (place.latitude * north + place.longitude * east).sin();
    (230.0 + 120.0 * wave(3.1, 2.3) + 60.0 * wave(11.0, -7.0) + 25.0 * wave(-37.0, 41.0)).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_has_nine_hours_and_comes_back() {
        let shift = Shift { begins_ms: 5 * HOUR_MS };
        let midnight = 20_000 * DAY_MS;
        for hour in 0..24 {
            let time = midnight + hour * HOUR_MS;
            assert_eq!(shift.holds(time), (5..14).contains(&hour), "at {hour}");
            let next = shift.next_begin(time);
            assert!(next > time && next - time <= DAY_MS && next.rem_euclid(DAY_MS) == 5 * HOUR_MS, "at {hour}");
        }
    }

    #[test]
    fn summers_are_warm_and_nights_are_cold() {
        let ulm = Place { latitude: 48.4, longitude: 10.0 };
        // The 15th of July and of January 2026, at 14:00 and 03:00.
        let [day, night, winter] =
            [1_784_124_000_000, 1_784_084_400_000, 1_768_485_600_000].map(|at| ambient_c(ulm, at));
        assert!((20.0..30.0).contains(&day), "{day}");
        assert!(night < day - 6.0, "{night}");
        assert!((-3.0..8.0).contains(&winter), "{winter}");
    }
}
