//! What devices do when they are told to, in the words of their makers.

use crate::measured::Measured;
use crate::truck::{Intervals, Truck};

/// What came of a command.
#[derive(Debug, PartialEq)]
pub(crate) struct Obeyed {
    /// What the device answers.
    pub(crate) text: String,
    /// A record that it makes at once.
    pub(crate) record: Option<Measured>,
}

/// Carries out a command. Whatever it does not know it says so of.
pub(crate) fn obey(text: &str, truck: &mut Truck) -> Obeyed {
    let words: Vec<_> = text.trim().trim_end_matches('#').split([' ', ',', '=', ':']).collect();
    let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<_> = lower.iter().map(String::as_str).collect();
    let say = |text: String| Obeyed { text, record: None };
    match lower[..] {
        // Output 1 cuts the fuel.
        ["setdigout", outputs, ..] => block(outputs.starts_with('1'), truck, "DOUTS are set"),
        ["relay", state] | ["l1" | "out1", state] => block(state == "1", truck, "Output 1 is set"),
        ["out", "0" | "1", state] => block(state == "1", truck, "Output is set"),
        ["dyd", ..] => block(true, truck, "DYD=Success!"),
        ["hfyd", ..] => block(false, truck, "HFYD=Success!"),
        ["getgps" | "where"] => asked(truck),
        ["getstatus" | "status" | "getinfo" | "getio"] => say(state(truck)),
        ["getver" | "version" | "ver?"] => say("Odograph simulated device, version 1".to_owned()),
        ["cpureset" | "reset" | "reboot"] => say("It restarts".to_owned()),
        ["setparam", id, seconds] => interval(id, seconds, truck),
        ["timer", driving, standing] => match (driving.parse(), standing.parse()) {
            (Ok(driving_s), Ok(standing_s)) => set(Intervals { driving_s, standing_s }, truck),
            _ => say("Error: TIMER,SECONDS,SECONDS".to_owned()),
        },
        _ => say(format!("Unknown command: {text}")),
    }
}

fn block(blocked: bool, truck: &mut Truck, done: &str) -> Obeyed {
    truck.block(blocked);
    let engine = if blocked { "the engine is blocked" } else { "the engine may run" };
    Obeyed { text: format!("{done}: {engine}"), record: Some(truck.now()) }
}

fn asked(truck: &Truck) -> Obeyed {
    let now = truck.now();
    let text = format!(
        "GPS:1 Sat:{} Lat:{:.6} Long:{:.6} Alt:{} Speed:{} Dir:{}",
        now.satellites, now.place.latitude, now.place.longitude, now.altitude_m, now.speed_kph, now.course
    );
    Obeyed { text, record: Some(now) }
}

fn state(truck: &Truck) -> String {
    let now = truck.now();
    let on = |state| if state { "ON" } else { "OFF" };
    format!(
        "Ignition:{} Output1:{} Supply:{:.1}V Battery:{:.2}V Signal:{} Odometer:{}km",
        on(now.ignition),
        on(now.blocked),
        now.supply_v,
        now.battery_v,
        now.signal,
        now.odometer_m / 1000
    )
}

/// Teltonika's parameters: seconds between two records, moving in the home network, and standing.
fn interval(id: &str, seconds: &str, truck: &mut Truck) -> Obeyed {
    let before = truck.intervals();
    match (id, seconds.parse()) {
        ("10050", Ok(driving_s)) => set(Intervals { driving_s, ..before }, truck),
        ("10000", Ok(standing_s)) => set(Intervals { standing_s, ..before }, truck),
        _ => Obeyed { text: "Error: only 10050 and 10000 can be set".to_owned(), record: None },
    }
}

/// The shortest interval that makes sense where a step has ten seconds.
const SHORTEST_S: u32 = 10;

fn set(intervals: Intervals, truck: &mut Truck) -> Obeyed {
    let Intervals { driving_s, standing_s } = intervals;
    let intervals = Intervals { driving_s: driving_s.max(SHORTEST_S), standing_s: standing_s.max(SHORTEST_S) };
    truck.set_intervals(intervals);
    let text = format!("Every {} s while driving, every {} s else", intervals.driving_s, intervals.standing_s);
    Obeyed { text, record: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Atlas;
    use std::sync::Arc;

    #[test]
    fn devices_do_as_they_are_told() {
        let intervals = Intervals { driving_s: 60, standing_s: 300 };
        let mut truck = Truck::new(&Arc::new(Atlas::new(1)), (1, 1), 0, true, intervals, 1_781_049_600_000);
        for (text, blocked, says) in [
            ("setdigout 1", true, "DOUTS are set: the engine is blocked"),
            ("setdigout 0", false, "DOUTS are set: the engine may run"),
            ("Relay,1#", true, "Output 1 is set: the engine is blocked"),
            ("Relay,0#", false, "Output 1 is set: the engine may run"),
            ("Out 0,1", true, "Output is set: the engine is blocked"),
            ("L1=0", false, "Output 1 is set: the engine may run"),
            ("DYD,123456#", true, "DYD=Success!: the engine is blocked"),
        ] {
            let obeyed = obey(text, &mut truck);
            let record = obeyed.record.expect("what it does is told at once");
            assert_eq!((&obeyed.text[..], record.blocked, truck.now().blocked), (says, blocked, blocked), "{text}");
        }
        assert!(obey("getgps", &mut truck).record.is_some());
        assert!(obey("STATUS#", &mut truck).text.starts_with("Ignition:"));
        assert_eq!(obey("setparam 10050:15", &mut truck).text, "Every 15 s while driving, every 300 s else");
        assert_eq!(obey("TIMER,1,600#", &mut truck).text, "Every 10 s while driving, every 600 s else");
        assert_eq!(truck.intervals(), Intervals { driving_s: 10, standing_s: 600 });
        assert_eq!(obey("sing", &mut truck).text, "Unknown command: sing");
    }
}
