//! What `deploy/` has is understood by those it is for: a word that systemd or a builder of images does not know, it leaves out or refuses,
//! and nobody sees that before the machine where it is to run. Ports are looked at in `ports.rs`.

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What systemd says of units; nothing where it is not installed, and nobody said that it is.
fn verified(units: &[PathBuf]) -> Option<String> {
    let named = std::env::var_os("TEST_SYSTEMD");
    let mut command = Command::new(named.clone().unwrap_or_else(|| "systemd-analyze".into()));
    command.args(["verify", "--man=no"]).args(units).env("SYSTEMD_LOG_COLOR", "0").env("SYSTEMD_LOG_TARGET", "console");
    let output = match command.output() {
        Err(error) if named.is_some() => panic!("TEST_SYSTEMD: {error}"),
        output => output.ok()?,
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || !said.is_empty(), "systemd-analyze failed and did not say why");
    Some(said)
}

/// Copies the units into a folder, with a program that is there in the place of ours, and a word of them changed.
fn copied(folder: &str, from: &str, to: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let here = std::env::current_exe().expect("a test is a program");
    let copy = |name: &str| {
        let text = text(&format!("deploy/systemd/{name}"));
        let text = text.replace("/usr/bin/odograph", &here.display().to_string()).replace(from, to);
        let path = folder.join(name);
        std::fs::write(&path, text).expect("it is written");
        path
    };
    ["odograph.service", "odograph.socket"].map(copy).to_vec()
}

#[test]
fn systemd_understands_the_units() {
    let Some(said) = verified(&copied("units", "NoNewPrivileges=", "NoNewPrivileges=")) else {
        eprintln!("left out: no systemd-analyze; `cargo xtask test --only test` finds or installs it");
        return;
    };
    assert_eq!(said, "");
    // That it would have said something.
    let said = verified(&copied("misspelt-units", "NoNewPrivileges=", "NoNewPrivilege=")).expect("it is installed");
    assert!(said.contains("Unknown key"), "{said}");
}

/// The instructions of a Containerfile: each with its arguments, lines joined, without comments.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (word, rest) = line.trim().split_once(' ')?;
        Some((word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    joined.lines().filter_map(split).collect()
}

/// What is wrong with a Containerfile, as far as it can be seen without building it.
fn faults(text: &str) -> Vec<String> {
    let (mut faults, mut stages, mut user) = (Vec::new(), Vec::new(), None);
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    for (word, rest) in instructions(text) {
        if !INSTRUCTIONS.contains(&word.as_str()) {
            faults.push(format!("{word} is no instruction"));
        }
        match word.as_str() {
            "FROM" => {
                stages.extend(rest.split_once(" AS ").map(|(_, name)| name.to_owned()));
                user = None;
            }
            "USER" => user = Some(rest.clone()),
            "COPY" => {
                let paths: Vec<&str> = rest.split(' ').filter(|part| !part.starts_with("--")).collect();
                let stage = rest.split(' ').find_map(|part| part.strip_prefix("--from="));
                match (stage, paths.split_last()) {
                    (Some(stage), _) if !stages.iter().any(|known| known == stage) => {
                        faults.push(format!("COPY from {stage}, which is no stage before it"));
                    }
                    (None, Some((_, sources))) => {
                        let missing = sources.iter().filter(|source| !exists(source));
                        faults.extend(missing.map(|source| format!("COPY of {source}, which is not there")));
                    }
                    _ => {}
                }
            }
            "RUN" => {
                let scripts = rest.split(' ').filter(|part| part.starts_with("deploy/"));
                faults.extend(
                    scripts.filter(|part| !exists(part)).map(|part| format!("RUN of {part}, which is not there")),
                );
            }
            _ => {}
        }
    }
    // By its number: nothing in the image has to be asked who that is.
    let number = user.as_deref().and_then(|user| user.split(':').next()?.parse::<u32>().ok());
    if number.is_none_or(|number| number == 0) {
        faults.push(format!("the image runs as {user:?}"));
    }
    faults
}

#[test]
fn the_containerfile_names_what_is_there_and_runs_as_nobody() {
    let text = text("deploy/Containerfile");
    assert_eq!(faults(&text), [""; 0]);
    for (from, to, fault) in [
        ("COPY . .", "COPY web/package.jsn .", "COPY of web/package.jsn, which is not there"),
        ("COPY --from=web", "COPY --from=pages", "COPY from pages, which is no stage before it"),
        ("RUN deploy/image-files", "RUN deploy/image-file", "RUN of deploy/image-file, which is not there"),
        ("\nUSER 65532:65532", "\nUSER 0", "the image runs as Some(\"0\")"),
        ("\nUSER 65532:65532", "", "the image runs as None"),
        ("STOPSIGNAL", "STOPSIGNALS", "STOPSIGNALS is no instruction"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(faults(&text.replacen(from, to, 1)), [fault]);
    }
    let script = Path::new(ROOT).join("deploy/image-files");
    let mode = std::fs::metadata(script).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "a script that is run can be");
    // Who the image runs as is the one whose folders are made.
    let made = std::fs::read_to_string(Path::new(ROOT).join("deploy/image-files")).expect("it is there");
    assert!(made.contains("odograph:x:65532:65532:") && text.contains("--chown=65532:65532 /owned/"));
    // And it is built with what the workspace asks for.
    let asked = self::text("Cargo.toml");
    let asked = asked.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    assert!(text.contains(&format!("ARG RUST={}\n", asked.trim_matches('"'))), "{asked}");
}

/// A file in YAML as JSON, with no key twice; nothing where there is no reader of it: the emulator of S3 brings one.
fn yaml(text: &str) -> Option<Result<Value, String>> {
    let python = PathBuf::from(std::env::var_os("TEST_EMULATOR_MOTO")?).with_file_name("python");
    let mut child = Command::new(python)
        .args(["-c", READ_YAML])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(said),
    })
}

fn keys(of: &Value) -> BTreeSet<&str> {
    of.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn texts(of: &Value) -> Vec<&str> {
    of.as_array().into_iter().flatten().map(|one| one.as_str().expect("text")).collect()
}

#[test]
fn the_compose_file_says_what_compose_understands() {
    let text = text("deploy/compose.yaml");
    let Some(read) = yaml(&text) else {
        eprintln!("left out: TEST_EMULATOR_MOTO names no emulator; `cargo xtask test --only test` installs it");
        return;
    };
    let file = read.expect("it is YAML");
    assert_eq!(keys(&file), BTreeSet::from(["name", "services", "volumes"]));
    assert_eq!(keys(&file["services"]), BTreeSet::from(["odograph"]));
    let service = &file["services"]["odograph"];
    assert_eq!(keys(service), BTreeSet::from(SERVICE));
    let build = &service["build"];
    let context = Path::new(ROOT).join("deploy").join(build["context"].as_str().expect("a folder"));
    assert!(context.join(build["dockerfile"].as_str().expect("a file")).is_file(), "{build}");
    // Each volume is declared, and none for nothing.
    let mounted: BTreeSet<&str> =
        texts(&service["volumes"]).iter().map(|volume| volume.split(':').next().expect("a name")).collect();
    assert_eq!(mounted, keys(&file["volumes"]));
    // What is published the image exposes.
    let exposed = self::text("deploy/Containerfile");
    let exposed: BTreeSet<&str> =
        exposed.lines().filter_map(|line| line.strip_prefix("EXPOSE ")).flat_map(str::split_whitespace).collect();
    for port in texts(&service["ports"]) {
        let inside = port.rsplit(':').next().expect("a port");
        let inside = if inside.contains('/') { inside.to_owned() } else { format!("{inside}/tcp") };
        assert!(exposed.contains(inside.as_str()), "{port}");
    }
    // As much as the service of systemd has.
    let unit = self::text("deploy/systemd/odograph.service");
    assert!(unit.contains(&format!("\nLimitNOFILE={}\n", service["ulimits"]["nofile"])));
    assert!(unit.contains(&format!("\nTimeoutStopSec={}\n", service["stop_grace_period"].as_str().expect("a time"))));
    assert_eq!((&service["read_only"], texts(&service["cap_drop"])), (&Value::Bool(true), vec!["ALL"]));
    // That a key which is there twice would have been noticed.
    let twice = yaml(&text.replace("    read_only: true\n", "    read_only: true\n    read_only: false\n"));
    assert!(twice.expect("it is installed").is_err_and(|said| said.contains("read_only is there twice")));
}

/// What `deploy/` sets is a key of the configuration: those that are not, the server warns of and leaves out.
#[test]
fn variables_and_keys_are_those_of_the_configuration() {
    let known = text("docs/operating/configuration.md");
    let mut found = 0;
    for file in ["deploy/Containerfile", "deploy/compose.yaml", "deploy/systemd/odograph.service"] {
        for word in text(file).split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')) {
            if word.starts_with("ODOGRAPH_") {
                assert!(known.contains(&format!("`{word}`")), "{file}: {word}");
                found += 1;
            }
        }
    }
    assert_eq!(found, 5, "as many as there are");
    let (mut table, mut keys) = (String::new(), 0);
    for line in text("deploy/odograph.toml").lines() {
        // Also those that stand there as examples.
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            assert!(known.contains(&format!("`{table}.{key}`")), "{table}.{key}");
            keys += 1;
        }
    }
    assert_eq!(keys, 3, "as many as there are");
}

const INSTRUCTIONS: [&str; 12] =
    ["ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

/// Keys of a service, as the specification of Compose writes them: whoever adds one looks there, and here.
const SERVICE: [&str; 11] = [
    "build",
    "cap_drop",
    "environment",
    "image",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "ulimits",
    "volumes",
];

const READ_YAML: &str = "
import json, sys, yaml
def mapping(loader, node):
    made = {}
    for key, value in node.value:
        name = loader.construct_object(key, deep=True)
        if name in made:
            sys.exit(f'{name} is there twice')
        made[name] = loader.construct_object(value, deep=True)
    return made
class Loader(yaml.SafeLoader): pass
Loader.add_constructor('tag:yaml.org,2002:map', mapping)
print(json.dumps(yaml.load(sys.stdin.read(), Loader)))
";
