//! What a crash or a disk did to the files of the journal while no server ran: what was acknowledged is given at once, what is lost is told
//! for as long as nobody has seen to it, and nothing stands still.

mod common;

use common::{Device, Place, Server, control, errors};
use serde_json::Value;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

const RECORDS: u32 = 5;

/// A folder whose server was killed after a device was acknowledged.
fn killed() -> Place {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    for second in 0..RECORDS {
        assert_eq!(device.position(second), "#ASD#1");
    }
    server.kill();
    place
}

fn segments(place: &Place) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place.data().join("journal/0")).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let mut segments: Vec<_> = files.filter(|path| path.extension() == Some("segment".as_ref())).collect();
    segments.sort();
    segments
}

fn healthz(place: &Place) -> Value {
    serde_json::from_str(&control(&place.data(), "/healthz").1).expect("JSON")
}

#[test]
fn a_tail_that_was_torn_holds_nobody_up_though_no_device_comes() {
    // An entry of which the end is missing; and what a disk wrote out of order, behind a gap.
    for (gap, left) in
        [(0, &[120, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8][..]), (500, b"written, and what was before it is not")]
    {
        let place = killed();
        let segment = &segments(&place)[0];
        let bytes = std::fs::read(segment).expect("the segment");
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("something") as u64 + 1;
        let file = std::fs::File::options().write(true).open(segment).expect("the segment");
        file.write_all_at(left, end + gap).expect("a write");
        let server = place.serve();
        assert_eq!(place.records(&[]).len(), RECORDS as usize);
        assert_eq!(place.text(&["sql", "--json", "SELECT count(*) AS n FROM records"]).trim(), "{\"n\":5}");
        assert_eq!(healthz(&place).get("history_lacks"), None);
        // And so it is once more came.
        let mut device = Device::connect(server.listener("tcp"));
        device.login("1");
        assert_eq!(device.position(RECORDS), "#ASD#1");
        assert_eq!(place.records(&[]).len(), RECORDS as usize + 1);
        assert_eq!(server.stop().code(), Some(0));
        assert_eq!(place.records(&[]).len(), RECORDS as usize + 1);
        place.text(&["journal", "verify"]);
    }
}

#[test]
fn what_was_damaged_when_history_came_to_it_is_told_until_somebody_has_seen_to_it() {
    let place = killed();
    // The next life seals what the one before left.
    assert_eq!(place.serve().stop().code(), Some(0));
    let segment = &segments(&place)[0];
    let mut bytes = std::fs::read(segment).expect("the segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(segment, bytes).expect("the segment");
    std::fs::remove_dir_all(place.data().join("lake")).expect("the tables");
    let server = place.serve();
    let export = place.run(&["export", "records"]);
    assert_eq!(export.status.code(), Some(1));
    let has = String::from_utf8(export.stdout).expect("UTF-8").lines().count();
    assert!(has < RECORDS as usize, "{has}");
    assert_eq!(healthz(&place)["history_lacks"], 1);
    assert_eq!(server.stop().code(), Some(0));
    // Other processes have never met the damage.
    for _ in 0..2 {
        let export = place.run(&["export", "records"]);
        let told = errors(&export);
        assert_eq!(export.status.code(), Some(1), "{told}");
        assert!(told.contains("could not be read, and history lacks what was there"), "{told}");
        assert!(told.contains("stop the server and remove"), "{told}");
        let server = place.serve();
        server.metric_becomes("odograph_history_lacks 1");
        assert_eq!(healthz(&place)["history_lacks"], 1);
        assert_eq!(server.stop().code(), Some(0));
    }
    std::fs::remove_file(place.data().join("reach/0.lacks.json")).expect("the file");
    let server = place.serve();
    server.metric_becomes("odograph_history_lacks 0");
    assert_eq!(healthz(&place).get("history_lacks"), None);
}

#[test]
fn cursors_that_are_damaged_are_put_aside_and_history_goes_on() {
    let place = killed();
    assert_eq!(place.serve().stop().code(), Some(0));
    let cursors = place.data().join("journal/0/cursors");
    let mut bytes = std::fs::read(&cursors).expect("cursors");
    bytes[20] ^= 1;
    std::fs::write(&cursors, bytes).expect("cursors");
    let verify = place.run(&["journal", "verify"]);
    let told = String::from_utf8(verify.stdout).expect("UTF-8");
    assert_eq!(verify.status.code(), Some(1));
    assert!(told.contains("cursors: not the cursors that were written"), "{told}");
    let server = place.serve();
    assert_eq!(place.records(&[]).len(), RECORDS as usize);
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    assert_eq!(device.position(RECORDS), "#ASD#1");
    assert_eq!(place.records(&[]).len(), RECORDS as usize + 1);
    assert_eq!(server.stop().code(), Some(0));
    place.text(&["journal", "verify"]);
    assert!(cursors.with_file_name("cursors.damaged-0").exists());
}

/// What retention took after history had it is no loss, however little is known of how far readers had come.
#[test]
fn cursors_that_are_lost_cost_nothing_that_went_on_purpose() {
    let place = killed();
    for _ in 0..2 {
        assert_eq!(place.serve().stop().code(), Some(0));
        let server = place.serve();
        let mut device = Device::connect(server.listener("tcp"));
        device.login("2");
        assert_eq!(device.position(RECORDS), "#ASD#1");
        assert_eq!(server.stop().code(), Some(0));
    }
    let segments = place.segments();
    let server = place.serve();
    server.removes(segments - 1);
    assert_eq!(server.stop().code(), Some(0));
    std::fs::remove_file(place.data().join("journal/0/cursors")).expect("cursors");
    for _ in 0..2 {
        assert_eq!(place.records(&[]).len(), RECORDS as usize + 1);
    }
    for _ in 0..2 {
        let server = place.serve();
        assert_eq!(place.records(&[]).len(), RECORDS as usize + 1);
        assert_eq!(healthz(&place).get("history_lacks"), None);
        server.kill();
    }
}

#[test]
fn what_is_wrong_with_another_node_stops_nobody() {
    let place = killed();
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_JOURNAL__NODE", "1");
    assert_eq!(Server::start(command).stop().code(), Some(0));
    std::fs::write(place.data().join("journal/1/cursors"), "no cursors").expect("a file");
    let server = place.serve();
    let export = place.run(&["export", "records"]);
    assert_eq!(export.stdout.iter().filter(|byte| **byte == b'\n').count(), RECORDS as usize);
    assert!(errors(&export).contains("what journal/1 has is not in it"), "{}", errors(&export));
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_sealed_segment_that_is_shorter_than_it_was_is_told_by_stat() {
    let place = killed();
    assert_eq!(place.serve().stop().code(), Some(0));
    place.text(&["journal", "stat"]);
    let segment = std::fs::File::options().write(true).open(&segments(&place)[0]).expect("the segment");
    segment.set_len(100).expect("a shorter one");
    let stat = place.run(&["journal", "stat"]);
    let told = String::from_utf8(stat.stdout).expect("UTF-8");
    assert_eq!(stat.status.code(), Some(1));
    assert!(told.contains("LOST: places 100 to ") && told.contains("is shorter than it was"), "{told}");
}

#[test]
fn what_another_node_has_is_not_passed_over_in_silence() {
    let place = killed();
    let as_node = |node: &str, arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("ODOGRAPH_JOURNAL__NODE", node).output().expect("it runs")
    };
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_JOURNAL__NODE", "1");
    assert_eq!(Server::start(command).stop().code(), Some(0));
    let export = as_node("1", &["export", "records"]);
    assert_eq!((export.status.code(), export.stdout.len()), (Some(1), 0));
    assert!(errors(&export).contains("what journal/0 has is not in it: this is node 1"), "{}", errors(&export));
    let doctor = String::from_utf8(as_node("1", &["doctor"]).stdout).expect("UTF-8");
    assert!(doctor.contains("journal/0 has what history has not"), "{doctor}");
    // Once a server has read it, it is in history for whoever has the folder.
    assert_eq!(place.serve().stop().code(), Some(0));
    let export = as_node("1", &["export", "records"]);
    assert_eq!((export.status.code(), export.stdout.iter().filter(|byte| **byte == b'\n').count()), (Some(0), 5));
}

#[test]
fn a_catalog_that_is_none_is_named() {
    let place = Place::new();
    std::fs::create_dir_all(place.data()).expect("the folder");
    std::fs::write(place.data().join("catalog.sqlite"), "garbage, and none of SQLite's").expect("a file");
    let users = place.run(&["user", "list"]);
    assert_eq!(users.status.code(), Some(66), "{}", errors(&users));
    assert!(
        errors(&users).contains("catalog.sqlite") && errors(&users).contains("from a backup"),
        "{}",
        errors(&users)
    );
}

#[test]
fn a_port_that_is_named_twice_is_not_blamed_on_somebody_else() {
    let place = Place::new();
    let address = odograph_testkit::free_address();
    let (one, other) = (format!("teltonika={address}"), format!("gt06={address}"));
    let mut command = place.command(&["serve", "--listen", &one, "--listen", &other]);
    let ended = command.env("ODOGRAPH_HTTP__LISTEN", "127.0.0.1:0").output().expect("it runs");
    assert_eq!(ended.status.code(), Some(69), "{}", errors(&ended));
    assert!(errors(&ended).contains("another listener of this server has the port"), "{}", errors(&ended));
}
