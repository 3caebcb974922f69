//! Units of the makers, made into those of the dictionary.

/// One knot in km/h, by definition of the nautical mile.
const KPH_OF_KNOT: f64 = 1.852;
/// One mile in km, by definition.
const KM_OF_MILE: f64 = 1.609_344;

/// Knots as km/h.
pub fn kph_of_knots(knots: f64) -> f64 {
    knots * KPH_OF_KNOT
}

/// Miles as km, and so miles per hour as km/h.
pub fn km_of_miles(miles: f64) -> f64 {
    miles * KM_OF_MILE
}

/// Metres per second as km/h.
pub fn kph_of_mps(speed: f64) -> f64 {
    // In whole numbers, so that 10.5 is 37.8 and not a digit more.
    speed * 18.0 / 5.0
}

/// Degrees Fahrenheit as degrees Celsius.
pub fn celsius_of_fahrenheit(degrees: f64) -> f64 {
    (degrees - 32.0) / 1.8
}

/// `ddmm.mmmm`, whole degrees times a hundred plus minutes, as NMEA writes places, as degrees.
pub fn degrees_of_nmea(value: f64) -> f64 {
    let degrees = (value / 100.0).trunc();
    degrees + (value - degrees * 100.0) / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions() {
        assert_eq!(kph_of_knots(10.0), 18.52);
        assert_eq!(kph_of_mps(10.5), 37.8);
        assert_eq!(km_of_miles(1000.0), 1609.344);
        assert_eq!(celsius_of_fahrenheit(-4.0), -20.0);
        assert_eq!(degrees_of_nmea(5530.0), 55.5);
        assert_eq!(degrees_of_nmea(-5530.0), -55.5);
    }
}
