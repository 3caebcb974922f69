//! Up to where retention has removed segments: the durable word by which removal is told from loss.
//!
//! The file is made with the folder and written in place from then on, so that the word can be given on a disk that is
//! full: that is when segments have to go. Two slots take turns, so that a torn write leaves the older word.

use std::io;
use std::path::Path;

use odograph_env::Disk;
use odograph_model::Lsn;

use crate::entry::u64_at;
use crate::error::{Error, IoContext as _};
use crate::{durable_file, paths};

/// Every segment that ended here or before may be gone.
pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<Lsn>, Error> {
    Ok(slots(disk, folder)?.into_iter().flatten().max())
}

/// Whether there is no file, or a word in it that is what was written.
pub(crate) fn is_sound(disk: &dyn Disk, folder: &Path) -> Result<bool, Error> {
    let is_there = disk.list(folder).doing("list", folder)?.contains(&paths::removed(folder));
    Ok(!is_there || read(disk, folder)?.is_some())
}

/// Makes the file, if it is not there.
pub(crate) fn create(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    let path = paths::removed(folder);
    match disk.open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = vec![0; FILE_BYTES];
            bytes[..SLOT_BYTES].copy_from_slice(&slot(Lsn(0)));
            durable_file::replace(disk, folder, &path, &bytes)
        }
        opened => opened.doing("open", &path).map(drop),
    }
}

/// Says that everything before `place` may go. Durable when it returns.
pub(crate) fn set(disk: &dyn Disk, folder: &Path, place: Lsn) -> Result<(), Error> {
    create(disk, folder)?;
    let slots = slots(disk, folder)?;
    if slots.iter().flatten().any(|&there| there >= place) {
        return Ok(());
    }
    // The one that says less, or nothing, gives way.
    let number = u64::from(slots[1] < slots[0]);
    let path = paths::removed(folder);
    let file = disk.open(&path).doing("open", &path)?;
    file.write_at(&slot(place), number * SLOT_APART).doing("write", &path)?;
    file.sync().doing("flush", &path)
}

fn slots(disk: &dyn Disk, folder: &Path) -> Result<[Option<Lsn>; 2], Error> {
    let path = paths::removed(folder);
    let file = match disk.open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([None; 2]),
        opened => opened.doing("open", &path)?,
    };
    let mut bytes = [0; FILE_BYTES];
    file.read_at(&mut bytes, 0).doing("read", &path)?;
    Ok([parse(&bytes[..SLOT_BYTES]), parse(&bytes[SLOT_APART as usize..][..SLOT_BYTES])])
}

fn slot(place: Lsn) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&place.0.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Lsn> {
    let (checked, crc) = bytes.split_at_checked(16)?;
    (checked.starts_with(MAGIC) && crc == crc32c::crc32c(checked).to_le_bytes()).then(|| Lsn(u64_at(checked, 8)))
}

const MAGIC: &[u8; 8] = b"ODORMV\r\n";
const SLOT_BYTES: usize = 20;
/// A disk writes at least this much as one: a write to one slot cannot tear the other.
const SLOT_APART: u64 = 4096;
const FILE_BYTES: usize = SLOT_APART as usize + SLOT_BYTES;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use odograph_testkit::FaultDisk;
    use odograph_testkit::disk::PowerCut;

    use super::*;

    #[test]
    fn a_cut_at_any_operation_leaves_the_old_or_the_new_word() {
        let (disk, folder) = (FaultDisk::new(), Path::new("/journal/0"));
        disk.create_folder(folder).unwrap();
        create(&disk, folder).unwrap();
        assert_eq!(read(&disk, folder).unwrap(), Some(Lsn(0)));
        let mut before = Lsn(0);
        for place in [100, 200, 300, 50] {
            let images = Arc::new(Mutex::new(Vec::new()));
            disk.on_operation({
                let images = Arc::clone(&images);
                move |disk, _| {
                    let cuts = (0..8).map(PowerCut::Random).chain([PowerCut::Lost, PowerCut::Kept]);
                    images.lock().unwrap().extend(cuts.map(|cut| disk.crash_image(cut)));
                }
            });
            // A full disk is no obstacle.
            disk.set_capacity(Some(disk.used()));
            set(&disk, folder, Lsn(place)).unwrap();
            let after = Lsn(place).max(before);
            for image in std::mem::take(&mut *images.lock().unwrap()) {
                let found = read(&image, folder).unwrap();
                assert!(found == Some(before) || found == Some(after), "{found:?} after {before:?}, setting {after:?}");
            }
            assert_eq!(read(&disk.crash_image(PowerCut::Lost), folder).unwrap(), Some(after));
            before = after;
        }
        disk.flip_bit(&paths::removed(folder), SLOT_APART + 9, 0);
        assert!(read(&disk, folder).unwrap() < Some(before), "a damaged word is none");
    }
}
