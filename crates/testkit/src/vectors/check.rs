//! Checking a file: what is written against what is decoded, then the laws.

use super::laws::{self, Case};
use super::{Encoded, Paragraph, Step, VectorsError, parse, show, update};
use odograph_model::RecordId;
use odograph_protocols::{Conversation, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What came of checking a file.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many paragraphs it holds.
    pub paragraphs: usize,
    /// How many cases of each law were looked at.
    pub cases: BTreeMap<&'static str, usize>,
    /// What is wrong: file, line, law and what happened.
    pub findings: Vec<String>,
}

/// Checks the vectors of `protocol` in `path`. With `rewrite`, what the file expects is rewritten first.
pub fn check(protocol: &'static Protocol, path: &Path, rewrite: bool) -> Result<Report, VectorsError> {
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let failed = |what: String| VectorsError { file: path.display().to_string(), line: 0, what };
    let named = |error: VectorsError| VectorsError { file: path.display().to_string(), ..error };
    let mut text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    if rewrite {
        let updated = update(protocol, &text).map_err(named)?;
        if updated != text {
            std::fs::write(path, &updated).map_err(|error| failed(error.to_string()))?;
        }
        text = updated;
    }
    check_text(protocol, &file, &text).map_err(named)
}

/// Checks vectors that were read from `file`.
pub fn check_text(protocol: &'static Protocol, file: &str, text: &str) -> Result<Report, VectorsError> {
    let paragraphs = parse(text)?;
    let mut report = Report { paragraphs: paragraphs.len(), ..Report::default() };
    let mut groups: BTreeMap<&str, (usize, BTreeSet<RecordId>)> = BTreeMap::new();
    let mut kinds = Kinds::default();
    for paragraph in &paragraphs {
        let at = |what: String| VectorsError { file: file.to_owned(), line: paragraph.line, what };
        let terms = paragraph.options.terms(protocol).map_err(|error| at(error.to_string()))?;
        exact(protocol, file, paragraph, Conversation::new(protocol, terms.clone()), &mut report);
        let case = Case::new(protocol, paragraph, terms);
        kinds.add(&case);
        let ids = laws::check(&case, file, &mut report);
        if let Some(name) = &paragraph.options.ids {
            let (line, first) = groups.entry(name).or_insert_with(|| (paragraph.line, ids.clone()));
            report.count("ids");
            if *first != ids {
                let line = *line;
                report.find(file, paragraph.line, "ids", &format!("not the record ids of {name:?} in line {line}"));
            }
        }
    }
    for missing in kinds.missing(paragraphs.len()) {
        report.find(file, 1, "coverage", missing);
    }
    Ok(report)
}

impl Report {
    /// Counts a case of a law.
    pub(super) fn count(&mut self, law: &'static str) {
        *self.cases.entry(law).or_default() += 1;
    }

    /// Adds something that is wrong.
    pub(super) fn find(&mut self, file: &str, line: usize, law: &str, what: &str) {
        self.findings.push(format!("{file}:{line}: {law}: {what}"));
    }
}

/// Compares every line with what is decoded.
fn exact(
    protocol: &'static Protocol,
    file: &str,
    paragraph: &Paragraph,
    mut conversation: Conversation,
    report: &mut Report,
) {
    for step in &paragraph.steps {
        match step {
            Step::Message(message) => {
                let heard = conversation.frame(&message.bytes, paragraph.options.received, None);
                let found = show::listed(&heard, &message.expected);
                report.count("decode");
                for difference in show::differences(&message.expected, &found) {
                    report.find(file, message.line, "decode", &difference);
                }
            }
            Step::Command(command) => {
                let found = update::encode(&mut conversation, paragraph, command);
                let expected = command.expected.clone().map(|expected| expected.map(|encoded| encoded.bytes));
                report.count("command");
                if expected.as_ref() != Some(&found) {
                    let show = |encoded: &Result<Vec<u8>, String>| match encoded {
                        Ok(bytes) => show::bytes(&Encoded { bytes: bytes.clone(), text: show::reads_as_text(bytes) }),
                        Err(error) => format!("! {error}"),
                    };
                    let expected = expected.as_ref().map_or_else(|| "nothing yet".to_owned(), show);
                    let what = format!(
                        "{} of {}: expected\n  {expected}\nfound\n  {}",
                        command.call,
                        protocol.name,
                        show(&found)
                    );
                    report.find(file, command.line, "command", &what);
                }
            }
        }
    }
}

/// What kinds of paragraphs a file holds.
#[derive(Default)]
struct Kinds {
    login: bool,
    position: bool,
    malformed: bool,
}

impl Kinds {
    fn add(&mut self, case: &Case<'_>) {
        // Devices that never say who they are belong to a listener of their own.
        self.login |=
            case.heard.iter().any(|heard| !heard.identity.is_empty()) || case.paragraph.options.device.is_some();
        let latitude = odograph_model::Key::PositionLatitude;
        self.position |=
            case.heard.iter().flat_map(|heard| &heard.records).any(|record| record.get(latitude).is_some());
        self.malformed |= case.heard.iter().any(|heard| heard.fault.is_some());
    }

    fn missing(&self, paragraphs: usize) -> Vec<&'static str> {
        let wanted = [
            (paragraphs >= 3, "there are fewer than three paragraphs"),
            (self.login, "no paragraph shows how the device says who it is"),
            (self.position, "no paragraph gives a position"),
            (self.malformed, "no paragraph shows a malformed message"),
        ];
        wanted.into_iter().filter(|(is_there, _)| !is_there).map(|(_, what)| what).collect()
    }
}
