//! A server that is to follow another fails, at each step and in each way: one of them serves afterwards, and never both.

mod common;
mod successor;

use common::{Device, Place, Server, errors, moment, told};
use odograph_testkit::free_address;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;
use successor::{Speaker, Starting};

/// A server, and all that it has acknowledged.
struct Trial {
    place: Place,
    address: SocketAddr,
    http: SocketAddr,
    acknowledged: Vec<(String, String)>,
}

impl Trial {
    fn new() -> Self {
        Self { place: Place::new(), address: free_address(), http: free_address(), acknowledged: Vec::new() }
    }

    fn command(&self, more: &[&str]) -> Command {
        let listen = format!("wialon={}", self.address);
        let mut command = self.place.command(&[&["serve", "--listen", &listen], more].concat());
        command.env("ODOGRAPH_HTTP__LISTEN", self.http.to_string());
        command
    }

    fn serve(&self, more: &[&str]) -> Server {
        Server::start(self.command(more))
    }

    fn follow(&self, more: &[&str]) -> Starting {
        Starting::new(self.command(&[&["--take-over"], more].concat()))
    }

    /// A device comes over TCP, and one over UDP, and both are acknowledged; somebody asks over HTTP how the server is.
    fn is_served(&mut self) {
        let number = u32::try_from(self.acknowledged.len()).expect("they are few");
        let device = format!("device-{number}");
        // A connection to a server that just stops ends, and the device comes again.
        let came = (0..TRIES).find(|_| visit(self.address, &device, number));
        assert!(came.is_some(), "nobody serves");
        self.acknowledged.push((device, moment(number)));
        let device = format!("device-{}", number + 1);
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        udp.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        udp.connect(self.address).expect("an address");
        udp.send(format!("{device}{}\r\n", common::position(number + 1)).as_bytes()).expect("it is sent");
        let mut answer = [0; 64];
        let count = udp.recv(&mut answer).expect("it is answered");
        assert_eq!(&answer[..count], b"#ASD#1\r\n");
        self.acknowledged.push((device, moment(number + 1)));
        assert!((0..TRIES).any(|_| answers(self.http)), "nobody answers over HTTP");
    }

    /// All that was acknowledged is there, once.
    fn all_there(mut self) {
        let mut found = told(&self.place.records(&[]));
        found.sort();
        self.acknowledged.sort();
        assert_eq!(found, self.acknowledged);
    }
}

/// So often somebody comes whose connection ends before he was answered.
const TRIES: u32 = 100;

/// A device connects, logs in and sends a position. Whether that was acknowledged.
fn visit(address: SocketAddr, device: &str, number: u32) -> bool {
    let mut stream = TcpStream::connect(address).expect("nobody is refused");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let (mut answer, mut bytes) = (String::new(), [0; 64]);
    let message = format!("#L#{device};NA\r\n{}\r\n", common::position(number));
    let mut goes_on = stream.write_all(message.as_bytes()).is_ok();
    while goes_on && !answer.contains("#ASD#1") {
        let count = stream.read(&mut bytes).unwrap_or_default();
        answer.push_str(&String::from_utf8_lossy(&bytes[..count]));
        goes_on = count > 0;
    }
    goes_on
}

/// Whether the HTTP server says that all is well.
fn answers(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).expect("nobody is refused");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
}

#[test]
fn a_successor_that_ends_at_any_step_leaves_the_server_as_it_was() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    let data = trial.place.data();
    type Step = (&'static str, fn(&mut Speaker));
    let steps: [Step; 8] = [
        ("it says nothing", |_| {}),
        ("it says what nobody understands", |speaker| speaker.raw(b"\0\x05hello")),
        ("it speaks another exchange", |speaker| {
            speaker.say(&json!({"ask": {"exchange": 1, "version": "0"}}));
            let refused = speaker.hear().expect("an answer");
            let why = "version 0 takes over in another way (1) than this one (2)";
            assert_eq!(refused, json!({"refuse": {"why": why}}));
        }),
        ("it asks, and waits for nothing", |speaker| {
            speaker.say(&json!({"ask": {"exchange": 2, "version": "test"}}));
        }),
        // TCP and UDP of the devices, and HTTP.
        ("it has all sockets", |speaker| assert_eq!(speaker.asks(), 3)),
        ("it cannot be ready", |speaker| {
            speaker.asks();
            speaker.say(&json!({"cannot": {"why": "a port is taken"}}));
            assert_eq!(speaker.hear().expect("an answer"), json!({"refuse": {"why": "a port is taken"}}));
        }),
        ("it is ready, and waits for nothing", |speaker| {
            speaker.asks();
            speaker.say(&json!("ready"));
        }),
        ("it has heard that the server stops", |speaker| {
            speaker.asks();
            speaker.is_ready();
        }),
    ];
    for (what, go) in steps {
        println!("{what}");
        let mut speaker = Speaker::connect(&data);
        go(&mut speaker);
        drop(speaker);
        trial.is_served();
    }
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_successor_that_hangs_with_the_sockets_is_forgotten_and_one_that_hangs_with_the_folder_is_named() {
    let mut trial = Trial::new();
    let mut command = trial.command(&[]);
    // Long enough for what happens meanwhile on a busy machine.
    command.env("ODOGRAPH_LIMITS__TAKE_OVER_MAX", "15 s");
    let mut server = Server::start(command);
    trial.is_served();
    // It has all sockets, stays, and is never ready: the server does not wait for it, neither meanwhile nor then.
    let mut hangs = Speaker::connect(&trial.place.data());
    assert_eq!(hangs.asks(), 3);
    trial.is_served();
    let refused = hangs.hear().expect("it is told");
    assert!(refused["refuse"]["why"].is_string(), "{refused}");
    server.log_line(|line| line["message"] == "another server was to follow, and is not ready: this one goes on");
    trial.is_served();
    assert!(server.runs());
    // The next one has the folder as well, and neither serves nor ends: nobody can take it back from it.
    let mut next = Speaker::connect(&trial.place.data());
    assert_eq!(next.asks(), 3);
    next.is_ready();
    next.has_the_folder();
    assert_eq!(server.wait().code(), Some(75), "it is named, and someone has to end it");
    drop((hangs, next));
    let server = trial.serve(&[]);
    trial.is_served();
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_server_goes_on_when_its_successor_ends_with_the_data_folder() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    for says_why in [false, true] {
        let mut speaker = Speaker::connect(&trial.place.data());
        speaker.asks();
        speaker.is_ready();
        speaker.has_the_folder();
        // Whoever comes now is refused by nobody, and waits.
        let waiting = TcpStream::connect(trial.address).expect("it is not refused");
        let asking = TcpStream::connect(trial.http).expect("it is not refused");
        if says_why {
            speaker.say(&json!({"cannot": {"why": "the journal is of a later version"}}));
        }
        drop(speaker);
        let mut waiting = Device::over(waiting);
        assert_eq!(waiting.login("who-waited"), "#AL#1");
        drop(asking);
        let told = "the other server did not come to serve: this one goes on";
        let line = server.log_line(|line| line["message"] == told);
        assert_eq!(line["level"], "ERROR", "{line}");
        let why = if says_why { "the journal is of a later version" } else { "it ended before it served" };
        assert_eq!(line["why"], why);
        trial.is_served();
        // It can be followed again, and asked by commands.
        assert!(trial.place.text(&["device", "list"]).contains("device-0"));
    }
    let follower = trial.serve(&["--take-over"]);
    assert_eq!(server.wait().code(), Some(0));
    trial.is_served();
    assert_eq!(follower.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_successor_that_fails_with_the_data_folder_gives_it_back() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    let mut command = trial.command(&["--take-over"]);
    // Found out last of all, when the journal is open and devices are served.
    command.env("ODOGRAPH_CATALOG__URL", "sqlite:/nowhere/at/all.sqlite");
    let mut follower = Starting::new(command);
    follower.says("has the data folder now");
    follower.says("cannot begin in the place of the server before, which goes on");
    assert_ne!(follower.wait().code(), Some(0));
    server.log_line(|line| line["message"] == "the other server did not come to serve: this one goes on");
    trial.is_served();
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_successor_that_is_killed_leaves_one_server() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    for line in [
        "following the server that has the data folder",
        "ready: the server before stops",
        "has the data folder now",
        "journal open",
    ] {
        println!("killed after {line:?}");
        let mut follower = trial.follow(&[]);
        follower.says(line);
        follower.kill();
        trial.is_served();
    }
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_successor_whose_configuration_is_wrong_never_gets_so_far() {
    let mut trial = Trial::new();
    let mut server = trial.serve(&[]);
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address");
    let tls = "protocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntls = { cert = \"/nowhere\", key = \"/nowhere\" }";
    for (listener, status, told) in [
        ("protocol = \"wilaon\"\nlisten = \"127.0.0.1:0\"".to_owned(), 78, "did you mean wialon?"),
        (tls.to_owned(), 78, "cannot read /nowhere"),
        ("protocol = \"wialon\"\nsocket = \"trackers\"".to_owned(), 69, "no socket of the name \"trackers\""),
        (
            format!("protocol = \"wialon\"\nlisten = \"{taken}\"\ntransport = \"tcp\""),
            69,
            &*format!("cannot listen on {taken}"),
        ),
    ] {
        let text = format!("[ingest]\ndefault_ports = false\n[[listener]]\n{listener}\n");
        let config = trial.place.write("odograph.toml", &text);
        let arguments = ["serve", "--take-over", "--config", config.to_str().expect("UTF-8")];
        let output = trial.place.run(&arguments);
        assert!(errors(&output).contains(told), "{told}: {}", errors(&output));
        assert_eq!(output.status.code(), Some(status), "{}", errors(&output));
        trial.is_served();
    }
    assert!(server.runs());
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn a_server_that_is_ended_meanwhile_leaves_its_place() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    // It hears that the new one asks only when it has been told to end.
    server.signal("-STOP");
    let mut follower = trial.follow(&[]);
    follower.says("asks the server that has the data folder for its sockets");
    server.signal("-TERM");
    server.signal("-CONT");
    assert_eq!(server.wait().code(), Some(0));
    follower.says("ready");
    trial.is_served();
    // By a signal while the new one has the folder, and does not yet serve.
    let server = follower;
    let mut speaker = Speaker::connect(&trial.place.data());
    speaker.asks();
    speaker.is_ready();
    speaker.has_the_folder();
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
    drop(speaker);
    let server = trial.serve(&["--take-over"]);
    trial.is_served();
    // While it stops, or just before or after that.
    let mut speaker = Speaker::connect(&trial.place.data());
    speaker.asks();
    speaker.say(&json!("ready"));
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
    // Where the lock is on its way, nobody but this one could take the folder.
    drop(speaker);
    trial.all_there();
}

#[test]
fn a_successor_that_is_ended_meanwhile_gives_the_place_back() {
    let mut trial = Trial::new();
    let mut server = trial.serve(&[]);
    trial.is_served();
    // While it waits for the sockets, and while it waits for the folder.
    server.signal("-STOP");
    let mut follower = trial.follow(&[]);
    follower.says("asks the server that has the data folder for its sockets");
    follower.signal("-TERM");
    follower.says("stopped before it took over: the server before goes on");
    assert_eq!(follower.wait().code(), Some(0));
    server.signal("-CONT");
    trial.is_served();
    // With the folder, before it has said that it serves.
    let mut follower = trial.follow(&[]);
    follower.says("has the data folder now");
    follower.signal("-TERM");
    follower.says("stopping before it took over: the server before goes on");
    assert_eq!(follower.wait().code(), Some(0));
    server.log_line(|line| line["message"] == "the other server did not come to serve: this one goes on");
    trial.is_served();
    assert!(server.runs());
    assert_eq!(server.stop().code(), Some(0));
    trial.all_there();
}

#[test]
fn of_two_successors_one_comes_to_serve() {
    let mut trial = Trial::new();
    let server = trial.serve(&[]);
    trial.is_served();
    let mut followers = vec![trial.follow(&[]), trial.follow(&[])];
    assert_eq!(server.wait().code(), Some(0));
    trial.is_served();
    while followers.iter_mut().all(Starting::runs) {
        std::thread::sleep(Duration::from_millis(20));
    }
    followers.retain_mut(Starting::runs);
    assert_eq!(followers.len(), 1);
    trial.is_served();
    let last = followers.remove(0);
    last.signal("-TERM");
    assert_eq!(last.wait().code(), Some(0));
    trial.all_there();
}
