//! Reading `.vectors` files. What is wrong in one is said with its line.

use super::{Command, Encoded, Listed, Message, Options, Paragraph, Scope, Step, Summed, VectorsError};
use odograph_model::Time;
use odograph_protocols::{Checksum, Transport};
use odograph_wire::notation;

/// The paragraphs of a file.
pub fn parse(text: &str) -> Result<Vec<Paragraph>, VectorsError> {
    let mut paragraphs = Vec::new();
    let mut current: Option<Paragraph> = None;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if line.trim().is_empty() {
            paragraphs.extend(current.take());
            continue;
        }
        let paragraph = current.get_or_insert_with(|| Paragraph { line: line_number, ..Paragraph::default() });
        read_line(paragraph, line_number, line).map_err(|what| VectorsError {
            file: String::new(),
            line: line_number,
            what,
        })?;
    }
    paragraphs.extend(current);
    // A file may begin with remarks about all of it.
    paragraphs.retain(|paragraph| !paragraph.steps.is_empty());
    match paragraphs.iter().find(|paragraph| paragraph.title.is_empty()) {
        Some(paragraph) => Err(VectorsError {
            file: String::new(),
            line: paragraph.line,
            what: "a paragraph begins with `# title    source: where the bytes come from`".to_owned(),
        }),
        None => Ok(paragraphs),
    }
}

fn read_line(paragraph: &mut Paragraph, number: usize, line: &str) -> Result<(), String> {
    let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match mark {
        "#" if paragraph.steps.is_empty() && paragraph.title.is_empty() => read_title(paragraph, rest),
        _ if mark.starts_with('#') => Ok(()),
        "@" if paragraph.steps.is_empty() => read_options(&mut paragraph.options, rest),
        "@" => Err("options stand before the first message".to_owned()),
        ">" => {
            let (bytes, _) = read_bytes(rest)?;
            paragraph.steps.push(Step::Message(Message { line: number, bytes, expected: Listed::default() }));
            Ok(())
        }
        "c" => {
            paragraph.steps.push(Step::Command(read_command(number, rest)?));
            Ok(())
        }
        _ => match paragraph.steps.last_mut() {
            Some(Step::Message(message)) => read_expectation(&mut message.expected, mark, rest),
            _ => Err(format!("`{mark}` says what a message gives, but no message stands before it")),
        },
    }
}

fn read_title(paragraph: &mut Paragraph, rest: &str) -> Result<(), String> {
    // Without a source it is a remark: a file may begin with some.
    let Some((title, source)) = rest.split_once("source:") else { return Ok(()) };
    if title.trim().is_empty() || source.trim().is_empty() {
        return Err("neither the title nor its `source:` may be empty".to_owned());
    }
    paragraph.title = title.trim().to_owned();
    paragraph.source = source.trim().to_owned();
    Ok(())
}

fn read_options(options: &mut Options, rest: &str) -> Result<(), String> {
    for word in words(rest)? {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("transport", Some("tcp")) => options.transport = Some(Transport::Tcp),
            ("transport", Some("udp")) => options.transport = Some(Transport::Udp),
            ("checksum", Some("note")) => options.checksum = Checksum::Note,
            ("device", Some(value)) => options.device = Some(value.to_owned()),
            ("ids", Some(value)) => options.ids = Some(value.to_owned()),
            ("received", Some(value)) => {
                options.received = Time::parse(value).ok_or(format!("{value:?} is no RFC 3339 time"))?;
            }
            ("prefix-ok", value) => options.prefix_ok = read_scope(value)?,
            ("unsummed", value) => options.unsummed = read_scope(value)?,
            ("summed", value) => options.summed = read_summed(value)?,
            ("bare", None) => options.bare = true,
            (name, Some(value)) if name.starts_with("set:") => {
                options.settings.push((name.trim_start_matches("set:").to_owned(), value.to_owned()));
            }
            _ => {
                return Err(format!(
                    "option {word:?}: known are transport=tcp|udp, device=ID, set:NAME=VALUE, checksum=note, \
                     received=TIME, ids=NAME, bare, prefix-ok, unsummed and summed (the last three also with =1,3: which messages)"
                ));
            }
        }
    }
    Ok(())
}

fn read_scope(value: Option<&str>) -> Result<Scope, String> {
    let Some(value) = value else { return Ok(Scope::All) };
    let numbers: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
    numbers.map(Scope::Only).map_err(|_| format!("{value:?} is no list of message numbers such as 1,3"))
}

fn read_summed(value: Option<&str>) -> Result<Summed, String> {
    let Some(value) = value else { return Ok(Summed::All) };
    let read = |word: &str| {
        let (number, from) = word.split_once('@').unwrap_or((word, "0"));
        Some((number.parse().ok()?, from.parse().ok()?))
    };
    let messages: Option<Vec<(usize, usize)>> = value.split(',').map(read).collect();
    messages
        .map(Summed::Only)
        .ok_or(format!("{value:?} is no list of message numbers, each with a byte or without, such as 1@3,2"))
}

fn read_expectation(expected: &mut Listed, mark: &str, rest: &str) -> Result<(), String> {
    match mark {
        "=" => {
            let value: serde_json::Value =
                serde_json::from_str(rest).map_err(|error| format!("the record is no JSON object: {error}"))?;
            if !value.is_object() {
                return Err("the record is no JSON object".to_owned());
            }
            expected.records.push(rest.to_owned());
        }
        "i" => expected.identity.push(rest.to_owned()),
        "<" | "<?" | "<-" | "<!" => {
            let (bytes, text) = read_bytes(rest)?;
            expected.replies.push((mark.to_owned(), Encoded { bytes, text }));
        }
        "n" => expected.notes.push(rest.to_owned()),
        "!" => expected.faults.push(rest.to_owned()),
        "a" => {
            serde_json::from_str::<serde_json::Value>(rest).map_err(|error| format!("the answer: {error}"))?;
            expected.answers.push(rest.to_owned());
        }
        _ => return Err(format!("`{mark}` begins no line: known are # @ > = i < <? <- <! n ! a c")),
    }
    Ok(())
}

fn read_command(line: usize, rest: &str) -> Result<Command, String> {
    let (call, expected) = rest.split_once(" => ").unwrap_or((rest.trim_end_matches("=>"), ""));
    let mut words = words(call)?.into_iter();
    let name = words.next().ok_or("the command lacks its name")?;
    let attributes = words
        .map(|word| {
            let pair = word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| format!("{word:?} is no NAME=VALUE"))
        })
        .collect::<Result<_, _>>()?;
    let expected = match expected.trim() {
        "" => None,
        text if text.starts_with("! ") => Some(Err(text.trim_start_matches("! ").to_owned())),
        text => {
            let (bytes, text) = read_bytes(text)?;
            Some(Ok(Encoded { bytes, text }))
        }
    };
    Ok(Command { line, call: call.trim().to_owned(), name, attributes, expected })
}

/// Bytes as hex or as a quoted text, and which of them it was.
fn read_bytes(text: &str) -> Result<(Vec<u8>, bool), String> {
    let quoted = text.strip_prefix('"').map(|rest| rest.strip_suffix('"').ok_or("the text lacks its closing quote"));
    match quoted {
        Some(inner) => Ok((notation::from_text(inner?).map_err(|error| format!("the text: {error}"))?, true)),
        None => Ok((notation::from_hex(text).map_err(|error| format!("the bytes: {error}"))?, false)),
    }
}

/// Words between blanks; a part in double quotes may hold blanks and escapes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    let mut inner = String::new();
    for character in text.chars() {
        match character {
            '"' if !escaped && quoted => {
                let bytes = notation::from_text(&inner).map_err(|error| format!("{inner:?}: {error}"))?;
                word.push_str(&String::from_utf8(bytes).map_err(|_| format!("{inner:?} is no text"))?);
                inner.clear();
                quoted = false;
            }
            '"' if !quoted => quoted = true,
            _ if quoted => {
                escaped = character == '\\' && !escaped;
                inner.push(character);
            }
            character if character.is_whitespace() => words.extend(take_word(&mut word)),
            character => word.push(character),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(take_word(&mut word));
    Ok(words)
}

fn take_word(word: &mut String) -> Option<String> {
    if word.is_empty() { None } else { Some(std::mem::take(word)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_paragraph_with_everything() {
        let text = "# Remarks about the file.\n\n# a login   source: made up\n@ transport=tcp set:zone=+02:00 prefix-ok=1\n\
                    > \"hi \\\"x\\\"\\r\\n\"\n= {\"din.1\":true}\ni 7\n<? 0A 0b\n# a remark\n\
                    c say text=\"a b\" => \"a b\\n\"\nc say => ! no text\n";
        let paragraphs = parse(text).unwrap();
        let [paragraph] = paragraphs.as_slice() else { panic!("one paragraph: {paragraphs:?}") };
        assert_eq!((paragraph.line, paragraph.title.as_str(), paragraph.source.as_str()), (3, "a login", "made up"));
        assert!(paragraph.options.prefix_ok.has(0) && !paragraph.options.prefix_ok.has(1));
        let [Step::Message(message), Step::Command(said), Step::Command(failed)] = paragraph.steps.as_slice() else {
            panic!("three steps: {paragraph:?}");
        };
        assert_eq!(message.bytes, b"hi \"x\"\r\n");
        assert_eq!(message.expected.replies, [("<?".to_owned(), Encoded { bytes: vec![10, 11], text: false })]);
        assert_eq!(said.attributes, [("text".to_owned(), "a b".to_owned())]);
        assert_eq!(said.expected, Some(Ok(Encoded { bytes: b"a b\n".to_vec(), text: true })));
        assert_eq!(failed.expected, Some(Err("no text".to_owned())));
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(error("# a  source: b\n> 0x"), "line 2: the bytes: expected a hex digit at character 2");
        assert!(error("# a\n> 00").starts_with("line 1: a paragraph begins with"));
        assert!(error("# a  source: b\n= {}").starts_with("line 2: `=` says what a message gives"));
        assert!(error("# a  source: b\n> 00\n= 7").starts_with("line 3: the record is no JSON object"));
        assert!(error("# a  source: b\n@ fast\n> 00").starts_with("line 2: option \"fast\": known are"));
        assert!(error("# a  source: b\n> 00\n? x").starts_with("line 3: `?` begins no line"));
        assert!(error("> 00").starts_with("line 1: a paragraph begins with"));
    }
}
