//! The interface's pages, which the server that is built next has in it.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;

use crate::{web, workspace};

/// What pages are made of, in `web/`.
const SOURCES: &[&str] = &["src", "public", "scripts", "index.html", "package-lock.json", "vite.config.ts"];

/// Makes them, unless they are newer than what they are made of, or there is nothing to make them of.
pub(super) fn make() -> Result<()> {
    let folder = workspace::root().join("web");
    if !folder.join("package.json").exists() {
        println!("There is no web/package.json: the server is built without its interface.");
        return Ok(());
    }
    let made = changed(&folder.join("dist/index.html"));
    let sources = SOURCES.iter().filter_map(|name| newest(&folder.join(name))).max();
    if made.is_some() && made >= sources {
        return Ok(());
    }
    println!("Making the interface …");
    web::run(&web::Options::default())
}

/// When a file was changed, or the newest file in a folder.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return changed(path);
    }
    let files = std::fs::read_dir(path).ok()?;
    files.filter_map(|file| newest(&file.ok()?.path())).max()
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
