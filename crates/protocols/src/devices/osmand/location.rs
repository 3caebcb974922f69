//! Fixes as JSON, one or many in a request.
//!
//! ```text
//! {"location":{"timestamp":TIME,"coords":{"latitude":A,"longitude":O,"accuracy":M,"speed":M/S,"heading":DEGREES,
//!  "altitude":M,…},"is_moving":B,"odometer":M,"event":TEXT,"battery":{"level":0…1,"is_charging":B},
//!  "activity":{"type":TEXT,"confidence":N},"geofence":{"identifier":TEXT,"action":"ENTER"},"age":MS,"mock":B,
//!  "uuid":TEXT,"alarm":TEXT,"extras":{…}},"device_id":TEXT,…}
//! ```
//!
//! `location` is an array where fixes are sent together. Libraries let an app choose what stands around a fix, so that
//! all of it may be an array, and a fix may have its place and its owner among its own members.

use super::fix::{AS_SENT, Device, Fix, give, too_many};
use super::names::{flag, number, odd};
use super::{Asked, Terms, WHO, names, time};
use crate::form::pairs;
use crate::json::{Member, Node};
use crate::{Out, RECORDS_MAX};
use compact_str::CompactString;
use odograph_model::{Alarm, Key, Record};
use odograph_wire::units::kph_of_mps;
use odograph_wire::{Malformed, Reason, Result};
use std::borrow::Cow;

/// The fixes of a request with `body`.
pub(super) fn read<'x, 't: 'x>(asked: Asked<'_, 'x>, device: &mut Device, out: &mut Out<'t>) -> Result<Vec<Record>> {
    let Asked { request, body, terms } = asked;
    let text = body.trim_start_matches('\u{feff}');
    let at = request.body_at().saturating_add(body.len().saturating_sub(text.len()));
    let root = Node::read("body", text, at)?;
    let mut reader = Reader { terms, records: Vec::new(), no_fix: None, is_clear: false, in_array: false };
    match root.items() {
        Some(items) => {
            reader.in_array = true;
            for item in items {
                let mut whose = Device::default();
                let first = reader.records.len();
                reader.envelope(&item, &mut whose, out)?;
                reader.give_from(first, device.join(whose));
            }
        }
        None => reader.envelope(&root, device, out)?,
    }
    // What is no fix among fixes must not hold them up for ever: the phone would send all of them again.
    match reader.no_fix {
        Some(malformed) if reader.records.is_empty() => return Err(malformed),
        Some(malformed) => out.note(malformed.to_string()),
        None => {}
    }
    if device.names().is_empty()
        && let Some((url, at)) = asked.url()
    {
        for pair in pairs(url, at).filter(|pair| is_id(&pair.name)) {
            device.add(&pair.value, pair.at)?;
        }
    }
    if device.names().is_empty() && !reader.is_clear {
        return Err(Malformed::new("device_id", at, Reason::Expected(WHO)));
    }
    Ok(reader.records)
}

/// The names under which apps say who they are, around a fix; the first is the documented one.
fn is_id(name: &str) -> bool {
    is_id_within(name) || name == "id"
}

/// The same within a fix, where `id` may be the fix's own.
fn is_id_within(name: &str) -> bool {
    matches!(name, "device_id" | "deviceId" | "deviceid")
}

struct Reader {
    terms: Terms,
    records: Vec<Record>,
    /// The first of what is no fix.
    no_fix: Option<Malformed>,
    /// Some fix shows by itself that it is one of this protocol.
    is_clear: bool,
    in_array: bool,
}

impl Reader {
    /// What stands around one fix or several of one device, or a fix by itself.
    fn envelope<'x, 't: 'x>(&mut self, node: &Node<'x>, device: &mut Device, out: &mut Out<'t>) -> Result<()> {
        let Some(members) = node.members() else {
            self.leave_out(node);
            return Ok(());
        };
        let (locations, around): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| matches!(member.name.as_str(), "location" | "locations"));
        if locations.is_empty() {
            if !around.iter().any(is_place) {
                self.leave_out(node);
                return Ok(());
            }
            return self.location(node, &[], Some(device), out);
        }
        let (ids, around): (Vec<_>, Vec<_>) = around.into_iter().partition(|member| is_id(&member.name));
        for id in ids {
            if let Some(name) = read_scalar(&id, "device_id", out) {
                device.add(&name, id.value.at())?;
            }
        }
        let is_asked = device.names().is_empty();
        for location in locations {
            let fixes = location.value.items().unwrap_or_else(|| vec![location.value]);
            for fix in fixes {
                // What is said around them counts, and what is said within is the app's own affair then.
                let mut whose = Device::default();
                let first = self.records.len();
                self.location(&fix, &around, is_asked.then_some(&mut whose), out)?;
                self.give_from(first, device.join(whose));
            }
        }
        Ok(())
    }

    /// One fix; `around` is what stands around it and its like. Who the device is may be said within, where it is asked.
    fn location<'x, 't: 'x>(
        &mut self,
        node: &Node<'x>,
        around: &[Member<'x>],
        mut device: Option<&mut Device>,
        out: &mut Out<'t>,
    ) -> Result<()> {
        let members = node.members().unwrap_or_default();
        if !members_of(&members).any(is_of_fix) {
            self.leave_out(node);
            return Ok(());
        }
        let has = |wanted: &str| members_of(&members).any(|name| name == wanted);
        // Flat ones come in arrays; much else has a latitude.
        self.is_clear |= has("coords") || (self.in_array && has("latitude") && has("longitude"));
        if self.records.len() == RECORDS_MAX {
            return Err(too_many(node.at()));
        }
        let mut fix = Fix::new();
        let has_alarm = has("alarm");
        for member in &members {
            match &mut device {
                _ if member.name == "extras" => extras(member, has_alarm, &mut fix, device.as_deref_mut(), out)?,
                Some(device) if is_id_within(&member.name) => {
                    if let Some(name) = read_scalar(member, "device_id", out) {
                        device.add(&name, member.value.at())?;
                    }
                }
                _ => self.member(member, &mut fix, out),
            }
        }
        for member in around {
            keep(&member.name, &member.value, &mut fix.record);
        }
        // Under another of its names, a device says the same: who it is makes no other record of it.
        let unnamed = device.as_ref().filter(|_| members.iter().any(says_who)).map(|_| without_names(&members));
        let spans = match &unnamed {
            Some(texts) => texts.iter().map(|text| &**text).collect(),
            None => vec![node.as_sent()],
        };
        self.records.extend(fix.finish(&spans, out));
        Ok(())
    }

    /// Gives the records from the one with that number on to another device.
    fn give_from(&mut self, first: usize, other: Option<CompactString>) {
        give(self.records.get_mut(first..).unwrap_or_default(), other);
    }

    fn leave_out(&mut self, node: &Node<'_>) {
        let expected = Reason::Expected("an object with coords or a timestamp");
        self.no_fix.get_or_insert(Malformed::new("location", node.at(), expected));
    }

    fn member<'x, 't: 'x>(&self, member: &Member<'x>, fix: &mut Fix, out: &mut Out<'t>) {
        let name = member.name.as_str();
        if let Some(members) = member.value.members() {
            match name {
                "coords" => members.iter().for_each(|member| self.coordinate(member, fix, out)),
                "battery" => members.iter().for_each(|member| battery(member, fix, out)),
                "activity" => members.iter().for_each(|member| activity(member, fix, out)),
                "geofence" => geofence(&members, fix, out),
                _ => keep(name, &member.value, &mut fix.record),
            }
            return;
        }
        let Some(value) = read_scalar(member, label(name), out) else {
            return keep(name, &member.value, &mut fix.record);
        };
        match name {
            "timestamp" | "time" => fix.time(name, &value, time::moment(&value, self.terms.zone_minutes), out),
            "is_moving" => names::store("motion", &value, &mut fix.record, out),
            "age" => fix.known_number(name, &value, Key::PositionFixAge, |ms| ms / 1000.0, out),
            "event" | "alarm" | "odometer" | "geofence" => names::store(name, &value, &mut fix.record, out),
            "activity" => fix.record.raw(name, &*value),
            _ => self.coordinate(member, fix, out),
        }
    }

    /// A member of `coords`, or of a fix that has none.
    fn coordinate<'x, 't: 'x>(&self, member: &Member<'x>, fix: &mut Fix, out: &mut Out<'t>) {
        let name = member.name.as_str();
        let Some(value) = read_scalar(member, label(name), out) else {
            return keep(name, &member.value, &mut fix.record);
        };
        match name {
            "latitude" | "lat" => fix.latitude(name, &value, out),
            "longitude" | "lon" | "lng" => fix.longitude(name, &value, out),
            "accuracy" => fix.known_number(name, &value, Key::PositionAccuracy, AS_SENT, out),
            "speed" => fix.known_number(name, &value, Key::PositionSpeed, kph_of_mps, out),
            "heading" | "bearing" | "course" => fix.course(name, &value, out),
            "altitude" => fix.number(name, &value, Key::PositionAltitude, AS_SENT, out),
            // The accuracies of what is not known.
            _ if name.ends_with("_accuracy") && number(&value).is_some_and(|number| number < 0.0) => {}
            _ => fix.record.raw(name, &*value),
        }
    }
}

fn members_of<'m>(members: &'m [Member<'_>]) -> impl Iterator<Item = &'m str> {
    members.iter().map(|member| member.name.as_str())
}

/// Whether a member makes an object a fix that has nothing around it.
fn is_place(member: &Member<'_>) -> bool {
    let is_number = || member.value.scalar().is_some_and(|value| number(&value).is_some());
    member.name == "coords" || (matches!(member.name.as_str(), "latitude" | "lat") && is_number())
}

/// Whether a member makes an object a fix.
fn is_of_fix(name: &str) -> bool {
    matches!(name, "coords" | "timestamp" | "time" | "latitude" | "lat")
}

/// Whether a member of a fix says who the device is, or has one among its own that does.
fn says_who(member: &Member<'_>) -> bool {
    is_id_within(&member.name)
        || (member.name == "extras"
            && member.value.members().is_some_and(|extras| extras.iter().any(|extra| is_id_within(&extra.name))))
}

/// The names and values of a fix's members, without those that say who the device is.
fn without_names<'x>(members: &[Member<'x>]) -> Vec<Cow<'x, str>> {
    let mut texts = Vec::new();
    let mut add = |member: &Member<'x>| {
        texts.push(Cow::Owned(member.name.to_string()));
        texts.push(Cow::Borrowed(member.value.as_sent()));
    };
    for member in members.iter().filter(|member| !is_id_within(&member.name)) {
        match member.value.members().filter(|_| says_who(member)) {
            Some(extras) => extras.iter().filter(|extra| !is_id_within(&extra.name)).for_each(&mut add),
            None => add(member),
        }
    }
    texts
}

/// What an app adds for itself.
fn extras<'x, 't: 'x>(
    member: &Member<'x>,
    has_alarm: bool,
    fix: &mut Fix,
    mut device: Option<&mut Device>,
    out: &mut Out<'t>,
) -> Result<()> {
    let Some(members) = member.value.members() else {
        keep("extras", &member.value, &mut fix.record);
        return Ok(());
    };
    for extra in members.iter().filter(|extra| !(has_alarm && extra.name == "alarm")) {
        let name = extra.name.as_str();
        match (read_scalar(extra, "extra", out), &mut device) {
            (Some(value), Some(device)) if is_id_within(name) => device.add(&value, extra.value.at())?,
            (Some(value), _) => names::store(name, &value, &mut fix.record, out),
            (None, _) => keep(name, &extra.value, &mut fix.record),
        }
    }
    Ok(())
}

fn battery<'x, 't: 'x>(member: &Member<'x>, fix: &mut Fix, out: &mut Out<'t>) {
    let Some(value) = read_scalar(member, label(&member.name), out) else { return };
    match member.name.as_str() {
        "level" => match number(&value) {
            // Unknown.
            Some(level) if level < 0.0 => {}
            Some(level) if level <= 1.0 => fix.record.set(Key::BatteryLevel, percent(level)),
            _ => odd("battery.level", &value, "a number up to 1", &mut fix.record, out),
        },
        "is_charging" => match flag(&value) {
            Some(charging) => fix.record.set(Key::BatteryChargingStatus, charging),
            None => odd("battery.is_charging", &value, "true or false", &mut fix.record, out),
        },
        name => fix.record.raw(compact_str::format_compact!("battery.{name}"), &*value),
    }
}

/// A share in percent, without the digits that only binary fractions have: 0.29 is 29.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

fn activity<'x, 't: 'x>(member: &Member<'x>, fix: &mut Fix, out: &mut Out<'t>) {
    let Some(value) = read_scalar(member, label(&member.name), out) else { return };
    match member.name.as_str() {
        "type" => fix.record.raw("activity", &*value),
        name => fix.record.raw(compact_str::format_compact!("activity.{name}"), &*value),
    }
}

/// The fence that the phone entered or left with this fix.
fn geofence<'x, 't: 'x>(members: &[Member<'x>], fix: &mut Fix, out: &mut Out<'t>) {
    for member in members {
        let Some(value) = read_scalar(member, label(&member.name), out) else {
            let name = compact_str::format_compact!("geofence.{}", member.name);
            keep(&name, &member.value, &mut fix.record);
            continue;
        };
        match (member.name.as_str(), value.as_ref()) {
            ("identifier", _) => fix.record.set(Key::GeofenceId, &*value),
            ("action", "ENTER") => fix.record.alarm(Alarm::GeofenceEnter),
            ("action", "EXIT") => fix.record.alarm(Alarm::GeofenceExit),
            (name, _) => fix.record.raw(compact_str::format_compact!("geofence.{name}"), &*value),
        }
    }
}

/// Keeps an element that is not known as it was sent; what is `null` states nothing.
fn keep(name: &str, value: &Node<'_>, record: &mut Record) {
    match value.scalar() {
        Some(scalar) => record.raw(name, &*scalar),
        None if value.is_null() => {}
        None => record.raw(name, value.as_sent()),
    }
}

/// A member's text, number or state; to be seen in a trace.
fn read_scalar<'x, 't: 'x>(member: &Member<'x>, label: &'static str, out: &Out<'t>) -> Option<Cow<'x, str>> {
    let value = member.value.scalar()?;
    out.fields(member.value.as_sent(), member.value.at(), '\0').take_rest(label);
    Some(value)
}

/// What a trace calls a member.
fn label(name: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "timestamp",
        "time",
        "latitude",
        "longitude",
        "lat",
        "lon",
        "lng",
        "accuracy",
        "speed",
        "heading",
        "bearing",
        "course",
        "altitude",
        "is_moving",
        "odometer",
        "event",
        "alarm",
        "age",
        "level",
        "is_charging",
        "type",
        "confidence",
        "identifier",
        "action",
        "uuid",
        "mock",
    ];
    KNOWN.iter().find(|known| **known == name).copied().unwrap_or("member")
}
