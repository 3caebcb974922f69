//! Small files that are replaced as a whole: written under another name, flushed, renamed.

use std::io;
use std::path::Path;

use odograph_env::Disk;

use crate::error::{CREATE, Error, IoContext as _, RESERVE};
use crate::paths;

/// Reads a file of at most `bytes_max`; `None` if there is none.
pub(crate) fn read(disk: &dyn Disk, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
    let file = match disk.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.doing("open", path)?,
    };
    let length = file.length().doing("read", path)?;
    if length > bytes_max as u64 {
        return Err(Error::Damaged { path: path.to_owned(), what: "longer than it can be" });
    }
    let mut bytes = vec![0; length as usize];
    let read = file.read_at(&mut bytes, 0).doing("read", path)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts `bytes` in place of the file. When it returns, that is durable; when it fails, the old content is there.
pub(crate) fn replace(disk: &dyn Disk, folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = paths::temporary(path);
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).doing("remove", &temporary),
        _ => {}
    }
    let file = disk.create(&temporary).doing(CREATE, &temporary)?;
    // Reserved first, so that a full disk shows where it harms nothing.
    if let Err(error) = file.allocate(0, bytes.len() as u64) {
        // What was reserved is given back; if that fails too, the next attempt removes it.
        let _ = disk.remove(&temporary);
        return Err(error).doing(RESERVE, &temporary);
    }
    file.write_at(bytes, 0).doing("write", &temporary)?;
    file.sync().doing("flush", &temporary)?;
    disk.rename(&temporary, path).doing("rename", &temporary)?;
    disk.sync_folder(folder).doing("flush", folder)
}
