//! Pictures and sounds, which come in pieces; X1 sends those of its pictures as the server asks for them.
//!
//! Each piece gives a record that says which it is: `media.id`, `media.offset` or `media.piece`, `media.piece.length`
//! and `media.length`, the length of all. Here they are not put together: what a session keeps is written into every
//! segment of the journal and has to stay within a kilobyte, and the journal holds all bytes anyway.

use super::{Context, Message, STATUS_2, code, epoch, hex, moment, packet, raw_unless_zero, timed};
use crate::Out;
use compact_str::format_compact;
use odograph_model::{Key, Record};
use odograph_wire::{Reason, Result};

/// The most that is asked for at once, in bytes.
const PIECE_MAX: u32 = 1024;
/// So many times a piece is asked for again where another one came. A device that sends nothing else is left alone.
const REPEATS_MAX: u8 = 8;

/// A picture that is under way.
#[derive(Clone, Copy)]
pub(super) struct Photo {
    id: u32,
    length: u32,
    received: u32,
    /// How often in a row another piece came than was asked for.
    repeats: u8,
}

impl Photo {
    pub(super) fn save(self, context: &mut Vec<u8>) {
        for number in [self.id, self.length, self.received] {
            context.extend_from_slice(&number.to_be_bytes());
        }
        context.push(self.repeats);
    }

    pub(super) fn resumed(context: &[u8]) -> Option<Self> {
        match context.as_chunks::<4>() {
            // Earlier versions did not count.
            ([id, length, received], repeats @ ([] | [_])) => Some(Self {
                id: u32::from_be_bytes(*id),
                length: u32::from_be_bytes(*length),
                received: u32::from_be_bytes(*received),
                repeats: repeats.first().copied().unwrap_or(0),
            }),
            _ => None,
        }
    }

    const fn left(self) -> u32 {
        self.length.saturating_sub(self.received)
    }

    /// What it is with the piece of `length` bytes from `offset` on.
    fn with(self, offset: u32, length: u16) -> Self {
        match offset == self.received {
            true => Self { received: offset.saturating_add(length.into()), repeats: 0, ..self },
            false => Self { repeats: self.repeats.saturating_add(1), ..self },
        }
    }

    /// Asks for the next piece.
    fn request(self, out: &mut Out<'_>) {
        let mut content = Vec::with_capacity(10);
        content.extend_from_slice(&self.id.to_be_bytes());
        content.extend_from_slice(&self.received.to_be_bytes());
        let piece = u16::try_from(self.left().min(PIECE_MAX)).unwrap_or(0);
        content.extend_from_slice(&piece.to_be_bytes());
        out.reply(packet(false, STATUS_2, &content, 0));
    }
}

/// 0x35: X1 took a picture. Where it was, stands in it without saying on which half of the earth: kept as sent.
pub(super) fn photo_info(m: &Message<'_>, x: Context, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let mut c = m.content;
    let mut record = timed(moment(&mut c, x.zone, out)?);
    record.set(Key::DeviceMessageType, code(m.kind));
    raw_unless_zero(&mut record, "media.fix", c.u8("fix")?.into());
    raw_unless_zero(&mut record, "media.latitude", c.u32("latitude")?.into());
    raw_unless_zero(&mut record, "media.longitude", c.u32("longitude")?.into());
    record.raw("media.camera", c.u8("camera")?);
    record.raw("media.source", c.u8("source")?);
    record.raw("media.format", c.u8("format")?);
    let length = c.u32("length")?;
    let id = c.u32("picture")?;
    record.raw("media.id", id);
    record.raw("media.length", length);
    out.record(record.hash_span(m.span));
    let begun = Photo { id, length, received: 0, repeats: 0 };
    begun.request(out);
    *photo = Some(begun);
    Ok(())
}

/// 0x36 in a long packet: a piece of X1's picture.
pub(super) fn photo_data(m: &Message<'_>, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let mut c = m.content;
    let mut record = Record::new();
    record.set(Key::DeviceMessageType, code(m.kind));
    let id = c.u32("picture")?;
    let offset = c.u32("offset")?;
    let length = c.u16("piece length")?;
    c.skip("piece", length.into())?;
    record.raw("media.id", id);
    record.raw("media.offset", offset);
    record.raw("media.piece.length", length);
    match photo.filter(|photo| photo.id == id) {
        None => out.note("a piece of a picture that was not announced"),
        Some(before) => {
            record.raw("media.length", before.length);
            let now = before.with(offset, length);
            *photo = Some(now).filter(|now| now.left() > 0 && length > 0 && now.repeats <= REPEATS_MAX);
            match photo {
                Some(photo) => {
                    if photo.repeats > 0 {
                        out.note("a piece of a picture that was not asked for");
                    }
                    photo.request(out);
                }
                None if now.left() == 0 => record.set(Key::MediaImage, format_compact!("{id:08x}.jpg")),
                None => out.note("the picture ends before its length"),
            }
        }
    }
    out.record(record.hash_span(m.span));
    Ok(())
}

/// 0x41: a piece of a picture, with where it was taken.
pub(super) fn multimedia(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    c.skip("serial number", 8)?;
    let mut record = timed(epoch(&mut c)?);
    c.skip("fix", 17)?;
    c.skip("cell", 8)?;
    record.raw("media.id", c.u32("media")?);
    record.raw("media.length", c.u32("media length")?);
    let (kind, format) = (c.u8("media type")?, c.u8("media format")?);
    record.raw("media.type", kind);
    if kind == 0 && format == 0 {
        record.set(Key::EventCode, code(c.u8("event")?));
        record.raw("media.piece", c.u16("piece")?);
        record.raw("media.piece.length", u32::try_from(c.left()).unwrap_or(u32::MAX));
    }
    c.take_rest("piece");
    out.reply(packet(true, m.kind, &[], m.serial));
    Ok(record)
}

/// 0x8D: a piece of a file, in practice of what a microphone heard. The file is known by its checksum.
pub(super) fn file(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    record.set(Key::DeviceMessageType, code(m.kind));
    let kind = c.u8("file type")?;
    let total = c.u32("file length")?;
    let at_sum = c;
    let sum = match c.u8("checksum type")? {
        0 => c.bytes("file checksum", 2)?,
        1 => c.bytes("file checksum", 16)?,
        _ => return Err(at_sum.error("checksum type", Reason::Unknown)),
    };
    let id = hex(sum);
    let offset = c.u32("offset")?;
    let length = c.u16("piece length")?;
    c.skip("piece", length.into())?;
    match (kind, c.left()) {
        // The serial number of the alarm that it belongs to.
        (1, 2) => record.raw("media.alarm.serial", c.u16("alarm serial number")?),
        (0 | 2, 6) => record.time = moment(&mut c, x.zone, out)?,
        (_, 0) => {}
        _ => record.raw("media.flag", hex(c.take_rest("flag"))),
    }
    record.raw("media.type", kind);
    record.raw("media.length", total);
    record.raw("media.offset", offset);
    record.raw("media.piece.length", length);
    if offset.saturating_add(length.into()) == total {
        record.set(Key::MediaAudio, &*id);
    }
    record.raw("media.id", id);
    Ok(record)
}
