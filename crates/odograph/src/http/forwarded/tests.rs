//! Who asks, by what proxies and strangers write.

use super::*;
use odograph_testkit::SeededRng;

/// Proxies of a test: any of these may be connected with us.
const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.80/32"];

fn proxies() -> Proxies {
    let trusted: Vec<IpNet> = TRUSTED.iter().map(|network| network.parse().unwrap()).collect();
    Proxies::new(&trusted)
}

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// What comes of headers that a proxy sends without TLS.
#[track_caller]
fn check(lines: &[(&str, &str)], address: &str, secure: bool) {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let expected = Origin::Network { address: address.parse().unwrap(), secure };
    assert_eq!(proxies().origin(PROXY.parse().unwrap(), false, &headers(&lines)), expected);
}

const PROXY: &str = "10.0.0.1";
const CLIENT: &str = "198.51.100.7";
const XFF: &str = "x-forwarded-for";
const XFP: &str = "x-forwarded-proto";
const FWD: &str = "forwarded";

#[test]
fn the_last_address_that_is_no_proxys_is_the_clients() {
    check(&[], PROXY, false);
    check(&[(XFF, CLIENT)], CLIENT, false);
    check(&[(XFF, "203.0.113.9, 198.51.100.7")], CLIENT, false);
    check(&[(XFF, "203.0.113.9"), (XFF, CLIENT)], CLIENT, false);
    check(&[(XFF, "203.0.113.9, 198.51.100.7 , 10.7.7.7,2001:db8:1::5,192.0.2.80")], CLIENT, false);
    check(&[(XFF, "198.51.100.7:4711")], CLIENT, false);
    check(&[(XFF, "::ffff:198.51.100.7")], CLIENT, false);
    check(&[(XFF, "[2001:db8::17]:443, ,")], "2001:db8::17", false);
    check(&[(XFF, "[2001:db8::17]")], "2001:db8::17", false);
    check(&[(FWD, "for=198.51.100.7")], CLIENT, false);
    check(&[(FWD, "for=203.0.113.9, For=\"198.51.100.7:1\" ; by=10.0.0.1;host=\"a,b;c\"")], CLIENT, false);
    check(&[(FWD, "for=\"[2001:db8::17]:4711\";proto=https, for=10.0.0.9;proto=http")], "2001:db8::17", true);
    check(&[(FWD, "for=198.51.100.7"), (XFF, CLIENT)], CLIENT, false);
    // It began among the proxies: whatever it said itself does not count.
    check(&[(XFF, "10.9.9.9, 10.1.1.1")], "10.1.1.1", false);
}

#[test]
fn what_is_unclear_is_the_proxys_own() {
    for unclear in
        ["unknown", "_hidden", "198.51.100", "fe80::1%eth0", "\"198.51.100.7\"", "198.51.100.7 203.0.113.9", "-"]
    {
        check(&[(XFF, unclear)], PROXY, false);
        check(&[(XFF, &format!("203.0.113.9, {unclear}"))], PROXY, false);
        check(&[(XFF, &format!("{unclear}, {CLIENT}, 10.0.0.9"))], CLIENT, false);
    }
    for unclear in [
        "for=unknown",
        "for=_x",
        "198.51.100.7",
        "for=198.51.100.7;for=203.0.113.9",
        "by=10.0.0.1",
        "for=\"1",
        "=",
        ";",
    ] {
        check(&[(FWD, unclear)], PROXY, false);
        check(&[(FWD, &format!("for=203.0.113.9, {unclear}"))], PROXY, false);
        check(&[(FWD, &format!("{unclear}, for={CLIENT}"))], CLIENT, false);
    }
    // One of both somebody else has written.
    check(&[(FWD, "for=203.0.113.9"), (XFF, CLIENT)], PROXY, false);
    check(&[(FWD, "for=unknown"), (XFF, CLIENT)], PROXY, false);
    let chain = |proxies: usize| [CLIENT].into_iter().chain(vec!["10.0.0.2"; proxies]).collect::<Vec<_>>().join(",");
    check(&[(XFF, &chain(PROXIES_MAX - 1))], CLIENT, false);
    check(&[(XFF, &chain(PROXIES_MAX))], PROXY, false);
    let bytes = headers(&[(XFF, b"203.0.113.9, \xff\xfe")]);
    let own = Origin::Network { address: PROXY.parse().unwrap(), secure: true };
    assert_eq!(proxies().origin("::ffff:10.0.0.1".parse().unwrap(), true, &bytes), own);
}

#[test]
fn the_scheme_is_that_of_the_clients_connection() {
    check(&[(XFF, CLIENT), (XFP, "https")], CLIENT, true);
    check(&[(XFF, CLIENT), (XFP, "HTTP")], CLIENT, false);
    check(&[(XFF, CLIENT), (XFP, "gopher")], CLIENT, false);
    check(&[(XFF, "198.51.100.7, 10.0.0.9"), (XFP, "https, http")], CLIENT, true);
    check(&[(XFF, "198.51.100.7, 10.0.0.9"), (XFP, "https")], CLIENT, true);
    check(&[(XFF, "198.51.100.7"), (XFP, "https, http")], CLIENT, false);
    check(&[(FWD, "for=198.51.100.7;proto=http"), (XFP, "https")], CLIENT, false);
    check(&[(FWD, "for=198.51.100.7"), (XFP, "https")], CLIENT, true);
    // The proxy comes by TLS and says that whoever asks did not: a browser would not send a cookie back that is for TLS alone.
    let lines: [(&str, &[u8]); 2] = [(XFF, CLIENT.as_bytes()), (XFP, b"http")];
    let plain = Origin::Network { address: CLIENT.parse().unwrap(), secure: false };
    assert_eq!(proxies().origin(PROXY.parse().unwrap(), true, &headers(&lines)), plain);
}

#[test]
fn of_all_others_headers_are_ignored() {
    let lines: [(&str, &[u8]); 3] = [(XFF, b"203.0.113.9"), (FWD, b"for=203.0.113.9;proto=https"), (XFP, b"https")];
    for (proxies, peer, tls) in
        [(proxies(), CLIENT, false), (proxies(), "::1", true), (Proxies::default(), PROXY, false)]
    {
        let peer = peer.parse().unwrap();
        assert_eq!(proxies.origin(peer, tls, &headers(&lines)), Origin::Network { address: peer, secure: tls });
    }
}

/// Whatever a stranger sends, through one proxy or several that write either header in either manner: what comes out is the stranger's
/// own address, or the proxy's where they sent both headers.
#[test]
fn no_stranger_chooses_an_address() {
    let seed = 0x0d0_67a9;
    let rng = SeededRng::new(seed);
    let pick = |of: &[&'static str]| of[rng.below(of.len() as u64) as usize];
    let own: IpAddr = "198.51.100.7".parse().unwrap();
    for round in 0..20_000 {
        let (by_rfc, both) = (rng.one_in(2), rng.one_in(4));
        let (managed, other) = if by_rfc { (FWD, XFF) } else { (XFF, FWD) };
        let junk = || (0..rng.below(12)).map(|_| pick(PIECES)).collect::<String>();
        let mut lines: Vec<(&str, String)> = (0..rng.below(3)).map(|_| (managed, junk())).collect();
        if both {
            lines.push((other, junk()));
        }
        // The first proxy names the stranger, each other one the proxy before.
        for from in ["198.51.100.7", "10.0.0.3", "2001:db8:1::4"].into_iter().take(1 + rng.below(3) as usize) {
            let node = match (by_rfc, from.contains(':')) {
                (false, _) => from.to_owned(),
                (true, false) => format!("for={from};proto=https"),
                (true, true) => format!("by=_x;for=\"[{from}]:4711\""),
            };
            match lines.iter_mut().rfind(|(name, _)| *name == managed).filter(|_| rng.one_in(2)) {
                Some((_, line)) => *line = format!("{line}, {node}"),
                None => lines.push((managed, node)),
            }
        }
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, line)| (*name, line.as_bytes())).collect();
        let found = proxies().origin(PROXY.parse().unwrap(), true, &headers(&lines));
        let Origin::Network { address, .. } = found else { panic!("by the network") };
        let is_right = address == own || (both && address == PROXY.parse::<IpAddr>().unwrap());
        assert!(is_right, "seed {seed:#x}, round {round}: {address} by {lines:?}");
    }
}

/// What a stranger's header may be made of.
const PIECES: &[&str] = &[
    "203.0.113.9",
    "10.0.0.2",
    "2001:db8::9",
    "for=",
    "For=\"",
    "\"",
    ",",
    ", ",
    ";",
    "proto=https",
    "by=",
    "[",
    "]",
    ":80",
    "\\",
    "\\\"",
    " ",
    "unknown",
    "_",
    "=",
    "%",
    "\t",
    "a",
];
