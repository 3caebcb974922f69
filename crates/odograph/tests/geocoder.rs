//! Addresses of places, from a geocoder that the configuration names: for those who have signed in, and in nobody's way.

mod client;
mod common;

use client::Client;
use common::{Device, Place, Server, errors};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A geocoder that knows each place by its numbers, and says nothing of the first degree.
fn geocoder() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || while answer(&stream).is_some() {});
        }
    });
    address
}

fn answer(mut stream: &TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let asked = lines.next()?;
    lines.for_each(drop);
    let place = asked.split(['?', '&']).filter(|part| part.starts_with('l')).collect::<Vec<_>>().join(" ");
    if place.starts_with("lat=1 ") {
        return Some(());
    }
    let body = json!({"display_name": place, "licence": "© Test"}).to_string();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}

fn viewer(place: &Place, server: &Server) -> Client {
    let made: Value = serde_json::from_str(&place.text(&["token", "create", "--json"])).expect("JSON");
    Client::with_token(server.http(), made["secret"].as_str().expect("a secret"))
}

#[test]
fn whoever_has_signed_in_gets_addresses_and_nobody_sees_the_key() {
    let place = Place::new();
    let file = format!(
        "[geocoder]\nurl = \"http://{}/reverse?lat={{latitude}}&lon={{longitude}}&key=hush\"\ntimeout = \"5 s\"\n\
         requests_per_second = 100\n",
        geocoder()
    );
    let config = place.write("odograph.toml", &file);
    let config = ["--config", config.to_str().expect("a path")];
    let shown = place.text(&[&["config", "show"], &config[..]].concat());
    assert!(shown.contains("key=hidden") && !shown.contains("hush"), "{shown}");
    let checked = place.run(&[&["config", "check"], &config[..]].concat());
    assert_eq!(checked.status.code(), Some(0), "{}", errors(&checked));
    let server = place.serve_with(&[&["--listen", "wialon=127.0.0.1:0"], &config[..]].concat());
    let nobody = Client::nobody(server.http());
    assert_eq!(nobody.get("/api/v1/address?latitude=48.3984&longitude=9.9916").problem(401), "unauthenticated");
    let api = viewer(&place, &server);
    assert_eq!(api.get("/api/v1/sessions/current").of(200)["addresses"], true);
    let found = api.get("/api/v1/address?latitude=48.39841&longitude=9.99161").of(200);
    assert_eq!(found, json!({"text": "lat=48.3984 lon=9.9916", "source": "© Test"}));
    for odd in ["latitude=91&longitude=0", "latitude=0&longitude=-180.1", "latitude=NaN&longitude=0", "latitude=5"] {
        assert_eq!(api.get(&format!("/api/v1/address?{odd}")).problem(400), "invalid", "{odd}");
    }
    // While it stalls, devices are served, and so is everybody else.
    let stalled = std::thread::scope(|scope| {
        let stalled = scope.spawn(|| api.get("/api/v1/address?latitude=1&longitude=9"));
        let mut device = Device::connect(server.listener("tcp"));
        assert_eq!((device.login("1").as_str(), device.position(1).as_str()), ("#AL#1", "#ASD#1"));
        assert_eq!(api.get("/api/v1/devices").status, 200);
        stalled.join().expect("an answer")
    });
    assert!(stalled.header("retry-after").is_some());
    assert_eq!(stalled.problem(503), "unavailable");
    // What is known is known all the same.
    assert_eq!(api.get("/api/v1/address?latitude=48.3984&longitude=9.9916").of(200), found);
    let metrics = server.get("/metrics").1;
    for line in ["odograph_geocoder_requests_total 2", "odograph_geocoder_failures_total 1"] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    let told = server.log_line(|line| {
        assert!(!line.to_string().contains("hush"), "{line}");
        line["message"].as_str().is_some_and(|text| text.starts_with("the geocoder does not answer in time"))
    });
    assert_eq!(told["level"], "WARN");
    assert!(server.start.iter().all(|line| !line.to_string().contains("hush")), "{:?}", server.start);
}

#[test]
fn without_a_geocoder_there_are_no_addresses() {
    let place = Place::new();
    let server = place.serve();
    let api = viewer(&place, &server);
    assert_eq!(api.get("/api/v1/address?latitude=48&longitude=10").problem(404), "not_found");
    assert_eq!(api.get("/api/v1/sessions/current").of(200)["addresses"], false);
}
