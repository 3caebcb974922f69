//! Which settings hold when a period is decoded again, and whose records count.

use super::Choice;
use crate::config::{Config, device_settings};
use crate::server::{Listen, plan};
use anyhow::{Result, bail};
use compact_str::CompactString;
use odograph_ingest::{Roster, State};
use odograph_pipeline::{Resettle, Window};
use odograph_protocols::{Binding, Context, Decision, PROTOCOLS, Protocol, Settings, Transport};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What the configuration says now.
pub(crate) struct Current {
    listeners: Vec<Place>,
    /// By each of their ids: the first of them, and the settings.
    devices: HashMap<CompactString, (CompactString, Settings)>,
    /// How long before a period the journal's segments of its beginning may have begun.
    pub(crate) lead_ms: i64,
    /// How far devices' clocks may be from ours.
    pub(crate) window: Window,
    /// What is known of devices now. Without it, what was decided when their bytes came is all that is known.
    roster: Option<Arc<Roster>>,
}

/// Where devices come.
struct Place {
    protocol: &'static str,
    transport: Transport,
    port: u16,
    settings: Settings,
}

impl Current {
    pub(crate) fn new(config: &Config, listen: &[Listen]) -> Self {
        let listeners = plan(config, listen).into_iter().map(|planned| Place {
            protocol: planned.protocol.name,
            transport: planned.transport,
            port: planned.address.port(),
            settings: recorded(&planned.config.settings),
        });
        let mut devices = HashMap::new();
        for device in &config.devices {
            let Some(first) = device.ids.first() else { continue };
            devices.extend(device.ids.iter().map(|id| (id.clone(), (first.clone(), recorded(&device.settings)))));
        }
        let age_ms = i64::try_from(config.journal.segment_age.as_millis()).unwrap_or(i64::MAX);
        let (lead_ms, window) = (age_ms.saturating_add(LEAD_MS), config.clock.window());
        Self { listeners: listeners.collect(), devices, lead_ms, window, roster: None }
    }

    /// The same, where what a device sent while it waited counts once it is accepted.
    pub(crate) fn knowing(self, roster: Arc<Roster>) -> Self {
        Self { roster: Some(roster), ..self }
    }

    /// A tenant's devices that had to wait for a person at some time, and have been accepted since.
    pub(super) fn accepted_since(&self, tenant: &str) -> Vec<CompactString> {
        let waited = self.roster.iter().flat_map(|roster| roster.waited());
        let of_tenant = waited.filter(|(of, _)| of == tenant).map(|(_, device)| device);
        of_tenant.filter(|device| self.has_accepted(tenant, device)).collect()
    }

    /// Whether a device counts now, as for an export.
    fn has_accepted(&self, tenant: &str, device: &str) -> bool {
        let known = self.roster.as_ref().and_then(|roster| roster.get(Some(tenant), device));
        known.is_some_and(|known| matches!(known.state, State::Configured | State::New | State::Accepted))
    }

    /// The settings of the listener that is where one was; nothing where there is none.
    fn listener(&self, protocol: &str, context: &Context) -> Option<&Settings> {
        let port = context.local.parse::<SocketAddr>().ok()?.port();
        let is_it = |place: &&Place| {
            place.protocol == protocol && place.transport == context.transport && place.port == port && port != 0
        };
        self.listeners.iter().find(is_it).map(|place| &place.settings)
    }
}

fn recorded(settings: &BTreeMap<String, String>) -> Settings {
    Settings::recorded(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Checks settings that somebody wants: each must be one that a protocol takes, and say what messages mean.
pub(crate) fn checked(set: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (name, value) in set {
        if ACCESS.contains(&name.as_str()) {
            bail!(
                "the setting {name} says who may send, not what messages mean: it changes nothing of what was received"
            );
        }
        let one = BTreeMap::from([(name.clone(), value.clone())]);
        if let Some(problem) = device_settings(&one).into_iter().next() {
            bail!("{problem}; what can be set: {}", possible(PROTOCOLS.iter().copied()));
        }
        all.extend(one);
    }
    Ok(all)
}

/// What protocols take, in words.
fn possible(protocols: impl Iterator<Item = &'static Protocol>) -> String {
    let of = |protocol: &'static Protocol| {
        let names = protocol.settings.iter().map(|setting| setting.name).filter(|name| !ACCESS.contains(name));
        let names: Vec<_> = names.collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        format!("{names} for {}", protocol.name)
    };
    protocols.map(of).collect::<Vec<_>>().join("; ")
}

/// What holds for one replay.
pub(super) struct Settled {
    current: Arc<Current>,
    choice: Choice,
    set: BTreeMap<String, String>,
    /// The protocols of the records that came out.
    used: Mutex<BTreeSet<&'static str>>,
    /// Of devices that waited, by tenant and id, whether they count: what is decided meanwhile counts for the next replay.
    counted: Mutex<HashMap<(CompactString, CompactString), bool>>,
}

impl Settled {
    pub(super) fn new(current: Arc<Current>, choice: Choice, set: BTreeMap<String, String>) -> Self {
        Self { current, choice, set, used: Mutex::default(), counted: Mutex::default() }
    }

    /// How far devices' clocks may be from ours.
    pub(super) fn window(&self) -> Window {
        self.current.window
    }

    /// Whether it is as it was when the bytes came.
    pub(super) fn is_as_recorded(&self) -> bool {
        self.choice == Choice::Recorded && self.set.is_empty()
    }

    /// As it was when the bytes came.
    pub(super) fn as_recorded(&self) -> Self {
        Self::new(self.current.clone(), Choice::Recorded, BTreeMap::new())
    }

    /// Whether what a device sent counts: it was accepted when that came, or has been since. What counted then is not taken out of
    /// history by a replay, whatever was decided later.
    pub(super) fn counts(&self, binding: &Binding) -> bool {
        match binding.decision {
            Decision::Accepted => true,
            Decision::Quarantined => self.counts_since(&binding.tenant, &binding.device),
            Decision::Refused => false,
        }
    }

    fn counts_since(&self, tenant: &str, device: &str) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry((tenant.into(), device.into())).or_insert_with(|| self.current.has_accepted(tenant, device))
    }

    pub(super) fn used_by(&self, protocol: &'static str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(protocol);
    }

    /// An error where a setting was for nobody: it would look as if it had changed nothing.
    pub(super) fn require_use(&self) -> Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<_> = PROTOCOLS.iter().copied().filter(|protocol| used.contains(protocol.name)).collect();
        for name in self.set.keys() {
            let takes = |protocol: &&Protocol| protocol.settings.iter().any(|setting| setting.name == name);
            if !used.is_empty() && !used.iter().any(takes) {
                bail!("none of those devices takes the setting {name}; they take: {}", possible(used.into_iter()));
            }
        }
        Ok(())
    }

    /// The settings that are to hold in the place of `recorded`, where `current` are those of now.
    fn settings(&self, protocol: &Protocol, recorded: &Settings, current: Option<&Settings>) -> Settings {
        let base = match (self.choice, current) {
            (Choice::Current, Some(current)) => {
                // Who had to know a password then does not have to know today's.
                let access = recorded.iter().filter(|(name, _)| ACCESS.contains(name));
                let others = current.iter().filter(|(name, _)| !ACCESS.contains(name));
                Settings::recorded(access.chain(others))
            }
            _ => recorded.clone(),
        };
        let fits = |pair: &(&str, &str)| Settings::checked([*pair], protocol.settings).is_ok();
        let set = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(fits);
        base.overlaid(&Settings::recorded(set))
    }
}

impl Resettle for Settled {
    fn listener(&self, protocol: &'static Protocol, context: &mut Context) {
        let current = self.current.listener(protocol.name, context);
        context.settings = self.settings(protocol, &context.settings, current);
    }

    fn device(&self, protocol: &'static Protocol, binding: &mut Binding) {
        if binding.decision == Decision::Refused || binding.device.is_empty() {
            return;
        }
        let nothing = Settings::default();
        let current = self.current.devices.get(&binding.device).map_or(&nothing, |(_, settings)| settings);
        binding.settings = self.settings(protocol, &binding.settings, Some(current));
    }

    fn is_name_of(&self, id: &str, device: &str) -> bool {
        self.current.devices.get(id).is_some_and(|(first, _)| first == device)
    }
}

/// Settings that say who may send, and nothing about what messages mean.
const ACCESS: &[&str] = &["password"];
/// Segments end late when nothing comes, and may have been older under an earlier configuration.
const LEAD_MS: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_setting_is_checked_and_an_error_says_what_is_possible() {
        assert_eq!(checked(&one("zone", "+02:00")).unwrap(), BTreeMap::from_iter(one("zone", "+02:00")));
        for (name, value, begin) in [
            ("zone", "Paris", "setting zone: \"Paris\" is not an offset from UTC such as +02:00; what can be set: "),
            ("zoone", "UTC", "no protocol takes the setting zoone: did you mean zone?; what can be set: "),
            ("password", "x", "the setting password says who may send"),
        ] {
            let error = checked(&one(name, value)).unwrap_err().to_string();
            assert!(error.starts_with(begin), "{error}");
            assert!(name == "password" || error.contains("zone") && error.contains("for gt06"), "{error}");
        }
    }

    #[test]
    fn current_settings_leave_alone_who_was_let_in() {
        let pairs = |pairs: &[(&str, &str)]| Settings::recorded(pairs.iter().copied());
        let (listeners, devices, window) = (Vec::new(), HashMap::new(), Window::default());
        let current = Arc::new(Current { listeners, devices, lead_ms: 0, window, roster: None });
        let protocol = PROTOCOLS.iter().find(|protocol| protocol.name == "wialon").unwrap();
        let then = pairs(&[("charset", "utf-8"), ("password", "then")]);
        let now = pairs(&[("charset", "windows-1251"), ("password", "now")]);
        let settled = |choice| Settled::new(current.clone(), choice, BTreeMap::new());
        assert_eq!(settled(Choice::Recorded).settings(protocol, &then, Some(&now)), then);
        let expected = pairs(&[("charset", "windows-1251"), ("password", "then")]);
        assert_eq!(settled(Choice::Current).settings(protocol, &then, Some(&now)), expected);
        assert_eq!(settled(Choice::Current).settings(protocol, &then, None), then, "nobody knows better");
        let set = BTreeMap::from_iter(one("zone", "UTC"));
        let above = Settled::new(current.clone(), Choice::Recorded, set);
        assert_eq!(above.settings(protocol, &then, Some(&now)), then, "wialon has no zone");
    }
}
