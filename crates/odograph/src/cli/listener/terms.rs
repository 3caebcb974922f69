//! What is said of a listener on the command line.

use crate::cli::pairs::{Pair, pair};
use crate::cli::usage;
use anyhow::Result;
use clap::{Args, ValueEnum};
use odograph_catalog::{ChecksumPolicy, ListenerFields, ListenerTls, ListenerTransport, OtherDevice, UnknownDevices};

/// What holds for those who come there. What is not named stays, or is as the configuration has it by default.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// What people call it; '' takes that away.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whose devices become that register there.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Which ways of the protocol.
    #[arg(long, value_enum)]
    transport: Option<TransportName>,
    /// Devices that nobody announced: register them, quarantine them until a person decides, or reject them.
    #[arg(long, value_enum)]
    unknown: Option<UnknownName>,
    /// A network or address from which devices may come, and no others. May be repeated; '' lets all come.
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
    /// A network or address from which they may not. May be repeated; '' takes all away.
    #[arg(long, value_name = "NETWORK")]
    deny: Vec<String>,
    /// So many connections are taken in in a second; 'any' takes the bound away.
    #[arg(long, value_name = "COUNT")]
    accept_rate_max: Option<String>,
    /// So many connections at a time; 'any' takes the bound away.
    #[arg(long, value_name = "COUNT")]
    connections_max: Option<String>,
    /// So many connections at a time from one address; 0: any number.
    #[arg(long, value_name = "COUNT")]
    connections_per_address_max: Option<u32>,
    /// The one device that comes there, for devices that never say who they are; '' takes that away.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Whoever says that he is another one than that device: admit him, ignore it, or refuse him.
    #[arg(long, value_enum)]
    other_device: Option<OtherName>,
    /// Messages with a wrong checksum: enforce it, or note it and take them.
    #[arg(long, value_enum)]
    checksum: Option<ChecksumName>,
    /// Whether a balancer announces devices by the PROXY protocol.
    #[arg(long, value_name = "TRUE|FALSE")]
    proxy_protocol: Option<bool>,
    /// A network or address of such balancers; nobody else may come then. May be repeated; '' takes all away.
    #[arg(long, value_name = "NETWORK")]
    trusted: Vec<String>,
    /// A file on the server with the certificate that devices get to see, as PEM; '' ends TLS there.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// A file on the server with its private key, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,
    /// A file on the server with those who sign devices' certificates, as PEM: a device has to show one then.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<String>,
    /// A setting of the protocol. May be repeated; all are replaced.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<Pair>,
}

macro_rules! names {
    ($($name:ident for $kind:ident { $($variant:ident: $doc:literal,)+ })+) => {$(
        /// As it is named on the command line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        enum $name { $(#[doc = $doc] $variant,)+ }

        impl From<$name> for $kind {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => Self::$variant,)+ }
            }
        }
    )+};
}

names! {
    TransportName for ListenerTransport {
        Tcp: "Connections.", Udp: "Datagrams.", Http: "Requests.", Both: "All that the protocol has.",
    }
    UnknownName for UnknownDevices {
        Register: "They become devices, marked new.", Quarantine: "A person decides.", Reject: "They are refused.",
    }
    OtherName for OtherDevice {
        Admit: "He is the one that he says.", Ignore: "He is the listener's device.", Refuse: "He is refused.",
    }
    ChecksumName for ChecksumPolicy {
        Enforce: "They are malformed.", Note: "They are taken, for clones that get it wrong.",
    }
}

impl Terms {
    /// The same for the catalog.
    pub(super) fn fields(&self) -> Result<ListenerFields> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let settings = self.settings.iter().map(|Pair { name, value }| (name.clone(), value.clone()));
        Ok(ListenerFields {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            transport: self.transport.map(Into::into),
            unknown: self.unknown.map(Into::into),
            allow: networks(&self.allow),
            deny: networks(&self.deny),
            accept_rate_max: self
                .accept_rate_max
                .as_deref()
                .map(|text| count("--accept-rate-max", text))
                .transpose()?,
            connections_max: self
                .connections_max
                .as_deref()
                .map(|text| count("--connections-max", text))
                .transpose()?,
            connections_per_address_max: self.connections_per_address_max,
            device: self.device.as_ref().map(given),
            other_device: self.other_device.map(Into::into),
            checksum: self.checksum.map(Into::into),
            proxy_protocol: self.proxy_protocol,
            trusted: networks(&self.trusted),
            tls: self.tls()?,
            settings: (!self.settings.is_empty()).then(|| settings.collect()),
            ..ListenerFields::default()
        })
    }

    fn tls(&self) -> Result<Option<Option<ListenerTls>>> {
        let (client_ca, key) = (self.tls_client_ca.clone(), self.tls_key.clone());
        match (&self.tls_cert, key) {
            (None, _) => Ok(None),
            (Some(cert), None) if cert.is_empty() => Ok(Some(None)),
            (Some(cert), Some(key)) if !cert.is_empty() => {
                Ok(Some(Some(ListenerTls { cert: cert.clone(), key, client_ca })))
            }
            _ => usage("--tls-cert and --tls-key go together; --tls-cert '' alone ends TLS"),
        }
    }
}

/// Nothing was said; all; or none.
fn networks(said: &[String]) -> Option<Vec<String>> {
    (!said.is_empty()).then(|| said.iter().filter(|network| !network.is_empty()).cloned().collect())
}

fn count(option: &str, text: &str) -> Result<Option<u32>> {
    match text.parse() {
        Ok(count) => Ok(Some(count)),
        Err(_) if text == "any" => Ok(None),
        Err(_) => usage(format!("{option}: {text:?} is neither a number nor 'any'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        terms: Terms,
    }

    fn fields(words: &[&str]) -> Result<ListenerFields, String> {
        let line = Line::try_parse_from(["x"].iter().chain(words)).map_err(|error| error.to_string())?;
        line.terms.fields().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_empty_goes() {
        assert_eq!(fields(&[]), Ok(ListenerFields::default()));
        let said = ["--allow", "10.0.0.0/8", "--allow", "192.0.2.7", "--unknown", "reject", "--connections-max", "7"];
        let expected = ListenerFields {
            allow: Some(vec!["10.0.0.0/8".into(), "192.0.2.7".into()]),
            unknown: Some(UnknownDevices::Reject),
            connections_max: Some(Some(7)),
            ..ListenerFields::default()
        };
        assert_eq!(fields(&said), Ok(expected));
        let taken = ["--allow", "", "--device", "", "--connections-max", "any", "--tls-cert", ""];
        let expected = ListenerFields {
            allow: Some(Vec::new()),
            device: Some(None),
            connections_max: Some(None),
            tls: Some(None),
            ..ListenerFields::default()
        };
        assert_eq!(fields(&taken), Ok(expected));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let half = fields(&["--tls-cert", "/c"]).unwrap_err();
        assert_eq!(half, "--tls-cert and --tls-key go together; --tls-cert '' alone ends TLS");
        let count = fields(&["--connections-max", "many"]).unwrap_err();
        assert_eq!(count, "--connections-max: \"many\" is neither a number nor 'any'");
        assert!(fields(&["--unknown", "regster"]).unwrap_err().contains("register"));
        let whole = fields(&["--tls-cert", "/c", "--tls-key", "/k", "--set", "a=b"]).unwrap();
        let tls = ListenerTls { cert: "/c".into(), key: "/k".into(), client_ca: None };
        assert_eq!((whole.tls, whole.settings), (Some(Some(tls)), Some([("a".to_owned(), "b".to_owned())].into())));
    }
}
