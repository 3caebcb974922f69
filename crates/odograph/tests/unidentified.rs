//! The port that understands all protocols, and what becomes of those whom it does not understand.

mod common;

use common::{Device, Place, Server, errors};
use odograph_wire::checksum::crc16_x25;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};

const ID: &str = "123456789012345";
const CLONE: &str = "352887071911998";

fn serve(place: &Place) -> Server {
    let mut command = place.command(&["serve", "--listen", "auto=127.0.0.1:0"]);
    command.env("ODOGRAPH_LIMITS__UNDECIDED_MAX", "1 s");
    Server::start(command)
}

/// A packet of GT06; a clone gets the checksum wrong.
fn packet(kind: u8, content: &[u8], serial: u8, is_clone: bool) -> Vec<u8> {
    let mut packet = vec![0x78, 0x78, content.len() as u8 + 5, kind];
    packet.extend(content);
    packet.extend([0, serial]);
    let sum = crc16_x25(&packet[2..]) ^ u16::from(is_clone);
    packet.extend(sum.to_be_bytes());
    packet.extend(b"\r\n");
    packet
}

/// A login, and a place at 2026-11-23T12:00:00Z.
fn clone() -> Vec<u8> {
    let login = packet(0x01, &[0x03, 0x52, 0x88, 0x70, 0x71, 0x91, 0x19, 0x98], 1, true);
    let fix = [26, 11, 23, 12, 0, 0, 0xC5, 0x02, 0x7A, 0xC8, 0x04, 0x0C, 0x46, 0x58, 0x10, 0x00, 0x14, 0x8F];
    let cell = [0x01, 0xCC, 0x00, 0x28, 0x7D, 0x00, 0x1F, 0x71];
    [login, packet(0x12, &[&fix[..], &cell[..]].concat(), 2, true)].concat()
}

/// Sends, and waits until the server hangs up without a word.
fn is_not_understood(server: &Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.listener("tcp")).expect("the listener answers");
    stream.write_all(bytes).expect("they are sent");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert_eq!(said, b"");
}

fn listed(place: &Place) -> Vec<Value> {
    serde_json::from_str(&place.text(&["unidentified", "--json"])).expect("JSON")
}

/// Waits until they are so: what came is listed once it is durable.
fn listed_once(place: &Place, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut all = listed(place);
    for _ in 0..1000 {
        if is_so(&all) {
            return all;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        all = listed(place);
    }
    panic!("{all:?}");
}

#[test]
fn devices_of_all_protocols_come_to_one_port() {
    let place = Place::new();
    let server = serve(&place);
    let mut wialon = Device::connect(server.listener("tcp"));
    assert_eq!((wialon.login(ID), wialon.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    let mut gt06 = TcpStream::connect(server.listener("tcp")).expect("the listener answers");
    let login = packet(0x01, &[0x03, 0x52, 0x88, 0x70, 0x71, 0x91, 0x19, 0x98], 1, false);
    gt06.write_all(&login).expect("it is sent");
    let mut answer = [0; 10];
    gt06.read_exact(&mut answer).expect("it is answered");
    assert_eq!(answer[3], 0x01);
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.connect(server.listener("udp")).expect("an address");
    udp.send(format!("{ID}#SD#231126;120002;5355.0926;N;02732.4096;E;3;2;300;7\r\n").as_bytes()).expect("it is sent");
    let mut answer = [0; 16];
    let count = udp.recv(&mut answer).expect("it is answered");
    assert_eq!(&answer[..count], b"#ASD#1\r\n");
    for counted in [
        "odograph_decided_total{protocol=\"wialon\",transport=\"tcp\"} 1",
        "odograph_decided_total{protocol=\"wialon\",transport=\"udp\"} 1",
        "odograph_decided_total{protocol=\"gt06\",transport=\"tcp\"} 1",
        "odograph_connections{protocol=\"unidentified\",transport=\"tcp\"} 0",
        "odograph_connections{protocol=\"gt06\",transport=\"tcp\"} 1",
        // An address that sends datagrams counts among those of its protocol, as a connection does.
        "odograph_connections{protocol=\"unidentified\",transport=\"udp\"} 0",
        "odograph_connections{protocol=\"wialon\",transport=\"udp\"} 1",
    ] {
        server.metric_becomes(counted);
    }
    let records = place.records(&[]);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records.iter().all(|record| record["device"] == ID && record["protocol"] == "wialon"));
    let devices = place.text(&["device", "list"]);
    assert!(devices.contains(CLONE) && devices.contains("gt06"), "{devices}");
    assert_eq!(listed(&place), Vec::<Value>::new());
    assert!(server.stop().success());
    assert_eq!(place.records(&[]), records, "as well without a server");
}

#[test]
fn who_is_not_understood_is_listed_and_decoded_once_he_is_named() {
    let place = Place::new();
    let server = serve(&place);
    is_not_understood(&server, b"GET /manager HTTP/1.1\r\nHost: example\r\n\r\n");
    is_not_understood(&server, &clone());
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.connect(server.listener("udp")).expect("an address");
    udp.send(b"\x01\x02hello").expect("it is sent");
    server.log_line(|line| line["reason"] == "undecided");
    // Two of them are connections, and have ended.
    let all = listed_once(&place, |all| all.len() == 3 && all.iter().filter(|one| !one["why"].is_null()).count() == 2);
    let of = |text: &str| all.iter().find(|one| one["text"].as_str().is_some_and(|its| its.contains(text)));
    let (probe, datagram) = (of("GET /manager").expect("it is kept"), of("hello").expect("it is kept"));
    assert_eq!((&probe["why"], &probe["bytes"]), (&"undecided".into(), &40.into()));
    assert_eq!((&probe["could_be"], &probe["guesses"]), (&serde_json::json!([]), &serde_json::json!([])));
    let says = |one: &Value, what: &str| one["ruled_out"].as_str().is_some_and(|why| why.contains(what));
    assert!(says(probe, "understood over TCP") && says(datagram, "understood over UDP"), "{all:?}");
    assert_eq!(
        (&datagram["why"], &datagram["pieces"], &datagram["transport"]),
        (&Value::Null, &1.into(), &"udp".into())
    );
    let gt06 = of("xx").expect("it is kept");
    assert_eq!((&gt06["could_be"], &gt06["is"]), (&serde_json::json!(["gt06"]), &Value::Null));
    let missing = "but not with a packet whose length and checksum fit";
    let reason = format!("begins like its messages (from 78 78 or 79 79 up to 0D 0A), {missing}");
    assert_eq!(gt06["guesses"], serde_json::json!([{ "protocol": "gt06", "reason": reason }]));
    assert_eq!(gt06["ruled_out"], Value::Null);
    let table = place.text(&["unidentified"]);
    assert!(table.contains("nothing known") && table.contains("GET /manager"), "{table}");

    let id = gt06["id"].to_string();
    let refused = |arguments: &[&str]| {
        let output = place.run(&[&["unidentified", "name", &id], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        errors(&output)
    };
    assert!(refused(&["--protocol", "teltonika"]).contains("is not teltonika: its bytes make no frame"));
    assert!(refused(&["--protocol", "gt06"]).contains("is not gt06: checksum"));
    let naming = ["unidentified", "name", &id, "--protocol", "gt06", "--wrong-checksums"];
    assert_eq!(place.text(&naming), format!("{id}: 2 frames, 1 records of {CLONE}\n"));
    assert!(refused(&["--protocol", "gt06", "--wrong-checksums"]).contains("was named already: gt06"));
    let records = place.records(&[]);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0]["device"], &records[0]["time"]), (&CLONE.into(), &"2026-11-23T12:00:00.000Z".into()));
    let frames = place.text(&["export", "frames", "--device", CLONE, "--direction", "out"]);
    assert_eq!(frames, "", "nobody was answered");
    assert!(server.stop().success());

    // Without a server: the same, and nothing twice.
    let again = [&naming[..], &["--again"]].concat();
    assert_eq!(place.text(&again), format!("{id}: 2 frames, 1 records of {CLONE}\n"));
    assert_eq!(place.records(&[]).len(), 1);
    let one = listed(&place).into_iter().find(|one| one["id"] == gt06["id"]).expect("it is there");
    assert_eq!(one["named"], serde_json::json!(["gt06", "gt06"]));
    let period = ["replay", "--from", "2020-01-01", "--to", "2100-01-01", "--set", "zone=+02:00"];
    let replayed = place.text(&period);
    assert!(replayed.contains(CLONE) && replayed.contains("1 records of 1 devices would be otherwise"), "{replayed}");
}

#[test]
fn who_was_refused_is_listed_with_the_name_that_he_gave() {
    let place = Place::new();
    let listener = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"auto\"\nlisten = \"127.0.0.1:0\"\nunknown = \"reject\"\n";
    let path = place.write("odograph.toml", listener);
    let server = place.serve_with(&["--config", path.to_str().expect("UTF-8")]);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login(ID), "#AL#0");
    assert!(device.is_closed());
    let all = listed_once(&place, |all| !all.is_empty());
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&one["protocol"], &one["device"]), (&"wialon".into(), &ID.into()));
    assert_eq!((&one["guesses"], &one["ruled_out"]), (&serde_json::json!([]), &Value::Null));
    assert!(server.stop().success());
    assert_eq!(listed(&place)[0]["why"], "refused");
}

#[test]
fn the_common_port_is_open_unless_it_is_not_wanted() {
    let place = Place::new();
    let planned = |file: &str| {
        let path = place.write("odograph.toml", file);
        let output = place.run(&["config", "check", "--config", path.to_str().expect("UTF-8")]);
        (output.status.success(), errors(&output))
    };
    assert!(planned("[ingest]\ncommon_port = 0\n").0);
    let (fine, told) =
        planned("[ingest]\ncommon_port = 5999\n[[listener]]\nprotocol = \"gt06\"\nlisten = \"[::]:5999\"\n");
    assert!(!fine && told.contains("is taken by ingest.common_port"), "{told}");
    assert!(planned("[[listener]]\nprotocol = \"auto\"\nlisten = 5000\n").0);
    let (fine, told) = planned("[[listener]]\nprotocol = \"outo\"\nlisten = 5000\n");
    assert!(!fine && told.contains("did you mean auto?"), "{told}");
}
