//! A device in a truck, without its socket: what it sends, and what it makes of what it hears.

use crate::fleet::Member;
use crate::measured::Why;
use crate::obey::obey;
use crate::outbox::Outbox;
use crate::speech::{Heard, Order};
use crate::truck::{Intervals, Truck};
use crate::{Atlas, Speech};
use std::sync::Arc;

/// A truck advances while fewer frames than this wait: what is older than now is made when it can be sent.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const FRAMES_AHEAD: usize = 3;
/// So many records are made at once at most.
const RECORDS_AT_ONCE: usize = 64;

/// Since when a truck lives, in milliseconds since 1970, and since when it says what it measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) begins_ms: i64,
    pub(crate) told_from_ms: i64,
}

/// A device.
pub(crate) struct Device {
    imei: String,
    speech: Speech,
    truck: Truck,
    outbox: Outbox,
    serial: u16,
    inbox: Vec<u8>,
    awaits_login: bool,
}

/// What came of bytes from the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaction {
    /// To be sent at once: answers to commands.
    pub(crate) answers: Vec<u8>,
    /// Commands that were obeyed.
    pub(crate) commands: u64,
    /// Records that were acknowledged.
    pub(crate) acknowledged: usize,
    /// The server does not want this device.
    pub(crate) refused: bool,
    /// What it said was not of the protocol.
    pub(crate) broken: bool,
}

impl Device {
    pub(crate) fn new(member: &Member, atlas: &Arc<Atlas>, seed: u64, intervals: Intervals, life: Life) -> Self {
        let who = (seed, member.number);
        let mut truck = Truck::new(atlas, who, member.city, member.has_unit(), intervals, life.begins_ms);
        // What it did before that is told by nobody: a day at a time, so that it takes no memory.
        let mut until = life.begins_ms;
        while until < life.told_from_ms {
            until = (until + DAY_MS).min(life.told_from_ms);
            truck.advance(until, usize::MAX);
        }
        Self {
            imei: member.imei.clone(),
            speech: member.speech,
            truck,
            outbox: Outbox::default(),
            serial: 0,
            inbox: Vec::new(),
            awaits_login: false,
        }
    }

    /// Lets the truck go on to now, as far as what it measured can be sent.
    pub(crate) fn catch_up(&mut self, now_ms: i64) {
        while self.outbox.len() < FRAMES_AHEAD * self.speech.batch_max() {
            let before = self.truck.time_ms();
            for record in self.truck.advance(now_ms, RECORDS_AT_ONCE) {
                self.outbox.push(record);
            }
            if self.truck.time_ms() == before {
                break;
            }
        }
    }

    /// Whether it has a network. One whose truck is not yet at now has, so that the past can be told.
    pub(crate) fn is_reachable(&self) -> bool {
        self.truck.is_reachable() || self.outbox.len() > 0
    }

    /// Whether all up to this moment was said and acknowledged.
    pub(crate) fn has_said_all_until(&self, time_ms: i64) -> bool {
        self.outbox.len() == 0 && self.truck.time_ms() + 2 * crate::truck::STEP_MS > time_ms
    }

    /// Whether something waits to be said.
    pub(crate) fn has_more(&self) -> bool {
        self.outbox.len() > 0
    }

    /// Whether it waits for something from the server.
    pub(crate) fn waits(&self) -> bool {
        self.awaits_login || self.outbox.is_under_way()
    }

    /// Records that were lost because there was no room, since this was asked before.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        self.outbox.take_dropped()
    }

    /// A connection stands: what it says first.
    pub(crate) fn connected(&mut self) -> Vec<u8> {
        self.inbox.clear();
        let login = self.speech.login(&self.imei);
        self.awaits_login = login.is_some();
        login.unwrap_or_default()
    }

    /// The next frame, unless it waits for the login. Says how many records are in it, and whether they were sent before.
    /// What is under way is sent again, so that whoever calls decides when.
    pub(crate) fn frame(&mut self) -> Option<(Vec<u8>, usize, bool)> {
        if self.awaits_login {
            return None;
        }
        let serial = self.serial.wrapping_add(1);
        let (records, again) = self.outbox.next(self.speech.batch_max())?;
        let count = records.len();
        let frame = self.speech.frame(&self.imei, records, serial);
        self.serial = serial;
        self.outbox.mark(frame.mark);
        Some((frame.bytes, count, again))
    }

    /// The same as a datagram, under a number that the socket gives.
    pub(crate) fn datagram(&mut self, number: u16) -> Option<(Vec<u8>, usize, bool)> {
        let (records, again) = self.outbox.next(self.speech.batch_max())?;
        let count = records.len();
        let frame = self.speech.datagram(&self.imei, records, number)?;
        self.outbox.mark(frame.mark);
        Some((frame.bytes, count, again))
    }

    /// A datagram was acknowledged; says of how many records.
    pub(crate) fn acknowledged(&mut self, number: u16) -> usize {
        self.outbox.acknowledged(number.into())
    }

    /// Takes in what the server said.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Reaction {
        self.inbox.extend_from_slice(bytes);
        let mut reaction = Reaction::default();
        loop {
            let (heard, taken) = self.speech.hear(&self.inbox, self.awaits_login);
            self.inbox.drain(..taken);
            match heard {
                Heard::Nothing => return reaction,
                Heard::Login(true) => self.awaits_login = false,
                Heard::Login(false) => {
                    reaction.refused = true;
                    return reaction;
                }
                Heard::Acknowledged(mark) => reaction.acknowledged += self.outbox.acknowledged(mark),
                Heard::Command(order) => self.obey(&order, &mut reaction),
                Heard::Other => {}
                Heard::Nonsense => {
                    reaction.broken = true;
                    return reaction;
                }
            }
        }
    }

    fn obey(&mut self, order: &Order, reaction: &mut Reaction) {
        let obeyed = obey(&order.text, &mut self.truck);
        reaction.commands += 1;
        if let Some(record) = obeyed.record {
            debug_assert_eq!(record.why, Why::Asked);
            self.outbox.push(record);
        }
        self.serial = self.serial.wrapping_add(1);
        if let Some(answer) = self.speech.answer(&self.imei, order, &obeyed.text, self.serial) {
            reaction.answers.extend(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Plan;

    const START_MS: i64 = 1_781_049_600_000;

    fn device(speech: Speech) -> Device {
        let plan = Plan { devices: 1, mix: vec![(speech, 1)], ..Plan::default() };
        let intervals = Intervals { driving_s: 60, standing_s: 300 };
        let atlas = Arc::new(Atlas::new(1));
        Device::new(&plan.member(0), &atlas, 1, intervals, Life { begins_ms: START_MS, told_from_ms: START_MS })
    }

    #[test]
    fn a_device_logs_in_sends_is_acknowledged_and_goes_on() {
        let mut device = device(Speech::Wialon);
        device.catch_up(START_MS + 3_600_000);
        assert!(device.connected().starts_with(b"#L#2.0;00101"));
        assert_eq!(device.frame(), None, "nothing before the login was answered");
        assert_eq!(device.hear(b"#AL#"), Reaction::default());
        assert_eq!(device.hear(b"1\r\n"), Reaction::default());
        let (bytes, count, again) = device.frame().expect("a frame");
        assert!(!again && bytes.starts_with(if count == 1 { b"#D#" } else { b"#B#" }));
        // It never came: a new connection, and the same again.
        device.connected();
        device.hear(b"#AL#1\r\n");
        assert_eq!(device.frame().expect("the same"), (bytes, count, true));
        let answer = if count == 1 { "#AD#1\r\n".to_owned() } else { format!("#AB#{count}\r\n") };
        assert_eq!(device.hear(answer.as_bytes()).acknowledged, count);
        assert!(!device.waits());
    }

    #[test]
    fn what_lies_in_the_past_is_made_when_it_can_be_sent() {
        let mut device = device(Speech::Galileo);
        let now = START_MS + 5 * 86_400_000;
        device.catch_up(now);
        assert!(device.outbox.len() < 200 && !device.has_said_all_until(now), "{}", device.outbox.len());
        device.connected();
        device.hear(&[2, 0, 0]);
        let (mut frames, mut records) = (0, 0);
        while let Some((bytes, count, again)) = device.frame() {
            assert!(!again);
            let [.., low, high] = bytes[..] else { panic!("a frame ends with its checksum") };
            assert_eq!(device.hear(&[2, low, high]).acknowledged, count);
            (frames, records) = (frames + 1, records + count);
            device.catch_up(now);
        }
        assert!(device.has_said_all_until(now));
        assert!(records > 1500 && frames > 300, "{records} records in {frames} frames");
    }

    #[test]
    fn a_life_goes_on_where_an_earlier_run_ended() {
        let told = |begins_ms: i64, told_from_ms: i64| {
            let plan = Plan { devices: 1, mix: vec![(Speech::Galileo, 1)], ..Plan::default() };
            let intervals = Intervals { driving_s: 60, standing_s: 300 };
            let life = Life { begins_ms, told_from_ms };
            let mut device = Device::new(&plan.member(0), &Arc::new(Atlas::new(1)), 1, intervals, life);
            device.connected();
            device.hear(&[2, 0, 0]);
            let (mut places, now) = (Vec::new(), START_MS + 86_400_000);
            device.catch_up(now);
            while let Some((bytes, ..)) = device.frame() {
                places.push(bytes.clone());
                let [.., low, high] = bytes[..] else { panic!("a frame ends with its checksum") };
                device.hear(&[2, low, high]);
                device.catch_up(now);
            }
            places.concat()
        };
        let whole = told(START_MS, START_MS);
        let rest = told(START_MS, START_MS + 80_000_000);
        assert!(rest.len() > 500 && rest.len() < whole.len() / 2, "{} of {}", rest.len(), whole.len());
        // The last record, without the checksum behind it.
        let end = |bytes: &[u8]| bytes[bytes.len() - 60..bytes.len() - 2].to_vec();
        assert_eq!(end(&rest), end(&whole), "it is the same truck at the same place");
    }

    #[test]
    fn refusals_nonsense_and_commands_are_told() {
        let mut device = device(Speech::Teltonika);
        device.connected();
        assert!(device.hear(&[0]).refused);
        device.connected();
        let command = [&[1, 0, 0, 0, 0, 0, 0, 0, 14, 0x0C, 1, 5, 0, 0, 0, 6][..], b"getgps", &[1, 0, 0, 0, 0]].concat();
        let reaction = device.hear(&command);
        assert_eq!((reaction.commands, device.outbox.len()), (1, 1));
        assert!(reaction.answers.windows(4).any(|four| four == b"GPS:"));
        assert!(device.hear(&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]).broken);
    }
}
