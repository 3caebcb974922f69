//! A device: keeps what it measured until it is acknowledged, and sends it again until then.

use odograph_fleet::{Heard, Reading, Speech};
use odograph_testkit::SeededRng;
use std::ops::Range;

/// A device and its end of the link.
pub(crate) struct Device {
    pub(crate) imei: String,
    speech: Speech,
    /// How many readings it will have made in all.
    total: usize,
    /// So many were acknowledged, and are erased.
    erased: usize,
    link: Option<Link>,
    serial: u16,
    start_ms: i64,
}

#[derive(Default)]
struct Link {
    logged_in: bool,
    in_flight: Option<Range<usize>>,
    /// On the way to the server.
    outgoing: Vec<u8>,
    /// What came from the server and is not understood yet.
    incoming: Vec<u8>,
}

impl Device {
    pub(crate) fn new(number: usize, speech: Speech, total: usize, start_ms: i64) -> Self {
        let imei = format!("{:015}", 350_000_000_000_000_u64 + number as u64);
        Self { imei, speech, total, erased: 0, link: None, serial: 1, start_ms }
    }

    pub(crate) fn speech(&self) -> Speech {
        self.speech
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.erased == self.total
    }

    pub(crate) fn connect(&mut self) {
        self.link = Some(Link { outgoing: self.speech.login(&self.imei), ..Link::default() });
    }

    pub(crate) fn lose_link(&mut self) {
        self.link = None;
    }

    /// The next bytes that reach the server: any number of those on the way.
    pub(crate) fn send(&mut self, rng: &SeededRng) -> Vec<u8> {
        let Some(link) = &mut self.link else { return Vec::new() };
        let count = 1 + rng.below(link.outgoing.len() as u64) as usize;
        link.outgoing.drain(..count.min(link.outgoing.len())).collect()
    }

    /// Puts the next readings on the way, if the last ones were acknowledged; a batch of any size.
    pub(crate) fn speak(&mut self, rng: &SeededRng) -> Vec<(String, i64)> {
        let (erased, total) = (self.erased, self.total);
        let Some(link) = &mut self.link else { return Vec::new() };
        if !link.logged_in || link.in_flight.is_some() || erased == total {
            return Vec::new();
        }
        let range = erased..(erased + 1 + rng.below(4) as usize).min(total);
        let readings: Vec<_> = range.clone().map(|index| reading(self.start_ms, index)).collect();
        link.outgoing.extend(self.speech.frame(&readings, self.serial));
        link.in_flight = Some(range);
        self.serial = self.serial.wrapping_add(1);
        readings.iter().map(|reading| (self.imei.clone(), reading.time_ms)).collect()
    }

    /// Bytes came from the server. Says what is acknowledged now.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<(String, i64)> {
        let Some(link) = &mut self.link else { return Vec::new() };
        link.incoming.extend_from_slice(bytes);
        let mut acknowledged = Vec::new();
        loop {
            let (heard, taken) = self.speech.hear(&link.incoming, !link.logged_in);
            link.incoming.drain(..taken);
            match heard {
                Heard::Nothing => return acknowledged,
                Heard::Login(true) => link.logged_in = true,
                Heard::Acknowledged(count) => {
                    let range = link.in_flight.take().expect("nothing is acknowledged that was not sent");
                    assert!(count.is_none_or(|count| count == range.len()), "the count is that of the frame");
                    self.erased = range.end;
                    acknowledged.extend(range.map(|index| (self.imei.clone(), reading(self.start_ms, index).time_ms)));
                }
                Heard::Other => {}
                heard @ (Heard::Login(false) | Heard::Nonsense) => panic!("{}: {heard:?}", self.imei),
            }
        }
    }
}

fn reading(start_ms: i64, index: usize) -> Reading {
    let step = index as f64;
    Reading {
        time_ms: start_ms + index as i64 * 1000,
        latitude: 48.0 + step * 1e-4,
        longitude: 9.0 + step * 1e-4,
        speed_kph: (index % 90) as u8,
        course: (index % 360) as u16,
    }
}
