//! Servers that are to follow another: real ones, and a program that speaks as one and goes no further than a test wants.
#![allow(dead_code, reason = "each test file uses a part of this")]

use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

const CONNECT_PAUSE: Duration = Duration::from_millis(20);
const CONNECT_TRIES: u32 = 3000;

/// A server whose start is watched line by line.
pub(crate) struct Starting {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Starting {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        Self { child, lines: received, seen: Vec::new() }
    }

    /// Waits until it says that.
    pub(crate) fn says(&mut self, message: &str) {
        loop {
            let next = self.lines.recv_timeout(PATIENCE);
            let line = next.unwrap_or_else(|_| panic!("it does not say {message:?}: {:?}", self.seen));
            let text = line["message"].as_str().or(line.as_str()).unwrap_or_default().to_owned();
            self.seen.push(line);
            if text.contains(message) {
                return;
            }
        }
    }

    /// Whether it has said that by now.
    pub(crate) fn has_said(&mut self, message: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        let text = |line: &Value| line["message"].as_str().or(line.as_str()).unwrap_or_default().contains(message);
        self.seen.iter().any(text)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that speaks as a server that is to follow. Open files that come with messages are closed at once.
pub(crate) struct Speaker(UnixStream);

impl Speaker {
    /// A server that just gave up to hand over serves devices a moment before it listens for the next one again.
    pub(crate) fn connect(data: &Path) -> Self {
        let path = data.join("succession.sock");
        let connect = || UnixStream::connect(&path).inspect_err(|_| std::thread::sleep(CONNECT_PAUSE)).ok();
        let stream = (0..CONNECT_TRIES).find_map(|_| connect()).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    pub(crate) fn say(&mut self, message: &Value) {
        let text = message.to_string();
        self.raw(&[&u16::try_from(text.len()).expect("it is short").to_be_bytes()[..], text.as_bytes()].concat());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server takes it");
    }

    pub(crate) fn hear(&mut self) -> io::Result<Value> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length)?;
        let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Asks to follow, and hears of all sockets. Says how many there are.
    pub(crate) fn asks(&mut self) -> u64 {
        self.say(&json!({"ask": {"exchange": 2, "version": "test"}}));
        let mut sockets = 0;
        loop {
            let message = self.hear().expect("the sockets come");
            match message["all"]["sockets"].as_u64() {
                Some(all) => {
                    assert_eq!(all, sockets);
                    return all;
                }
                None => assert!(message["socket"]["name"].is_string(), "{message}"),
            }
            sockets += 1;
        }
    }

    /// Says that it is ready, and hears that the server stops.
    pub(crate) fn is_ready(&mut self) {
        self.say(&json!("ready"));
        let message = self.hear().expect("it stops");
        assert!(message["closing"]["within_s"].as_u64().is_some_and(|within| within >= 10), "{message}");
    }

    /// Hears that it has the folder.
    pub(crate) fn has_the_folder(&mut self) {
        assert_eq!(self.hear().expect("the lock comes"), json!("lock"));
    }
}
