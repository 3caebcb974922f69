//! `odograph serve` as a whole process: what devices get, what a crash leaves, how it ends.

mod common;

use common::{Device, Place, control, errors, moment, position, told};
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_device_logs_in_sends_and_is_acknowledged() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("352093081452251"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    assert_eq!(told(&place.records(&[])), [("352093081452251".to_owned(), moment(1))]);
}

#[test]
fn what_was_acknowledged_before_a_kill_is_exported_once_after_it() {
    let place = Place::new();
    let mut expected = Vec::new();
    for round in 0..3 {
        let server = place.serve();
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("1"), "#AL#1");
        // Each round sends the last position of the round before once more, as a device does whose ACK was lost.
        for second in (round * 10).max(1) - 1..round * 10 + 10 {
            assert_eq!(device.position(second), "#ASD#1");
        }
        expected.extend((round * 10..round * 10 + 10).map(|second| ("1".to_owned(), moment(second))));
        server.kill();
        assert_eq!(told(&place.records(&[])), expected, "from the folder");
        let server = place.serve();
        assert_eq!(told(&place.records(&[])), expected, "from the server");
        server.kill();
    }
}

#[test]
fn a_datagram_is_acknowledged_and_kept() {
    let place = Place::new();
    let server = place.serve_with(&["--listen", "teltonika=127.0.0.1:0"]);
    assert_eq!(server.listener("tcp"), server.listener("udp"), "port 0 is one port for both");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // From the maker's description of codec 8 over UDP.
    let message = "003dcafe0105000f33353230393330383634303336353508010000016b4f815b3001000000000000000000000000\
                   0000000103021503010101425dbc000001";
    let bytes = odograph_wire::notation::from_hex(message).expect("hex");
    socket.send_to(&bytes, server.listener("udp")).expect("a datagram is sent");
    let mut answer = [0; 64];
    let count = socket.recv(&mut answer).expect("an answer");
    assert_eq!(answer[..count], [0, 5, 0xca, 0xfe, 1, 5, 1]);
    let records = place.records(&[]);
    assert_eq!(records[0]["device"], "352093086403655");
    // The claim is more than 400 days old, so the time of receipt counts.
    assert_eq!(records[0]["time"], records[0]["received"]);
    assert_eq!(
        (&records[0]["time.source"], &records[0]["device.time"]),
        (&"received".into(), &"2019-06-13T06:23:26.000Z".into())
    );
}

#[test]
fn a_second_server_is_told_who_has_the_folder() {
    let place = Place::new();
    let server = place.serve();
    let second = place.run(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(75));
    assert!(
        errors(&second).contains(&format!("process {} holds the data folder", server.pid())),
        "{}",
        errors(&second)
    );
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    device.position(1);
    assert_eq!(server.stop().code(), Some(0));
    assert!(device.is_closed());
    assert!(!place.data().join("control.sock").exists());
    let again = place.serve();
    let open = again.start.iter().find(|line| line["message"] == "journal open").expect("a line about the journal");
    assert_eq!(open["segments_recovered"], 0, "a journal that was closed needs no recovery: {:?}", again.start);
}

#[test]
fn health_readiness_and_numbers_are_on_both_sockets() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    for (status, body) in [server.get("/healthz"), server.get("/readyz"), control(&place.data(), "/healthz")] {
        let health: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &health["healthy"], &health["ready"]), (200, &true.into(), &true.into()));
        assert!(health["parts"].as_array().expect("parts").iter().any(|part| part["part"] == "journal"));
    }
    for begin in [
        "odograph_connections{protocol=\"wialon\",transport=\"tcp\"} 1",
        "odograph_frames_total{protocol=\"wialon\",transport=\"tcp\"} 1",
        "odograph_ack_seconds_bucket{",
        "odograph_commit_seconds_bucket{",
        "odograph_commit_entries_bucket{",
        "# HELP odograph_journal_full ",
        "odograph_stalled{part=\"accept\"} 0",
        "odograph_stalled{part=\"worker-0\"} 0",
        "odograph_stalled{part=\"journal\"} 0",
        "odograph_stalled{part=\"seal\"} 0",
        "odograph_healed_total{part=\"accept\"} 0",
        "odograph_healed_total{part=\"worker-0\"} 0",
    ] {
        server.metric_begins(begin);
    }
    let (status, _) = server.get("/api/v1/devices");
    assert_eq!(status, 401, "devices are for those who say who they are");
    let (status, _) = server.get("/control/devices");
    assert_eq!(status, 404, "what commands ask is for the folder's owner alone");
    let mode = std::fs::metadata(place.data().join("control.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_server_that_stood_still_as_a_whole_ends_no_connection_and_replaces_nothing() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    server.signal("-STOP");
    // Longer than a part may show no life.
    std::thread::sleep(std::time::Duration::from_secs(6));
    server.signal("-CONT");
    // The watchdog has looked: whatever it would take for a hang, it would have replaced.
    let line = server.log_line(|line| {
        let text = line["message"].as_str().unwrap_or_default();
        assert!(!text.contains("shows no life") && !text.contains("replaced"), "{line}");
        text.starts_with("the whole process stood still")
    });
    assert!(line["ms"].as_u64() >= Some(5000), "{line}");
    assert_eq!(device.position(1), "#ASD#1", "its connection lives on");
    let (status, body) = server.get("/healthz");
    let health: Value = serde_json::from_str(&body).expect("JSON");
    let parts = health["parts"].as_array().expect("parts");
    assert!(status == 200 && parts.iter().all(|part| part["replaced"] == 0), "{body}");
}

#[test]
fn a_port_that_is_taken_is_left_out_unless_somebody_named_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let place = Place::new();
    let named = place.run(&["serve", "--listen", &format!("wialon={address}")]);
    assert_eq!(named.status.code(), Some(69));
    let who = format!("process {}", std::process::id());
    assert!(errors(&named).contains(&who), "{}", errors(&named));
    // Default ports: other tests may have them too, so one of them is taken here, or was before.
    let port = odograph_protocols::find("wialon").expect("a protocol").port;
    let _held = TcpListener::bind(("127.0.0.1", port));
    let mut command = place.command(&["serve"]);
    command.env("ODOGRAPH_INGEST__HOST", "127.0.0.1");
    let server = common::Server::start(command);
    let told = server.start.iter().any(|line| {
        let text = line["message"].as_str().unwrap_or_default();
        text.starts_with(&format!("cannot listen on 127.0.0.1:{port} for wialon (tcp)")) && text.ends_with("left out")
    });
    assert!(told, "{:?}", server.start);
}

#[test]
fn a_quarantined_device_is_kept_and_counts_once_it_is_accepted() {
    let place = Place::new();
    let file = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\n\
                transport = \"tcp\"\nunknown = \"quarantine\"\ntenant = \"north\"\n";
    let path = place.write("odograph.toml", file);
    let config = ["--config", path.to_str().expect("UTF-8")];
    let server = place.serve_with(&config);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("77"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    assert_eq!(told(&place.records(&[])), []);
    assert_eq!(told(&place.records(&["--quarantined"])), [("77".to_owned(), moment(1))]);
    let waiting = place.text(&["device", "list", "--state", "quarantined", "--json"]);
    let expected = "[{\"device\":\"77\",\"tenant\":\"north\",\"state\":\"quarantined\",\"protocol\":\"wialon\"}]\n";
    assert_eq!(waiting, expected);
    assert_eq!(place.text(&["device", "accept", "77"]), "77: accepted (was quarantined)\n");
    assert_eq!(place.text(&["device", "accept", "77", "--tenant", "north"]), "77: accepted (was accepted)\n");
    let stranger = ["device", "reject", "77", "--tenant", "south"];
    assert!(errors(&place.run(&stranger)).contains("south"), "nobody has that name");
    assert_eq!(device.position(2), "#ASD#1");
    let both = [("77".to_owned(), moment(1)), ("77".to_owned(), moment(2))];
    assert_eq!(told(&place.records(&[])), both);
    server.kill();
    assert_eq!(told(&place.records(&["--tenant", "north"])), both);
    let unknown = place.run(&["export", "records", "--tenant", "south"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", errors(&unknown));
    assert!(errors(&place.run(&stranger)).contains("south"), "nor without a server");
    assert_eq!(place.text(&["device", "reject", "77", "--tenant", "north"]), "77: rejected (was accepted)\n");
    let server = place.serve_with(&config);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("77"), "#AL#0");
}

#[test]
fn a_device_that_registered_just_before_a_kill_is_known_after_it() {
    let place = Place::new();
    let server = place.serve();
    Device::connect(server.listener("tcp")).login("4711");
    server.kill();
    std::fs::remove_file(place.data().join("devices.jsonl")).expect("the file of devices");
    assert_eq!(
        place.text(&["device", "list", "--json"]),
        "[{\"device\":\"4711\",\"tenant\":\"default\",\"state\":\"new\",\"protocol\":\"wialon\"}]\n"
    );
}

#[test]
fn a_listener_of_one_device_needs_no_login() {
    let place = Place::new();
    let file = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\n\
                transport = \"tcp\"\ndevice = \"truck\"\n";
    let path = place.write("odograph.toml", file);
    let server = place.serve_with(&["--config", path.to_str().expect("UTF-8")]);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.say(&position(5)), "#ASD#1");
    assert_eq!(told(&place.records(&[])), [("truck".to_owned(), moment(5))]);
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let place = Place::new();
    let free = odograph_testkit::free_address();
    let mut command = place.command(&["serve", "--listen", &format!("wialon={free}")]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
    let mut server = command.stderr(full).spawn().expect("the server starts");
    while std::net::TcpStream::connect(free).is_err() {
        assert!(server.try_wait().expect("it is asked").is_none(), "the server ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut device = Device::connect(free);
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is signalled");
    assert_eq!(server.wait().expect("it ends").code(), Some(0));
    assert_eq!(told(&place.records(&[])), [("1".to_owned(), moment(1))]);
}

#[test]
fn half_requests_take_health_from_nobody() {
    let place = Place::new();
    let server = place.serve();
    let address = server.http();
    let half: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(address).expect("it connects");
            std::io::Write::write_all(&mut stream, b"GET /healthz HT").expect("it takes a half request");
            stream
        })
        .collect();
    assert_eq!(server.get("/healthz").0, 200);
    drop(half);
}
