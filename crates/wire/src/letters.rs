//! Letters of makers who do not write UTF-8.

/// A letter of windows-1251.
pub fn windows_1251(byte: u8) -> char {
    let index = usize::from(byte.wrapping_sub(0x80));
    match byte {
        0..0x80 => char::from(byte),
        0x80..0xC0 => HIGH.chars().nth(index).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from_u32(u32::from(byte).wrapping_add(0x350)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// The byte that stands for `letter` in windows-1251; `None` where it has none.
pub fn windows_1251_byte(letter: char) -> Option<u8> {
    (0..=u8::MAX).find(|byte| windows_1251(*byte) == letter)
}

/// windows-1251 from 0x80 to 0xBF; the Russian alphabet follows in the order of Unicode.
const HIGH: &str = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{A0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{AD}®Ї°±Ііґµ¶·ё№є»јЅѕї";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_letter_of_its_own() {
        assert_eq!(HIGH.chars().count(), 64);
        for byte in 0..=u8::MAX {
            assert_eq!(windows_1251_byte(windows_1251(byte)), Some(byte));
        }
        assert_eq!(b"\xC0\xFF\xA8\xB9".map(windows_1251), ['А', 'я', 'Ё', '№']);
        assert_eq!(windows_1251_byte('漢'), None);
    }
}
