//! The map's file over HTTP: which parts of it somebody gets, who does, and what is said of a file that is none.

mod client;
mod common;

use client::{Answer, Client};
use common::{Place, Server, errors};
use serde_json::{Value, json};

/// Longer than an answer may be, and than what is read at once: bytes by which each place can be told.
fn archive() -> Vec<u8> {
    let mut archive = b"PMTiles\x03".to_vec();
    archive.extend((archive.len()..ANSWER_BYTES_MAX + 70_000).map(|place| (place * 31 + place / 251) as u8));
    archive
}

const ANSWER_BYTES_MAX: usize = 16 << 20;
const TILES: &str = "/api/v1/map/tiles";

fn secret(place: &Place) -> String {
    let made: Value =
        serde_json::from_str(&place.text(&["token", "create", "--json", "--role", "manager"])).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

/// A server with this file, and what its pages are told of the map.
fn serve(place: &Place, file: &str) -> (Server, Value) {
    let mut command = place.command(&["serve", "--listen", "wialon=127.0.0.1:0"]);
    command.env("ODOGRAPH_MAP__TILES", place.folder.path().join(file));
    let server = Server::start(command);
    let told = Client::nobody(server.http()).get("/map.json").of(200);
    (server, told["tiles"].clone())
}

fn part(client: &Client, range: &str) -> Answer {
    client.clone().with("range", range).get(TILES)
}

#[test]
fn parts_of_the_file_are_read_by_whoever_has_signed_in_or_has_a_link() {
    let (place, archive) = (Place::new(), archive());
    std::fs::write(place.folder.path().join("region.pmtiles"), &archive).expect("a file is written");
    let (server, told) = serve(&place, "region.pmtiles");
    assert_eq!(told, TILES);
    let somebody = Client::with_token(server.http(), &secret(&place));
    let check = |range: &str, from: usize, until: usize| {
        let answer = part(&somebody, range);
        assert_eq!(answer.status, 206, "{range}: {}", answer.text());
        assert!(answer.body == archive[from..until], "{range}: other bytes");
        let is = format!("bytes {from}-{}/{}", until - 1, archive.len());
        assert_eq!(answer.header("content-range"), Some(&*is), "{range}");
        assert_eq!(answer.header("content-type"), Some("application/vnd.pmtiles"));
        assert_eq!(answer.header("cache-control"), Some("private, max-age=86400"));
    };
    let end = archive.len();
    check("bytes=0-0", 0, 1);
    check("bytes=0-16383", 0, 16_384);
    check("bytes=65535-65536", 65_535, 65_537);
    check("bytes=1000-201000", 1000, 201_001);
    check(&format!("bytes={}-", end - 5), end - 5, end);
    check(&format!("bytes={}-{}", end - 5, end + 100), end - 5, end);
    check("bytes=-7", end - 7, end);
    check("bytes=3-", 3, 3 + ANSWER_BYTES_MAX);
    let beyond = part(&somebody, &format!("bytes={end}-{}", end + 9));
    assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{end}")));
    assert_eq!(beyond.problem(416), "range");
    assert_eq!(somebody.get(TILES).problem(400), "invalid");
    for wrong in ["bytes=9-3", "bytes=0-1,5-6", "lines=0-1"] {
        assert_eq!(part(&somebody, wrong).problem(400), "invalid", "{wrong}");
    }
    let tag = part(&somebody, "bytes=0-9").header("etag").expect("a tag").to_owned();
    let again = part(&somebody.clone().with("if-none-match", &tag), "bytes=0-9");
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(&*tag), 0));
    assert_eq!(part(&somebody.clone().with("if-none-match", "\"other\""), "bytes=0-9").status, 206);
    let same = part(&somebody.clone().with("if-range", &tag), "bytes=0-9");
    assert_eq!((same.status, &same.body[..]), (206, &archive[..10]));
    // Of another file it would be all of this one, which no answer has.
    let other = part(&somebody.clone().with("if-range", "\"other\""), "bytes=0-9");
    assert_eq!((other.header("etag"), other.header("cache-control")), (Some(&*tag), Some("no-store")));
    assert_eq!(other.problem(400), "invalid");
    let check_refused =
        |client: &Client, status: u16, code: &str| assert_eq!(part(client, "bytes=0-9").problem(status), code);
    check_refused(&Client::nobody(server.http()), 401, "unauthenticated");
    check_refused(&Client::with_token(server.http(), &format!("odo_{}", "A".repeat(43))), 401, "unauthenticated");
    check_refused(&Client::with_token(server.http(), &format!("odl_{}", "A".repeat(43))), 404, "not_found");
    somebody.post("/api/v1/devices", &json!({"ids": ["1"]})).of(201);
    let made = somebody.post("/api/v1/devices/1/shares", &json!({})).of(201);
    let link = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    // More often than the device itself may be asked for with a link.
    for _ in 0..300 {
        let answer = part(&link, "bytes=0-9");
        assert_eq!((answer.status, &answer.body[..]), (206, &archive[..10]), "{}", answer.text());
    }
    let shares = format!("/api/v1/devices/1/shares/{}", made["id"].as_str().expect("an id"));
    somebody.ask("DELETE", &shares, None).of(204);
    check_refused(&link, 404, "not_found");
}

#[test]
fn a_file_that_is_written_over_has_another_tag() {
    let place = Place::new();
    let path = place.folder.path().join("region.pmtiles");
    let written = |byte: u8, bytes: usize| {
        let mut archive = b"PMTiles\x03".to_vec();
        archive.resize(bytes, byte);
        std::fs::write(&path, archive).expect("a file is written");
    };
    written(1, 200);
    let (server, _) = serve(&place, "region.pmtiles");
    let somebody = Client::with_token(server.http(), &secret(&place));
    let (before, _) = (part(&somebody, "bytes=0-"), written(2, 300));
    let now = part(&somebody.clone().with("if-none-match", before.header("etag").expect("a tag")), "bytes=0-");
    assert_eq!((now.status, now.body.len(), now.body[299]), (206, 300, 2));
    assert_ne!(before.header("etag"), now.header("etag"));
    // Whoever has a part of the file that was there gets no part of this one to put beside it, but all of it.
    let range = |tag: Option<&str>| part(&somebody.clone().with("if-range", tag.expect("a tag")), "bytes=100-199");
    let whole = range(before.header("etag"));
    assert_eq!((whole.status, whole.body.len(), whole.header("content-range")), (200, 300, None));
    assert_eq!(whole.header("etag"), now.header("etag"));
    let weak = format!("W/{}", now.header("etag").expect("a tag"));
    for other in [&*weak, "Sun, 29 Nov 2026 10:00:00 GMT"] {
        assert_eq!(range(Some(other)).status, 200, "{other}");
    }
    let rest = range(now.header("etag"));
    assert_eq!((rest.status, rest.body.len(), rest.header("content-range")), (206, 100, Some("bytes 100-199/300")));
    let all = somebody.get(TILES);
    assert_eq!((all.status, all.body.len(), all.header("accept-ranges")), (200, 300, Some("bytes")));
}

#[test]
fn a_file_that_is_no_map_is_told_and_keeps_no_device_away() {
    let place = Place::new();
    let folder = place.folder.path().display().to_string();
    let check = |file: &str, told: &str| {
        let config = place.write("odograph.toml", &format!("[map]\ntiles = \"{folder}/{file}\"\n"));
        let config = config.to_str().expect("UTF-8").to_owned();
        let output = place.run(&["config", "check", "--config", &config]);
        let expected = format!("error: {config}:2:1: map.tiles: {told}\n").replace(&folder, "");
        assert_eq!((output.status.code(), errors(&output).replace(&folder, "")), (Some(78), expected));
        let (server, tiles) = serve(&place, file);
        assert_eq!(tiles, Value::Null, "pages show the map that they have");
        let is_it =
            |line: &Value| line["level"] == "ERROR" && line["message"].as_str().is_some_and(|it| it.contains(told));
        assert!(server.start.iter().any(|line| is_it(&without(line, &folder))), "{:?}", server.start);
        let somebody = Client::with_token(server.http(), &secret(&place));
        assert_eq!(part(&somebody, "bytes=0-9").problem(404), "not_found");
        server.stop();
    };
    check("nowhere.pmtiles", "cannot open /nowhere.pmtiles: No such file or directory (os error 2)");
    place.write("text.pmtiles", "not a map");
    check("text.pmtiles", "/text.pmtiles is no PMTiles archive: it does not begin as one");
    place.write("old.pmtiles", &format!("PMTiles\u{2}{}", "x".repeat(200)));
    check(
        "old.pmtiles",
        "/old.pmtiles is a PMTiles archive of version 2, and only version 3 is understood: `pmtiles convert` makes that of it",
    );
}

/// A line of the log, whose paths are those of a test's folder.
fn without(line: &Value, folder: &str) -> Value {
    serde_json::from_str(&line.to_string().replace(folder, "")).expect("JSON")
}
