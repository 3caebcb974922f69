//! What the peer says about a message against what we say.

use crate::rows::Alarms;
use odograph_model::{Key, Record, RecordView, Time};
use odograph_protocols::Heard;
use odograph_wire::notation;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Something that the peer says otherwise.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) id: String,
    /// The parameter, or `count`, `time`, `identity`, `replies`, `damaged`, `transport`, `command`.
    pub(crate) what: String,
    detail: String,
}

/// How much agrees.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: Share,
    records: Share,
    times: Share,
    motion: Share,
    parameters: Share,
    raw: Share,
    identity: Share,
    replies: Share,
}

/// So many of so many.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    equal: usize,
    all: usize,
}

impl Difference {
    pub(crate) fn new(id: &str, what: &str, detail: String) -> Self {
        Self { id: id.to_owned(), what: what.to_owned(), detail }
    }

    /// Whether it is about an element that the dictionary does not name.
    pub(crate) fn is_raw(&self) -> bool {
        self.what.starts_with("raw.")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}", self.id, self.what, self.detail)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.equal, self.all)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, records, times, motion, parameters, raw, identity, replies } = self;
        write!(
            f,
            "{rows} rows agree; record counts {records}, times {times}, places and motion {motion}, \
             parameters {parameters}, raw {raw}, identity {identity}, replies {replies}"
        )
    }
}

impl Share {
    fn add(&mut self, equal: bool) {
        self.all += 1;
        self.equal += usize::from(equal);
    }
}

/// One message's comparison.
struct Comparison<'c> {
    id: &'c str,
    alarms: &'c Alarms,
    tally: &'c mut Tally,
    found: Vec<Difference>,
}

/// What differs between the peer's opinion and what was heard.
pub(crate) fn message(
    id: &str,
    protocol: &str,
    oracle: &Value,
    heard: &[Heard],
    alarms: &Alarms,
    tally: &mut Tally,
) -> Vec<Difference> {
    let records: Vec<&Record> = heard.iter().flat_map(|heard| &heard.records).collect();
    let mut comparison = Comparison { id, alarms, tally, found: Vec::new() };
    let fault = heard.iter().find_map(|heard| heard.fault).map(|fault| format!("; ours: {fault}"));
    if oracle.get("damaged").is_some_and(|damaged| !damaged.is_null()) {
        // Its own length or checksum is false: the peer does not look.
        if !records.is_empty() {
            comparison.differs("damaged", format!("{} records of a damaged message", records.len()));
        }
    } else {
        let expected = oracle["records"].as_array().map_or(&[][..], Vec::as_slice);
        let same_count = expected.len() == records.len();
        comparison.tally.records.add(same_count);
        if same_count {
            for (expected, record) in expected.iter().zip(records) {
                comparison.record(expected, record, protocol);
            }
        } else {
            let fault = fault.unwrap_or_default();
            comparison.differs("count", format!("peer {}, ours {}{fault}", expected.len(), records.len()));
        }
        comparison.identity(oracle, heard);
        comparison.replies(oracle, heard);
    }
    let found = comparison.found;
    tally.rows.add(found.iter().all(Difference::is_raw));
    found
}

impl Comparison<'_> {
    fn differs(&mut self, what: &str, detail: String) {
        self.found.push(Difference::new(self.id, what, detail));
    }

    fn record(&mut self, expected: &Value, record: &Record, protocol: &str) {
        let Some(expected) = expected.as_object() else { return };
        self.time(expected, record);
        let view = RecordView { device: None, protocol, record, received: None };
        let ours = serde_json::to_value(view).expect("a record serialises");
        let not_parameters = ["time", "fix_time", "now", "odd_time", "other"];
        for (name, value) in expected.iter().filter(|(name, _)| !not_parameters.contains(&name.as_str())) {
            // Some of the peer's numbered names count from 0: the dictionary does not.
            if Key::from_name(name).is_none() && !name.starts_with("raw.") {
                continue;
            }
            let equal = ours.get(name).is_some_and(|ours| self.same(name, value, ours));
            self.share(name).add(equal);
            if !equal {
                let shown = ours.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
                self.differs(name, format!("peer {value}, ours {shown}"));
            }
        }
        for name in ["position.latitude", "position.longitude"] {
            if let Some(value) = ours.get(name).filter(|_| !expected.contains_key(name)) {
                let detail = format!("peer nothing, ours {value}");
                self.differs(name, detail);
            }
        }
    }

    fn time(&mut self, expected: &Map<String, Value>, record: &Record) {
        let is_clock = expected.get("now").and_then(Value::as_array).is_some_and(|now| now.contains(&"time".into()));
        let peer = match expected.get("time").and_then(Value::as_str) {
            _ if is_clock => None,
            Some(text) if !expected.contains_key("odd_time") => Time::parse(text),
            _ => return,
        };
        self.tally.times.add(peer == record.time);
        if peer != record.time {
            let show = |time: Option<Time>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
            self.differs("time", format!("peer {}, ours {}", show(peer), show(record.time)));
        }
    }

    fn identity(&mut self, oracle: &Value, heard: &[Heard]) {
        let ours: Vec<&str> = heard.iter().flat_map(|heard| &heard.identity).map(AsRef::as_ref).collect();
        let peer: Vec<&str> = oracle["identity"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        // It may look up several forms of one name; ours is one of them.
        let equal = match (ours.as_slice(), peer.as_slice()) {
            ([], []) => return,
            (ours, peer) => ours.first().is_some_and(|first| peer.contains(first)),
        };
        self.tally.identity.add(equal);
        if !equal {
            self.differs("identity", format!("peer {peer:?}, ours {ours:?}"));
        }
    }

    fn replies(&mut self, oracle: &Value, heard: &[Heard]) {
        let ours: Vec<String> =
            heard.iter().flat_map(Heard::replies_if_accepted).map(|reply| notation::to_hex(&reply.bytes)).collect();
        let peer: Vec<String> = oracle["replies"].as_array().into_iter().flatten().map(reply).collect();
        let holds_time = oracle.get("replies_hold_time").is_some_and(|holds| *holds != false && !holds.is_null());
        if ours.is_empty() && peer.is_empty() {
            return;
        }
        // Where the peer's clock is in them, they are not written down, or just their lengths can be compared.
        let same_lengths = || ours.iter().map(String::len).eq(peer.iter().map(String::len));
        let equal = ours == peer || (holds_time && !ours.is_empty() && (peer.is_empty() || same_lengths()));
        self.tally.replies.add(equal);
        if !equal {
            self.differs("replies", format!("peer {peer:?}, ours {ours:?}"));
        }
    }

    fn share(&mut self, name: &str) -> &mut Share {
        let motion =
            ["position.latitude", "position.longitude", "position.altitude", "position.speed", "position.direction"];
        match name {
            name if name.starts_with("raw.") => &mut self.tally.raw,
            name if motion.contains(&name) => &mut self.tally.motion,
            _ => &mut self.tally.parameters,
        }
    }

    fn same(&self, name: &str, peer: &Value, ours: &Value) -> bool {
        match (peer, ours) {
            (Value::Array(peer), Value::Array(ours)) if name == "alarm" => self.same_alarms(peer, ours),
            (Value::Array(peer), Value::Array(ours)) => self.same_items(name, peer, ours),
            (Value::Object(peer), Value::Object(ours)) => {
                peer.iter().all(|(name, value)| ours.get(name).is_some_and(|ours| self.same(name, value, ours)))
            }
            (Value::String(_), Value::Number(_)) | (Value::Number(_), Value::String(_)) => {
                as_text(peer) == as_text(ours) || same_number(name, peer, ours)
            }
            (Value::Number(_), Value::Number(_)) => same_number(name, peer, ours),
            // Hex digits have no case; ours are lower ones.
            (Value::String(peer), Value::String(ours)) if name == "mac" => peer.eq_ignore_ascii_case(ours),
            (Value::String(_), _) | (_, Value::String(_)) => as_text(peer) == as_text(ours),
            (peer, ours) => peer == ours,
        }
    }

    /// The peer keeps cells and access points in no order: each of its items has to be one of ours.
    fn same_items(&self, name: &str, peer: &[Value], ours: &[Value]) -> bool {
        let mut left: Vec<&Value> = ours.iter().collect();
        let is_there = |item: &Value| {
            let place = left.iter().position(|ours| self.same(name, item, ours));
            place.map(|place| left.swap_remove(place)).is_some()
        };
        peer.iter().all(is_there) && left.is_empty()
    }

    /// Alarms have no order.
    fn same_alarms(&self, peer: &[Value], ours: &[Value]) -> bool {
        let translated = |name: &str| self.alarms.get(name).map_or(name, String::as_str).to_owned();
        let peer: BTreeSet<_> = peer.iter().filter_map(Value::as_str).map(translated).collect();
        let ours: BTreeSet<_> = ours.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        peer == ours
    }
}

/// The bytes of an answer, in hex; of one by HTTP, the peer states what is in it.
fn reply(peer: &Value) -> String {
    match (&peer["status"], &peer["body"]) {
        (Value::Number(status), Value::String(body)) => {
            let phrase = if *status == 200.into() { "OK" } else { "" };
            let length = body.len();
            notation::to_hex(format!("HTTP/1.1 {status} {phrase}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes())
        }
        _ => peer.as_str().unwrap_or_default().to_owned(),
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Whether two numbers are the same but for how they were worked out.
fn same_number(name: &str, peer: &Value, ours: &Value) -> bool {
    // The peer keeps some percentages as texts with their sign.
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim_end_matches('%').parse().ok());
    let (Some(peer), Some(ours)) = (number(peer), number(ours)) else { return false };
    let tolerance = match name {
        "position.latitude" | "position.longitude" => 1e-5,
        // The peer keeps knots.
        "position.speed" => 0.01,
        _ => 1e-9_f64.max(peer.abs() * 1e-6),
    };
    (peer - ours).abs() <= tolerance
}
