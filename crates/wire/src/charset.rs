//! Letters of alphabets of one byte a letter.

/// The text of `bytes` in windows-1251.
pub fn windows_1251(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| letter(*byte)).collect()
}

/// `text` in windows-1251; `None` where it has a letter that this alphabet lacks.
pub fn to_windows_1251(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| (0..=u8::MAX).find(|byte| letter(*byte) == character)).collect()
}

fn letter(byte: u8) -> char {
    let index = usize::from(byte.wrapping_sub(0x80));
    match byte {
        0..0x80 => char::from(byte),
        0x80..0xC0 => HIGH.chars().nth(index).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from_u32(u32::from(byte).wrapping_add(0x350)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// windows-1251 from 0x80 to 0xBF; the Russian alphabet follows in the order of Unicode.
const HIGH: &str = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{A0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{AD}®Ї°±Ііґµ¶·ё№є»јЅѕї";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_letter_and_back() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let text = windows_1251(&bytes);
        assert_eq!(to_windows_1251(&text), Some(bytes));
        assert!(text.contains("№") && text.ends_with("эюя"));
        assert_eq!((HIGH.chars().count(), to_windows_1251("漢")), (64, None));
    }
}
