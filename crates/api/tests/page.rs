//! The page about the API shows each operation with a call of `curl`, and no call that there is not.

use serde_json::Value;
use std::collections::BTreeSet;

/// A call as somebody types it.
#[derive(Debug, PartialEq)]
struct Call {
    method: String,
    path: String,
    body: Option<Value>,
}

/// The words of a shell's line, as far as the page needs them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (quote, character) {
            (None, '#') if word.is_none() => break,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn call(line: &str) -> Option<Call> {
    let words = words(line);
    let mut rest = words.iter().skip_while(|word| *word != "curl").skip(1);
    let (mut method, mut path, mut body) = (None, None, None);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-X" => method = rest.next().cloned(),
            "-d" => {
                let json = |text: &String| serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}"));
                body = rest.next().map(json);
            }
            "-H" | "-b" | "-c" | "--unix-socket" => drop(rest.next()),
            _ => {
                let named = |at: usize| word[at..].split('?').next().unwrap_or_default().to_owned();
                path = word.find("/api/v1").map(named).or(path);
            }
        }
    }
    let method = method.unwrap_or_else(|| if body.is_some() { "POST".to_owned() } else { "GET".to_owned() });
    Some(Call { method: method.to_lowercase(), path: path?, body })
}

/// How many parts of a path stand in the description as they are; nothing where it is another path.
fn alike(described: &str, path: &str) -> Option<usize> {
    let (described, path): (Vec<_>, Vec<_>) = (described.split('/').collect(), path.split('/').collect());
    let is_it = described.len() == path.len()
        && described.iter().zip(&path).all(|(one, part)| one == part || (one.starts_with('{') && !part.is_empty()));
    is_it.then(|| described.iter().filter(|one| !one.starts_with('{')).count())
}

/// What a body may have, and must.
fn check_body(description: &Value, operation: &Value, call: &Call) {
    let content = &operation["requestBody"]["content"]["application/json"]["schema"];
    let Some(body) = &call.body else {
        assert!(content.is_null() || call.method == "get", "{call:?}: it needs a body");
        return;
    };
    let schema = match content["$ref"].as_str() {
        Some(name) => description.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} is not described")),
        None => content,
    };
    let body = body.as_object().unwrap_or_else(|| panic!("{call:?}: no object"));
    // A choice of several kinds has its keys elsewhere.
    let Some(known) = schema["properties"].as_object() else { return };
    for key in body.keys() {
        assert!(known.contains_key(key), "{call:?}: there is no {key}");
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(body.contains_key(key), "{call:?}: {key} is missing");
    }
}

#[test]
fn each_operation_is_shown_with_a_call() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md")).unwrap();
    let description: Value = serde_json::from_str(&odograph_api::description()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |one| (one, path)));
    let mut missing: BTreeSet<(&String, &String)> = all.collect();
    for line in page.lines().filter(|line| line.starts_with("curl ")) {
        let Some(call) = call(line) else { continue };
        if call.path == "/api/v1/openapi.json" {
            continue;
        }
        let of_method = paths.iter().filter(|(_, methods)| methods.get(&call.method).is_some());
        let found = of_method.filter_map(|(path, methods)| Some((alike(path, &call.path)?, path, methods)));
        let (_, path, methods) =
            found.max_by_key(|(literal, ..)| *literal).unwrap_or_else(|| panic!("there is no such call: {line}"));
        check_body(&description, &methods[&call.method], &call);
        missing.retain(|(method, of)| (method.as_str(), of.as_str()) != (&*call.method, path));
    }
    assert_eq!(missing, BTreeSet::new(), "docs/api.md has no line with curl for these");
}

#[test]
fn a_call_is_read_as_a_shell_does() {
    let line =
        r#"curl -H "$A" -H "$J" -X PATCH -d '{"name":"a # b"}' "$H/api/v1/devices/$ID?x=1"   # not -d '{"a":1}'"#;
    let expected = Call {
        method: "patch".into(),
        path: "/api/v1/devices/$ID".into(),
        body: Some(serde_json::json!({"name": "a # b"})),
    };
    assert_eq!(call(line), Some(expected));
    assert_eq!(alike("/a/{id}/types", "/a/1/types"), Some(3));
    assert_eq!(alike("/a/{id}", "/a/1/types"), None);
}
