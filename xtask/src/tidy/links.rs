//! Links from one page to a file lead to it.

use super::Finding;
use crate::workspace::SourceFile;

/// `is_there` says whether a path from the root of the workspace leads to a file or a folder.
pub(super) fn check(file: &SourceFile, is_there: impl Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    if !file.path.ends_with(".md") || file.path.starts_with(PARTS) {
        return;
    }
    let mut is_code = false;
    for (index, line) in file.text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        for link in links(line).filter(|_| !is_code) {
            let path = resolved(&file.path, link);
            if !path.as_deref().is_some_and(&is_there) {
                let what = format!("`{link}` leads to nothing: write that page, or name the one that there is");
                findings.push(Finding::new(&file.path, index + 1, what));
            }
        }
    }
}

/// What becomes a part of a page in `docs/protocols`, which is looked at itself: links lead from there.
const PARTS: &str = "crates/protocols/src/devices/";

/// The paths that a line links to, without what is behind `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let paths = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    paths.map(|target| target.split('#').next().unwrap_or_default()).filter(|path| !path.is_empty())
}

/// From the root of the workspace; `None`: it leads out of it.
fn resolved(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let file = SourceFile { path: "docs/operating/tls.md".to_owned(), text: text.to_owned() };
        let mut findings = Vec::new();
        check(&file, |path| matches!(path, "docs/api.md" | "docs/operating/upgrade.md" | "deploy"), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_right() {
        let text = "[a](../api.md), [b](upgrade.md#how) and [c](../../deploy)\n[d](https://example.org/x.md) [e](#here)\n\
                    ```\n[f](no-link.md)\n```\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn those_that_lead_to_nothing_are_told_with_their_place() {
        let nothing = |path: &str| format!("`{path}` leads to nothing: write that page, or name the one that there is");
        let expected = ["gone.md", "../../../out.md"].map(|path| format!("docs/operating/tls.md:2: {}", nothing(path)));
        assert_eq!(found("\n[a](gone.md) [b](../../../out.md)\n"), expected);
    }
}
