//! The list of protocols: every file in it, with its vectors, in alphabetical order.

use super::Finding;
use crate::workspace::SourceFile;

pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let devices = names_of(files, ".rs");
    let vectors = names_of(files, ".vectors");
    for name in devices.iter().filter(|name| !vectors.contains(name)) {
        let what = format!("add {DEVICES}{name}.vectors with at least a login, a position and a malformed message");
        findings.push(Finding::new(&format!("{DEVICES}{name}.rs"), 1, what));
    }
    for name in vectors.iter().filter(|name| !devices.contains(name)) {
        let what = format!("vectors of no protocol: add {DEVICES}{name}.rs or remove them");
        findings.push(Finding::new(&format!("{DEVICES}{name}.vectors"), 1, what));
    }
    for name in names_of(files, ".md").iter().filter(|name| !devices.contains(name)) {
        let what = format!("remarks on no protocol: add {DEVICES}{name}.rs or remove them");
        findings.push(Finding::new(&format!("{DEVICES}{name}.md"), 1, what));
    }
    let Some(registry) = files.iter().find(|file| file.path == REGISTRY) else {
        if let Some(name) = devices.first() {
            findings.push(Finding::new(
                &format!("{DEVICES}{name}.rs"),
                1,
                format!("there is no {REGISTRY} to list it"),
            ));
        }
        return;
    };
    check_list(&listed(&registry.text), &devices, findings);
}

fn check_list(listed: &[(usize, &str)], devices: &[&str], findings: &mut Vec<Finding>) {
    for name in devices.iter().filter(|name| !listed.iter().any(|(_, other)| other == *name)) {
        let what = format!("add `{name}` to the `protocols!` list in {REGISTRY}");
        findings.push(Finding::new(&format!("{DEVICES}{name}.rs"), 1, what));
    }
    for (line, name) in listed.iter().filter(|(_, name)| !devices.contains(name)) {
        findings.push(Finding::new(REGISTRY, *line, format!("`{name}` is listed without a file {DEVICES}{name}.rs")));
    }
    for pair in listed.windows(2) {
        let [(_, before), (line, name)] = pair else { continue };
        if name <= before {
            findings.push(Finding::new(
                REGISTRY,
                *line,
                format!("`{name}` stands after `{before}`: keep the list sorted"),
            ));
        }
    }
}

/// The names between the braces of `protocols! { … }`, each with its line.
fn listed(text: &str) -> Vec<(usize, &str)> {
    text.lines()
        .enumerate()
        .skip_while(|(_, line)| !line.trim_start().starts_with(OPENING))
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
        .scan(true, |open, (line, code)| {
            let was_open = *open;
            *open &= !code.contains('}');
            let code = code.trim_start().strip_prefix(OPENING).unwrap_or(code);
            was_open.then_some((line, code.split('}').next().unwrap_or_default()))
        })
        .flat_map(|(line, code)| {
            code.split([',', ' ', '{']).filter(|name| !name.is_empty()).map(move |name| (line, name))
        })
        .collect()
}

/// The files directly in the folder of devices that end like this, without folder and ending.
fn names_of<'a>(files: &'a [SourceFile], ending: &str) -> Vec<&'a str> {
    let names = files.iter().filter_map(|file| file.path.strip_prefix(DEVICES)?.strip_suffix(ending));
    names.filter(|name| !name.contains('/')).collect()
}

const DEVICES: &str = "crates/protocols/src/devices/";
const REGISTRY: &str = "crates/protocols/src/registry.rs";
const OPENING: &str = "protocols!";

#[cfg(test)]
mod tests {
    use super::super::tests::expect_one;
    use super::*;

    /// The findings for a registry with this list and files of these names in the folder of devices.
    fn check(list: &str, devices: &[&str]) -> Vec<String> {
        let mut files: Vec<SourceFile> =
            devices.iter().map(|name| SourceFile { path: format!("{DEVICES}{name}"), text: String::new() }).collect();
        files.push(SourceFile { path: REGISTRY.to_owned(), text: format!("macro_rules! protocols {{}}\n{list}") });
        let mut findings = Vec::new();
        super::check(&files, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    const BOTH: &[&str] = &["gt06.rs", "gt06.vectors", "h02.rs", "h02.vectors", "h02/alarms.rs"];

    #[test]
    fn a_complete_list_passes() {
        assert!(check("protocols! { gt06, h02 }\n", BOTH).is_empty());
        assert!(check("protocols! {\n    gt06, // Concox\n    h02,\n}\nfn after() {}\n", BOTH).is_empty());
        assert!(check("", &[]).is_empty());
    }

    #[test]
    fn a_protocol_needs_its_vectors() {
        let place = "crates/protocols/src/devices/gt06.rs:1";
        expect_one(&check("protocols! { gt06 }", &["gt06.rs"]), place, "gt06.vectors");
        let place = "crates/protocols/src/devices/gt06.vectors:1";
        expect_one(&check("protocols! { }", &["gt06.vectors"]), place, "no protocol");
        let place = "crates/protocols/src/devices/gt06.md:1";
        expect_one(&check("protocols! { }", &["gt06.md"]), place, "remarks on no protocol");
    }

    #[test]
    fn a_protocol_is_listed() {
        expect_one(&check("protocols! { gt06 }", BOTH), "crates/protocols/src/devices/h02.rs:1", "add `h02`");
        expect_one(&check("protocols! {\ngt06,\nh02,\nxexun }", BOTH), &format!("{REGISTRY}:5"), "`xexun`");
    }

    #[test]
    fn the_list_is_sorted() {
        expect_one(&check("protocols! {\n    h02,\n    gt06,\n}", BOTH), &format!("{REGISTRY}:4"), "sorted");
        expect_one(&check("protocols! { gt06, gt06, h02 }", BOTH), &format!("{REGISTRY}:2"), "sorted");
    }

    #[test]
    fn protocols_without_a_registry_are_found() {
        let files =
            ["gt06.rs", "gt06.vectors"].map(|n| SourceFile { path: format!("{DEVICES}{n}"), text: String::new() });
        let mut findings = Vec::new();
        super::check(&files, &mut findings);
        assert!(findings.len() == 1 && findings[0].what.contains(REGISTRY), "{findings:?}");
    }
}
