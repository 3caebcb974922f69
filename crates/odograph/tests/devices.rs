//! The devices that are known: what a configuration that changes, a crash and a damaged file make of them.

mod client;
mod common;

use common::{Device, Place, errors};

const ID: &str = "123456789012345";

fn states(place: &Place, more: &[&str]) -> String {
    place.text(&[&["device", "list"], more].concat())
}

#[test]
fn a_devices_file_without_its_mark_is_used_and_told() {
    let place = Place::new();
    std::fs::create_dir(place.data()).expect("a folder");
    let path = place.data().join("devices.jsonl");
    let line = format!(r#"{{"device":"{ID}","tenant":"default","state":"rejected"}}"#);
    std::fs::write(&path, format!("{line}\nnoise\n")).expect("a file is written");
    let listed = place.run(&["device", "list"]);
    let warning = errors(&listed);
    let begin = format!("warning: {}: line 2 is neither a device nor a mark (", path.display());
    assert!(warning.starts_with(&begin) && warning.contains("there is no mark"), "{warning}");
    let table = String::from_utf8(listed.stdout).expect("UTF-8");
    assert!(table.contains(ID) && table.contains("rejected"), "{table}");
    assert_eq!(errors(&place.run(&["device", "list"])), "", "it is told once, and kept");
    let kept = std::fs::read_to_string(place.data().join("devices.jsonl.damaged")).expect("it is kept");
    assert_eq!(kept, format!("{line}\nnoise\n"));
}

#[test]
fn a_server_tells_what_is_wrong_with_the_devices_file() {
    let place = Place::new();
    std::fs::create_dir(place.data()).expect("a folder");
    std::fs::write(place.data().join("devices.jsonl"), "noise\n").expect("a file is written");
    let server = place.serve();
    let is_it =
        |line: &&serde_json::Value| line["message"].as_str().is_some_and(|text| text.contains("line 1 is neither"));
    let line = server.start.iter().find(is_it).expect("the log says so");
    assert_eq!(line["level"], "WARN");
    assert!(server.stop().success());
}

#[test]
fn a_device_that_the_configuration_names_no_more_is_unknown_after_a_kill() {
    let place = Place::new();
    let listener = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\n";
    let with = place.write("with.toml", &format!("{listener}[[device]]\nids = [\"{ID}\"]\n"));
    let without = place.write("without.toml", &format!("{listener}unknown = \"reject\"\n"));
    let (with, without) = (with.to_str().expect("UTF-8"), without.to_str().expect("UTF-8"));
    let server = place.serve_with(&["--config", with]);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login(ID), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    assert!(states(&place, &[]).contains("configured"));
    server.kill();
    let server = place.serve_with(&["--config", without]);
    assert!(!states(&place, &[]).contains(ID), "it never registered");
    server.kill();
    assert!(!states(&place, &["--config", without]).contains(ID));
}

#[test]
fn what_was_decided_about_a_device_stands_when_its_list_is_imported_again() {
    let place = Place::new();
    let import = |table: &str| {
        let file = place.write("fleet.csv", table);
        place.text(&["device", "import", file.to_str().expect("UTF-8"), "--apply"])
    };
    let (without, with) = ("imei,name\n1,One\n2,Two\n", "imei,name,disabled\n1,One,no\n2,Two,yes\n");
    let told = import(without);
    assert!(told.contains("2 new, 0 changed"), "{told}");
    place.text(&["device", "reject", "1"]);
    let told = import(without);
    assert!(told.contains("0 new, 0 changed, 2 as they are already"), "{told}");
    // Where the list says it, that holds.
    let told = import(with);
    assert!(told.contains("0 new, 2 changed"), "{told}");
    let server = place.serve();
    let device = |id: &str| client::by_socket(&place.data(), "GET", &format!("/api/v1/devices/{id}"), None).of(200);
    assert_eq!([&device("1")["state"], &device("2")["state"]], ["accepted", "rejected"]);
    assert!(server.stop().success());
}

#[test]
fn drivers_of_a_dump_are_shown_taken_in_and_known_the_next_time() {
    let place = Place::new();
    for dump in ["postgresql-15-copy.sql", "mariadb-10.11.sql", "h2-2.4.240.sql"] {
        let file = format!("{}/../movein/tests/data/{dump}", env!("CARGO_MANIFEST_DIR"));
        // The name of one device has the end of a line in it.
        let import = |more: &[&str]| place.text(&[&["device", "import", &file, "--skip-bad"], more].concat());
        let first = dump == "postgresql-15-copy.sql";
        let (drivers, devices) = match first {
            true => ("drivers: 2 new, 0 that are here already", "3 new, 0 changed, 0 as they are already"),
            false => ("drivers: 0 new, 2 that are here already", "0 new, 0 changed, 3 as they are already"),
        };
        let told = import(&[]);
        assert!(told.contains(drivers) && told.contains(devices), "{dump}: {told}");
        assert_eq!(told.contains("driver 0A1B2C3D"), first, "{dump}: {told}");
        let told = import(&["--apply"]);
        assert!(told.contains(drivers), "{dump}: {told}");
    }
    let server = place.serve();
    let drivers = client::by_socket(&place.data(), "GET", "/api/v1/drivers", None).of(200);
    let told = |at: usize| ["name", "cards", "notes"].map(|key| drivers[at][key].clone());
    let expected = |name: &str, card: &str, notes: &str| {
        [serde_json::json!(name), serde_json::json!([card]), serde_json::json!(notes)]
    };
    assert_eq!(told(0), expected("Ona O'Šea", "0A1B2C3D", "shift: night"));
    assert_eq!(told(1), expected("Pat", "7", ""));
    assert!(server.stop().success());
}

#[test]
fn without_apply_a_dump_shows_what_would_change_and_changes_nothing() {
    let place = Place::new();
    let table = place.write("fleet.csv", "imei,name\n352093081452251,Own\n");
    place.text(&["device", "import", table.to_str().expect("UTF-8"), "--apply"]);
    let before = states(&place, &["--json"]);
    for dump in ["h2-1.4.197.sql", "h2-2.4.240.sql", "postgresql-15-copy.sql", "mariadb-10.11.sql"] {
        let file = format!("{}/../movein/tests/data/{dump}", env!("CARGO_MANIFEST_DIR"));
        let told = place.text(&["device", "import", &file, "--skip-bad"]);
        let what = |id: &str| told.lines().find_map(|line| line.strip_prefix(id)).unwrap_or_default().trim_start();
        for id in ["861234567890120", "AB-12/x", "driver 0A1B2C3D", "driver 7"] {
            assert_eq!(what(id), "new", "{dump}: {id}: {told}");
        }
        assert_eq!(what("352093081452251"), "changes attributes, group, name, protocol", "{dump}: {told}");
        assert!(what("0123456789").starts_with("cannot be taken: name: "), "{dump}: {told}");
        let counts = "2 new, 1 changed, 0 as they are already, 1 that cannot be taken";
        assert!(told.ends_with(&format!("{counts}: nothing was changed: --apply does it\n")), "{dump}: {told}");
        // One row that cannot be taken is a problem, unless such rows are left out. JSON has the same in any case.
        for (more, status) in [(&["--json"][..], 1), (&["--json", "--skip-bad"], 0)] {
            let output = place.run(&[&["device", "import", &file], more].concat());
            assert_eq!(output.status.code(), Some(status), "{dump}: {}", errors(&output));
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let report = &told["report"];
            let counts = ["created", "changed", "same", "failed", "written"].map(|name| report[name].clone());
            assert_eq!(serde_json::json!(counts), serde_json::json!([2, 1, 0, 1, false]), "{dump}: {told}");
            let groups = ["Nord / Kühlzüge", "O'Brien \"Süd\"", "Nord"];
            assert_eq!(report["groups_created"], serde_json::json!(groups), "{dump}");
            let outcomes = |of: &str| -> Vec<&str> {
                let rows = report[of].as_array().expect("rows").iter();
                rows.map(|row| row["outcome"].as_str().expect("a word")).collect()
            };
            assert_eq!(outcomes("rows"), ["changed", "created", "failed", "created"], "{dump}");
            assert_eq!(outcomes("drivers"), ["created", "created"], "{dump}");
            assert_eq!(told["problems"], serde_json::json!([]), "{dump}");
            let said = told["said"].as_array().expect("a list");
            assert!(said.contains(&"not taken over: tc_calendars, tc_positions, tc_users".into()), "{dump}: {told}");
        }
        assert_eq!(states(&place, &["--json"]), before, "{dump}");
    }
    let server = place.serve();
    let ask = |path: &str| client::by_socket(&place.data(), "GET", path, None).of(200);
    let devices = ask("/api/v1/devices");
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1), "{devices}");
    let own = &devices["devices"][0];
    assert_eq!((&own["name"], &own["group"]), (&serde_json::json!("Own"), &serde_json::Value::Null));
    assert_eq!((ask("/api/v1/groups"), ask("/api/v1/drivers")), (serde_json::json!([]), serde_json::json!([])));
    assert!(server.stop().success());
}

#[test]
fn what_a_device_is_can_be_said_also_while_the_server_runs() {
    let place = Place::new();
    let table = "imei;name;timezone\n1;One;Europe/Riga\n2;Two;GMT plus two\n";
    let file = place.write("fleet.csv", table);
    let told = place.text(&["device", "import", file.to_str().expect("UTF-8"), "--apply"]);
    assert!(
        told.contains("1 with a time zone that is none such as Europe/Berlin, the first is GMT plus two"),
        "{told}"
    );
    assert!(told.contains("2 new, 0 changed"), "{told}");
    let shown = |arguments: &[&str]| -> serde_json::Value {
        let text = place.text(&[&["device", "set"], arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    };
    let two = shown(&["2", "--plate", "AB 2"]);
    let none = (&two["time_zone"], &two["attributes"]["time_zone"]);
    assert_eq!(none, (&serde_json::json!(""), &serde_json::json!("GMT plus two")));
    let server = place.serve();
    let one = shown(&["1", "--name", "Truck 1"]);
    assert_eq!((&one["name"], &one["time_zone"]), (&serde_json::json!("Truck 1"), &serde_json::json!("Europe/Riga")));
    let told = place.text(&["device", "set", "2", "--time-zone", "africa/cairo"]);
    assert_eq!(told, "2: name Two, plate AB 2, time zone Africa/Cairo\n");
    let told = place.text(&["device", "set", "2", "--time-zone", "", "--plate", ""]);
    assert_eq!(told, "2: name Two, plate –, time zone –\n");
    let odd = place.run(&["device", "set", "2", "--time-zone", "Cairo"]);
    assert!(errors(&odd).contains("time_zone: is no time zone such as Europe/Berlin"), "{}", errors(&odd));
    let odd = place.run(&["device", "set", "3", "--name", "x"]);
    assert!(errors(&odd).contains("there is no device 3"), "{}", errors(&odd));
    assert_eq!(place.run(&["device", "set", "2"]).status.code(), Some(64));
    server.stop();
}
