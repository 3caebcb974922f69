//! Commands, texts and their confirmations (GOST R 54619-2011, 6.7.3; GOST 33472-2015, B.3).
//!
//! ```text
//! 51 command     KC IIIIIIII SSSSSSSS FF [HH] [LL code] D*   K kind and C confirmation, four bits each; I number,
//!                S sender, F which of H alphabet and code are there
//!    to devices  D: AAAA ZT CCCC data        A module, T what to do, C command or parameter
//!    from them   D: AAAA CCCC data
//! ```

use super::{firmware::File, hex, text};
use crate::{Answer, Command, CommandError, CommandSpec, Out};
use compact_str::{ToCompactString, format_compact};
use odograph_model::{Key, Record};
use odograph_wire::bits::is_set;
use odograph_wire::charset::to_windows_1251;
use odograph_wire::{Cursor, Result, notation};

pub(super) const COMMAND_DATA: u8 = 51;

const OUTPUT: &[&str] = &["index", "data"];
const FILE: &[&str] = &["data", "file?", "component?", "version?"];

pub(super) const COMMANDS: &[CommandSpec] = &[
    spec("command", &["code", "data?"], "any command by its code, with parameters in hex"),
    spec("configuration", FILE, "sends a file of settings, in hex, in as many packets as it takes"),
    spec("custom", &["data"], "the maker's own text (EGTS_RAW_DATA)"),
    spec("deviceIdentification", &[], "asks for the IMEI (EGTS_UNIT_IMEI)"),
    spec("factoryReset", &[], "takes all settings back to the maker's (EGTS_CONFIG_RESET)"),
    spec("firmwareUpdate", FILE, "sends firmware, in hex, in as many packets as it takes"),
    spec("getCounters", &[], "asks for the counters (EGTS_FLEET_GET_CIN_DATA)"),
    spec("getDeviceStatus", &[], "asks for mode and voltages (EGTS_FLEET_GET_STATE)"),
    spec("getInputs", &[], "asks for all inputs (EGTS_FLEET_GET_SENSORS_DATA)"),
    spec("getLoops", &[], "asks for the loops (EGTS_FLEET_GET_LIN_DATA)"),
    spec("getOutputs", &[], "asks for the outputs (EGTS_FLEET_GET_DOUT_DATA)"),
    spec("getParameter", &["id"], "asks for a parameter by its code, such as 0x0262"),
    spec("getVersion", &[], "asks for the firmware's version (EGTS_UNIT_SW_VERSION)"),
    spec("message", &["message"], "shows a text to the driver"),
    spec("outputControl", OUTPUT, "switches output index, 1 to 16, on (1) or off (0) (EGTS_FLEET_DOUT_ON and OFF)"),
    spec("positionSingle", &[], "asks for the position (EGTS_FLEET_GET_POS_DATA)"),
    spec("rebootDevice", &[], "restarts the device (EGTS_RESTART)"),
    spec("resetOdometer", &[], "sets the device's odometer to zero (EGTS_FLEET_ODOM_CLEAR)"),
    spec("runTest", &["index"], "runs test index, 1 to 8, or all with 0 (EGTS_TEST_MODE_START_TEST)"),
    spec("setAuthorizationCode", &["data"], "the code that commands must carry from then on (EGTS_SET_AUTH_CODE)"),
    spec(
        "setParameter",
        &["id", "value", "type?"],
        "changes a parameter; type is int, bool, text or hex, and without it int for numbers and else text",
    ),
    spec("testMode", &["data"], "begins (1) or ends (0) the test mode (EGTS_TEST_MODE)"),
];

const fn spec(name: &'static str, attributes: &'static [&'static str], meaning: &'static str) -> CommandSpec {
    CommandSpec { name, attributes, meaning }
}

/// Kinds of command data.
const CONFIRMED: u8 = 1;
const MESSAGE_CONFIRMED: u8 = 2;
const MESSAGE_FROM: u8 = 3;
const MESSAGE_TO: u8 = 4;
const COMMAND: u8 = 5;
const DELIVERED: u8 = 8;
/// A confirmation that says only that the work goes on.
const UNDER_WAY: u8 = 6;

/// What to do with the code of a command: it is a command, or a parameter to tell or to change.
const PERFORM: u8 = 0;
const TELL: u8 = 1;
const CHANGE: u8 = 2;

const RAW_DATA: u16 = 0x0000;
const SELF_TEST_RESULT: u16 = 0x0002;
const OUTPUTS_ON: u16 = 0x0009;
const OUTPUTS_OFF: u16 = 0x000A;
const OUTPUTS: u16 = 0x000B;
const SOFTWARE_VERSION: u16 = 0x0402;
const IMEI: u16 = 0x0405;
/// A command's body and a text have at most so many bytes (GOST R 54619-2011, table 30).
const CONTENT_MAX: usize = 65_205;
/// The highest output of a command.
const OUTPUTS_MAX: u16 = 16;

/// What a device says about a command or text, or of its own accord.
pub(super) fn read(c: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let kinds = c.u8("kind")?;
    let (kind, confirmation) = (kinds >> 4, kinds & 0x0F);
    let number = c.u32_le("command number")?;
    c.u32_le("sender")?;
    let flags = c.u8("flags")?;
    let charset = if is_set(flags, 0) { c.u8("alphabet")? } else { 0 };
    if is_set(flags, 1) {
        let length = c.u8("code length")?;
        c.skip("code", length.into())?;
    }
    record.set(
        Key::DeviceMessageType,
        KINDS.get(usize::from(kind)).map_or_else(|| kind.to_compact_string(), |kind| (*kind).into()),
    );
    match kind {
        CONFIRMED => {
            let said = content(c, charset, record)?;
            answer(number, confirmation, said, record, out);
        }
        MESSAGE_CONFIRMED => {
            let said = written(charset, c.take_rest("text"));
            answer(number, confirmation, said, record, out);
        }
        MESSAGE_FROM | DELIVERED => {
            let said = written(charset, c.take_rest("text"));
            record.raw("message", said);
            record.raw("command", number.to_compact_string());
        }
        _ => {
            record.raw("command", number.to_compact_string());
            record.raw("command.data", hex(c.take_rest("data")));
        }
    }
    Ok(())
}

const KINDS: [&str; 9] = [
    "0",
    "command_confirmed",
    "message_confirmed",
    "message",
    "message_to",
    "command",
    "command_deleted",
    "command_asked",
    "delivered",
];

/// What belongs to the confirmation of a command, as text.
fn content(c: &mut Cursor<'_>, charset: u8, record: &mut Record) -> Result<String> {
    if c.is_empty() {
        return Ok(String::new());
    }
    c.u16_le("module")?;
    let code = c.u16_le("code")?;
    record.raw("command.code", format_compact!("{code:#06x}"));
    if matches!(code, OUTPUTS_ON | OUTPUTS_OFF | OUTPUTS) && c.left() == 2 {
        let outputs = c.u16_le("outputs")?;
        record.set(Key::Dout, outputs);
        return Ok(format!("outputs {outputs}"));
    }
    let is_text = matches!(code, RAW_DATA | SELF_TEST_RESULT | 0x0203 | 0x0204 | 0x020D | 0x0400..=0x0402 | IMEI);
    let bytes = c.take_rest("answer");
    Ok(match *bytes {
        // Numbers are four bytes, and texts may be too.
        [a, b, c, d] if !is_text && charset == 0 => i32::from_le_bytes([a, b, c, d]).to_string(),
        [byte] if !is_text && charset == 0 => byte.to_string(),
        _ => written(charset, bytes),
    })
}

/// Text, or hex digits where it is none.
fn written(charset: u8, bytes: &[u8]) -> String {
    let text = if charset == 0 { text::printable(bytes) } else { text::decoded(charset, bytes) };
    text.unwrap_or_else(|| hex(bytes))
}

fn answer(number: u32, confirmation: u8, said: String, record: &mut Record, out: &mut Out<'_>) {
    let (word, done) = match confirmation {
        0 => ("done", Some(true)),
        1 => ("failed", Some(false)),
        2 => ("not allowed or not known", Some(false)),
        3 => ("deleted", Some(true)),
        4 => ("not found", Some(false)),
        5 => ("done, the answer is no", Some(true)),
        UNDER_WAY => ("under way", None),
        _ => ("a confirmation that is not described", None),
    };
    let text = if said.is_empty() { word.to_owned() } else { said };
    record.raw("command", number.to_compact_string());
    record.raw("command.confirmation", word);
    record.set(Key::DeviceCommandResult, text.as_str());
    if confirmation != UNDER_WAY {
        out.answer(Answer { token: Some(number), text, done });
    }
}

/// A record that was sent to the device was refused by it: what it carried was not done.
pub(super) fn refused(number: u16, code: u8, out: &mut Out<'_>) {
    let text = format!("refused: {}", super::codes::meaning(code));
    out.answer(Answer { token: Some(command_number(number)), text, done: Some(false) });
}

/// Commands are numbered after the packets that carry them, from 1.
pub(super) const fn command_number(packet: u16) -> u32 {
    // Widening, which `from` cannot do in constants.
    u32::from_le_bytes([packet.to_le_bytes()[0], packet.to_le_bytes()[1], 0, 0]).saturating_add(1)
}

/// What is to be sent: command data for one record, or a file.
pub(super) enum Order<'a> {
    Command(Kind, Vec<u8>),
    File { bytes: Vec<u8>, name: Vec<u8>, is_configuration: bool, command: Command<'a> },
}

/// What an order is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A command.
    Command,
    /// A text for the driver.
    Message,
}

/// What `command` asks for.
pub(super) fn order<'a>(command: &Command<'a>) -> std::result::Result<Order<'a>, CommandError> {
    let perform = |code: u16, data: &[u8]| Ok(Order::Command(Kind::Command, parameters(PERFORM, code, data)));
    let tell = |code: u16| Ok(Order::Command(Kind::Command, parameters(TELL, code, &[])));
    match command.name {
        "command" => perform(code(command, "code")?, &hex_bytes(command, "data", false)?),
        "configuration" | "firmwareUpdate" => Ok(Order::File {
            bytes: hex_bytes(command, "data", true)?,
            name: letters(command.attribute("file").unwrap_or_default(), "file")?,
            is_configuration: command.name == "configuration",
            command: *command,
        }),
        "custom" => perform(RAW_DATA, &written_by(command, "data")?),
        "deviceIdentification" => tell(IMEI),
        "factoryReset" => perform(0x0006, &[]),
        "getCounters" => perform(0x000F, &[]),
        "getDeviceStatus" => perform(0x0010, &[]),
        "getInputs" => perform(0x000D, &[]),
        "getLoops" => perform(0x000E, &[]),
        "getOutputs" => perform(OUTPUTS, &[]),
        "getParameter" => tell(code(command, "id")?),
        "getVersion" => tell(SOFTWARE_VERSION),
        "message" => Ok(Order::Command(Kind::Message, written_by(command, "message")?)),
        "outputControl" => {
            let (mask, on) = output(command)?;
            perform(if on { OUTPUTS_ON } else { OUTPUTS_OFF }, &mask.to_le_bytes())
        }
        "positionSingle" => perform(0x000C, &[]),
        "rebootDevice" => perform(0x0008, &[]),
        "resetOdometer" => perform(0x0011, &[]),
        "runTest" => perform(0x0003, &[digit(command, "index", 8)?]),
        "setAuthorizationCode" => perform(0x0007, &written_by(command, "data")?),
        "setParameter" => {
            let data = value(command)?;
            Ok(Order::Command(Kind::Command, parameters(CHANGE, code(command, "id")?, &data)))
        }
        "testMode" => perform(0x0001, &[digit(command, "data", 1)?]),
        name => Err(CommandError::Unknown { name: name.to_owned() }),
    }
}

/// The subrecord of an order that packet `packet` carries; `authorization` is the device's code.
pub(super) fn subrecord(
    kind: Kind,
    packet: u16,
    authorization: Option<&str>,
    content: &[u8],
) -> std::result::Result<Vec<u8>, CommandError> {
    let reason = "has at most 255 letters of windows-1251";
    let invalid = || CommandError::Invalid { attribute: "authorization_code", reason };
    if content.len() > CONTENT_MAX {
        return Err(CommandError::Invalid { attribute: "data", reason: "has at most 65200 bytes" });
    }
    let authorization = authorization.map(|code| to_windows_1251(code).ok_or_else(invalid)).transpose()?;
    let kind = match kind {
        Kind::Command => COMMAND,
        Kind::Message => MESSAGE_TO,
    };
    let mut data = vec![kind << 4];
    data.extend(command_number(packet).to_le_bytes());
    data.extend([0; 4]);
    data.push(u8::from(authorization.is_some()) << 1);
    if let Some(code) = authorization {
        data.push(u8::try_from(code.len()).map_err(|_| invalid())?);
        data.extend(code);
    }
    data.extend_from_slice(content);
    Ok(super::transport::subrecord(COMMAND_DATA, &data))
}

/// The command's body: for the main module, whose address is 0.
fn parameters(action: u8, code: u16, data: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, action];
    body.extend(code.to_le_bytes());
    body.extend_from_slice(data);
    body
}

/// The file of an order, as its attributes describe it.
pub(super) fn file<'f>(
    command: &Command<'_>,
    bytes: &'f [u8],
    name: &'f [u8],
    is_configuration: bool,
) -> std::result::Result<File<'f>, CommandError> {
    let component = match command.attribute("component") {
        Some(_) => digit(command, "component", u8::MAX)?,
        None => 0,
    };
    let version = match command.attribute("version") {
        Some(version) => version
            .split_once('.')
            .and_then(|(major, minor)| Some(u16::from_be_bytes([major.parse().ok()?, minor.parse().ok()?])))
            .ok_or(CommandError::Invalid { attribute: "version", reason: "has to be such as 2.34" })?,
        None => 0,
    };
    Ok(File { bytes, name, is_configuration, component, version })
}

/// A code, in decimal or after 0x in hex.
fn code(command: &Command<'_>, attribute: &'static str) -> std::result::Result<u16, CommandError> {
    let text = command.required(attribute)?;
    let code = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    code.map_err(|_| CommandError::Invalid { attribute, reason: "has to be a number up to 65535, such as 0x0262" })
}

fn digit(command: &Command<'_>, attribute: &'static str, most: u8) -> std::result::Result<u8, CommandError> {
    let number = command.required(attribute)?.parse().ok().filter(|number| *number <= most);
    number.ok_or(CommandError::Invalid {
        attribute,
        reason: match most {
            1 => "has to be 0 or 1",
            8 => "has to be 0 to 8",
            _ => "has to be 0 to 255",
        },
    })
}

fn output(command: &Command<'_>) -> std::result::Result<(u16, bool), CommandError> {
    let index: Option<u16> = command.required("index")?.parse().ok().filter(|index| (1..=OUTPUTS_MAX).contains(index));
    let index = index.ok_or(CommandError::Invalid { attribute: "index", reason: "has to be 1 to 16" })?;
    let mask = 1_u16.checked_shl(u32::from(index).saturating_sub(1)).unwrap_or(0);
    Ok((mask, digit(command, "data", 1)? == 1))
}

/// A parameter's value in the form of its type (GOST R 54619-2011, table 2).
fn value(command: &Command<'_>) -> std::result::Result<Vec<u8>, CommandError> {
    let text = command.required("value")?;
    let number: Option<i32> = text.parse().ok();
    let invalid = |reason| CommandError::Invalid { attribute: "value", reason };
    match (command.attribute("type"), number) {
        (Some("int") | None, Some(number)) => Ok(number.to_le_bytes().to_vec()),
        // A number that is too large is not meant as a text.
        (None, None) if is_number(text) => Err(invalid("has to be a number of 32 bits, or of the type text")),
        (Some("int"), None) => Err(invalid("has to be a number of 32 bits")),
        (Some("bool"), _) => match text {
            "0" | "false" => Ok(vec![0]),
            "1" | "true" => Ok(vec![1]),
            _ => Err(invalid("has to be 0 or 1")),
        },
        (Some("hex"), _) => hex_bytes(command, "value", true),
        (Some("text") | None, _) => letters(text, "value"),
        _ => Err(CommandError::Invalid { attribute: "type", reason: "has to be int, bool, text or hex" }),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn hex_bytes(
    command: &Command<'_>,
    attribute: &'static str,
    needed: bool,
) -> std::result::Result<Vec<u8>, CommandError> {
    let digits = if needed { command.required(attribute)? } else { command.attribute(attribute).unwrap_or_default() };
    let bytes = notation::from_hex(digits).ok().filter(|bytes| !needed || !bytes.is_empty());
    bytes.ok_or(CommandError::Invalid { attribute, reason: "has to be bytes in hex" })
}

/// A text that has to have a letter at least.
fn written_by(command: &Command<'_>, attribute: &'static str) -> std::result::Result<Vec<u8>, CommandError> {
    match command.required(attribute)? {
        "" => Err(CommandError::Invalid { attribute, reason: "takes a letter at least" }),
        text => letters(text, attribute),
    }
}

fn letters(text: &str, attribute: &'static str) -> std::result::Result<Vec<u8>, CommandError> {
    to_windows_1251(text).ok_or(CommandError::Invalid { attribute, reason: "has letters that windows-1251 lacks" })
}
