//! The journal's entries come out of history in their order, whatever is in which file or waits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::{EntriesOf, FrameRow, Lake, Options, WantedEntries};
use odograph_model::{Lsn, Time};
use odograph_testkit::FaultDisk;
use support::*;

fn all() -> WantedEntries {
    WantedEntries { node: 0, places: Lsn(0)..Lsn(u64::MAX), of: EntriesOf::All, from: None, to: None, part_rows: 0 }
}

/// What comes: tenant and place.
fn found(lake: &Lake, wanted: &WantedEntries) -> Vec<(String, u64)> {
    let mut scan = lake.entries(wanted).unwrap();
    let mut found = Vec::new();
    while let Some(rows) = scan.next_rows().unwrap() {
        rows.each(|tenant, frame| {
            found.push((tenant.to_owned(), frame.place.0));
            Ok::<_, ()>(())
        })
        .unwrap();
    }
    found
}

fn of_default(numbers: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    numbers.into_iter().map(|number| ("default".to_owned(), number * 100)).collect()
}

/// Sixty entries of a tenant and one of another, twenty in each of two files, and the rest in memory.
fn filled(disk: &FaultDisk, node: u16) -> odograph_lake::Writer {
    let (mut writer, _) = open_with(disk, Options { node, ..Options::default() }).unwrap();
    for number in 0..60 {
        push_frame_at(&mut writer, number, Time(NOW + number as i64 / 20 * DAY_MS));
        if number % 20 == 19 && number < 59 {
            writer.flush(Lsn(number * 100 + 100), true).unwrap();
        }
    }
    let other = FrameRow {
        place: Lsn(3350),
        segment: Lsn(3000),
        stream: 100,
        at: Time(NOW),
        kind: 5,
        name: Some("sent"),
        device: "somebody",
        decision: Some(b"other"),
        context: None,
        payload: b"other",
    };
    writer.push_frame("another", &other).unwrap();
    writer
}

#[test]
fn entries_come_in_their_order_however_they_are_cut() {
    let writer = filled(&FaultDisk::new(), 0);
    let mut expected = of_default(0..60);
    expected.insert(34, ("another".to_owned(), 3350));
    for part_rows in [1, 25, 0] {
        assert_eq!(found(&writer.lake(), &WantedEntries { part_rows, ..all() }), expected, "{part_rows} at a time");
    }
    let places = Lsn(700)..Lsn(3350);
    assert_eq!(found(&writer.lake(), &WantedEntries { places, ..all() }), of_default(7..34), "the end is not included");
    assert_eq!(found(&writer.lake(), &WantedEntries { places: Lsn(9000)..Lsn(u64::MAX), ..all() }), []);
}

#[test]
fn entries_are_chosen_by_device_conversation_time_and_node() {
    let disk = FaultDisk::new();
    let writer = filled(&disk, 0);
    let of = |of: EntriesOf| WantedEntries { of, ..all() };
    let lake = writer.lake();
    let one = |numbers: std::ops::Range<u64>| numbers.filter(|number| number % 3 == 1);
    assert_eq!(found(&lake, &of(EntriesOf::Device("device-1".into()))), of_default(one(0..60)));
    let mut shared = of_default(one(0..60));
    shared.insert(11, ("another".to_owned(), 3350));
    let conversation = |device: &str, decided: &[u8]| {
        let (decided, devices) = (decided.to_vec(), vec![device.into(), "nobody".into()]);
        of(EntriesOf::Conversations { of: devices, decided })
    };
    let conversations = |device: &str| conversation(device, &[]);
    assert_eq!(found(&lake, &conversations("device-1")), shared, "with whoever else had a part in it");
    assert_eq!(found(&lake, &conversations("somebody")), shared);
    assert_eq!(found(&lake, &conversations("whoever")), []);
    assert_eq!(found(&lake, &conversation("whoever", b"other")), shared, "what was decided in it is not less");
    assert_eq!(found(&lake, &conversation("whoever", b"others")), []);
    // Segments as a whole: what stands at their beginning says what the rest means.
    let day = |day: i64| Some(Time(NOW + day * DAY_MS));
    let wanted = WantedEntries { from: day(1), to: day(1), ..of(EntriesOf::Device("device-1".into())) };
    assert_eq!(found(&lake, &wanted), of_default(one(20..40)));
    assert_eq!(found(&lake, &WantedEntries { node: 1, ..all() }), []);
    drop(writer);
    let other = filled(&disk, 1);
    assert_eq!(found(&other.lake(), &WantedEntries { node: 1, ..all() }).len(), 61);
}
