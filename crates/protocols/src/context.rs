//! What the journal keeps beside the bytes, so that every segment decodes on its own: who was connected how, under
//! which settings, bound to which device, and what the session remembered.
//!
//! ```text
//! context    version u8 = 1 | transport u8 | checksum u8 | protocol s8 | peer s8 | local s8 | settings
//!            | bound u8 [ device s8 | binding ] | session s16
//! binding    version u8 = 1 | decision u8 | tenant s8 | settings
//! settings   count u8, then as often: name s8 | value s16
//! s8, s16    a length of 1 or 2 bytes (little-endian), then as many bytes
//! ```

use crate::detect::UNIDENTIFIED;
use crate::{Checksum, Footing, Settings, Transport};
use compact_str::CompactString;
use odograph_wire::{Cursor, Malformed, Reason, Result};
use std::fmt::Display;
use std::io::Write as _;

const VERSION: u8 = 1;

/// What was decided about a device, and holds for all that it sends from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The device's id.
    pub device: CompactString,
    /// Whom it belongs to.
    pub tenant: CompactString,
    /// Whether its data counts.
    pub decision: Decision,
    /// Settings of this device, which stand above the listener's.
    pub settings: Settings,
}

/// Whether a device's data counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It does.
    Accepted,
    /// It is acknowledged and kept, and a person decides later.
    Quarantined,
    /// It was refused: nothing was acknowledged.
    Refused,
}

/// A conversation's state before an entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The protocol's name.
    pub protocol: CompactString,
    /// How the bytes travel.
    pub transport: Transport,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// The device's address.
    pub peer: CompactString,
    /// Our address.
    pub local: CompactString,
    /// The listener's settings.
    pub settings: Settings,
    /// The device, once it is known.
    pub binding: Option<Binding>,
    /// What [`crate::Session::save`] wrote.
    pub session: Vec<u8>,
}

impl Binding {
    /// Appends all but the device, which the journal keeps itself.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write_decided(self, out);
    }

    /// Reads what [`Binding::write`] wrote for `device`.
    pub(crate) fn read_alone(device: &str, bytes: &[u8]) -> Result<Self> {
        let mut c = Cursor::new(bytes);
        let binding = read_binding(device, &mut c)?;
        c.finish("binding")?;
        Ok(binding)
    }
}

impl Context {
    /// Appends all of it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_footing(&self.protocol, self.transport, self.checksum, out);
        short(&self.peer, out);
        short(&self.local, out);
        write_settings(&self.settings, out);
        write_tail(self.binding.as_ref(), &self.session, out);
    }

    /// Reads what [`Context::write`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut c = Cursor::new(bytes);
        version(&mut c)?;
        let transport = match c.u8("transport")? {
            0 => Transport::Tcp,
            1 => Transport::Udp,
            _ => return Err(c.error("transport", Reason::Unknown)),
        };
        let checksum = if c.u8("checksum")? == 0 { Checksum::Enforce } else { Checksum::Note };
        let protocol = read_short("protocol", &mut c)?.into();
        let peer = read_short("peer", &mut c)?.into();
        let local = read_short("local", &mut c)?.into();
        let settings = read_settings(&mut c)?;
        let binding = match c.u8("bound")? {
            0 => None,
            _ => Some({
                let device = read_short("device", &mut c)?;
                read_binding(device, &mut c)?
            }),
        };
        let length = c.u16_le("session length")?;
        let session = c.bytes("session", length.into())?.to_vec();
        c.finish("context")?;
        Ok(Self { protocol, transport, checksum, peer, local, settings, binding, session })
    }
}

/// The part of a context that never changes during a conversation: all before `bound`. But for the peer it is the same for
/// all who come to a listener, so none of them keeps it.
#[derive(Debug)]
pub struct Head {
    before_peer: Vec<u8>,
    after_peer: Vec<u8>,
}

impl Head {
    /// That of conversations by `local`, our address.
    pub fn new(footing: &Footing, local: &str) -> Self {
        let (mut before_peer, mut after_peer) = (Vec::new(), Vec::new());
        write_footing(footing.protocol.name, footing.transport, footing.checksum, &mut before_peer);
        short(local, &mut after_peer);
        write_settings(&footing.settings, &mut after_peer);
        Self { before_peer, after_peer }
    }

    /// Appends it for a peer, whose address has at most 255 bytes as text.
    pub fn write(&self, peer: impl Display, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_peer);
        let length = out.len();
        out.push(0);
        // Memory takes all that is written.
        let _ = write!(out, "{peer}");
        if let Some((length, text)) = out.get_mut(length..).and_then(<[u8]>::split_first_mut) {
            *length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        }
        out.extend_from_slice(&self.after_peer);
    }
}

fn write_footing(protocol: &str, transport: Transport, checksum: Checksum, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.push(u8::from(transport == Transport::Udp));
    out.push(u8::from(checksum == Checksum::Note));
    short(protocol, out);
}

/// Appends the rest of a context: what follows its [`Head`].
pub fn write_tail(binding: Option<&Binding>, session: &[u8], out: &mut Vec<u8>) {
    out.push(u8::from(binding.is_some()));
    if let Some(binding) = binding {
        short(&binding.device, out);
        binding.write(out);
    }
    long(session, out);
}

/// Whether a context is that of a stream whose protocol was not known yet.
pub fn is_unidentified(context: &[u8]) -> bool {
    Context::read(context).is_ok_and(|context| context.protocol == UNIDENTIFIED.name)
}

fn read_binding(device: &str, c: &mut Cursor<'_>) -> Result<Binding> {
    version(c)?;
    read_decided(device, c)
}

/// What of a binding follows its version.
pub(crate) fn write_decided(binding: &Binding, out: &mut Vec<u8>) {
    write_decision(binding.decision, out);
    short(&binding.tenant, out);
    write_settings(&binding.settings, out);
}

pub(crate) fn write_decision(decision: Decision, out: &mut Vec<u8>) {
    out.push(match decision {
        Decision::Accepted => 1,
        Decision::Quarantined => 2,
        Decision::Refused => 3,
    });
}

pub(crate) fn read_decision(c: &mut Cursor<'_>) -> Result<Decision> {
    match c.u8("decision")? {
        1 => Ok(Decision::Accepted),
        2 => Ok(Decision::Quarantined),
        3 => Ok(Decision::Refused),
        _ => Err(c.error("decision", Reason::Unknown)),
    }
}

/// Reads what [`write_decided`] wrote.
pub(crate) fn read_decided(device: &str, c: &mut Cursor<'_>) -> Result<Binding> {
    let decision = read_decision(c)?;
    let tenant = read_short("tenant", c)?.into();
    let settings = read_settings(c)?;
    Ok(Binding { device: device.into(), tenant, decision, settings })
}

fn version(c: &mut Cursor<'_>) -> Result<()> {
    match c.u8("version")? {
        VERSION => Ok(()),
        _ => Err(Malformed::new("version", c.at(), Reason::Unknown)),
    }
}

fn write_settings(settings: &Settings, out: &mut Vec<u8>) {
    let most = usize::from(u8::MAX);
    out.push(u8::try_from(settings.iter().take(most).count()).unwrap_or(u8::MAX));
    for (name, value) in settings.iter().take(most) {
        short(name, out);
        long(beginning(value, u16::MAX.into()).as_bytes(), out);
    }
}

fn read_settings(c: &mut Cursor<'_>) -> Result<Settings> {
    let mut pairs = Vec::new();
    for _ in 0..c.u8("settings")? {
        let name = read_short("setting", c)?;
        let length = c.u16_le("value length")?;
        pairs.push((name, utf8("value", c.bytes("value", length.into())?, c)?));
    }
    Ok(Settings::recorded(pairs))
}

/// What is longer than the length field can say is cut: nothing that long is ever meant.
pub(crate) fn short(text: &str, out: &mut Vec<u8>) {
    let text = beginning(text, u8::MAX.into());
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.bytes());
}

/// At most so many bytes of a text, in whole characters: half a one could not be read again.
fn beginning(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

fn long(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_le_bytes());
    out.extend(bytes.iter().take(length.into()));
}

pub(crate) fn read_short<'a>(field: &'static str, c: &mut Cursor<'a>) -> Result<&'a str> {
    let length = c.u8(field)?;
    utf8(field, c.bytes(field, length.into())?, c)
}

fn utf8<'a>(field: &'static str, bytes: &'a [u8], c: &Cursor<'_>) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| c.error(field, Reason::Expected("UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let settings = |value| Settings::recorded([("zone", value)]);
        let binding = Binding {
            device: "352093081452251".into(),
            tenant: "default".into(),
            decision: Decision::Quarantined,
            settings: settings("+02:00"),
        };
        Context {
            protocol: "teltonika".into(),
            transport: Transport::Udp,
            checksum: Checksum::Note,
            peer: "[::1]:40000".into(),
            local: "[::]:5027".into(),
            settings: settings("UTC"),
            binding: Some(binding),
            session: vec![1, 2, 3],
        }
    }

    #[test]
    fn texts_that_are_too_long_are_cut_to_whole_characters() {
        let settings = Settings::recorded([("zone", "é".repeat(40_000).as_str())]);
        let context = Context { peer: "ü".repeat(200).into(), settings, ..context() };
        let mut bytes = Vec::new();
        context.write(&mut bytes);
        let read = Context::read(&bytes).unwrap();
        assert_eq!((read.peer.len(), read.settings.text("zone").map(str::len)), (254, Some(65_534)));
        assert_eq!((read.binding, read.session), (context.binding, context.session));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for context in [context(), Context { binding: None, session: Vec::new(), ..context() }] {
            let mut bytes = Vec::new();
            context.write(&mut bytes);
            assert_eq!(Context::read(&bytes), Ok(context));
            for length in 0..bytes.len() {
                assert!(Context::read(&bytes[..length]).is_err(), "cut at {length}");
            }
        }
    }
}
