//! `odograph simulate` against a real server: what its devices were told is safe is in history, once.

mod common;

use common::{Place, Server, errors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Child;

const PROTOCOLS: [&str; 5] = ["teltonika", "wialon", "galileo", "gt06", "osmand"];

/// Where each protocol listens.
fn listeners(server: &Server) -> BTreeMap<String, SocketAddr> {
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    let lines = server.start.iter().filter(|line| line["message"] == "listening" && line["transport"] != "udp");
    lines.map(|line| (text(line, "protocol"), text(line, "address").parse().expect("an address"))).collect()
}

fn targets(listeners: &BTreeMap<String, SocketAddr>) -> Vec<String> {
    listeners.iter().map(|(protocol, address)| format!("--target={protocol}={address}")).collect()
}

/// A fleet as a process of its own.
struct Fleet(Child);

impl Fleet {
    fn start(place: &Place, arguments: &[&str], targets: &[String]) -> Self {
        let mut command = place.command(&[&["simulate", "--json"], arguments].concat());
        Self(command.args(targets).spawn().expect("the fleet starts"))
    }

    /// Waits for its end in good order, and gives what it says then.
    fn end(mut self) -> Value {
        let lines = BufReader::new(self.0.stdout.take().expect("a pipe")).lines();
        let last = lines.map_while(Result::ok).last().expect("it says something");
        assert!(self.0.wait().expect("it ends").success(), "{last}");
        serde_json::from_str(&last).expect("a line is JSON")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn members(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let text = place.text(&[&["simulate", "--list", "--json"], arguments].concat());
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn set(values: &[Value], key: &str) -> BTreeSet<String> {
    values.iter().map(|value| value[key].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_fleet_tells_its_past_in_five_languages_and_each_record_is_kept_once() {
    let place = Place::new();
    let listen: Vec<_> = PROTOCOLS.iter().map(|protocol| format!("--listen={protocol}=127.0.0.1:0")).collect();
    let listen: Vec<_> = listen.iter().map(String::as_str).collect();
    let server = place.serve_with(&listen);
    let who = ["--devices", "10", "--seed", "4", "--protocol", "teltonika,wialon,galileo,gt06,osmand"];
    let past = ["--history", "0.3", "--until-history-sent"];
    let end = Fleet::start(&place, &[&who[..], &past].concat(), &targets(&listeners(&server))).end();
    for (key, value) in [("devices", 10), ("caught_up", 10), ("failures", 0), ("sent_again", 0), ("dropped", 0)] {
        assert_eq!(end[key], value, "{key}: {end}");
    }
    assert_eq!(end["acknowledged"], end["sent"], "{end}");
    let records = place.records(&[]);
    let fleet = members(&place, &who);
    assert_eq!(set(&records, "device"), set(&fleet, "imei"));
    assert_eq!(set(&records, "protocol"), PROTOCOLS.map(str::to_owned).into());
    assert_eq!(set(&records, "id").len(), records.len());
    // GT06's heartbeats are records too.
    let located: Vec<_> = records.iter().filter(|record| record.get("position.latitude").is_some()).cloned().collect();
    assert_eq!(located.len() as u64, end["acknowledged"].as_u64().expect("a number"));
    let galileo = located.iter().filter(|record| record["protocol"] == "galileo");
    for record in galileo {
        for key in ["reefer.setpoint.temperature.1", "reefer.return.air.temperature.1", "reefer.door.status.1"] {
            assert!(record.get(key).is_some(), "{key}: {record}");
        }
    }
}

#[test]
fn a_fleet_outlives_a_server_that_is_killed_and_nothing_is_lost_or_twice() {
    let place = Place::new();
    let server = place.serve_with(&["--listen=galileo=127.0.0.1:0"]);
    let listeners = listeners(&server);
    let fleet = Fleet::start(
        &place,
        &["--devices", "6", "--protocol", "galileo", "--history", "1.5", "--until-history-sent"],
        &targets(&listeners),
    );
    // In the midst of it.
    let received = |server: &Server| {
        let metrics = server.get("/metrics").1;
        let lines = metrics.lines().filter(|line| line.starts_with("odograph_frames_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    while received(&server) < 200.0 {
        std::thread::yield_now();
    }
    server.kill();
    let _server = place.serve_with(&[&format!("--listen=galileo={}", listeners["galileo"])]);
    let end = fleet.end();
    assert!(end["failures"].as_u64() > Some(0), "the fleet noticed: {end}");
    assert_eq!((&end["acknowledged"], &end["caught_up"]), (&end["sent"], &Value::from(6)), "{end}");
    let records = place.records(&[]);
    assert_eq!(records.len() as u64, end["acknowledged"].as_u64().expect("a number"));
    let identities: BTreeSet<_> = records.iter().map(|record| record["id"].to_string()).collect();
    assert_eq!(identities.len(), records.len());
}

#[test]
fn datagrams_are_sent_until_they_are_acknowledged() {
    let place = Place::new();
    let server = place.serve_with(&["--listen=teltonika=127.0.0.1:0"]);
    let arguments = ["--devices", "40", "--udp", "--history", "0.1", "--until-history-sent"];
    let end = Fleet::start(&place, &arguments, &targets(&listeners(&server))).end();
    assert_eq!((&end["acknowledged"], &end["caught_up"]), (&end["sent"], &Value::from(40)), "{end}");
    assert_eq!(place.records(&[]).len() as u64, end["acknowledged"].as_u64().expect("a number"));
}

#[test]
fn a_fleet_is_the_same_each_time_and_can_be_imported() {
    let place = Place::new();
    let arguments = ["--devices", "25", "--seed", "9"];
    let table = place.text(&[&["simulate", "--list"], &arguments[..]].concat());
    assert_eq!(table, place.text(&[&["simulate", "--list"], &arguments[..]].concat()));
    let file = place.write("fleet.csv", &table);
    let told = place.text(&["device", "import", file.to_str().expect("UTF-8"), "--apply"]);
    assert!(told.contains("25 new, 0 changed"), "{told}");
    assert!(told.contains("Germany / Hamburg"), "groups by country and city: {told}");
}

#[test]
fn whoever_calls_nobody_is_told() {
    let place = Place::new();
    let nobody = odograph_testkit::free_address();
    let target = format!("gt06={nobody}");
    let output =
        place.run(&["simulate", "--protocol", "gt06", "--devices", "1", "--target", &target, "--seconds", "8"]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("is a server listening where the devices call"), "{}", errors(&output));
    for wrong in [
        &["--protocol", "morse"][..],
        &["--city", "Atlantis"],
        &["--udp", "--protocol", "gt06"],
        &["--since", "1970-01-01"],
        &["--since", "9000-01-01"],
    ] {
        assert_eq!(place.run(&[&["simulate"], wrong].concat()).status.code(), Some(64), "{wrong:?}");
    }
}
