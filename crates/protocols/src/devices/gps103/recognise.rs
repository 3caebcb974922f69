//! Whether bytes are messages: they begin with a login's mark, with `imei:` and digits, or are an IMEI alone.

use super::IMEI;
use crate::recognise::Part::{self, Is, OneOf, Run};
use crate::recognise::parts;
use crate::{Claim, Looks};

const LOGIN: &[Part] = &[Is(b"##,imei:"), Run(u8::is_ascii_digit, 1, 20), Is(b",")];
const REPORT: &[Part] = &[Is(b"imei:"), Run(u8::is_ascii_digit, 1, 20), Is(b",")];
const HEARTBEAT: &[Part] = &[Run(u8::is_ascii_digit, IMEI, IMEI), OneOf(&[b";", b"imei:"])];
/// Line ends and numbers of another length are not what the maker sends, and what others send.
const NUMBER: &[Part] = &[Run(u8::is_ascii_digit, 1, 64), OneOf(&[b";", b"*", b"\r", b"\n", b"imei:"])];

pub(super) const LOOKS: Looks = Looks {
    form: "##,imei: and digits, imei: and digits, or digits alone",
    proof: "imei:, digits and a comma, or with exactly 15 digits before ; or imei:",
};

pub(super) fn recognise(start: &[u8]) -> Claim {
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'|' | 0 | b';' | b'*')).count();
    let rest = start.get(blank..).unwrap_or_default();
    let number = parts(rest, NUMBER).and(Claim::STAYS);
    [LOGIN, REPORT, HEARTBEAT].into_iter().map(|form| parts(rest, form)).fold(number, Claim::or).behind(blank)
}
