//! Parameters by name, as people write them.

use crate::exit::{Failure, Status};
use anyhow::Result;
use compact_str::CompactString;
use odograph_lake::Parameters;
use odograph_model::{Key, PARAMETERS, Record};

/// A parameter's name that can be exported.
pub(crate) fn parameter(name: &str) -> Result<CompactString, String> {
    if name == RAW || Key::from_name(name).is_some() {
        return Ok(name.into());
    }
    let known = PARAMETERS.iter().map(|parameter| parameter.name.replace("{n}", "1").replace("{zone}", "1"));
    let near = known.map(|known| (strsim::damerau_levenshtein(&known, name), known)).min();
    let near = near.filter(|(distance, _)| *distance <= NEAR_MAX);
    let hint = near.map_or_else(String::new, |(_, known)| format!(": did you mean {known}?"));
    Err(format!("no parameter is named {name}{hint}"))
}

/// All of them; `None` where none is named, which means all that there are.
pub(super) fn parameters(names: &[CompactString]) -> Result<Option<Parameters>> {
    let mut chosen = Parameters::default();
    for name in names {
        parameter(name).map_err(|what| Failure::new(Status::Usage, what))?;
        match Key::from_name(name) {
            Some(key) if !chosen.keys.contains(&key) => chosen.keys.push(key),
            Some(_) => {}
            None => chosen.raw = true,
        }
    }
    Ok((!names.is_empty()).then_some(chosen))
}

/// The record with these parameters alone; `None` where it has none of them.
pub(super) fn narrowed(record: &Record, chosen: &Parameters) -> Option<Record> {
    let mut narrow = Record::new();
    (narrow.device, narrow.time) = (record.device.clone(), record.time);
    for (key, value) in record.values().iter().filter(|(key, _)| chosen.keys.contains(key)) {
        narrow.set(*key, value.clone());
    }
    for (name, value) in record.raw_values().iter().filter(|_| chosen.raw) {
        narrow.raw(name.clone(), value.clone());
    }
    (!narrow.values().is_empty() || !narrow.raw_values().is_empty()).then_some(narrow)
}

/// All that the dictionary does not name.
const RAW: &str = "raw";
/// What a person mistypes.
const NEAR_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_told_with_what_is_near() {
        assert_eq!(parameter("temperature.3"), Ok("temperature.3".into()));
        assert_eq!(parameter("raw"), Ok("raw".into()));
        let wrong = parameter("position.sped").unwrap_err();
        assert_eq!(wrong, "no parameter is named position.sped: did you mean position.speed?");
        assert_eq!(parameter("nothing of the kind").unwrap_err(), "no parameter is named nothing of the kind");
    }

    #[test]
    fn each_is_taken_once_in_the_order_in_which_they_are_named() {
        let names = ["position.speed", "raw", "din", "position.speed"].map(CompactString::from);
        let expected = Parameters { keys: vec![Key::PositionSpeed, Key::Din], raw: true };
        assert_eq!(parameters(&names).unwrap(), Some(expected));
        assert_eq!(parameters(&[]).unwrap(), None);
    }
}
