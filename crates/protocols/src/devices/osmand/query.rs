//! Fixes as parameters of a query or a form.

use super::fix::{AS_SENT, Device, Fix, access_point, cell, give, too_many};
use super::names::number;
use super::{Asked, Terms, WHO, names, time};
use crate::form::{Pair, pairs};
use crate::{Out, RECORDS_MAX};
use odograph_model::{Key, Record};
use odograph_wire::{Malformed, Reason, Result};

/// The fixes of a request: one in its URL, or one in each line of its body.
pub(super) fn read<'x, 't: 'x>(asked: Asked<'_, 'x>, device: &mut Device, out: &mut Out<'t>) -> Result<Vec<Record>> {
    let Asked { request, body, terms } = asked;
    let (text, at) = asked.url().unwrap_or(("", request.target_at()));
    let url = Part { text, at };
    let body_at = request.body_at();
    let in_url = Said::in_text(url.text);
    if !in_url.and(Said::in_text(body)).is_of_device() {
        return Err(Malformed::new("id", request.target_at(), Reason::Expected(WHO)));
    }
    let has_fix = in_url.is_of_fix();
    if has_fix && !body.trim().is_empty() {
        out.note("the fix is in the URL: what is in the body is left out");
    }
    let lines = Part { text: body, at: body_at }.lines();
    if has_fix || body.trim().is_empty() {
        return Ok(fix(&[url], terms, device, out)?.into_iter().collect());
    }
    let mut records = Vec::new();
    for line in lines {
        let (mut whose, at) = (Device::default(), line.at);
        // Who the device is may stand in the URL for all lines.
        let mut said = fix(&[url, line], terms, &mut whose, out)?;
        if said.is_some() && records.len() == RECORDS_MAX {
            return Err(too_many(at));
        }
        give(said.as_mut_slice(), device.join(whose));
        records.extend(said);
    }
    Ok(records)
}

/// What parameters tell of.
#[derive(Default, Clone, Copy)]
pub(super) struct Said {
    who: bool,
    time: bool,
    latitude: bool,
    longitude: bool,
    /// Both in one, or what a place can be worked out from.
    place: bool,
}

impl Said {
    /// What `text` tells of, be it lines or one.
    pub(super) fn in_text(text: &str) -> Self {
        let mut said = Self::default();
        for pair in text.lines().flat_map(|line| pairs(line, 0)) {
            let value = pair.value.trim();
            match pair.name.as_ref() {
                name if is_name(name) => said.who |= !value.is_empty(),
                "timestamp" => said.time |= !value.is_empty(),
                "lat" => said.latitude |= number(value).is_some(),
                "lon" => said.longitude |= number(value).is_some(),
                "location" => said.place |= value.split(',').filter_map(number).count() >= 2,
                "cell" => said.place |= cell(value).is_some(),
                "wifi" => said.place |= access_point(value).is_some(),
                _ => {}
            }
        }
        said
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            who: self.who || other.who,
            time: self.time || other.time,
            latitude: self.latitude || other.latitude,
            longitude: self.longitude || other.longitude,
            place: self.place || other.place,
        }
    }

    /// Whether this is a device's own affair: who it is, or at least where.
    const fn is_of_device(self) -> bool {
        self.who || self.is_place()
    }

    /// Whether it says where or when.
    const fn is_of_fix(self) -> bool {
        self.time || self.latitude || self.longitude || self.place
    }

    const fn is_place(self) -> bool {
        self.place || (self.latitude && self.longitude)
    }

    /// Whether it says who.
    pub(super) const fn is_named(self) -> bool {
        self.who
    }

    /// Whether it says who and where, which others do not say so.
    pub(super) const fn is_whole(self) -> bool {
        self.who && self.is_place()
    }
}

/// Parameters, and where they begin in the frame.
#[derive(Clone, Copy)]
struct Part<'x> {
    text: &'x str,
    at: usize,
}

impl<'x> Part<'x> {
    /// Its lines, without blank ones.
    fn lines(self) -> impl Iterator<Item = Self> {
        let mut at = self.at;
        let line = move |text: &'x str| {
            let start = at;
            at = at.saturating_add(text.len());
            Self { text: text.trim_end(), at: start }
        };
        self.text.split_inclusive('\n').map(line).filter(|line| !line.text.is_empty())
    }
}

/// The fix that `parts` tell of together.
fn fix<'x, 't: 'x>(parts: &[Part<'x>], terms: Terms, device: &mut Device, out: &mut Out<'t>) -> Result<Option<Record>> {
    let mut fix = Fix::new();
    for pair in parts.iter().flat_map(|part| pairs(part.text, part.at)) {
        // To be seen in a trace.
        out.fields(pair.sent, pair.at, '&').take_rest(label(&pair.name));
        take(&pair, terms, &mut fix, device, out)?;
    }
    // Under another of its names, a device says the same: what a name is makes no other record of it.
    let said = parts.iter().flat_map(|part| pairs(part.text, part.at)).filter(|pair| !is_name(&pair.name));
    let spans: Vec<&str> = said.map(|pair| pair.sent).filter(|text| !text.is_empty()).collect();
    Ok(fix.finish(&spans, out))
}

/// Whether the parameter says who it is.
fn is_name(name: &str) -> bool {
    matches!(name, "id" | "deviceid")
}

fn take(pair: &Pair<'_>, terms: Terms, fix: &mut Fix, device: &mut Device, out: &mut Out<'_>) -> Result<()> {
    let (name, value) = (pair.name.as_ref(), pair.value.trim());
    if value.is_empty() {
        return Ok(());
    }
    match name {
        name if is_name(name) => device.add(value, pair.at)?,
        "timestamp" => fix.time(name, value, time::moment(value, terms.zone_minutes), out),
        "lat" => fix.latitude(name, value, out),
        "lon" => fix.longitude(name, value, out),
        "location" => {
            let (latitude, longitude) = value.split_once(',').unwrap_or((value, ""));
            fix.latitude(name, latitude, out);
            fix.longitude(name, longitude.split(',').next().unwrap_or_default(), out);
        }
        "valid" => fix.valid = Some(names::flag(value).unwrap_or(false)),
        "speed" => fix.known_number(name, value, Key::PositionSpeed, terms.speed_unit, out),
        "bearing" | "heading" => fix.course(name, value, out),
        "altitude" => fix.number(name, value, Key::PositionAltitude, AS_SENT, out),
        "accuracy" => fix.known_number(name, value, Key::PositionAccuracy, AS_SENT, out),
        "batt" => fix.known_number(name, value, Key::BatteryLevel, AS_SENT, out),
        "cell" => fix.cell(value, out),
        "wifi" => fix.access_point(value, out),
        _ => names::store(name, value, &mut fix.record, out),
    }
    Ok(())
}

/// What a trace calls a parameter.
fn label(name: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "id",
        "deviceid",
        "timestamp",
        "lat",
        "lon",
        "location",
        "valid",
        "speed",
        "bearing",
        "heading",
        "altitude",
        "accuracy",
        "hdop",
        "batt",
        "charge",
        "driverUniqueId",
        "cell",
        "wifi",
    ];
    KNOWN.iter().find(|known| **known == name).copied().unwrap_or("parameter")
}
