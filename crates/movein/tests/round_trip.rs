//! Fleets made at random come back out of what each database would write of them, and no bytes whatever break the reader.

use odograph_movein::{Error, Format, Found, Hint, read_from};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

/// What is known of a device here.
#[derive(Debug, Clone, PartialEq)]
struct Truck {
    name: Option<String>,
    attributes: Vec<(String, String)>,
    is_disabled: bool,
}

/// A text with all that has to be escaped somewhere, and no white space around it.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => any::<char>().prop_filter("no database takes it", |c| *c != '\0'),
        3 => prop::sample::select(vec!['\'', '"', '\\', '\n', '\r', '\t', ';', ',', '(', ')', '`', '$', '-', '/', '*', '.', '{', 'N']),
        3 => prop::char::range(' ', '~'),
    ];
    prop::collection::vec(letter, 0..12).prop_map(|letters| format!("x{}x", letters.into_iter().collect::<String>()))
}

fn trucks() -> impl Strategy<Value = Vec<Truck>> {
    let attributes = prop::collection::btree_map(text(), text(), 0..3);
    let truck = (prop::option::of(text()), attributes, any::<bool>());
    prop::collection::vec(truck, 1..8).prop_map(|trucks| {
        let truck = |(name, attributes, is_disabled): (_, std::collections::BTreeMap<String, String>, _)| Truck {
            name,
            attributes: attributes.into_iter().collect(),
            is_disabled,
        };
        trucks.into_iter().map(truck).collect()
    })
}

fn json(truck: &Truck) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        truck.attributes.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// The statements of one table in the words of a database, whose texts `quote` writes.
fn inserts(before: &str, trucks: &[Truck], quote: fn(&str) -> String, truth: [&str; 2]) -> String {
    let mut text = format!("{before}INSERT INTO tc_devices (id, uniqueid, name, attributes, disabled) VALUES ");
    for (number, truck) in trucks.iter().enumerate() {
        let name = truck.name.as_deref().map_or("NULL".to_owned(), quote);
        let comma = if number == 0 { "" } else { ",\n" };
        let truth = truth[usize::from(truck.is_disabled)];
        let _ = write!(text, "{comma}({number}, '{number}', {name}, {}, {truth})", quote(&json(truck)));
    }
    text + ";\n"
}

fn in_mysql(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            '\'' | '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out + "'"
}

fn in_standard_sql(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn in_h2(text: &str) -> String {
    if text.chars().all(|c| (' '..='~').contains(&c)) {
        return in_standard_sql(text);
    }
    let mut out = String::from("U&'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c if u32::from(c) < 0x10000 => {
                let _ = write!(out, "\\{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\+{:06x}", u32::from(c));
            }
        }
    }
    out + "'"
}

fn in_old_h2(text: &str) -> String {
    let mut out = String::from("STRINGDECODE('");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out + "')"
}

fn as_copy(trucks: &[Truck]) -> String {
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
        text.replace('\u{8}', "\\b").replace('\u{c}', "\\f").replace('\u{b}', "\\v")
    };
    let mut text = "COPY tc_devices (id, uniqueid, name, attributes, disabled) FROM stdin;\n".to_owned();
    for (number, truck) in trucks.iter().enumerate() {
        let name = truck.name.as_deref().map_or("\\N".to_owned(), escaped);
        let truth = if truck.is_disabled { "t" } else { "f" };
        let _ = writeln!(text, "{number}\t{number}\t{name}\t{}\t{truth}", escaped(&json(truck)));
    }
    text + "\\.\n"
}

fn as_table(trucks: &[Truck], delimiter: char, end: &str) -> String {
    let mut text = format!("imei{delimiter}name{delimiter}disabled{end}");
    for (number, truck) in trucks.iter().enumerate() {
        let name = truck.name.as_deref().unwrap_or_default().replace('"', "\"\"");
        let truth = if truck.is_disabled { "yes" } else { "no" };
        let _ = write!(text, "{number}{delimiter}\"{name}\"{delimiter}{truth}{end}");
    }
    text
}

fn read(format: Format, text: &str) -> Found {
    let hint = Hint { format: Some(format), ..Hint::default() };
    read_from(text.as_bytes(), "fleet", &hint).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn trucks_of(found: &Found) -> Vec<Truck> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("no text").to_owned();
    found
        .devices
        .iter()
        .map(|device| Truck {
            name: device.name.clone(),
            attributes: device.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            is_disabled: device.disabled.unwrap_or_default(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_a_database_would_write_gives_the_same_fleet(trucks in trucks()) {
        for (format, text) in [
            (Format::MySql, inserts("SET NAMES utf8mb4;\n", &trucks, in_mysql, ["_binary '\\0'", "_binary '\u{1}'"])),
            (Format::PostgreSql, inserts("", &trucks, in_standard_sql, ["false", "true"])),
            (Format::PostgreSql, as_copy(&trucks)),
            (Format::H2, inserts("-- H2\n;\n", &trucks, in_h2, ["FALSE", "TRUE"])),
            (Format::H2, inserts(";\n", &trucks, in_old_h2, ["FALSE", "TRUE"])),
        ] {
            let found = read(format, &text);
            prop_assert_eq!(trucks_of(&found), trucks.clone(), "{}", text);
            prop_assert!(found.problems.is_empty(), "{:?}", found.problems);
        }
    }

    #[test]
    fn what_a_spreadsheet_would_save_gives_the_same_fleet(
        trucks in trucks(),
        delimiter in prop::sample::select(vec![',', ';', '\t']),
        end in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let text = as_table(&trucks, delimiter, end);
        let found = read_from(text.as_bytes(), "fleet", &Hint::default()).expect("it is a table");
        let expected: Vec<_> = trucks.iter().map(|truck| Truck { attributes: Vec::new(), ..truck.clone() }).collect();
        prop_assert_eq!(trucks_of(&found), expected, "{}", text);
        prop_assert!(found.problems.is_empty(), "{:?}", found.problems);
        let mut line = 2;
        for (device, truck) in found.devices.iter().zip(&trucks) {
            prop_assert_eq!(device.place.line, line);
            line += 1 + lines_in(truck.name.as_deref().unwrap_or_default());
        }
    }

    #[test]
    fn what_comes_in_pieces_is_read_as_what_comes_at_once(
        trucks in trucks(),
        pieces in prop::collection::vec(1_usize..9, 1..20),
        is_wide in any::<bool>(),
    ) {
        let texts = [
            inserts("-- MySQL dump\n/*!40101 SET NAMES utf8mb4 */;\n", &trucks, in_mysql, ["0", "1"]),
            format!("-- PostgreSQL database dump\n{}", as_copy(&trucks)),
            inserts("-- H2 2\n", &trucks, in_h2, ["FALSE", "TRUE"]),
            as_table(&trucks, ';', "\r\n"),
        ];
        for text in texts {
            let wide = || format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            let bytes: Vec<u8> = if is_wide { wide() } else { text.clone().into_bytes() };
            let whole = read_from(&*bytes, "fleet", &Hint::default()).expect("it is read at once");
            let pieces = Pieces { bytes: &bytes, sizes: pieces.iter().cycle() };
            let pieced = read_from(pieces, "fleet", &Hint::default()).expect("it is read in pieces");
            prop_assert_eq!(whole, pieced);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400), sql in "[ -~\n]{0,200}") {
        for format in FORMATS {
            let hint = Hint { format, ..Hint::default() };
            let _ = read_from(&*bytes, "bytes", &hint);
            let rows = "INSERT INTO tc_devices (id, uniqueid, name) VALUES (1,'1','";
            let copied = "COPY tc_devices (id, uniqueid, name) FROM stdin;\n1\t1\t";
            for before in ["", "imei;name\n1;", rows, copied, "CREATE TABLE tc_devices (", "-- MySQL dump\n/*!"] {
                let _ = read_from(&*[before.as_bytes(), &bytes].concat(), "bytes", &hint);
                let _ = read_from(&*[before.as_bytes(), sql.as_bytes()].concat(), "bytes", &hint);
            }
        }
    }

    #[test]
    fn no_damage_to_a_dump_breaks_the_reader(
        dump in prop::sample::select(DUMPS.to_vec()),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..40), 1..6),
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(dump);
        let mut bytes = std::fs::read(path).expect("the dump is there");
        for (at, byte, gone) in damages {
            let at = at.index(bytes.len());
            let to = (at + gone).min(bytes.len());
            bytes.splice(at..to, [byte]);
        }
        match read_from(&*bytes, "dump", &Hint::default()) {
            Ok(found) => {
                let all: Vec<_> = found.devices.iter().flat_map(|device| &device.ids).collect();
                let different: std::collections::HashSet<_> = all.iter().collect();
                prop_assert_eq!(all.len(), different.len());
            }
            Err(Error::Io(error)) => prop_assert!(false, "{}", error),
            Err(_) => {}
        }
    }
}

/// As editors count them.
fn lines_in(text: &str) -> u64 {
    let lines = text.replace("\r\n", "\n").matches(['\n', '\r']).count();
    u64::try_from(lines).expect("a few")
}

/// Bytes that come in pieces of the given sizes.
struct Pieces<'a, I> {
    bytes: &'a [u8],
    sizes: I,
}

impl<'a, I: Iterator<Item = &'a usize>> Read for Pieces<'_, I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.sizes.next().copied().unwrap_or(1).min(into.len()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(most);
        into[..most].copy_from_slice(piece);
        self.bytes = rest;
        Ok(most)
    }
}

const FORMATS: [Option<Format>; 5] =
    [None, Some(Format::Csv), Some(Format::H2), Some(Format::PostgreSql), Some(Format::MySql)];

const DUMPS: &[&str] = &[
    "h2-1.4.197.sql",
    "h2-2.4.240.sql",
    "h2-2.4.240-clob.sql",
    "postgresql-15-copy.sql",
    "postgresql-15-inserts.sql",
    "mariadb-10.11.sql",
    "mariadb-10.11-bit.sql",
];
