//! Sensors, from a device's message to what people read.

mod client;
mod common;

use client::Client;
use common::{Device, Place, moment};
use serde_json::{Value, json};

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("waited in vain: {what}");
}

/// What can never be a number is not kept, whatever the device will say.
fn check_refused(set: &dyn Fn(&str, Value) -> client::Answer) {
    for (formula, why) in [
        ("value(\"fuel.level\") / 0", "line 1, column 21: divides by 0, so it can never give a number"),
        ("value(\"fuel.level\") > 3", "line 1, column 21: gives yes or no"),
        ("value(\"alarm\") + 1", "line 1, column 6: alarm is a list, which is no number"),
        ("value(\"fuel.levl\")", "line 1, column 6: there is no parameter fuel.levl: did you mean fuel.level?"),
    ] {
        let refused = set("bad", json!({"formula": formula}));
        assert!(refused.text().contains(why), "{}", refused.text());
        assert_eq!(refused.problem(400), "invalid");
    }
    let table = json!({"calibration": {"parameter": "alarm", "points": [[10.0, 0.0], [30.0, 100.0]]}});
    assert_eq!(set("bad", table).problem(400), "invalid");
}

/// What a sensor shows has peaks of its own, where no parameter has one.
fn check_thinned(manager: &Client) {
    let seconds = |query: &str| {
        let page = manager.get(&format!("/api/v1/devices/7/records?thin=3600{query}")).of(200);
        page["records"].as_array().expect("a list").iter().map(|record| record["time"].clone()).collect::<Vec<_>>()
    };
    let body = json!({"formula": "value(\"position.speed\") * (50.0 - value(\"position.speed\"))"});
    manager.ask("PUT", "/api/v1/devices/7/sensors/peak", Some(&body)).of(200);
    assert_eq!(seconds("&sensors=true"), [10, 20, 40].map(|second| json!(moment(second))));
    assert_eq!(seconds(""), [10, 40].map(|second| json!(moment(second))));
    manager.ask("DELETE", "/api/v1/devices/7/sensors/peak", None).of(204);
}

#[test]
fn sensors_are_computed_wherever_records_are_read() {
    let place = Place::new();
    let server = place.serve();
    let text = place.text(&["token", "create", "--json", "--role", "manager", "--name", "m"]);
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let manager = Client::with_token(server.http(), made["secret"].as_str().expect("a secret"));
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("7"), "#AL#1");
    // The speed of a position is its second.
    for second in [10, 20, 40] {
        assert_eq!(device.position(second), "#ASD#1");
    }
    until("the device is known", || manager.get("/api/v1/devices/7/state").status == 200);
    let set = |name: &str, body: Value| manager.ask("PUT", &format!("/api/v1/devices/7/sensors/{name}"), Some(&body));
    let points = json!([[10.0, 0.0], [30.0, 100.0]]);
    let table = json!({"unit": "l", "calibration": {"parameter": "position.speed", "points": points}});
    assert_eq!(set("fuel", table).of(200)["unit"], "l");
    set("sp.double", json!({"unit": "km/h", "formula": "value(\"position.speed\") * 2"})).of(200);
    set("never", json!({"formula": "value(\"fuel.level\")"})).of(200);
    let wrong = set("bad", json!({"formula": "1 + speed"}));
    assert!(wrong.text().contains("line 1, column 5"), "{}", wrong.text());
    assert_eq!(wrong.problem(400), "invalid");
    assert_eq!(set("bad", json!({"name": "other", "formula": "1"})).problem(400), "invalid");
    check_refused(&set);
    let names: Vec<_> = manager.get("/api/v1/devices/7/sensors").of(200).as_array().expect("a list").to_vec();
    assert_eq!(names.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["fuel", "never", "sp.double"]);

    let page = manager.get("/api/v1/devices/7/records?sensors=true").of(200)["records"].clone();
    let lines = manager.get("/api/v1/devices/7/records?sensors=true&format=jsonl").text();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(page, Value::Array(lines.clone()));
    let told: Vec<_> = lines
        .iter()
        .map(|it| (it["time"].clone(), it["sensor.fuel"].clone(), it["sensor.sp.double"].clone()))
        .collect();
    let expected = [(10, 0.0, 20.0), (20, 50.0, 40.0), (40, 100.0, 80.0)];
    assert_eq!(told, expected.map(|(second, fuel, double)| (json!(moment(second)), json!(fuel), json!(double))));
    assert!(lines.iter().all(|it| it["sensor.never"].is_null()));
    let plain = manager.get("/api/v1/devices/7/records").text();
    assert!(!plain.contains("sensor."), "only who asks gets them: {plain}");

    let csv = manager.get("/api/v1/devices/7/records?sensors=true&format=csv").text();
    let mut rows = csv.lines();
    assert!(rows.next().expect("a heading").ends_with(",sensor_fuel,sensor_never,sensor_sp_double"), "{csv}");
    assert!(
        rows.all(|row| row.ends_with(",0.0,,20.0") || row.ends_with(",50.0,,40.0") || row.ends_with(",100.0,,80.0"))
    );
    let parquet = manager.get("/api/v1/devices/7/records?sensors=true&format=parquet");
    assert_eq!(parquet.status, 200);
    let bytes = &parquet.body;
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert!(bytes.windows(16).any(|part| part == b"sensor_sp_double"), "its schema has the column");
    for refused in ["sensors=true&format=gpx", "sensors=true&parameters=position.speed"] {
        assert_eq!(manager.get(&format!("/api/v1/devices/7/records?{refused}")).problem(400), "invalid");
    }
    check_thinned(&manager);

    let state = manager.get("/api/v1/devices/7/state").of(200);
    assert_eq!(state["sensors"]["fuel"], json!({"value": 100.0, "unit": "l"}), "{state}");
    let tried =
        manager.post("/api/v1/devices/7/sensors/preview", &json!({"formula": "value(\"position.speed\") + 0.5"}));
    let expected = json!({"value": 40.5, "unit": "", "inputs": {"position.speed": 40.0}, "warnings": []});
    assert_eq!(tried.of(200), expected);
    let odd = json!({"formula": "value(\"position.speed\") > 30 ? 0 / 0 : value(\"position.speed\")"});
    let tried = manager.post("/api/v1/devices/7/sensors/preview", &odd).of(200);
    let warning = "formula: line 1, column 34: divides by 0: a record for which that counts may have no such sensor";
    assert_eq!((&tried["value"], &tried["warnings"]), (&Value::Null, &json!([warning])));
    set("odd", odd).of(200);
    manager.ask("DELETE", "/api/v1/devices/7/sensors/odd", None).of(204);
    let logic = manager.post("/api/v1/devices/7/sensors/preview", &json!({"formula": "value(\"position.speed\") > 1"}));
    assert!(logic.text().contains("gives yes or no"), "{}", logic.text());
    manager.ask("DELETE", "/api/v1/devices/7/sensors/fuel", None).of(204);
    let state = manager.get("/api/v1/devices/7/state").of(200);
    assert_eq!(state["sensors"], json!({"sp.double": {"value": 80.0, "unit": "km/h"}}));
}
