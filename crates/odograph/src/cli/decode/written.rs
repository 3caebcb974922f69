//! Requests by HTTP, as people and test suites write them down.

use super::line::Problem;
use odograph_wire::{http, notation};
use serde_json::{Map, Value};

/// The bytes of a request that is written as JSON: `method`, `url`, `headers`, `body` or `body_hex`.
pub(super) fn request(text: &str) -> Result<Vec<u8>, Problem> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let written: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let reason = "expected a JSON object with method, url, headers, and body or body_hex";
        Problem { field: "line", at: error.column().saturating_sub(1), reason: reason.to_owned() }
    })?;
    let body = body(&written)?;
    let method = match text_of(&written, "method")? {
        Some(method) => method,
        None if body.is_some() => "POST",
        None => "GET",
    };
    let url = match text_of(&written, "url")? {
        Some(url) if url.starts_with('?') => format!("/{url}"),
        Some(url) if !url.is_empty() => url.to_owned(),
        Some(_) => "/".to_owned(),
        None => return Err(expected("url", "a text such as \"/?id=1\"")),
    };
    let headers = headers(&written)?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(http::compose(method, &url, headers, body.as_deref()))
}

fn text_of<'w>(written: &'w Map<String, Value>, name: &'static str) -> Result<Option<&'w str>, Problem> {
    match written.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(expected(name, "a text")),
    }
}

fn body(written: &Map<String, Value>) -> Result<Option<Vec<u8>>, Problem> {
    match (text_of(written, "body")?, text_of(written, "body_hex")?) {
        (Some(_), Some(_)) => Err(expected("body_hex", "no body beside it")),
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(hex)) => {
            let bytes = notation::from_hex(hex).map_err(|error| expected("body_hex", error.expected))?;
            Ok(Some(bytes))
        }
        (None, None) => Ok(None),
    }
}

/// Names and values; a name with a list of values stands in as many lines.
fn headers(written: &Map<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    let listed = match written.get("headers") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(listed)) => listed,
        Some(_) => return Err(expected("headers", "an object")),
    };
    let mut headers = Vec::new();
    for (name, value) in listed {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            match value {
                Value::String(text) => headers.push((name.clone(), text.clone())),
                Value::Number(number) => headers.push((name.clone(), number.to_string())),
                _ => return Err(expected("headers", "texts as values")),
            }
        }
    }
    Ok(headers)
}

fn expected(field: &'static str, what: &str) -> Problem {
    Problem { field, at: 0, reason: format!("expected {what}") }
}
