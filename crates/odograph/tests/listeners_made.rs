//! Listeners that people make while the server runs, in whole processes: made and opened, changed, closed, removed; kept over a restart
//! and a take-over; a port that is taken; two at once; and two servers with one catalog.

mod client;
mod common;
mod successor;

use client::{Answer, Client};
use common::{Device, Place, Server, errors, told};
use odograph_testkit::free_address;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;
use successor::Starting;

const PATH: &str = "/api/v1/listeners";

/// A neighbour that nothing of this may disturb, by configuration.
const FIXED: &str = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\n\
    transport = \"tcp\"\n";

/// A data folder with a configuration, and who manages it.
struct Trial {
    place: Place,
    token: String,
}

impl Trial {
    fn new() -> Self {
        let place = Place::new();
        place.write("odograph.toml", FIXED);
        let made = place.text(&["token", "create", "--role", "owner", "--system", "--json"]);
        let made: Value = serde_json::from_str(&made).expect("JSON");
        Self { token: made["secret"].as_str().expect("a secret").to_owned(), place }
    }

    fn config(&self) -> String {
        self.place.folder.path().join("odograph.toml").to_str().expect("UTF-8").to_owned()
    }

    fn command(&self, more: &[&str]) -> Command {
        self.place.command(&[&["serve", "--config", &self.config()], more].concat())
    }

    fn serve(&self) -> Server {
        Server::start(self.command(&[]))
    }

    fn client(&self, server: &Server) -> Client {
        Client::with_token(server.http(), &self.token)
    }
}

fn change(client: &Client, made: &Value, body: &Value) -> Answer {
    client.ask("PATCH", &format!("{PATH}/{}", made["id"].as_str().expect("an id")), Some(body))
}

fn remove(client: &Client, made: &Value) {
    client.ask("DELETE", &format!("{PATH}/{}", made["id"].as_str().expect("an id")), None).of(204);
}

/// Asks until a listener stands so.
fn becomes(client: &Client, made: &Value, state: &str) -> Value {
    let path = format!("{PATH}/{}", made["id"].as_str().expect("an id"));
    let mut seen = client.get(&path).of(200);
    for _ in 0..600 {
        if seen["state"] == state {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(100));
        seen = client.get(&path).of(200);
    }
    panic!("it does not become {state}: {seen}");
}

/// A device comes, and its position is acknowledged. Gives the connection.
fn visits(address: SocketAddr, device: &str, second: u32) -> Device {
    let mut connection = Device::connect(address);
    assert_eq!(connection.login(device), "#AL#1");
    assert_eq!(connection.position(second), "#ASD#1");
    connection
}

fn sends(address: SocketAddr, device: &str, second: u32) {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    udp.connect(address).expect("an address");
    udp.send(format!("{device}{}\r\n", common::position(second)).as_bytes()).expect("it is sent");
    let mut answer = [0; 64];
    let count = udp.recv(&mut answer).expect("it is answered");
    assert_eq!(&answer[..count], b"#ASD#1\r\n");
}

#[test]
fn a_listener_is_made_changed_closed_and_removed_while_a_neighbour_sends() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let mut neighbour = visits(server.listener("tcp"), "neighbour", 0);
    let address = free_address();
    let made = client.post(PATH, &json!({"protocol": "wialon", "listen": address, "name": "Partner"})).of(201);
    assert_eq!((&made["state"], &made["problem"], &made["revision"]), (&json!("open"), &json!(null), &json!(1)));
    assert_eq!(
        (&made["tenant"], &made["transport"], &made["unknown"]),
        (&json!("default"), &json!("both"), &json!("register"))
    );
    let mut guest = visits(address, "guest", 1);
    sends(address, "sender", 2);
    let seen = client.get(PATH).of(200);
    let sockets = &seen["listeners"][0]["sockets"];
    let of = |number: usize| (sockets[number]["transport"].clone(), sockets[number]["connections"].clone());
    assert_eq!((of(0), of(1)), ((json!("tcp"), json!(1)), (json!("udp"), json!(0))), "{seen}");
    let fixed = &seen["others"][0];
    assert_eq!((&fixed["protocol"], &fixed["address"]), (&json!("wialon"), &json!(server.listener("tcp").to_string())));
    assert!(fixed["by"].as_str().expect("words").starts_with("the [[listener]] for wialon ("), "{fixed}");
    server.metric_becomes("odograph_listeners{state=\"open\"} 1");
    // What holds there changes: whoever is there comes again, under what holds now, and strangers are refused.
    let changed = change(&client, &made, &json!({"unknown": "reject", "if_revision": 1})).of(200);
    assert_eq!(
        (&changed["state"], &changed["revision"], &changed["name"]),
        (&json!("open"), &json!(2), &json!("Partner"))
    );
    assert!(guest.is_closed());
    let mut guest = visits(address, "guest", 3);
    assert_eq!(Device::connect(address).login("stranger"), "#AL#0");
    assert_eq!(change(&client, &made, &json!({"enabled": true, "if_revision": 1})).problem(409), "conflict");
    // Its name is nothing that anyone would have to come again for.
    change(&client, &made, &json!({"name": "Partner 2"})).of(200);
    assert_eq!(guest.position(4), "#ASD#1");
    let closed = change(&client, &made, &json!({"enabled": false})).of(200);
    assert_eq!((&closed["state"], &closed["sockets"]), (&json!("closed"), &json!([])));
    assert!(guest.is_closed());
    TcpStream::connect(address).expect_err("nobody is there");
    drop((TcpListener::bind(address).expect("it is free"), UdpSocket::bind(address).expect("it is free")));
    assert_eq!(change(&client, &made, &json!({"enabled": true})).of(200)["state"], "open");
    let guest = visits(address, "guest", 5);
    remove(&client, &made);
    assert!({ guest }.is_closed());
    TcpStream::connect(address).expect_err("nobody is there");
    assert_eq!(client.get(PATH).of(200)["listeners"], json!([]));
    assert_eq!(neighbour.position(6), "#ASD#1", "it never noticed");
    let log = client.get("/api/v1/audit?kind=listener").of(200);
    let actions = log.as_array().expect("a list").iter().map(|entry| entry["action"].as_str().expect("an action"));
    let expected = ["delete", "update", "update", "update", "update", "create"].map(|one| format!("listener.{one}"));
    assert_eq!(actions.collect::<Vec<_>>(), expected);
    let mut found = told(&trial.place.records(&[]));
    found.sort();
    let of = |device: &str, seconds: &[u32]| {
        seconds.iter().map(|second| (device.to_owned(), common::moment(*second))).collect::<Vec<_>>()
    };
    assert_eq!(found, [of("guest", &[1, 3, 4, 5]), of("neighbour", &[0, 6]), of("sender", &[2])].concat());
    assert!(server.stop().success());
}

#[test]
fn a_device_that_sends_all_the_time_loses_nothing_by_changes_of_its_own_listener() {
    const POSITIONS: u32 = 300;
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let address = free_address();
    let made = client.post(PATH, &json!({"protocol": "wialon", "listen": address, "transport": "tcp"})).of(201);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u32.. {
                let networks = json!([format!("10.{}.0.0/16", number % 200)]);
                change(&client, &made, &json!({"deny": networks})).of(200);
                if is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(number > 3, "it was changed while the device sent");
                    return;
                }
            }
        });
        let mut connection = None;
        for second in 0..POSITIONS {
            // As devices do: a position that was not acknowledged is sent again, by another connection.
            while say(&mut connection, &common::position(second)).as_deref() != Some("#ASD#1") {
                connection = Some(BufReader::new(TcpStream::connect(address).expect("nobody is refused")));
                say(&mut connection, "#L#guest;NA");
            }
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut found: Vec<_> = told(&trial.place.records(&[])).into_iter().map(|(_, time)| time).collect();
    found.sort();
    let mut expected: Vec<_> = (0..POSITIONS).map(common::moment).collect();
    expected.sort();
    assert_eq!(found, expected, "each once");
    assert!(server.stop().success());
}

/// Says a line by a connection, if there is one, and it has not ended; gives what answers it, if anything does.
fn say(connection: &mut Option<BufReader<TcpStream>>, line: &str) -> Option<String> {
    let stream = connection.as_mut()?;
    stream.get_mut().set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).ok().filter(|count| *count > 0)?;
    Some(answer.trim_end().to_owned())
}

#[test]
fn what_was_made_is_there_after_a_restart_and_for_a_successor() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let (address, closed) = (free_address(), free_address());
    let listener = json!({"protocol": "wialon", "listen": address, "tenant": "default"});
    let made = client.post(PATH, &listener).of(201);
    client.post(PATH, &json!({"protocol": "wialon", "listen": closed, "enabled": false})).of(201);
    drop(visits(address, "one", 1));
    server.kill();
    let server = trial.serve();
    // As soon as it is ready, before it has asked the catalog.
    let line = server.start.iter().find(|line| line["listener"] == made["id"]).expect("it is opened");
    assert_eq!((&line["message"], &line["address"]), (&json!("listening"), &json!(address.to_string())));
    drop(visits(address, "two", 2));
    sends(address, "three", 3);
    TcpStream::connect(closed).expect_err("it is closed still");
    // A successor has its sockets: whoever comes at any time is refused by nobody.
    let mut follower = Starting::new(trial.command(&["--take-over"]));
    let mut connected = 0;
    while follower.runs() && !has_taken_over(&mut follower, &mut connected, address) {}
    assert!(connected > 0, "somebody came meanwhile");
    assert_eq!(server.wait().code(), Some(0));
    drop(visits(address, "four", 4));
    sends(address, "five", 5);
    let seen = trial.place.text(&["listener", "list", "--config", &trial.config()]);
    assert!(seen.contains(&address.to_string()) && seen.contains("open"), "{seen}");
    // What is removed is not there any more after the next start.
    let id = made["id"].as_str().expect("an id");
    let text = trial.place.text(&["listener", "remove", "--config", &trial.config(), id]);
    assert_eq!(text, format!("{id}: removed\n"));
    TcpStream::connect(address).expect_err("it is removed");
    follower.signal("-TERM");
    assert_eq!(follower.wait().code(), Some(0));
    let server = trial.serve();
    TcpStream::connect(address).expect_err("it is removed");
    assert!(server.stop().success());
    let mut devices: Vec<_> = told(&trial.place.records(&[])).into_iter().map(|(device, _)| device).collect();
    devices.sort();
    assert_eq!(devices, ["five", "four", "one", "three", "two"]);
}

/// Whether the new server has said that it took over. Somebody connects meanwhile.
fn has_taken_over(follower: &mut Starting, connected: &mut u32, address: SocketAddr) -> bool {
    drop(TcpStream::connect(address).expect("nobody is refused"));
    *connected += 1;
    std::thread::sleep(Duration::from_millis(5));
    follower.has_said("took over")
}

#[test]
fn a_server_whose_successor_fails_goes_on_with_what_was_made() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let address = free_address();
    let made = client.post(PATH, &json!({"protocol": "wialon", "listen": address, "transport": "tcp"})).of(201);
    let mut command = trial.command(&["--take-over"]);
    // Found out last of all, when it has the folder and the sockets.
    command.env("ODOGRAPH_CATALOG__URL", "sqlite:/nowhere/at/all.sqlite");
    let mut follower = Starting::new(command);
    follower.says("cannot begin in the place of the server before, which goes on");
    assert_ne!(follower.wait().code(), Some(0));
    server.log_line(|line| line["message"] == "the other server did not come to serve: this one goes on");
    server.log_line(|line| line["message"] == "ready");
    drop(visits(address, "one", 1));
    becomes(&client, &made, "open");
    change(&client, &made, &json!({"enabled": false})).of(200);
    TcpStream::connect(address).expect_err("it is closed");
    assert!(server.stop().success());
}

#[test]
fn a_port_that_is_taken_is_told_everywhere_and_opened_once_it_is_free() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let mut neighbour = visits(server.listener("tcp"), "neighbour", 0);
    let other = TcpListener::bind("127.0.78.2:0").expect("a port");
    let address = other.local_addr().expect("an address");
    let made = client
        .post(PATH, &json!({"protocol": "wialon", "listen": address, "transport": "tcp", "name": "Partner"}))
        .of(201);
    assert_eq!(made["state"], "failed", "{made}");
    let problem = made["problem"].as_str().expect("a problem").to_owned();
    assert!(problem.starts_with(&format!("cannot listen on {address} for wialon (tcp): process ")), "{problem}");
    assert!(problem.contains("has the port"), "{problem}");
    let line = server.log_line(|line| line["listener"] == made["id"]);
    assert_eq!(line["level"], "WARN", "{line}");
    server.metric_becomes("odograph_listeners{state=\"failed\"} 1");
    let table = trial.place.text(&["listener", "list", "--config", &trial.config()]);
    assert!(table.contains(&problem), "{table}");
    // Everyone hears that one is not open, and whoever may know it which and why. It is no reason to start anything anew.
    let health = server.get("/healthz");
    let told: Value = serde_json::from_str(&health.1).expect("JSON");
    let expected = json!([{"why": "it is not open as it should be"}]);
    assert_eq!((health.0, &told["listeners_failed"]), (200, &expected));
    let told: Value = serde_json::from_str(&common::control(&trial.place.data(), "/healthz").1).expect("JSON");
    let failed = &told["listeners_failed"][0];
    assert_eq!((&failed["listener"], &failed["why"]), (&json!("Partner"), &json!(problem)));
    assert_eq!(failed["address"], format!("{address} (tcp)"));
    let troubles = &client.get("/api/v1/system").of(200)["installation"]["troubles"];
    assert_eq!((&troubles[0]["part"], &troubles[0]["tenant"]), (&json!("listener"), &json!("default")));
    assert_eq!(troubles[0]["code"], "listener_failed", "{troubles}");
    drop(other);
    becomes(&client, &made, "open");
    drop(visits(address, "guest", 1));
    assert!(!server.get("/healthz").1.contains("listeners_failed"));
    assert_eq!(neighbour.position(2), "#ASD#1");
    assert!(server.stop().success());
}

#[test]
fn an_address_is_one_listeners_and_what_has_it_is_named() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let fixed = server.listener("tcp");
    let on_fixed = client.post(PATH, &json!({"protocol": "teltonika", "listen": fixed, "transport": "tcp"}));
    let detail = on_fixed.json()["detail"].as_str().expect("a detail").to_owned();
    assert_eq!(on_fixed.problem(409), "conflict");
    let file = trial.config();
    let expected = format!("{fixed} (tcp) is taken by the [[listener]] for wialon, which has {fixed} ({file}:");
    assert!(detail.starts_with(&expected), "{detail}");
    let http = client.post(PATH, &json!({"protocol": "teltonika", "listen": server.http(), "transport": "tcp"}));
    assert!(http.text().contains("is taken by http.listen"), "{}", http.text());
    // Two at once: one of them is there, and the other one is told so.
    let address = free_address();
    let ask = |name: &str| client.post(PATH, &json!({"protocol": "wialon", "listen": address, "name": name}));
    let answers = std::thread::scope(|scope| {
        let both = ["one", "other"].map(|name| scope.spawn(move || ask(name)));
        both.map(|one| one.join().expect("an answer"))
    });
    let mut statuses = [answers[0].status, answers[1].status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let [made, refused] =
        if answers[0].status == 201 { [&answers[0], &answers[1]] } else { [&answers[1], &answers[0]] };
    let (made, detail) = (made.json(), refused.json()["detail"].as_str().expect("a detail").to_owned());
    let (id, name) = (made["id"].as_str().expect("an id"), made["name"].as_str().expect("a name"));
    let expected = format!("{address} (tcp) is taken by the listener {name} for wialon, which has {address} (id {id})");
    assert_eq!((&made["state"], detail), (&json!("open"), expected));
    for (body, what) in [
        (
            json!({"protocol": "wilaon", "listen": address}),
            "protocol: \"wilaon\" is not a protocol: did you mean wialon?",
        ),
        (json!({"protocol": "wialon", "listen": "127.0.0.1:0"}), "listen: port 0 is any free port"),
        (json!({"protocol": "wialon", "listen": free_address(), "tenant": "west"}), "tenant: there is no tenant west"),
        (
            json!({"protocol": "wialon", "listen": free_address(), "transport": "tcp", "tls": {"cert": "/nowhere", "key": "/nowhere"}}),
            "tls: cannot read /nowhere",
        ),
    ] {
        let answer = client.post(PATH, &body);
        assert!(answer.text().contains(&what.replace('"', "\\\"")), "{what}: {}", answer.text());
        assert_eq!(answer.problem(400), "invalid");
    }
    // An address that moves from one to another: what was there goes first.
    let moved = free_address();
    let second = client.post(PATH, &json!({"protocol": "wialon", "listen": moved})).of(201);
    change(&client, &made, &json!({"enabled": false})).of(200);
    assert_eq!(change(&client, &second, &json!({"listen": address})).of(200)["state"], "open");
    drop(visits(address, "guest", 1));
    TcpStream::connect(moved).expect_err("it is left");
    assert_eq!(change(&client, &made, &json!({"enabled": true})).problem(409), "conflict");
    assert!(server.stop().success());
}

/// A port that is one by default yields to the listener that has it, for whoever changes that one as for whoever opens it.
#[test]
fn a_listener_at_a_default_port_is_changed_where_no_server_runs() {
    let trial = Trial::new();
    let config = trial.config();
    let run = |arguments: &[&str]| {
        let (verb, rest) = arguments.split_first().expect("a verb");
        trial.place.run(&[&["listener", verb, "--config", &config], rest].concat())
    };
    let made = run(&["add", "teltonika", "127.0.0.1:5039", "--transport", "tcp", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let id = made["id"].as_str().expect("an id");
    // As if the default port had come with a new version.
    trial.place.write("odograph.toml", "");
    let changed = run(&["set", id, "--unknown", "reject", "--json"]);
    assert_eq!(changed.status.code(), Some(0), "{}", errors(&changed));
    let list = run(&["list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let others = list["others"].as_array().expect("what else would be open");
    let wialon: Vec<_> = others.iter().filter(|other| other["protocol"] == "wialon").collect();
    assert_eq!(wialon.iter().map(|other| &other["transport"]).collect::<Vec<_>>(), ["udp"], "{list}");
    // Another protocol's default port is still nobody's to take.
    let taken = run(&["set", id, "--listen", "127.0.0.1:5027"]);
    assert!(errors(&taken).contains("is taken by the default port of teltonika"), "{}", errors(&taken));
    assert_eq!(taken.status.code(), Some(1));
}

#[test]
fn listeners_are_managed_by_commands_with_a_server_and_without() {
    let trial = Trial::new();
    let config = trial.config();
    let run = |arguments: &[&str]| {
        let (verb, rest) = arguments.split_first().expect("a verb");
        trial.place.run(&[&["listener", verb, "--config", &config], rest].concat())
    };
    let json = |arguments: &[&str]| -> Value {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let (address, second) = (free_address().to_string(), free_address().to_string());
    // Where no server runs, it is made all the same, and opened by the next one.
    let made = json(&["add", "wialon", &address, "--name", "Partner", "--allow", "127.0.0.0/8", "--json"]);
    assert_eq!((&made["state"], &made["problem"]), (&json!("waiting"), &json!("no server runs here")));
    let id = made["id"].as_str().expect("an id");
    let taken = run(&["add", "teltonika", &address]);
    assert!(errors(&taken).contains("is taken by the listener Partner for wialon"), "{}", errors(&taken));
    let server = trial.serve();
    let client = trial.client(&server);
    becomes(&client, &made, "open");
    drop(visits(address.parse().expect("an address"), "guest", 1));
    let text = run(&["add", "wialon", &second, "--transport", "tcp"]);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    assert!(text.ends_with(&format!(": wialon on {second}, open\n")), "{text}");
    let changed = json(&["set", id, "--unknown", "reject", "--allow", "", "--json"]);
    assert_eq!(
        (&changed["unknown"], &changed["allow"], &changed["state"]),
        (&json!("reject"), &json!([]), &json!("open"))
    );
    assert_eq!(json(&["set", id, "--closed", "--json"])["state"], "closed");
    let list = json(&["list", "--json"]);
    assert_eq!(
        (list["listeners"].as_array().map(Vec::len), &list["listeners"][0]["enabled"]),
        (Some(2), &json!(false))
    );
    assert_eq!(json(&["set", id, "--open", "--json"])["state"], "open");
    for (arguments, status, what) in [
        (&["set", id][..], 64, "nothing to change"),
        (&["set", "a/b", "--open"], 64, "is no id of a listener"),
        (&["remove", "none"], 1, "there is no listener none"),
        (&["add", "wialon", &second], 1, "is taken by"),
        (&["add", "wialon", "5", "--tls-cert", "/c"], 64, "go together"),
    ] {
        let output = run(arguments);
        assert!(errors(&output).contains(what), "{arguments:?}: {}", errors(&output));
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", errors(&output));
    }
    // A table for people, in which what is not open says why.
    let other = TcpListener::bind("127.0.78.3:0").expect("a port");
    let busy = other.local_addr().expect("an address").to_string();
    let failed = run(&["add", "wialon", &busy, "--transport", "tcp"]);
    assert_eq!(failed.status.code(), Some(1));
    let table = String::from_utf8(run(&["list"]).stdout).expect("UTF-8");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("ID ") && rows[1].contains("wialon (Partner)"), "{table}");
    assert!(table.contains("failed: cannot listen on ") && table.contains("the [[listener]] for wialon"), "{table}");
    assert!(server.stop().success());
}

#[test]
fn whoever_names_what_is_to_be_open_opens_just_that() {
    let trial = Trial::new();
    let address = free_address();
    trial.place.text(&["listener", "add", "--config", &trial.config(), "wialon", &address.to_string()]);
    let server = Server::start(trial.command(&["--listen", "wialon=127.0.0.1:0"]));
    let client = trial.client(&server);
    let made = client.get(PATH).of(200)["listeners"][0].clone();
    let seen = becomes(&client, &made, "failed");
    assert!(
        seen["problem"].as_str().expect("a problem").starts_with("this server was started with --listen"),
        "{seen}"
    );
    TcpStream::connect(address).expect_err("it is a trial");
    assert!(server.stop().success());
    let server = trial.serve();
    becomes(&trial.client(&server), &made, "open");
    assert!(server.stop().success());
}

#[test]
fn a_listener_of_one_device_goes_by_what_is_decided_about_it() {
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    let address = free_address();
    let listener = json!({"protocol": "wialon", "listen": address, "transport": "tcp", "device": "truck-7"});
    let unknown = client.post(PATH, &listener);
    assert!(unknown.text().contains("the tenant default has no device truck-7: make it first"), "{}", unknown.text());
    client.post("/api/v1/devices", &json!({"ids": ["truck-7"]})).of(201);
    let made = client.post(PATH, &listener).of(201);
    becomes(&client, &made, "open");
    // Without a login.
    let mut nameless = Device::connect(address);
    assert_eq!(nameless.position(1), "#ASD#1");
    client.ask("PATCH", "/api/v1/devices/truck-7", Some(&json!({"state": "rejected"}))).of(200);
    assert!(nameless.is_closed());
    let mut again = Device::connect(address);
    again.tell(&common::position(2));
    assert!(again.is_closed(), "what was decided holds there");
    client.ask("DELETE", "/api/v1/devices/truck-7", None).of(204);
    let seen = becomes(&client, &made, "failed");
    let expected = "the device truck-7 of the tenant default is not known here";
    assert_eq!(seen["problem"], expected);
    TcpStream::connect(address).expect_err("it is nobody's");
    assert!(server.stop().success());
}

#[test]
fn a_device_that_has_a_listener_of_its_own_is_not_erased_be_that_closed() {
    const TRUCK: &str = "867000000000017";
    let trial = Trial::new();
    let server = trial.serve();
    let client = trial.client(&server);
    drop(visits(server.listener("tcp"), TRUCK, 1));
    let known = || (client.get(&format!("/api/v1/devices/{TRUCK}")).status == 200).then_some(());
    common::until("the device in the catalog", known);
    let listener = json!({"protocol": "wialon", "listen": free_address(), "device": TRUCK, "enabled": false});
    let made = client.post(PATH, &listener).of(201);
    assert_eq!(made["state"], "closed");
    for yes in [&[][..], &["--yes"]] {
        let refused = trial.place.run(&[&["device", "erase", TRUCK][..], yes].concat());
        assert!(errors(&refused).contains("a listener is its own"), "{}", errors(&refused));
    }
    remove(&client, &made);
    trial.place.text(&["device", "erase", TRUCK, "--yes"]);
    let log = client.get("/api/v1/audit?kind=listener").of(200);
    let actions: Vec<_> = log.as_array().expect("a list").iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["listener.delete", "listener.create"]);
    assert!(!log.to_string().contains(TRUCK), "{log}");
    assert!(server.stop().success());
}

#[test]
fn a_default_port_is_left_to_a_listener_that_was_made_before() {
    let trial = Trial::new();
    // No other run of this test has that address, and no other process has ports there.
    let number = std::process::id();
    let host = format!("127.{}.{}.{}", 100 + number % 100, number / 100 % 250, 1 + number / 25_000 % 250);
    let config = trial.place.write("defaults.toml", &format!("[ingest]\nhost = \"{host}\"\n"));
    let address: SocketAddr = format!("{host}:5039").parse().expect("an address");
    // As if a new version brought this protocol.
    let server = trial.serve();
    let listener = json!({"protocol": "wialon", "listen": address, "transport": "tcp", "name": "Before"});
    trial.client(&server).post(PATH, &listener).of(201);
    assert!(server.stop().success());
    let server = trial.place.serve_with(&["--config", config.to_str().expect("UTF-8")]);
    let list = trial.client(&server).get(PATH).of(200);
    let made = &list["listeners"][0];
    assert_eq!((&made["state"], &made["name"]), (&json!("open"), &json!("Before")), "{list}");
    let others = list["others"].as_array().expect("a list");
    let of = |transport: &str| others.iter().any(|one| one["protocol"] == "wialon" && one["transport"] == transport);
    assert!(!of("tcp") && of("udp"), "{others:?}");
    drop(visits(address, "guest", 1));
    assert!(server.stop().success());
}

#[test]
fn each_server_with_the_same_catalog_opens_what_is_made_on_one() {
    let (trial, elsewhere) = (Trial::new(), Place::new());
    let catalog = format!("sqlite:{}", trial.place.data().join("catalog.sqlite").display());
    elsewhere.write("odograph.toml", FIXED);
    let server = trial.serve();
    let config = elsewhere.folder.path().join("odograph.toml");
    let mut command = elsewhere.command(&["serve", "--config", config.to_str().expect("UTF-8")]);
    command.env("ODOGRAPH_CATALOG__URL", catalog).env("ODOGRAPH_JOURNAL__NODE", "1");
    let other = Server::start(command);
    let (client, client_of_other) = (trial.client(&server), trial.client(&other));
    let address = free_address();
    let made = client.post(PATH, &json!({"protocol": "wialon", "listen": address, "transport": "tcp"})).of(201);
    drop(visits(address, "guest", 1));
    // On the same machine, one of them has the port, and the other one when that has gone.
    becomes(&client_of_other, &made, "failed");
    assert!(server.stop().success());
    becomes(&client_of_other, &made, "open");
    drop(visits(address, "guest", 2));
    remove(&client_of_other, &made);
    TcpStream::connect(address).expect_err("it is removed");
    assert!(other.stop().success());
}
