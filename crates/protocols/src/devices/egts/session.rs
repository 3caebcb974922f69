//! A conversation: what it remembers, what it takes, what it sends. What a packet's records say is read in `session/records.rs`, and
//! what is answered to it in `session/replies.rs`.

mod records;
mod replies;

use super::auth::Terminal;
use super::sensors::Volts;
use super::transport::{self, Packet, Refusal};
use super::{COMMAND, FIRMWARE, codes, command};
use crate::{Checksum, Command, CommandError, Encoded, Opening, Out, Session};
use compact_str::CompactString;
use odograph_model::Time;
use odograph_wire::bits::is_set;
use odograph_wire::{Cursor, Malformed, Reason, Result};
use records::Batch;

pub(super) struct EgtsSession {
    checksum: Checksum,
    ignores_objects: bool,
    by_record: bool,
    /// The volts of a state's steps.
    volts: Volts,
    user: Option<CompactString>,
    password: Option<CompactString>,
    authorization: Option<CompactString>,
    state: State,
}

/// What later packets depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number of the next packet that is sent.
    next: u16,
    /// The terminal that logged in.
    terminal: Option<Terminal>,
    /// Whether the device was last bound to that terminal, and not to another object.
    is_bound: bool,
    /// Whether the password was right.
    is_authorized: bool,
}

impl EgtsSession {
    pub(super) fn open(opening: &Opening<'_>) -> Self {
        // One that is empty is none: else whoever says nothing would be let in.
        let text = |name| opening.settings.text(name).filter(|text| !text.is_empty()).map(CompactString::from);
        Self {
            checksum: opening.checksum,
            ignores_objects: opening.settings.text("objects") == Some("ignore"),
            by_record: opening.settings.text("responses") == Some("record"),
            volts: match opening.settings.text("state_volts") {
                Some("whole") => Volts::Whole,
                _ => Volts::Tenths,
            },
            user: text("user"),
            password: text("password"),
            authorization: text("authorization_code"),
            state: State::restore(opening.context).unwrap_or_default(),
        }
    }
}

impl Session for EgtsSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        // A packet that is not taken leaves nothing behind but the numbers of what was answered to it.
        let before = self.state.clone();
        let taken = transport::read(frame, self.checksum, out).and_then(|packet| self.packet(&packet, out));
        taken.map_err(|refusal| {
            self.state = State { next: self.state.next, ..before };
            self.refuse(&refusal, out)
        })
    }

    fn save(&self, context: &mut Vec<u8>) {
        self.state.save(context);
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        let order = command::order(command)?;
        let object = self.object(device);
        match order {
            command::Order::Command(kind, content) => {
                let (number, code) = (self.state.next, self.authorization.as_deref());
                let subrecord = command::subrecord(kind, number, code, &content)?;
                let token = Some(command::command_number(number));
                Ok(Encoded { bytes: self.sent(COMMAND, object, &subrecord), token })
            }
            command::Order::File { bytes, name, is_configuration, command } => {
                let file = command::file(&command, &bytes, &name, is_configuration)?;
                let buffer = self.state.terminal.as_ref().map_or(0, |terminal| terminal.buffer);
                let pieces = file.subrecords(self.state.next, buffer)?;
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| self.sent(FIRMWARE, object, piece)).collect();
                Ok(bytes.into())
            }
        }
    }
}

impl EgtsSession {
    fn packet(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> std::result::Result<(), Refusal> {
        let (id, route) = (packet.id, packet.route);
        let mut batch = Batch::default();
        let refuse = |malformed, code| Refusal::of(malformed, packet.kind, (id, route, code));
        let mut c = packet.data;
        match packet.kind {
            transport::RESPONSE => {
                let answered = c.u16_le("packet answered")?;
                let result = c.u8("result")?;
                if codes::is_fault(result) {
                    out.note(format!("packet {answered} was refused: {}", codes::meaning(result)));
                }
            }
            transport::APPDATA => {}
            transport::SIGNED_APPDATA => {
                let form = |malformed| refuse(malformed, codes::DATA_FORM);
                let length = c.u16_le("signature length").map_err(form)?;
                c.skip("signature", length.into()).map_err(form)?;
                out.note(format!("a signature of {length} bytes, which is not checked"));
            }
            _ => {
                let malformed = Malformed::new("packet type", transport::HEADER - 2, Reason::Unknown);
                return Err(refuse(malformed, codes::UNKNOWN_TYPE));
            }
        }
        while !c.is_empty() {
            let read = self.record(&mut c, &mut batch, packet.kind, out);
            read.map_err(|malformed| refuse(malformed, codes::DATA_FORM))?;
        }
        self.authorize(&mut batch, packet.id, route, out)?;
        self.identify(&batch, out);
        if packet.kind != transport::RESPONSE || !batch.confirmed.is_empty() {
            self.respond(&batch, id, route, out);
        }
        Ok(())
    }

    /// A packet to the device, with one record.
    fn sent(&mut self, service: u8, object: Option<u32>, subrecord: &[u8]) -> Vec<u8> {
        let number = self.number();
        let flags = TO_DEVICE | if object.is_some() { NAMES_OBJECT } else { 0 };
        let object = object.map(u32::to_le_bytes);
        let record = transport::record(number, flags, object.as_ref().map_or(&[], |id| &id[..]), service, subrecord);
        transport::packet(transport::APPDATA, number, None, &record)
    }

    /// The object that a record for `device` has to name: the terminal's own number, or that of another object.
    fn object(&self, device: &str) -> Option<u32> {
        match &self.state.terminal {
            Some(terminal) if terminal.name == device || device.is_empty() => Some(terminal.id),
            _ => device.parse().ok(),
        }
        .filter(|object| *object != 0)
    }

    fn number(&mut self) -> u16 {
        let number = self.state.next;
        self.state.next = number.wrapping_add(1);
        number
    }
}

/// The recipient's service is on the device; and the record names its object.
const TO_DEVICE: u8 = 1 << 6;
const NAMES_OBJECT: u8 = 1;

/// The form in which a state is saved.
const SAVED: u8 = 1;

impl State {
    fn save(&self, context: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        context.push(SAVED);
        context.extend(self.next.to_le_bytes());
        context.push(u8::from(self.is_bound) | u8::from(self.is_authorized) << 1);
        if let Some(terminal) = &self.terminal {
            context.extend(terminal.id.to_le_bytes());
            context.extend(terminal.buffer.to_le_bytes());
            context.extend(terminal.name.bytes());
        }
    }

    fn restore(context: &[u8]) -> Option<Self> {
        let mut c = Cursor::new(context);
        if c.u8("form").ok()? != SAVED {
            return None;
        }
        let next = c.u16_le("next").ok()?;
        let flags = c.u8("flags").ok()?;
        let terminal = match c.is_empty() {
            true => None,
            false => Some(Terminal {
                id: c.u32_le("terminal").ok()?,
                buffer: c.u16_le("buffer").ok()?,
                name: std::str::from_utf8(c.take_rest("name")).ok()?.into(),
            }),
        };
        Some(Self { next, terminal, is_bound: is_set(flags, 0), is_authorized: is_set(flags, 1) })
    }
}
