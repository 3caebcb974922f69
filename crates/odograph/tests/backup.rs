//! Backups of a server that devices send to, what interrupts them, and data folders that are made of them elsewhere.

mod client;
mod common;
#[path = "../../catalog/tests/catalog/postgres.rs"]
mod postgres;

use client::Client;
use common::{Device, Place, Server, errors, moment, position};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Devices that send one position after the other, until they are told to stop or the server is gone.
struct Load {
    acknowledged: Vec<Arc<AtomicU32>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let acknowledged: Vec<_> = (0..DEVICES).map(|_| Arc::<AtomicU32>::default()).collect();
        let threads = acknowledged.iter().enumerate().map(|(number, acknowledged)| {
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            std::thread::spawn(move || send(address, number, &stop, &acknowledged))
        });
        Self { threads: threads.collect(), acknowledged, stop }
    }

    /// How many positions of each device are acknowledged now.
    fn now(&self) -> Vec<u32> {
        self.acknowledged.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Waits until each device has so many.
    fn reaches(&self, count: u32) {
        while self.now().iter().any(|now| *now < count) {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a device ended: {:?}", self.now());
            std::thread::sleep(PAUSE);
        }
    }

    fn end(self) -> Vec<u32> {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().expect("a device ends");
        }
        self.acknowledged.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }
}

fn send(address: SocketAddr, number: usize, stop: &AtomicBool, acknowledged: &AtomicU32) {
    let mut device = Device::connect(address);
    assert_eq!(device.login(&number.to_string()), "#AL#1");
    for second in 0..SECONDS_MAX {
        if stop.load(Ordering::Acquire) {
            return;
        }
        assert_eq!(device.position(second), "#ASD#1");
        acknowledged.store(second + 1, Ordering::Release);
        // A day's seconds are for the whole test.
        std::thread::sleep(PAUSE);
    }
    panic!("the test takes too long");
}

const DEVICES: usize = 4;
/// Half a day, a second each.
const SECONDS_MAX: u32 = 43_000;
const PAUSE: Duration = Duration::from_millis(5);

/// Segments and files go as soon as they may.
const RESTLESS: &[(&str, &str)] = &[
    ("ODOGRAPH_JOURNAL__SEGMENT_BYTES", "64 KiB"),
    ("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__FRAMES_FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__MAINTAIN_EVERY", "10 ms"),
    ("ODOGRAPH_LAKE__REMOVED_FILES_AFTER", "0 ms"),
    ("ODOGRAPH_LAKE__LOG_ENTRIES_AFTER", "0 ms"),
];

fn serve(place: &Place, more: &[(&str, &str)]) -> Server {
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.envs(more.iter().copied());
    Server::start(command)
}

fn target(place: &Place) -> PathBuf {
    place.folder.path().join("backups")
}

fn backup(place: &Place, to: &Path) -> Value {
    read(&place.text(&["backup", "--json", "--to", text(to)]))
}

/// Restores the newest backup into a place of its own.
fn restore(from: &Path) -> Place {
    let place = Place::new();
    place.text(&["restore", "--from", text(from), "--verify"]);
    place
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}

/// How many positions of each device there are: from the first on, without a gap, each once.
fn counted(records: &[Value]) -> Vec<u32> {
    let mut times: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (device, time) in common::told(records) {
        times.entry(device).or_default().push(time);
    }
    let count = |mut times: Vec<String>| {
        times.sort_unstable();
        let expected: Vec<String> = (0..times.len()).map(|second| moment(second as u32)).collect();
        assert_eq!(times, expected, "each once, none missing");
        times.len() as u32
    };
    times.into_values().map(count).collect()
}

#[test]
fn what_was_acknowledged_before_a_backup_is_in_it_once_while_everything_moves() {
    let place = Place::new();
    let (server, to) = (serve(&place, RESTLESS), target(&place));
    let load = Load::on(server.listener("tcp"));
    load.reaches(300);
    for round in 1..=3 {
        load.reaches(300 * round);
        let before = load.now();
        let made = backup(&place, &to);
        let after = load.now();
        assert_eq!(made["catalog"], "sqlite");
        let restored = restore(&to);
        let found = counted(&restored.records(&[]));
        let is_right = |number: usize| (before[number]..=after[number] + 1).contains(&found[number]);
        assert!((0..DEVICES).all(is_right), "round {round}: {before:?}, {found:?}, {after:?}");
    }
    // Some segments are known from their seals and history alone.
    server.removes(3);
    let before = load.now();
    backup(&place, &to);
    load.end();
    server.kill();
    let restored = restore(&to);
    let found = counted(&restored.records(&[]));
    assert!(found.iter().zip(&before).all(|(found, before)| found >= before), "{before:?}, {found:?}");

    // It goes on: devices send again what they are not sure of, and more.
    let server = serve(&restored, RESTLESS);
    let load = Load::on(server.listener("tcp"));
    let beyond = found.iter().max().expect("there are devices") + 200;
    load.reaches(beyond);
    let sent = load.end();
    assert_eq!(counted(&restored.records(&[])), sent, "while it runs");
    assert!(server.stop().success());
    assert_eq!(counted(&restored.records(&[])), sent, "afterwards");
    let verified = read(&restored.text(&["journal", "verify", "--history", "--json"]));
    assert_eq!((&verified["sound"], &verified["history"]["wrong"]), (&Value::Bool(true), &Value::Array(vec![])));
    // And is backed up to where the first one was, because it is the same journal.
    let again = backup(&restored, &to);
    assert!(again["sent"]["bytes"].as_u64() < again["bytes"].as_u64(), "{again}");
    assert_eq!(counted(&restore(&to).records(&[])), sent);
}

/// A server with some data, stopped.
fn stopped(positions: u32) -> Place {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    for second in 0..positions {
        assert_eq!(device.position(second), "#ASD#1");
    }
    place.text(&["user", "list"]);
    assert!(server.stop().success());
    place
}

#[test]
fn a_backup_lies_elsewhere() {
    let place = stopped(1);
    let data = place.data();
    for within in [data.clone(), data.join("lake"), data.join("sub/backups"), place.folder.path().to_owned()] {
        let refused = place.run(&["backup", "--to", text(&within)]);
        assert_eq!(refused.status.code(), Some(64), "{}", errors(&refused));
        assert!(errors(&refused).contains("lie within each other"), "{}", errors(&refused));
    }
    assert!(!data.join("objects").exists() && !data.join("sub").exists());
}

#[test]
fn a_second_backup_sends_what_is_new() {
    let place = stopped(500);
    let to = target(&place);
    let first = backup(&place, &to);
    assert_eq!(first["sent"]["bytes"], first["bytes"], "nothing was there: {first}");
    let second = backup(&place, &to);
    assert_eq!((&second["sent"]["bytes"], &second["files"]), (&0.into(), &first["files"]), "{second}");
    // Reading everything again finds the same.
    let read = read(&place.text(&["backup", "--json", "--read-all", "--to", text(&to)]));
    assert_eq!(read["sent"]["objects"], 0, "{read}");
    let listed = place.text(&["backup", "list", "--json", "--from", text(&to)]);
    assert_eq!(listed.lines().count(), 3);
    place.text(&["backup", "prune", "--keep", "1", "--from", text(&to)]);
    assert_eq!(place.text(&["backup", "list", "--json", "--from", text(&to)]).lines().count(), 1);
    assert_eq!(counted(&restore(&to).records(&[])), [500]);
    // Users and devices come along.
    let restored = restore(&to);
    assert_eq!(restored.text(&["user", "list", "--json"]), place.text(&["user", "list", "--json"]));
    assert!(restored.data().join("devices.jsonl").exists());
}

/// All objects of backups, the longest first.
fn objects(to: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(to.join("objects")).expect("there are backups");
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("a folder").path()).expect("a folder"));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).expect("it is there").len()));
    files
}

#[test]
fn damage_is_named_and_what_was_half_restored_is_no_data_folder() {
    let place = stopped(200);
    let to = target(&place);
    backup(&place, &to);
    for object in objects(&to) {
        let whole = std::fs::read(&object).expect("it can be read");
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x10;
        std::fs::write(&object, damaged).expect("it can be written");
        let output = place.run(&["backup", "verify", "--json", "--from", text(&to)]);
        let told = read(&String::from_utf8(output.stdout).expect("UTF-8"));
        let (name, expected) = (object.strip_prefix(&to).expect("it is below"), Value::Bool(false));
        assert_eq!((output.status.code(), &told["sound"]), (Some(1), &expected));
        assert_eq!((&told["problems"][0]["object"], told["problems"][1].is_null()), (&text(name).into(), true));

        let restored = Place::new();
        let output = restored.run(&["restore", "--from", text(&to)]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            errors(&output).contains(&format!("{} at {} is not what was written", text(name), text(&to))),
            "{output:?}"
        );
        for arguments in [&["serve"][..], &["export", "records"], &["user", "list"], &["backup", "--to", "x"]] {
            let output = restored.run(arguments);
            assert_eq!(output.status.code(), Some(66), "{arguments:?}: {output:?}");
            assert!(errors(&output).contains("a restore into"), "{}", errors(&output));
        }
        std::fs::write(&object, whole).expect("it can be written");
        restored.text(&["restore", "--from", text(&to)]);
        assert_eq!(counted(&restored.records(&[])), [200]);
    }
    let taken = place.run(&["restore", "--from", text(&to)]);
    assert!(errors(&taken).contains("is not empty: restore into a place where nothing is"), "{}", errors(&taken));
}

#[test]
fn a_restore_that_is_killed_goes_on() {
    let place = stopped(2000);
    let to = target(&place);
    backup(&place, &to);
    let mut restored = Place::new();
    let mut interrupted = 0_u64;
    for _ in 0..20 {
        let mut child = restored.command(&["restore", "--from", text(&to)]).spawn().expect("it starts");
        let mark = restored.data().join("restore.incomplete");
        while !mark.exists() && child.try_wait().expect("it is asked").is_none() {
            std::hint::spin_loop();
        }
        std::thread::sleep(Duration::from_micros(interrupted * 200));
        let _ = child.kill();
        child.wait().expect("it ends");
        if !mark.exists() {
            if interrupted > 0 {
                break;
            }
            // It was done before anybody looked: another one is begun.
            restored = Place::new();
            continue;
        }
        interrupted += 1;
        assert_eq!(restored.run(&["export", "records"]).status.code(), Some(66));
    }
    assert!(interrupted > 0, "none was in the midst of it");
    if restored.data().join("restore.incomplete").exists() {
        restored.text(&["restore", "--from", text(&to)]);
    }
    assert_eq!(counted(&restored.records(&[])), [2000]);
    restored.text(&["journal", "verify"]);
}

#[test]
fn a_backup_that_is_killed_is_none_and_the_next_one_is_made() {
    let place = Place::new();
    // Half a minute for what is there: nobody waits for its end.
    let slow = [("ODOGRAPH_BACKUP__BANDWIDTH", "2 KiB")];
    let (server, to) = (serve(&place, &slow), target(&place));
    let load = Load::on(server.listener("tcp"));
    load.reaches(200);
    let begin = || {
        let mut command = place.command(&["backup", "--to", text(&to)]);
        let child = command.envs(slow).spawn().expect("it starts");
        while !to.join("lease.json").exists() {
            std::thread::sleep(PAUSE);
        }
        child
    };
    // Whoever asked for it is killed: the server gives it up.
    let mut asking = begin();
    let refused = place.run(&["backup", "--to", text(&to)]);
    assert!(errors(&refused).contains("another backup is under way"), "{}", errors(&refused));
    asking.kill().expect("it runs");
    asking.wait().expect("it ends");
    let line =
        server.log_line(|line| line["message"].as_str().is_some_and(|text| text.starts_with("no backup was made")));
    assert_eq!(line["message"], "no backup was made: given up: whoever asked for it has gone");
    assert!(!to.join("lease.json").exists());
    // The server itself is killed.
    let mut asking = begin();
    drop(load);
    server.kill();
    let output = asking.wait().expect("it ends");
    assert_eq!(output.code(), Some(69));
    let none = place.run(&["restore", "--from", text(&to), "--data", text(&place.folder.path().join("r"))]);
    assert!(errors(&none).contains("has no backup"), "{}", errors(&none));
    let made = backup(&place, &to);
    assert!(made["sent"]["bytes"].as_u64() <= made["bytes"].as_u64(), "{made}");
    let found = counted(&restore(&to).records(&[]));
    assert!(found.iter().all(|found| *found >= 200), "{found:?}");
}

#[test]
fn a_full_disk_at_the_target_is_told_and_leaves_no_backup() {
    let place = stopped(10_000);
    let to = target(&place);
    let program = place.command(&[]).get_program().to_owned();
    // No file may grow beyond this many blocks of 512 bytes: for a program, that is a full disk.
    let limited = "trap '' XFSZ; ulimit -f 800; exec \"$0\" backup --to \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited]).arg(program).arg(&to).env("ODOGRAPH_DATA", place.data());
    let output: Output = command.output().expect("the command runs");
    let told = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no backup was made: cannot put objects/") && told.contains("File too large"), "{told}");
    assert!(place.text(&["backup", "list", "--json", "--from", text(&to)]).is_empty());
    let made = backup(&place, &to);
    assert!(made["sent"]["bytes"].as_u64() < made["bytes"].as_u64(), "what fitted was kept: {made}");
    assert_eq!(counted(&restore(&to).records(&[])), [10_000]);
}

#[test]
fn a_position_is_what_the_tests_count() {
    // The load and the counting agree on what a device's second is.
    assert!(position(61).contains(";120101;") && moment(61).contains("12:01:01"));
}

/// Serves, and knows the user `admin`.
fn serve_people(place: &Place) -> Server {
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    Server::start(command)
}

#[test]
fn a_restored_backup_lets_nobody_in_silently_who_was_locked_out_since() {
    let place = Place::new();
    let (server, to) = (serve_people(&place), target(&place));
    let token = |name: &str| read(&place.text(&["token", "create", "--json", "--role", "owner", "--name", name]));
    let (kept, leaked) = (token("reports"), token("leaked"));
    let secret = |of: &Value| of["secret"].as_str().expect("a secret").to_owned();
    let owner = Client::with_token(server.http(), &secret(&kept));
    let login = json!({"login": "leaver", "password": "battery staple"});
    owner.post("/api/v1/users", &json!({"login": "leaver", "password": "battery staple", "role": "manager"})).of(201);
    let signed_in = Client::nobody(server.http()).post("/api/v1/sessions", &login);
    let cookie = signed_in.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    owner.post("/api/v1/devices", &json!({"ids": ["352093081452251"]})).of(201);
    let device = "/api/v1/devices/352093081452251";
    let share = owner.post(&format!("{device}/shares"), &json!({})).of(201);
    let link = format!("Bearer {}", share["secret"].as_str().expect("a secret"));
    // For whichever protocol the device will speak.
    let wanted = owner.post(&format!("{device}/commands"), &json!({"type": "engineStop"})).of(201);
    let number = wanted["number"].as_i64().expect("a number");
    // Until it knows how devices are, it says that it does not.
    let shared = |server: &Server| {
        let holder = Client::nobody(server.http()).with("authorization", &link);
        let status = (0..600).map(|_| holder.get("/api/v1/shared").status).find(|status| {
            std::thread::sleep(10 * PAUSE);
            *status != 503
        });
        status.expect("it knows at last")
    };
    assert_eq!(shared(&server), 200);
    let made = backup(&place, &to);

    // All of this happens after the backup, which knows nothing of it.
    let id = |of: &Value| of["id"].as_str().expect("an id").to_owned();
    place.text(&["token", "revoke", &id(&leaked)]);
    owner.ask("DELETE", &format!("{device}/shares/{}", id(&share)), None).of(204);
    place.text(&["user", "delete", "leaver"]);
    assert_eq!(shared(&server), 404);
    assert!(server.stop().success());

    let restored = Place::new();
    let told = read(&restored.text(&["restore", "--json", "--from", text(&to)]));
    let revived = &told["revived"];
    assert_eq!(revived["sessions_ended"], 1, "{told}");
    assert_eq!((&revived["links_ended"], &revived["commands_cancelled"]), (&json!(1), &json!(1)));
    let names = |list: &str, name: &str| -> Vec<Value> {
        let all = revived[list].as_array().expect("a list").iter();
        all.map(|one| one[name].clone()).collect()
    };
    let mut tokens = names("tokens", "id");
    tokens.sort_by_key(Value::to_string);
    let mut expected = vec![kept["id"].clone(), leaked["id"].clone()];
    expected.sort_by_key(Value::to_string);
    assert_eq!((tokens, names("users", "login")), (expected, vec![json!("admin"), json!("leaver")]));
    // Before anybody can reach it.
    restored.text(&["token", "revoke", &id(&leaked)]);
    restored.text(&["user", "disable", "leaver"]);
    let server = serve_people(&restored);
    let owner = Client::with_token(server.http(), &secret(&kept));
    assert_eq!(owner.get(&format!("{device}/shares")).of(200), json!([]));
    assert_eq!(shared(&server), 404);
    assert_eq!(owner.get(&format!("{device}/commands/{number}")).of(200)["state"], "cancelled");
    assert_eq!(Client::with_token(server.http(), &secret(&leaked)).get("/api/v1/devices").status, 401);
    let browser = Client::nobody(server.http()).with("cookie", &cookie);
    assert_eq!(browser.get("/api/v1/sessions/current").status, 401);
    assert_ne!(Client::nobody(server.http()).post("/api/v1/sessions", &login).status, 201);
    let entries = owner.get("/api/v1/audit?kind=tenant").of(200);
    let entry = entries.as_array().expect("a list").iter().find(|entry| entry["action"] == "catalog.restore");
    let became = &entry.expect("an entry")["became"];
    assert_eq!((&became["links"], &became["sessions"], &became["commands"]), (&json!(1), &json!(1), &json!(1)));
    drop(server);

    // Whoever wants links as they were has them, and is told; a person reads how to take back the rest.
    let again = Place::new();
    let said = again.text(&["restore", "--keep-links", "--from", text(&to)]);
    check_said(&said, made["time"].as_str().expect("a time"), &id(&leaked));
    let server = serve_people(&again);
    assert_eq!(shared(&server), 200);
}

/// What a person reads of a restore that kept the links.
fn check_said(said: &str, time: &str, leaked: &str) {
    for part in [
        "No link to a device was ended (--keep-links).".to_owned(),
        format!("These hold as they did at {time}, with their passwords of then."),
        format!("odograph token revoke --tenant default {leaked}"),
        "odograph user disable --tenant default leaver".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
}

#[test]
fn a_restore_that_ended_with_an_open_catalog_begins_it_anew() {
    let place = stopped(3);
    let to = target(&place);
    backup(&place, &to);
    // As a kill leaves it while the catalog is open: the mark, and what belongs to a file that is replaced.
    let restored = Place::new();
    let data = restored.data();
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("restore.incomplete"), "").expect("a mark");
    for ending in ["-wal", "-shm"] {
        std::fs::write(data.join(format!("catalog.sqlite{ending}")), vec![7; 8192]).expect("a file is written");
    }
    std::fs::write(data.join("catalog.sqlite"), "half").expect("a file is written");
    restored.text(&["restore", "--from", text(&to)]);
    assert_eq!(restored.text(&["user", "list", "--json"]), place.text(&["user", "list", "--json"]));
    assert_eq!(counted(&restored.records(&[])), [3]);
}

/// A place whose catalog is in a database of its own in PostgreSQL.
struct Shared {
    place: Place,
    url: String,
}

impl Shared {
    /// `None` where `cargo xtask test`, which installs the server, does not run the test.
    fn new() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(postgres::new_database()).map(|url| Self { place: Place::new(), url })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("ODOGRAPH_CATALOG__URL", &self.url);
        command
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the command runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn serve(&self) -> Server {
        let mut command = self.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
        command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
        Server::start(command)
    }
}

#[test]
fn a_catalog_in_postgresql_comes_along_to_an_empty_machine() {
    let Some(origin) = Shared::new() else { return };
    let (server, to) = (origin.serve(), target(&origin.place));
    let token = read(&origin.text(&["token", "create", "--json", "--role", "owner", "--name", "reports"]));
    let secret = token["secret"].as_str().expect("a secret").to_owned();
    let owner = Client::with_token(server.http(), &secret);
    owner.post("/api/v1/devices", &json!({"ids": ["352093081452251"], "name": "Truck 7"})).of(201);
    let device = "/api/v1/devices/352093081452251";
    owner.post(&format!("{device}/shares"), &json!({})).of(201);
    let wanted = owner.post(&format!("{device}/commands"), &json!({"type": "engineStop"})).of(201);
    let login = json!({"login": "admin", "password": "correct horse"});
    let signed_in = Client::nobody(server.http()).post("/api/v1/sessions", &login);
    let cookie = signed_in.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let made = read(&origin.text(&["backup", "--json", "--to", text(&to)]));
    assert_eq!((&made["catalog"], &made["missing"]), (&json!("postgres"), &Value::Null), "{made}");
    assert!(!origin.place.data().join("catalog.copy").exists());
    owner.post("/api/v1/devices", &json!({"ids": ["later"]})).of(201);
    assert!(server.stop().success());

    let restored = Shared::new().expect("there was a server before");
    let told = read(&restored.text(&["restore", "--json", "--from", text(&to)]));
    assert_eq!((&told["catalog"], &told["catalog_to"]), (&json!("postgres"), &json!("postgres")), "{told}");
    let revived = &told["revived"];
    let ended = ["sessions_ended", "links_ended", "commands_cancelled"].map(|what| revived[what].clone());
    assert_eq!((ended, &revived["tokens"][0]["id"]), ([json!(1), json!(1), json!(1)], &token["id"]), "{told}");
    assert_eq!(revived["users"][0]["login"], "admin", "{told}");
    assert!(!restored.place.data().join("catalog.sqlite").exists());
    let server = restored.serve();
    let owner = Client::with_token(server.http(), &secret);
    assert_eq!(owner.get(device).of(200)["name"], "Truck 7");
    assert_eq!(owner.get("/api/v1/devices/later").status, 404);
    assert_eq!(owner.get(&format!("{device}/shares")).of(200), json!([]));
    let number = &wanted["number"];
    assert_eq!(owner.get(&format!("{device}/commands/{number}")).of(200)["state"], "cancelled");
    let browser = Client::nobody(server.http()).with("cookie", &cookie);
    assert_eq!(browser.get("/api/v1/sessions/current").status, 401);
    assert_eq!(Client::nobody(server.http()).post("/api/v1/sessions", &login).status, 201);
}

#[test]
fn a_database_that_has_a_catalog_keeps_it_and_a_catalog_goes_where_the_configuration_says() {
    let Some(origin) = Shared::new() else { return };
    let (server, to) = (origin.serve(), target(&origin.place));
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(0)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    assert!(server.stop().success());
    origin.text(&["backup", "--to", text(&to)]);
    let users = ["user", "list", "--json"];
    let known = origin.text(&users);

    // One of several machines is lost, and the database is not.
    let one = Shared { place: Place::new(), url: origin.url.clone() };
    let refused = one.command(&["restore", "--from", text(&to)]).output().expect("the command runs");
    assert_eq!(refused.status.code(), Some(78), "{}", errors(&refused));
    assert!(errors(&refused).contains("has a catalog already, and nothing was restored"), "{}", errors(&refused));
    assert!(!one.place.data().exists());
    let said = one.text(&["restore", "--from", text(&to), "--keep-catalog"]);
    assert!(said.contains("stays as it is: nothing in it was ended."), "{said}");
    assert!(!one.place.data().join("catalog.sqlite").exists());
    assert_eq!((one.text(&users), counted(&one.place.records(&[]))), (known.clone(), vec![1]));

    // Somebody has no such database any more: the catalog is a file like any other.
    let alone = Place::new();
    let keeps = alone.run(&["restore", "--from", text(&to), "--keep-catalog"]);
    assert_eq!(keeps.status.code(), Some(64), "{}", errors(&keeps));
    let said = alone.text(&["restore", "--from", text(&to)]);
    assert!(said.contains("so they are in the data folder now."), "{said}");
    assert_eq!(alone.text(&users), known);

    // And the other way round.
    let again = alone.folder.path().join("again");
    assert_eq!(backup(&alone, &again)["catalog"], "sqlite");
    let moved = Shared::new().expect("there was a server before");
    let told = read(&moved.text(&["restore", "--json", "--from", text(&again)]));
    assert_eq!((&told["catalog"], &told["catalog_to"]), (&json!("sqlite"), &json!("postgres")), "{told}");
    assert_eq!(moved.text(&users), known);
}
