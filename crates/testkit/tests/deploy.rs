//! The units of systemd say what systemd understands: a word that it does not know, it leaves out, and says so in a log that nobody reads.

use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/systemd");

/// What systemd says of units; nothing where it is not installed.
fn verified(units: &[PathBuf]) -> Option<String> {
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).args(units).env("SYSTEMD_LOG_COLOR", "0").env("SYSTEMD_LOG_TARGET", "console");
    let output = command.output().ok()?;
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
        let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).expect("a unit");
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
        eprintln!("systemd-analyze is not installed: nothing is looked at");
        return;
    };
    assert_eq!(said, "");
    // That it would have said something.
    let said = verified(&copied("misspelt-units", "NoNewPrivileges=", "NoNewPrivilege=")).expect("it is installed");
    assert!(said.contains("Unknown key"), "{said}");
}
