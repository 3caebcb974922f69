//! Tenants that are deleted and made anew.

mod client;
mod common;

use client::by_socket;
use common::{Device, Place, control, errors, until};
use serde_json::{Value, json};

/// It stays in history, and is nobody's until somebody says whose.
#[test]
fn what_was_sent_to_a_deleted_tenant_is_not_the_next_ones_unless_that_is_said() {
    let place = Place::new();
    let file = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\ntenant = \"north\"\n\
                [ingest]\ndefault_ports = false\n";
    let config = place.write("odograph.toml", file);
    let server = place.serve_with(&["--config", config.to_str().expect("a path")]);
    let ask = |method: &str, path: &str, body: Value| {
        by_socket(&place.data(), method, path, (!body.is_null()).then_some(&body))
    };
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!((device.login("1"), device.position(7)), ("#AL#1".to_owned(), "#ASD#1".to_owned()));
    drop(device);
    let path = "/api/v1/devices/1?tenant=north";
    until("the device is in the catalog", || (ask("GET", path, Value::Null).status == 200).then_some(()));
    ask("DELETE", path, Value::Null).of(204);
    let is_known = || control(&place.data(), "/control/devices").1.contains("north");
    until("the device is forgotten", || (!is_known()).then_some(()));
    // What waits becomes files, and the next server's configuration does not name the tenant.
    assert!(server.stop().success());
    let server = place.serve();
    let delete = || {
        ask("PATCH", "/api/v1/tenants/north", json!({"disabled": true})).of(200);
        ask("DELETE", "/api/v1/tenants/north", Value::Null).of(204);
    };
    let make = |body: Value| ask("POST", "/api/v1/tenants", body);
    delete();
    let refused = make(json!({"id": "north"}));
    assert!(refused.text().contains("history has what was sent to a tenant north before"), "{}", refused.text());
    assert_eq!(refused.problem(409), "conflict");
    make(json!({"id": "south"})).of(201);
    make(json!({"id": "north", "adopt": true})).of(201);
    let count = || place.text(&["sql", "--json", "--tenant", "north", "SELECT count(*) AS n FROM records"]);
    assert_eq!(count().trim(), "{\"n\":1}");
    // The command line looks by itself, with a server and without one.
    delete();
    let check_refused = || {
        let refused = place.run(&["tenant", "create", "north"]);
        assert_eq!(refused.status.code(), Some(1), "{}", errors(&refused));
        assert!(errors(&refused).contains("`odograph tenant erase north`"), "{}", errors(&refused));
    };
    check_refused();
    assert!(server.stop().success());
    check_refused();
    place.text(&["tenant", "create", "north", "--adopt"]);
    let server = place.serve();
    assert_eq!(count().trim(), "{\"n\":1}");
    // What was erased is in nobody's way.
    delete();
    place.text(&["tenant", "erase", "north", "--yes"]);
    make(json!({"id": "north"})).of(201);
    assert!(server.stop().success());
}
