//! The transport layer: packets, their headers and checksums, and what is answered to them.

use super::codes;
use crate::{Checksum, Out};
use odograph_wire::{Cursor, Cut, Malformed, Reason, checksum};

pub(super) const RESPONSE: u8 = 0;
pub(super) const APPDATA: u8 = 1;
pub(super) const SIGNED_APPDATA: u8 = 2;

/// A header without a route, checksum included.
pub(super) const HEADER: usize = 11;
/// A header with one.
pub(super) const ROUTED_HEADER: usize = 16;
/// The longest packet: a header, 65535 bytes of data, and their checksum.
pub(super) const PACKET_MAX: usize = ROUTED_HEADER + 65_535 + 2;

/// The header's version.
pub(super) const VERSION: u8 = 1;
/// Where a header says how long it is.
const LENGTH_AT: usize = 3;
/// Where it says how much data follows.
const DATA_LENGTH_AT: usize = 5;

/// Between which platforms a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    sender: u16,
    recipient: u16,
    hops: u8,
}

/// A packet whose checksums fit.
pub(super) struct Packet<'a> {
    pub(super) id: u16,
    pub(super) kind: u8,
    pub(super) route: Option<Route>,
    /// The data, without its checksum.
    pub(super) data: Cursor<'a>,
}

/// A packet that is not taken, and what its sender is told; nothing where not even its number is known.
pub(super) struct Refusal {
    pub(super) malformed: Malformed,
    pub(super) told: Option<(u16, Option<Route>, u8)>,
}

impl Refusal {
    /// The refusal of a packet of that kind. What answers another packet is not answered itself.
    pub(super) fn of(malformed: Malformed, kind: u8, told: (u16, Option<Route>, u8)) -> Self {
        Self { malformed, told: (kind != RESPONSE).then_some(told) }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self { malformed, told: None }
    }
}

/// Cuts a stream by the lengths that headers state. Whether their checksums fit is a matter of the packet, which is
/// answered if they do not.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [version, ..] if *version != VERSION => return Cut::Lost("a packet begins with the version 1"),
        [_, _, _, length, ..] if !is_header_length(*length) => return Cut::Lost("a header has 11 to 16 bytes"),
        _ => {}
    }
    let Some([length, _, low, high]) = bytes.get(LENGTH_AT..).and_then(<[u8]>::first_chunk) else {
        return Cut::Need(DATA_LENGTH_AT + 2);
    };
    let data = usize::from(u16::from_le_bytes([*low, *high]));
    let sealed = if data == 0 { 0 } else { data.saturating_add(2) };
    match usize::from(*length).saturating_add(sealed) {
        total if total <= bytes.len() => Cut::Frame(total),
        total => Cut::Need(total),
    }
}

pub(super) fn is_header_length(length: u8) -> bool {
    (HEADER..=ROUTED_HEADER).contains(&usize::from(length))
}

/// The one packet in `frame`.
pub(super) fn read<'a, 't: 'a>(frame: &'a [u8], mode: Checksum, out: &mut Out<'t>) -> Result<Packet<'a>, Refusal> {
    let mut c = out.cursor(frame);
    let header = header(&mut c, frame, mode, out)?;
    let refuse = |malformed, code| Refusal::of(malformed, header.kind, (header.id, header.route, code));
    if header.flags >> 6 != 0 {
        return Err(refuse(Malformed::new("prefix", 2, Reason::Expected("the prefix 00")), codes::UNKNOWN_PROTOCOL));
    }
    let length = usize::from(header.data_length);
    let data = c.sub("data", length).map_err(|malformed| refuse(malformed, codes::LENGTH))?;
    if length > 0 {
        let at = c.at();
        let stated = c.u16_le("data checksum").map_err(|malformed| refuse(malformed, codes::LENGTH))?;
        let computed = checksum::crc16_ccitt_false(data.rest());
        sealed("data checksum", at, stated.into(), computed.into(), mode, out)
            .map_err(|malformed| refuse(malformed, codes::DATA_CHECKSUM))?;
    }
    c.finish("packet").map_err(|malformed| refuse(malformed, codes::LENGTH))?;
    // Neither the ciphers nor the compression are described anywhere: the packet is kept as it came, and not answered
    // as if it had been understood.
    if header.flags >> 3 & 3 != 0 {
        let reason = Reason::Expected("data without encryption, whose algorithms are not published");
        return Err(refuse(Malformed::new("encryption", 2, reason), codes::DECRYPTION));
    }
    if header.flags >> 2 & 1 != 0 {
        let reason = Reason::Expected("data without compression, whose algorithm is not published");
        return Err(refuse(Malformed::new("compression", 2, reason), codes::DATA_FORM));
    }
    Ok(Packet { id: header.id, kind: header.kind, route: header.route, data })
}

struct Header {
    flags: u8,
    data_length: u16,
    id: u16,
    kind: u8,
    route: Option<Route>,
}

fn header(c: &mut Cursor<'_>, frame: &[u8], mode: Checksum, out: &mut Out<'_>) -> Result<Header, Refusal> {
    let version = c.u8("version")?;
    if version != VERSION {
        return Err(Malformed::new("version", 0, Reason::Expected("the version 1")).into());
    }
    c.u8("key")?;
    let flags = c.u8("flags")?;
    let length = c.u8("header length")?;
    if !is_header_length(length) {
        return Err(Malformed::new("header length", LENGTH_AT, Reason::Expected("11 to 16")).into());
    }
    let mut rest = c.sub("header", usize::from(length).saturating_sub(LENGTH_AT + 1))?;
    let encoding = rest.u8("header encoding")?;
    let data_length = rest.u16_le("data length")?;
    let id = rest.u16_le("packet number")?;
    let kind = rest.u8("packet type")?;
    let routed = flags >> 5 & 1 == 1;
    let bytes = frame.get(..usize::from(length).saturating_sub(1)).unwrap_or_default();
    let route = match routed && rest.left() > 5 {
        true => Some(Route {
            sender: rest.u16_le("sender address")?,
            recipient: rest.u16_le("recipient address")?,
            hops: rest.u8("hops left")?,
        }),
        false => None,
    };
    let more = rest.left().saturating_sub(1);
    if more > 0 {
        rest.skip("header extension", more)?;
    }
    let at = rest.at();
    let stated = rest.u8("header checksum")?;
    let computed = checksum::crc8_nrsc5(bytes);
    let refuse = |malformed, code| Refusal::of(malformed, kind, (id, route, code));
    sealed("header checksum", at, stated.into(), computed.into(), mode, out)
        .map_err(|malformed| refuse(malformed, codes::HEADER_CHECKSUM))?;
    if routed && route.is_none() {
        let malformed = Malformed::new("header length", LENGTH_AT, Reason::Expected("16 with a route"));
        return Err(refuse(malformed, codes::HEADER_FORM));
    }
    if more > 0 || encoding != 0 {
        out.note(format!("a header of {length} bytes with the encoding {encoding}"));
    }
    Ok(Header { flags, data_length, id, kind, route })
}

fn sealed(
    field: &'static str,
    at: usize,
    stated: u32,
    computed: u32,
    mode: Checksum,
    out: &mut Out<'_>,
) -> Result<(), Malformed> {
    let malformed = Malformed::new(field, at, Reason::Checksum { stated, computed });
    match mode {
        _ if stated == computed => {}
        Checksum::Enforce => return Err(malformed),
        Checksum::Note => out.note(malformed.to_string()),
    }
    Ok(())
}

/// A packet; the route, if there is one, leads back to where it came from.
pub(super) fn packet(kind: u8, id: u16, route: Option<Route>, data: &[u8]) -> Vec<u8> {
    let length = if route.is_some() { ROUTED_HEADER } else { HEADER };
    let mut packet = vec![VERSION, 0, if route.is_some() { 1 << 5 } else { 0 }, u8::try_from(length).unwrap_or(0), 0];
    packet.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
    packet.extend(id.to_le_bytes());
    packet.push(kind);
    if let Some(route) = route {
        packet.extend(route.recipient.to_le_bytes());
        packet.extend(route.sender.to_le_bytes());
        packet.push(route.hops.max(1));
    }
    packet.push(checksum::crc8_nrsc5(&packet));
    if !data.is_empty() {
        packet.extend_from_slice(data);
        packet.extend(checksum::crc16_ccitt_false(data).to_le_bytes());
    }
    packet
}

/// A record that is confirmed, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) number: u16,
    pub(super) service: u8,
    pub(super) code: u8,
}

/// The data of a response: to which packet, how its transport went, and a record for each record that it had.
pub(super) fn response(id: u16, code: u8, records: &[Confirmed]) -> Vec<u8> {
    let mut data = id.to_le_bytes().to_vec();
    data.push(code);
    for (confirmed, place) in records.iter().zip(0..) {
        let [low, high] = confirmed.number.to_le_bytes();
        data.extend(record(place, 0, &[], confirmed.service, &[0, 3, 0, low, high, confirmed.code]));
    }
    data
}

/// How many records a response can confirm that is no longer than `buffer` bytes; 0 stands for a buffer that is not
/// known.
pub(super) const fn confirmations_within(buffer: usize) -> usize {
    let room = if buffer == 0 { CONFIRMATIONS_MAX } else { buffer.saturating_sub(RESPONSE_OVERHEAD) / CONFIRMATION };
    if room == 0 {
        1
    } else if room > CONFIRMATIONS_MAX {
        CONFIRMATIONS_MAX
    } else {
        room
    }
}

/// A record's head and the subrecord that confirms another.
const CONFIRMATION: usize = 13;
/// Header, packet number and result, checksum.
const RESPONSE_OVERHEAD: usize = ROUTED_HEADER + 3 + 2;
/// What the length field of a packet allows, and a little less.
const CONFIRMATIONS_MAX: usize = 4096;

/// A record with one or more subrecords in it; `object` is the bytes of its object's id, if it names one.
pub(super) fn record(number: u16, flags: u8, object: &[u8], service: u8, subrecords: &[u8]) -> Vec<u8> {
    let mut record = u16::try_from(subrecords.len()).unwrap_or(u16::MAX).to_le_bytes().to_vec();
    record.extend(number.to_le_bytes());
    record.push(flags);
    record.extend_from_slice(object);
    record.extend([service, service]);
    record.extend_from_slice(subrecords);
    record
}

/// A subrecord.
pub(super) fn subrecord(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut subrecord = vec![kind];
    subrecord.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
    subrecord.extend_from_slice(data);
    subrecord
}
