//! Tools that are no part of a Rust installation, each in one fixed version, in a cache beside the checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where `cargo deny` is, after installing it if it is missing.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    install("cargo-deny", CARGO_DENY_VERSION)
}

fn install(name: &str, version: &str) -> Result<PathBuf> {
    // One folder per version: raising it installs anew, and checkouts of different age do not disturb each other.
    let folder = cache()?.join("tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.exists() {
        println!("installing {name} {version} into {}", folder.display());
        build(name, version, &folder)?;
    }
    Ok(program)
}

fn build(name: &str, version: &str, folder: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["install", "--quiet", "--locked", "--debug", "--version", version, "--root"])
        .arg(folder)
        .arg(name)
        // Compiling costs more than running here: optimised and linked as a release, it would take many times as long.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Nothing of it is of use to the workspace, so it is built in a folder that cargo removes afterwards.
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cannot install {name} {version} ({status}): is crates.io within reach?");
    Ok(())
}

/// The project's own cache folder, as the desktop conventions have it.
pub(crate) fn cache() -> Result<PathBuf> {
    let from = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")));
    Ok(caches.context("neither XDG_CACHE_HOME nor HOME is set: where is the cache?")?.join("odograph"))
}

const CARGO_DENY_VERSION: &str = "0.20.2";
