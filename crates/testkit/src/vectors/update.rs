//! Rewriting what a file expects. Messages, titles, options and remarks stay as they are.

use super::{Command, Encoded, Message, Paragraph, Step, VectorsError, parse, show};
use odograph_protocols::{Conversation, Protocol};
use std::collections::BTreeMap;

/// `text` with the expectations that `protocol` fulfils now. Read the difference: what is written is what is decoded,
/// right or wrong.
pub fn update(protocol: &'static Protocol, text: &str) -> Result<String, VectorsError> {
    let mut rewritten = BTreeMap::new();
    for paragraph in parse(text)? {
        rewrite(protocol, &paragraph, &mut rewritten)?;
    }
    let mut lines: Vec<String> = Vec::new();
    // Expectations of a message go below the remarks that stand behind it.
    let mut pending: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let is_remark = line.starts_with('#');
        let is_expectation = ["=", "i", "<", "<?", "<-", "<!", "n", "!", "a"]
            .iter()
            .any(|mark| line.split_once(' ').map_or(line, |(mark, _)| mark) == *mark);
        if is_expectation {
            continue;
        }
        if !is_remark {
            lines.append(&mut pending);
        }
        match rewritten.remove(&(index + 1)) {
            Some(Rewritten::Below(expected)) => {
                lines.push(line.trim_end().to_owned());
                pending = expected;
            }
            Some(Rewritten::Line(line)) => lines.push(line),
            None => lines.push(line.trim_end().to_owned()),
        }
    }
    lines.append(&mut pending);
    Ok(lines.join("\n") + "\n")
}

/// What becomes of a line.
enum Rewritten {
    /// It stays, and these follow.
    Below(Vec<String>),
    /// This takes its place.
    Line(String),
}

fn rewrite(
    protocol: &'static Protocol,
    paragraph: &Paragraph,
    rewritten: &mut BTreeMap<usize, Rewritten>,
) -> Result<(), VectorsError> {
    let terms = paragraph.options.terms(protocol).map_err(|error| VectorsError {
        file: String::new(),
        line: paragraph.line,
        what: error.to_string(),
    })?;
    let mut conversation = Conversation::new(protocol, terms);
    for step in &paragraph.steps {
        match step {
            Step::Message(Message { line, bytes, expected }) => {
                let heard = conversation.frame(bytes, paragraph.options.received, None);
                rewritten.insert(*line, Rewritten::Below(show::lines(&show::listed(&heard, expected))));
            }
            Step::Command(command) => {
                let encoded = encode(&mut conversation, paragraph, command);
                rewritten.insert(command.line, Rewritten::Line(command_line(command, encoded)));
            }
        }
    }
    Ok(())
}

/// What `command` becomes in `conversation`.
pub(super) fn encode(
    conversation: &mut Conversation,
    paragraph: &Paragraph,
    command: &Command,
) -> Result<Vec<u8>, String> {
    let device = conversation.identity().unwrap_or(paragraph.options.device()).to_owned();
    let attributes: Vec<_> = command.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let command = odograph_protocols::Command::new(&command.name, &attributes);
    conversation.command(&device, &command).map_err(|error| error.to_string())
}

fn command_line(command: &Command, encoded: Result<Vec<u8>, String>) -> String {
    let shown = match encoded {
        Err(error) => format!("! {error}"),
        Ok(bytes) => {
            let text = match &command.expected {
                Some(Ok(known)) => known.text,
                _ => show::reads_as_text(&bytes),
            };
            show::bytes(&Encoded { bytes, text })
        }
    };
    format!("c {} => {shown}", command.call)
}
