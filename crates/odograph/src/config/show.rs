//! The configuration for people: each key with its value, its default, and where it came from.

use super::Loaded;
use super::keys::{Config, DEVICE_KEYS, DeviceConfig, KEYS, Key, LISTENER_KEYS, ListenerConfig};
use super::keys::{SETTINGS_MEANING, STORE_OPTIONS_MEANING, TENANT_KEYS, TenantConfig};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// A key and what holds for it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) key: String,
    /// Null: unset.
    pub(crate) value: Value,
    pub(crate) default: Value,
    /// What holds where it is unset.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) unset: &'static str,
    pub(crate) origin: String,
}

/// Every key, those of lists for each of their elements.
pub(crate) fn rows(loaded: &Loaded) -> Vec<Row> {
    let mut config = loaded.config.clone();
    let mut rows = part(loaded, &mut config, Config::default(), KEYS, "");
    let stores = [("lake", &config.lake.store_options), ("backup", &config.backup.store_options)];
    for (part, options) in stores {
        rows.extend(options.iter().map(|(name, value)| {
            let key = format!("{part}.store_options.{name}");
            let shown = if odograph_lake::is_secret_option(name, value) { SECRET } else { value };
            Row { origin: loaded.origin(&key).to_string(), key, value: shown.into(), default: Value::Null, unset: "" }
        }));
    }
    for (number, listener) in config.listeners.iter_mut().enumerate() {
        let prefix = format!("listener.{number}.");
        let settings = listener.settings.clone();
        rows.extend(part(loaded, listener, ListenerConfig::default(), LISTENER_KEYS, &prefix));
        rows.extend(settings.into_iter().map(|setting| setting_row(loaded, &prefix, setting)));
    }
    for (number, device) in config.devices.iter_mut().enumerate() {
        let prefix = format!("device.{number}.");
        let settings = device.settings.clone();
        rows.extend(part(loaded, device, DeviceConfig::default(), DEVICE_KEYS, &prefix));
        rows.extend(settings.into_iter().map(|setting| setting_row(loaded, &prefix, setting)));
    }
    for (number, tenant) in config.tenants.iter_mut().enumerate() {
        rows.extend(part(loaded, tenant, TenantConfig::default(), TENANT_KEYS, &format!("tenant.{number}.")));
    }
    rows
}

fn part<T>(loaded: &Loaded, part: &mut T, mut defaults: T, keys: &'static [Key<T>], prefix: &str) -> Vec<Row> {
    keys.iter()
        .map(|key| {
            let name = format!("{prefix}{}", key.name);
            let origin = loaded.origin(&name).to_string();
            let (value, default) = ((key.place)(part).show(), (key.place)(&mut defaults).show());
            Row { key: name, value, default, unset: key.unset, origin }
        })
        .collect()
}

fn setting_row(loaded: &Loaded, prefix: &str, (name, value): (String, String)) -> Row {
    let key = format!("{prefix}settings.{name}");
    let origin = loaded.origin(&key);
    // What devices have to say to be let in.
    let value = if name == "password" { SECRET.to_owned() } else { value };
    Row { origin: origin.to_string(), key, value: value.into(), default: Value::Null, unset: "" }
}

impl Row {
    /// The value as it stands in a file, or in brackets what holds without one.
    pub(crate) fn shown(&self) -> String {
        shown(&self.value, self.unset)
    }

    /// The default likewise.
    pub(crate) fn shown_default(&self) -> String {
        shown(&self.default, self.unset)
    }
}

/// Shown in the place of what nobody else should see.
const SECRET: &str = "(set, and not shown)";

/// JSON's notation of texts, numbers, switches and lists is TOML's too.
fn shown(value: &Value, unset: &str) -> String {
    match value {
        Value::Null => format!("({unset})"),
        Value::Array(items) if items.is_empty() && !unset.is_empty() => format!("({unset})"),
        value => value.to_string(),
    }
}

/// The reference of all keys.
pub(crate) fn markdown() -> String {
    let mut page = String::from(HEAD);
    table(&mut page, Config::default(), KEYS, |name| format!("`{}`", variable(name)));
    for part in ["lake", "backup"] {
        let variable_of = variable(&format!("{part}.store_options.name"));
        let _ = writeln!(page, "| `{part}.store_options.NAME` | | `{variable_of}` | {STORE_OPTIONS_MEANING} |");
    }
    page.push_str("\n## `[[listener]]`\n\nOne for each further place where devices arrive.\n\n");
    table(&mut page, ListenerConfig::default(), LISTENER_KEYS, |name| {
        format!("`{}`", variable(&format!("listener.0.{name}")))
    });
    let _ = writeln!(page, "| `settings` | | `ODOGRAPH_LISTENER__0__SETTINGS__NAME` | {SETTINGS_MEANING} |");
    page.push_str("\n## `[[device]]`\n\nOne for each device that is to be known before it comes.\n\n");
    table(&mut page, DeviceConfig::default(), DEVICE_KEYS, |name| {
        format!("`{}`", variable(&format!("device.0.{name}")))
    });
    let _ = writeln!(page, "| `settings` | | `ODOGRAPH_DEVICE__0__SETTINGS__NAME` | {SETTINGS_MEANING} |");
    page.push_str("\n## `[[tenant]]`\n\nOne for each tenant for whom something else holds.\n\n");
    table(&mut page, TenantConfig::default(), TENANT_KEYS, |name| {
        format!("`{}`", variable(&format!("tenant.0.{name}")))
    });
    page
}

fn table<T>(page: &mut String, mut defaults: T, keys: &'static [Key<T>], variable: impl Fn(&str) -> String) {
    page.push_str("| key | default | environment variable | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = (key.place)(&mut defaults).show();
        let default = match shown(&default, key.unset) {
            unset if unset.starts_with('(') => unset.trim_matches(['(', ')']).to_owned(),
            set => format!("`{set}`"),
        };
        let place = (key.place)(&mut defaults);
        let range = key.range.map_or(String::new(), |(least, most)| {
            format!(" From {} to {}.", place.show_amount(least), place.show_amount(most))
        });
        let _ = writeln!(page, "| `{}` | {default} | {} | {}{range} |", key.name, variable(key.name), key.meaning);
    }
}

fn variable(key: &str) -> String {
    format!("{}{}", super::PREFIX, key.replace('.', "__").to_ascii_uppercase())
}

const HEAD: &str = "<!-- @generated by `UPDATE=1 cargo test -p odograph`: change crates/odograph/src/config/keys.rs instead. -->

# Configuration

Nothing is required: without a file, `odograph serve` keeps its data in `odograph-data` and listens on the port of every
protocol, and on one that [understands all of them](common-port.md). One TOML file (`--config FILE` or `ODOGRAPH_CONFIG`) sets what shall be different; environment variables stand
above the file, and options of the command line above both.

```toml
data = \"/var/lib/odograph\"

[http]
listen = \"0.0.0.0:8080\"

[journal]
disk_budget = \"200 GiB\"

[[listener]]
protocol = \"teltonika\"
listen = \"[::]:15027\"
tenant = \"north\"
unknown = \"quarantine\"

[[device]]
ids = [\"352093081452251\"]
name = \"Truck 7\"
```

An unknown key in the file is an error, with its place and what was probably meant. An unknown variable that begins with
`ODOGRAPH_` is a warning. `odograph config check` says what is wrong without starting anything; `odograph config show` prints
every key with its value, its default, and where the value came from.

Sizes are written with a unit (`512 MiB`, `200 GB`), and so are durations (`500 ms`, `90 s`, `10 min`, `1 h`, `7 d`).

`odograph serve --listen PROTOCOL=ADDRESS` opens just the listeners named there, on all transports of the protocol, whatever
the file says: for tests and quick trials. Port 0 takes any free port; the log says which.

## Keys

";
