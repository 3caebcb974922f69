//! The listeners that people made, as the catalog said last, in a file of our own: so a server opens them before it can reach a catalog
//! on another machine, and a successor before it has asked.

use crate::folder::Folder;
use anyhow::{Context as _, Result};
use odograph_catalog::Listener;
use odograph_env::{Disk, LocalDisk};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::Path;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// How the rest is written.
    version: u32,
    listeners: Vec<Listener>,
}

const VERSION: u32 = 1;

/// Those that the folder has. What cannot be read is told, and none then: the catalog says it again.
pub(crate) fn read(folder: &Folder) -> Vec<Listener> {
    read_from(&folder.listeners()).unwrap_or_else(|error| {
        tracing::error!("which listeners people made cannot be read before the catalog says it: {error:#}");
        Vec::new()
    })
}

fn read_from(path: &Path) -> Result<Vec<Listener>> {
    let cannot = || format!("cannot read {}", path.display());
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(cannot)?,
    };
    let said: Value = serde_json::from_slice(&text).with_context(cannot)?;
    let kept = Kept::deserialize(&said).with_context(cannot)?;
    anyhow::ensure!(kept.version == VERSION, "{} is of version {}, not {VERSION}", path.display(), kept.version);
    let said = said.get("listeners").and_then(Value::as_array).into_iter().flatten();
    Ok(kept.listeners.into_iter().zip(said).filter_map(|(listener, said)| wholly_read(listener, said)).collect())
}

/// A listener, unless more is said of it than this version knows: that may keep somebody out.
fn wholly_read(listener: Listener, said: &Value) -> Option<Listener> {
    let known = serde_json::to_value(&listener).ok()?;
    let strange = said.as_object()?.keys().find(|key| known.get(key.as_str()).is_none());
    if let Some(key) = strange {
        tracing::error!(
            listener = listener.id,
            "a listener of the catalog is left closed: this version knows nothing of {key}"
        );
        return None;
    }
    Some(listener)
}

/// Keeps them: whole, or as they were.
pub(super) fn write(folder: &Folder, listeners: Vec<Listener>) -> io::Result<()> {
    write_to(&LocalDisk, &folder.listeners(), listeners)
}

fn write_to(disk: &dyn Disk, path: &Path, listeners: Vec<Listener>) -> io::Result<()> {
    let text = serde_json::to_vec(&Kept { version: VERSION, listeners })?;
    let fresh = path.with_extension("new");
    match disk.remove(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&fresh)?;
    file.allocate(0, text.len() as u64)?;
    file.write_at(&text, 0)?;
    file.sync()?;
    drop(file);
    disk.rename(&fresh, path)?;
    disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_catalog::ListenerTerms;

    fn listener() -> Listener {
        let settings = [("password".to_owned(), "secret".to_owned())].into();
        Listener {
            id: "l1".into(),
            name: "Partner".into(),
            enabled: true,
            tenant: "north".into(),
            terms: ListenerTerms { protocol: "wialon".into(), settings, ..ListenerTerms::default() },
            created: 1,
            updated: 2,
            revision: 3,
        }
    }

    #[test]
    fn what_was_kept_is_read_and_its_owner_alone_may() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listeners.json");
        assert_eq!(read_from(&path).unwrap(), []);
        // What a crash left is in nobody's way.
        std::fs::write(path.with_extension("new"), "half of").unwrap();
        write_to(&LocalDisk, &path, vec![listener()]).unwrap();
        assert_eq!(read_from(&path).unwrap(), [listener()]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write_to(&LocalDisk, &path, Vec::new()).unwrap();
        assert_eq!(read_from(&path).unwrap(), []);
    }

    #[test]
    fn what_a_later_version_says_is_not_left_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listeners.json");
        let mut later = serde_json::to_value(listener()).unwrap();
        later["only_on"] = "mondays".into();
        let kept = serde_json::json!({"version": VERSION, "listeners": [later, listener()]});
        std::fs::write(&path, kept.to_string()).unwrap();
        assert_eq!(read_from(&path).unwrap(), [listener()]);
    }

    #[test]
    fn what_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listeners.json");
        for odd in ["", "{}", "{\"version\":2,\"listeners\":[]}"] {
            std::fs::write(&path, odd).unwrap();
            let told = format!("{:#}", read_from(&path).unwrap_err());
            assert!(told.contains("listeners.json"), "{told}");
        }
    }
}
