//! A real balancer before two listeners: HAProxy says whose each connection is, in text to one and in binary to the other. And before the
//! HTTP server, where it says whose each request is, in either header.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server};
use odograph_testkit::free_address;
use serde_json::{Value, json};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the devices of the test are, in the network of the loopback.
const DEVICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// One record of codec 8.
const AVL: &[u8] = b"\x00\x00\x00\x00\x00\x00\x00\x21\x08\x01\x00\x00\x01\x8b\xcf\xe5\x68\x00\x00\x0f\x14\xf6\
    \x40\x20\x9c\xc9\x10\x00\x64\x00\x00\x05\x00\x1e\x00\x00\x00\x00\x00\x00\x01\x00\x00\xbf\x89";

const CONFIG: &str = "[ingest]\ndefault_ports = false\n\
    [[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nproxy_protocol = true\ntrusted = [\"127.0.0.1\"]\n\
    [[listener]]\nprotocol = \"teltonika\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\nproxy_protocol = true\ntrusted = [\"127.0.0.1\"]\n";

/// HAProxy, with two ways to servers.
struct Balancer {
    child: Child,
    ways: [SocketAddr; 2],
}

impl Balancer {
    /// To each of two listeners of devices. `None` where `cargo xtask test`, which installs it, does not run the test, or could not.
    fn start(place: &Place, servers: [SocketAddr; 2]) -> Option<Self> {
        let how = ["send-proxy check inter 200", "send-proxy-v2 check inter 200"];
        Self::with(place, "tcp", [0, 1].map(|number| (servers[number], how[number], "")))
    }

    /// Two ways: to which server, with which options, and what is done with requests.
    fn with(place: &Place, mode: &str, to: [(SocketAddr, &str, &str); 2]) -> Option<Self> {
        let Some(program) = std::env::var_os("TEST_HAPROXY") else {
            eprintln!("left out: TEST_HAPROXY names no haproxy; `cargo xtask test --only test` finds or installs it");
            return None;
        };
        let ways = [free_address(), free_address()];
        let mut config =
            format!("defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n");
        for ((number, way), (server, how, rules)) in ways.iter().enumerate().zip(to) {
            config += &format!(
                "frontend f{number}\n  bind {way}\n{rules}  default_backend b{number}\n\
                 backend b{number}\n  server s {server} {how}\n"
            );
        }
        let path = place.write("haproxy.cfg", &config);
        let mut command = Command::new(program);
        let child = command.arg("-f").arg(path).arg("-db").stdin(Stdio::null()).stdout(Stdio::null());
        let child = child.stderr(Stdio::null()).spawn().expect("it starts");
        let balancer = Self { child, ways };
        for _ in 0..3000 {
            if ways.iter().all(|way| TcpStream::connect(way).is_ok()) {
                return Some(balancer);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("haproxy does not come up");
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection from an address of one's own.
fn call(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let stream = client::call(from, to);
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

fn listeners(server: &Server) -> [SocketAddr; 2] {
    let at = |protocol: &str| {
        let line = server.start.iter().find(|line| line["message"] == "listening" && line["protocol"] == protocol);
        line.expect("it listens")["address"].as_str().expect("an address").parse().expect("an address")
    };
    [at("wialon"), at("teltonika")]
}

fn count(server: &Server, begin: &str) -> f64 {
    let (_, numbers) = server.get("/metrics");
    let line = numbers.lines().find(|line| line.starts_with(begin));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn devices_have_their_own_addresses_in_records_journal_and_log() {
    let place = Place::new();
    let path = place.write("odograph.toml", CONFIG);
    let server = place.serve_with(&["--config", path.to_str().expect("UTF-8")]);
    let Some(balancer) = Balancer::start(&place, listeners(&server)) else { return };
    let mut device = Device::over(call(DEVICE, balancer.ways[0]));
    assert_eq!((device.login("1"), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    let mut second = call(DEVICE, balancer.ways[1]);
    std::io::Write::write_all(&mut second, b"\0\x0f352093081452251").expect("a login is sent");
    let mut answer = [0];
    second.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, [1]);
    let mut answer = [0; 4];
    std::io::Write::write_all(&mut second, AVL).expect("a record is sent");
    second.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, [0, 0, 0, 1]);
    // Noise: the log says whose.
    std::io::Write::write_all(&mut second, b"GET / HTTP/1.1\r\n\r\n").expect("noise is sent");
    let line = server.log_line(|line| line["reason"] == "garbage");
    assert!(line["peer"].as_str().expect("a peer").starts_with("127.0.0.3:"), "{line}");
    // HAProxy looks all the time whether we are there: nobody has to read about that, or keep it.
    for _ in 0..300 {
        if count(&server, "odograph_balancer_checks_total") >= 4.0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(count(&server, "odograph_balancer_checks_total") >= 4.0);
    assert_eq!(count(&server, "odograph_connections_refused_total"), 0.0);
    drop(balancer);
    assert!(server.stop().success());
    // By either version of the header.
    for (device, count) in [("1", 1), ("352093081452251", 1)] {
        let records = place.records(&["--device", device]);
        assert_eq!(records.len(), count, "{device}");
        assert!(records.iter().all(|record| record["device.ip"] == "127.0.0.3"), "{records:?}");
    }
    let dumped = place.text(&["journal", "dump", "--json"]);
    let peers: Vec<String> = dumped
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["kind"] == "open")
        .map(|line| line["context"]["peer"].as_str().expect("a peer").to_owned())
        .filter(|peer| !peer.starts_with("127.0.0.1:"))
        .collect();
    assert_eq!(peers.len(), 2, "{dumped}");
    assert!(peers.iter().all(|peer| peer.starts_with("127.0.0.3:")), "{peers:?}");
}

#[test]
fn a_header_from_elsewhere_is_refused_and_told() {
    let place = Place::new();
    let path = place.write("odograph.toml", CONFIG);
    let server = place.serve_with(&["--config", path.to_str().expect("UTF-8")]);
    let mut forger = call(DEVICE, listeners(&server)[0]);
    // It may have been closed before this.
    let _ = std::io::Write::write_all(&mut forger, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n#L#1;NA\r\n");
    assert!(matches!(forger.read(&mut [0]), Ok(0) | Err(_)));
    let line = server.log_line(|line| line["reason"] == "proxy_untrusted");
    assert!(line["peer"].as_str().expect("a peer").starts_with("127.0.0.3:"), "{line}");
    assert_eq!(line["bound"], "listener.trusted");
    assert_eq!(count(&server, "odograph_connections_refused_total{reason=\"proxy_untrusted\"}"), 1.0);
    assert!(place.records(&[]).is_empty());
}

const PEOPLE: &str = "[ingest]\ndefault_ports = false\n\
    [http]\nlisten = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// HAProxy before the HTTP server: one way adds to `X-Forwarded-For`, and the other one writes `Forwarded`.
const RULES: [&str; 2] = [
    "  option forwardfor\n  http-request set-header X-Forwarded-Proto https\n",
    "  http-request add-header Forwarded for=%[src];proto=https\n  http-request del-header X-Forwarded-For\n",
];

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);

#[test]
fn people_have_their_own_addresses_behind_a_proxy_of_http() {
    let place = Place::new();
    let path = place.write("odograph.toml", PEOPLE);
    let mut command = place.command(&["serve", "--config", path.to_str().expect("UTF-8")]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let Some(balancer) = Balancer::with(&place, "http", RULES.map(|rules| (server.http(), "", rules))) else { return };
    let login = json!({"login": "admin", "password": "correct horse"});
    for (number, way) in balancer.ways.into_iter().enumerate() {
        let person = Client::nobody(way).from(DEVICE).with("x-forwarded-for", "203.0.113.9");
        let signed_in = person.with("forwarded", "for=203.0.113.9").post("/api/v1/sessions", &login);
        let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
        signed_in.of(201);
        assert!(cookie.ends_with("; Secure"), "{cookie}");
        let browser = Client::nobody(way).from(DEVICE).with("cookie", cookie.split(';').next().expect("a pair"));
        browser.post("/api/v1/devices", &json!({"ids": [number.to_string()]})).of(201);
        let entries = browser.get("/api/v1/audit?limit=2").of(200);
        let peers: Vec<&Value> = entries.as_array().expect("a list").iter().map(|entry| &entry["peer"]).collect();
        // Through the first way, both headers were there, and one of them nobody vouched for.
        let signed_in_from = if number == 0 { "127.0.0.1" } else { "127.0.0.3" };
        assert_eq!(peers, [&json!("127.0.0.3"), &json!(signed_in_from)], "{entries}");
    }
    // Whoever tries links is refused, whatever he says that he is, and nobody else is.
    for (way, from) in balancer.ways.into_iter().zip([STRANGER, NEIGHBOUR]) {
        let tries = |from: Ipv4Addr, said: u32| {
            let said = format!("203.0.113.{}", said % 250);
            let stranger = Client::nobody(way).from(from).with("x-forwarded-for", &said);
            stranger.with("authorization", "Bearer odl_AAAAAAAAAAAAAAAAAAAAAA").get("/api/v1/shared").status
        };
        let refused = (0..300).find(|said| tries(from, *said) == 429).expect("an end of it");
        assert!(refused >= 60, "{refused}");
        assert_eq!(tries(Ipv4Addr::new(127, 0, 0, 6), 0), 404, "his neighbour");
    }
}

#[test]
fn what_strangers_say_of_themselves_counts_nowhere() {
    let place = Place::new();
    let path = place.write("odograph.toml", PEOPLE);
    let mut command = place.command(&["serve", "--config", path.to_str().expect("UTF-8")]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let login = json!({"login": "admin", "password": "correct horse"});
    let forger = Client::nobody(server.http()).from(STRANGER).with("x-forwarded-for", "203.0.113.9");
    let forger = forger.with("x-forwarded-proto", "https").with("forwarded", "for=203.0.113.9;proto=https");
    let signed_in = forger.post("/api/v1/sessions", &login);
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    signed_in.of(201);
    assert!(!cookie.contains("Secure"), "{cookie}");
    let browser = forger.with("cookie", cookie.split(';').next().expect("a pair"));
    assert_eq!(browser.get("/api/v1/audit?limit=1").of(200)[0]["peer"], "127.0.0.4");
    // From a proxy that is trusted, it does.
    let proxy = Client::nobody(server.http()).with("x-forwarded-for", "203.0.113.9");
    proxy.post("/api/v1/sessions", &login).of(201);
    assert_eq!(browser.get("/api/v1/audit?limit=1").of(200)[0]["peer"], "203.0.113.9");
    // In no clear words, it counts as the proxy's own, and shows.
    let unclear = Client::nobody(server.http()).with("x-forwarded-for", "203.0.113.9, unknown");
    unclear.post("/api/v1/sessions", &login).of(201);
    assert_eq!(browser.get("/api/v1/audit?limit=1").of(200)[0]["peer"], "127.0.0.1");
    assert_eq!(count(&server, "odograph_http_forwarded_unclear_total"), 1.0);
}
