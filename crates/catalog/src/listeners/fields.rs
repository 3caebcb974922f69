//! What a listener is, and what may be said of it: by the keys that a `[[listener]]` of the configuration has, with the same defaults.
//!
//! The catalog knows how long texts may be, and not what they mean: whoever makes a listener checks that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::DEFAULT_TENANT;
use crate::bounds::{self, ADDRESS_CHARS_MAX, ID_CHARS_MAX, NAME_CHARS_MAX, NETWORKS_MAX, PATH_CHARS_MAX};
use crate::devices::{HIDDEN, HIDDEN_NEW, SECRET_SETTINGS, checked_settings};
use crate::{Error, Role, UnixMillis};

/// A place where devices arrive, which people have made while a server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listener {
    /// The id.
    pub id: String,
    /// What people call it, if they do.
    pub name: String,
    /// Whether it is to be open.
    pub enabled: bool,
    /// Whose devices become that register there. One of the tenant `default` is for the devices of all tenants, any other one for
    /// its own tenant's alone.
    pub tenant: String,
    /// What holds for those who come there.
    #[serde(flatten)]
    pub terms: ListenerTerms,
    /// Since when it is there.
    pub created: UnixMillis,
    /// When any of this changed last.
    pub updated: UnixMillis,
    /// One more with each change of it: who changes it may say which one was seen.
    pub revision: i64,
}

/// What holds for those who come to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ListenerTerms {
    /// What devices speak there: the name of a protocol, or `auto` for any of them.
    pub protocol: String,
    /// Its address and port.
    pub listen: String,
    /// Which ways of the protocol.
    pub transport: ListenerTransport,
    /// The one device that comes there, for devices that never say who they are.
    pub device: Option<String>,
    /// What happens to whoever says there that he is another one than `device`.
    pub other_device: OtherDevice,
    /// What happens to devices that nobody announced.
    pub unknown: UnknownDevices,
    /// What happens to messages with a wrong checksum.
    pub checksum: ChecksumPolicy,
    /// Networks or addresses from which devices may come; none: from everywhere.
    pub allow: Vec<String>,
    /// Networks or addresses from which they may not, whatever `allow` says.
    pub deny: Vec<String>,
    /// So many connections are taken in in a second; what comes faster waits in the kernel. Nothing: any number.
    pub accept_rate_max: Option<u32>,
    /// Connections at a time. Nothing: as many as the server takes.
    pub connections_max: Option<u32>,
    /// Connections at a time from one address; 0: any number.
    pub connections_per_address_max: u32,
    /// Whether a balancer announces devices by the PROXY protocol.
    pub proxy_protocol: bool,
    /// Networks or addresses of such balancers; nobody else may come then.
    pub trusted: Vec<String>,
    /// The files on the server with which it speaks TLS. Nothing: it does not.
    pub tls: Option<ListenerTls>,
    /// Settings of the protocol, below those that devices have.
    pub settings: BTreeMap<String, String>,
}

/// The files of a listener that speaks TLS, on the machine of each server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// The certificate, and those between it and a root, as PEM.
    pub cert: String,
    /// Its private key, as PEM.
    pub key: String,
    /// The certificates of those who sign devices' certificates, as PEM. Nothing: devices need none.
    #[serde(default)]
    pub client_ca: Option<String>,
}

/// Which of a protocol's ways a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerTransport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
    /// Requests, which come by connections.
    Http,
    /// All that the protocol has.
    #[default]
    Both,
}

/// What happens to devices that nobody announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownDevices {
    /// They become devices of the listener's tenant, marked new.
    #[default]
    Register,
    /// They are acknowledged and kept, and a person decides.
    Quarantine,
    /// They are refused.
    Reject,
}

/// What happens where a listener is that of one device and somebody says there that he is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtherDevice {
    /// He is the one that he says.
    #[default]
    Admit,
    /// He is the listener's device, whatever he says.
    Ignore,
    /// He is refused.
    Refuse,
}

/// What happens to messages with a wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumPolicy {
    /// They are malformed.
    #[default]
    Enforce,
    /// They are taken, for clones that get it wrong.
    Note,
}

/// What is given of a listener, or becomes different. What is `None` stays; `Some(None)` takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerFields {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is to be open: it is, if nothing is said when it is made.
    pub enabled: Option<bool>,
    /// Whose devices become that register there: `default`, if nothing is said when it is made.
    pub tenant: Option<String>,
    /// What devices speak there. Needed when it is made.
    pub protocol: Option<String>,
    /// Its address and port, such as `[::]:15027`, or a port on all addresses. Needed when it is made.
    pub listen: Option<String>,
    /// Which ways of the protocol.
    pub transport: Option<ListenerTransport>,
    /// The one device that comes there. It must be known.
    #[serde(deserialize_with = "crate::within::present", skip_serializing_if = "Option::is_none")]
    pub device: Option<Option<String>>,
    /// What happens to whoever says that he is another one.
    pub other_device: Option<OtherDevice>,
    /// What happens to devices that nobody announced.
    pub unknown: Option<UnknownDevices>,
    /// What happens to messages with a wrong checksum.
    pub checksum: Option<ChecksumPolicy>,
    /// Networks from which devices may come: all are replaced.
    pub allow: Option<Vec<String>>,
    /// Networks from which they may not: all are replaced.
    pub deny: Option<Vec<String>>,
    /// Connections that are taken in in a second.
    #[serde(deserialize_with = "crate::within::present", skip_serializing_if = "Option::is_none")]
    pub accept_rate_max: Option<Option<u32>>,
    /// Connections at a time.
    #[serde(deserialize_with = "crate::within::present", skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<Option<u32>>,
    /// Connections at a time from one address.
    pub connections_per_address_max: Option<u32>,
    /// Whether a balancer announces devices.
    pub proxy_protocol: Option<bool>,
    /// Networks of such balancers: all are replaced.
    pub trusted: Option<Vec<String>>,
    /// The files with which it speaks TLS.
    #[serde(deserialize_with = "crate::within::present", skip_serializing_if = "Option::is_none")]
    pub tls: Option<Option<ListenerTls>>,
    /// Settings of the protocol: all are replaced.
    pub settings: Option<BTreeMap<String, String>>,
    /// The revision that was seen: if it has changed since, nothing is changed.
    pub if_revision: Option<i64>,
}

impl ListenerFields {
    /// The listener as it becomes. What its texts mean, and whether its tenant and device are there, is not looked at.
    pub(super) fn applied(self, mut listener: Listener) -> Result<Listener, Error> {
        if self.if_revision.is_some_and(|revision| revision != listener.revision) {
            return Err(Error::conflict("the listener was changed meanwhile: look at it again"));
        }
        let terms = &mut listener.terms;
        if let Some(settings) = &self.settings {
            terms.settings = checked_settings(settings, &terms.settings)?;
        }
        put(&mut listener.name, self.name);
        put(&mut listener.enabled, self.enabled);
        put(&mut listener.tenant, self.tenant);
        put(&mut terms.protocol, self.protocol);
        put(&mut terms.listen, self.listen);
        put(&mut terms.transport, self.transport);
        put(&mut terms.device, self.device);
        put(&mut terms.other_device, self.other_device);
        put(&mut terms.unknown, self.unknown);
        put(&mut terms.checksum, self.checksum);
        put(&mut terms.allow, self.allow);
        put(&mut terms.deny, self.deny);
        put(&mut terms.accept_rate_max, self.accept_rate_max);
        put(&mut terms.connections_max, self.connections_max);
        put(&mut terms.connections_per_address_max, self.connections_per_address_max);
        put(&mut terms.proxy_protocol, self.proxy_protocol);
        put(&mut terms.trusted, self.trusted);
        put(&mut terms.tls, self.tls);
        listener.check()?;
        Ok(listener)
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Listener {
    /// One of which nothing is known but its id.
    pub(super) fn blank(id: String, now: UnixMillis) -> Self {
        let tenant = DEFAULT_TENANT.to_owned();
        let terms = ListenerTerms::default();
        Self { id, name: String::new(), enabled: true, tenant, terms, created: now, updated: now, revision: 1 }
    }

    /// What people call it: its name, or its id.
    pub fn called(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }

    fn check(&self) -> Result<(), Error> {
        bounds::line("name", &self.name, NAME_CHARS_MAX)?;
        self.terms.check()
    }

    /// As somebody of this role may see it.
    pub(super) fn for_role(mut self, role: Role) -> Self {
        for name in SECRET_SETTINGS.iter().filter(|_| role < Role::Manager) {
            if let Some(value) = self.terms.settings.get_mut(*name) {
                HIDDEN.clone_into(value);
            }
        }
        self
    }

    /// As the audit log keeps it, `before` being what it was: without secrets, but so that a new one shows as new.
    pub(super) fn for_audit(&self, before: Option<&Self>) -> Value {
        let mut shown = self.clone();
        for name in SECRET_SETTINGS {
            let is_new =
                before.is_some_and(|before| before.terms.settings.get(*name) != self.terms.settings.get(*name));
            if let Some(value) = shown.terms.settings.get_mut(*name) {
                (if is_new { HIDDEN_NEW } else { HIDDEN }).clone_into(value);
            }
        }
        crate::scoped::shown(&shown)
    }
}

impl ListenerTerms {
    fn check(&self) -> Result<(), Error> {
        if self.protocol.is_empty() {
            return Err(Error::invalid("protocol", "is missing: say what devices speak there"));
        }
        if self.listen.is_empty() {
            return Err(Error::invalid("listen", "is missing: say at which address"));
        }
        bounds::line("protocol", &self.protocol, ID_CHARS_MAX)?;
        bounds::line("listen", &self.listen, ADDRESS_CHARS_MAX)?;
        if let Some(device) = &self.device {
            bounds::id("device", device)?;
        }
        for (field, networks) in [("allow", &self.allow), ("deny", &self.deny), ("trusted", &self.trusted)] {
            bounds::count(field, networks.len(), NETWORKS_MAX)?;
            networks.iter().try_for_each(|network| bounds::line(field, network, ADDRESS_CHARS_MAX))?;
        }
        let Some(ListenerTls { cert, key, client_ca }) = &self.tls else { return Ok(()) };
        for path in [cert, key].into_iter().chain(client_ca) {
            bounds::line("tls", path, PATH_CHARS_MAX)?;
            // What a relative one is relative to, nobody knows who is not on that machine.
            if !path.starts_with('/') {
                return Err(Error::invalid(
                    "tls",
                    format!("{path:?} is no whole path, such as /etc/odograph/cert.pem"),
                ));
            }
        }
        Ok(())
    }
}
