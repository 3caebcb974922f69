//! Sessions that are saved and opened again, as after a restart or in another segment of the journal.

use super::{Case, Findings, caught, difference};
use odograph_protocols::{CONTEXT_MAX, Conversation, Opening};

/// A session opened from what it saved goes on as if nothing had happened, be it once or before every frame; and what
/// it never saved does not trouble it.
pub(super) fn save(case: &Case<'_>, findings: &mut Findings<'_>) {
    for reopened in 0..case.frames.len() {
        let fault = resumed(case, |index| index == reopened).map(|what| format!("saved before this frame: {what}"));
        findings.case("save", case.line(reopened), fault);
        let context = case.before[reopened].context();
        let is_long = context.len() > CONTEXT_MAX;
        let fault = is_long.then(|| format!("{} bytes saved; at most {CONTEXT_MAX} may be", context.len()));
        findings.case("save", case.line(reopened), fault);
        for damaged in damaged(&context) {
            let fault = caught(|| open(case, &damaged, reopened)).err();
            let named = fault.map(|fault| format!("opened from {damaged:02x?}, which was never saved: {fault}"));
            findings.case("save", case.line(reopened), named);
        }
    }
    let fault = resumed(case, |_| true).map(|what| format!("saved before every frame: {what}"));
    findings.case("save", case.paragraph.line, fault);
}

/// Decodes the paragraph, saved and opened again before those frames that `reopens` names.
fn resumed(case: &Case<'_>, reopens: impl Fn(usize) -> bool) -> Option<String> {
    let mut conversation = Conversation::new(case.protocol, case.terms.clone());
    case.frames.iter().enumerate().find_map(|(index, frame)| {
        if reopens(index) {
            conversation = conversation.resumed(case.terms.clone());
        }
        let found = conversation.frame(frame, case.paragraph.options.received, None);
        difference(&case.heard[index], &found).map(|what| format!("frame {}: {what}", index + 1))
    })
}

fn open(case: &Case<'_>, context: &[u8], index: usize) {
    let terms = &case.terms;
    let opening = Opening { transport: terms.transport, settings: &terms.settings, checksum: terms.checksum, context };
    let mut session = (case.protocol.open)(&opening);
    let mut out = odograph_protocols::Out::default();
    // Whether it is decoded is the session's affair.
    let _ = odograph_protocols::decode(&mut *session, case.frames[index], case.paragraph.options.received, &mut out);
}

/// Contexts that were not saved: cut short, one bit flipped in each byte, and plain nonsense.
fn damaged(context: &[u8]) -> Vec<Vec<u8>> {
    let mut damaged = vec![vec![0xFF; 3], vec![0; CONTEXT_MAX]];
    for index in 0..context.len() {
        damaged.push(context[..index].to_vec());
        let mut flipped = context.to_vec();
        flipped[index] ^= 0x81;
        damaged.push(flipped);
    }
    damaged
}
