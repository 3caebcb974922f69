//! Devices whose data somebody else passes on, several of them in one packet: each is admitted by itself and has its own tenant,
//! live, out of the journal and after a person's decision.

mod common;

use common::{Place, Server, moment, told};
use odograph_wire::checksum;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Noon of the day of [`moment`], in seconds since 2010.
const NOON: u32 = 533_131_200;
const OK: u8 = 0;
/// Data of this source is denied.
const DENIED: u8 = 136;

fn serve(place: &Place, unknown: &str) -> Server {
    let config = format!(
        "[ingest]\ndefault_ports = false\n\
         [[listener]]\nprotocol = \"egts\"\nlisten = \"127.0.0.1:0\"\nunknown = \"{unknown}\"\n\
         [[device]]\nids = [\"5\"]\ntenant = \"north\"\n\
         [[device]]\nids = [\"truck six\", \"6\"]\ntenant = \"south\"\n"
    );
    let path = place.write("odograph.toml", &config);
    place.serve_with(&["--config", path.to_str().expect("UTF-8")])
}

/// A packet with a position of so many seconds after noon for each object.
fn packet(number: u16, positions: &[(u32, u32)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (record, (object, second)) in (0_u16..).zip(positions) {
        let mut position = (NOON + second).to_le_bytes().to_vec();
        position.extend(0x8000_0000_u32.to_le_bytes());
        position.extend(0x2000_0000_u32.to_le_bytes());
        // Valid and fixed; then speed, direction, odometer, inputs and source.
        position.extend([0x03, 0, 0, 0, 0, 0, 0, 0, 0]);
        // And a state with 24 tenths of a volt, or whole volts.
        let subrecord = [&[16, 21, 0][..], &position, &[20, 5, 0, 0, 24, 0, 0, 0]].concat();
        data.extend(u16::try_from(subrecord.len()).expect("it is short").to_le_bytes());
        data.extend(record.to_le_bytes());
        data.push(1);
        data.extend(object.to_le_bytes());
        data.extend([2, 2]);
        data.extend(subrecord);
    }
    let mut packet = vec![1, 0, 0, 11, 0];
    packet.extend(u16::try_from(data.len()).expect("it is short").to_le_bytes());
    packet.extend(number.to_le_bytes());
    packet.push(1);
    packet.push(checksum::crc8_nrsc5(&packet));
    packet.extend(&data);
    packet.extend(checksum::crc16_ccitt_false(&data).to_le_bytes());
    packet
}

/// A platform that passes on what objects say.
struct Platform(TcpStream);

impl Platform {
    fn of(server: &Server) -> Self {
        Self(TcpStream::connect(server.listener("tcp")).expect("the listener answers"))
    }

    /// Sends positions; gives what the packet is answered with, and each of its records.
    fn says(&mut self, number: u16, positions: &[(u32, u32)]) -> (u8, Vec<u8>) {
        self.0.write_all(&packet(number, positions)).expect("a packet is sent");
        let mut head = [0; 11];
        self.0.read_exact(&mut head).expect("an answer");
        let length = usize::from(u16::from_le_bytes([head[5], head[6]]));
        let mut data = vec![0; length + 2];
        self.0.read_exact(&mut data).expect("all of it");
        assert_eq!(data[..2], number.to_le_bytes(), "it is this packet that is answered");
        // Each confirmation is a record of 7 bytes of head and 6 of subrecord, with the code last.
        (data[2], data[3..length].chunks(13).map(|confirmation| confirmation[12]).collect())
    }
}

fn expected(records: &[(&str, u32)]) -> Vec<(String, String)> {
    records.iter().map(|(device, second)| ((*device).to_owned(), moment(*second))).collect()
}

/// What each tenant has, whoever reads it.
#[track_caller]
fn check(place: &Place, when: &str) {
    let of = |tenant: &str| told(&place.records(&["--tenant", tenant]));
    assert_eq!(of("north"), expected(&[("5", 1), ("5", 4), ("5", 7)]), "{when}");
    assert_eq!(of("south"), expected(&[("truck six", 2), ("truck six", 6)]), "{when}");
    assert_eq!(of("default"), [], "{when}");
}

/// What they said is decoded again for each tenant and device, whoever passed it on.
fn replays(place: &Place) {
    let replay = |tenant: &str, more: &[&str]| {
        let always = ["replay", "--from", "2020-01-01", "--to", "2100-01-01", "--tenant", tenant];
        place.text(&[&always[..], more].concat())
    };
    let volts = |tenant: &str| {
        let volts = |record: &Value| record["external.power.voltage"].as_f64().expect("a state");
        place.records(&["--tenant", tenant]).iter().map(volts).collect::<Vec<_>>()
    };
    assert_eq!(replay("north", &[]), "Nothing changes: 3 records are as they were.\n");
    assert_eq!(replay("south", &[]), "Nothing changes: 2 records are as they were.\n");
    let said = replay("south", &["--set", "state_volts=whole", "--apply"]);
    assert!(said.contains("2 records of 1 devices were replaced"), "{said}");
    assert_eq!((volts("north"), volts("south")), (vec![2.4; 3], vec![24.0; 2]));
    check(place, "after a replay");
}

#[test]
fn each_object_of_a_packet_is_admitted_by_itself_and_confirmed_truthfully() {
    let place = Place::new();
    let server = serve(&place, "reject");
    let mut platform = Platform::of(&server);
    assert_eq!(platform.says(1, &[(5, 1), (6, 2), (7, 3), (5, 4)]), (OK, vec![OK, OK, DENIED, OK]));
    assert_eq!(platform.says(2, &[(7, 5), (6, 6), (7, 6)]), (OK, vec![DENIED, OK, DENIED]), "the first is refused");
    assert_eq!(platform.says(3, &[(7, 7), (8, 7)]), (DENIED, vec![]), "all are");
    assert_eq!(platform.says(4, &[(7, 7)]), (DENIED, vec![]));
    assert_eq!(platform.says(5, &[(5, 7)]), (OK, vec![OK]), "it goes on for those that are let in");
    assert_eq!(platform.says(6, &[(5, 1), (7, 3), (6, 2)]), (OK, vec![OK, DENIED, OK]), "what came comes again");
    check(&place, "live");
    server.kill();
    check(&place, "out of the journal");
    let server = serve(&place, "reject");
    check(&place, "decoded again");
    assert!(server.stop().success());
    check(&place, "out of history");
    replays(&place);
    let listed = place.text(&["device", "list"]);
    assert!(!listed.lines().any(|line| line.starts_with("7 ") || line.starts_with("8 ")), "{listed}");
}

#[test]
fn who_waits_for_a_decision_in_the_packet_of_another_is_there_once_it_is_made() {
    let place = Place::new();
    let server = serve(&place, "quarantine");
    let mut platform = Platform::of(&server);
    assert_eq!(platform.says(1, &[(5, 1), (77, 2), (6, 3)]), (OK, vec![OK, OK, OK]), "it is kept");
    let all = || told(&place.records(&[]));
    assert_eq!(all(), expected(&[("5", 1), ("truck six", 3)]));
    let waiting = ["--device", "77", "--quarantined"];
    assert_eq!(told(&place.records(&waiting)), expected(&[("77", 2)]));
    server.kill();
    assert_eq!(told(&place.records(&waiting)), expected(&[("77", 2)]), "it registered just before");
    place.text(&["device", "accept", "77"]);
    assert_eq!(told(&place.records(&["--device", "77"])), expected(&[("77", 2)]));
    let server = serve(&place, "quarantine");
    assert_eq!(told(&place.records(&["--device", "77"])), expected(&[("77", 2)]));
    let mut platform = Platform::of(&server);
    assert_eq!(platform.says(2, &[(6, 3), (77, 4)]), (OK, vec![OK, OK]));
    assert_eq!(told(&place.records(&["--device", "77"])), expected(&[("77", 2), ("77", 4)]));
}
