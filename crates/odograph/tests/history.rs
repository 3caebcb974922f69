//! History: what devices sent can be asked for in SQL, at once, once, and after any number of kills.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server, errors};
use serde_json::{Value, json};

/// A server whose records become files as soon as they come.
fn serve(place: &Place) -> Server {
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms").env("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms");
    Server::start(command)
}

fn ask(place: &Place, sql: &str) -> Vec<Value> {
    let text = place.text(&["sql", "--json", sql]);
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn what_was_acknowledged_is_asked_for_once_after_any_number_of_kills() {
    let place = Place::new();
    let counted = "SELECT device, count(*) AS records, count(DISTINCT id) AS ids FROM records GROUP BY device";
    for round in 0..4 {
        let server = serve(&place);
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("1"), "#AL#1");
        // Each round sends all of the round before once more, as a device does whose ACKs were lost.
        for second in (round * 10).max(10_u32) - 10..round * 10 + 10 {
            assert_eq!(device.position(second), "#ASD#1");
        }
        let expected = [json!({"device": "1", "records": round * 10 + 10, "ids": round * 10 + 10})];
        assert_eq!(ask(&place, counted), expected, "from the server, in round {round}");
        server.kill();
        assert_eq!(ask(&place, counted), expected, "from the folder, after round {round}");
    }
    let exported: Vec<Value> = place.records(&[]).iter().map(|record| record["time"].clone()).collect();
    let asked = ask(&place, "SELECT to_char(time, '%Y-%m-%dT%H:%M:%S.000Z') AS time FROM records ORDER BY time");
    assert_eq!(asked.iter().map(|row| row["time"].clone()).collect::<Vec<_>>(), exported);
}

#[test]
fn answers_come_as_a_table_as_lines_and_with_commas() {
    let place = Place::new();
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("352093081452251"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    let sql = "SELECT device, position_valid AS valid FROM last";
    assert_eq!(
        place.text(&["sql", sql]),
        "+-----------------+-------+\n\
         | device          | valid |\n\
         +-----------------+-------+\n\
         | 352093081452251 | true  |\n\
         +-----------------+-------+\n"
    );
    assert_eq!(place.text(&["sql", "--csv", sql]), "device,valid\n352093081452251,true\n");
    assert_eq!(place.text(&["sql", "--json", sql]), "{\"device\":\"352093081452251\",\"valid\":true}\n");
    // Lists and maps are one cell of CSV each; and what goes to Parquet is what was asked for.
    assert_eq!(device.say("#D#231126;120002;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;;NA;t:3:a"), "#AD#1");
    let nested = place.text(&["sql", "--csv", "SELECT raw, make_array(1, 2) AS list FROM records ORDER BY time"]);
    assert_eq!(nested, "raw,list\n,\"[1,2]\"\n\"{\"\"t\"\":\"\"a\"\"}\",\"[1,2]\"\n");
    assert_eq!(place.text(&["sql", "--csv", "SELECT device FROM records WHERE false"]), "device\n");
    let file = place.folder.path().join("answer.parquet");
    place.text(&[
        "sql",
        "--parquet",
        file.to_str().expect("UTF-8"),
        "SELECT device, count(*) AS n FROM records GROUP BY device",
    ]);
    let file = std::fs::File::open(file).expect("a file");
    let rows =
        odograph_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 10).expect("Parquet");
    let rows: Vec<_> = rows.map(|rows| rows.expect("rows")).collect();
    let expected = odograph_lake::arrow::util::pretty::pretty_format_batches(&rows).expect("a table").to_string();
    assert_eq!(expected, place.text(&["sql", "SELECT device, count(*) AS n FROM records GROUP BY device"]).trim_end());
    place.text(&["tenant", "create", "another"]);
    let empty = place.text(&["sql", "--json", "--tenant", "another", "SELECT * FROM records"]);
    assert_eq!(empty, "", "another tenant sees nothing of it");
}

#[test]
fn a_question_that_cannot_be_answered_says_why() {
    let place = Place::new();
    let nothing = place.run(&["sql", "SELECT 1"]);
    assert_eq!(nothing.status.code(), Some(66), "{}", errors(&nothing));
    let server = serve(&place);
    let only_read = "history can only be read: SELECT, WITH, EXPLAIN, DESCRIBE and SHOW are possible";
    for (sql, expected) in [
        ("SELECT speed FROM records", "No field named speed"),
        ("SELECT rpm FROM records", "No field named rpm. Did you mean engine_rpm"),
        ("DELETE FROM records", only_read),
        ("INSERT INTO records VALUES (1)", only_read),
        ("UPDATE records SET nosuch = 1", only_read),
        ("SELEC 1", "this is not SQL: Expected: an SQL statement, found: SELEC"),
    ] {
        let failed = place.run(&["sql", sql]);
        assert_eq!(failed.status.code(), Some(1), "{sql}");
        assert!(errors(&failed).contains(expected), "{sql}: {}", errors(&failed));
    }
    // Where the answer had begun, too.
    let many = place.run(&["sql", "--json", "SELECT value FROM generate_series(1, 2000000)"]);
    assert_eq!(many.status.code(), Some(1));
    let expected = "the answer has more than 1000000 rows: ask for fewer (WHERE, LIMIT), or use `odograph export`";
    assert!(errors(&many).contains(expected), "{}", errors(&many));
    server.kill();
}

#[test]
fn a_file_stays_as_it_was_until_the_answer_is_whole() {
    let place = Place::new();
    let mut server = Some(serve(&place));
    let file = place.folder.path().join("answer");
    let name = file.to_str().expect("UTF-8");
    let there = || {
        let all = std::fs::read_dir(place.folder.path()).expect("a folder").count();
        (std::fs::read_to_string(&file).expect("a file"), all)
    };
    let (nonsense, many) = ("SELECT tme FROM records", "SELECT value FROM generate_series(1, 2000000)");
    for _ in 0..2 {
        std::fs::write(&file, "before").expect("it is written");
        for (to, sql) in [("--parquet", nonsense), ("--output", nonsense), ("--parquet", many)] {
            let failed = place.run(&["sql", to, name, sql]);
            assert_eq!(failed.status.code(), Some(1), "{to} {sql}: {}", errors(&failed));
            assert_eq!(there(), ("before".to_owned(), 2), "{to} {sql}");
        }
        assert_eq!(place.text(&["sql", "--json", "--output", name, "SELECT 1 AS n"]), "");
        assert_eq!(there(), ("{\"n\":1}\n".to_owned(), 2), "the answer, the data folder, and nothing else");
        place.text(&["sql", "--parquet", "/dev/null", "SELECT 1 AS n"]);
        // And again without a server.
        if let Some(server) = server.take() {
            assert!(server.stop().success());
        }
    }
}

#[test]
fn a_stop_makes_files_of_all_that_waits() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    assert!(server.stop().success());
    let table = place.data().join("lake/default/records");
    let days = std::fs::read_dir(table).expect("the table is there");
    let days: Vec<String> = days.map(|day| day.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(days.iter().filter(|name| name.starts_with("day=")).count(), 1, "{days:?}");
}

#[test]
fn what_the_journal_gave_up_is_in_history_and_proven_by_what_was_signed() {
    let place = Place::new();
    // A segment ends with its server; its entries are in files by then.
    for round in 0..3 {
        let server = serve(&place);
        for id in ["1", "2"] {
            let mut device = Device::connect(server.listener("tcp"));
            assert_eq!(device.login(id), "#AL#1");
            for second in round * 10..round * 10 + 10 {
                assert_eq!(device.position(second), "#ASD#1");
            }
        }
        assert!(server.stop().success());
    }
    // A server that took its time has removed the first one already.
    let segments = place.segments();
    let server = serve(&place);
    server.removes(segments - 1);
    let frames = "SELECT device, kind, count(*) AS count FROM frames WHERE kind IN ('frame', 'sent') \
                  GROUP BY device, kind ORDER BY device, kind";
    let counted = |device: &str, kind: &str| json!({"device": device, "kind": kind, "count": 33});
    let expected = [counted("1", "frame"), counted("1", "sent"), counted("2", "frame"), counted("2", "sent")];
    assert_eq!(ask(&place, frames), expected, "every byte of both directions, and each once");
    assert!(server.stop().success());
    let verified = |status: i32| -> Value {
        let output = place.run(&["journal", "verify", "--history", "--json"]);
        assert_eq!(output.status.code(), Some(status), "{}", errors(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let sound = verified(0);
    assert_eq!(
        (&sound["removed"], &sound["provable"], &sound["sound"]),
        (&json!(2), &json!(2), &json!(true)),
        "{sound}"
    );
    assert_eq!(
        (&sound["history"]["wrong"], &sound["history"]["segments"]),
        (&json!([]), &sound["sealed"].as_u64().map(|sealed| json!(sealed + 2)).expect("a number")),
        "{sound}"
    );
    let table = place.data().join("lake/default/frames");
    std::fs::rename(&table, place.data().join("lake/default/elsewhere")).expect("the table is moved");
    let lost = verified(1);
    let wrong = lost["history"]["wrong"].as_array().expect("a list");
    let of = |device: &str| wrong.iter().filter(|one| one["device"] == device).count();
    assert!((of("1"), of("2")) >= (3, 3), "{lost}");
}

/// The files with rows of a table.
fn files_of(place: &Place, table: &str) -> Vec<std::path::PathBuf> {
    let table = place.data().join("lake/default").join(table);
    let mut files = Vec::new();
    for day in std::fs::read_dir(table).expect("the table is there").map(|day| day.expect("an entry").path()) {
        if day.file_name().is_some_and(|name| name.to_string_lossy().starts_with("day=")) {
            files.extend(std::fs::read_dir(day).expect("a day").map(|file| file.expect("a file").path()));
        }
    }
    files.sort();
    files
}

fn cut_short(file: &std::path::Path) {
    let file = std::fs::File::options().write(true).open(file).expect("a file");
    let bytes = file.metadata().expect("a length").len();
    file.set_len(bytes - 700).expect("it becomes shorter");
}

/// In its first page.
fn flip(file: &std::path::Path) {
    let mut bytes = std::fs::read(file).expect("a file");
    bytes[30] ^= 1;
    std::fs::write(file, bytes).expect("it is written");
}

#[test]
fn what_comes_late_for_a_day_with_a_damaged_file_is_kept_and_the_file_is_named() {
    let place = Place::new();
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(10), "#ASD#1");
    assert!(server.stop().success());
    let files = files_of(&place, "records");
    cut_short(&files[0]);
    let server = serve(&place);
    for id in ["1", "2"] {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login(id), "#AL#1");
        assert_eq!([device.position(20), device.position(5)], ["#ASD#1", "#ASD#1"]);
    }
    let line = server.log_line_or_start(|line| line["file"].is_string());
    let (file, message) = (line["file"].as_str().expect("a path"), line["message"].as_str().expect("a text"));
    assert!(files[0].ends_with(file) || files[0].display().to_string().ends_with(file), "{line}");
    assert!(message.contains("may be there twice. Put the file back") && !message.contains('\n'), "{line}");
    assert_eq!(ask(&place, "SELECT sum(records) AS n FROM devices"), [json!({"n": 5})], "none is lost");
    // What history counts is told after each of its turns, and so may be told after what it answers.
    server.metric_becomes("odograph_pipeline_unsure_records_total 1");
    server.metric_becomes("odograph_pipeline_stuck 0");
}

#[test]
fn what_is_damaged_is_named_to_whoever_runs_the_server_and_to_none_of_its_tenants() {
    let place = Place::new();
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(10), "#ASD#1");
    assert!(server.stop().success());
    let file = files_of(&place, "records").remove(0);
    cut_short(&file);
    let server = serve(&place);
    let made: Value =
        serde_json::from_str(&place.text(&["token", "create", "--json", "--role", "owner"])).expect("JSON");
    let api = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    let ask = |sql: &str| api.post("/api/v1/sql", &json!({"sql": sql}));
    let asked = ask("SELECT * FROM records");
    assert!(!asked.text().contains("lake") && !asked.text().contains("parquet"), "{}", asked.text());
    assert_eq!(asked.problem(500), "internal");
    let told = server.log_line(|line| line["message"].as_str().is_some_and(|text| text.contains("a request failed")));
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(told.to_string().contains(&name), "{told}");
    let told = errors(&place.run(&["sql", "SELECT * FROM records"]));
    assert!(told.contains(&name) && told.contains("is damaged: it ends at byte"), "{told}");
    // What is wrong with the query is for whoever asks, and what is not in that file is answered.
    let wrong = ask("SELECT rpm FROM records");
    assert!(wrong.text().contains("Did you mean engine_rpm"), "{}", wrong.text());
    assert_eq!(wrong.problem(422), "unprocessable");
    assert_eq!(ask("SELECT device FROM last").of(200), json!({"device": "1"}));
}

#[test]
fn a_flipped_bit_is_not_exported_and_whoever_looks_finds_it() {
    let place = Place::new();
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(10), "#ASD#1");
    assert!(server.stop().success());
    let verified = |options: &[&str], status: i32| {
        let output = place.run(&[&["journal", "verify", "--history"], options].concat());
        assert_eq!(output.status.code(), Some(status), "{}", errors(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let files: usize = ["records", "frames"].iter().map(|table| files_of(&place, table).len()).sum();
    let text = verified(&[], 0);
    assert!(text.contains(&format!("{files} files of history are as they were written, 0 are not\n")), "{text}");
    let file = files_of(&place, "records").remove(0);
    flip(&file);
    let why = "its checksum is not the one that it was written with";
    let text = verified(&[], 1);
    let named = |line: &str| {
        let (before, after) = line.split_once("history of \"default\", table records: ")?;
        let (found, said) = after.split_once(": ")?;
        (before.is_empty() && said == why && file.display().to_string().ends_with(found)).then_some(())
    };
    assert_eq!(text.lines().filter_map(named).count(), 1, "{text}");
    let found: Value = serde_json::from_str(&verified(&["--json"], 1)).expect("JSON");
    let damaged = &found["history_files"]["damaged"];
    assert_eq!(
        (&damaged[0]["tenant"], &damaged[0]["table"], &damaged[1]),
        (&json!("default"), &json!("records"), &json!(null))
    );
    let export = place.run(&["export", "records"]);
    assert!(!export.status.success() && export.stdout.is_empty(), "no wrong value");
    assert!(errors(&export).contains(&format!("is damaged: {why}")), "{}", errors(&export));
}

#[test]
fn files_that_are_not_merged_because_they_are_damaged_are_told_by_health() {
    let place = Place::new();
    let send = |second: u32| {
        let server = serve(&place);
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("1"), "#AL#1");
        assert_eq!(device.position(second), "#ASD#1");
        server
    };
    for second in 0..7 {
        assert!(send(second).stop().success());
    }
    let file = files_of(&place, "records").remove(3);
    flip(&file);
    // With the eighth file, they are to become one.
    let server = send(7);
    let line = server.log_line_or_start(|line| line["file"].is_string());
    assert!(line["message"].as_str().is_some_and(|text| text.contains("put it back from a backup")), "{line}");
    // Files are looked at as soon as history is open, and that may be before the server can be asked what it has.
    let asked = || {
        let (status, text) = server.get("/healthz");
        let health: Value = serde_json::from_str(&text).expect("JSON");
        (status, health, text)
    };
    let told = (0..600).map(|_| asked()).find(|(_, health, _)| {
        let told = !health["history_damaged"].is_null();
        if !told {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        told
    });
    let (status, health, text) = told.expect("health never told of it");
    assert_eq!((status, &health["history_damaged"]["files"]), (200, &json!(1)), "{text}");
    let path = file.display().to_string();
    assert!(!text.contains(&path[1..]) && health["see"].is_string(), "a path is not for everyone: {text}");
    let (_, full) = common::control(&place.data(), "/healthz");
    let full: Value = serde_json::from_str(&full).expect("JSON");
    assert_eq!((&full["history_damaged"]["first"][0]["file"], &full["see"]), (&json!(path), &Value::Null), "{full}");
    server.metric_becomes("odograph_lake_damaged_files 1");
}

/// Whoever may know whose it is reads it: by the control socket, and as somebody who manages tenants.
fn check_told(place: &Place, server: &Server) {
    let secret = |more: &[&str]| {
        let made = place.text(&[&["token", "create", "--json", "--role", "owner"], more].concat());
        serde_json::from_str::<Value>(&made).expect("JSON")["secret"].as_str().expect("a secret").to_owned()
    };
    let asked = |secret: &str, path: &str| Client::with_token(server.http(), secret).get(path).of(200);
    let (system, owner) = (secret(&["--system"]), secret(&[]));
    let (_, control) = common::control(&place.data(), "/readyz");
    let control: Value = serde_json::from_str(&control).expect("JSON");
    for full in [control, asked(&system, "/readyz")] {
        let broken = &full["history_broken"][0];
        assert_eq!((&broken["tenant"], &broken["table"]), (&json!("two"), &json!("records")), "{full}");
        assert!(broken["why"].as_str().is_some_and(|why| why.len() > "it cannot be opened".len()), "{full}");
    }
    assert_eq!(asked(&owner, "/readyz")["history_broken"][0]["tenant"], Value::Null, "an owner of another tenant");
    let troubles = asked(&system, "/api/v1/system")["installation"]["troubles"].clone();
    assert_eq!((&troubles[0]["part"], &troubles[0]["tenant"]), (&json!("records"), &json!("two")), "{troubles}");
    assert_eq!((&troubles[0]["code"], &troubles[1]), (&json!("table_broken"), &Value::Null), "{troubles}");
}

#[test]
fn a_tenants_damaged_log_costs_nobody_else_and_is_mended_by_putting_it_back() {
    let place = Place::new();
    let listener = |tenant: &str| {
        format!(
            "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"{tenant}\"\n"
        )
    };
    let file = listener("one") + &listener("two") + "[ingest]\ndefault_ports = false\n";
    let config = place.write("odograph.toml", &file);
    let serve = || place.serve_with(&["--config", config.to_str().expect("a path")]);
    let send = |server: &Server, second: u32| {
        let listening: Vec<&Value> = server.start.iter().filter(|line| line["message"] == "listening").collect();
        for line in listening {
            let address = line["address"].as_str().expect("an address").parse().expect("an address");
            let mut device = Device::connect(address);
            assert_eq!((device.login("1"), device.position(second)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
        }
    };
    let count = |tenant: &str| {
        let output = place.run(&["sql", "--json", "--tenant", tenant, "SELECT count(*) AS n FROM records"]);
        (String::from_utf8(output.stdout.clone()).expect("UTF-8").trim().to_owned(), errors(&output))
    };
    let counted = |n: u32| (format!("{{\"n\":{n}}}"), String::new());
    let server = serve();
    send(&server, 1);
    assert!(server.stop().success());
    let entry = place.data().join("lake/two/records/_delta_log/00000000000000000000.json");
    let kept = std::fs::read(&entry).expect("an entry");
    std::fs::write(&entry, b"{\"not\": ").expect("it is written");
    for second in 2..4 {
        let server = serve();
        send(&server, second);
        assert_eq!(count("one"), counted(second), "goes on");
        let (rows, why) = count("two");
        assert!(
            rows.is_empty() && why.contains("cannot be opened, and what came for it since waits in the journal"),
            "{why}"
        );
        let (status, text) = server.get("/readyz");
        let health: Value = serde_json::from_str(&text).expect("JSON");
        let broken = &health["history_broken"];
        let expected = json!([{"table": "records", "why": "it cannot be opened"}]);
        assert_eq!((status, broken, &health["history_stuck"]), (200, &expected, &Value::Null), "{text}");
        assert!(
            !text.contains("\"two\"") && !text.contains("_delta_log"),
            "whose it is, and where, is not for everyone: {text}"
        );
        server.metric_becomes("odograph_lake_broken_tables{table=\"records\"} 1");
        let (_, numbers) = server.get("/metrics");
        assert!(!numbers.contains("\"two\""), "{numbers}");
        check_told(&place, &server);
        assert!(server.stop().success());
    }
    std::fs::write(&entry, kept).expect("it is written");
    let server = serve();
    send(&server, 4);
    assert_eq!((count("one"), count("two")), (counted(4), counted(4)));
    assert_eq!(serde_json::from_str::<Value>(&server.get("/readyz").1).expect("JSON")["history_broken"], Value::Null);
    assert!(server.stop().success());
    assert_eq!((count("one"), count("two")), (counted(4), counted(4)), "each once");
}

#[test]
fn a_lake_that_is_gone_is_told_at_the_start_and_the_server_goes_on() {
    let place = Place::new();
    assert!(serve(&place).stop().success());
    let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with("history is lost"));
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(1), "#ASD#1");
    assert!(!server.start.iter().any(is_it), "where there was nothing yet, nothing is lost");
    assert!(server.stop().success());
    std::fs::remove_dir_all(place.data().join("lake")).expect("it is gone");
    let server = serve(&place);
    let line = server.start.iter().find(|line| is_it(line)).cloned();
    let line = line.unwrap_or_else(|| server.log_line(is_it));
    assert_eq!(line["level"], "ERROR", "{line}");
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(2), "#ASD#1");
    // What the journal still had is read again, and once.
    let counted = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM records";
    assert_eq!(ask(&place, counted), [json!({"n": 2, "ids": 2})]);
    let frames = "SELECT count(*) AS n FROM frames WHERE kind = 'frame'";
    assert_eq!(ask(&place, frames), [json!({"n": 4})]);
    assert!(server.stop().success());
    let server = serve(&place);
    assert!(!server.start.iter().any(is_it), "it is told once");
    assert_eq!(ask(&place, counted), [json!({"n": 2, "ids": 2})]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("it can be listed") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a kind").is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                std::fs::copy(entry.path(), to).expect("it is copied");
            }
        }
    }
}

/// Sends a position to a server, which then stops.
fn send_and_stop(place: &Place, second: u32) {
    let server = serve(place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(second), "#ASD#1");
    assert!(server.stop().success());
}

/// Puts a copy in the place of history.
fn put_back(place: &Place, from: &std::path::Path) {
    let lake = place.data().join("lake");
    std::fs::remove_dir_all(&lake).expect("it is gone");
    copy(from, &lake);
}

#[test]
fn an_older_copy_of_history_is_told_and_gets_what_the_journal_still_has() {
    let place = Place::new();
    let kept = place.folder.path().join("copy");
    send_and_stop(&place, 1);
    copy(&place.data().join("lake"), &kept);
    send_and_stop(&place, 2);
    put_back(&place, &kept);
    let is_it =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with("a table of history has less"));
    let server = serve(&place);
    let line = server.start.iter().find(|line| is_it(line)).cloned();
    let line = line.unwrap_or_else(|| server.log_line(is_it));
    assert_eq!((&line["level"], &line["tenant"]), (&json!("ERROR"), &json!("default")), "{line}");
    let counted = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM records";
    assert_eq!(ask(&place, counted), [json!({"n": 2, "ids": 2})]);
    let frames = "SELECT count(*) AS n FROM frames WHERE kind = 'frame'";
    assert_eq!(ask(&place, frames), [json!({"n": 4})]);
    let health: Value = serde_json::from_str(&server.get("/readyz").1).expect("JSON");
    assert_eq!(health["history_incomplete"], Value::Null, "{health}");
    assert!(server.stop().success());
    let server = serve(&place);
    assert!(!server.start.iter().any(is_it), "it is told once");
    assert_eq!(ask(&place, counted), [json!({"n": 2, "ids": 2})]);
    assert!(server.stop().success());
}

#[test]
fn what_an_older_copy_of_history_lacks_and_the_journal_has_no_more_is_told_by_its_places() {
    let place = Place::new();
    let kept = place.folder.path().join("copy");
    send_and_stop(&place, 1);
    copy(&place.data().join("lake"), &kept);
    // The newest segment stays: it has the third one.
    send_and_stop(&place, 2);
    send_and_stop(&place, 3);
    // A server that took its time has removed some already.
    let segments = place.segments();
    let server = serve(&place);
    server.removes(segments - 1);
    assert!(server.stop().success());
    put_back(&place, &kept);
    let counted = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM records";
    let alone = place.run(&["sql", counted]);
    assert!(
        !alone.status.success() && errors(&alone).contains("older copy"),
        "a command would be the only one to know"
    );
    let server = serve(&place);
    assert_eq!(ask(&place, counted), [json!({"n": 2, "ids": 2})], "the first one and the third");
    let (_, everyone) = server.get("/readyz");
    let (_, full) = common::control(&place.data(), "/readyz");
    let [everyone, full] = [everyone, full].map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    let kinds = |told: &Value| -> Vec<Value> {
        let tables = told["history_incomplete"].as_array().expect("a list");
        tables.iter().map(|one| one["table"].clone()).collect()
    };
    assert_eq!(
        (kinds(&everyone), kinds(&full)),
        (vec![json!("records"), json!("frames")], vec![json!("records"), json!("frames")])
    );
    assert_eq!(everyone["history_incomplete"][0]["tenant"], Value::Null, "{everyone}");
    let told = &full["history_incomplete"][0];
    assert_eq!(told["tenant"], "default", "{full}");
    let why = told["why"].as_str().expect("a sentence");
    let begin = "an older copy was put in its place, and what it had of the places ";
    assert!(why.starts_with(begin) && why.contains(" of the journal is not in the journal any more"), "{why}");
    assert!(server.stop().success());
}

#[test]
fn a_proof_goes_past_a_damaged_file_and_names_it() {
    let place = Place::new();
    for round in 0..3 {
        let server = serve(&place);
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("1"), "#AL#1");
        assert_eq!(device.position(round), "#ASD#1");
        assert!(server.stop().success());
    }
    let files = files_of(&place, "frames");
    cut_short(&files[0]);
    let output = place.run(&["journal", "verify", "--history"]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let name = files[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert!(text.lines().any(|line| line.contains(&name) && line.contains("history cannot be read there")), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.contains(" sealed segments, ")), "{text}");
}

#[test]
fn an_impossible_day_and_a_clock_of_2080_cost_nothing() {
    let place = Place::new();
    let server = serve(&place);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.say("#SD#010180;120000;5355.0926;N;02732.4096;E;1;2;300;7"), "#ASD#1");
    assert_eq!(device.say("#SD#310226;120000;5355.0926;N;02732.4096;E;1;2;300;7"), "#ASD#1");
    assert_eq!(device.position(1), "#ASD#1");
    let asked = "SELECT time_source, device_time, day = to_date(received) AS today FROM records \
                 ORDER BY time_source, device_time";
    // Of the day that is in no calendar, nothing is left but where the truck was.
    let wrong = json!({"time_source": "received", "device_time": "2080-01-01T12:00:00.000Z", "today": true});
    let none = json!({"time_source": "received", "today": true});
    let rows = ask(&place, asked);
    assert_eq!((rows.len(), &rows[0], &rows[1]), (3, &wrong, &none), "{rows:?}");
    let kept = ask(&place, "SELECT count(*) AS frames FROM frames WHERE device = '1' AND kind = 'frame'");
    assert_eq!(kept, [json!({"frames": 4})], "and every frame is kept as it came");
    server.kill();
}

#[test]
fn how_far_a_clock_may_be_off_can_be_set_and_what_was_there_before_is_still_known() {
    let place = Place::new();
    let year = "#SD#010125;120000;5355.0926;N;02732.4096;E;1;2;300;7";
    // More than the 400 days that hold where nothing else is said.
    for behind_max in ["3600 d", "400 d", "3600 d"] {
        let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
        command.env("ODOGRAPH_CLOCK__BEHIND_MAX", behind_max);
        let server = Server::start(command);
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("1"), "#AL#1");
        assert_eq!(device.say(year), "#ASD#1");
        let rows = ask(&place, "SELECT day FROM records");
        assert_eq!(rows, [json!({"day": "2025-01-01"})], "sent again under {behind_max}");
        // What is in files stays as it is.
        assert!(server.stop().success());
    }
    // The other way round: what is under the time of its receipt is not there once more under its own.
    for behind_max in ["400 d", "3600 d"] {
        let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
        command.env("ODOGRAPH_CLOCK__BEHIND_MAX", behind_max);
        let server = Server::start(command);
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!(device.login("2"), "#AL#1");
        assert_eq!(device.say(year), "#ASD#1");
        let rows = ask(&place, "SELECT time_source, device_time FROM records WHERE device = '2'");
        assert_eq!(
            rows,
            [json!({"time_source": "received", "device_time": "2025-01-01T12:00:00.000Z"})],
            "{behind_max}"
        );
        assert!(server.stop().success());
    }
}
