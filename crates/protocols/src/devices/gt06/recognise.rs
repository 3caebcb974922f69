//! Whether bytes are packets.

use super::framing::{cut, is_header};
use crate::{Claim, Looks};
use odograph_wire::checksum;

pub(super) const LOOKS: Looks =
    Looks { form: "from 78 78 or 79 79 up to 0D 0A", proof: "a packet whose length and checksum fit" };

/// A packet whose checksum fits is claimed. What has none (short logins, counted access points) stays open: another
/// family of trackers writes packets that look the same, and its server answers otherwise.
pub(super) fn recognise(start: &[u8]) -> Claim {
    match start {
        [] | [0x78 | 0x79] => Claim::next(start),
        [first, second, ..] if is_header([*first, *second]) => Claim::of_frame(cut(start), start, is_sealed),
        _ => Claim::No,
    }
}

fn is_sealed(packet: &[u8]) -> bool {
    let Some((covered, [high, low, b'\r', b'\n'])) = packet.split_last_chunk() else { return false };
    let stated = match *packet {
        [0x78, _, length, ..] => usize::from(length).saturating_add(5),
        [0x79, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])).saturating_add(6),
        _ => return false,
    };
    let covered = covered.get(2..).unwrap_or_default();
    stated == packet.len() && checksum::crc16_x25(covered) == u16::from_be_bytes([*high, *low])
}
