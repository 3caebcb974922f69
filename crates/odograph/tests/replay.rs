//! A period decoded again: shown, and put in the place of what was there, with a running server and without.

mod common;
mod tracker;

use common::{Device, Place, Server, errors};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use tracker::{DEVICE, Tracker};

/// All that is ever received.
const ALWAYS: [&str; 4] = ["--from", "2020-01-01", "--to", "2100-01-01"];

fn serve(place: &Place, more: &[&str]) -> Server {
    let mut command = place.command(&[&["serve", "--listen", "gt06=127.0.0.1:0"], more].concat());
    command.env("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms").env("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms");
    Server::start(command)
}

/// A data folder with three positions of a device whose zone nobody set.
fn told() -> Place {
    let place = Place::new();
    let server = serve(&place, &[]);
    Tracker::connect(server.listener("tcp")).positions(&[(0, 30), (1, 0), (12, 0)]);
    assert!(server.stop().success());
    place
}

fn replay(place: &Place, more: &[&str]) -> String {
    place.text(&[&["replay"], &ALWAYS[..], more].concat())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The times of all records with a position, and whether one is there twice.
fn times(place: &Place) -> Vec<String> {
    let sql = "SELECT to_char(time, '%d %H:%M') AS at FROM records WHERE position_latitude IS NOT NULL ORDER BY time";
    let rows = lines(&place.text(&["sql", "--json", sql]));
    rows.iter().map(|row| row["at"].as_str().expect("a text").to_owned()).collect()
}

fn versions(place: &Place) -> Vec<PathBuf> {
    let log = std::fs::read_dir(place.data().join("lake/default/records/_delta_log")).expect("the table is there");
    let paths = log.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|is| is == "json")).collect()
}

#[test]
fn with_nothing_to_correct_nothing_changes() {
    let place = told();
    let before = versions(&place).len();
    assert_eq!(replay(&place, &[]), "Nothing changes: 4 records are as they were.\n");
    assert_eq!(replay(&place, &["--apply"]), "Nothing changes: 4 records are as they were.\n");
    let server = serve(&place, &[]);
    assert_eq!(replay(&place, &["--apply", "--settings", "current"]), "Nothing changes: 4 records are as they were.\n");
    let none = place.text(&["replay", "--from", "2020-01-01", "--to", "2020-02-01"]);
    assert_eq!(none, "Nothing changes: 0 records are as they were.\n");
    assert!(server.stop().success());
    assert_eq!(versions(&place).len(), before, "and nothing was committed");
}

#[test]
fn a_corrected_zone_is_shown_applied_and_recognised_when_it_is_sent_again() {
    let place = told();
    let wrong = ["23 00:30", "23 01:00", "23 12:00"];
    let right = ["22 22:30", "22 23:00", "23 10:00"];
    assert_eq!(times(&place), wrong);
    assert_eq!(
        replay(&place, &["--set", "zone=+02:00"]),
        format!(
            "DEVICE           SAME  CHANGED  NEW  GONE  OTHER DAY  KEPT\n\
             {DEVICE}  1     3        0    0     2          0\n\n\
             DEVICE           PARAMETER  CHANGED  APPEARED  VANISHED  BEFORE                NOW\n\
             {DEVICE}  time       3        0         0         2026-11-23T00:30:00Z  2026-11-22T22:30:00Z\n\n\
             3 records of 1 devices would be otherwise: --apply replaces them.\n"
        )
    );
    assert_eq!(times(&place), wrong, "shown, and no more");
    let config = place
        .write("odograph.toml", &format!("[[device]]\nids = [\"{DEVICE}\"]\nsettings = {{ zone = \"+02:00\" }}\n"));
    let config = ["--config", config.to_str().expect("a path")];
    let server = serve(&place, &config);
    let before = versions(&place).len();
    let text = replay(&place, &["--settings", "current", "--apply", "--json"]);
    let said = lines(&text);
    let total = &said[1]["total"];
    assert_eq!((said.len(), &said[0]["device"]["changed"], &total["moved_days"]), (2, &json!(3), &json!(2)), "{text}");
    let (old, new) = (total["applied"]["before"].as_u64(), total["applied"]["after"].as_u64());
    assert_eq!((old.map(|old| old + 1), versions(&place).len()), (new, before + 1), "{text}");
    assert_eq!(times(&place), right);
    // The device did not hear of it, and sends once more what it sent, and something new.
    let mut tracker = Tracker::connect(server.listener("tcp"));
    tracker.positions(&[(0, 30), (1, 0), (12, 0), (12, 10)]);
    let right = [&right[..], &["23 10:10"]].concat();
    assert_eq!(times(&place), right);
    server.kill();
    assert_eq!(times(&place), right, "and after a crash");
    let again = place.text(&[&["replay"], &ALWAYS[..], &["--settings", "current", "--apply"], &config].concat());
    assert!(again.starts_with("Nothing changes: "), "{again}");
    // Without a server, and back.
    let back = replay(&place, &["--device", DEVICE, "--set", "zone=UTC", "--apply"]);
    assert!(back.contains("records of 1 devices were replaced: version "), "{back}");
    assert_eq!(times(&place), ["23 00:30", "23 01:00", "23 12:00", "23 12:10"]);
}

#[test]
fn what_came_before_the_period_and_again_in_it_is_no_new_record() {
    let place = told();
    // Moments are told apart by the millisecond.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(10));
    pause();
    let begin = Time(SystemClock::new().now()).to_string();
    pause();
    let server = serve(&place, &[]);
    Tracker::connect(server.listener("tcp")).positions(&[(0, 30), (1, 0), (12, 0), (12, 10)]);
    assert!(server.stop().success());
    let all = ["23 00:30", "23 01:00", "23 12:00", "23 12:10"];
    assert_eq!(times(&place), all);
    let text =
        place.text(&["replay", "--from", &begin, "--to", "2100-01-01", "--set", "zone=+02:00", "--apply", "--json"]);
    let said = lines(&text);
    let total = &said.last().expect("a total")["total"];
    assert_eq!((&total["changed"], &total["new"], &total["gone"]), (&json!(1), &json!(0), &json!(0)), "{text}");
    assert_eq!(
        times(&place),
        ["23 00:30", "23 01:00", "23 10:10", "23 12:00"],
        "only what came in the period is otherwise"
    );
    // Then the rest.
    let text = replay(&place, &["--set", "zone=+02:00", "--apply", "--json"]);
    let said = lines(&text);
    let total = &said.last().expect("a total")["total"];
    assert_eq!((&total["changed"], &total["new"], &total["gone"]), (&json!(3), &json!(0), &json!(0)), "{text}");
    assert_eq!(times(&place), ["22 22:30", "22 23:00", "23 10:00", "23 10:10"]);
}

#[test]
fn what_was_there_under_a_wider_window_of_clocks_is_found_under_a_narrower_one() {
    let place = Place::new();
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_CLOCK__BEHIND_MAX", "3600 d");
    let server = Server::start(command);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.say("#SD#010120;120000;5355.0926;N;02732.4096;E;1;2;300;7"), "#ASD#1");
    assert!(server.stop().success());
    let text = replay(&place, &["--apply", "--json"]);
    let said = lines(&text);
    let total = &said.last().expect("a total")["total"];
    assert_eq!((&total["changed"], &total["new"], &total["gone"]), (&json!(1), &json!(0), &json!(0)), "{text}");
    let rows = lines(&place.text(&["sql", "--json", "SELECT device_time FROM records"]));
    assert_eq!(rows, [json!({"device_time": "2020-01-01T12:00:00.000Z"})]);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_possible() {
    let place = told();
    for (more, status, expected) in [
        (
            &["--set", "zone=Paris"][..],
            64,
            "setting zone: \"Paris\" is not an offset from UTC such as +02:00; what can be set: ",
        ),
        (&["--set", "speed=1"], 64, "no protocol takes the setting speed"),
        (&["--set", "password=1"], 64, "says who may send"),
        (&["--set", "charset=utf-8"], 1, "none of those devices takes the setting charset; they take: zone, model"),
    ] {
        let output = place.run(&[&["replay"], &ALWAYS[..], more].concat());
        assert_eq!(output.status.code(), Some(status), "{more:?}: {}", errors(&output));
        assert!(errors(&output).contains(expected), "{more:?}: {}", errors(&output));
    }
    let output = place.run(&["replay", "--from", "2026-01-02", "--to", "2026-01-02"]);
    assert_eq!(output.status.code(), Some(64), "{}", errors(&output));
    let server = serve(&place, &[]);
    let output = place.run(&[&["replay"], &ALWAYS[..], &["--set", "charset=utf-8", "--apply"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("none of those devices takes the setting charset"), "{}", errors(&output));
    assert!(server.stop().success());
    assert_eq!(times(&place), ["23 00:30", "23 01:00", "23 12:00"]);
}

/// Waits for a file that a replay of a version writes.
fn written(place: &Place, version: usize) -> bool {
    let Ok(days) = std::fs::read_dir(place.data().join("lake/default/records")) else { return false };
    let mut files = days.filter_map(Result::ok).filter_map(|day| std::fs::read_dir(day.path()).ok()).flatten();
    let name = format!("replayed-{version}-");
    files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with(&name)))
}

#[test]
fn who_is_killed_meanwhile_leaves_the_old_history_or_the_new_one() {
    let place = told();
    let of = |zone: u8| -> Vec<String> {
        let minutes = [30, 60, 720].map(|minute: i32| 23 * 1440 + minute - i32::from(zone) * 60);
        minutes.map(|at| format!("{:02} {:02}:{:02}", at / 1440, at / 60 % 24, at % 60)).to_vec()
    };
    let mut is = of(0);
    for zone in 1..=6_u8 {
        let set = format!("zone=+{zone:02}:00");
        let server = (zone % 2 == 0).then(|| serve(&place, &[]));
        // A server that starts commits nothing by itself.
        let next = versions(&place).len();
        let mut command = place.command(&[&["replay"], &ALWAYS[..], &["--set", &set, "--apply"]].concat());
        let mut replay = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // In the middle of it where that can be seen, or at the end.
        while !written(&place, next) && replay.try_wait().expect("it can be asked").is_none() {
            std::thread::yield_now();
        }
        if zone > 4 {
            while versions(&place).len() == next && replay.try_wait().expect("it can be asked").is_none() {
                std::thread::yield_now();
            }
        }
        match server {
            Some(server) => server.kill(),
            None => replay.kill().expect("it can be killed"),
        }
        replay.wait().expect("it ends");
        let found = times(&place);
        assert!(found == is || found == of(zone), "zone {zone}: {found:?}");
        assert!(zone <= 4 || found == of(zone), "the commit was there");
        is = found;
    }
}

#[test]
fn a_period_may_begin_in_the_middle_of_a_conversation() {
    let place = told();
    let received = "SELECT DISTINCT to_char(received, '%Y-%m-%dT%H:%M:%S%.3fZ') AS at FROM records ORDER BY at";
    let moments = lines(&place.text(&["sql", "--json", received]));
    let from = moments.last().and_then(|row| row["at"].as_str()).expect("a time").to_owned();
    let count =
        format!("SELECT count(*) AS rows FROM records WHERE received >= '{from}' AND position_latitude IS NOT NULL");
    let rows = lines(&place.text(&["sql", "--json", &count]))[0]["rows"].as_u64().expect("a number");
    let text = place.text(&["replay", "--from", &from, "--to", "2100-01-01", "--set", "zone=+02:00", "--json"]);
    let total = lines(&text).pop().expect("a line")["total"].clone();
    assert_eq!(
        (&total["changed"], &total["unreadable"], &total["kept"]),
        (&json!(rows), &json!(0), &json!(0)),
        "{text}"
    );
}

#[test]
fn a_device_that_waits_for_a_person_is_left_out() {
    let place = Place::new();
    let listener = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"gt06\"\nlisten = \"127.0.0.1:0\"\nunknown = \"quarantine\"\n";
    let config = place.write("odograph.toml", listener);
    let server = place.serve_with(&["--config", config.to_str().expect("a path")]);
    Tracker::connect(server.listener("tcp")).positions(&[(0, 30)]);
    assert_eq!(replay(&place, &["--set", "zone=+02:00", "--apply"]), left_out(1, 0));
    assert!(server.stop().success());
}

/// What is said where some devices have sent something that nobody has accepted, and all else is as it was.
fn left_out(devices: u32, same: u32) -> String {
    format!(
        "{devices} devices were left out with what they sent while they waited: nobody has accepted them since.\n\
         Nothing changes: {same} records are as they were.\n"
    )
}

/// A server whose devices wait for a person, and speak Wialon.
fn serve_waiting(place: &Place) -> Server {
    let listener = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nunknown = \"quarantine\"\n";
    let config = place.write("odograph.toml", &format!("[ingest]\ndefault_ports = false\n{listener}"));
    place.serve_with(&["--config", config.to_str().expect("a path")])
}

/// A device sends the positions of so many minutes after noon, in one conversation.
fn say(server: &Server, id: &str, minutes: &[u32]) {
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login(id), "#AL#1");
    for minute in minutes {
        assert_eq!(device.position(minute * 60), "#ASD#1");
    }
}

/// What tells a record from others, and when it came first.
fn heads(rows: &[Value]) -> Vec<[String; 3]> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_else(|| panic!("{name}: {row}")).to_owned();
    rows.iter().map(|row| ["device", "time", "received"].map(|name| text(row, name))).collect()
}

/// That questions and exports have the same records.
fn agree(place: &Place) {
    let [time, received] =
        ["time", "received"].map(|name| format!("to_char({name}, '%Y-%m-%dT%H:%M:%S%.3fZ') AS {name}"));
    let sql = format!("SELECT device, {time}, {received} FROM records ORDER BY device, time");
    assert_eq!(heads(&lines(&place.text(&["sql", "--json", &sql]))), heads(&place.records(&[])));
}

/// How many records are the same, changed, new, gone and kept, and how many devices are left out.
fn numbers(place: &Place, more: &[&str]) -> [u64; 6] {
    let text = replay(place, &[&["--json"], more].concat());
    let total = lines(&text).pop().expect("a line")["total"].clone();
    ["same", "changed", "new", "gone", "kept", "left_out"]
        .map(|name| total[name].as_u64().unwrap_or_else(|| panic!("{name}: {text}")))
}

#[test]
fn what_a_device_sent_while_it_waited_comes_into_history_once_it_is_accepted() {
    let place = Place::new();
    let server = serve_waiting(&place);
    say(&server, "77", &[1, 2, 3, 4]);
    // One that goes on waiting, and one that was rejected.
    say(&server, "78", &[1]);
    say(&server, "79", &[1]);
    assert_eq!(replay(&place, &["--apply"]), left_out(3, 0));
    place.text(&["device", "accept", "77"]);
    place.text(&["device", "reject", "79"]);
    say(&server, "77", &[5]);
    let all = ["23 12:01", "23 12:02", "23 12:03", "23 12:04", "23 12:05"];
    assert_eq!((times(&place), place.records(&[]).len()), (vec![all[4].to_owned()], 5));
    assert_eq!(numbers(&place, &[]), [1, 0, 4, 0, 0, 2]);
    assert_eq!(numbers(&place, &["--settings", "current"]), [1, 0, 4, 0, 0, 2]);
    assert_eq!(times(&place), all[4..], "shown, and no more");
    let text = replay(&place, &["--apply"]);
    assert!(text.contains("\n4 records of 1 devices were replaced: version "), "{text}");
    assert_eq!(times(&place), all);
    agree(&place);
    assert_eq!(replay(&place, &["--apply"]), left_out(2, 5));
    assert_eq!(replay(&place, &["--settings", "current", "--apply"]), left_out(2, 5));
    // It did not hear of it, and sends all of it once more.
    say(&server, "77", &[1, 2, 3, 4, 5]);
    assert_eq!(times(&place), all);
    assert_eq!(replay(&place, &["--apply"]), left_out(2, 5));
    // What is there is not taken out again: one was accepted when it came, and the others were when they were replayed.
    place.text(&["device", "reject", "77"]);
    assert_eq!(numbers(&place, &["--apply"]), [1, 0, 0, 0, 4, 3]);
    assert_eq!(times(&place), all);
    place.text(&["device", "accept", "77"]);
    server.kill();
    assert_eq!(times(&place), all, "and after a crash");
    agree(&place);
    assert_eq!(replay(&place, &["--apply"]), left_out(2, 5), "and without a server");
}

#[test]
fn what_a_device_sent_while_it_waited_is_decoded_again_without_a_server() {
    let place = Place::new();
    let server = serve_waiting(&place);
    say(&server, "77", &[1, 2]);
    assert!(server.stop().success());
    place.text(&["device", "accept", "77"]);
    assert_eq!(numbers(&place, &["--apply", "--device", "77"]), [0, 0, 2, 0, 0, 0]);
    assert_eq!(times(&place), ["23 12:01", "23 12:02"]);
    agree(&place);
    let server = serve_waiting(&place);
    say(&server, "77", &[1, 2, 3]);
    assert_eq!(times(&place), ["23 12:01", "23 12:02", "23 12:03"]);
    assert!(server.stop().success());
}

#[test]
fn what_a_device_sent_while_it_waited_and_again_is_there_once() {
    let place = Place::new();
    let server = serve_waiting(&place);
    say(&server, "77", &[1, 2]);
    place.text(&["device", "accept", "77"]);
    // A command takes longer than the millisecond by which moments are told apart.
    let begin = Time(SystemClock::new().now()).to_string();
    say(&server, "77", &[1, 2, 3]);
    let all = ["23 12:01", "23 12:02", "23 12:03"];
    assert_eq!(times(&place), all);
    let of = |from: &str, to: &str| place.text(&["replay", "--from", from, "--to", to, "--apply"]);
    assert_eq!(of("2020-01-01", &begin), "Nothing changes: 0 records are as they were.\n", "they came again later");
    assert_eq!(of(&begin, "2100-01-01"), "Nothing changes: 3 records are as they were.\n");
    // With both in the period, they came when they came first.
    assert_eq!(numbers(&place, &["--apply"]), [1, 2, 0, 0, 0, 0]);
    assert_eq!(times(&place), all);
    agree(&place);
    assert_eq!(replay(&place, &["--apply"]), "Nothing changes: 3 records are as they were.\n");
    assert!(server.stop().success());
}
