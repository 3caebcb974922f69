//! Rows of Traccar's tables become devices, groups and drivers.

use super::{DEVICES, DRIVERS, GROUPS, Row, Rows, number};
use crate::found::{Attributes, Device, Driver, Lost};
use crate::gather::{BETWEEN, Gather, counted, speaks};
use crate::limits::GROUP_DEPTH_MAX;
use crate::sql::{Value, Wanted};
use crate::table::is_plate;
use crate::{Error, Format, Found, Hint, ids, when};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Puts together what was read.
pub(super) fn of(mut rows: Rows, dialect: Format, hint: &Hint) -> Result<Found, Error> {
    let (groups, devices, drivers) =
        (std::mem::take(&mut rows.groups), std::mem::take(&mut rows.devices), std::mem::take(&mut rows.drivers));
    let many = [
        counted(devices.len(), "device", "devices"),
        counted(groups.len(), "group", "groups"),
        counted(drivers.len(), "driver", "drivers"),
    ];
    rows.gather.say(format!("{dialect}, a Traccar server's: {}", many.join(", ")));
    let zone = if rows.times_are_utc { TimeZone::UTC } else { hint.time_zone() };
    let mut fleet = Fleet {
        rows,
        zone,
        paths: HashMap::new(),
        ids: HashMap::new(),
        unzoned: 0,
        plates: BTreeMap::new(),
        zones: 0,
        renamed: 0,
        merged: 0,
    };
    fleet.groups(&groups)?;
    for row in &devices {
        fleet.device(row)?;
    }
    fleet.drivers(drivers)?;
    fleet.say(hint);
    Ok(fleet.rows.gather.finish(dialect))
}

struct Fleet {
    rows: Rows,
    zone: TimeZone,
    /// The path of each group, by its number.
    paths: HashMap<i64, String>,
    /// The first id of each device, by its number.
    ids: HashMap<i64, String>,
    /// Expirations that name no zone.
    unzoned: usize,
    /// Attributes that were taken as number plates, and how often.
    plates: BTreeMap<String, usize>,
    /// Devices and groups with a zone for decoding.
    zones: usize,
    /// Groups whose name had to be changed, because it has the sign between names in it.
    renamed: usize,
    /// Groups that have the name and the place of another one.
    merged: usize,
}

impl Fleet {
    fn groups(&mut self, rows: &[Row]) -> Result<(), Error> {
        let mut by_number: HashMap<i64, &Row> = HashMap::new();
        for row in rows {
            match number(row.values.first()) {
                Some(number) => drop(by_number.insert(number, row)),
                None => self.gather().row(row.line, None, "a group without a number", Lost::Row),
            }
        }
        let mut known: HashSet<String> = HashSet::new();
        for row in rows {
            let Some(number) = number(row.values.first()) else { continue };
            let names = self.names_of(number, row, &by_number);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let Some(path) = self.gather().group(&names, row.line)? else { continue };
            let mut row = Reading::of(row, &GROUPS, path.clone());
            let attributes = row.attributes(self.gather());
            self.zones = self.zones.saturating_add(usize::from(attributes.contains_key(ZONE)));
            self.gather().describe_group(&path, row.row.line, attributes);
            self.merged = self.merged.saturating_add(usize::from(!known.insert(path.clone())));
            self.paths.insert(number, path);
        }
        Ok(())
    }

    /// The names of a group and of those that it lies in, the outermost first.
    fn names_of(&mut self, number: i64, row: &Row, by_number: &HashMap<i64, &Row>) -> Vec<String> {
        let mut names = vec![self.group_name(number, row)];
        let mut passed = vec![number];
        let mut parent = super::number(row.values.get(2)).filter(|parent| *parent != 0);
        while let Some(number) = parent {
            let whose = names.first().cloned().unwrap_or_default();
            let place = self.gather().place(row.line, None);
            if passed.contains(&number) || passed.len() >= GROUP_DEPTH_MAX {
                let reason =
                    "the groups lie within each other in a circle, or too deep: it is taken without the outer ones";
                self.gather().value(place, &whose, "groupid", reason);
                break;
            }
            let Some(row) = by_number.get(&number) else {
                self.gather().value(place, &whose, "groupid", format!("there is no group {number} for it to lie in"));
                break;
            };
            passed.push(number);
            names.push(self.group_name(number, row));
            parent = super::number(row.values.get(2)).filter(|parent| *parent != 0);
        }
        names.reverse();
        names
    }

    fn group_name(&mut self, number: i64, row: &Row) -> String {
        let name = match row.values.get(1) {
            Some(Value::Text { text, .. }) => ids::trim(text),
            _ => "",
        };
        if name.is_empty() {
            return format!("Group {number}");
        }
        if name.contains(BETWEEN) {
            self.renamed = self.renamed.saturating_add(1);
            return name.replace(BETWEEN, "/");
        }
        name.to_owned()
    }

    fn device(&mut self, row: &Row) -> Result<(), Error> {
        let Some(id) = self.id(row) else { return Ok(()) };
        let mut device = Device::new(vec![id.clone()], self.gather().place(row.line, None));
        let mut row = Reading::of(row, &DEVICES, id.clone());
        device.name = row.text("name", self.gather());
        device.phone = row.text("phone", self.gather());
        device.model = row.text("model", self.gather());
        device.contact = row.text("contact", self.gather());
        device.category = row.text("category", self.gather());
        // All devices have that column, whether or not anybody ever looked at it: only that one is switched off says something.
        device.disabled = row.truth("disabled", self.gather()).then_some(true);
        device.attributes = row.attributes(self.gather());
        device.group = self.group_of(&mut row);
        device.expires_at = self.expiration(&mut row);
        self.plate(&mut device);
        self.zones = self.zones.saturating_add(usize::from(device.attributes.contains_key(ZONE)));
        if let Some(number) = number(row.row.values.first()) {
            let heard = self.rows.protocols.get(&number).and_then(|(_, index)| self.rows.protocol_names.get(*index));
            device.protocol = heard.map(|name| speaks(name));
            self.ids.insert(number, id);
        }
        self.gather().device(device)
    }

    /// The id of a device or driver.
    fn id(&mut self, row: &Row) -> Option<String> {
        let reason = match row.values.get(1) {
            // What the database has is what was heard: nothing is mended but white space.
            Some(Value::Text { text, is_damaged: false }) => match ids::check(ids::trim(text)) {
                Ok(()) => return Some(ids::trim(text).to_owned()),
                Err(reason) => reason,
            },
            Some(Value::Text { is_damaged: true, .. }) => "the id is no text in the dump's encoding".to_owned(),
            Some(Value::Word(number)) => return Some(number.clone()),
            Some(Value::Odd(why)) => format!("the id cannot be read: {why}"),
            _ => "there is no id".to_owned(),
        };
        let place = self.gather().place(row.line, None);
        let column = Some("uniqueid".to_owned());
        self.gather().problem(crate::Problem { place, whose: None, column, reason, lost: Lost::Row });
        None
    }

    fn group_of(&mut self, row: &mut Reading<'_>) -> Option<String> {
        let number = number(row.value("groupid")).filter(|number| *number != 0)?;
        let path = self.paths.get(&number).cloned();
        if path.is_none() {
            row.lose("groupid", format!("there is no group {number}"), self.gather());
        }
        path
    }

    fn expiration(&mut self, row: &mut Reading<'_>) -> Option<jiff::Timestamp> {
        let text = row.text("expirationtime", self.gather())?;
        if text.starts_with("0000-00-00") {
            return None;
        }
        let Some((moment, is_zoned)) = when::parse(&text, &self.zone) else {
            row.lose("expirationtime", format!("\"{text}\" is no time"), self.gather());
            return None;
        };
        self.unzoned = self.unzoned.saturating_add(usize::from(!is_zoned && !self.rows.times_are_utc));
        Some(moment)
    }

    /// Traccar has no column for number plates, so people have them among attributes.
    fn plate(&mut self, device: &mut Device) {
        let is_it = |(name, value): &(&String, &serde_json::Value)| {
            is_plate(name) && value.as_str().is_some_and(|text| !ids::trim(text).is_empty())
        };
        let Some(name) = device.attributes.iter().find(is_it).map(|(name, _)| name.clone()) else { return };
        if let Some(serde_json::Value::String(plate)) = device.attributes.remove(&name) {
            device.plate = Some(ids::trim(&plate).to_owned());
            let many = self.plates.entry(name).or_default();
            *many = many.saturating_add(1);
        }
    }

    fn drivers(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        let mut devices: HashMap<i64, Vec<String>> = HashMap::new();
        let mut groups: HashMap<i64, Vec<String>> = HashMap::new();
        let links = [
            (&mut devices, &self.ids, std::mem::take(&mut self.rows.device_drivers)),
            (&mut groups, &self.paths, std::mem::take(&mut self.rows.group_drivers)),
        ];
        for (of_driver, names, links) in links {
            for (thing, driver) in links {
                // What was not taken has no driver either, and that was said where it was left out.
                let Some(name) = names.get(&thing) else { continue };
                of_driver.entry(driver).or_default().push(name.clone());
            }
        }
        for row in rows {
            let Some(id) = self.id(&row) else { continue };
            let number = number(row.values.first()).unwrap_or_default();
            let place = self.gather().place(row.line, None);
            let mut row = Reading::of(&row, &DRIVERS, id.clone());
            let name = row.text("name", self.gather());
            let attributes = row.attributes(self.gather());
            let devices = devices.remove(&number).unwrap_or_default();
            let groups = groups.remove(&number).unwrap_or_default();
            self.gather().driver(Driver { id, name, attributes, devices, groups, place })?;
        }
        Ok(())
    }

    fn say(&mut self, hint: &Hint) {
        let mut said = Vec::new();
        for (name, many) in &self.plates {
            said.push(format!("the plates of {} are from the attribute {name}", counted(*many, "device", "devices")));
        }
        if self.renamed > 0 {
            let groups = counted(self.renamed, "group has", "groups have");
            said.push(format!("{groups} `{BETWEEN}` in the name, which stands between names here: it is `/` now"));
        }
        if self.merged > 0 {
            let groups = counted(self.merged, "group has", "groups have");
            said.push(format!("{groups} the name and place of another one: they are one now"));
        }
        if self.unzoned > 0 && hint.time_zone.is_none() {
            let times = counted(self.unzoned, "expiration names", "expirations name");
            said.push(format!("{times} no time zone: they are taken as UTC, unless you say where the server was"));
        }
        if self.zones > 0 {
            let devices = counted(self.zones, "device or group has", "devices or groups have");
            said.push(format!(
                "{devices} the attribute {ZONE}: it is kept and has no effect. Where a device's clock is not UTC, the \
                 protocol's setting for it has to be made: `odograph protocols NAME` lists them"
            ));
        }
        if !self.rows.passed.is_empty() {
            said.push(format!("not taken over: {}", self.rows.tables_in_words()));
        }
        said.into_iter().for_each(|what| self.gather().say(what));
    }

    const fn gather(&mut self) -> &mut Gather {
        &mut self.rows.gather
    }
}

/// A row on its way to become something, with whose it is.
struct Reading<'a> {
    row: &'a Row,
    table: &'static Wanted,
    whose: String,
}

impl<'a> Reading<'a> {
    const fn of(row: &'a Row, table: &'static Wanted, whose: String) -> Self {
        Self { row, table, whose }
    }

    fn value(&self, column: &str) -> Option<&'a Value> {
        let index = self.table.columns.iter().position(|known| *known == column)?;
        self.row.values.get(index)
    }

    fn lose(&mut self, column: &str, reason: impl Into<String>, gather: &mut Gather) {
        let place = gather.place(self.row.line, None);
        gather.value(place, &self.whose, column, reason);
    }

    /// A text that is not empty.
    fn text(&mut self, column: &str, gather: &mut Gather) -> Option<String> {
        let text = match self.value(column)? {
            Value::Text { text, is_damaged } => {
                if *is_damaged {
                    let place = gather.place(self.row.line, None);
                    let (whose, column) = (Some(self.whose.clone()), Some(column.to_owned()));
                    let reason =
                        "some of it is no text in the dump's encoding: if letters are missing, say which it is in"
                            .to_owned();
                    gather.problem(crate::Problem { place, whose, column, reason, lost: Lost::Letters });
                }
                text
            }
            Value::Word(word) => word,
            Value::Odd(why) => {
                self.lose(column, why.clone(), gather);
                return None;
            }
            Value::Bytes(_) => {
                self.lose(column, "bytes, where a text was expected", gather);
                return None;
            }
            Value::Missing | Value::Null => return None,
        };
        Some(ids::trim(text).to_owned()).filter(|text| !text.is_empty())
    }

    /// A truth, as each of the databases writes one.
    fn truth(&mut self, column: &str, gather: &mut Gather) -> bool {
        let text = match self.value(column) {
            Some(Value::Bytes(bytes)) => return bytes.iter().any(|byte| *byte != 0),
            Some(Value::Word(text) | Value::Text { text, .. }) => text.as_str(),
            Some(Value::Odd(_)) => "?",
            Some(Value::Missing | Value::Null) | None => return false,
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "\u{1}" => true,
            "0" | "f" | "false" | "\0" | "" => false,
            _ => {
                self.lose(column, "neither true nor false", gather);
                false
            }
        }
    }

    /// Attributes, which are an object of JSON.
    fn attributes(&mut self, gather: &mut Gather) -> Attributes {
        let Some(text) = self.text("attributes", gather) else { return Attributes::new() };
        match serde_json::from_str(&text) {
            Ok(attributes) => attributes,
            Err(error) => {
                self.lose("attributes", format!("no object of JSON: {error}"), gather);
                Attributes::new()
            }
        }
    }
}

/// The attribute that says from which zone a device's times are.
const ZONE: &str = "decoder.timezone";
