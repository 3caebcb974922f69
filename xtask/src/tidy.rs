//! The house rules that neither the compiler nor clippy can hold.
//!
//! Every rule is a pure function from files (or from the workspace's metadata) to findings, one rule or family of rules
//! per module. `cargo xtask tidy` prints the findings; the test at the bottom makes `cargo test` fail on them.

mod imports;
mod links;
mod manifests;
mod registry;
mod shape;
mod text;

use std::fmt;

use anyhow::{Result, bail};

use crate::changelog;
use crate::workspace::{self, SourceFile};

/// One breach of one rule: where, what, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Prints the findings; an error if there are any.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} to mend (each line above says how)", findings.len());
    }
    println!("tidy");
    Ok(())
}

/// All rules over the whole repository, sorted by place.
fn findings() -> Result<Vec<Finding>> {
    let files = workspace::files()?;
    let metadata = workspace::metadata()?;
    let mut findings = Vec::new();
    for file in &files {
        shape::check(file, &mut findings);
        text::check(file, &mut findings);
        imports::check_source(file, &mut findings);
        links::check(file, |path| workspace::root().join(path).exists(), &mut findings);
    }
    manifests::check(&metadata, &files, &mut findings);
    imports::check_graph(&metadata, &files, &mut findings);
    registry::check(&files, &mut findings);
    changelog::check(&files, &mut findings);
    findings.sort();
    Ok(findings)
}

/// Whether a file says on its first lines that a program wrote it: then its length and layout are that program's business.
fn is_generated(file: &SourceFile) -> bool {
    file.text.lines().take(GENERATED_WITHIN_LINES).any(|line| line.contains("@generated"))
}

/// Far enough down for a marker that follows a title, near enough that prose about the marker does not count.
const GENERATED_WITHIN_LINES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings: Vec<String> = findings().unwrap().iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    }

    /// Runs one rule over one made-up file and gives the findings as text.
    pub(super) fn check(rule: fn(&SourceFile, &mut Vec<Finding>), path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        rule(&SourceFile { path: path.to_owned(), text: text.to_owned() }, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    /// Asserts that there is exactly one finding, at this place, and that it contains these words.
    #[track_caller]
    pub(super) fn expect_one(findings: &[String], place: &str, words: &str) {
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with(place) && findings[0].contains(words), "{findings:?}");
    }
}
