//! Devices that speak TLS: what they get, whom they believe, who is turned away, and what a connection costs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use certificates::{Files, Signer, client, content, secure, shown};
use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Limits, Proxy, Tls};
use odograph_journal::{Kind, Reader};
use odograph_model::Lsn;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::{Caller, PATIENCE, Setup, Trial, folder, reading};

const IMEI: &str = "350000000000001";

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn setup(tls: Arc<Tls>) -> Setup {
    Setup { bind: Box::new(|listener, _| listener.tls = Some(tls)), ..Setup::default() }
}

fn connect(trial: &Trial, config: &Arc<ClientConfig>) -> Caller<Secure> {
    Caller::over(secure(trial.connect(IMEI).stream, config.clone()))
}

/// Whether a login is heard, or what comes between.
fn login(caller: &mut Caller<Secure>) -> Result<bool, String> {
    let sent =
        caller.stream.write_all(&Speech::Teltonika.login(IMEI)).and_then(|()| caller.stream.read_exact(&mut [0]));
    sent.map(|()| true).map_err(|error| error.to_string())
}

#[test]
fn a_device_is_acknowledged_and_the_journal_has_what_it_said() {
    for version in [&TLS12, &TLS13] {
        let files = Files::new();
        let trial = setup(files.open()).start();
        let mut caller = connect(&trial, &client(&files.signer, None, &[version]));
        caller.send(&Speech::Teltonika.login(IMEI));
        assert_eq!(caller.hear(true), Some(Heard::Login(true)));
        caller.send_reading(1);
        assert!(caller.is_acknowledged());
        assert_eq!(caller.stream.conn.protocol_version(), Some(version.version));
        trial.gateway.stop().unwrap();
        // It is told that nothing more comes, so it knows that nothing was cut off.
        assert_eq!(caller.hear(false), None);
        let stream = [Speech::Teltonika.login(IMEI), Speech::Teltonika.frame(&[reading(1)], 1)].concat();
        assert_eq!(journalled(&trial), stream);
    }
}

/// All that came in.
fn journalled(trial: &Trial) -> Vec<u8> {
    let disk: Arc<dyn odograph_env::Disk> = Arc::new(trial.disk.clone());
    let mut entries = Reader::open(disk, &folder()).unwrap().entries(Lsn(0), None).unwrap();
    let mut bytes = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if [Kind::FRAME, Kind::SKIPPED, Kind::REMAINDER].contains(&entry.kind) {
            bytes.extend_from_slice(entry.payload);
        }
    }
    bytes
}

#[test]
fn answers_that_the_network_does_not_take_at_once_all_arrive() {
    let files = Files::new();
    let trial = Setup { speech: Speech::Wialon, ..setup(files.open()) }.start();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // So that little is under way at a time.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&trial.address.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut secured = secure(stream, client(&files.signer, None, &[&TLS13]));
    secured.write_all(&Speech::Wialon.login(IMEI)).unwrap();
    let pings = 40_000;
    let (mut writing, mut reading) = (0, Vec::new());
    // It says a lot before it listens, and then both in turns.
    while reading.len() < b"#AL#1\r\n".len() + pings * b"#AP#\r\n".len() {
        if writing < pings {
            secured.write_all(&b"#P#\r\n".repeat(500)).unwrap();
            writing += 500;
            if writing < pings / 2 {
                continue;
            }
        }
        let mut bytes = [0; 4096];
        let count = secured.read(&mut bytes).unwrap();
        reading.extend_from_slice(&bytes[..count]);
    }
    let expected = [b"#AL#1\r\n".to_vec(), b"#AP#\r\n".repeat(pings)].concat();
    assert!(reading == expected, "{} bytes", reading.len());
}

#[test]
fn a_changed_certificate_holds_for_those_who_come_from_then_on() {
    let files = Files::new();
    let trial = setup(files.open()).start();
    let config = client(&files.signer, None, &[&TLS13]);
    let mut early = connect(&trial, &config);
    // Another device: each has one connection.
    early.send(&Speech::Teltonika.login("350000000000002"));
    assert_eq!(early.hear(true), Some(Heard::Login(true)));
    let before = content(&files.path("cert.pem"));
    assert_eq!(shown(&early.stream), before);
    files.renew();
    let after = content(&files.path("cert.pem"));
    wait_for(&trial, &config, &after);
    early.send_reading(1);
    assert!(early.is_acknowledged(), "who is here goes on");
    // What cannot be used changes nothing.
    files.put("key.pem", &Signer::new().sign("gateway.example").1);
    files.put("cert.pem", "nonsense");
    std::thread::sleep(Duration::from_millis(2500));
    let mut meanwhile = connect(&trial, &config);
    assert_eq!(login(&mut meanwhile), Ok(true));
    assert_eq!(shown(&meanwhile.stream), after);
    // And once it can, it holds again.
    files.renew();
    wait_for(&trial, &config, &content(&files.path("cert.pem")));
}

/// Connects until the gateway shows a certificate.
fn wait_for(trial: &Trial, config: &Arc<ClientConfig>, certificate: &[u8]) {
    trial.wait_for("the certificate to be shown", |_| {
        let mut caller = connect(trial, config);
        assert_eq!(login(&mut caller), Ok(true));
        shown(&caller.stream) == certificate
    });
}

#[test]
fn only_who_shows_a_certificate_of_the_right_signer_gets_in() {
    let (files, devices) = (Files::new(), Signer::new());
    files.put("ca.pem", &devices.pem());
    let trial = setup(Arc::new(Tls::open(files.names(true)).unwrap())).start();
    for version in [&TLS12, &TLS13] {
        let with = |own| connect(&trial, &client(&files.signer, own, &[version]));
        assert_eq!(login(&mut with(Some(devices.sign("device")))), Ok(true));
        login(&mut with(None)).unwrap_err();
        login(&mut with(Some(Signer::new().sign("device")))).unwrap_err();
    }
    trial.wait_for("the places to be given back", |_| trial.gateway.connections() == 0);
    assert_eq!(trial.roster.list().len(), 1);
}

#[test]
fn who_speaks_no_tls_or_does_not_get_on_with_it_is_closed() {
    let files = Files::new();
    let limits = Limits { handshake_max: Duration::from_secs(2), ..Limits::default() };
    let trial = Setup { limits, ..setup(files.open()) }.start();
    let mut plain = trial.connect(IMEI);
    plain.send(&Speech::Teltonika.login(IMEI));
    // What it gets is an alert, and the end.
    let mut answer = Vec::new();
    let _ = plain.stream.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
    // One that says nothing, and one that stops half way.
    assert_eq!(trial.connect(IMEI).hear(true), None);
    let mut slow = trial.connect(IMEI);
    slow.send(&[22, 3, 1, 2, 0]);
    assert_eq!(slow.hear(true), None);
    trial.wait_for("the places to be given back", |_| trial.gateway.connections() == 0);
    assert!(journalled(&trial).is_empty());
}

#[test]
fn a_balancer_may_pass_tls_on() {
    let files = Files::new();
    let tls = files.open();
    let bind = |listener: &mut odograph_ingest::Listener, _: &odograph_ingest::Roster| {
        listener.tls = Some(tls);
        listener.proxy = Some(Proxy { trusted: vec!["127.0.0.1/32".parse().unwrap()] });
    };
    let trial = Setup { bind: Box::new(bind), ..Setup::default() }.start();
    let mut caller = trial.connect(IMEI);
    caller.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 5050\r\n");
    let mut caller = Caller::over(secure(caller.stream, client(&files.signer, None, &[&TLS13])));
    assert_eq!(login(&mut caller), Ok(true));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let check = |expected: &str| {
        let error = Tls::open(files.names(true)).unwrap_err().to_string();
        assert_eq!(error.replace(&files.path("").display().to_string(), ""), expected);
    };
    check("cannot read ca.pem");
    files.put("ca.pem", "nothing");
    check("ca.pem does not hold a certificate as PEM");
    files.put("ca.pem", &files.signer.pem());
    Tls::open(files.names(true)).unwrap();
    files.put("key.pem", &Signer::new().sign("gateway.example").1);
    check("cert.pem and key.pem cannot be used");
    files.put("key.pem", "");
    check("key.pem does not hold a private key as PEM");
    files.put("cert.pem", &"x".repeat(2 << 20));
    check("cannot read cert.pem");
}

/// So many connections that do nothing.
const IDLE: usize = 400;

#[test]
fn an_idle_connection_costs_little_memory() {
    let files = Files::new();
    let memory = |trial: &Trial, how: &str| {
        let mut clients = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clients_of_the_memory_test", "--ignored", "--nocapture"])
            .env("CLIENTS_OF", format!("{how} {}", trial.address))
            .env("CLIENTS_CA", files.path("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let before = in_use();
        clients.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        trial.wait_for("all of them to be here", |_| trial.roster.list().len() == IDLE);
        let after = in_use();
        drop(clients.stdin.take());
        assert!(clients.wait().unwrap().success());
        trial.wait_for("all of them to be gone", |_| trial.gateway.connections() == 0);
        after.saturating_sub(before) * 1024 / IDLE
    };
    files.put("ca.pem", &files.signer.pem());
    let plain = memory(&Setup::default().start(), "plain");
    let secured = memory(&setup(files.open()).start(), "secured");
    println!("{IDLE} idle connections: {plain} bytes each, {secured} with TLS");
    assert!(secured < 64 << 10, "{secured} bytes for each connection");
}

fn in_use() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Its other side, in a process of its own so that its memory is not counted.
#[test]
#[ignore = "run by another test"]
fn clients_of_the_memory_test() {
    let task = std::env::var("CLIENTS_OF").unwrap();
    let (how, address) = task.split_once(' ').unwrap();
    let address: SocketAddr = address.parse().unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let mut plain: Vec<Caller> = Vec::new();
    let mut secured: Vec<Caller<Secure>> = Vec::new();
    let config = trusting(&std::fs::read(std::env::var("CLIENTS_CA").unwrap()).unwrap());
    for number in 0..IDLE {
        let login = Speech::Teltonika.login(&format!("35000000000{number:04}"));
        if how == "plain" {
            let mut caller = Caller::to(address);
            caller.send(&login);
            assert_eq!(caller.hear(true), Some(Heard::Login(true)));
            plain.push(caller);
        } else {
            let mut caller = Caller::over(secure(Caller::to(address).stream, config.clone()));
            caller.send(&login);
            assert_eq!(caller.hear(true), Some(Heard::Login(true)));
            secured.push(caller);
        }
    }
    // Until the other side is done.
    let _ = std::io::stdin().read(&mut [0]);
}

fn trusting(pem: &[u8]) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
