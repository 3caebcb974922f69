//! A device or a tenant is erased from a data folder: nothing of it is left in any file, whenever the server is killed, and
//! everybody else's data and proofs are as they were.

mod common;

use common::{Device, Place, Server, errors, position};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Of two tenants.
const SHARED: &str = "867000000000017";
const OTHER: &str = "867000000000025";
const RETURNS: &str = "867000000000033";
/// The login of a GT06 device, whose id is in it as digits of half a byte.
const LOGIN: &str = "78780d01012345678901234500018cdd0d0a";
const PACKED: &str = "123456789012345";
const MARK: &str = "MARK-OF-WHAT-IS-ERASED";
const STAYS: &str = "MARK-OF-WHAT-STAYS";

/// Files and segments as soon as may be, so that there are many.
const RESTLESS: &[(&str, &str)] = &[
    ("ODOGRAPH_JOURNAL__SEGMENT_BYTES", "64 KiB"),
    ("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__FRAMES_FLUSH_AFTER", "10 ms"),
];

struct Listeners {
    default: SocketAddr,
    north: SocketAddr,
    gt06: SocketAddr,
}

fn serve(place: &Place) -> (Server, Listeners) {
    let listener = |protocol: &str, tenant: &str| {
        format!("[[listener]]\nprotocol = \"{protocol}\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\n{tenant}\n")
    };
    let file = [listener("wialon", ""), listener("wialon", "tenant = \"north\""), listener("gt06", "")].concat();
    let path = place.write("odograph.toml", &file);
    let mut command = place.command(&["serve", "--config", path.to_str().expect("as it was made")]);
    command.envs(RESTLESS.iter().copied());
    let server = Server::start(command);
    let lines = server.start.iter().filter(|line| line["message"] == "listening" && line["transport"] == "tcp");
    let addresses: Vec<SocketAddr> =
        lines.map(|line| line["address"].as_str().expect("as it was made").parse().expect("as it was made")).collect();
    let [default, north, gt06, ..] = addresses[..] else { panic!("{:?}", server.start) };
    (server, Listeners { default, north, gt06 })
}

fn send(address: SocketAddr, id: &str, mark: &str, seconds: std::ops::Range<u32>) -> Device {
    let mut device = Device::connect(address);
    assert_eq!(device.login(id), "#AL#1");
    for second in seconds {
        assert_eq!(device.say(&position(second)), "#ASD#1");
        assert_eq!(device.say(&format!("#M#{mark} {second}")), "#AM#1");
    }
    device
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("as it was made")).collect()
}

/// Everybody sends, and stays connected.
fn fill(listeners: &Listeners) -> (Vec<Device>, TcpStream) {
    let devices = vec![
        send(listeners.default, SHARED, MARK, 0..150),
        send(listeners.north, SHARED, STAYS, 0..100),
        send(listeners.default, OTHER, STAYS, 0..100),
        send(listeners.default, RETURNS, "what it said first", 0..3),
    ];
    let mut packed = TcpStream::connect(listeners.gt06).expect("as it was made");
    packed.set_read_timeout(Some(Duration::from_secs(60))).expect("as it was made");
    packed.write_all(&bytes(LOGIN)).expect("as it was made");
    assert!(packed.read(&mut [0; 64]).expect("as it was made") > 0, "the login is answered");
    (devices, packed)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("as it was made") {
        let entry = entry.expect("as it was made");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// The files that have some bytes. A server that runs may take one away meanwhile.
fn having(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let has = |path: &PathBuf| match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        read => read.expect("as it was made").windows(bytes.len()).any(|some| some == bytes),
    };
    files(folder)
        .into_iter()
        .filter(has)
        .map(|path| path.strip_prefix(folder).expect("as it was made").display().to_string())
        .collect()
}

fn export(place: &Place, what: &str, tenant: &str, device: Option<&str>) -> Vec<Value> {
    let mut arguments = vec!["export", what, "--tenant", tenant];
    arguments.extend(device.iter().flat_map(|device| ["--device", device]));
    place.text(&arguments).lines().map(|line| serde_json::from_str(line).expect("as it was made")).collect()
}

/// What there is of those who stay.
fn others(place: &Place) -> [Vec<Value>; 4] {
    [
        export(place, "records", "default", Some(OTHER)),
        export(place, "frames", "default", Some(OTHER)),
        export(place, "records", "north", None),
        export(place, "frames", "north", Some(SHARED)),
    ]
}

fn sql(place: &Place, query: &str) -> String {
    place.text(&["sql", "--csv", query])
}

/// Nothing of the default tenant's device is anywhere.
fn check_gone(place: &Place, what: &str) {
    assert_eq!(export(place, "records", "default", Some(SHARED)), Vec::<Value>::new(), "{what}");
    for table in ["records", "frames", "last", "devices"] {
        let count = sql(place, &format!("SELECT count(*) FROM {table} WHERE device = '{SHARED}'"));
        assert_eq!(count.lines().last(), Some("0"), "{what}: {table}");
    }
    assert_eq!(having(&place.data(), MARK.as_bytes()), Vec::<String>::new(), "{what}");
}

fn verify(place: &Place, what: &str) -> Value {
    let output = place.run(&["journal", "verify", "--history", "--json"]);
    let told = String::from_utf8(output.stdout.clone()).expect("as it was made");
    assert_eq!(output.status.code(), Some(0), "{what}: {told} {}", errors(&output));
    serde_json::from_str(&told).expect("as it was made")
}

#[test]
fn of_an_erased_device_nothing_is_left_and_others_are_as_they_were() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let (mut devices, packed) = fill(&listeners);
    let before = others(&place);
    assert!(before.iter().all(|all| all.len() >= 100));
    assert!(!having(&place.data(), MARK.as_bytes()).is_empty());
    let told = place.text(&["device", "erase", SHARED]);
    assert!(told.contains("Nothing was erased") && told.contains("300 records"), "{told}");
    assert_eq!(export(&place, "records", "default", Some(SHARED)).len(), 300);

    let told = place.text(&["device", "erase", SHARED, "--yes"]);
    assert!(told.contains("Erased (order 1)"), "{told}");
    check_gone(&place, "while it runs");
    assert_eq!(others(&place), before);
    assert!(devices[0].is_closed(), "its connection was ended");
    assert_eq!(devices[2].position(500), "#ASD#1", "nobody else's was");
    let before = others(&place);
    let report = verify(&place, "while it runs");
    // A login, three hundred messages with their answers, and the end of the connection.
    assert!(report["erasures"][0]["entries"].as_u64().unwrap() >= 602, "{report}");
    assert!(report["history"]["erased"].as_u64().unwrap() > 0, "{report}");

    // Of one that nobody else has, not even the name.
    drop(packed);
    for alone in [PACKED, RETURNS] {
        place.text(&["device", "erase", alone, "--yes"]);
    }
    let first = b"what it said first".to_vec();
    for form in [PACKED.as_bytes().to_vec(), bytes(LOGIN)[4..12].to_vec(), RETURNS.as_bytes().to_vec(), first] {
        assert_eq!(having(&place.data(), &form), Vec::<String>::new());
    }
    assert!(place.text(&["device", "list"]).contains(OTHER));

    // After a start it is the same, and the device may come again: all that it sends is new.
    assert!(server.stop().success());
    check_gone(&place, "stopped");
    let (server, listeners) = serve(&place);
    check_gone(&place, "started again");
    assert_eq!(others(&place), before);
    let device = send(listeners.default, RETURNS, "anew", 0..3);
    assert_eq!(export(&place, "records", "default", Some(RETURNS)).len(), 6);
    drop(device);
    assert!(server.stop().success());
    verify(&place, "stopped");

    // Once more, without a server.
    let told = place.text(&["device", "erase", RETURNS, "--yes"]);
    assert!(told.contains("Erased (order 4)"), "{told}");
    check_gone(&place, "without a server");
    for gone in ["anew", RETURNS] {
        assert_eq!(having(&place.data(), gone.as_bytes()), Vec::<String>::new());
    }
    assert_eq!(others(&place), before);
    verify(&place, "without a server");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-r", from.to_str().expect("as it was made"), to.to_str().expect("as it was made")])
        .status();
    assert!(copied.expect("as it was made").success());
}

#[test]
fn a_server_that_is_killed_meanwhile_goes_on_at_its_next_start() {
    let first = Place::new();
    let (server, listeners) = serve(&first);
    drop(fill(&listeners));
    let before = others(&first);
    assert!(server.stop().success());
    let mut killed_within = 0;
    for wait_ms in [0, 20, 100, 400, 1500] {
        let what = format!("killed {wait_ms} ms after the order");
        let place = Place::new();
        copy(&first.data(), &place.data());
        let (server, _) = serve(&place);
        let mut erasing = place.command(&["device", "erase", SHARED, "--yes"]).spawn().unwrap();
        let path = place.data().join("journal/0/erasures");
        while !path.exists() && erasing.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        server.kill();
        erasing.wait().unwrap();
        let ordered = std::fs::read_to_string(&path).unwrap();
        let (server, _) = serve(&place);
        if ordered.contains("done -") {
            killed_within += 1;
            server.log_line_or_start(|line| line["message"] == "an erasure is done");
        }
        check_gone(&place, &what);
        assert_eq!(others(&place), before, "{what}");
        verify(&place, &what);
        assert!(server.stop().success());
    }
    assert!(killed_within > 0, "none of the moments was within an erasure");
}

#[test]
fn a_tenant_goes_with_all_that_it_has() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    drop(fill(&listeners));
    let before = others(&place);
    let refused = place.run(&["tenant", "erase", "default", "--yes"]);
    assert_eq!(refused.status.code(), Some(64), "{}", errors(&refused));
    assert!(server.stop().success());
    // Without the listener that names it.
    let told = place.text(&["tenant", "erase", "north", "--yes"]);
    assert!(told.contains("tenant north") && told.contains("200 records"), "{told}");
    assert!(!place.data().join("lake/north").exists());
    assert_eq!(export(&place, "records", "default", Some(OTHER)), before[0]);
    verify(&place, "a tenant less");
    let list = place.text(&["tenant", "list"]);
    assert!(!list.contains("north"), "{list}");
}
