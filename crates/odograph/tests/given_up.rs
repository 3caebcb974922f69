//! What the journal has given up or lost is exported as before: out of history, each byte and each record once.

mod common;

use common::{Device, Place, Server, errors, moment, position, told};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

/// A conversation of each of some devices.
fn say(server: &Server, ids: &[&str], seconds: std::ops::Range<u32>) {
    for id in ids {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login(id), "#AL#1");
        for second in seconds.clone() {
            assert_eq!(device.position(second), "#ASD#1");
        }
    }
}

/// The bytes of some such conversations of a device.
fn said(id: &str, conversations: u32) -> String {
    let positions = |round: u32| (round * 5..round * 5 + 5).map(|second| position(second) + "\r\n");
    (0..conversations).map(|round| format!("#L#{id};NA\r\n{}", positions(round).collect::<String>())).collect()
}

fn heard(conversations: usize) -> String {
    format!("#AL#1\r\n{}", "#ASD#1\r\n".repeat(5)).repeat(conversations)
}

/// A server that has removed all segments before the last of three, each of them with a conversation of each device.
fn given_up(place: &Place, config: &[&str], ids: &[&str]) -> Server {
    for round in 0..3 {
        let server = place.serve_with(config);
        say(&server, ids, round * 5..round * 5 + 5);
        assert!(server.stop().success());
    }
    let segments = place.segments();
    let server = place.serve_with(config);
    server.removes(segments - 1);
    assert_eq!(place.segments(), 1);
    server
}

fn frames(place: &Place, more: &[&str]) -> Vec<Value> {
    let text = place.text(&[&["export", "frames"], more].concat());
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Everything of two devices, by all ways, after so many conversations of each.
fn check(place: &Place, conversations: u32, when: &str) {
    check_frames(place, conversations, when);
    let records = |id: &str| (0..conversations * 5).map(|second| (id.to_owned(), moment(second))).collect::<Vec<_>>();
    assert_eq!(told(&place.records(&[])), [records("1"), records("2")].concat(), "{when}");
}

fn check_frames(place: &Place, conversations: u32, when: &str) {
    for id in ["1", "2"] {
        let raw =
            |direction| place.text(&["export", "frames", "--device", id, "--format", "raw", "--direction", direction]);
        assert_eq!(raw("in"), said(id, conversations), "{when}");
        assert_eq!(raw("out"), heard(conversations as usize), "{when}");
    }
    let all = frames(place, &[]);
    let places: Vec<u64> = all.iter().map(|line| line["place"].as_u64().expect("a number")).collect();
    assert!(places.is_sorted_by(|one, next| one < next), "{when}: in the order of the journal, and each once");
    assert_eq!(places.len(), conversations as usize * 2 * 12, "{when}");
    for id in ["1", "2"] {
        let of: Vec<&Value> = all.iter().filter(|line| line["device"] == id).collect();
        assert_eq!(of, frames(place, &["--device", id]).iter().collect::<Vec<_>>(), "{when}");
    }
}

/// The journal's segments.
fn segments(place: &Place) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place.data().join("journal/0")).expect("the journal is there");
    let files = files.map(|file| file.expect("it can be listed").path());
    let mut all: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "segment")).collect();
    all.sort();
    all
}

#[test]
fn everything_is_exported_once_wherever_it_is() {
    let place = Place::new();
    let listen = ["--listen", "wialon=127.0.0.1:0"];
    let server = given_up(&place, &listen, &["1", "2"]);
    check(&place, 3, "where the journal has the last segment");
    // This waits in memory to become files.
    say(&server, &["1", "2"], 15..20);
    check(&place, 4, "where the last frames wait");
    let mut following = place.command(&["export", "records", "--follow"]).spawn().expect("the export starts");
    let lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    let lines = lines.take(40).map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
    let followed: Vec<Value> = lines.collect();
    assert_eq!(told(&followed), told(&place.records(&[])), "first all that there is");
    following.kill().expect("it follows");
    following.wait().expect("it ends");
    server.kill();
    check(&place, 4, "without a server");
    let server = place.serve_with(&listen);
    check(&place, 4, "from the next server");
    assert!(server.stop().success());
    check(&place, 4, "where all frames are in files");
    let first = frames(&place, &["--device", "1", "--to", "2100-01-01"]);
    assert_eq!(first.len(), 48);
    assert_eq!(frames(&place, &["--from", "2100-01-01"]).len(), 0);
}

#[test]
fn damage_is_told_where_history_has_not_what_was_there() {
    let place = Place::new();
    let server = given_up(&place, &["--listen", "wialon=127.0.0.1:0"], &["1", "2"]);
    say(&server, &["1", "2"], 15..20);
    assert!(server.stop().success());
    let segments = segments(&place);
    let mut bytes = std::fs::read(&segments[1]).expect("it is read");
    bytes[1500] ^= 1;
    std::fs::write(&segments[1], bytes).expect("it is written");
    check_frames(&place, 4, "with a damaged entry");
    std::fs::remove_file(&segments[0]).expect("it is removed");
    check_frames(&place, 4, "with a damaged entry and without a segment");
    std::fs::rename(place.data().join("lake/default/frames"), place.data().join("frames")).expect("the table is moved");
    for more in [&[][..], &["--device", "1"]] {
        let output = place.run(&[&["export", "frames"], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", errors(&output));
        assert!(errors(&output).contains("is not there"), "{more:?}: {}", errors(&output));
    }
}

#[test]
fn what_a_device_sent_while_it_waited_is_decoded_out_of_history() {
    let place = Place::new();
    let listener = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nunknown = \"quarantine\"\n";
    let path = place.write("odograph.toml", &format!("[ingest]\ndefault_ports = false\n{listener}"));
    let config = ["--config", path.to_str().expect("UTF-8")];
    let server = given_up(&place, &config, &["1", "2"]);
    assert_eq!((place.records(&[]), frames(&place, &[])), (vec![], vec![]));
    let of = |id: &str| (0..15).map(|second| (id.to_owned(), moment(second))).collect::<Vec<_>>();
    let waiting = place.records(&["--quarantined"]);
    assert_eq!(told(&waiting), [of("1"), of("2")].concat());
    let one = place.records(&["--quarantined", "--device", "2", "--from", &moment(3), "--to", &moment(12)]);
    assert_eq!(told(&one), of("2")[3..12]);
    assert_eq!(frames(&place, &["--quarantined"]).len(), 72);
    place.text(&["device", "accept", "1"]);
    let accepted = |when: &str| {
        assert_eq!(place.records(&[]), waiting[..15], "{when}");
        let raw = place.text(&["export", "frames", "--device", "1", "--format", "raw", "--direction", "in"]);
        assert_eq!((raw, frames(&place, &[]).len()), (said("1", 3), 36), "{when}");
    };
    accepted("from the server");
    assert!(server.stop().success());
    accepted("without a server");
    let server = place.serve_with(&config);
    accepted("from the next server, which reads that it waited");
    place.text(&["device", "reject", "1"]);
    assert_eq!((told(&place.records(&["--quarantined"])), frames(&place, &[])), (of("2"), vec![]));
    assert!(server.stop().success());
}
