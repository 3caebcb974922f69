//! Pictures, which come in pieces of half a kilobyte in hex. See `docs/protocols.md` for why they stay in pieces.

use compact_str::format_compact;
use odograph_model::{Key, Record};
use odograph_wire::{Fields, Malformed, Reason, Result, notation};

/// Number, length and what stands behind the bytes.
const FRAME: usize = 6;

/// A piece of a picture of which so many were announced.
pub(super) fn piece(f: &mut Fields<'_>, pieces: &mut Option<u16>) -> Result<Record> {
    f.text("word")?;
    let at = f.at();
    let hex = f.text("piece")?;
    let bytes = notation::from_hex(hex)
        .map_err(|error| Malformed::new("piece", at.saturating_add(error.at), Reason::Expected(error.expected)))?;
    let [index, index_high, length, length_high, ..] = *bytes.as_slice() else {
        return Err(Malformed::new("piece", at, Reason::Truncated { need: 2 * FRAME, have: hex.len() }));
    };
    let (index, length) = (u16::from_le_bytes([index, index_high]), u16::from_le_bytes([length, length_high]));
    let stated = usize::from(length).saturating_add(FRAME);
    if stated != bytes.len() {
        return Err(Malformed::new("piece", at, Reason::Count { stated, found: bytes.len() }));
    }
    let mut record = Record::new();
    record.raw("media.piece", index);
    record.raw("media.piece.length", length);
    if let Some(count) = *pieces {
        record.raw("media.pieces", count);
        if index.saturating_add(1) >= count {
            // The picture has no name but its last piece, which no other has.
            record.set(Key::MediaImage, format_compact!("{:016x}.jpg", record.clone().hash_span(&bytes).span()));
            *pieces = None;
        }
    }
    Ok(record)
}
