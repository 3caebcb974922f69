//! Texts in the alphabets that the standard numbers (GOST R 54619-2011, table 29).

use odograph_wire::charset::windows_1251;

/// The text of `bytes` in the alphabet `charset`; `None` where that is none, or cannot be read here.
pub(super) fn decoded(charset: u8, bytes: &[u8]) -> Option<String> {
    match charset {
        0 => Some(windows_1251(bytes)),
        1 => bytes.is_ascii().then(|| bytes.iter().copied().map(char::from).collect()),
        3 => Some(bytes.iter().copied().map(char::from).collect()),
        6 => Some(bytes.iter().copied().map(iso_8859_5).collect()),
        8 => ucs2(bytes),
        // Binary data (2, 4), Japanese (5), Hebrew (7), and what is not described.
        _ => None,
    }
}

/// Text in the standard's own alphabet, if that is what the bytes are: no control characters but line ends.
pub(super) fn printable(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let is_text = !bytes.is_empty()
        && bytes.iter().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=0x7E | 0xC0.. | 0xA8 | 0xB8));
    is_text.then(|| windows_1251(bytes))
}

/// Letters of a field of fixed length, without the zeros and blanks that fill it.
pub(super) fn letters(bytes: &[u8]) -> String {
    windows_1251(bytes).trim_matches(|letter| letter <= ' ').to_owned()
}

fn iso_8859_5(byte: u8) -> char {
    match byte {
        0..=0xA0 | 0xAD => char::from(byte),
        0xF0 => '№',
        0xFD => '§',
        _ => char::from_u32(u32::from(byte).wrapping_add(0x360)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// UCS-2 as short messages carry it, high byte first.
fn ucs2(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    Some(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_in_every_alphabet() {
        for (charset, bytes) in [(0, &[0xC4, 0xE0][..]), (6, &[0xB4, 0xD0]), (8, &[0x04, 0x14, 0x04, 0x30])] {
            assert_eq!(decoded(charset, bytes).as_deref(), Some("Да"), "{charset}");
        }
        assert_eq!(decoded(1, b"ok").as_deref(), Some("ok"));
        assert_eq!(decoded(3, &[0xE9]).as_deref(), Some("é"));
        for (charset, bytes) in [(1, &[0x80][..]), (2, b"ok"), (5, b"ok"), (8, &[4]), (9, b"ok")] {
            assert_eq!(decoded(charset, bytes), None, "{charset}");
        }
        assert_eq!(printable(b"v1.2\0").as_deref(), Some("v1.2"));
        assert_eq!((printable(&[1, 2]), printable(b"")), (None, None));
    }
}
