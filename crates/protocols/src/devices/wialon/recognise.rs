//! Whether bytes are packets: lines, with a device's name before them or not, or containers of them.

use super::{container, text};
use crate::Claim;
use crate::recognise::Part::{self, Is, Run};
use crate::recognise::{mark, parts};
use odograph_wire::Cut;

/// No device's name is longer; the version before it counts as part of it.
const NAME_MAX: usize = 255;

/// Every type of packet and how its body begins. What has no fields of its own is claimed by its whole line.
const KINDS: &[(&[u8], &[Part])] = &[
    (b"#P#", &[Run(is_blank, 0, 16), Run(is_end, 1, 1)]),
    (b"#L#", &[Run(is_printed, 1, usize::MAX), Run(is_end, 1, 1)]),
    (b"#M#", &[Run(is_printed, 1, usize::MAX), Run(is_end, 1, 1)]),
    (b"#SD#", RECORD),
    (b"#D#", RECORD),
    (b"#B#", RECORD),
    (b"#I#", &[NUMBER, Is(b";"), NUMBER, Is(b";"), NUMBER, Is(b";")]),
    (b"#IT#", &[TIME, Is(b";"), TIME, Is(b";")]),
    (b"#T#", &[Run(is_of_field, 1, 64), Is(b";"), NUMBER, Is(b";"), NUMBER]),
];

/// `date;time;latitude;N;longitude;E;`, each of which may be `NA` or nothing, as all records begin.
const RECORD: &[Part] = &[
    TIME,
    Is(b";"),
    TIME,
    Is(b";"),
    Run(is_of_place, 0, 32),
    Is(b";"),
    Run(is_of_side, 0, 2),
    Is(b";"),
    Run(is_of_place, 0, 32),
    Is(b";"),
    Run(is_of_side, 0, 2),
    Is(b";"),
];
const TIME: Part = Run(is_of_time, 0, 20);
const NUMBER: Part = Run(u8::is_ascii_digit, 1, 10);

pub(super) fn recognise(start: &[u8]) -> Claim {
    let rest = start.get(text::skip_blank(start, 0)..).unwrap_or_default();
    let Some(cut) = container::cut(rest) else { return line(rest) };
    match (cut, rest) {
        (_, [_, 0, 0, ..]) => Claim::No,
        (_, [_, _, _, first, second, ..]) if !begins_zlib(*first, *second) => Claim::No,
        (Cut::Frame(length), _) => match rest.get(..length).and_then(container::text) {
            Some(text) => line(text.get(text::skip_blank(&text, 0)..).unwrap_or_default()),
            None => Claim::No,
        },
        _ => Claim::Perhaps,
    }
}

fn line(start: &[u8]) -> Claim {
    let name = start.iter().take(NAME_MAX).take_while(|byte| is_of_name(byte)).count();
    let rest = start.get(name..).unwrap_or_default();
    let claim = |(kind, body): &(&[u8], &[Part])| match mark(rest, kind) {
        Claim::Yes => parts(rest.get(kind.len()..).unwrap_or_default(), body),
        claim => claim,
    };
    KINDS.iter().map(claim).max().unwrap_or(Claim::No)
}

/// Compressed by deflate, without a dictionary, and the two bytes fit each other (RFC 1950).
fn begins_zlib(method: u8, flags: u8) -> bool {
    method & 0x0F == 8 && flags & 0x20 == 0 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

const fn is_of_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b';')
}

const fn is_of_time(byte: &u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'N' | b'A')
}

const fn is_of_place(byte: &u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'N' | b'A')
}

const fn is_of_side(byte: &u8) -> bool {
    matches!(byte, b'N' | b'S' | b'E' | b'W' | b'A')
}

/// Texts may be in any alphabet.
const fn is_printed(byte: &u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\t' | 0)
}

const fn is_of_field(byte: &u8) -> bool {
    is_printed(byte) && !matches!(byte, b';')
}

const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | 0)
}

const fn is_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}
