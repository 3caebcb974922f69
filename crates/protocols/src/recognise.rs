//! Telling by its first bytes which protocol a device speaks, and the words in which protocols say so.
//!
//! [`Protocol::recognise`](crate::Protocol::recognise) looks at the first bytes of a stream, or at one whole datagram,
//! and claims them or not. Whatever it says of some bytes it must not take back when more follow: `No` and `Yes` are
//! final. So a port may ask after each byte, drop who says `No`, and decide for who says `Yes` once nobody else is left.

use odograph_wire::Cut;

/// Whether bytes belong to a protocol. Of several forms that a message may have, the greatest claim counts; of several
/// things that must all hold, the least: both keep `No` and `Yes` final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// No message of the protocol begins so.
    No,
    /// Nothing speaks against it yet.
    Perhaps,
    /// Something was verified that chance does not make: marks with lengths and a checksum, or an identifying header.
    Yes,
}

impl Claim {
    /// What a frame says that `cut` finds at the beginning of `start`: `Yes` where `verified` says that it is one. One
    /// that is not stays `Perhaps`: firmware that computes a checksum wrongly is still of its protocol.
    pub fn of_frame(cut: Cut, start: &[u8], verified: impl FnOnce(&[u8]) -> bool) -> Self {
        match cut {
            Cut::Frame(length) => match start.get(..length) {
                Some(frame) if verified(frame) => Self::Yes,
                _ => Self::Perhaps,
            },
            Cut::Need(_) => Self::Perhaps,
            Cut::Skip(_) | Cut::Lost(_) => Self::No,
        }
    }
}

/// A part of what a message begins with.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// These bytes.
    Is(&'static [u8]),
    /// One of these, none of which begins another.
    OneOf(&'static [&'static [u8]]),
    /// As many as there are of the bytes that this says yes to, at least and at most so many. Another byte ends it, or
    /// the most being reached does.
    Run(fn(&u8) -> bool, usize, usize),
}

/// Matches `start` against `parts`, one after another and without ever going back: `Yes` where all of them match,
/// `Perhaps` where `start` ends before they do.
pub fn parts(start: &[u8], parts: &[Part]) -> Claim {
    let mut rest = start;
    for part in parts {
        let length = match *part {
            Part::Is(mark) => length_of_mark(rest, mark),
            Part::OneOf(marks) => {
                let claims = marks.iter().map(|mark| length_of_mark(rest, mark));
                claims.max_by_key(|length| length.map_or_else(|claim| claim, |_| Claim::Yes)).unwrap_or(Err(Claim::No))
            }
            Part::Run(is_one, least, most) => length_of_run(rest, is_one, least, most),
        };
        match length {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(claim) => return claim,
        }
    }
    Claim::Yes
}

/// Whether `start` begins with `mark`: `Perhaps` where it ends within it.
pub fn mark(start: &[u8], mark: &[u8]) -> Claim {
    length_of_mark(start, mark).map_or_else(|claim| claim, |_| Claim::Yes)
}

/// How long the mark is that `start` begins with, or whether it may still become one.
fn length_of_mark(start: &[u8], mark: &[u8]) -> Result<usize, Claim> {
    if start.starts_with(mark) {
        Ok(mark.len())
    } else if mark.starts_with(start) {
        Err(Claim::Perhaps)
    } else {
        Err(Claim::No)
    }
}

fn length_of_run(start: &[u8], is_one: fn(&u8) -> bool, least: usize, most: usize) -> Result<usize, Claim> {
    let length = start.iter().take(most).take_while(|byte| is_one(byte)).count();
    match length {
        length if length == most => Ok(length),
        // More of it may come.
        length if length == start.len() => Err(Claim::Perhaps),
        length if length >= least => Ok(length),
        _ => Err(Claim::No),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &[Part] = &[
        Part::Is(b"*"),
        Part::OneOf(&[b"HQ", b"YG"]),
        Part::Is(b","),
        Part::Run(u8::is_ascii_digit, 2, 4),
        Part::Is(b"#"),
    ];

    #[test]
    fn parts_match_or_do_not_or_may_still() {
        for (start, claim) in [
            (&b""[..], Claim::Perhaps),
            (b"*", Claim::Perhaps),
            (b"*H", Claim::Perhaps),
            (b"*X", Claim::No),
            (b"*HY", Claim::No),
            (b"*HQ,12", Claim::Perhaps),
            (b"*HQ,1#", Claim::No),
            (b"*YG,12#", Claim::Yes),
            (b"*HQ,1234", Claim::Perhaps),
            (b"*HQ,1234#and more", Claim::Yes),
            (b"*HQ,12345#", Claim::No),
        ] {
            assert_eq!(parts(start, SHAPE), claim, "{}", start.escape_ascii());
        }
        assert_eq!(mark(b"", b"##"), Claim::Perhaps);
        assert_eq!(mark(b"#,", b"##"), Claim::No);
        assert_eq!(mark(b"##,", b"##"), Claim::Yes);
    }

    #[test]
    fn frames_are_claimed_once_they_are_verified() {
        let claim = |cut| Claim::of_frame(cut, b"abc", |frame| frame == b"ab");
        assert_eq!(claim(Cut::Frame(2)), Claim::Yes);
        assert_eq!(claim(Cut::Frame(3)), Claim::Perhaps);
        assert_eq!(claim(Cut::Frame(4)), Claim::Perhaps);
        assert_eq!(claim(Cut::Need(9)), Claim::Perhaps);
        assert_eq!(claim(Cut::Skip(1)), Claim::No);
        assert_eq!(claim(Cut::Lost("")), Claim::No);
    }
}
