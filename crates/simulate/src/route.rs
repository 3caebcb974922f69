//! A way from one yard to another, as a truck drives it: where it is after so many kilometres, and how fast it may be there.

use crate::roads::Place;

/// km/h on an open road; trucks are limited to hardly more.
const OPEN_KPH: f64 = 86.0;
/// km/h in town.
const TOWN_KPH: f64 = 46.0;
/// So far around both ends is town.
const TOWN_KM: f64 = 2.5;
/// Junctions as near to each other as this are in built-up land.
const DENSE_KM: f64 = 0.7;
const DENSE_KPH: f64 = 64.0;

/// A way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    points: Vec<Place>,
    /// Kilometres from the beginning to each point.
    gone: Vec<f64>,
    /// km/h that a truck may have at each point, by how sharply the way turns there.
    turns: Vec<f64>,
}

impl Route {
    /// A way through two places or more.
    pub(crate) fn new(points: Vec<Place>) -> Self {
        assert!(points.len() >= 2, "a way has a beginning and an end");
        let mut gone = vec![0.0];
        for pair in points.windows(2) {
            gone.push(gone[gone.len() - 1] + pair[0].km_to(pair[1]));
        }
        let mut turns = vec![OPEN_KPH; points.len()];
        for (index, three) in points.windows(3).enumerate() {
            let turn = (three[0].course_to(three[1]) - three[1].course_to(three[2]) + 540.0).rem_euclid(360.0) - 180.0;
            turns[index + 1] = match turn.abs() {
                turn if turn > 70.0 => 22.0,
                turn if turn > 40.0 => 42.0,
                turn if turn > 25.0 => 65.0,
                _ => OPEN_KPH,
            };
        }
        Self { points, gone, turns }
    }

    /// Its length in kilometres.
    pub(crate) fn km(&self) -> f64 {
        self.gone[self.gone.len() - 1]
    }

    /// The stretch on which a truck is after so many kilometres.
    fn stretch(&self, km: f64) -> usize {
        self.gone.partition_point(|gone| *gone <= km).clamp(1, self.points.len() - 1) - 1
    }

    /// Where a truck is after so many kilometres, and its course there.
    pub(crate) fn at(&self, km: f64) -> (Place, f64) {
        let stretch = self.stretch(km);
        let (from, to) = (self.points[stretch], self.points[stretch + 1]);
        let long = self.gone[stretch + 1] - self.gone[stretch];
        let share = if long > 0.0 { ((km - self.gone[stretch]) / long).clamp(0.0, 1.0) } else { 0.0 };
        (from.towards(to, share), from.course_to(to))
    }

    /// The most km/h that make sense here, for one who can brake by `braking` m/s².
    pub(crate) fn limit_kph(&self, km: f64, braking: f64) -> f64 {
        let stretch = self.stretch(km);
        let left = self.km() - km;
        let mut limit: f64 = match self.gone[stretch + 1] - self.gone[stretch] {
            _ if km < TOWN_KM || left < TOWN_KM => TOWN_KPH,
            long if long < DENSE_KM => DENSE_KPH,
            _ => OPEN_KPH,
        };
        // From v one comes down to w within v² - w² = 2 a s.
        let slow_down = |to_kph: f64, km: f64| (to_kph.powi(2) + 2.0 * braking * km * 1000.0 * 12.96).sqrt();
        for next in stretch + 1..self.points.len() {
            let away = self.gone[next] - km;
            if away > 0.6 {
                break;
            }
            limit = limit.min(slow_down(self.turns[next], away));
        }
        limit.min(slow_down(0.0, left.max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Place {
        Place { latitude, longitude }
    }

    /// Some 111 km to the north, then 75 to the east.
    fn corner() -> Route {
        Route::new(vec![at(48.0, 10.0), at(49.0, 10.0), at(49.0, 11.0)])
    }

    #[test]
    fn a_truck_is_where_its_kilometres_say() {
        let route = corner();
        assert!((route.km() - 184.1).abs() < 0.5, "{}", route.km());
        assert_eq!(route.at(0.0), (at(48.0, 10.0), 0.0));
        let (half, course) = route.at(55.6);
        assert!((half.latitude - 48.5).abs() < 0.001 && course == 0.0);
        let (end, course) = route.at(route.km() + 1.0);
        assert_eq!((end, course.round()), (at(49.0, 11.0), 90.0));
    }

    #[test]
    fn it_slows_down_for_turns_and_for_the_end() {
        let route = corner();
        assert_eq!(route.limit_kph(60.0, 0.8), OPEN_KPH);
        let corner = route.gone[1];
        assert!((22.0..35.0).contains(&route.limit_kph(corner - 0.02, 0.8)));
        assert!((45.0..55.0).contains(&route.limit_kph(corner - 0.1, 0.8)));
        assert_eq!(route.limit_kph(1.0, 0.8), TOWN_KPH);
        assert!(route.limit_kph(route.km() - 0.02, 0.8) < 25.0);
        assert_eq!(route.limit_kph(route.km(), 0.8), 0.0);
    }
}
