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
                Some(Key::PositionSpeed) => speed = entry.number().filter(|_| is_fresh(entry.time)),
                Some(Key::EngineIgnitionStatus) => ignition = entry.flag().filter(|_| is_fresh(entry.time)),
                Some(Key::MovementStatus) => movement = entry.flag().filter(|_| is_fresh(entry.time)),
                Some(Key::Alarm) => {
                    signs.alarm = if entry.value().is_some_and(is_alarming) { entry.time.min(received) } else { NEVER };
                }
                _ => {}
            }
        }
        signs.seen = latest.map_or(NEVER, |latest| latest.min(received));
        let place = latitude.zip(longitude).map(|(latitude, longitude)| Place { latitude, longitude });
        signs.spot = place.and_then(Spot::new);
        let moving_kph = if ignition == Some(false) { thresholds.moving_off_kph } else { thresholds.moving_kph };
        signs.is_moving = match speed {
            Some(speed) => speed >= moving_kph,
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
