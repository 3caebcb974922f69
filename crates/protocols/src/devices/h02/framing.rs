//! Cutting streams in which texts and binary records stand side by side.
//!
//! A text ends with its `#`. A record states no length: the one with a long identity has 42 bytes; of the others, the
//! short form of 32 bytes and the long ones of 45 and more begin alike. What stands behind byte 32 tells them apart: the
//! next message, or how many satellites were used. Where nothing stands there yet, more is waited for, unless the
//! setting `binary` says how long they are.

use odograph_wire::{Cut, Told};

/// No text is longer: answers to commands are the longest, with some hundred bytes.
pub(super) const FRAME_MAX: usize = 2048;
/// The short form.
pub(super) const SHORT: usize = 32;
/// The form with a long identity.
pub(super) const WIDE: usize = 42;
/// The long form, and those that some makers have made of it.
pub(super) const LONG: [usize; 4] = [45, 46, 47, 48];
/// So many bytes of a record are looked at to know it: with a long identity up to the end of the longitude.
const HEAD: usize = 25;

pub(super) fn cut(told: Told<'_>, bytes: &[u8]) -> Cut {
    match bytes.first() {
        Some(b'*') => text(bytes),
        Some(b'$') => record(told, bytes),
        Some(b'X') => closed(bytes),
        _ => Cut::Skip(mark(bytes, 0)),
    }
}

/// Where a message may begin in `bytes` from `from` on, or their end.
fn mark(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| matches!(byte, b'*' | b'$' | b'X')).map_or(bytes.len(), |at| from.saturating_add(at))
}

/// Whether something is so; `None` where too little is there to say.
type Sure = Option<bool>;

/// Both are so.
const fn and(one: Sure, other: Sure) -> Sure {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// One of them is so.
const fn or(one: Sure, other: Sure) -> Sure {
    match (one, other) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// `*`, two letters or digits of the maker, `,`.
pub(super) fn begins_text(bytes: &[u8]) -> Sure {
    let is = |at: usize, fits: fn(u8) -> bool| bytes.get(at).map(|byte| fits(*byte));
    let maker = and(is(1, |byte| byte.is_ascii_alphanumeric()), is(2, |byte| byte.is_ascii_alphanumeric()));
    and(and(is(0, |byte| byte == b'*'), maker), is(3, |byte| byte == b','))
}

/// A text, up to its `#`. It is given up where another message begins within it, or what no text holds.
fn text(bytes: &[u8]) -> Cut {
    if begins_text(bytes) == Some(false) {
        return Cut::Skip(mark(bytes, 1));
    }
    for (at, byte) in bytes.iter().enumerate().take(FRAME_MAX).skip(1) {
        let rest = bytes.get(at..).unwrap_or_default();
        match byte {
            b'#' => return Cut::Frame(at.saturating_add(1)),
            b'*' if begins_text(rest) == Some(true) => return Cut::Skip(at),
            b'$' => match begins_record(rest) {
                Some(true) => return Cut::Skip(at),
                Some(false) => {}
                None => break,
            },
            b'\r' | b'\n' | b'\t' | b' '..=0xFF => {}
            _ => return Cut::Skip(mark(bytes, 1)),
        }
    }
    match bytes.len() < FRAME_MAX {
        true => Cut::Need(bytes.len().saturating_add(1)),
        false => Cut::Skip(mark(bytes, 1)),
    }
}

/// What servers know by its mark and its length only, and nobody describes.
fn closed(bytes: &[u8]) -> Cut {
    match begins_record(bytes) {
        Some(true) if bytes.len() >= SHORT => Cut::Frame(SHORT),
        Some(true) => Cut::Need(SHORT),
        None => Cut::Need(HEAD),
        Some(false) => Cut::Skip(mark(bytes, 1)),
    }
}

/// Whether a record begins here, with an identity of five or of eight bytes.
pub(super) fn begins_record(bytes: &[u8]) -> Sure {
    or(begins_with(5, bytes), begins_with(8, bytes))
}

/// Whether a record with an identity of so many bytes begins here: all up to the longitude is binary-coded decimal, and
/// time, date and place can be. Text is none, because its bytes are no months.
pub(super) fn begins_with(identity: usize, bytes: &[u8]) -> Sure {
    let (wide, at) = (identity > 5, identity.saturating_add(1));
    let mut all = Some(true);
    for offset in 1..at.saturating_add(16) {
        let fits = bytes.get(offset).map(|byte| {
            let decimal = byte >> 4 <= 9 && byte & 0x0F <= 9;
            match offset.checked_sub(at) {
                // The last half byte of a long identity is none of it.
                None if wide && offset == identity => byte >> 4 <= 9,
                None => decimal,
                Some(0) => decimal && *byte <= 0x23,
                Some(1 | 2 | 7) => decimal && *byte <= 0x59,
                Some(3) => decimal && *byte <= 0x31,
                Some(4) => decimal && *byte <= 0x12,
                Some(6) => decimal && *byte <= 0x90,
                Some(10) => true,
                Some(11) => decimal && *byte <= 0x18,
                Some(15) => byte >> 4 <= 9,
                Some(_) => decimal,
            }
        });
        all = and(all, fits);
    }
    all
}

/// Whether `bytes` are one record, as their number and their beginning say.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    let length = bytes.len();
    bytes.first() == Some(&b'$')
        && match length {
            WIDE => begins_with(8, bytes) == Some(true),
            // A short one and a short text may be as long as a long one.
            _ if LONG.contains(&length) => {
                let is_two = ends(Told { setting: None, ended: true }, bytes, SHORT) == Some(true);
                !is_two && begins_with(5, bytes) == Some(true)
            }
            _ => length == SHORT && begins_with(5, bytes) == Some(true),
        }
}

/// A binary record.
fn record(told: Told<'_>, bytes: &[u8]) -> Cut {
    let whole = |length: usize| match bytes.len() >= length {
        true => Cut::Frame(length),
        false => Cut::Need(length),
    };
    let (narrow, wide) = (begins_with(5, bytes), begins_with(8, bytes));
    let setting: Option<usize> = told.setting.and_then(|setting| setting.parse().ok());
    match (narrow, wide) {
        (Some(false), Some(false)) => Cut::Skip(mark(bytes, 1)),
        (None, _) | (_, None) => Cut::Need(HEAD),
        (_, Some(true)) if narrow == Some(false) || setting == Some(WIDE) => whole(WIDE),
        _ => match setting {
            Some(47) => length(told, bytes, &[45, 47]),
            Some(length @ 32..=48) if length != WIDE => whole(length),
            _ => unsaid(told, bytes),
        },
    }
}

/// A record of which no setting says how long it is.
fn unsaid(told: Told<'_>, bytes: &[u8]) -> Cut {
    match ends(told, bytes, SHORT) {
        Some(true) => Cut::Frame(SHORT),
        None => Cut::Need(bytes.len().saturating_add(1)),
        // Nothing follows, so that all of it is the record.
        Some(false) if told.ended && is_record(bytes) => Cut::Frame(bytes.len()),
        Some(false) => match is_long(bytes) {
            None => Cut::Need(45),
            Some(true) => Cut::Frame(45),
            Some(false) => length(told, bytes, &LONG),
        },
    }
}

/// A record of the first of `lengths` behind which another message begins; of the first if behind none.
fn length(told: Told<'_>, bytes: &[u8], lengths: &[usize]) -> Cut {
    for length in lengths {
        if bytes.len() < *length {
            return Cut::Need(*length);
        }
        match ends(told, bytes, *length) {
            Some(true) => return Cut::Frame(*length),
            Some(false) => {}
            None => return Cut::Need(bytes.len().saturating_add(1)),
        }
    }
    lengths.first().map_or(Cut::Skip(1), |length| Cut::Frame(*length))
}

/// Whether another message, or nothing, stands behind the first `length` bytes.
fn ends(told: Told<'_>, bytes: &[u8], length: usize) -> Sure {
    let rest = bytes.get(length..)?;
    let rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    match rest.first() {
        None if told.ended => Some(true),
        None => None,
        Some(b'*') => begins_text(rest),
        Some(b'$' | b'X') => begins_record(rest),
        Some(b'\r') if rest.len() == 1 && !told.ended => None,
        Some(_) => Some(false),
    }
}

/// Whether the fields of the long form stand behind the status: a signal, satellites and a country that can be.
fn is_long(bytes: &[u8]) -> Sure {
    let [signal, satellites] = *bytes.get(31..33)? else { return None };
    let [high, low] = *bytes.get(37..39)? else { return None };
    bytes.get(44)?;
    let country = u16::from_be_bytes([high, low]);
    Some(signal <= 100 && satellites <= 64 && (country == 0 || (200..800).contains(&country)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_wire::notation::from_hex;

    const OPEN: Told<'_> = Told { setting: None, ended: false };
    const ENDED: Told<'_> = Told { setting: None, ended: true };

    fn short() -> Vec<u8> {
        from_hex("24 4106011660 124543 131116 50353130 06 004318210e 000000 fffffbff ff0024").expect("hex")
    }

    fn long() -> Vec<u8> {
        from_hex("24 4109114427 122247 011214 22339830 06 114026520e 000000 fffffbff ff0014060000000001cc00262b0f170a")
            .expect("hex")
    }

    fn wide() -> Vec<u8> {
        from_hex("24 3524830841932930 104759 180817 26273359 00 074412294e 024138 feffffff ff01120064ba73005ecc")
            .expect("hex")
    }

    #[test]
    fn records_of_all_lengths_between_texts() {
        let text = b"*HQ,4106011660,V1,124552#".to_vec();
        for record in [short(), long(), wide()] {
            for next in [&text, &short(), &long(), &wide()] {
                let both = [record.as_slice(), next].concat();
                assert_eq!(cut(OPEN, &both), Cut::Frame(record.len()), "{record:02x?} before {next:02x?}");
            }
        }
        assert_eq!(cut(OPEN, &[short(), b"\r\n*HQ,".to_vec()].concat()), Cut::Frame(32));
        assert_eq!(cut(OPEN, b"*HQ,4106011660,V1#\r\n"), Cut::Frame(18));
        assert_eq!(cut(OPEN, b"\r\n"), Cut::Skip(2));
    }

    #[test]
    fn what_stands_last_waits_unless_nothing_follows_or_a_setting_tells() {
        let told = |setting| Told { setting: Some(setting), ended: false };
        assert_eq!(cut(OPEN, &short()), Cut::Need(33));
        assert_eq!(cut(ENDED, &short()), Cut::Frame(32));
        assert_eq!(cut(told("32"), &short()), Cut::Frame(32));
        assert_eq!(cut(OPEN, &long()), Cut::Frame(45));
        assert_eq!(cut(told("47"), &long()), Cut::Need(46));
        assert_eq!(cut(told("47"), &[&long()[..], &short()].concat()), Cut::Frame(45));
        assert_eq!(cut(told("47"), &[&long()[..], &[1, 2], &short()].concat()), Cut::Frame(47));
        for more in [&[1][..], &[1, 2], &[1, 2, 3]] {
            let longer = [&long()[..], more].concat();
            assert_eq!(cut(ENDED, &longer), Cut::Frame(longer.len()));
            assert_eq!(cut(OPEN, &longer), Cut::Frame(45));
        }
        assert_eq!(cut(ENDED, &[&short()[..], b"*HQ,1234,V0#\r\n"].concat()), Cut::Frame(32));
        assert_eq!(cut(OPEN, &wide()), Cut::Frame(42));
        assert_eq!(cut(OPEN, &wide()[..30]), Cut::Need(42));
    }

    #[test]
    fn garbage_is_skipped_up_to_the_next_message() {
        let text = b"*HQ,1,V0#";
        for (garbage, next) in [
            (&b"\0\0xX*"[..], &text[..]),
            (b"*HQ,4106011660,V1,1245", text),
            (b"*HQ,41\0\x01,", text),
            (b"*H", text),
            (b"$$$24", text),
            (b"*HQ,4106011660,V", &short()),
            (b"*HQ,4106011660,V", &long()),
            (&short()[..20], text),
        ] {
            let bytes = [garbage, next].concat();
            let mut at = 0;
            while let Cut::Skip(length) = cut(ENDED, &bytes[at..]) {
                at += length;
            }
            assert_eq!((at, cut(ENDED, &bytes[at..])), (garbage.len(), Cut::Frame(next.len())), "{garbage:02x?}");
        }
        assert_eq!(cut(OPEN, &[b"*HQ,".to_vec(), vec![b'1'; FRAME_MAX]].concat()), Cut::Skip(FRAME_MAX + 4));
    }
}
