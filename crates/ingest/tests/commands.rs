//! Commands: what leaves, when, and what is said of each, wherever the link is cut.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::Speech;
use odograph_ingest::{
    Close, CommandObserver, Connection, Fate, Intake, Listener, Now, Order, Roster, Scratch, Unsent,
};
use odograph_journal::{Committer, Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Answer, Command, Conversation, Dialogue, Terms, Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use odograph_wire::notation::from_hex;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOON: i64 = 1_767_225_600_000;
const TICKET: u64 = 41;
/// What tells the command from the device's others.
const NUMBER: u32 = 7;

const fn at(ms: i64) -> Now {
    Now { wall: Time(NOON + ms), monotonic: Duration::ZERO }
}

/// What a device and the server say to each other around a command.
struct Exchange {
    protocol: &'static str,
    device: &'static str,
    login: Vec<u8>,
    /// What the login is answered with.
    welcome: Vec<u8>,
    name: &'static str,
    attributes: &'static [(&'static str, &'static str)],
    /// The device's answer, and what it says.
    answer: Vec<u8>,
    said: Answer,
}

fn hex(digits: &str) -> Vec<u8> {
    from_hex(&digits.replace(' ', "")).unwrap()
}

fn exchanges() -> [Exchange; 3] {
    let said = |token, text: &str| Answer { token, text: text.to_owned(), done: None };
    let imei = "352093086403655";
    let teltonika = Exchange {
        protocol: "teltonika",
        device: imei,
        login: Speech::Teltonika.login(imei),
        welcome: vec![1],
        name: "engineStop",
        attributes: &[],
        answer: hex(
            "00000000000000370c01060000002f4449313a31204449323a30204449333a302041494e313a302041494e323a313639323420444f313a3020444f323a3101000066e3",
        ),
        said: said(None, "DI1:1 DI2:0 DI3:0 AIN1:0 AIN2:16924 DO1:0 DO2:1"),
    };
    let login = Speech::Gt06.login(imei);
    let gt06 = Exchange {
        protocol: "gt06",
        device: imei,
        welcome: Conversation::new(find("gt06").unwrap(), Terms::default()).frame(&login, Time(0), None).replies[0]
            .bytes
            .clone(),
        login,
        name: "engineStop",
        attributes: &[],
        answer: hex(
            "787829 15 2100000000526573746f7265206675656c20737570706c793a2053756363657373210002 0140 77ce 0d0a",
        ),
        said: said(None, "Restore fuel supply: Success!"),
    };
    let galileo = Exchange {
        protocol: "galileo",
        device: "868204005647838",
        login: hex("01 1780 01 11 02 df 03 383638323034303035363437383338 04 3200 869c"),
        welcome: hex("02869c"),
        name: "outputControl",
        attributes: &[("index", "1"), ("data", "1")],
        answer: hex("01 2500 03383638323034303035363437383338 043200 e007000000 e106cfd0c8c2c5d2 eb03010203 c14b"),
        said: said(Some(7), "ПРИВЕТ"),
    };
    [teltonika, gt06, galileo]
}

impl Exchange {
    fn order(&self) -> Order {
        let attributes = self.attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Order {
            ticket: TICKET,
            tenant: "default".into(),
            device: self.device.into(),
            name: self.name.into(),
            attributes: attributes.collect(),
            number: NUMBER,
            expires: Time(NOON + 1000),
        }
    }

    /// The command as the protocol writes it.
    fn command(&self) -> Vec<u8> {
        let mut conversation = Conversation::new(find(self.protocol).unwrap(), Terms::default());
        let command = Command { name: self.name, attributes: self.attributes, number: NUMBER };
        conversation.command(self.device, &command).unwrap()
    }
}

/// A connection over a disk in memory that flushes when it is told to.
struct Bench {
    disk: FaultDisk,
    intake: Intake,
    committer: Committer,
    connection: Connection,
    scratch: Scratch,
    /// What the kernel took for the device, and how much more it takes.
    heard: Vec<u8>,
    takes: usize,
    /// Whether TLS has bytes that the kernel did not take.
    is_under_way: bool,
    fates: Vec<Fate>,
}

impl Bench {
    fn new(protocol: &str) -> Self {
        let disk = FaultDisk::new();
        let shared: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
        let clock = Arc::new(TestClock::new(NOON));
        // Small, because there is a disk for each case.
        let options = Options { segment_bytes: 64 << 10, reserve_bytes: 1024, ..Options::default() };
        let opened = Journal::open(&support::folder(), options, shared.clone(), clock, &SeededRng::new(1));
        let (journal, committer, _) = opened.unwrap();
        let (roster, _) = Roster::open(shared, Path::new("data"), 10).unwrap();
        let intake = Intake { journal, devices: Arc::new(roster), handover: None };
        let listener = Listener::new(find(protocol).unwrap(), Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
        let mut scratch = Scratch::default();
        let peer = ([127, 0, 0, 1], 2).into();
        let connection = Connection::open(Arc::new(listener), peer, &intake, at(0), &mut scratch).unwrap();
        let (heard, fates) = (Vec::new(), Vec::new());
        Self { disk, intake, committer, connection, scratch, heard, takes: usize::MAX, is_under_way: false, fates }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(bytes, &self.intake, at(0), &mut self.scratch).unwrap();
        self.listen();
    }

    fn order(&mut self, order: &Order, ms: i64) {
        self.connection.command(order, &self.intake, at(ms), &mut self.scratch).unwrap();
        self.listen();
    }

    fn commit(&mut self) {
        self.committer.commit_step().unwrap();
    }

    /// Lets leave what may, as far as the kernel takes it.
    fn flush(&mut self, ms: i64) {
        loop {
            let durable = self.intake.journal.durable();
            self.connection.let_go(durable, at(ms));
            let released = self.connection.release(durable).to_vec();
            let count = released.len().min(self.takes);
            if released.is_empty() {
                break;
            } else if count == 0 {
                self.connection.untaken(at(ms), self.is_under_way);
                break;
            }
            self.heard.extend(&released[..count]);
            self.takes -= count;
            self.connection.sent(count, at(ms));
        }
        self.listen();
    }

    fn close(&mut self, why: Close) {
        self.connection.give_up();
        self.connection.close(why, &self.intake, at(0), &mut self.scratch).unwrap();
        self.listen();
    }

    fn listen(&mut self) {
        for (ticket, fate) in self.connection.fates() {
            assert_eq!(ticket, TICKET);
            self.fates.push(fate);
        }
    }

    /// What the journal has of what was sent.
    fn journalled(&self) -> Vec<Vec<u8>> {
        let reader = Reader::open(Arc::new(self.disk.clone()), &support::folder()).unwrap();
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            if entry.kind == Kind::SENT {
                all.push(entry.payload.to_vec());
            }
        }
        all
    }

    /// The exchange, in which the device says so many bytes and the kernel takes so many, before the link is cut.
    fn exchange(exchange: &Exchange, says: usize, takes: usize) -> Self {
        let mut bench = Self { takes, ..Self::new(exchange.protocol) };
        let (login, answer) = (&exchange.login, &exchange.answer);
        bench.receive(&login[..says.min(login.len())]);
        bench.commit();
        bench.flush(0);
        bench.order(&exchange.order(), 0);
        bench.commit();
        bench.flush(0);
        // A device answers what it has heard.
        let heard_all = bench.heard.len() == exchange.welcome.len() + exchange.command().len();
        if heard_all {
            // Byte by byte, as networks like to.
            answer[..says.saturating_sub(login.len()).min(answer.len())]
                .iter()
                .for_each(|byte| bench.receive(&[*byte]));
        }
        bench.close(Close::Network);
        bench
    }
}

#[test]
fn wherever_the_link_is_cut_there_is_one_last_word_and_it_is_true() {
    for exchange in exchanges() {
        let command = exchange.command();
        let (login, answer) = (exchange.login.len(), exchange.answer.len());
        let welcome = exchange.welcome.len();
        let mut cases = Vec::new();
        cases.extend((0..=login + answer).map(|says| (says, usize::MAX)));
        cases.extend((0..=welcome + command.len()).map(|takes| (login + answer, takes)));
        for (says, takes) in cases {
            let what = format!("{}: {says} bytes said, {takes} taken", exchange.protocol);
            let bench = Bench::exchange(&exchange, says, takes);
            let begun = bench.heard.len() > welcome;
            let all = bench.heard.len() == welcome + command.len();
            let expected = match (begun, all) {
                _ if says < login => vec![Fate::Unsent(Unsent::Gone)],
                (false, _) => vec![Fate::Unsent(Unsent::Gone)],
                // Whether what the kernel took of it got through, nobody knows.
                (_, false) => vec![Fate::Lost(Close::Network)],
                (_, true) if says < login + answer => vec![Fate::Sent, Fate::Lost(Close::Network)],
                (_, true) => vec![Fate::Sent, Fate::Answered(exchange.said.clone())],
            };
            assert_eq!(bench.fates, expected, "{what}");
            assert_eq!(bench.fates.iter().filter(|fate| fate.is_last()).count(), 1, "{what}");
            let whole = [&exchange.welcome[..], &command].concat();
            assert!(whole.starts_with(&bench.heard), "{what}: {:02x?}", bench.heard);
            if matches!(bench.fates[..], [Fate::Unsent(_)]) {
                assert!(!begun, "{what}: it is said to be unsent");
            }
        }
    }
}

#[test]
fn a_command_leaves_once_it_is_durable_and_lies_in_the_journal_as_it_is() {
    for exchange in exchanges() {
        let mut bench = Bench::new(exchange.protocol);
        bench.receive(&exchange.login);
        bench.commit();
        bench.flush(0);
        bench.order(&exchange.order(), 0);
        bench.flush(0);
        assert_eq!(bench.heard, exchange.welcome, "{}: nothing leaves before the flush", exchange.protocol);
        bench.commit();
        assert_eq!(bench.journalled(), [exchange.welcome.clone(), exchange.command()]);
        bench.flush(0);
        assert_eq!(bench.heard, [exchange.welcome.clone(), exchange.command()].concat());
        assert_eq!(bench.fates, [Fate::Sent]);
    }
}

#[test]
fn what_has_expired_never_leaves_and_holds_nothing_up() {
    for exchange in exchanges() {
        let expires_ms = 1000;
        let expired = |ordered: i64, durable: i64| {
            let mut bench = Bench::new(exchange.protocol);
            bench.receive(&exchange.login);
            bench.commit();
            bench.flush(0);
            bench.order(&exchange.order(), ordered);
            // What follows is answered, whatever becomes of the command.
            bench.receive(&exchange.login);
            bench.commit();
            bench.flush(durable);
            (bench.fates.clone(), bench.heard)
        };
        let (welcome, command) = (&exchange.welcome, &exchange.command());
        let sent = (vec![Fate::Sent], [&welcome[..], command, welcome].concat());
        let never = (vec![Fate::Expired], [&welcome[..], welcome].concat());
        assert_eq!(expired(0, expires_ms - 1), sent);
        assert_eq!(expired(0, expires_ms), never, "its time ran out while the disk was slow");
        assert_eq!(expired(expires_ms, expires_ms), never);
    }
}

#[test]
fn what_expires_while_the_device_takes_nothing_never_leaves() {
    for exchange in exchanges() {
        let (welcome, command) = (&exchange.welcome, &exchange.command());
        let late = |taken: usize, under_way: bool| {
            let mut bench = Bench { takes: welcome.len() + taken, ..Bench::new(exchange.protocol) };
            bench.receive(&exchange.login);
            bench.order(&exchange.order(), 0);
            bench.receive(&exchange.login);
            bench.commit();
            bench.is_under_way = under_way;
            bench.flush(0);
            bench.flush(500);
            bench.takes = usize::MAX;
            bench.flush(1000);
            (bench.fates.clone(), bench.heard)
        };
        let sent = (vec![Fate::Sent], [&welcome[..], command, welcome].concat());
        assert_eq!(late(0, false), (vec![Fate::Expired], [&welcome[..], welcome].concat()));
        assert_eq!(late(0, true), sent, "TLS has begun with it");
        assert_eq!(late(1, false), sent, "the rest of what has begun follows");
    }
}

#[test]
fn one_command_is_under_way_at_a_time_and_only_to_whom_it_is_for() {
    let [exchange, ..] = exchanges();
    let order = exchange.order();
    let mut bench = Bench::new(exchange.protocol);
    bench.order(&order, 0);
    bench.receive(&exchange.login);
    for stranger in
        [Order { device: "352093086403656".into(), ..order.clone() }, Order { tenant: "other".into(), ..order.clone() }]
    {
        bench.order(&stranger, 0);
    }
    assert_eq!(std::mem::take(&mut bench.fates), vec![Fate::Unsent(Unsent::Gone); 3]);
    bench.order(&Order { name: "alarmArm".into(), ..order.clone() }, 0);
    let refused = Fate::Refused("the protocol has no command \"alarmArm\"".to_owned());
    assert_eq!(std::mem::take(&mut bench.fates), [refused]);
    bench.order(&order, 0);
    bench.order(&order, 0);
    assert_eq!(std::mem::take(&mut bench.fates), [Fate::Unsent(Unsent::Busy)]);
    bench.commit();
    bench.flush(0);
    // One that was not answered makes room for the next.
    bench.order(&order, 0);
    bench.commit();
    bench.flush(0);
    assert_eq!(std::mem::take(&mut bench.fates), [Fate::Sent, Fate::Lost(Close::Replaced), Fate::Sent]);
    // What is no answer says nothing, and an answer is one to one command.
    bench.receive(&Speech::Teltonika.frame(&[support::reading(1)], 1));
    bench.receive(&exchange.answer);
    bench.receive(&exchange.answer);
    assert_eq!(bench.fates, [Fate::Answered(exchange.said)]);
}

#[test]
fn an_answer_to_another_command_is_none_to_this() {
    let [.., exchange] = exchanges();
    let mut bench = Bench::new(exchange.protocol);
    bench.receive(&exchange.login);
    bench.order(&Order { number: NUMBER + 1, ..exchange.order() }, 0);
    bench.commit();
    bench.flush(0);
    bench.receive(&exchange.answer);
    bench.close(Close::Peer);
    assert_eq!(bench.fates, [Fate::Sent, Fate::Lost(Close::Peer)]);
}

#[test]
fn what_a_session_knows_behind_a_command_is_in_the_journal() {
    // It counts its packets, commands among them.
    let mut bench = Bench::new("egts");
    bench.receive(&hex(
        "0100010B002200C06401F21700C1640171360D00010101140071360D000238363539303500000000000000000047FC",
    ));
    let order =
        |ticket, name: &str| Order { ticket, device: "865905".into(), name: name.into(), ..exchanges()[0].order() };
    bench.order(&order(TICKET, "positionSingle"), 0);
    bench.commit();
    bench.flush(0);
    bench.close(Close::Peer);
    assert_eq!(bench.fates, [Fate::Sent, Fate::Lost(Close::Peer)]);
    let reader = Reader::open(Arc::new(bench.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if let Some(context) = entry.context {
            let mut dialogue = Dialogue::resume(context).unwrap();
            let next = dialogue.session().command("865905", &Command::new("positionSingle", &[])).unwrap();
            numbers.push(next.bytes[7..9].to_vec());
        }
    }
    // At the opening, and behind the command: two answers and the command were numbered between them.
    assert_eq!(numbers, [[0, 0], [3, 0]]);
}

/// Tells a test what becomes of commands.
struct Told(Mutex<Sender<(u64, Fate)>>, Mutex<Sender<String>>);

impl CommandObserver for Told {
    fn arrived(&self, tenant: &str, device: &str) {
        self.1.lock().unwrap().send(format!("{tenant}/{device}")).unwrap();
    }

    fn became(&self, ticket: u64, fate: Fate) {
        self.0.lock().unwrap().send((ticket, fate)).unwrap();
    }
}

fn told() -> (Arc<Told>, Receiver<(u64, Fate)>, Receiver<String>) {
    let ((fates, became), (arrivals, arrived)) = (channel(), channel());
    (Arc::new(Told(Mutex::new(fates), Mutex::new(arrivals))), became, arrived)
}

#[test]
fn a_gateway_sends_to_the_connection_that_a_device_has_and_answers_for_every_order() {
    let [exchange, ..] = exchanges();
    let setup = support::Setup { workers: 2, clock: Arc::new(TestClock::new(NOON)), ..support::Setup::default() };
    let trial = setup.start();
    let gateway = &trial.gateway;
    let (observer, became, arrived) = told();
    gateway.observe_commands(observer);
    let next = || became.recv_timeout(support::PATIENCE).unwrap();
    gateway.command(exchange.order());
    assert_eq!(next(), (TICKET, Fate::Unsent(Unsent::Gone)));
    let mut old = trial.log_in(exchange.device);
    let mut new = trial.log_in(exchange.device);
    for _ in 0..2 {
        assert_eq!(arrived.recv_timeout(support::PATIENCE).unwrap(), format!("default/{}", exchange.device));
    }
    let speaks = |tenant| gateway.speaks(tenant, exchange.device).map(|protocol| protocol.name);
    assert_eq!((speaks("default"), speaks("other")), (Some("teltonika"), None));
    gateway.command(exchange.order());
    let mut heard = vec![0; exchange.command().len()];
    std::io::Read::read_exact(&mut new.stream, &mut heard).unwrap();
    assert_eq!(heard, exchange.command());
    assert_eq!(next(), (TICKET, Fate::Sent));
    new.send(&exchange.answer);
    assert_eq!(next(), (TICKET, Fate::Answered(exchange.said.clone())));
    assert_eq!(old.hear(false), None, "the newest connection is the one");
    gateway.command(exchange.order());
    assert_eq!(next(), (TICKET, Fate::Sent));
    drop(new);
    let (ticket, fate) = next();
    assert!(ticket == TICKET && matches!(fate, Fate::Lost(Close::Peer | Close::Network)), "{fate:?}");
    gateway.stop().unwrap();
    gateway.command(exchange.order());
    assert_eq!(next(), (TICKET, Fate::Unsent(Unsent::Gone)));
}
