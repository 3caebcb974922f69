//! What a text in a dump means.

use super::Value;
use super::token::Kind;
use crate::Format;
use encoding_rs::Encoding;

/// The text that these bytes are, by the way in which they were written.
pub(super) fn value(bytes: &[u8], kind: Kind, dialect: Format, encoding: &'static Encoding) -> Value {
    match kind {
        Kind::Plain => text(bytes, encoding),
        Kind::Escaped if dialect == Format::MySql => text(&without_backslashes(bytes, of_mysql), encoding),
        Kind::Escaped => text(&without_backslashes(bytes, of_postgresql), encoding),
        Kind::Unicode => map(text(bytes, encoding), unicode),
        Kind::Hex => {
            hex(bytes).map_or_else(|| Value::Odd("an odd number of hexadecimal digits".to_owned()), Value::Bytes)
        }
        Kind::Bits => Value::Bytes(vec![u8::from(bytes.contains(&b'1'))]),
    }
}

/// H2's `STRINGDECODE('…')`: a text as Java writes it.
pub(super) fn java(value: Value) -> Value {
    map(value, |text| {
        let bytes = without_backslashes(text.as_bytes(), of_java);
        String::from_utf8(bytes).ok()
    })
}

/// A field of PostgreSQL's COPY; `\N` is none.
pub(super) fn copied(field: &[u8], encoding: &'static Encoding) -> Value {
    if field == b"\\N" {
        return Value::Null;
    }
    text(&without_backslashes(field, of_copy), encoding)
}

/// `0x1F` and what stands between the quotes of `X'1F'`.
pub(super) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn text(bytes: &[u8], encoding: &'static Encoding) -> Value {
    let (text, is_damaged) = encoding.decode_without_bom_handling(bytes);
    Value::Text { text: text.into_owned(), is_damaged }
}

fn map(value: Value, with: impl Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::Text { text, is_damaged } => match with(&text) {
            Some(text) => Value::Text { text, is_damaged },
            None => Value::Odd("an escape that means no character".to_owned()),
        },
        other => other,
    }
}

/// What a backslash and the bytes behind it mean, and how many of those there are.
type Escape = fn(&[u8], &mut Vec<u8>) -> usize;

fn without_backslashes(bytes: &[u8], escape: Escape) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, from) = rest.split_at(at);
        plain.extend(before);
        let behind = from.get(1..).unwrap_or_default();
        let taken = escape(behind, &mut plain);
        rest = behind.get(taken..).unwrap_or_default();
    }
    plain.extend(rest);
    plain
}

fn of_mysql(behind: &[u8], plain: &mut Vec<u8>) -> usize {
    match behind.first() {
        Some(b'0') => plain.push(0),
        Some(b'b') => plain.push(8),
        Some(b'n') => plain.push(b'\n'),
        Some(b'r') => plain.push(b'\r'),
        Some(b't') => plain.push(b'\t'),
        Some(b'Z') => plain.push(0x1a),
        // These two keep their backslash: they are for patterns.
        Some(byte @ (b'%' | b'_')) => plain.extend([b'\\', *byte]),
        Some(byte) => plain.push(*byte),
        None => plain.push(b'\\'),
    }
    1
}

fn of_postgresql(behind: &[u8], plain: &mut Vec<u8>) -> usize {
    let digits = match behind.first() {
        Some(b'u') => 4,
        Some(b'U') => 8,
        _ => return of_copy(behind, plain),
    };
    let number = behind.get(1..=digits).and_then(|digits| std::str::from_utf8(digits).ok());
    match number.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?)) {
        Some(letter) => {
            plain.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            digits + 1
        }
        None => {
            plain.push(b'u');
            1
        }
    }
}

fn of_copy(behind: &[u8], plain: &mut Vec<u8>) -> usize {
    let run = |from: usize, most: usize, base: u32| {
        let digits = behind.iter().skip(from).take(most);
        digits.take_while(|byte| char::from(**byte).is_digit(base)).count()
    };
    let number = |from: usize, many: usize, base: u32| {
        let digits = behind.iter().skip(from).take(many).filter_map(|byte| char::from(*byte).to_digit(base));
        digits.fold(0_u32, |sum, digit| sum.wrapping_mul(base).wrapping_add(digit))
    };
    let byte = |number: u32| u8::try_from(number & 0xff).unwrap_or_default();
    match behind.first() {
        Some(b'b') => plain.push(8),
        Some(b'f') => plain.push(12),
        Some(b'n') => plain.push(b'\n'),
        Some(b'r') => plain.push(b'\r'),
        Some(b't') => plain.push(b'\t'),
        Some(b'v') => plain.push(11),
        Some(b'0'..=b'7') => {
            let many = run(0, 3, 8);
            plain.push(byte(number(0, many, 8)));
            return many;
        }
        Some(b'x') if run(1, 2, 16) > 0 => {
            let many = run(1, 2, 16);
            plain.push(byte(number(1, many, 16)));
            return many + 1;
        }
        Some(byte) => plain.push(*byte),
        None => plain.push(b'\\'),
    }
    1
}

fn of_java(behind: &[u8], plain: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let is_one = behind.get(at.checked_sub(1)?) == Some(&b'u');
        let digits = std::str::from_utf8(behind.get(at..at.checked_add(4)?)?).ok()?;
        if is_one { u16::from_str_radix(digits, 16).ok() } else { None }
    };
    let Some(first) = unit(1) else { return of_copy(behind, plain) };
    let second = if behind.get(5) == Some(&b'\\') { unit(7) } else { None };
    let mut push = |units: &[u16]| match char::decode_utf16(units.iter().copied()).next() {
        Some(Ok(letter)) => {
            plain.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            true
        }
        _ => false,
    };
    // Java writes letters beyond 16 bits as two halves.
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = second
        && push(&[first, second])
    {
        return 11;
    }
    if !push(&[first]) {
        plain.extend("\u{fffd}".as_bytes());
    }
    5
}

/// `\00e9`, `\+01f69b` and `\\`. Nothing, where a backslash is followed by anything else.
fn unicode(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut half: Option<u16> = None;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(behind) = behind.strip_prefix('\\') {
            plain.push('\\');
            rest = behind;
            continue;
        }
        let (digits, many) = behind.strip_prefix('+').map_or((behind, 4), |digits| (digits, 6));
        let number = u32::from_str_radix(digits.get(..many)?, 16).ok()?;
        rest = digits.get(many..)?;
        match (half.take(), u16::try_from(number)) {
            (None, Ok(unit)) if (0xd800..0xdc00).contains(&unit) => half = Some(unit),
            (Some(first), Ok(second)) => {
                plain.push(char::decode_utf16([first, second]).next()?.ok()?);
            }
            (None, _) => plain.push(char::from_u32(number)?),
            (Some(_), Err(_)) => return None,
        }
    }
    plain.push_str(rest);
    half.is_none().then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{UTF_8, WINDOWS_1252};

    fn plain(value: Value) -> String {
        match value {
            Value::Text { text, is_damaged: false } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_of_mysql_mean_what_they_mean_there() {
        let check = |written: &[u8], expected: &str| {
            assert_eq!(plain(value(written, Kind::Escaped, Format::MySql, UTF_8)), expected);
        };
        check(br#"he said \"don't\" \\o/"#, r#"he said "don't" \o/"#);
        check(br"\0\b\n\r\t\Z\'\x\%\_", "\0\u{8}\n\r\t\u{1a}'x\\%\\_");
        check("Kühler 🚛".as_bytes(), "Kühler 🚛");
        check(b"", "");
    }

    #[test]
    fn texts_of_postgresql_mean_what_they_mean_there() {
        let check = |written: &[u8], expected: &str| {
            assert_eq!(plain(value(written, Kind::Escaped, Format::PostgreSql, UTF_8)), expected);
        };
        check(br"a\nb\101\x41\x4g\u00e9\U0001F69B\q\'", "a\nbAA\u{4}gé🚛q'");
        check(br"\u12", "u12");
        check(br"\x", "x");
        assert_eq!(plain(value(br"a\nb", Kind::Plain, Format::PostgreSql, UTF_8)), r"a\nb");
        assert_eq!(copied(br"\N", UTF_8), Value::Null);
        assert_eq!(plain(copied(br"\\N", UTF_8)), r"\N");
        assert_eq!(plain(copied(br"a\tb\\\.\303\274", UTF_8)), "a\tb\\.ü");
        assert_eq!(plain(copied(b"K\xfchl", WINDOWS_1252)), "Kühl");
        assert_eq!(copied(b"K\xfchl", UTF_8), Value::Text { text: "K\u{fffd}hl".to_owned(), is_damaged: true });
    }

    #[test]
    fn texts_of_h2_mean_what_they_mean_there() {
        let unicode = |written: &str| value(written.as_bytes(), Kind::Unicode, Format::H2, UTF_8);
        assert_eq!(plain(unicode(r"K\00fchl \+01f69b \\ \d83d\de9b")), "Kühl 🚛 \\ 🚛");
        for bad in [r"\zzzz", r"\00", r"\d83d", r"\d83dx\0041", r"\+110000", r"\"] {
            assert!(matches!(unicode(bad), Value::Odd(_)), "{bad}");
        }
        let java = |written: &str| plain(java(Value::Text { text: written.to_owned(), is_damaged: false }));
        assert_eq!(java(r#"K\u00fchl \"x\" \ud83d\ude9b \\ \n\101"#), "Kühl \"x\" 🚛 \\ \nA");
        assert_eq!(java(r"\ud83d \u12"), "\u{fffd} u12");
    }

    #[test]
    fn bytes_and_bits_are_read() {
        assert_eq!(value(b"00ff27", Kind::Hex, Format::H2, UTF_8), Value::Bytes(vec![0, 255, 39]));
        assert!(matches!(value(b"0", Kind::Hex, Format::H2, UTF_8), Value::Odd(_)));
        assert!(matches!(value(b"0g", Kind::Hex, Format::H2, UTF_8), Value::Odd(_)));
        assert_eq!(value(b"1", Kind::Bits, Format::MySql, UTF_8), Value::Bytes(vec![1]));
        assert_eq!(value(b"00", Kind::Bits, Format::MySql, UTF_8), Value::Bytes(vec![0]));
    }
}
