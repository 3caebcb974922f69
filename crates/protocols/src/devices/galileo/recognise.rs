//! Whether bytes are packets.

use super::{COMPRESSED, GARMIN, IRIDIUM, IRIDIUM_HEAD, PICTURE, TAGS, UNSENT, compressed, cut, draft, iridium, tags};
use crate::{Claim, Looks};
use odograph_wire::{Cursor, Cut, Reason, bits, checksum};

/// The block of the cipher: what is encrypted is filled up to whole ones.
const BLOCK_BYTES: usize = 16;
/// The longest packet that is described. Whether tags are some shows without this.
const DESCRIBED_MAX: usize = 1000;
/// Before the data: the header and the length.
const HEAD: usize = 3;
/// No year has more seconds.
const YEAR_SECONDS_MAX: u64 = 366 * 86_400;

pub(super) const LOOKS: Looks = Looks {
    form: "01, 06, 07 or 08, a length, and contents that such a packet can have",
    proof: "a packet whose checksum fits, or one by satellite, that holds what no similar tracker sends",
};

/// A packet is claimed when its checksum fits. Until then, what is disclaimed are packets of tags that are none.
///
/// EGTS begins with 01 too, and most of its packets with 01 00 00 0B: a packet of nothing, which is none. BlackKite's
/// packets are the same with fewer tags; what has no other is left open.
pub(super) fn recognise(start: &[u8]) -> Claim {
    match start {
        [] => Claim::next(start),
        [TAGS, _, _, rest @ ..] if rest.starts_with(&IRIDIUM) => by_satellite(start),
        // Iridium's length is read from the other end.
        [TAGS, _, _, rest @ ..] if start.len() < IRIDIUM_HEAD && IRIDIUM.starts_with(rest) => Claim::next(start),
        [TAGS | GARMIN | PICTURE | COMPRESSED] | [TAGS | GARMIN | PICTURE | COMPRESSED, _] => Claim::Perhaps(HEAD),
        [header @ (TAGS | GARMIN | PICTURE | COMPRESSED), low, high, rest @ ..] => {
            let length = usize::from(u16::from_le_bytes([*low, *high]) & !UNSENT);
            let data = rest.get(..length).unwrap_or(rest);
            let claim = match *header {
                _ if length == 0 => Claim::No,
                TAGS => tagged(data, length).or(encrypted(data, length)),
                _ if length > DESCRIBED_MAX => Claim::No,
                COMPRESSED => packed(data, length).or(encrypted(data, length)),
                _ => Claim::Yes,
            };
            claim.behind(HEAD).and(Claim::of_frame(cut(start), start, is_sealed))
        }
        _ => Claim::No,
    }
}

fn is_sealed(packet: &[u8]) -> bool {
    packet
        .split_last_chunk()
        .is_some_and(|(covered, stated)| checksum::crc16_modbus(covered) == u16::from_le_bytes(*stated))
}

/// Whether `data`, which may go on up to `length`, are tags as far as they go, in the way in which [`draft::records`]
/// reads them; `Yes` where they are whole and there is one that BlackKite does not have.
fn tagged(data: &[u8], length: usize) -> Claim {
    let mut c = Cursor::new(data);
    let (mut has_time, mut claim) = (false, Claim::STAYS);
    while let Some(id) = c.peek() {
        let Some(row) = tags::find(id) else { return if has_time { claim } else { Claim::No } };
        has_time |= id == draft::TIME;
        match c.u8("tag").and_then(|_| tags::skip(row, &mut c)) {
            Ok(()) if BLACKKITE.contains(&id) => {}
            Ok(()) => claim = Claim::Yes,
            Err(error) => {
                // The rest may come, if there is room for it.
                let Reason::Truncated { need, .. } = error.reason else { return Claim::No };
                let whole = error.at.saturating_add(need);
                return match row.grows() {
                    _ if whole > length => Claim::No,
                    true => Claim::next(data),
                    false => Claim::Perhaps(whole),
                };
            }
        }
    }
    if data.len() < length { Claim::next(data) } else { claim }
}

/// The tags that BlackKite has too.
const BLACKKITE: [u8; 15] = [0x03, 0x20, 0x30, 0x33, 0x34, 0x40, 0x45, 0x46, 0x50, 0x51, 0x52, 0x53, 0x60, 0x61, 0x62];

/// A minimum begins with a time of the year, for which there must be room.
fn packed(data: &[u8], length: usize) -> Claim {
    match data.first_chunk::<4>().map(|first| u32::from_be_bytes(*first)) {
        Some(first) if !bits::is_set(first, 31) && bits::between(first, 6, 31) > YEAR_SECONDS_MAX => Claim::No,
        Some(_) => Claim::Yes,
        None if length < 4 => Claim::No,
        None => Claim::Perhaps(4),
    }
}

/// Anything may be encrypted that is as long, but what reads as the header of EGTS (11 or 16 bytes, no encoding).
const fn encrypted(data: &[u8], length: usize) -> Claim {
    match data {
        _ if length > DESCRIBED_MAX || !length.is_multiple_of(BLOCK_BYTES) => Claim::No,
        [0x0B | 0x10, 0x00, ..] => Claim::No,
        [] | [_] => Claim::Perhaps(2),
        _ => Claim::STAYS,
    }
}

/// Other makers' devices send through Iridium too: whose it is shows in what they sent, not in what is around it.
fn by_satellite(start: &[u8]) -> Claim {
    let length = match cut(start) {
        Cut::Frame(length) => length,
        Cut::Need(need) => return Claim::Perhaps(need),
        Cut::Skip(_) | Cut::Lost(_) => return Claim::No,
    };
    let data = start.get(..length).and_then(|packet| iridium::data(packet).ok());
    match data {
        None => Claim::No,
        Some([]) => Claim::STAYS,
        Some(data) => match tagged(data, data.len()) {
            Claim::No if compressed::is_understood(Cursor::new(data)) => Claim::Yes,
            claim => claim,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(packet: &[u8]) -> Vec<u8> {
        [packet, &checksum::crc16_modbus(packet).to_le_bytes()].concat()
    }

    #[test]
    fn what_only_begins_alike_is_disclaimed_or_left_open() {
        // EGTS, with the lowest and another priority; routed.
        for egts in [&[0x01, 0x00, 0x00, 0x0B][..], &[0x01, 0x00, 0x02, 0x0B, 0x00], &[0x01, 0x00, 0x20, 0x10, 0x00]] {
            // The value of the tag 10 has another byte.
            let claim = if egts[3] == 0x10 { Claim::Perhaps(6) } else { Claim::No };
            assert_eq!(recognise(egts), claim, "{egts:02x?}");
        }
        // Routed EGTS goes on with the length of its data and a packet number, of which one byte is no tag.
        assert_eq!(recognise(&[0x01, 0x00, 0x20, 0x10, 0x00, 0x23, 0x00]), Claim::No);
        // Only a time: BlackKite's is the same.
        assert_eq!(recognise(&sealed(&[0x01, 0x05, 0x00, 0x20, 1, 2, 3, 4])), Claim::STAYS);
        assert_eq!(recognise(&sealed(&[0x01, 0x08, 0x00, 0x10, 1, 0, 0x20, 1, 2, 3, 4])), Claim::Yes);
        // A value that has no room.
        assert_eq!(recognise(&[0x01, 0x03, 0x00, 0x20]), Claim::No);
        // A packet of compressed records that is shorter than a time.
        assert_eq!(recognise(&[0x08, 0x01, 0x00, 0x00]), Claim::No);
        assert_eq!(recognise(&[0x08, 0x04, 0x00, 0x00]), Claim::Perhaps(7));
        // More than is described of what can only be told at its end.
        assert_eq!(recognise(&[0x07, 0xE8, 0x03]), Claim::Perhaps(1005));
        assert_eq!(recognise(&[0x07, 0xE9, 0x03]), Claim::No);
    }
}
