//! History in an object store, backed up to another place of it, by a real emulator: restored into a folder, into a third
//! place, and beside the history that is still there.

mod common;
mod emulators;
mod gateway;

use common::{Device, Place, Server, errors};
use emulators::{Emulator, Kind, Line, settings};
use gateway::{COUNTED, Gateway, PAUSE, TRIES, counted};
use serde_json::Value;

/// The variables with which the same store is the place of backups.
fn backups(line: &Line) -> Vec<(String, String)> {
    let of_lake = settings(Kind::S3, line.address()).into_iter();
    let to = |(name, value): (&str, String)| match name {
        "ODOGRAPH_LAKE__STORE" => ("ODOGRAPH_BACKUP__TO".to_owned(), "s3://odograph/backups".to_owned()),
        name => (name.replace("LAKE__", "BACKUP__"), value),
    };
    of_lake.map(to).collect()
}

fn send(server: &Server, seconds: std::ops::Range<u32>) {
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    for second in seconds {
        assert_eq!(device.position(second), "#ASD#1");
    }
}

/// What a command says that has to succeed.
fn said(mut command: std::process::Command, line: &Line) -> String {
    let output = command.envs(backups(line)).output().expect("the command runs");
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn s3_holds_backups_and_a_store_that_is_away_has_none_of_what_was_begun() {
    let Some(store) = Emulator::start(Kind::S3) else { return };
    let line = Line::to(store.address());
    let gateway = Gateway::new(Kind::S3, &line, "0");
    let server = gateway.serve("wialon");
    send(&server, 0..50);
    gateway.settled(&server);
    let backup = || gateway.command(&["backup", "--json"]);
    let made: Value = serde_json::from_str(&said(backup(), &line)).expect("JSON");
    assert_eq!(made["sent"]["bytes"], made["bytes"], "{made}");
    let again: Value = serde_json::from_str(&said(backup(), &line)).expect("JSON");
    assert!(again["sent"]["bytes"].as_u64() < made["bytes"].as_u64(), "{again}");

    line.cut();
    let failed = backup().envs(backups(&line)).env("ODOGRAPH_BACKUP__STORE_OPTIONS__TIMEOUT", "1s").output();
    let failed = failed.expect("the command runs");
    assert!(errors(&failed).contains("the object store s3://odograph/"), "{}", errors(&failed));
    assert!(errors(&failed).contains("cannot be reached"), "{}", errors(&failed));
    assert!(!failed.status.success());
    line.mend();
    assert_eq!(store.names("backups/manifests/").len(), 2);
    for _ in 0..TRIES {
        if gateway.ask(COUNTED).is_ok() {
            break;
        }
        std::thread::sleep(PAUSE);
    }

    // Sent and acknowledged after the backups: history has it, the backup does not.
    send(&server, 50..60);
    // A stop makes files of what has come so far into history, and leaves the rest to the journal, which is lost with this machine.
    assert_eq!(gateway.ask_again(COUNTED), counted(&[("1", 60)]));
    assert!(server.stop().success());
    said(gateway.command(&["backup", "verify"]), &line);

    // Into a folder: history too.
    let folder = Place::new();
    said(folder.command(&["restore", "--verify"]), &line);
    assert_eq!(folder.records(&[]).len(), 50);
    folder.text(&["journal", "verify", "--history"]);

    // Where history is, nothing may be, unless it is to stay.
    let beside = Gateway::new(Kind::S3, &line, "0");
    let refused = beside.command(&["restore"]).envs(backups(&line)).output().expect("the command runs");
    assert!(errors(&refused).contains("s3://odograph/history is not empty"), "{}", errors(&refused));
    said(beside.command(&["restore", "--keep-lake"]), &line);
    let server = beside.serve("wialon");
    // What the old machine committed after the backup is known: its device sends it again, and more.
    send(&server, 55..70);
    assert_eq!(beside.ask_again(COUNTED), counted(&[("1", 70)]));
    beside.settled(&server);
    assert!(server.stop().success());
    assert_eq!(beside.ask_again(COUNTED), counted(&[("1", 70)]), "afterwards");

    // Into a place of its own.
    let mut elsewhere = Gateway::new(Kind::S3, &line, "0");
    elsewhere.more = vec![("ODOGRAPH_LAKE__STORE", "s3://odograph/elsewhere".to_owned())];
    said(elsewhere.command(&["restore"]), &line);
    let server = elsewhere.serve("wialon");
    assert_eq!(elsewhere.ask_again(COUNTED), counted(&[("1", 50)]));
    // A stop makes files there of what the backup had in its journal alone.
    assert!(server.stop().success());
    assert!(!store.names("elsewhere/default/records/day=").is_empty());
}
