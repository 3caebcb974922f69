//! Commands: a number and what belongs to it.

use super::picture;
use crate::{Command, CommandError, CommandSpec};
use odograph_wire::{checksum, notation};
use std::net::Ipv4Addr;

/// What a command's packet begins with.
const MARK: u8 = 2;
const STATUS: u8 = 0;
pub(super) const IDENTIFICATION: u8 = 1;
const CONNECTION: u8 = 4;
const OUTPUT: u8 = 13;
const GUARD: u8 = 14;
const RESTART: u8 = 18;
const FIRMWARE: u8 = 19;
/// The greatest number that is known.
pub(super) const LAST: u8 = 25;
/// No known command is longer than this.
const CUSTOM_MAX: usize = 1024;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "custom", attributes: &["data"], meaning: "any command: its number and what follows, in hex" },
    CommandSpec { name: "getDeviceStatus", attributes: &[], meaning: "asks for the device's state (0)" },
    CommandSpec { name: "deviceIdentification", attributes: &[], meaning: "asks for the IMEI (1)" },
    CommandSpec {
        name: "setConnection",
        attributes: &["server", "port"],
        meaning: "sets the server, an IPv4 address (4)",
    },
    CommandSpec {
        name: "outputControl",
        attributes: &["index", "data"],
        meaning: "switches output 0 to 15 off (0) or on (1) (13)",
    },
    CommandSpec { name: "alarmArm", attributes: &[], meaning: "begins to guard the vehicle (14)" },
    CommandSpec { name: "alarmDisarm", attributes: &[], meaning: "stops guarding it (14)" },
    CommandSpec { name: "rebootDevice", attributes: &[], meaning: "restarts the device (18)" },
    CommandSpec {
        name: "firmwareUpdate",
        attributes: &["server", "port"],
        meaning: "has it fetch firmware from an IPv4 address (19)",
    },
    CommandSpec {
        name: "requestPhoto",
        attributes: &["data?"],
        meaning: "asks for a picture (20): 0 80×64, 1 160×128, 2 320×240, 3 640×480, which is the default",
    },
];

pub(super) fn encode(command: &Command<'_>) -> Result<Vec<u8>, CommandError> {
    Ok(match command.name {
        "custom" => custom(command.required("data")?)?,
        "getDeviceStatus" => packet(STATUS, &[]),
        "deviceIdentification" => packet(IDENTIFICATION, &[]),
        "setConnection" => packet(CONNECTION, &address(command)?),
        "outputControl" => {
            let index: u8 = number(command.required("index")?, "index", "a number from 0 to 15", 15)?;
            let mode: u8 = number(command.required("data")?, "data", "0 or 1", 1)?;
            // No impulse, no pause, no repetition.
            packet(OUTPUT, &[mode << 4 | index, 0, 0, 0])
        }
        "alarmArm" => packet(GUARD, &[1]),
        "alarmDisarm" => packet(GUARD, &[0]),
        "rebootDevice" => packet(RESTART, &[]),
        "firmwareUpdate" => packet(FIRMWARE, &address(command)?),
        "requestPhoto" => {
            let size = number(command.attribute("data").unwrap_or("3"), "data", "a number from 0 to 3", 3)?;
            packet(picture::COMMAND, &[size])
        }
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    })
}

pub(super) fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![MARK, number];
    packet.extend(content);
    packet.extend(checksum::crc16_modbus(&packet).to_le_bytes());
    packet
}

fn custom(data: &str) -> Result<Vec<u8>, CommandError> {
    let invalid = CommandError::Invalid { attribute: "data", reason: "takes 1 to 1024 bytes in hex" };
    match notation::from_hex(data).as_deref() {
        Ok([number, content @ ..]) if content.len() < CUSTOM_MAX => Ok(packet(*number, content)),
        _ => Err(invalid),
    }
}

fn address(command: &Command<'_>) -> Result<[u8; 6], CommandError> {
    let server: Ipv4Addr = command
        .required("server")?
        .parse()
        .map_err(|_| CommandError::Invalid { attribute: "server", reason: "takes an IPv4 address" })?;
    let port: u16 = command
        .required("port")?
        .parse()
        .map_err(|_| CommandError::Invalid { attribute: "port", reason: "takes a number from 0 to 65535" })?;
    let ([a, b, c, d], [low, high]) = (server.octets(), port.to_le_bytes());
    Ok([a, b, c, d, low, high])
}

fn number(text: &str, attribute: &'static str, reason: &'static str, max: u8) -> Result<u8, CommandError> {
    text.parse().ok().filter(|number| *number <= max).ok_or(CommandError::Invalid { attribute, reason })
}
