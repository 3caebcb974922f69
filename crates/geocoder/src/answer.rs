//! What a geocoder's answer says: those of Nominatim and Photon, and of whatever else speaks like them; of all others by a pointer.

use serde_json::{Map, Value};

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The address in a line; empty, where there is none.
    pub(crate) text: String,
    /// Whose data it is, where the answer says so.
    pub(crate) licence: Option<String>,
}

/// Characters of an address: more are no address, and would fill the memory.
const TEXT_CHARS_MAX: usize = 300;

/// Reads an answer; the error completes the sentence "The geocoder …".
pub(crate) fn read(body: &[u8], pointer: Option<&str>) -> Result<Answer, &'static str> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "answers with what is no JSON")?;
    let licence = ["licence", "license", "attribution"].iter().find_map(|name| value.get(name)?.as_str()).map(line);
    let text = match pointer {
        Some(pointer) => match value.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => line(text),
            Some(_) => return Err("answers with something else than a text at geocoder.pointer"),
        },
        None => known(&value)?,
    };
    Ok(Answer { text, licence: licence.filter(|licence| !licence.is_empty()) })
}

/// Of the kinds that are known.
fn known(value: &Value) -> Result<String, &'static str> {
    const ODD: &str =
        "answers with what is neither Nominatim's nor Photon's: geocoder.pointer says where the address is";
    match value {
        Value::Array(all) => all.first().map_or(Ok(String::new()), known),
        Value::Object(object) => {
            if let Some(features) = object.get("features").and_then(Value::as_array) {
                // GeoJSON, as Photon has it; Nominatim has one more level in one of its formats.
                let Some(first) = features.first() else { return Ok(String::new()) };
                let properties = first.get("properties").and_then(Value::as_object).ok_or(ODD)?;
                let inner = properties.get("geocoding").and_then(Value::as_object).unwrap_or(properties);
                return Ok(of_place(inner));
            }
            if object.contains_key("display_name") || object.contains_key("address") {
                return Ok(of_place(object));
            }
            match object.get("error") {
                // What Nominatim says of the open sea.
                Some(Value::String(why)) if why.eq_ignore_ascii_case(NOTHING) => Ok(String::new()),
                Some(_) => Err("answers that it failed"),
                None => Err(ODD),
            }
        }
        _ => Err(ODD),
    }
}

const NOTHING: &str = "Unable to geocode";

/// Street and number, postcode and town, country; where there are none, the whole as it calls it.
fn of_place(place: &Map<String, Value>) -> String {
    let parts = place.get("address").and_then(Value::as_object).unwrap_or(place);
    let first = |names: &[&str]| names.iter().find_map(|name| parts.get(*name)?.as_str()).map(line).unwrap_or_default();
    let street = first(&["road", "street", "pedestrian", "footway", "cycleway", "path", "residential"]);
    let number = first(&["house_number", "housenumber"]);
    let street = match (street.is_empty(), number.is_empty()) {
        // A road alone is a thing of that name.
        (true, _) => first(&["name"]),
        (false, true) => street,
        (false, false) => {
            let country = first(&["country_code", "countrycode"]).to_lowercase();
            if NUMBER_FIRST.contains(&country.as_str()) {
                format!("{number} {street}")
            } else {
                format!("{street} {number}")
            }
        }
    };
    let town = first(&["city", "town", "village", "municipality", "hamlet", "district", "county"]);
    let town = joined([first(&["postcode"]), town], " ");
    if street.is_empty() && town.is_empty() {
        let whole = ["display_name", "label", "name"].iter().find_map(|name| place.get(*name)?.as_str());
        return whole.map(line).unwrap_or_default();
    }
    let (street, town) = if street == town { (String::new(), town) } else { (street, town) };
    line(&joined([street, town, first(&["country"])], ", "))
}

/// Where people say the number before the street.
const NUMBER_FIRST: &[&str] = &["au", "ca", "fr", "gb", "ie", "in", "lu", "nz", "us", "za"];

fn joined<const N: usize>(parts: [String; N], between: &str) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(between)
}

/// A text as one line of what can be seen.
fn line(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(body: &Value, pointer: Option<&str>, expected: Result<(&str, Option<&str>), &str>) {
        let read = read(body.to_string().as_bytes(), pointer);
        let read = read.as_ref().map(|answer| (answer.text.as_str(), answer.licence.as_deref())).map_err(|why| *why);
        assert_eq!(read, expected);
    }

    #[test]
    fn nominatims_answers_are_read() {
        let licence = "Data © OpenStreetMap contributors, ODbL 1.0";
        let address = json!({"house_number": "12", "road": "Hauptstraße", "suburb": "Mitte", "town": "Ulm",
            "state": "Baden-Württemberg", "postcode": "89073", "country": "Deutschland", "country_code": "de"});
        let body = json!({"place_id": 1, "licence": licence, "display_name": "12, Hauptstraße, Mitte, Ulm, …", "address": address});
        check(&body, None, Ok(("Hauptstraße 12, 89073 Ulm, Deutschland", Some(licence))));
        let address = json!({"house_number": "5", "road": "High Street", "village": "Ash", "country": "United Kingdom", "country_code": "gb"});
        check(
            &json!({"display_name": "x", "address": address}),
            None,
            Ok(("5 High Street, Ash, United Kingdom", None)),
        );
        check(&json!({"display_name": "Bodensee"}), None, Ok(("Bodensee", None)));
        check(
            &json!({"display_name": "Bodensee", "address": {"country": "Deutschland"}}),
            None,
            Ok(("Bodensee", None)),
        );
        check(&json!({"error": "Unable to geocode"}), None, Ok(("", None)));
        let properties = json!({"geocoding": {"label": "x", "name": "A 8", "postcode": "89077", "city": "Ulm", "country": "Germany"}});
        check(&json!({"features": [{"properties": properties}]}), None, Ok(("A 8, 89077 Ulm, Germany", None)));
    }

    #[test]
    fn photons_answers_are_read() {
        let properties = json!({"name": "Depot", "street": "Werkstraße", "housenumber": "3", "postcode": "1010", "city": "Wien",
            "country": "Österreich", "countrycode": "AT"});
        let body =
            json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": properties}, {}]});
        check(&body, None, Ok(("Werkstraße 3, 1010 Wien, Österreich", None)));
        check(
            &json!({"features": [{"properties": {"name": "Ulm", "city": "Ulm", "country": "Germany"}}]}),
            None,
            Ok(("Ulm, Germany", None)),
        );
        check(&json!({"features": []}), None, Ok(("", None)));
        let body = json!({"features": [{"geometry": null}]});
        assert!(read(body.to_string().as_bytes(), None).is_err());
    }

    #[test]
    fn of_others_a_pointer_says_where_the_address_is() {
        let body = json!({"results": [{"formatted": " Hauptstraße\n12 "}], "attribution": "© Somebody"});
        check(&body, Some("/results/0/formatted"), Ok(("Hauptstraße 12", Some("© Somebody"))));
        check(&json!({"results": []}), Some("/results/0/formatted"), Ok(("", None)));
        check(&body, Some("/results"), Err("answers with something else than a text at geocoder.pointer"));
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        assert_eq!(read(b"<html>", None), Err("answers with what is no JSON"));
        assert_eq!(read(b"", Some("/a")), Err("answers with what is no JSON"));
        check(&json!({"error": "wrong key"}), None, Err("answers that it failed"));
        check(&json!({"error": {"code": 1}}), None, Err("answers that it failed"));
        for body in [json!({"status": "ok"}), json!("Ulm"), json!(null), json!([5])] {
            assert!(
                read(body.to_string().as_bytes(), None).is_err_and(|why| why.contains("geocoder.pointer")),
                "{body}"
            );
        }
        check(&json!({"display_name": "x".repeat(1000)}), None, Ok(("x".repeat(TEXT_CHARS_MAX).as_str(), None)));
    }
}
