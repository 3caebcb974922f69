//! Every part is stalled on purpose: the health says so, and a device that waits gets its acknowledgement without a
//! restart of the process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use compact_str::CompactString;
use odograph_env::{Clock, SystemClock, UnixMillis};
use odograph_fleet::Heard;
use odograph_ingest::{Devices, Limits, Listener, Roster};
use odograph_protocols::Binding;
use odograph_testkit::FaultDisk;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Gate, Setup};

const WAITING: &str = "350000000000001";
const STUCK: &str = "350000000000666";
const QUEUED: &str = "350000000000003";

fn is_sick(health: &odograph_ingest::Health, part: &str) -> bool {
    health.parts.iter().any(|known| known.part == part && !known.healthy && known.problem.is_some())
}

#[test]
fn a_disk_that_does_not_answer_delays_acknowledgements_and_loses_none() {
    let trial = Setup::default().start();
    let mut waiting = trial.log_in(WAITING);
    trial.disk.stall_syncs(true);
    waiting.send_reading(1);
    let sick = trial.wait_for("the journal to be reported", |health| is_sick(health, "journal"));
    assert!(!sick.healthy && !sick.ready);
    trial.disk.stall_syncs(false);
    assert!(waiting.is_acknowledged());
    trial.wait_for("everything to be well", |health| health.healthy && health.ready);
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
fn a_worker_that_hangs_is_replaced_and_its_devices_come_again() {
    let disk = FaultDisk::new();
    odograph_env::Disk::create_folder(&disk, Path::new("data")).unwrap();
    let (roster, _) = Roster::open(Arc::new(disk.clone()), Path::new("data"), 1000).unwrap();
    let devices = Arc::new(Stuck { roster, gate: Gate::default() });
    let trial = Setup { devices: Some(devices.clone()), ..Setup::default() }.start();
    let mut waiting = trial.log_in(WAITING);
    let mut stuck = trial.connect(STUCK);
    stuck.send(&odograph_fleet::Speech::Teltonika.login(STUCK));
    // The only worker hangs on the other device's login from here on.
    std::thread::sleep(Duration::from_millis(100));
    waiting.send_reading(1);
    let mut queued = trial.connect(QUEUED);
    queued.send(&odograph_fleet::Speech::Teltonika.login(QUEUED));
    assert_eq!(waiting.hear(false), None, "its connection was ended, so that it comes again");
    assert_eq!(queued.hear(true), Some(Heard::Login(true)), "who came meanwhile need not come again");
    let healed = trial.wait_for("the worker to be replaced", |health| health.healthy);
    assert_eq!(healed.parts.iter().find(|part| part.part == "worker-0").unwrap().replaced, 1);
    let mut again = trial.log_in(WAITING);
    again.send_reading(1);
    assert!(again.is_acknowledged());
    devices.gate.open();
    again.send_reading(2);
    assert!(again.is_acknowledged(), "the worker that goes on late does no harm");
    trial.gateway.stop().unwrap();
}

/// The system's clock, which the accept loop asks in vain while the gate is closed.
struct Frozen {
    system: SystemClock,
    armed: std::sync::atomic::AtomicBool,
    gate: Gate,
}

impl Clock for Frozen {
    fn now(&self) -> UnixMillis {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        let armed = self.armed.load(std::sync::atomic::Ordering::Acquire);
        if armed && std::thread::current().name() == Some("accept") {
            // Only the first loop hangs: the gate stands for something that its thread ran into.
            self.armed.store(false, std::sync::atomic::Ordering::Release);
            self.gate.pass();
        }
        self.system.monotonic()
    }
}

#[test]
fn an_accept_loop_that_hangs_is_replaced_and_waiting_devices_get_in() {
    let armed = std::sync::atomic::AtomicBool::new(false);
    let clock = Arc::new(Frozen { system: SystemClock::new(), armed, gate: Gate::default() });
    let trial = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut early = trial.log_in(WAITING);
    clock.armed.store(true, std::sync::atomic::Ordering::Release);
    trial.wait_for("the accept loop to be reported or replaced", |health| {
        is_sick(health, "accept") || health.parts.iter().any(|part| part.part == "accept" && part.replaced > 0)
    });
    let mut late = trial.log_in("350000000000002");
    late.send_reading(1);
    assert!(late.is_acknowledged());
    early.send_reading(1);
    assert!(early.is_acknowledged(), "connections that are open do not notice");
    assert_eq!(trial.health_of("accept").replaced, 1);
    clock.gate.open();
    trial.wait_for("everything to be well", |health| health.healthy);
    trial.gateway.stop().unwrap();
}

/// The system's clock, which goes on by a while at once when the watchdog asks it: so it is after the whole process stood still,
/// where the watchdog happens to be the first to go on.
struct Jumping {
    system: SystemClock,
    armed: std::sync::atomic::AtomicBool,
    ahead_s: std::sync::atomic::AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> UnixMillis {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        let watchdog = std::thread::current().name() == Some("watchdog");
        if watchdog && self.armed.swap(false, std::sync::atomic::Ordering::AcqRel) {
            self.ahead_s.store(6, std::sync::atomic::Ordering::Release);
        }
        self.system.monotonic() + Duration::from_secs(self.ahead_s.load(std::sync::atomic::Ordering::Acquire))
    }
}

#[test]
fn a_pause_of_the_whole_process_is_not_taken_for_a_stall() {
    let (armed, ahead_s) = Default::default();
    let clock = Arc::new(Jumping { system: SystemClock::new(), armed, ahead_s });
    let trial = Setup { clock: clock.clone(), workers: 2, ..Setup::default() }.start();
    let mut waiting = [WAITING, QUEUED].map(|imei| trial.log_in(imei));
    clock.armed.store(true, std::sync::atomic::Ordering::Release);
    let before = clock.system.monotonic();
    trial.wait_for("the watchdog to have looked twice behind the pause", |health| {
        assert!(health.healthy && health.ready, "{health:?}");
        let looked = clock.ahead_s.load(std::sync::atomic::Ordering::Acquire) > 0;
        looked && clock.system.monotonic() > before + Duration::from_secs(3)
    });
    for caller in &mut waiting {
        caller.send_reading(1);
        assert!(caller.is_acknowledged(), "connections live on");
    }
    assert!(trial.gateway.health().parts.iter().all(|part| part.replaced == 0), "{:?}", trial.gateway.health());
    trial.gateway.stop().unwrap();
}

#[test]
fn a_stop_that_takes_long_is_not_taken_for_a_stall() {
    let limits = Limits { stop_max: Duration::from_secs(7), ..Limits::default() };
    let trial = Setup { limits, workers: 2, ..Setup::default() }.start();
    let mut waiting = trial.log_in(WAITING);
    trial.disk.stall_syncs(true);
    waiting.send_reading(1);
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| trial.gateway.stop());
        // Longer than a part may show no life: those that have ended show none.
        std::thread::sleep(Duration::from_secs(6));
        assert!(trial.gateway.health().parts.iter().all(|part| part.replaced == 0), "nobody begins again");
        trial.disk.stall_syncs(false);
        stop.join().unwrap().unwrap();
    });
    assert!(waiting.is_acknowledged());
    assert_eq!(waiting.hear(false), None);
}

#[test]
fn a_journal_that_is_lost_acknowledges_nothing_and_says_so() {
    let trial = Setup::default().start();
    let mut waiting = trial.log_in(WAITING);
    trial.disk.fail_sync_after(0);
    waiting.send_reading(1);
    trial.wait_for("the loss to be reported", |health| is_sick(health, "journal"));
    assert!(trial.gateway.journal_lost() || !trial.gateway.health().ready);
    waiting.stream.set_nonblocking(true).unwrap();
    let mut byte = [0];
    let read = std::io::Read::read(&mut waiting.stream, &mut byte);
    assert!(!matches!(read, Ok(count) if count > 0), "nothing is acknowledged after a failed flush");
}
