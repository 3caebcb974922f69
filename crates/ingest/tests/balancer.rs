//! Listeners behind a balancer: whose a connection is, and who may say it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Limits, Listener, Proxy};
use odograph_journal::{Kind, Reader};
use odograph_model::Lsn;
use odograph_protocols::Context;
use std::sync::Arc;
use support::{Caller, Setup, Trial, folder, reading};

const IMEI: &str = "350000000000001";
const OTHER: &str = "350000000000002";
const TEXT: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 5050\r\n";
/// The same in binary, as the balancer of the tests on whole processes says it.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x9c\x40\x13\xba";
/// What a balancer's own look at us says.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn trust(listener: &mut Listener, network: &str) {
    listener.proxy = Some(Proxy { trusted: vec![network.parse().unwrap()] });
}

fn start() -> Trial {
    Setup { listener: |listener| trust(listener, "127.0.0.0/8"), ..Setup::default() }.start()
}

/// A device that a balancer announces.
fn announced(trial: &Trial, header: &[u8]) -> Caller {
    let mut caller = trial.connect(IMEI);
    caller.send(header);
    caller
}

fn login(caller: &mut Caller, imei: &str) -> Option<Heard> {
    caller.send(&Speech::Teltonika.login(imei));
    caller.hear(true)
}

/// The streams of a journal: where each came from, and its bytes.
fn streams(trial: &Trial) -> Vec<(String, Vec<u8>)> {
    trial.gateway.stop().unwrap();
    let disk: Arc<dyn odograph_env::Disk> = Arc::new(trial.disk.clone());
    let mut entries = Reader::open(disk, &folder()).unwrap().entries(Lsn(0), None).unwrap();
    let mut streams: Vec<(u64, String, Vec<u8>)> = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if entry.kind == Kind::OPEN {
            let context = Context::read(entry.context.unwrap()).unwrap();
            streams.push((entry.stream, context.peer.into(), Vec::new()));
        }
        if [Kind::FRAME, Kind::SKIPPED, Kind::REMAINDER].contains(&entry.kind) {
            let (_, _, bytes) = streams.iter_mut().find(|(stream, ..)| *stream == entry.stream).unwrap();
            bytes.extend_from_slice(entry.payload);
        }
    }
    streams.into_iter().map(|(_, peer, bytes)| (peer, bytes)).collect()
}

#[test]
fn the_journal_has_the_devices_own_address_and_its_own_bytes() {
    for header in [TEXT, BINARY] {
        let trial = start();
        let mut caller = announced(&trial, header);
        assert_eq!(login(&mut caller, IMEI), Some(Heard::Login(true)));
        caller.send_reading(1);
        assert!(caller.is_acknowledged());
        let stream = [Speech::Teltonika.login(IMEI), Speech::Teltonika.frame(&[reading(1)], 1)].concat();
        assert_eq!(streams(&trial), [("192.0.2.7:40000".to_owned(), stream)]);
    }
}

#[test]
fn a_header_may_come_in_any_two_pieces_and_with_the_devices_first_bytes() {
    let trial = start();
    for header in [TEXT, BINARY] {
        let stream = [header, &Speech::Teltonika.login(IMEI)].concat();
        for cut in 1..stream.len() {
            let mut caller = announced(&trial, &stream[..cut]);
            // Long enough for it to be read by itself, most times.
            std::thread::sleep(std::time::Duration::from_millis(2));
            caller.send(&stream[cut..]);
            assert_eq!(caller.hear(true), Some(Heard::Login(true)), "cut at {cut}");
        }
    }
    assert!(
        streams(&trial)
            .iter()
            .all(|(peer, bytes)| { (peer.as_str(), bytes) == ("192.0.2.7:40000", &Speech::Teltonika.login(IMEI)) })
    );
}

#[test]
fn a_header_from_an_address_that_is_not_trusted_is_refused() {
    let trial = Setup { listener: |listener| trust(listener, "192.0.2.0/24"), ..Setup::default() }.start();
    let mut forger = trial.connect(IMEI);
    // It may have been closed before this.
    let _ = std::io::Write::write_all(&mut forger.stream, &[TEXT, &Speech::Teltonika.login(IMEI)].concat());
    assert_eq!(forger.hear(true), None);
    assert_eq!(streams(&trial), []);
    assert!(trial.roster.list().is_empty());
}

#[test]
fn what_is_no_header_is_refused_and_nothing_of_it_is_taken_for_a_devices() {
    let trial = start();
    let forged = b"PROXY TCP4 999.0.2.7 198.51.100.1 40000 5050\r\n";
    for wrong in [&Speech::Teltonika.login(IMEI)[..], b"\r\n\r\n\0\r\nQUIT\n\x31\0\0\0", forged] {
        let mut caller = announced(&trial, wrong);
        assert_eq!(caller.hear(true), None, "{}", wrong.escape_ascii());
    }
    // Cut short by the other side.
    let mut caller = announced(&trial, &TEXT[..20]);
    caller.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(caller.hear(true), None);
    // Awaited for some seconds, and then no longer.
    let mut caller = announced(&trial, &TEXT[..20]);
    assert_eq!(caller.hear(true), None);
    trial.wait_for("the places to be given back", |_| trial.gateway.connections() == 0);
    assert_eq!(streams(&trial), []);
}

#[test]
fn a_balancer_that_only_looks_leaves_nothing_behind() {
    let trial = start();
    for look in [LOCAL, b"PROXY UNKNOWN\r\n", b""] {
        drop(announced(&trial, look));
    }
    // One that says something, however, is heard.
    let mut caller = announced(&trial, LOCAL);
    let local = caller.stream.local_addr().unwrap().to_string();
    assert_eq!(login(&mut caller, IMEI), Some(Heard::Login(true)));
    trial.wait_for("the places to be given back", |_| trial.gateway.connections() == 1);
    let peers: Vec<_> = streams(&trial).into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(peers, [local]);
}

#[test]
fn lists_and_bounds_are_about_the_devices_own_address() {
    let trial = Setup {
        listener: |listener| {
            trust(listener, "127.0.0.1/32");
            listener.access.deny = vec!["192.0.2.8/32".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
        },
        limits: Limits { connections_per_address_max: 1, ..Limits::default() },
        ..Setup::default()
    }
    .start();
    let mut first = announced(&trial, TEXT);
    assert_eq!(login(&mut first, IMEI), Some(Heard::Login(true)));
    // Another one of the same address.
    assert_eq!(announced(&trial, TEXT).hear(true), None);
    // One of another.
    let mut second = announced(&trial, b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 5050\r\n");
    assert_eq!(login(&mut second, OTHER), Some(Heard::Login(true)));
    // One that is denied.
    assert_eq!(announced(&trial, b"PROXY TCP4 192.0.2.8 198.51.100.1 40000 5050\r\n").hear(true), None);
    assert_eq!(announced(&trial, b"PROXY TCP6 ::ffff:192.0.2.8 ::1 40000 5050\r\n").hear(true), None);
}
