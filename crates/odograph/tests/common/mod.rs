//! A server as a process of its own, devices on real sockets, and the commands beside them.
#![allow(dead_code, reason = "each test file uses a part of this")]

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything takes here, so that a test that fails does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for a data folder, gone with the test.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file is written");
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_odograph"));
        command.args(arguments).env("ODOGRAPH_DATA", self.data()).env("ODOGRAPH_HTTP__LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command runs")
    }

    /// Runs a command that has to succeed, and gives its output.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// All records that are exported, in their order.
    pub(crate) fn records(&self, more: &[&str]) -> Vec<Value> {
        let text = self.text(&[&["export", "records"], more].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// How many segments the journal has.
    pub(crate) fn segments(&self) -> usize {
        let files = std::fs::read_dir(self.data().join("journal/0")).expect("the journal is there");
        files
            .filter(|file| {
                let file = file.as_ref().expect("it can be listed");
                file.path().extension().is_some_and(|extension| extension == "segment")
            })
            .count()
    }

    /// A server that listens for Wialon devices on a free port.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&["--listen", "wialon=127.0.0.1:0"])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Server {
        Server::start(self.command(&[&["serve"], arguments].concat()))
    }
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    log: Receiver<Value>,
    /// What it said until it was ready.
    pub(crate) start: Vec<Value>,
}

impl Server {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                let _ = sender.send(line);
            }
        });
        let mut server = Self { child, log, start: Vec::new() };
        loop {
            let line = server.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no start: {:?}", server.start));
            let ready = line["message"] == "ready";
            server.start.push(line);
            if ready {
                return server;
            }
        }
    }

    /// Waits for a line of the log that comes after the server was ready.
    #[expect(clippy::disallowed_methods, reason = "a test that fails must end, however much the server says meanwhile")]
    pub(crate) fn log_line(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            let line = self.log.recv_timeout(left).expect("the line comes");
            if is_it(&line) {
                return line;
            }
        }
    }

    /// The same for one that may come before.
    pub(crate) fn log_line_or_start(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        match self.start.iter().find(|line| is_it(line)) {
            Some(line) => line.clone(),
            None => self.log_line(is_it),
        }
    }

    /// Waits until so many segments of the journal were removed since the start.
    pub(crate) fn removes(&self, segments: usize) {
        let is_it = |line: &Value| line["message"] == "journal segment removed";
        for _ in self.start.iter().filter(|line| is_it(line)).count()..segments {
            self.log_line(is_it);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn address(&self, message: &str, transport: Option<&str>) -> SocketAddr {
        let is_it = |line: &&Value| {
            line["message"] == message && transport.is_none_or(|transport| line["transport"] == transport)
        };
        let line = self.start.iter().find(is_it).unwrap_or_else(|| panic!("{message}: {:?}", self.start));
        line["address"].as_str().expect("an address").parse().expect("an address")
    }

    /// Where devices come.
    pub(crate) fn listener(&self, transport: &str) -> SocketAddr {
        self.address("listening", Some(transport))
    }

    /// Where the public HTTP server is.
    pub(crate) fn http(&self) -> SocketAddr {
        self.address("serving HTTP", None)
    }

    /// Asks the public HTTP server.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.http(), path)
    }

    /// Waits until `/metrics` has this line: much is counted after what it counts was seen.
    pub(crate) fn metric_becomes(&self, line: &str) {
        self.metrics_have(line, |known| known == line);
    }

    /// The same for a line that begins so.
    pub(crate) fn metric_begins(&self, begin: &str) {
        self.metrics_have(begin, |known| known.starts_with(begin));
    }

    fn metrics_have(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let mut numbers = self.get("/metrics").1;
        for _ in 0..900 {
            if numbers.lines().any(&is_it) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
            numbers = self.get("/metrics").1;
        }
        panic!("{what}: {numbers}");
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a server that runs");
        self.child.wait().expect("it ends");
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().expect("it ends")
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the public HTTP server that is there.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(address).expect("the HTTP server answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    ask(stream, path)
}

/// Asks the control socket.
pub(crate) fn control(data: &Path, path: &str) -> (u16, String) {
    let stream = UnixStream::connect(data.join("control.sock")).expect("the control socket answers");
    ask(stream, path)
}

fn ask(mut stream: impl std::io::Read + std::io::Write, path: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("a request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).expect("a status").parse().expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

/// A Wialon device.
pub(crate) struct Device {
    stream: BufReader<TcpStream>,
}

impl Device {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the listener answers"))
    }

    /// One that has connected already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream: BufReader::new(stream) }
    }

    /// Logs in; gives the answer.
    pub(crate) fn login(&mut self, id: &str) -> String {
        self.say(&format!("#L#{id};NA"))
    }

    /// Sends the position of so many seconds after noon; gives the answer.
    pub(crate) fn position(&mut self, second: u32) -> String {
        self.say(&position(second))
    }

    /// Sends a line; gives the line that answers it, or nothing where the connection ended.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("a line is sent");
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut answer = String::new();
        self.stream.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    /// Whether the other side closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            // It is open still, and nothing came.
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A position, as a line without its end.
pub(crate) fn position(second: u32) -> String {
    let time = format!("{:02}{:02}{:02}", 12 + second / 3600, second / 60 % 60, second % 60);
    format!("#SD#231126;{time};5355.0926;N;02732.4096;E;{};2;300;7", second % 100)
}

/// The time of such a position.
pub(crate) fn moment(second: u32) -> String {
    format!("2026-11-23T{:02}:{:02}:{:02}.000Z", 12 + second / 3600, second / 60 % 60, second % 60)
}

/// Device and time of each record.
pub(crate) fn told(records: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    records.iter().map(|record| (text(&record["device"]), text(&record["time"]))).collect()
}

/// Waits until something is so: what devices and servers do is seen a moment later.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("waited in vain for {what}");
}

/// A minute and more.
const TRIES: u32 = 6000;
const PAUSE: Duration = Duration::from_millis(10);
