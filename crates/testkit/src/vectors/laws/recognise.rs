//! Beginnings of messages: what may become a message is never disclaimed, claims are never taken back, and who asks for more
//! bytes says nothing new before they are there.

use super::{Case, Findings, caught};
use odograph_protocols::{Claim, Conversation, Terms, Transport};
use odograph_wire::Cut;

/// Every beginning of every sound message is `Perhaps` or `Yes`, for each way in which the message can come; and whatever
/// is claimed of bytes, sound or not, stays when the next is added.
pub(super) fn recognise(case: &Case<'_>, findings: &mut Findings<'_>) {
    for (index, frame) in case.frames.iter().enumerate() {
        for transport in case.protocol.transports {
            let is_sound = is_message(case, index, *transport);
            let ways = [("", frame.to_vec()), (", twice", [*frame, *frame].concat())];
            let broken = flips(frame).map(|(bit, bytes)| (format!(", bit {bit} flipped"), bytes, false));
            let ways = ways.into_iter().map(|(how, bytes)| (how.to_owned(), bytes, is_sound)).chain(broken);
            for (how, bytes, is_sound) in ways {
                let fault = caught(|| course(case, &bytes, *transport, is_sound)).unwrap_or_else(Some);
                let named = fault.map(|fault| format!("{}{how}: {fault}", transport.name()));
                findings.case("recognise", case.line(index), named);
            }
        }
    }
}

/// What is wrong with the claims to `bytes` as they come one by one.
fn course(case: &Case<'_>, bytes: &[u8], transport: Transport, is_sound: bool) -> Option<String> {
    let mut before = Claim::Perhaps(0);
    for length in 0..=bytes.len() {
        let claim = (case.protocol.recognise)(&bytes[..length], transport);
        if is_sound && claim == Claim::No {
            return Some(format!("disclaimed by its first {length} bytes"));
        }
        let fault = taken_back(before, claim, length);
        if fault.is_some() {
            return fault;
        }
        before = claim;
    }
    None
}

/// What is wrong with a claim to the first `length` bytes, behind what was said of one byte less: `No` and `Yes` stay, and
/// so does `Perhaps` as long as it says so.
pub(crate) fn taken_back(before: Claim, claim: Claim, length: usize) -> Option<String> {
    match (before, claim) {
        (Claim::Perhaps(_), Claim::Perhaps(need)) if need <= length => {
            Some(format!("asks for {need} bytes where {length} have come"))
        }
        (Claim::Perhaps(need), Claim::Perhaps(next)) if next < need && length < need => {
            Some(format!("asked for {need} bytes, and after {length} for {next}"))
        }
        (Claim::Perhaps(need), Claim::No | Claim::Yes) if length < need => {
            Some(format!("asked for {need} bytes, and said {claim:?} after {length}"))
        }
        (Claim::No | Claim::Yes, _) if claim != before => {
            Some(format!("{before:?} became {claim:?} with byte {length}"))
        }
        _ => None,
    }
}

/// Whether the frame of that index is a message that comes by `transport`.
fn is_message(case: &Case<'_>, index: usize, transport: Transport) -> bool {
    let options = &case.paragraph.options;
    if options.bare || options.transport.is_some_and(|written| written != transport) {
        return false;
    }
    let frame = case.frames[index];
    let terms = Terms { transport: Some(transport), ..case.terms.clone() };
    let mut conversation: Conversation = case.before[index].resumed(terms);
    let is_cut =
        transport == Transport::Udp || case.protocol.cut_told(case.told(true), frame) == Cut::Frame(frame.len());
    is_cut && conversation.frame(frame, options.received, None).fault.is_none()
}

/// The frame with one bit flipped, of some of its bytes: those that marks and lengths are made of, and a few others.
fn flips(frame: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    const WHOLE: usize = 24;
    let bytes = (0..frame.len()).filter(|at| *at < WHOLE || at % 16 == 0);
    bytes.map(|at| {
        let mut flipped = frame.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (at * 8 + at % 8, flipped)
    })
}
