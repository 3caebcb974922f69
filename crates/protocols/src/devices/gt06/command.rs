//! Commands: the maker's texts in packets of type 0x80.

use super::Model;
use crate::{Command, CommandError, CommandSpec, Settings};

const COMMAND: u8 = 0x80;
/// The word for English.
const ENGLISH: [u8; 2] = [0, 2];
/// Length, type, its own length, server flag, language, serial number and checksum must fit the length byte.
const TEXT_MAX: usize = 243;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "custom", attributes: &["data"], meaning: "the maker's own text" },
    CommandSpec { name: "engineStop", attributes: &[], meaning: "cuts fuel or ignition" },
    CommandSpec { name: "engineResume", attributes: &[], meaning: "restores fuel or ignition" },
    CommandSpec { name: "positionSingle", attributes: &[], meaning: "asks for the position, as text" },
    CommandSpec { name: "getDeviceStatus", attributes: &[], meaning: "asks for the device's state, as text" },
    CommandSpec { name: "getVersion", attributes: &[], meaning: "asks for the firmware version" },
    CommandSpec { name: "rebootDevice", attributes: &[], meaning: "restarts the device" },
    CommandSpec { name: "factoryReset", attributes: &[], meaning: "takes all settings back to the maker's" },
];

pub(super) fn encode(
    command: &Command<'_>,
    model: Model,
    settings: Option<&Settings>,
) -> Result<Vec<u8>, CommandError> {
    let alternative = settings.is_some_and(|settings| settings.is_on("alternative"));
    let password = settings.and_then(|settings| settings.text("password")).unwrap_or("123456");
    let engine = |plain: &str, word: &str| match (model, alternative) {
        (Model::G109, _) => format!("{word}#"),
        (_, true) => format!("{word},{password}#"),
        (_, false) => plain.to_owned(),
    };
    let (text, attribute) = match command.name {
        "custom" => (command.required("data")?.to_owned(), "data"),
        "engineStop" => (engine("Relay,1#", "DYD"), "password"),
        "engineResume" => (engine("Relay,0#", "HFYD"), "password"),
        "positionSingle" => ("WHERE#".to_owned(), "data"),
        "getDeviceStatus" => ("STATUS#".to_owned(), "data"),
        "getVersion" => ("VERSION#".to_owned(), "data"),
        "rebootDevice" => ("RESET#".to_owned(), "data"),
        "factoryReset" => ("FACTORY#".to_owned(), "data"),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    if text.is_empty() || !text.is_ascii() || text.len() > TEXT_MAX {
        return Err(CommandError::Invalid { attribute, reason: "takes 1 to 243 ASCII characters" });
    }
    let language = settings.is_some_and(|settings| settings.is_on("language"));
    Ok(packet(text.as_bytes(), language))
}

/// The server flag stays zero: many devices do not repeat it.
fn packet(text: &[u8], language: bool) -> Vec<u8> {
    let mut content = vec![u8::try_from(text.len().saturating_add(4)).unwrap_or(u8::MAX), 0, 0, 0, 0];
    content.extend_from_slice(text);
    if language {
        content.extend_from_slice(&ENGLISH);
    }
    super::packet(false, COMMAND, &content, 0)
}
