//! Doors that come and go while devices come by others: nobody loses what was acknowledged, and no neighbour notices.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Bound, DoorId, Listener, Tls, TlsFiles, Unknown};
use odograph_journal::{Kind, Reader};
use odograph_model::Lsn;
use odograph_protocols::Transport;
use odograph_protocols::detect::UNIDENTIFIED;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;
use support::sender::Sender;
use support::{Caller, PATIENCE, Setup, Trial};

const NEIGHBOUR: &str = "350000000000001";
const GUEST: &str = "350000000000002";

/// Opens a door on a free port.
fn open(trial: &Trial, transport: Transport) -> (DoorId, SocketAddr) {
    open_for(trial, Setup::listener("teltonika", transport))
}

/// The same for some listener, at an address of this machine that no other test takes a port of: who finds it shut or free afterwards
/// finds nobody else there.
fn open_for(trial: &Trial, mut listener: Listener) -> (DoorId, SocketAddr) {
    static NEXT: AtomicU8 = AtomicU8::new(10);
    listener.local = ([127, 0, 77, NEXT.fetch_add(1, Ordering::Relaxed)], 0).into();
    let bound = Bound::open(listener).unwrap();
    let address = bound.listener().local;
    (trial.gateway.open(bound), address)
}

fn log_in(address: SocketAddr, imei: &str) -> Caller {
    let mut caller = Caller::to(address);
    caller.send(&Speech::Teltonika.login(imei));
    assert_eq!(caller.hear(true), Some(Heard::Login(true)));
    caller
}

/// Why streams ended, in the order in which they did.
fn ends(trial: &Trial) -> Vec<String> {
    let reader = Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if entry.kind == Kind::CLOSE {
            all.push(String::from_utf8(entry.payload.to_vec()).unwrap());
        }
    }
    all
}

#[test]
fn a_door_opens_and_closes_while_a_neighbour_sends() {
    let trial = Setup { workers: 2, ..Setup::default() }.start();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut neighbour = trial.log_in(NEIGHBOUR);
            for number in 0.. {
                neighbour.send_reading(number);
                assert!(neighbour.is_acknowledged(), "its connection is never ended");
                acknowledged.fetch_add(1, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for round in 0..20 {
            let (door, address) = open(&trial, Transport::Tcp);
            let mut guest = log_in(address, GUEST);
            guest.send_reading(round);
            assert!(guest.is_acknowledged());
            assert_eq!(trial.gateway.connections_at(door), Some(1));
            assert!(trial.gateway.close(door), "the address is free");
            assert_eq!(guest.hear(false), None, "its connection ends");
            TcpStream::connect(address).unwrap_err();
            assert_eq!(trial.gateway.connections_at(door), None);
            drop(TcpListener::bind(address).unwrap());
            assert!(trial.gateway.close(door), "once more does nothing");
        }
        let before = acknowledged.load(Ordering::Relaxed);
        while acknowledged.load(Ordering::Relaxed) < before + 10 {
            std::thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
    });
    trial.wait_for("all to have gone", |_| trial.gateway.connections() == 0);
    trial.gateway.stop().unwrap();
    assert_eq!(ends(&trial).iter().filter(|why| *why == "shut").count(), 20);
}

#[test]
fn what_is_due_leaves_before_a_connection_ends_with_its_door() {
    let trial = Setup::default().start();
    let (door, address) = open(&trial, Transport::Tcp);
    let (mut guest, mut neighbour) = (log_in(address, GUEST), trial.log_in(NEIGHBOUR));
    trial.disk.stall_syncs(true);
    guest.send_reading(1);
    // What is flushed now is the guest's, so it was read.
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    neighbour.send_reading(1);
    trial.gateway.close(door);
    trial.disk.stall_syncs(false);
    assert!(guest.is_acknowledged());
    assert_eq!(guest.hear(false), None, "then the connection ends");
    assert!(neighbour.is_acknowledged());
    neighbour.send_reading(2);
    assert!(neighbour.is_acknowledged());
    trial.gateway.stop().unwrap();
}

#[test]
fn datagrams_come_by_a_door_until_it_is_closed() {
    let setup = Setup { workers: 2, transport: Transport::Udp, ..Setup::default() };
    let trial = setup.start();
    let neighbour = Sender::to(trial.address);
    for round in 0..10 {
        let (door, address) = open(&trial, Transport::Udp);
        let guest = Sender::to(address);
        assert!(guest.is_acknowledged(GUEST, 1) && neighbour.is_acknowledged(NEIGHBOUR, round));
        assert_eq!(trial.gateway.connections_at(door), Some(0), "datagrams are no connections");
        assert!(trial.gateway.close(door), "the address is free");
        drop(UdpSocket::bind(address).unwrap());
        assert!(neighbour.is_acknowledged(NEIGHBOUR, round));
    }
    trial.gateway.stop().unwrap();
    let ends = ends(&trial);
    assert_eq!(ends.iter().filter(|why| *why == "shut").count(), 10, "{ends:?}");
    assert_eq!(ends.last().map(String::as_str), Some("stopping"));
}

#[test]
fn whoever_was_found_to_speak_a_protocol_belongs_to_the_door_that_he_came_by() {
    let trial = Setup::default().start();
    let common = Listener::new(&UNIDENTIFIED, Transport::Tcp, ([127, 0, 0, 1], 0).into()).unwrap();
    let (door, address) = open_for(&trial, common);
    let (mut decided, mut undecided) = (log_in(address, GUEST), Caller::to(address));
    let mut neighbour = trial.log_in(NEIGHBOUR);
    trial.wait_for("both to be there", |_| trial.gateway.connections_at(door) == Some(2));
    assert!(trial.gateway.close(door));
    assert_eq!((decided.hear(false), undecided.hear(true)), (None, None));
    neighbour.send_reading(1);
    assert!(neighbour.is_acknowledged());
}

#[test]
fn another_listener_takes_a_doors_place_and_no_connection_is_refused() {
    let trial = Setup::default().start();
    let (mut door, address) = open(&trial, Transport::Tcp);
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                opened.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 0..20 {
            let before = opened.load(Ordering::Relaxed);
            let mut guest = log_in(address, GUEST);
            let mut listener = Setup::listener("teltonika", Transport::Tcp);
            listener.unknown = if round % 2 == 0 { Unknown::Reject } else { Unknown::Register };
            let next = trial.gateway.open(Bound::adopt(listener, trial.gateway.again(door).unwrap().unwrap()));
            trial.gateway.close(door);
            door = next;
            assert_eq!(guest.hear(false), None, "it comes again, under what holds now");
            let mut stranger = Caller::to(address);
            stranger.send(&Speech::Teltonika.login(&format!("35000000001{round:04}")));
            assert_eq!(stranger.hear(true), Some(Heard::Login(round % 2 == 1)));
            while opened.load(Ordering::Relaxed) < before + 5 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    trial.gateway.stop().unwrap();
}

#[test]
fn another_listener_takes_the_place_of_one_for_datagrams() {
    let trial = Setup::default().start();
    let (door, address) = open(&trial, Transport::Udp);
    let sender = Sender::to(address);
    assert!(sender.is_acknowledged(GUEST, 1));
    let mut listener = Setup::listener("teltonika", Transport::Udp);
    listener.access.deny = vec!["127.0.0.0/8".parse().unwrap()];
    let next = trial.gateway.open(Bound::adopt(listener, trial.gateway.again(door).unwrap().unwrap()));
    trial.gateway.close(door);
    sender.send(GUEST, 2);
    sender.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    sender.0.recv(&mut [0; 64]).unwrap_err();
    assert!(trial.gateway.close(next), "nobody has the socket any more");
    assert!(trial.gateway.again(next).is_none());
}

#[test]
fn certificates_of_a_door_that_was_opened_later_are_looked_at_too() {
    let trial = Setup::default().start();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.path().join("cert"), key: folder.path().join("key"), client_ca: None };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let tls = Arc::new(Tls::open(files.clone()).unwrap());
    let mut listener = Setup::listener("teltonika", Transport::Tcp);
    listener.tls = Some(tls.clone());
    let before = tls.config();
    let (door, _) = open_for(&trial, listener);
    let next = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    std::fs::write(&files.cert, next.cert.pem()).unwrap();
    std::fs::write(&files.key, next.signing_key.serialize_pem()).unwrap();
    trial.wait_for("the new certificate to hold", |_| !Arc::ptr_eq(&tls.config(), &before));
    assert!(trial.gateway.close(door));
    trial.gateway.stop().unwrap();
}
