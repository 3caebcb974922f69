//! A week on a turned clock: whatever trickles in, the number of files and the log stay small.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::{Grace, Options, Row};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::FaultDisk;
use std::time::Duration;
use support::{DAY_MS, NOW, Sent, json, open_with, push_sent};

/// A fleet of five that sends each so many minutes, and brings backlogs of days past, the newest first.
struct Week {
    disk: FaultDisk,
    /// How often a day rows are sent.
    steps: usize,
    number: u64,
    rows: usize,
}

impl Week {
    fn run(minutes: i64) {
        let mut week = Self { disk: FaultDisk::new(), steps: (24 * 60 / minutes) as usize, number: 0, rows: 0 };
        let grace = Grace { log: Duration::from_secs(24 * 60 * 60), ..Grace::default() };
        let (mut writer, clock) = open_with(&week.disk, Options { grace, ..Options::default() }).unwrap();
        for day in 0..7 {
            for step in 0..24 * 60 / minutes {
                let now = NOW + day * DAY_MS + step * minutes * 60_000;
                for device in 0..5 {
                    week.push(&mut writer, device, now, false);
                }
                // Each hour one of them comes back from where there is no network, with three days.
                if step * minutes % 60 == 0 {
                    for (back, third) in (1..=3).flat_map(|back| (0..4).map(move |third| (back, third))) {
                        let time = now - back * DAY_MS - third * 60_000 - 7_000;
                        week.push(&mut writer, 5 + step % 3, time, true);
                    }
                }
                clock.advance(Duration::from_secs(minutes.cast_unsigned() * 60));
                clock.set_now(now + minutes * 60_000);
                writer.flush(Lsn(week.number * 100 + 100), false).unwrap();
                // What is done aside, and all else that is due, before the clock goes on.
                writer.maintain().unwrap();
            }
            week.check(&writer, day);
        }
    }

    fn push(&mut self, writer: &mut odograph_lake::Writer, device: i64, time: i64, late: bool) {
        self.number += 1;
        self.rows += 1;
        let device = format!("device-{device}");
        assert!(push_sent(writer, &Sent { number: self.number, device, time, late, place: 0 }));
    }

    fn check(&self, writer: &odograph_lake::Writer, day: i64) {
        let lake = writer.lake();
        let live = lake.files("default");
        let most = live.values().copied().max().unwrap();
        let all = self.disk.files();
        let bytes = |path: &std::path::PathBuf| self.disk.content(path).unwrap().len();
        let of = |part: &str| all.iter().filter(|path| path.to_string_lossy().contains(part)).collect::<Vec<_>>();
        let (log, parquet) = (of("/_delta_log/"), of("/day="));
        let log_bytes: usize = log.iter().map(|path| bytes(path)).sum();
        println!(
            "day {day}: {} rows, {} live files of {} (at most {most} a day), log: {} files, {log_bytes} bytes",
            self.rows,
            live.values().sum::<usize>(),
            parquet.len(),
            log.len(),
        );
        assert!(most <= DAY_FILES_MAX, "{most} files of one day: {live:?}");
        assert!(live.len() as i64 <= day + 5, "{live:?}");
        // What a day's commits leave is there for a day, and what a checkpoint has not summed up yet.
        assert!(log.len() <= 3 * self.steps + 200, "{} files of the log", log.len());
        assert!(parquet.len() <= 8 * self.steps + 200, "{} files in all", parquet.len());
        let count = json(&lake, "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM records");
        assert_eq!((count[0]["n"].as_u64(), count[0]["ids"].as_u64()), (Some(self.number), Some(self.number)));
        let counted = json(&lake, "SELECT sum(records) AS n FROM devices");
        assert_eq!(counted[0]["n"].as_u64(), Some(self.number));
    }
}

/// Fewer than eight of each of six tiers, and those that are large.
const DAY_FILES_MAX: usize = 48;

#[test]
fn a_week_of_commits_leaves_few_files() {
    Week::run(60);
}

/// As the server does it. Takes some minutes: `cargo test -p odograph-lake --test week -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_week_of_a_commit_each_minute_leaves_few_files() {
    Week::run(1);
}

/// Devices that name hundreds of things, few in each record, do not keep files from being merged.
#[test]
fn a_wide_tables_files_stay_few() {
    const COMMITS: u64 = 100;
    const ROWS: u64 = 1000;
    let disk = FaultDisk::new();
    let mut writer = support::open(&disk).unwrap();
    let kinds: [fn(u8) -> Key; 7] = [
        Key::AinN,
        Key::TemperatureN,
        Key::HumidityN,
        Key::TirePressureN,
        Key::TireTemperatureN,
        Key::AxleWeightN,
        Key::FuelVolumeN,
    ];
    for number in 0..COMMITS * ROWS {
        let time = Time(NOW + i64::try_from(number % 86_000).unwrap() * 1000);
        let mut record = Record::at(time);
        for value in 0..4 {
            let key = (number * 4 + value) % 448;
            record.set(kinds[(key / 64) as usize](1 + (key % 64) as u8), number as f64);
        }
        let (device, id) = (support::device(number), RecordId(number));
        let row = Row { device: &device, time, received: time, id, protocol: "test", record: &record };
        writer.push("default", &row, Lsn(number)).unwrap();
        if number % ROWS == ROWS - 1 {
            writer.flush(Lsn(number + 1), true).unwrap();
        }
    }
    writer.maintain().unwrap();
    let files: usize = writer.lake().files("default").values().sum();
    // One of 64,000 rows, four of 8,000, four of 1,000.
    assert_eq!(files, 9);
    let last = "SELECT count(*) AS n, count(fuel_volume_64) AS of_one FROM records";
    assert_eq!(json(&writer.lake(), last), [serde_json::json!({"n": 100_000, "of_one": 892})]);
}
