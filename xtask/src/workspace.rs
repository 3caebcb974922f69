//! The workspace as git and cargo see it: its folder, its files, its crates.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One text file, by its path from the root of the workspace.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What `cargo metadata --no-deps` says, as far as it is asked for here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a member's manifest that names another crate.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where the crate is, when it is one of ours.
    pub(crate) path: Option<PathBuf>,
}

/// The root of the workspace that this was started in, or else compiled in: cargo does not build anew for another
/// checkout with the same build folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
    });
    &ROOT
}

/// Every text file that git tracks or would add, sorted by path. Binary files are left out.
pub(crate) fn files() -> Result<Vec<SourceFile>> {
    // In CI the checkout often belongs to another user, which git refuses by default. This repository's code runs anyway.
    let listing = output_of(Command::new("git").current_dir(root()).args([
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]))?;
    let listing = String::from_utf8(listing).context("git names a file that is not UTF-8")?;
    let mut paths: Vec<&str> = listing.split_terminator('\0').collect();
    paths.sort_unstable();
    let mut files = Vec::new();
    for path in paths {
        let full = root().join(path);
        // Deleted but not yet committed, or a link: nothing of its own to read.
        if !full.symlink_metadata().is_ok_and(|found| found.is_file()) {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
        {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// The members of the workspace and what they depend on.
pub(crate) fn metadata() -> Result<Metadata> {
    let answer =
        output_of(Command::new("cargo").current_dir(root()).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_slice(&answer).context("cargo metadata gave something unexpected")
}

/// What a command prints, or an error with what it complained of.
pub(crate) fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}
