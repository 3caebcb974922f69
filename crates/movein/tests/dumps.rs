//! Dumps that real servers made of one fleet: `data/README.md` says how. All of them give the same.

use odograph_movein::{Attributes, Error, Format, Found, Hint, Lost, Speaks, read, read_from};
use serde_json::json;
use std::path::Path;

fn dump(name: &str) -> Found {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name), &Hint::default()).expect(name)
}

/// A device in words, without its place.
fn lines(found: &Found) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    found
        .devices
        .iter()
        .map(|device| {
            let speaks = device.protocol.as_ref().map_or("-".to_owned(), ToString::to_string);
            let until = device.expires_at.map_or("-".to_owned(), |time| time.to_string());
            [
                device.ids.join("+"),
                text(&device.name),
                text(&device.plate),
                text(&device.group),
                speaks,
                text(&device.model),
                text(&device.phone),
                text(&device.contact),
                text(&device.category),
                device.disabled.unwrap_or_default().to_string(),
                until,
                serde_json::to_string(&device.attributes).expect("it is JSON"),
            ]
            .join("|")
        })
        .collect()
}

fn check(name: &str, format: Format) {
    let found = dump(name);
    assert_eq!(found.format, format, "{name}");
    assert_eq!(
        lines(&found),
        [
            "352093081452251|Truck 7|-|Nord / Kühlzüge|teltonika|FMB920|+37060000001|Jonas <jonas@example.org>|truck|false|\
             2027-03-31T12:30:00Z|{\"decoder.timezone\":\"Europe/Vilnius\",\"speedLimit\":48.6,\"vin\":\"W0L000051T2123456\"}",
            "861234567890120|Müller's \"Kühler\" \\ No. 2|M-KÜ 2|O'Brien \"Süd\"|meitrack|GT06N|-|-|-|false|-|\
             {\"nested\":{\"a\":[1,2,null]},\"note\":\"he said \\\"don't\\\" \\\\o/\"}",
            "0123456789|two\nlines\tand a tab|-|-|-|-|-|line one\n-- not a comment; DROP TABLE x;\n\\. INSERT INTO tc_devices \
             VALUES (9, 'x');|-|true|-|{}",
            "AB-12/x|🚛 Žalias — 冷|-|Nord|-|-|-|-|van|false|-|{\"emoji\":\"❄️\",\"quote\":\"'\"}",
        ],
        "{name}"
    );
    assert_eq!(found.devices[1].protocol, Some(Speaks::Foreign("meitrack".to_owned())), "{name}");
    let groups: Vec<_> =
        found.groups.iter().map(|group| (&*group.path, group.parent.as_deref(), &group.attributes)).collect();
    let limit = Attributes::from([("speedLimit".to_owned(), json!(48.6))]);
    let none = Attributes::new();
    assert_eq!(
        groups,
        [("Nord", None, &limit), ("Nord / Kühlzüge", Some("Nord"), &none), ("O'Brien \"Süd\"", None, &none)],
        "{name}"
    );
    let drivers: Vec<_> = found
        .drivers
        .iter()
        .map(|driver| (&*driver.id, driver.name.as_deref(), driver.devices.join("+"), driver.groups.join("+")))
        .collect();
    assert_eq!(
        drivers,
        [
            ("0A1B2C3D", Some("Ona O'Šea"), "352093081452251".to_owned(), String::new()),
            ("7", Some("Pat"), String::new(), "O'Brien \"Süd\"".to_owned()),
        ],
        "{name}"
    );
    assert_eq!(found.drivers[0].attributes, Attributes::from([("shift".to_owned(), json!("night"))]), "{name}");
    assert_eq!((&found.problems, found.problems_more), (&Vec::new(), 0), "{name}");
    assert_eq!(found.said.last().map(|said| said.starts_with("1 device has an id of 15 digits")), Some(true), "{name}");
    assert!(
        found.said.contains(&"not taken over: tc_calendars, tc_positions, tc_users".to_owned()),
        "{:?}",
        found.said
    );
    let is_utc = !found.said.iter().any(|said| said.contains("no time zone"));
    assert_eq!(is_utc, format == Format::MySql, "{name}: {:?}", found.said);
}

#[test]
fn what_h2_writes_is_read() {
    check("h2-1.4.197.sql", Format::H2);
    check("h2-2.4.240.sql", Format::H2);
}

#[test]
fn what_pg_dump_writes_is_read() {
    check("postgresql-15-copy.sql", Format::PostgreSql);
    check("postgresql-15-inserts.sql", Format::PostgreSql);
}

#[test]
fn what_mariadb_dump_writes_is_read() {
    check("mariadb-10.11.sql", Format::MySql);
    check("mariadb-10.11-bit.sql", Format::MySql);
    check("mariadb-10.11-complete.sql", Format::MySql);
}

#[test]
fn lines_are_those_of_the_file() {
    let places = |name: &str| dump(name).devices.iter().map(|device| device.place.line).collect::<Vec<_>>();
    assert_eq!(places("h2-1.4.197.sql"), [53, 54, 55, 56]);
    assert_eq!(places("postgresql-15-copy.sql"), [257, 258, 259, 260]);
    assert_eq!(places("postgresql-15-inserts.sql"), [255, 256, 257, 262]);
    assert_eq!(places("mariadb-10.11.sql"), [111, 112, 113, 114]);
}

#[test]
fn long_texts_of_h2_are_put_together() {
    let found = dump("h2-2.4.240-clob.sql");
    let key = found.devices[0].attributes.get("k").and_then(|value| value.as_str()).expect("it is a text");
    assert_eq!((key.chars().count(), key.chars().next()), (5001, Some('é')));
    assert_eq!(found.devices[1].attributes.get("k"), Some(&json!("short é")));
    assert_eq!(found.devices[0].expires_at.map(|time| time.to_string()).as_deref(), Some("2026-01-01T08:00:00Z"));
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn a_dump_that_was_cut_off_gives_what_it_has_and_says_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for (name, from) in [("h2-2.4.240.sql", 2500), ("postgresql-15-copy.sql", 6000), ("mariadb-10.11.sql", 4000)] {
        let whole = std::fs::read(folder.join(name)).expect(name);
        let mut cut_short = 0_usize;
        for length in (from..whole.len()).step_by(13) {
            match read_from(&whole[..length], name, &Hint::default()) {
                Ok(found) => cut_short += found.problems.iter().filter(|problem| problem.lost == Lost::Rest).count(),
                Err(Error::NoDevices { .. }) => {}
                Err(error) => panic!("{name} up to {length}: {error}"),
            }
        }
        assert!(cut_short > 80, "{name}: {cut_short}");
    }
}
