//! No open file is left: the devices that are here go on, the log says what is wrong, and it passes by itself.

mod common;

use common::{Device, Place, Server};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// So many more than it has open already.
const MORE: usize = 8;

/// Takes from a running server what it may open: it made sure at its start that its bounds leave room, but others may share
/// the system's files.
fn leave_few(server: &Server) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("the server runs").count();
    let limit = Rlimit { current: Some((open + MORE) as u64), maximum: Some((open + MORE) as u64) };
    let pid = Pid::from_raw(server.pid().cast_signed());
    prlimit(pid, Resource::Nofile, limit).expect("one's own process may be given less");
}

#[test]
fn whoever_finds_no_open_file_waits_and_gets_in_later() {
    let place = Place::new();
    let server = place.serve();
    let address = server.listener("tcp");
    let mut early = Device::connect(address);
    assert_eq!(early.login("1"), "#AL#1");
    leave_few(&server);
    let mut crowd: Vec<_> = (0..3 * MORE).map(|_| Device::connect(address)).collect();
    let line = server.log_line(|line| line["reason"] == "accept");
    assert_eq!((&line["level"], &line["listener"]), (&"ERROR".into(), &address.to_string().into()), "{line}");
    assert_eq!(early.position(1), "#ASD#1", "who is here goes on");
    let mut late = crowd.pop().expect("the last one of the crowd");
    drop(crowd);
    assert_eq!(late.login("2"), "#AL#1");
    assert!(server.stop().success());
}
