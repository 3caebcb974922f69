//! Frames that were damaged on the way: cut short, or with a bit flipped.

use super::{Case, Findings, caught};
use odograph_protocols::{Checksum, Heard, Reply, ReplyTo};
use odograph_wire::Framing;

/// Every beginning of a frame that is not all of it gives no record and no acknowledgement.
pub(super) fn truncate(case: &Case<'_>, findings: &mut Findings<'_>) {
    for (index, frame) in case.frames.iter().enumerate() {
        let is_sound = case.heard[index].fault.is_none() && !case.paragraph.options.prefix_ok.has(index);
        for length in 0..frame.len() {
            let fault = match case.instead(index, &frame[..length]) {
                Err(panic) => Some(panic),
                Ok(found) if is_sound && claims(&found) => {
                    let only_delimiter = is_delimiter(&case.protocol.framing, &frame[length..]);
                    (!only_delimiter || !same(&case.heard[index], &found)).then(|| claim(&found))
                }
                Ok(_) => None,
            };
            let named = fault.map(|fault| format!("cut to {length} of {} bytes: {fault}", frame.len()));
            findings.case("truncate", case.line(index), named);
        }
    }
}

/// No flipped bit panics. Where the message carries a checksum, a flipped bit gives no record and no acknowledgement,
/// or, in bytes that say nothing, exactly what the sound message gives.
pub(super) fn flip(case: &Case<'_>, findings: &mut Findings<'_>) {
    let options = &case.paragraph.options;
    for (index, frame) in case.frames.iter().enumerate() {
        let sound = &case.heard[index];
        let of_all = case.protocol.has_checksum.then_some(0);
        let counts = options.checksum == Checksum::Enforce && sound.fault.is_none() && !options.unsummed.has(index);
        let summed_from = options.summed.from(index).or(of_all).filter(|_| counts);
        let mut flipped = frame.to_vec();
        for bit in 0..frame.len() * 8 {
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_summed = summed_from.is_some_and(|from| bit / 8 >= from);
            let fault = match case.instead(index, &flipped) {
                Err(panic) => Some(panic),
                Ok(found) if is_summed && claims(&found) && !same(sound, &found) => Some(claim(&found)),
                Ok(_) => caught(|| case.protocol.cut_told(case.told(false), &flipped))
                    .err()
                    .map(|panic| format!("framing {panic}")),
            };
            flipped[bit / 8] ^= 1 << (bit % 8);
            let named = fault.map(|fault| format!("bit {} of byte {} flipped: {fault}", bit % 8, bit / 8));
            findings.case("flip", case.line(index), named);
        }
    }
}

/// After a malformed frame the rest of the conversation gives the records that it gives anyway.
pub(super) fn error(case: &Case<'_>, findings: &mut Findings<'_>) {
    let received = case.paragraph.options.received;
    for (index, frame) in case.frames.iter().enumerate() {
        for length in [0, frame.len() / 2, frame.len().saturating_sub(3)] {
            let mut conversation = case.at(index);
            let broken = caught(|| conversation.frame(&frame[..length], received, None).fault.is_some());
            if broken != Ok(true) {
                continue;
            }
            let rest = case.frames[index..].iter().zip(&case.heard[index..]);
            let fault = rest.into_iter().find_map(|(frame, expected)| {
                let found = conversation.frame(frame, received, None);
                (found.records != expected.records || found.identity != expected.identity).then(|| {
                    let (expected, found) = (claim(expected), claim(&found));
                    format!("after its first {length} bytes were refused, {expected} became {found}")
                })
            });
            findings.case("error", case.line(index), fault);
        }
    }
}

fn claims(heard: &Heard) -> bool {
    heard.fault.is_none() && (!heard.records.is_empty() || heard.acknowledges())
}

fn claim(heard: &Heard) -> String {
    let acknowledgements: Vec<_> = acknowledgements(heard).map(|reply| &reply.bytes).collect();
    match (&heard.records[..], &acknowledgements[..]) {
        ([], []) => "nothing".to_owned(),
        ([], acknowledgements) => format!("acknowledged with {acknowledgements:02x?}, names {:?}", heard.identity),
        (records, acknowledgements) => {
            format!("{} records, acknowledged with {acknowledgements:02x?}: {records:?}", records.len())
        }
    }
}

/// Whether both give the same records, acknowledgements and names.
fn same(sound: &Heard, found: &Heard) -> bool {
    sound.records == found.records
        && sound.identity == found.identity
        && acknowledgements(sound).eq(acknowledgements(found))
}

fn acknowledgements(heard: &Heard) -> impl Iterator<Item = &Reply> {
    heard.replies.iter().filter(|reply| reply.to == ReplyTo::Accepted)
}

/// Whether `end` is all delimiter: without it, a message is as whole as with it.
fn is_delimiter(framing: &Framing, end: &[u8]) -> bool {
    match framing {
        Framing::Line => matches!(end, b"\n" | b"\r\n"),
        Framing::Until(last) | Framing::Between(_, last) => end == [*last],
        Framing::Length { .. } | Framing::Http => false,
        // Its delimiter is its own affair; none has more than two bytes.
        Framing::Custom(_) | Framing::Told { .. } => end.len() <= 2,
    }
}
