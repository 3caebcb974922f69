//! The journal cannot take more: nobody is read from, and nobody is blamed for that.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::OfDevices;
use odograph_protocols::Binding;
use std::sync::Arc;
use support::{Setup, Trial};

fn imei(number: usize) -> String {
    format!("35000000000{number:04}")
}

/// The worker has looked at all its sockets since this was asked.
fn has_had_its_turn(trial: &Trial) {
    let nobodys: OfDevices = Arc::new(|_: &Binding| false);
    for _ in 0..20 {
        assert_eq!(trial.gateway.end(&nobodys), Some(0));
    }
}

#[test]
fn once_the_disk_is_full_whoever_was_waited_for_is_not_read_from_either() {
    let trial = Setup::default().start();
    let mut all: Vec<_> = (0..50).map(|number| trial.log_in(&imei(number))).collect();
    // All of them are waited for, and then the disk fills up by what one of them sends.
    trial.disk.set_capacity(Some(trial.disk.used()));
    let stats = || trial.gateway.intake().journal.stats();
    for number in 0.. {
        if stats().full {
            break;
        }
        all[0].send_reading(number);
        assert!(all[0].is_acknowledged());
        // It is found behind the acknowledgement that the disk is full, within the same step of the writer's.
        while stats().step_since.is_some() {
            std::thread::yield_now();
        }
        has_had_its_turn(&trial);
    }
    let before = stats().appended;
    for caller in &mut all {
        caller.send_reading(1_000_000);
    }
    let mut late = trial.connect("350000000009999");
    late.send(&Speech::Teltonika.login("350000000009999"));
    has_had_its_turn(&trial);
    assert_eq!(stats().appended, before, "nothing is taken in that has no place");
    trial.disk.set_capacity(None);
    for caller in &mut all {
        assert!(caller.is_acknowledged());
    }
    assert_eq!(late.hear(true), Some(Heard::Login(true)));
    trial.gateway.stop().unwrap();
}
