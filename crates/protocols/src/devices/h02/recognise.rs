//! Whether bytes are messages: texts that name a maker, a device and a type, or records whose digits can be.

use super::framing::begins_with;
use crate::recognise::Part::{self, Is, OneOf, Run};
use crate::recognise::parts;
use crate::{Claim, Looks};

/// `*MM,ID,TYPE` and what ends the type. Other makers have other types behind the same beginning.
const TEXT: &[Part] = &[
    Is(b"*"),
    Run(u8::is_ascii_alphanumeric, 2, 2),
    Is(b","),
    Run(u8::is_ascii_alphanumeric, 0, 20),
    Is(b","),
    Run(u8::is_ascii_alphanumeric, 1, 8),
    OneOf(&[b",", b"#"]),
];

/// The types that are described, and those of which there are many.
const TYPES: &[&[u8]] = &[b"BASE", b"BS", b"HTBT", b"LINK", b"NBR", b"SMS", b"XT"];

pub(super) const LOOKS: Looks = Looks {
    form: "*, a maker of two letters or digits, device and type, or $ or X and in decimal digits device, time, place",
    proof: "a type that is known behind *, or with a speed, course and status that can be behind $",
};

pub(super) fn recognise(start: &[u8]) -> Claim {
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let start = start.get(blank..).unwrap_or_default();
    let claim = match start.first() {
        None => Claim::next(start),
        Some(b'*') => parts(start, TEXT).and(if is_known(start) { Claim::Yes } else { Claim::STAYS }),
        Some(b'$') => record(start),
        // Known by their mark only.
        Some(b'X') => record(start).and(Claim::STAYS),
        Some(_) => Claim::No,
    };
    claim.behind(blank)
}

fn is_known(start: &[u8]) -> bool {
    let mut fields = start.split(|byte| matches!(byte, b',' | b'#'));
    let kind = fields.nth(2).unwrap_or_default();
    TYPES.contains(&kind) || matches!(kind, [b'V', rest @ ..] if !rest.is_empty())
}

/// Digits alone are what others send behind the same mark (JT600). Here a speed and a course stand behind the place, and
/// then a status in which next to no bit is clear, for a clear one alarms.
fn record(start: &[u8]) -> Claim {
    let claim = |identity: usize| match begins_with(identity, start) {
        Some(false) => Claim::No,
        None => Claim::next(start),
        Some(true) => {
            let at = identity.saturating_add(17);
            let ends = [at, at.saturating_add(3), at.saturating_add(7)];
            let [motion, status] = [ends.get(..2), ends.get(1..)].map(|ends| match ends {
                Some([from, to]) => start.get(*from..*to),
                _ => None,
            });
            match (motion, status) {
                (Some(motion), Some(status)) if is_motion(motion) && are_set(status) => Claim::Yes,
                (Some(_), Some(_)) => Claim::STAYS,
                _ => Claim::Perhaps(at.saturating_add(7)),
            }
        }
    };
    claim(5).or(claim(8))
}

fn is_motion(bytes: &[u8]) -> bool {
    let is_decimal = bytes.iter().all(|byte| byte >> 4 <= 9 && byte & 0x0F <= 9);
    is_decimal && bytes.get(1).is_some_and(|byte| byte & 0x0F <= 3)
}

fn are_set(status: &[u8]) -> bool {
    status.iter().map(|byte| byte.count_ones()).sum::<u32>() >= BITS_SET
}

/// So many of the status' 32 bits are set at least, in all messages that are known.
const BITS_SET: u32 = 22;
