//! Pictures, which come in pieces that the server asks for.

use super::{Message, STATUS_2, epoch, packet, timed};
use crate::Out;
use odograph_model::{Key, Record};
use odograph_wire::Result;

/// The most that is asked for at once, in bytes.
const PIECE_MAX: u32 = 1024;

/// A picture that is under way.
#[derive(Clone, Copy)]
pub(super) struct Photo {
    id: u32,
    length: u32,
    received: u32,
}

impl Photo {
    pub(super) fn save(self, context: &mut Vec<u8>) {
        for number in [self.id, self.length, self.received] {
            context.extend_from_slice(&number.to_be_bytes());
        }
    }

    pub(super) fn resumed(context: &[u8]) -> Option<Self> {
        match *context.as_chunks::<4>().0 {
            [id, length, received] => Some(Self {
                id: u32::from_be_bytes(id),
                length: u32::from_be_bytes(length),
                received: u32::from_be_bytes(received),
            }),
            _ => None,
        }
    }

    const fn left(self) -> u32 {
        self.length.saturating_sub(self.received)
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

/// 0x35: X1 took a picture.
pub(super) fn photo_info(m: &Message<'_>, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let mut c = m.content;
    c.skip("time", 6)?;
    c.u8("fix")?;
    c.u32("latitude")?;
    c.u32("longitude")?;
    c.u8("camera")?;
    c.u8("source")?;
    c.u8("format")?;
    let length = c.u32("length")?;
    let id = c.u32("picture")?;
    let begun = Photo { id, length, received: 0 };
    begun.request(out);
    *photo = Some(begun);
    Ok(())
}

/// 0x36 in a long packet: a piece of X1's picture.
pub(super) fn photo_data(m: &Message<'_>, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let mut c = m.content;
    let id = c.u32("picture")?;
    c.u32("offset")?;
    let length = c.u16("piece length")?;
    c.skip("piece", length.into())?;
    let Some(under_way) = photo else {
        out.note("a piece of a picture that was not announced");
        return Ok(());
    };
    under_way.id = id;
    under_way.received = under_way.received.saturating_add(length.into());
    if under_way.left() > 0 && length > 0 {
        under_way.request(out);
    } else {
        *photo = None;
    }
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
        record.set(Key::EventCode, super::code(c.u8("event")?));
        record.raw("media.piece", c.u16("piece")?);
    }
    c.take_rest("piece");
    out.reply(packet(true, m.kind, &[], m.serial));
    Ok(record)
}
