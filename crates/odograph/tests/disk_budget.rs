//! The journal's disk budget: a person is warned before it costs data.

mod common;

use common::{Device, Place, Server};

/// The number that `/metrics` has under a name without labels; 0 before there is one.
fn number(server: &Server, name: &str) -> u64 {
    let numbers = server.get("/metrics").1;
    let number = numbers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    number.unwrap_or_default()
}

/// The segments that are complete, with their bytes.
fn complete(place: &Place) -> Vec<(String, u64)> {
    let files = std::fs::read_dir(place.data().join("journal/0")).expect("the journal is there");
    let mut segments: Vec<(String, u64)> = files
        .filter_map(|file| {
            let file = file.expect("an entry");
            let name = file.file_name().to_string_lossy().into_owned();
            // One may go meanwhile.
            Some((name, file.metadata().ok()?.len()))
        })
        .filter(|(name, _)| name.ends_with(".segment"))
        .collect();
    segments.sort();
    segments.pop();
    segments
}

/// Sends until another segment of the journal is begun, so that the one before can be sealed.
fn fill_segment(place: &Place, device: &mut Device, second: &mut u32) {
    let last = || complete(place).pop();
    let before = last();
    while last() == before {
        *second += 1;
        let time = format!("{:02}{:02}{:02}", 12 + *second / 3600, *second / 60 % 60, *second % 60);
        let filling = "x".repeat(4000);
        let line = format!("#D#231126;{time};5355.0926;N;02732.4096;E;1;2;300;7;NA;NA;NA;;NA;t:3:{filling}");
        assert_eq!(device.say(&line), "#AD#1");
    }
}

/// History that cannot take anything lets the journal grow to its budget. The warning is there when the last segment but one
/// that fits is sealed, and stays while the last one fills.
#[test]
fn whoever_looks_is_warned_a_segment_before_anything_is_lost() {
    let place = Place::new();
    let serve = || {
        let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
        command.env("ODOGRAPH_JOURNAL__SEGMENT_BYTES", "64 KiB").env("ODOGRAPH_JOURNAL__DISK_BUDGET", "256 KiB");
        Server::start(command)
    };
    let server = serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(0)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    assert!(server.stop().success());
    let entry = place.data().join("lake/default/records/_delta_log/00000000000000000000.json");
    let sound = std::fs::read(&entry).expect("an entry");
    std::fs::write(&entry, b"{\"not\": ").expect("it is written");
    let server = serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    // What the server before wrote is a segment of its own, and a small one.
    let (mut second, mut seen) = (0, Vec::new());
    while seen.last() != Some(&2) {
        assert!(seen.len() < 8, "nothing is forced: {seen:?}");
        fill_segment(&place, &mut device, &mut second);
        // The keeper looks when a segment was sealed, and history needs them all.
        let looked = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let bytes: u64 = complete(&place).iter().map(|(_, bytes)| bytes).sum();
            number(&server, "odograph_journal_needed_bytes") >= bytes
        });
        assert!(looked, "nobody looked: {seen:?}");
        // The keeper may look between one question and the next.
        let alarm = || number(&server, "odograph_journal_budget_alarm");
        let (alarm, removed) = loop {
            let (before, removed) = (alarm(), server.get("/readyz").1.contains("forced out"));
            if alarm() == before {
                break (before, removed);
            }
        };
        assert_eq!(removed, alarm == 2, "{seen:?}");
        seen.push(alarm);
    }
    let first = |alarm| seen.iter().position(|seen| *seen == alarm);
    assert!(first(0) < first(1) && first(1) < first(2) && first(1).is_some(), "{seen:?}");
    // The log says it in the same order.
    let said = |what: &str| server.log_line(|line| line["message"].as_str().is_some_and(|text| text.contains(what)));
    said("will soon force out what it needs");
    said("forced out what history had not read");
    assert!(server.stop().success());
    // Once the table is back, what it lacks is told until somebody has seen to it.
    std::fs::write(&entry, sound).expect("it is written");
    for _ in 0..2 {
        let server = serve();
        let export = place.run(&["export", "records"]);
        let told = common::errors(&export);
        assert_eq!(export.status.code(), Some(1), "{told}");
        assert!(told.contains("before all tables of records had them: `odograph replay`"), "{told}");
        assert!(server.get("/healthz").1.contains("\"history_lacks\":1"));
        assert!(server.stop().success());
    }
    // The frames have it all.
    let replayed = place.text(&["replay", "--from", "2026-01-01", "--to", "2100-01-01", "--apply"]);
    std::fs::remove_file(place.data().join("reach/0.lacks.json")).expect("what is lacking was noted");
    assert_eq!(place.records(&[]).len(), second as usize + 1, "{replayed}");
}
