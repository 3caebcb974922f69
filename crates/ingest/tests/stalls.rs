//! What looks like a stall and is none, and what is none and cannot be healed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::{Clock, SystemClock, UnixMillis};
use odograph_ingest::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::Setup;

const WAITING: &str = "350000000000001";
const QUEUED: &str = "350000000000003";

fn is_sick(health: &odograph_ingest::Health, part: &str) -> bool {
    health.parts.iter().any(|known| known.part == part && !known.healthy && known.problem.is_some())
}

/// The system's clock, which goes on by a while at once when the watchdog asks it: so it is after the whole process stood still,
/// where the watchdog happens to be the first to go on.
struct Jumping {
    system: SystemClock,
    armed: AtomicBool,
    ahead_s: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> UnixMillis {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        let watchdog = std::thread::current().name() == Some("watchdog");
        if watchdog && self.armed.swap(false, Ordering::AcqRel) {
            self.ahead_s.store(6, Ordering::Release);
        }
        self.system.monotonic() + Duration::from_secs(self.ahead_s.load(Ordering::Acquire))
    }
}

#[test]
fn a_pause_of_the_whole_process_is_not_taken_for_a_stall() {
    let (armed, ahead_s) = Default::default();
    let clock = Arc::new(Jumping { system: SystemClock::new(), armed, ahead_s });
    let trial = Setup { clock: clock.clone(), workers: 2, ..Setup::default() }.start();
    let mut waiting = [WAITING, QUEUED].map(|imei| trial.log_in(imei));
    clock.armed.store(true, Ordering::Release);
    let before = clock.system.monotonic();
    trial.wait_for("the watchdog to have looked twice behind the pause", |health| {
        assert!(health.healthy && health.ready, "{health:?}");
        let looked = clock.ahead_s.load(Ordering::Acquire) > 0;
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
    let limits = Limits { stop_max: Duration::from_secs(60), ..Limits::default() };
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
