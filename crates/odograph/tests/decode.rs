//! `odograph decode`, `encode`, `protocols` and `completions`, as whole processes.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A login and a fix of Wialon IPS 1.1, without their line ends.
const WIALON: [&str; 2] = ["#L#352093081452251;NA", "#SD#270613;205429;5544.6025;N;03739.6834;E;1;2;3;4"];

fn odograph(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_odograph"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the input is taken");
    child.wait_with_output().expect("the process ends")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether the protocols of a test are there.
fn has(names: &[&str]) -> bool {
    let all = names.iter().all(|name| odograph_protocols::find(name).is_some());
    if !all {
        println!("not looked at: {names:?} are not all there");
    }
    all
}

#[test]
fn text_lines_give_one_line_each_and_remember_the_login() {
    if !has(&["wialon"]) {
        return;
    }
    let input = format!("{}\\r\\n\n{}\n", WIALON[0], WIALON[1]);
    let arguments = ["decode", "--protocol", "wialon", "--stdin", "--text", "--received", "2026-01-02T03:04:05Z"];
    let output = odograph(&arguments, &input);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["line"], 1);
    assert_eq!(lines[0]["replies"], serde_json::json!(["23414c23310d0a"]));
    assert_eq!(lines[1]["identity"], "352093081452251");
    assert_eq!(lines[1]["error"], Value::Null);
    let record = &lines[1]["records"][0];
    assert_eq!(record["device"], "352093081452251");
    assert_eq!(record["protocol"], "wialon");
    assert_eq!(record["time"], "2013-06-27T20:54:29.000Z");
}

#[test]
fn arguments_give_one_record_a_line() {
    if !has(&["wialon"]) {
        return;
    }
    let hex: Vec<String> = WIALON.iter().map(|text| odograph_wire::notation::to_hex(text.as_bytes())).collect();
    let output = odograph(&["decode", "--protocol", "wialon", "--device", "7", &hex[1]], "");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output)[0]["device"], "7");
    let output = odograph(&["decode", "--protocol", "wialon", "--device", "7", &hex[0], &hex[1]], "");
    assert_eq!(lines(&output)[0]["device"], "352093081452251", "a login says more than the option");
}

#[test]
fn several_frames_in_one_message_are_all_decoded() {
    if !has(&["wialon"]) {
        return;
    }
    let both = format!("{}\\r\\n{}\\r\\n", WIALON[0], WIALON[1]);
    let output = odograph(&["decode", "--protocol", "wialon", "--text", "--trace", &both], "");
    let line = &lines(&output)[0];
    assert_eq!(line["replies"].as_array().map(Vec::len), Some(2));
    assert_eq!(line["records"].as_array().map(Vec::len), Some(1));
    let fields = line["fields"].as_array().expect("fields");
    let begin = u64::try_from(WIALON[0].len() + 2).expect("a small number");
    assert!(
        fields.iter().any(|field| field["at"].as_u64() > Some(begin)),
        "offsets count from the message: {fields:?}"
    );
    assert!(fields.iter().all(|field| field["name"].is_string() && field["length"].is_u64()));
}

#[test]
fn malformed_messages_are_said_with_their_place_and_end_with_status_2() {
    if !has(&["gt06"]) {
        return;
    }
    let output = odograph(&["decode", "--protocol", "gt06", "--stdin"], "7878 0d 01\nxyz\n\n");
    assert_eq!(output.status.code(), Some(2));
    let lines = lines(&output);
    let reason = |line: usize| lines[line]["error"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason(0).starts_with("truncated: need "), "{}", lines[0]);
    assert_eq!(lines[0]["records"], serde_json::json!([]));
    assert_eq!((lines[1]["error"]["at"].as_u64(), reason(1).as_str()), (Some(0), "expected a hex digit"));
    assert_eq!(lines[2]["error"], Value::Null, "an empty line is a line");
    let output = odograph(&["decode", "--protocol", "gt06", "78780d01"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("error: message 1: ") && output.stdout.is_empty());
}

#[test]
fn a_protocol_is_found_by_what_is_sent() {
    if !has(&["gt06", "teltonika", "wialon"]) {
        return;
    }
    let output = odograph(&["decode", "--text", WIALON[0], WIALON[1]], "");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output)[0]["protocol"], "wialon");
    let output = odograph(&["decode", "--stdin"], "00\n");
    assert_eq!(output.status.code(), Some(2));
    let reason = lines(&output)[0]["error"]["reason"].to_string();
    assert!(reason.contains("--protocol"), "{reason}");
}

#[test]
fn bad_usage_ends_with_status_64_and_says_what_to_do() {
    if !has(&["gt06"]) {
        return;
    }
    for (arguments, words) in [
        (&["decode"][..], "give messages as hex digits, or --stdin"),
        (&["decode", "--protocol", "gt60", "00"], "gt06"),
        (&["decode", "--protocol", "gt06", "0x"], "message 1: expected a hex digit at character 2"),
        (&["decode", "--protocol", "gt06", "--set", "colour=red", "00"], "setting colour: "),
        (&["decode", "--stdin", "00"], "cannot be used with"),
        (&["decode", "--device", "", "00"], "the device has an empty id"),
        (&["decode", "--received", "noon", "00"], "expected a time such as"),
        (&["encode", "--protocol", "gt06", "--device", "1", "fly"], "engineStop"),
        (&["encode", "--protocol", "gt06", "--device", "1", "custom"], "--set data=VALUE"),
        (&["fly"], "unrecognized subcommand"),
    ] {
        let output = odograph(arguments, "");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(words), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn commands_are_encoded_as_hex_or_text() {
    if !has(&["wialon"]) {
        return;
    }
    let device = "123456789012345";
    let wialon = ["encode", "--protocol", "wialon", "--device", device];
    let text =
        odograph(&[&wialon[..], &["--text", "outputControl", "--set", "index=1", "--set", "data=1"]].concat(), "");
    assert_eq!(String::from_utf8_lossy(&text.stdout), "L1=1\\r\\n\n");
    let hex = odograph(&[&wialon[..], &["rebootDevice"]].concat(), "");
    assert_eq!(String::from_utf8_lossy(&hex.stdout), "7265626f6f740d0a\n");
}

#[test]
fn protocols_are_listed_for_people_and_programs() {
    if !has(&["gt06"]) {
        return;
    }
    let table = odograph(&["protocols"], "");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.starts_with("NAME ") && table.lines().any(|line| line.starts_with("gt06 ")), "{table}");
    let list = lines(&odograph(&["protocols", "--json"], ""));
    let gt06 = list[0].as_array().and_then(|all| all.iter().find(|protocol| protocol["name"] == "gt06").cloned());
    assert_eq!(gt06.expect("gt06 is listed")["port"], 5023);
    let one = odograph(&["protocols", "gt06"], "");
    assert!(String::from_utf8_lossy(&one.stdout).contains("\ncommands\n  "));
}

#[test]
fn shells_get_completions() {
    for (shell, words) in [("bash", "_odograph()"), ("zsh", "#compdef odograph"), ("fish", "complete -c odograph")] {
        let script = odograph(&["completions", shell], "");
        assert!(String::from_utf8_lossy(&script.stdout).contains(words), "{shell}");
    }
}

/// A request, and the answer to a phone that is accepted.
const REQUEST: &str =
    r#"{"method":"GET","url":"/?id=7&lat=60.0&lon=30.0&timestamp=1377177267","headers":{"Host":"a"},"body":null}"#;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[test]
fn requests_by_http_are_lines_of_json() {
    let json = r#"{"method":"POST","url":"/","headers":{"Content-Type":"application/json"},"body_hex":"7b7d"}"#;
    let form = r#"{"url":"?id=8","headers":{"Content-Length":"99"},"body":"lat=1&lon=2&note=é"}"#;
    let input = format!("{REQUEST}\n{json}\n{form}\n{{\n{{\"url\":7}}\n\n");
    let output = odograph(&["decode", "--protocol", "osmand", "--stdin", "--http", "--transport", "http"], &input);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), 6);
    let ok = odograph_wire::notation::to_hex(OK);
    assert_eq!(lines[0]["replies"], serde_json::json!([ok]));
    assert_eq!(lines[0]["records"][0]["device"], "7");
    assert_eq!(lines[0]["records"][0]["position.latitude"], 60.0);
    let reason = "expected an object with coords or a timestamp";
    assert_eq!((&lines[1]["error"]["field"], &lines[1]["error"]["reason"]), (&"location".into(), &reason.into()));
    assert_eq!(lines[2]["records"][0]["raw.note"], "é", "{}", lines[2]);
    assert_eq!(lines[2]["identity"], "8");
    assert_eq!(lines[3]["error"]["field"], "line");
    assert_eq!(lines[4]["error"], serde_json::json!({"field": "url", "at": 0, "reason": "expected a text"}));
    assert_eq!(lines[5]["error"], Value::Null, "an empty line is a line");
}

#[test]
fn requests_by_http_are_arguments_and_are_recognised() {
    let output = odograph(&["decode", "--http", REQUEST], "");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output)[0]["protocol"], "osmand");
    let output = odograph(&["decode", "--protocol", "gt06", "--http", REQUEST], "");
    assert_eq!(output.status.code(), Some(64));
    assert!(errors(&output).contains("gt06 travels by tcp"), "{}", errors(&output));
    let output = odograph(&["decode", "--protocol", "osmand", "--http", "{}"], "");
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn auto_finds_out_like_the_port_that_understands_all_protocols() {
    if !has(&["teltonika", "wialon"]) {
        return;
    }
    // It is clear by the login who speaks: what is wrong with the rest is told as that protocol's.
    let login = "000f333532303933303831343532323531";
    let broken = odograph(&["decode", "--protocol", "auto", &format!("{login}00000000ffffffff")], "");
    let told = errors(&broken);
    assert!(told.contains("the packet's length is beyond all bounds"), "{told}");
    assert_eq!(broken.status.code(), Some(2));
    // Without its line end it is nobody's for certain, and yet just one understands it.
    let text = odograph(&["decode", "--protocol", "auto", "--device", "1", "--text", "#M#hello"], "");
    assert_eq!(text.status.code(), Some(0), "{}", errors(&text));
    assert_eq!(lines(&text)[0]["protocol"], "wialon");
}
