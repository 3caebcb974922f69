//! Tables as people have them: every delimiter, encoding and spelling, and what is wrong with them said with its place.

use odograph_movein::limits::{COLUMNS_MAX, PROBLEMS_MAX, ROW_BYTES_MAX};
use odograph_movein::{Device, Error, Format, Found, Hint, Speaks, read_from};

fn read(bytes: &[u8]) -> Found {
    read_from(bytes, "fleet.csv", &Hint::default()).expect("it is a table")
}

fn error(bytes: &[u8]) -> Error {
    read_from(bytes, "fleet.csv", &Hint::default()).expect_err("it is none")
}

/// Everything about a device in one line, without what it does not have.
fn line(device: &Device) -> String {
    let mut parts = vec![device.ids.join("+")];
    let texts = [
        ("name", &device.name),
        ("plate", &device.plate),
        ("zone", &device.time_zone),
        ("group", &device.group),
        ("model", &device.model),
        ("phone", &device.phone),
        ("contact", &device.contact),
        ("category", &device.category),
        ("notes", &device.notes),
    ];
    parts.extend(texts.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}={text}"))));
    match &device.protocol {
        Some(Speaks::Ours(name)) => parts.push(format!("speaks={name}")),
        Some(Speaks::Foreign(name)) => parts.push(format!("foreign={name}")),
        None => {}
    }
    if !device.tags.is_empty() {
        parts.push(format!("tags={}", device.tags.join("+")));
    }
    parts.extend(device.attributes.iter().map(|(name, value)| format!("{name}:{value}")));
    parts.extend(device.disabled.map(|is_so| if is_so { "disabled" } else { "enabled" }.to_owned()));
    parts.extend(device.expires_at.map(|time| format!("until={time}")));
    parts.push(format!("@{}", device.place));
    parts.join("|")
}

fn lines(found: &Found) -> Vec<String> {
    found.devices.iter().map(line).collect()
}

fn problems(found: &Found) -> Vec<String> {
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_that_a_table_can_say_is_taken() {
    let found = read(
        b"IMEI,Serial,Name,Licence plate,Time zone,Group,Protocol,Model,Phone,Contact,Category,Notes,Tags,attribute.colour,Depth,Disabled,Expiration\r\n\
          352093081452251,S-1,\"Truck \"\"7\"\"\",KLM 123,Europe/Vilnius,North / Reefers,Teltonika,FMB920,+370600,Jo,truck,\"two\r\nlines\",\"cold, night; cold\",red,3,yes,2027-03-31\r\n\
          \r\n\
          861234567890127,,,,,,meitrack,,,,,,,,,no,\r\n",
    );
    assert_eq!(found.format, Format::Csv);
    assert_eq!(
        lines(&found),
        [
            "352093081452251+S-1|name=Truck \"7\"|plate=KLM 123|zone=Europe/Vilnius|group=North / Reefers|model=FMB920|phone=+370600|contact=Jo\
             |category=truck|notes=two\r\nlines|speaks=teltonika|tags=cold+night|Depth:\"3\"|colour:\"red\"|disabled\
             |until=2027-04-01T00:00:00Z|@fleet.csv:2",
            "861234567890127|foreign=meitrack|enabled|@fleet.csv:5",
        ]
    );
    let groups: Vec<_> =
        found.groups.iter().map(|group| (&*group.path, &*group.name, group.parent.as_deref())).collect();
    assert_eq!(groups, [("North", "North", None), ("North / Reefers", "Reefers", Some("North"))]);
    assert_eq!(problems(&found), [""; 0]);
    assert_eq!(
        found.said,
        [
            "CSV with `,` between columns, 2 rows, text in ASCII",
            "columns: ids from \"IMEI\", \"Serial\", plate from \"Licence plate\", name from \"Name\", group from \"Group\", \
             time zone from \"Time zone\", protocol from \"Protocol\", model from \"Model\", phone from \"Phone\", contact from \"Contact\", category from \
             \"Category\", notes from \"Notes\", tags from \"Tags\", disabled from \"Disabled\", expiration from \"Expiration\"",
            "2 further columns become attributes of each device: \"attribute.colour\", \"Depth\"",
            "1 device with the protocol meitrack: this version knows no protocol of that name, so what they send is kept and \
             not understood",
        ]
    );
}

#[test]
fn the_delimiter_is_found_out() {
    for (delimiter, word) in [(",", "`,`"), (";", "`;`"), ("\t", "a tab")] {
        let text = format!("name{delimiter}imei\n\"a,b;c\td\"{delimiter}1\n");
        let found = read(text.as_bytes());
        assert_eq!(lines(&found), ["1|name=a,b;c\td|@fleet.csv:2"]);
        assert!(found.said[0].contains(word), "{:?}", found.said);
    }
    assert_eq!(lines(&read(b"sep=;\nimei;name,first\n1;x,y\n")), ["1|name,first:\"x,y\"|@fleet.csv:3"]);
    assert_eq!(lines(&read(b"sep=\t\r\nimei\tname\r\n1\tx\r\n")), ["1|name=x|@fleet.csv:3"]);
    // A name may be full of the other delimiters.
    assert_eq!(lines(&read(b"imei;name;plate\n1;a,b,c,d;x\n")), ["1|name=a,b,c,d|plate=x|@fleet.csv:2"]);
    assert_eq!(lines(&read(b"imei\n1\n2\n")), ["1|@fleet.csv:2", "2|@fleet.csv:3"]);
    let hint = Hint { delimiter: Some(b'|'), ..Hint::default() };
    let found = read_from(&b"imei|name\n1|x\n"[..], "fleet.csv", &hint).expect("it is a table");
    assert_eq!(lines(&found), ["1|name=x|@fleet.csv:2"]);
}

#[test]
fn the_encoding_is_found_out_and_said() {
    let check = |bytes: &[u8], name: &str, said: &str| {
        let found = read(bytes);
        assert_eq!(found.devices[0].name.as_deref(), Some(name), "{bytes:?}");
        assert!(found.said[0].ends_with(said), "{:?}", found.said);
    };
    let not_utf8 = "text in windows-1252, because it is not UTF-8: if names look wrong, say what it is in";
    check("imei,name\n1,Kühler\n".as_bytes(), "Kühler", "text in UTF-8");
    check("\u{feff}imei,name\n1,Kühler\n".as_bytes(), "Kühler", "text in UTF-8");
    check("\u{feff}imei,name\n1,a\n".as_bytes(), "a", "text in ASCII");
    check(b"imei,name\n1,K\xfchler \x80\n", "Kühler €", not_utf8);
    let mut late = b"imei,name\n1,".to_vec();
    late.extend(vec![b'x'; 300_000]);
    late.extend(b"\n2,K\xfchler\n");
    let found = read(&late);
    assert_eq!(found.devices[1].name.as_deref(), Some("Kühler"));
    assert!(found.said[0].ends_with(not_utf8), "{:?}", found.said);
    let wide: Vec<u8> = "\u{feff}imei\tname\n1\tKühler 🚛\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&wide, "Kühler 🚛", "text in UTF-16LE");
    let unmarked: Vec<u8> = "imei\tname\n1\tKühler 🚛\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    check(&unmarked, "Kühler 🚛", "text in UTF-16BE");
    let hint = Hint { encoding: Some("windows-1251".to_owned()), ..Hint::default() };
    let found = read_from(&b"imei,name\n1,\xcb\xe5\xe4\n"[..], "fleet.csv", &hint).expect("it is a table");
    assert_eq!(found.devices[0].name.as_deref(), Some("Лед"));
    assert!(found.said[0].ends_with("text in windows-1251"), "{:?}", found.said);
}

#[test]
fn a_value_in_another_encoding_is_said() {
    let found = read("imei,name\n1,Kühler\n2,Zürich\n3,Ž\n".as_bytes());
    assert_eq!(found.said.len(), 2);
    let found = read(b"imei,name\n1,K\xc3\xbchler\n2,Z\xc3\xbcrich\n3,K\xfchl\n");
    assert_eq!(found.devices[2].name.as_deref(), Some("Kühl"));
    assert_eq!(
        found.said.last().map(String::as_str),
        Some("1 value is in another encoding than the rest, the first at fleet.csv:4:2: look at how they came out")
    );
}

#[test]
fn what_is_wrong_with_a_row_is_said_with_its_place() {
    let found = read(
        b"name,imei,disabled,expires,plate\n\
          a,,,,\n\
          b,3.52094E+14,,,\n\
          c,1,perhaps,,\n\
          d,2,,31/03/2027,\n\
          e,1,,,\n\
          f,3,,,KLM,123\n\
          ,,,,\n\
          \n\
          g,4\n\
          h,5,,,,,,\n",
    );
    assert_eq!(
        lines(&found),
        ["1|name=c|@fleet.csv:4", "2|name=d|@fleet.csv:5", "4|name=g|@fleet.csv:10", "5|name=h|@fleet.csv:11"]
    );
    assert_eq!(
        problems(&found),
        [
            "fleet.csv:2:2: imei: there is no id (the row is left out)",
            "fleet.csv:3:2: imei: a spreadsheet has shortened the id to 3.52094E+14 and lost its last digits: give the column \
             the format \"text\", enter the ids again and export once more (the row is left out)",
            "fleet.csv:4:3: 1, disabled: \"perhaps\" is neither yes nor no (the value is left out)",
            "fleet.csv:5:4: 2, expires: \"31/03/2027\" is no time such as 2027-03-31 or 2027-03-31T12:30:00Z (the value is \
             left out)",
            "fleet.csv:6: 1: the device on line 4 has this id already (the row is left out)",
            "fleet.csv:7: 3: 6 values and the header has 5: a value with a delimiter in it needs quotes around it (the row is \
             left out)",
        ]
    );
    assert_eq!(
        found.said.last().map(String::as_str),
        Some("1 row has fewer values than the header, the first on line 10: the rest is empty")
    );
}

#[test]
fn ids_that_were_written_otherwise_are_said() {
    let found = read(b"imei\n'352093081452251\n35-209308-145225-2\n");
    assert_eq!(lines(&found), ["352093081452251|@fleet.csv:2", "352093081452252|@fleet.csv:3"]);
    assert_eq!(
        found.said[2..],
        [
            "2 ids are taken without marks, spaces or `.0`, the first on line 2",
            "1 device has an id of 15 digits of which the last is not the check digit of an IMEI, the first at fleet.csv:3 \
             (352093081452252): mistyped, or another kind of number?",
        ]
    );
}

#[test]
fn lines_above_the_header_and_empty_ones_do_not_count() {
    let found = read(b"Fleet of March;;\r\n;;\r\n\r\nimei;name;;\r\n\r\n1;x;;\r\n;;\r\n");
    assert_eq!(lines(&found), ["1|name=x|@fleet.csv:6"]);
    assert!(
        found.said.contains(&"what stands above the header is left out: lines 1 to 1".to_owned()),
        "{:?}",
        found.said
    );
}

#[test]
fn what_is_no_table_of_devices_is_refused_with_what_to_do() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(error(bytes).to_string(), expected);
    check(
        b"PK\x03\x04....",
        "the file is a workbook of a spreadsheet, or a ZIP archive: save the sheet as CSV, or unpack the archive",
    );
    check(b"\x1f\x8b\x08\0", "the file is compressed: unpack it with gunzip");
    check(b"\x00\x01\x02imei", "the file is not text: it holds zero bytes: export it as CSV or SQL");
    let no_ids = "no column for ids is named in the first lines: a header such as `imei,name,plate,group` is needed. The \
                  file begins with ";
    check(b"", &format!("{no_ids}\"\""));
    check(b"352093081452251,Truck\n", &format!("{no_ids}\"352093081452251,Truck\""));
    let hint = Hint { encoding: Some("klingon".to_owned()), ..Hint::default() };
    let found = read_from(&b"imei\n1\n"[..], "fleet.csv", &hint).expect_err("there is no such encoding");
    assert!(found.to_string().starts_with("no encoding has the name \"klingon\""));
}

#[test]
fn a_quotation_mark_that_is_never_closed_costs_what_is_behind_it_and_no_memory() {
    let mut bytes = b"imei,name\n1,a\n2,\"b\n".to_vec();
    bytes.extend(b"3,c\n".repeat(ROW_BYTES_MAX / 2));
    let found = read(&bytes);
    assert_eq!(lines(&found), ["1|name=a|@fleet.csv:2"]);
    assert_eq!(
        problems(&found),
        [
            "fleet.csv:3: a row begins here and has not ended after 1024 KiB: is a quotation mark missing? (nothing behind it \
          was read)"
        ]
    );
}

#[test]
fn problems_are_listed_up_to_their_bound_and_counted_beyond() {
    let mut text = "imei,name\n".to_owned();
    text.push_str(&",x\n".repeat(PROBLEMS_MAX + 7));
    let found = read(text.as_bytes());
    assert_eq!((found.problems.len(), found.problems_more), (PROBLEMS_MAX, 7));
}

#[test]
fn a_header_has_columns_up_to_their_bound() {
    let table = |columns: usize| format!("imei{}\n1\n", ",x".repeat(columns - 1));
    assert_eq!(read(table(COLUMNS_MAX).as_bytes()).devices.len(), 1);
    assert!(matches!(error(table(COLUMNS_MAX + 1).as_bytes()), Error::NoIds { .. }));
}
