//! What devices find: logins, refusals, bounds, and a server that stops in good order.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Limits, State, Unknown};
use odograph_model::Lsn;
use std::time::Duration;
use support::{Setup, Trial};

const IMEI: &str = "350000000000001";

fn state_of(trial: &Trial, imei: &str) -> Option<State> {
    trial.roster.get(None, imei).map(|known| known.state)
}

#[test]
fn an_unknown_device_registers_itself_and_is_acknowledged() {
    let trial = Setup::default().start();
    let mut caller = trial.log_in(IMEI);
    caller.send_reading(1);
    assert!(caller.is_acknowledged());
    assert_eq!(state_of(&trial, IMEI), Some(State::New));
}

#[test]
fn an_unknown_device_is_kept_apart_where_the_listener_says_so() {
    let trial = Setup { listener: |listener| listener.unknown = Unknown::Quarantine, ..Setup::default() }.start();
    let mut caller = trial.log_in(IMEI);
    caller.send_reading(1);
    assert!(caller.is_acknowledged());
    assert_eq!(state_of(&trial, IMEI), Some(State::Quarantined));
}

#[test]
fn an_unknown_device_gets_the_protocols_own_refusal_where_the_listener_says_so() {
    let trial = Setup { listener: |listener| listener.unknown = Unknown::Reject, ..Setup::default() }.start();
    let mut caller = trial.connect(IMEI);
    caller.send(&Speech::Teltonika.login(IMEI));
    assert_eq!(caller.hear(true), Some(Heard::Login(false)));
    assert_eq!(caller.hear(false), None, "the connection ends after the refusal");
    assert_eq!(state_of(&trial, IMEI), None, "who is refused is not remembered");
    trial.roster.decide(None, IMEI, State::Accepted, Lsn(0)).unwrap();
    trial.log_in(IMEI);
}

#[test]
fn data_before_a_login_is_kept_and_not_acknowledged() {
    let limits = Limits { identify_max: Duration::from_millis(1), ..Limits::default() };
    let trial = Setup { limits, ..Setup::default() }.start();
    let mut caller = trial.connect(IMEI);
    caller.send_reading(1);
    assert_eq!(caller.hear(false), None, "it never said who it is");
}

#[test]
fn a_second_connection_of_a_device_replaces_the_first() {
    let trial = Setup { workers: 2, ..Setup::default() }.start();
    let mut first = trial.log_in(IMEI);
    let mut second = trial.log_in(IMEI);
    assert_eq!(first.hear(false), None);
    second.send_reading(1);
    assert!(second.is_acknowledged());
}

#[test]
fn a_connection_is_that_of_the_device_that_it_named_last() {
    let trial = Setup::default().start();
    let mut both = trial.log_in(IMEI);
    both.send(&Speech::Teltonika.login("350000000000002"));
    assert_eq!(both.hear(true), Some(Heard::Login(true)));
    let mut first = trial.log_in(IMEI);
    both.send_reading(1);
    assert!(both.is_acknowledged(), "it is not the first device's any more");
    let mut second = trial.log_in("350000000000002");
    assert_eq!(both.hear(false), None, "the second device came again");
    first.send_reading(1);
    second.send_reading(1);
    assert!(first.is_acknowledged() && second.is_acknowledged());
}

#[test]
fn a_device_that_says_no_more_still_hears_what_is_due() {
    let trial = Setup::default().start();
    let mut caller = trial.log_in(IMEI);
    trial.disk.stall_syncs(true);
    caller.send_reading(1);
    caller.stream.shutdown(std::net::Shutdown::Write).unwrap();
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    trial.disk.stall_syncs(false);
    assert!(caller.is_acknowledged());
    assert_eq!(caller.hear(false), None, "then the connection ends");
    trial.wait_for("the place to be given back", |_| trial.gateway.connections() == 0);
}

#[test]
fn whoever_comes_while_the_disk_is_full_waits_at_the_door() {
    let trial = Setup::default().start();
    let mut early = trial.log_in(IMEI);
    trial.disk.set_capacity(Some(trial.disk.used()));
    for number in 0..2000 {
        early.send_reading(number);
    }
    trial.wait_for("the full disk to be reported", |health| !health.ready);
    let mut late: Vec<_> = (2..12).map(|number| trial.connect(&format!("35000000000{number:04}"))).collect();
    for (number, caller) in late.iter_mut().enumerate() {
        caller.send(&Speech::Teltonika.login(&format!("35000000000{number:04}")));
    }
    // The accept loop may have been in the middle of one.
    assert!(trial.gateway.connections() <= 2, "strangers make the journal grow in memory");
    trial.disk.set_capacity(None);
    for caller in &mut late {
        assert_eq!(caller.hear(true), Some(Heard::Login(true)));
    }
    trial.gateway.stop().unwrap();
}

#[test]
fn a_malformed_frame_is_not_acknowledged_and_the_next_one_is() {
    let trial = Setup::default().start();
    let mut caller = trial.log_in(IMEI);
    let mut frame = Speech::Teltonika.frame(&[support::reading(1)], 1);
    let last = frame.len() - 1;
    frame[last] ^= 1;
    caller.send(&frame);
    assert_eq!(caller.hear(false), Some(Heard::Acknowledged(Some(0))), "a count of nothing asks for the frame again");
    caller.send_reading(1);
    assert!(caller.is_acknowledged());
}

#[test]
fn connections_beyond_the_bound_are_closed_and_places_are_given_back() {
    let trial = Setup { limits: Limits { connections_max: 1, ..Limits::default() }, ..Setup::default() }.start();
    let first = trial.log_in(IMEI);
    let mut second = trial.connect("350000000000002");
    assert_eq!(second.hear(true), None);
    drop(first);
    trial.wait_for("the place to be given back", |_| trial.gateway.connections() == 0);
    trial.log_in("350000000000002");
}

#[test]
fn connections_from_one_address_can_be_bounded() {
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let trial = Setup { limits, ..Setup::default() }.start();
    let _first = trial.log_in(IMEI);
    assert_eq!(trial.connect("350000000000002").hear(true), None);
}

#[test]
fn a_full_disk_is_waited_for() {
    let trial = Setup::default().start();
    let mut caller = trial.log_in(IMEI);
    trial.disk.set_capacity(Some(trial.disk.used()));
    // Until the reserved space is used up, frames are acknowledged; then nothing is, and nothing breaks.
    for number in 0..2000 {
        caller.send_reading(number);
    }
    trial.wait_for("the full disk to be reported", |health| !health.ready);
    trial.disk.set_capacity(None);
    for _ in 0..2000 {
        assert!(caller.is_acknowledged());
    }
    trial.wait_for("everything to be well", |health| health.ready);
    trial.gateway.stop().unwrap();
}

#[test]
fn a_stop_acknowledges_what_is_durable_and_ends_every_connection() {
    let trial = Setup::default().start();
    let mut callers: Vec<_> = (0..20).map(|number| trial.log_in(&format!("35000000000{number:04}"))).collect();
    trial.disk.stall_syncs(true);
    callers.iter_mut().for_each(|caller| caller.send_reading(1));
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| trial.gateway.stop());
        std::thread::sleep(Duration::from_millis(100));
        trial.disk.stall_syncs(false);
        stop.join().unwrap().unwrap();
    });
    for mut caller in callers {
        let heard = caller.hear(false);
        // A frame that was read before the stop is acknowledged; one that was not read is the device's still.
        assert!(matches!(heard, None | Some(Heard::Acknowledged(Some(1)))), "{heard:?}");
    }
    assert_eq!(trial.gateway.connections(), 0);
}
