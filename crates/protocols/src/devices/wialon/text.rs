//! Lines, checksums and letters.

use odograph_wire::Reason;
use odograph_wire::charset;
use odograph_wire::checksum::crc16_arc;
use std::borrow::Cow;

/// What is known of the checksum of a packet's text.
#[derive(Clone, Copy)]
pub(super) enum Seal<'a> {
    /// None is there, and none has to be: the text.
    None(&'a [u8]),
    /// None is there though one has to be: the text.
    Missing(&'a [u8]),
    /// The text, the text with the separator behind it, and what stands where the checksum belongs.
    Stated { text: &'a [u8], sealed: &'a [u8], stated: &'a [u8] },
}

/// Where the first byte from `from` on is that is not the end of a line.
pub(super) fn skip_blank(bytes: &[u8], from: usize) -> usize {
    let blank = bytes.iter().skip(from).take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)).count();
    from.saturating_add(blank)
}

/// A line without its end. Some devices send a blank or the zero of a C string before it.
pub(super) fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n' | b' ' | 0] = line {
        line = rest;
    }
    line
}

/// Splits `body` at its last `separator`: what stands before it, that with the separator, and what follows.
fn split(body: &[u8], separator: u8) -> Option<(&[u8], &[u8], &[u8])> {
    let at = body.iter().rposition(|byte| *byte == separator)?;
    let (sealed, stated) = body.split_at_checked(at.saturating_add(1))?;
    Some((body.get(..at)?, sealed, stated))
}

/// The checksum of a single record. Its place is known by counting: a short record has 10 fields, a full one 16.
pub(super) fn seal_of_point(body: &[u8], required: bool) -> Seal<'_> {
    let absent = if required { Seal::Missing(body) } else { Seal::None(body) };
    let separators = body.iter().filter(|byte| **byte == b';').count();
    if separators != 10 && separators < 16 {
        return absent;
    }
    match split(body, b';') {
        None => absent,
        // Behind the last field of 1.x, which has no checksum.
        Some((text, _, b"" | b"NA")) if !required => Seal::None(text),
        // The text of a parameter may have a semicolon in it.
        Some((_, _, stated)) if !required && stated.contains(&b':') => Seal::None(body),
        Some((text, sealed, stated)) => Seal::Stated { text, sealed, stated },
    }
}

/// The checksum of several records: an element of its own behind the last of them, which has no fields. A few devices
/// write it as the last field instead.
pub(super) fn seal_of_list(body: &[u8], required: bool) -> Seal<'_> {
    let (text, sealed, last) = split(body, b'|').unwrap_or((&[], &[], body));
    if !last.is_empty() && !last.contains(&b';') {
        return Seal::Stated { text, sealed, stated: last };
    }
    let list = body.strip_suffix(b"|").unwrap_or(body);
    match split(body, b';') {
        Some((text, sealed, stated)) if required && fits(sealed, stated) => Seal::Stated { text, sealed, stated },
        _ if required => Seal::Missing(list),
        _ => Seal::None(list),
    }
}

/// The checksum behind the fields of any other packet.
pub(super) fn seal(body: &[u8], required: bool) -> Seal<'_> {
    match split(body, b';') {
        Some((text, sealed, stated)) if required || fits(sealed, stated) => Seal::Stated { text, sealed, stated },
        _ if required => Seal::Missing(body),
        _ => Seal::None(body),
    }
}

/// Whether `stated` is the checksum of `sealed`.
pub(super) fn fits(sealed: &[u8], stated: &[u8]) -> bool {
    mismatch(sealed, stated).is_none()
}

/// What is wrong with `stated` as the checksum of `sealed`.
pub(super) fn mismatch(sealed: &[u8], stated: &[u8]) -> Option<Reason> {
    let Some(stated) = number(stated) else { return Some(Reason::Expected("a checksum of one to four hex digits")) };
    let computed = crc16_arc(sealed);
    (stated != computed).then(|| Reason::Checksum { stated: stated.into(), computed: computed.into() })
}

/// A checksum as devices write it: without leading zeros or with them, in any case, with `0x` before it or not.
fn number(stated: &[u8]) -> Option<u16> {
    let digits = stated.strip_prefix(b"0x").or_else(|| stated.strip_prefix(b"0X")).unwrap_or(stated);
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0, |value: u16, digit| {
        let digit = u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
        Some(value << 4 | digit)
    })
}

/// Whether a login begins with a version.
pub(super) fn names_version(body: &[u8]) -> bool {
    body.split(|byte| *byte == b';').next().is_some_and(|first| first.contains(&b'.'))
}

/// `bytes` as text: UTF-8, or windows-1251 where they are not or where that was set.
pub(super) fn decoded(bytes: &[u8], cyrillic: bool) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !cyrillic || text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(charset::windows_1251(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_as_devices_write_them() {
        // From captured packets; the third had its leading zero left out.
        for (sealed, stated) in [
            ("2.0;868204002602414;NA;", "8E08"),
            ("2.0;867730051235566;NA;", "0XD7C7"),
            ("300924;154245;5554.350052;N;3644.670410;E;2.92;NA;NA;NA;", "7a01"),
        ] {
            assert!(fits(sealed.as_bytes(), stated.as_bytes()), "{sealed}");
        }
        assert_eq!(number(b"0x9b0"), Some(0x9B0));
        for wrong in ["", "0x", "12345", "+123", "12G4"] {
            assert_eq!(number(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn letters_of_both_alphabets() {
        assert_eq!(decoded("Батарея".as_bytes(), false), "Батарея");
        assert_eq!(decoded(b"\xC1\xE0\xF2\xE0\xF0\xE5\xFF \xB9\xA8\xB8", false), "Батарея №Ёё");
        assert_eq!(decoded("я".as_bytes(), true), "СЏ");
    }
}
