//! A refrigeration unit and the cargo behind it: air that cools and warms, ice on the coil, doors, a compressor that fails.
//!
//! It advances in steps of some seconds and knows nothing of clocks; all its chance is the truck's dice.

use crate::dice::Dice;

/// The most zones that a unit has.
pub const ZONES_MAX: usize = 3;
/// Alarm codes as Thermo King numbers them: the unit's high pressure cut-out, the engine that it stopped, and a sensor.
const CODE_HIGH_PRESSURE: u8 = 10;
const CODE_UNIT_STOPPED: u8 = 63;
const CODE_RETURN_AIR_SENSOR: u8 = 3;
/// On average so many hours of running until the compressor fails, and minutes until somebody has mended it.
const FAILURE_HOURS: f64 = 260.0;
const REPAIR_MINUTES: (f64, f64) = (90.0, 300.0);
/// A sensor acts up much more seldom.
const SENSOR_HOURS: f64 = 900.0;
const SENSOR_MINUTES: (f64, f64) = (20.0, 90.0);

/// What a unit does in one of its zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Neither of the others.
    Idle,
    /// Takes heat out.
    Cooling,
    /// Puts heat in: it is colder outside than the cargo may be.
    Heating,
    /// Melts the ice off its coil.
    Defrost,
}

/// A zone of the cargo space.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// What the air is to have, in degrees Celsius.
    pub set_point_c: f64,
    /// Air as it comes back to the unit.
    pub return_air_c: f64,
    /// Air as the unit blows it out.
    pub supply_air_c: f64,
    /// The coil.
    pub evaporator_c: f64,
    /// The middle of the cargo, which follows the air slowly.
    pub cargo_c: f64,
    /// Whether the zone's door is open.
    pub door_open: bool,
    /// What the unit does.
    pub action: Action,
    /// Whether it runs all the time, instead of stopping when it is cold enough.
    pub continuous: bool,
    /// Ice on the coil: at 1 it is melted off.
    frost: f64,
    /// Seconds of defrost that are left.
    defrost_s: f64,
}

/// A unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// One to three.
    pub zones: Vec<Zone>,
    /// Whether it is switched on.
    pub on: bool,
    /// Whether it runs on mains, in a yard, instead of its diesel.
    pub on_mains: bool,
    /// Active alarms.
    pub codes: Vec<u8>,
    /// Hours on diesel, on mains, and switched on.
    pub diesel_h: f64,
    /// Hours on mains.
    pub mains_h: f64,
    /// Hours switched on.
    pub total_h: f64,
    /// Its own tank, in percent.
    pub fuel_percent: f64,
    /// Its battery.
    pub battery_v: f64,
    /// Speed of its diesel; nothing while that does not run.
    pub rpm: u16,
    /// Outside air.
    pub ambient_c: f64,
    /// Seconds until the compressor is mended; nothing while it works.
    failed_s: f64,
    /// Seconds until the return air sensor's alarm is gone.
    sensor_s: f64,
}

impl Unit {
    /// A unit that has long run, with what it carries at its temperature.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let set_points: &[f64] = match dice.pick(10) {
            0..=2 => &[-20.0],
            3 => &[-22.0],
            4..=5 => &[4.0],
            6 => &[2.0],
            7 => &[5.0],
            8 => &[-20.0, 4.0],
            _ => &[-20.0, 3.0, 12.0],
        };
        let continuous = dice.happens(0.35);
        let zone = |set_point_c: &f64| Zone {
            set_point_c: *set_point_c,
            return_air_c: *set_point_c + 0.4,
            supply_air_c: *set_point_c - 1.0,
            evaporator_c: *set_point_c - 4.0,
            cargo_c: *set_point_c + 0.2,
            door_open: false,
            action: Action::Idle,
            continuous,
            frost: 0.0,
            defrost_s: 0.0,
        };
        let mut zones: Vec<_> = set_points.iter().map(zone).collect();
        for zone in &mut zones {
            zone.frost = dice.share();
        }
        let diesel_h = dice.between(300.0, 12_000.0);
        let mains_h = diesel_h * dice.between(0.05, 0.4);
        Self {
            zones,
            on: true,
            on_mains: false,
            codes: Vec::new(),
            diesel_h,
            mains_h,
            total_h: diesel_h + mains_h,
            fuel_percent: dice.between(35.0, 100.0),
            battery_v: 12.6,
            rpm: 0,
            ambient_c: 10.0,
            failed_s: 0.0,
            sensor_s: 0.0,
        }
    }

    /// Whether the compressor has failed and is not yet mended.
    pub fn has_failed(&self) -> bool {
        self.failed_s > 0.0
    }

    /// Opens or shuts the doors of all zones.
    pub(crate) fn doors(&mut self, open: bool) {
        self.zones.iter_mut().for_each(|zone| zone.door_open = open);
    }

    /// So many seconds go by.
    pub(crate) fn advance(&mut self, seconds: f64, ambient_c: f64, dice: &mut Dice) {
        self.ambient_c = ambient_c;
        self.fail_or_mend(seconds, dice);
        let works = self.on && !self.has_failed();
        for zone in &mut self.zones {
            zone.advance(seconds, ambient_c, works, dice);
        }
        let busy = self.zones.iter().any(|zone| zone.action != Action::Idle);
        let hard = self.zones.iter().any(|zone| zone.return_air_c > zone.set_point_c + 4.0);
        let diesel = works && busy && !self.on_mains;
        self.rpm = match (diesel, hard) {
            (false, _) => 0,
            (true, true) => 2200 + dice.pick(30) as u16,
            (true, false) => 1450 + dice.pick(20) as u16,
        };
        let hours = seconds / 3600.0;
        if diesel {
            self.diesel_h += hours;
            self.fuel_percent -= hours * if hard { 1.9 } else { 1.1 };
        }
        if works && busy && self.on_mains {
            self.mains_h += hours;
        }
        if self.on {
            self.total_h += hours;
        }
        if self.fuel_percent < 12.0 {
            self.fuel_percent = 96.0;
        }
        let volts = if diesel || self.on_mains { 13.9 } else { 12.5 };
        self.battery_v += (volts - self.battery_v) * (seconds / 240.0).min(1.0) + dice.between(-0.01, 0.01);
    }

    fn fail_or_mend(&mut self, seconds: f64, dice: &mut Dice) {
        let minutes = |range: (f64, f64), dice: &mut Dice| dice.between(range.0, range.1) * 60.0;
        self.failed_s = match self.failed_s {
            left if left > 0.0 => (left - seconds).max(0.0),
            _ if self.on && dice.happens_within(seconds, FAILURE_HOURS) => minutes(REPAIR_MINUTES, dice),
            _ => 0.0,
        };
        self.sensor_s = match self.sensor_s {
            left if left > 0.0 => (left - seconds).max(0.0),
            _ if self.on && dice.happens_within(seconds, SENSOR_HOURS) => minutes(SENSOR_MINUTES, dice),
            _ => 0.0,
        };
        self.codes.clear();
        if self.failed_s > 0.0 {
            self.codes.extend([CODE_HIGH_PRESSURE, CODE_UNIT_STOPPED]);
        }
        if self.sensor_s > 0.0 {
            self.codes.push(CODE_RETURN_AIR_SENSOR);
        }
    }
}

/// How long it takes, in seconds, until two thirds of a difference are gone.
mod slowness {
    /// Between air and outside, through the walls.
    pub(super) const WALLS: f64 = 9.0 * 3600.0;
    /// Between air and outside, through an open door.
    pub(super) const DOOR: f64 = 420.0;
    /// Between air and cargo, for the air.
    pub(super) const CARGO_TO_AIR: f64 = 3600.0;
    /// Between air and cargo, for the cargo.
    pub(super) const AIR_TO_CARGO: f64 = 8.0 * 3600.0;
    /// Between supply air and air.
    pub(super) const SUPPLY: f64 = 700.0;
    /// Of the sensors in supply air and on the coil.
    pub(super) const SENSORS: f64 = 90.0;
}

impl Zone {
    fn advance(&mut self, seconds: f64, ambient_c: f64, works: bool, dice: &mut Dice) {
        let part = |slowness: f64| 1.0 - (-seconds / slowness).exp();
        let air = self.return_air_c;
        let outside = if self.door_open { slowness::DOOR } else { slowness::WALLS };
        self.return_air_c += (ambient_c - air) * part(outside) + (self.cargo_c - air) * part(slowness::CARGO_TO_AIR);
        self.cargo_c += (air - self.cargo_c) * part(slowness::AIR_TO_CARGO);
        self.decide(seconds, works, dice);
        let (supply, coil) = self.aims();
        self.supply_air_c += (supply - self.supply_air_c) * part(slowness::SENSORS);
        self.evaporator_c += (coil - self.evaporator_c) * part(slowness::SENSORS);
        if matches!(self.action, Action::Cooling | Action::Heating) {
            self.return_air_c += (self.supply_air_c - self.return_air_c) * part(slowness::SUPPLY);
        }
        self.return_air_c += dice.between(-0.03, 0.03);
        if self.action == Action::Defrost {
            // Warmth of the coil that gets out.
            self.return_air_c += seconds * 0.0015;
        }
    }

    fn decide(&mut self, seconds: f64, works: bool, dice: &mut Dice) {
        if works {
            let cools = if self.action == Action::Cooling { 1.0 } else { 0.6 };
            self.frost += seconds / (5.5 * 3600.0) * cools * if self.door_open { 6.0 } else { 1.0 };
        }
        self.defrost_s = (self.defrost_s - seconds).max(0.0);
        if works && self.defrost_s <= 0.0 && self.frost >= 1.0 {
            self.defrost_s = dice.between(12.0, 26.0) * 60.0;
            self.frost = 0.0;
        }
        let above = self.return_air_c - self.set_point_c;
        self.action = match self.action {
            _ if !works => Action::Idle,
            _ if self.defrost_s > 0.0 => Action::Defrost,
            _ if above > 1.3 || self.continuous && above > -0.1 => Action::Cooling,
            _ if above < -2.0 => Action::Heating,
            Action::Cooling if above > -0.6 => Action::Cooling,
            Action::Heating if above < -0.3 => Action::Heating,
            _ => Action::Idle,
        };
    }

    /// What supply air and coil tend to.
    fn aims(&self) -> (f64, f64) {
        let air = self.return_air_c;
        // The further away from the set-point, the harder.
        let depth = ((air - self.set_point_c).abs() * 0.9 + 2.0).min(9.0);
        match self.action {
            Action::Cooling => (air - depth, air - depth - 5.0),
            Action::Heating => (air + depth, air + depth + 6.0),
            Action::Defrost => (air + 1.5, 9.0_f64.max(air)),
            Action::Idle => (air, air),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_S: f64 = 10.0;

    fn unit(set_point: f64) -> Unit {
        let mut unit = Unit::new(&mut Dice::new(1, 1));
        let zone = unit.zones[0].clone();
        unit.zones = vec![Zone {
            set_point_c: set_point,
            return_air_c: set_point,
            cargo_c: set_point,
            frost: 0.0,
            continuous: false,
            ..zone
        }];
        unit
    }

    fn run(unit: &mut Unit, minutes: u32, ambient: f64) -> Vec<Unit> {
        let mut dice = Dice::new(7, 7);
        (0..minutes * 6)
            .map(|_| {
                // What is looked at here are not the failures.
                unit.failed_s = 0.0;
                unit.advance(STEP_S, ambient, &mut dice);
                unit.clone()
            })
            .filter(|unit| !unit.has_failed())
            .collect()
    }

    #[test]
    fn the_air_stays_at_its_set_point_but_for_defrosts() {
        for set_point in [-20.0, 4.0] {
            let mut unit = unit(set_point);
            let day = run(&mut unit, 24 * 60, 24.0);
            let mean = day.iter().map(|unit| unit.zones[0].return_air_c).sum::<f64>() / day.len() as f64;
            assert!((mean - set_point).abs() < 1.0, "{set_point}: {mean}");
            let warmest = day.iter().map(|unit| unit.zones[0].return_air_c).fold(f64::MIN, f64::max);
            assert!((1.0..7.0).contains(&(warmest - set_point)), "{set_point}: up to {warmest}");
            let defrosts = day
                .windows(2)
                .filter(|two| two[0].zones[0].action != Action::Defrost && two[1].zones[0].action == Action::Defrost);
            let defrosts = defrosts.count();
            assert!((1..8).contains(&defrosts), "{set_point}: {defrosts} defrosts");
            let cargo = unit.zones[0].cargo_c;
            assert!((cargo - set_point).abs() < 1.5, "{set_point}: cargo at {cargo}");
        }
    }

    #[test]
    fn an_open_door_warms_the_air_at_once_and_the_cargo_hardly() {
        let mut unit = unit(-20.0);
        run(&mut unit, 60, 25.0);
        let before = unit.zones[0].clone();
        unit.doors(true);
        run(&mut unit, 8, 25.0);
        let after = &unit.zones[0];
        assert!(after.return_air_c > before.return_air_c + 5.0, "{} to {}", before.return_air_c, after.return_air_c);
        assert!(after.cargo_c < before.cargo_c + 1.0);
        unit.doors(false);
        run(&mut unit, 60, 25.0);
        assert!((unit.zones[0].return_air_c + 20.0).abs() < 3.0, "{}", unit.zones[0].return_air_c);
    }

    #[test]
    fn a_failed_compressor_warms_the_cargo_and_says_so() {
        let (mut unit, mut dice) = (unit(-20.0), Dice::new(3, 3));
        unit.failed_s = 4.0 * 3600.0;
        for _ in 0..3 * 360 {
            unit.advance(STEP_S, 25.0, &mut dice);
        }
        assert!(unit.codes.starts_with(&[CODE_HIGH_PRESSURE, CODE_UNIT_STOPPED]), "{:?}", unit.codes);
        assert!(unit.zones[0].return_air_c > -18.0, "{}", unit.zones[0].return_air_c);
        assert_eq!((unit.rpm, unit.zones[0].action), (0, Action::Idle));
        for _ in 0..6 * 360 {
            unit.advance(STEP_S, 25.0, &mut dice);
        }
        assert!((unit.zones[0].return_air_c + 20.0).abs() < 3.0, "mended: {}", unit.zones[0].return_air_c);
    }

    #[test]
    fn it_heats_where_it_is_colder_outside() {
        let mut unit = unit(12.0);
        let night = run(&mut unit, 12 * 60, -15.0);
        assert!(night.iter().any(|unit| unit.zones[0].action == Action::Heating));
        assert!((unit.zones[0].return_air_c - 12.0).abs() < 3.0, "{}", unit.zones[0].return_air_c);
    }
}
