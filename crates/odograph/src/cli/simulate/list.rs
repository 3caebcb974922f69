//! Who the devices of a fleet are, and where they can be at home.

use crate::cli::table;
use anyhow::Result;
use odograph_simulate::{Member, Plan, cities::CITIES};
use serde_json::json;
use std::io::Write;

/// A table that `odograph device import` takes, or JSON.
pub(super) fn members(plan: &Plan, as_json: bool, out: &mut dyn Write) -> Result<()> {
    if !as_json {
        writeln!(out, "imei;name;plate;group;protocol;category")?;
    }
    for member in plan.members() {
        let Member { number, imei, plate, speech, .. } = &member;
        let (name, [country, city]) = (member.name(), member.group());
        let category = if member.has_unit() { "refrigerated truck" } else { "truck" };
        if as_json {
            let (place, protocol) = (CITIES[member.city].place, speech.name());
            let line = json!({
                "number": number, "imei": imei, "name": name, "plate": plate, "country": country, "city": city,
                "latitude": place.latitude, "longitude": place.longitude, "protocol": protocol, "category": category,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{imei};{name};{plate};{country} / {city};{};{category}", speech.name())?;
        }
    }
    Ok(())
}

pub(super) fn cities(as_json: bool, out: &mut dyn Write) -> Result<()> {
    if as_json {
        for city in CITIES {
            let place = city.place;
            let line = json!({
                "name": city.name, "country": city.country, "latitude": place.latitude, "longitude": place.longitude,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let rows = CITIES.iter().map(|city| vec![city.name.to_owned(), city.country.to_owned()]).collect();
    out.write_all(table::headed(&["CITY", "COUNTRY"], rows).as_bytes())?;
    Ok(())
}
