//! Whether bytes are logins, packets or datagrams.

use super::{FRAME_MAX, LOGIN_MAX, PACKET_TYPE, PING, avl, cut, gh3000, messages};
use crate::{Claim, Looks, Transport};
use odograph_wire::{Cut, checksum};

/// An IMEI has so many digits.
const IMEI_DIGITS: usize = 15;
/// No device begins with more pings and empty messages than this before it says who it is.
const IDLE_MAX: usize = 64;
/// Before a packet's length, the length, and behind its data.
const PREAMBLE: usize = 4;
const LENGTH: usize = 4;
const CHECKSUM: usize = 4;
/// Bytes of a login or a datagram that are not counted by its length.
const LENGTH_BYTES: usize = 2;

pub(super) const LOOKS: Looks = Looks {
    form: "a length and a text such as an IMEI; four zeros, a length and a codec; or a datagram with both",
    proof: "an IMEI of 15 digits, or with a packet of data whose checksum fits",
};

pub(super) fn recognise(start: &[u8], transport: Transport) -> Claim {
    match transport {
        Transport::Udp if start == [PING] => Claim::next(start),
        Transport::Udp => datagram(start),
        _ => stream(start),
    }
}

fn stream(start: &[u8]) -> Claim {
    let mut rest = start;
    for _ in 0..IDLE_MAX {
        let idle = match (rest, rest.is_empty()) {
            (_, true) => return Claim::next(start),
            ([PING, ..], _) => 1,
            _ => match cut(rest) {
                Cut::Skip(length) => length,
                _ => break,
            },
        };
        rest = rest.get(idle..).unwrap_or_default();
    }
    let idle = start.len().saturating_sub(rest.len());
    match *rest {
        // With a fourth byte it is a preamble, or an empty message and what follows it.
        [0] | [0, 0] | [0, 0, _] | [0, 0, 0, 0] => Claim::next(start),
        [0, 0, 0, 0, ref rest @ ..] => packet(rest).behind(idle.saturating_add(PREAMBLE)),
        [0, length, ref text @ ..] => login(length.into(), text).behind(idle.saturating_add(LENGTH_BYTES)),
        _ => Claim::No,
    }
}

/// `length` bytes of text: an IMEI, in some devices with something behind it.
fn login(length: usize, text: &[u8]) -> Claim {
    if length == 0 || length.saturating_add(LENGTH_BYTES) > LOGIN_MAX {
        return Claim::No;
    }
    let name = text.get(..length).unwrap_or(text);
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !name.iter().all(|byte| matches!(byte, 0 | b' '..=b'~')) {
        Claim::No
    } else if name.len() == length && digits == IMEI_DIGITS {
        Claim::Yes
    } else if name.len() == length {
        Claim::STAYS
    } else {
        Claim::next(text)
    }
}

/// What follows the preamble: a length, data that begin with a codec, a checksum.
fn packet(rest: &[u8]) -> Claim {
    let Some((length, data)) = rest.split_first_chunk::<4>() else {
        return Claim::Perhaps(LENGTH);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_MAX {
        return Claim::No;
    }
    match (data, data.split_at_checked(length)) {
        ([], _) => Claim::next(rest),
        ([codec, ..], _) if length > 0 && !is_codec(*codec) => Claim::No,
        (_, Some((data @ [_, ..], [0, 0, high, low, ..])))
            if checksum::crc16_arc(data) == u16::from_be_bytes([*high, *low]) =>
        {
            Claim::Yes
        }
        (_, Some((_, [_, _, _, _, ..]))) => Claim::STAYS,
        _ => Claim::Perhaps(LENGTH.saturating_add(length).saturating_add(CHECKSUM)),
    }
}

/// `LLLL PPPP 01 QQ MMMM I* CC NN D* NN`
fn datagram(start: &[u8]) -> Claim {
    let (length, rest) = match *start {
        [high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return Claim::next(start),
    };
    let (imei_length, rest) = match *rest {
        [_, _, PACKET_TYPE, _, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        [_, _, PACKET_TYPE, ..] | [_, _] | [_] | [] => return Claim::next(start),
        _ => return Claim::No,
    };
    if imei_length > LOGIN_MAX || !rest.iter().take(imei_length).all(|byte| matches!(byte, 0 | b' '..=b'~')) {
        return Claim::No;
    }
    let Some((imei, data)) = rest.split_at_checked(imei_length) else { return Claim::next(start) };
    let counted = length.saturating_add(LENGTH_BYTES);
    match *data {
        [codec, ..] if !is_codec(codec) => Claim::No,
        [_, count, ..]
            if imei.len() >= IMEI_DIGITS
                && imei.iter().take(IMEI_DIGITS).all(u8::is_ascii_digit)
                && start.get(..counted).is_some_and(|whole| whole.ends_with(&[count])) =>
        {
            Claim::Yes
        }
        _ => Claim::next(start),
    }
}

const fn is_codec(codec: u8) -> bool {
    messages::is_message(codec) || matches!(codec, gh3000::CODEC | avl::CODEC_8 | avl::CODEC_8E | avl::CODEC_16)
}
