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
