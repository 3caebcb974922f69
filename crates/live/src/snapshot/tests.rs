//! A snapshot is read back, by later programs too, and whatever is wrong with it harms nothing.

use super::*;
use crate::{Filter, Groups, Live, Options, Update};
use odograph_model::{Alarm, Record, RecordId, Time};

fn live(devices: usize) -> Live {
    let live = Live::new(1, Options::default());
    for device in 0..devices {
        let mut record = Record::at(Time(device as i64));
        record.set(Key::PositionSpeed, device as f64);
        record.set(Key::TemperatureN(64), -18.5);
        record.set(Key::DeviceFirmwareVersion, "v1");
        record.set(Key::EngineIgnitionStatus, true);
        record.alarm(Alarm::Sos);
        let (device, received, id) = (device.to_string(), Time(100), RecordId(device as u64));
        live.update(&Update { tenant: "t", device: &device, record: &record, received, id, protocol: "test" });
    }
    live
}

fn snapshot(live: &Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    let take = |piece: &[u8]| -> Result<(), ()> {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    live.snapshot(take).expect("it is taken");
    bytes
}

fn restored(bytes: &[u8]) -> (Live, Restored) {
    let live = live(0);
    let restored = live.restore(bytes);
    (live, restored)
}

fn states(live: &Live, devices: usize) -> Vec<String> {
    let names: Vec<String> = (0..devices).map(|device| device.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    live.devices(&Filter::all("t"), &names, Time(0)).iter().map(|state| format!("{state:?}")).collect()
}

#[test]
fn what_was_known_is_known_again() {
    let devices = PIECE_SLOTS as usize + 10;
    let before = live(devices);
    before.describe("t", "without records", crate::GroupId(3));
    before.forget("t", "5");
    let (after, restored) = restored(&snapshot(&before));
    assert_eq!(restored, Restored { devices: devices as u64 - 1, refused: 0, is_damaged: false });
    assert_eq!(states(&after, devices), states(&before, devices));
    assert_eq!(after.stats().devices, devices - 1);
}

/// The same as the first version wrote it: without the time of the latest move.
fn first_version(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = Reader(&bytes[MAGIC.len() + 4..]);
    let mut old = [MAGIC, &1_u32.to_le_bytes()].concat();
    old.extend(framed(piece_of(&mut bytes).expect("the names").ok().expect("whole")));
    while let Some(Ok(piece)) = piece_of(&mut bytes) {
        let mut out = Vec::new();
        let mut piece = Reader(piece);
        if let Some(tenant) = name_of(&mut piece) {
            put_name(&mut out, tenant);
        }
        while let Some(device) = name_of(&mut piece) {
            put_name(&mut out, device);
            let length = u32::from_le_bytes(piece.array().expect("a length")) as usize;
            let state = piece.take(length).expect("a state");
            out.extend((length as u32 - 8).to_le_bytes());
            out.extend_from_slice(&[&state[..16], &state[24..]].concat());
        }
        old.extend(framed(&out));
    }
    old
}

#[test]
fn a_snapshot_of_an_earlier_version_is_read() {
    let before = live(10);
    let (after, restored) = restored(&first_version(&snapshot(&before)));
    assert_eq!(restored, Restored { devices: 10, refused: 0, is_damaged: false });
    let state = |live: &Live, device: &str| live.device("t", device, &Groups::All, Time(0)).expect("it is known");
    for device in 0..10 {
        let (device, moves) = (device.to_string(), (4..10).contains(&device).then_some(Time(device)));
        assert_eq!(state(&before, &device).moved, moves, "from 4 km/h on it moves");
        assert_eq!(state(&after, &device), crate::DeviceState { moved: None, ..state(&before, &device) });
    }
}

#[test]
fn there_may_be_no_room() {
    let live = Live::new(1, Options { devices_max: 2, ..Options::default() });
    let restored = live.restore(&snapshot(&super::tests::live(5)));
    assert_eq!(restored, Restored { devices: 2, refused: 3, is_damaged: false });
}

#[test]
fn a_snapshot_that_is_cut_short_is_told() {
    let bytes = snapshot(&live(3));
    for length in 0..bytes.len() {
        let (_, restored) = restored(&bytes[..length]);
        assert!(restored.is_damaged && restored.devices <= 3, "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(restored(&longer).1.is_damaged);
}

#[test]
fn a_damaged_piece_costs_no_other() {
    let devices = PIECE_SLOTS as usize + 10;
    let bytes = snapshot(&live(devices));
    let mut damaged = bytes.clone();
    let at = damaged.len() - 100;
    damaged[at] ^= 1;
    let (_, restored_some) = restored(&damaged);
    assert_eq!(restored_some, Restored { devices: u64::from(PIECE_SLOTS), refused: 0, is_damaged: true });
    let bytes = snapshot(&live(2));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        assert!(restored(&damaged).1.is_damaged, "{at}");
    }
}

/// A snapshot of one device, whose state is these bytes.
fn of_state(state: &[u8]) -> Vec<u8> {
    let mut piece = Vec::new();
    put_name(&mut piece, "t");
    put_name(&mut piece, "a");
    piece.extend((state.len() as u32).to_le_bytes());
    piece.extend_from_slice(state);
    [head(), framed(&piece), tail()].concat()
}

#[test]
fn bytes_that_are_no_state_are_left_out() {
    let bytes = snapshot(&live(1));
    let piece = &bytes[head().len() + 12..bytes.len() - tail().len()];
    let state = &piece[2 + 1 + 2 + 1 + 4..];
    assert_eq!(restored(&of_state(state)).1, Restored { devices: 1, refused: 0, is_damaged: false });
    for length in 0..state.len() {
        // Where an entry ends, the state is one with fewer of them.
        let (live, restored) = restored(&of_state(&state[..length]));
        assert_eq!(restored.is_damaged, restored.devices == 0, "{length}");
        live.device("t", "0", &Groups::All, Time(0));
    }
    for at in 0..state.len() {
        for bit in 0..8 {
            let mut state = state.to_vec();
            state[at] ^= 1 << bit;
            let (live, restored) = restored(&of_state(&state));
            assert_eq!(restored.is_damaged, restored.devices == 0, "{at}");
            live.device("t", "a", &Groups::All, Time(0));
        }
    }
}

#[test]
fn rows_are_found_by_the_names_of_their_parameters() {
    let names: &[(&str, usize)] = &[("no.such.parameter", 1), ("temperature.{n}", 2), ("position.speed", 1)];
    let mut piece = vec![2];
    piece.extend((names.len() as u16).to_le_bytes());
    for (name, _) in names {
        piece.push(name.len() as u8);
        piece.extend_from_slice(name.as_bytes());
    }
    let rows = rows_of(&piece).expect("names");
    let row = |key: Key| row_of(key);
    let temperatures = [Key::TemperatureN(1), Key::TemperatureN(2)].map(row);
    assert_eq!(rows, [Some(RECORD), None, temperatures[0], temperatures[1], row(Key::PositionSpeed)]);
}
