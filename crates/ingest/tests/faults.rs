//! Something fails inside the server, on purpose: it costs whoever it was about and nobody else, and what has ended
//! begins again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use compact_str::CompactString;
use odograph_env::{Clock, SystemClock, UnixMillis};
use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Devices, Limits, Listener, OfDevices, Roster};
use odograph_protocols::{Binding, Transport};
use odograph_testkit::FaultDisk;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::Setup;
use support::sender::Sender;
use support::told::{alone, counter, gauge, lines};

const GOOD: &str = "350000000000001";
const BAD: &str = "350000000000666";

/// Decides like the roster, and fails over one device.
struct Failing(Roster);

impl Devices for Failing {
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding> {
        assert!(ids.iter().all(|id| id != BAD), "on purpose: a session fails");
        self.0.admit(ids, listener)
    }
}

fn failing() -> Option<Arc<dyn Devices>> {
    let disk = FaultDisk::new();
    odograph_env::Disk::create_folder(&disk, Path::new("data")).unwrap();
    let (roster, _) = Roster::open(Arc::new(disk), Path::new("data"), 1000).unwrap();
    Some(Arc::new(Failing(roster)))
}

#[test]
fn a_connection_over_which_we_fail_ends_and_gives_everything_back() {
    let _alone = alone();
    let faults = || counter("odograph_connections_closed_total{protocol=teltonika,reason=fault}").unwrap_or_default();
    let before = faults();
    let trial = Setup { devices: failing(), ..Setup::default() }.start();
    let mut good = trial.log_in(GOOD);
    for _ in 0..3 {
        let mut bad = trial.connect(BAD);
        bad.send(&Speech::Teltonika.login(BAD));
        assert_eq!(bad.hear(true), None, "its socket is closed");
    }
    trial.wait_for("the seats to be given back", |_| trial.gateway.connections() == 1);
    good.send_reading(1);
    assert!(good.is_acknowledged(), "the others go on");
    assert_eq!(faults() - before, 3);
    assert_eq!(gauge("odograph_connections{protocol=teltonika,transport=tcp}"), Some(1.0));
    let told = lines().into_iter().filter(|line| line["level"] == "ERROR" && line["reason"] == "fault");
    assert_eq!(told.count(), 3);
    let health = trial.gateway.health();
    assert!(health.healthy && health.parts.iter().all(|part| part.replaced == 0), "{health:?}");
    drop(good);
    trial.wait_for("the last one to have gone", |_| trial.gateway.connections() == 0);
    trial.gateway.stop().unwrap();
}

#[test]
fn a_datagram_over_which_we_fail_costs_its_sender_alone() {
    let _alone = alone();
    let trial = Setup { devices: failing(), transport: Transport::Udp, ..Setup::default() }.start();
    let (good, bad) = (Sender::to(trial.address), Sender::to(trial.address));
    for number in 1..4 {
        bad.send(BAD, number);
        assert!(good.is_acknowledged(GOOD, number), "the socket is still heard");
    }
    assert_eq!(trial.health_of("worker-0").replaced, 0);
    let told = lines().into_iter().filter(|line| line["level"] == "ERROR" && line["reason"] == "fault");
    assert_eq!(told.count(), 3);
    trial.gateway.stop().unwrap();
}

#[test]
fn a_worker_that_fails_as_a_whole_is_replaced_and_gives_everything_back() {
    let _alone = alone();
    let trial = Setup::default().start();
    let mut before = trial.log_in(GOOD);
    let fails = |_: &Binding| -> bool { panic!("on purpose: a worker fails") };
    let asked = trial.gateway.end(&(Arc::new(fails) as OfDevices));
    assert_eq!(asked, Some(0), "whoever asked is not left waiting");
    assert_eq!(before.hear(false), None, "its devices have to come again");
    trial.wait_for("the worker to be replaced", |health| {
        health.healthy && health.parts.iter().any(|part| part.part == "worker-0" && part.replaced == 1)
    });
    assert_eq!(trial.gateway.connections(), 0);
    assert_eq!(gauge("odograph_connections{protocol=teltonika,transport=tcp}"), Some(0.0));
    let mut again = trial.log_in(GOOD);
    again.send_reading(1);
    assert!(again.is_acknowledged());
    trial.gateway.stop().unwrap();
}

/// The system's clock, over which a thread fails once.
struct Broken {
    system: SystemClock,
    thread: &'static str,
    armed: AtomicBool,
}

impl Broken {
    fn of(thread: &'static str) -> Arc<Self> {
        Arc::new(Self { system: SystemClock::new(), thread, armed: AtomicBool::new(false) })
    }

    fn fail(&self) {
        let is_it = std::thread::current().name() == Some(self.thread);
        assert!(!is_it || !self.armed.swap(false, Ordering::AcqRel), "on purpose: {} fails", self.thread);
    }
}

impl Clock for Broken {
    fn now(&self) -> UnixMillis {
        self.fail();
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        self.fail();
        self.system.monotonic()
    }
}

#[test]
fn an_accept_loop_that_fails_is_replaced() {
    let _alone = alone();
    let clock = Broken::of("accept");
    let limits = Limits { stop_max: Duration::from_secs(2), ..Limits::default() };
    let trial = Setup { clock: clock.clone(), limits, ..Setup::default() }.start();
    let mut early = trial.log_in(GOOD);
    clock.armed.store(true, Ordering::Release);
    // Accepting it fails, and it is accepted again: it waits in the kernel, unless it was taken out already.
    let mut first = trial.connect("350000000000002");
    first.send(&Speech::Teltonika.login("350000000000002"));
    trial.wait_for("the accept loop to be replaced", |health| {
        health.healthy && health.parts.iter().any(|part| part.part == "accept" && part.replaced == 1)
    });
    let mut late = trial.connect("350000000000003");
    late.send(&Speech::Teltonika.login("350000000000003"));
    assert_eq!(late.hear(true), Some(Heard::Login(true)));
    early.send_reading(1);
    assert!(early.is_acknowledged(), "connections that are open do not notice");
    trial.gateway.stop().unwrap();
}

#[test]
fn a_sealing_thread_that_fails_is_told_and_devices_are_served() {
    let _alone = alone();
    let clock = Broken::of("seal");
    let trial = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut device = trial.log_in(GOOD);
    clock.armed.store(true, Ordering::Release);
    trial.gateway.intake().journal.end_segment();
    let health = trial.wait_for("the sealing thread to be told", |health| !health.healthy);
    assert!(health.ready, "data is taken");
    let seal = health.parts.iter().find(|part| part.part == "seal").unwrap();
    let problem = "segments of the journal are sealed no more until the server is started again";
    assert_eq!(seal.problem.as_deref(), Some(problem));
    trial.wait_for("the numbers to say so", |_| gauge("odograph_stalled{part=seal}") == Some(1.0));
    assert!(lines().iter().any(|line| line["level"] == "ERROR" && line["part"] == "seal"));
    device.send_reading(1);
    assert!(device.is_acknowledged());
    trial.gateway.stop().unwrap();
}
