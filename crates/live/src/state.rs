//! What a marker on the map says of a device, in one word.

use crate::packed::{NEVER, Packed};
use crate::{Place, area::Spot};
use odograph_model::{Alarm, Item, Key, Time, Value};

/// A device's state. A greater one is worse: a cluster shows the worst inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It stands.
    Stopped,
    /// It drives.
    Moving,
    /// Nothing came from it for [`Thresholds::silent_ms`], or ever.
    NoSignal,
    /// It alarmed within [`Thresholds::alarm_ms`].
    Alarm,
}

impl State {
    /// All, from the best to the worst.
    pub const ALL: [Self; 4] = [Self::Stopped, Self::Moving, Self::NoSignal, Self::Alarm];

    /// The name, such as `no_signal`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Moving => "moving",
            Self::NoSignal => "no_signal",
            Self::Alarm => "alarm",
        }
    }
}

/// From which values on a device is in which state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// From this `position.speed` on it moves. Receivers that stand see up to 3 km/h.
    pub moving_kph: f64,
    /// The same while `engine.ignition.status` is false: then less than a tow truck's speed is the receiver's error.
    pub moving_off_kph: f64,
    /// A speed, ignition or movement counts if it is at most this much older than the device's latest record.
    pub together_ms: i64,
    /// Without a record for so long there is no signal. Parked devices report every half an hour or hour.
    pub silent_ms: i64,
    /// An alarm is shown for so long after its record: most devices say when an alarm begins, and few when it ends.
    pub alarm_ms: i64,
}

impl Thresholds {
    /// From which speed on a device moves whose ignition is known to be off, or not.
    pub(crate) const fn moving_kph_by(&self, is_off: bool) -> f64 {
        if is_off { self.moving_off_kph } else { self.moving_kph }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            moving_kph: 4.0,
            moving_off_kph: 10.0,
            together_ms: 5 * 60_000,
            silent_ms: 65 * 60_000,
            alarm_ms: 15 * 60_000,
        }
    }
}

/// What decides on a device's marker, so that its state at any time is two comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Where it is, if that is known.
    pub(crate) spot: Option<Spot>,
    pub(crate) is_moving: bool,
    /// The time of its latest record, or of its latest receipt, if that was earlier: a clock that is ahead does not keep a
    /// silent device alive.
    pub(crate) seen: Time,
    /// The time of its latest alarm, if that is worth one; the same holds for it.
    pub(crate) alarm: Time,
}

impl Default for Signs {
    /// Of a device of which nothing is known.
    fn default() -> Self {
        Self { spot: None, is_moving: false, seen: NEVER, alarm: NEVER }
    }
}

impl Signs {
    pub(crate) fn read(packed: &Packed<'_>, thresholds: &Thresholds) -> Self {
        let mut signs = Self::default();
        let [mut latitude, mut longitude, mut speed] = [None; 3];
        let [mut ignition, mut movement] = [None; 2];
        let Some(received) = packed.received() else { return signs };
        let latest = packed.latest();
        let is_fresh = |time: Time| latest.is_none_or(|latest| time.plus_ms(thresholds.together_ms) >= latest);
        for entry in packed.effective() {
            match entry.key() {
                Some(Key::PositionLatitude) => latitude = entry.number(),
                Some(Key::PositionLongitude) => longitude = entry.number(),
                Some(Key::PositionSpeed) => speed = entry.number().filter(|_| is_fresh(entry.time())),
                Some(Key::EngineIgnitionStatus) => ignition = entry.flag().filter(|_| is_fresh(entry.time())),
                Some(Key::MovementStatus) => movement = entry.flag().filter(|_| is_fresh(entry.time())),
                Some(Key::Alarm) => {
                    signs.alarm =
                        if entry.value().is_some_and(is_alarming) { entry.time().min(received) } else { NEVER };
                }
                _ => {}
            }
        }
        signs.seen = latest.map_or(NEVER, |latest| latest.min(received));
        let place = latitude.zip(longitude).map(|(latitude, longitude)| Place { latitude, longitude });
        signs.spot = place.and_then(Spot::new);
        signs.is_moving = match speed {
            Some(speed) => speed >= thresholds.moving_kph_by(ignition == Some(false)),
            None => movement == Some(true),
        };
        signs
    }

    pub(crate) fn state(&self, now: Time, thresholds: &Thresholds) -> State {
        if self.alarm.plus_ms(thresholds.alarm_ms) > now {
            return State::Alarm;
        }
        if self.seen.plus_ms(thresholds.silent_ms) <= now {
            return State::NoSignal;
        }
        if self.is_moving { State::Moving } else { State::Stopped }
    }

    /// When it is without a signal, if nothing comes until then.
    pub(crate) fn silent_at(&self, thresholds: &Thresholds) -> Option<Time> {
        (self.seen != NEVER).then(|| self.seen.plus_ms(thresholds.silent_ms))
    }
}

/// Whether one of the alarms is one to look at.
fn is_alarming(alarms: Value) -> bool {
    let Value::List(alarms) = alarms else { return false };
    let is_quiet = |item: &Item| matches!(item, Item::Text(name) if QUIET.iter().any(|quiet| quiet.name() == name));
    !alarms.iter().all(is_quiet)
}

/// What devices say with their alarms, and is none: it colours no marker.
const QUIET: &[Alarm] =
    &[Alarm::PowerOn, Alarm::PowerRestored, Alarm::Lock, Alarm::Unlock, Alarm::GeofenceEnter, Alarm::GeofenceExit];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Update;
    use crate::tenant::{Room, Tenant};
    use odograph_model::{Record, RecordId};

    const MINUTE_MS: i64 = 60_000;

    /// A minute, and what fills its record.
    type Sent<'a> = (i64, &'a dyn Fn(&mut Record));

    /// The state, at a minute, of a device that sent these records.
    fn check(records: &[Sent<'_>], minute: i64, expected: State) {
        let mut tenant = Tenant::new(0, Thresholds::default());
        for (index, (minute, fill)) in records.iter().enumerate() {
            let mut record = Record::at(Time(minute * MINUTE_MS));
            fill(&mut record);
            let received = record.time.expect("it has one").min(Time(500 * MINUTE_MS));
            let id = RecordId(index as u64);
            let update = Update { tenant: "t", device: "a", record: &record, received, id, protocol: "test" };
            tenant.update(&update, Room { for_device: true, for_values: true });
        }
        let state = tenant.seen().slots.marker(0).state(Time(minute * MINUTE_MS), &Thresholds::default());
        assert_eq!(state, expected);
    }

    fn speed(kph: f64, ignition: Option<bool>) -> impl Fn(&mut Record) {
        move |record| {
            record.set(Key::PositionSpeed, kph);
            record.set_some(Key::EngineIgnitionStatus, ignition);
        }
    }

    fn alarm(alarms: &[Alarm]) -> impl Fn(&mut Record) {
        move |record| alarms.iter().for_each(|alarm| record.alarm(*alarm))
    }

    #[test]
    fn a_device_moves_by_its_speed_or_by_its_own_word() {
        check(&[(0, &speed(4.0, None))], 0, State::Moving);
        check(&[(0, &speed(3.9, None))], 0, State::Stopped);
        check(&[(0, &speed(9.9, Some(false)))], 0, State::Stopped);
        check(&[(0, &speed(10.0, Some(false)))], 0, State::Moving);
        check(&[(0, &speed(4.0, Some(true)))], 0, State::Moving);
        let moves = |moves: bool| move |record: &mut Record| record.set(Key::MovementStatus, moves);
        check(&[(0, &moves(true))], 0, State::Moving);
        check(&[(0, &moves(false))], 0, State::Stopped);
        check(&[(0, &moves(true)), (0, &speed(0.0, None))], 0, State::Stopped);
    }

    #[test]
    fn what_is_older_than_the_latest_record_counts_for_a_while() {
        let nothing = |_: &mut Record| {};
        check(&[(0, &speed(50.0, None)), (5, &nothing)], 5, State::Moving);
        check(&[(0, &speed(50.0, None)), (6, &nothing)], 6, State::Stopped);
        check(&[(0, &speed(9.0, Some(false))), (6, &speed(9.0, None))], 6, State::Moving);
    }

    #[test]
    fn silence_is_no_signal_also_where_a_clock_is_ahead() {
        check(&[(0, &speed(50.0, None))], 64, State::Moving);
        check(&[(0, &speed(50.0, None))], 65, State::NoSignal);
        check(&[(600, &speed(50.0, None))], 500 + 64, State::Moving);
        check(&[(600, &speed(50.0, None))], 500 + 65, State::NoSignal);
        let silent = Signs::default();
        assert_eq!(silent.state(Time(0), &Thresholds::default()), State::NoSignal);
        assert_eq!(silent.silent_at(&Thresholds::default()), None);
    }

    #[test]
    fn an_alarm_is_shown_for_a_while_and_before_all_else() {
        check(&[(0, &alarm(&[Alarm::Sos])), (1, &speed(50.0, None))], 14, State::Alarm);
        check(&[(0, &alarm(&[Alarm::Sos])), (1, &speed(50.0, None))], 15, State::Moving);
        check(&[(0, &alarm(&[Alarm::PowerOn, Alarm::Lock]))], 1, State::Stopped);
        check(&[(0, &alarm(&[Alarm::PowerOn, Alarm::Tow]))], 1, State::Alarm);
        check(&[(0, &alarm(&[Alarm::Sos])), (1, &alarm(&[Alarm::PowerOn]))], 2, State::Stopped);
    }
}
