//! `odograph serve` while the disk of its catalog is full, and after.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server};
use odograph_testkit::SmallDisk;
use serde_json::{Value, json};

/// Enough for an empty catalog and some devices.
const DISK_KB: u32 = 4096;

#[test]
fn a_full_disk_of_the_catalog_needs_space_and_no_restart() {
    let place = Place::new();
    let at = place.folder.path().join("disk");
    std::fs::create_dir(&at).expect("a folder");
    let Some(disk) = SmallDisk::mount(&at, DISK_KB) else { return };
    let url = format!("sqlite:{}", at.join("catalog.sqlite").display());
    let command = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("ODOGRAPH_CATALOG__URL", &url);
        command
    };
    let made = command(&["token", "create", "--json", "--role", "owner"]).output().expect("the command runs");
    let token: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let server = Server::start(command(&["serve", "--listen", "wialon=127.0.0.1:0"]));
    let owner = Client::with_token(server.http(), token["secret"].as_str().expect("a secret"));
    let create = |id: &str| owner.post("/api/v1/devices", &json!({"ids": [id], "notes": "x".repeat(1000)}));
    assert_eq!(create("before").json()["id"], "before");
    assert_eq!(catalog_of(&server, "/healthz"), (200, Value::Null, false));

    disk.fill();
    let expected = "no room on the disk of the catalog, and nothing was changed. Make space and try again";
    let refused = (0..10_000).map(|number| create(&format!("x{number}"))).find(|answer| answer.status != 201);
    let refused = refused.expect("the disk is full");
    assert_eq!((refused.json()["detail"].as_str(), refused.problem(507)), (Some(expected), "full".to_owned()));
    assert_eq!(create("again").problem(507), "full");
    for path in ["/healthz", "/readyz"] {
        let told = "what people decide cannot be changed: the catalog's database writes nothing";
        assert_eq!(catalog_of(&server, path), (200, json!(told), true), "devices are served all the same");
        let (_, text) = common::control(&place.data(), path);
        let full: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(full["catalog_unwritable"], json!(expected));
    }
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("before"), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    assert_eq!(owner.get("/api/v1/devices/before").of(200)["id"], "before");

    disk.make_room();
    assert_eq!(create("after").json()["id"], "after");
    assert_eq!(owner.get("/api/v1/devices/again").problem(404), "not_found");
    assert_eq!(catalog_of(&server, "/healthz"), (200, Value::Null, false));
    assert!(server.stop().success());
}

/// The status, what is said of the catalog, and its number.
fn catalog_of(server: &Server, path: &str) -> (u16, Value, bool) {
    let (status, body) = server.get(path);
    let health: Value = serde_json::from_str(&body).expect("JSON");
    let (_, numbers) = server.get("/metrics");
    (status, health["catalog_unwritable"].clone(), numbers.lines().any(|line| line == "odograph_catalog_unwritable 1"))
}
