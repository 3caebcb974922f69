//! What the numbers say is so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::Setup;
use support::told::{alone, counter};

const STAYS: &str = "350000000000001";
const LEAVES: &str = "350000000000002";

#[test]
fn an_answer_that_nobody_got_is_not_measured_as_one_that_left() {
    let _alone = alone();
    let trial = Setup::default().start();
    let (mut stays, mut leaves) = (trial.log_in(STAYS), trial.log_in(LEAVES));
    let measured = || counter("odograph_ack_seconds").unwrap();
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
