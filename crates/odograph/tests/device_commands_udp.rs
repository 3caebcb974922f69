//! Commands for devices that come by UDP, with a real server and real sockets: each is heard once at most, behind a datagram of its device,
//! also where the server is killed, and one that has expired never.

mod client;
mod common;

use client::Client;
use common::{Place, Server, until};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::Duration;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

const ID: &str = "352093086403655";
const PING: &str = "#AP#\r\n";
const WANTED: &str = "getver\r\n";

fn serve(place: &Place) -> Server {
    place.serve_with(&["--listen", "wialon=127.0.0.1:0"])
}

fn owner(place: &Place, server: &Server) -> Client {
    let text = place.text(&["token", "create", "--role", "owner", "--json"]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    Client::with_token(server.http(), made["secret"].as_str().expect("a secret"))
}

/// A device with a socket of its own.
struct Tracker(UdpSocket);

impl Tracker {
    fn of(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server.listener("udp")).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(socket)
    }

    fn say(&self, packet: &str) {
        self.0.send(format!("{ID}{packet}\r\n").as_bytes()).expect("it is sent");
    }

    fn hear(&self) -> String {
        let mut bytes = [0; 1500];
        let count = self.0.recv(&mut bytes).expect("a datagram");
        String::from_utf8(bytes[..count].to_vec()).expect("a text")
    }

    /// Whether it hears no more than the answer to a ping, twice: what would be sent behind the first one comes before the second.
    fn hears_nothing(&self) -> bool {
        (0..2).all(|_| {
            self.say("#P#");
            let answer = self.hear();
            std::thread::sleep(Duration::from_millis(300));
            answer == PING
        })
    }
}

fn send(api: &Client, wanted: &Value) -> i64 {
    let queued = api.post(&format!("/api/v1/devices/{ID}/commands"), wanted).of(201);
    queued["number"].as_i64().expect("a number")
}

fn command(api: &Client, number: i64) -> Value {
    api.get(&format!("/api/v1/devices/{ID}/commands/{number}")).of(200)
}

/// Waits until a command has this state.
fn becomes(api: &Client, number: i64, state: &str) -> Value {
    until(state, || Some(command(api, number)).filter(|now| now["state"] == state))
}

fn is_connected(api: &Client) -> bool {
    api.get(&format!("/api/v1/devices/{ID}/commands/types")).of(200)["connected"] == json!(true)
}

#[test]
fn a_command_waits_for_a_datagram_goes_behind_it_and_is_answered() {
    let place = Place::new();
    let server = serve(&place);
    let api = owner(&place, &server);
    api.post("/api/v1/devices", &json!({"ids": [ID], "protocol": "wialon"})).of(201);
    let number = send(&api, &json!({"text": "getver"}));
    assert!(!is_connected(&api));
    let tracker = Tracker::of(&server);
    tracker.say("#P#");
    assert_eq!((tracker.hear(), tracker.hear()), (PING.to_owned(), WANTED.to_owned()));
    assert!(is_connected(&api));
    // Its network gave it another address meanwhile.
    let moved = Tracker::of(&server);
    moved.say("#M#version 7");
    assert_eq!(moved.hear(), "#AM#1\r\n");
    let answered = becomes(&api, number, "answered");
    assert_eq!(answered["answer"], "version 7");
    assert!(answered["sent"].is_i64());
    // It was heard just now: the next one goes at once, to where that was.
    let number = send(&api, &json!({"type": "outputControl", "attributes": {"index": 1, "data": "1"}}));
    assert_eq!(moved.hear(), "L1=1\r\n");
    until("all of it to have left", || command(&api, number)["sent"].is_i64().then_some(()));
    let log = api.get(&format!("/api/v1/audit?kind=device&object={ID}")).of(200);
    let sent = log.as_array().expect("a list").iter().filter(|entry| entry["action"] == "command.sent").count();
    assert_eq!(sent, 2, "{log}");
    // What was sent lies among the device's bytes, as it was sent.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for text in [WANTED, "L1=1\r\n"] {
        until(text, || {
            let frames = api.get(&format!("/api/v1/devices/{ID}/frames?direction=out")).text();
            frames.to_lowercase().contains(&hex(text)).then_some(())
        });
    }
}

#[test]
fn an_expired_command_is_never_sent() {
    let place = Place::new();
    let server = serve(&place);
    let api = owner(&place, &server);
    api.post("/api/v1/devices", &json!({"ids": [ID], "protocol": "wialon"})).of(201);
    let number = send(&api, &json!({"text": "getver", "ttl_s": 1}));
    let ended = becomes(&api, number, "expired");
    assert!(ended["reason"].as_str().expect("a reason").contains("nothing was sent"), "{ended}");
    assert!(Tracker::of(&server).hears_nothing());
}

#[test]
fn a_server_that_is_killed_sends_nothing_twice_unless_it_may() {
    let place = Place::new();
    let mut server = serve(&place);
    let api = owner(&place, &server);
    api.post("/api/v1/devices", &json!({"ids": [ID], "protocol": "wialon"})).of(201);
    for repeatable in [false, true] {
        let api = owner(&place, &server);
        let tracker = Tracker::of(&server);
        tracker.say("#P#");
        assert_eq!(tracker.hear(), PING);
        let number = send(&api, &json!({"text": "getver", "repeatable": repeatable}));
        assert_eq!(tracker.hear(), WANTED);
        server.kill();
        server = serve(&place);
        let (api, tracker) = (owner(&place, &server), Tracker::of(&server));
        if repeatable {
            becomes(&api, number, "queued");
            tracker.say("#P#");
            assert_eq!((tracker.hear(), tracker.hear()), (PING.to_owned(), WANTED.to_owned()));
            tracker.say("#M#version 7");
            assert_eq!(becomes(&api, number, "answered")["attempts"], 2);
        } else {
            becomes(&api, number, "unknown");
            assert!(tracker.hears_nothing());
        }
    }
}
