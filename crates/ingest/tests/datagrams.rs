//! Devices that send datagrams: when they are answered, who they are, and from where they may come.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::{Limits, Listener, OfDevices, State, Unknown};
use odograph_journal::{Kind, Reader};
use odograph_model::Lsn;
use odograph_protocols::{Binding, Transport};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use support::sender::{Sender, acknowledgement, datagram};
use support::{Setup, Trial};

const IMEI: &str = "350000000000001";
const OTHER: &str = "350000000000002";

fn start(listener: fn(&mut Listener), limits: Limits) -> Trial {
    Setup { listener, limits, transport: Transport::Udp, ..Setup::default() }.start()
}

/// Whose the frames in the journal are, in order, by the frame's own name in it and the journal's.
fn journalled(trial: &Trial) -> Vec<(Kind, String)> {
    let reader = Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let (mut owner, mut all) = (String::new(), Vec::new());
    while let Some(entry) = entries.next().unwrap() {
        if let Some(identity) = entry.identity {
            identity.device.clone_into(&mut owner);
        }
        all.push((entry.kind, owner.clone()));
    }
    all
}

#[test]
fn a_datagram_is_answered_once_it_is_durable_and_not_before() {
    let trial = start(|_| {}, Limits::default());
    let sender = Sender::to(trial.address);
    assert!(sender.is_acknowledged(IMEI, 1));
    trial.disk.stall_syncs(true);
    sender.send(IMEI, 2);
    sender.send(IMEI, 3);
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    sender.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let early = sender.0.recv(&mut [0; 64]).unwrap_err();
    assert!(matches!(early.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{early}");
    sender.0.set_read_timeout(Some(support::PATIENCE)).unwrap();
    trial.disk.stall_syncs(false);
    assert_eq!(sender.hear(), acknowledgement(2));
    assert_eq!(sender.hear(), acknowledgement(3));
    trial.gateway.stop().unwrap();
}

#[test]
fn each_datagram_is_that_of_the_device_it_names() {
    let trial = start(|_| {}, Limits::default());
    let sender = Sender::to(trial.address);
    for (imei, number) in [(IMEI, 1), (OTHER, 2), (OTHER, 3), (IMEI, 4)] {
        assert!(sender.is_acknowledged(imei, number));
    }
    trial.gateway.stop().unwrap();
    let owners = journalled(&trial);
    let frames: Vec<_> = owners.iter().filter(|(kind, _)| *kind == Kind::FRAME).map(|(_, owner)| &owner[..]).collect();
    assert_eq!(frames, [IMEI, OTHER, OTHER, IMEI]);
    assert_eq!(owners.last(), Some(&(Kind::CLOSE, IMEI.to_owned())), "the stop ends the conversation");
}

#[test]
fn a_broken_datagram_is_kept_and_gets_no_answer() {
    let trial = start(|_| {}, Limits::default());
    let sender = Sender::to(trial.address);
    let mut broken = datagram(IMEI, 1);
    broken.pop();
    sender.0.send(&broken).unwrap();
    assert!(sender.is_acknowledged(IMEI, 2), "the only answer is that to the next one");
    trial.gateway.stop().unwrap();
    let frames = journalled(&trial).iter().filter(|(kind, _)| *kind == Kind::FRAME).count();
    assert_eq!(frames, 2);
}

#[test]
fn a_datagram_that_names_nobody_is_nobodys() {
    let trial = start(|_| {}, Limits::default());
    let sender = Sender::to(trial.address);
    let mut broken = datagram(OTHER, 2);
    broken.pop();
    assert!(sender.is_acknowledged(IMEI, 1));
    sender.0.send(&broken).unwrap();
    sender.0.send(&broken).unwrap();
    assert!(sender.is_acknowledged(IMEI, 3));
    assert!(sender.is_acknowledged(IMEI, 4));
    trial.gateway.stop().unwrap();
    let owners = journalled(&trial);
    let frames: Vec<_> = owners.iter().filter(|(kind, _)| *kind == Kind::FRAME).map(|(_, owner)| &owner[..]).collect();
    assert_eq!(frames, [IMEI, "", "", IMEI, IMEI]);
    let sent: Vec<_> = owners.iter().filter(|(kind, _)| *kind == Kind::SENT).map(|(_, owner)| &owner[..]).collect();
    assert_eq!(sent, [IMEI; 3]);
}

#[test]
fn what_a_person_decides_holds_from_the_next_datagram_on() {
    let trial = start(|listener| listener.unknown = Unknown::Reject, Limits::default());
    let sender = Sender::to(trial.address);
    sender.send(IMEI, 1);
    trial.roster.decide(None, OTHER, State::Accepted, Lsn(0)).unwrap();
    assert!(sender.is_acknowledged(OTHER, 2), "who is refused hears nothing");
    trial.roster.decide(None, IMEI, State::Accepted, Lsn(0)).unwrap();
    assert!(sender.is_acknowledged(IMEI, 3));
    trial.roster.decide(None, IMEI, State::Rejected, Lsn(0)).unwrap();
    sender.send(IMEI, 4);
    assert!(sender.is_acknowledged(OTHER, 5));
}

#[test]
fn of_a_device_that_is_kept_out_nothing_is_taken_in_and_its_conversation_has_ended() {
    let trial = start(|_| {}, Limits::default());
    let (sender, other) = (Sender::to(trial.address), Sender::to(trial.address));
    assert!(sender.is_acknowledged(IMEI, 1) && other.is_acknowledged(OTHER, 2));
    trial.roster.bar("default", Some(IMEI), []);
    let of_device: OfDevices = Arc::new(|binding: &Binding| binding.device == IMEI);
    assert_eq!(trial.gateway.end(&of_device), Some(0));
    // From another address, and from the same one, and in the other one's conversation.
    let another = Sender::to(trial.address);
    another.send(IMEI, 3);
    sender.send(IMEI, 4);
    other.send(IMEI, 5);
    // Whose these conversations are is decided already; and what cannot be read comes by one of them.
    another.send(IMEI, 8);
    sender.send(IMEI, 9);
    sender.0.send(b"it says that it is 350000000000001").unwrap();
    assert!(other.is_acknowledged(OTHER, 6), "the only answer, and to nobody else");
    trial.roster.let_in("default", Some(IMEI));
    assert!(sender.is_acknowledged(IMEI, 7), "the first answer since");
    trial.gateway.stop().unwrap();
    let reader = Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let (mut frames, mut closed, mut first) = (Vec::new(), None, None);
    while let Some(entry) = entries.next().unwrap() {
        first = first.or((entry.kind == Kind::FRAME).then_some(entry.stream));
        closed = closed.or((entry.kind == Kind::CLOSE && Some(entry.stream) == first).then_some(frames.len()));
        frames.extend((entry.kind == Kind::FRAME).then(|| entry.payload.to_vec()));
    }
    assert_eq!(closed, Some(2), "it ended when that was asked for");
    let full = |imei, number| datagram(imei, number);
    let none = Vec::new;
    let expected =
        [full(IMEI, 1), full(OTHER, 2), none(), none(), none(), none(), none(), none(), full(OTHER, 6), full(IMEI, 7)];
    assert_eq!(frames, expected, "that it came, and not what it said");
}

#[test]
fn peers_beyond_the_bound_push_out_the_one_that_was_silent_longest() {
    let trial = start(|_| {}, Limits { udp_peers_max: 2, ..Limits::default() });
    let senders: Vec<_> = (0..4).map(|_| Sender::to(trial.address)).collect();
    for round in 0..3 {
        for (number, sender) in senders.iter().enumerate() {
            assert!(sender.is_acknowledged(&format!("35000000000{number:04}"), round));
        }
    }
    trial.gateway.stop().unwrap();
    let kinds = journalled(&trial);
    let count = |wanted| kinds.iter().filter(|(kind, _)| *kind == wanted).count();
    assert_eq!((count(Kind::OPEN), count(Kind::CLOSE), count(Kind::FRAME)), (12, 12, 12));
}

#[test]
fn both_families_reach_a_socket_on_all_addresses() {
    let trial = start(|listener| listener.local = (Ipv6Addr::UNSPECIFIED, 0).into(), Limits::default());
    let port = trial.address.port();
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        assert!(Sender::to((address, port).into()).is_acknowledged(IMEI, 1), "{address}");
    }
}
