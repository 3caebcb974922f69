//! `cargo xtask web`: makes the pages of the interface, checks them, and looks at them in a browser.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{emulators, workspace};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Also check types, markup and the weight of scripts, test what needs no page, and see that the types are those of the API
    #[arg(long)]
    check: bool,
    /// Also build the server, and use every page in a real browser
    #[arg(long)]
    browse: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let web = workspace::root().join("web");
    install(&web)?;
    npm(&web, &["run", "build"])?;
    if options.check {
        npm(&web, &["run", "check"])?;
        npm(&web, &["run", "unit"])?;
        npm(&web, &["run", "size"])?;
        generated(&web)?;
    }
    if options.browse {
        browse(&web)?;
    }
    Ok(())
}

/// Fetches what the pages are made with, unless it is there in just these versions.
fn install(web: &Path) -> Result<()> {
    let (lock, done) = (web.join("package-lock.json"), web.join("node_modules/.installed"));
    let wanted = std::fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("fetching what the interface is made with, into web/node_modules");
    npm(web, &["ci", "--no-audit", "--no-fund"])?;
    std::fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))
}

/// The types of the client are those of the API's description.
fn generated(web: &Path) -> Result<()> {
    let types = web.join("src/api/schema.d.ts");
    let read = || std::fs::read(&types).with_context(|| format!("cannot read {}", types.display()));
    let before = read()?;
    npm(web, &["run", "api"])?;
    ensure!(
        before == read()?,
        "web/src/api/schema.d.ts was not of openapi/odograph.json: it is now, look at what has changed"
    );
    Ok(())
}

fn browse(web: &Path) -> Result<()> {
    let chromium = emulators::chromium()
        .context("the pages are looked at by nobody: there is no browser, and it could not be installed")?;
    // With the rest of the workspace, so that its features are the same and nothing is compiled twice.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--workspace", "--bins"]).current_dir(workspace::root());
    crate::steps::forget_package(&mut cargo);
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the server cannot be built");
    let server = workspace::metadata()?.target_directory.join("debug/odograph");
    let mut test = Command::new("npm");
    test.args(["test", "--silent"]).current_dir(web).env("TEST_CHROMIUM", chromium).env("TEST_SERVER", server);
    ensure!(test.status().context("cannot start npm")?.success(), "a page does not do what it should");
    Ok(())
}

fn npm(web: &Path, arguments: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.arg("--loglevel=error").args(arguments).current_dir(web).stdin(Stdio::null());
    let status = npm.status().context("cannot start npm: install Node.js 20 or newer")?;
    if !status.success() {
        bail!("`npm {}` in web/ ended with {status}", arguments.join(" "));
    }
    Ok(())
}
