//! Whoever is cut off is in the log, with the bound that was met, and nobody can fill the log by that.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::Speech;
use odograph_ingest::{Limits, Listener, Proxy, State, Unknown};
use odograph_model::Lsn;
use odograph_protocols::Transport;
use serde_json::Value;
use std::io::Write as _;
use std::time::Duration;
use support::sender::Sender;
use support::{Setup, Trial, told};

const IMEI: &str = "350000000000001";

fn start(setup: Setup) -> Trial {
    told::listen();
    setup.start()
}

/// The lines about those who were cut off at this trial's listener.
fn lines(trial: &Trial) -> Vec<Value> {
    told::lines().into_iter().filter(|line| line["listener"] == trial.address.to_string()).collect()
}

/// Waits for one such line, and gives what it says: level, reason, device, bound, value.
fn told(trial: &Trial) -> [String; 5] {
    trial.wait_for("a line in the log", |_| !lines(trial).is_empty());
    let line = lines(trial).remove(0);
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    ["level", "reason", "device", "bound", "value"].map(|key| match &line[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

#[test]
fn a_device_that_does_not_say_who_it_is() {
    let limits = Limits { identify_max: Duration::from_millis(1), ..Limits::default() };
    let trial = start(Setup { limits, ..Setup::default() });
    let _silent = trial.connect(IMEI);
    assert_eq!(told(&trial), ["INFO", "unidentified", "null", "limits.identify_max", "1ms"]);
}

#[test]
fn bytes_that_are_no_frames() {
    let trial = start(Setup::default());
    let mut caller = trial.log_in(IMEI);
    caller.send(b"GET / HTTP/1.1\r\n\r\n");
    let expected = ["INFO", "garbage", IMEI, "framing of teltonika", "neither a login nor a packet"];
    assert_eq!(told(&trial), expected);
}

#[test]
fn a_device_that_leaves_its_answers_unread() {
    let limits = Limits { unread_max: Duration::from_millis(1), ..Limits::default() };
    let trial = start(Setup { limits, speech: Speech::Wialon, ..Setup::default() });
    let mut caller = trial.connect(IMEI);
    caller.send(&Speech::Wialon.login(IMEI));
    caller.stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    // Until nothing more goes through in either direction.
    let pings = b"#P#\r\n".repeat(10_000);
    for _ in 0..10_000 {
        let _ = caller.stream.write(&pings);
        if !lines(&trial).is_empty() {
            break;
        }
    }
    assert_eq!(told(&trial), ["INFO", "unread", IMEI, "limits.unread_max", "1ms"]);
}

#[test]
fn a_message_without_an_end() {
    let begun = [&b"POST / HTTP/1.1\r\ncontent-length: 700000\r\n\r\nid=1&x="[..], &[b'x'; 5000]].concat();
    let limits = Limits { frame_time_max: Duration::from_millis(1), ..Limits::default() };
    let trial = start(Setup { limits, protocol: Some("osmand"), ..Setup::default() });
    let mut open = trial.connect(IMEI);
    open.send(&begun);
    assert_eq!(told(&trial), ["INFO", "incomplete", "null", "frame_time_max", "1ms"]);
    let limits = Limits { incomplete_bytes_max: 4096, ..Limits::default() };
    let trial = start(Setup { limits, protocol: Some("osmand"), ..Setup::default() });
    let mut open = trial.connect(IMEI);
    open.send(&begun);
    let expected = ["INFO", "incomplete-bytes", "null", "incomplete_bytes_max", "4096 bytes in a worker"];
    assert_eq!(told(&trial), expected);
}

#[test]
fn strangers_beyond_the_bound() {
    let trial = start(Setup { unknown_max: 1, ..Setup::default() });
    let _first = trial.log_in(IMEI);
    trial.connect("350000000000002").send(&Speech::Teltonika.login("350000000000002"));
    assert_eq!(told(&trial), ["INFO", "refused", "350000000000002", "limits.unknown_devices_max = 1", ""]);
}

#[test]
fn devices_that_are_refused_for_other_reasons() {
    let trial = start(Setup { listener: |listener| listener.unknown = Unknown::Reject, ..Setup::default() });
    trial.connect(IMEI).send(&Speech::Teltonika.login(IMEI));
    assert_eq!(told(&trial), ["INFO", "refused", IMEI, "unknown = reject", ""]);
    let trial = start(Setup::default());
    trial.roster.decide(None, IMEI, State::Rejected, Lsn(0)).unwrap();
    trial.connect(IMEI).send(&Speech::Teltonika.login(IMEI));
    assert_eq!(told(&trial), ["INFO", "refused", IMEI, "rejected by a person", ""]);
}

#[test]
fn connections_beyond_the_bound() {
    let trial = start(Setup { limits: Limits { connections_max: 1, ..Limits::default() }, ..Setup::default() });
    let _first = trial.log_in(IMEI);
    for _ in 0..50 {
        assert_eq!(trial.connect("350000000000002").hear(true), None);
    }
    assert_eq!(told(&trial), ["WARN", "connections_max", "null", "limits.connections_max", "1"]);
    // A part of them may have come in a second interval, on a slow machine.
    assert!(lines(&trial).len() <= 20, "an attacker fills the log: {} lines", lines(&trial).len());
    let sum = |line: &Value| line["reason"] == "connections_max" && line["left_out"].as_u64() >= Some(1);
    trial.wait_for("what was left out to be told", |_| told::lines().iter().any(sum));
}

#[test]
fn a_device_that_comes_again() {
    let trial = start(Setup::default());
    let mut first = trial.log_in(IMEI);
    let _second = trial.log_in(IMEI);
    assert_eq!(first.hear(false), None);
    assert_eq!(told(&trial), ["INFO", "replaced", IMEI, "connections of a device", "1"]);
}

#[test]
fn addresses_beyond_those_that_are_remembered() {
    let limits = Limits { udp_peers_max: 1, ..Limits::default() };
    let trial = start(Setup { limits, transport: Transport::Udp, ..Setup::default() });
    for number in 1..4 {
        assert!(Sender::to(trial.address).is_acknowledged(IMEI, number));
    }
    trial.wait_for("a line in the log", |_| !lines(&trial).is_empty());
    let line = lines(&trial).remove(0);
    let expected = ("WARN", "udp_peers_max", "limits.udp_peers_max", 1);
    let [level, reason, bound] = ["level", "reason", "bound"].map(|key| line[key].as_str().unwrap());
    assert_eq!((level, reason, bound, line["value"].as_i64().unwrap()), expected);
}

#[test]
fn connections_that_a_stop_does_not_wait_for() {
    let limits = Limits { stop_max: Duration::from_millis(100), ..Limits::default() };
    let trial = start(Setup { limits, ..Setup::default() });
    let mut waiting = [IMEI, "350000000000002"].map(|imei| trial.log_in(imei));
    trial.disk.stall_syncs(true);
    waiting.iter_mut().for_each(|caller| caller.send_reading(1));
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| trial.gateway.stop());
        let is_it = |line: &Value| line["bound"] == "limits.stop_max";
        trial.wait_for("what is cut off to be told", |_| told::lines().iter().any(is_it));
        let line = told::lines().into_iter().find(is_it).unwrap();
        assert_eq!(
            (&line["level"], &line["connections"], &line["value"]),
            (&"WARN".into(), &2.into(), &"100ms".into())
        );
        trial.disk.stall_syncs(false);
        stop.join().unwrap().unwrap();
    });
}

#[test]
fn who_is_denied_at_a_listener() {
    let trial = start(Setup {
        listener: |listener| listener.access.deny = vec!["127.0.0.0/8".parse().unwrap()],
        ..Setup::default()
    });
    assert_eq!(trial.connect(IMEI).hear(true), None);
    assert_eq!(told(&trial), ["WARN", "denied", "null", "listener.deny", "127.0.0.0/8"]);
}

#[test]
fn connections_beyond_the_bound_of_a_listener() {
    let trial = start(Setup { listener: |listener| listener.access.connections_max = 1, ..Setup::default() });
    let _first = trial.log_in(IMEI);
    assert_eq!(trial.connect("350000000000002").hear(true), None);
    assert_eq!(told(&trial), ["WARN", "listener_connections_max", "null", "listener.connections_max", "1"]);
}

#[test]
fn who_says_to_be_a_balancer_and_is_not_trusted() {
    let trial = start(Setup { listener: |listener| listener.proxy = Some(Proxy::default()), ..Setup::default() });
    assert_eq!(trial.connect(IMEI).hear(true), None);
    assert_eq!(told(&trial), ["WARN", "proxy_untrusted", "null", "listener.trusted", ""]);
}

#[test]
fn a_balancer_that_does_not_say_whose_a_connection_is() {
    let trust =
        |listener: &mut Listener| listener.proxy = Some(Proxy { trusted: vec!["127.0.0.1/32".parse().unwrap()] });
    let trial = start(Setup { listener: trust, ..Setup::default() });
    trial.connect(IMEI).send(&Speech::Teltonika.login(IMEI));
    assert_eq!(told(&trial), ["WARN", "proxy_header", "null", "PROXY protocol", "no header"]);
}
