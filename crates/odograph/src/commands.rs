//! Which commands a device takes, as far as that can be said before it is there.

use odograph_api::{Attribute, CommandType};
use odograph_catalog::{Device, Error, NewCommand};
use odograph_protocols::{
    Command, CommandError, CommandSpec, Conversation, PROTOCOLS, Protocol, Settings, Terms, find,
};
use std::fmt;

/// Why a device does not take a command.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It is none.
    Wrong(Error),
    /// The device's protocol has no such command, or not with such attributes.
    Impossible(String),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(error) => error.fmt(f),
            Self::Impossible(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for NotTaken {}

/// Checks that a device that speaks this, if that is known, takes a command: by encoding it.
pub(crate) fn check(speaks: Option<&'static Protocol>, device: &Device, new: &NewCommand) -> Result<(), NotTaken> {
    let (kind, attributes) = new.spelled_out().map_err(NotTaken::Wrong)?;
    let impossible = |what: fmt::Arguments<'_>| Err(NotTaken::Impossible(what.to_string()));
    let Some(protocol) = speaks.or_else(|| find(&device.protocol)) else {
        return match PROTOCOLS.iter().any(|protocol| spec(protocol, &kind).is_some()) {
            true => Ok(()),
            false => impossible(format_args!("no protocol has a command {kind:?}")),
        };
    };
    let Some(spec) = spec(protocol, &kind) else {
        let names: Vec<&str> = protocol.commands.iter().map(|spec| spec.name).collect();
        return match names[..] {
            [] => impossible(format_args!("{} takes no commands", protocol.name)),
            _ => impossible(format_args!("{} has no command {kind:?}; it has {}", protocol.name, names.join(", "))),
        };
    };
    if let Some(odd) = attributes.keys().find(|name| !spec.attributes.iter().any(|known| bare(known) == **name)) {
        return impossible(format_args!("{kind} makes no use of {odd}"));
    }
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let command = Command::new(&kind, &attributes);
    let settings = Settings::recorded(device.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut conversation = Conversation::new(protocol, Terms { settings, ..Terms::default() });
    let mut why = None;
    for id in &device.ids {
        match conversation.command(id, &command) {
            Ok(_) => return Ok(()),
            Err(error) => {
                let of_id = matches!(error, CommandError::Invalid { attribute: "device", .. });
                why.get_or_insert(error);
                // It may call itself by another one.
                if !of_id {
                    break;
                }
            }
        }
    }
    impossible(format_args!("{kind}: {}", why.map(|error| error.to_string()).unwrap_or_default()))
}

/// The commands of a protocol, as the API shows them.
pub(crate) fn types(protocol: &Protocol) -> Vec<CommandType> {
    let attribute = |name: &&str| Attribute { name: bare(name).to_owned(), required: !name.ends_with('?') };
    let shown = |spec: &CommandSpec| CommandType {
        kind: spec.name.to_owned(),
        attributes: spec.attributes.iter().map(attribute).collect(),
        meaning: spec.meaning.to_owned(),
    };
    protocol.commands.iter().map(shown).collect()
}

fn spec(protocol: &'static Protocol, kind: &str) -> Option<&'static CommandSpec> {
    protocol.commands.iter().find(|spec| spec.name == kind)
}

/// An attribute's name, without the mark of those that may be left out.
fn bare(name: &str) -> &str {
    name.trim_end_matches('?')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn device(ids: &[&str], protocol: &str) -> Device {
        let device = json!({"id": ids[0], "ids": ids, "name": "", "plate": "", "time_zone": "", "group": null, "tags": [],
            "protocol": protocol, "settings": {}, "notes": "", "attributes": {}, "state": "accepted", "created": 0,
            "updated": 0, "revision": 1});
        serde_json::from_value(device).unwrap()
    }

    #[track_caller]
    fn taken(ids: &[&str], protocol: &str, kind: &str, attributes: &[(&str, &str)], expected: &str) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let new = NewCommand { kind: Some(kind.into()), attributes, ..NewCommand::default() };
        let checked = check(None, &device(ids, protocol), &new);
        assert_eq!(checked.map_or_else(|error| error.to_string(), |()| "taken".to_owned()), expected);
    }

    #[test]
    fn a_device_takes_what_its_protocol_can_encode() {
        const IMEI: &[&str] = &["868204005647838"];
        taken(IMEI, "gt06", "engineStop", &[], "taken");
        taken(IMEI, "galileo", "outputControl", &[("index", "1"), ("data", "1")], "taken");
        taken(&["truck", "868204005647838"], "galileo", "getDeviceStatus", &[], "taken");
        let odd = "getDeviceStatus: device: has to be an IMEI of 15 digits";
        taken(&["truck"], "galileo", "getDeviceStatus", &[], odd);
        let needs = "outputControl: the command needs data: add --set data=VALUE";
        taken(IMEI, "galileo", "outputControl", &[("index", "1")], needs);
        taken(IMEI, "gt06", "engineStop", &[("now", "1")], "engineStop makes no use of now");
        let has = "galileo has no command \"engineStop\"; it has custom, outputControl, getDeviceStatus";
        taken(IMEI, "galileo", "engineStop", &[], has);
        taken(IMEI, "osmand", "custom", &[("data", "x")], "osmand takes no commands");
        taken(IMEI, "", "engineStop", &[], "taken");
        taken(IMEI, "", "engineStopp", &[], "no protocol has a command \"engineStopp\"");
    }
}
