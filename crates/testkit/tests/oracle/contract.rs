//! What `odograph decode` promises, held against every captured message: tracing changes nothing, text with escapes and
//! hex digits are the same bytes, and a message that was cut short is malformed and never awaited.

use crate::rows::Row;
use odograph_protocols::{Conversation, Fault, Heard, Protocol, Terms, Transport};
use odograph_wire::{Reason, Traced, Tracer, notation};
use std::cell::RefCell;

/// What breaks the promises in a conversation.
pub(crate) fn broken(protocol: &'static Protocol, rows: &[Row<'_>]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut conversation = Conversation::new(protocol, Terms::default());
    for row in rows {
        let terms = |transport| Terms { transport, settings: row.settings.clone(), ..Terms::default() };
        conversation = conversation.resumed(terms(None));
        let before = conversation.resumed(terms(None));
        let heard = conversation.message(&row.bytes, crate::rows::RECEIVED, None);
        let mut say = |what: String| broken.push(format!("{}: {what}", row.id));
        traced(&before, row, &heard, &mut say);
        notations(&row.bytes, &mut say);
        if is_sound(&heard) {
            let streamed = before.resumed(terms(row.transport.or(Some(Transport::Tcp))));
            truncated(&streamed, row, &heard, &mut say);
        }
    }
    broken
}

fn is_sound(heard: &[Heard]) -> bool {
    !heard.is_empty() && heard.iter().all(|heard| heard.fault.is_none())
}

/// With a trace the same comes out, and every field lies within the message or, where it was compressed, behind it.
fn traced(before: &Conversation, row: &Row<'_>, heard: &[Heard], say: &mut dyn FnMut(String)) {
    let trace = Fields::default();
    let again = before.resumed(before.terms().clone()).message(&row.bytes, crate::rows::RECEIVED, Some(&trace));
    if again != heard {
        say("decodes otherwise when it is traced".to_owned());
    }
    let fields = trace.0.into_inner();
    if fields.is_empty() && heard.iter().any(|heard| !heard.records.is_empty()) {
        say("gives records and no fields".to_owned());
    }
    let outside = fields.iter().find(|(_, at, length)| at + length > row.bytes.len());
    if let Some((name, at, length)) = outside.filter(|_| row.bytes.first() != Some(&0xFF)) {
        say(format!("{name} at {at} has {length} bytes, which the message of {} has not", row.bytes.len()));
    }
}

/// The field's name, offset and length of everything that was read.
#[derive(Default)]
struct Fields(RefCell<Vec<(&'static str, usize, usize)>>);

impl Tracer for Fields {
    fn field(&self, name: &'static str, at: usize, length: usize, _: Traced<'_>) {
        self.0.borrow_mut().push((name, at, length));
    }
}

fn notations(bytes: &[u8], say: &mut dyn FnMut(String)) {
    if notation::from_hex(&notation::to_hex(bytes)).as_deref() != Ok(bytes) {
        say("is another message after hex digits".to_owned());
    }
    if notation::from_text(&notation::to_text(bytes)).as_deref() != Ok(bytes) {
        say("is another message after escapes".to_owned());
    }
}

/// A message that states its length, cut anywhere, gives no record of its last frame, and says what is missing.
fn truncated(before: &Conversation, row: &Row<'_>, heard: &[Heard], say: &mut dyn FnMut(String)) {
    let Some(last) = heard.last() else { return };
    // Lines may end anywhere; what they still say then is their own affair.
    if matches!(before.protocol().name, "gps103" | "wialon") || last.length == 1 {
        return;
    }
    // Binary records of H02 state no length, and the beginning of a long one is a short one.
    let is_shorter = |end: usize| before.protocol().name == "h02" && matches!(end - last.at, 32 | 42 | 45..=48);
    for end in (last.at + 1..row.bytes.len()).filter(|end| row.bytes[last.at] != b'$' || !is_shorter(*end)) {
        let cut = before.resumed(before.terms().clone()).message(&row.bytes[..end], crate::rows::RECEIVED, None);
        let found = cut.last().map(|heard| (heard.records.len(), heard.acknowledges(), heard.fault));
        let only_delimiter = row.bytes.len() - end <= 2 && cut.iter().map(said).eq(heard.iter().map(said));
        let says_so = matches!(found, Some((0, false, Some(fault))) if is_truncated(fault));
        if !only_delimiter && !says_so {
            say(format!("cut to {end} of {} bytes gives {found:?}", row.bytes.len()));
            return;
        }
    }
}

fn said(heard: &Heard) -> (&[odograph_model::Record], &[odograph_protocols::Reply]) {
    (&heard.records, &heard.replies)
}

fn is_truncated(fault: Fault) -> bool {
    matches!(fault, Fault::Malformed(malformed) if matches!(malformed.reason, Reason::Truncated { .. }))
}
