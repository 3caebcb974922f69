//! What dumps may look like beyond those that servers made for `dumps.rs`: other versions, other tools, and what is wrong in
//! them. The statements are written by hand, as the databases' documentation and Traccar's schema describe them.

use odograph_movein::limits::{GROUP_DEPTH_MAX, ROW_BYTES_MAX};
use odograph_movein::{Error, Format, Found, Hint, read_from};
use std::fmt::Write as _;

fn read_as(format: Option<Format>, text: impl AsRef<[u8]>) -> Result<Found, Error> {
    read_from(text.as_ref(), "dump.sql", &Hint { format, ..Hint::default() })
}

fn mysql(text: impl AsRef<[u8]>) -> Found {
    read_as(Some(Format::MySql), text).expect("it is a dump")
}

fn postgresql(text: impl AsRef<[u8]>) -> Found {
    read_as(Some(Format::PostgreSql), text).expect("it is a dump")
}

fn h2(text: impl AsRef<[u8]>) -> Found {
    read_as(Some(Format::H2), text).expect("it is a dump")
}

/// Ids and names.
fn devices(found: &Found) -> Vec<(&str, &str)> {
    found.devices.iter().map(|device| (&*device.ids[0], device.name.as_deref().unwrap_or("-"))).collect()
}

fn problems(found: &Found) -> Vec<String> {
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn mysql_8_writes_bits_as_binary_texts() {
    let found = mysql(
        "/*!50503 SET NAMES utf8mb4 */;\n\
         CREATE TABLE `tc_devices` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `name` varchar(128) CHARACTER SET utf8mb4 \
         /*!80013 COLLATE utf8mb4_0900_ai_ci */ NOT NULL,\n  `uniqueid` varchar(128) NOT NULL,\n  `disabled` bit(1) DEFAULT \
         b'0' /*!80023 INVISIBLE */,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `uniqueid` (`uniqueid`)\n) ENGINE=InnoDB \
         /*!50100 PARTITION BY HASH (id) */;\n\
         INSERT INTO `tc_devices` VALUES (1,'a','1',_binary '\\0'),(2,'b','2',_binary '\u{1}'),(3,_utf8mb4'c','3',0x01),\
         (4,'d','4',b'1'),(5,'e','5',NULL),(6,'f','6',x'00');\n",
    );
    let disabled: Vec<_> = found.devices.iter().map(|device| device.disabled).collect();
    assert_eq!(disabled, [None, Some(true), Some(true), Some(true), None, None]);
    assert_eq!(devices(&found)[2], ("3", "c"));
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn other_tools_and_options_of_mysql_are_understood() {
    let found = mysql(
        "# phpMyAdmin\n-- phpMyAdmin SQL Dump\n--\nDELIMITER $$\nCREATE PROCEDURE `p` () BEGIN\nINSERT INTO tc_devices \
         (id, uniqueid) VALUES (9, 'wrong'); END$$\nDELIMITER ;\n\
         INSERT IGNORE INTO `traccar`.`tc_devices` (`uniqueid`, `id`, `unheard_of`) VALUES\n('1', 1, 5--3),\n('2', 2, NOW());\n\
         REPLACE  INTO tc_devices(id,uniqueid,name)VALUES(3,'3','it''s');\n\
         INSERT INTO tc_devices (id, uniqueid) SELECT 8, 'wrong';\n\
         insert into tc_devices (ID, UniqueId) values (4, '4') on duplicate key update id = 4;\n",
    );
    // The third is in no named database, and the first two are in `traccar`.
    assert_eq!(devices(&found), [("1", "-"), ("2", "-")]);
    assert_eq!(
        found.said[0],
        "there are tables of this kind in several places: those in traccar are taken, those in the first database are not"
    );
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn encodings_of_dumps_are_taken_at_their_word() {
    let insert = b"INSERT INTO tc_devices (id, uniqueid, name) VALUES (1, '1', 'K\xfchl \x80');\n";
    let name = |before: &[u8]| {
        let found = mysql([before, insert].concat());
        (found.devices[0].name.clone().unwrap_or_default(), problems(&found))
    };
    assert_eq!(name(b"SET NAMES latin1;\n"), ("Kühl €".to_owned(), Vec::new()));
    assert_eq!(name(b"/*!40101 SET NAMES cp1251 */;\n").0, "Kьhl Ђ");
    let damaged = "dump.sql:2: 1, name: some of it is no text in the dump's encoding: if letters are missing, say which it is \
                   in (they are replaced)";
    assert_eq!(name(b"SET NAMES utf8;\n"), ("K\u{fffd}hl \u{fffd}".to_owned(), vec![damaged.to_owned()]));
    let hint = Hint { format: Some(Format::MySql), encoding: Some("iso-8859-2".to_owned()), ..Hint::default() };
    let bytes = [b"SET NAMES utf8;\n".as_slice(), insert].concat();
    let found = read_from(bytes.as_slice(), "dump.sql", &hint).expect("it is a dump");
    assert_eq!(found.devices[0].name.as_deref(), Some("Kühl \u{80}"));
    let error = read_as(Some(Format::PostgreSql), "SET client_encoding = 'SJIS';\n").expect_err("it hides quotes");
    assert_eq!(
        error.to_string(),
        "the dump is in SJIS, in which texts cannot be told apart by their bytes: make it in UTF-8"
    );
    let found =
        mysql([b"SET NAMES klingon;\n".as_slice(), b"INSERT INTO tc_devices (id, uniqueid) VALUES (1, '1');"].concat());
    assert_eq!(found.said[0], "the dump says that it is in klingon, which is not known here: it is read as UTF-8");
    let wide: Vec<u8> =
        "\u{feff}-- MySQL dump\nINSERT INTO `tc_devices` (`id`, `uniqueid`, `name`) VALUES (1,'1','Kühl 🚛');\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    assert_eq!(devices(&read_as(None, wide).expect("it is a dump")), [("1", "Kühl 🚛")]);
}

#[test]
fn what_is_no_row_in_postgresql_is_passed_over() {
    let found = postgresql(
        "\\restrict abc\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $body$\nBEGIN\n  INSERT INTO tc_devices \
         (id, uniqueid) VALUES (9, 'wrong; $x$');\nEND\n$body$;\n\
         COPY public.\"tc_devices\" (\"id\", name, uniqueid) FROM stdin WITH (FORMAT text);\r\n1\t\\\\a\\tb\\x41\t1\r\n\\.\r\n\
         COPY public.tc_devices (id, uniqueid) TO stdout;\nCOPY tc_empty (id) FROM stdin;\n\\.\n\
         SET standard_conforming_strings = off;\n\
         INSERT INTO public.tc_devices (id, uniqueid, name) VALUES (2, '2', 'a\\nb''c'), (3, E'3', E'\\u00e9'), \
         (4, '4'::character varying, 'x' || 'y');\n\\unrestrict abc\n",
    );
    assert_eq!(devices(&found), [("1", "\\a\tbA"), ("2", "a\nb'c"), ("3", "é"), ("4", "-")]);
    assert_eq!(problems(&found), ["dump.sql:14: 4, name: an expression of several texts (the value is left out)"]);
    assert!(!found.said.iter().any(|said| said.contains("tc_empty")), "{:?}", found.said);
}

#[test]
fn several_databases_in_one_dump_are_told_apart() {
    let copy = |id: &str| format!("COPY public.tc_devices (id, uniqueid) FROM stdin;\n1\t{id}\n\\.\n");
    let found = postgresql(format!("\\connect north\n{}\\connect south\n{}", copy("n"), copy("s")));
    assert_eq!(devices(&found), [("n", "-")]);
    assert!(
        found.said[0].contains("those in north.public are taken, those in south.public are not"),
        "{:?}",
        found.said
    );
}

#[test]
fn what_h2_writes_in_other_words_is_understood() {
    let found = h2(
        "CREATE MEMORY TABLE PUBLIC.TC_DEVICES(ID INT, UNIQUEID VARCHAR(128), NAME VARCHAR(128), ATTRIBUTES VARCHAR, DISABLED \
         BOOLEAN);\nCREATE ALIAS F AS $$ String f() { return \"';\"; } $$;\n\
         INSERT INTO PUBLIC.TC_DEVICES VALUES(1, '1', CAST('a' AS CHAR), JSON '{\"a\":1}', TRUE);\n\
         INSERT INTO PUBLIC.TC_DEVICES VALUES(2, '2', UTF8TOSTRING(X'41'), NULL, FALSE), (3, '3', U&'\\zz', NULL, DEFAULT);\n\
         INSERT INTO PUBLIC.TC_DEVICES VALUES(4, '4', SYSTEM_COMBINE_CLOB(7), NULL, FALSE);\n",
    );
    assert_eq!(devices(&found), [("1", "a"), ("2", "-"), ("3", "-"), ("4", "-")]);
    assert!(found.devices[0].disabled == Some(true) && found.devices[0].attributes.contains_key("a"));
    assert_eq!(
        problems(&found),
        [
            "dump.sql:4: 2, name: the function UTF8TOSTRING, which is not known here (the value is left out)",
            "dump.sql:4: 3, name: an escape that means no character (the value is left out)",
            "dump.sql:5: 4, name: a long text that stands too far from its row (the value is left out)",
        ]
    );
}

#[test]
fn databases_of_version_3_have_other_names_and_fewer_columns() {
    let found = h2(
        "CREATE CACHED TABLE PUBLIC.DEVICES(ID INT, NAME VARCHAR(128), UNIQUEID VARCHAR(128), STATUS VARCHAR(128), LASTUPDATE \
         TIMESTAMP, POSITIONID INT);\nINSERT INTO PUBLIC.DEVICES(ID, NAME, UNIQUEID, STATUS, LASTUPDATE, POSITIONID) VALUES\n\
         (1, 'Truck', '1', NULL, NULL, NULL);\nINSERT INTO PUBLIC.POSITIONS(ID, PROTOCOL, DEVICEID) VALUES (5, 'gt06', 1), \
         (4, 'h02', 1);\n",
    );
    assert_eq!(devices(&found), [("1", "Truck")]);
    assert_eq!(found.devices[0].protocol.as_ref().map(ToString::to_string).as_deref(), Some("gt06"));
}

#[test]
fn a_table_of_another_program_is_none_of_ours() {
    let text = "INSERT INTO devices (id, serial) VALUES (1, 'x');\nINSERT INTO `users` (id) VALUES (1);\n";
    let error = read_as(Some(Format::MySql), text).expect_err("there are no devices");
    assert_eq!(
        error.to_string(),
        "the dump holds no devices: rows of tc_devices, with the columns id and uniqueid, were looked for, and there are those \
         of devices, users"
    );
    assert!(matches!(read_as(None, "INSERT INTO tc_devices (id) VALUES (1);\n"), Err(Error::Unclear)));
}

#[test]
fn a_row_that_does_not_fit_costs_itself_only() {
    let found = mysql(
        "CREATE TABLE tc_devices (id int, uniqueid varchar(128), name varchar(128), attributes varchar(4000), groupid int, \
         expirationtime timestamp, disabled bit(1));\n\
         INSERT INTO tc_devices VALUES (1,'1','a'),\n\
         (2,'2','b','{\"a\":}',9,'soon','maybe'),\n\
         (3,NULL,'c','{}',NULL,'0000-00-00 00:00:00',0),\n\
         (4,'4\\n','d','[1]',0,NULL,1),\n\
         (5,'a\\nb','e',NULL,NULL,NULL,0),\n\
         (6,'2','f',NULL,NULL,NULL,0),\n\
         7,'7');\n\
         INSERT INTO tc_devices VALUES (8,'8','h',NULL,NULL,NULL,0);\n",
    );
    assert_eq!(devices(&found), [("2", "b"), ("4", "d"), ("8", "h")]);
    assert_eq!(
        problems(&found),
        [
            "dump.sql:2: tc_devices: the row has 3 values, and 7 columns are named (the row is left out)",
            "dump.sql:8: tc_devices: a row in brackets was expected here (its rows are left out)",
            "dump.sql:3: 2, disabled: neither true nor false (the value is left out)",
            "dump.sql:3: 2, attributes: no object of JSON: expected value at line 1 column 6 (the value is left out)",
            "dump.sql:3: 2, groupid: there is no group 9 (the value is left out)",
            "dump.sql:3: 2, expirationtime: \"soon\" is no time (the value is left out)",
            "dump.sql:4: uniqueid: there is no id (the row is left out)",
            "dump.sql:5: 4, attributes: no object of JSON: invalid type: sequence, expected a map at line 1 column 0 (the \
             value is left out)",
            "dump.sql:6: uniqueid: the id holds characters that no device sends, such as the end of a line (the row is left \
             out)",
            "dump.sql:7: 2: the device on line 3 has this id already (the row is left out)",
        ]
    );
}

#[test]
fn rows_without_named_columns_are_not_guessed() {
    let found =
        mysql("INSERT INTO tc_devices VALUES (1,'1');\nINSERT INTO tc_devices (id, uniqueid) VALUES (2,'2');\n");
    assert_eq!(devices(&found), [("2", "-")]);
    assert_eq!(
        problems(&found),
        [
            "dump.sql:1: tc_devices: its columns are not named, neither here nor in a CREATE TABLE before: make the dump with \
          the tables' definitions, or with column names (--complete-insert, --column-inserts) (its rows are left out)"
        ]
    );
}

#[test]
fn a_value_may_be_as_long_as_a_row_and_no_longer() {
    let dump = |length: usize| {
        let long = "x".repeat(length);
        mysql(format!("INSERT INTO tc_devices (id, uniqueid, name) VALUES (1,'1','{long}'), (2,'2','b');\n"))
    };
    let found = dump(ROW_BYTES_MAX);
    assert_eq!(found.devices[0].name.as_ref().map(String::len), Some(ROW_BYTES_MAX));
    let found = dump(ROW_BYTES_MAX + 1);
    assert_eq!(devices(&found), [("1", "-"), ("2", "b")]);
    assert_eq!(problems(&found), ["dump.sql:1: 1, name: it is longer than 1024 KiB (the value is left out)"]);
    let long = "x".repeat(ROW_BYTES_MAX);
    let found = postgresql(format!("COPY tc_devices (id, uniqueid, name) FROM stdin;\n1\t1\t{long}\n2\t2\tb\n\\.\n"));
    assert_eq!(devices(&found), [("2", "b")]);
    assert_eq!(problems(&found), ["dump.sql:2: tc_devices: the row is longer than 1024 KiB (the row is left out)"]);
}

#[test]
fn groups_become_paths_whatever_they_lie_in() {
    let mut text = "CREATE TABLE tc_groups (id int, name varchar(128), groupid int);\nINSERT INTO tc_groups VALUES \
                    (1,'A',2),\n(2,'B',1),\n(3,'C',3),\n(4,'D',99),\n(5,'E / F',NULL),\n(6,'',5),\n(7,'E/F',0),\n(8,'A',2);\n"
        .to_owned();
    text.push_str("INSERT INTO tc_devices (id, uniqueid, groupid) VALUES (1,'1',1),(2,'2',6),(3,'3',0);\n");
    let found = mysql(&text);
    let paths: Vec<_> = found.groups.iter().map(|group| &*group.path).collect();
    assert_eq!(paths, ["B", "B / A", "A", "A / B", "C", "D", "E/F", "E/F / Group 6", "A / B / A"]);
    let groups: Vec<_> = found.devices.iter().map(|device| device.group.as_deref()).collect();
    assert_eq!(groups, [Some("B / A"), Some("E/F / Group 6"), None]);
    let circle = "the groups lie within each other in a circle, or too deep: it is taken without the outer ones (the value is \
                  left out)";
    assert_eq!(
        problems(&found),
        [
            format!("dump.sql:2: A, groupid: {circle}"),
            format!("dump.sql:3: B, groupid: {circle}"),
            format!("dump.sql:4: C, groupid: {circle}"),
            "dump.sql:5: D, groupid: there is no group 99 for it to lie in (the value is left out)".to_owned(),
            format!("dump.sql:9: A, groupid: {circle}"),
        ]
    );
    assert!(found.said.contains(&"1 group has the name and place of another one: they are one now".to_owned()));
}

#[test]
fn groups_lie_within_each_other_up_to_a_bound() {
    let dump = |depth: usize| {
        let mut text = "INSERT INTO tc_groups (id, name, groupid) VALUES (1,'g1',0)".to_owned();
        for number in 2..=depth {
            let _ = write!(text, ",({number},'g{number}',{})", number - 1);
        }
        mysql(text + ";\nINSERT INTO tc_devices (id, uniqueid) VALUES (1,'1');\n")
    };
    let found = dump(GROUP_DEPTH_MAX);
    assert_eq!((found.groups.len(), found.problems.len()), (GROUP_DEPTH_MAX, 0));
    assert_eq!(found.groups.last().map(|group| group.path.matches(" / ").count()), Some(GROUP_DEPTH_MAX - 1));
    assert_eq!(dump(GROUP_DEPTH_MAX + 1).problems.len(), 1);
}
