//! What is held in memory of it has a bound.

use super::*;
use crate::{FrameRow, Options, Writer};
use odograph_env::Disk;
use odograph_model::Time;
use odograph_testkit::{FaultDisk, TestClock};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_767_225_600_000;

#[test]
fn more_places_than_can_be_held_are_refused() {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new());
    let folder = Path::new("/data/lake");
    let clock = Arc::new(TestClock::new(NOW));
    let mut writer = Writer::open(disk.clone(), clock, folder, Options::default()).expect("a new folder");
    for number in 0..6_u64 {
        let device = format!("{}", number % 2);
        let frame = FrameRow {
            place: Lsn(number + 1),
            segment: Lsn(number / 2 * 10),
            stream: 1,
            at: Time(NOW),
            kind: 2,
            name: Some("frame"),
            device: &device,
            decision: None,
            context: None,
            payload: b"x",
        };
        for place in [frame.place, Lsn(frame.place.0 + 10)] {
            writer.push_frame("default", &FrameRow { place, ..frame }).expect("there is room");
        }
    }
    writer.flush(Lsn(100), true).expect("the disk is well");
    drop(writer);
    let place = Place::folder(disk, folder);
    let held = |pairs_max, device| place.segments_up_to(pairs_max, 0, Lsn(100), "default", device, &|| true);
    assert!(held(6, None).is_ok_and(|held| held.has("1", Lsn(20))));
    assert!(matches!(held(5, None), Err(Error::Refused(_))));
    assert!(held(3, Some("0")).is_ok() && held(2, Some("0")).is_err());
}
