//! How the stream is cut into packets.

use super::{FRAME_MAX, LOGIN, WIFI, WIFI_2};
use odograph_wire::{Cut, checksum};

/// Cuts by the length; where it lies, by the structure of the packets that count access points in its place, else at
/// the first delimiter.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let Some(head) = bytes.first_chunk::<2>() else {
        return if matches!(bytes, [0x78 | 0x79]) { Cut::Need(2) } else { Cut::Skip(bytes.len()) };
    };
    if !is_header(*head) {
        let garbage = bytes.windows(2).position(|pair| pair.first_chunk().is_some_and(|pair| is_header(*pair)));
        let keep = usize::from(matches!(bytes.last(), Some(0x78 | 0x79)));
        return Cut::Skip(garbage.unwrap_or(bytes.len().saturating_sub(keep)));
    }
    let Some(field) = bytes.get(2..5) else { return Cut::Need(5) };
    let stated = match (*head, field) {
        ([0x78, _], [length, ..]) => usize::from(*length).saturating_add(5),
        (_, [high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])).saturating_add(6),
        _ => return Cut::Need(5),
    };
    if let Some(cut) = short_login(bytes) {
        return cut;
    }
    if stated <= FRAME_MAX {
        match ends_at(bytes, stated) {
            None => return Cut::Need(stated),
            Some(true) => return Cut::Frame(stated),
            Some(false) => {}
        }
    }
    if let ([0x78, _], [count, WIFI | WIFI_2, _]) = (*head, field) {
        match counted_end(bytes, (*count).into()) {
            Err(need) if need <= FRAME_MAX => return Cut::Need(need),
            Ok(end) if ends_at(bytes, end) == Some(true) => return Cut::Frame(end),
            _ => {}
        }
    }
    let rest = bytes.get(4..).unwrap_or_default();
    match rest.windows(2).position(|pair| pair == b"\r\n") {
        Some(at) if at.saturating_add(6) <= FRAME_MAX => Cut::Frame(at.saturating_add(6)),
        _ if bytes.len() >= FRAME_MAX => Cut::Lost("no end of packet"),
        _ => Cut::Need(bytes.len().saturating_add(1)),
    }
}

/// Some clones' login ends three bytes before its length says, without serial number and checksum, and the device then
/// waits for its answer: it must not wait for more.
fn short_login(bytes: &[u8]) -> Option<Cut> {
    let covered = bytes.get(2..14).unwrap_or_default();
    match bytes {
        [0x78, _, 0x0D, LOGIN, ..] if bytes.len() < 15 => Some(Cut::Need(15)),
        // Where the checksum of a whole login could begin so, it is taken for one.
        [0x78, _, 0x0D, LOGIN, ..] if ends_at(bytes, 15) == Some(true) && checksum::crc16_x25(covered) >> 8 != 0x0A => {
            Some(Cut::Frame(15))
        }
        _ => None,
    }
}

pub(super) const fn is_header(pair: [u8; 2]) -> bool {
    matches!(pair, [0x78, 0x78] | [0x79, 0x79])
}

/// Whether the delimiter stands before `end`; `None` where the bytes do not reach so far.
fn ends_at(bytes: &[u8], end: usize) -> Option<bool> {
    let whole = bytes.get(..end)?;
    Some(whole.ends_with(b"\r\n"))
}

/// Where a packet of so many access points ends: they are followed by the number of cells, country, network and cells.
/// Where `bytes` are too few for that, how many it needs.
pub(super) fn counted_end(bytes: &[u8], count: u16) -> std::result::Result<usize, usize> {
    let cells_at = usize::from(count).saturating_mul(7).saturating_add(10);
    let Some(cells) = bytes.get(cells_at) else { return Err(cells_at.saturating_add(1)) };
    let end = usize::from(*cells).saturating_mul(5).saturating_add(cells_at).saturating_add(6);
    if bytes.len() < end { Err(end) } else { Ok(end) }
}
