//! No tenant sees another: every address of the API, by every role, with tokens and signed in, about one's own things and a foreign
//! tenant's, which has devices of the same ids.

mod client;
mod common;

use client::{Answer, Client};
use common::{Device, Place, Server};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What stands in everything that the foreign tenant has, and nowhere else.
const FOREIGN: &str = "zulu";

/// Positions of the foreign tenant's devices were sent at other seconds.
const FOREIGN_SECOND: u32 = 3000;

/// Somebody who asks, and the rank of the role.
struct Role {
    name: String,
    rank: u8,
    /// Sees but the devices of the group North.
    limited: bool,
    /// Has signed in, and has an account.
    user: bool,
    client: Client,
}

/// What an operation needs.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    /// A role of this rank.
    Rank(u8),
    /// The same, and to see all devices.
    All(u8),
    /// An account of one's own.
    Account,
    /// To manage tenants, and nobody here does.
    System,
}

impl Role {
    fn may(&self, needs: Needs) -> bool {
        match needs {
            Needs::Rank(rank) => self.rank >= rank,
            Needs::All(rank) => self.rank >= rank && !self.limited,
            Needs::Account => self.user,
            Needs::System => false,
        }
    }
}

/// The roles, their ranks, and whether they are limited to the group North.
const ROLES: [(&str, u8, bool); 5] =
    [("viewer", 1, true), ("viewer", 1, false), ("manager", 2, true), ("manager", 2, false), ("owner", 3, false)];

struct World {
    place: Place,
    server: Server,
    roles: Vec<Role>,
    foreign: Client,
}

/// Ids of a tenant's things, by the kinds that stand in paths.
type Ids = BTreeMap<&'static str, String>;

fn token(place: &Place, tenant: &str, more: &[&str]) -> String {
    let text = place.text(&[&["token", "create", "--json", "--tenant", tenant, "--name", tenant], more].concat());
    let made: Value = serde_json::from_str(&text).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let file = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"own\"\n\
                    [[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"zulu\"\n\
                    [ingest]\ndefault_ports = false\n";
        let config = place.write("odograph.toml", file);
        let server = place.serve_with(&["--config", config.to_str().expect("a path")]);
        let client = |secret: &str| Client::with_token(server.http(), secret);
        let own = client(&token(&place, "own", &["--role", "owner"]));
        let foreign = client(&token(&place, FOREIGN, &["--role", "owner"]));
        let north = own.post("/api/v1/groups", &json!({"name": "North"})).of(201)["id"].clone();
        let group = north.as_str().expect("an id");
        let by_token = |(name, rank, limited): (&str, u8, bool)| {
            let mut more = vec!["--role", name];
            more.extend(limited.then_some(["--group", group]).into_iter().flatten());
            Role {
                name: format!("{name} {limited}"),
                rank,
                limited,
                user: false,
                client: client(&token(&place, "own", &more)),
            }
        };
        let signed_in = |(name, rank, limited): (&str, u8, bool)| {
            let (login, password) = (format!("own-{name}-{limited}"), "correct horse");
            let groups = limited.then_some([group]);
            let user = json!({"login": login, "password": password, "role": name, "groups": groups});
            own.post("/api/v1/users", &user).of(201);
            let nobody = Client::nobody(server.http());
            let answer = nobody.post("/api/v1/sessions", &json!({"login": login, "password": password}));
            let cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
            Role {
                name: format!("{login}, signed in"),
                rank,
                limited,
                user: true,
                client: nobody.with("cookie", &cookie),
            }
        };
        // Whichever tenant is named: listeners are the server's.
        let listen = odograph_testkit::free_address();
        let made =
            json!({"protocol": "wialon", "listen": listen, "transport": "tcp", "tenant": FOREIGN, "name": FOREIGN});
        let made = client::by_socket(&place.data(), "POST", "/api/v1/listeners?tenant=own", Some(&made)).of(201);
        assert_eq!(made["state"], "open", "{made}");
        LISTENER.get_or_init(|| made["id"].as_str().expect("an id").to_owned());
        let roles = ROLES.map(by_token).into_iter().chain(ROLES.map(signed_in)).collect();
        Self { place, server, roles, foreign }
    }

    fn listener(&self, number: usize) -> std::net::SocketAddr {
        let listening = self.server.start.iter().filter(|line| line["message"] == "listening");
        let line = listening.clone().nth(number).unwrap_or_else(|| panic!("{:?}", self.server.start));
        line["address"].as_str().expect("an address").parse().expect("an address")
    }

    /// Devices 1 and 2, the first in the group North.
    fn fill(&self, listener: usize, owner: &Client, word: &str, second: u32) {
        for id in ["1", "2"] {
            let mut device = Device::connect(self.listener(listener));
            assert_eq!(device.login(id), "#AL#1");
            assert_eq!(device.position(second), "#ASD#1");
            until(|| owner.get(&format!("/api/v1/devices/{id}")).status == 200);
            let change = json!({"name": format!("{word} {id}"), "notes": word, "attributes": {"word": word}});
            owner.ask("PATCH", &format!("/api/v1/devices/{id}"), Some(&change)).of(200);
        }
        let groups = owner.get("/api/v1/groups").of(200);
        let north = groups.as_array().expect("a list").iter().find(|group| group["name"] == "North");
        let north = north.map_or_else(
            || owner.post("/api/v1/groups", &json!({"name": "North"})).of(201)["id"].clone(),
            |group| group["id"].clone(),
        );
        owner.ask("PATCH", "/api/v1/devices/1", Some(&json!({"group": north}))).of(200);
        // It is answered to nobody, because the device has left, and the server knows.
        self.server.metric_becomes("odograph_connections{protocol=\"wialon\",transport=\"tcp\"} 0");
        owner.post("/api/v1/devices/1/commands", &json!({"text": format!("{word} VER?")})).of(201);
        let user =
            json!({"login": format!("{word}-anna"), "name": word, "password": "correct horse", "role": "viewer"});
        owner.post("/api/v1/users", &user).of(201);
        let sensor = json!({"unit": word, "formula": "1"});
        owner.ask("PUT", "/api/v1/devices/1/sensors/fuel", Some(&sensor)).of(200);
        let driver = json!({"name": format!("{word} driver"), "cards": ["01-1A"], "notes": word});
        owner.post("/api/v1/drivers", &driver).of(201);
        owner.post("/api/v1/devices/1/shares", &json!({})).of(201);
        let query = json!({"name": format!("{word} query"), "sql": format!("SELECT '{word}'")});
        owner.post("/api/v1/queries", &query).of(201);
        until(|| owner.get("/api/v1/devices/1/state").status == 200);
    }
}

fn until(is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("waited in vain");
}

fn ids(owner: &Client) -> Ids {
    let first = |path: &str| owner.get(path).of(200)[0]["id"].as_str().expect("an id").to_owned();
    let users = owner.get("/api/v1/users").of(200);
    let anna = users
        .as_array()
        .expect("a list")
        .iter()
        .find(|user| user["login"].as_str().is_some_and(|login| login.ends_with("-anna")));
    let mut ids = Ids::new();
    ids.insert("devices", "1".to_owned());
    ids.insert("groups", first("/api/v1/groups"));
    ids.insert("users", anna.expect("anna")["id"].as_str().expect("an id").to_owned());
    ids.insert("drivers", first("/api/v1/drivers"));
    ids.insert("queries", first("/api/v1/queries"));
    ids.insert("tokens", first("/api/v1/tokens"));
    ids.insert("shares", first("/api/v1/devices/1/shares"));
    ids.insert("listeners", LISTENER.get().expect("it was made").clone());
    ids.insert(
        "tenants",
        owner.get("/api/v1/sessions/current").of(200)["tenant"].as_str().expect("a tenant").to_owned(),
    );
    ids
}

/// The id of a listener that the owner of the folder made for the foreign tenant.
static LISTENER: OnceLock<String> = OnceLock::new();

const ALL_RECORDS: &str =
    "SELECT * FROM (SELECT * FROM records UNION ALL BY NAME SELECT * FROM last) ORDER BY device, time";

/// What an operation needs at least, and what is sent with it. Every operation of the description stands here.
#[expect(clippy::too_many_lines, reason = "a table")]
fn terms(method: &str, path: &str) -> Option<(Needs, Option<Value>)> {
    const VIEWER: Needs = Needs::Rank(1);
    const ALL_DEVICES: Needs = Needs::All(1);
    const MANAGER: Needs = Needs::Rank(2);
    const MANAGER_OF_ALL: Needs = Needs::All(2);
    const OWNER: Needs = Needs::Rank(3);
    Some(match (method, path) {
        (
            "get",
            "/api/v1/sessions/current"
            | "/api/v1/devices"
            | "/api/v1/groups"
            | "/api/v1/tenants"
            | "/api/v1/tenants/{id}",
        ) => (VIEWER, None),
        (
            "get",
            "/api/v1/devices/{id}"
            | "/api/v1/devices/{id}/records"
            | "/api/v1/devices/{id}/frames"
            | "/api/v1/devices/{id}/state"
            | "/api/v1/devices/{id}/commands"
            | "/api/v1/devices/{id}/commands/types"
            | "/api/v1/devices/{id}/commands/{number}"
            | "/api/v1/devices/{id}/sensors"
            | "/api/v1/devices/{id}/sensors/{name}",
        ) => (VIEWER, None),
        ("get", "/api/v1/shared" | "/api/v1/shared/track" | "/api/v1/map/tiles") => (VIEWER, None),
        ("get" | "delete", "/api/v1/devices/{id}/shares" | "/api/v1/devices/{id}/shares/{share}") => (MANAGER, None),
        ("post", "/api/v1/devices/{id}/shares") => (MANAGER, Some(json!({}))),
        ("post", "/api/v1/devices/{id}/commands") => (MANAGER, Some(json!({"text": "VER?"}))),
        ("delete", "/api/v1/devices/{id}/commands/{number}") | ("get", "/api/v1/shares") => (MANAGER, None),
        ("get", "/api/v1/live/view" | "/api/v1/live/counts" | "/api/v1/address") => (VIEWER, None),
        ("get", "/api/v1/protocols" | "/api/v1/parameters" | "/api/v1/system/lately") => (VIEWER, None),
        ("post", "/api/v1/decode") => (VIEWER, Some(json!({"messages": ["00"]}))),
        ("post", "/api/v1/sql") => (ALL_DEVICES, Some(json!({"sql": ALL_RECORDS}))),
        ("get", "/api/v1/queries" | "/api/v1/queries/{id}") => (ALL_DEVICES, None),
        // Who is limited asks by a card: see `check_cards`.
        ("get", "/api/v1/drivers" | "/api/v1/drivers/{id}") => (ALL_DEVICES, None),
        ("post", "/api/v1/queries") => (ALL_DEVICES, Some(json!({"name": "Query", "sql": "SELECT 1"}))),
        // The owner made the one that there is: see `check_queries`, too.
        ("patch", "/api/v1/queries/{id}") => (MANAGER_OF_ALL, Some(json!({"sql": "SELECT 2"}))),
        // Asked for of one that is not there.
        ("delete", "/api/v1/queries/{id}") => (ALL_DEVICES, None),
        ("post", "/api/v1/devices") => (MANAGER_OF_ALL, Some(json!({"ids": ["2"]}))),
        ("post", "/api/v1/devices/{id}/erase") => (OWNER, Some(json!({"yes": false}))),
        ("patch", "/api/v1/devices/{id}") => (MANAGER, Some(json!({"plate": "X"}))),
        ("put", "/api/v1/devices/{id}/sensors/{name}") => (MANAGER, Some(json!({"formula": "1"}))),
        ("post", "/api/v1/devices/{id}/sensors/preview") => (VIEWER, Some(json!({"formula": "1"}))),
        ("post", "/api/v1/drivers") => (MANAGER_OF_ALL, Some(json!({"name": "Driver", "cards": []}))),
        ("patch", "/api/v1/drivers/{id}") => (MANAGER_OF_ALL, Some(json!({"phone": "1"}))),
        ("post", "/api/v1/groups") => (MANAGER_OF_ALL, Some(json!({"name": "North"}))),
        ("patch", "/api/v1/groups/{id}") => (MANAGER_OF_ALL, Some(json!({"name": "North"}))),
        (
            "get",
            "/api/v1/users" | "/api/v1/users/{id}" | "/api/v1/tokens" | "/api/v1/tokens/{id}" | "/api/v1/audit",
        ) => (OWNER, None),
        ("get", "/api/v1/tenants/{id}/usage" | "/api/v1/system") => (OWNER, None),
        ("post", "/api/v1/users") => (OWNER, Some(json!({"login": "own-anna", "role": "viewer"}))),
        ("patch", "/api/v1/users/{id}") => (OWNER, Some(json!({"name": "Anna"}))),
        ("put", "/api/v1/users/{id}/password") => (OWNER, Some(json!({"password": "another horse"}))),
        ("delete", "/api/v1/users/{id}/totp") => (OWNER, None),
        ("post", "/api/v1/tokens") => (OWNER, Some(json!({"name": "t", "role": "viewer"}))),
        ("delete", "/api/v1/devices/{id}" | "/api/v1/devices/{id}/sensors/{name}") => (MANAGER, None),
        ("delete", "/api/v1/groups/{id}" | "/api/v1/drivers/{id}") => (MANAGER_OF_ALL, None),
        ("delete", "/api/v1/users/{id}" | "/api/v1/tokens/{id}") => (OWNER, None),
        ("get", "/api/v1/unidentified") => (Needs::System, None),
        ("post", "/api/v1/unidentified/{id}") => (Needs::System, Some(json!({"protocol": "wialon"}))),
        ("get" | "delete", "/api/v1/listeners" | "/api/v1/listeners/{id}") => (Needs::System, None),
        ("post", "/api/v1/listeners") => (Needs::System, Some(json!({"protocol": "wialon", "listen": "127.0.0.1:1"}))),
        ("patch", "/api/v1/listeners/{id}") => (Needs::System, Some(json!({"enabled": false}))),
        ("post", "/api/v1/tenants") => (Needs::System, Some(json!({"id": "third"}))),
        ("patch", "/api/v1/tenants/{id}") => (Needs::System, Some(json!({"name": "x"}))),
        ("delete", "/api/v1/tenants/{id}") => (Needs::System, None),
        ("patch", "/api/v1/account") => (Needs::Account, Some(json!({"name": "x"}))),
        ("put", "/api/v1/account/password") => (Needs::Account, Some(json!({"old": "x", "new": "a new horse"}))),
        ("put", "/api/v1/account/totp") => (Needs::Account, Some(json!({"code": "123456"}))),
        ("post", "/api/v1/account/totp/removal") => (Needs::Account, Some(json!({"password": "x"}))),
        ("get" | "post" | "delete", path) if path.starts_with("/api/v1/account") => (Needs::Account, None),
        _ => return None,
    })
}

/// Operations that are asked for elsewhere: they never end, or have nobody who asks, or are the end of whoever does.
/// Looks at links that are none are counted by address, so that the answer depends on what came before: see [`check_links`].
fn is_left_out(method: &str, path: &str) -> bool {
    path.starts_with("/api/v1/shared")
        || matches!(
            (method, path),
            ("post", "/api/v1/sessions") | ("get", "/api/v1/live") | ("delete", "/api/v1/sessions/current")
        )
}

/// Whether an operation takes away what it names: of one's own, it is asked for what there is none of.
fn takes_away(method: &str, path: &str) -> bool {
    const KINDS: [&str; 6] = ["devices", "groups", "drivers", "users", "tokens", "queries"];
    let kind = |kind: &&str| path == format!("/api/v1/{kind}/{{id}}");
    method == "delete" && (KINDS.iter().any(kind) || path.ends_with("/sensors/{name}"))
}

fn check_silent(case: &str, answer: &Answer, asked: &str) {
    let text = answer.text();
    // Who asks for a foreign tenant by its name reads that name again, and nothing else of it.
    let text = if asked.is_empty() { text } else { text.replace(asked, "") };
    assert!(!text.contains(FOREIGN), "{case}: {text}");
    let foreign = &common::moment(FOREIGN_SECOND)[..16];
    assert!(!text.contains(foreign), "{case}: {text}");
    assert!(answer.status < 500, "{case}: {text}");
}

/// Where an operation is asked for: with the ids of a tenant's things.
fn path_of(method: &str, path: &str, ids: &Ids) -> String {
    let kind = path.split('/').nth(3).expect("a kind");
    let id = match (kind, takes_away(method, path), ids["tenants"] == FOREIGN) {
        ("unidentified", ..) => "1",
        (_, true, false) => "none",
        // Of the same id there would be one of one's own.
        ("devices", true, true) => ONLY_FOREIGN,
        _ => ids.get(kind).map_or("none", String::as_str),
    };
    let path = path.replace("{id}", id).replace("{number}", "1").replace("{name}", "fuel");
    path.replace("{share}", &ids["shares"])
}

/// A device that the foreign tenant alone has.
const ONLY_FOREIGN: &str = "333";

/// What somebody gets by all that only reads: each answer, byte for byte.
fn all_read(client: &Client, operations: &[(String, String)], ids: &Ids) -> Vec<(String, String)> {
    let gets = operations.iter().filter(|(method, path)| method == "get" && !is_left_out(method, path));
    let steady = gets.filter(|(_, path)| !is_restless(path));
    let mut all: Vec<_> =
        steady.map(|(method, path)| (path.clone(), client.get(&path_of(method, path, ids)).text())).collect();
    for format in ["jsonl", "csv"] {
        let answer = client.post("/api/v1/sql", &json!({"sql": ALL_RECORDS, "format": format}));
        all.push((format!("sql {format}"), answer.text()));
        let path = format!("/api/v1/devices/1/records?format={format}");
        all.push((path.clone(), client.get(&path).text()));
    }
    let frames = "/api/v1/devices/1/frames?raw=true";
    all.push((frames.to_owned(), client.get(frames).text()));
    all.push(("live".to_owned(), without_mark(&first_event(client))));
    all.push(("live by WebSocket".to_owned(), without_mark(&first_message(client))));
    all
}

/// What a stream of events begins with.
fn first_event(client: &Client) -> String {
    let mut watcher = client.begin("GET", "/api/v1/live", None);
    assert_eq!(client::head(&mut watcher).0, 200);
    let mut seen = String::new();
    client::chunks_until(&mut watcher, |piece| {
        seen.push_str(&String::from_utf8_lossy(piece));
        seen.contains("\n\n")
    });
    seen
}

/// What a WebSocket begins with (RFC 6455, section 5.2).
fn first_message(client: &Client) -> String {
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    let client = headers.iter().fold(client.clone(), |client, (name, value)| client.with(name, value));
    let mut stream = client.begin("GET", "/api/v1/live", None);
    assert_eq!(client::head(&mut stream).0, 101);
    let mut take = |count: u64| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut stream, count), &mut bytes).expect("a frame");
        bytes
    };
    let number = |bytes: Vec<u8>| bytes.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte));
    loop {
        let begin = take(2);
        let length = match begin[1] {
            126 => number(take(2)),
            127 => number(take(8)),
            length => u64::from(length),
        };
        let message = take(length);
        match begin[0] {
            // Whether we are there still.
            0x89 => {}
            0x81 => return String::from_utf8(message).expect("text"),
            other => panic!("{other:#x} is no whole message of text"),
        }
    }
}

/// Sixteen bytes, in base64.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Without what says only where in the stream somebody is.
fn without_mark(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\"mark\":") else { return text.to_owned() };
    let rest = rest.split_once([',', '}']).map_or("", |(_, rest)| rest);
    // The line that says it again, for browsers.
    let lines = before.lines().filter(|line| !line.starts_with("id:"));
    format!("{}{rest}", lines.collect::<Vec<_>>().join("\n"))
}

/// What the owner of the data folder gets by commands of one tenant.
fn exported(world: &World, tenant: &str) -> [String; 3] {
    let text = |arguments: &[&str]| world.place.text(arguments);
    [
        text(&["export", "records", "--tenant", tenant]),
        text(&["export", "frames", "--tenant", tenant]),
        text(&["sql", "--json", "--tenant", tenant, ALL_RECORDS]),
    ]
}

/// What the owner of the data folder gets by the control socket where a tenant is named, each answer byte for byte.
fn by_socket(world: &World, operations: &[(String, String)], ids: &Ids) -> Vec<(String, String)> {
    let (data, tenant) = (world.place.data(), &ids["tenants"]);
    let ask = |method: &str, path: &str, body: Option<&Value>| {
        let answer = client::by_socket(&data, method, path, body);
        assert!(answer.whole && answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text());
        answer.text()
    };
    let named = |path: &str| format!("{path}{}tenant={tenant}", if path.contains('?') { '&' } else { '?' });
    let gets = operations.iter().filter(|(method, path)| {
        method == "get" && !is_left_out(method, path) && !is_restless(path) && !is_of_all(path)
    });
    let mut all: Vec<_> =
        gets.map(|(method, path)| (path.clone(), ask("GET", &named(&path_of(method, path, ids)), None))).collect();
    for format in ["jsonl", "csv"] {
        let question = json!({"sql": ALL_RECORDS, "format": format});
        all.push((format!("sql {format}"), ask("POST", &named("/api/v1/sql"), Some(&question))));
        let path = format!("/api/v1/devices/1/records?format={format}");
        all.push((path.clone(), ask("GET", &named(&path), None)));
    }
    let frames = "/api/v1/devices/1/frames?raw=true";
    all.push((frames.to_owned(), ask("GET", &named(frames), None)));
    for (path, query) in [
        ("/control/export/records", json!({"tenant": tenant})),
        ("/control/export/records", json!({"tenant": tenant, "devices": ["1"], "format": "csv"})),
        ("/control/export/frames", json!({"tenant": tenant})),
        ("/control/export/frames", json!({"tenant": tenant, "devices": ["1"], "raw": true})),
        ("/control/sql", json!({"tenant": tenant, "sql": ALL_RECORDS})),
        ("/control/erase", json!({"of": {"tenant": tenant, "device": "1"}, "yes": false})),
    ] {
        all.push((format!("{path} {query}"), ask("POST", path, Some(&query))));
    }
    all
}

/// Counts, and who was there when, are told a moment later, whoever asks.
fn is_restless(path: &str) -> bool {
    let restless = ["/tokens", "/audit", "/account/sessions", "/system", "/tenants/{id}/usage"];
    restless.iter().any(|one| path["/api/v1".len()..].starts_with(one))
}

/// Whether it is about the whole installation, whichever tenant is named.
fn is_of_all(path: &str) -> bool {
    let of_all = ["/api/v1/unidentified", "/api/v1/listeners"];
    path == "/api/v1/tenants" || of_all.iter().any(|one| path.starts_with(one))
}

/// By the control socket, the owner of the folder may do anything; where a tenant is named, it is done there and nowhere else. Says in how
/// many ways that was tried.
fn check_socket(world: &World, operations: &[(String, String)], own_ids: &Ids, foreign_ids: &Ids) -> usize {
    let data = world.place.data();
    let above = |path: &str| is_of_all(path) || path.starts_with("/api/v1/tenants") || path.contains("/system");
    let mut cases = 0;
    for (method, path) in operations.iter().filter(|(method, path)| !is_left_out(method, path) && !above(path)) {
        let (needs, body) = terms(method, path).unwrap_or_else(|| panic!("{method} {path} has no row in this test"));
        for (ids, foreign) in [(own_ids, false), (foreign_ids, true)] {
            let asked = format!("{}?tenant=own", path_of(method, path, ids));
            let answer = client::by_socket(&data, &method.to_uppercase(), &asked, body.as_ref());
            let case = format!("by the socket, {method} {asked}");
            check_silent(&case, &answer, "");
            let is_account = needs == Needs::Account;
            assert_eq!(answer.status == 403, is_account, "{case}: {} {}", answer.status, answer.text());
            let is_named = takes_away(method, path) || path.contains("{share}") || !path.contains("devices");
            if foreign && path.contains("{id}") && is_named && !is_account {
                assert_eq!(answer.status, 404, "{case}: {}", answer.text());
            }
            cases += 1;
        }
    }
    for (path, query) in [
        ("/control/export/records", json!({"tenant": "own", "devices": [ONLY_FOREIGN]})),
        ("/control/export/frames", json!({"tenant": "own", "devices": [ONLY_FOREIGN]})),
        ("/control/erase", json!({"of": {"tenant": "own", "device": ONLY_FOREIGN}, "yes": true})),
        (
            "/control/sql",
            json!({"tenant": "own", "sql": format!("SELECT * FROM records WHERE device = '{ONLY_FOREIGN}'")}),
        ),
    ] {
        let answer = client::by_socket(&data, "POST", path, Some(&query));
        check_silent(&format!("{path} {query}"), &answer, "");
        // Also where that is an order to erase: of the own tenant there is no such device.
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        cases += 1;
    }
    cases
}

#[test]
fn no_tenant_sees_another() {
    let world = World::new();
    let owner = &world.roles.iter().find(|role| role.name == "owner false").expect("an owner").client;
    world.fill(0, owner, "own", 7);
    let description = owner.get("/api/v1/openapi.json").of(200);
    let operations: Vec<(String, String)> = description["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let own_ids = ids(owner);
    let read = || -> Vec<_> {
        world.roles.iter().map(|role| (&role.name, all_read(&role.client, &operations, &own_ids))).collect()
    };
    let (before, exported_before) = (read(), exported(&world, "own"));
    let by_socket_before = by_socket(&world, &operations, &own_ids);
    check_same_by_socket(&by_socket_before, &all_read(owner, &operations, &own_ids));
    world.fill(1, &world.foreign, FOREIGN, FOREIGN_SECOND);
    world.foreign.post("/api/v1/devices", &json!({"ids": [ONLY_FOREIGN], "name": FOREIGN})).of(201);
    for (now, then) in read().iter().zip(&before) {
        for (now, then) in now.1.iter().zip(&then.1) {
            assert_eq!(now, then, "whatever others have, answers are the same byte for byte");
        }
    }
    assert_eq!(exported(&world, "own"), exported_before);
    for (now, then) in by_socket(&world, &operations, &own_ids).iter().zip(&by_socket_before) {
        assert_eq!(now, then, "whatever others have, answers by the socket are the same byte for byte");
    }
    let foreign_ids = ids(&world.foreign);
    let foreign_before = (all_read(&world.foreign, &operations, &foreign_ids), exported(&world, FOREIGN));
    let mut cases = 0;
    for (method, path) in operations.iter().filter(|(method, path)| !is_left_out(method, path)) {
        for role in &world.roles {
            cases += check_operation(role, method, path, &own_ids, &foreign_ids);
        }
    }
    cases += check_socket(&world, &operations, &own_ids, &foreign_ids);
    println!("{cases} cases");
    let foreign_after = (all_read(&world.foreign, &operations, &foreign_ids), exported(&world, FOREIGN));
    check_same(&foreign_after, &foreign_before, "whatever others did, nothing of it changed");
    check_streams(&world);
    check_listeners(&world);
    check_cards(&world);
    check_links(&world, owner, &operations, &|method, path| path_of(method, path, &own_ids));
    check_queries(&world, &own_ids);
    check_signing(&world, &operations, &own_ids);
    // One of its own users has signed in, which shows.
    let foreign_before = (all_read(&world.foreign, &operations, &foreign_ids), exported(&world, FOREIGN));
    check_taking_away(&world, owner, &own_ids);
    let foreign_after = (all_read(&world.foreign, &operations, &foreign_ids), exported(&world, FOREIGN));
    check_same(&foreign_after, &foreign_before, "whatever others took away, nothing of it went");
}

type Seen = (Vec<(String, String)>, [String; 3]);

/// What was read before and after, answer by answer, so that a difference is found in what is printed.
fn check_same((answers, exports): &Seen, (answers_before, exports_before): &Seen, why: &str) {
    for (answer, before) in answers.iter().zip(answers_before) {
        assert_eq!(answer, before, "{why}");
    }
    assert_eq!((exports, answers.len()), (exports_before, answers_before.len()), "{why}");
}

/// The owner of the folder gets what an owner of the tenant gets, but for who it is.
fn check_same_by_socket(by_socket: &[(String, String)], by_token: &[(String, String)]) {
    let of_oneself = |path: &str| path == "/api/v1/sessions/current" || path.starts_with("/api/v1/account");
    let mut same = 0;
    for (path, answer) in by_socket.iter().filter(|(path, _)| !of_oneself(path)) {
        if let Some((_, by_token)) = by_token.iter().find(|(other, _)| other == path) {
            assert_eq!(answer, by_token, "{path}");
            same += 1;
        }
    }
    assert!(same >= 20, "{same} answers were compared");
}

/// One operation, as one role, about one's own things and a foreign tenant's. Says in how many ways.
fn check_operation(role: &Role, method: &str, path: &str, own_ids: &Ids, foreign_ids: &Ids) -> usize {
    let (needs, body) = terms(method, path).unwrap_or_else(|| panic!("{method} {path} has no row in this test"));
    let upper = method.to_uppercase();
    let own_path = path_of(method, path, own_ids);
    let own = role.client.ask(&upper, &own_path, body.as_ref());
    let case = format!("{} {method} {path}", role.name);
    check_silent(&case, &own, "");
    assert_eq!(own.status != 403, role.may(needs), "{case}: {} {}", own.status, own.text());
    assert_ne!(own.status, 401, "{case}: {}", own.text());
    assert!(!role.limited || !own.text().contains("own 2"), "{case}: a device of another group: {}", own.text());
    let foreign_paths = [path_of(method, path, foreign_ids), format!("{own_path}?tenant={FOREIGN}")];
    for foreign_path in &foreign_paths {
        // Devices have the same ids there, so what is asked about is the own one, but for those that would be taken away.
        let by_tenant = foreign_path.contains('?');
        let asked = if by_tenant || path.contains("tenants") { FOREIGN } else { "" };
        let answer = role.client.ask(&upper, foreign_path, body.as_ref());
        check_silent(&format!("{case} at {foreign_path}"), &answer, asked);
        let is_foreign = takes_away(method, path) || path.contains("{share}") || !path.contains("devices");
        if by_tenant {
            assert_eq!(answer.status, 404, "{case} at {foreign_path}: {}", answer.text());
        } else if path.contains("{id}") && is_foreign {
            assert!(matches!(answer.status, 403 | 404), "{case} at {foreign_path}: {}", answer.text());
        }
    }
    1 + foreign_paths.len()
}

/// Ports are the server's: whoever owns a tenant, be it the one where they are open, cannot open, change or close any, and reads of none.
fn check_listeners(world: &World) {
    let path = format!("/api/v1/listeners/{}", LISTENER.get().expect("it was made"));
    for client in world.roles.iter().map(|role| &role.client).chain([&world.foreign]) {
        assert_eq!(client.ask("PATCH", &path, Some(&json!({"enabled": false}))).problem(403), "forbidden");
        assert_eq!(client.ask("DELETE", &path, None).problem(403), "forbidden");
        let audit = client.get("/api/v1/audit?kind=listener");
        assert!(audit.status == 403 || audit.of(200) == json!([]), "what is done to them is in nobody's log here");
    }
    let seen = client::by_socket(&world.place.data(), "GET", &path, None).of(200);
    assert_eq!((&seen["state"], &seen["tenant"], &seen["revision"]), (&json!("open"), &json!(FOREIGN), &json!(1)));
    let log = client::by_socket(&world.place.data(), "GET", "/api/v1/audit?kind=listener", None).of(200);
    assert_eq!((log.as_array().map(Vec::len), &log[0]["action"]), (Some(1), &json!("listener.create")));
}

/// Whose card a device names, everybody is told; all else of the driver, who sees all devices.
fn check_cards(world: &World) {
    for role in &world.roles {
        let answer = role.client.get("/api/v1/drivers?card=011a");
        check_silent(&role.name, &answer, "");
        let seen = answer.of(200)[0].clone();
        let notes = if role.limited { "" } else { "own" };
        assert_eq!((&seen["name"], &seen["notes"]), (&json!("own driver"), &json!(notes)), "{}", role.name);
    }
}

/// Signing in opens one's own tenant alone, and signing out ends that.
fn check_signing(world: &World, operations: &[(String, String)], own_ids: &Ids) {
    let nobody = Client::nobody(world.server.http());
    for tenant in ["own", FOREIGN] {
        let path = format!("/api/v1/sessions?tenant={FOREIGN}");
        let wrong = nobody.post(&path, &json!({"login": format!("{tenant}-anna"), "password": "wrong horse"}));
        check_silent("a wrong password", &wrong, "");
        assert_eq!(wrong.problem(401), "wrong_login");
    }
    // The owner of the own tenant gave this one another password, and nobody the foreign one.
    let sign_in =
        |login: &str, password: &str| nobody.post("/api/v1/sessions", &json!({"login": login, "password": password}));
    assert_eq!(sign_in("own-anna", "another horse").of(201)["tenant"], "own");
    assert_eq!(sign_in(&format!("{FOREIGN}-anna"), "correct horse").of(201)["tenant"], FOREIGN);
    let leaving = world.roles.iter().find(|role| role.user && role.rank == 1 && !role.limited).expect("a viewer");
    leaving.client.ask("DELETE", "/api/v1/sessions/current", None).of(204);
    for (method, path) in operations.iter().filter(|(method, path)| terms(method, path).is_some()) {
        let answer = leaving.client.ask(&method.to_uppercase(), &path_of(method, path, own_ids), None);
        let is_open = path.starts_with("/api/v1/shared");
        assert!(is_open || answer.status == 401, "{method} {path}: {} {}", answer.status, answer.text());
    }
}

/// A query that a viewer saved is theirs and nobody's of their rank; managers of all devices may change it, and delete it.
fn check_queries(world: &World, own_ids: &Ids) {
    let find = |rank: u8, user: bool| {
        let role = world.roles.iter().find(|role| role.rank == rank && !role.limited && role.user == user);
        &role.expect("a role").client
    };
    let (maker, namesake, manager) = (find(1, true), find(1, false), find(2, false));
    let made = maker.post("/api/v1/queries", &json!({"name": "Mine", "sql": "SELECT 3 AS n"})).of(201);
    let path = format!("/api/v1/queries/{}", made["id"].as_str().expect("an id"));
    let change = |client: &Client, name: &str| client.ask("PATCH", &path, Some(&json!({"name": name})));
    assert_eq!(change(maker, "Still mine").of(200)["name"], "Still mine");
    let seen = namesake.get(&path).of(200);
    assert_eq!((&seen["created_by"], &seen["changeable"]), (&json!("own-viewer-false"), &json!(false)));
    assert_eq!(namesake.post("/api/v1/sql", &json!({"sql": seen["sql"]})).text().trim(), "{\"n\":3}");
    assert_eq!(change(namesake, "Theirs").problem(403), "forbidden");
    assert_eq!(namesake.ask("DELETE", &path, None).problem(403), "forbidden");
    let owners = format!("/api/v1/queries/{}", own_ids["queries"]);
    assert_eq!(maker.ask("DELETE", &owners, None).problem(403), "forbidden");
    assert_eq!(world.foreign.ask("DELETE", &path, None).problem(404), "not_found");
    change(manager, "Ours").of(200);
    manager.ask("DELETE", &path, None).of(204);
    assert_eq!(maker.get(&path).problem(404), "not_found");
}

/// What is taken away is one's own, and nobody else's of the same name.
fn check_taking_away(world: &World, owner: &Client, own_ids: &Ids) {
    let limited = world.roles.iter().find(|role| role.limited && role.rank == 2 && role.user).expect("a manager");
    let delete = |client: &Client, path: &str| client.ask("DELETE", path, None);
    assert_eq!(delete(&limited.client, "/api/v1/devices/2").problem(404), "not_found", "a device of another group");
    assert_eq!(delete(&limited.client, "/api/v1/devices/2/sensors/fuel").problem(404), "not_found");
    delete(&limited.client, "/api/v1/devices/1/sensors/fuel").of(204);
    delete(&limited.client, "/api/v1/devices/1").of(204);
    for kind in ["drivers", "groups", "queries", "users"] {
        let path = format!("/api/v1/{kind}/{}", own_ids[kind]);
        let gone = delete(owner, &path);
        // A group with users in it stays, and says so.
        assert!(gone.status == 204 || (kind == "groups" && gone.status == 409), "{path}: {}", gone.text());
    }
}

/// A position of that moment.
fn line_of(moment: i64) -> String {
    let text = Time(moment).to_string();
    let part = |from: usize, to: usize| text.get(from..to).expect("a part of a moment").replace(':', "");
    let date = format!("{}{}{}", part(8, 10), part(5, 7), part(2, 4));
    format!("#SD#{date};{};5355.0926;N;02732.4096;E;61;2;300;7", part(11, 19))
}

/// A link shows one device, as much of it as is said, and nothing else; a foreign tenant cannot take it back.
fn check_links(world: &World, owner: &Client, operations: &[(String, String)], path_of: &dyn Fn(&str, &str) -> String) {
    let make = |body: &Value| owner.post("/api/v1/devices/1/shares", body).of(201);
    let holder = |made: &Value| Client::with_token(world.server.http(), made["secret"].as_str().expect("a secret"));
    let now = SystemClock::new().now().div_euclid(1000) * 1000;
    let made = make(&json!({"since": now - 60_000}));
    let link = holder(&made);
    // What it shows of the past begins where it says.
    assert_eq!(link.get("/api/v1/shared/track").of(200), json!({"points": []}));
    let mut device = Device::connect(world.listener(0));
    assert_eq!(device.login("1"), "#AL#1");
    // What was ordered of it comes as soon as it is here, perhaps before its answer.
    let mut heard = device.say(&line_of(now));
    while heard == "VER?" {
        heard = device.hear();
    }
    assert_eq!(heard, "#ASD#1");
    until(|| link.get("/api/v1/shared").of(200)["speed_kph"] == 61.0);
    let seen = link.get("/api/v1/shared");
    check_silent("a link", &seen, "");
    assert_eq!((seen.header("cache-control"), seen.header("referrer-policy")), (Some("no-store"), Some("no-referrer")));
    let seen = seen.of(200);
    let told: Vec<&str> = seen.as_object().expect("an object").keys().map(String::as_str).collect();
    let all = ["expires", "heading", "name", "place", "since", "speed_kph", "state", "temperatures", "time"];
    assert_eq!(told, all, "and nothing else");
    assert_eq!((&seen["name"], &seen["heading"], &seen["since"]), (&json!("own 1"), &json!(2.0), &json!(now - 60_000)));
    let track = link.get("/api/v1/shared/track");
    check_silent("the way of a link", &track, "");
    let points = track.of(200)["points"].clone();
    assert_eq!(points, json!([{"time": now, "place": seen["place"]}]));
    // What it opens is that, the map behind it, and no other address.
    let is_open = |path: &str| path.starts_with("/api/v1/shared") || path == "/api/v1/map/tiles";
    for (method, path) in operations.iter().filter(|(_, path)| !is_open(path)) {
        if (method.as_str(), path.as_str()) != ("post", "/api/v1/sessions") {
            let answer = link.ask(&method.to_uppercase(), &path_of(method, path), None);
            assert_eq!(answer.problem(401), "unauthenticated", "{method} {path}");
        }
    }
    let path = format!("/api/v1/devices/1/shares/{}", made["id"].as_str().expect("an id"));
    assert_eq!(world.foreign.ask("DELETE", &path, None).problem(404), "not_found");
    link.get("/api/v1/shared").of(200);
    let listed = owner.get("/api/v1/shares?limit=1").of(200);
    assert_eq!((&listed["shares"][0]["id"], &listed["shares"][0]["created_by"]), (&made["id"], &json!("own")));
    let next = listed["next"].as_str().expect("a next page");
    let rest = owner.get(&format!("/api/v1/shares?cursor={next}")).of(200);
    assert!(rest["next"].is_null() && !rest.to_string().contains(made["id"].as_str().expect("an id")), "{rest}");
    assert!(!world.foreign.get("/api/v1/shares").text().contains(made["id"].as_str().expect("an id")));
    owner.ask("DELETE", &path, None).of(204);
    let ending = holder(&make(&json!({"expires": SystemClock::new().now() + 10_000})));
    ending.get("/api/v1/shared").of(200);
    let nobody = Client::nobody(world.server.http());
    assert_eq!(owner.get("/api/v1/shared").problem(404), "not_found", "a token is no link");
    until(|| ending.get("/api/v1/shared").status == 404);
    for gone in [link, ending, nobody] {
        assert_eq!(gone.get("/api/v1/shared").problem(404), "not_found");
        assert_eq!(gone.get("/api/v1/shared/track").problem(404), "not_found");
    }
}

/// What is live, and what commands of the folder's owner export of one tenant.
fn check_streams(world: &World) {
    for role in &world.roles {
        let answer = role.client.get("/api/v1/devices?live=moving,stopped,no_signal,alarm,unseen&limit=1000");
        check_silent(&role.name, &answer, "");
        assert_eq!(answer.of(200)["devices"].as_array().map(Vec::len), Some(if role.limited { 1 } else { 2 }));
        for seen in [first_event(&role.client), first_message(&role.client)] {
            assert!(seen.contains("\"device\":\"1\"") && !seen.contains(FOREIGN), "{}: {seen}", role.name);
            assert_eq!(seen.contains("\"device\":\"2\""), !role.limited, "{}: {seen}", role.name);
            assert!(!seen.contains(&common::moment(FOREIGN_SECOND)[..16]), "{seen}");
        }
    }
    let exported = world.place.records(&["--tenant", "own"]);
    assert_eq!(exported.len(), 2);
    assert!(exported.iter().all(|record| record["time"] == common::moment(7)), "{exported:?}");
    let frames = world.place.text(&["export", "frames", "--tenant", "own", "--device", "1"]);
    assert_eq!(frames.lines().count(), 4, "a login, a position, and both answers: {frames}");
    let rows = world.place.text(&["sql", "--tenant", "own", "--json", "SELECT count(*) AS n FROM records"]);
    assert_eq!(rows.trim(), "{\"n\":2}");
}
