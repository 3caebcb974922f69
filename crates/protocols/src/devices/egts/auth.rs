//! Who a terminal or platform is, and what it is made of (GOST 33472-2015, V.3.2.2).
//!
//! ```text
//! 1 terminal  TTTTTTTT FF [DDDD] [imei:15] [imsi:16] [language:3] [NNNNNN] [BBBB] [msisdn:15]
//! 2 module    KK VVVVVVVV HHHH SSSS MM CC serial 00 description 00
//! 3 vehicle   vin:17 TTTTTTTT PPPPPPPP
//! 5 platform  TT DDDDDDDD description             7 credentials  user 00 password 00 [sequence 00]
//! 8 service   SS CC PP                            6 and 9 are the platform's: what to say more, and the result
//! ```

use super::{text, zero_ended};
use crate::Out;
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Key, Record};
use odograph_wire::bits::{between, is_set};
use odograph_wire::{Cursor, Result};

pub(super) const TERMINAL: u8 = 1;
pub(super) const MODULE: u8 = 2;
pub(super) const VEHICLE: u8 = 3;
pub(super) const PLATFORM: u8 = 5;
/// What a device is asked to say before it is let in.
pub(super) const PARAMETERS: u8 = 6;
pub(super) const CREDENTIALS: u8 = 7;
pub(super) const SERVICE: u8 = 8;
/// Other servers say 7 here, which is a subrecord of devices.
pub(super) const RESULT: u8 = 9;

/// The module that is the device itself.
const MAIN_MODULE: u8 = 1;

/// Whether devices and platforms send such a subrecord to say who they are.
pub(super) const fn is_known(kind: u8) -> bool {
    matches!(kind, TERMINAL | MODULE | VEHICLE | PLATFORM | CREDENTIALS | SERVICE)
}

/// A terminal, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Terminal {
    /// What it calls itself: its IMEI, else its number, else its SIM card's.
    pub(super) name: CompactString,
    /// Its number, by which records may name it; 0 where it has none.
    pub(super) id: u32,
    /// The longest packet that it takes, in bytes; 0 where it does not say.
    pub(super) buffer: u16,
}

/// Reads a terminal; what else it says goes into `record`, and counts as something where it names its network.
pub(super) fn terminal(c: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<Option<Terminal>> {
    let id = c.u32_le("terminal")?;
    let flags = c.u8("flags")?;
    let home = if is_set(flags, 0) { Some(c.u16_le("home platform")?) } else { None };
    let imei = if is_set(flags, 1) { digits(c.bytes("imei", 15)?) } else { None };
    let imsi = if is_set(flags, 2) { digits(c.bytes("imsi", 16)?) } else { None };
    let language = if is_set(flags, 3) { Some(c.bytes("language", 3)?) } else { None };
    let network = if is_set(flags, 5) { c.u24_le("network")? } else { 0 };
    let buffer = if is_set(flags, 6) { c.u16_le("buffer")? } else { 0 };
    let phone = if is_set(flags, 7) { digits(c.bytes("phone number", 15)?) } else { None };
    if network != 0 {
        let (country, operator) = (between(network, 10, 20), between(network, 0, 10));
        record.set(Key::GsmOperatorCode, format_compact!("{country}{operator:02}"));
        for (name, value) in [("imsi", &imsi), ("phone", &phone)] {
            if let Some(value) = value {
                record.raw(name, value.clone());
            }
        }
        if let Some(language) = language {
            record.raw("language", text::letters(language));
        }
        if let Some(home) = home {
            record.raw("home.platform", home.to_compact_string());
        }
    }
    let number = (id != 0).then(|| id.to_compact_string());
    let Some(name) = imei.or(number).or(imsi).or(phone) else {
        out.note("the terminal says neither a number nor an IMEI, an IMSI or a phone number");
        return Ok(None);
    };
    Ok(Some(Terminal { name, id, buffer }))
}

/// A number in letters; none where it is all zeros, dashes or the like, which stand for one that is not known.
fn digits(bytes: &[u8]) -> Option<CompactString> {
    let text = text::letters(bytes);
    let is_said = |letter: char| letter.is_ascii_alphanumeric() && letter != '0';
    let is_known = text.chars().all(|letter| letter.is_ascii_graphic()) && text.chars().any(is_said);
    is_known.then(|| text.into())
}

impl Terminal {
    /// Its names, the one that it calls itself by first.
    pub(super) fn names(&self) -> impl Iterator<Item = CompactString> {
        let number = self.id.to_compact_string();
        let second = (self.id != 0 && number != self.name).then_some(number);
        [self.name.clone()].into_iter().chain(second)
    }
}

pub(super) fn module(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let kind = c.u8("module type")?;
    let vendor = c.u32_le("vendor")?;
    let (hardware, software) = (version(c.u16_le("hardware version")?), version(c.u16_le("software version")?));
    let (modification, state) = (c.u8("modification")?, c.u8("state")?);
    let (serial, description) = (zero_ended(c, "serial number")?, zero_ended(c, "description")?);
    if kind == MAIN_MODULE {
        record.set(Key::DeviceHardwareVersion, hardware);
        record.set(Key::DeviceFirmwareVersion, software);
    } else {
        record.raw(format_compact!("module.{kind}.hardware"), hardware);
        record.raw(format_compact!("module.{kind}.software"), software);
    }
    record.raw(format_compact!("module.{kind}.vendor"), vendor.to_compact_string());
    record.raw(format_compact!("module.{kind}.modification"), modification.to_compact_string());
    record.raw(format_compact!("module.{kind}.state"), state.to_compact_string());
    for (name, bytes) in [("serial", serial), ("description", description)] {
        if !bytes.is_empty() {
            record.raw(format_compact!("module.{kind}.{name}"), text::letters(bytes));
        }
    }
    Ok(())
}

/// Before and after the point: 0x0222 is 2.34.
fn version(word: u16) -> CompactString {
    let [major, minor] = word.to_be_bytes();
    format_compact!("{major}.{minor}")
}

pub(super) fn vehicle(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let vin = text::letters(c.bytes("vin", 17)?);
    let (kind, propulsion) = (c.u32_le("vehicle type")?, c.u32_le("propulsion")?);
    if vin.chars().any(|letter| letter != '0') {
        record.set(Key::VehicleVin, vin);
    }
    record.raw("vehicle.type", kind.to_compact_string());
    record.raw("vehicle.propulsion", propulsion.to_compact_string());
    Ok(())
}

/// A platform's number. Its description is not kept in a record: some write their password there.
pub(super) fn platform(c: &mut Cursor<'_>) -> Result<u32> {
    c.u8("platform type")?;
    let number = c.u32_le("platform")?;
    c.take_rest("description");
    Ok(number)
}

/// User and password.
pub(super) fn credentials(c: &mut Cursor<'_>) -> Result<(String, String)> {
    let (user, password) = (zero_ended(c, "user")?, zero_ended(c, "password")?);
    if !c.is_empty() {
        zero_ended(c, "server sequence")?;
    }
    Ok((text::letters(user), text::letters(password)))
}

/// A service that is asked for, if one is; a device also tells which ones it has itself.
pub(super) fn requested_service(c: &mut Cursor<'_>) -> Result<Option<u8>> {
    let service = c.u8("service")?;
    c.u8("service state")?;
    Ok(is_set(c.u8("service parameters")?, 7).then_some(service))
}
