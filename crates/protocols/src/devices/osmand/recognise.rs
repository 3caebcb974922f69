//! Whether a stream begins with a request of this protocol, and not with one of the many others that come by HTTP: by who
//! the device is and where, in the URL, in a form, or in JSON with the members that only these libraries send.

use super::query::Said;
use super::{METHODS, OsmAndSession, Terms};
use crate::form::query;
use crate::{Claim, Out, Transport};
use odograph_wire::http::{self, Begun, Request};
use odograph_wire::{Cut, Framing, Told};

pub(super) fn recognise(start: &[u8], transport: Transport) -> Claim {
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let start = start.get(blank..).unwrap_or_default();
    if transport != Transport::Tcp || !METHODS.iter().any(|method| may_begin(start, method)) {
        return Claim::No;
    }
    if start.is_empty() {
        return Claim::Perhaps;
    }
    // What was seen of a head and its body stays seen, so this comes before all that may yet be wrong with the request.
    if http::begun(start).is_some_and(says_it) {
        return Claim::Yes;
    }
    match Framing::Http.cut(Told::default(), start) {
        Cut::Frame(length) => of_request(start.get(..length).unwrap_or_default()),
        Cut::Need(_) => Claim::Perhaps,
        Cut::Skip(_) | Cut::Lost(_) => Claim::No,
    }
}

fn may_begin(start: &[u8], method: &str) -> bool {
    let mut wanted = method.bytes().chain([b' ']);
    start.iter().map_while(|byte| Some((*byte, wanted.next()?))).all(|(byte, wanted)| byte == wanted)
}

/// Whether what has come so far says who and where, in names that others do not put together so.
fn says_it(begun: Begun<'_>) -> bool {
    let in_url = query(begun.target).map_or_else(Said::default, |(text, _)| Said::in_text(text));
    let text = beginning(begun.body);
    // A value that goes on is not read yet.
    let ends = if begun.is_whole { text.len() } else { text.rfind(['&', '\n']).unwrap_or(0) };
    if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
        return in_url.is_whole() || (text.contains("\"location\"") && text.contains("\"coords\""));
    }
    in_url.and(Said::in_text(text.get(..ends).unwrap_or_default())).is_whole()
}

/// As much of a body as is text, and no more than is worth a look.
fn beginning(body: &[u8]) -> &str {
    let body = body.get(..LOOK_BYTES).unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(body.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
    }
}

const LOOK_BYTES: usize = 4096;

/// What a whole request is that has not said it by its names: one that cannot be read is somebody else's.
fn of_request(frame: &[u8]) -> Claim {
    let Ok(request) = Request::read(frame) else { return Claim::No };
    let session = OsmAndSession { terms: Terms::default(), named: false };
    match session.records(&request, &mut Out::default()) {
        Ok((records, true))
            if records.iter().any(|record| record.get(odograph_model::Key::PositionLatitude).is_some()) =>
        {
            Claim::Yes
        }
        Ok(_) => Claim::Perhaps,
        Err(_) => Claim::No,
    }
}
