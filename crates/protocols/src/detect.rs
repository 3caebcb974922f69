//! Finding out which protocol is spoken on a port that understands all of them.
//!
//! Whoever disclaims the bytes drops out, and does so for good. One that claims them is decided on once it is the only
//! one left: so a decision is never wrong unless somebody disclaimed what is his, and the laws of the tests look for that.

use crate::{Claim, Command, CommandError, Encoded, Looks, Maturity, Out, PROTOCOLS, Protocol, Session, Transport};
use odograph_model::Time;
use odograph_wire::http::HEAD_BYTES_MAX;
use odograph_wire::{Cut, Framing, Result};

/// What stands in a protocol's place as long as nobody knows which it is. It has no frames: its bytes are kept until
/// somebody can say whose they are.
pub static UNIDENTIFIED: Protocol = SILENT;

const SILENT: Protocol = Protocol {
    name: "unidentified",
    title: "Not known yet",
    devices: "whoever comes to the port that understands all protocols",
    source: "none",
    maturity: Maturity::Unverified,
    port: COMMON_PORT,
    transports: &[Transport::Tcp, Transport::Udp],
    framing: Framing::Custom(|bytes| Cut::Need(bytes.len().saturating_add(1))),
    recognise: |_, _| Claim::No,
    looks: Looks { form: "", proof: "" },
    frame_max: usize::MAX,
    // How long the address that sent datagrams is remembered.
    idle_s_max: 3600,
    has_checksum: false,
    datagrams_identify: true,
    commands_by_datagram: false,
    settings: &[],
    commands: &[],
    open: |_| Box::new(Silence),
};

/// What people call the protocol of a port that understands all of them.
pub const AUTO: &str = "auto";

/// What a listener of that name listens for: a protocol, or all of them.
pub fn listened(name: &str) -> Option<&'static Protocol> {
    if name == AUTO { Some(&UNIDENTIFIED) } else { crate::find(name) }
}

/// What people call what a listener listens for.
pub fn name_of_listened(protocol: &Protocol) -> &'static str {
    if protocol.name == UNIDENTIFIED.name { AUTO } else { protocol.name }
}

/// The port that understands all protocols, unless the configuration names another.
pub const COMMON_PORT: u16 = 5000;

/// What a device may send before it must be clear which protocol it speaks, in bytes. The longest message by which one
/// can be told has some kilobytes; who sends more than that without being understood sends something else.
pub const UNDECIDED_BYTES_MAX: usize = 8 << 10;

/// The same where it may be requests by HTTP: who sends them may show in a body behind the longest head.
pub const UNDECIDED_REQUEST_BYTES_MAX: usize = HEAD_BYTES_MAX + UNDECIDED_BYTES_MAX;

/// How much of a stream a protocol is shown before it must have claimed it.
const fn shown_max(protocol: &Protocol) -> usize {
    if protocol.is_of_requests() { UNDECIDED_REQUEST_BYTES_MAX } else { UNDECIDED_BYTES_MAX }
}

/// What a protocol is shown of `start`. A datagram is whole.
fn shown<'a>(protocol: &Protocol, transport: Transport, start: &'a [u8]) -> &'a [u8] {
    match transport {
        Transport::Tcp => start.get(..shown_max(protocol)).unwrap_or(start),
        Transport::Udp => start,
    }
}

/// What is known by now of who speaks.
#[derive(Debug, Clone, Copy)]
pub enum Detected {
    /// Several may, or the one who may does not claim it yet.
    Open,
    /// It is this one.
    Protocol(&'static Protocol),
    /// It is none that this version knows.
    Nobody,
}

/// Listens to one stream, or to one datagram, until it is clear who speaks.
#[derive(Debug, Clone)]
pub struct Detector {
    transport: Transport,
    /// Who has not disclaimed what came so far, and what each of them said last.
    left: Vec<&'static Protocol>,
    claims: Vec<Claim>,
}

impl Detector {
    /// Nothing was heard yet.
    pub fn new(transport: Transport) -> Self {
        Self::of(PROTOCOLS, transport)
    }

    fn of(protocols: &[&'static Protocol], transport: Transport) -> Self {
        let left: Vec<_> =
            protocols.iter().copied().filter(|protocol| protocol.transports.contains(&transport)).collect();
        Self { transport, claims: vec![Claim::Perhaps(0); left.len()], left }
    }

    /// Hears `start`: all that came so far, from the first byte on. Of a stream, nobody is shown more than his bound: so
    /// the same bytes give the same decision, however many of them come at a time. And nobody is asked again before he
    /// can say anything new.
    pub fn hear(&mut self, start: &[u8]) -> Detected {
        for (protocol, claim) in self.left.iter().zip(&mut self.claims) {
            let shown = shown(protocol, self.transport, start);
            if matches!(*claim, Claim::Perhaps(need) if need <= shown.len()) {
                *claim = (protocol.recognise)(shown, self.transport);
            }
        }
        let mut claims = self.claims.iter();
        self.left.retain(|_| claims.next() != Some(&Claim::No));
        self.claims.retain(|claim| *claim != Claim::No);
        match (self.left.as_slice(), self.claims.as_slice()) {
            ([], _) => Detected::Nobody,
            ([protocol], [Claim::Yes]) => Detected::Protocol(protocol),
            _ => Detected::Open,
        }
    }

    /// How many bytes there may be of a stream before it must be clear who speaks: beyond, nobody says anything new.
    pub fn bytes_max(&self) -> usize {
        self.left.iter().map(|protocol| shown_max(protocol)).max().unwrap_or(UNDECIDED_BYTES_MAX)
    }

    /// What the device waits for before it says more, where just one protocol is left to wait for. It promises nothing.
    pub fn prompt(&self, start: &[u8]) -> Option<&'static [u8]> {
        let [protocol] = self.left.as_slice() else { return None };
        let mut rest = start;
        while !rest.is_empty() {
            match protocol.cut(rest) {
                Cut::Skip(blank) => rest = rest.get(blank..).unwrap_or_default(),
                Cut::Need(_) => return protocol.framing.prompt(rest),
                Cut::Frame(_) | Cut::Lost(_) => break,
            }
        }
        None
    }

    /// Who may still be speaking.
    pub fn left(&self) -> &[&'static Protocol] {
        &self.left
    }

    /// Who may still be speaking, each with why, in words: of `start`, which was heard last.
    pub fn reasons(&self, start: &[u8]) -> impl Iterator<Item = (&'static Protocol, String)> {
        self.left.iter().zip(&self.claims).map(move |(protocol, claim)| {
            (*protocol, protocol.looks.reason(*claim, shown(protocol, self.transport, start).len()))
        })
    }

    /// Why it is nobody, in words, where nobody is left.
    pub fn ruled_out(&self) -> String {
        let count = PROTOCOLS.iter().filter(|protocol| protocol.transports.contains(&self.transport)).count();
        let transport = self.transport.name().to_uppercase();
        format!("none of the {count} protocols that are understood over {transport} has messages that begin so")
    }
}

/// Who sent `start`, the first bytes of a stream or one whole datagram, if that is clear.
pub fn decide(start: &[u8], transport: Transport) -> Option<&'static Protocol> {
    match Detector::new(transport).hear(start) {
        Detected::Protocol(protocol) => Some(protocol),
        Detected::Open | Detected::Nobody => None,
    }
}

struct Silence;

impl Session for Silence {
    fn on_frame(&mut self, _frame: &[u8], _received: Time, _out: &mut Out<'_>) -> Result<()> {
        Ok(())
    }

    fn command(&mut self, _device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        Err(CommandError::Unknown { name: command.name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    const LOGIN: &[u8] = b"\x00\x0F352093081452251";

    /// What is decided after each byte.
    fn course(bytes: &[u8]) -> Vec<Option<&'static str>> {
        let mut detector = Detector::new(Transport::Tcp);
        let named = |detected| match detected {
            Detected::Open => None,
            Detected::Protocol(protocol) => Some(protocol.name),
            Detected::Nobody => Some("nobody"),
        };
        (1..=bytes.len()).map(|length| named(detector.hear(&bytes[..length]))).collect()
    }

    #[test]
    fn a_decision_falls_with_the_byte_that_makes_it_clear() {
        let said = course(LOGIN);
        assert!(said[..16].iter().all(Option::is_none), "{said:?}");
        assert_eq!(said[16], Some("teltonika"));
        // A ping could also be the beginning of a container.
        assert_eq!(course(b"\xFF\x00\x0F"), [None; 3]);
        assert_eq!(course(b"#L#123;test\r\n").pop(), Some(Some("wialon")));
    }

    #[test]
    fn nobody_is_asked_before_he_can_say_more() {
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let counted = |recognise| -> &'static Protocol { Box::leak(Box::new(Protocol { recognise, ..SILENT })) };
        let waits = counted(|start, _| {
            ASKED.fetch_add(1, Relaxed);
            if start.len() < 500 { Claim::Perhaps(500) } else { Claim::Yes }
        });
        let goes = counted(|start, _| {
            ASKED.fetch_add(1, Relaxed);
            if start.len() < 600 { Claim::Perhaps(600) } else { Claim::No }
        });
        let mut detector = Detector::of(&[waits, goes], Transport::Tcp);
        let said: Vec<_> = (1..=700).map(|length| detector.hear(&[0; 700][..length])).collect();
        assert_eq!(ASKED.load(Relaxed), 4, "each at first, and where it asked for");
        assert_eq!(said.iter().position(|detected| matches!(detected, Detected::Protocol(_))), Some(599));
        // Nobody is shown more than his bound.
        let bounded = counted(|start, _| {
            assert!(start.len() <= UNDECIDED_BYTES_MAX, "{} bytes are shown", start.len());
            Claim::next(start)
        });
        let mut detector = Detector::of(&[bounded], Transport::Tcp);
        for length in [1, UNDECIDED_BYTES_MAX, UNDECIDED_BYTES_MAX + 1, 2 * UNDECIDED_BYTES_MAX] {
            assert!(matches!(detector.hear(&vec![0; length]), Detected::Open));
        }
        assert_eq!(detector.bytes_max(), UNDECIDED_BYTES_MAX);
    }

    #[test]
    fn who_speaks_something_else_is_nobody_and_stays_so() {
        for probe in [
            &b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..],
            b"POST /api HTTP/1.0\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x00\xC8\x01\x00\x00\xC4\x03\x03",
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
            b"\x03\x00\x00\x2F\x2A\xE0\x00\x00\x00\x00\x00Cookie: mstshash=user\r\n",
            b"\x05\x01\x00",
            b"EHLO example.org\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
        ] {
            let said = course(probe);
            let decided = said.iter().flatten().find(|name| **name != "nobody");
            assert_eq!(decided, None, "{}", probe.escape_ascii());
            let first = said.iter().position(Option::is_some).unwrap_or(said.len());
            assert!(said[first..].iter().all(Option::is_some), "nobody stays nobody: {}", probe.escape_ascii());
        }
    }

    #[test]
    fn whoever_is_left_says_why_and_so_it_is_said_that_nobody_is() {
        let told = |bytes: &[u8], transport| {
            let mut detector = Detector::new(transport);
            let is_nobody = matches!(detector.hear(bytes), Detected::Nobody);
            let mut told: Vec<_> =
                detector.reasons(bytes).map(|(protocol, reason)| format!("{} {reason}", protocol.name)).collect();
            told.extend(is_nobody.then(|| detector.ruled_out()));
            told.join("; ")
        };
        let gt06 = "gt06 begins like its messages (from 78 78 or 79 79 up to 0D 0A), but";
        let short = "what was looked at is too short to be sure: it ends with byte 4, and byte 5 is the first";
        assert_eq!(told(b"\x78\x78\x0D\x01", Transport::Tcp), format!("{gt06} {short} that can tell more"));
        let wrong = b"\x78\x78\x05\x13\x00\x01\x00\x00\r\n";
        assert_eq!(told(wrong, Transport::Tcp), format!("{gt06} not with a packet whose length and checksum fit"));
        let sure = told(LOGIN, Transport::Tcp);
        assert!(
            sure.starts_with("teltonika begins like") && sure.contains(", and with an IMEI of 15 digits"),
            "{sure}"
        );
        let nobody = told(b"is anybody there\r\n", Transport::Udp);
        assert!(nobody.ends_with("understood over UDP has messages that begin so"), "{nobody}");
    }

    #[test]
    fn what_stands_for_no_protocol_is_none() {
        assert!(find(UNIDENTIFIED.name).is_none() && find(AUTO).is_none());
        assert_eq!(listened(AUTO).map(name_of_listened), Some(AUTO));
        assert_eq!(listened("gt06").map(name_of_listened), Some("gt06"));
        assert!(PROTOCOLS.iter().all(|protocol| protocol.port != COMMON_PORT));
        assert!(matches!(UNIDENTIFIED.cut(&[0; 99]), Cut::Need(100)));
        let silent = Detector::new(Transport::Udp);
        assert!(silent.left().iter().all(|protocol| protocol.transports.contains(&Transport::Udp)));
    }
}
