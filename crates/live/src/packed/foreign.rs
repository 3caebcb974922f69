//! States out of a snapshot: checked throughout, and with the rows of this program's dictionary.

use super::{BYTES, EIGHT_BYTES, HEADER_BYTES, MOMENT_BYTES, Moment, NEVER, ONE_BYTE, ROW_MASK, Reader};
use super::{head_of, put_entry, put_header, value_of};
use crate::bits::{RECORD, key_of};
use odograph_model::{Kind, Time};

/// The state, whose header has that length, with the rows that stand for its own; `None` if these bytes are none. Parameters without a row are left out.
pub(crate) fn of_rows(bytes: &[u8], header_bytes: usize, rows: &[Option<u16>]) -> Option<Vec<u8>> {
    let mut bytes = Reader(bytes);
    let mut header = Reader(bytes.take(header_bytes)?);
    let [sound, received] = [header.array()?, header.array()?].map(|time| Time(i64::from_le_bytes(time)));
    let moving = if header_bytes < HEADER_BYTES { NEVER } else { Time(i64::from_le_bytes(header.array()?)) };
    let count = u16::from_le_bytes(header.array()?);
    let mut moments = Vec::new();
    for _ in 0..count {
        moments.push(Moment::read(bytes.take(MOMENT_BYTES)?));
    }
    let mut entries = Vec::new();
    while !bytes.0.is_empty() {
        let head = u16::from_le_bytes(bytes.array()?);
        let moment = u16::from_le_bytes(bytes.array()?);
        let length = match head & !ROW_MASK {
            EIGHT_BYTES => 8,
            ONE_BYTE => 1,
            BYTES => usize::from(u16::from_le_bytes(bytes.array()?)),
            _ => return None,
        };
        let value = bytes.take(length)?;
        let is_wrong = moments.get(usize::from(moment))?.is_wrong;
        let Some(row) = *rows.get(usize::from(head & ROW_MASK))? else { continue };
        let kind = if row == RECORD { Kind::Text } else { key_of(row)?.kind() };
        let head = Some(head_of(row, kind)).filter(|ours| ours & !ROW_MASK == head & !ROW_MASK)?;
        value_of(kind, value)?;
        entries.push((row, is_wrong, head, moment, value));
    }
    entries.sort_unstable_by_key(|(row, is_wrong, ..)| (*row, *is_wrong));
    if entries.windows(2).any(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
        return None;
    }
    let mut out = Vec::new();
    put_header(&mut out, sound, received, moving, count);
    moments.iter().for_each(|moment| moment.put(&mut out));
    for (_, _, head, moment, value) in entries {
        put_entry(&mut out, head, moment, value);
    }
    Some(out)
}
