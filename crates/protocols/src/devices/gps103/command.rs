//! What the server can send. Devices take it without a delimiter.

use crate::{Command, CommandError, CommandSpec};
use std::result::Result;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec { name: "alarmArm", attributes: &[], meaning: "arms the vehicle alarm: L" },
    CommandSpec { name: "alarmDisarm", attributes: &[], meaning: "disarms it: M" },
    CommandSpec {
        name: "custom",
        attributes: &["data"],
        meaning: "sends a command of the maker: its letter or number, and more",
    },
    CommandSpec { name: "engineResume", attributes: &[], meaning: "lets oil and power flow: K" },
    CommandSpec { name: "engineStop", attributes: &[], meaning: "stops oil and power: J" },
    CommandSpec { name: "positionPeriodic", attributes: &["frequency"], meaning: "positions every so many seconds: C" },
    CommandSpec { name: "positionSingle", attributes: &[], meaning: "one position: B" },
    CommandSpec { name: "positionStop", attributes: &[], meaning: "no more positions: D" },
    CommandSpec { name: "requestPhoto", attributes: &[], meaning: "asks for a picture: 160" },
];

/// The bytes of a command to `device`.
pub(super) fn encode(device: &str, command: &Command<'_>) -> Result<Vec<u8>, CommandError> {
    if device.is_empty() || !device.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::Invalid { attribute: "device", reason: "has to be digits" });
    }
    let content = match command.name {
        "alarmArm" => "L".to_owned(),
        "alarmDisarm" => "M".to_owned(),
        "custom" => custom(command)?.to_owned(),
        "engineResume" => "K".to_owned(),
        "engineStop" => "J".to_owned(),
        "positionPeriodic" => format!("C,{}", interval(command.required("frequency")?)?),
        "positionSingle" => "B".to_owned(),
        "positionStop" => "D".to_owned(),
        "requestPhoto" => "160".to_owned(),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    Ok(format!("**,imei:{device},{content}").into_bytes())
}

fn custom<'c>(command: &Command<'c>) -> Result<&'c str, CommandError> {
    let data = command.required("data")?;
    match data.is_empty() || data.contains(['\r', '\n']) {
        true => Err(CommandError::Invalid { attribute: "data", reason: "has to be one line" }),
        false => Ok(data),
    }
}

/// Two digits of hours, minutes or seconds. What fits into no whole number of one of them becomes the nearest below.
fn interval(seconds: &str) -> Result<String, CommandError> {
    let invalid = |reason| CommandError::Invalid { attribute: "frequency", reason };
    let seconds: u32 = seconds.parse().map_err(|_| invalid("has to be whole seconds"))?;
    let in_units = |unit: u32, letter| {
        let count = seconds.checked_div(unit).filter(|count| (1..=99).contains(count))?;
        Some((seconds.is_multiple_of(unit), count, letter))
    };
    let [hours, minutes, seconds] = [in_units(3600, 'h'), in_units(60, 'm'), in_units(1, 's')];
    let is_whole = |(whole, _, _): &(bool, u32, char)| *whole;
    match hours.filter(is_whole).or(minutes.filter(is_whole)).or(seconds).or(minutes).or(hours) {
        Some((_, count, letter)) => Ok(format!("{count:02}{letter}")),
        None => Err(invalid("has to be from 1 second to 99 hours")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_digits() {
        let encoded = |device| encode(device, &Command::new("engineStop", &[]));
        assert_eq!(encoded("353451044508750"), Ok(b"**,imei:353451044508750,J".to_vec()));
        for device in ["", "353451044508750,B", "35345104450875;", "#"] {
            let error = encoded(device).expect_err(device);
            assert_eq!(error.to_string(), "device: has to be digits");
        }
    }
}
