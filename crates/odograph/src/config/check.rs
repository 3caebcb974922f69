//! What a configuration may not say although each of its values is right.

use super::{Loaded, Origin};
use compact_str::CompactString;
use odograph_protocols::{PROTOCOLS, Settings, Transport};
use std::collections::{BTreeMap, HashMap};

use super::setting::Transports;

/// All that is wrong, each with its place.
pub(super) fn problems(loaded: &Loaded) -> Vec<String> {
    let mut problems = Vec::new();
    for number in 0..loaded.config.listeners.len() {
        listener(loaded, number, &mut problems);
    }
    match loaded.config.lake.remote().map(|store| odograph_lake::check_store(&store)) {
        Some(Err(what)) => problems.push(format!("{}: {what}", loaded.origin("lake.store"))),
        None if !loaded.config.lake.store_options.is_empty() => {
            let place = place(loaded, "lake.store_options");
            problems.push(format!("{place}: lake.store_options say nothing without lake.store"));
        }
        Some(Ok(())) | None => {}
    }
    let mut ids: HashMap<CompactString, usize> = HashMap::new();
    for (number, device) in loaded.config.devices.iter().enumerate() {
        let place = place(loaded, &format!("device.{number}"));
        if device.ids.is_empty() {
            problems.push(format!("{place}: a [[device]] needs ids"));
        }
        for id in &device.ids {
            if ids.insert(id.clone(), number).is_some_and(|other| other != number) {
                problems.push(format!("{place}: the id {id} belongs to two devices"));
            }
        }
        problems.extend(device_settings(&device.settings).into_iter().map(|what| format!("{place}: {what}")));
    }
    problems
}

fn listener(loaded: &Loaded, number: usize, problems: &mut Vec<String>) {
    let Some(listener) = loaded.config.listeners.get(number) else { return };
    let place = place(loaded, &format!("listener.{number}"));
    let mut wrong = |what: String| problems.push(format!("{place}: {what}"));
    let Some(protocol) = listener.protocol else {
        // Where the protocol was given and refused, that was told already, but once more does no harm.
        return wrong("a [[listener]] needs a protocol".to_owned());
    };
    if listener.listen.is_none() {
        wrong("a [[listener]] needs an address to listen on".to_owned());
    }
    let asked = match listener.transport {
        Transports::Tcp => Some(Transport::Tcp),
        Transports::Udp => Some(Transport::Udp),
        Transports::Both => None,
    };
    if let Some(transport) = asked.filter(|transport| !protocol.transports.contains(transport)) {
        wrong(format!("{} does not travel by {}", protocol.name, transport.name()));
    }
    let pairs = listener.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    if let Err(error) = Settings::checked(pairs, protocol.settings) {
        wrong(format!("{}: {error}", protocol.name));
    }
}

/// A device's protocol is not known before it comes, so a setting must be right for one of them.
fn device_settings(settings: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, value) in settings {
        let pair = [(name.as_str(), value.as_str())];
        let checked: Vec<_> = PROTOCOLS
            .iter()
            .filter(|protocol| protocol.settings.iter().any(|setting| setting.name == name))
            .map(|protocol| Settings::checked(pair, protocol.settings))
            .collect();
        if checked.iter().any(Result::is_ok) {
            continue;
        }
        let known = PROTOCOLS.iter().flat_map(|protocol| protocol.settings).map(|setting| setting.name);
        problems.push(match (checked.into_iter().find_map(Result::err), super::nearest(name, known)) {
            (Some(error), _) => error.to_string(),
            (None, Some(near)) => format!("no protocol takes the setting {name}: did you mean {near}?"),
            (None, None) => format!("no protocol takes the setting {name}"),
        });
    }
    problems
}

/// Where a listener or device was first mentioned.
fn place(loaded: &Loaded, prefix: &str) -> Origin {
    let below = format!("{prefix}.");
    let mut origins = loaded.origins.iter().filter(|(key, _)| key.starts_with(&below)).map(|(_, origin)| origin);
    let by_line = |origin: &&Origin| match origin {
        Origin::File(_, (line, _)) => *line,
        _ => usize::MAX,
    };
    let first = origins.by_ref().min_by_key(by_line);
    first.cloned().unwrap_or(Origin::Default)
}
