//! The languages: how devices introduce themselves, what they send, what they take for an acknowledgement, and what for a
//! command.
//!
//! All of it is written from the makers' descriptions, and shares nothing with the decoders.

mod calendar;
mod galileo;
mod gt06;
mod osmand;
mod teltonika;
mod wialon;

use crate::measured::Measured;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speech {
    /// Teltonika codec 8 Extended, by TCP and UDP.
    Teltonika,
    /// Wialon IPS 2.0.
    Wialon,
    /// Galileosky's tags, with a refrigeration unit behind it.
    Galileo,
    /// GT06.
    Gt06,
    /// OsmAnd's requests by HTTP.
    Osmand,
}

/// What a device sends at once, and expects to hear for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What an acknowledgement of it says; see [`Heard::Acknowledged`].
    pub mark: u32,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Not enough yet.
    Nothing,
    /// The login was taken, or refused.
    Login(bool),
    /// A frame was acknowledged, with the number, serial or checksum that says which.
    Acknowledged(u32),
    /// It wants something.
    Command(Order),
    /// Something that asks for nothing.
    Other,
    /// Something that is not of the protocol: nothing that follows can be made out.
    Nonsense,
}

/// A command as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What it says.
    pub text: String,
    /// What the answer has to repeat.
    pub token: u32,
}

impl Speech {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Teltonika, Self::Wialon, Self::Galileo, Self::Gt06, Self::Osmand];

    /// The protocol's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teltonika => "teltonika",
            Self::Wialon => "wialon",
            Self::Galileo => "galileo",
            Self::Gt06 => "gt06",
            Self::Osmand => "osmand",
        }
    }

    /// The language of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|speech| speech.name() == name)
    }

    /// The port on which a server listens for it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Teltonika => 5027,
            Self::Wialon => 5039,
            Self::Galileo => 5034,
            Self::Gt06 => 5023,
            Self::Osmand => 5055,
        }
    }

    /// Whether it is spoken by datagrams too. Of those of Wialon IPS an answer does not say to whom it is.
    pub const fn has_datagrams(self) -> bool {
        matches!(self, Self::Teltonika)
    }

    /// Whether it has words for a refrigeration unit, or at least for temperatures.
    pub const fn has_unit(self) -> bool {
        !matches!(self, Self::Gt06)
    }

    /// The most records that a frame takes.
    pub const fn batch_max(self) -> usize {
        match self {
            // The maker allows 1280 bytes of data.
            Self::Teltonika => 6,
            Self::Wialon => 50,
            // The maker of 2019 allows 1000 bytes.
            Self::Galileo => 5,
            Self::Gt06 => 10,
            Self::Osmand => 1,
        }
    }

    /// The first words of a device with this IMEI of 15 digits, where it has any. For OsmAnd each request says it all.
    pub fn login(self, imei: &str) -> Option<Vec<u8>> {
        match self {
            Self::Teltonika => Some(teltonika::login(imei)),
            Self::Wialon => Some(wialon::login(imei)),
            Self::Galileo => Some(galileo::login(imei)),
            Self::Gt06 => Some(gt06::login(imei)),
            Self::Osmand => None,
        }
    }

    /// One frame with records, at least one and at most [`Speech::batch_max`]. `serial` counts the device's frames.
    pub fn frame(self, imei: &str, records: &[Measured], serial: u16) -> Frame {
        match self {
            Self::Teltonika => teltonika::frame(records),
            Self::Wialon => wialon::frame(records),
            Self::Galileo => galileo::frame(records),
            Self::Gt06 => gt06::frame(records, serial),
            Self::Osmand => osmand::frame(imei, &records[0]),
        }
    }

    /// The same as a datagram, where it has them.
    pub fn datagram(self, imei: &str, records: &[Measured], serial: u16) -> Option<Frame> {
        match self {
            Self::Teltonika => Some(teltonika::datagram(imei, records, serial)),
            _ => None,
        }
    }

    /// What stands at the beginning of the bytes that came from the server, and how many of them that took.
    pub fn hear(self, bytes: &[u8], awaits_login: bool) -> (Heard, usize) {
        match self {
            _ if bytes.is_empty() => (Heard::Nothing, 0),
            Self::Teltonika => teltonika::hear(bytes, awaits_login),
            Self::Wialon => wialon::hear(bytes),
            Self::Galileo => galileo::hear(bytes, awaits_login),
            Self::Gt06 => gt06::hear(bytes),
            Self::Osmand => osmand::hear(bytes),
        }
    }

    /// Which frame a datagram from the server acknowledges.
    pub fn hear_datagram(self, bytes: &[u8]) -> Heard {
        match self {
            Self::Teltonika => teltonika::hear_datagram(bytes),
            _ => Heard::Nonsense,
        }
    }

    /// The answer to a command, where the language has one.
    pub fn answer(self, imei: &str, order: &Order, text: &str, serial: u16) -> Option<Vec<u8>> {
        match self {
            Self::Teltonika => Some(teltonika::answer(text)),
            Self::Wialon => Some(wialon::answer(text)),
            Self::Galileo => Some(galileo::answer(imei, order.token, text)),
            Self::Gt06 => Some(gt06::answer(order.token, text, serial)),
            Self::Osmand => None,
        }
    }
}

#[cfg(test)]
mod tests;
