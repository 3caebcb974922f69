//! A truck: where it is, what it does and what it measures, as a function of its seed, its number and time.
//!
//! It loads, drives to another yard, unloads, takes its breaks, refuels, and rests until its next shift. It advances in
//! steps of [`STEP_MS`] and reports as trackers do: by time, at turns, and when something happens.

mod day;
mod errors;

use crate::atlas::{Atlas, Yard};
use crate::dice::Dice;
use crate::measured::{Measured, Why};
use crate::reefer::Unit;
use crate::route::Route;
use day::Shift;
use errors::{Coverage, WrongClock};
use std::sync::Arc;

/// Milliseconds of a step.
pub(crate) const STEP_MS: i64 = 10_000;
const STEP_S: f64 = 10.0;
/// m/s² of a loaded truck.
const ACCELERATING: f64 = 0.35;
const BRAKING: f64 = 0.8;
const MS_OF_KPH: f64 = 3.6;
const TANK_L: f64 = 600.0;
const LITRES_PER_KM: f64 = 0.29;
const IDLE_LITRES_PER_S: f64 = 1.6 / 3600.0;
/// Below this the driver looks for a station.
const REFUEL_PERCENT: f64 = 18.0;
/// After so many seconds at the wheel the law wants a break, of so many minutes.
const WHEEL_S_MAX: f64 = 4.4 * 3600.0;
const BREAK_MINUTES: f64 = 45.0;
/// A turn by so many degrees since the record before makes one.
const TURN_DEGREES: f64 = 30.0;
/// A blow on the road once in so many hours; forklifts hit more often.
const ROAD_SHOCK_HOURS: f64 = 14.0;
const DOCK_SHOCK_HOURS: f64 = 3.0;

/// How often a device reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Seconds between two records while the ignition is on.
    pub driving_s: u32,
    /// And while it is off.
    pub standing_s: u32,
}

/// What it does.
#[derive(Debug, Clone)]
enum Doing {
    /// Stands in a yard until its next shift.
    Resting {
        until_ms: i64,
    },
    /// Stands at a dock; the doors change at a time.
    Loading {
        until_ms: i64,
        doors_ms: i64,
    },
    Driving {
        route: Arc<Route>,
        km: f64,
        to: Yard,
    },
    /// Stands on the way.
    Halted {
        until_ms: i64,
        route: Arc<Route>,
        km: f64,
        to: Yard,
        refuels: bool,
    },
}

/// A truck.
pub struct Truck {
    atlas: Arc<Atlas>,
    dice: Dice,
    intervals: Intervals,
    shift: Shift,
    home: Yard,
    at: Yard,
    doing: Doing,
    now: Measured,
    unit: Option<Unit>,
    /// Milliseconds since 1970, to where it has advanced.
    time_ms: i64,
    /// km/h without what a receiver makes of it.
    speed_kph: f64,
    wheel_s: f64,
    /// How much of the speed that is allowed traffic lets it have.
    traffic: f64,
    odometer_m: f64,
    weather_c: f64,
    coverage: Coverage,
    clock: WrongClock,
    reported: Reported,
}

/// What the record before said, to see what has changed.
struct Reported {
    next_ms: i64,
    course: f64,
    ignition: bool,
    door_open: bool,
    codes: usize,
}

impl Truck {
    /// Truck `number` of a seed's fleet, at home in a city, as it stands at a moment (milliseconds since 1970 UTC). It
    /// may have a refrigeration unit.
    pub fn new(
        atlas: &Arc<Atlas>,
        (seed, number): (u64, u64),
        city: usize,
        has_unit: bool,
        intervals: Intervals,
        time_ms: i64,
    ) -> Self {
        let mut dice = Dice::new(seed, number.wrapping_mul(2) + 1);
        let home = atlas.yard(city, dice.pick(usize::MAX));
        let place = atlas.place(home);
        // So that not all trucks report at the same second.
        let time_ms = time_ms.div_euclid(STEP_MS) * STEP_MS - (number % 10) as i64 * 1000;
        let unit = has_unit.then(|| Unit::new(&mut dice));
        let shift = Shift::new(&mut dice, place.longitude);
        let odometer_m = dice.between(4e7, 9e8).round();
        let now = Measured {
            time_ms,
            why: Why::Interval,
            reachable: true,
            place,
            altitude_m: day::altitude_m(place),
            speed_kph: 0.0,
            course: (dice.share() * 360.0).floor(),
            satellites: 11,
            hdop: 0.9,
            ignition: false,
            blocked: false,
            odometer_m: odometer_m as u64,
            engine_h: odometer_m / 1000.0 / 58.0,
            engine_rpm: 0,
            coolant_c: 20.0,
            fuel_percent: dice.between(35.0, 100.0),
            fuel_used_l: odometer_m / 1000.0 * LITRES_PER_KM,
            supply_v: 25.4,
            battery_v: 4.05,
            signal: 4,
            driver: dice.next() as u32 >> 1,
            shock_g: 0.0,
            unit: unit.clone(),
        };
        let reported = Reported {
            next_ms: time_ms + (dice.share() * f64::from(intervals.driving_s) * 1000.0) as i64,
            course: now.course,
            ignition: false,
            door_open: false,
            codes: 0,
        };
        let mut truck = Self {
            atlas: atlas.clone(),
            intervals,
            shift,
            home,
            at: home,
            doing: Doing::Resting { until_ms: shift.next_begin(time_ms) },
            now,
            unit,
            time_ms,
            speed_kph: 0.0,
            wheel_s: 0.0,
            traffic: 1.0,
            odometer_m,
            weather_c: dice.between(-3.0, 4.0),
            coverage: Coverage::default(),
            clock: WrongClock::default(),
            reported,
            dice,
        };
        truck.set_out();
        truck
    }

    /// In the middle of a shift it is somewhere in its work.
    fn set_out(&mut self) {
        if !self.shift.holds(self.time_ms) {
            return;
        }
        self.depart();
        let share = self.dice.share();
        if let Doing::Driving { route, km, .. } = &mut self.doing {
            *km = route.km() * share * 0.9;
            (self.now.place, self.now.course) = route.at(*km);
            self.speed_kph = route.limit_kph(*km, BRAKING) * 0.8;
        }
    }

    /// To where it has advanced, in milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Whether it has a network at this moment.
    pub fn is_reachable(&self) -> bool {
        self.coverage.is_there()
    }

    /// How often it reports from now on.
    pub fn set_intervals(&mut self, intervals: Intervals) {
        self.intervals = intervals;
        self.reported.next_ms = self.time_ms;
    }

    /// How often it reports.
    pub fn intervals(&self) -> Intervals {
        self.intervals
    }

    /// Output 1: blocks the engine, or lets it run again. A truck that is blocked rolls out and stands.
    pub fn block(&mut self, blocked: bool) {
        self.now.blocked = blocked;
    }

    /// What it would say now.
    pub fn now(&self) -> Measured {
        self.report(Why::Asked)
    }

    /// Goes on until a moment, or until it has made so many records.
    pub fn advance(&mut self, to_ms: i64, records_max: usize) -> Vec<Measured> {
        let mut records = Vec::new();
        while self.time_ms + STEP_MS <= to_ms && records.len() < records_max {
            records.extend(self.step());
        }
        records
    }

    fn step(&mut self) -> Option<Measured> {
        self.time_ms += STEP_MS;
        self.act();
        self.drive();
        self.sense();
        let drives = self.speed_kph > 0.0;
        self.coverage.advance(STEP_S, drives, &mut self.dice);
        self.clock.advance(self.time_ms, STEP_MS, &mut self.dice);
        let why = self.reason()?;
        let record = self.report(why);
        let interval_s = if record.ignition { self.intervals.driving_s } else { self.intervals.standing_s };
        self.reported = Reported {
            next_ms: self.time_ms + i64::from(interval_s) * 1000,
            course: record.course,
            ignition: record.ignition,
            door_open: record.door_open(),
            codes: codes(record.unit.as_ref()),
        };
        self.now.shock_g = 0.0;
        Some(record)
    }

    /// Ends what is over and begins what comes next.
    fn act(&mut self) {
        match &self.doing {
            Doing::Resting { until_ms } if self.time_ms >= *until_ms => self.load(),
            Doing::Resting { until_ms } => {
                // The air has to be cold before the cargo comes.
                let soon = until_ms - self.time_ms < 3_600_000;
                if let Some(unit) = self.unit.as_mut().filter(|_| soon) {
                    unit.on = true;
                }
            }
            Doing::Loading { until_ms, .. } if self.time_ms >= *until_ms => self.leave_dock(),
            Doing::Loading { doors_ms, .. } if self.time_ms >= *doors_ms => self.move_doors(),
            Doing::Driving { route, km, to } if *km >= route.km() - 0.004 => {
                self.at = *to;
                self.load();
            }
            Doing::Halted { until_ms, route, km, to, refuels } if self.time_ms >= *until_ms => {
                let (route, km, to, refuels) = (route.clone(), *km, *to, *refuels);
                if refuels {
                    self.now.fuel_percent = self.dice.between(93.0, 99.0);
                } else {
                    self.wheel_s = 0.0;
                }
                self.doing = Doing::Driving { route, km, to };
            }
            _ => {}
        }
    }

    fn minutes_on(&mut self, least: f64, most: f64) -> i64 {
        self.time_ms + (self.dice.between(least, most) * 60_000.0) as i64
    }

    fn load(&mut self) {
        self.speed_kph = 0.0;
        let (until_ms, doors_ms) = (self.minutes_on(22.0, 65.0), self.minutes_on(2.0, 6.0));
        self.doing = Doing::Loading { until_ms, doors_ms };
        if let Some(unit) = &mut self.unit {
            unit.on = true;
            unit.on_mains = false;
        }
    }

    fn move_doors(&mut self) {
        let opens = !self.reported.door_open;
        let next_ms = if opens { self.minutes_on(3.0, 11.0) } else { self.minutes_on(2.0, 9.0) };
        if let Doing::Loading { doors_ms, .. } = &mut self.doing {
            *doors_ms = next_ms;
        }
        if let Some(unit) = &mut self.unit {
            unit.doors(opens);
        }
    }

    fn leave_dock(&mut self) {
        if let Some(unit) = &mut self.unit {
            unit.doors(false);
        }
        if self.shift.holds(self.time_ms) {
            self.depart();
        } else {
            self.rest();
        }
    }

    fn rest(&mut self) {
        self.doing = Doing::Resting { until_ms: self.shift.next_begin(self.time_ms) };
        self.wheel_s = 0.0;
        let at_home = self.at.city == self.home.city;
        let (mains, empty) = (self.dice.happens(0.6), self.dice.happens(0.5));
        if let Some(unit) = &mut self.unit {
            unit.on_mains = at_home && mains;
            unit.on = !(at_home && empty);
        }
    }

    /// Drives to another yard. Where none can be reached, it goes on resting.
    fn depart(&mut self) {
        for _ in 0..DESTINATIONS_TRIED {
            let to = self.destination();
            if let Some(route) = self.atlas.route(self.at, to) {
                self.doing = Doing::Driving { route, km: 0.0, to };
                return;
            }
        }
        self.rest();
    }

    fn destination(&mut self) -> Yard {
        let (home, here) = (self.home.city, self.at.city);
        let far = self.atlas.destinations(here);
        let city = match far.len() {
            _ if here != home && self.dice.happens(0.65) => home,
            0 => here,
            _ if self.dice.happens(0.3) => here,
            count => far[self.dice.pick(count)],
        };
        self.atlas.yard(city, self.dice.pick(usize::MAX))
    }

    /// Moves along its way.
    fn drive(&mut self) {
        let before = self.speed_kph;
        let Doing::Driving { route, km, to } = &mut self.doing else {
            self.speed_kph = 0.0;
            self.now.ignition = false;
            return;
        };
        if self.dice.happens_within(STEP_S, 0.25) {
            self.traffic = if self.dice.happens(0.12) { 0.35 } else { self.dice.between(0.85, 1.0) };
        }
        let refuels = self.now.fuel_percent < REFUEL_PERCENT;
        let halts = self.now.blocked || refuels || self.wheel_s > WHEEL_S_MAX;
        let wanted = if halts { 0.0 } else { route.limit_kph(*km, BRAKING) * self.traffic };
        let (most, least) = (before + ACCELERATING * STEP_S * MS_OF_KPH, before - BRAKING * STEP_S * MS_OF_KPH);
        let left_m = (route.km() - *km) * 1000.0;
        // What is left of a yard's drive is crept.
        let creep = if halts { 0.0 } else { 5.0 };
        self.speed_kph = wanted.clamp(least.max(0.0), most).max(creep);
        let metres = ((before + self.speed_kph) / 2.0 / MS_OF_KPH * STEP_S).min(left_m.max(0.0));
        *km += metres / 1000.0;
        (self.now.place, self.now.course) = route.at(*km);
        self.odometer_m += metres;
        self.wheel_s += STEP_S;
        self.now.ignition = !(self.now.blocked && self.speed_kph == 0.0);
        let litres = metres / 1000.0 * LITRES_PER_KM + if self.now.ignition { IDLE_LITRES_PER_S * STEP_S } else { 0.0 };
        self.now.fuel_used_l += litres;
        self.now.fuel_percent -= litres / TANK_L * 100.0;
        if halts && !self.now.blocked && self.speed_kph == 0.0 {
            let (route, km, to) = (route.clone(), *km, *to);
            let minutes = if refuels { self.dice.between(9.0, 18.0) } else { BREAK_MINUTES };
            let until_ms = self.time_ms + (minutes * 60_000.0) as i64;
            self.now.ignition = false;
            self.doing = Doing::Halted { until_ms, route, km, to, refuels };
        }
    }

    /// Everything that is measured beside the place.
    fn sense(&mut self) {
        let dice = &mut self.dice;
        let now = &mut self.now;
        let ambient = day::ambient_c(now.place, self.time_ms) + self.weather_c;
        if let Some(unit) = &mut self.unit {
            unit.advance(STEP_S, ambient, dice);
        }
        let wobble = |value: f64, by: f64, least: f64, most: f64, dice: &mut Dice| {
            (value + dice.between(-by, by)).clamp(least, most)
        };
        now.altitude_m = day::altitude_m(now.place);
        now.odometer_m = self.odometer_m as u64;
        now.satellites = wobble(f64::from(now.satellites), 1.2, 6.0, 18.0, dice).round() as u8;
        now.hdop = (wobble(now.hdop, 0.1, 0.6, 2.4, dice) * 10.0).round() / 10.0;
        now.signal = wobble(f64::from(now.signal), 0.8, 1.0, 5.0, dice).round() as u8;
        let volts = if now.ignition { 28.1 } else { 25.3 };
        now.supply_v += (volts - now.supply_v) * 0.5 + dice.between(-0.05, 0.05);
        now.battery_v = wobble(now.battery_v, 0.01, 3.9, 4.15, dice);
        let warm = if now.ignition { 86.0 } else { ambient };
        now.coolant_c += (warm - now.coolant_c) * if now.ignition { 0.02 } else { 0.0015 };
        let rpm = if self.speed_kph > 0.0 { 900.0 + self.speed_kph * 6.0 } else { 600.0 };
        now.engine_rpm = if now.ignition { (rpm + dice.between(-30.0, 30.0)) as u16 } else { 0 };
        if now.ignition {
            now.engine_h += STEP_S / 3600.0;
        }
        let blow = match &self.doing {
            Doing::Driving { .. } if self.speed_kph > 10.0 => dice.happens_within(STEP_S, ROAD_SHOCK_HOURS),
            Doing::Loading { .. } => dice.happens_within(STEP_S, DOCK_SHOCK_HOURS),
            _ => false,
        };
        if blow {
            now.shock_g = (dice.between(1.3, 2.5) * 100.0).round() / 100.0;
        }
    }

    /// Why a record is due, if one is.
    fn reason(&self) -> Option<Why> {
        let (now, before) = (&self.now, &self.reported);
        let door_open = self.unit.as_ref().is_some_and(|unit| unit.zones.iter().any(|zone| zone.door_open));
        let turn = (now.course - before.course + 540.0).rem_euclid(360.0) - 180.0;
        if now.ignition != before.ignition {
            Some(Why::Ignition)
        } else if door_open != before.door_open {
            Some(Why::Door)
        } else if codes(self.unit.as_ref()) != before.codes {
            Some(Why::Alarm)
        } else if now.shock_g > 0.0 {
            Some(Why::Shock)
        } else if self.time_ms >= before.next_ms {
            Some(Why::Interval)
        } else if turn.abs() > TURN_DEGREES && self.speed_kph > 15.0 {
            Some(Why::Turn)
        } else {
            None
        }
    }

    fn report(&self, why: Why) -> Measured {
        Measured {
            time_ms: self.clock.reading(self.time_ms),
            why,
            reachable: self.coverage.is_there(),
            speed_kph: self.speed_kph.round(),
            course: self.now.course.floor(),
            unit: self.unit.clone(),
            ..self.now.clone()
        }
    }
}

/// So often a destination is thrown for that can be reached.
const DESTINATIONS_TRIED: usize = 8;

fn codes(unit: Option<&Unit>) -> usize {
    unit.map_or(0, |unit| unit.codes.len())
}

#[cfg(test)]
mod tests;
