//! Pictures, which come in pieces: header 07, the piece's number from 0 on, its bytes; a piece without bytes ends it.
//!
//! The maker does not describe them; public decoders and a captured piece do. No piece gives a record: the pieces are
//! frames in the journal, and the record of the end says how many there were.

use crate::Out;
use compact_str::format_compact;
use odograph_model::{Key, Record};
use odograph_wire::{Cursor, Result};

/// A picture that is under way, or the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Photo {
    /// The number of the last piece.
    last: u8,
    is_over: bool,
    pieces: u16,
    length: u32,
    /// Over all bytes so far: the picture's name.
    hash: u32,
}

/// FNV-1a.
const HASH_START: u32 = 0x811C_9DC5;
const HASH_PRIME: u32 = 0x0100_0193;

/// Takes a piece.
pub(super) fn piece(mut data: Cursor<'_>, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let number = data.u8("piece")?;
    let bytes = data.take_rest("picture");
    // A piece whose acknowledgement was lost comes again.
    if photo.is_some_and(|photo| photo.last == number && photo.is_over == bytes.is_empty()) {
        return Ok(());
    }
    let before = photo.filter(|photo| !photo.is_over && number == photo.last.wrapping_add(1)).unwrap_or_default();
    let after = before.with(number, bytes);
    if after.is_over {
        out.record(after.record());
    }
    *photo = Some(after);
    Ok(())
}

impl Default for Photo {
    fn default() -> Self {
        Self { last: 0, is_over: false, pieces: 0, length: 0, hash: HASH_START }
    }
}

impl Photo {
    fn with(self, number: u8, bytes: &[u8]) -> Self {
        let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(HASH_PRIME);
        Self {
            last: number,
            is_over: bytes.is_empty(),
            pieces: self.pieces.saturating_add(u16::from(!bytes.is_empty())),
            length: self.length.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            hash: bytes.iter().fold(self.hash, hash),
        }
    }

    fn record(self) -> Record {
        let name = format_compact!("galileo-{:08x}.jpg", self.hash);
        let mut record = Record::new().hash_span(name.as_bytes());
        record.set(Key::MediaImage, name);
        record.raw("media.pieces", self.pieces);
        record.raw("media.length", self.length);
        record
    }

    /// Appends it: last, over, pieces, length, hash.
    pub(super) fn write(self, context: &mut Vec<u8>) {
        context.extend([self.last, u8::from(self.is_over)]);
        context.extend(self.pieces.to_le_bytes());
        context.extend(self.length.to_le_bytes());
        context.extend(self.hash.to_le_bytes());
    }

    /// Reads what [`Photo::write`] wrote.
    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        Ok(Self {
            last: c.u8("last")?,
            is_over: c.u8("over")? != 0,
            pieces: c.u16_le("pieces")?,
            length: c.u32_le("length")?,
            hash: c.u32_le("hash")?,
        })
    }
}
