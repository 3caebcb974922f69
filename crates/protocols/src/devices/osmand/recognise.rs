//! Whether a stream begins with a request of this protocol, and not with one of the many others that come by HTTP: by who
//! the device is and where, in the URL, in a form, or in JSON with the members that only these libraries send.

use super::query::Said;
use super::{METHODS, OsmAndSession, Terms};
use crate::form::query;
use crate::{Claim, Looks, Out, Transport};
use odograph_wire::http::{self, Begun, Request, beginning};
use odograph_wire::{Cut, Framing, Told};

pub(super) const LOOKS: Looks = Looks {
    form: "a request by HTTP",
    proof: "one that says which device it is and where, or has the JSON members that only such apps send",
};

pub(super) fn recognise(start: &[u8], transport: Transport) -> Claim {
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let start = start.get(blank..).unwrap_or_default();
    if transport != Transport::Tcp || !METHODS.iter().any(|method| may_begin(start, method)) {
        return Claim::No;
    }
    if start.is_empty() {
        return Claim::next(start).behind(blank);
    }
    // What was seen of a request line and of a body stays seen, so this comes before all that may yet be wrong with the
    // request.
    let begun = http::begun(start, LOOK_BYTES);
    if begun.as_ref().is_some_and(says_it) {
        return Claim::Yes;
    }
    let claim = match Framing::Http.cut(Told::default(), start) {
        Cut::Frame(length) => of_request(start.get(..length).unwrap_or_default()),
        // All that is looked at of the body is there.
        Cut::Need(need) if begun.is_some_and(|begun| begun.body.len() == LOOK_BYTES) => Claim::Perhaps(need),
        Cut::Need(_) => Claim::next(start),
        Cut::Skip(_) | Cut::Lost(_) => Claim::No,
    };
    claim.behind(blank)
}

fn may_begin(start: &[u8], method: &str) -> bool {
    let mut wanted = method.bytes().chain([b' ']);
    start.iter().map_while(|byte| Some((*byte, wanted.next()?))).all(|(byte, wanted)| byte == wanted)
}

/// Whether what has come so far says who and where, in names that others do not put together so.
fn says_it(begun: &Begun<'_>) -> bool {
    // A value that goes on is not read yet.
    let in_target = if begun.has_target { begun.target } else { ended(begun.target, &['&', ';', '#']) };
    let in_url = query(in_target).map_or_else(Said::default, |(text, _)| Said::in_text(text));
    let text = beginning(&begun.body).trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(['{', '[']) {
        return in_url.is_whole() || json_says_it(text, in_url);
    }
    let text = if begun.is_whole { text } else { ended(text, &['&', ';', '\n']) };
    in_url.and(Said::in_text(text)).is_whole()
}

/// As much of `text` as ends with one of these.
fn ended<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.rfind(ends).and_then(|at| text.get(..=at)).unwrap_or_default()
}

/// Whether JSON has the members that only these libraries send: a fix in its frame, or flat ones of a device in an array.
fn json_says_it(text: &str, in_url: Said) -> bool {
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    let is_named = || in_url.is_named() || ["device_id", "deviceId", "deviceid"].into_iter().any(has);
    let is_flat = text.starts_with('[') && has("latitude") && has("longitude");
    (has("location") && has("coords")) || (is_flat && is_named())
}

/// So much of a body is looked at before all of it is there.
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
        Ok(_) => Claim::STAYS,
        Err(_) => Claim::No,
    }
}
