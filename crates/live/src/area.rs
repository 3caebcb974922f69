//! Places and boxes on the map.
//!
//! Everything is compared in Web Mercator, the world as a square of 2^32 units: a unit is 9 mm at the equator, a cluster's
//! cell is a shift away, and a box across the 180th meridian is a subtraction that wraps. The map ends at 85.05 degrees;
//! what is nearer to a pole is at its edge.

use std::f64::consts::{FRAC_PI_4, PI};

/// A place, in degrees, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// North positive.
    pub latitude: f64,
    /// East positive.
    pub longitude: f64,
}

/// A box on the map. Its edges belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// The western edge.
    pub(crate) x: u32,
    /// How far east of it the eastern edge is.
    pub(crate) width: u32,
    /// The northern edge.
    pub(crate) y: u32,
    /// How far south of it the southern edge is.
    pub(crate) height: u32,
}

/// Why something is no box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadArea {
    /// Not a number, or without end.
    #[error("an edge of the box is not a number")]
    NotANumber,
    /// No such latitude.
    #[error("a latitude of the box is not between -90 and 90")]
    Latitude,
    /// The wrong way round.
    #[error("the box's southern edge is north of its northern edge")]
    Reversed,
}

impl Area {
    /// The whole map.
    pub const WORLD: Self = Self { x: 0, width: u32::MAX, y: 0, height: u32::MAX };

    /// The box between these degrees. Longitudes may be beyond 180 degrees, as maps give them that were turned round the
    /// world; where `west` is greater than `east` the box lies across the 180th meridian.
    ///
    /// # Errors
    ///
    /// When that is no box.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, BadArea> {
        if [west, south, east, north].iter().any(|edge| !edge.is_finite()) {
            return Err(BadArea::NotANumber);
        }
        if [south, north].iter().any(|edge| edge.abs() > 90.0) {
            return Err(BadArea::Latitude);
        }
        if south > north {
            return Err(BadArea::Reversed);
        }
        let y = y_of(north);
        let height = y_of(south) - y;
        if east - west >= 360.0 {
            return Ok(Self { y, height, ..Self::WORLD });
        }
        let x = x_of(west);
        Ok(Self { x, width: x_of(east).wrapping_sub(x), y, height })
    }

    pub(crate) const fn contains(&self, spot: Spot) -> bool {
        spot.x.wrapping_sub(self.x) <= self.width && spot.y.wrapping_sub(self.y) <= self.height
    }
}

/// A place on the square map: `x` to the east from the 180th meridian, `y` to the south from 85 degrees north.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spot {
    pub(crate) x: u32,
    pub(crate) y: u32,
}

impl Spot {
    /// Where a place is on the map; `None` where there is no such place.
    pub(crate) fn new(place: Place) -> Option<Self> {
        let Place { latitude, longitude } = place;
        let is_there = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        is_there.then(|| Self { x: x_of(longitude), y: y_of(latitude) })
    }

    pub(crate) fn place(self) -> Place {
        let latitude = (PI * (1.0 - 2.0 * f64::from(self.y) / WORLD_UNITS)).sinh().atan().to_degrees();
        Place { latitude, longitude: f64::from(self.x) / WORLD_UNITS * 360.0 - 180.0 }
    }
}

/// Both 180 degrees west and east are 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the remainder is below 2^32")]
fn x_of(longitude: f64) -> u32 {
    (((longitude + 180.0).rem_euclid(360.0) / 360.0) * WORLD_UNITS) as u64 as u32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float stays in its bounds")]
fn y_of(latitude: f64) -> u32 {
    let angle = latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX).to_radians();
    let north = (FRAC_PI_4 + angle / 2.0).tan().ln() / PI;
    ((1.0 - north) / 2.0 * WORLD_UNITS) as u32
}

/// Where the square map ends.
const LATITUDE_MAX: f64 = 85.051_128_779_806_59;
/// The map's width.
const WORLD_UNITS: f64 = 4_294_967_296.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: [f64; 4], place: (f64, f64), inside: bool) {
        let [west, south, east, north] = edges;
        let area = Area::new(west, south, east, north).expect("a box");
        let (latitude, longitude) = place;
        let spot = Spot::new(Place { latitude, longitude }).expect("a place");
        assert_eq!(area.contains(spot), inside, "{place:?} in {edges:?}");
    }

    #[test]
    fn a_box_has_what_is_in_it_and_on_its_edges() {
        let germany = [5.9, 47.3, 15.0, 55.1];
        for (place, inside) in [
            ((48.4, 10.0), true),
            ((47.3, 5.9), true),
            ((55.1, 15.0), true),
            ((47.299_99, 10.0), false),
            ((48.4, 15.000_01), false),
            ((48.4, -10.0), false),
            ((-48.4, 10.0), false),
        ] {
            check(germany, place, inside);
        }
    }

    #[test]
    fn a_box_may_lie_across_the_180th_meridian() {
        let inside = [178.0, 180.0, -180.0, -178.0];
        let outside = [177.9, -177.9, 0.0];
        for edges in [[178.0, -20.0, -178.0, -15.0], [178.0, -20.0, 182.0, -15.0], [-182.0, -20.0, -178.0, -15.0]] {
            inside.iter().for_each(|longitude| check(edges, (-17.0, *longitude), true));
            outside.iter().for_each(|longitude| check(edges, (-17.0, *longitude), false));
        }
        check([170.0, -20.0, 180.0, -15.0], (-17.0, -180.0), true);
        check([-180.0, -20.0, -170.0, -15.0], (-17.0, 180.0), true);
    }

    #[test]
    fn a_box_round_the_world_has_everything_between_its_latitudes() {
        for edges in [[-180.0, -90.0, 180.0, 90.0], [10.0, -90.0, 370.0, 90.0], [-900.0, -90.0, 900.0, 90.0]] {
            for longitude in [-180.0, -179.99, 0.0, 9.99, 10.0, 180.0] {
                check(edges, (0.0, longitude), true);
                check(edges, (90.0, longitude), true);
                check(edges, (-90.0, longitude), true);
            }
        }
        check([-180.0, 0.0, 180.0, 50.0], (50.1, 3.0), false);
        check([10.0, -90.0, 10.0, 90.0], (3.0, 10.0), true);
        check([10.0, -90.0, 10.0, 90.0], (3.0, 10.1), false);
    }

    #[test]
    fn what_is_no_box_is_told() {
        assert_eq!(Area::new(f64::NAN, 0.0, 1.0, 1.0), Err(BadArea::NotANumber));
        assert_eq!(Area::new(0.0, 0.0, f64::INFINITY, 1.0), Err(BadArea::NotANumber));
        assert_eq!(Area::new(0.0, -90.1, 1.0, 1.0), Err(BadArea::Latitude));
        assert_eq!(Area::new(0.0, 2.0, 1.0, 1.0), Err(BadArea::Reversed));
    }

    #[test]
    fn what_is_no_place_is_nowhere() {
        for (latitude, longitude) in
            [(f64::NAN, 0.0), (0.0, f64::NAN), (90.1, 0.0), (0.0, -180.1), (0.0, f64::INFINITY)]
        {
            assert_eq!(Spot::new(Place { latitude, longitude }), None, "{latitude} {longitude}");
        }
    }

    #[test]
    fn a_spot_is_its_place_within_a_centimetre() {
        for (latitude, longitude) in [(54.7146, 25.3032), (-33.9, 151.2), (0.0, 0.0), (80.0, -179.5)] {
            let place = Spot::new(Place { latitude, longitude }).expect("a place").place();
            assert!(
                (place.latitude - latitude).abs() < 1e-7 && (place.longitude - longitude).abs() < 1e-7,
                "{place:?}"
            );
        }
    }
}
