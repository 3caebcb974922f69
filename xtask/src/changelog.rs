//! Fragments of the changelog: one file per change that a user can see, collected at a release.
//!
//! Two changes made at the same time never touch the same file this way.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::tidy::Finding;
use crate::workspace::{self, SourceFile};

#[derive(Args)]
pub(crate) struct Options {
    /// The version to write into the heading [default: that of the workspace]
    #[arg(long)]
    version: Option<String>,
    /// The date to write into the heading [default: that of the last commit]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Print the new section and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let files = workspace::files()?;
    let fragments = read(&files)?;
    if fragments.is_empty() {
        bail!("{FOLDER} holds no fragment: there is nothing to release");
    }
    let version = match &options.version {
        Some(version) => version.clone(),
        None => workspace_version()?,
    };
    let date = match &options.date {
        Some(date) => date.clone(),
        None => last_commit_date()?,
    };
    let section = section(&version, &date, &fragments);
    if options.dry_run {
        print!("{section}");
        return Ok(());
    }
    let old = files.iter().find(|file| file.path == CHANGELOG).with_context(|| format!("{CHANGELOG} is missing"))?;
    let new = insert(&old.text, &version, &section)?;
    fs::write(workspace::root().join(CHANGELOG), new).with_context(|| format!("cannot write {CHANGELOG}"))?;
    for fragment in &fragments {
        fs::remove_file(workspace::root().join(fragment.path))
            .with_context(|| format!("cannot remove {}, which {CHANGELOG} now holds", fragment.path))?;
    }
    println!("{CHANGELOG}: {version} with {} changes", fragments.len());
    Ok(())
}

/// The rule for `tidy`: a fragment that could not be collected is found now and not at the release.
pub(crate) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) {
    findings.extend(files.iter().filter_map(|file| parse(file)?.err()));
}

/// One fragment, by its kind's place in [`KINDS`].
struct Fragment<'a> {
    path: &'a str,
    kind: usize,
    text: &'a str,
}

fn read(files: &[SourceFile]) -> Result<Vec<Fragment<'_>>> {
    let parsed: Result<Vec<_>, Finding> = files.iter().filter_map(parse).collect();
    parsed.map_err(|finding| anyhow::anyhow!("{finding}"))
}

/// `None` for a file that is no fragment.
fn parse(file: &SourceFile) -> Option<Result<Fragment<'_>, Finding>> {
    let name = file.path.strip_prefix(FOLDER)?;
    if name == "README.md" {
        return None;
    }
    let words = name.strip_suffix(".md").and_then(|stem| stem.rsplit_once('.'));
    let kind = words.and_then(|(_, kind)| KINDS.iter().position(|(other, _)| *other == kind));
    let text = file.text.trim();
    Some(match kind {
        None => {
            let kinds = KINDS.map(|(kind, _)| kind).join(", ");
            Err(Finding::new(&file.path, 1, format!("name it <what>.<kind>.md, where kind is one of {kinds}")))
        }
        Some(_) if text.is_empty() || text.starts_with(['#', '-', '*']) => {
            Err(Finding::new(&file.path, 1, "write plain sentences: headings and list marks are added at the release"))
        }
        Some(kind) => Ok(Fragment { path: &file.path, kind, text }),
    })
}

fn section(version: &str, date: &str, fragments: &[Fragment<'_>]) -> String {
    let mut section = format!("## {version} ({date})\n");
    for (kind, (_, title)) in KINDS.iter().enumerate() {
        let mut of_kind = fragments.iter().filter(|fragment| fragment.kind == kind).peekable();
        if of_kind.peek().is_some() {
            let _ = write!(section, "\n### {title}\n\n");
        }
        for fragment in of_kind {
            // Further lines of a fragment belong to the same list item, so they are indented like its first one.
            let _ = writeln!(section, "- {}", fragment.text.replace("\n", "\n  ").replace("\n  \n", "\n\n"));
        }
    }
    section
}

/// The changelog with a new section above all older ones.
fn insert(old: &str, version: &str, section: &str) -> Result<String> {
    if old.lines().any(|line| line.starts_with(&format!("## {version} "))) {
        bail!("{CHANGELOG} already has {version}: raise the version of the workspace, or give --version");
    }
    let at = old.find("\n## ").map_or(old.len(), |at| at + 1);
    let (introduction, older) = old.split_at(at);
    let gap = if older.is_empty() { "" } else { "\n" };
    Ok(format!("{}\n\n{section}{gap}{older}", introduction.trim_end()))
}

fn workspace_version() -> Result<String> {
    let packages = workspace::metadata()?.packages;
    packages.into_iter().next().map(|package| package.version).context("the workspace has no crate")
}

fn last_commit_date() -> Result<String> {
    let mut git = Command::new("git");
    let printed = workspace::output_of(git.current_dir(workspace::root()).args(["log", "-1", "--format=%cs"]))?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

const FOLDER: &str = "changelog.d/";
const CHANGELOG: &str = "CHANGELOG.md";

/// Each kind as it stands in a fragment's name, and its heading, in the order of the sections.
const KINDS: [(&str, &str); 5] =
    [("security", "Security"), ("changed", "Changed"), ("removed", "Removed"), ("added", "Added"), ("fixed", "Fixed")];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn fragments_become_a_section_by_kind() {
        let files = [
            file("changelog.d/README.md", "# How\n"),
            file("changelog.d/a.fixed.md", "One line\nand a second.\n"),
            file("changelog.d/b.added.md", "New.\n"),
            file("changelog.d/c.added.md", "Newer.\n\nWith a paragraph.\n"),
        ];
        let section = section("1.2.0", "2026-01-31", &read(&files).unwrap());
        let expected = "## 1.2.0 (2026-01-31)\n\n### Added\n\n- New.\n- Newer.\n\n  With a paragraph.\n\n\
                        ### Fixed\n\n- One line\n  and a second.\n";
        assert_eq!(section, expected);
    }

    #[test]
    fn a_new_section_stands_above_the_older_ones() {
        let first = insert("# Changelog\n\nText.\n", "1.0.0", "## 1.0.0 (d)\n\n- A.\n").unwrap();
        assert_eq!(first, "# Changelog\n\nText.\n\n## 1.0.0 (d)\n\n- A.\n");
        let second = insert(&first, "1.1.0", "## 1.1.0 (e)\n\n- B.\n").unwrap();
        assert_eq!(second, "# Changelog\n\nText.\n\n## 1.1.0 (e)\n\n- B.\n\n## 1.0.0 (d)\n\n- A.\n");
    }

    #[test]
    fn a_version_is_released_once() {
        let old = "# Changelog\n\n## 1.0.0 (d)\n\n- A.\n";
        assert!(insert(old, "1.0.0", "## 1.0.0 (e)\n").unwrap_err().to_string().contains("already has 1.0.0"));
    }

    #[test]
    fn fragments_that_cannot_be_collected_are_found() {
        for (path, text) in [
            ("changelog.d/a.md", "No kind.\n"),
            ("changelog.d/a.broken.md", "Unknown kind.\n"),
            ("changelog.d/a.added.txt", "Not Markdown.\n"),
            ("changelog.d/a.added.md", "\n"),
            ("changelog.d/a.added.md", "- A list.\n"),
        ] {
            let files = [file(path, text)];
            let mut findings = Vec::new();
            check(&files, &mut findings);
            assert_eq!(findings.len(), 1, "{path}: {text}");
            assert!(read(&files).is_err(), "{path}: {text}");
        }
        let mut findings = Vec::new();
        check(&[file("changelog.d/README.md", "# How\n"), file("changelog.d/a.b.added.md", "Good.\n")], &mut findings);
        assert!(findings.is_empty(), "{findings:?}");
    }
}
