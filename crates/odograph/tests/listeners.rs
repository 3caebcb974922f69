//! What the configuration says of listeners, in a whole process: devices of several ids, thousands of listeners, TLS.

mod common;

use common::{Device, Place, Server, errors, told};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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
    // Whichever of them it is asked for by, with a server and without one.
    let path = place.folder.path().join("odograph.toml");
    let config = path.to_str().expect("UTF-8");
    let asked = || {
        for id in ["truck-7", "35209308145225", "SN-7"] {
            assert_eq!(place.records(&["--config", config, "--device", id]).len(), 4, "{id}");
            let frames =
                ["export", "frames", "--config", config, "--device", id, "--direction", "in", "--format", "raw"];
            assert_eq!(place.text(&frames).matches("#SD#").count(), 4, "{id}");
        }
        assert_eq!(place.records(&["--config", config, "--device", "SN-8"]).len(), 0);
    };
    asked();
    let listed: serde_json::Value = serde_json::from_str(&place.text(&["device", "list", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["ids"][3], "SN-7");
    assert_eq!(server.stop().code(), Some(0));
    asked();
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
    let first = renew(&place);
    let tls = tls(&place);
    let server = serve(&place, &format!("{TCP}{tls}"));
    let login = |certificate: &Certificate| ask(certificate, server.listener("tcp"), b"#L#1;NA\r\n");
    assert_eq!(login(&first).expect("an answer"), "#AL#1\r\n");
    let second = renew(&place);
    server.log_line(|line| line["message"] == "certificates read again: they hold for connections from now on");
    assert_eq!(login(&second).expect("an answer"), "#AL#1\r\n");
    login(&first).expect_err("the first one is gone");
    let (_, numbers) = server.get("/metrics");
    assert!(numbers.contains("odograph_tls_reloads_total{outcome=\"ok\"}"), "{numbers}");
}

#[test]
fn the_http_port_speaks_tls_where_it_has_a_certificate() {
    let place = Place::new();
    let first = renew(&place);
    let path = place.write("odograph.toml", &format!("[http]\n{}{TCP}", tls(&place)));
    let mut command = place.command(&["serve", "--config", path.to_str().expect("UTF-8")]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let request = b"GET /healthz HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\n\r\n";
    let get = |certificate: &Certificate| ask(certificate, server.http(), request);
    assert_eq!(get(&first).expect("an answer"), "HTTP/1.1 200 OK\r\n");
    let second = renew(&place);
    server.log_line(|line| line["message"] == "certificates read again: they hold for connections from now on");
    assert_eq!(get(&second).expect("an answer"), "HTTP/1.1 200 OK\r\n");
    get(&first).expect_err("the first one is gone");
    // Who comes without it reads why.
    let mut plain = TcpStream::connect(server.http()).expect("it listens");
    plain.write_all(request).expect("it is sent");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    // A signed-in browser sends its cookie by TLS alone.
    let body = r#"{"login":"admin","password":"correct horse"}"#;
    let sign_in = format!(
        "POST /api/v1/sessions HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let set = |lines: &[u8]| whole(&second, server.http(), lines).expect("an answer");
    let answer = set(sign_in.as_bytes());
    assert!(answer.contains("; Secure"), "{answer}");
}

type Certificate = rustls::pki_types::CertificateDer<'static>;

/// Makes a certificate and its key, in place of those that are there.
fn renew(place: &Place) -> Certificate {
    let made = generate_simple_self_signed(["gateway.example".to_owned()]);
    let CertifiedKey { cert, signing_key } = made.expect("a certificate");
    place.write("cert.pem", &cert.pem());
    place.write("key.pem", &signing_key.serialize_pem());
    cert.der().clone()
}

fn tls(place: &Place) -> String {
    let folder = place.folder.path().display();
    format!("tls = {{ cert = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}\n")
}

/// The first line of what is answered over TLS, where that certificate is trusted.
fn ask(trusted: &Certificate, address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut answer = String::new();
    BufReader::new(secure(trusted, address, request)?).read_line(&mut answer).map(|_| answer)
}

/// All of it, until the other side ends it.
fn whole(trusted: &Certificate, address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut answer = String::new();
    secure(trusted, address, request)?.read_to_string(&mut answer).map(|_| answer)
}

fn secure(
    trusted: &Certificate,
    address: SocketAddr,
    request: &[u8],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("gateway.example").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, TcpStream::connect(address).expect("it listens"));
    stream.write_all(request)?;
    Ok(stream)
}

#[test]
fn certificates_that_cannot_be_used_are_told_at_the_start() {
    let place = Place::new();
    let path = place.write("odograph.toml", &format!("{TCP}tls = {{ cert = \"/nowhere\", key = \"/nowhere\" }}\n"));
    let output = place.run(&["serve", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("tls: cannot read /nowhere: No such file"), "{}", errors(&output));
}
