//! All tables in object stores, by real emulators: the bytes themselves, what maintenance does by itself, a period decoded
//! again, and a store that refuses from the beginning.

mod common;
mod emulators;
mod gateway;
mod tracker;

use common::{Device, Server, errors};
use emulators::{Emulator, Kind, Line};
use gateway::{COUNTED, Gateway, PAUSE, TRIES, counted};
use serde_json::{Value, json};
use std::time::Duration;
use tracker::{DEVICE, Tracker};

const FRAMES_SOON: (&str, &str) = ("ODOGRAPH_LAKE__FRAMES_FLUSH_AFTER", "10 ms");

fn gateway(kind: Kind, line: &Line, more: &[(&'static str, &str)]) -> Gateway {
    let mut gateway = Gateway::new(kind, line, "0");
    gateway.more = more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    gateway
}

/// A position at a time, until `done`. Returns how many that were.
fn send_until(server: &Server, device: &str, done: impl Fn() -> bool) -> u32 {
    let mut line = Device::connect(server.listener("tcp"));
    assert_eq!(line.login(device), "#AL#1");
    for second in 0..POSITIONS_MAX {
        assert_eq!(line.position(second), "#ASD#1");
        if second % 20 == 19 {
            if done() {
                return second + 1;
            }
            // A store takes a tenth of a second for a commit; a device may send a thousand positions meanwhile.
            std::thread::sleep(BREATH);
        }
    }
    panic!("after {POSITIONS_MAX} positions it has not happened");
}

/// Waits for what goes on by itself.
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..TRIES {
        if is_so() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("{what} does not come");
}

fn kept_small(kind: Kind) {
    let Some(store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let often = [("ODOGRAPH_LAKE__MAINTAIN_EVERY", "10 ms"), ("ODOGRAPH_LAKE__REMOVED_FILES_AFTER", "0 ms")];
    let gateway = gateway(kind, &line, &[often[0], often[1], FRAMES_SOON]);
    let server = gateway.serve("wialon");
    let summed_up = |table: &str| !store.names(&format!("history/default/{table}/_delta_log/_last")).is_empty();
    let sent = send_until(&server, "1", || summed_up("records") && summed_up("frames"));
    gateway.settled(&server);
    let commits = store.names("history/default/records/_delta_log/0").len();
    assert!(commits > 100, "a checkpoint stands for a hundred commits, and there are {commits}");
    for table in ["records", "frames"] {
        let files = || store.names(&format!("history/default/{table}/day=")).len();
        wait_for("that merged files are deleted", || files() <= FILES_MAX);
    }
    let frames = "SELECT kind, count(*) AS entries, count(DISTINCT place) AS places FROM frames \
                  WHERE device = '1' AND kind IN ('frame', 'sent') GROUP BY kind ORDER BY kind";
    let each = |kind: &str| json!({"kind": kind, "entries": sent + 1, "places": sent + 1});
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", sent)])), "from the server");
    assert_eq!(gateway.ask(frames), Ok(vec![each("frame"), each("sent")]), "the login, and each position");
    assert!(server.stop().success());
    assert_eq!(gateway.ask(COUNTED), Ok(counted(&[("1", sent)])), "without a server");
    let verified = gateway.command(&["journal", "verify", "--history", "--json"]).output().expect("the command runs");
    assert_eq!(verified.status.code(), Some(0), "{}", errors(&verified));
    let verified: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    let history = json!({"segments": 1, "devices": 2, "passed_over": 0, "wrong": []});
    assert_eq!(verified["history"], history, "the device, and what was nobody's: {verified}");
    let server = gateway.serve("wialon");
    assert_eq!(gateway.ask_again(frames), [each("frame"), each("sent")], "after a restart");
    server.kill();
}

/// Some commits of one row each are under way; the larger files of a day are seven for each of three sizes.
const FILES_MAX: usize = 30;
/// Half a day of them, a second each: minutes, with the pauses.
const POSITIONS_MAX: u32 = 43_000;
/// After twenty of them.
const BREATH: Duration = Duration::from_millis(50);

#[test]
fn s3_has_few_files_and_all_bytes() {
    kept_small(Kind::S3);
}

#[test]
fn azure_has_few_files_and_all_bytes() {
    kept_small(Kind::Azure);
}

fn times(gateway: &Gateway) -> Vec<String> {
    let sql = "SELECT to_char(time, '%d %H:%M') AS at FROM records WHERE position_latitude IS NOT NULL ORDER BY time";
    gateway.ask_again(sql).iter().map(|row| row["at"].as_str().expect("a text").to_owned()).collect()
}

fn replay(gateway: &Gateway, zone: &str) -> Result<String, String> {
    let set = format!("zone={zone}");
    let arguments = ["replay", "--from", "2020-01-01", "--to", "2100-01-01", "--set", &set, "--apply"];
    let output = gateway.command(&arguments).output().expect("the command runs");
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    if output.status.success() { Ok(text) } else { Err(errors(&output)) }
}

fn replayed(kind: Kind) {
    let Some(store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let gateway = gateway(kind, &line, &[FRAMES_SOON]);
    let server = gateway.serve("gt06");
    Tracker::connect(server.listener("tcp")).positions(&[(0, 30), (1, 0), (12, 0)]);
    let (as_sent, earlier) = (["23 00:30", "23 01:00", "23 12:00"], ["22 22:30", "22 23:00", "23 10:00"]);
    assert_eq!(times(&gateway), as_sent);
    let done = "3 records of 1 devices were replaced: version ";
    let said = replay(&gateway, "+02:00").expect("it is done");
    assert!(said.contains(done), "{said}");
    assert_eq!(times(&gateway), earlier, "by the server");

    line.lose_answers_to_commits();
    let said = replay(&gateway, "+00:00").expect("it is done");
    assert!(said.contains(done), "although the answer to the commit was lost: {said}");
    server.log_line(|entry| entry.to_string().contains("was put although the store's answer was lost"));
    line.mend();
    assert_eq!(times(&gateway), as_sent, "after a lost answer");

    line.cut();
    let failed = replay(&gateway, "+02:00").expect_err("the store is away");
    assert!(failed.contains("cannot be reached: it is tried again by itself"), "{failed}");
    line.mend();
    assert_eq!(times(&gateway), as_sent, "nothing was done");
    server.kill();
    let said = replay(&gateway, "+02:00").expect("it is done");
    assert!(said.contains(done), "{said}");
    assert_eq!(times(&gateway), earlier, "without a server");
    let server = gateway.serve("gt06");
    // What was sent comes once more, and is read under the zone of today: none was set.
    Tracker::connect(server.listener("tcp")).positions(&[(12, 10)]);
    assert_eq!(times(&gateway), [&earlier[..], &["23 12:10"]].concat(), "after a restart");
    let of_device = format!("SELECT count(*) > 0 AS known FROM frames WHERE device = '{DEVICE}'");
    assert_eq!(gateway.ask(&of_device), Ok(vec![json!({"known": true})]));
    assert!(server.stop().success());
}

#[test]
fn a_period_in_s3_is_decoded_again_and_replaced() {
    replayed(Kind::S3);
}

#[test]
fn a_period_in_azure_is_decoded_again_and_replaced() {
    replayed(Kind::Azure);
}

fn refused_at_first(kind: Kind) {
    let Some(store) = Emulator::start(kind) else { return };
    let line = Line::to(store.address());
    let address = if kind == Kind::S3 { "s3://later/history" } else { "az://later/history" };
    let gateway = gateway(kind, &line, &[("ODOGRAPH_LAKE__STORE", address)]);
    let server = gateway.serve("wialon");
    let told =
        server.log_line_or_start(|entry| entry.to_string().contains("history cannot go on, and begins again in 2 s"));
    let told = told.to_string();
    assert!(told.contains("refuses: the bucket or container is not there: make it, or correct lake.store"), "{told}");
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    for second in 0..5 {
        assert_eq!(device.position(second), "#ASD#1", "devices are served as ever");
    }
    let failed = gateway.ask(COUNTED).expect_err("no answer");
    assert!(failed.contains("refuses: the bucket or container is not there"), "{failed}");
    let metrics = server.get("/metrics").1;
    let restarts = metrics.lines().find_map(|line| line.strip_prefix("odograph_pipeline_restarts_total "));
    assert!(restarts.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 0)), "{metrics}");
    store.make_bucket("later");
    assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 5)]), "by itself, once it is there");
    assert!(server.stop().success());
}

#[test]
fn a_bucket_that_is_made_later_gets_everything() {
    refused_at_first(Kind::S3);
}

#[test]
fn a_container_that_is_made_later_gets_everything() {
    refused_at_first(Kind::Azure);
}
