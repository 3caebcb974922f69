//! What tenants use is counted exactly, whatever is killed, and quotas hold without losing anything that was acknowledged.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server, moment};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain: {what}");
}

fn config(place: &Place) -> PathBuf {
    let file = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"north\"\n\
                [ingest]\ndefault_ports = false\n[lake]\nflush_after = \"1 s\"\nframes_flush_after = \"1 s\"\n\
                late_flush_after = \"1 s\"\n";
    place.write("odograph.toml", file)
}

fn serve(place: &Place) -> Server {
    place.serve_with(&["--config", config(place).to_str().expect("a path")])
}

fn owner(place: &Place, server: &Server) -> Client {
    let text = place.text(&["token", "create", "--json", "--tenant", "north", "--role", "owner", "--name", "o"]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    Client::with_token(server.http(), made["secret"].as_str().expect("a secret"))
}

/// What those are told who manage tenants.
fn troubles(place: &Place, server: &Server) -> Value {
    let text = place.text(&["token", "create", "--json", "--role", "owner", "--system", "--name", "s"]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let system = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    system.get("/api/v1/system").of(200)["installation"]["troubles"].clone()
}

/// The sums of all days, since midnight may come in between.
fn total(owner: &Client) -> Value {
    owner.get("/api/v1/tenants/north/usage?from=2026-01-01").of(200)["total"].clone()
}

/// A device that sends positions, and sends again what was not acknowledged before a kill.
fn send(server: &Server, device: &str, seconds: std::ops::Range<u32>) -> usize {
    let mut sender = Device::connect(server.listener("tcp"));
    assert_eq!(sender.login(device), "#AL#1");
    seconds.filter(|second| sender.position(*second) == "#ASD#1").count()
}

#[test]
fn what_is_counted_survives_kills_without_doubling() {
    let place = Place::new();
    let mut positions = 0;
    for round in 0..6_u32 {
        let server = serve(&place);
        // Some are sent a second time in the next round: messages, and no records.
        positions += send(&server, "1", round * 10..round * 10 + 15);
        positions += send(&server, "2", round * 10..round * 10 + 10);
        // Before, between and after commits of tables.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 400));
        server.kill();
    }
    let server = serve(&place);
    let owner = owner(&place, &server);
    assert_eq!(positions, 6 * 25);
    let records = place.records(&["--tenant", "north"]).len();
    assert_eq!(records, 65 + 60);
    // A login is a message as well.
    let messages = 6 * 25 + 6 * 2;
    until("all is counted", || total(&owner)["messages"] == messages);
    let used = total(&owner);
    assert_eq!(used["records"], records);
    let frames = place.text(&["export", "frames", "--tenant", "north"]);
    let bytes = |direction: &str| -> usize {
        let lines = frames.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let of = lines.filter(|line| line["direction"] == direction && !line["device"].is_null());
        of.map(|line| line["hex"].as_str().map_or(0, str::len) / 2).sum()
    };
    assert_eq!((used["bytes_in"].clone(), used["bytes_out"].clone()), (bytes("in").into(), bytes("out").into()));
    let days = owner.get("/api/v1/tenants/north/usage?from=2026-01-01").of(200)["days"].clone();
    let days = days.as_array().expect("a list");
    assert!(days.iter().all(|day| day["devices"] == 2), "{days:?}");
    until("what is stored is looked at", || {
        let answer = owner.get("/api/v1/tenants/north/usage").of(200);
        answer["quotas"]["storage_bytes"]["used"].as_i64().expect("a number") > 1000
    });
    let lines = place.text(&["tenant", "usage", "north", "--from", "2026-01-01", "--csv"]);
    let mut lines = lines.lines();
    assert_eq!(lines.next(), Some("tenant,day,messages,records,bytes_in,bytes_out,devices,storage_bytes"));
    let counted: usize =
        lines.map(|line| line.split(',').nth(2).expect("a cell").parse::<usize>().expect("a number")).sum();
    assert_eq!(counted, messages);
}

#[test]
fn messages_beyond_the_quota_stay_with_the_device_and_come_later() {
    let place = Place::new();
    let server = serve(&place);
    place.text(&["tenant", "quota", "north", "--messages-per-day-max", "10"]);
    let owner = owner(&place, &server);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    let mut acknowledged = Vec::new();
    let mut second = 0;
    let mut say = |device: &mut Device, acknowledged: &mut Vec<u32>| {
        second += 1;
        let answered = device.say(&common::position(second)) == "#ASD#1";
        if answered {
            acknowledged.push(second);
        }
        std::thread::sleep(Duration::from_millis(20));
        answered
    };
    while say(&mut device, &mut acknowledged) {
        assert!(acknowledged.len() < 1000, "the quota never holds");
    }
    assert!(acknowledged.len() >= 9, "{}", acknowledged.len());
    server.log_line(|line| line["message"].as_str().is_some_and(|it| it.contains("refused until midnight UTC")));
    // It comes again, and is refused in its protocol's words; so is one that nobody knows.
    for id in ["1", "2"] {
        assert_eq!(Device::connect(server.listener("tcp")).login(id), "#AL#0", "{id}");
    }
    until("the quota shows", || {
        owner.get("/api/v1/tenants/north/usage").of(200)["quotas"]["messages_per_day"]["state"] == "reached"
    });
    let (_, health) = server.get("/healthz");
    assert!(health.contains("a tenant has reached a quota"), "{health}");
    assert!(health.contains("\"alarm_codes\":[\"quota_reached\"]"), "{health}");
    let what = "a tenant has reached a quota: devices of it are refused";
    assert_eq!(troubles(&place, &server), json!([{"code": "quota_reached", "part": "server", "what": what}]));
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("odograph_quota_refusals_total{quota=\"messages_per_day_max\"}"), "{metrics}");
    assert!(metrics.contains("odograph_tenants_at_quota{quota=\"messages_per_day\"} 1"), "{metrics}");
    // There is more to be had: the device sends what it kept, and goes on.
    place.text(&["tenant", "quota", "north", "--messages-per-day-max", "100000"]);
    until("it is let in", || Device::connect(server.listener("tcp")).login("1") == "#AL#1");
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    let last = acknowledged.last().expect("some") + 1;
    for second in last..last + 5 {
        assert_eq!(device.position(second), "#ASD#1");
        acknowledged.push(second);
    }
    let times: Vec<_> = place.records(&["--tenant", "north"]).iter().map(|it| it["time"].clone()).collect();
    assert_eq!(times, acknowledged.iter().map(|second| json!(moment(*second))).collect::<Vec<_>>());
}

#[test]
fn a_tenant_has_as_many_devices_as_it_may() {
    let place = Place::new();
    let server = serve(&place);
    let owner = owner(&place, &server);
    let login = |id: &str| Device::connect(server.listener("tcp")).login(id);
    assert_eq!(login("1"), "#AL#1");
    until("the first device is in the catalog", || owner.get("/api/v1/devices/1").status == 200);
    place.text(&["tenant", "quota", "north", "--devices-max", "5"]);
    for id in ["2", "x3", "x4"] {
        assert_eq!(login(id), "#AL#1");
    }
    server.log_line(|line| line["message"] == "the tenant comes near its quota" && line["quota"] == "devices");
    let (_, health) = server.get("/healthz");
    assert!(health.contains("a tenant comes near a quota"), "{health}");
    for id in ["x3", "x4"] {
        let path = format!("/api/v1/devices/{id}");
        until("the device is in the catalog", || owner.ask("DELETE", &path, None).status == 204);
    }
    place.text(&["tenant", "quota", "north", "--devices-max", "2"]);
    server.log_line(|line| line["message"].as_str().is_some_and(|it| it.contains("further devices are refused")));
    assert_eq!(login("3"), "#AL#0");
    assert_eq!(login("1"), "#AL#1");
    until("the devices are in the catalog", || {
        owner.get("/api/v1/tenants/north/usage").of(200)["quotas"]["devices"]
            == json!({"used": 2, "max": 2, "state": "reached"})
    });
    owner.ask("DELETE", "/api/v1/devices/2", None).of(204);
    until("room is made", || login("3") == "#AL#1");
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("odograph_quota_refusals_total{quota=\"devices_max\"}"), "{metrics}");
}

#[test]
fn a_tenant_without_space_is_refused_until_there_is_some() {
    let place = Place::new();
    let server = serve(&place);
    assert_eq!(send(&server, "1", 0..20), 20);
    let owner = owner(&place, &server);
    place.text(&["tenant", "quota", "north", "--storage-bytes-max", "100"]);
    let login = || Device::connect(server.listener("tcp")).login("1");
    until("it is refused", || login() == "#AL#0");
    until("the quota shows", || {
        owner.get("/api/v1/tenants/north/usage").of(200)["quotas"]["storage_bytes"]["state"] == "reached"
    });
    place.text(&["tenant", "quota", "north"]);
    until("it is let in", || login() == "#AL#1");
    assert_eq!(place.records(&["--tenant", "north"]).len(), 20);
}
