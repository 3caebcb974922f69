//! The PROXY protocol: what a balancer says before a device's first byte, in text (version 1) or in binary (version 2).
//! See <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>.
//!
//! Pure: bytes go in, and how many more are needed comes out, so that whoever reads never takes a byte that is the device's.
//! The header is no part of the device's stream and is not journalled; the address that it names is.

use ipnet::IpNet;
use ppp::{v1, v2};
use std::net::SocketAddr;

/// That those who come to a listener are announced by a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Where the balancers are. Others are refused before a byte of theirs is read: they could claim to be anyone.
    pub trusted: Vec<IpNet>,
}

/// Of whom a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Of a device, at this address.
    Device(SocketAddr),
    /// Of the balancer itself, or of somebody whom it does not name: it looks whether we are there.
    Balancer,
}

/// What is known after a header's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// At least so many bytes more belong to it, and reading so many does not go beyond its end.
    Need(usize),
    /// These bytes are all of it.
    Whole(Origin),
    /// They cannot become one; says why.
    Wrong(&'static str),
}

/// Reads the first bytes of a header. Given what [`Progress::Need`] asks for, and no more, they never go beyond its end.
pub fn progress(bytes: &[u8]) -> Progress {
    let begins = |mark: &[u8]| mark.starts_with(bytes) || bytes.starts_with(mark);
    if bytes.is_empty() {
        // The shortest there is, of either version.
        Progress::Need(TEXT_BYTES_MIN)
    } else if begins(v2::PROTOCOL_PREFIX) {
        binary(bytes)
    } else if begins(TEXT_MARK) {
        text(bytes)
    } else {
        Progress::Wrong("no header")
    }
}

fn text(bytes: &[u8]) -> Progress {
    if bytes.len() < TEXT_BYTES_MIN {
        return Progress::Need(TEXT_BYTES_MIN - bytes.len());
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let body = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        return if bytes.len() >= TEXT_BYTES_MAX {
            Progress::Wrong("too long")
        } else if body.iter().any(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
            Progress::Wrong("not a line of text")
        } else {
            // Its end is two bytes, of which one may be here.
            Progress::Need(if body.len() < bytes.len() { 1 } else { 2 })
        };
    };
    // Whatever such a line says further is to be passed over.
    if line.strip_prefix(TEXT_UNKNOWN).is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")) {
        return Progress::Whole(Origin::Balancer);
    }
    match v1::Header::try_from(bytes).map(|header| header.addresses) {
        Ok(v1::Addresses::Tcp4(v1::IPv4 { source_address, source_port, .. })) => {
            Progress::Whole(Origin::Device((source_address, source_port).into()))
        }
        Ok(v1::Addresses::Tcp6(v1::IPv6 { source_address, source_port, .. })) => {
            Progress::Whole(Origin::Device((source_address.to_canonical(), source_port).into()))
        }
        Ok(v1::Addresses::Unknown) => Progress::Whole(Origin::Balancer),
        Err(_) => Progress::Wrong("its addresses cannot be read"),
    }
}

fn binary(bytes: &[u8]) -> Progress {
    let Some(&[high, low]) = bytes.get(BINARY_LENGTH_AT..BINARY_BYTES_MIN) else {
        return Progress::Need(BINARY_BYTES_MIN - bytes.len());
    };
    let length = BINARY_BYTES_MIN + usize::from(u16::from_be_bytes([high, low]));
    let header = v2::Header::try_from(bytes);
    match header {
        _ if length > BINARY_BYTES_MAX => Progress::Wrong("too long"),
        Err(v2::ParseError::Partial(..)) => Progress::Need(length - bytes.len()),
        Err(v2::ParseError::Version(_) | v2::ParseError::Command(_)) => Progress::Wrong("another version, or command"),
        Err(_) => Progress::Wrong("its addresses cannot be read"),
        Ok(header) => match (check_extensions(&header), header.command, &header.addresses) {
            (Err(why), ..) => Progress::Wrong(why),
            (_, v2::Command::Proxy, v2::Addresses::IPv4(v2::IPv4 { source_address, source_port, .. })) => {
                Progress::Whole(Origin::Device((*source_address, *source_port).into()))
            }
            (_, v2::Command::Proxy, v2::Addresses::IPv6(v2::IPv6 { source_address, source_port, .. })) => {
                Progress::Whole(Origin::Device((source_address.to_canonical(), *source_port).into()))
            }
            _ => Progress::Whole(Origin::Balancer),
        },
    }
}

/// Walks through what follows the addresses (section 2.2). Of all that, a checksum concerns us, if there is one (2.2.3).
fn check_extensions(header: &v2::Header<'_>) -> Result<(), &'static str> {
    let whole = header.as_bytes();
    let mut rest = header.tlv_bytes();
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((value, behind)) = after.split_at_checked(length) else { return Err(OVERLONG) };
        if kind == CHECKSUM_KIND {
            let at = whole.len() - after.len();
            let (Ok(said), Some((before, end))) = (<[u8; 4]>::try_from(value), whole.split_at_checked(at)) else {
                return Err(OVERLONG);
            };
            // With zeros in the place of the checksum itself.
            let sum = [&[0; 4][..], end.get(length..).unwrap_or_default()]
                .iter()
                .fold(crc32c::crc32c(before), |sum, part| crc32c::crc32c_append(sum, part));
            if sum != u32::from_be_bytes(said) {
                return Err("its checksum is wrong");
            }
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(OVERLONG) }
}

const OVERLONG: &str = "one of its extensions is cut short";

const TEXT_MARK: &[u8] = b"PROXY ";
const TEXT_UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// `PROXY UNKNOWN` and the line's end: there is no shorter one (section 2.1).
const TEXT_BYTES_MIN: usize = 15;

/// The longest, with its end (section 2.1).
const TEXT_BYTES_MAX: usize = 107;

/// Mark, version, family, length (section 2.2).
const BINARY_BYTES_MIN: usize = 16;
const BINARY_LENGTH_AT: usize = 14;

/// Addresses take at most 216 bytes more, and extensions seldom as many again; a client's certificate may be among them.
const BINARY_BYTES_MAX: usize = 4096;

/// `PP2_TYPE_CRC32C`.
const CHECKSUM_KIND: u8 = 0x03;

#[cfg(test)]
mod tests;
