//! `cargo xtask protocol`: the files of another protocol, with blanks to fill, and all that is to be held against them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Writes what a protocol called `name` begins with, and lists it in the registry.
pub(crate) fn new(name: &str) -> Result<()> {
    new_in(workspace::root(), name)?;
    println!(
        "Written: {DEVICES}/{name}.rs and {name}.vectors, and a line in {MODULES} and {REGISTRY}.\n\
         Fill the four blanks, as docs/add-a-protocol.md says, then let the vectors say what is decoded, and read that:\n  \
         cargo xtask protocol update {name}"
    );
    Ok(())
}

/// Rewrites what the vectors of `name` expect and the pages of protocols, then runs what else a protocol has to pass.
pub(crate) fn update(name: &str) -> Result<()> {
    let path = format!("{DEVICES}/{name}.vectors");
    ensure!(workspace::root().join(&path).exists(), "there is no {path}: `cargo xtask protocol new {name}` begins one");
    for (about, test, rewrites, shows) in UPDATES {
        println!("── {about}");
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).args(["test", "--quiet", "-p", "odograph-testkit", "--test", test]);
        cargo.env_remove("UPDATE").env_remove("PROTOCOL");
        if *rewrites {
            cargo.env("UPDATE", "1");
        }
        if *shows {
            cargo.env("PROTOCOL", name).args(["--", "--nocapture"]);
        }
        let status = cargo.status().context("cannot start cargo")?;
        ensure!(status.success(), "{about}: {status}; what is wrong stands above");
    }
    println!("Read what changed: git diff {DEVICES}/{name}.vectors docs/protocols/{name}.md");
    Ok(())
}

fn new_in(root: &Path, name: &str) -> Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit());
    ensure!(is_name, "`{name}` is no name of a protocol: lower-case letters and digits, such as gt06");
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let write =
        |path: &str, text: &str| fs::write(root.join(path), text).with_context(|| format!("cannot write {path}"));
    let (source, vectors) = (format!("{DEVICES}/{name}.rs"), format!("{DEVICES}/{name}.vectors"));
    for path in [&source, &vectors] {
        ensure!(!root.join(path).exists(), "{path} is there already");
    }
    let modules = with_line(&read(MODULES)?, "pub(crate) mod ", name, ";")?;
    let registry = with_line(&read(REGISTRY)?, "    ", name, ",")?;
    write(&source, &filled(include_str!("protocol/template.rs"), name))?;
    write(&vectors, &filled(include_str!("protocol/template.vectors"), name))?;
    write(MODULES, &modules)?;
    write(REGISTRY, &registry)
}

/// The template for `name`.
fn filled(template: &str, name: &str) -> String {
    let mut letters = name.chars();
    let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    template.replace("Template", &title).replace("template", name)
}

/// `text` with `before name after` as a line of its own, where it belongs among the lines of that form. In a file
/// with a `protocols!` list, these are the lines of the list.
fn with_line(text: &str, before: &str, name: &str, after: &str) -> Result<String> {
    let text = text.replace("protocols! {}", "protocols! {\n}");
    let mut lines: Vec<&str> = text.lines().collect();
    let list = lines.iter().position(|line| line.starts_with("protocols! {"));
    let listed = |line: &&str| {
        let name = line.strip_prefix(before).and_then(|line| line.strip_suffix(after));
        name.filter(|name| name.chars().all(|character| character.is_ascii_alphanumeric())).map(ToOwned::to_owned)
    };
    let begin = match list {
        Some(list) => list + 1,
        None => lines.iter().position(|line| listed(line).is_some()).unwrap_or(lines.len()),
    };
    let names: Vec<String> = lines[begin..].iter().map_while(listed).collect();
    ensure!(!names.iter().any(|known| known == name), "`{name}` is listed already");
    let line = format!("{before}{name}{after}");
    let place = begin + names.iter().filter(|known| known.as_str() < name).count();
    lines.insert(place, &line);
    Ok(lines.join("\n") + "\n")
}

/// What it is about, the test, whether it rewrites what it expects, and whether it is about one protocol and shows it.
/// The pages show what the vectors say, so they come after them.
const UPDATES: &[(&str, &str, bool, bool)] = &[
    ("the vectors, and the laws that follow from them", "vectors", true, true),
    ("no protocol takes what is another's", "claims", false, true),
    ("a peer's messages, where ODOGRAPH_VECTORS says where they are", "oracle", false, true),
    ("the pages", "pages", true, false),
    ("the ports, for firewalls and in deploy/", "ports", true, false),
];
const DEVICES: &str = "crates/protocols/src/devices";
const MODULES: &str = "crates/protocols/src/devices.rs";
const REGISTRY: &str = "crates/protocols/src/registry.rs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_where_they_belong() {
        let registry =
            "macro_rules! protocols {\n}\n\nprotocols! {\n    gt06,\n    wialon,\n}\n\nfn find() {\n    x,\n}\n";
        let with = |name| with_line(registry, "    ", name, ",");
        assert!(with("h02").unwrap().contains("{\n    gt06,\n    h02,\n    wialon,\n}"));
        assert!(with("zeta").unwrap().contains("    wialon,\n    zeta,\n}"));
        assert!(with("adm").unwrap().contains("protocols! {\n    adm,\n    gt06,"));
        assert_eq!(with("gt06").unwrap_err().to_string(), "`gt06` is listed already");
        let empty = with_line("protocols! {}\n", "    ", "gt06", ",").unwrap();
        assert_eq!(empty, "protocols! {\n    gt06,\n}\n");
        let modules = with_line("//! Words.\n\npub(crate) mod gt06;\n", "pub(crate) mod ", "adm", ";").unwrap();
        assert_eq!(modules, "//! Words.\n\npub(crate) mod adm;\npub(crate) mod gt06;\n");
    }

    #[test]
    fn a_new_protocol_is_written_once() {
        let root = std::env::temp_dir().join(format!("odograph-new-protocol-{}", std::process::id()));
        fs::create_dir_all(root.join(DEVICES)).unwrap();
        fs::write(root.join(MODULES), "//! Words.\n\npub(crate) mod gt06;\n").unwrap();
        fs::write(root.join(REGISTRY), "protocols! {\n    gt06,\n}\n").unwrap();
        let written = new_in(&root, "h02");
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let (source, registry) = (read(&format!("{DEVICES}/h02.rs")), read(REGISTRY));
        let again = new_in(&root, "h02").unwrap_err().to_string();
        let wrong = new_in(&root, "H 02").unwrap_err().to_string();
        fs::remove_dir_all(&root).unwrap();
        written.unwrap();
        assert!(source.contains("name: \"h02\"") && source.contains("struct H02Session"), "{source}");
        assert!(registry.contains("    gt06,\n    h02,\n"), "{registry}");
        assert_eq!(again, "crates/protocols/src/devices/h02.rs is there already");
        assert!(wrong.contains("is no name of a protocol"), "{wrong}");
    }
}
