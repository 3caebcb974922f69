//! One server after another, and no device is refused meanwhile.

mod common;

use common::{Device, Place, Server, position, told};
use odograph_testkit::free_address;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// What those who connect all the time saw.
#[derive(Default)]
struct Seen {
    /// Connections that were refused, or not answered by the kernel.
    refused: AtomicU32,
    /// Connections that ended before the answer: the device comes again.
    ended: AtomicU32,
    acknowledged: AtomicU32,
    /// Answers over HTTP.
    asked: AtomicU32,
    /// Those that were cut short.
    cut: AtomicU32,
}

/// One device, whose position is of the second `number`: connects, logs in, sends it, and waits until it is acknowledged.
fn visit(address: SocketAddr, number: u32, seen: &Seen) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(30)) else {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let message = format!("#L#device-{number};NA\r\n{}\r\n", position(number));
    let mut answer = String::new();
    let mut bytes = [0; 64];
    let sent = stream.write_all(message.as_bytes());
    while sent.is_ok() && !answer.contains("#ASD#1") {
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 => answer.push_str(&String::from_utf8_lossy(&bytes[..count])),
            _ => break,
        }
    }
    let acknowledged = answer.contains("#ASD#1");
    let counted = if acknowledged { &seen.acknowledged } else { &seen.ended };
    counted.fetch_add(1, Ordering::Relaxed);
    acknowledged
}

/// Somebody asks over HTTP how the server is. What is being answered at the end is cut short, and nobody is refused.
fn ask(address: SocketAddr, seen: &Seen) {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(30)) else {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answered =
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200");
    let counted = if answered { &seen.asked } else { &seen.cut };
    counted.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn an_upgrade_under_load_refuses_no_connection_and_loses_nothing() {
    let place = Place::new();
    let (address, http) = (free_address(), free_address());
    let serve = |more: &[&str]| {
        let listen = format!("wialon={address}");
        let mut command = place.command(&[&["serve", "--listen", &listen], more].concat());
        command.env("ODOGRAPH_HTTP__LISTEN", http.to_string());
        Server::start(command)
    };
    let first = serve(&[]);
    let (seen, stop, next) = (Seen::default(), AtomicBool::new(false), AtomicU32::new(0));
    let acknowledged: BTreeSet<u32> = std::thread::scope(|scope| {
        let load = || {
            let mut mine = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if visit(address, number, &seen) {
                    mine.push(number);
                }
            }
            mine
        };
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ask(http, &seen);
            }
        });
        let reached = |count: u32| {
            while seen.acknowledged.load(Ordering::Relaxed) < count {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        reached(100);
        let second = serve(&["--take-over"]);
        assert_eq!(first.wait().code(), Some(0), "the first one ends in good order");
        let before = seen.acknowledged.load(Ordering::Relaxed);
        reached(before + 100);
        let third = serve(&["--take-over"]);
        assert_eq!(second.wait().code(), Some(0));
        let before = seen.acknowledged.load(Ordering::Relaxed);
        reached(before + 100);
        stop.store(true, Ordering::Relaxed);
        let mine: Vec<_> = loads.into_iter().flat_map(|load| load.join().expect("no panic")).collect();
        assert_eq!(third.stop().code(), Some(0));
        mine.into_iter().collect()
    });
    let (refused, ended) = (seen.refused.into_inner(), seen.ended.into_inner());
    let (asked, cut) = (seen.asked.into_inner(), seen.cut.into_inner());
    println!(
        "{} acknowledged, {ended} ended before; HTTP: {asked} answers, {cut} cut; {refused} refused",
        acknowledged.len()
    );
    assert_eq!(refused, 0);
    assert!(asked > 10, "{asked} answers over HTTP");
    let mut expected: Vec<_> = acknowledged.iter().map(|number| format!("device-{number}")).collect();
    let mut found: Vec<_> = told(&place.records(&[])).into_iter().map(|(device, _)| device).collect();
    // Whoever was cut off before the answer may be in there: he sends it again.
    found.retain(|device| expected.binary_search(device).is_ok() || expected.contains(device));
    expected.sort();
    found.sort();
    assert!(found == expected, "{} of {} acknowledged positions are there", found.len(), expected.len());
}

#[test]
fn without_a_server_to_follow_it_starts_as_ever() {
    let place = Place::new();
    let server = place.serve_with(&["--listen", "wialon=127.0.0.1:0", "--take-over"]);
    assert_eq!(Device::connect(server.listener("tcp")).login("1"), "#AL#1");
    server.kill();
    // What a crash left is nobody to follow either.
    let server = place.serve_with(&["--listen", "wialon=127.0.0.1:0", "--take-over"]);
    assert_eq!(Device::connect(server.listener("tcp")).login("1"), "#AL#1");
}

#[test]
fn a_server_that_was_asked_and_not_followed_goes_on() {
    let place = Place::new();
    let server = place.serve();
    let asking = std::os::unix::net::UnixStream::connect(place.data().join("succession.sock")).expect("it listens");
    drop(asking);
    let told = "another server was to follow, and is not ready: this one goes on";
    assert_eq!(server.log_line(|line| line["message"] == told)["level"], "WARN");
    assert_eq!(Device::connect(server.listener("tcp")).login("1"), "#AL#1");
}

#[test]
fn sockets_of_the_service_manager_are_taken_by_name_and_by_address() {
    if Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: there is no systemd-socket-activate (Debian: systemd)");
        return;
    }
    let place = Place::new();
    let (named, at) = (free_address(), free_address());
    let config = place.write(
        "odograph.toml",
        &format!(
            "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nsocket = \"trackers\"\n\
             [[listener]]\nprotocol = \"wialon\"\nlisten = \"{at}\"\ntransport = \"tcp\"\n"
        ),
    );
    let inner = place.command(&["serve", "--config", config.to_str().expect("UTF-8")]);
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--fdname=trackers:other", "-l", &named.to_string(), "-l", &at.to_string()]);
    for (name, value) in inner.get_envs() {
        let value = value.and_then(|value| value.to_str()).expect("it is set");
        command.args(["-E", &format!("{}={value}", name.to_str().expect("UTF-8"))]);
    }
    command.arg(inner.get_program()).args(inner.get_args());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // The first connection is what starts it, and waits until it has.
    let early = std::thread::spawn(move || {
        for _ in 0..6000 {
            if let Ok(stream) = TcpStream::connect(named) {
                return stream;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nobody listens");
    });
    let server = Server::start(command);
    let mut addresses: Vec<SocketAddr> = server
        .start
        .iter()
        .filter(|line| line["message"] == "listening")
        .map(|line| line["address"].as_str().expect("an address").parse().expect("an address"))
        .collect();
    addresses.sort();
    let mut expected = vec![named, at];
    expected.sort();
    assert_eq!(addresses, expected, "{:?}", server.start);
    let mut device = Device::over(early.join().expect("it connected"));
    assert_eq!((device.login("1"), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    let mut device = Device::connect(at);
    assert_eq!((device.login("2"), device.position(2)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
}

#[test]
fn a_socket_that_is_not_handed_over_is_told() {
    let place = Place::new();
    let config = place.write(
        "odograph.toml",
        "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nsocket = \"trackers\"\n",
    );
    let output = place.run(&["serve", "--config", config.to_str().expect("UTF-8")]);
    let expected = "no socket of the name \"trackers\" was handed over";
    assert!(common::errors(&output).contains(expected), "{}", common::errors(&output));
    assert_eq!(output.status.code(), Some(69));
}
