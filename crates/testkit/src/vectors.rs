//! The vectors harness: transcripts of conversations beside each protocol, and the laws that follow from them.
//!
//! A `.vectors` file holds paragraphs between blank lines; one paragraph is one conversation:
//!
//! ```text
//! # a login and a fix                       source: where the bytes come from
//! @ transport=tcp device=123456789012345 set:zone=+02:00 checksum=note received=2026-01-02T03:04:05Z
//! > 001A01…                hex with blanks, or "text with \r\n escapes": one whole frame, delimiters included
//! = {"time":"2024-03-24T10:27:13.000Z","position.latitude":50.0}     a record, without device and protocol
//! i 123456789012345        a name that the device gives itself
//! < 00000001               a reply; `<?` to anyone, `<-` to a refused device, `<!` although the frame is malformed
//! n a note
//! ! latitude at byte 11: truncated: need 4, have 2
//! a {"token":1,"text":"…","done":true}
//! c engineStop index=1 => hex or "text", or `! why not`
//! ```
//!
//! Further options: `ids=NAME` (all paragraphs of that name give the same set of record ids), `bare` (the messages are
//! what framing leaves, so they are not cut from a stream), `prefix-ok` (a message cut short still means something),
//! `unsummed` (a message carries no checksum, although all of the protocol should), `summed` (one does, although not all of the
//! protocol do); the last three also as `prefix-ok=1,3` for just these messages, and `summed=1@3,2` where the checksum covers nothing
//! before a byte.
//!
//! [`check`] compares what is written with what is decoded, and derives the laws of [`laws`] from it.

mod check;
pub mod laws;
mod parse;
mod show;
mod update;

pub use check::{Report, check, check_text};
pub(crate) use laws::taken_back;
pub use parse::parse;
pub use update::update;

use odograph_model::Time;
use odograph_protocols::{Checksum, Protocol, SettingError, Settings, Terms, Transport};
use std::fmt;

/// One conversation.
#[derive(Debug, Clone, Default)]
pub struct Paragraph {
    /// Where it begins in its file.
    pub line: usize,
    /// What it shows.
    pub title: String,
    /// Where the bytes come from.
    pub source: String,
    /// How it is held.
    pub options: Options,
    /// What happens in it, in order.
    pub steps: Vec<Step>,
}

/// How a conversation is held.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it travels; `None` where any way will do.
    pub transport: Option<Transport>,
    /// The device that the connection belongs to beforehand.
    pub device: Option<String>,
    /// The protocol's settings.
    pub settings: Vec<(String, String)>,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// When everything in it is received.
    pub received: Time,
    /// Paragraphs with the same name here give the same set of record ids.
    pub ids: Option<String>,
    /// Whether the messages are without what framing strips.
    pub bare: bool,
    /// The messages that still mean something when cut short.
    pub prefix_ok: Scope,
    /// The messages that carry no checksum.
    pub unsummed: Scope,
    /// The messages that carry one, in a protocol that does not say so of all.
    pub summed: Summed,
}

/// Which messages of a paragraph carry a checksum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Summed {
    /// None, as far as the protocol does not say it of all.
    #[default]
    None,
    /// All.
    All,
    /// These, counted from 1, each from a byte on.
    Only(Vec<(usize, usize)>),
}

impl Summed {
    /// The first byte that the checksum covers of the message of that index.
    pub fn from(&self, index: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::All => Some(0),
            Self::Only(messages) => messages.iter().find(|(number, _)| *number == index + 1).map(|(_, from)| *from),
        }
    }
}

/// To which messages of a paragraph something applies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// To none.
    #[default]
    None,
    /// To all.
    All,
    /// To these, counted from 1.
    Only(Vec<usize>),
}

/// A line that does something.
#[derive(Debug, Clone)]
pub enum Step {
    /// The device sends a frame.
    Message(Message),
    /// A command is encoded.
    Command(Command),
}

/// A frame and what it gives.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its line.
    pub line: usize,
    /// The frame.
    pub bytes: Vec<u8>,
    /// What it gives.
    pub expected: Listed,
}

/// What a frame gives, as it is written in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Records as JSON objects.
    pub records: Vec<String>,
    /// Names of the device.
    pub identity: Vec<String>,
    /// Replies with their marks.
    pub replies: Vec<(String, Encoded)>,
    /// Notes.
    pub notes: Vec<String>,
    /// What is malformed; at most one.
    pub faults: Vec<String>,
    /// Answers to commands as JSON objects.
    pub answers: Vec<String>,
}

/// Bytes, and whether they are written as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether they are written as text.
    pub text: bool,
}

/// A command and what it is encoded as.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its line.
    pub line: usize,
    /// Name and attributes as they are written.
    pub call: String,
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// What is sent, or why nothing can be; `None` where it is not written yet.
    pub expected: Option<Result<Encoded, String>>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorsError {
    /// The file, where it is known.
    pub file: String,
    /// The line, from 1; 0 for all of the file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for VectorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", line) => write!(f, "line {line}: {}", self.what),
            (file, 0) => write!(f, "{file}: {}", self.what),
            (file, line) => write!(f, "{file}:{line}: {}", self.what),
        }
    }
}

impl std::error::Error for VectorsError {}

impl Default for Options {
    fn default() -> Self {
        Self {
            transport: None,
            device: None,
            settings: Vec::new(),
            checksum: Checksum::default(),
            received: RECEIVED,
            ids: None,
            bare: false,
            prefix_ok: Scope::None,
            unsummed: Scope::None,
            summed: Summed::None,
        }
    }
}

impl Options {
    /// What a conversation of `protocol` is opened with.
    pub fn terms(&self, protocol: &Protocol) -> Result<Terms, SettingError> {
        let pairs = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings = Settings::checked(pairs, protocol.settings)?;
        Ok(Terms { transport: self.transport, settings, checksum: self.checksum })
    }

    /// The device that records belong to until the conversation says otherwise.
    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap_or("123456789012345")
    }
}

impl Scope {
    /// Whether it applies to the message of that index, from 0.
    pub fn has(&self, index: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(numbers) => numbers.contains(&(index + 1)),
        }
    }
}

impl Paragraph {
    /// The frames that the device sends, in order.
    pub fn frames(&self) -> impl Iterator<Item = &Message> {
        self.steps.iter().filter_map(|step| match step {
            Step::Message(message) => Some(message),
            Step::Command(_) => None,
        })
    }
}

/// When messages are received unless a paragraph says otherwise: 2026-01-02T03:04:05Z.
pub const RECEIVED: Time = Time(1_767_323_045_000);
