//! Wialon IPS 1.1, 2.0 and what is known of 2.1: the open protocol of Gurtam, spoken by trackers of many makers, by
//! phones and by other platforms. Source: Gurtam, "Wialon IPS" v1.1, v2.0 (10/2014) and v2.1.
//!
//! ```text
//! [version;]identity#TYPE#body[;CRC]\r\n[block]      the part before the first # in datagrams only
//! #L#imei;password                #L#2.0;imei;password;CRC         login         -> #AL#1
//! #SD#date;time;lat;N;lon;E;speed;course;altitude;satellites[;CRC]  short data   -> #ASD#1
//! #D#…short…;hdop;inputs;outputs;adc;ibutton;parameters[;CRC]       data         -> #AD#1
//! #B#record|record|…[|CRC]                                          black box    -> #AB#count
//! #P#  #M#text[;CRC]                                 ping, text from the driver  -> #AP#  #AM#1
//! #I#size;index;count;date;time;name[;CRC]\r\nBLOCK                 picture      -> #AI#index;1  #AI#1
//! #IT#date;time;driver;code;count[;CRC]              tachograph file, its header -> #AIT#1
//! #T#code;size;index[;CRC]\r\nBLOCK                  tachograph file, a block    -> #AT#index;1  #AT#1
//! FF LL LL Z…                     container: L bytes (little-endian) of zlib data, in which one packet is; answered
//!                                 as the packet in it
//! ```
//!
//! The checksum is CRC-16/ARC in hex over the body up to and with the separator before it; of pictures and tachograph
//! blocks, over the block alone. A field that is `NA` or empty states nothing.
//!
//! The packets of version 2.1 that carry video are not decoded: how they are built is not to be had. They are malformed
//! here, counted, and kept like everything else.

mod block;
mod command;
mod container;
mod parameters;
mod point;
mod recognise;
mod text;

use crate::settings::SettingKind;
use crate::{
    Answer, Checksum, Command, CommandError, Encoded, Maturity, Opening, Out, Protocol, Session, Setting, Transport,
};
use compact_str::CompactString;
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cut, Framing, Malformed, Reason, Result};
use point::Form;
use std::borrow::Cow;
use text::Seal;

/// A black box may have 5000 records: so many short ones take half of this, and full ones of usual length all of it.
const FRAME_MAX: usize = 512 * 1024;
/// The maker recommends blocks of at most 50 KB.
const BLOCK_MAX: usize = 65_535;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "wialon",
    title: "Wialon IPS",
    devices: "trackers of many makers, phones and other platforms",
    source: "Gurtam, Wialon IPS v1.1, v2.0 (10/2014), v2.1 without its video",
    maturity: Maturity::Proven,
    port: 5039,
    transports: &[Transport::Tcp, Transport::Udp],
    datagrams_identify: true,
    commands_by_datagram: true,
    framing: Framing::Custom(cut),
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    frame_max: FRAME_MAX,
    // Devices that have nothing to say send #P# every few minutes.
    idle_s_max: 15 * 60,
    // Only since 2.0.
    has_checksum: false,
    settings: &[
        Setting {
            name: "charset",
            kind: SettingKind::OneOf(&["utf-8", "windows-1251"]),
            meaning: "how texts are written; without it UTF-8, and windows-1251 for lines that are not UTF-8",
        },
        Setting {
            name: "password",
            kind: SettingKind::Text,
            meaning: "the password that a login must carry; without it any will do",
        },
    ],
    commands: command::COMMANDS,
    open,
};

/// Lines, after the lines that announce one a block of bytes, and containers.
fn cut(bytes: &[u8]) -> Cut {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Cut::Skip(blank);
    }
    if let Some(cut) = container::cut(bytes) {
        return cut;
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Cut::Need(bytes.len().saturating_add(1));
    };
    let line = bytes.get(..end).unwrap_or_default();
    match block::announced(line) {
        size if size > BLOCK_MAX => Cut::Lost("a block of more than 65535 bytes is announced"),
        size => match end.saturating_add(1).saturating_add(size) {
            total if total <= bytes.len() => Cut::Frame(total),
            total => Cut::Need(total),
        },
    }
}

fn open(opening: &Opening<'_>) -> Box<dyn Session> {
    let mut session = WialonSession {
        checksum: opening.checksum,
        cyrillic: opening.settings.text("charset") == Some("windows-1251"),
        password: opening.settings.text("password").map(CompactString::from),
        sealed: false,
        datagram_sealed: None,
        tachograph: None,
    };
    session.restore(opening.context);
    Box::new(session)
}

struct WialonSession {
    checksum: Checksum,
    /// Whether texts are windows-1251 even where they could be UTF-8.
    cyrillic: bool,
    password: Option<CompactString>,
    /// Whether the login named version 2, in which everything that carries data carries a checksum.
    sealed: bool,
    /// The same of the last datagram, each of which names its version: for commands alone, so that it is not saved.
    datagram_sealed: Option<bool>,
    /// The tachograph file under way.
    tachograph: Option<block::Tachograph>,
}

/// One packet: a line, and the block that it announces.
struct Packet<'a> {
    /// What stands before the first `#`.
    prefix: &'a [u8],
    /// The packet's type.
    kind: &'a [u8],
    /// What stands between the second `#` and the end of the line.
    body: &'a [u8],
    /// Offset of the prefix, the type, the body and the block from the beginning of the frame.
    at: [usize; 4],
    block: &'a [u8],
    /// How long the line says that the block is.
    announced: usize,
    /// Whether a checksum must be there.
    sealed: bool,
}

/// What is wrong with a packet, and how the maker wants the device to be told.
struct Fault {
    malformed: Malformed,
    code: &'static str,
}

/// The code for a packet whose fields cannot be told apart.
const STRUCTURE: &str = "-1";

impl Fault {
    /// Gives errors about values this code; a missing field is a fault of the structure.
    fn of(code: &'static str) -> impl Fn(Malformed) -> Self {
        move |malformed| match malformed.reason {
            Reason::Truncated { .. } => Self { malformed, code: STRUCTURE },
            _ => Self { malformed, code },
        }
    }

    /// Answers `#TYPE#[prefix]code` and gives the error.
    fn tell(self, answer: &str, out: &mut Out<'_>) -> Malformed {
        out.reply_despite_error(format!("{answer}{}\r\n", self.code));
        self.malformed
    }
}

impl Session for WialonSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        let mut next = text::skip_blank(frame, 0);
        if next == frame.len() {
            return Err(Malformed::new("packet", 0, Reason::Truncated { need: 1, have: 0 }));
        }
        // A packet each on TCP; a datagram may hold several.
        while next < frame.len() {
            let rest = frame.get(next..).unwrap_or_default();
            let end = match container::begins(rest) {
                true => self.container(rest, next, out)?,
                false => self.line(rest, next, out)?,
            };
            next = text::skip_blank(frame, next.saturating_add(end));
        }
        Ok(())
    }

    fn save(&self, context: &mut Vec<u8>) {
        if self.sealed || self.tachograph.is_some() {
            context.push(if self.sealed { b'2' } else { b'1' });
        }
        if let Some(tachograph) = &self.tachograph {
            tachograph.save(context);
        }
    }

    fn command(&mut self, _device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        command::encode(command, self.datagram_sealed.unwrap_or(self.sealed)).map(Encoded::from)
    }
}

impl WialonSession {
    fn restore(&mut self, context: &[u8]) {
        if let Some((version @ (b'1' | b'2'), tachograph)) = context.split_first() {
            self.sealed = *version == b'2';
            self.tachograph = block::Tachograph::restore(tachograph);
        }
    }

    /// Takes the packet that begins `bytes`, which begin at `at` of the frame; gives where it ends.
    fn line(&mut self, bytes: &[u8], at: usize, out: &mut Out<'_>) -> Result<usize> {
        let (packet, end) = self.packet(bytes, at, out)?;
        self.on_packet(&packet, out)?;
        Ok(end)
    }

    /// Takes the container that begins `bytes`, which begin at `at` of the frame; gives where it ends.
    fn container(&mut self, bytes: &[u8], at: usize, out: &mut Out<'_>) -> Result<usize> {
        let container = container::read(bytes, at, out)?;
        let text = container.text.as_slice();
        let mut next = text::skip_blank(text, 0);
        if next == text.len() {
            return Err(Malformed::new("packet", container.at, Reason::Truncated { need: 1, have: 0 }));
        }
        // One packet, says the maker. More of them do no harm.
        while next < text.len() {
            let rest = text.get(next..).unwrap_or_default();
            let end = self.line(rest, container.at.saturating_add(next), out)?;
            next = text::skip_blank(text, next.saturating_add(end));
        }
        Ok(container.length)
    }

    /// The packet that begins `rest`, which begins at `start` of the frame, and where it ends.
    fn packet<'a>(&mut self, rest: &'a [u8], start: usize, out: &mut Out<'_>) -> Result<(Packet<'a>, usize)> {
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end.saturating_add(1));
        let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let line = text::trimmed(line);
        let mut parts = line.splitn(3, |byte| *byte == b'#');
        let (Some(prefix), Some(kind), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Malformed::new("packet type", start, Reason::Expected("#TYPE#")));
        };
        let past = |at: usize, part: &[u8]| at.saturating_add(part.len()).saturating_add(1);
        let end = start.saturating_add(length);
        let kind_at = past(start, prefix);
        let announced = block::announced(line);
        let size = announced.min(after.len());
        let mut packet = Packet {
            prefix,
            kind,
            body,
            at: [start, kind_at, past(kind_at, kind), end],
            block: after.get(..size).unwrap_or_default(),
            announced,
            sealed: self.sealed,
        };
        note_read("type", kind, kind_at, out);
        if !prefix.is_empty() {
            packet.sealed = self.addressed(&packet, out)?;
            self.datagram_sealed = Some(packet.sealed);
        }
        Ok((packet, length.saturating_add(size)))
    }

    /// Takes the identity of a datagram; gives whether its version is 2.
    fn addressed(&self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<bool> {
        let [at, ..] = packet.at;
        let prefix = self.text(packet.prefix);
        let mut f = out.fields(&prefix, at, ';');
        let (sealed, identity) = identity(&mut f)?;
        match out.identity().first() {
            None => out.identify(identity),
            Some(first) if first == identity => {}
            Some(_) => return Err(Malformed::new("identity", at, Reason::Expected("one device in a datagram"))),
        }
        Ok(sealed)
    }

    fn on_packet(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        match packet.kind {
            b"D" => self.data(packet, Form::Full, out),
            b"SD" => self.data(packet, Form::Any, out),
            b"B" => self.black_box(packet, out),
            b"L" => self.login(packet, out),
            b"M" => self.message(packet, out),
            b"I" => self.picture(packet, out),
            b"IT" => self.tachograph_header(packet, out),
            b"T" => self.tachograph_block(packet, out),
            b"P" => {
                out.reply_to_anyone(b"#AP#\r\n");
                Ok(())
            }
            _ => {
                let [_, at, ..] = packet.at;
                Err(Malformed::new("packet type", at, Reason::Unknown))
            }
        }
    }

    fn login(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let sealed = text::names_version(packet.body);
        let [_, _, at, _] = packet.at;
        let seal = if sealed { text::seal(packet.body, true) } else { Seal::None(packet.body) };
        let body =
            self.opened(seal, at, out).map_err(|(malformed, _)| Fault { malformed, code: "10" }.tell("#AL#", out))?;
        let body = self.text(body);
        let mut f = out.fields(&body, at, ';');
        let (sealed, identity) =
            identity(&mut f).map_err(|error| Fault { malformed: error, code: "0" }.tell("#AL#", out))?;
        let password_at = f.at();
        let password = f.text("password").map_err(|malformed| Fault { malformed, code: "0" }.tell("#AL#", out))?;
        f.finish("login").map_err(|malformed| Fault { malformed, code: "0" }.tell("#AL#", out))?;
        if self.password.as_deref().is_some_and(|wanted| wanted != password) {
            let malformed = Malformed::new("password", password_at, Reason::Expected("the password that was set"));
            return Err(Fault { malformed, code: "01" }.tell("#AL#", out));
        }
        self.sealed = sealed;
        out.identify(identity);
        out.reply_if_known(b"#AL#1\r\n", b"#AL#0\r\n");
        Ok(())
    }

    fn data(&self, packet: &Packet<'_>, form: Form, out: &mut Out<'_>) -> Result<()> {
        let (good, bad, checksum_code) = match form {
            Form::Full => (b"#AD#1\r\n".as_slice(), "#AD#", "16"),
            Form::Any => (b"#ASD#1\r\n".as_slice(), "#ASD#", "13"),
        };
        let [_, _, at, _] = packet.at;
        match self.point(packet.body, at, form, packet.sealed, checksum_code, out) {
            Ok(record) => {
                out.record(record);
                out.reply(good);
                Ok(())
            }
            Err(fault) => Err(fault.tell(bad, out)),
        }
    }

    /// A record and the checksum behind it, if there is one.
    fn point(
        &self,
        body: &[u8],
        at: usize,
        form: Form,
        sealed: bool,
        checksum_code: &'static str,
        out: &mut Out<'_>,
    ) -> std::result::Result<Record, Fault> {
        let body = self
            .opened(text::seal_of_point(body, sealed), at, out)
            .map_err(|(malformed, stated)| Fault { malformed, code: if stated { checksum_code } else { STRUCTURE } })?;
        point::read(&self.text(body), at, form, body, out)
    }

    /// Several records. What is broken among them is left out, and the answer counts only what was kept, so that nothing
    /// is acknowledged that was not stored, and nothing good is held up by it.
    fn black_box(&self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let [_, _, mut at, _] = packet.at;
        let seal = text::seal_of_list(packet.body, packet.sealed);
        let records =
            self.opened(seal, at, out).map_err(|(malformed, _)| Fault { malformed, code: "" }.tell("#AB#", out))?;
        let (before, mut broken) = (out.records().len(), None);
        for (index, record) in records.split(|byte| *byte == b'|').enumerate() {
            match self.point(record, at, Form::Any, false, STRUCTURE, out) {
                Ok(_) if out.records().len() >= crate::RECORDS_MAX => break,
                Ok(mut record) => {
                    record.set(Key::RecordArchived, true);
                    out.record(record);
                }
                Err(fault) => {
                    out.note(format!("record {}: {}", index.saturating_add(1), fault.malformed));
                    broken = broken.or(Some(fault.malformed));
                }
            }
            at = at.saturating_add(record.len()).saturating_add(1);
        }
        match (out.records().len().saturating_sub(before), broken) {
            (0, Some(malformed)) => Err(Fault { malformed, code: "0" }.tell("#AB#", out)),
            (count, _) => {
                out.reply(format!("#AB#{count}\r\n"));
                Ok(())
            }
        }
    }

    /// A text that the driver or the device wrote; devices answer commands so.
    fn message(&self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let [_, _, at, _] = packet.at;
        let seal = text::seal(packet.body, packet.sealed);
        let body =
            self.opened(seal, at, out).map_err(|(malformed, _)| Fault { malformed, code: "01" }.tell("#AM#", out))?;
        let text = self.text(body);
        out.fields(&text, at, '\n').take_rest("message");
        if text.is_empty() {
            let malformed = Malformed::new("message", at, Reason::Truncated { need: 1, have: 0 });
            return Err(Fault { malformed, code: "0" }.tell("#AM#", out));
        }
        let mut record = Record::new();
        record.set(Key::DeviceCommandResult, &*text);
        out.record(record.hash_span(b"M").hash_span(body));
        out.answer(Answer { token: None, text: text.into_owned(), done: None });
        out.reply(b"#AM#1\r\n");
        Ok(())
    }

    /// The text under a seal that begins at `at`, or what is wrong with the seal and whether there is one.
    fn opened<'b>(
        &self,
        seal: Seal<'b>,
        at: usize,
        out: &mut Out<'_>,
    ) -> std::result::Result<&'b [u8], (Malformed, bool)> {
        let (text, length, reason) = match seal {
            Seal::None(text) => return Ok(text),
            Seal::Missing(text) => (text, text.len(), Some(Reason::Truncated { need: 1, have: 0 })),
            Seal::Stated { text, sealed, stated } => {
                note_read("checksum", stated, at.saturating_add(sealed.len()), out);
                (text, sealed.len(), text::mismatch(sealed, stated))
            }
        };
        let stated = !matches!(reason, Some(Reason::Truncated { .. }));
        match reason {
            None => Ok(text),
            Some(reason) => {
                self.weigh(Malformed::new("checksum", at.saturating_add(length), reason), out)
                    .map_err(|malformed| (malformed, stated))?;
                Ok(text)
            }
        }
    }

    fn weigh(&self, malformed: Malformed, out: &mut Out<'_>) -> Result<()> {
        match self.checksum {
            Checksum::Enforce => Err(malformed),
            Checksum::Note => {
                out.note(malformed.to_string());
                Ok(())
            }
        }
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        text::decoded(bytes, self.cyrillic)
    }
}

/// Shows the trace a part of the line that is not read as a field.
fn note_read(name: &'static str, bytes: &[u8], at: usize, out: &Out<'_>) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        out.fields(text, at, '\n').take_rest(name);
    }
}

/// Version and identity, as logins and datagrams begin: the version is there since 2.0, and has a dot.
fn identity<'a>(f: &mut odograph_wire::Fields<'a>) -> Result<(bool, &'a str)> {
    let mut at = f.at();
    let mut identity = f.text("identity")?.trim();
    let sealed = identity.contains('.');
    if sealed {
        at = f.at();
        identity = f.text("identity")?.trim();
    }
    match identity {
        "" => Err(Malformed::new("identity", at, Reason::Expected("an identity"))),
        identity => Ok((sealed, identity)),
    }
}

#[cfg(test)]
mod tests;
