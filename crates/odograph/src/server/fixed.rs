//! Addresses that are taken by what nobody made in the catalog, and whether a listener that somebody makes there can be one beside them.

use super::listeners::{By, Planned, beside, made, plan};
use crate::config::{Loaded, overlap};
use odograph_api::OtherListener;
use odograph_catalog::{Error, Listener};
use odograph_protocols::Transport;
use odograph_protocols::detect::name_of_listened;
use std::net::SocketAddr;

/// An address that something has.
#[derive(Debug, Clone)]
pub(crate) struct Fixed {
    transport: Transport,
    address: SocketAddr,
    /// What is spoken there.
    protocol: &'static str,
    /// Whose devices become that register there.
    tenant: Option<String>,
    /// What has it, in words.
    by: String,
    /// Where that is said.
    at: Option<String>,
}

impl Fixed {
    /// Where devices arrive by configuration, and the port of HTTP, if there is one.
    pub(crate) fn all(loaded: &Loaded, planned: &[Planned], http: Option<SocketAddr>) -> Vec<Self> {
        let http = http.map(|address| Self {
            transport: Transport::Tcp,
            address,
            protocol: "http",
            tenant: None,
            by: "http.listen".to_owned(),
            at: Some(loaded.origin("http.listen").to_string()),
        });
        planned.iter().map(|plan| Self::of(loaded, plan)).chain(http).collect()
    }

    /// What a server would have open by this configuration, beside the listeners that are in the catalog.
    pub(crate) fn unserved(loaded: &Loaded, listeners: Vec<Listener>) -> Vec<Self> {
        let planned = beside(plan(&loaded.config, &[]), &sockets(listeners));
        Self::all(loaded, &planned, Some(loaded.config.http.listen))
    }

    fn of(loaded: &Loaded, plan: &Planned) -> Self {
        let protocol = name_of_listened(plan.protocol);
        let (by, at) = match plan.by {
            By::CommandLine => (format!("--listen {protocol}"), Some("command line".to_owned())),
            By::File(number) => {
                (format!("the [[listener]] for {protocol}"), Some(loaded.place_of_listener(number).to_string()))
            }
            By::CommonPort => ("ingest.common_port".to_owned(), Some(loaded.origin("ingest.common_port").to_string())),
            By::Default => (format!("the default port of {protocol}"), None),
            By::Made => (format!("a listener for {protocol}"), None),
        };
        let tenant = Some(plan.config.tenant.0.to_string());
        Self { transport: plan.transport, address: plan.address, protocol, tenant, by, at }
    }

    /// That of a listener that somebody made.
    fn of_made(listener: &Listener, plan: &Planned) -> Self {
        let protocol = name_of_listened(plan.protocol);
        let by = format!("the listener {} for {protocol}", listener.called());
        let tenant = Some(listener.tenant.clone());
        Self {
            transport: plan.transport,
            address: plan.address,
            protocol,
            tenant,
            by,
            at: Some(format!("id {}", listener.id)),
        }
    }

    /// Why a socket cannot be beside this one, if it cannot.
    pub(super) fn against(&self, plan: &Planned) -> Option<String> {
        if self.transport != plan.transport || !overlap(self.address, plan.address) {
            return None;
        }
        let (address, transport, other) = (plan.address, plan.transport.name(), self.address);
        let at = self.at.as_deref().unwrap_or("ingest.default_ports = false leaves such ports to you");
        Some(format!("{address} ({transport}) is taken by {}, which has {other} ({at})", self.by))
    }

    /// For people.
    pub(crate) fn shown(&self) -> OtherListener {
        let by = self.at.as_ref().map_or_else(|| self.by.clone(), |at| format!("{} ({at})", self.by));
        OtherListener {
            protocol: self.protocol.to_owned(),
            transport: self.transport.name().to_owned(),
            address: self.address.to_string(),
            tenant: self.tenant.clone(),
            by,
        }
    }
}

/// The sockets of listeners that are to be open. What is wrong with one is told when it is opened.
pub(super) fn sockets(listeners: Vec<Listener>) -> Vec<Planned> {
    let open = listeners.into_iter().filter(|listener| listener.enabled);
    open.flat_map(|mut listener| made(&mut listener).unwrap_or_default()).collect()
}

/// Whether a listener can be one beside others that people made, and beside what stands fast. What can be written in several ways stands
/// in it in one of them afterwards.
///
/// # Errors
///
/// When the configuration would not take it, or its address is taken. One that is closed takes no address.
pub(crate) fn check(listener: &mut Listener, others: &[Listener], fixed: &[Fixed]) -> Result<(), Error> {
    let sockets = made(listener)?;
    if !listener.enabled {
        return Ok(());
    }
    let open = others.iter().filter(|other| other.enabled);
    let theirs: Vec<Fixed> = open
        .flat_map(|other| {
            // What cannot be read any more is open nowhere.
            let plans = made(&mut other.clone()).unwrap_or_default();
            plans.into_iter().map(|plan| Fixed::of_made(other, &plan)).collect::<Vec<_>>()
        })
        .collect();
    let taken = sockets.iter().find_map(|plan| fixed.iter().chain(&theirs).find_map(|one| one.against(plan)));
    taken.map_or(Ok(()), |what| Err(Error::Conflict { what }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::plan;
    use odograph_catalog::{ListenerTerms, ListenerTransport};

    fn listener(id: &str, protocol: &str, listen: &str) -> Listener {
        let terms = ListenerTerms { protocol: protocol.into(), listen: listen.into(), ..ListenerTerms::default() };
        Listener {
            id: id.into(),
            name: String::new(),
            enabled: true,
            tenant: "default".into(),
            terms,
            created: 0,
            updated: 0,
            revision: 1,
        }
    }

    #[track_caller]
    fn check_at(listen: &str, others: &[Listener], fixed: &[Fixed], expected: &str) {
        let done = check(&mut listener("new", "wialon", listen), others, fixed);
        assert_eq!(done.err().map(|error| error.to_string()).unwrap_or_default(), expected, "{listen}");
    }

    #[test]
    fn what_has_the_address_is_named() {
        let loaded = Loaded::default();
        let http = Some(([127, 0, 0, 1], 8080).into());
        let fixed = Fixed::all(&loaded, &plan(&loaded.config, &[]), http);
        check_at("15039", &[], &fixed, "");
        let host = if crate::server::has_ipv6() { "[::]" } else { "0.0.0.0" };
        let default = format!(
            "127.0.0.1:5039 (tcp) is taken by the default port of wialon, which has {host}:5039 \
             (ingest.default_ports = false leaves such ports to you)"
        );
        check_at("127.0.0.1:5039", &[], &fixed, &default);
        let http = "[::]:8080 (tcp) is taken by http.listen, which has 127.0.0.1:8080 (default)";
        check_at("8080", &[], &fixed, http);
        let partner = Listener { name: "Partner".into(), ..listener("l1", "teltonika", "127.0.0.1:9") };
        let taken = "[::]:9 (tcp) is taken by the listener Partner for teltonika, which has 127.0.0.1:9 (id l1)";
        check_at("9", std::slice::from_ref(&partner), &[], taken);
        check_at("127.0.0.2:9", std::slice::from_ref(&partner), &[], "");
    }

    #[test]
    fn whoever_is_closed_or_goes_another_way_takes_nothing() {
        let closed = Listener { enabled: false, ..listener("l1", "teltonika", "9") };
        check_at("9", &[closed], &[], "");
        let mut datagrams = listener("l1", "teltonika", "9");
        datagrams.terms.transport = ListenerTransport::Udp;
        let mut streams = listener("new", "wialon", "9");
        streams.terms.transport = ListenerTransport::Tcp;
        check(&mut streams, std::slice::from_ref(&datagrams), &[]).unwrap();
        let mut new = Listener { enabled: false, ..listener("new", "wialon", "9") };
        check(&mut new, &[listener("l1", "teltonika", "9")], &[]).unwrap();
        // What is wrong with it is said all the same.
        let mut odd = Listener { enabled: false, ..listener("new", "wilaon", "9") };
        let said = check(&mut odd, &[], &[]).unwrap_err().to_string();
        assert_eq!(said, "protocol: \"wilaon\" is not a protocol: did you mean wialon?");
    }
}
