//! How a conversation is held that comes out of a fuzzer's bytes.
//!
//! ```text
//! which u8     protocol and transport, among all pairs of them
//! checksum u8  odd: wrong checksums are notes, so that bytes get past them
//! settings s8  `name=value`, one a line: names that the protocol knows, values unchecked
//! ```

use crate::vectors::Options;
use odograph_protocols::{Checksum, Protocol, Settings, Terms, Transport};

/// How a conversation is held.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What is spoken.
    pub protocol: &'static Protocol,
    /// How it travels.
    pub transport: Transport,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// The protocol's settings.
    pub settings: Settings,
}

impl Setup {
    /// Takes a setup for one of `protocols` from the beginning of `input`, and gives the rest. Any bytes will do.
    pub fn read<'i>(input: &'i [u8], protocols: &[&'static Protocol]) -> (Self, &'i [u8]) {
        let ([which, checksum, length], rest) = match input.split_first_chunk() {
            Some((head, rest)) => (*head, rest),
            None => ([0; 3], input),
        };
        let (text, rest) = rest.split_at(usize::from(length).min(rest.len()));
        let text = String::from_utf8_lossy(text);
        let pairs = pairs(protocols);
        let (protocol, transport) = pairs[usize::from(which) % pairs.len()];
        let checksum = if checksum % 2 == 1 { Checksum::Note } else { Checksum::Enforce };
        let known = |name: &str| protocol.settings.iter().any(|setting| setting.name == name);
        let settings = text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| known(name));
        let settings = Settings::recorded(settings);
        (Self { protocol, transport, checksum, settings }, rest)
    }

    /// The setup of a paragraph of the protocol's vectors.
    pub fn of(protocol: &'static Protocol, options: &Options) -> Self {
        let pairs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self {
            protocol,
            transport: options.transport.unwrap_or(protocol.transports[0]),
            checksum: options.checksum,
            settings: Settings::recorded(pairs),
        }
    }

    /// What [`Setup::read`] takes as this setup.
    pub fn bytes(&self, protocols: &[&'static Protocol]) -> Vec<u8> {
        let same = |pair: &(&Protocol, Transport)| (pair.0.name, pair.1) == (self.protocol.name, self.transport);
        let which = pairs(protocols).iter().position(same).expect("the protocol is one of these");
        let lines: Vec<_> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = lines.join("\n");
        let fits = |number: usize| u8::try_from(number).expect("there are few protocols and short settings");
        let mut bytes = vec![fits(which), u8::from(self.checksum == Checksum::Note), fits(text.len())];
        bytes.extend(text.bytes());
        bytes
    }

    /// The same, for a [`odograph_protocols::Conversation`].
    pub fn terms(&self) -> Terms {
        Terms { transport: Some(self.transport), settings: self.settings.clone(), checksum: self.checksum }
    }
}

fn pairs(protocols: &[&'static Protocol]) -> Vec<(&'static Protocol, Transport)> {
    protocols.iter().flat_map(|protocol| protocol.transports.iter().map(|transport| (*protocol, *transport))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_protocols::PROTOCOLS;

    #[test]
    fn what_is_written_is_read_again() {
        for (protocol, transport) in pairs(PROTOCOLS) {
            let settings = protocol.settings.iter().map(|setting| (setting.name, "+02:00"));
            let settings = Settings::recorded(settings);
            let setup = Setup { protocol, transport, checksum: Checksum::Note, settings };
            let mut bytes = setup.bytes(PROTOCOLS);
            bytes.extend(b"rest");
            let (read, rest) = Setup::read(&bytes, PROTOCOLS);
            assert_eq!((read.protocol.name, read.transport, read.checksum), (protocol.name, transport, Checksum::Note));
            assert_eq!((read.settings, rest), (setup.settings, &b"rest"[..]));
        }
    }
}
