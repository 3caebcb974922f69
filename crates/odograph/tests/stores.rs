//! History in object stores, by real emulators: what was acknowledged is there once, whatever happens to server, line
//! and store.

mod common;
mod emulators;
mod gateway;

use common::{Device, Server, moment};
use emulators::{Emulator, KEY, Kind, Line};
use gateway::{COUNTED, Gateway, PAUSE, TRIES, counted};
use serde_json::json;

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

fn all_through_it(kind: Kind) {
    let Some(mut store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let gateway = Gateway::new(kind, &line, "0");
    let server = gateway.serve("wialon");
    send(&server, "1", 0..10);
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", 10)])), "from the server");
    server.kill();
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", 10)])), "after a kill, without a server");

    let server = gateway.serve("wialon");
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
    let server = gateway.serve("wialon");
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
    let (server_of_one, server_of_two) = (one.serve("wialon"), two.serve("wialon"));
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
    one.settled(&server_of_one);
    two.settled(&server_of_two);
    assert!(server_of_one.stop().success() && server_of_two.stop().success());
    assert_eq!(one.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "from one folder");
    assert_eq!(two.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "from the other");

    // A third one, with a journal of its own and a number that is taken.
    let third = Gateway::new(kind, &line, "0");
    let server = third.serve("wialon");
    server.log_line_or_start(|entry| entry.to_string().contains("from another journal than this one"));
    send(&server, "3", 0..5);
    let refused = third.ask(COUNTED).expect_err("no answer");
    assert!(refused.contains("set journal.node to a number that was never used there"), "{refused}");
    assert!(server.stop().success());
    assert_eq!(one.ask_again(COUNTED), counted(&[("1", 60), ("2", 60)]), "it touched nothing");
    // What it could not put there is in its journal.
    let frames = third.command(&["export", "frames", "--direction", "in"]).output().expect("the command runs");
    let frames = String::from_utf8(frames.stdout).expect("UTF-8");
    let of_third = frames.lines().filter(|line| line.contains(r#""device":"3""#)).count();
    assert_eq!(of_third, 6, "a login and five positions: its devices lost nothing: {frames}");
}

fn moved(kind: Kind) {
    let Some(store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let (one, two) = (Gateway::new(kind, &line, "0"), Gateway::new(kind, &line, "1"));
    let (server_of_one, server_of_two) = (one.serve("wialon"), two.serve("wialon"));
    send(&server_of_one, "1", 0..20);
    one.settled(&server_of_one);
    // With a commit of its own, the other one sees what the first one committed.
    send(&server_of_two, "2", 0..1);
    let both = counted(&[("1", 20), ("2", 1)]);
    for _ in 0..TRIES {
        if two.ask_again(COUNTED) == both {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    assert_eq!(two.ask_again(COUNTED), both);
    // The device comes to it, and sends some of it again.
    send(&server_of_two, "1", 10..30);
    two.settled(&server_of_two);
    assert_eq!(two.ask_again(COUNTED), counted(&[("1", 30), ("2", 1)]), "each once");
    assert!(server_of_one.stop().success() && server_of_two.stop().success());
    assert_eq!(one.ask_again(COUNTED), counted(&[("1", 30), ("2", 1)]));
}

#[test]
fn what_a_device_sent_to_one_gateway_is_known_to_another_one_in_s3() {
    moved(Kind::S3);
}

#[test]
fn what_a_device_sent_to_one_gateway_is_known_to_another_one_in_azure() {
    moved(Kind::Azure);
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
    let server = gateway.serve("wialon");
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
