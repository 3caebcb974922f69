//! What the server can send: `*MM,ID,COMMAND,HHMMSS,…#`. The device repeats the time in its answer (V4).

use super::status;
use crate::{Command, CommandError, CommandSpec, Encoded};
use odograph_model::Time;
use odograph_wire::text::pairs;
use std::result::Result;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "alarmArm", attributes: &["time?"], meaning: "arms the vehicle alarm: SCF,0,0" },
    CommandSpec { name: "alarmDisarm", attributes: &["time?"], meaning: "disarms it: SCF,1,1" },
    CommandSpec { name: "custom", attributes: &["data"], meaning: "sends a text as it is" },
    CommandSpec { name: "engineResume", attributes: &["time?"], meaning: "closes the relay of oil and power: S20,1,0" },
    CommandSpec { name: "engineStop", attributes: &["time?"], meaning: "opens the relay of oil and power: S20,1,1" },
    CommandSpec {
        name: "getDeviceStatus",
        attributes: &["time?"],
        meaning: "asks for the state: S26, answered with LINK",
    },
    CommandSpec {
        name: "positionPeriodic",
        attributes: &["frequency", "time?"],
        meaning: "positions every so many seconds: S71,22 or, where `alternative` is set, D1",
    },
];

/// The bytes of a command to `device`, which was heard last at `heard`.
pub(super) fn encode(
    device: &str,
    maker: [u8; 2],
    command: &Command<'_>,
    heard: Option<Time>,
    alternative: bool,
) -> Result<Encoded, CommandError> {
    // What is none of these would end the command, or make another of it.
    if device.is_empty() || !device.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(CommandError::Invalid { attribute: "device", reason: "has to be letters and digits" });
    }
    let frequency = || {
        let text = command.required("frequency")?;
        let is_seconds = text.parse::<u32>().is_ok_and(|seconds| seconds > 0) && !text.starts_with('+');
        match is_seconds {
            true => Ok(text),
            false => Err(CommandError::Invalid { attribute: "frequency", reason: "has to be whole seconds" }),
        }
    };
    let (name, parameters) = match command.name {
        "alarmArm" => ("SCF", ",0,0".to_owned()),
        "alarmDisarm" => ("SCF", ",1,1".to_owned()),
        "custom" => return custom(command).map(Encoded::from),
        "engineResume" => ("S20", ",1,0".to_owned()),
        "engineStop" => ("S20", ",1,1".to_owned()),
        "getDeviceStatus" => ("S26", String::new()),
        "positionPeriodic" if alternative => ("D1", format!(",{}", frequency()?)),
        "positionPeriodic" => ("S71", format!(",22,{}", frequency()?)),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    let time = match command.attribute("time") {
        None => heard.map_or_else(String::new, status::digits).get(8..).unwrap_or("000000").to_owned(),
        Some(time) if pairs(time).is_some() => time.to_owned(),
        Some(_) => return Err(CommandError::Invalid { attribute: "time", reason: "has to be HHMMSS" }),
    };
    let maker = String::from_utf8_lossy(&maker).into_owned();
    let bytes = format!("*{maker},{device},{name},{time}{parameters}#").into_bytes();
    Ok(Encoded { bytes, token: time.parse().ok() })
}

fn custom(command: &Command<'_>) -> Result<Vec<u8>, CommandError> {
    let data = command.required("data")?;
    match data.is_empty() {
        true => Err(CommandError::Invalid { attribute: "data", reason: "is empty" }),
        false => Ok(data.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_letters_and_digits() {
        let command = Command::new("alarmArm", &[("time", "130305")]);
        let encoded = |device| encode(device, *b"HQ", &command, None, false);
        assert_eq!(
            encoded("4210051415"),
            Ok(Encoded { bytes: b"*HQ,4210051415,SCF,130305,0,0#".to_vec(), token: Some(130_305) })
        );
        for device in ["", "42,1", "42#", "42*", "42 1"] {
            let error = encoded(device).expect_err(device);
            assert_eq!(error.to_string(), "device: has to be letters and digits");
        }
    }
}
