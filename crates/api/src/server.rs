//! What the rest of the process does for the API, which knows neither journal nor tables itself.

use crate::{Lately, ListenerStanding, OtherListener, Problem, System};
use futures::future::BoxFuture;
use odograph_catalog::{Device, Listener, ListenerTls, NewCommand};
use odograph_model::{Record, Time};
use odograph_sensors::Sensor;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// The rest of the process. Everything here may take its time, and is called on threads that may wait. Whether whoever asks may
/// see what they ask for was looked at before: tenant and device are what they say.
pub trait Server: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Time;

    /// Writes a device's records, in the order of their times.
    ///
    /// # Errors
    ///
    /// When history cannot be read, or whoever asks has gone.
    fn records(&self, query: &Records, out: &mut dyn Output) -> Result<(), Problem>;

    /// A page of a device's records, each a line of JSON, in the order of their times.
    ///
    /// # Errors
    ///
    /// When history cannot be read.
    fn page(&self, query: &Records, after: Option<Place>, limit: usize) -> Result<Page, Problem>;

    /// A device's latest record, by its event time, if history has one: out of memory, whatever others ask of history.
    fn latest(&self, tenant: &str, device: &str) -> Option<Record>;

    /// Writes what came from a device and what went to it, in the order in which it was kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or whoever asks has gone.
    fn frames(&self, query: &Frames, out: &mut dyn Output) -> Result<(), Problem>;

    /// The protocols, as `odograph protocols --json` shows them.
    fn protocols(&self) -> Vec<ToldProtocol>;

    /// The protocol that a device speaks which is here now, by a connection over which commands can be sent.
    fn speaks(&self, tenant: &str, device: &str) -> Option<&'static str>;

    /// The commands that a protocol can encode.
    fn command_types(&self, protocol: &str) -> Vec<CommandType>;

    /// Checks that a device takes a command, as far as that can be said.
    ///
    /// # Errors
    ///
    /// When the command is none, or none that the device's protocol can encode.
    fn check_command(&self, tenant: &str, device: &Device, new: &NewCommand) -> Result<(), Problem>;

    /// What messages say, as `odograph decode --stdin` prints it.
    ///
    /// # Errors
    ///
    /// When the request makes no sense. A message that is malformed is no error of the request.
    fn decode(&self, request: &Decode) -> Result<Vec<Decoded>, Problem>;

    /// Who was not understood.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    fn unidentified(&self, query: &StrayQuery) -> Result<Vec<Stray>, Problem>;

    /// Takes in what one of them sent, as the protocol that somebody says it is. It is durable then.
    ///
    /// # Errors
    ///
    /// When it cannot be that.
    fn name_unidentified(&self, request: &NameRequest) -> Result<NameAs, Problem>;

    /// Says how much there is of a device, or erases it, and waits for the end of that.
    ///
    /// # Errors
    ///
    /// When it cannot be erased, and nothing was changed; or when it cannot be done now, and is gone on with later: the detail says
    /// which.
    fn erase(&self, tenant: &str, device: &str, yes: bool) -> Result<Erased, Problem>;

    /// Writes the answer of a query.
    ///
    /// # Errors
    ///
    /// When the query is wrong or takes too much ([`Code::Unprocessable`](crate::Code::Unprocessable)), it does not come to its turn
    /// ([`Code::TooMany`](crate::Code::TooMany)), history cannot be read, or whoever asks has gone.
    fn sql(&self, query: &Sql, out: &mut dyn Output) -> Result<(), Problem>;

    /// What the whole server takes, as it was a moment ago.
    ///
    /// # Errors
    ///
    /// While it is looked at for the first time.
    fn system(&self) -> Result<System, Problem>;

    /// The same, without what is not one tenant's.
    ///
    /// # Errors
    ///
    /// Those of [`Server::system`].
    fn system_of(&self, tenant: &str) -> Result<System, Problem>;

    /// The numbers of the last half an hour. Never takes its time.
    fn lately(&self) -> Lately;

    /// Whether a listener can be one beside others that people made, and beside what this server has open. What can be written in several
    /// ways is put into one.
    ///
    /// # Errors
    ///
    /// When something about it is wrong, or its address is taken.
    fn check_listener(&self, listener: &mut Listener, others: &[Listener]) -> Result<(), odograph_catalog::Error>;

    /// Reads the certificates that a listener is to have, as it will when it is opened.
    ///
    /// # Errors
    ///
    /// When they cannot be used.
    fn read_certificates(&self, tls: &ListenerTls) -> Result<(), Problem>;

    /// How a listener stands here in this revision or a later one. Nothing: there is no such listener here. Never takes its time.
    fn listener_standing(&self, id: &str, revision: i64) -> Option<ListenerStanding>;

    /// What else is open here, as much of it as is told, and how much more there is. Never takes its time.
    fn other_listeners(&self) -> (Vec<OtherListener>, u64);

    /// The file with the tiles of the map, if the configuration names one.
    fn map(&self) -> Option<Arc<dyn MapFile>>;
}

/// A file with the tiles of a map.
pub trait MapFile: Send + Sync + 'static {
    /// How many bytes it has at this moment, and the entity tag of what they are.
    ///
    /// # Errors
    ///
    /// When the disk does not say.
    fn version(&self) -> io::Result<(u64, String)>;

    /// Fills `piece` from this place on.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or ends before.
    fn read(&self, from: u64, piece: &mut [u8]) -> io::Result<()>;
}

/// A protocol that is understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ToldProtocol {
    /// Its short name, by which it is called everywhere else.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Devices that speak it, for people.
    pub devices: &'static str,
    /// The port on which devices expect it.
    pub port: u16,
    /// How it travels: `tcp`, `udp`, `http`.
    pub transports: Vec<&'static str>,
    /// How far it can be trusted: `proven`, or `unverified` where parts are guesses.
    pub maturity: &'static str,
    /// The description it was written from.
    pub source: &'static str,
    /// Whether each message carries a checksum over all that matters.
    pub checksum: bool,
    /// Its settings, by listener or device.
    pub settings: Vec<ToldSetting>,
    /// The commands that it can encode.
    pub commands: Vec<ToldCommand>,
}

/// A setting of a protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ToldSetting {
    /// Its name.
    pub name: &'static str,
    /// What values it takes, for people.
    pub kind: String,
    /// What it does, and what holds without it.
    pub meaning: &'static str,
}

/// A command that a protocol can encode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ToldCommand {
    /// Its name, the same for all makers where they agree.
    pub name: &'static str,
    /// Its attributes: names, with `?` behind those that may be left out.
    pub attributes: Vec<&'static str>,
    /// What it does.
    pub meaning: &'static str,
}

/// A command that a device can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CommandType {
    /// Its name, the same for all makers where they agree.
    #[serde(rename = "type")]
    pub kind: String,
    /// What has to be said with it.
    pub attributes: Vec<Attribute>,
    /// What it does.
    pub meaning: String,
}

/// An attribute of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Whether it must be given.
    pub required: bool,
}

/// Where an answer goes.
pub trait Output {
    /// Takes more of it, and waits for whoever reads it.
    ///
    /// # Errors
    ///
    /// When nobody reads it any more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sends what is still here.
    ///
    /// # Errors
    ///
    /// When nobody reads it any more.
    fn flush(&mut self) -> io::Result<()>;

    /// Whether nobody reads it any more.
    fn is_gone(&self) -> bool;

    /// Ends once nobody reads it any more; never, where that cannot be waited for.
    fn gone(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Which records.
#[derive(Debug, Clone)]
pub struct Records {
    /// The tenant.
    pub tenant: String,
    /// The device's id.
    pub device: String,
    /// Not before this moment.
    pub from: Option<Time>,
    /// Before this moment.
    pub to: Option<Time>,
    /// Only these parameters, and records that have one of them; none: all.
    pub parameters: Vec<String>,
    /// What is computed of each and written besides.
    pub sensors: Vec<Sensor>,
    /// Of each step of so many seconds, only those that show how it was; none: all.
    pub thin: Option<u32>,
    /// How they are written.
    pub format: RecordFormat,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// A page of JSON, with a cursor to the next one.
    #[default]
    Json,
    /// All of them, a JSON object a line.
    Jsonl,
    /// All of them, as a table of text.
    Csv,
    /// All of them, as a Parquet file.
    Parquet,
    /// The track, for navigation devices.
    Gpx,
    /// The track, for maps.
    Kml,
    /// The track, for maps on pages.
    Geojson,
}

impl RecordFormat {
    /// The type of such a body.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Gpx => "application/gpx+xml",
            Self::Kml => "application/vnd.google-earth.kml+xml",
            Self::Geojson => "application/geo+json",
        }
    }

    /// Whether it shows ways on a map, and nothing else.
    pub const fn is_map(self) -> bool {
        matches!(self, Self::Gpx | Self::Kml | Self::Geojson)
    }

    /// As file names end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Gpx => "gpx",
            Self::Kml => "kml",
            Self::Geojson => "geojson",
        }
    }
}

/// The place of a record among those of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its event time, in milliseconds since 1970 UTC.
    pub time: i64,
    /// When it was received.
    pub received: i64,
    /// Its id.
    pub id: u64,
}

/// Some records, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each a JSON object, between them commas.
    pub records: String,
    /// The last one's place, where more follow.
    pub last: Option<Place>,
}

/// Which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// The tenant.
    pub tenant: String,
    /// The device's id.
    pub device: String,
    /// Not received before this moment.
    pub from: Option<Time>,
    /// Received before this moment.
    pub to: Option<Time>,
    /// Which way they went; both ways: `None`.
    pub direction: Option<Direction>,
    /// The bytes as they are, one after the other, instead of lines about them.
    pub raw: bool,
    /// Behind this place of the journal.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the device.
    In,
    /// To the device.
    Out,
}

/// Bytes that came from a device or went to it, as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Frame {
    /// When they were received or sent.
    #[schema(value_type = String)]
    pub time: Time,
    /// The device's id.
    pub device: String,
    /// Which conversation: the place in the journal where it began.
    pub stream: u64,
    /// Their own place in the journal.
    pub place: u64,
    /// Which way they went.
    pub direction: Direction,
    /// What they are.
    pub kind: FrameKind,
    /// They themselves, as hex digits.
    pub hex: String,
}

/// What bytes of a conversation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// A whole message from the device.
    Frame,
    /// From the device, and dropped to find the next message.
    Skipped,
    /// From the device, and no message when the conversation ended.
    Remainder,
    /// Sent to the device.
    Sent,
}

/// Messages to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Decode {
    /// The protocol; `auto`, or nothing, finds out.
    pub protocol: String,
    /// The messages: of one conversation, in order.
    pub messages: Vec<String>,
    /// How they are written.
    pub written: Written,
    /// Whose they are, where they do not say so.
    pub device: Option<String>,
    /// When they were received, as `2026-11-21T10:00:00Z`; now, if it is not said.
    pub received: Option<String>,
    /// How they came; in any way, if it is not said.
    pub transport: Option<Via>,
    /// Whether a wrong checksum is but noted.
    pub note_checksums: bool,
    /// Settings of the protocol.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Whether every field that was read is shown.
    pub trace: bool,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decoded {
    /// Which of the messages it is: the first one is 1.
    pub line: usize,
    /// Each an object: `device`, `protocol`, `time`, and parameters by their names.
    pub records: Vec<serde_json::Map<String, serde_json::Value>>,
    /// What a device that is accepted is answered, as hex digits.
    pub replies: Vec<String>,
    /// Whose it is, where that is known.
    pub identity: Option<String>,
    /// What is odd about it, for people.
    pub notes: Vec<String>,
    /// What is wrong with it, if something is.
    pub error: Option<DecodeError>,
    /// Every field that was read, in order, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<DecodedField>>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecodeError {
    /// The field that could not be read.
    pub field: String,
    /// The place of its first byte; of the character, where the message was written wrongly.
    pub at: usize,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecodedField {
    /// Its name.
    pub name: String,
    /// The place of its first byte.
    pub at: usize,
    /// How many bytes it has.
    pub length: usize,
    /// What it says: a number, or text; bytes that are neither as hex digits.
    pub value: serde_json::Value,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// As hex digits.
    #[default]
    Hex,
    /// As text with escapes.
    Text,
    /// As requests by HTTP, in JSON.
    Http,
}

/// How messages came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// As parts of a stream.
    Tcp,
    /// As datagrams.
    Udp,
    /// As requests.
    Http,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The tenant whose tables it sees.
    pub tenant: String,
    /// Its text.
    pub text: String,
    /// How the answer is written.
    pub format: SqlFormat,
}

/// How an answer of a query is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SqlFormat {
    /// A JSON object a row, a line each.
    #[default]
    Jsonl,
    /// A table of text.
    Csv,
    /// A Parquet file.
    Parquet,
}

impl SqlFormat {
    /// The type of such a body.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Which of those who were not understood.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrayQuery {
    /// Whose last bytes came not before this moment, in milliseconds since 1970 UTC.
    pub from: Option<i64>,
    /// At most so many: the newest.
    pub limit: usize,
}

/// Somebody who was not understood: a connection, or an address that sent datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stray {
    /// The place in the journal where it begins, by which it is named.
    pub id: u64,
    /// When its first bytes came to the journal.
    pub first: String,
    /// When its last bytes came.
    pub last: String,
    /// Its address.
    pub peer: String,
    /// The address that it came to.
    pub local: String,
    /// `tcp`, `udp` or `http`.
    pub transport: String,
    /// Why it ended: `undecided`, `undecided-bytes`, `refused`, `peer` and so on; `None` as long as it has not.
    pub why: Option<String>,
    /// The protocol that was spoken, where it was known: of a device that was refused.
    pub protocol: Option<String>,
    /// What the device called itself, where it was refused.
    pub device: Option<String>,
    /// What this version takes it for, where that is clear by now.
    pub is: Option<String>,
    /// Which protocols it could be, as far as this version knows.
    pub could_be: Vec<String>,
    /// Why each of these, in the same order.
    pub guesses: Vec<Guess>,
    /// Why it can be none that this version knows, where that is so.
    pub ruled_out: Option<String>,
    /// Bytes that are kept of it.
    pub bytes: u64,
    /// In how many pieces: a datagram each.
    pub pieces: u64,
    /// Its first bytes, as hex digits.
    pub hex: String,
    /// The same as text with escapes.
    pub text: String,
    /// As what it was named since.
    pub named: Vec<String>,
}

/// A protocol that somebody could speak, or speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guess {
    /// Its name.
    pub protocol: String,
    /// Why: what agrees with its messages, and what proves it, or is missing for that.
    pub reason: String,
}

/// What one of them is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRequest {
    /// Its place in the journal.
    pub id: u64,
    /// The protocol that it speaks.
    pub protocol: String,
    /// Whose it is, where its bytes do not say so.
    pub device: Option<String>,
    /// Whose it becomes.
    pub tenant: String,
    /// Settings of the protocol.
    pub set: Vec<(String, String)>,
    /// Take frames with a wrong checksum.
    pub unsealed: bool,
    /// Also where it was named before.
    pub again: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NameAs {
    /// Frames that it had.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// What is wrong with frames that are malformed.
    pub malformed: Vec<String>,
    /// The devices that were in it.
    pub devices: Vec<String>,
    /// It is durable once the journal is, up to here.
    pub end: u64,
}

/// What would be erased, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErasedLoad {
    /// Entries of the journal.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments of the journal that have some.
    pub segments: u64,
    /// Records in history.
    pub records: u64,
    /// Frames in history.
    pub frames: u64,
    /// Events in history.
    pub events: u64,
    /// Files of tables that are written again, or go.
    pub files: u64,
    /// Days that these are of.
    pub days: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Erased {
    /// How much.
    pub load: ErasedLoad,
    /// The order that was carried out; nothing: it was only looked at.
    pub order: Option<u64>,
}
