//! A device or a tenant is erased from a data folder: nothing of it is left in any file, whenever the server is killed, and
//! everybody else's data and proofs are as they were; and what it sends meanwhile is there afterwards, or was never acknowledged.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server, errors, position};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Of two tenants.
const SHARED: &str = "867000000000017";
/// Of one.
const ALONE: &str = "867000000000058";
const OTHER: &str = "867000000000025";
const RETURNS: &str = "867000000000033";
/// The login of a GT06 device, whose id is in it as digits of half a byte.
const LOGIN: &str = "78780d01012345678901234500018cdd0d0a";
const PACKED: &str = "123456789012345";
const MARK: &str = "MARK-OF-WHAT-IS-ERASED";
const STAYS: &str = "MARK-OF-WHAT-STAYS";
const PATIENCE: Duration = Duration::from_secs(60);

/// Files and segments as soon as may be, so that there are many.
const RESTLESS: &[(&str, &str)] = &[
    ("ODOGRAPH_JOURNAL__SEGMENT_BYTES", "64 KiB"),
    ("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms"),
    ("ODOGRAPH_LAKE__FRAMES_FLUSH_AFTER", "10 ms"),
];

/// No default ports: tests beside each other would take them from each other.
const NO_OTHERS: &str = "[ingest]\ndefault_ports = false\n";

struct Listeners {
    default: SocketAddr,
    north: SocketAddr,
    gt06: SocketAddr,
    osmand: SocketAddr,
}

fn serve(place: &Place) -> (Server, Listeners) {
    serve_with(place, RESTLESS)
}

fn serve_with(place: &Place, more: &[(&str, &str)]) -> (Server, Listeners) {
    let listener = |protocol: &str, tenant: &str| {
        format!("[[listener]]\nprotocol = \"{protocol}\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\n{tenant}\n")
    };
    let north = listener("wialon", "tenant = \"north\"");
    let file = [listener("wialon", ""), north, listener("gt06", ""), listener("osmand", "")].concat();
    let path = place.write("odograph.toml", &(file + NO_OTHERS));
    let mut command = place.command(&["serve", "--config", path.to_str().expect("as it was made")]);
    command.envs(more.iter().copied());
    let server = Server::start(command);
    let lines = server.start.iter().filter(|line| line["message"] == "listening" && line["transport"] == "tcp");
    let addresses: Vec<SocketAddr> =
        lines.map(|line| line["address"].as_str().expect("as it was made").parse().expect("as it was made")).collect();
    let [default, north, gt06, osmand, ..] = addresses[..] else { panic!("{:?}", server.start) };
    (server, Listeners { default, north, gt06, osmand })
}

fn login(address: SocketAddr, id: &str) -> Device {
    let mut device = Device::connect(address);
    assert_eq!(device.login(id), "#AL#1");
    device
}

/// A position, and a text that is not short, so that segments end while it goes on.
fn say(device: &mut Device, mark: &str, second: u32) {
    assert_eq!(device.say(&position(second)), "#ASD#1");
    assert_eq!(device.say(&format!("#M#{mark} {second} {}", "x".repeat(300))), "#AM#1");
}

fn send(address: SocketAddr, id: &str, mark: &str, seconds: std::ops::Range<u32>) -> Device {
    let mut device = login(address, id);
    seconds.for_each(|second| say(&mut device, mark, second));
    device
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("as it was made")).collect()
}

/// Everybody sends, by turns and over the ends of several segments, and stays connected.
fn fill(listeners: &Listeners, erased: &str) -> (Vec<Device>, TcpStream) {
    let mut devices = vec![
        login(listeners.default, erased),
        login(listeners.north, SHARED),
        login(listeners.default, OTHER),
        send(listeners.default, RETURNS, "what it said first", 0..3),
    ];
    for second in 0..100 {
        say(&mut devices[0], MARK, second);
        say(&mut devices[1], STAYS, second);
        say(&mut devices[2], STAYS, second);
    }
    let mut packed = TcpStream::connect(listeners.gt06).expect("as it was made");
    packed.set_read_timeout(Some(PATIENCE)).expect("as it was made");
    packed.write_all(&bytes(LOGIN)).expect("as it was made");
    assert!(packed.read(&mut [0; 64]).expect("as it was made") > 0, "the login is answered");
    (devices, packed)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("as it was made") {
        let entry = entry.expect("as it was made");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// The files that have some bytes. A server that runs may take one away meanwhile.
fn having(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let has = |path: &PathBuf| match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        read => read.expect("as it was made").windows(bytes.len()).any(|some| some == bytes),
    };
    files(folder)
        .into_iter()
        .filter(has)
        .map(|path| path.strip_prefix(folder).expect("as it was made").display().to_string())
        .collect()
}

fn export(place: &Place, what: &str, tenant: &str, device: Option<&str>) -> Vec<Value> {
    let mut arguments = vec!["export", what, "--tenant", tenant];
    arguments.extend(device.iter().flat_map(|device| ["--device", device]));
    place.text(&arguments).lines().map(|line| serde_json::from_str(line).expect("as it was made")).collect()
}

/// What there is of those who stay.
fn others(place: &Place) -> [Vec<Value>; 4] {
    [
        export(place, "records", "default", Some(OTHER)),
        export(place, "frames", "default", Some(OTHER)),
        export(place, "records", "north", None),
        export(place, "frames", "north", Some(SHARED)),
    ]
}

fn sql(place: &Place, query: &str) -> String {
    place.text(&["sql", "--csv", query])
}

/// Nothing of the default tenant's device is anywhere.
fn check_gone(place: &Place, device: &str, what: &str) {
    assert_eq!(export(place, "records", "default", Some(device)), Vec::<Value>::new(), "{what}");
    for table in ["records", "frames", "last", "devices"] {
        let count = sql(place, &format!("SELECT count(*) FROM {table} WHERE device = '{device}'"));
        assert_eq!(count.lines().last(), Some("0"), "{what}: {table}");
    }
    assert_eq!(having(&place.data(), MARK.as_bytes()), Vec::<String>::new(), "{what}");
}

fn verify(place: &Place, what: &str) -> Value {
    let output = place.run(&["journal", "verify", "--history", "--json"]);
    let told = String::from_utf8(output.stdout.clone()).expect("as it was made");
    assert_eq!(output.status.code(), Some(0), "{what}: {told} {}", errors(&output));
    serde_json::from_str(&told).expect("as it was made")
}

/// What is decoded again out of the journal's entries, as history has them, is what is there.
fn check_replay(place: &Place, tenant: &str) {
    let told = place.text(&["replay", "--tenant", tenant, "--from", "2020-01-01", "--to", "2100-01-01"]);
    assert!(told.starts_with("Nothing changes: ") && !told.contains(": 0 records"), "{told}");
}

#[test]
fn of_an_erased_device_nothing_is_left_and_others_are_as_they_were() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let (mut devices, packed) = fill(&listeners, SHARED);
    let before = others(&place);
    assert!(before.iter().all(|all| all.len() >= 100));
    assert!(!having(&place.data(), MARK.as_bytes()).is_empty());
    let told = place.text(&["device", "erase", SHARED]);
    assert!(told.contains("Nothing was erased") && told.contains("200 records"), "{told}");
    assert_eq!(export(&place, "records", "default", Some(SHARED)).len(), 200);

    let told = place.text(&["device", "erase", SHARED, "--yes"]);
    assert!(told.contains("Erased (order 1)"), "{told}");
    check_gone(&place, SHARED, "while it runs");
    assert_eq!(others(&place), before);
    ["default", "north"].into_iter().for_each(|tenant| check_replay(&place, tenant));
    assert!(devices[0].is_closed(), "its connection was ended");
    assert_eq!(devices[2].position(500), "#ASD#1", "nobody else's was");
    let before = others(&place);
    let report = verify(&place, "while it runs");
    assert!(report["erasures"][0]["done"].is_number() || report["erasures"][0]["done"].is_string(), "{report}");
    assert!(report["history"]["erased"].as_u64().unwrap() > 0, "{report}");

    // Of one that nobody else has, not even the name.
    drop(packed);
    for alone in [PACKED, RETURNS] {
        place.text(&["device", "erase", alone, "--yes"]);
    }
    let first = b"what it said first".to_vec();
    for form in [PACKED.as_bytes().to_vec(), bytes(LOGIN)[4..12].to_vec(), RETURNS.as_bytes().to_vec(), first] {
        assert_eq!(having(&place.data(), &form), Vec::<String>::new());
    }
    assert!(place.text(&["device", "list"]).contains(OTHER));

    // After a start it is the same, and the device may come again: all that it sends is new.
    assert!(server.stop().success());
    check_gone(&place, SHARED, "stopped");
    let (server, listeners) = serve(&place);
    check_gone(&place, SHARED, "started again");
    assert_eq!(others(&place), before);
    drop(send(listeners.default, RETURNS, "anew", 0..3));
    assert_eq!(export(&place, "records", "default", Some(RETURNS)).len(), 6);
    assert!(server.stop().success());
    verify(&place, "stopped");

    // Without a server nobody knows how far history is.
    let refused = place.run(&["device", "erase", RETURNS, "--yes"]);
    assert_eq!(refused.status.code(), Some(69), "{}", errors(&refused));
    assert!(errors(&refused).contains("no server runs"), "{}", errors(&refused));
    assert_eq!(export(&place, "records", "default", Some(RETURNS)).len(), 6);
}

#[test]
fn what_history_had_not_read_into_files_is_there_for_others() {
    let place = Place::new();
    // Nothing becomes a file by itself, and the journal is one segment.
    let (server, listeners) = serve_with(&place, &[]);
    let (_devices, _packed) = fill(&listeners, SHARED);
    let before = others(&place);
    assert!(having(&place.data().join("lake"), STAYS.as_bytes()).is_empty(), "it waits in memory");
    place.text(&["device", "erase", SHARED, "--yes"]);
    check_gone(&place, SHARED, "at once");
    assert_eq!(others(&place), before);
    let report = verify(&place, "at once");
    // A login, two hundred messages with their answers, and the end of the connection.
    assert!(report["erasures"][0]["entries"].as_u64().unwrap() >= 402, "{report}");
    server.kill();
    let (server, _) = serve_with(&place, &[]);
    check_gone(&place, SHARED, "killed");
    assert_eq!(others(&place), before);
    ["default", "north"].into_iter().for_each(|tenant| check_replay(&place, tenant));
    assert!(server.stop().success());
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-r", from.to_str().expect("as it was made"), to.to_str().expect("as it was made")])
        .status();
    assert!(copied.expect("as it was made").success());
}

/// How far an erasure is, by what can be seen of it.
type Step = (&'static str, fn(&Path) -> bool);

const STEPS: &[Step] = &[
    ("ordered", |data| !orders(data).is_empty()),
    ("out of the list of devices", |data| !orders(data).is_empty() && !has_line(&data.join("devices.jsonl"))),
    ("out of the journal", |data| {
        orders(data).contains("leaf ") && having(&data.join("journal"), MARK.as_bytes()).is_empty()
    }),
    ("out of some tables", |data| !orders(data).is_empty() && tables(data) < 2),
    ("out of history", |data| !orders(data).is_empty() && tables(data) == 0),
    ("done", |data| orders(data).contains(" done ") && !orders(data).contains("done -")),
];

fn orders(data: &Path) -> String {
    std::fs::read_to_string(data.join("journal/0/erasures")).unwrap_or_default()
}

fn has_line(list: &Path) -> bool {
    std::fs::read_to_string(list).is_ok_and(|list| list.contains(&format!("{ALONE}\",\"tenant\":\"default\"")))
}

/// How many of its tables have something of it.
fn tables(data: &Path) -> usize {
    let has = |table: &str| !having(&data.join("lake/default").join(table), ALONE.as_bytes()).is_empty();
    ["records", "frames"].iter().filter(|table| has(table)).count()
}

#[test]
fn a_server_that_is_killed_at_any_step_goes_on_at_its_next_start_and_keeps_the_device_out() {
    let first = Place::new();
    let (server, listeners) = serve(&first);
    drop(fill(&listeners, ALONE));
    let before = others(&first);
    assert!(server.stop().success());
    let mut killed_within = 0;
    for (step, is_there) in STEPS {
        let what = format!("killed when it was {step}");
        // A quick one is done before anybody has seen that it was so far, and then another one is begun.
        let (mut place, mut ordered) = erase_and_kill(&first, *is_there, &what);
        for _ in 1..TRIES {
            if *step == "done" || ordered.contains("done -") {
                break;
            }
            (place, ordered) = erase_and_kill(&first, *is_there, &what);
        }
        let (server, listeners) = serve(&place);
        // It tries again and again, as devices do.
        let mut device = loop {
            let mut device = Device::connect(listeners.default);
            if device.login(ALONE) == "#AL#1" {
                break device;
            }
        };
        assert!(!orders(&place.data()).contains("done -"), "{what}: it was let in before all was done");
        if ordered.contains("done -") {
            killed_within += 1;
            server.log_line_or_start(|line| line["message"] == "an erasure is done");
        }
        assert_eq!(having(&place.data(), MARK.as_bytes()), Vec::<String>::new(), "{what}");
        assert_eq!(export(&place, "records", "default", Some(ALONE)), Vec::<Value>::new(), "{what}");
        assert_eq!(others(&place), before, "{what}");
        verify(&place, &what);
        say(&mut device, "afterwards", 7);
        assert_eq!(export(&place, "records", "default", Some(ALONE)).len(), 2, "{what}: what came afterwards is there");
        check_replay(&place, "default");
        assert!(server.stop().success());
    }
    assert!(killed_within > 2, "{killed_within} of the moments were within an erasure");
}

/// So often an erasure is begun that is to be killed within.
const TRIES: usize = 3;

/// Erases from a copy, and kills the server when it is so far. Gives the copy, and what was ordered by then.
fn erase_and_kill(first: &Place, is_there: fn(&Path) -> bool, what: &str) -> (Place, String) {
    let place = Place::new();
    copy(&first.data(), &place.data());
    let (server, _) = serve(&place);
    let mut command = place.command(&["device", "erase", ALONE, "--yes"]);
    let mut erasing = command.stderr(Stdio::piped()).spawn().expect("it runs");
    while !is_there(&place.data()) && erasing.try_wait().expect("a child").is_none() {}
    server.kill();
    let ended = erasing.wait_with_output().expect("it ends");
    let ordered = orders(&place.data());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ordered.contains("order 1 "), "{what}: {ordered}; {}: {said}", ended.status);
    (place, ordered)
}

/// A device that sends one numbered text after the other and comes again whenever it is cut off. Gives those that were acknowledged.
fn persist(address: SocketAddr, id: &str, stop: &AtomicBool, acknowledged: &AtomicU32) -> Vec<u32> {
    let (mut number, mut all) = (0, Vec::new());
    while !stop.load(Ordering::Acquire) {
        let Ok(stream) = TcpStream::connect(address) else { continue };
        stream.set_read_timeout(Some(PATIENCE)).expect("as it was made");
        let mut stream = BufReader::new(stream);
        let mut ask = |line: &str| {
            stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_line(&mut answer).ok().filter(|count| *count > 0)?;
            Some(answer.trim_end().to_owned())
        };
        if ask(&format!("#L#{id};NA")).as_deref() != Some("#AL#1") {
            continue;
        }
        while !stop.load(Ordering::Acquire) && ask(&format!("#M#number {number} of it")).as_deref() == Some("#AM#1") {
            all.push(number);
            number += 1;
            acknowledged.store(number, Ordering::Release);
        }
    }
    all
}

#[test]
fn what_a_device_sends_meanwhile_is_erased_or_not_acknowledged_or_there() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let (_devices, _packed) = fill(&listeners, SHARED);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU32::new(0));
    let count = || acknowledged.load(Ordering::Acquire);
    let more = || {
        let before = count();
        while count() < before + 50 {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let under_way = || orders(&place.data()).contains("done -");
    let (all, done_at) = std::thread::scope(|scope| {
        let device = scope.spawn(|| persist(listeners.default, "867000000000041", &stop, &acknowledged));
        more();
        let mut erasing = place.command(&["device", "erase", "867000000000041", "--yes"]).spawn().expect("it runs");
        let mut meanwhile = BTreeSet::new();
        while erasing.try_wait().expect("a child").is_none() {
            let (before, now, behind) = (under_way(), count(), under_way());
            meanwhile.extend((before && behind).then_some(now));
        }
        assert!(erasing.wait().expect("a child").success());
        // One that left before may just have been read.
        let (least, greatest) = (meanwhile.first().expect("it takes a while"), meanwhile.last().expect("the same"));
        assert!(greatest - least <= 1, "acknowledged between the order and its end: {meanwhile:?}");
        let done_at = count();
        more();
        stop.store(true, Ordering::Release);
        (device.join().expect("it ends"), done_at)
    });
    let records = export(&place, "records", "default", Some("867000000000041"));
    let number = |record: &Value| {
        let text = record.to_string();
        let (_, rest) = text.split_once("number ").expect("as it was sent");
        rest.split(' ').next().and_then(|number| number.parse::<u32>().ok()).expect("as it was sent")
    };
    let there: BTreeSet<u32> = records.iter().map(number).collect();
    let first = *there.first().expect("something came afterwards");
    assert!(first >= 50 && first <= done_at + 1, "{first}: what came before the order went");
    let expected: BTreeSet<u32> = all.iter().copied().filter(|number| *number >= first).collect();
    let lost: Vec<_> = expected.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    // Some of them: each is looked for in all files, and a quick machine sends thousands.
    for gone in (0..first).step_by(usize::try_from(first / 20).expect("a number").max(1)) {
        let text = format!("number {gone} of it");
        assert_eq!(having(&place.data(), text.as_bytes()), Vec::<String>::new());
    }
    verify(&place, "while it runs");
    assert!(server.stop().success());
    verify(&place, "stopped");
}

/// Asks a server for phones, by a connection that is kept.
fn post(stream: &mut TcpStream, device: &str, second: u32) {
    let target = format!("/?id={device}&lat=53.9&lon=27.5&timestamp={}", 1_764_000_000 + second);
    write!(stream, "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").expect("as it was made");
    let mut answer = [0; 512];
    let count = stream.read(&mut answer).expect("an answer");
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..count]));
}

#[test]
fn where_a_line_is_shared_nothing_is_erased() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let mut line = TcpStream::connect(listeners.osmand).expect("as it was made");
    line.set_read_timeout(Some(PATIENCE)).expect("as it was made");
    for second in 0..3 {
        ["phone-one", "phone-two"].into_iter().for_each(|device| post(&mut line, device, second));
    }
    let mut alone = TcpStream::connect(listeners.osmand).expect("as it was made");
    alone.set_read_timeout(Some(PATIENCE)).expect("as it was made");
    (0..3).for_each(|second| post(&mut alone, "phone-three", second));
    let all =
        || ["phone-one", "phone-two", "phone-three"].map(|device| export(&place, "records", "default", Some(device)));
    let before = all();
    for arguments in [&["device", "erase", "phone-one", "--yes"][..], &["device", "erase", "phone-one"]] {
        let refused = place.run(arguments);
        assert_ne!(refused.status.code(), Some(0));
        let told = errors(&refused);
        assert!(told.contains("nothing was changed") && told.contains(": phone-two"), "{told}");
    }
    assert_eq!(all(), before);
    assert_eq!(orders(&place.data()), "");
    // Its line goes on, and nobody is kept out.
    post(&mut line, "phone-one", 9);
    // Who has one for himself is not concerned; and his connection ends, because it would go on to speak for him.
    place.text(&["device", "erase", "phone-three", "--yes"]);
    assert_eq!(having(&place.data(), b"phone-three"), Vec::<String>::new());
    assert_eq!(alone.read(&mut [0; 1]).unwrap_or(0), 0);
    let [one, two, three] = all();
    assert_eq!((one.len(), two.len(), three.len()), (4, 3, 0));
    // Also where the journal does not have it any more.
    assert!(server.stop().success());
    let (server, _) = serve(&place);
    let refused = place.run(&["device", "erase", "phone-two", "--yes"]);
    assert!(errors(&refused).contains(": phone-one"), "{}", errors(&refused));
    assert!(server.stop().success());
}

#[test]
fn whose_a_line_was_before_counts_as_shared_where_the_next_segment_says_it() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let mut line = TcpStream::connect(listeners.osmand).expect("as it was made");
    line.set_read_timeout(Some(PATIENCE)).expect("as it was made");
    post(&mut line, "phone-one", 1);
    // More than a segment.
    drop(send(listeners.default, OTHER, STAYS, 0..200));
    post(&mut line, "phone-two", 2);
    let check = || {
        let refused = place.run(&["device", "erase", "phone-one", "--yes"]);
        let told = errors(&refused);
        assert!(told.contains("nothing was changed") && told.contains(": phone-two"), "{told}");
    };
    check();
    assert!(server.stop().success());
    let (server, _) = serve(&place);
    check();
    assert_eq!(orders(&place.data()), "");
    // Nothing of who came first is with who came next.
    place.text(&["device", "erase", "phone-two", "--yes"]);
    assert_eq!(having(&place.data(), b"phone-two"), Vec::<String>::new());
    assert_eq!(export(&place, "records", "default", Some("phone-one")).len(), 1);
    // Then nobody else has anything of it.
    place.text(&["device", "erase", "phone-one", "--yes"]);
    assert_eq!(having(&place.data(), b"phone-one"), Vec::<String>::new());
    assert!(server.stop().success());
}

/// Waits for what takes its time.
fn wait_until(is_it: impl Fn() -> bool) {
    for _ in 0..PATIENCE.as_secs() * 20 {
        if is_it() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came");
}

#[test]
fn what_an_id_sent_before_it_was_another_devices_is_not_left_behind() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    for device in [ALONE, OTHER] {
        drop(send(listeners.default, device, MARK, 0..3));
    }
    let made = place.text(&["token", "create", "--json", "--name", "owner", "--role", "owner"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let owner = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    let path = |device: &str| format!("/api/v1/devices/{device}");
    for device in [ALONE, OTHER] {
        wait_until(|| owner.get(&path(device)).status == 200);
    }
    assert!(owner.ask("DELETE", &path(OTHER), None).status < 300);
    owner.ask("PATCH", &path(ALONE), Some(&json!({"ids": [ALONE, OTHER]}))).of(200);
    // As long as the list does not have the news, it is another device: so it is asked what there is, and nothing more.
    let in_the_way = format!("{OTHER} is an id of {ALONE} now");
    wait_until(|| errors(&place.run(&["device", "erase", ALONE])).contains(&in_the_way));
    let refused = place.run(&["device", "erase", ALONE, "--yes"]);
    assert!(errors(&refused).contains("nothing was changed") && !refused.status.success(), "{}", errors(&refused));
    assert_eq!(orders(&place.data()), "");
    for device in [ALONE, OTHER] {
        let count = sql(&place, &format!("SELECT count(*) FROM records WHERE device = '{device}'"));
        assert_eq!(count.lines().last(), Some("6"), "{device}");
    }
    owner.ask("PATCH", &path(ALONE), Some(&json!({"ids": [ALONE]}))).of(200);
    for device in [OTHER, ALONE] {
        wait_until(|| place.run(&["device", "erase", device, "--yes"]).status.success());
    }
    check_gone(&place, ALONE, "both of them");
    check_gone(&place, OTHER, "both of them");
    assert!(server.stop().success());
}

#[test]
fn orders_that_cannot_be_read_are_told_and_nothing_is_erased() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    drop(send(listeners.default, ALONE, MARK, 0..3));
    place.text(&["device", "erase", ALONE, "--yes"]);
    assert!(server.stop().success());
    // One that was not done, of a version that says more.
    let (path, done) = (place.data().join("journal/0/erasures"), orders(&place.data()));
    let (before, _) = done.split_once(" done ").expect("as it was made");
    let rest = done.split_once(" done ").and_then(|(_, rest)| rest.split_once('\n')).expect("as it was made").1;
    let text = format!("{} subject 7b7d done -\n{rest}", before.split_once(" subject ").expect("as it was made").0);
    std::fs::write(&path, text).expect("as it was made");
    let (server, listeners) = serve(&place);
    drop(send(listeners.default, OTHER, STAYS, 0..3));
    let health = Client::nobody(server.http()).get("/healthz").of(200).to_string();
    assert!(health.contains("it cannot be read what was ordered to be erased"), "{health}");
    assert!(health.contains("\"erasures_unread\""), "{health}");
    let refused = place.run(&["device", "erase", OTHER, "--yes"]);
    assert!(!refused.status.success());
    assert_eq!(export(&place, "records", "default", Some(OTHER)).len(), 6);
    assert!(server.stop().success());
}

#[test]
fn a_backup_of_what_is_left_is_whole_and_has_nothing_of_it() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let (_devices, _packed) = fill(&listeners, SHARED);
    let target = place.folder.path().join("backups");
    let to = target.to_str().expect("as it was made").to_owned();
    place.text(&["backup", "--to", &to]);
    place.text(&["device", "erase", SHARED, "--yes"]);
    let before = others(&place);
    place.text(&["backup", "--to", &to]);
    assert!(server.stop().success());
    let again = Place::new();
    again.text(&["restore", "--from", &to, "--verify"]);
    check_gone(&again, SHARED, "restored");
    assert_eq!(others(&again), before);
    verify(&again, "restored");
}

#[test]
fn an_owner_erases_by_the_api_and_the_log_says_who() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    drop(send(listeners.default, ALONE, MARK, 0..5));
    drop(send(listeners.default, OTHER, STAYS, 0..5));
    assert_eq!(export(&place, "records", "default", Some(ALONE)).len(), 10);
    let client = |role: &str| {
        let made = place.text(&["token", "create", "--json", "--name", role, "--role", role]);
        let made: Value = serde_json::from_str(&made).expect("JSON");
        Client::with_token(server.http(), made["secret"].as_str().expect("a secret"))
    };
    let (owner, manager) = (client("owner"), client("manager"));
    let path = format!("/api/v1/devices/{ALONE}/erase");
    while owner.get(&format!("/api/v1/devices/{ALONE}")).status != 200 {
        std::thread::sleep(Duration::from_millis(20));
    }
    manager.post(&path, &json!({"yes": true})).of(403);
    owner.post("/api/v1/devices/nobody/erase", &json!({"yes": true})).of(404);
    let told = owner.post(&path, &json!({})).of(200);
    assert_eq!((&told["order"], &told["load"]["records"]), (&Value::Null, &json!(10)), "{told}");
    assert_eq!(export(&place, "records", "default", Some(ALONE)).len(), 10);
    // Each look reads all there is, so nobody may look all the time. Nobody waits for that who means it.
    let again = owner.post(&path, &json!({}));
    let wait: u64 = again.header("retry-after").expect("it says when").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    again.problem(429);
    let told = owner.post(&path, &json!({"yes": true})).of(200);
    assert_eq!((&told["order"], &told["load"]["records"]), (&json!(1), &json!(10)), "{told}");
    check_gone(&place, ALONE, "by the API");
    assert_eq!(export(&place, "records", "default", Some(OTHER)).len(), 10);
    owner.get(&format!("/api/v1/devices/{ALONE}")).of(404);
    let log = owner.get("/api/v1/audit").of(200).to_string();
    assert!(log.contains("device.erase_asked") && log.contains("owner") && !log.contains(ALONE), "{log}");
    assert!(server.stop().success());
}

/// All files of history, with what they have.
fn history(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    files(&place.data().join("lake"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect()
}

#[test]
fn no_name_of_a_tenant_leads_to_what_others_have() {
    let place = Place::new();
    let listener = |tenant: &str| {
        format!(
            "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"{tenant}\"\n"
        )
    };
    let path = place.write("odograph.toml", &(["default", "north", "NORTH"].map(listener).concat() + NO_OTHERS));
    let mut command = place.command(&["serve", "--config", path.to_str().expect("as it was made")]);
    command.envs(RESTLESS.iter().copied());
    let server = Server::start(command);
    let lines = server.start.iter().filter(|line| line["message"] == "listening" && line["transport"] == "tcp");
    let addresses: Vec<SocketAddr> =
        lines.map(|line| line["address"].as_str().expect("as it was made").parse().expect("as it was made")).collect();
    for address in &addresses[..3] {
        drop(send(*address, ALONE, STAYS, 0..5));
    }
    for tenant in ["default", "north", "NORTH"] {
        assert_eq!(export(&place, "records", tenant, None).len(), 10, "{tenant}");
    }
    for tenant in ["", "..", "a/b", "../lake", "north/records"] {
        let made = place.run(&["tenant", "create", tenant]);
        assert!(!made.status.success(), "{tenant}: {}", errors(&made));
    }
    assert!(server.stop().success());
    let server = place.serve();
    let before = history(&place);
    for tenant in ["", "..", ".", "a/b", "north/records", "NORTH/../north", "North", "x.4e4f525448", " "] {
        for yes in [&[][..], &["--yes"]] {
            let refused = place.run(&[&["tenant", "erase", tenant][..], yes].concat());
            assert!(!refused.status.success(), "{tenant:?}");
            let told = errors(&refused);
            assert!(told.contains("nothing was changed"), "{tenant:?}: {told}");
            // What there is.
            let is_name = !tenant.trim().is_empty();
            assert_eq!(told.contains("NORTH, default, north"), is_name, "{tenant:?}: {told}");
        }
    }
    let refused = place.run(&["device", "erase", "", "--yes"]);
    assert!(errors(&refused).contains("no device has an empty id"), "{}", errors(&refused));
    let refused = place.run(&["device", "erase", ALONE, "--tenant", "nobody", "--yes"]);
    assert!(errors(&refused).contains("there is no tenant"), "{}", errors(&refused));
    assert_eq!(orders(&place.data()), "");
    assert!(history(&place) == before, "files of history went");
    // The one that is meant goes, and nothing else.
    let folder = place.data().join("lake/x.4e4f525448");
    assert!(folder.exists());
    place.text(&["tenant", "erase", "NORTH", "--yes"]);
    assert!(!folder.exists());
    for tenant in ["default", "north"] {
        assert_eq!(export(&place, "records", tenant, None).len(), 10, "{tenant}");
    }
    let unknown = place.run(&["export", "records", "--tenant", "NORTH"]);
    assert!(errors(&unknown).contains("there is no tenant \"NORTH\""), "{}", errors(&unknown));
    verify(&place, "a tenant less");
    assert!(server.stop().success());
}

#[test]
fn as_long_as_an_order_is_open_nothing_is_made_anew_or_copied_and_nobody_looks() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    let made = place.text(&["token", "create", "--json", "--name", "owner", "--role", "owner"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let owner = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    let _devices = fill(&listeners, SHARED);
    // What cannot be listed is in the way of history from here on.
    let in_the_way = place.data().join("lake/default/circle");
    let is_open = || orders(&place.data()).contains("done -");
    let device = [ALONE, "867000000000066", "867000000000074", "867000000000082"].into_iter().find(|device| {
        drop(send(listeners.default, device, MARK, 0..60));
        let mut erasing = place.command(&["device", "erase", device, "--yes"]).spawn().expect("it runs");
        while !is_open() && erasing.try_wait().expect("a child").is_none() {}
        std::os::unix::fs::symlink("circle", &in_the_way).expect("a link");
        let is_done = erasing.wait().expect("a child").success();
        if is_done {
            std::fs::remove_file(&in_the_way).expect("it was made");
        }
        !is_done && is_open()
    });
    let device = device.expect("one of them meets what is in its way");
    wait_until(|| owner.get(&format!("/api/v1/devices/{OTHER}")).status == 200);
    let path = format!("/api/v1/devices/{OTHER}/erase");
    let again = owner.post(&path, &json!({}));
    assert!(again.header("retry-after").is_some());
    let told = again.problem(429);
    assert_eq!(told, "too_many");
    for (ids, status) in [(json!([device]), 409), (json!(["new", device]), 409), (json!(["new"]), 201)] {
        let told = owner.post("/api/v1/devices", &json!({"ids": ids})).of(status).to_string();
        assert_eq!(told.contains("is being erased"), status == 409, "{told}");
    }
    let target = place.folder.path().join("backups");
    let to = target.to_str().expect("as it was made").to_owned();
    let refused = place.run(&["backup", "--to", &to]);
    assert!(errors(&refused).contains("is not done yet"), "{}", errors(&refused));
    // Nor where no server runs.
    assert!(server.stop().success());
    let refused = place.run(&["backup", "--to", &to]);
    assert!(errors(&refused).contains("is not done yet"), "{}", errors(&refused));
    std::fs::remove_file(&in_the_way).expect("it was made");
    let (server, _) = serve(&place);
    wait_until(|| !is_open());
    let owner = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    owner.post("/api/v1/devices", &json!({"ids": [device]})).of(201);
    place.text(&["backup", "--to", &to]);
    verify(&place, "done");
    assert!(server.stop().success());
}

#[test]
fn a_tenant_goes_with_all_that_it_has() {
    let place = Place::new();
    let (server, listeners) = serve(&place);
    drop(fill(&listeners, SHARED));
    let before = others(&place);
    let refused = place.run(&["tenant", "erase", "default", "--yes"]);
    assert_eq!(refused.status.code(), Some(64), "{}", errors(&refused));
    let refused = place.run(&["tenant", "erase", "north", "--yes"]);
    assert!(errors(&refused).contains("a listener is its own"), "{}", errors(&refused));
    assert!(server.stop().success());
    // Without the listener that names it.
    let server = place.serve();
    let told = place.text(&["tenant", "erase", "north", "--yes"]);
    assert!(told.contains("tenant north") && told.contains("200 records"), "{told}");
    assert!(!place.data().join("lake/north").exists());
    assert_eq!(export(&place, "records", "default", Some(OTHER)), before[0]);
    assert_eq!(export(&place, "frames", "default", Some(OTHER)), before[1]);
    assert_eq!(
        export(&place, "records", "default", Some(SHARED)).len(),
        200,
        "the other of that name is somebody else"
    );
    check_replay(&place, "default");
    verify(&place, "a tenant less");
    let list = place.text(&["tenant", "list"]);
    assert!(!list.contains("north"), "{list}");
    assert!(server.stop().success());
}
