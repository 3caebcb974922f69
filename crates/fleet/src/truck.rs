//! A refrigerated truck: where it drives and what it measures, the same for the same number at each try.
//!
//! It works some hours a day. While it does, it drives, turns, stops for a while, and goes on; its cargo stays cold, but
//! for doors and defrosts. This is what makes columns compress as they do for real fleets: most things change little,
//! coordinates always, and nothing repeats.

use crate::Reading;

/// What a truck measured at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Telemetry {
    /// Where it was.
    pub reading: Reading,
    /// Metres above the sea.
    pub altitude_m: i16,
    /// Satellites in the fix.
    pub satellites: u8,
    /// Whether the engine could run.
    pub ignition: bool,
    /// The mobile network's signal, 0 to 5.
    pub signal: u8,
    /// The supply, in millivolts.
    pub supply_mv: u16,
    /// The tracker's own battery, in millivolts.
    pub battery_mv: u16,
    /// Position dilution of precision, in tenths.
    pub pdop_tenths: u16,
    /// Return and supply air, in degrees Celsius.
    pub temperatures_c: [f64; 2],
    /// Metres driven so far.
    pub odometer_m: u32,
    /// The mobile network's code.
    pub operator: u32,
}

/// A truck on its way.
#[derive(Debug, Clone)]
pub struct Truck {
    dice: u64,
    now: Telemetry,
    /// Degrees Celsius that it keeps.
    set_point: f64,
    /// The hour of the day at which it begins to work, UTC.
    begins: i64,
    /// Steps until it stops or goes on.
    phase: u32,
    driving: bool,
    /// Odometer and position in parts of metres and degrees.
    odometer: f64,
}

impl Truck {
    /// The truck of this number, as it stands at a moment (milliseconds since 1970 UTC).
    pub fn new(number: u64, time_ms: i64) -> Self {
        let mut dice = Dice(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let place = |dice: &mut Dice, from: f64, to: f64| from + dice.share() * (to - from);
        let (latitude, longitude) = (place(&mut dice, 43.0, 54.0), place(&mut dice, -1.0, 24.0));
        let set_point = if dice.one_in(3) { -20.0 } else { place(&mut dice, 2.0, 6.0).round() };
        let odometer = place(&mut dice, 1e7, 9e8);
        let course = (dice.share() * 360.0) as u16 % 360;
        let begins = 4 + (dice.share() * 5.0) as i64;
        let now = Telemetry {
            reading: Reading { time_ms, latitude, longitude, speed_kph: 0, course },
            altitude_m: 200,
            satellites: 12,
            ignition: false,
            signal: 4,
            supply_mv: 12_600,
            battery_mv: 4_050,
            pdop_tenths: 12,
            temperatures_c: [set_point; 2],
            odometer_m: odometer as u32,
            operator: if dice.one_in(4) { 20_801 } else { 26_201 },
        };
        Self { dice: dice.0, now, set_point, begins, phase: 0, driving: false, odometer }
    }

    /// Goes on by so many milliseconds, and gives what it measures there.
    pub fn step(&mut self, by_ms: i64) -> Telemetry {
        let mut dice = Dice(self.dice);
        let now = &mut self.now;
        now.reading.time_ms += by_ms;
        let hour = now.reading.time_ms.div_euclid(3_600_000).rem_euclid(24);
        let works = (self.begins..self.begins + WORKING_HOURS).contains(&hour);
        if self.phase == 0 {
            self.driving = works && !self.driving;
            let minutes = if self.driving { 20.0 + dice.share() * 100.0 } else { 5.0 + dice.share() * 35.0 };
            self.phase = (minutes * 60_000.0 / by_ms.max(1) as f64).ceil() as u32;
        }
        self.phase -= 1;
        now.ignition = self.driving || works && dice.one_in(3);
        if self.driving {
            let wanted = 50.0 + dice.share() * 40.0;
            now.reading.speed_kph = ((f64::from(now.reading.speed_kph) + wanted) / 2.0).round() as u8;
            let turn = ((dice.share() - 0.5) * 60.0) as i32;
            now.reading.course = (i32::from(now.reading.course) + turn).rem_euclid(360) as u16;
            let metres = f64::from(now.reading.speed_kph) / 3.6 * by_ms as f64 / 1000.0;
            let course = f64::from(now.reading.course).to_radians();
            self.odometer += metres;
            let (north, east) = (metres * course.cos() / 111_320.0, metres * course.sin() / 75_000.0);
            // At the edge of the map it turns round.
            now.reading.latitude = (now.reading.latitude + north).clamp(36.0, 60.0);
            now.reading.longitude = (now.reading.longitude + east).clamp(-9.0, 30.0);
            now.altitude_m = (now.altitude_m + ((dice.share() - 0.5) * 30.0) as i16).clamp(0, 1800);
        } else {
            now.reading.speed_kph = 0;
        }
        now.odometer_m = self.odometer as u32;
        now.satellites = (i32::from(now.satellites) + dice.wobble()).clamp(6, 18) as u8;
        now.signal = (i32::from(now.signal) + dice.wobble()).clamp(1, 5) as u8;
        now.pdop_tenths = (i32::from(now.pdop_tenths) + dice.wobble()).clamp(8, 30) as u16;
        now.supply_mv = if now.ignition {
            13_900 + (dice.share() * 300.0) as u16
        } else {
            (i32::from(now.supply_mv).clamp(12_400, 12_750) + dice.wobble() * 10) as u16
        };
        now.battery_mv = (i32::from(now.battery_mv) + dice.wobble() * 3).clamp(3_900, 4_150) as u16;
        for (index, celsius) in now.temperatures_c.iter_mut().enumerate() {
            // The supply air goes up while it defrosts, the return air when a door is open.
            let aim = if dice.one_in(40) { 8.0 } else { self.set_point - index as f64 * 1.5 };
            *celsius = ((*celsius * 0.7 + aim * 0.3 + (dice.share() - 0.5) * 0.3) * 10.0).round() / 10.0;
        }
        self.dice = dice.0;
        self.now
    }
}

/// Xorshift: enough for weather.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to under 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }

    /// One up, one down, or, mostly, neither.
    fn wobble(&mut self) -> i32 {
        match self.next() % 8 {
            0 => 1,
            1 => -1,
            _ => 0,
        }
    }
}

/// As long as a driver may.
const WORKING_HOURS: i64 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truck_drives_a_plausible_day_and_the_same_one_each_time() {
        let day = |number| {
            let mut truck = Truck::new(number, 1_767_225_600_000);
            (0..1440).map(|_| truck.step(60_000)).collect::<Vec<_>>()
        };
        assert_eq!(day(7), day(7));
        assert_ne!(day(7), day(8));
        for number in 1..50 {
            let day = day(number);
            let driven = day[1439].odometer_m - day[0].odometer_m;
            assert!((150_000..900_000).contains(&driven), "truck {number} drove {driven} m");
            assert!(day.iter().all(|now| now.reading.speed_kph < 100));
            let warm = day.iter().filter(|now| now.temperatures_c[0] > 15.0).count();
            assert_eq!(warm, 0, "truck {number} lost its cargo");
        }
    }
}
