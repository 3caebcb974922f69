//! How far everyone has come who reads the journal: one small file, replaced as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::Disk;
use odograph_model::Lsn;

use crate::error::{Error, IoContext as _};
use crate::{durable_file, paths};

/// How many cursors there may be: far more than there are sinks, and the file stays small enough to be replaced.
pub const CURSORS_MAX: usize = 4096;

/// The registered cursors of a node's journal.
pub struct CursorStore {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    durable: BTreeMap<String, Lsn>,
}

impl CursorStore {
    /// Reads the cursors of a node's folder.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        disk.create_folder(folder).doing("create", folder)?;
        let path = paths::cursors(folder);
        let durable = match durable_file::read(&*disk, &path, FILE_BYTES_MAX)? {
            Some(bytes) => parse(&bytes).ok_or(Error::Damaged { path, what: DAMAGED })?,
            None => BTreeMap::new(),
        };
        Ok(Self { disk, folder: folder.to_owned(), durable })
    }

    /// Takes cursors out of the way that are not what was written, and says where they are now: readers begin again, as where they
    /// are lost, and need nobody for it.
    pub(crate) fn put_aside_damaged(disk: &dyn Disk, folder: &Path) -> Result<Option<PathBuf>, Error> {
        if is_sound(disk, folder)? {
            return Ok(None);
        }
        let (path, taken) = (paths::cursors(folder), disk.list(folder).doing("list", folder)?);
        let name = (0..=u32::MAX).map(|attempt| paths::damaged_cursors(folder, attempt));
        let aside = name.into_iter().find(|name| !taken.contains(name)).expect("fewer than 2^32 damaged files");
        disk.rename(&path, &aside).doing("rename", &path)?;
        disk.sync_folder(folder).doing("flush", folder)?;
        Ok(Some(aside))
    }

    /// Everything before a cursor's place is done with, as far as its owner is concerned.
    pub fn cursor(&self, name: &str) -> Option<Lsn> {
        self.durable.get(name).copied()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&str, Lsn)> {
        self.durable.iter().map(|(name, &lsn)| (name.as_str(), lsn))
    }

    /// The least of them: nobody needs what is before. `None`: there are none.
    pub fn least(&self) -> Option<Lsn> {
        self.durable.values().copied().min()
    }

    /// Sets cursors (`None` removes one), all or none of them, durably when it returns.
    pub fn set<'a>(&mut self, changes: impl IntoIterator<Item = (&'a str, Option<Lsn>)>) -> Result<(), Error> {
        let mut changed = self.durable.clone();
        for (name, lsn) in changes {
            match lsn {
                Some(lsn) => changed.insert(name.to_owned(), lsn),
                None => changed.remove(name),
            };
        }
        let path = paths::cursors(&self.folder);
        if changed.len() > CURSORS_MAX || changed.keys().any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(Error::Damaged { path, what: "too many cursors, or too long a name" });
        }
        durable_file::replace(&*self.disk, &self.folder, &path, &to_bytes(&changed))?;
        self.durable = changed;
        Ok(())
    }
}

/// Whether a node's cursors are what was written, if there are any.
pub(crate) fn is_sound(disk: &dyn Disk, folder: &Path) -> Result<bool, Error> {
    match durable_file::read(disk, &paths::cursors(folder), FILE_BYTES_MAX) {
        Ok(bytes) => Ok(bytes.is_none_or(|bytes| parse(&bytes).is_some())),
        Err(Error::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn to_bytes(cursors: &BTreeMap<String, Lsn>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (name, lsn) in cursors {
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&lsn.0.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<String, Lsn>> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(checked) {
        return None;
    }
    let mut rest = checked.strip_prefix(MAGIC)?;
    let mut cursors = BTreeMap::new();
    while let Some((&length, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(usize::from(length))?;
        let (lsn, after) = after.split_first_chunk()?;
        cursors.insert(std::str::from_utf8(name).ok()?.to_owned(), Lsn(u64::from_le_bytes(*lsn)));
        rest = after;
    }
    Some(cursors)
}

const DAMAGED: &str =
    "not the cursors that were written. A start of the server puts them aside, and readers begin again";
const MAGIC: &[u8; 8] = b"ODOCUR\r\n";
/// The length field has 8 bits.
const NAME_BYTES_MAX: usize = u8::MAX as usize;
const FILE_BYTES_MAX: usize = 12 + CURSORS_MAX * (1 + NAME_BYTES_MAX + 8);

#[cfg(test)]
mod tests {
    use odograph_testkit::FaultDisk;
    use odograph_testkit::disk::PowerCut;

    use super::*;

    #[test]
    fn a_cut_at_any_operation_leaves_the_old_or_the_new() {
        let disk = FaultDisk::new();
        let folder = Path::new("/journal/0");
        let open = |disk: FaultDisk| CursorStore::open(Arc::new(disk), folder).unwrap();
        let mut cursors = open(disk.clone());
        assert_eq!(cursors.least(), None);
        cursors.set([("lake", Some(Lsn(100))), ("kafka", Some(Lsn(50)))]).unwrap();
        let images = Arc::new(std::sync::Mutex::new(Vec::new()));
        disk.on_operation({
            let images = Arc::clone(&images);
            move |disk, _| {
                let cuts = (0..8).map(PowerCut::Random).chain([PowerCut::Lost, PowerCut::Kept]);
                images.lock().unwrap().extend(cuts.map(|cut| disk.crash_image(cut)));
            }
        });
        cursors.set([("kafka", None), ("lake", Some(Lsn(200)))]).unwrap();
        let images = std::mem::take(&mut *images.lock().unwrap());
        let least: Vec<_> = images.into_iter().map(|image| open(image).least().unwrap()).collect();
        assert!(least.iter().all(|&least| least == Lsn(50) || least == Lsn(200)), "{least:?}");
        assert!(least.contains(&Lsn(50)) && least.contains(&Lsn(200)));
        assert_eq!(open(disk.crash_image(PowerCut::Lost)).all().collect::<Vec<_>>(), [("lake", Lsn(200))]);
    }

    #[test]
    fn a_failed_write_changes_nothing_and_damage_is_named() {
        let disk = FaultDisk::new();
        let folder = Path::new("/journal/0");
        let mut cursors = CursorStore::open(Arc::new(disk.clone()), folder).unwrap();
        cursors.set([("lake", Some(Lsn(1)))]).unwrap();
        disk.fail_sync_after(0);
        cursors.set([("lake", Some(Lsn(2)))]).unwrap_err();
        assert_eq!(cursors.least(), Some(Lsn(1)));
        let path = paths::cursors(folder);
        for offset in 0..disk.content(&path).unwrap().len() as u64 {
            disk.flip_bit(&path, offset, 3);
            assert!(CursorStore::open(Arc::new(disk.clone()), folder).is_err(), "offset {offset}");
            disk.flip_bit(&path, offset, 3);
        }
        assert_eq!(CursorStore::put_aside_damaged(&disk, folder).unwrap(), None);
        for attempt in 0..2 {
            disk.put(&path, b"not cursors");
            let aside = CursorStore::put_aside_damaged(&disk, folder).unwrap();
            assert_eq!(aside, Some(folder.join(format!("cursors.damaged-{attempt}"))));
        }
        let disk = disk.crash_image(PowerCut::Lost);
        assert_eq!(CursorStore::open(Arc::new(disk), folder).unwrap().least(), None);
    }
}
