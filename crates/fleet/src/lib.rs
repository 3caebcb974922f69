//! Devices that speak the protocols: what they send, and what they take for an acknowledgement.
//!
//! The other side of `odograph-protocols`, for simulations and trials. It shares no code with the decoders, so that a
//! mistake does not cancel itself out.

mod gt06;
mod teltonika;
mod truck;
mod wialon;

pub use truck::{Telemetry, Truck};

/// A language that simulated devices speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Teltonika codec 8 over TCP.
    Teltonika,
    /// GT06 over TCP. Locations have no answer of their own: a heartbeat after them does, and stands for them.
    Gt06,
    /// Wialon IPS 1.1 over TCP.
    Wialon,
}

/// What a device measured at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Milliseconds since 1970 UTC; whole seconds, because not every protocol has more.
    pub time_ms: i64,
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// km/h.
    pub speed_kph: u8,
    /// Degrees clockwise from north, 0 to 359.
    pub course: u16,
}

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Not enough yet.
    Nothing,
    /// The login was taken, or refused.
    Login(bool),
    /// A frame was acknowledged; with the number of its records where the protocol says it.
    Acknowledged(Option<usize>),
    /// Something that asks for nothing.
    Other,
    /// Something that the protocol does not know.
    Nonsense,
}

impl Speech {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Teltonika, Self::Gt06, Self::Wialon];

    /// The protocol's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teltonika => "teltonika",
            Self::Gt06 => "gt06",
            Self::Wialon => "wialon",
        }
    }

    /// The login of the device with this IMEI of 15 digits.
    pub fn login(self, imei: &str) -> Vec<u8> {
        match self {
            Self::Teltonika => teltonika::login(imei),
            Self::Gt06 => gt06::login(imei),
            Self::Wialon => wialon::login(imei),
        }
    }

    /// One frame (or what stands for one) with readings, at least one and at most 255. `serial` counts the frames.
    pub fn frame(self, readings: &[Reading], serial: u16) -> Vec<u8> {
        match self {
            Self::Teltonika => teltonika::frame(readings),
            Self::Gt06 => gt06::frame(readings, serial),
            Self::Wialon => wialon::frame(readings),
        }
    }

    /// One frame with all that trucks measure, where the protocol has been taught it: at least one and at most 255.
    pub fn telemetry(self, measured: &[Telemetry]) -> Option<Vec<u8>> {
        match self {
            Self::Teltonika => Some(teltonika::telemetry(measured)),
            Self::Gt06 | Self::Wialon => None,
        }
    }

    /// What stands at the beginning of the bytes that came from the server, and how many of them that took.
    pub fn hear(self, bytes: &[u8], awaits_login: bool) -> (Heard, usize) {
        match self {
            Self::Teltonika => teltonika::hear(bytes, awaits_login),
            Self::Gt06 => gt06::hear(bytes),
            Self::Wialon => wialon::hear(bytes),
        }
    }
}
