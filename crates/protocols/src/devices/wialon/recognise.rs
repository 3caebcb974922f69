//! Whether bytes are packets: lines, with a device's name before them or not, or containers of them.

use super::{container, text};
use crate::recognise::Part::{self, Is, Run};
use crate::recognise::{mark, parts};
use crate::{Claim, Looks};
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

pub(super) const LOOKS: Looks = Looks {
    form: "a line with its type between two #, perhaps behind a device's name, or such lines compressed",
    proof: "a type that is known and the fields that belong to it",
};

pub(super) fn recognise(start: &[u8]) -> Claim {
    let blank = text::skip_blank(start, 0);
    let rest = start.get(blank..).unwrap_or_default();
    container::cut(rest).map_or_else(|| line(rest), |cut| contained(cut, rest)).behind(blank)
}

/// What a container says that goes as far as `cut` says. Its packet may be longer than is waited for, and says by its
/// beginning what it is.
fn contained(cut: Cut, start: &[u8]) -> Claim {
    match start {
        [_, 0, 0, ..] => return Claim::No,
        [_, _, _, first, second, ..] if !begins_zlib(*first, *second) => return Claim::No,
        _ => {}
    }
    let of_text = |text: &[u8]| line(text.get(text::skip_blank(text, 0)..).unwrap_or_default());
    match (of_text(&container::beginning(start)), cut) {
        (Claim::Perhaps(_), Cut::Frame(length)) => match start.get(..length).and_then(container::text) {
            Some(text) => match of_text(&text) {
                // It is whole.
                Claim::Perhaps(_) => Claim::STAYS,
                claim => claim,
            },
            None => Claim::No,
        },
        (Claim::Perhaps(_), _) => Claim::next(start),
        (claim, _) => claim,
    }
}

fn line(start: &[u8]) -> Claim {
    let name = start.iter().take(NAME_MAX).take_while(|byte| is_of_name(byte)).count();
    let rest = start.get(name..).unwrap_or_default();
    let claim = |(kind, body): &(&[u8], &[Part])| match mark(rest, kind) {
        Claim::Yes => parts(rest.get(kind.len()..).unwrap_or_default(), body).behind(kind.len()),
        claim => claim,
    };
    KINDS.iter().map(claim).fold(Claim::No, Claim::or).behind(name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;
    use crate::detect::{UNDECIDED_BYTES_MAX, decide};
    use miniz_oxide::deflate::compress_to_vec_zlib;

    fn container(text: &[u8]) -> Vec<u8> {
        let compressed = compress_to_vec_zlib(text, 6);
        let [low, high, ..] = compressed.len().to_le_bytes();
        [&[0xFF, low, high], &compressed[..]].concat()
    }

    #[test]
    fn a_container_is_told_by_its_beginning() {
        let record = |number: u64| {
            let odd = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            format!("130724;120000;55{:.4};N;037{odd};E;{number};0;150;8|", odd % 9999)
        };
        let records: String = (0..2000).map(record).collect();
        let long = container(format!("#B#{records}\r\n").as_bytes());
        assert!(long.len() > 2 * UNDECIDED_BYTES_MAX, "{} bytes", long.len());
        let decided = |bytes: &[u8]| decide(bytes, Transport::Tcp).map(|protocol| protocol.name);
        for length in [UNDECIDED_BYTES_MAX / 2, UNDECIDED_BYTES_MAX, UNDECIDED_BYTES_MAX + 1, long.len()] {
            assert_eq!(decided(&long[..length]), Some("wialon"), "by {length} bytes");
        }
        // Whose packet is none is nobody's, as soon as that shows.
        let other = container(format!("GET /{records}").as_bytes());
        assert_eq!(recognise(&other[..UNDECIDED_BYTES_MAX / 2]), Claim::No);
        let line = container(b"#P#\r\n");
        assert_eq!(recognise(&line[..5]), Claim::Perhaps(6));
        assert_eq!(recognise(&line), Claim::Yes);
    }
}
