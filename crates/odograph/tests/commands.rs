//! `odograph config`, `journal` and `doctor` as whole processes.

mod common;

use common::{Device, Place, errors};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_configuration_is_checked_and_shown_with_where_it_came_from() {
    let place = Place::new();
    let path = place.write("odograph.toml", "[journal]\nsegment_age = \"2 h\"\n");
    let config = path.to_str().expect("UTF-8");
    assert_eq!(place.text(&["config", "check", "--config", config]), "the configuration is sound\n");
    let rows = json(&place.text(&["config", "show", "--json", "--config", config]));
    let row = |key: &str| rows.as_array().expect("rows").iter().find(|row| row["key"] == key).expect("the key").clone();
    let age = row("journal.segment_age");
    assert_eq!((&age["value"], &age["default"]), (&"2 h".into(), &"1 h".into()));
    assert_eq!(age["origin"], format!("{config}:2:1"));
    assert_eq!(row("http.listen")["origin"], "environment variable ODOGRAPH_HTTP__LISTEN");
    assert_eq!(row("log.level")["origin"], "default");
}

#[test]
fn a_wrong_configuration_ends_every_command_with_its_status() {
    let place = Place::new();
    let path = place.write("odograph.toml", "[htpp]\nlisten = 1\n");
    let config = path.to_str().expect("UTF-8");
    for command in [vec!["serve"], vec!["config", "check"], vec!["export", "records"]] {
        let output = place.run(&[&command[..], &["--config", config]].concat());
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        assert!(errors(&output).contains("odograph.toml:2:1: unknown key htpp.listen: did you mean http.listen?"));
    }
    let missing = place.run(&["config", "check", "--config", "nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(66));
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let place = Place::new();
    let mut command = place.command(&["config", "check"]);
    let output = command.env("ODOGRAPH_JOURNAL__NODES", "1").output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        errors(&output),
        "warning: environment variable ODOGRAPH_JOURNAL__NODES: unknown key journal.nodes: did you mean journal.node?\n"
    );
}

#[test]
fn the_journal_is_counted_dumped_and_verified_while_it_is_written_and_after() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    device.position(1);
    let look = || {
        let stat = json(&place.text(&["journal", "stat", "--json"]));
        let report = json(&place.text(&["journal", "verify", "--json"]));
        assert_eq!((&report["sound"], &report["entries"]), (&true.into(), &stat["entries"]));
        stat["entries"].as_u64().expect("a number")
    };
    // The opening, the login and the position, and an answer to each.
    assert_eq!(look(), 5);
    let dump = place.text(&["journal", "dump", "--json"]);
    let kinds: Vec<Value> = dump.lines().map(|line| json(line)["kind"].clone()).collect();
    assert_eq!(kinds, ["open", "frame", "sent", "frame", "sent"]);
    assert_eq!(place.text(&["journal", "dump", "--device", "1", "--limit", "2"]).lines().count(), 2);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(look(), 6, "and now the end of the connection");
}

#[test]
fn damage_in_the_journal_is_told_by_verify_and_by_export() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    for second in 0..10 {
        device.position(second);
    }
    assert_eq!(server.stop().code(), Some(0));
    let folder = place.data().join("journal/0");
    let files = std::fs::read_dir(&folder).expect("a folder");
    let segment =
        files.map(|file| file.expect("a file").path()).find(|path| path.extension() == Some("segment".as_ref()));
    let segment = segment.expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("the segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("the segment");
    let verify = place.run(&["journal", "verify"]);
    assert_eq!(verify.status.code(), Some(1));
    let told = String::from_utf8(verify.stdout).expect("UTF-8");
    assert!(told.contains("entry not as written: checksum mismatch"), "{told}");
    let export = place.run(&["export", "records"]);
    assert_eq!(export.status.code(), Some(1));
    assert!(errors(&export).contains("the journal is damaged in 1 places"), "{}", errors(&export));
    let records = String::from_utf8(export.stdout).expect("UTF-8").lines().count();
    assert_eq!(records, 10, "the server's end made files of them all");
}

#[test]
fn the_doctor_looks_at_everything_and_says_what_to_do() {
    let place = Place::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("an address").to_string();
    let mut command = place.command(&["doctor", "--json"]);
    command.env("ODOGRAPH_HTTP__LISTEN", &address).env("ODOGRAPH_INGEST__DEFAULT_PORTS", "false");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let findings = json(std::str::from_utf8(&output.stdout).expect("UTF-8"));
    let of = |check: &str| findings.as_array().expect("findings").iter().find(|finding| finding["check"] == check);
    for check in ["configuration", "open files", "data folder", "free space", "disk flush", "clock", "IPv6", "ports"] {
        assert!(of(check).is_some(), "{check}: {findings}");
    }
    let taken = of("HTTP port").expect("the port is taken");
    assert_eq!(taken["ok"], false);
    assert!(
        taken["found"].as_str().expect("a text").starts_with(&format!("{address}: process {}", std::process::id()))
    );
    assert_eq!(taken["do"], "end that process, or set http.listen");
    assert!(!place.data().exists(), "it changes nothing");
}

#[test]
fn the_doctor_tells_ports_of_the_server_from_those_that_somebody_else_has() {
    let place = Place::new();
    let server = place.serve();
    let (own, taken) = (server.listener("tcp"), std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    let taken = taken.local_addr().map(|address| (taken, address)).expect("an address");
    let http = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let http_address = http.local_addr().expect("an address");
    let listener =
        |address| format!("[[listener]]\nprotocol = \"wialon\"\ntransport = \"tcp\"\nlisten = \"{address}\"\n");
    let text = format!("[ingest]\ndefault_ports = false\n{}{}", listener(own), listener(taken.1));
    let path = place.write("odograph.toml", &text);
    let mut command = place.command(&["doctor", "--json", "--config", path.to_str().expect("UTF-8")]);
    let output = command.env("ODOGRAPH_HTTP__LISTEN", http_address.to_string()).output().expect("it runs");
    let findings = json(std::str::from_utf8(&output.stdout).expect("UTF-8"));
    let found = |check: &str| -> Vec<String> {
        let all = findings.as_array().expect("findings").iter().filter(|finding| finding["check"] == check);
        all.map(|finding| finding["found"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(found("server"), ["runs"]);
    let by = format!("process {}", std::process::id());
    let ports = found("port");
    assert!(ports.len() == 1 && ports[0].starts_with(&format!("{} (wialon, tcp): {by} ", taken.1)), "{findings}");
    let ports = found("HTTP port");
    assert!(ports.len() == 1 && ports[0].starts_with(&format!("{http_address}: {by} ")), "{findings}");
    assert_eq!(found("ports"), [""; 0], "nobody is told that all is well");
    server.kill();
}

#[test]
fn certificates_and_sockets_are_checked_before_a_server_needs_them() {
    let place = Place::new();
    let made = |name: &str| {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).expect("a certificate");
        place.write(&format!("{name}.cert"), &made.cert.pem());
        place.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    };
    made("one");
    made("other");
    let folder = place.folder.path().display().to_string();
    let check = |cert: &str, key: &str, environment: &[(&str, &str)]| {
        let text = format!(
            "[http]\ntls = {{ cert = \"{folder}/{cert}\", key = \"{folder}/{key}\" }}\n\
             [[listener]]\nprotocol = \"wialon\"\ntransport = \"tcp\"\nsocket = \"trackers\"\n\
             tls = {{ cert = \"{folder}/{cert}\", key = \"{folder}/{key}\" }}\n"
        );
        let path = place.write("odograph.toml", &text);
        let mut command = place.command(&["config", "check", "--config", path.to_str().expect("UTF-8")]);
        let output = command.envs(environment.iter().copied()).output().expect("it runs");
        (output.status.code(), errors(&output).replace(&folder, ""))
    };
    let (status, told) = check("one.cert", "one.key", &[]);
    let missing = "/odograph.toml:6:1: the socket \"trackers\" has to be handed over by the service manager \
                   (FileDescriptorName=trackers): without it, `odograph serve` does not start\n";
    assert_eq!((status, told), (Some(0), format!("warning: {missing}")));
    assert_eq!(check("one.cert", "one.key", &[("LISTEN_FDNAMES", "other:trackers")]), (Some(0), String::new()));
    let (status, told) = check("one.cert", "one.key", &[("LISTEN_FDNAMES", "other")]);
    assert_eq!((status, told), (Some(69), format!("error: {missing}")));
    let sockets = [("LISTEN_FDNAMES", "trackers")];
    let (status, told) = check("one.cert", "other.key", &sockets);
    assert_eq!(status, Some(78), "{told}");
    for line in
        ["/odograph.toml:7:9: tls: /one.cert and /other.key cannot be used", "/odograph.toml:2:9: http.tls: /one.cert"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    let (status, told) = check("nowhere", "one.key", &sockets);
    assert_eq!(status, Some(78), "{told}");
    assert!(told.contains("tls: cannot read /nowhere: No such file or directory"), "{told}");
}
