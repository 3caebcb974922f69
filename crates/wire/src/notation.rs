//! Bytes as people write them: hex digits, and text with escapes.

use std::fmt;

/// Text that is not in the notation that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotationError {
    /// Offset of what is wrong, in bytes of the text.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at character {}", self.expected, self.at.saturating_add(1))
    }
}

impl std::error::Error for NotationError {}

/// The bytes of hex digits, two a byte; blanks may stand anywhere.
pub fn from_hex(text: &str) -> Result<Vec<u8>, NotationError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (at, character) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(NotationError { at, expected: "a hex digit" })?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(NotationError { at: text.len(), expected: "another hex digit" }),
    }
}

/// Lower-case hex digits, two a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    crate::put::hex(bytes, &mut text);
    text
}

/// The bytes of a text in which `\r`, `\n`, `\t`, `\0`, `\\`, `\"`, `\'` and `\xNN` stand for what they do in C.
pub fn from_text(text: &str) -> Result<Vec<u8>, NotationError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let byte = match rest.next().map(|(_, character)| character) {
            Some('r') => Some(b'\r'),
            Some('n') => Some(b'\n'),
            Some('t') => Some(b'\t'),
            Some('0') => Some(0),
            Some('\\') => Some(b'\\'),
            Some('"') => Some(b'"'),
            Some('\'') => Some(b'\''),
            Some('x') => {
                let mut digit = || rest.next().and_then(|(_, character)| character.to_digit(16));
                let value = digit().zip(digit()).map(|(high, low)| high << 4 | low);
                value.and_then(|value| u8::try_from(value).ok())
            }
            _ => None,
        };
        bytes.push(byte.ok_or(NotationError { at, expected: r#"\r, \n, \t, \0, \\, \", \' or \xNN"# })?);
    }
    Ok(bytes)
}

/// The text that [`from_text`] reads as `bytes`: printable ASCII as it is, the rest escaped.
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                text.push_str("\\x");
                crate::put::hex(&[*byte], &mut text);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_with_blanks() {
        assert_eq!(from_hex("00aB 1f\t"), Ok(vec![0x00, 0xAB, 0x1F]));
        assert_eq!(from_hex("0g").unwrap_err().to_string(), "expected a hex digit at character 2");
        assert_eq!(from_hex("012").unwrap_err().to_string(), "expected another hex digit at character 4");
    }

    #[test]
    fn every_byte_survives_as_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_text(&to_text(&bytes)), Ok(bytes.clone()));
        assert_eq!(from_hex(&to_hex(&bytes)), Ok(bytes));
    }

    #[test]
    fn text_with_escapes() {
        assert_eq!(from_text(r#"a\r\n\x41\0é"#), Ok("a\r\nA\0é".as_bytes().to_vec()));
        assert_eq!(to_text(b"#L#\r\n\xff"), r"#L#\r\n\xff");
        assert_eq!(from_text(r"ab\q").unwrap_err().at, 2);
        assert_eq!(from_text(r"\x4").unwrap_err().at, 0);
    }
}
