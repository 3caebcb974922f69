//! Object stores on this machine, as processes of their own, and a line to them that can be cut.
#![allow(dead_code, reason = "each test file uses a part of this")]

use odograph_testkit::free_address;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Which provider's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    S3,
    Azure,
}

/// A running emulator with an empty bucket or container called `odograph`.
pub(crate) struct Emulator {
    kind: Kind,
    program: String,
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Emulator {
    /// `None` where `cargo xtask test`, which installs them, does not run the test.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        let variable = match kind {
            Kind::S3 => "TEST_EMULATOR_MOTO",
            Kind::Azure => "TEST_EMULATOR_AZURITE",
        };
        let Ok(program) = std::env::var(variable) else {
            eprintln!("left out: {variable} names no emulator; `cargo xtask test --only test` installs it");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address();
        let child = spawn(kind, &program, folder.path(), address);
        let emulator = Self { kind, program, folder, address, child };
        emulator.make_bucket("odograph");
        Some(emulator)
    }

    /// Ends it in good order.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        self.child.wait().expect("it ends");
    }

    /// Starts it on what it wrote before it was stopped.
    pub(crate) fn restart_stopped(&mut self) {
        self.child = spawn(self.kind, &self.program, self.folder.path(), self.address);
    }

    /// Lets it do nothing more, with its connections open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Makes a bucket or container.
    pub(crate) fn make_bucket(&self, name: &str) {
        let path = match self.kind {
            Kind::S3 => format!("/{name}"),
            Kind::Azure => format!("/{ACCOUNT}/{name}?restype=container&{SIGNATURE}"),
        };
        self.request("PUT", &path);
    }

    /// The names of the objects in the first bucket that begin like this: a thousand, if there are more.
    pub(crate) fn names(&self, begin: &str) -> Vec<String> {
        let begin = begin.replace('/', "%2F").replace('=', "%3D");
        let (path, tag) = match self.kind {
            Kind::S3 => (format!("/odograph?list-type=2&prefix={begin}"), "Key"),
            Kind::Azure => {
                let what = "restype=container&comp=list&maxresults=1000";
                (format!("/{ACCOUNT}/odograph?{what}&prefix={begin}&{SIGNATURE}"), "Name")
            }
        };
        let answer = self.request("GET", &path);
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let named = answer.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()));
        named.filter(|name| name.contains('/')).collect()
    }

    fn request(&self, method: &str, path: &str) -> String {
        // An emulator that has just started resets a connection now and then. What is asked here may be asked again.
        let mut answer = self.try_request(method, path);
        for _ in 1..REQUEST_TRIES {
            if answer.is_err() {
                std::thread::sleep(REQUEST_PAUSE);
                answer = self.try_request(method, path);
            }
        }
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path} of {}: {error}", self.program));
        assert!(answer.starts_with("HTTP/1.") && answer.get(9..11) == Some("20"), "{answer}");
        answer
    }

    fn try_request(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Of an older version, so that an answer comes in one piece.
        let request = format!("{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", self.address);
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(kind: Kind, program: &str, folder: &Path, address: SocketAddr) -> Child {
    let port = address.port().to_string();
    let mut command = Command::new(program);
    match kind {
        Kind::S3 => command.args(["-H", "127.0.0.1", "-p", &port]),
        Kind::Azure => command
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port, "--silent", "--skipApiVersionCheck"])
            .args(["--disableTelemetry", "--location"])
            .arg(folder),
    };
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    for _ in 0..START_TRIES {
        if TcpStream::connect(address).is_ok() {
            return child;
        }
        assert!(child.try_wait().expect("it is asked").is_none(), "the emulator {program} ended at once");
        std::thread::sleep(LOOK);
    }
    let _ = child.kill();
    panic!("the emulator {program} does not come up");
}

/// The settings with which a server finds an emulator behind a line.
pub(crate) fn settings(kind: Kind, line: SocketAddr) -> Vec<(&'static str, String)> {
    let mut settings = vec![("ODOGRAPH_LAKE__STORE_OPTIONS__ALLOW_HTTP", "true".to_owned())];
    settings.extend(match kind {
        Kind::S3 => [
            ("ODOGRAPH_LAKE__STORE", "s3://odograph/history".to_owned()),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__REGION", "us-east-1".to_owned()),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__ENDPOINT", format!("http://{line}")),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__ACCESS_KEY_ID", "test".to_owned()),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__SECRET_ACCESS_KEY", "test".to_owned()),
        ]
        .to_vec(),
        Kind::Azure => [
            ("ODOGRAPH_LAKE__STORE", "az://odograph/history".to_owned()),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__ENDPOINT", format!("http://{line}/{ACCOUNT}")),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("ODOGRAPH_LAKE__STORE_OPTIONS__ACCOUNT_KEY", KEY.to_owned()),
        ]
        .to_vec(),
    });
    settings
}

/// A line to a store.
pub(crate) struct Line {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    pub(crate) fn to(store: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (state, open) = (Arc::new(AtomicU8::new(UP)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (seen, kept) = (state.clone(), open.clone());
        // Ends with the process.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = if seen.load(Ordering::SeqCst) == DOWN { None } else { TcpStream::connect(store).ok() };
                let Some(far) = far else { continue };
                let copies = (near.try_clone(), far.try_clone());
                let (Ok(near_too), Ok(far_too)) = copies else { continue };
                let mut all = kept.lock().expect("nobody panics holding it");
                all.extend([near.try_clone(), far.try_clone()].into_iter().flatten());
                drop(all);
                let (seen, asked) = (seen.clone(), Arc::<AtomicBool>::default());
                let commits = asked.clone();
                let notes = move |bytes: &[u8]| {
                    commits.fetch_or(seen.load(Ordering::SeqCst) == DEAF && is_commit(bytes), Ordering::SeqCst);
                    true
                };
                std::thread::spawn(move || carry(near_too, far_too, notes));
                std::thread::spawn(move || carry(far, near, move |_| !asked.load(Ordering::SeqCst)));
            }
        });
        Self { address, state, open }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything ends, and nobody gets through.
    pub(crate) fn cut(&self) {
        self.set(DOWN);
    }

    /// Commits arrive there, and no answer to one comes back.
    pub(crate) fn lose_answers_to_commits(&self) {
        self.set(DEAF);
    }

    pub(crate) fn mend(&self) {
        self.set(UP);
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
        if state == DOWN {
            for stream in self.open.lock().expect("nobody panics holding it").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Whether a request begins there that puts an entry of a table's log.
fn is_commit(bytes: &[u8]) -> bool {
    let line = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let line = line.lines().next().unwrap_or_default();
    line.starts_with("PUT ") && line.contains("/_delta_log/") && line.contains(".json")
}

/// Carries bytes one way until the end, or until there are some that must not arrive.
fn carry(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !passes(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

const UP: u8 = 0;
const DOWN: u8 = 1;
const DEAF: u8 = 2;

/// The emulator's own account, whose key everyone knows.
const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// The right to make containers in it, signed with that key.
const SIGNATURE: &str = "sv=2019-02-02&ss=b&srt=sco&sp=rwdlc&se=2099-01-01T00%3A00%3A00Z\
                         &sig=BkQCtjTnKj3xLJjueHlvFzvQYMVTOuzARlL7Ru0KS5U%3D";

const LOOK: Duration = Duration::from_millis(50);
/// A minute: on a busy machine an interpreter takes its time.
const START_TRIES: u32 = 1200;
/// How often something is asked of an emulator.
const REQUEST_TRIES: u32 = 5;
const REQUEST_PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);
