//! What the configuration says of listeners, in a whole process: devices of several ids, thousands of listeners, TLS.

mod common;

use common::{Device, Place, Server, errors, told};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

const TCP: &str = "[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\n";

fn serve(place: &Place, config: &str) -> Server {
    let path = place.write("odograph.toml", config);
    place.serve_with(&["--config", path.to_str().expect("UTF-8")])
}

#[test]
fn records_have_the_first_of_a_devices_ids() {
    let place = Place::new();
    let ids = "[[device]]\nids = [\"truck-7\", \"352093081452251\", \"35209308145225\", \"SN-7\"]\n";
    let server = serve(&place, &format!("{TCP}unknown = \"reject\"\n{ids}"));
    for (number, id) in ["SN-7", "352093081452251", "truck-7", "35209308145225"].into_iter().enumerate() {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login(id), "#AL#1");
        assert_eq!(device.position(u32::try_from(number).expect("it is small")), "#ASD#1");
    }
    let devices: Vec<_> = told(&place.records(&[])).into_iter().map(|(device, _)| device).collect();
    assert_eq!(devices, ["truck-7"; 4]);
    let listed: serde_json::Value = serde_json::from_str(&place.text(&["device", "list", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["ids"][3], "SN-7");
}

/// So many listeners, each of one device that never says who it is.
const MANY: usize = 5000;

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a start takes is measured on the real clock")]
fn thousands_of_listeners_start_at_once() {
    let mut config = "[ingest]\ndefault_ports = false\n".to_owned();
    for number in 0..MANY {
        let _ = writeln!(
            config,
            "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ndevice = \"device-{number}\""
        );
    }
    let few = Place::new();
    let one = serve(&few, TCP);
    let place = Place::new();
    let begun = std::time::Instant::now();
    let server = serve(&place, &config);
    let took = begun.elapsed();
    let (memory, files) = (in_use(&server), in_use(&one));
    println!("{MANY} listeners: ready after {took:?}, {memory:?} (KiB, files); one listener: {files:?}");
    assert!(memory.1 < MANY + 300, "one file each: {memory:?}");
    assert!(memory.0 < files.0 + MANY * 16, "{memory:?} and {files:?}");
    let addresses: Vec<SocketAddr> = server
        .start
        .iter()
        .filter(|line| line["message"] == "listening")
        .map(|line| line["address"].as_str().expect("an address").parse().expect("an address"))
        .collect();
    assert_eq!(addresses.len(), MANY);
    let mut expected = Vec::new();
    for at in [0, MANY / 2, MANY - 1] {
        // Without a login.
        assert_eq!(Device::connect(addresses[at]).position(1), "#ASD#1");
        expected.push(format!("device-{at}"));
    }
    let mut devices: Vec<_> = told(&place.records(&[])).into_iter().map(|(device, _)| device).collect();
    devices.sort();
    expected.sort();
    assert_eq!(devices, expected);
}

/// Memory in KiB, and open files.
fn in_use(server: &Server) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    let memory = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    (memory, std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs").count())
}

#[test]
fn a_listener_speaks_tls_and_shows_the_newest_certificate() {
    let place = Place::new();
    let renew = || {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["gateway.example".to_owned()]).expect("a certificate");
        place.write("cert.pem", &cert.pem());
        place.write("key.pem", &signing_key.serialize_pem());
        cert.der().clone()
    };
    let first = renew();
    let folder = place.folder.path().display();
    let tls = format!("tls = {{ cert = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}\n");
    let server = serve(&place, &format!("{TCP}{tls}"));
    let login = |certificate: &rustls::pki_types::CertificateDer<'static>| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("it can be trusted");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("gateway.example").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = TcpStream::connect(server.listener("tcp")).expect("it listens");
        let mut stream = BufReader::new(StreamOwned::new(client, stream));
        stream.get_mut().write_all(b"#L#1;NA\r\n")?;
        let mut answer = String::new();
        stream.read_line(&mut answer).map(|_| answer)
    };
    assert_eq!(login(&first).expect("an answer"), "#AL#1\r\n");
    let second = renew();
    server.log_line(|line| line["message"] == "certificates read again: they hold for connections from now on");
    assert_eq!(login(&second).expect("an answer"), "#AL#1\r\n");
    login(&first).expect_err("the first one is gone");
    let (_, numbers) = server.get("/metrics");
    assert!(numbers.contains("odograph_tls_reloads_total{outcome=\"ok\"}"), "{numbers}");
}

#[test]
fn certificates_that_cannot_be_used_are_told_at_the_start() {
    let place = Place::new();
    let path = place.write("odograph.toml", &format!("{TCP}tls = {{ cert = \"/nowhere\", key = \"/nowhere\" }}\n"));
    let output = place.run(&["serve", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("tls: cannot read /nowhere: No such file"), "{}", errors(&output));
}
