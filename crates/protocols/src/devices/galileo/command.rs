//! Commands: the maker's texts in a packet of tags, and how an answer finds its command.

use super::TAGS;
use crate::{Command, CommandError, CommandSpec, Encoded};
use odograph_wire::charset::to_windows_1251;
use odograph_wire::checksum::crc16_modbus;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "custom", attributes: &["data", "number?"], meaning: "the maker's own text, in windows-1251" },
    CommandSpec {
        name: "outputControl",
        attributes: &["index", "data", "number?"],
        meaning: "switches output index, from 0, on (1) or off (0): Out",
    },
    CommandSpec { name: "getDeviceStatus", attributes: &["number?"], meaning: "asks for the device's state: status" },
];

/// Where an IMEI belongs.
const IMEI_BYTES: usize = 15;
/// The text's length is one byte.
const TEXT_MAX: usize = 255;

/// The bytes of a command. The device repeats its number in its answer.
pub(super) fn encode(device: &str, command: &Command<'_>) -> Result<Encoded, CommandError> {
    let text = match command.name {
        "custom" => command.required("data")?.to_owned(),
        "outputControl" => output(command)?,
        "getDeviceStatus" => "status".to_owned(),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    let number: u32 = match command.attribute("number") {
        Some(number) => number.parse().map_err(|_| invalid("number", "has to be a number of at most 32 bits"))?,
        None => command.number,
    };
    if device.len() != IMEI_BYTES || !device.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(invalid("device", "has to be an IMEI of 15 digits"));
    }
    let letters =
        to_windows_1251(&text).ok_or_else(|| invalid("data", "has a letter that windows-1251 does not have"))?;
    let length = u8::try_from(letters.len()).ok().filter(|length| *length > 0);
    let length = length.ok_or_else(|| invalid("data", "takes 1 to 255 letters"))?;

    let mut tags = vec![0x03];
    tags.extend(device.bytes());
    // The device compares both, and obeys if one of them is its own: no device's number has to be known.
    tags.extend([0x04, 0, 0]);
    tags.push(0xE0);
    tags.extend(number.to_le_bytes());
    tags.extend([0xE1, length]);
    tags.extend(letters);
    // Without a number of ours, whatever the device repeats says nothing.
    Ok(Encoded { bytes: packet(&tags), token: (number != 0).then_some(number) })
}

fn output(command: &Command<'_>) -> Result<String, CommandError> {
    let index: u8 = command.required("index")?.parse().map_err(|_| invalid("index", "has to be a number up to 255"))?;
    let data = command.required("data")?;
    match data {
        "0" | "1" => Ok(format!("Out {index},{data}")),
        _ => Err(invalid("data", "has to be 0 or 1")),
    }
}

const fn invalid(attribute: &'static str, reason: &'static str) -> CommandError {
    CommandError::Invalid { attribute, reason }
}

/// At most 26 bytes stand around a text of [`TEXT_MAX`].
fn packet(tags: &[u8]) -> Vec<u8> {
    const { assert!(TEXT_MAX + 26 < 0x8000, "the length has 15 bits") }
    let mut packet = vec![TAGS];
    packet.extend(u16::try_from(tags.len()).unwrap_or(u16::MAX).to_le_bytes());
    packet.extend(tags);
    let checksum = crc16_modbus(&packet);
    packet.extend(checksum.to_le_bytes());
    packet
}
