//! What one tenant's programs take of the HTTP server leaves room for everyone else, however slowly they read.

mod client;
mod common;

use client::{Client, head};
use common::{Device, Place, Server, moment, position, until};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::{Value, json};
use std::io::BufReader;
use std::net::TcpStream;

/// Downloads of one tenant that are begun: more than it has seats for.
const BEGUN: usize = SEATS + 2;

/// Downloads that a tenant may have under way.
const SEATS: usize = 12;

/// Records of a download: more than whatever holds some of it on the way can hold.
const RECORDS: u32 = 12_000;

/// Queries that a tenant may have under way. History answers twice as many at a time, of all tenants together.
const QUERIES: usize = 2;

fn token(place: &Place, tenant: &str) -> String {
    token_of(place, tenant, "viewer")
}

fn token_of(place: &Place, tenant: &str, role: &str) -> String {
    let text = place.text(&["token", "create", "--json", "--tenant", tenant, "--name", "t", "--role", role]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

/// A server with a tenant `busy` whose device 1 has a history that takes its time, and an administrator.
fn serve(place: &Place) -> Server {
    let file = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"busy\"\n\
                [ingest]\ndefault_ports = false\n";
    let config = place.write("odograph.toml", file);
    let mut command = place.command(&["serve", "--config", config.to_str().expect("a path")]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    for first in (0..RECORDS).step_by(1000) {
        let messages: Vec<String> =
            (first..first + 1000).map(|second| position(second).split_off("#SD#".len())).collect();
        assert_eq!(device.say(&format!("#B#{}", messages.join("|"))), "#AB#1000");
    }
    server
}

/// Begins a download, and takes no more of it than its head.
fn begin(client: &Client) -> (u16, Option<String>, BufReader<TcpStream>) {
    let mut stream = client.begin("GET", "/api/v1/devices/1/records?format=jsonl", None);
    set_socket_recv_buffer_size(stream.get_ref(), 32 << 10).expect("a small window");
    let (status, headers) = head(&mut stream);
    let later = headers.into_iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value);
    (status, later, stream)
}

#[test]
fn downloads_that_nobody_reads_are_in_nobodys_way() {
    let place = Place::new();
    let server = serve(&place);
    let busy = Client::with_token(server.http(), &token(&place, "busy"));
    let quiet = Client::with_token(server.http(), &token(&place, "default"));
    // All of it is there, so that whoever waits does not wait for that.
    assert_eq!(place.records(&["--tenant", "busy"]).len(), RECORDS as usize);
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..BEGUN {
        match begin(&busy) {
            (200, _, stream) => held.push(stream),
            (status, later, _) => {
                assert_eq!((status, later.as_deref()), (429, Some("1")));
                refused += 1;
            }
        }
    }
    assert_eq!((held.len(), refused), (SEATS, BEGUN - SEATS));
    let answer = busy.get("/api/v1/devices/1/records?format=jsonl");
    assert!(answer.text().contains("the tenant has 12 downloads under way"), "{}", answer.text());
    assert_eq!(answer.problem(429), "too_many");
    // What is no stream, the tenant still has: its pages go on.
    assert_eq!(busy.get("/api/v1/devices/1/records?limit=1").of(200)["records"].as_array().map(Vec::len), Some(1));
    // Others sign in, ask, and the owner of the folder asks.
    let sign_in = json!({"login": "admin", "password": "correct horse"});
    assert_eq!(Client::nobody(server.http()).post("/api/v1/sessions", &sign_in).status, 201);
    let asked = quiet.post("/api/v1/sql", &json!({"sql": "SELECT 1 AS one"}));
    assert_eq!((asked.status, asked.text().trim()), (200, "{\"one\":1}"));
    assert_eq!(place.text(&["sql", "--json", "SELECT 1 AS one"]).trim(), "{\"one\":1}");
    let metrics = server.get("/metrics").1;
    let counted = format!("odograph_api_seats_refused_total{{of=\"downloads\"}} {}", BEGUN - SEATS + 1);
    assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
    // Whoever goes gives the seat back.
    drop(held.pop());
    let mut tries = 0;
    while begin(&busy).0 != 200 {
        tries += 1;
        assert!(tries < 20, "the seat is not given back");
    }
}

/// More programs of one tenant than may have something under way: they take turns.
#[test]
fn downloads_that_are_read_wait_for_each_other() {
    let place = Place::new();
    let server = serve(&place);
    let token = token(&place, "busy");
    assert_eq!(place.records(&["--tenant", "busy"]).len(), RECORDS as usize);
    let clients: Vec<Client> = (0..SEATS + 6).map(|_| Client::with_token(server.http(), &token)).collect();
    // Long enough for more than there are seats at a time, and short enough for whoever waits, on a busy machine as well.
    let path = format!("/api/v1/devices/1/records?format=jsonl&from={}&to={}", moment(0), moment(1000));
    let download = |client: &Client| {
        for _ in 0..5 {
            let answer = client.get(&path);
            assert_eq!((answer.status, answer.text().lines().count()), (200, 1000), "{}", answer.text());
        }
    };
    std::thread::scope(|scope| clients.iter().for_each(|client| drop(scope.spawn(|| download(client)))));
}

/// Begins a query whose answer has no end, and takes no more of it than its head.
fn ask(client: &Client) -> BufReader<TcpStream> {
    let endless = json!({"sql": "SELECT value FROM generate_series(1, 1000000000000)"});
    let mut stream = client.begin("POST", "/api/v1/sql", Some(&endless));
    set_socket_recv_buffer_size(stream.get_ref(), 32 << 10).expect("a small window");
    assert_eq!(head(&mut stream).0, 200);
    stream
}

#[test]
fn queries_of_a_tenant_leave_others_their_turns_and_what_is_live_needs_none() {
    let place = Place::new();
    let server = serve(&place);
    let busy = Client::with_token(server.http(), &token_of(&place, "busy", "manager"));
    assert_eq!(place.records(&["--tenant", "busy"]).len(), RECORDS as usize);
    until("the device", || (busy.get("/api/v1/devices/1/state").status == 200).then_some(()));
    let sensor = json!({"formula": "value(\"position.speed\") * 2"});
    busy.ask("PUT", "/api/v1/devices/1/sensors/double", Some(&sensor)).of(200);
    place.text(&["tenant", "create", "third"]);
    let [quiet, third] = ["default", "third"].map(|tenant| Client::with_token(server.http(), &token(&place, tenant)));
    let one = &json!({"sql": "SELECT 1 AS one"});
    let mut held: Vec<_> = (0..QUERIES).map(|_| ask(&busy)).collect();
    assert_eq!(quiet.post("/api/v1/sql", one).of(200), json!({"one": 1}), "others have theirs");
    held.extend((0..QUERIES).map(|_| ask(&quiet)));
    std::thread::scope(|scope| {
        // One who has as many as it may, and one who finds all of them taken by others: they wait, and hear when to come again.
        let refused = [&busy, &third].map(|client| scope.spawn(move || client.post("/api/v1/sql", one)));
        let state = busy.get("/api/v1/devices/1/state").of(200);
        assert_eq!(state["sensors"]["double"]["value"], 198.0, "{state}");
        let tried = busy.post("/api/v1/devices/1/sensors/preview", &sensor).of(200);
        assert_eq!(tried["value"], 198.0, "{tried}");
        let why = ["the tenant has 2 queries under way", "as many queries of all tenants are under way"];
        for (refused, why) in refused.into_iter().zip(why) {
            let answer = refused.join().expect("an answer");
            assert!(answer.text().contains(why), "{}", answer.text());
            assert!(answer.header("retry-after").is_some_and(|after| after != "0"), "{why}");
            assert_eq!(answer.problem(429), "too_many");
        }
    });
    drop(held);
    for client in [&busy, &quiet, &third] {
        assert_eq!(client.post("/api/v1/sql", one).of(200), json!({"one": 1}), "in turn");
    }
}

/// Whoever asks something else, or closes the page, does not stand in their own way.
#[test]
fn a_query_ends_with_whoever_asked_though_it_has_no_row_yet() {
    let place = Place::new();
    let server = place.serve();
    let api = Client::with_token(server.http(), &token(&place, "default"));
    let one = json!({"sql": "SELECT 1 AS one"});
    let endless = json!({"sql": "SELECT count(*) AS n FROM generate_series(1, 1000000000000)"});
    let asked: Vec<_> = (0..QUERIES).map(|_| api.begin("POST", "/api/v1/sql", Some(&endless))).collect();
    until("both are under way", || (api.post("/api/v1/sql", &one).status == 429).then_some(()));
    drop(asked);
    assert_eq!(api.post("/api/v1/sql", &one).of(200), json!({"one": 1}));
}
