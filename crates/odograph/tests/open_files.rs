//! More devices than open files: those that are here go on, the log says what is wrong, and it passes by itself.

mod common;

use common::{Device, Place, Server};
use std::process::{Command, Stdio};

const FILES_MAX: usize = 128;

#[test]
fn whoever_finds_no_open_file_waits_and_gets_in_later() {
    let place = Place::new();
    // Without this bound, connections are as many as there are files for.
    let config = place.write("odograph.toml", "[limits]\nconnections_max = 1000\n");
    let program = place.command(&["serve", "--config"]).get_program().to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {FILES_MAX}; exec \"$0\" \"$@\"")]).arg(program);
    command.args(["serve", "--listen", "wialon=127.0.0.1:0", "--config"]).arg(config);
    command.env("ODOGRAPH_DATA", place.data()).env("ODOGRAPH_HTTP__LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(command);
    let address = server.listener("tcp");
    let mut early = Device::connect(address);
    assert_eq!(early.login("1"), "#AL#1");
    let mut crowd: Vec<_> = (0..FILES_MAX).map(|_| Device::connect(address)).collect();
    let line = server.log_line(|line| line["reason"] == "accept");
    assert_eq!((&line["level"], &line["listener"]), (&"ERROR".into(), &address.to_string().into()), "{line}");
    assert_eq!(early.position(1), "#ASD#1", "who is here goes on");
    let mut late = crowd.pop().expect("the last one of the crowd");
    drop(crowd);
    assert_eq!(late.login("2"), "#AL#1");
    assert!(server.stop().success());
}
