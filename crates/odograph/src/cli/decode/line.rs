//! What a message gave, as it is printed.

use super::auto::Listener;
use odograph_model::{Record, RecordView};
use odograph_protocols::Heard;
use odograph_wire::{Traced, Tracer, notation};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::Value;
use std::cell::RefCell;

/// What a message gave.
#[derive(serde::Serialize)]
pub(super) struct Line {
    line: usize,
    records: Records,
    replies: Vec<String>,
    identity: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) error: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Trace>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Problem {
    pub(super) field: &'static str,
    pub(super) at: usize,
    pub(super) reason: String,
}

/// Records, each with the device that it belongs to.
#[derive(Default)]
struct Records {
    protocol: &'static str,
    records: Vec<(Option<String>, Record)>,
}

impl Line {
    /// What is printed where `heard` came of the message in line `number`, for `device` where the conversation does
    /// not say whose it is.
    pub(super) fn new(
        number: usize,
        heard: Result<Vec<Heard>, Problem>,
        device: Option<&str>,
        listener: &Listener,
        fields: Option<Trace>,
    ) -> Self {
        let identity = listener.identity().or(device).map(ToOwned::to_owned);
        let mut line = Self {
            line: number,
            records: Records { protocol: listener.protocol_name(), records: Vec::new() },
            replies: Vec::new(),
            identity,
            notes: Vec::new(),
            error: None,
            fields,
        };
        match heard {
            Ok(heard) => line.add(heard, device),
            Err(problem) => line.error = Some(problem),
        }
        line
    }

    /// The records as they are shown.
    pub(super) fn views(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.records.views()
    }

    fn add(&mut self, heard: Vec<Heard>, device: Option<&str>) {
        // A message may hold frames of several devices: those before the first name belong to whoever was there.
        let named = heard.iter().rposition(|heard| !heard.identity.is_empty());
        let mut current = if named.is_none() { self.identity.clone() } else { device.map(ToOwned::to_owned) };
        for heard in heard {
            if let Some(name) = heard.identity.first() {
                current = Some(name.to_string());
            }
            self.replies.extend(heard.replies_if_accepted().map(|reply| notation::to_hex(&reply.bytes)));
            self.notes.extend(heard.notes);
            self.records.records.extend(heard.records.into_iter().map(|record| (current.clone(), record)));
            if let Some(fault) = heard.fault.filter(|_| self.error.is_none()) {
                self.error = Some(Problem { field: fault.field(), at: fault.at(), reason: fault.reason() });
            }
        }
    }
}

impl Records {
    fn views(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.records.iter().map(|(device, record)| RecordView {
            device: device.as_deref(),
            protocol: self.protocol,
            record,
            received: None,
        })
    }
}

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.records.len()))?;
        for view in self.views() {
            sequence.serialize_element(&view)?;
        }
        sequence.end()
    }
}

/// Every field that was read, in order.
#[derive(Default)]
pub(super) struct Trace(RefCell<Vec<Field>>);

#[derive(serde::Serialize)]
struct Field {
    name: &'static str,
    at: usize,
    length: usize,
    value: Value,
}

impl Tracer for Trace {
    fn field(&self, name: &'static str, at: usize, length: usize, value: Traced<'_>) {
        let value = match value {
            Traced::Unsigned(value) => Value::from(value),
            Traced::Signed(value) => Value::from(value),
            Traced::Float(value) => Value::from(value),
            Traced::Text(text) => Value::from(text),
            Traced::Bytes(bytes) => Value::from(notation::to_hex(bytes)),
        };
        self.0.borrow_mut().push(Field { name, at, length, value });
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.borrow().serialize(serializer)
    }
}
