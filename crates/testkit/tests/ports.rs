//! Where ports are listed outside the program, for firewalls and in `deploy/`, they are those of the registry: `UPDATE=1`
//! prints the lists anew, between the lines that say `ports` and `/ports`.

use odograph_protocols::PROTOCOLS;
use odograph_protocols::Transport::{self, Tcp, Udp};
use odograph_protocols::detect::COMMON_PORT;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn ports_are_those_of_the_registry_wherever_they_are_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rewrite = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (file, begin, end, print) in LISTS {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let printed =
            with_list(&text, begin, end, &print()).unwrap_or_else(|| panic!("{file} has no {begin:?} … {end:?}"));
        if printed != text {
            match rewrite {
                true => std::fs::write(&path, printed).expect("the file is written"),
                false => stale.push(*file),
            }
        }
    }
    let command = "UPDATE=1 cargo test -p odograph-testkit --test ports";
    assert!(stale.is_empty(), "{command} prints these anew: {}", stale.join(", "));
}

/// The text with this list between the two lines.
fn with_list(text: &str, begin: &str, end: &str, list: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("{begin}\n"))?;
    let (_, after) = rest.split_once(end)?;
    // The list's last line ends where the marker's indentation begins.
    let indent: String = before.rsplit('\n').next().unwrap_or_default().to_owned();
    Some(format!("{before}{begin}\n{list}{indent}{end}{after}"))
}

/// What listens: the port for all protocols, then each of them, with what it is called and its ways in.
fn listeners() -> Vec<(&'static str, &'static str, u16, &'static [Transport])> {
    let own = PROTOCOLS.iter().map(|protocol| (protocol.name, protocol.title, protocol.port, protocol.transports));
    std::iter::once(("auto", "all protocols on one port", COMMON_PORT, &[Tcp, Udp] as &[_])).chain(own).collect()
}

fn table() -> String {
    let mut text = "| protocol | port | by | for |\n|---|--:|---|---|\n".to_owned();
    for (name, title, port, transports) in listeners() {
        let by: Vec<_> = transports.iter().map(|transport| transport.name()).collect();
        let name = match name {
            "auto" => "[`auto`](common-port.md)".to_owned(),
            name => format!("[`{name}`](../protocols/{name}.md)"),
        };
        let _ = writeln!(text, "| {name} | {port} | {} | {title} |", by.join(", "));
    }
    text
}

/// Rules of nftables.
fn rules() -> String {
    let ports = |wanted: Transport| {
        let mut ports: Vec<_> =
            listeners().into_iter().filter(|(.., by)| by.contains(&wanted)).map(|(_, _, port, _)| port).collect();
        ports.sort_unstable();
        ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let (tcp, udp) = (ports(Tcp), ports(Udp));
    format!(
        "```\ntable inet odograph {{\n  chain input {{\n    type filter hook input priority filter; policy drop;\n    \
         iif \"lo\" accept\n    ct state established,related accept\n    meta l4proto {{ icmp, ipv6-icmp }} accept\n    \
         tcp dport 22 accept    # your own way in\n    tcp dport {{ {tcp} }} accept\n    udp dport {{ {udp} }} accept\n  }}\n}}\n```\n"
    )
}

fn exposed() -> String {
    let mut text = String::new();
    for (.., port, transports) in listeners() {
        let all: Vec<_> = transports.iter().map(|transport| format!("{port}/{}", transport.name())).collect();
        let _ = writeln!(text, "EXPOSE {}", all.join(" "));
    }
    text
}

fn published() -> String {
    let mut text = String::new();
    for (name, _, port, transports) in listeners() {
        for transport in transports {
            let _ = writeln!(text, "      - \"{port}:{port}/{}\" # {name}", transport.name());
        }
    }
    text
}

fn sockets() -> String {
    let mut text = String::new();
    for (name, _, port, transports) in listeners() {
        let _ = writeln!(text, "# {name}");
        for transport in transports {
            let kind = if *transport == Tcp { "Stream" } else { "Datagram" };
            let _ = writeln!(text, "Listen{kind}=[::]:{port}");
        }
    }
    text
}

/// A file, the lines around the list, and what prints it.
type List = (&'static str, &'static str, &'static str, fn() -> String);

const FIREWALLS: &str = "docs/operating/ports-and-firewalls.md";
const LISTS: &[List] = &[
    (FIREWALLS, "<!-- ports -->", "<!-- /ports -->", table),
    (FIREWALLS, "<!-- rules of ports -->", "<!-- /rules of ports -->", rules),
    ("deploy/Containerfile", "# ports", "# /ports", exposed),
    ("deploy/compose.yaml", "# ports", "# /ports", published),
    ("deploy/systemd/odograph.socket", "# ports", "# /ports", sockets),
];
