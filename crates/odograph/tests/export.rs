//! `odograph export` as a whole process: the same from a server and from the folder, and bytes as they were.

mod common;

use common::{Device, Place, errors, moment, position, told, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// A server with what two devices said.
fn two_devices(place: &Place) -> common::Server {
    let server = place.serve();
    for id in ["1", "2"] {
        let mut device = Device::connect(server.listener("tcp"));
        device.login(id);
        for second in 0..3 {
            assert_eq!(device.position(second), "#ASD#1");
        }
    }
    server
}

#[test]
fn it_is_the_same_while_a_server_runs_and_without() {
    let place = Place::new();
    let server = two_devices(&place);
    let asked = [
        vec!["export", "records"],
        vec!["export", "records", "--device", "2"],
        vec!["export", "frames"],
        vec!["export", "frames", "--device", "1", "--device", "2"],
        vec!["export", "frames", "--device", "1", "--direction", "out", "--format", "raw"],
    ];
    // Without the ends of connections, which come with the server's.
    let running: Vec<String> = asked.iter().map(|arguments| place.text(arguments)).collect();
    assert_eq!(server.stop().code(), Some(0));
    for (arguments, running) in asked.iter().zip(running) {
        assert_eq!(place.text(arguments), running, "{arguments:?}");
    }
}

#[test]
fn records_are_chosen_by_device_and_time() {
    let place = Place::new();
    let _server = two_devices(&place);
    let (from, to) = (moment(1), moment(2));
    let chosen = place.records(&["--device", "2", "--from", &from, "--to", &to]);
    assert_eq!(told(&chosen), [("2".to_owned(), moment(1))]);
    assert_eq!(place.records(&["--from", "2026-11-23", "--to", "2026-11-24"]).len(), 6);
    assert_eq!(place.records(&["--device", "3"]).len(), 0);
}

#[test]
fn records_come_by_day_device_and_time_and_can_be_narrowed_to_parameters() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    for id in ["b", "a"] {
        device.login(id);
        for second in [5, 40_000, 3] {
            assert_eq!(device.position(second), "#ASD#1");
            assert_eq!(device.say(&position(second).replace("231126", "221126")), "#ASD#1");
        }
    }
    let order: Vec<(String, String)> = ["22", "23"]
        .iter()
        .flat_map(|day| ["a", "b"].map(|id| (day, id)))
        .flat_map(|(day, id)| {
            [3, 5, 40_000].map(|second| (id.to_owned(), moment(second).replace("-23T", &format!("-{day}T"))))
        })
        .collect();
    assert_eq!(told(&place.records(&[])), order);
    server.kill();
    assert_eq!(told(&place.records(&[])), order);
    let narrow = place.records(&["--parameters", "position.speed,din", "--device", "a", "--from", &moment(40_000)]);
    let names: Vec<&str> = narrow[0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!((narrow.len(), names), (1, vec!["device", "id", "position.speed", "protocol", "received", "time"]));
    assert_eq!(place.records(&["--parameters", "raw,din"]).len(), 0);
}

#[test]
fn what_a_device_sent_while_it_waited_is_there_once_it_is_accepted_and_once() {
    let place = Place::new();
    let listener = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nunknown = \"quarantine\"\n";
    let path = place.write("odograph.toml", &format!("[ingest]\ndefault_ports = false\n{listener}"));
    let config = ["--config", path.to_str().expect("UTF-8")];
    let server = place.serve_with(&config);
    let say = |seconds: &[u32]| {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("77"), "#AL#1");
        for second in seconds {
            assert_eq!(device.position(*second), "#ASD#1");
        }
    };
    let of = |seconds: &[u32]| seconds.iter().map(|second| ("77".to_owned(), moment(*second))).collect::<Vec<_>>();
    say(&[2, 1]);
    assert_eq!(told(&place.records(&[])), []);
    let kept = place.records(&["--quarantined"]);
    assert_eq!(told(&kept), of(&[1, 2]));
    place.text(&["device", "accept", "77"]);
    // The second time it counts, and history has it; it was received first when it waited.
    say(&[2, 3]);
    let all = place.records(&[]);
    assert_eq!((told(&all), &all[..2]), (of(&[1, 2, 3]), &kept[..]));
    assert_eq!(place.records(&["--from", &moment(3)]).len(), 1);
    place.text(&["device", "reject", "77"]);
    assert_eq!(told(&place.records(&["--quarantined"])), []);
    place.text(&["device", "accept", "77"]);
    assert!(server.stop().success());
    assert_eq!(place.records(&[]), all);
}

#[test]
fn what_a_device_sent_while_it_waited_is_looked_for_where_that_was_noted() {
    let place = Place::new();
    let listener = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nunknown = \"quarantine\"\n";
    let path = place.write("odograph.toml", &format!("[ingest]\ndefault_ports = false\n{listener}"));
    let config = ["--config", path.to_str().expect("UTF-8")];
    let of = |id: &str, seconds: &[u32]| seconds.iter().map(|it| (id.to_owned(), moment(*it))).collect::<Vec<_>>();
    let server = place.serve_with(&config);
    let mut devices = ["77", "88"].map(|id| {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!((device.login(id), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
        device
    });
    place.text(&["device", "accept", "77"]);
    // Its conversation goes on under what was decided when it began.
    assert_eq!(devices[0].position(2), "#ASD#1");
    assert_eq!(told(&place.records(&["--device", "77"])), of("77", &[1, 2]));
    assert!(server.stop().success());
    // In another segment.
    let server = place.serve_with(&config);
    for id in ["77", "88"] {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!((device.login(id), device.position(3)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    }
    let check = |seconds: &[u32], when: &str| {
        assert_eq!(told(&place.records(&["--device", "77"])), of("77", seconds), "{when}");
        assert_eq!(told(&place.records(&["--device", "88", "--quarantined"])), of("88", &[1, 3]), "{when}");
        assert_eq!(told(&place.records(&["--device", "88"])), [], "{when}");
    };
    check(&[1, 2, 3], "from the server");
    assert!(server.stop().success());
    check(&[1, 2, 3], "without a server");
    let file = place.data().join("reach/0.waits.json");
    let mut noted: Value = serde_json::from_slice(&std::fs::read(&file).expect("the file")).expect("JSON");
    assert_eq!(noted["from"], 0, "{noted}");
    let devices = noted["devices"].as_array_mut().expect("a list");
    devices.sort_by_key(|of| of["device"].to_string());
    assert_eq!(devices.iter().map(|of| &of["device"]).collect::<Vec<_>>(), ["77", "88"]);
    // Were nothing noted of it, nobody would look elsewhere; and without the file, everybody everywhere.
    devices.remove(0);
    std::fs::write(&file, noted.to_string()).expect("the file is written");
    check(&[3], "by what was noted");
    std::fs::remove_file(&file).expect("the file");
    check(&[1, 2, 3], "without what was noted");
}

#[test]
fn raw_frames_are_the_exact_bytes() {
    let place = Place::new();
    let _server = two_devices(&place);
    let raw =
        |direction| place.text(&["export", "frames", "--device", "1", "--direction", direction, "--format", "raw"]);
    let sent: String = (0..3).map(|second| position(second) + "\r\n").collect();
    assert_eq!(raw("in"), format!("#L#1;NA\r\n{sent}"));
    assert_eq!(raw("out"), "#AL#1\r\n#ASD#1\r\n#ASD#1\r\n#ASD#1\r\n");
    let lines = place.text(&["export", "frames", "--device", "1"]);
    let kinds: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let directions: Vec<&str> = kinds.iter().map(|line| line["direction"].as_str().expect("a text")).collect();
    assert_eq!(directions, ["in", "out"].repeat(4));
    assert_eq!(kinds[1]["hex"], "23414c23310d0a");
    let both = place.run(&["export", "frames", "--device", "1", "--format", "raw"]);
    assert_eq!(both.status.code(), Some(64), "{}", errors(&both));
}

#[test]
fn following_shows_what_comes_and_fails_where_the_server_is_killed() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    device.position(1);
    let mut export = place.command(&["export", "records", "--follow"]).spawn().expect("the export starts");
    let mut lines = BufReader::new(export.stdout.take().expect("a pipe")).lines();
    let mut next = || {
        let line = lines.next().expect("a line").expect("a line");
        serde_json::from_str::<Value>(&line).expect("JSON")["time"].clone()
    };
    assert_eq!(next(), moment(1));
    device.position(2);
    assert_eq!(next(), moment(2));
    // What was there, or came meanwhile, and is sent again.
    device.position(1);
    device.position(2);
    device.position(3);
    assert_eq!(next(), moment(3));
    server.kill();
    assert_eq!(export.wait().expect("it ends").code(), Some(69));
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    // More than a pipe holds.
    for batch in 0..20 {
        let lines: Vec<String> = (0..50).map(|at| position(batch * 50 + at)).collect();
        device.say(&lines.join("\r\n"));
        for _ in 1..50 {
            device.hear();
        }
    }
    for _server in [Some(&server), None] {
        let mut export = place.command(&["export", "records"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(export.stdout.take().expect("a pipe")).lines();
        lines.next().expect("a line").expect("a line");
        drop(lines);
        assert_eq!(export.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn without_a_folder_it_says_so() {
    let place = Place::new();
    let output = place.run(&["export", "records"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(errors(&output).contains("cannot read the data folder"), "{}", errors(&output));
    assert!(!place.data().exists());
}

#[test]
fn a_data_folder_with_a_long_path_has_its_socket_too() {
    let place = Place::new();
    let long = place.folder.path().join("a".repeat(120)).join("data");
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_DATA", &long);
    let server = common::Server::start(command);
    let listed = place.run(&["device", "list", "--json", "--data", long.to_str().expect("UTF-8")]);
    assert_eq!((listed.status.code(), &listed.stdout[..]), (Some(0), &b"[]\n"[..]), "{}", errors(&listed));
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn damage_before_the_end_of_the_last_segment_is_told() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    for second in 0..30 {
        assert_eq!(device.position(second), "#ASD#1");
    }
    server.kill();
    assert_eq!(place.records(&[]).len(), 30);
    assert_eq!(place.run(&["journal", "verify"]).status.code(), Some(0));
    let folder = std::fs::read_dir(place.data().join("journal/0")).expect("the journal is there");
    let mut files = folder.map(|entry| entry.expect("an entry").path());
    let segment = files.find(|path| path.extension().is_some_and(|ending| ending == "segment")).expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("it is read");
    bytes[1500] ^= 1;
    std::fs::write(&segment, bytes).expect("it is written");
    let exported = place.run(&["export", "records"]);
    assert_eq!(exported.status.code(), Some(1), "{}", errors(&exported));
    assert!(errors(&exported).contains("whole entries behind a damaged place"), "{}", errors(&exported));
    // All that there is, is what was asked for.
    let file = place.write("records.jsonl", "before");
    let written = place.run(&["export", "records", "--output", file.to_str().expect("UTF-8")]);
    assert_eq!(written.status.code(), Some(1), "{}", errors(&written));
    assert!(std::fs::read(&file).expect("a file") == exported.stdout);
    let verified = place.run(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{}", errors(&verified));
}

#[test]
fn a_file_is_replaced_by_what_was_asked_for_and_by_nothing_less() {
    let place = Place::new();
    let mut server = Some(two_devices(&place));
    let file = place.folder.path().join("exported");
    let name = file.to_str().expect("UTF-8");
    let there = || {
        let all = std::fs::read_dir(place.folder.path()).expect("a folder").count();
        (std::fs::read_to_string(&file).expect("a file"), all)
    };
    for _ in 0..2 {
        for what in ["records", "frames"] {
            std::fs::write(&file, "before").expect("it is written");
            let failed = place.run(&["export", what, "--tenant", "nroth", "--output", name]);
            assert_eq!((failed.status.code(), there()), (Some(1), ("before".to_owned(), 2)), "{}", errors(&failed));
            assert_eq!(place.text(&["export", what, "--output", name]), "");
            assert_eq!(there(), (place.text(&["export", what]), 2), "the file, the data folder, and nothing else");
            place.text(&["export", what, "--output", "/dev/null"]);
        }
        // And again without a server.
        if let Some(server) = server.take() {
            assert!(server.stop().success());
        }
    }
    std::fs::write(&file, "before").expect("it is written");
    let failed = place.run(&["export", "records", "--follow", "--output", name]);
    assert_eq!((failed.status.code(), there()), (Some(64), ("before".to_owned(), 2)), "{}", errors(&failed));
}

#[test]
fn what_is_followed_is_in_its_file_as_it_comes() {
    let place = Place::new();
    let server = two_devices(&place);
    let file = place.write("followed", "before");
    let follow = ["export", "records", "--follow", "--output", file.to_str().expect("UTF-8")];
    let mut export = place.command(&follow).spawn().expect("the export starts");
    let records = || Some(std::fs::read_to_string(&file).ok()?.lines().count()).filter(|lines| *lines == 6);
    until("six records", records);
    server.kill();
    assert_eq!(export.wait().expect("it ends").code(), Some(69));
    assert_eq!(records(), Some(6));
}

#[test]
fn a_tenant_that_is_not_there_is_no_tenant_without_records() {
    let place = Place::new();
    let mut server = Some(two_devices(&place));
    place.text(&["tenant", "create", "north"]);
    let asked: [fn(&str) -> [&str; 5]; 3] = [
        |tenant| ["export", "records", "--quarantined", "--tenant", tenant],
        |tenant| ["export", "frames", "--quarantined", "--tenant", tenant],
        |tenant| ["sql", "--json", "SELECT * FROM records", "--tenant", tenant],
    ];
    for _ in 0..2 {
        for asked in asked {
            let refused = place.run(&asked("nroth"));
            let expected = "error: there is no tenant \"nroth\": `odograph tenant list` shows which there are\n";
            assert_eq!((refused.status.code(), errors(&refused).as_str()), (Some(1), expected));
            assert_eq!(place.text(&asked("north")), "");
            assert!(place.text(&asked("default")).contains("\"device\":\"1\""));
        }
        // And again without a server.
        if let Some(server) = server.take() {
            assert!(server.stop().success());
        }
    }
}

#[test]
fn what_cannot_be_or_cannot_be_written_is_said_with_its_status() {
    let place = Place::new();
    let server = two_devices(&place);
    let run = |arguments: &[&str]| {
        let output = place.run(&[&["export", "records"], arguments].concat());
        (output.status.code(), errors(&output))
    };
    let (status, error) = run(&["--from", "2026-11-24", "--to", "2026-11-23"]);
    assert_eq!(status, Some(64), "{error}");
    assert!(error.contains("is not before --to"), "{error}");
    let none = "no record is what was asked for: `odograph device list` shows who there is\n";
    assert_eq!(run(&["--device", "3"]), (Some(0), none.to_owned()));
    // A device that is always full.
    let (status, error) = run(&["--output", "/dev/full"]);
    assert_eq!(status, Some(73), "{error}");
    assert!(error.starts_with("error: cannot write /dev/full: No space left on device"), "{error}");
    assert!(server.stop().success());
}
