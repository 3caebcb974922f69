//! Commands for devices, from the one who wants them to the device and back, wherever the link is cut and whenever the server is
//! killed: one that must not repeat is heard once at most, one that has expired never.

mod client;
mod common;

use client::Client;
use common::{Place, Server, errors, until};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

fn owner(place: &Place, server: &Server) -> Client {
    let text = place.text(&["token", "create", "--role", "owner", "--json"]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    Client::with_token(server.http(), made["secret"].as_str().expect("a secret"))
}

/// CRC-16 with a reflected polynomial.
fn crc(start: u16, polynomial: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 })
    })
}

/// How a kind of device speaks.
#[derive(Clone, Copy)]
struct Kind {
    protocol: &'static str,
    login: fn(&str) -> Vec<u8>,
    /// What the login is answered with.
    welcome: fn(&str) -> Vec<u8>,
    wanted: fn() -> Value,
    /// The device's answer to the command that it heard.
    answer: fn(&str, &[u8]) -> Vec<u8>,
    says: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        protocol: "teltonika",
        login: |id| [&[0, 15], id.as_bytes()].concat(),
        welcome: |_| vec![1],
        wanted: || json!({"type": "engineStop"}),
        answer: |_, _| {
            let text = b"DOUT1:1";
            let length = u8::try_from(text.len()).expect("it is short");
            let data = [&[0x0C, 1, 6, 0, 0, 0, length][..], text, &[1]].concat();
            let whole = u8::try_from(data.len()).expect("it is short");
            let sum = u32::from(crc(0, 0xA001, &data));
            [&[0, 0, 0, 0, 0, 0, 0, whole][..], &data, &sum.to_be_bytes()].concat()
        },
        says: "DOUT1:1",
    },
    Kind {
        protocol: "gt06",
        login: |id| {
            let digits = format!("0{id}");
            let pairs = digits.as_bytes().chunks(2).map(|pair| (pair[0] & 15) << 4 | (pair[1] & 15));
            gt06(0x01, &pairs.collect::<Vec<_>>())
        },
        welcome: |_| gt06(0x01, &[]),
        wanted: || json!({"type": "engineStop"}),
        answer: |_, _| {
            let text = b"Cut off the fuel supply: Success!";
            let length = u8::try_from(text.len() + 4).expect("it is short");
            gt06(0x15, &[&[length, 0, 0, 0, 0][..], text, &[0, 2]].concat())
        },
        says: "Cut off the fuel supply: Success!",
    },
    Kind {
        protocol: "galileo",
        login: |id| galileo(&[&[0x03][..], id.as_bytes(), &[0x04, 0x32, 0x00]].concat()),
        welcome: |id| {
            let login = galileo(&[&[0x03][..], id.as_bytes(), &[0x04, 0x32, 0x00]].concat());
            [&[2], &login[login.len() - 2..]].concat()
        },
        wanted: || json!({"type": "outputControl", "attributes": {"index": 1, "data": "1"}}),
        answer: |id, command| {
            // It repeats the number.
            let at = command.windows(5).position(|bytes| bytes[0] == 0xE0 && bytes[4] == 0).expect("a number");
            let number = &command[at..at + 5];
            let text = b"OUT(3..0) = 0010";
            let length = u8::try_from(text.len()).expect("it is short");
            galileo(&[&[0x03][..], id.as_bytes(), &[0x04, 0x32, 0x00], number, &[0xE1, length], text].concat())
        },
        says: "OUT(3..0) = 0010",
    },
];

fn gt06(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut covered = vec![u8::try_from(content.len() + 5).expect("it is short"), kind];
    covered.extend_from_slice(content);
    covered.extend([0, 1]);
    let sum = !crc(0xFFFF, 0x8408, &covered);
    [&[0x78, 0x78][..], &covered, &sum.to_be_bytes(), &[0x0D, 0x0A]].concat()
}

fn galileo(tags: &[u8]) -> Vec<u8> {
    let length = u16::try_from(tags.len()).expect("it is short");
    let packet = [&[1][..], &length.to_le_bytes(), tags].concat();
    let sum = crc(0xFFFF, 0xA001, &packet);
    [packet, sum.to_le_bytes().to_vec()].concat()
}

/// A device that counts how often it hears its command.
struct Tracker {
    kind: Kind,
    id: String,
    address: SocketAddr,
    /// The command as it is on the wire, without what differs from one to the next.
    length: usize,
    heard: usize,
    executed: usize,
    /// What happens when it has heard a command, and when it has answered.
    before_answer: Option<Box<dyn FnOnce() + Send>>,
    behind_answer: Option<Box<dyn FnOnce() + Send>>,
}

/// Where a link is cut: after so many bytes from the device, or after so many that it took.
#[derive(Debug, Clone, Copy)]
struct Cut {
    says: usize,
    takes: usize,
}

const NEVER: Cut = Cut { says: usize::MAX, takes: usize::MAX };

impl Tracker {
    fn new(kind: Kind, id: String, address: SocketAddr, length: usize) -> Self {
        Self { kind, id, address, length, heard: 0, executed: 0, before_answer: None, behind_answer: None }
    }

    /// Comes, says who it is, does what it is told, answers, and leaves; or until the link is cut. Whether it has answered.
    fn come(&mut self, cut: Cut, patience: Duration) -> bool {
        let mut stream = TcpStream::connect(self.address).expect("the listener answers");
        stream.set_nodelay(true).expect("an option");
        let (login, welcome) = ((self.kind.login)(&self.id), (self.kind.welcome)(&self.id));
        stream.write_all(&login[..cut.says.min(login.len())]).expect("a login is sent");
        let command = if cut.says < login.len() {
            return false;
        } else {
            let wanted = cut.takes.min(welcome.len() + self.length);
            let heard = take(&mut stream, wanted, patience);
            assert!(heard.starts_with(&welcome) || welcome.starts_with(&heard), "{}: {heard:02x?}", self.kind.protocol);
            heard.get(welcome.len()..).unwrap_or_default().to_vec()
        };
        if !command.is_empty() {
            self.heard += 1;
        }
        if command.len() < self.length {
            return false;
        }
        // A whole command is carried out, whatever becomes of the answer.
        self.executed += 1;
        let answer = (self.kind.answer)(&self.id, &command);
        let says = (cut.says - login.len()).min(answer.len());
        if let Some(happens) = self.before_answer.take() {
            happens();
        }
        // A link that is gone says so now, or later.
        let _ = stream.write_all(&answer[..says]);
        if let Some(happens) = self.behind_answer.take() {
            happens();
        }
        let all = says == answer.len();
        if all {
            // Gone only when the server has read it.
            let acknowledged = take(&mut stream, 1, Duration::from_millis(300));
            drop(acknowledged);
        }
        all
    }
}

/// Reads so many bytes, or what comes until the other side is silent or gone.
fn take(stream: &mut TcpStream, count: usize, patience: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let mut piece = vec![0; count - bytes.len()];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(some) => bytes.extend(&piece[..some]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    bytes
}

fn listener(server: &Server, protocol: &str) -> SocketAddr {
    let is_it = |line: &&Value| line["message"] == "listening" && line["protocol"] == protocol;
    let line = server.start.iter().find(is_it).unwrap_or_else(|| panic!("{protocol}: {:?}", server.start));
    line["address"].as_str().expect("an address").parse().expect("an address")
}

fn serve(place: &Place) -> Server {
    let listen = KINDS.map(|kind| format!("{}=127.0.0.1:0", kind.protocol));
    let arguments: Vec<&str> = listen.iter().flat_map(|listen| ["--listen", listen.as_str()]).collect();
    place.serve_with(&arguments)
}

/// Waits until the server has noticed that all devices have left.
fn gone(server: &Server) {
    let count = || {
        let (_, numbers) = server.get("/metrics");
        let counts = numbers.lines().filter(|line| line.starts_with("odograph_connections{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    for _ in 0..3000 {
        if count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} connections are still there", count());
}

/// How long the command of a kind is on the wire.
fn length(place: &Place, kind: Kind, id: &str) -> usize {
    let wanted = (kind.wanted)();
    let name = wanted["type"].as_str().expect("a name");
    let mut arguments = vec!["encode", "--protocol", kind.protocol, "--device", id];
    if kind.protocol == "galileo" {
        arguments.extend(["--set", "index=1", "--set", "data=1"]);
    }
    arguments.push(name);
    place.text(&arguments).trim().len() / 2
}

fn new_device(api: &Client, kind: Kind, id: &str) {
    api.post("/api/v1/devices", &json!({"ids": [id], "protocol": kind.protocol})).of(201);
}

fn send(api: &Client, id: &str, wanted: &Value) -> i64 {
    let queued = api.post(&format!("/api/v1/devices/{id}/commands"), wanted).of(201);
    assert_eq!(queued["state"], "queued");
    queued["number"].as_i64().expect("a number")
}

fn command(api: &Client, id: &str, number: i64) -> Value {
    api.get(&format!("/api/v1/devices/{id}/commands/{number}")).of(200)
}

/// Waits until a command has one of these states.
fn becomes(api: &Client, id: &str, number: i64, states: &[&str]) -> Value {
    until(&format!("{states:?} of {id}"), || {
        let now = command(api, id, number);
        states.contains(&now["state"].as_str().expect("a state")).then_some(now)
    })
}

#[test]
fn a_command_is_answered_and_everybody_sees_it() {
    let place = Place::new();
    let server = serve(&place);
    let api = owner(&place, &server);
    for (at, kind) in KINDS.into_iter().enumerate() {
        let id = &format!("35209308640365{at}");
        let mut tracker = Tracker::new(kind, id.clone(), listener(&server, kind.protocol), length(&place, kind, id));
        new_device(&api, kind, id);
        let types = api.get(&format!("/api/v1/devices/{id}/commands/types")).of(200);
        assert_eq!((&types["protocol"], &types["connected"]), (&json!(kind.protocol), &json!(false)));
        let wanted = (kind.wanted)();
        let offered = types["types"].as_array().expect("a list");
        assert!(offered.iter().any(|offered| offered["type"] == wanted["type"]), "{types}");
        let number = send(&api, id, &wanted);
        assert!(tracker.come(NEVER, PATIENCE));
        let answered = becomes(&api, id, number, &["answered"]);
        assert_eq!((&answered["answer"], &answered["by"]), (&json!(kind.says), &json!("command line")));
        assert!(answered["sent"].is_i64() && answered["answered"].as_i64() >= answered["sent"].as_i64());
        assert_eq!(tracker.executed, 1);
        let page = api.get(&format!("/api/v1/devices/{id}/commands?state=answered&limit=1")).of(200);
        assert_eq!((&page["commands"][0], &page["next"]), (&answered, &json!(number)));
        assert_eq!(api.get(&format!("/api/v1/devices/{id}/commands?before={number}")).of(200), json!({"commands": []}));
        let log = api.get(&format!("/api/v1/audit?kind=device&object={id}")).of(200);
        let told: Vec<&str> = log
            .as_array()
            .expect("a list")
            .iter()
            .rev()
            .map(|entry| entry["action"].as_str().expect("a word"))
            .collect();
        assert_eq!(told, ["device.create", "command.create", "command.sent", "command.answered"]);
        // What was sent lies among the device's bytes, as it was sent.
        let sent = api.get(&format!("/api/v1/devices/{id}/frames?direction=out")).text();
        let sent: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(sent.iter().any(|sent| sent["hex"].as_str().expect("hex").len() == 2 * tracker.length), "{sent:?}");
        // What its protocol cannot say is said at once.
        let commands = format!("/api/v1/devices/{id}/commands");
        assert_eq!(api.post(&commands, &json!({"type": "alarmArm"})).problem(422), "unprocessable");
        assert_eq!(api.post(&commands, &json!({"type": "engineStop", "text": "x"})).problem(400), "invalid");
        assert_eq!(api.post(&commands, &json!({"text": "STATUS#", "ttl_s": 0})).problem(400), "invalid");
        assert_eq!(api.ask("DELETE", &format!("{commands}/{number}"), None).problem(409), "conflict");
        assert_eq!(api.get(&format!("{commands}/4711")).problem(404), "not_found");
    }
}

#[test]
fn wherever_the_link_is_cut_a_command_is_carried_out_once_at_most() {
    let place = Place::new();
    let server = serve(&place);
    let api = owner(&place, &server);
    for (of_kind, kind) in KINDS.into_iter().enumerate() {
        let sample = "352093086403655";
        let (login, welcome) = ((kind.login)(sample).len(), (kind.welcome)(sample).len());
        let length = length(&place, kind, sample);
        let answer = (kind.answer)(sample, &vec![0xE0; length].into_iter().chain([0; 5]).collect::<Vec<_>>()).len();
        let cuts = (0..login + answer).map(|says| Cut { says, ..NEVER });
        let cuts = cuts.chain((0..welcome + length).map(|takes| Cut { takes, ..NEVER }));
        let mut seen = std::collections::BTreeMap::<String, usize>::new();
        for (case, cut) in cuts.enumerate() {
            let id = format!("35{of_kind}{case:012}");
            let mut tracker = Tracker::new(kind, id.clone(), listener(&server, kind.protocol), length);
            new_device(&api, kind, &id);
            let number = send(&api, &id, &(kind.wanted)());
            tracker.come(cut, PATIENCE);
            // It comes again, by a link that is not cut, as often as it is told something.
            let what = format!("{}: {cut:?}", kind.protocol);
            let ended = until(&what, || {
                let now = command(&api, &id, number);
                if now["state"] == "queued" {
                    tracker.come(NEVER, Duration::from_millis(500));
                }
                matches!(now["state"].as_str(), Some("answered" | "unknown")).then_some(now)
            });
            assert!(tracker.executed <= 1, "{what}: it was carried out {} times: {ended}", tracker.executed);
            if ended["state"] == "answered" {
                assert_eq!((tracker.executed, &ended["answer"]), (1, &json!(kind.says)), "{what}");
            }
            *seen.entry(ended["state"].as_str().expect("a state").to_owned()).or_default() += 1;
        }
        println!("{}: {seen:?}", kind.protocol);
        assert!(seen.len() == 2, "{}: some are answered, of some nobody knows: {seen:?}", kind.protocol);
    }
}

#[test]
fn an_expired_command_is_never_sent_and_a_repeatable_one_comes_again() {
    let place = Place::new();
    let server = serve(&place);
    let api = owner(&place, &server);
    for (at, kind) in KINDS.into_iter().enumerate() {
        let id = &format!("35209308640365{at}");
        let mut tracker = Tracker::new(kind, id.clone(), listener(&server, kind.protocol), length(&place, kind, id));
        new_device(&api, kind, id);
        let mut wanted = (kind.wanted)();
        wanted["ttl_s"] = json!(1);
        let number = send(&api, id, &wanted);
        let ended = becomes(&api, id, number, &["expired"]);
        assert!(ended["reason"].as_str().expect("a reason").contains("nothing was sent"), "{ended}");
        tracker.come(NEVER, Duration::from_millis(500));
        assert_eq!(tracker.heard, 0);
        // Else what follows might still be sent to the connection that has just gone.
        gone(&server);
        wanted["ttl_s"] = json!(3600);
        wanted["repeatable"] = json!(true);
        let number = send(&api, id, &wanted);
        let login = (kind.login)(id).len();
        for _ in 0..3 {
            // It does not answer, so that nobody knows.
            tracker.come(Cut { says: login, ..NEVER }, PATIENCE);
            becomes(&api, id, number, &["queued"]);
        }
        tracker.come(NEVER, PATIENCE);
        assert_eq!(becomes(&api, id, number, &["answered"])["attempts"], 4);
        assert_eq!(tracker.executed, 4);
    }
}

/// Writes over what is kept of a command, so that nobody can read it.
fn damage(place: &Place, number: i64) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", place.data().join("catalog.sqlite").display());
    let update = format!("UPDATE commands SET attributes = '{{' WHERE number = {number}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the catalog opens");
        sqlx::raw_sql(sqlx::AssertSqlSafe(update)).execute(&mut connection).await.expect("it is written");
        connection.close().await.expect("the catalog closes");
    });
}

#[test]
fn a_command_that_cannot_be_read_holds_nobody_up() {
    let place = Place::new();
    let server = serve(&place);
    let (api, kind) = (owner(&place, &server), KINDS[0]);
    let ids = ["352093086400001", "352093086400002"];
    ids.iter().for_each(|id| new_device(&api, kind, id));
    let spoilt = send(&api, ids[0], &json!({"type": "engineStop", "ttl_s": 20}));
    damage(&place, spoilt);
    let numbers = ids.map(|id| send(&api, id, &(kind.wanted)()));
    for (id, number) in ids.into_iter().zip(numbers) {
        let mut tracker = Tracker::new(kind, id.to_owned(), listener(&server, kind.protocol), length(&place, kind, id));
        assert!(tracker.come(NEVER, PATIENCE), "{id} hears its command, and answers");
        becomes(&api, id, number, &["answered"]);
    }
    // Its time runs out like any other's, and that it ended is told.
    let path = format!("/api/v1/devices/{}/commands/{spoilt}", ids[0]);
    let ended = until("its end", || Some(api.get(&path)).filter(|answer| answer.status == 200)).of(200);
    assert_eq!((&ended["state"], &ended["attempts"]), (&json!("failed"), &json!(0)));
    assert_eq!(ended["reason"], "what is kept of it cannot be read or written");
    server.metric_becomes("odograph_commands_spoilt_total 1");
}

/// When a server is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// Before the device comes.
    Queued,
    /// So long after the device has come: around the claim, the journal, the first byte.
    Coming(Duration),
    /// When the device has heard its command, before it answers.
    Heard,
    /// When the device has answered, or so long afterwards.
    Answering(Duration),
}

#[test]
fn a_server_that_is_killed_sends_nothing_twice() {
    let place = Place::new();
    let mut server = serve(&place);
    let coming = (0..16).map(|step| Kill::Coming(Duration::from_micros(1500 * step)));
    let answering = [0, 500, 1_000, 2_000, 4_000].map(|wait| Kill::Answering(Duration::from_micros(wait)));
    let kills = [Kill::Queued, Kill::Heard].into_iter().chain(coming).chain(answering);
    let kind = KINDS[0];
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for (round, kill) in kills.enumerate() {
        let id = format!("3520930864{round:05}");
        let api = owner(&place, &server);
        new_device(&api, kind, &id);
        let number = send(&api, &id, &(kind.wanted)());
        let mut tracker = Tracker::new(kind, id.clone(), listener(&server, kind.protocol), length(&place, kind, &id));
        let pid = server.pid().to_string();
        let strike = move || {
            let status = std::process::Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
            assert!(status.success());
        };
        match kill {
            Kill::Queued => strike(),
            Kill::Coming(wait) => {
                let coming = std::thread::spawn(move || {
                    tracker.come(NEVER, PATIENCE);
                    tracker
                });
                std::thread::sleep(wait);
                strike();
                tracker = coming.join().expect("the device goes on");
            }
            Kill::Heard => {
                tracker.before_answer = Some(Box::new(strike));
                tracker.come(NEVER, PATIENCE);
            }
            Kill::Answering(wait) => {
                tracker.behind_answer = Some(Box::new(move || {
                    std::thread::sleep(wait);
                    strike();
                }));
                tracker.come(NEVER, PATIENCE);
            }
        }
        server.wait();
        server = serve(&place);
        let api = owner(&place, &server);
        tracker.address = listener(&server, kind.protocol);
        let ended = until("an end", || {
            let now = command(&api, &id, number);
            if now["state"] == "queued" {
                tracker.come(NEVER, Duration::from_millis(500));
            }
            matches!(now["state"].as_str(), Some("answered" | "unknown")).then_some(now)
        });
        tracker.come(NEVER, Duration::from_millis(200));
        assert!(tracker.heard <= 1, "{kill:?}: it was sent {} times: {ended}", tracker.heard);
        match kill {
            Kill::Queued => assert_eq!(ended["state"], "answered"),
            Kill::Heard => assert_eq!((&ended["state"], tracker.heard), (&json!("unknown"), 1)),
            _ => {}
        }
        *ends.entry(format!("{} after {}", ended["state"], tracker.executed)).or_default() += 1;
    }
    println!("{ends:?}");
}

#[test]
fn the_command_line_sends_commands_with_and_without_a_server() {
    let place = Place::new();
    let id = "352093086403655";
    let server = serve(&place);
    let api = owner(&place, &server);
    let kind = KINDS[1];
    new_device(&api, kind, id);
    let mut tracker = Tracker::new(kind, id.to_owned(), listener(&server, kind.protocol), length(&place, kind, id));
    let mut waiting = place.command(&["device", "command", id, "engineStop", "--ttl", "1h", "--wait", "--json"]);
    let waiting = waiting.spawn().expect("it starts");
    until("the command", || {
        let page = api.get(&format!("/api/v1/devices/{id}/commands")).of(200);
        page["commands"].as_array().expect("a list").first().cloned()
    });
    tracker.come(NEVER, PATIENCE);
    let output = waiting.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["state"], &told["answer"]), (&json!("answered"), &json!(kind.says)));
    let wrong = place.run(&["device", "command", id, "alarmArm"]);
    assert!(
        !wrong.status.success() && errors(&wrong).contains("gt06 has no command \"alarmArm\""),
        "{}",
        errors(&wrong)
    );
    server.stop();
    let text = place.text(&["device", "command", id, "--text", "STATUS#", "--ttl", "2d"]);
    assert!(text.starts_with("2: queued"), "{text}");
    let wrong = place.run(&["device", "command", id, "alarmArm"]);
    assert!(
        !wrong.status.success() && errors(&wrong).contains("gt06 has no command \"alarmArm\""),
        "{}",
        errors(&wrong)
    );
    let waits = place.run(&["device", "command", id, "engineStop", "--wait"]);
    assert!(!waits.status.success() && errors(&waits).contains("no server"), "{}", errors(&waits));
    let list = place.text(&["device", "commands", id]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("NUMBER") && lines.len() == 3, "{list}");
    assert!(lines[1].contains("queued") && lines[1].contains("STATUS#") && lines[2].contains("answered"), "{list}");
    assert!(place.text(&["device", "command", id, "--cancel", "2"]).starts_with("2: cancelled"));
    let listed: Value = serde_json::from_str(&place.text(&["device", "commands", id, "--json"])).expect("JSON");
    assert_eq!(listed[0]["state"], "cancelled");
}
