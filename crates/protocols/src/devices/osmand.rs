//! OsmAnd, Traccar Client, GPSLogger and other apps of phones, and the background-geolocation libraries that many apps
//! stand on. Sources: Traccar, "OsmAnd protocol" (query and JSON); Transistor Software, "Location data schema" and
//! "HTTP guide" (JSON, batches); the documentation of cordova-background-geolocation-plugin (flat JSON in an array).
//!
//! ```text
//! GET /?id=1&lat=60.0&lon=30.0&timestamp=1377177267&speed=0.5&bearing=90&altitude=12&hdop=1&batt=87    -> 200
//! POST / with the same as a form, one fix a line                                                       -> 200
//! POST / with JSON:                                                                                    -> 200
//!   {"device_id":"1","location":{"timestamp":"2025-06-15T13:45:12.862Z","coords":{"latitude":…},…}}
//!   {"device_id":"1","location":[{…},{…}]}   [{"device_id":"1","location":{…}}]   [{"latitude":…,"time":…}]
//! ```
//!
//! Path and method do not matter. Who says which device it is belongs to it, and who does not, only where the listener
//! belongs to one. What is malformed is answered with 400 and the reason, too many fixes in one request with 413, a device
//! that is refused with 404, as a peer does. Speed is in knots in queries (Traccar Client; OsmAnd itself sends m/s, hence the setting) and in m/s in JSON.

mod fix;
mod location;
mod names;
mod query;
mod recognise;
#[cfg(test)]
mod tests;
mod time;

use crate::form;
use crate::{Maturity, Opening, Out, Protocol, Session, Setting, SettingKind, Standing, Transport};
use odograph_model::{Record, Time};
use odograph_wire::http::{REQUEST_BYTES_MAX, Request};
use odograph_wire::units::{km_of_miles, kph_of_knots, kph_of_mps};
use odograph_wire::{Framing, Malformed, Reason, Result};

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "osmand",
    title: "OsmAnd",
    devices: "phones with OsmAnd, Traccar Client, GPSLogger, or an app with a background-geolocation library",
    source: "Traccar, OsmAnd protocol (query, form and JSON); Transistor Software, location data schema",
    maturity: Maturity::Proven,
    port: 5055,
    transports: &[Transport::Tcp],
    framing: Framing::Http,
    frame_max: REQUEST_BYTES_MAX,
    recognise: recognise::recognise,
    looks: recognise::LOOKS,
    // Apps keep a connection for their next fix, and balancers for the next request of anybody.
    idle_s_max: 10 * 60,
    has_checksum: false,
    datagrams_identify: false,
    commands_by_datagram: false,
    settings: &[
        Setting {
            name: "zone",
            kind: SettingKind::Offset,
            meaning: "the zone of times that are sent without one; UTC without it",
        },
        Setting {
            name: "speed_unit",
            kind: SettingKind::OneOf(&["knots", "kmh", "mph", "mps"]),
            meaning: "the unit of speeds in queries and forms; knots without it, and mps for OsmAnd itself",
        },
    ],
    commands: &[],
    open: |opening| Box::new(OsmAndSession::open(opening)),
};

struct OsmAndSession {
    terms: Terms,
    /// Some request of this conversation has said which device it is: one that does not may be anybody's then.
    named: bool,
}

/// What the owner set.
#[derive(Clone, Copy)]
struct Terms {
    zone_minutes: i32,
    /// Makes speeds in queries km/h.
    speed_unit: fix::Unit,
}

impl Default for Terms {
    fn default() -> Self {
        Self { zone_minutes: 0, speed_unit: kph_of_knots }
    }
}

impl OsmAndSession {
    fn open(opening: &Opening<'_>) -> Self {
        let speed_unit = match opening.settings.text("speed_unit") {
            Some("kmh") => fix::AS_SENT,
            Some("mph") => km_of_miles,
            Some("mps") => kph_of_mps,
            _ => kph_of_knots,
        };
        let zone_minutes = opening.settings.offset_minutes("zone").unwrap_or(0);
        Self { terms: Terms { zone_minutes, speed_unit }, named: opening.context == [NAMED] }
    }

    /// The records of a request, and whether it says which device it is.
    fn records(&self, request: &Request<'_>, out: &mut Out<'_>) -> Result<(Vec<Record>, bool)> {
        if !METHODS.contains(&request.method()) {
            return Err(Malformed::new("method", 0, Reason::Expected("a method such as GET or POST")));
        }
        let mut device = fix::Device::default();
        let body = Body::of(request)?;
        let (Body::Json(text) | Body::Form(text)) = &body;
        let asked = Asked { request, body: text, terms: self.terms };
        let mut records = match &body {
            Body::Json(_) => location::read(asked, &mut device, out)?,
            Body::Form(_) => query::read(asked, &mut device, out)?,
        };
        for record in &mut records {
            record.device.take_if(|name| device.names().contains(name));
        }
        if records.iter().any(|record| record.device.is_some()) {
            // Each of them is admitted by itself.
            out.pass_on();
        }
        let is_named = !device.names().is_empty();
        if !is_named && self.named {
            return Err(Malformed::new("id", request.target_at(), Reason::Expected(WHO)));
        }
        device.names().iter().for_each(|name| out.identify(name.clone()));
        Ok((records, is_named))
    }
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "HEAD", "DELETE", "OPTIONS"];
const NAMED: u8 = 1;
/// Whoever hears this may send the same in parts.
const TOO_LARGE: &str = "413 Content Too Large";
const WHO: &str = "the id of the device";

impl Session for OsmAndSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        // What is no request has been told so by who cut the stream.
        let request = Request::read(frame)?;
        let head = std::str::from_utf8(frame.get(..request.body_at()).unwrap_or_default()).unwrap_or_default();
        let mut at = 0_usize;
        for line in head.split_inclusive('\n') {
            let text = line.trim_end();
            if !text.is_empty() {
                out.fields(text, at, '\n').take_rest("head");
            }
            at = at.saturating_add(line.len());
        }
        if !request.keeps_alive() {
            out.end();
        }
        match self.records(&request, out) {
            Ok((records, is_named)) => {
                self.named |= is_named;
                // There is one answer for all: what it acknowledges must all be kept.
                let standing = |record: &Record| out.standing(record.device.as_deref());
                let answer = match records.iter().map(standing).find(|standing| *standing != Standing::Counts) {
                    None => request.answer("200 OK", ""),
                    Some(Standing::Beyond) => request.answer(TOO_LARGE, "there are too many devices in one request"),
                    Some(_) => request.answer("404 Not Found", "not every device in this request is accepted here"),
                };
                records.into_iter().for_each(|record| out.record(record));
                let refusal = match is_named {
                    true => request.answer("404 Not Found", "this device is not accepted here"),
                    false => request.answer("400 Bad Request", &format!("expected {WHO}")),
                };
                out.reply_if_known(answer, refusal);
                Ok(())
            }
            Err(malformed) => {
                let status = match malformed.reason {
                    Reason::TooMany { .. } => TOO_LARGE,
                    _ => "400 Bad Request",
                };
                out.reply_despite_error(request.answer(status, &malformed.to_string()));
                Err(malformed)
            }
        }
    }

    fn save(&self, context: &mut Vec<u8>) {
        if self.named {
            context.push(NAMED);
        }
    }
}

/// A request, the text in its body, and what both are read with.
#[derive(Clone, Copy)]
struct Asked<'r, 'x> {
    request: &'r Request<'x>,
    body: &'x str,
    terms: Terms,
}

impl<'x> Asked<'_, 'x> {
    /// The parameters of its URL, and where they begin in the frame.
    fn url(&self) -> Option<(&'x str, usize)> {
        let (text, at) = form::query(self.request.target())?;
        Some((text, self.request.target_at().saturating_add(at)))
    }
}

/// The text in a request's body.
enum Body {
    Json(String),
    /// A form, or nothing.
    Form(String),
}

impl Body {
    fn of(request: &Request<'_>) -> Result<Self> {
        let refuse = |expected| Err(Malformed::new("body", request.body_at(), Reason::Expected(expected)));
        if !request.header("content-encoding").is_none_or(|value| value.eq_ignore_ascii_case(b"identity")) {
            return refuse("a body that is not compressed");
        }
        if request.header_begins("content-type", "multipart/") {
            return refuse("JSON or a form with names and values");
        }
        let body = match String::from_utf8(request.body().into_owned()) {
            Ok(body) => body,
            Err(error) => {
                let at = request.body_at().saturating_add(error.utf8_error().valid_up_to());
                return Err(Malformed::new("body", at, Reason::Expected("UTF-8")));
            }
        };
        let text = body.trim_start_matches('\u{feff}').trim_start();
        // Some apps send JSON under another type, and some that type with a query and no body.
        let is_json = !text.is_empty() && request.header_begins("content-type", "application/json");
        Ok(if is_json || text.starts_with(['{', '[']) { Self::Json(body) } else { Self::Form(body) })
    }
}
