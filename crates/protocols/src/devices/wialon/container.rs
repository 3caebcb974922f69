//! Containers of compressed packets: they say what the packet in them says, and are answered like it.
//!
//! ```text
//! FF LL LL Z…      L length of Z, low byte first (v2.0 says so, and the example of v1.1 has it), Z zlib data
//! ```
//!
//! Offsets within a container, in errors and traces, count as if its text stood in place of the compressed bytes.

use super::FRAME_MAX;
use crate::Out;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use odograph_wire::{Cut, Malformed, Reason, Result};

const MARKER: u8 = 0xFF;
/// Marker and length.
const HEAD: usize = 3;
/// A packet is not longer in a container than it may be without one. 65535 compressed bytes could be 67 million.
const INFLATED_MAX: usize = FRAME_MAX;
/// What room is made for at first: most packets have less, and more is made as more comes out.
const INFLATED_FIRST: usize = 2048;

/// A container that was opened.
pub(super) struct Container {
    /// The packet in it.
    pub(super) text: Vec<u8>,
    /// Where the packet begins, for errors and traces.
    pub(super) at: usize,
    /// How many bytes the container takes.
    pub(super) length: usize,
}

/// Whether `bytes` begin with a container: no packet and no device's name begins so.
pub(super) const fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [MARKER, ..])
}

/// Cuts the container that `bytes` begin with; `None` where they begin with none.
pub(super) fn cut(bytes: &[u8]) -> Option<Cut> {
    let length = match *bytes {
        [MARKER, low, high, ..] => usize::from(u16::from_le_bytes([low, high])),
        [MARKER, ..] => return Some(Cut::Need(HEAD)),
        _ => return None,
    };
    Some(match length.saturating_add(HEAD) {
        total if total <= bytes.len() => Cut::Frame(total),
        total => Cut::Need(total),
    })
}

/// Opens the container that `bytes` begin with, which begin at `at` of the frame.
pub(super) fn read(bytes: &[u8], at: usize, out: &Out<'_>) -> Result<Container> {
    let shifted = |malformed: Malformed| Malformed { at: malformed.at.saturating_add(at), ..malformed };
    let mut c = out.cursor(bytes);
    let mut head = || {
        c.u8("compressed")?;
        let length = usize::from(c.u16_le("compressed length")?);
        c.bytes("compressed packet", length)
    };
    let compressed = head().map_err(shifted)?;
    let text = inflate(compressed).map_err(|reason| shifted(Malformed::new("compressed packet", HEAD, reason)))?;
    let length = compressed.len().saturating_add(HEAD);
    Ok(Container { text, at: at.saturating_add(HEAD), length })
}

/// The packet in the container that is all of `bytes`.
pub(super) fn text(bytes: &[u8]) -> Option<Vec<u8>> {
    inflate(bytes.get(HEAD..)?).ok()
}

/// What the packet begins with in a container of which the beginning has come. Of more bytes it gives the same or more.
pub(super) fn beginning(bytes: &[u8]) -> Vec<u8> {
    let length =
        bytes.get(1..HEAD).map_or(0, |length| length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
    let come = bytes.get(HEAD..).unwrap_or_default();
    let compressed = come.get(..length).unwrap_or(come);
    let mut text = vec![0; BEGINNING_MAX];
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
    let (_, _, given) = decompress(&mut Box::<DecompressorOxide>::default(), compressed, &mut text, 0, flags);
    text.truncate(given);
    text
}

/// So much of a packet is enough to know it by: a device's name, and the beginning of a record.
const BEGINNING_MAX: usize = 1024;

/// What `compressed` was, if it is one whole stream of zlib and nothing else.
fn inflate(compressed: &[u8]) -> std::result::Result<Vec<u8>, Reason> {
    let mut state = Box::<DecompressorOxide>::default();
    let (mut text, mut read, mut written) = (vec![0; INFLATED_FIRST], 0_usize, 0_usize);
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    loop {
        let rest = compressed.get(read..).unwrap_or_default();
        let (status, taken, given) = decompress(&mut state, rest, &mut text, written, flags);
        (read, written) = (read.saturating_add(taken), written.saturating_add(given));
        if written > INFLATED_MAX {
            return Err(Reason::TooMany { max: INFLATED_MAX });
        }
        match status {
            TINFLStatus::Done if read < compressed.len() => {
                return Err(Reason::Trailing { left: compressed.len().saturating_sub(read) });
            }
            TINFLStatus::Done => {
                text.truncate(written);
                return Ok(text);
            }
            // Room for one byte beyond the bound tells what ends at it from what goes on.
            TINFLStatus::HasMoreOutput => {
                text.resize(text.len().saturating_mul(2).min(INFLATED_MAX.saturating_add(1)), 0);
            }
            TINFLStatus::Adler32Mismatch => return Err(Reason::Expected("text that fits the checksum of zlib")),
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
                let have = compressed.len();
                return Err(Reason::Truncated { need: have.saturating_add(1), have });
            }
            _ => return Err(Reason::Expected("data compressed by zlib")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    #[test]
    fn texts_come_out_as_they_went_in_up_to_the_bound() {
        for length in [0, 1, INFLATED_FIRST - 1, INFLATED_FIRST, INFLATED_FIRST + 1, INFLATED_MAX] {
            let text: Vec<u8> = (0..length).map(|n| (n * n % 251) as u8).collect();
            assert_eq!(inflate(&compress_to_vec_zlib(&text, 6)), Ok(text), "{length} bytes");
        }
    }

    #[test]
    fn what_inflates_beyond_the_bound_is_refused() {
        let bomb = compress_to_vec_zlib(&vec![b'0'; INFLATED_MAX + 1], 9);
        assert_eq!(inflate(&bomb), Err(Reason::TooMany { max: INFLATED_MAX }));
        let bomb = compress_to_vec_zlib(&vec![b'0'; 64 << 20], 9);
        assert_eq!(inflate(&bomb), Err(Reason::TooMany { max: INFLATED_MAX }));
    }

    #[test]
    fn what_is_no_whole_stream_of_zlib_says_so() {
        let whole = compress_to_vec_zlib(b"#P#", 6);
        for length in 0..whole.len() {
            let reason = inflate(&whole[..length]).unwrap_err();
            assert_eq!(reason, Reason::Truncated { need: length + 1, have: length });
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(inflate(&longer), Err(Reason::Trailing { left: 1 }));
        let mut other = whole;
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(inflate(&other), Err(Reason::Expected("text that fits the checksum of zlib")));
        assert_eq!(inflate(b"#P#\r\n"), Err(Reason::Expected("data compressed by zlib")));
    }

    #[test]
    fn a_container_shows_what_its_packet_begins_with() {
        let text: Vec<u8> = (0..3000_u32).map(|n| (n * n % 251) as u8).collect();
        let compressed = compress_to_vec_zlib(&text, 6);
        let [low, high, ..] = compressed.len().to_le_bytes();
        let mut container = [&[MARKER, low, high], &compressed[..]].concat();
        let mut before = Vec::new();
        for length in 0..=container.len() {
            let shown = beginning(&container[..length]);
            assert!(shown.starts_with(&before) && text.starts_with(&shown), "{length} bytes");
            before = shown;
        }
        assert_eq!(before, text[..BEGINNING_MAX]);
        // What was shown stays shown where the rest is broken.
        let middle = container.len() / 2;
        let shown = beginning(&container[..middle]);
        container[middle..].fill(0xFF);
        assert!(beginning(&container).starts_with(&shown));
    }

    #[test]
    fn containers_are_cut_by_their_length() {
        for (bytes, cut_as) in [
            (&[MARKER][..], Some(Cut::Need(3))),
            (&[MARKER, 2], Some(Cut::Need(3))),
            (&[MARKER, 2, 0, 7], Some(Cut::Need(5))),
            (&[MARKER, 2, 0, 7, 7, 7], Some(Cut::Frame(5))),
            (&[MARKER, 0, 0], Some(Cut::Frame(3))),
            (&[MARKER, 0, 1, 7], Some(Cut::Need(259))),
            (b"#P#", None),
        ] {
            assert_eq!(cut(bytes), cut_as, "{bytes:?}");
        }
    }
}
