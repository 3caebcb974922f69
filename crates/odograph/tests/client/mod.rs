//! A program that asks the API.
#![allow(dead_code, reason = "each test file uses a part of this")]

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who asks.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    /// From where it asks, if that matters.
    from: Option<Ipv4Addr>,
    /// What is sent with each request.
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether all of it came.
    pub(crate) whole: bool,
}

impl Client {
    pub(crate) fn nobody(address: SocketAddr) -> Self {
        Self { address, from: None, headers: Vec::new() }
    }

    /// The same from an address of its own.
    pub(crate) fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = Some(address);
        self
    }

    pub(crate) fn with_token(address: SocketAddr, token: &str) -> Self {
        Self::nobody(address).with("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(body))
    }

    /// Sends a request and reads all of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        answer(&mut self.begin(method, path, body))
    }

    /// Sends a request, and gives the connection, before its head.
    pub(crate) fn begin(&self, method: &str, path: &str, body: Option<&Value>) -> BufReader<TcpStream> {
        let mut stream = match self.from {
            Some(from) => call(from, self.address),
            None => TcpStream::connect(self.address).expect("the HTTP server answers"),
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        send(&mut stream, &self.address.to_string(), &self.headers, method, path, body);
        BufReader::new(stream)
    }
}

/// Asks by the control socket of a data folder, as its owner, and reads all of the answer.
pub(crate) fn by_socket(data: &Path, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut stream = UnixStream::connect(data.join("control.sock")).expect("the control socket answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    send(&mut stream, "control.sock", &[], method, path, body);
    answer(&mut BufReader::new(stream))
}

fn send(
    stream: &mut impl Write,
    host: &str,
    headers: &[(String, String)],
    method: &str,
    path: &str,
    body: Option<&Value>,
) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(&body);
    stream.write_all(request.as_bytes()).expect("a request is sent");
}

fn answer(stream: &mut impl BufRead) -> Answer {
    let (status, headers) = head(stream);
    let of = |name: &str| headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str());
    let (mut body, mut whole) = (Vec::new(), true);
    if of("transfer-encoding") == Some("chunked") {
        whole = chunks(stream, |piece| body.extend_from_slice(piece));
    } else if let Some(length) = of("content-length") {
        body = vec![0; length.parse().expect("a length")];
        stream.read_exact(&mut body).expect("the body comes");
    }
    Answer { status, headers, body, whole }
}

/// A connection from an address of one's own.
pub(crate) fn call(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from((from, 0))).expect("an address of the loopback");
    connect(&socket, &to).expect("it listens");
    TcpStream::from(socket)
}

/// The status and the headers, whose names are small letters.
pub(crate) fn head(stream: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a status line");
    let status = line.split(' ').nth(1).expect("a status").parse().expect("a status");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(':') else { return (status, headers) };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

/// Reads a chunked body to its end. Whether there was one.
pub(crate) fn chunks(stream: &mut impl BufRead, mut take: impl FnMut(&[u8])) -> bool {
    chunks_until(stream, |piece| {
        take(piece);
        false
    })
}

/// Reads a chunked body until `take` has had enough. Whether it came to its end instead.
pub(crate) fn chunks_until(stream: &mut impl BufRead, mut take: impl FnMut(&[u8]) -> bool) -> bool {
    loop {
        let mut size = String::new();
        if stream.read_line(&mut size).is_err() {
            return false;
        }
        let Ok(size) = usize::from_str_radix(size.trim_end(), 16) else { return false };
        let mut piece = vec![0; size + 2];
        if stream.read_exact(&mut piece).is_err() {
            return false;
        }
        if size == 0 {
            return true;
        }
        if take(&piece[..size]) {
            return false;
        }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: no JSON: {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }

    /// The answer as JSON, which must have this status.
    #[track_caller]
    pub(crate) fn of(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The code of the problem, which must have this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().expect("a detail").is_empty());
        problem["code"].as_str().expect("a code").to_owned()
    }
}
