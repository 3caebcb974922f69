//! What is said of requests as a whole: too many fixes, several names of a device, several devices.

use super::PROTOCOL;
use crate::{
    Binding, Checksum, Decided, Decision, Dialogue, Footing, Opening, Other, Others, Out, RECORDS_MAX, Settings,
    Transport,
};
use compact_str::CompactString;
use odograph_model::{Record, Time};
use std::sync::Arc;

fn post(kind: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// What a request gives: the spans of its records, and the status of its answer.
fn hear(request: &str) -> (Vec<String>, String) {
    let (settings, mut out) = (Settings::default(), Out::default());
    let (transport, checksum) = (Some(Transport::Tcp), Checksum::Enforce);
    let mut session = (PROTOCOL.open)(&Opening { transport, settings: &settings, checksum, context: &[] });
    // Whether it is malformed, the answer says.
    let _ = crate::decode(&mut *session, request.as_bytes(), Time(0), &mut out);
    let spans = out.records().iter().map(|record| format!("{:?}", Record::span(record)));
    (spans.collect(), status(&out))
}

fn status(out: &Out<'_>) -> String {
    let answer = String::from_utf8(out.replies()[0].bytes.clone()).expect("text");
    answer.split_whitespace().nth(1).expect("a status").to_owned()
}

#[test]
fn under_another_of_its_names_a_device_says_the_same() {
    let query = |query: &str| hear(&format!("GET /?{query} HTTP/1.1\r\n\r\n")).0;
    let first = query("id=1&lat=60.0&lon=30.0&timestamp=1377177267");
    assert_eq!(first.len(), 1);
    assert_eq!(first, query("lat=60.0&lon=30.0&timestamp=1377177267&deviceid=2"));
    assert_ne!(first, query("id=1&lat=60.0&lon=30.1&timestamp=1377177267"));
    let json = |fix: &str| hear(&post("application/json", &format!("[{fix}]"))).0;
    let flat = json(r#"{"deviceId":"1","latitude":60.0,"longitude":30.0,"time":1377177267}"#);
    assert_eq!(flat.len(), 1);
    assert_eq!(flat, json(r#"{"latitude":60.0,"longitude":30.0,"time":1377177267,"device_id":"2"}"#));
    assert_eq!(flat, json(r#"{"latitude":60.0,"deviceid":"1","device_id":"2","longitude":30.0,"time":1377177267}"#));
    assert_ne!(flat, json(r#"{"deviceId":"1","latitude":60.0,"longitude":30.1,"time":1377177267}"#));
    let coords = r#""coords":{"latitude":60.0,"longitude":30.0},"timestamp":1377177267"#;
    let extras = json(&format!(r#"{{"location":{{{coords},"extras":{{"device_id":"1","a":2}}}}}}"#));
    assert_eq!(extras.len(), 1);
    assert_eq!(extras, json(&format!(r#"{{"location":{{{coords},"extras":{{"a":2,"deviceId":"7"}}}}}}"#)));
    assert_ne!(extras, json(&format!(r#"{{"location":{{{coords},"extras":{{"a":3,"deviceId":"7"}}}}}}"#)));
    let around = |name: &str| json(&format!(r#"{{"device_id":"{name}","location":{{{coords}}}}}"#));
    assert_eq!(around("1"), around("2"));
}

#[test]
fn too_many_fixes_are_told_and_none_of_them_is_acknowledged() {
    let form = |count: usize| {
        let lines: Vec<String> = (0..count).map(|number| format!("id=1&lat=1&lon=2&timestamp={number}")).collect();
        hear(&post("application/x-www-form-urlencoded", &lines.join("\n")))
    };
    let json = |count: usize| {
        let fix = |number: usize| format!(r#"{{"coords":{{"latitude":1,"longitude":2}},"timestamp":{number}}}"#);
        let fixes: Vec<String> = (0..count).map(fix).collect();
        hear(&post("application/json", &format!(r#"{{"device_id":"1","location":[{}]}}"#, fixes.join(","))))
    };
    for (count, kept, expected) in [(RECORDS_MAX, RECORDS_MAX, "200"), (RECORDS_MAX + 1, 0, "413")] {
        for (records, status) in [form(count), json(count)] {
            assert_eq!((records.len(), status.as_str()), (kept, expected), "{count}");
        }
    }
}

/// Whose records a request gives, each of whose devices is decided about, and the status of its answer.
fn several(request: &str, decide: impl Fn(&str) -> Decision) -> (Vec<String>, String) {
    let (transport, checksum, settings) = (Transport::Tcp, Checksum::Enforce, Arc::default());
    let mut dialogue = Dialogue::begin(Footing { protocol: &PROTOCOL, transport, checksum, settings }, None);
    let (mut out, mut own) = (Out::default(), String::new());
    let turn = dialogue.frame(request.as_bytes(), Time(0), &mut out, |named, _| {
        let binding = |name: &CompactString| {
            let (device, tenant, settings) = (name.clone(), "default".into(), Settings::default());
            Arc::new(Binding { device, tenant, decision: decide(name), settings })
        };
        own = named.ids[0].to_string();
        let others = named.others.iter().map(|called| Other { called: called.clone(), binding: binding(called) });
        Decided { begun: Some(binding(&named.ids[0])), others: Others::new(others) }
    });
    assert_eq!(turn.malformed, None);
    let devices = out.records().iter().map(|record| record.device.as_ref().map_or(own.clone(), ToString::to_string));
    (devices.collect(), status(&out))
}

#[test]
fn several_devices_in_a_request_are_each_decided_about_and_it_is_acknowledged_if_all_are_let_in() {
    let fix =
        |name: &str| format!(r#"{{"device_id":"{name}","location":{{"coords":{{"latitude":1,"longitude":2}}}}}}"#);
    let envelopes = post("application/json", &format!("[{},{},{}]", fix("1"), fix("2"), fix("1")));
    let flat = |name: &str| format!(r#"{{"deviceId":"{name}","coords":{{"latitude":1,"longitude":2}}}}"#);
    let within = format!(r#"{{"location":[{},{},{}]}}"#, flat("1"), flat("2"), flat("1"));
    let form = post("application/x-www-form-urlencoded", "id=1&lat=1&lon=2\nid=2&lat=1&lon=2\nid=1&lat=1&lon=2");
    for request in [envelopes, post("application/json", &within), form] {
        let all = several(&request, |_| Decision::Accepted);
        assert_eq!(all, (["1", "2", "1"].map(str::to_owned).to_vec(), "200".to_owned()), "{request}");
        let refusing = |refused: &str| {
            let decide = |name: &str| if name == refused { Decision::Refused } else { Decision::Accepted };
            several(&request, decide)
        };
        assert_eq!(refusing("2"), (["1", "1"].map(str::to_owned).to_vec(), "404".to_owned()), "{request}");
        assert_eq!(refusing("1"), (vec!["2".to_owned()], "404".to_owned()), "{request}");
        assert_eq!(several(&request, |_| Decision::Refused), (vec![], "404".to_owned()));
    }
}
