//! The devices that are known: what a configuration that changes, a crash and a damaged file make of them.

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
