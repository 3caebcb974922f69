//! The pages about protocols in `docs/protocols/`: printed from the registry, the sources and the vectors, so that they
//! say what the program does and nobody keeps them up to date.
//!
//! What only a person can say stands beside the protocol, in `devices/NAME.md`, and is taken in as it is: what comes before
//! its first heading opens the page, its sections follow, and `## Known gaps` comes last. It need not be there.

mod decoded;
mod sample;

use odograph_protocols::{CommandSpec, Maturity, PROTOCOLS, Protocol, Setting};
use std::fmt::Write;
use std::io;
use std::path::Path;

/// A page: its file name, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file's name in `docs/protocols/`.
    pub file: String,
    /// All of it.
    pub text: String,
}

/// The index and the page of every protocol. `devices` is the folder of sources, vectors and remarks. An error names
/// the file that cannot be used.
pub fn pages(devices: &Path) -> io::Result<Vec<Page>> {
    let mut pages = vec![Page { file: "README.md".to_owned(), text: index() }];
    for protocol in PROTOCOLS {
        pages.push(Page { file: format!("{}.md", protocol.name), text: page(protocol, devices)? });
    }
    Ok(pages)
}

fn index() -> String {
    let mut text = heading("Protocols");
    text += "What the protocols have in common is in [protocols.md](../protocols.md); how one is added, in\n\
             [add-a-protocol.md](../add-a-protocol.md).\n\n\
             | protocol | for | port | by | commands | maturity |\n|---|---|---|---|---|---|\n";
    for protocol in PROTOCOLS {
        let cells = [
            format!("[`{0}`]({0}.md)", protocol.name),
            protocol.title.to_owned(),
            protocol.port.to_string(),
            transports(protocol),
            protocol.commands.len().to_string(),
            maturity(protocol).0.to_owned(),
        ];
        text += &row(&cells);
    }
    text
}

fn page(protocol: &Protocol, devices: &Path) -> io::Result<String> {
    let named = |ending: &str| devices.join(format!("{}{ending}", protocol.name));
    let remarks = match std::fs::read_to_string(named(".md")) {
        Ok(text) => Remarks::of(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Remarks::default(),
        Err(error) => return Err(at(&named(".md"), &error)),
    };
    let source = std::fs::read_to_string(named(".rs")).map_err(|error| at(&named(".rs"), &error))?;
    let vectors = std::fs::read_to_string(named(".vectors")).map_err(|error| at(&named(".vectors"), &error))?;
    let paragraphs = crate::vectors::parse(&vectors).map_err(|error| at(&named(".vectors"), &error))?;

    let mut text = heading(protocol.title);
    if !remarks.opening.is_empty() {
        text += &format!("{}\n\n", remarks.opening);
    }
    text += &facts(protocol);
    text += &format!("\n## On the wire\n\n{}\n", opening_of(&source));
    if !remarks.sections.is_empty() {
        text += &format!("\n{}\n", remarks.sections);
    }
    text += &decoded::section(&sources(devices, protocol, source)?, &paragraphs);
    text += &settings(protocol.settings);
    text += &commands(protocol.commands);
    text += &sample::section(&paragraphs);
    let gaps = if remarks.gaps.is_empty() { "None that are known." } else { remarks.gaps.as_str() };
    text += &format!("\n## Known gaps\n\n{gaps}\n");
    Ok(text)
}

fn facts(protocol: &Protocol) -> String {
    let (maturity, what) = maturity(protocol);
    let checksum = if protocol.has_checksum { "each message carries one" } else { "not over all that matters" };
    let minutes = protocol.idle_s_max / 60;
    let cells = [
        ("name", format!("`{}`", protocol.name)),
        ("devices", protocol.devices.to_owned()),
        ("port", format!("{} ({})", protocol.port, transports(protocol))),
        ("maturity", format!("{maturity}: {what}")),
        ("written from", protocol.source.to_owned()),
        ("checksum", checksum.to_owned()),
        ("longest message", format!("{} bytes", protocol.frame_max)),
        ("given up on after", format!("{minutes} minutes of silence")),
    ];
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in cells {
        text += &row(&[name.to_owned(), value]);
    }
    text
}

fn settings(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let mut text = "\n## Settings\n\n| setting | takes | what it does |\n|---|---|---|\n".to_owned();
    for setting in settings {
        text += &row(&[format!("`{}`", setting.name), setting.kind.to_string(), setting.meaning.to_owned()]);
    }
    text
}

fn commands(commands: &[CommandSpec]) -> String {
    if commands.is_empty() {
        return "\n## Commands\n\nNone.\n".to_owned();
    }
    let mut text = "\n## Commands\n\n`?` stands behind what may be left out.\n\n| command | takes | what it does |\n|---|---|---|\n".to_owned();
    for command in commands {
        text += &row(&[format!("`{}`", command.name), command.attributes.join(", "), command.meaning.to_owned()]);
    }
    text
}

/// What somebody wrote about the protocol.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remarks {
    opening: String,
    sections: String,
    gaps: String,
}

impl Remarks {
    fn of(text: &str) -> Self {
        let mut remarks = Self::default();
        let mut section = &mut remarks.opening;
        for line in text.lines() {
            match line {
                "## Known gaps" => {
                    section = &mut remarks.gaps;
                    continue;
                }
                line if line.starts_with("## ") => section = &mut remarks.sections,
                _ => {}
            }
            section.push_str(line);
            section.push('\n');
        }
        for section in [&mut remarks.opening, &mut remarks.sections, &mut remarks.gaps] {
            *section = section.trim().to_owned();
        }
        remarks
    }
}

/// The source's own account of the protocol: its `//!` lines.
fn opening_of(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    text.join("\n").trim().to_owned()
}

/// The protocol's file and those in its folder.
fn sources(devices: &Path, protocol: &Protocol, mut all: String) -> io::Result<String> {
    let folder = devices.join(protocol.name);
    if folder.is_dir() {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| at(&folder, &error))? {
            files.push(entry.map_err(|error| at(&folder, &error))?.path());
        }
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
            all += &std::fs::read_to_string(file).map_err(|error| at(file, &error))?;
        }
    }
    Ok(all)
}

fn heading(title: &str) -> String {
    format!(
        "<!-- @generated: `UPDATE=1 cargo test -p odograph-testkit --test pages` prints it anew. -->\n\n# {title}\n\n"
    )
}

fn row(cells: &[String]) -> String {
    let mut row = "|".to_owned();
    for cell in cells {
        let _ = write!(row, " {} |", cell.replace('|', "\\|"));
    }
    row + "\n"
}

fn transports(protocol: &Protocol) -> String {
    protocol.transports.iter().map(|transport| transport.name()).collect::<Vec<_>>().join(", ")
}

const fn maturity(protocol: &Protocol) -> (&'static str, &'static str) {
    match protocol.maturity {
        Maturity::Proven => ("proven", "written from the maker's description and checked against captured messages"),
        Maturity::Unverified => ("unverified", "parts are guesses, and are marked so"),
    }
}

fn at(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_fall_into_their_parts() {
        let text = "Opens.\n\n## Known gaps\n\n- One.\n\n## Pieces\n\nText.\n\n### More\n\nText.\n";
        let expected = Remarks {
            opening: "Opens.".to_owned(),
            sections: "## Pieces\n\nText.\n\n### More\n\nText.".to_owned(),
            gaps: "- One.".to_owned(),
        };
        assert_eq!(Remarks::of(text), expected);
        assert_eq!(Remarks::of(""), Remarks::default());
    }

    #[test]
    fn a_source_opens_with_its_account() {
        assert_eq!(opening_of("//! One.\n//!\n//! Two.\n\nuse it;\n//! no\n"), "One.\n\nTwo.");
    }

    #[test]
    fn cells_hold_no_bars() {
        assert_eq!(row(&["a|b".to_owned(), "c".to_owned()]), "| a\\|b | c |\n");
    }
}
