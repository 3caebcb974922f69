//! Streams and messages: however the bytes come, the same frames come out.

use super::{Case, Findings, caught, difference};
use odograph_protocols::{Heard, Transport};
use odograph_wire::{Cut, Framing};
use std::ops::Range;

/// A stream cut at every point gives the same frames.
pub(super) fn split(case: &Case<'_>, findings: &mut Findings<'_>) {
    if !is_stream(case) || case.frames.is_empty() {
        return;
    }
    let stream = case.frames.concat();
    let line = case.paragraph.line;
    let at_once = match caught(|| feed(case, &stream, [stream.len()])) {
        Ok(fed) => fed,
        Err(panic) => return findings.case("split", line, Some(format!("all at once: {panic}"))),
    };
    // A malformed message may mislead framing; sound ones are cut as they are written.
    let is_sound = case.heard.iter().all(|heard| heard.fault.is_none());
    let written = written(&case.frames);
    let wrong = is_sound && (at_once.frames != written || at_once.lost.is_some());
    findings.case(
        "split",
        line,
        wrong.then(|| format!("the messages are cut into {at_once:?} instead of {written:?}")),
    );
    let mut same = |how: String, fed: Result<Fed, String>| {
        let fault = match fed {
            Ok(fed) => (fed != at_once).then(|| format!("{how}: {fed:?} instead of {at_once:?}")),
            Err(panic) => Some(format!("{how}: {panic}")),
        };
        findings.case("split", line, fault);
    };
    for point in 1..stream.len() {
        same(format!("split at {point}"), caught(|| feed(case, &stream, [point, stream.len()])));
    }
    same("byte by byte".to_owned(), caught(|| feed(case, &stream, 1..=stream.len())));
}

/// A frame handed in as a message gives what it gives as a frame; so does all of the stream in one message, and so do
/// frames whose delimiter somebody stripped.
pub(super) fn message(case: &Case<'_>, findings: &mut Findings<'_>) {
    let received = case.paragraph.options.received;
    for (index, heard) in case.heard.iter().enumerate().filter(|(_, heard)| heard.fault.is_none()) {
        let fault = |how: &str, bytes: &[u8]| match caught(|| case.at(index).message(bytes, received, None)) {
            Ok(found) => difference(heard, &joined(found)).map(|what| format!("{how}: {what}")),
            Err(panic) => Some(format!("{how}: {panic}")),
        };
        let frame = case.frames[index];
        findings.case("message", case.line(index), fault("as a message", frame));
        if let Some(bare) = stripped(&case.protocol.framing, frame).filter(|_| is_stream(case)) {
            findings.case("message", case.line(index), fault("without its delimiter", bare));
        }
    }
    if is_stream(case) && case.frames.len() > 1 && case.heard.iter().all(|heard| heard.fault.is_none()) {
        let fault = match caught(|| case.at(0).message(&case.frames.concat(), received, None)) {
            Ok(found) => difference(&joined(case.heard.clone()), &joined(found)),
            Err(panic) => Some(panic),
        };
        findings.case("message", case.paragraph.line, fault.map(|fault| format!("all in one message: {fault}")));
    }
}

fn is_stream(case: &Case<'_>) -> bool {
    let options = &case.paragraph.options;
    let may_be = case.protocol.transports.contains(&Transport::Tcp) && options.transport.is_none();
    !options.bare && (may_be || options.transport == Some(Transport::Tcp))
}

/// What a stream was cut into.
#[derive(Debug, PartialEq, Eq, Default)]
struct Fed {
    frames: Vec<Range<usize>>,
    lost: Option<(usize, &'static str)>,
    left: usize,
}

/// Cuts `stream`, of which first so many bytes have come as the first of `ends` says, and so on.
fn feed(case: &Case<'_>, stream: &[u8], ends: impl IntoIterator<Item = usize>) -> Fed {
    let (mut fed, mut at, mut needed) = (Fed::default(), 0, 0);
    for end in ends {
        while at < end && fed.lost.is_none() {
            match case.protocol.cut_told(case.told(end == stream.len()), &stream[at..end]) {
                Cut::Frame(length) => {
                    assert!(end >= needed, "framing needed up to byte {needed}, and then did with less");
                    fed.frames.push(at..at + length);
                    at += length;
                }
                Cut::Skip(length) => at += length,
                Cut::Lost(why) => fed.lost = Some((at, why)),
                Cut::Need(length) => {
                    needed = at + length;
                    break;
                }
            }
        }
    }
    fed.left = stream.len() - at;
    fed
}

/// Where the messages stand in the stream.
fn written(frames: &[&[u8]]) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut next = |length: usize| {
        at += length;
        at - length..at
    };
    frames.iter().map(|frame| next(frame.len())).collect()
}

/// The frame without what framing strips, where it strips anything.
fn stripped<'f>(framing: &Framing, frame: &'f [u8]) -> Option<&'f [u8]> {
    match framing {
        Framing::Line => frame.strip_suffix(b"\n").map(|frame| frame.strip_suffix(b"\r").unwrap_or(frame)),
        Framing::Until(end) => frame.strip_suffix(&[*end]),
        Framing::Between(start, end) => frame.strip_prefix(&[*start])?.strip_suffix(&[*end]),
        Framing::Length { .. } | Framing::Http | Framing::Custom(_) | Framing::Told { .. } => None,
    }
}

/// What several frames gave, as one.
fn joined(all: Vec<Heard>) -> Heard {
    all.into_iter().fold(Heard::default(), |mut sum, heard| {
        sum.records.extend(heard.records);
        sum.replies.extend(heard.replies);
        sum.identity.extend(heard.identity);
        sum.notes.extend(heard.notes);
        sum.answers.extend(heard.answers);
        sum.fault = sum.fault.or(heard.fault);
        sum
    })
}
