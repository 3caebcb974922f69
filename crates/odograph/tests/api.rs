//! The API of a running server, as programs and browsers use it.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server, errors, moment, until};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

/// A token that `odograph token create` makes.
fn token(place: &Place, more: &[&str]) -> String {
    let text = place.text(&[&["token", "create", "--json"], more].concat());
    let made: Value = serde_json::from_str(&text).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

fn owner(place: &Place, server: &Server) -> Client {
    Client::with_token(server.http(), &token(place, &["--role", "owner"]))
}

#[test]
fn who_does_not_say_who_he_is_gets_nothing() {
    let place = Place::new();
    let server = place.serve();
    let nobody = Client::nobody(server.http());
    assert_eq!(nobody.get("/api/v1/devices").problem(401), "unauthenticated");
    let wrong = Client::with_token(server.http(), "odo_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(wrong.get("/api/v1/devices").problem(401), "unauthenticated");
    let description = nobody.get("/api/v1/openapi.json").of(200);
    assert_eq!(description["info"]["title"], "Odograph");
    assert_eq!(nobody.get("/api/v1/nothing").problem(404), "not_found");
    assert_eq!(nobody.ask("PUT", "/api/v1/devices", None).problem(405), "method_not_allowed");
}

#[test]
fn the_first_start_makes_an_administrator_who_signs_in() {
    let place = Place::new();
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let nobody = Client::nobody(server.http());
    let sign_in = |password: &str| nobody.post("/api/v1/sessions", &json!({"login": "admin", "password": password}));
    assert_eq!(sign_in("wrong horse").problem(401), "wrong_login");
    let signed_in = sign_in("correct horse");
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert_eq!(signed_in.of(201)["system"], true);
    let browser = Client::nobody(server.http()).with("cookie", cookie.split(';').next().expect("a pair"));
    assert_eq!(browser.get("/api/v1/sessions/current").of(200)["name"], "admin");
    // Another site's page may not act for whoever has signed in.
    let new = json!({"ids": ["1"]});
    let foreign = browser.clone().with("sec-fetch-site", "cross-site");
    assert_eq!(foreign.post("/api/v1/devices", &new).problem(403), "forbidden");
    // Nor may it watch: no browser keeps the answers of a WebSocket from a page of another port.
    let watching = browser.clone().with("sec-fetch-site", "same-site").with("upgrade", "websocket");
    assert_eq!(watching.get("/api/v1/live").problem(403), "forbidden");
    assert_eq!(browser.post("/api/v1/devices", &new).of(201)["id"], "1");
    browser.ask("DELETE", "/api/v1/sessions/current", None).of(204);
    assert_eq!(browser.get("/api/v1/sessions/current").problem(401), "unauthenticated");
    // The second start makes nobody.
    server.stop();
    let again = place.serve();
    let wrong =
        Client::nobody(again.http()).post("/api/v1/sessions", &json!({"login": "admin", "password": "another one"}));
    assert_eq!(wrong.problem(401), "wrong_login");
}

/// Gives a user the password that comes by standard input.
fn set_password(place: &Place, login: &str, input: &str) -> Output {
    let mut command = place.command(&["user", "password", login, "--stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the input is taken");
    child.wait_with_output().expect("the command ends")
}

#[test]
fn a_password_is_reset_by_the_command_line_while_the_server_runs() {
    let place = Place::new();
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let nobody = Client::nobody(server.http());
    let sign_in = |password: &str| nobody.post("/api/v1/sessions", &json!({"login": "admin", "password": password}));
    let signed_in = |password: &str| {
        let answer = sign_in(password);
        assert_eq!(answer.status, 201, "{password}: {}", answer.text());
        let cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        nobody.clone().with("cookie", &cookie)
    };
    let current = |browser: &Client| browser.get("/api/v1/sessions/current");
    let first = signed_in("correct horse");
    // What is refused says why, and changes nothing.
    for (login, input, why) in [
        ("nobody", "battery staple\n", "there is no user nobody"),
        ("admin", "1234567\n", "password: has less than 8 characters"),
        ("admin", "", "password: has less than 8 characters"),
    ] {
        let refused = set_password(&place, login, input);
        assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(1), true), "{login} {input:?}");
        assert!(errors(&refused).contains(why), "{login} {input:?}: {}", errors(&refused));
    }
    assert_eq!(current(&first).of(200)["name"], "admin");
    // The end of the line is none of the password, and capital letters make no other login.
    let done = set_password(&place, "Admin", "battery staple\r\n");
    assert_eq!(done.status.code(), Some(0), "{}", errors(&done));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "Admin: the password is set\n");
    assert_eq!(current(&first).problem(401), "unauthenticated");
    assert_eq!(sign_in("correct horse").problem(401), "wrong_login");
    let second = signed_in("battery staple");
    assert_eq!(current(&second).of(200)["name"], "admin");
    // Without one, it is made by chance.
    let told = place.text(&["user", "password", "admin"]);
    let made = told.strip_prefix("admin: the password is ");
    let made = made.and_then(|made| made.strip_suffix(" (it is shown this once)\n"));
    assert_eq!(current(&second).problem(401), "unauthenticated");
    assert_eq!(sign_in("battery staple").problem(401), "wrong_login");
    signed_in(made.expect("a password"));
}

#[test]
fn devices_that_registered_are_there_and_people_say_what_they_are() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("4711"), "#AL#1");
    let found = until("the device", || {
        let devices = api.get("/api/v1/devices").of(200)["devices"].as_array().expect("a list").clone();
        devices.into_iter().find(|device| device["id"] == "4711")
    });
    assert_eq!((&found["state"], &found["protocol"]), (&json!("new"), &json!("wialon")));
    let group = api.post("/api/v1/groups", &json!({"name": "North"})).of(201);
    let change = json!({"name": "Truck 7", "plate": "AB 123", "time_zone": "Europe/Riga", "group": group["id"],
        "state": "accepted"});
    let changed = api.ask("PATCH", "/api/v1/devices/4711", Some(&change)).of(200);
    assert_eq!((&changed["name"], &changed["state"]), (&json!("Truck 7"), &json!("accepted")));
    let odd = api.ask("PATCH", "/api/v1/devices/4711", Some(&json!({"time_zone": "Riga"})));
    assert_eq!(odd.problem(400), "invalid");
    assert_eq!(api.get("/api/v1/devices/4711").of(200)["time_zone"], "Europe/Riga");
    let found = api.get("/api/v1/devices?text=ab%20123&count=true").of(200);
    assert_eq!((&found["devices"][0]["id"], &found["count"]), (&json!("4711"), &json!(1)));
    // Who is rejected is refused from the next login on, whoever said so.
    api.ask("PATCH", "/api/v1/devices/4711", Some(&json!({"state": "rejected"}))).of(200);
    until("the refusal", || (Device::connect(server.listener("tcp")).login("4711") == "#AL#0").then_some(()));
    // What is deleted is a stranger when it comes again.
    api.ask("DELETE", "/api/v1/devices/4711", None).of(204);
    assert_eq!(api.get("/api/v1/devices/4711").problem(404), "not_found");
    until("the stranger", || (Device::connect(server.listener("tcp")).login("4711") == "#AL#1").then_some(()));
    until("the new device", || (api.get("/api/v1/devices/4711").status == 200).then_some(()));
    // All of it is there after the next start.
    server.stop();
    let again = place.serve();
    let api = owner(&place, &again);
    assert_eq!(api.get("/api/v1/devices/4711").of(200)["state"], "new");
    assert_eq!(api.get("/api/v1/groups").of(200)[0]["name"], "North");
}

#[test]
fn history_comes_in_pages_and_streams() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    for second in 0..250 {
        assert_eq!(device.position(second), "#ASD#1");
    }
    until("the device", || (api.get("/api/v1/devices/1").status == 200).then_some(()));
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/devices/1/records?limit=100{cursor}")).of(200);
        all.extend(page["records"].as_array().expect("a list").iter().map(|record| record["time"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<Value> = (0..250).map(|second| json!(moment(second))).collect();
    assert_eq!(all, expected);
    let from = format!(
        "/api/v1/devices/1/records?format=jsonl&from={}&to={}",
        expected[10].as_str().unwrap(),
        expected[20].as_str().unwrap()
    );
    let lines = api.get(&from);
    assert!(lines.whole);
    assert_eq!(lines.text().lines().count(), 10);
    let csv = api.get("/api/v1/devices/1/records?format=csv&parameters=position.speed");
    assert_eq!(csv.text().lines().count(), 251);
    assert_eq!(api.get("/api/v1/devices/1/records?limit=0").problem(400), "invalid");
    assert_eq!(api.get("/api/v1/devices/1/records?cursor=x").problem(400), "invalid");
    assert_eq!(api.get("/api/v1/devices/1/records?parameters=position.sped&format=csv").problem(400), "invalid");
    assert_eq!(api.get("/api/v1/devices/2/records").problem(404), "not_found");
    // The bytes themselves, both ways.
    let frames = api.get("/api/v1/devices/1/frames?limit=4").text();
    let frames: Vec<Value> = frames.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(frames.iter().map(|frame| &frame["direction"]).collect::<Vec<_>>(), ["in", "out", "in", "out"]);
    let after = format!("/api/v1/devices/1/frames?limit=2&after={}", frames[1]["place"]);
    let next: Vec<Value> =
        api.get(&after).text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(next, frames[2..4]);
    let raw = api.get("/api/v1/devices/1/frames?raw=true&direction=in");
    assert!(raw.text().starts_with("#L#1;NA\r\n#SD#"), "{}", raw.text());
    // Questions.
    let count = api.post("/api/v1/sql", &json!({"sql": "SELECT count(*) AS n FROM records"}));
    assert_eq!(count.of(200), json!({"n": 250}));
    // Ids have 64 bits, and whoever reads numbers of 53 reads text.
    let ids =
        api.post("/api/v1/sql", &json!({"sql": "SELECT id, CAST(id AS varchar) AS same FROM records LIMIT 1"})).of(200);
    assert!(ids["id"].is_string() && ids["id"] == ids["same"], "{ids}");
    assert_eq!(api.post("/api/v1/sql", &json!({"sql": "SELECT wrong FROM records"})).problem(422), "unprocessable");
    assert_eq!(api.post("/api/v1/sql", &json!({"sql": "DROP TABLE records"})).problem(422), "unprocessable");
    assert_eq!(api.post("/api/v1/sql", &json!({"sq": ""})).problem(400), "invalid");
}

#[test]
fn a_long_time_is_thinned_and_shows_every_peak() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    // The speed rises by one each second, from 0 to 99, and again.
    for second in 0..250 {
        assert_eq!(device.position(second), "#ASD#1");
    }
    until("the device", || (api.get("/api/v1/devices/1").status == 200).then_some(()));
    let lines = |query: &str| -> Vec<Value> {
        let text = api.get(&format!("/api/v1/devices/1/records?format=jsonl{query}")).text();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (mut left, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/devices/1/records?thin=60&limit=4{cursor}")).of(200);
        let records = page["records"].as_array().expect("a list");
        assert!((1..=4).contains(&records.len()), "{page}");
        left.extend(records.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    // The ends of each minute, and where the speed fell within one.
    let expected = [0, 59, 60, 99, 100, 119, 120, 179, 180, 199, 200, 239, 240, 249];
    let times: Vec<&Value> = left.iter().map(|record| &record["time"]).collect();
    assert_eq!(times, expected.map(|second| json!(moment(second))).iter().collect::<Vec<_>>());
    let all = lines("");
    assert!(left.iter().all(|record| all.contains(record)), "they are as they were sent");
    assert_eq!(lines("&thin=60"), left);
    let csv = api.get("/api/v1/devices/1/records?format=csv&thin=60").text();
    assert_eq!(csv.lines().count(), 1 + expected.len());
    // What is not wanted keeps nothing: the altitude is always the same.
    assert_eq!(lines("&thin=60&parameters=position.altitude").len(), 2 * 5);
    for wrong in ["0", "86401", "-1", "1m"] {
        assert_eq!(api.get(&format!("/api/v1/devices/1/records?thin={wrong}")).problem(400), "invalid", "{wrong}");
    }
}

#[test]
fn frames_protocols_and_messages_that_were_read_are_as_the_description_says() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let description = api.get("/api/v1/openapi.json").of(200);
    let check = |name: &str, answer: &Value| {
        let described = description["components"]["schemas"][name]["properties"].as_object().expect(name);
        assert!(answer.as_object().expect(name).keys().eq(described.keys()), "{name}: {answer}");
    };
    let check_all = |name: &str, answers: &Value| {
        let answers = answers.as_array().expect(name);
        answers.iter().for_each(|answer| check(name, answer));
        answers.len()
    };
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    until("the device", || (api.get("/api/v1/devices/1").status == 200).then_some(()));
    let frames = api.get("/api/v1/devices/1/frames?limit=2").text();
    let frames: Vec<Value> = frames.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(check_all("Frame", &frames.into()), 2);
    let protocols = api.get("/api/v1/protocols").of(200);
    assert!(check_all("ToldProtocol", &protocols) > 1);
    let all = protocols.as_array().expect("a list");
    assert!(all.iter().map(|one| check_all("ToldSetting", &one["settings"])).sum::<usize>() > 0);
    assert!(all.iter().map(|one| check_all("ToldCommand", &one["commands"])).sum::<usize>() > 0);
    let read = |protocol: &str, messages: &[&str], written: &str| {
        let body = json!({"protocol": protocol, "messages": messages, "written": written, "trace": true});
        api.post("/api/v1/decode", &body).of(200)
    };
    let told = read("wialon", &["#L#1;NA\\r\\n", &common::position(1)], "text");
    assert_eq!(check_all("Decoded", &told), 2);
    assert!(check_all("DecodedField", &told[1]["fields"]) > 0);
    assert_eq!((&told[1]["line"], &told[1]["error"]), (&json!(2), &Value::Null));
    let record = &told[1]["records"][0];
    assert_eq!((&record["device"], &record["time"]), (&json!("1"), &json!(moment(1))));
    let malformed = read("gt06", &["78780d01"], "hex");
    check("DecodeError", &malformed[0]["error"]);
}

#[test]
fn what_is_printed_where_nobody_looks_on_has_no_password() {
    let place = Place::new();
    let printed = place.folder.path().join("printed");
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env_remove("ODOGRAPH_ADMIN_PASSWORD").stdout(File::create(&printed).expect("a file"));
    let server = Server::start(command);
    let file = place.data().join("admin-password");
    let text = std::fs::read_to_string(&file).expect("a file");
    let password = text.strip_suffix('\n').expect("a line");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let told = server.log_line_or_start(|line| line["file"] == file.to_str().expect("UTF-8"));
    assert!(told["message"].as_str().is_some_and(|text| text.contains("`admin`")), "{told}");
    assert!(server.start.iter().all(|line| !line.to_string().contains(password)), "{:?}", server.start);
    let nobody = Client::nobody(server.http());
    let signed_in = nobody.post("/api/v1/sessions", &json!({"login": "admin", "password": password}));
    assert_eq!(signed_in.of(201)["system"], true);
    // With another password, it goes: here at the next start, because a minute is long.
    place.text(&["user", "password", "admin"]);
    server.stop();
    assert_eq!(std::fs::read_to_string(&printed).expect("a file"), "");
    let _again = place.serve();
    until("the end of it", || (!file.exists()).then_some(()));
}

#[test]
fn a_state_is_live_and_outlives_the_program() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut watcher = api.begin("GET", "/api/v1/live?parameters=position.speed", None);
    let (status, _) = client::head(&mut watcher);
    assert_eq!(status, 200);
    let mut device = Device::connect(server.listener("tcp"));
    device.login("1");
    device.position(7);
    let mut seen = String::new();
    client::chunks_until(&mut watcher, |piece| {
        seen.push_str(&String::from_utf8_lossy(piece));
        seen.contains("\"position.speed\":7.0")
    });
    assert!(seen.starts_with("event: batch"), "{seen}");
    drop(watcher);
    // Whoever watches is faster than the catalog, and than whoever says that all is known.
    until("the state", || (api.get("/api/v1/devices/1/state").status == 200).then_some(()));
    let state = api.get("/api/v1/devices/1/state").of(200);
    assert_eq!(state["values"]["position.speed"], 7.0);
    let view = api.get("/api/v1/live/view?box=20,50,30,60&zoom=5").of(200);
    assert_eq!(view["devices"][0]["device"], "1");
    assert_eq!(api.get("/api/v1/live/view?box=40,50,45,60&zoom=5").of(200)["devices"], json!([]));
    assert_eq!(api.get("/api/v1/live?box=1,2,3").problem(400), "invalid");
    // It is among those of its own state alone.
    let own = view["devices"][0]["state"].as_str().expect("a state");
    let others: Vec<_> = ["moving", "stopped", "no_signal", "alarm"].into_iter().filter(|name| *name != own).collect();
    let found = |states: &str| {
        let view = api.get(&format!("/api/v1/live/view?box=20,50,30,60&zoom=5&live={states}")).of(200);
        (view["devices"].as_array().map(Vec::len), counted(&api, &format!("live={states}")))
    };
    assert_eq!((found(own), found(&others.join(","))), ((Some(1), 1), (Some(0), 0)));
    for path in ["live/view?live=unseen", "live/counts?live=", "live?live=alarm"] {
        assert_eq!(api.get(&format!("/api/v1/{path}")).problem(400), "invalid", "{path}");
    }
    server.stop();
    let again = place.serve();
    let api = owner(&place, &again);
    let state = until("the state", || {
        let state = api.get("/api/v1/devices/1/state");
        (state.status == 200).then(|| state.json())
    });
    assert_eq!(state["values"]["position.speed"], 7.0, "{state}");
}

/// Begins to watch.
fn watch(api: &Client, query: &str) -> BufReader<TcpStream> {
    let mut watcher = api.begin("GET", &format!("/api/v1/live?{query}"), None);
    assert_eq!(client::head(&mut watcher).0, 200);
    watcher
}

/// The next batch of a stream of events, with what browsers remember of it.
fn batch(watcher: &mut impl BufRead) -> (Value, String) {
    for _ in 0..SIGNS_MAX {
        let mut event = String::new();
        client::chunks_until(watcher, |piece| {
            event.push_str(&String::from_utf8_lossy(piece));
            event.ends_with("\n\n")
        });
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        if let Some(data) = field("data: ") {
            return (serde_json::from_str(data).expect("JSON"), field("id: ").unwrap_or_default().to_owned());
        }
    }
    panic!("no batch comes");
}

/// Signs of life, without a batch among them, that are waited for: a minute.
const SIGNS_MAX: usize = 4;

/// The devices of a batch, each with its speed.
fn speeds(batch: &Value) -> Vec<String> {
    let speed = |device: &Value| {
        format!("{} {}", device["device"].as_str().expect("an id"), device["values"]["position.speed"])
    };
    let mut speeds: Vec<String> = batch["devices"].as_array().expect("a list").iter().map(speed).collect();
    speeds.sort();
    speeds
}

/// How many devices are live.
fn counted(api: &Client, query: &str) -> u64 {
    let counts = api.get(&format!("/api/v1/live/counts?{query}")).of(200);
    counts.as_object().expect("an object").values().filter_map(Value::as_u64).sum()
}

#[test]
fn a_stream_that_was_cut_goes_on_from_its_mark() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut devices = ["1", "2"].map(|id| {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!((device.login(id), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
        device
    });
    let speed = |id: &str| {
        let state = api.get(&format!("/api/v1/devices/{id}/state"));
        if state.status == 200 { state.json()["values"]["position.speed"].as_f64() } else { None }
    };
    until("both", || (speed("1") == Some(1.0) && speed("2") == Some(1.0)).then_some(()));
    let wanted = "parameters=position.speed";
    let (whole, mark) = batch(&mut watch(&api, wanted));
    assert_eq!((&whole["full"], speeds(&whole)), (&json!(true), vec!["1 1.0".to_owned(), "2 1.0".to_owned()]));
    assert_eq!(whole["mark"], mark.as_str());
    assert_eq!(devices[1].position(2), "#ASD#1");
    until("the position", || (speed("2") == Some(2.0)).then_some(()));
    // As programs say where they were, and as browsers do by themselves.
    let (resumed, browser) = (format!("{wanted}&resume={mark}"), api.clone().with("last-event-id", &mark));
    for (who, query) in [(&api, resumed.as_str()), (&browser, wanted)] {
        let (changed, _) = batch(&mut watch(who, query));
        assert_eq!((&changed["full"], speeds(&changed)), (&json!(false), vec!["2 2.0".to_owned()]), "{query}");
    }
    // What was told of other parameters is nothing to go on from, and what is no mark is refused.
    let (other, _) = batch(&mut watch(&api, &format!("resume={mark}")));
    assert_eq!((&other["full"], speeds(&other).len()), (&json!(true), 2));
    assert_eq!(api.get("/api/v1/live?resume=x").problem(400), "invalid");
    assert_eq!(api.clone().with("last-event-id", "x").get("/api/v1/live").problem(400), "invalid");
    api.ask("DELETE", "/api/v1/devices/1", None).of(204);
    until("the end of it", || (counted(&api, "") == 1).then_some(()));
    let (left, _) = batch(&mut watch(&api, &resumed));
    assert_eq!((&left["left"], speeds(&left)), (&json!(["1"]), vec!["2 2.0".to_owned()]));
    // The next run of the program knows no mark of this one. It begins at once, and is told what the server takes in meanwhile.
    server.stop();
    let again = place.serve();
    let mut watcher = watch(&owner(&place, &again), &resumed);
    let (mut told, _) = batch(&mut watcher);
    assert_eq!(told["full"], true);
    while !speeds(&told).contains(&"2 2.0".to_owned()) {
        told = batch(&mut watcher).0;
    }
}

#[test]
fn who_was_deleted_does_not_come_back_with_history() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    for id in ["1", "2", "3"] {
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!((device.login(id), device.position(1)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    }
    let is_live = |api: &Client| ["1", "2", "3"].map(|id| counted(api, &format!("devices={id}")) == 1);
    let is_listed = |id: &str| api.get(&format!("/api/v1/devices/{id}/state")).status == 200;
    until("all of them", || ["1", "2", "3"].map(is_listed).iter().all(|is| *is).then_some(()));
    api.ask("DELETE", "/api/v1/devices/1", None).of(204);
    until("the end of it", || (is_live(&api) == [false, true, true]).then_some(()));
    // History is closed for a moment, and begins again; what it has of the first one is still there.
    place.text(&["device", "erase", "2", "--yes"]);
    let count = api.post("/api/v1/sql", &json!({"sql": "SELECT count(*) AS n FROM last"}));
    assert_eq!(count.of(200), json!({"n": 2}));
    assert_eq!(is_live(&api), [false, false, true]);
    server.stop();
    let again = place.serve();
    let api = owner(&place, &again);
    until("live state", || (api.get("/api/v1/live/counts").status == 200).then_some(()));
    until("the end of it", || (is_live(&api) == [false, false, true]).then_some(()));
}

#[test]
fn nothing_is_said_of_live_state_before_it_is_known() {
    let place = Place::new();
    // Nobody answers at the store that has history, so that it is never read.
    let store = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let endpoint = format!("http://{}", store.local_addr().expect("an address"));
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_LAKE__STORE", "s3://odograph/history");
    let keys = [("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")];
    let options = [("ALLOW_HTTP", "true"), ("REGION", "us-east-1"), ("ENDPOINT", endpoint.as_str())];
    for (name, value) in keys.into_iter().chain(options) {
        command.env(format!("ODOGRAPH_LAKE__STORE_OPTIONS__{name}"), value);
    }
    let server = Server::start(command);
    let api = owner(&place, &server);
    api.post("/api/v1/devices", &json!({"ids": ["1"]})).of(201);
    for path in ["devices/1/state", "live/view", "live/counts"] {
        let answer = api.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{path}");
        assert_eq!(answer.problem(503), "unavailable");
    }
    assert_eq!(api.get("/api/v1/devices/2/state").problem(404), "not_found");
    // Whoever watches is told of each device as it becomes known.
    assert_eq!(batch(&mut watch(&api, "")).0["full"], true);
}

#[test]
fn who_asks_for_groups_sees_the_devices_of_these_alone() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(7)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    until("the state", || (api.get("/api/v1/devices/1/state").status == 200).then_some(()));
    let group = api.post("/api/v1/groups", &json!({"name": "North"})).of(201)["id"].clone();
    let asked = format!("groups={}", group.as_str().expect("an id"));
    assert_eq!((counted(&api, ""), counted(&api, &asked), counted(&api, "groups=none,other")), (1, 0, 0));
    // Nobody was in the group before: whoever watches it hears of the first one all the same.
    let mut watcher = watch(&api, &format!("{asked},none"));
    let (begun, _) = batch(&mut watcher);
    assert_eq!((&begun["full"], &begun["devices"]), (&json!(true), &json!([])));
    api.ask("PATCH", "/api/v1/devices/1", Some(&json!({"group": group}))).of(200);
    let (joined, _) = batch(&mut watcher);
    assert_eq!((&joined["devices"][0]["device"], &joined["devices"][0]["group"]), (&json!("1"), &group));
    assert_eq!((counted(&api, &asked), counted(&api, "groups=none,other")), (1, 0));
    let many = "a,".repeat(10_001);
    for path in ["live", "live/view", "live/counts"] {
        for name in ["groups", "devices"] {
            assert_eq!(api.get(&format!("/api/v1/{path}?{name}={many}")).problem(400), "invalid", "{path} {name}");
        }
    }
}

#[test]
fn owners_see_what_their_tables_take_and_who_manages_tenants_sees_all() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("1"), "#AL#1");
    assert_eq!(device.position(7), "#ASD#1");
    let viewer = Client::with_token(server.http(), &token(&place, &["--role", "viewer"]));
    assert_eq!(viewer.get("/api/v1/system").problem(403), "forbidden");
    let system = &["--role", "owner", "--system"];
    let all = Client::with_token(server.http(), &token(&place, system)).get("/api/v1/system").of(200);
    let journal = &all["installation"]["journal"];
    assert_eq!((&journal["days"], &journal["bytes_per_day"]), (&json!([]), &Value::Null), "nothing is sealed yet");
    // What waits becomes files, and the segment is sealed.
    server.stop();
    let again = place.serve();
    let of = |more: &[&str]| Client::with_token(again.http(), &token(&place, more));
    let tables = |of: &Value| -> Vec<String> {
        let tables = of["tables"].as_array().expect("a list").iter();
        tables.map(|it| format!("{} {}", it["tenant"].as_str().unwrap(), it["table"].as_str().unwrap())).collect()
    };
    // Once history is there: what is looked at is kept for a while.
    of(&["--role", "owner"]).post("/api/v1/sql", &json!({"sql": "SELECT count(*) AS n FROM records"})).of(200);
    let own = of(&["--role", "owner"]).get("/api/v1/system").of(200);
    assert_eq!(tables(&own).len(), 2, "{own}");
    assert!(own["installation"].is_null() && own["tables"][0]["bytes"].as_u64() > Some(0), "{own}");
    place.text(&["tenant", "create", "other"]);
    let elsewhere = of(&["--role", "owner", "--tenant", "other"]).get("/api/v1/system").of(200);
    assert_eq!((&elsewhere["tables"], &elsewhere["tables_left_out"]), (&json!([]), &json!(0)));
    let all = of(system).get("/api/v1/system").of(200);
    let (whole, bytes) = (&all["installation"], |of: &Value| of.as_u64().expect("a number"));
    assert_eq!(tables(&all), tables(&own));
    let sum: u64 = all["tables"].as_array().expect("a list").iter().map(|table| bytes(&table["bytes"])).sum();
    assert_eq!((bytes(&whole["lake_bytes"]), &whole["lake_is_on_disk"]), (sum, &json!(true)));
    let (disk, journal) = (&whole["disk"], &whole["journal"]);
    assert!(bytes(&disk["free_bytes"]) <= bytes(&disk["total_bytes"]) && bytes(&disk["total_bytes"]) > 0, "{disk}");
    assert!(bytes(&whole["catalog_bytes"]) > 0 && bytes(&journal["bytes"]) > 0, "{whole}");
    let taken: u64 = journal["days"].as_array().expect("a list").iter().map(|day| bytes(&day["bytes"])).sum();
    assert!(taken > 0, "{journal}");
    // A minute's growth says nothing about a day's.
    let unknown = [&journal["bytes_per_day"], &disk["lost_bytes_per_day"], &disk["days_left"]];
    assert_eq!((unknown, disk["watched_s"].is_u64()), ([&Value::Null; 3], true), "{disk}");
    // What was seen is kept for a while.
    let later = of(system).get("/api/v1/system").of(200);
    assert_eq!(later["installation"], all["installation"]);
}

#[test]
fn whoever_has_signed_in_sees_the_numbers_of_the_last_half_hour() {
    let place = Place::new();
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(7)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    let path = "/api/v1/system/lately";
    assert_eq!(Client::nobody(server.http()).get(path).problem(401), "unauthenticated");
    let viewer = Client::with_token(server.http(), &token(&place, &["--role", "viewer"]));
    // It is looked at from the start on, whether or not anybody asks.
    let lately = until("the first look", || {
        let lately = viewer.get(path).of(200);
        (lately["times"] != json!([])).then_some(lately)
    });
    let times = lately["times"].as_array().expect("a list");
    let numbers = lately["numbers"].as_array().expect("a list");
    assert_eq!(numbers.len(), 10, "{lately}");
    for number in numbers {
        assert_eq!(number["values"].as_array().map(Vec::len), Some(times.len()), "{number}");
        // What is kept is what there is, by its name.
        server.metric_begins(number["name"].as_str().expect("a name"));
    }
    let only = numbers.iter().find(|number| number["name"] == "odograph_connections_opened_total").expect("a number");
    assert_eq!(only["labels"], json!({"protocol": "unidentified"}));
}

#[test]
fn devices_are_found_by_what_is_live_of_them() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    // One of long ago, one that drives now, one that nobody has heard of, in the order of their ids.
    let mut old = Device::connect(server.listener("tcp"));
    assert_eq!((old.login("1"), old.position(7)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    let mut driving = Device::connect(server.listener("tcp"));
    assert_eq!(driving.login("2"), "#AL#1");
    let now = Time(SystemClock::new().now()).to_string();
    let part = |from: usize, to: usize| now.get(from..to).expect("a part of a moment").replace(':', "");
    let date = format!("{}{}{}", part(8, 10), part(5, 7), part(2, 4));
    let line = format!("#SD#{date};{};5355.0926;N;02732.4096;E;61;2;300;7", part(11, 19));
    assert_eq!(driving.say(&line), "#ASD#1");
    api.post("/api/v1/devices", &json!({"ids": ["3"]})).of(201);
    until("live state", || (api.get("/api/v1/devices?live=moving").status == 200).then_some(()));
    let found = |query: &str| -> Vec<String> {
        let answer = api.get(&format!("/api/v1/devices?{query}")).of(200);
        let devices = answer["devices"].as_array().expect("a list").iter();
        devices.map(|device| device["id"].as_str().expect("an id").to_owned()).collect()
    };
    until("both", || (found("live=moving") == ["2"] && found("live=no_signal") == ["1"]).then_some(()));
    assert_eq!(found("live=unseen"), ["3"]);
    assert_eq!(found("live=unseen,moving&order=name"), ["2", "3"]);
    assert_eq!(found("live=unseen,moving&text=3"), ["3"]);
    assert_eq!(found("live=alarm"), Vec::<String>::new());
    assert_eq!(found("ignition=true"), Vec::<String>::new(), "none of them says so");
    // Page by page, it is the same.
    let first = api.get("/api/v1/devices?live=no_signal,unseen&limit=1").of(200);
    assert_eq!(first["devices"][0]["id"], "1");
    let next = first["next"].as_str().expect("a next one");
    assert_eq!(found(&format!("live=no_signal,unseen&limit=1&cursor={next}")), ["3"]);
    assert_eq!(api.get("/api/v1/devices?live=stale").problem(400), "invalid");
    assert_eq!(api.get("/api/v1/devices?live=moving&count=true").problem(400), "invalid");
    // Whoever asks a server that has just begun never learns that a device was not heard of.
    server.stop();
    let again = place.serve();
    let api = owner(&place, &again);
    until("live state", || {
        let answer = api.get("/api/v1/devices?live=unseen");
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            return None;
        }
        let answer = answer.of(200);
        assert_eq!((answer["devices"].as_array().map(Vec::len), &answer["devices"][0]["id"]), (Some(1), &json!("3")));
        Some(())
    });
}

#[test]
fn pages_of_sites_that_are_named_may_ask_with_a_token() {
    let place = Place::new();
    let config = "[ingest]\ndefault_ports = false\n[http]\ncors_origins = [\"https://dashboard.example\", \"http://localhost:5173\"]\n";
    let path = place.write("odograph.toml", config);
    let mut command = place.command(&["serve", "--config", path.to_str().expect("UTF-8")]);
    command.env("ODOGRAPH_ADMIN_PASSWORD", "correct horse");
    let server = Server::start(command);
    let page = |origin: &str| Client::nobody(server.http()).with("origin", origin);
    let asks_first = |origin: &str, path: &str| {
        let asking = page(origin).with("access-control-request-method", "POST");
        asking.with("access-control-request-headers", "authorization,content-type").ask("OPTIONS", path, None)
    };
    let allowed = "access-control-allow-origin";
    for origin in ["https://dashboard.example", "http://localhost:5173"] {
        let told = asks_first(origin, "/api/v1/devices");
        assert_eq!((told.status, told.header(allowed)), (204, Some(origin)));
        assert_eq!(told.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
        assert_eq!(
            told.header("access-control-allow-headers"),
            Some("authorization, content-type, if-none-match, if-range, last-event-id, range")
        );
        assert_eq!((told.header("access-control-max-age"), told.header("vary")), (Some("600"), Some("origin")));
        assert_eq!(told.header("access-control-allow-credentials"), None);
    }
    let token = token(&place, &["--role", "manager"]);
    let dashboard = page("https://dashboard.example").with("sec-fetch-site", "cross-site");
    let program = dashboard.clone().with("authorization", &format!("Bearer {token}"));
    let made = program.post("/api/v1/devices", &json!({"ids": ["1"]}));
    assert_eq!((made.status, made.header(allowed)), (201, Some("https://dashboard.example")));
    let seen = program.get("/api/v1/devices/1/records?format=csv");
    assert_eq!((seen.status, seen.header(allowed)), (200, Some("https://dashboard.example")));
    let readable = seen.header("access-control-expose-headers").expect("what a page may read");
    assert!(readable.contains("content-disposition") && seen.header("content-disposition").is_some(), "{readable}");
    // Why it was refused, a page may read as well.
    let refused = dashboard.get("/api/v1/devices");
    assert_eq!(refused.header(allowed), Some("https://dashboard.example"));
    assert_eq!(refused.problem(401), "unauthenticated");
    // Others may not: neither in other letters, nor at another port, nor with more behind it.
    for origin in [
        "https://other.example",
        "https://dashboard.example:8443",
        "http://dashboard.example",
        "https://Dashboard.example",
        "null",
    ] {
        let told = asks_first(origin, "/api/v1/devices");
        assert_eq!((told.header(allowed), told.header("vary")), (None, Some("origin")), "{origin}");
        assert_eq!(told.problem(405), "method_not_allowed");
        let asked = page(origin).with("authorization", &format!("Bearer {token}")).get("/api/v1/devices");
        assert_eq!((asked.status, asked.header(allowed)), (200, None), "a browser keeps it from the page");
    }
    // With the cookie of whoever has signed in, no page of another site changes anything or gets to see anything.
    let signed_in = Client::nobody(server.http());
    let signed_in = signed_in.post("/api/v1/sessions", &json!({"login": "admin", "password": "correct horse"}));
    let cookie = signed_in.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let with_cookie = dashboard.with("cookie", &cookie);
    assert_eq!(with_cookie.post("/api/v1/devices", &json!({"ids": ["2"]})).problem(403), "forbidden");
    assert_eq!(with_cookie.get("/api/v1/devices").header("access-control-allow-credentials"), None);
    // Besides the API, nothing is shared.
    for path in ["/healthz", "/metrics", "/"] {
        assert_eq!(page("https://dashboard.example").get(path).header(allowed), None, "{path}");
    }
    // Where nobody is named, nothing is said of it.
    let place = Place::new();
    let server = place.serve();
    let page = Client::nobody(server.http()).with("origin", "https://dashboard.example");
    let told = page.clone().with("access-control-request-method", "GET").ask("OPTIONS", "/api/v1/devices", None);
    assert_eq!((told.header(allowed), told.header("vary")), (None, None));
    assert_eq!(told.problem(405), "method_not_allowed");
    assert_eq!(page.get("/api/v1/openapi.json").header(allowed), None);
}

/// However many are asked for: a page is bounded by what it takes, too, also where devices are looked through for what is live of them.
#[test]
fn a_page_of_devices_of_which_much_is_kept_ends_earlier() {
    let place = Place::new();
    let server = place.serve();
    let api = owner(&place, &server);
    let settings: serde_json::Map<String, Value> =
        (0..64).map(|number| (format!("s{number}"), json!("北".repeat(1000)))).collect();
    for number in 10..30 {
        let device = json!({"ids": [number.to_string()], "notes": "北".repeat(10_000), "settings": settings});
        api.post("/api/v1/devices", &device).of(201);
    }
    until("what is live", || (api.get("/api/v1/live/counts").status == 200).then_some(()));
    for query in ["", "&live=unseen"] {
        let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let answer = api.get(&format!("/api/v1/devices?limit=1000{query}{cursor}"));
            assert!(answer.body.len() < 5 << 20, "{query}: {} bytes", answer.body.len());
            let page = answer.of(200);
            found.extend(page["devices"].as_array().expect("a list").iter().map(|device| device["id"].clone()));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found, (10..30).map(|number| json!(number.to_string())).collect::<Vec<_>>(), "{query}");
        assert_eq!(pages, 2, "{query}");
    }
}
