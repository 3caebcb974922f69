//! A fleet and those who watch it: how many updates, how fast, in how much memory.
//!
//! `cargo run --release -p odograph-live --example fleet -- [devices] [subscribers] [seconds]`

use odograph_env::{Clock as _, SystemClock};
use odograph_live::{Area, Filter, Live, Options, Subscription, Update};
use odograph_model::{Key, Record, RecordId, Time};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let mut argument = |otherwise: u64| arguments.next().unwrap_or(otherwise);
    let (devices, subscribers, seconds) = (argument(100_000), argument(20), argument(10));
    Run::new(devices, subscribers, Duration::from_secs(seconds)).show();
}

/// A fleet in Germany, each truck with some twenty parameters, that sends as fast as it is taken.
struct Run {
    live: Live,
    clock: SystemClock,
    names: Vec<String>,
    places: Vec<(f64, f64)>,
    subscribers: u64,
    lasts: Duration,
    dice: u64,
    sent: u64,
}

impl Run {
    fn new(devices: u64, subscribers: u64, lasts: Duration) -> Self {
        let names = (0..devices).map(|device| format!("{:015}", 352_093_081_000_000 + device)).collect();
        let live = Live::new(1, Options::default());
        let (clock, dice) = (SystemClock::new(), 88_172_645_463_325_252);
        let mut run = Self { live, clock, names, places: Vec::new(), subscribers, lasts, dice, sent: 0 };
        for _ in 0..devices {
            let place = (47.3 + run.degrees(7_000_000), 6.0 + run.degrees(8_500_000));
            run.places.push(place);
        }
        run
    }

    fn show(&mut self) {
        let before = resident_bytes();
        let mut took = self.fill();
        println!("{} devices known, for the first time: {}", self.names.len(), Times(&mut took));
        let stats = self.live.stats();
        let each = |bytes: usize| bytes / self.names.len().max(1);
        println!(
            "memory: {} bytes a device as counted, {} as the system sees it",
            each(stats.bytes),
            each(resident_bytes().saturating_sub(before))
        );
        let mut alone = self.updates(self.lasts / 2);
        println!("updates, nobody watches: {}", Times(&mut alone));
        self.views();
        self.watched();
        self.resumed();
    }

    /// Each device's first record.
    fn fill(&mut self) -> Vec<u64> {
        (0..self.names.len()).map(|device| self.send(device)).collect()
    }

    /// Sends for some time, and says how long each update took.
    fn updates(&mut self, lasts: Duration) -> Vec<u64> {
        let end = self.clock.monotonic() + lasts;
        let mut took = Vec::new();
        while self.clock.monotonic() < end {
            let device = self.random(self.names.len() as u64) as usize;
            took.push(self.send(device));
        }
        took
    }

    /// A truck drives on by some hundred metres. Returns the nanoseconds that the update took.
    fn send(&mut self, device: usize) -> u64 {
        let mut record = Record::at(Time(NOW.0 + self.sent as i64 / 1000));
        let (north, east) = (self.degrees(2000) - 0.001, self.degrees(2000) - 0.001);
        let place = &mut self.places[device];
        *place = (place.0 + north, place.1 + east);
        record.set(Key::PositionLatitude, place.0);
        record.set(Key::PositionLongitude, place.1);
        record.set(Key::PositionSpeed, self.random(90) as f64);
        record.set(Key::PositionDirection, self.random(360) as f64);
        record.set(Key::PositionAltitude, self.random(800) as f64);
        record.set(Key::PositionSatellites, 11);
        record.set(Key::PositionValid, true);
        record.set(Key::PositionHdop, 0.8);
        record.set(Key::EngineIgnitionStatus, true);
        record.set(Key::MovementStatus, true);
        record.set(Key::ExternalPowerVoltage, 27.9);
        record.set(Key::BatteryVoltage, 4.1);
        record.set(Key::GsmSignalStrength, 21.0);
        record.set(Key::GsmOperatorCode, "26201");
        record.set(Key::VehicleMileage, self.sent as f64);
        record.set(Key::FuelLevel, 61.0);
        if self.random(10) == 0 {
            for number in 1..=4 {
                record.set(Key::TemperatureN(number), -18.5);
            }
        }
        self.sent += 1;
        let update = Update {
            tenant: "fleet",
            device: &self.names[device],
            record: &record,
            received: NOW,
            id: RecordId(self.sent),
            protocol: "teltonika",
        };
        let begun = self.clock.monotonic();
        self.live.update(&update);
        (self.clock.monotonic() - begun).as_nanos() as u64
    }

    /// What a map takes to be looked at.
    fn views(&self) {
        for (what, area, zoom) in [
            ("the whole fleet, zoom 5", None, 5),
            ("a country, zoom 6", Some(area(5.0, 47.0, 15.0, 55.0)), 6),
            ("a region, zoom 9", Some(area(9.0, 48.0, 11.0, 49.0)), 9),
            ("a town, zoom 13", Some(area(9.9, 48.3, 10.1, 48.5)), 13),
        ] {
            let filter = Filter { area, ..Filter::all("fleet") };
            let mut view = None;
            let mut took: Vec<u64> = (0..20)
                .map(|_| {
                    let begun = self.clock.monotonic();
                    view = Some(self.live.view(&filter, zoom, NOW));
                    (self.clock.monotonic() - begun).as_nanos() as u64
                })
                .collect();
            let view = view.expect("it was looked at");
            println!(
                "view of {what}: {:.2} ms at the middle, {:.2} at worst: {} devices as {} clusters and {} alone",
                milliseconds(quantile(&mut took, 0.5)),
                milliseconds(quantile(&mut took, 1.0)),
                view.crowds.counts.total(),
                view.crowds.clusters.len(),
                view.devices.len()
            );
        }
    }

    /// Updates while subscribers with boxes read, four times a second, and one never does.
    fn watched(&mut self) {
        let never = self.live.subscribe(Filter::all("fleet")).expect("there is room");
        let mut stuck = self.live.subscribe(Filter::all("fleet")).expect("there is room");
        while stuck.take(NOW).expect("it goes on").is_some_and(|batch| batch.more) {}
        let _held = [never, stuck];
        let mut with_idle = self.updates(self.lasts / 2);
        println!("updates, one has read nothing and one nothing any more: {}", Times(&mut with_idle));
        let readers: Vec<_> = (0..self.subscribers).map(|reader| self.subscription(reader)).collect();
        let (ends, live, clock) = (AtomicBool::new(false), self.live.clone(), self.clock);
        let (mut took, read) = std::thread::scope(|scope| {
            let ends = &ends;
            // As in a server: some threads serve many streams.
            let reading = scope.spawn(move || read(readers, clock, ends));
            let took = self.updates(self.lasts);
            ends.store(true, Relaxed);
            (took, reading.join().expect("it reads"))
        });
        println!("updates, {} watch boxes besides: {}", self.subscribers, Times(&mut took));
        let Read { mut batches, devices, clusters } = read;
        println!(
            "  they got {} batches with {devices} devices and {clusters} clusters; one took {:.2} ms at the middle, {:.2} at p99",
            batches.len(),
            milliseconds(quantile(&mut batches, 0.5)),
            milliseconds(quantile(&mut batches, 0.99)),
        );
        println!("  all subscribers take {} bytes", live.stats().subscriber_bytes);
    }

    /// Going on after an interruption.
    fn resumed(&mut self) {
        let filter = Filter { area: Some(area(9.0, 48.0, 9.5, 48.5)), ..Filter::all("fleet") };
        let mut subscription = self.live.subscribe(filter.clone()).expect("there is room");
        let mut mark = None;
        while let Some(batch) = subscription.take(NOW).expect("it goes on") {
            mark = batch.mark;
        }
        drop(subscription);
        for device in 0..1000.min(self.names.len()) {
            self.send(device);
        }
        let begun = self.clock.monotonic();
        let mut again = self.live.resume(filter, mark.expect("all was told")).expect("there is room");
        let (mut devices, mut left, mut full) = (0, 0, false);
        while let Some(batch) = again.take(NOW).expect("it goes on") {
            (devices, left, full) = (devices + batch.devices.len(), left + batch.left.len(), full || batch.full);
        }
        let took = (self.clock.monotonic() - begun).as_nanos() as u64;
        println!(
            "resumed after 1,000 updates: {devices} devices, {left} left, anew: {full}; took {:.2} ms",
            milliseconds(took)
        );
    }

    /// Every fourth watches a map, the others the trucks in a box, of different sizes.
    fn subscription(&self, reader: u64) -> Subscription {
        let (west, south) = (6.0 + (reader % 5) as f64, 47.5 + (reader % 4) as f64);
        let size = [0.1, 0.3, 1.0, 2.0][reader as usize % 4];
        let zoom = (reader % 4 == 3).then_some(7);
        let area = Some(area(west, south, west + size * 2.0, south + size));
        self.live.subscribe(Filter { area, zoom, ..Filter::all("fleet") }).expect("there is room")
    }

    /// Up to so many millionths of a degree.
    fn degrees(&mut self, below: u64) -> f64 {
        self.random(below) as f64 / 1e6
    }

    /// A number below a limit.
    fn random(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % below.max(1)
    }
}

#[derive(Default)]
struct Read {
    /// Nanoseconds that each took.
    batches: Vec<u64>,
    devices: usize,
    clusters: usize,
}

fn read(mut readers: Vec<Subscription>, clock: SystemClock, ends: &AtomicBool) -> Read {
    let mut read = Read::default();
    while !ends.load(Relaxed) {
        for reader in &mut readers {
            loop {
                let begun = clock.monotonic();
                let Ok(Some(batch)) = reader.take(NOW) else { break };
                read.batches.push((clock.monotonic() - begun).as_nanos() as u64);
                read.devices += batch.devices.len();
                read.clusters += batch.view.map_or(0, |view| view.clusters.len());
                if !batch.more || ends.load(Relaxed) {
                    break;
                }
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    read
}

/// How many a second, and how long they took.
struct Times<'a>(&'a mut Vec<u64>);

impl std::fmt::Display for Times<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut took = self.0.clone();
        let sum: u64 = took.iter().sum::<u64>().max(1);
        write!(
            f,
            "{:.0}/s of their own time; {:.2} µs p50, {:.2} p99, {:.2} p99.9, {:.0} at worst, of {}",
            took.len() as f64 * 1e9 / sum as f64,
            quantile(&mut took, 0.5) as f64 / 1e3,
            quantile(&mut took, 0.99) as f64 / 1e3,
            quantile(&mut took, 0.999) as f64 / 1e3,
            quantile(&mut took, 1.0) as f64 / 1e3,
            took.len()
        )
    }
}

fn quantile(took: &mut [u64], part: f64) -> u64 {
    took.sort_unstable();
    let last = took.len().saturating_sub(1);
    took.get((last as f64 * part) as usize).copied().unwrap_or_default()
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn area(west: f64, south: f64, east: f64, north: f64) -> Area {
    Area::new(west, south, east, north).expect("a box")
}

/// The memory of this process.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

const NOW: Time = Time(1_700_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs() {
        Run::new(500, 8, Duration::from_millis(200)).show();
    }
}
