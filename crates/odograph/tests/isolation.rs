//! No tenant sees another: every address of the API, by every role, about one's own things and a foreign tenant's, which has
//! devices of the same ids.

mod client;
mod common;

use client::{Answer, Client};
use common::{Device, Place, Server};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What stands in everything that the foreign tenant has, and nowhere else.
const FOREIGN: &str = "zulu";

/// Positions of the foreign tenant's devices were sent at other seconds.
const FOREIGN_SECOND: u32 = 3000;

/// Somebody who asks, and the rank of the role.
struct Role {
    name: &'static str,
    rank: u8,
    /// Sees but the devices of the group North.
    limited: bool,
    client: Client,
}

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
        let role = |name, rank, limited| {
            let mut more = vec!["--role", if limited { "viewer" } else { name }];
            more.extend(limited.then_some(["--group", group]).into_iter().flatten());
            Role { name, rank, limited, client: client(&token(&place, "own", &more)) }
        };
        let roles = vec![
            role("limited", 0, true),
            role("viewer", 1, false),
            role("manager", 2, false),
            role("owner", 3, false),
        ];
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
        // It is answered to nobody, because the device has left.
        owner.post("/api/v1/devices/1/commands", &json!({"text": format!("{word} VER?")})).of(201);
        let user =
            json!({"login": format!("{word}-anna"), "name": word, "password": "correct horse", "role": "viewer"});
        owner.post("/api/v1/users", &user).of(201);
        let sensor = json!({"unit": word, "formula": "1"});
        owner.ask("PUT", "/api/v1/devices/1/sensors/fuel", Some(&sensor)).of(200);
        let driver = json!({"name": format!("{word} driver"), "cards": ["01-1A"], "notes": word});
        owner.post("/api/v1/drivers", &driver).of(201);
        owner.post("/api/v1/devices/1/shares", &json!({})).of(201);
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
    let mut ids = Ids::new();
    ids.insert("devices", "1".to_owned());
    ids.insert("groups", first("/api/v1/groups"));
    ids.insert("users", first("/api/v1/users"));
    ids.insert("drivers", first("/api/v1/drivers"));
    ids.insert("tokens", first("/api/v1/tokens"));
    ids.insert("shares", first("/api/v1/devices/1/shares"));
    ids.insert(
        "tenants",
        owner.get("/api/v1/sessions/current").of(200)["tenant"].as_str().expect("a tenant").to_owned(),
    );
    ids
}

const ALL_RECORDS: &str = "SELECT * FROM records UNION ALL BY NAME SELECT * FROM last";

/// What an operation needs at least, and what is sent with it. Every operation of the description stands here.
fn terms(method: &str, path: &str) -> Option<(u8, Option<Value>)> {
    const LIMITED: u8 = 0;
    const VIEWER: u8 = 1;
    const MANAGER: u8 = 2;
    const OWNER: u8 = 3;
    /// For users and for those who manage tenants, and no token here is either.
    const NOBODY: u8 = 9;
    Some(match (method, path) {
        (
            "get",
            "/api/v1/sessions/current"
            | "/api/v1/devices"
            | "/api/v1/groups"
            | "/api/v1/drivers"
            | "/api/v1/drivers/{id}"
            | "/api/v1/tenants"
            | "/api/v1/tenants/{id}",
        ) => (LIMITED, None),
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
        ) => (LIMITED, None),
        ("get", "/api/v1/shared" | "/api/v1/shared/track") => (LIMITED, None),
        ("get" | "delete", "/api/v1/devices/{id}/shares" | "/api/v1/devices/{id}/shares/{share}") => (MANAGER, None),
        ("post", "/api/v1/devices/{id}/shares") => (MANAGER, Some(json!({}))),
        ("post", "/api/v1/devices/{id}/commands") => (MANAGER, Some(json!({"text": "VER?"}))),
        ("delete", "/api/v1/devices/{id}/commands/{number}") | ("get", "/api/v1/shares") => (MANAGER, None),
        ("get", "/api/v1/live/view" | "/api/v1/live/counts") => (LIMITED, None),
        ("get", "/api/v1/protocols" | "/api/v1/parameters") => (LIMITED, None),
        ("post", "/api/v1/decode") => (LIMITED, Some(json!({"messages": ["00"]}))),
        ("post", "/api/v1/sql") => (VIEWER, Some(json!({"sql": ALL_RECORDS}))),
        ("post", "/api/v1/devices") => (MANAGER, Some(json!({"ids": ["2"]}))),
        ("post", "/api/v1/devices/{id}/erase") => (OWNER, Some(json!({"yes": false}))),
        ("patch", "/api/v1/devices/{id}") => (MANAGER, Some(json!({"plate": "X"}))),
        ("put", "/api/v1/devices/{id}/sensors/{name}") => (MANAGER, Some(json!({"formula": "1"}))),
        ("post", "/api/v1/devices/{id}/sensors/preview") => (LIMITED, Some(json!({"formula": "1"}))),
        ("post", "/api/v1/drivers") => (MANAGER, Some(json!({"name": "Driver", "cards": []}))),
        ("patch", "/api/v1/drivers/{id}") => (MANAGER, Some(json!({"phone": "1"}))),
        ("post", "/api/v1/groups") => (MANAGER, Some(json!({"name": "North"}))),
        ("patch", "/api/v1/groups/{id}") => (MANAGER, Some(json!({"name": "North"}))),
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
        ("get", "/api/v1/unidentified") => (NOBODY, None),
        ("post", "/api/v1/unidentified/{id}") => (NOBODY, Some(json!({"protocol": "wialon"}))),
        ("post", "/api/v1/tenants") => (NOBODY, Some(json!({"id": "third"}))),
        ("patch", "/api/v1/tenants/{id}") => (NOBODY, Some(json!({"name": "x"}))),
        ("delete", "/api/v1/tenants/{id}") => (NOBODY, None),
        ("patch", "/api/v1/account") => (NOBODY, Some(json!({"name": "x"}))),
        ("put", "/api/v1/account/password") => (NOBODY, Some(json!({"old": "x", "new": "a new horse"}))),
        ("put", "/api/v1/account/totp") => (NOBODY, Some(json!({"code": "123456"}))),
        ("post", "/api/v1/account/totp/removal") => (NOBODY, Some(json!({"password": "x"}))),
        ("get" | "post" | "delete", path) if path.starts_with("/api/v1/account") => (NOBODY, None),
        ("delete", "/api/v1/sessions/current") => (NOBODY, None),
        _ => return None,
    })
}

/// Operations that are asked for elsewhere: they end things, or never end.
fn is_left_out(method: &str, path: &str) -> bool {
    if (method, path) == ("delete", "/api/v1/devices/{id}/sensors/{name}") {
        return true;
    }
    matches!(
        (method, path),
        (
            "delete",
            "/api/v1/devices/{id}"
                | "/api/v1/drivers/{id}"
                | "/api/v1/groups/{id}"
                | "/api/v1/users/{id}"
                | "/api/v1/tokens/{id}"
        )
    ) || matches!((method, path), ("post", "/api/v1/sessions") | ("get", "/api/v1/live"))
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

#[test]
fn no_tenant_sees_another() {
    let world = World::new();
    let owner = &world.roles.iter().find(|role| role.name == "owner").expect("an owner").client;
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
    let path_of = |path: &str, ids: &Ids| {
        let kind = path.split('/').nth(3).expect("a kind");
        if kind == "unidentified" {
            return path.replace("{id}", "1");
        }
        path.replace("{id}", ids.get(kind).map_or("none", String::as_str))
            .replace("{number}", "1")
            .replace("{name}", "fuel")
            .replace("{share}", &ids["shares"])
    };
    let same = |role: &Role| -> Vec<Vec<u8>> {
        let gets = operations.iter().filter(|(method, path)| method == "get" && !is_left_out(method, path));
        let steady = gets.filter(|(_, path)| !path.starts_with("/api/v1/tokens") && path != "/api/v1/audit");
        // Counts are told a moment later, whoever asks.
        let steady = steady.filter(|(_, path)| path != "/api/v1/tenants/{id}/usage" && path != "/api/v1/system");
        steady.map(|(_, path)| role.client.get(&path_of(path, &own_ids)).body).collect()
    };
    let before: Vec<_> = world.roles.iter().map(same).collect();
    world.fill(1, &world.foreign, FOREIGN, FOREIGN_SECOND);
    let after: Vec<_> = world.roles.iter().map(same).collect();
    assert_eq!(before, after, "whatever others have, answers are the same byte for byte");
    let foreign_ids = ids(&world.foreign);
    let mut cases = 0;
    for (method, path) in operations.iter().filter(|(method, path)| !is_left_out(method, path)) {
        let (needed, body) = terms(method, path).unwrap_or_else(|| panic!("{method} {path} has no row in this test"));
        for role in &world.roles {
            let upper = method.to_uppercase();
            let own = role.client.ask(&upper, &path_of(path, &own_ids), body.as_ref());
            let case = format!("{} {method} {path}", role.name);
            check_silent(&case, &own, "");
            let may = role.rank >= needed;
            assert_eq!(own.status != 403, may, "{case}: {} {}", own.status, own.text());
            assert!(
                !role.limited || !own.text().contains("own 2"),
                "{case}: a device of another group: {}",
                own.text()
            );
            cases += 1;
            for foreign_path in [path_of(path, &foreign_ids), format!("{}?tenant={FOREIGN}", path_of(path, &own_ids))] {
                // Devices have the same ids there, so what is asked about is the own one.
                let by_tenant = foreign_path.contains('?');
                let asked = if by_tenant || path.contains("tenants") { FOREIGN } else { "" };
                let answer = role.client.ask(&upper, &foreign_path, body.as_ref());
                check_silent(&format!("{case} at {foreign_path}"), &answer, asked);
                if by_tenant {
                    assert_eq!(answer.status, 404, "{case} at {foreign_path}: {}", answer.text());
                } else if path.contains("{share}") || (path.contains("{id}") && !path.contains("devices")) {
                    assert!(matches!(answer.status, 403 | 404), "{case} at {foreign_path}: {}", answer.text());
                }
                cases += 1;
            }
        }
    }
    println!("{cases} cases");
    check_streams(&world);
    check_links(&world, owner, &operations, &|path| path_of(path, &own_ids));
}

/// A position of that moment.
fn line_of(moment: i64) -> String {
    let text = Time(moment).to_string();
    let part = |from: usize, to: usize| text.get(from..to).expect("a part of a moment").replace(':', "");
    let date = format!("{}{}{}", part(8, 10), part(5, 7), part(2, 4));
    format!("#SD#{date};{};5355.0926;N;02732.4096;E;61;2;300;7", part(11, 19))
}

/// A link shows one device, as much of it as is said, and nothing else; a foreign tenant cannot take it back.
fn check_links(world: &World, owner: &Client, operations: &[(String, String)], path_of: &dyn Fn(&str) -> String) {
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
    // What it opens is that, and no other address.
    for (method, path) in operations.iter().filter(|(_, path)| !path.starts_with("/api/v1/shared")) {
        if (method.as_str(), path.as_str()) != ("post", "/api/v1/sessions") {
            let answer = link.ask(&method.to_uppercase(), &path_of(path), None);
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
    let ending = holder(&make(&json!({"expires": SystemClock::new().now() + 2000})));
    ending.get("/api/v1/shared").of(200);
    let nobody = Client::nobody(world.server.http());
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
        check_silent(role.name, &answer, "");
        assert_eq!(answer.of(200)["devices"].as_array().map(Vec::len), Some(if role.limited { 1 } else { 2 }));
        let mut watcher = role.client.begin("GET", "/api/v1/live", None);
        assert_eq!(client::head(&mut watcher).0, 200);
        let mut seen = String::new();
        let mut pieces = 0;
        client::chunks_until(&mut watcher, |piece| {
            seen.push_str(&String::from_utf8_lossy(piece));
            pieces += 1;
            seen.contains("\n\n")
        });
        assert!(seen.contains("\"device\":\"1\"") && !seen.contains(FOREIGN), "{}: {seen}", role.name);
        assert_eq!(seen.contains("\"device\":\"2\""), !role.limited, "{}: {seen}", role.name);
        assert!(!seen.contains(&common::moment(FOREIGN_SECOND)[..16]), "{seen}");
    }
    let exported = world.place.records(&["--tenant", "own"]);
    assert_eq!(exported.len(), 2);
    assert!(exported.iter().all(|record| record["time"] == common::moment(7)), "{exported:?}");
    let frames = world.place.text(&["export", "frames", "--tenant", "own", "--device", "1"]);
    assert_eq!(frames.lines().count(), 4, "a login, a position, and both answers: {frames}");
    let rows = world.place.text(&["sql", "--tenant", "own", "--json", "SELECT count(*) AS n FROM records"]);
    assert_eq!(rows.trim(), "{\"n\":2}");
}
