//! Reading the files, and putting messages in the order of their conversations.

use odograph_model::Time;
use odograph_protocols::{Protocol, Settings, Transport};
use odograph_wire::{http, notation};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// When all messages are received.
pub(crate) const RECEIVED: Time = Time(1_767_323_045_000);

/// The peer's names of alarms, and ours.
pub(crate) type Alarms = HashMap<String, String>;

/// A message, and what the peer makes of it.
pub(crate) struct Row<'v> {
    pub(crate) id: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) transport: Option<Transport>,
    pub(crate) settings: Settings,
    pub(crate) oracle: Option<&'v Value>,
}

/// All rows of a file.
pub(crate) fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect("the file can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a JSON object")).collect()
}

/// The peer's names of alarms, from the table beside the folder.
pub(crate) fn alarms(folder: &Path) -> Alarms {
    let text = std::fs::read_to_string(folder.join("../alarms.tsv")).unwrap_or_default();
    let rows = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        let (ours, peer) = (fields.next()?, fields.nth(1)?);
        (!peer.is_empty()).then(|| (peer.to_owned(), ours.to_owned()))
    });
    rows.collect()
}

/// The conversations of `protocol`: each decoder of the peer's tests held one.
pub(crate) fn conversations<'v>(protocol: &Protocol, messages: &'v [Value], oracle: &'v [Value]) -> Vec<Vec<Row<'v>>> {
    let opinions: HashMap<&str, &Value> =
        oracle.iter().filter_map(|opinion| Some((opinion["id"].as_str()?, opinion))).collect();
    let mut conversations: BTreeMap<(String, u64), Vec<(u64, Row<'v>)>> = BTreeMap::new();
    for message in messages.iter().filter(|message| message["protocol"] == protocol.name) {
        let id = message["id"].as_str().unwrap_or_default();
        // How a stream is cut is another matter.
        let Some(bytes) = bytes(message).filter(|_| message["assert"] != "frame") else { continue };
        let decoder = id.rsplit_once('/').map_or(id, |(decoder, _)| decoder);
        let row = Row {
            id: id.to_owned(),
            bytes,
            transport: transport(message),
            settings: settings(message, protocol),
            oracle: opinions.get(id).copied(),
        };
        let instance = message["decoder_instance"].as_u64().unwrap_or_default();
        let seq = message["seq"].as_u64().unwrap_or_default();
        conversations.entry((decoder.to_owned(), instance)).or_default().push((seq, row));
    }
    let in_order = |mut rows: Vec<(u64, Row<'v>)>| {
        rows.sort_by_key(|(seq, _)| *seq);
        rows.into_iter().map(|(_, row)| row).collect()
    };
    conversations.into_values().map(in_order).collect()
}

/// What a device sent, as far as it was written down.
pub(crate) fn bytes(message: &Value) -> Option<Vec<u8>> {
    if message["encoding"] == "http" {
        return request(&message["payload"]);
    }
    let payload = message["payload"].as_str()?;
    match (message["encoding"].as_str()?, message["charset"].as_str()) {
        ("hex", _) => notation::from_hex(payload).ok(),
        ("text", Some("latin-1")) => latin_1(payload),
        ("text", _) => Some(payload.as_bytes().to_vec()),
        _ => None,
    }
}

/// A byte a character.
fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

/// A request as an app sends it.
fn request(payload: &Value) -> Option<Vec<u8>> {
    let headers = payload["headers"].as_object()?;
    let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let body = match (payload["body"].as_str(), payload["body_encoding"].as_str()) {
        (Some(body), Some("latin-1")) => Some(latin_1(body)?),
        (body, _) => body.map(|body| body.as_bytes().to_vec()),
    };
    Some(http::compose(payload["method"].as_str()?, payload["url"].as_str()?, headers, body.as_deref()))
}

/// How it sent that.
pub(crate) fn transport(message: &Value) -> Option<Transport> {
    match message["transport"].as_str()? {
        "tcp" | "http" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    }
}

/// What the peer's test set up, as far as the protocol takes it: `setModelOverride("FMB130")` is `model=FMB130`.
fn settings(message: &Value, protocol: &Protocol) -> Settings {
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for call in message["setup"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let Some((name, value)) = call.strip_prefix("set").and_then(|call| call.strip_suffix(')')?.split_once('('))
        else {
            continue;
        };
        let name = snake(name.strip_suffix("Override").unwrap_or(name));
        let value: Option<Value> = serde_json::from_str(value).ok();
        match value {
            // The last call counts.
            Some(Value::String(value)) => pairs.insert(name, value),
            Some(Value::Null) | None => pairs.remove(&name),
            Some(value) => pairs.insert(name, value.to_string()),
        };
    }
    let known = pairs.iter().filter(|(name, _)| protocol.settings.iter().any(|setting| setting.name == name.as_str()));
    Settings::recorded(known.map(|(name, value)| (name.as_str(), value.as_str())))
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}
