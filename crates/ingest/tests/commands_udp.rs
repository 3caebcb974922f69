//! Commands for devices that come by datagrams: where each goes, when, and what is said of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::{Clock, SystemClock};
use odograph_ingest::{Bound, Close, CommandObserver, DoorId, Fate, Limits, OfDevices, Order, Unsent};
use odograph_journal::{Kind, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Answer, Binding, Command, Conversation, Terms, Transport, find};
use std::sync::mpsc::{Receiver, Sender as Tell, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::sender::{Sender, acknowledgement};
use support::{PATIENCE, Setup, Trial};

const IMEI: &str = "350000000000001";
const OTHER: &str = "350000000000002";
const TICKET: u64 = 41;

/// Tells a test what becomes of commands, and who is here.
struct Told(Mutex<Tell<(u64, Fate)>>, Mutex<Tell<String>>);

impl CommandObserver for Told {
    fn arrived(&self, tenant: &str, device: &str) {
        let _ = self.1.lock().unwrap().send(format!("{tenant}/{device}"));
    }

    fn became(&self, ticket: u64, fate: Fate) {
        let _ = self.0.lock().unwrap().send((ticket, fate));
    }
}

/// A gateway with a door for datagrams, and whoever sends commands.
struct Bench {
    trial: Trial,
    became: Receiver<(u64, Fate)>,
    arrived: Receiver<String>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let trial = Setup { transport: Transport::Udp, workers: 2, limits, ..Setup::default() }.start();
        let ((fates, became), (arrivals, arrived)) = (channel(), channel());
        trial.gateway.observe_commands(Arc::new(Told(Mutex::new(fates), Mutex::new(arrivals))));
        Self { trial, became, arrived }
    }

    /// A device that has just sent something.
    fn device(&self, imei: &str) -> Sender {
        let sender = Sender::to(self.trial.address);
        self.speak(&sender, imei, 1);
        sender
    }

    /// A device sends something, and whoever sends commands hears that it is here.
    fn speak(&self, sender: &Sender, imei: &str, number: i64) {
        assert!(sender.is_acknowledged(imei, number));
        assert_eq!(self.arrived.recv_timeout(PATIENCE).unwrap(), format!("default/{imei}"));
    }

    fn order(&self, imei: &str) {
        self.trial.gateway.command(order(imei));
    }

    fn next(&self) -> (u64, Fate) {
        self.became.recv_timeout(PATIENCE).unwrap()
    }

    fn is_here(&self, tenant: &str, imei: &str) -> bool {
        self.trial.gateway.speaks(tenant, imei).is_some()
    }

    /// Whose it is and what, of all that was sent.
    fn journalled(&self) -> Vec<(String, Vec<u8>)> {
        let reader = Reader::open(Arc::new(self.trial.disk.clone()), &support::folder()).unwrap();
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let (mut owners, mut all) = (std::collections::HashMap::new(), Vec::new());
        while let Some(entry) = entries.next().unwrap() {
            if let Some(identity) = entry.identity {
                owners.insert(entry.stream, identity.device.to_owned());
            }
            if entry.kind == Kind::SENT {
                all.push((owners.get(&entry.stream).cloned().unwrap_or_default(), entry.payload.to_vec()));
            }
        }
        all
    }
}

fn order(imei: &str) -> Order {
    Order {
        ticket: TICKET,
        tenant: "default".into(),
        device: imei.into(),
        name: "getVersion".into(),
        attributes: Vec::new(),
        number: 1,
        expires: Time(SystemClock::new().now() + 3_600_000),
    }
}

/// The command as the protocol writes it.
fn command(imei: &str) -> Vec<u8> {
    let mut conversation = Conversation::new(find("teltonika").unwrap(), Terms::default());
    conversation.command(imei, &Command::new("getVersion", &[])).unwrap()
}

/// A device's answer, with the head that its datagrams have.
fn answer(imei: &str, text: &str) -> Vec<u8> {
    let mut rest = vec![0, 9, 1, 5, 0, imei.len() as u8];
    rest.extend(imei.as_bytes());
    rest.extend([0x0C, 1, 6, 0, 0, 0, text.len() as u8]);
    rest.extend(text.as_bytes());
    rest.push(1);
    let mut all = (rest.len() as u16).to_be_bytes().to_vec();
    all.extend(rest);
    all
}

fn said(text: &str) -> Fate {
    Fate::Answered(Answer { token: None, text: text.to_owned(), done: None })
}

#[test]
fn a_command_goes_back_to_where_its_device_was_heard_and_is_answered() {
    let bench = Bench::new();
    bench.order(IMEI);
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)), "it was never heard");
    let device = bench.device(IMEI);
    assert!(bench.is_here("default", IMEI) && !bench.is_here("other", IMEI));
    bench.trial.gateway.command(Order { tenant: "other".into(), ..order(IMEI) });
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)), "another tenant's device of the same id");
    bench.order(IMEI);
    assert_eq!(device.hear(), command(IMEI));
    assert_eq!(bench.next(), (TICKET, Fate::Sent));
    device.0.send(&answer(IMEI, "Ver:1")).unwrap();
    assert_eq!(bench.next(), (TICKET, said("Ver:1")));
    // An answer is one to one command.
    device.0.send(&answer(IMEI, "Ver:2")).unwrap();
    assert!(device.is_acknowledged(IMEI, 2));
    bench.trial.gateway.stop().unwrap();
    assert!(bench.became.try_recv().is_err());
    let expected = [acknowledgement(1), command(IMEI), acknowledgement(2)].map(|bytes| (IMEI.to_owned(), bytes));
    assert_eq!(bench.journalled(), expected);
    bench.order(IMEI);
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)));
}

#[test]
fn a_command_leaves_once_it_is_durable_unless_it_has_expired_by_then() {
    let bench = Bench::new();
    let device = bench.device(IMEI);
    for (patience_ms, leaves) in [(3_600_000, true), (1000, false)] {
        bench.trial.disk.stall_syncs(true);
        let expires = Time(SystemClock::new().now() + patience_ms);
        bench.trial.gateway.command(Order { expires, ..order(IMEI) });
        bench.trial.wait_for("the flush to be under way", |_| bench.trial.disk.stalled_syncs() > 0);
        // One at a time.
        bench.trial.gateway.command(Order { ticket: 7, ..order(IMEI) });
        assert_eq!(bench.next(), (7, Fate::Unsent(Unsent::Busy)));
        device.0.set_read_timeout(Some(Duration::from_millis(1200))).unwrap();
        assert!(device.0.recv(&mut [0; 64]).is_err(), "nothing leaves before the flush");
        device.0.set_read_timeout(Some(PATIENCE)).unwrap();
        bench.trial.disk.stall_syncs(false);
        if leaves {
            assert_eq!(bench.next(), (TICKET, Fate::Sent));
            assert_eq!(device.hear(), command(IMEI));
            device.0.send(&answer(IMEI, "Ver:1")).unwrap();
            assert_eq!(bench.next(), (TICKET, said("Ver:1")));
        } else {
            assert_eq!(bench.next(), (TICKET, Fate::Expired));
            assert!(device.is_acknowledged(IMEI, 3), "all that it hears is what comes behind it");
        }
    }
}

#[test]
fn a_device_that_comes_from_another_address_is_told_there_and_may_answer_from_a_third() {
    let bench = Bench::new();
    let (old, new) = (bench.device(IMEI), bench.device(IMEI));
    bench.order(IMEI);
    assert_eq!(new.hear(), command(IMEI));
    assert_eq!(bench.next(), (TICKET, Fate::Sent));
    let third = Sender::to(bench.trial.address);
    third.0.send(&answer(IMEI, "Ver:1")).unwrap();
    assert_eq!(bench.next(), (TICKET, said("Ver:1")));
    // And back to where it was at first.
    bench.speak(&old, IMEI, 2);
    bench.order(IMEI);
    assert_eq!((old.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
}

#[test]
fn of_two_devices_behind_one_address_each_gets_its_own_and_gives_its_own_answer() {
    let bench = Bench::new();
    let both = bench.device(IMEI);
    bench.speak(&both, OTHER, 2);
    assert!(!bench.is_here("default", IMEI) && bench.is_here("default", OTHER));
    bench.order(IMEI);
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)), "the other one was heard last");
    bench.speak(&both, IMEI, 3);
    bench.order(IMEI);
    assert_eq!((both.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
    bench.speak(&both, OTHER, 4);
    bench.trial.gateway.command(Order { ticket: 42, ..order(OTHER) });
    assert_eq!((both.hear(), bench.next()), (command(OTHER), (42, Fate::Sent)));
    for (imei, ticket) in [(OTHER, 42), (IMEI, TICKET)] {
        both.0.send(&answer(imei, imei)).unwrap();
        assert_eq!(bench.next(), (ticket, said(imei)));
    }
    bench.trial.gateway.stop().unwrap();
    let owners: Vec<_> = bench.journalled().into_iter().map(|(owner, _)| owner).collect();
    assert_eq!(owners, [IMEI, OTHER, IMEI, IMEI, OTHER, OTHER]);
}

#[test]
fn a_command_behind_a_datagram_that_names_nobody_is_its_devices() {
    let bench = Bench::new();
    let device = bench.device(IMEI);
    device.0.send(b"nobody knows what this is").unwrap();
    // By the same socket, so that it was taken in by then.
    let other = bench.device(OTHER);
    bench.order(IMEI);
    assert_eq!((device.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
    drop(other);
    bench.trial.gateway.stop().unwrap();
    assert_eq!(bench.journalled().last(), Some(&(IMEI.to_owned(), command(IMEI))));
}

#[test]
fn the_next_command_ends_the_wait_for_one_that_was_not_answered() {
    let bench = Bench::new();
    let device = bench.device(IMEI);
    bench.order(IMEI);
    assert_eq!((device.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
    bench.trial.gateway.command(Order { ticket: 42, ..order(IMEI) });
    assert_eq!(bench.next(), (TICKET, Fate::Lost(Close::Replaced)));
    assert_eq!((device.hear(), bench.next()), (command(IMEI), (42, Fate::Sent)));
    device.0.send(&answer(IMEI, "Ver:1")).unwrap();
    assert_eq!(bench.next(), (42, said("Ver:1")));
}

#[test]
fn a_device_that_has_a_connection_as_well_is_told_by_that() {
    let bench = Bench::new();
    let device = bench.device(IMEI);
    let bound = Bound::open(Setup::listener("teltonika", Transport::Tcp)).unwrap();
    let address = bound.listener().local;
    bench.trial.gateway.open(bound);
    let mut caller = support::Caller::to(address);
    caller.send(&odograph_fleet::Speech::Teltonika.login(IMEI));
    assert!(caller.hear(true).is_some());
    assert_eq!(bench.arrived.recv_timeout(PATIENCE).unwrap(), format!("default/{IMEI}"));
    bench.speak(&device, IMEI, 2);
    bench.order(IMEI);
    let mut heard = vec![0; command(IMEI).len()];
    std::io::Read::read_exact(&mut caller.stream, &mut heard).unwrap();
    assert_eq!((heard, bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
}

#[test]
fn a_door_that_closes_says_the_last_word_on_what_went_by_it() {
    for stalled in [false, true] {
        let bench = Bench::new();
        let device = bench.device(IMEI);
        bench.trial.disk.stall_syncs(stalled);
        bench.order(IMEI);
        if stalled {
            bench.trial.wait_for("the flush to be under way", |_| bench.trial.disk.stalled_syncs() > 0);
        } else {
            assert_eq!((device.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
        }
        // The first one.
        let gateway = bench.trial.gateway.clone();
        let closing = std::thread::spawn(move || gateway.close(DoorId::default()));
        let last = if stalled { Fate::Unsent(Unsent::Gone) } else { Fate::Lost(Close::Shut) };
        assert_eq!(bench.next(), (TICKET, last));
        assert!(!bench.is_here("default", IMEI));
        bench.trial.disk.stall_syncs(false);
        closing.join().unwrap();
        device.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(device.0.recv(&mut [0; 64]).is_err(), "what is said to be unsent does not leave");
        bench.order(IMEI);
        assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)));
    }
}

#[test]
fn what_is_under_way_to_a_device_that_is_erased_does_not_leave() {
    let bench = Bench::new();
    let device = bench.device(IMEI);
    bench.trial.disk.stall_syncs(true);
    bench.order(IMEI);
    bench.trial.wait_for("the flush to be under way", |_| bench.trial.disk.stalled_syncs() > 0);
    let of_device: OfDevices = Arc::new(|binding: &Binding| binding.device == IMEI);
    assert_eq!(bench.trial.gateway.end(&of_device), Some(0));
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)));
    assert!(!bench.is_here("default", IMEI));
    bench.trial.disk.stall_syncs(false);
    assert!(device.is_acknowledged(IMEI, 2), "all that it hears");
}

#[test]
fn a_device_whose_address_was_pushed_out_is_reached_when_it_comes_again() {
    let bench = Bench::with(Limits { udp_peers_max: 1, ..Limits::default() });
    let device = bench.device(IMEI);
    let _other = bench.device(OTHER);
    bench.order(IMEI);
    assert_eq!(bench.next(), (TICKET, Fate::Unsent(Unsent::Gone)));
    bench.speak(&device, IMEI, 2);
    bench.order(IMEI);
    assert_eq!((device.hear(), bench.next()), (command(IMEI), (TICKET, Fate::Sent)));
}
