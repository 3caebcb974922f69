//! Who may come to a listener, how many at a time, and how fast.

use crate::limits::PROXY_HEADER_MAX;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// What a listener says about those who come to it, by their addresses and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Networks from which devices may come; none: from everywhere.
    pub allow: Vec<IpNet>,
    /// Networks from which they may not, whatever `allow` says.
    pub deny: Vec<IpNet>,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address; 0: any number.
    pub connections_per_address_max: usize,
    /// Connections that are taken in in a second, and as many at once after a while without; 0: any number. What comes faster
    /// waits in the kernel.
    pub accepts_per_second_max: u32,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            connections_max: usize::MAX,
            connections_per_address_max: 0,
            accepts_per_second_max: 0,
        }
    }
}

impl Access {
    /// Whether somebody may come from an address, which is not a mapped one; says why not.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        if let Some(net) = self.deny.iter().find(|net| net.contains(&address)) {
            return Err(Refusal::Denied(*net));
        }
        match self.allow.is_empty() || contains(&self.allow, address) {
            true => Ok(()),
            false => Err(Refusal::NotAllowed),
        }
    }
}

/// Whether an address, which is not a mapped one, is in one of the networks.
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|net| net.contains(&address))
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A bound on all connections is met.
    Full(usize),
    /// One on those of one address.
    FullAddress(usize),
    /// A bound on the connections of the listener.
    FullListener(usize),
    /// One on those of one address there.
    FullListenerAddress(usize),
    /// The address is in a network from which nobody may come.
    Denied(IpNet),
    /// It is in none of those from which one may come.
    NotAllowed,
    /// It is not that of a balancer that may say whose a connection is.
    Untrusted,
    /// What the balancer should say is wrong.
    Proxy(&'static str),
    /// It was not said in time.
    ProxyLate,
    /// The two sides do not come to speak TLS.
    Tls(String),
    /// Not in time.
    TlsLate(Duration),
}

impl Refusal {
    /// A short word, for metrics and log.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Full(_) => "connections_max",
            Self::FullAddress(_) => "connections_per_address_max",
            Self::FullListener(_) => "listener_connections_max",
            Self::FullListenerAddress(_) => "listener_connections_per_address_max",
            Self::Denied(_) => "denied",
            Self::NotAllowed => "not_allowed",
            Self::Untrusted => "proxy_untrusted",
            Self::Proxy(_) => "proxy_header",
            Self::ProxyLate => "proxy_late",
            Self::Tls(_) => "tls_handshake",
            Self::TlsLate(_) => "tls_late",
        }
    }

    /// The key of the configuration that says so, and what it is.
    pub(crate) fn bound(&self) -> (&'static str, String) {
        match self {
            Self::Full(most) => ("limits.connections_max", most.to_string()),
            Self::FullAddress(most) => ("limits.connections_per_address_max", most.to_string()),
            Self::FullListener(most) => ("listener.connections_max", most.to_string()),
            Self::FullListenerAddress(most) => ("listener.connections_per_address_max", most.to_string()),
            Self::Denied(net) => ("listener.deny", net.to_string()),
            Self::NotAllowed => ("listener.allow", String::new()),
            Self::Untrusted => ("listener.trusted", String::new()),
            Self::Proxy(why) => ("PROXY protocol", (*why).to_owned()),
            Self::ProxyLate => ("PROXY_HEADER_MAX", format!("{PROXY_HEADER_MAX:?}")),
            Self::Tls(error) => ("TLS", error.clone()),
            Self::TlsLate(most) => ("limits.handshake_max", format!("{most:?}")),
        }
    }

    /// What it is, for a person.
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Full(_) | Self::FullAddress(_) | Self::FullListener(_) | Self::FullListenerAddress(_) => {
                "connection refused: the bound is met"
            }
            Self::Denied(_) | Self::NotAllowed => "refused: nobody may come from that address",
            Self::Untrusted => "refused: only a trusted balancer may come here",
            Self::Proxy(_) | Self::ProxyLate => "refused: the balancer does not say whose the connection is",
            Self::Tls(_) | Self::TlsLate(_) => "refused: the TLS handshake failed",
        }
    }
}

/// When the next connection may be taken in: so many in a second, and as many at once after a while without.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u32,
    /// When all of a second's connections would be there again, if none came. Ahead of now by a second, there are none left.
    full_at: Duration,
}

impl Pace {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, full_at: Duration::ZERO }
    }

    /// How long to wait before one may be taken in.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        let each = SECOND.checked_div(self.per_second)?;
        (self.full_at.max(now) + each).checked_sub(now + SECOND).filter(|wait| !wait.is_zero())
    }

    /// One was taken in.
    pub(crate) fn took(&mut self, now: Duration) {
        if let Some(each) = SECOND.checked_div(self.per_second) {
            self.full_at = self.full_at.max(now) + each;
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Access { allow: nets(allow), deny: nets(deny), ..Access::default() }
    }

    fn check(access: &Access, address: &str, expected: Result<(), &str>) {
        let found = access.check(address.parse().unwrap());
        let found = found.as_ref().copied().map_err(Refusal::reason);
        assert_eq!(found, expected, "{address}");
    }

    #[test]
    fn who_is_denied_does_not_come_and_who_is_allowed_does() {
        check(&access(&[], &[]), "203.0.113.7", Ok(()));
        let lists = access(&["10.0.0.0/8", "2001:db8::/32"], &["10.9.0.0/16", "10.1.2.3/32"]);
        for (address, expected) in [
            ("10.0.0.0", Ok(())),
            ("10.255.255.255", Ok(())),
            ("9.255.255.255", Err("not_allowed")),
            ("11.0.0.0", Err("not_allowed")),
            ("10.9.0.0", Err("denied")),
            ("10.9.255.255", Err("denied")),
            ("10.10.0.0", Ok(())),
            ("10.1.2.3", Err("denied")),
            ("10.1.2.2", Ok(())),
            ("2001:db8:ffff::1", Ok(())),
            ("2001:db9::1", Err("not_allowed")),
        ] {
            check(&lists, address, expected);
        }
        check(&access(&[], &["0.0.0.0/0"]), "192.0.2.1", Err("denied"));
        check(&access(&[], &["0.0.0.0/0"]), "2001:db8::1", Ok(()));
    }

    #[test]
    fn so_many_are_taken_in_in_a_second_and_the_others_wait() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(4);
        let mut taken = Vec::new();
        let mut now = ms(10_000);
        while now < ms(12_000) {
            match pace.wait(now) {
                None => {
                    pace.took(now);
                    taken.push(now - ms(10_000));
                }
                Some(wait) => now += wait,
            }
        }
        // Four at once, and then one each quarter of a second.
        assert_eq!(taken, [0, 0, 0, 0, 250, 500, 750, 1000, 1250, 1500, 1750].map(ms));
        // After a pause, however long, there are four at once again, and no more.
        let later = ms(3_600_000);
        for _ in 0..4 {
            assert_eq!(pace.wait(later), None);
            pace.took(later);
        }
        assert_eq!(pace.wait(later), Some(ms(250)));
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        let mut pace = Pace::new(0);
        for _ in 0..100_000 {
            assert_eq!(pace.wait(Duration::ZERO), None);
            pace.took(Duration::ZERO);
        }
    }
}
