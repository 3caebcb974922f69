//! `odograph serve` where few files may be open: devices never take them all, and whoever asks how it is gets an answer.

mod common;

use common::{Device, Place, Server, control, errors};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// The command, under limits that a shell sets before.
fn limited(place: &Place, limits: &str, arguments: &[&str]) -> Command {
    let inner = place.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_flood_of_devices_leaves_files_for_everything_else() {
    let place = Place::new();
    let mut command = limited(&place, "ulimit -n 96", &["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_LIMITS__CONNECTIONS_MAX", "1000");
    let server = Server::start(command);
    let expected = "96 files may be open at a time, which leaves room for 24 connections of devices, not the 1000 of \
                    limits.connections_max: raise the hard limit with `LimitNOFILE=1256` in the systemd unit, or `ulimit -Hn 1256`";
    assert!(server.start.iter().any(|line| line["message"] == expected), "{:?}", server.start);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    let flood: Vec<_> = (0..200).map(|_| TcpStream::connect(server.listener("tcp")).expect("it connects")).collect();
    let mut last = flood.last().expect("a flood");
    last.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a timeout");
    let ended = std::io::Read::read(&mut last, &mut [0]);
    assert!(matches!(ended, Ok(0) | Err(_)), "the last one is refused: {ended:?}");
    assert_eq!(server.get("/healthz").0, 200);
    server.metric_becomes("odograph_connections{protocol=\"wialon\",transport=\"tcp\"} 24");
    assert_eq!(control(&place.data(), "/readyz").0, 200);
    assert!(place.text(&["device", "list", "--json"]).contains("\"device\":\"1\""));
    assert_eq!(device.position(1), "#ASD#1");
    assert_eq!(place.records(&[]).len(), 1);
}

#[test]
fn health_is_told_where_no_file_can_be_opened() {
    let place = Place::new();
    let server = place.serve();
    // A first answer: from then on everything is in place.
    assert_eq!((server.get("/healthz").0, control(&place.data(), "/healthz").0), (200, 200));
    let folder = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("its files");
    let number = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u64>().ok();
    let open: BTreeSet<u64> = folder.filter_map(number).collect();
    let first_free = (0..).find(|number| !open.contains(number)).expect("a number");
    let limit = Rlimit { current: Some(first_free), maximum: Some(first_free) };
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid")).expect("a pid");
    prlimit(Some(pid), Resource::Nofile, limit).expect("the limit is lowered");
    for _ in 0..3 {
        assert_eq!(server.get("/healthz").0, 200);
        assert_eq!(server.get("/metrics").0, 200);
        assert_eq!(control(&place.data(), "/healthz").0, 200);
    }
}

#[test]
fn the_doctor_says_what_to_do_about_few_files() {
    let place = Place::new();
    let output = limited(&place, "ulimit -n 64", &["doctor", "--json"]).output().expect("it runs");
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let files = findings.as_array().expect("findings").iter().find(|finding| finding["check"] == "open files");
    let files = files.expect("it looks at files");
    assert_eq!(files["found"], "64 files may be open at a time, which leaves room for 16 connections of devices");
    let remedy = "raise the hard limit with `LimitNOFILE=4096` in the systemd unit, or `ulimit -Hn 4096`";
    assert_eq!((&files["ok"], &files["do"]), (&false.into(), &remedy.into()));
}

#[test]
fn a_full_disk_at_the_start_is_told() {
    let place = Place::new();
    // No file may grow, which is what a full disk is to whoever writes.
    let mut command = limited(&place, "trap '' XFSZ; ulimit -f 0", &["serve", "--listen", "wialon=127.0.0.1:0"]);
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(73), "{}", errors(&output));
    let told = errors(&output);
    assert!(told.contains("cannot open the journal in") && told.contains("the disk is full: make room"), "{told}");
}
