//! What may not stand in any text of the repository: paths of one machine, unfinished work, stray white space.

use super::{Finding, is_generated};
use crate::workspace::SourceFile;

pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.split('\n').enumerate() {
        let mut found = |what: String| findings.push(Finding::new(&file.path, index + 1, what));
        if let Some(path) = MACHINE_PATHS.iter().find(|path| has_path(line, path)) {
            found(format!(
                "`{path}` exists on one machine only: take the path from an argument, `$HOME` or a test's folder"
            ));
        }
        if let Some(word) = MARKERS.iter().find(|word| has_word(line, word)) {
            found(format!(
                "`{word}` marks unfinished work: finish it, or write an issue and say in the code what is so"
            ));
        }
        if file.path.ends_with(".rs")
            && let Some(call) = UNFINISHED_CALLS.iter().find(|call| has_word(line, call))
        {
            found(format!("`{call}` fails when it is reached: write the body or leave the item out"));
        }
    }
    if !is_exempt_from_layout(file) {
        check_layout(file, findings);
    }
}

fn check_layout(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.split('\n').enumerate() {
        let mut found = |what: &str| findings.push(Finding::new(&file.path, index + 1, what));
        let (line, crlf) = line.strip_suffix('\r').map_or((line, false), |line| (line, true));
        if crlf {
            found("the line ends with CR LF: save the file with LF");
        }
        if line.contains('\t') {
            found("a tab: indent with spaces, and write a tab within a string as an escape");
        }
        if line.ends_with([' ', '\t']) {
            found("white space at the end of the line: remove it");
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(
            &file.path,
            file.text.lines().count(),
            "no newline at the end of the file: add one",
        ));
    }
}

/// Tables of tab-separated values need their tabs, messages of devices are what devices send, dumps of databases are what
/// those wrote, a licence is as published.
fn is_exempt_from_layout(file: &SourceFile) -> bool {
    let is_dump = file.path.contains("/tests/data/") && file.path.ends_with(".sql");
    is_dump
        || ["LICENSE", ".tsv", ".vectors", ".jsonl", ".snap"].iter().any(|end| file.path.ends_with(end))
        || is_generated(file)
}

/// Whether `path` begins in this line as an absolute path, not in the middle of a relative one or of an address.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-$})~/*".contains(c))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open_ended = word.ends_with('!');
        !before.is_some_and(is_word) && (open_ended || !after.is_some_and(is_word))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

// Each pattern is put together from two halves, so that this file does not match itself.

/// Folders of one developer's or one build machine.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/var", "/tmp/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("/ho", "me/"),
];

const MARKERS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

const UNFINISHED_CALLS: &[&str] = &[concat!("to", "do!"), concat!("unimple", "mented!")];

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::{MACHINE_PATHS, MARKERS, UNFINISHED_CALLS};

    fn check(path: &str, text: &str) -> Vec<String> {
        tests::check(super::check, path, text)
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINE_PATHS {
            tests::expect_one(&check("a.md", &format!("Text.\nSee {path}file.\n")), "a.md:2", path);
            tests::expect_one(&check("a.vectors", &format!("\"{path}file\"\n")), "a.vectors:1", path);
            assert!(check("a.md", &format!("See target{path}file and https://example.com{path}file.\n")).is_empty());
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        for marker in MARKERS {
            tests::expect_one(&check("a.toml", &format!("# {marker}: later\n")), "a.toml:1", marker);
            assert!(check("a.rs", &format!("{marker}X _{marker}\n")).is_empty());
        }
        for call in UNFINISHED_CALLS {
            tests::expect_one(&check("a.rs", &format!("fn f() {{\n    {call}()\n}}\n")), "a.rs:2", call);
            assert!(check("a.md", &format!("Never {call}().\n")).is_empty());
        }
    }

    #[test]
    fn stray_white_space_is_found() {
        tests::expect_one(&check("a.rs", "fn f() {\n\tg();\n}\n"), "a.rs:2", "a tab");
        tests::expect_one(&check("a.md", "One.\nTwo. \n"), "a.md:2", "white space");
        tests::expect_one(&check("a.md", "One.\r\nTwo.\n"), "a.md:1", "CR LF");
        tests::expect_one(&check("a.md", "One.\nTwo."), "a.md:2", "no newline");
        assert!(check("a.md", "One.\n\nTwo.\n").is_empty());
        assert!(check("a.md", "").is_empty());
    }

    #[test]
    fn tables_and_device_messages_keep_their_white_space() {
        assert!(check("a.tsv", "a\tb \n").is_empty());
        assert!(check("LICENSE", "\tTerms \n").is_empty());
        assert!(check("crates/a/tests/data/b.sql", "1\ta \r\n").is_empty());
        tests::expect_one(&check("crates/a/src/b.sql", "1\ta\n"), "crates/a/src/b.sql:1", "a tab");
        assert!(check("gt06.vectors", "> \"a\tb \"\r\nno end").is_empty());
    }
}
