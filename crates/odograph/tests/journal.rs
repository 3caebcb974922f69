//! `odograph journal` and `odograph export` on a journal of several segments: as it was written, and with every kind of damage.

mod common;

use common::{Device, Place, Server, errors, position};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

const POSITIONS: u32 = 2500;

/// A server whose journal has several segments, and the device that filled them: while it stays, nothing more comes.
fn several(place: &Place) -> (Server, Device) {
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_JOURNAL__SEGMENT_BYTES", "64 KiB");
    let server = Server::start(command);
    let mut device = Device::connect(server.listener("tcp"));
    device.login("7\u{1b}[31m");
    for batch in 0..POSITIONS / 50 {
        let lines: Vec<String> = (0..50).map(|at| position(batch * 50 + at)).collect();
        device.say(&lines.join("\r\n"));
        for _ in 1..50 {
            device.hear();
        }
    }
    (server, device)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", errors(output)))
}

#[test]
fn several_segments_are_sound_while_they_are_written_and_after() {
    let place = Place::new();
    let (server, _device) = several(&place);
    let look = || {
        let verified = json(&place.run(&["journal", "verify", "--json"]));
        assert_eq!((&verified["sound"], &verified["problems"]), (&true.into(), &Value::Array(vec![])), "{verified}");
        let stat = json(&place.run(&["journal", "stat", "--json"]));
        let segments = stat["segments"].as_array().expect("segments").len();
        assert!(segments >= 4, "{stat}");
        assert_eq!((&stat["entries"], &stat["missing"]), (&verified["entries"], &Value::Array(vec![])));
        let dump = place.text(&["journal", "dump"]);
        assert_eq!(stat["entries"], dump.lines().count());
        assert!(dump.contains("7\\u{1b}[31m"), "the device is there");
        assert!(dump.chars().all(|c| c == '\n' || !c.is_control()), "nothing steers the terminal");
        assert_eq!(place.records(&[]).len(), POSITIONS as usize);
    };
    look();
    server.kill();
    look();
    let server = place.serve();
    look();
    assert_eq!(server.stop().code(), Some(0));
    look();
}

/// The files of a journal with that ending, in order.
fn files(journal: &Path, ending: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(journal).expect("the journal is there");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == ending));
    files.sort();
    files
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("it is read");
    bytes[2000] ^= 1;
    std::fs::write(path, bytes).expect("it is written");
}

fn cut(path: &Path) {
    let bytes = std::fs::read(path).expect("it is read");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("it is written");
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("it is removed");
}

/// One kind of damage, and what each command says to it.
struct Damage {
    name: &'static str,
    does: fn(&Path),
    /// What `verify` tells; nothing: it is sound.
    verify: Option<&'static str>,
    export: i32,
    stat: i32,
    dump: i32,
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "a flipped bit in a sealed segment",
        does: |journal| flip(&files(journal, "segment")[1]),
        verify: Some("entry not as written: checksum mismatch"),
        export: 1,
        stat: 0,
        dump: 1,
    },
    Damage {
        name: "a flipped bit in the segment without a seal",
        does: |journal| flip(files(journal, "segment").last().expect("one")),
        verify: Some("entry not as written: checksum mismatch"),
        export: 1,
        stat: 0,
        dump: 1,
    },
    Damage {
        name: "a sealed segment cut short",
        does: |journal| cut(&files(journal, "segment")[1]),
        verify: Some("entry not as written"),
        export: 1,
        stat: 1,
        dump: 1,
    },
    Damage {
        name: "a missing sealed segment",
        does: |journal| remove(&files(journal, "segment")[1]),
        verify: Some(".segment, place "),
        export: 1,
        stat: 1,
        dump: 1,
    },
    Damage {
        name: "the oldest segment missing",
        does: |journal| remove(&files(journal, "segment")[0]),
        verify: Some(".segment, place 0: missing"),
        export: 1,
        stat: 1,
        dump: 1,
    },
    Damage {
        name: "a missing index",
        does: |journal| remove(&files(journal, "index")[1]),
        verify: Some(".index: missing"),
        export: 0,
        stat: 0,
        dump: 0,
    },
    Damage {
        name: "a missing chain",
        does: |journal| remove(&journal.join("chain")),
        verify: Some("chain: missing"),
        export: 0,
        stat: 0,
        dump: 0,
    },
    Damage {
        name: "a missing seal",
        does: |journal| {
            let chain = std::fs::read(journal.join("chain")).expect("it is read");
            std::fs::write(journal.join("chain"), &chain[..512]).expect("it is written");
        },
        verify: Some("without a seal"),
        export: 0,
        stat: 0,
        dump: 0,
    },
    Damage {
        name: "a missing key",
        does: |journal| remove(&journal.join("signing.key")),
        verify: Some("signing.key: not a signing key"),
        export: 0,
        stat: 0,
        dump: 0,
    },
    Damage {
        name: "an extra file",
        does: |journal| std::fs::write(journal.join("copy of chain"), "x").expect("it is written"),
        verify: None,
        export: 0,
        stat: 0,
        dump: 0,
    },
];

#[test]
fn every_kind_of_damage_is_told() {
    let place = Place::new();
    several(&place).0.kill();
    let whole = place.data().join("journal/0");
    for damage in DAMAGES {
        let other = Place::new();
        let journal = other.data().join("journal/0");
        std::fs::create_dir_all(&journal).expect("a folder");
        for file in std::fs::read_dir(&whole).expect("a folder").map(|entry| entry.expect("an entry")) {
            std::fs::copy(file.path(), journal.join(file.file_name())).expect("a copy");
        }
        (damage.does)(&journal);
        let check = |arguments: &[&str], status: i32| {
            let output = other.run(arguments);
            assert_eq!(output.status.code(), Some(status), "{}: {arguments:?}: {}", damage.name, errors(&output));
            output
        };
        let verified = check(&["journal", "verify"], i32::from(damage.verify.is_some()));
        let told = String::from_utf8(verified.stdout).expect("UTF-8");
        assert!(
            told.contains(damage.verify.unwrap_or("copy of chain: not a file of the journal")),
            "{}: {told}",
            damage.name
        );
        check(&["journal", "stat"], damage.stat);
        check(&["journal", "dump"], damage.dump);
        let exported = check(&["export", "records"], damage.export);
        let records = String::from_utf8(exported.stdout.clone()).expect("UTF-8").lines().count();
        assert_eq!(records == POSITIONS as usize, damage.export == 0, "{}: {records}", damage.name);
        if damage.stat == 1 {
            let told = errors(&exported);
            assert!(told.contains("warning: places ") && told.contains(" are missing: "), "{}: {told}", damage.name);
        }
    }
}

#[test]
fn losses_are_told_when_the_server_starts() {
    let place = Place::new();
    several(&place).0.kill();
    let journal = place.data().join("journal/0");
    remove(&files(&journal, "segment")[0]);
    remove(&files(&journal, "index")[2]);
    remove(&journal.join("signing.key"));
    let server = place.serve();
    let told =
        |begin: &str| server.start.iter().any(|line| line["message"].as_str().is_some_and(|it| it.starts_with(begin)));
    assert!(told("a part of the journal is lost"), "{:?}", server.start);
    assert!(told("the signing key of the journal is another than before"), "{:?}", server.start);
    assert!(told("indexes of journal segments are missing"), "{:?}", server.start);
    server.log_line_or_start(|line| line["message"] == "made the missing index of a journal segment again");
    let verified = json(&place.run(&["journal", "verify", "--json"]));
    let problems: Vec<_> =
        verified["problems"].as_array().expect("problems").iter().map(|it| it["what"].clone()).collect();
    assert_eq!(problems, ["missing"], "{verified}");
    assert_eq!(verified["begins"][0]["other_key"], true);
    // The server tells it to whoever exports.
    let exported = place.run(&["export", "records"]);
    assert_eq!(exported.status.code(), Some(1));
    assert!(errors(&exported).contains("warning: places 0 to "), "{}", errors(&exported));
    server.kill();
    remove(&journal.join("chain"));
    let server = place.serve();
    assert!(server.start.iter().any(|line| {
        line["message"].as_str().is_some_and(|it| it.starts_with("seals of the journal are lost"))
            && line["disagree"] == 0
    }));
}
