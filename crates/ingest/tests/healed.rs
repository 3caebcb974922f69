//! The watchdog's promise: each part is stalled on purpose, and within ten seconds the health says so, the numbers and the log
//! do, and a device that waited gets its acknowledgement without a restart of the process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use compact_str::CompactString;
use odograph_env::{Clock, SystemClock, UnixMillis};
use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Bound, Devices, Gateway, Listener, Proxy, Roster};
use odograph_protocols::{Binding, Transport};
use odograph_testkit::FaultDisk;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::sender::{Sender, acknowledgement};
use support::told::{alone, counter, gauge, lines};
use support::{Caller, Gate, Setup, Trial};

const WAITING: &str = "350000000000001";
const STUCK: &str = "350000000000666";
const QUEUED: &str = "350000000000003";

/// The promise.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// A part that was stalled, and when, by the clock that the watchdog goes by.
struct Stall {
    part: &'static str,
    clock: Arc<dyn Clock>,
    begun: Duration,
    healed: Option<u64>,
}

impl Stall {
    /// Of a part that is well, and has its numbers: it is stalled next.
    fn of(part: &'static str, trial: &Trial, clock: Arc<dyn Clock>) -> Self {
        let health = trial.gateway.health();
        assert!(health.healthy && health.ready, "{health:?}");
        assert_eq!(
            gauge(&format!("odograph_stalled{{part={part}}}")),
            Some(0.0),
            "it is there before anything is wrong"
        );
        let healed = counter(&format!("odograph_healed_total{{part={part}}}"));
        Self { part, begun: clock.monotonic(), clock, healed }
    }

    /// Health, gauge and log tell it in time. Gives whether data was said to be taken meanwhile.
    fn is_seen(&self, trial: &Trial) -> bool {
        let (mut in_health, mut in_numbers, mut in_log, mut ready) = (false, false, false, true);
        trial.wait_for("the stall to be told everywhere", |health| {
            let sick =
                |part: &odograph_ingest::PartHealth| part.part == self.part && !part.healthy && part.problem.is_some();
            if health.parts.iter().any(sick) {
                assert!(!health.healthy, "what `/healthz` gives its status by");
                in_health = true;
                ready &= health.ready;
            }
            in_numbers |= gauge(&format!("odograph_stalled{{part={}}}", self.part)) == Some(1.0);
            in_log |= lines().iter().any(|line| line["level"] == "ERROR" && line["part"] == self.part);
            in_health && in_numbers && in_log
        });
        self.is_in_time("told");
        ready
    }

    /// It was replaced, once, in time; that is counted, in the log, and told for a while though all is well.
    fn is_healed(&self, trial: &Trial) {
        let health = trial.wait_for("everything to be well", |health| health.healthy && health.ready);
        self.is_in_time("healed");
        let part = health.parts.iter().find(|part| part.part == self.part).unwrap();
        assert_eq!(part.replaced, 1);
        let recently = part.recently.as_deref().unwrap();
        assert!(recently.starts_with("was replaced ") && recently.ends_with(" s ago: the log says why"), "{recently}");
        let healed = counter(&format!("odograph_healed_total{{part={}}}", self.part));
        assert_eq!(healed, Some(self.healed.unwrap() + 1), "it was registered before, and counts one more");
        assert!(lines().iter().any(|line| line["message"].as_str().unwrap().contains("hung or failed: replaced")));
        self.is_well_again(trial);
    }

    fn is_well_again(&self, trial: &Trial) {
        let stalled = format!("odograph_stalled{{part={}}}", self.part);
        trial.wait_for("the numbers to say that it is well", |_| gauge(&stalled) == Some(0.0));
        assert!(lines().iter().any(|line| line["message"] == "well again" && line["part"] == self.part));
    }

    fn is_in_time(&self, what: &str) {
        let took = self.clock.monotonic().saturating_sub(self.begun);
        assert!(took <= SEEN_WITHIN, "{} was {what} after {took:?}", self.part);
    }
}

#[test]
fn a_journal_writer_that_hangs_is_seen_and_what_waited_is_acknowledged_once_it_goes_on() {
    let _alone = alone();
    let clock = Arc::new(SystemClock::new());
    let trial = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut waiting = trial.log_in(WAITING);
    let stall = Stall::of("journal", &trial, clock);
    assert_eq!(stall.healed, None, "it cannot be replaced");
    trial.disk.stall_syncs(true);
    waiting.send_reading(1);
    assert!(!stall.is_seen(&trial), "nothing is acknowledged: `/readyz` says so");
    trial.disk.stall_syncs(false);
    assert!(waiting.is_acknowledged());
    trial.wait_for("everything to be well", |health| health.healthy && health.ready);
    stall.is_well_again(&trial);
    trial.gateway.stop().unwrap();
}

/// Decides like the roster, but never about one device.
struct Stuck {
    roster: Roster,
    gate: Gate,
}

impl Devices for Stuck {
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding> {
        if ids.iter().any(|id| id == STUCK) {
            self.gate.pass();
        }
        self.roster.admit(ids, listener)
    }
}

#[test]
fn a_worker_that_hangs_is_seen_and_replaced_and_its_devices_come_again() {
    let _alone = alone();
    let disk = FaultDisk::new();
    odograph_env::Disk::create_folder(&disk, Path::new("data")).unwrap();
    let (roster, _) = Roster::open(Arc::new(disk.clone()), Path::new("data"), 1000).unwrap();
    let (devices, clock) = (Arc::new(Stuck { roster, gate: Gate::default() }), Arc::new(SystemClock::new()));
    let (roster, parts, disk) =
        Setup { clock: clock.clone(), devices: Some(devices.clone()), ..Setup::default() }.parts();
    let mut listeners =
        [Transport::Tcp, Transport::Udp, Transport::Tcp].map(|transport| Setup::listener("teltonika", transport));
    listeners[2].proxy = Some(Proxy { trusted: vec!["127.0.0.1/32".parse().unwrap()] });
    let bound = listeners.map(|listener| Bound::open(listener).unwrap());
    let [address, datagrams, balanced] = [0, 1, 2].map(|number: usize| bound[number].listener().local);
    let trial = Trial { gateway: Gateway::start(parts, bound.into()).unwrap(), disk, address, roster };
    // One whose balancer has not said yet whose it is.
    let mut announced = Caller::to(balanced);
    trial.wait_for("it to be accepted", |_| trial.gateway.connections() == 1);
    let (mut waiting, sender) = (trial.log_in(WAITING), Sender::to(datagrams));
    assert!(sender.is_acknowledged(WAITING, 1));
    // The only worker hangs on the other device's login.
    let stall = Stall::of("worker-0", &trial, clock);
    let mut stuck = trial.connect(STUCK);
    stuck.send(&Speech::Teltonika.login(STUCK));
    trial.wait_for("the worker to hang", |_| devices.gate.waits());
    waiting.send_reading(1);
    sender.send(WAITING, 2);
    let mut queued = trial.connect(QUEUED);
    queued.send(&Speech::Teltonika.login(QUEUED));
    assert!(!stall.is_seen(&trial), "nobody reads: `/readyz` says so");
    assert_eq!(waiting.hear(false), None, "its connection was ended, so that it comes again");
    assert_eq!(announced.hear(true), None, "and so was one that had not begun");
    let mut again = trial.log_in(WAITING);
    again.send_reading(1);
    assert!(again.is_acknowledged());
    assert_eq!(queued.hear(true), Some(Heard::Login(true)), "who came meanwhile need not come again");
    queued.send_reading(1);
    assert!(queued.is_acknowledged());
    assert_eq!(sender.hear(), acknowledgement(2), "nor is a datagram lost");
    stall.is_healed(&trial);
    devices.gate.open();
    again.send_reading(2);
    assert!(again.is_acknowledged(), "the worker that goes on late does no harm");
    trial.gateway.stop().unwrap();
}

#[test]
fn a_worker_that_never_comes_back_keeps_nobody_out() {
    let _alone = alone();
    let disk = FaultDisk::new();
    odograph_env::Disk::create_folder(&disk, Path::new("data")).unwrap();
    let (roster, _) = Roster::open(Arc::new(disk), Path::new("data"), 1000).unwrap();
    let devices = Arc::new(Stuck { roster, gate: Gate::default() });
    let bound = |listener: &mut Listener| {
        listener.access.connections_max = 2;
        listener.access.connections_per_address_max = 2;
    };
    let trial = Setup { devices: Some(devices.clone()), listener: bound, ..Setup::default() }.start();
    let mut waiting = trial.log_in(WAITING);
    let mut stuck = trial.connect(STUCK);
    stuck.send(&Speech::Teltonika.login(STUCK));
    assert_eq!(waiting.hear(false), None, "the worker hung, and its connections were ended");
    let _again = trial.log_in(WAITING);
    let mut other = trial.log_in(QUEUED);
    other.send_reading(1);
    assert!(other.is_acknowledged());
    assert_eq!(trial.connect("350000000000004").hear(true), None, "the bound holds for those that are there");
    // Nobody but that worker can close what it has open.
    trial.wait_for("the place of who is turned away to be given back", |_| trial.gateway.connections() == 4);
    devices.gate.open();
    trial.wait_for("it to give back what it has", |_| trial.gateway.connections() == 2);
    assert_eq!(trial.connect("350000000000004").hear(true), None, "nothing is given back twice");
    trial.gateway.stop().unwrap();
}

/// The system's clock, which the accept loop asks in vain while the gate is closed.
struct Frozen {
    system: SystemClock,
    armed: AtomicBool,
    gate: Gate,
}

impl Clock for Frozen {
    fn now(&self) -> UnixMillis {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        let armed = self.armed.load(Ordering::Acquire);
        if armed && std::thread::current().name() == Some("accept") {
            // Only the first loop hangs: the gate stands for something that its thread ran into.
            self.armed.store(false, Ordering::Release);
            self.gate.pass();
        }
        self.system.monotonic()
    }
}

#[test]
fn an_accept_loop_that_hangs_is_seen_and_replaced_and_waiting_devices_get_in() {
    let _alone = alone();
    let armed = AtomicBool::new(false);
    let clock = Arc::new(Frozen { system: SystemClock::new(), armed, gate: Gate::default() });
    let trial = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut early = trial.log_in(WAITING);
    let stall = Stall::of("accept", &trial, clock.clone());
    clock.armed.store(true, Ordering::Release);
    trial.wait_for("the accept loop to hang", |_| clock.gate.waits());
    // It waits in the kernel until somebody accepts it.
    let mut late = trial.connect(QUEUED);
    late.send(&Speech::Teltonika.login(QUEUED));
    assert!(!stall.is_seen(&trial), "nobody gets in: `/readyz` says so");
    assert_eq!(late.hear(true), Some(Heard::Login(true)));
    late.send_reading(1);
    assert!(late.is_acknowledged());
    early.send_reading(1);
    assert!(early.is_acknowledged(), "connections that are open do not notice");
    stall.is_healed(&trial);
    clock.gate.open();
    trial.wait_for("everything to be well", |health| health.healthy);
    trial.gateway.stop().unwrap();
}
