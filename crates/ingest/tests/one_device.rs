//! Listeners that belong to one device: who speaks there without a name, who says that he is another, and thousands of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Devices as _, Listener, Other, Roster, State, Unknown};
use odograph_model::Lsn;
use odograph_protocols::detect::UNIDENTIFIED;
use odograph_protocols::{Settings, Transport};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::time::Instant;
use support::{Caller, Setup, Trial};

const OWN: &str = "truck-7";
/// What the listener's device calls itself, where it does.
const IMEI: &str = "350000000000001";
const STRANGER: &str = "350000000000002";

/// A gateway with a listener that belongs to one device.
fn start(other: fn(&mut Listener)) -> Trial {
    let bind = |listener: &mut Listener, roster: &Roster| {
        roster.announce(&[OWN.into(), IMEI.into()], "north", Settings::default());
        listener.device = Some(roster.admit(&[OWN.into()], listener));
    };
    Setup { listener: other, bind: Box::new(bind), ..Setup::default() }.start()
}

fn says(trial: &Trial, imei: &str) -> Option<Heard> {
    let mut caller = trial.connect(imei);
    caller.send(&Speech::Teltonika.login(imei));
    caller.hear(true)
}

#[test]
fn who_does_not_say_who_he_is_is_the_listeners_device() {
    let trial = start(|_| {});
    let mut caller = trial.connect("nameless");
    caller.send_reading(1);
    assert!(caller.is_acknowledged());
    assert_eq!(trial.roster.list().len(), 1, "nobody registered");
}

#[test]
fn where_its_protocol_shows_later_the_device_is_there_with_that() {
    let trial = start(|listener| listener.protocol = &UNIDENTIFIED);
    let mut caller = trial.connect(IMEI);
    caller.send(&Speech::Teltonika.login(IMEI));
    assert_eq!(caller.hear(true), Some(Heard::Login(true)));
    let speaks = trial.gateway.speaks("north", OWN).map(|protocol| protocol.name);
    assert_eq!(speaks, Some("teltonika"), "commands for it are put into its words");
}

#[test]
fn who_says_one_of_its_ids_is_the_listeners_device() {
    let policies: [fn(&mut Listener); 3] =
        [|l| l.other = Other::Admit, |l| l.other = Other::Ignore, |l| l.other = Other::Refuse];
    for other in policies {
        let trial = start(other);
        let mut first = trial.connect("nameless");
        first.send_reading(1);
        assert!(first.is_acknowledged());
        assert_eq!(says(&trial, IMEI), Some(Heard::Login(true)));
        assert_eq!(first.hear(false), None, "it is the same device, which came again");
        assert_eq!(trial.roster.list().len(), 1);
    }
}

#[test]
fn who_says_that_he_is_another_is_that_one() {
    let trial = start(|_| {});
    assert_eq!(says(&trial, STRANGER), Some(Heard::Login(true)));
    assert_eq!(trial.roster.get(None, STRANGER).map(|known| known.state), Some(State::New));
    let trial = start(|listener| listener.unknown = Unknown::Reject);
    assert_eq!(says(&trial, STRANGER), Some(Heard::Login(false)), "what holds for strangers holds for him");
    assert_eq!(says(&trial, IMEI), Some(Heard::Login(true)));
}

#[test]
fn who_says_that_he_is_another_is_the_listeners_device_where_that_is_ignored() {
    let trial = start(|listener| listener.other = Other::Ignore);
    let mut caller = trial.log_in(STRANGER);
    caller.send_reading(1);
    assert!(caller.is_acknowledged());
    assert_eq!(trial.roster.get(None, STRANGER), None);
    let mut again = trial.connect("nameless");
    assert_eq!(caller.hear(false), None, "the device came again");
    again.send_reading(2);
    assert!(again.is_acknowledged());
}

#[test]
fn who_says_that_he_is_another_is_refused_where_the_listener_says_so() {
    let trial = start(|listener| listener.other = Other::Refuse);
    assert_eq!(says(&trial, STRANGER), Some(Heard::Login(false)));
    assert_eq!(trial.roster.get(None, STRANGER), None, "he is not remembered");
    // Also where he is a device in good standing elsewhere.
    trial.roster.decide(None, STRANGER, State::Accepted, Lsn(0)).unwrap();
    assert_eq!(says(&trial, STRANGER), Some(Heard::Login(false)));
    assert_eq!(says(&trial, IMEI), Some(Heard::Login(true)));
}

/// So many listeners, each of one device.
const MANY: usize = 5000;

/// What the process has: open files, and memory in use, in KiB.
fn in_use() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (std::fs::read_dir("/proc/self/fd").unwrap().count(), memory)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a start takes is measured on the real clock")]
fn thousands_of_listeners_are_cheap() {
    let most = getrlimit(Resource::Nofile).maximum;
    assert!(most.is_none_or(|most| most > MANY as u64 + 500), "the system lets us open {most:?} files only");
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let setup = Setup::default();
    let (roster, parts, disk) = setup.parts();
    let before = in_use();
    let begun = Instant::now();
    let bound: Vec<_> = (0..MANY)
        .map(|number| {
            let id = [format!("device-{number}").into()];
            roster.announce(&id, "north", Settings::default());
            let mut listener = Setup::listener("teltonika", Transport::Tcp);
            listener.device = Some(roster.admit(&id, &listener));
            odograph_ingest::Bound::open(listener).unwrap()
        })
        .collect();
    let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.listener().local).collect();
    let gateway = odograph_ingest::Gateway::start(parts, bound).unwrap();
    let mut callers: Vec<Caller> = [0, 1, MANY / 2, MANY - 1].map(|at| Caller::to(addresses[at])).into();
    for caller in &mut callers {
        caller.send_reading(1);
        assert!(caller.is_acknowledged());
    }
    let took = begun.elapsed();
    let after = in_use();
    let (files, memory) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    println!("{MANY} listeners: {took:?} until the last has answered, {files} more files, {memory} KiB more");
    // One file for each, and a few for the threads, the journal and the callers. Other tests of this file run beside it.
    assert!(files < MANY + 500, "{files} files for {MANY} listeners");
    assert!(memory < MANY * 16, "{memory} KiB for {MANY} listeners");
    gateway.stop().unwrap();
    drop(disk);
}
