//! History in object stores, by real emulators: what was acknowledged is there once, whatever happens to server, line
//! and store.

mod common;
mod emulators;

use common::{Device, Place, Server, errors, moment, told};
use emulators::{Emulator, KEY, Kind, Line, settings};
use serde_json::{Value, json};
use std::time::Duration;

/// A gateway whose history is in a store.
struct Gateway {
    place: Place,
    kind: Kind,
    line: std::net::SocketAddr,
    node: &'static str,
    more: Vec<(&'static str, String)>,
}

impl Gateway {
    fn new(kind: Kind, line: &Line, node: &'static str) -> Self {
        Self { place: Place::new(), kind, line: line.address(), node, more: Vec::new() }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.place.command(arguments);
        command.env("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms").env("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms");
        command.env("ODOGRAPH_JOURNAL__NODE", self.node).envs(settings(self.kind, self.line)).envs(self.more.clone());
        command
    }

    fn serve(&self) -> Server {
        Server::start(self.command(&["serve", "--listen", "wialon=127.0.0.1:0"]))
    }

    fn ask(&self, sql: &str) -> Result<Vec<Value>, String> {
        let output = self.command(&["sql", "--json", sql]).output().expect("the command runs");
        if !output.status.success() {
            return Err(errors(&output));
        }
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect())
    }

    /// Asks until the store is back in use.
    fn ask_again(&self, sql: &str) -> Vec<Value> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.ask(sql) {
                Ok(rows) => return rows,
                Err(error) => last = error,
            }
            std::thread::sleep(PAUSE);
        }
        panic!("it does not go on: {last}");
    }

    fn exported(&self) -> Vec<(String, String)> {
        let output = self.command(&["export", "records"]).output().expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        told(&text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect::<Vec<_>>())
    }
}

/// A minute and more: a server begins again after at most 16 seconds.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(300);

const COUNTED: &str =
    "SELECT device, count(*) AS records, count(DISTINCT id) AS ids FROM records GROUP BY device ORDER BY device";

fn counted(devices: &[(&str, u32)]) -> Vec<Value> {
    devices.iter().map(|(device, count)| json!({"device": device, "records": count, "ids": count})).collect()
}

fn send(server: &Server, device: &str, seconds: std::ops::Range<u32>) {
    send_to(server.listener("tcp"), device, seconds);
}

fn send_to(listener: std::net::SocketAddr, device: &str, seconds: std::ops::Range<u32>) {
    let mut line = Device::connect(listener);
    assert_eq!(line.login(device), "#AL#1");
    for second in seconds {
        assert_eq!(line.position(second), "#ASD#1");
    }
}

/// Waits until all that was read is in the store.
fn settled(server: &Server) {
    for _ in 0..TRIES {
        if server.get("/metrics").1.lines().any(|line| line == "odograph_pipeline_uncommitted_bytes 0") {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("records are still waiting: {}", server.get("/metrics").1);
}

fn all_through_it(kind: Kind) {
    let Some(mut store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let gateway = Gateway::new(kind, &line, "0");
    let server = gateway.serve();
    send(&server, "1", 0..10);
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", 10)])), "from the server");
    server.kill();
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", 10)])), "after a kill, without a server");

    let server = gateway.serve();
    // What was sent comes once more, as from a device whose ACKs were lost; and so are the store's answers to commits.
    line.lose_answers_to_commits();
    send(&server, "1", 0..20);
    server.log_line(|entry| entry.to_string().contains("was put although the store's answer was lost"));
    line.mend();
    assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 20)]), "after lost answers");

    line.cut();
    send(&server, "1", 20..25);
    server.log_line(|entry| entry.to_string().contains("records wait in memory and in the journal"));
    server.kill();
    let failed = gateway.ask(COUNTED).expect_err("no answer");
    assert!(failed.contains("cannot be reached: it is tried again by itself"), "without a server: {failed}");
    let server = gateway.serve();
    send(&server, "1", 25..30);
    let failed = gateway.ask(COUNTED).expect_err("no answer");
    assert!(failed.contains("cannot be reached: it is tried again by itself"), "from a server: {failed}");
    assert_eq!(server.get("/healthz").0, 200, "devices are served as ever");
    line.mend();
    assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 30)]), "after the line was cut");

    let kept_across = kind == Kind::Azure;
    if kept_across {
        store.stop();
        send(&server, "1", 30..35);
        store.restart_stopped();
        send(&server, "1", 35..40);
        assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 40)]), "after the store itself was away");
    } else {
        // This emulator forgets everything when it ends: its process is stopped in its tracks instead.
        store.pause();
        send(&server, "1", 30..40);
        store.go_on();
        assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 40)]), "after the store itself stood still");
    }
    server.kill();
    let expected: Vec<_> = (0..40).map(|second| ("1".to_owned(), moment(second))).collect();
    assert_eq!(gateway.exported(), expected);
    assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 40)]), "after a kill at the end");
}

#[test]
fn s3_holds_each_record_once_whatever_happens() {
    all_through_it(Kind::S3);
}

#[test]
fn azure_holds_each_record_once_whatever_happens() {
    all_through_it(Kind::Azure);
}

fn two_at_once(kind: Kind) {
    let Some(store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let (one, two) = (Gateway::new(kind, &line, "0"), Gateway::new(kind, &line, "1"));
    let (server_of_one, server_of_two) = (one.serve(), two.serve());
    // Both commit to one table all the time: each finds the other's commits in its way.
    let (to_one, to_two) = (server_of_one.listener("tcp"), server_of_two.listener("tcp"));
    std::thread::scope(|scope| {
        scope.spawn(|| send_to(to_one, "1", 0..60));
        scope.spawn(|| send_to(to_two, "2", 0..60));
    });
    let of_one = "SELECT count(*) AS records FROM records WHERE device = '1'";
    let of_two = "SELECT count(*) AS records FROM records WHERE device = '2'";
    assert_eq!(one.ask_again(of_one), [json!({"records": 60})]);
    assert_eq!(two.ask_again(of_two), [json!({"records": 60})]);
    settled(&server_of_one);
    settled(&server_of_two);
    assert!(server_of_one.stop().success() && server_of_two.stop().success());
    assert_eq!(one.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "from one folder");
    assert_eq!(two.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "from the other");

    // A third one, with a journal of its own and a number that is taken.
    let third = Gateway::new(kind, &line, "0");
    let server = third.serve();
    server.log_line(|entry| entry.to_string().contains("from another journal than this one"));
    send(&server, "3", 0..5);
    let refused = third.ask(COUNTED).expect_err("no answer");
    assert!(refused.contains("set journal.node to a number that was never used there"), "{refused}");
    assert!(server.stop().success());
    assert_eq!(one.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "it touched nothing");
    assert_eq!(third.exported().len(), 5, "and its devices lost nothing");
}

#[test]
fn gateways_share_a_table_in_s3() {
    two_at_once(Kind::S3);
}

#[test]
fn gateways_share_a_table_in_azure() {
    two_at_once(Kind::Azure);
}

#[test]
fn a_store_that_refuses_is_told_from_one_that_is_away() {
    let Some(store) = Emulator::start(Kind::Azure) else { return };
    let line = Line::to(store.address());
    let mut gateway = Gateway::new(Kind::Azure, &line, "0");
    let server = gateway.serve();
    send(&server, "1", 0..1);
    server.kill();
    let wrong = KEY.replacen('E', "F", 1);
    gateway.more = vec![("ODOGRAPH_LAKE__STORE_OPTIONS__ACCOUNT_KEY", wrong.clone())];
    let refused = gateway.ask(COUNTED).expect_err("no answer");
    assert!(refused.contains("refuses: correct the credentials in lake.store_options"), "{refused}");
    assert!(!refused.contains(&wrong), "no secret is told");
    gateway.more = vec![("ODOGRAPH_LAKE__STORE", "az://nowhere/history".to_owned())];
    let refused = gateway.ask(COUNTED).expect_err("no answer");
    assert!(refused.contains("refuses: the bucket or container is not there"), "{refused}");
    let shown = gateway.command(&["config", "show"]).output().expect("the command runs");
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert!(shown.contains("az://nowhere/history") && !shown.contains(KEY), "{shown}");
}
