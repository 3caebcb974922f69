//! Whether bytes are a packet's header.

use super::transport::{self, HEADER, ROUTED_HEADER, VERSION};
use crate::{Claim, Looks};
use odograph_wire::checksum;

pub(super) const LOOKS: Looks = Looks {
    form: "version 01 and a header of 11 or 16 bytes, as its flags say",
    proof: "a header whose checksum fits",
};

/// A header whose checksum fits is claimed, since its version, prefix, length, encoding and type have to fit too.
///
/// Packets of Galileosky begin with 01 too; where a header of EGTS has its length, 0B or 10, they have their first tag.
/// There is no tag 0B, and 10 could only stand there in a packet of 8 kilobytes or more.
pub(super) fn recognise(start: &[u8]) -> Claim {
    // Version, key, flags, header length, encoding, data length (2), packet number (2), type, then route and checksum.
    let fits = |(at, byte): (usize, &u8)| match at {
        0 => *byte == VERSION,
        2 => byte >> 6 == 0,
        3 => start.get(2).is_some_and(|flags| usize::from(*byte) == length(*flags)),
        4 => *byte == 0,
        9 => *byte <= transport::SIGNED_APPDATA,
        _ => true,
    };
    if !start.iter().enumerate().take(HEADER).all(fits) {
        return Claim::No;
    }
    let header = start.get(2).and_then(|flags| start.get(..length(*flags)));
    match header.and_then(<[u8]>::split_last) {
        Some((stated, bytes)) if checksum::crc8_nrsc5(bytes) == *stated => Claim::Yes,
        Some(_) => Claim::STAYS,
        None => Claim::next(start),
    }
}

/// How long a header with these flags is.
const fn length(flags: u8) -> usize {
    if flags >> 5 & 1 == 1 { ROUTED_HEADER } else { HEADER }
}
