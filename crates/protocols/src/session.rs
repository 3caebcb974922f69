//! What a protocol is, and what a conversation with a device is.

use crate::{Claim, Command, CommandError, CommandSpec, Encoded, Looks, Out, Setting, Settings};
use odograph_model::Time;
use odograph_wire::{Framing, Result};

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A stream, cut by the protocol's framing.
    Tcp,
    /// Datagrams: each is one message, whole.
    Udp,
}

impl Transport {
    /// `tcp` or `udp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What happens to a message whose checksum is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// It is malformed.
    #[default]
    Enforce,
    /// It is decoded with a note: for clones that compute it wrongly.
    Note,
}

/// How far a protocol's decoder can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maturity {
    /// Written from the maker's description and checked against captured messages.
    Proven,
    /// Parts are guesses, and are marked so.
    Unverified,
}

/// A protocol: everything about it that is the same for all devices.
#[derive(Debug)]
pub struct Protocol {
    /// Its short name, that of its file.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Devices that speak it, for people.
    pub devices: &'static str,
    /// The description it was written from: document, version, sections.
    pub source: &'static str,
    /// How far it can be trusted.
    pub maturity: Maturity,
    /// The port on which devices expect it.
    pub port: u16,
    /// How it travels.
    pub transports: &'static [Transport],
    /// How its stream is cut.
    pub framing: Framing,
    /// Whether the first bytes of a stream, or one whole datagram, are this protocol's. Any kind of message may come
    /// first, since devices reconnect in the midst of their work. Every beginning of a message is `Perhaps` or `Yes`, and
    /// `No` and `Yes` stay when bytes are added; see [`recognise`](crate::recognise).
    pub recognise: fn(start: &[u8], transport: Transport) -> Claim,
    /// What it goes by there, for people who ask why bytes may be this protocol's.
    pub looks: Looks,
    /// No frame is longer than this, in bytes.
    pub frame_max: usize,
    /// A connection that is silent for longer than this is dead, in seconds.
    pub idle_s_max: u32,
    /// Whether each message carries a checksum over all that matters.
    pub has_checksum: bool,
    /// Whether its datagrams say from which device they are. One that does not is then nobody's, whatever came from
    /// the same address before.
    pub datagrams_identify: bool,
    /// Whether a device that comes by datagrams takes commands by them: each is one datagram, back to where the device was
    /// heard last.
    pub commands_by_datagram: bool,
    /// Its settings, by listener or device.
    pub settings: &'static [Setting],
    /// The commands it can encode.
    pub commands: &'static [CommandSpec],
    /// Begins or resumes a conversation.
    pub open: fn(&Opening<'_>) -> Box<dyn Session>,
}

impl Protocol {
    /// Whether its messages are requests, each of which says by itself whose it is and is answered by itself: a device may
    /// have several connections, and one connection, of a balancer say, several devices.
    pub const fn is_of_requests(&self) -> bool {
        matches!(self.framing, Framing::Http)
    }

    /// The ways in which it travels, as people know them: requests come by `http`, which is over TCP.
    pub fn travels_by(&self) -> impl Iterator<Item = &'static str> {
        let name = |transport: &Transport| match transport {
            Transport::Tcp if self.is_of_requests() => "http",
            transport => transport.name(),
        };
        self.transports.iter().map(name)
    }
}

/// What a conversation begins with, or goes on from.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// How the messages travel; `None` where any of the protocol's ways may come (`odograph decode`).
    pub transport: Option<Transport>,
    /// What the listener or the device's owner set.
    pub settings: &'a Settings,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// What [`Session::save`] wrote earlier; empty at the beginning. Bytes that the protocol never wrote are to be
    /// taken as a beginning.
    pub context: &'a [u8],
}

/// The most that [`Session::save`] may write, in bytes: it is repeated in every journal segment.
pub const CONTEXT_MAX: usize = 1024;

/// One conversation with a device. A small value: thousands of them are idle at any time.
pub trait Session: Send {
    /// Takes one whole frame, received at `received`.
    ///
    /// An error means that the message is malformed: the caller then drops the records and replies that this call
    /// added (except [`Out::reply_despite_error`]), and the conversation goes on. Structure (length, checksum, counts)
    /// is checked before anything is answered; an odd value is an [`Out::note`] and never costs a position.
    fn on_frame(&mut self, frame: &[u8], received: Time, out: &mut Out<'_>) -> Result<()>;

    /// Appends what later frames depend on, beside the identity, at most [`CONTEXT_MAX`] bytes; most have nothing.
    fn save(&self, context: &mut Vec<u8>) {
        let _ = context;
    }

    /// The bytes that send `command` to `device`, and what ties the answer to it.
    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        let _ = device;
        Err(CommandError::Unknown { name: command.name.to_owned() })
    }
}
