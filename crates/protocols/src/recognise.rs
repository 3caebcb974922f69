//! Telling by its first bytes which protocol a device speaks, and the words in which protocols say so.
//!
//! [`Protocol::recognise`](crate::Protocol::recognise) looks at the first bytes of a stream, or at one whole datagram,
//! and claims them or not. Whatever it says of some bytes it must not take back when more follow: `No` and `Yes` are
//! final, and `Perhaps` says how many bytes there must be before it can become either. So a port may ask whenever that
//! many have come, drop who says `No`, and decide for who says `Yes` once nobody else is left: it decides with the byte
//! that makes it clear, and does not ask again for each byte that comes by itself.

use odograph_wire::Cut;

/// Whether bytes belong to a protocol. Of several forms that a message may have, the greatest claim counts ([`Self::or`]);
/// of several things that must all hold, the least ([`Self::and`]): both keep `No` and `Yes` final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// No message of the protocol begins so.
    No,
    /// Nothing speaks against it yet, and nothing else can be said before there are so many bytes from the beginning.
    Perhaps(usize),
    /// Something was verified that chance does not make: marks with lengths and a checksum, or an identifying header.
    Yes,
}

impl Claim {
    /// Nothing speaks against it, whatever may follow.
    pub const STAYS: Self = Self::Perhaps(usize::MAX);

    /// The byte behind `start` may say more.
    pub const fn next(start: &[u8]) -> Self {
        Self::Perhaps(start.len().saturating_add(1))
    }

    /// Of two forms that a message may have.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Perhaps(need), Self::Perhaps(other)) => Self::Perhaps(need.min(other)),
            (Self::No, claim) | (claim, Self::No) => claim,
        }
    }

    /// Of two things that must hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Perhaps(need), Self::Perhaps(other)) => Self::Perhaps(need.min(other)),
            (Self::Yes, claim) | (claim, Self::Yes) => claim,
        }
    }

    /// The same of bytes before which so many others stand.
    #[must_use]
    pub const fn behind(self, count: usize) -> Self {
        match self {
            Self::Perhaps(need) => Self::Perhaps(need.saturating_add(count)),
            claim => claim,
        }
    }

    /// What a frame says that `cut` finds at the beginning of `start`: `Yes` where `verified` says that it is one. One
    /// that is not stays `Perhaps`: firmware that computes a checksum wrongly is still of its protocol.
    pub fn of_frame(cut: Cut, start: &[u8], verified: impl FnOnce(&[u8]) -> bool) -> Self {
        match cut {
            Cut::Frame(length) => match start.get(..length) {
                Some(frame) if verified(frame) => Self::Yes,
                _ => Self::STAYS,
            },
            Cut::Need(need) => Self::Perhaps(need),
            Cut::Skip(_) | Cut::Lost(_) => Self::No,
        }
    }
}

/// What a protocol goes by when it recognises its messages, in words that go into a sentence for people. Nothing may stand
/// there that is not looked at.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// What its messages are like: what cannot become so is disclaimed.
    pub form: &'static str,
    /// What a message is claimed by, whichever kind it is of.
    pub proof: &'static str,
}

impl Looks {
    /// Why bytes may be of the protocol, or are, of which it said `claim`. So many of them were looked at.
    pub(crate) fn reason(&self, claim: Claim, looked_at: usize) -> String {
        let Self { form, proof } = self;
        match claim {
            Claim::Yes => format!("begins like its messages ({form}), and with {proof}"),
            Claim::STAYS => format!("begins like its messages ({form}), but not with {proof}"),
            Claim::Perhaps(need) => format!(
                "begins like its messages ({form}), but what was looked at is too short to be sure: it ends with byte \
                 {looked_at}, and byte {need} is the first that can tell more"
            ),
            Claim::No => format!("does not begin like its messages ({form})"),
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
                let lengths = marks.iter().map(|mark| length_of_mark(rest, mark));
                lengths.reduce(longer).unwrap_or(Err(Claim::No))
            }
            Part::Run(is_one, least, most) => length_of_run(rest, is_one, least, most),
        };
        match length {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(claim) => return claim.behind(start.len().saturating_sub(rest.len())),
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
        Err(Claim::next(start))
    } else {
        Err(Claim::No)
    }
}

/// Of two marks none of which begins the other.
fn longer(one: Result<usize, Claim>, other: Result<usize, Claim>) -> Result<usize, Claim> {
    match (one, other) {
        (Err(one), Err(other)) => Err(one.or(other)),
        (Ok(length), _) | (_, Ok(length)) => Ok(length),
    }
}

fn length_of_run(start: &[u8], is_one: fn(&u8) -> bool, least: usize, most: usize) -> Result<usize, Claim> {
    let length = start.iter().take(most).take_while(|byte| is_one(byte)).count();
    match length {
        length if length == most => Ok(length),
        // More of it may come.
        length if length == start.len() => Err(Claim::next(start)),
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
            (&b""[..], Claim::Perhaps(1)),
            (b"*", Claim::Perhaps(2)),
            (b"*H", Claim::Perhaps(3)),
            (b"*X", Claim::No),
            (b"*HY", Claim::No),
            (b"*HQ,12", Claim::Perhaps(7)),
            (b"*HQ,1#", Claim::No),
            (b"*YG,12#", Claim::Yes),
            (b"*HQ,1234", Claim::Perhaps(9)),
            (b"*HQ,1234#and more", Claim::Yes),
            (b"*HQ,12345#", Claim::No),
        ] {
            assert_eq!(parts(start, SHAPE), claim, "{}", start.escape_ascii());
        }
        assert_eq!(mark(b"", b"##"), Claim::Perhaps(1));
        assert_eq!(mark(b"#,", b"##"), Claim::No);
        assert_eq!(mark(b"##,", b"##"), Claim::Yes);
    }

    #[test]
    fn frames_are_claimed_once_they_are_verified() {
        let claim = |cut| Claim::of_frame(cut, b"abc", |frame| frame == b"ab");
        assert_eq!(claim(Cut::Frame(2)), Claim::Yes);
        assert_eq!(claim(Cut::Frame(3)), Claim::STAYS);
        assert_eq!(claim(Cut::Frame(4)), Claim::STAYS);
        assert_eq!(claim(Cut::Need(9)), Claim::Perhaps(9));
        assert_eq!(claim(Cut::Skip(1)), Claim::No);
        assert_eq!(claim(Cut::Lost("")), Claim::No);
    }

    #[test]
    fn a_reason_says_what_agrees_and_what_is_missing() {
        let looks = Looks { form: "a star", proof: "a checksum that fits" };
        let reason = |claim| looks.reason(claim, 4);
        assert_eq!(reason(Claim::Yes), "begins like its messages (a star), and with a checksum that fits");
        assert_eq!(reason(Claim::STAYS), "begins like its messages (a star), but not with a checksum that fits");
        assert_eq!(
            reason(Claim::Perhaps(9)),
            "begins like its messages (a star), but what was looked at is too short to be sure: it ends with byte 4, and \
             byte 9 is the first that can tell more"
        );
        assert_eq!(reason(Claim::No), "does not begin like its messages (a star)");
    }

    #[test]
    fn forms_and_conditions_are_asked_again_as_soon_as_one_of_them_may_say_more() {
        let all = [Claim::No, Claim::Perhaps(3), Claim::Perhaps(7), Claim::Yes];
        let table = |join: fn(Claim, Claim) -> Claim| all.map(|one| all.map(|other| join(one, other)));
        let [no, three, seven, yes] = all;
        let or = [[no, three, seven, yes], [three, three, three, yes], [seven, three, seven, yes], [yes; 4]];
        assert_eq!(table(Claim::or), or);
        let and = [[no; 4], [no, three, three, three], [no, three, seven, seven], [no, three, seven, yes]];
        assert_eq!(table(Claim::and), and);
        assert_eq!(all.map(|claim| claim.behind(2)), [no, Claim::Perhaps(5), Claim::Perhaps(9), yes]);
    }
}
