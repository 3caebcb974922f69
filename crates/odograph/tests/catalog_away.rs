//! A catalog in PostgreSQL that goes away while a server runs: whoever asks hears soon when to come again, devices are served, and nothing
//! has to be started anew once it is back.

mod client;
mod common;
#[path = "../../catalog/tests/catalog/postgres.rs"]
mod postgres;

use client::Client;
use common::{Device, Place, Server, until};
use serde_json::Value;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What PostgreSQL calls its socket.
const SOCKET: &str = ".s.PGSQL.5432";

/// A way to the database that can be cut.
struct Way {
    folder: TempDir,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    is_cut: AtomicBool,
    open: Mutex<Vec<UnixStream>>,
}

impl Way {
    fn to(database: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
        let (way, database) = (Self { folder, line: Arc::default() }, database.join(SOCKET));
        let line = way.line.clone();
        std::thread::spawn(move || {
            for came in listener.incoming().map_while(Result::ok) {
                line.take(came, &database);
            }
        });
        way
    }

    fn cut(&self) {
        self.turn(true);
    }

    fn mend(&self) {
        self.turn(false);
    }

    /// What is open ends in both cases: who was not answered comes again.
    fn turn(&self, is_cut: bool) {
        self.line.is_cut.store(is_cut, Ordering::SeqCst);
        for stream in self.line.open.lock().expect("nobody panics holding it").drain(..) {
            // One that has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    /// Joins somebody to the database. Where the way is cut, they are taken, and nobody answers.
    fn take(&self, came: UnixStream, database: &Path) {
        let again = |stream: &UnixStream| stream.try_clone().expect("a stream");
        self.open.lock().expect("nobody panics holding it").push(again(&came));
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(there) = UnixStream::connect(database) else { return };
        self.open.lock().expect("nobody panics holding it").push(again(&there));
        for (mut from, mut to) in [(again(&came), again(&there)), (there, came)] {
            std::thread::spawn(move || {
                // However it ends, it ends for both.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }
}

#[test]
fn who_asks_while_the_catalog_is_away_hears_when_to_come_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Where `cargo xtask test`, which installs the server, does not run the test, there is none.
    let Some(url) = runtime.block_on(postgres::new_database()) else { return };
    let (begin, folder) = url.split_once("?host=").expect("a folder");
    let way = Way::to(Path::new(folder));
    let url = format!("{begin}?host={}", way.folder.path().display());
    let place = Place::new();
    let with_catalog = |mut command: Command| {
        command.env("ODOGRAPH_CATALOG__URL", &url);
        command
    };
    let server = Server::start(with_catalog(place.command(&["serve", "--listen", "wialon=127.0.0.1:0"])));
    let made = with_catalog(place.command(&["token", "create", "--json", "--role", "owner"])).output();
    let made: Value = serde_json::from_slice(&made.expect("the command runs").stdout).expect("JSON");
    let owner = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    owner.get("/api/v1/devices").of(200);

    way.cut();
    let away = owner.get("/api/v1/devices");
    assert_eq!(away.header("retry-after"), Some("5"), "{}", away.text());
    assert!(!away.text().contains(way.folder.path().to_str().expect("UTF-8")), "{}", away.text());
    assert_eq!(away.problem(503), "unavailable");
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(0)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));

    way.mend();
    until("the catalog", || (owner.get("/api/v1/devices").status == 200).then_some(()));
    until("the device", || (owner.get("/api/v1/devices/1").status == 200).then_some(()));
}
