//! Manifests of the members: the workspace's lints, and the workspace's versions.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Finding;
use crate::workspace::{Metadata, SourceFile};

pub(super) fn check(metadata: &Metadata, files: &[SourceFile], findings: &mut Vec<Finding>) {
    for package in &metadata.packages {
        let path = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&package.manifest_path);
        if let Some(file) = files.iter().find(|file| path == Path::new(&file.path)) {
            check_manifest(file, findings);
        }
    }
}

/// What the workspace forbids, unsafe code, nobody can except by himself: here it is denied, and one call is excepted.
const OWN_LINTS: &str = "crates/allocator/Cargo.toml";

fn check_manifest(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut found = |at: usize, what: String| findings.push(Finding::new(&file.path, line_at(&file.text, at), what));
    let manifest = match DeTable::parse(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => return found(error.span().map_or(0, |span| span.start), error.message().to_owned()),
    };
    let manifest = manifest.get_ref();
    let section = |name: &str| manifest.get(name).and_then(|found| found.get_ref().as_table());

    if file.path != OWN_LINTS && !section("lints").is_some_and(is_from_workspace) {
        found(0, "add `[lints]` with `workspace = true`: every crate is held to the same lints".to_owned());
    }
    for key in INHERITED {
        let value = section("package").and_then(|package| package.get_key_value(*key));
        if let Some((name, value)) = value
            && !value.get_ref().as_table().is_some_and(is_from_workspace)
        {
            found(name.span().start, format!("write `{key}.workspace = true`: it is set once, in the root's manifest"));
        }
    }
    for table in dependency_tables(manifest) {
        for (name, value) in table {
            if !value.get_ref().as_table().is_some_and(is_from_workspace) {
                let name_text = name.get_ref();
                let what = format!(
                    "write `{name_text}.workspace = true` and put the version into the root's [workspace.dependencies]"
                );
                found(name.span().start, what);
            }
        }
    }
}

/// All tables of a manifest that name dependencies, those for one platform included.
fn dependency_tables<'a, 'i>(manifest: &'a DeTable<'i>) -> Vec<&'a DeTable<'i>> {
    let targets = manifest.get("target").and_then(|found| found.get_ref().as_table());
    let of_targets =
        targets.into_iter().flat_map(|table| table.values()).filter_map(|found| found.get_ref().as_table());
    std::iter::once(manifest)
        .chain(of_targets)
        .flat_map(|table| ["dependencies", "dev-dependencies", "build-dependencies"].map(|name| table.get(name)))
        .filter_map(|found| found?.get_ref().as_table())
        .collect()
}

fn is_from_workspace(table: &DeTable<'_>) -> bool {
    table.get("workspace").map(Spanned::get_ref).and_then(DeValue::as_bool) == Some(true)
}

fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Keys of `[package]` that are the same for every member.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

#[cfg(test)]
mod tests {
    use super::super::tests::{check, expect_one};
    use super::check_manifest;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\n\n[lints]\nworkspace = true\n\n[dependencies]\nbytes.workspace = true\n";

    #[track_caller]
    fn expect(text: &str, place: &str, words: &str) {
        expect_one(&check(check_manifest, "Cargo.toml", text), place, words);
    }

    #[test]
    fn a_good_manifest_passes() {
        assert!(check(check_manifest, "Cargo.toml", GOOD).is_empty());
        let features = GOOD.to_owned() + "clap = { workspace = true, features = [\"env\"] }\n";
        assert!(check(check_manifest, "Cargo.toml", &features).is_empty());
    }

    #[test]
    fn lints_come_from_the_workspace() {
        expect(&GOOD.replace("[lints]\nworkspace = true\n", ""), "Cargo.toml:1", "[lints]");
        expect(&GOOD.replace("[lints]\nworkspace = true", "[lints]\nworkspace = false"), "Cargo.toml:1", "[lints]");
    }

    #[test]
    fn versions_come_from_the_workspace() {
        expect(&GOOD.replace("bytes.workspace = true", "bytes = \"1\""), "Cargo.toml:9", "`bytes.workspace = true`");
        expect(&GOOD.replace("version.workspace = true", "version = \"1.0.0\""), "Cargo.toml:3", "version.workspace");
        expect(&(GOOD.to_owned() + "\n[dev-dependencies]\nslab = \"1\"\n"), "Cargo.toml:12", "slab");
        expect(&(GOOD.to_owned() + "\n[build-dependencies]\nslab = { path = \"x\" }\n"), "Cargo.toml:12", "slab");
        let of_target = GOOD.to_owned() + "\n[target.'cfg(unix)'.dependencies]\nslab = { version = \"1\" }\n";
        expect(&of_target, "Cargo.toml:12", "slab");
    }

    #[test]
    fn a_broken_manifest_is_a_finding() {
        expect("[package]\nname = \n", "Cargo.toml:2", "");
    }
}
