//! Which crate may import which: the direction of the whole tree, as one table.
//!
//! The table is compared with the dependencies that cargo sees, test dependencies aside: a test may use whatever it
//! needs. What the pure crates must do without is checked twice, in their dependencies and in their sources, because
//! the standard library has clocks, files and sockets too.

use std::path::Path;

use super::Finding;
use crate::workspace::{Dependency, Metadata, Package, SourceFile};

/// One crate, by the name of its folder, and those of ours that it may import.
struct Row {
    name: &'static str,
    imports: Imports,
}

enum Imports {
    Only(&'static [&'static str]),
    AnyBut(&'static [&'static str]),
}

/// Compares every member's dependencies with the tables below.
pub(super) fn check_graph(metadata: &Metadata, files: &[SourceFile], findings: &mut Vec<Finding>) {
    for package in &metadata.packages {
        let manifest = Manifest::of(package, &metadata.workspace_root, files);
        let Some(row) = TABLE.iter().find(|row| row.name == short(&package.name)) else {
            let what =
                format!("`{}` has no row in xtask/src/tidy/imports.rs: say there what it may import", package.name);
            findings.push(Finding::new(&manifest.path, 1, what));
            continue;
        };
        for dependency in &package.dependencies {
            if let Some(what) = fault(row, dependency) {
                findings.push(Finding::new(&manifest.path, manifest.line_of(&dependency.name), what));
            }
        }
    }
}

/// Looks in the sources of the pure crates for what would give them a clock, a file, a socket or a thread.
pub(super) fn check_source(file: &SourceFile, findings: &mut Vec<Finding>) {
    let Some(name) = PURE.iter().find(|name| file.path.starts_with(&format!("crates/{name}/src/"))) else { return };
    if !file.path.ends_with(".rs") || file.path.ends_with("/tests.rs") || file.path.contains("/tests/") {
        return;
    }
    // Unit tests close a file here, and they may read what they like.
    for (index, line) in file.text.lines().take_while(|line| !line.starts_with("mod tests")).enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if let Some((found, instead)) = IMPURE_NAMES.iter().find(|(found, _)| names(code, found)) {
            let what = format!("`{name}` is pure and cannot use `{found}`: {instead}");
            findings.push(Finding::new(&file.path, index + 1, what));
        }
    }
}

fn fault(row: &Row, dependency: &Dependency) -> Option<String> {
    let (from, to) = (row.name, dependency.name.as_str());
    if APPLICATION_ONLY.contains(&to) && !APPLICATIONS.contains(&from) {
        return Some(format!(
            "only {} may use `{to}`: libraries have error types of their own",
            APPLICATIONS.join(" and ")
        ));
    }
    if dependency.kind.as_deref() == Some("dev") {
        return None;
    }
    if dependency.path.is_some() {
        let to = short(to);
        let allowed = match row.imports {
            Imports::Only(names) => names.contains(&to),
            Imports::AnyBut(names) => !names.contains(&to),
        };
        return (!allowed).then(|| {
            format!("`{from}` may not import `{to}`: turn the call around with a trait in `{from}`, or argue for a change of the table in xtask/src/tidy/imports.rs")
        });
    }
    if dependency.kind.is_none() && PURE.contains(&from) && !EXCEPTIONS.contains(&(from, to)) {
        let (name, instead) = IMPURE_CRATES.iter().find(|(name, _)| *name == to)?;
        return Some(format!("`{from}` is pure and cannot use `{name}`: {instead}"));
    }
    None
}

/// A member's manifest, to say on which line a dependency stands.
struct Manifest<'a> {
    path: String,
    text: &'a str,
}

impl<'a> Manifest<'a> {
    fn of(package: &Package, root: &Path, files: &'a [SourceFile]) -> Self {
        let path = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path).display().to_string();
        let text = files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
        Self { path, text }
    }

    fn line_of(&self, dependency: &str) -> usize {
        let is_it = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        self.text.lines().position(is_it).map_or(1, |index| index + 1)
    }
}

/// The name of a crate's folder.
fn short(package: &str) -> &str {
    package.strip_prefix("odograph-").unwrap_or(package)
}

/// Whether the name stands in the code as a whole, not as a part of a longer one.
fn names(code: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(is_part) && !code[at + name.len()..].starts_with(is_part)
    })
}

/// From the inside outwards: a crate imports only what stands above it.
const TABLE: &[Row] = &[
    only("model", &[]),
    only("wire", &[]),
    only("protocols", &["model", "wire"]),
    only("rules", &["model"]),
    only("allocator", &[]),
    only("env", &[]),
    only("journal", &["model", "env"]),
    only("handover", &["model", "wire", "protocols"]),
    only("ingest", &["model", "wire", "protocols", "env", "journal", "handover"]),
    only("lake", &["model", "env"]),
    only("live", &["model"]),
    only("backup", &["model", "env"]),
    only("meter", &["model", "env"]),
    only("sensors", &["model"]),
    only("catalog", &["model", "env", "sensors"]),
    only("sinks", &["model"]),
    only("geocoder", &["env"]),
    only(
        "pipeline",
        &["protocols", "rules", "env", "journal", "handover", "lake", "live", "catalog", "sinks", "model"],
    ),
    only("api", &["model", "rules", "lake", "live", "catalog", "sensors", "geocoder"]),
    only("fleet", &["model", "protocols"]),
    only("movein", &["model", "protocols"]),
    only("simulate", &["env"]),
    only("web", &[]),
    any_but("odograph", &["testkit", "simtest", "bench", "xtask"]),
    only("testkit", &["model", "wire", "protocols", "env"]),
    any_but("simtest", &["odograph", "bench", "xtask"]),
    any_but("bench", &["odograph", "simtest", "xtask"]),
    only("xtask", &[]),
];

/// Functions of their arguments and nothing else, so that decoding again years later gives the same.
const PURE: &[&str] = &["model", "wire", "protocols", "rules"];

/// What a pure crate may use all the same: devices send JSON, and reading it is a function of its bytes.
const EXCEPTIONS: &[(&str, &str)] = &[("protocols", "serde_json")];

const IMPURE_CRATES: &[(&str, &str)] = &[
    ("tokio", "the driver in `ingest` owns the sockets"),
    ("futures", "the driver in `ingest` owns the sockets"),
    ("tracing", "return a note or an error, the driver logs it"),
    ("log", "return a note or an error, the driver logs it"),
    ("metrics", "return a note or an error, the driver counts it"),
    ("chrono", "the calendar is `jiff`'s, in `model`"),
    ("time", "the calendar is `jiff`'s, in `model`"),
    ("rand", "randomness comes from `env::Rng`"),
    ("getrandom", "randomness comes from `env::Rng`"),
    ("regex", "read text with `wire`'s fields and match on tags"),
    ("serde_json", "records are turned into JSON where they leave the system"),
];

const IMPURE_NAMES: &[(&str, &str)] = &[
    ("SystemTime", "the time of receipt is an argument"),
    ("Instant", "the time of receipt is an argument"),
    ("Timestamp::now", "the time of receipt is an argument"),
    ("Zoned::now", "the time of receipt is an argument"),
    ("std::fs", "files go through `env::Disk`"),
    ("std::thread", "the driver decides what runs where"),
    ("TcpStream", "the driver in `ingest` owns the sockets"),
    ("TcpListener", "the driver in `ingest` owns the sockets"),
    ("UdpSocket", "the driver in `ingest` owns the sockets"),
    ("println!", "return a note or an error, the driver logs it"),
    ("eprintln!", "return a note or an error, the driver logs it"),
];

/// Good for a program's last word to a person, useless to a caller that must tell one failure from another.
const APPLICATION_ONLY: &[&str] = &["anyhow", "clap", "clap_complete"];
const APPLICATIONS: &[&str] = &["odograph", "xtask"];

const fn only(name: &'static str, imports: &'static [&'static str]) -> Row {
    Row { name, imports: Imports::Only(imports) }
}

const fn any_but(name: &'static str, imports: &'static [&'static str]) -> Row {
    Row { name, imports: Imports::AnyBut(imports) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, expect_one};
    use super::*;

    /// The findings for one crate that has one dependency.
    fn with_dependency(package: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
        let ours = dependency.starts_with("odograph") || dependency == "xtask";
        let dependency = Dependency {
            name: dependency.to_owned(),
            kind: kind.map(ToOwned::to_owned),
            path: ours.then(|| dependency.into()),
        };
        let text = format!("[package]\n\n[dependencies]\n{}.workspace = true\n", dependency.name);
        let files = [SourceFile { path: "crates/it/Cargo.toml".to_owned(), text }];
        let package = Package {
            name: package.to_owned(),
            version: String::new(),
            manifest_path: "/checkout/crates/it/Cargo.toml".into(),
            dependencies: vec![dependency],
        };
        let mut findings = Vec::new();
        let (workspace_root, target_directory) = ("/checkout".into(), "/target".into());
        check_graph(&Metadata { packages: vec![package], workspace_root, target_directory }, &files, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_imports_only_what_its_row_allows() {
        let upwards = with_dependency("odograph-journal", "odograph-ingest", None);
        expect_one(&upwards, "crates/it/Cargo.toml:4", "`journal` may not import `ingest`");
        let built = with_dependency("odograph-wire", "odograph-model", Some("build"));
        expect_one(&built, "crates/it/Cargo.toml:4", "`wire` may not import `model`");
        let shipped = with_dependency("odograph", "odograph-testkit", None);
        expect_one(&shipped, "crates/it/Cargo.toml:4", "`odograph` may not import `testkit`");
        assert!(with_dependency("odograph-ingest", "odograph-journal", None).is_empty());
        assert!(with_dependency("odograph", "odograph-ingest", None).is_empty());
        assert!(with_dependency("odograph-journal", "odograph-testkit", Some("dev")).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let unknown = with_dependency("odograph-telepathy", "bytes", None);
        expect_one(&unknown, "crates/it/Cargo.toml:1", "has no row");
    }

    #[test]
    fn pure_crates_do_without_the_outside_world() {
        let clock = with_dependency("odograph-protocols", "chrono", None);
        expect_one(&clock, "crates/it/Cargo.toml:4", "`protocols` is pure");
        assert!(with_dependency("odograph-protocols", "chrono", Some("dev")).is_empty());
        assert!(with_dependency("odograph-ingest", "tokio", None).is_empty());
    }

    #[test]
    fn error_soup_stays_in_the_programs() {
        let library = with_dependency("odograph-lake", "anyhow", Some("dev"));
        expect_one(&library, "crates/it/Cargo.toml:4", "only odograph and xtask may use `anyhow`");
        assert!(with_dependency("odograph", "anyhow", None).is_empty());
    }

    #[test]
    fn sources_of_pure_crates_name_no_clock_file_or_socket() {
        for (name, _) in IMPURE_NAMES {
            let text = format!("//! Doc.\n\nfn f() {{ {name}(); }}\n");
            expect_one(&check(check_source, "crates/wire/src/a.rs", &text), "crates/wire/src/a.rs:3", name);
            assert!(check(check_source, "crates/ingest/src/a.rs", &text).is_empty());
        }
        let harmless = "//! An Instant.\nlet a = MyInstant; // SystemTime\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(check(check_source, "crates/wire/src/a.rs", harmless).is_empty());
        let later = "//! Doc.\n#[cfg(test)]\nuse std::fmt;\nuse std::fs;\n";
        expect_one(&check(check_source, "crates/wire/src/a.rs", later), "crates/wire/src/a.rs:4", "std::fs");
    }

    #[test]
    fn the_table_has_no_circles() {
        for (index, row) in TABLE.iter().enumerate() {
            let Imports::Only(imports) = row.imports else { continue };
            for import in imports {
                let above = TABLE[..index].iter().any(|other| other.name == *import);
                assert!(above, "`{}` imports `{import}`, which does not stand above it", row.name);
            }
        }
    }
}
