//! What the numbers say is so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::{Limits, State};
use odograph_model::Lsn;
use odograph_protocols::Transport;
use support::Setup;
use support::sender::Sender;
use support::told::{alone, counter};

const STAYS: &str = "350000000000001";
const LEAVES: &str = "350000000000002";

#[test]
fn an_answer_that_nobody_got_is_not_measured_as_one_that_left() {
    let _alone = alone();
    let before = counter("odograph_ack_seconds").unwrap_or_default();
    let trial = Setup::default().start();
    let (mut stays, mut leaves) = (trial.log_in(STAYS), trial.log_in(LEAVES));
    let measured = || counter("odograph_ack_seconds").unwrap() - before;
    trial.wait_for("both logins to be measured", |_| measured() == 2);
    trial.disk.stall_syncs(true);
    leaves.send_reading(1);
    trial.wait_for("the flush to be under way", |_| trial.disk.stalled_syncs() > 0);
    // It resets the connection, so that there is nobody to whom the answer could be sent.
    rustix::net::sockopt::set_socket_linger(&leaves.stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(leaves);
    trial.wait_for("it to have gone", |_| trial.gateway.connections() == 1);
    stays.send_reading(1);
    trial.disk.stall_syncs(false);
    assert!(stays.is_acknowledged());
    trial.wait_for("the answer that left to be measured", |_| measured() >= 3);
    stays.send_reading(2);
    assert!(stays.is_acknowledged());
    trial.wait_for("the next one to be measured", |_| measured() >= 4);
    assert_eq!(measured(), 4, "two logins and two readings");
    trial.gateway.stop().unwrap();
}

#[test]
fn datagrams_that_are_refused_and_addresses_that_are_forgotten_are_counted() {
    let _alone = alone();
    let limits = Limits { udp_peers_max: 2, ..Limits::default() };
    let trial = Setup { limits, transport: Transport::Udp, ..Setup::default() }.start();
    let of = |name: &str| counter(&format!("{name}{{protocol=teltonika,transport=udp}}")).unwrap();
    assert_eq!((of("odograph_datagrams_refused_total"), of("odograph_peers_pushed_out_total")), (0, 0));
    trial.roster.decide(None, LEAVES, State::Rejected, Lsn(0)).unwrap();
    let refused = Sender::to(trial.address);
    refused.send(LEAVES, 1);
    refused.send(LEAVES, 2);
    for number in 1..4 {
        assert!(Sender::to(trial.address).is_acknowledged(STAYS, number));
    }
    assert_eq!((of("odograph_datagrams_refused_total"), of("odograph_peers_pushed_out_total")), (2, 2));
    trial.gateway.stop().unwrap();
}
