//! What the server can send. Only texts to the driver and requests for pictures and files are the maker's own; the
//! commands of devices are lines of text that most of them know.

use crate::{Command, CommandError, CommandSpec};
use odograph_wire::checksum::crc16_arc;
use std::result::Result;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "configuration", attributes: &["data"], meaning: "sends a configuration file, in hex: #UC#" },
    CommandSpec { name: "custom", attributes: &["data"], meaning: "sends a line as it is" },
    CommandSpec { name: "deviceIdentification", attributes: &[], meaning: "asks for the version: VER?" },
    CommandSpec { name: "firmwareUpdate", attributes: &["data"], meaning: "sends firmware, in hex: #US#" },
    CommandSpec { name: "message", attributes: &["message"], meaning: "sends a text to the driver: #M#" },
    CommandSpec { name: "outputControl", attributes: &["index", "data"], meaning: "switches an output: L1=1" },
    CommandSpec { name: "rebootDevice", attributes: &[], meaning: "restarts the device: reboot" },
    CommandSpec { name: "requestPhoto", attributes: &[], meaning: "asks for a picture: #QI#" },
    CommandSpec {
        name: "requestTachograph",
        attributes: &["driver"],
        meaning: "asks for a driver's tachograph file, since 2.0: #QT#",
    },
    CommandSpec { name: "sendUssd", attributes: &["phone"], meaning: "dials a service code: USSD:*100#" },
];

/// The bytes of a command; `sealed` says whether the device speaks version 2.
pub(super) fn encode(command: &Command<'_>, sealed: bool) -> Result<Vec<u8>, CommandError> {
    let line = match command.name {
        "configuration" => return file("UC", hex(command)?, sealed),
        "custom" => line(command, "data")?.to_owned(),
        "deviceIdentification" => "VER?".to_owned(),
        "firmwareUpdate" => return file("US", hex(command)?, sealed),
        "message" => message(line(command, "message")?, sealed),
        "outputControl" => format!("L{}={}", line(command, "index")?, line(command, "data")?),
        "rebootDevice" => "reboot".to_owned(),
        "requestPhoto" => "#QI#".to_owned(),
        "requestTachograph" => format!("#QT#{}", line(command, "driver")?),
        "sendUssd" => format!("USSD:{}", line(command, "phone")?),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    Ok((line + "\r\n").into_bytes())
}

/// An attribute that fits into one line; its own line end is taken off.
fn line<'a>(command: &Command<'a>, attribute: &'static str) -> Result<&'a str, CommandError> {
    let text = command.required(attribute)?.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(CommandError::Invalid { attribute, reason: "is empty" });
    }
    match text.contains(['\r', '\n']) {
        true => Err(CommandError::Invalid { attribute, reason: "has to be one line" }),
        false => Ok(text),
    }
}

fn hex(command: &Command<'_>) -> Result<Vec<u8>, CommandError> {
    let digits = command.required("data")?;
    let pair = |pair: &[u8]| {
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        match pair {
            [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
            _ => None,
        }
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    bytes
        .filter(|bytes| !bytes.is_empty())
        .ok_or(CommandError::Invalid { attribute: "data", reason: "has to be bytes in hex" })
}

fn message(text: &str, sealed: bool) -> String {
    match sealed {
        true => format!("#M#{text};{:04X}", crc16_arc(format!("{text};").as_bytes())),
        false => format!("#M#{text}"),
    }
}

/// A file: in version 2 with the checksum of its bytes.
fn file(kind: &str, bytes: Vec<u8>, sealed: bool) -> Result<Vec<u8>, CommandError> {
    let checksum = if sealed { format!(";{:04X}", crc16_arc(&bytes)) } else { String::new() };
    Ok([format!("#{kind}#{}{checksum}\r\n", bytes.len()).into_bytes(), bytes].concat())
}
