//! The data folder: what lies where, who holds it, and the devices that it knows.

use crate::backup::{CATALOG, MARK, half_restored};
use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::history;
use anyhow::{Context as _, Result};
use odograph_env::LocalDisk;
use odograph_ingest::Roster;
use odograph_journal::{CursorStore, Error, Kind, Reader};
use odograph_model::Lsn;
use odograph_protocols::{Binding, Context, Settings};
use rustix::fs::Access;
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// The right to write in a data folder, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Says whose the folder is, for whoever finds it taken. The lock itself is the kernel's, so a stale number misleads nobody.
    fn sign(&self) -> io::Result<()> {
        let signed =
            self.0.set_len(0).and_then(|()| self.0.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0));
        // A full disk is waited for by those who need it; the number is a courtesy.
        signed.or_else(|error| if odograph_env::is_full(&error) { Ok(()) } else { Err(error) })
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Folder {
    pub(crate) fn of(config: &Config) -> Self {
        Self(config.data.clone())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a node's journal is.
    pub(crate) fn journal(&self, node: u16) -> PathBuf {
        self.0.join("journal").join(node.to_string())
    }

    /// The file with users, tokens and devices.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.0.join(CATALOG)
    }

    /// The file with the password of the first user, where no terminal could show it.
    pub(crate) fn first_password(&self) -> PathBuf {
        self.0.join("admin-password")
    }

    /// The file with what devices said rarely.
    pub(crate) fn live(&self) -> PathBuf {
        self.0.join("live.snapshot")
    }

    /// The list of devices.
    pub(crate) fn devices(&self) -> PathBuf {
        self.0.join("devices.jsonl")
    }

    /// The listeners that people made, as the catalog said last.
    pub(crate) fn listeners(&self) -> PathBuf {
        self.0.join("listeners.json")
    }

    /// The nodes that have a journal here.
    pub(crate) fn nodes(&self) -> Result<Vec<u16>> {
        let path = self.0.join("journal");
        let cannot = || format!("cannot read {}", path.display());
        let found = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.with_context(cannot)?,
        };
        let mut nodes = Vec::new();
        for entry in found {
            nodes.extend(entry.with_context(cannot)?.file_name().to_str().and_then(|name| name.parse::<u16>().ok()));
        }
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// The nodes besides this one whose journals here have frames that history has not: somebody gave the server another number, and
    /// what was acknowledged under the one before waits until a server has that again.
    pub(crate) fn behind(&self, node: u16) -> Vec<u16> {
        let others = self.nodes().unwrap_or_default().into_iter().filter(|other| *other != node);
        // What cannot be read is for whoever runs that node to look at, and stops nobody here.
        others.filter(|other| self.is_behind(*other).unwrap_or(true)).collect()
    }

    fn is_behind(&self, node: u16) -> Result<bool> {
        let Some(reader) = self.reader(node)? else { return Ok(false) };
        let cursors = CursorStore::open(Arc::new(LocalDisk), &self.journal(node))?;
        let mut entries = reader.entries(cursors.cursor(history::RECORDS).unwrap_or_default(), None)?;
        while let Some(entry) = entries.next()? {
            if entry.kind == Kind::FRAME {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The file with what tenants used, as a node counts it.
    pub(crate) fn usage(&self, node: u16) -> PathBuf {
        self.0.join("usage").join(format!("{node}.jsonl"))
    }

    /// The file with what the tables have of a node's journal.
    pub(crate) fn reach(&self, node: u16) -> PathBuf {
        self.0.join("reach").join(format!("{node}.json"))
    }

    /// The file with what history does not have of a node's journal.
    pub(crate) fn lacks(&self, node: u16) -> PathBuf {
        self.0.join("reach").join(format!("{node}.lacks.json"))
    }

    /// The file with where there is, in a node's journal, what devices sent while they waited for a person.
    pub(crate) fn waits(&self, node: u16) -> PathBuf {
        self.0.join("reach").join(format!("{node}.waits.json"))
    }

    /// The socket over which a running server is asked.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Makes the folder if it is missing, for its owner alone.
    pub(crate) fn create(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| {
            Failure::new(Status::CannotCreate, format!("cannot make the data folder {}: {error}", self.0.display()))
        })?;
        Ok(())
    }

    /// An error if the folder is not there.
    pub(crate) fn require(&self) -> Result<()> {
        match std::fs::read_dir(&self.0) {
            Ok(_) => Ok(()),
            Err(error) => {
                let what = format!("cannot read the data folder {}: {error} (--data names another)", self.0.display());
                Err(Failure::new(Status::NoInput, what).into())
            }
        }
    }

    /// Looks whether this process could open what is there, while another one has it. An error: it could not.
    pub(crate) fn look(&self, config: &Config) -> Result<()> {
        let journal = self.journal(config.journal.node);
        for path in [&self.0, &journal, &self.0.join("lock"), &self.catalog()] {
            match rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let what = format!("cannot write to {}: {error}: run as the user who owns it", path.display());
                    return Err(Failure::new(Status::CannotCreate, what).into());
                }
            }
        }
        if let Some(reader) = self.reader(config.journal.node)? {
            reader
                .oldest()
                .and_then(|_| reader.public_key())
                .with_context(|| format!("cannot read {}", journal.display()))?;
        }
        history::lake(config, self).map(drop)
    }

    /// Takes the folder for this process. `None`: another has it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        let lock = self.try_lock_as_it_is()?;
        self.require_whole().map(|()| lock)
    }

    /// An error if a restore left the folder half done.
    pub(crate) fn require_whole(&self) -> Result<()> {
        match self.0.join(MARK).try_exists() {
            Ok(true) => Err(half_restored(&self.0).into()),
            _ => Ok(()),
        }
    }

    /// Takes the folder to restore something into it.
    pub(crate) fn lock_to_restore(&self) -> Result<Lock> {
        Ok(self.try_lock_as_it_is()?.ok_or_else(|| self.held())?)
    }

    fn try_lock_as_it_is(&self) -> Result<Option<Lock>> {
        let path = self.0.join("lock");
        let cannot = |error: io::Error| {
            Failure::new(Status::CannotCreate, format!("cannot take the data folder: {}: {error}", path.display()))
        };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(cannot(error).into()),
        }
        let lock = Lock(file);
        lock.sign().map_err(cannot)?;
        Ok(Some(lock))
    }

    /// Takes over the lock that another process held, as its open file: both have it, until the last of them closes it. An error:
    /// it is not this folder's, or not held.
    pub(crate) fn inherit(&self, file: OwnedFd) -> io::Result<Lock> {
        let (file, here) = (File::from(file), std::fs::metadata(self.0.join("lock"))?);
        let there = file.metadata()?;
        if (there.dev(), there.ino()) != (here.dev(), here.ino()) {
            return Err(io::Error::other("it is the lock of another folder"));
        }
        // Succeeds on the same open file, and on no other.
        file.try_lock()?;
        let lock = Lock(file);
        lock.sign()?;
        Ok(lock)
    }

    /// Says that the folder is this process's again.
    pub(crate) fn reclaim(&self, lock: &Lock) {
        if let Err(error) = lock.sign() {
            tracing::warn!(%error, "cannot note in the data folder whose it is");
        }
    }

    /// Takes the folder for this process; an error says who has it. A command that has it only for a moment is waited
    /// for, a server is not.
    pub(crate) fn lock(&self) -> Result<Lock> {
        for _ in 0..TRIES {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if self.connect().is_ok() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Err(self.held().into())
    }

    /// Connects to the server that has the folder.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let (address, _folder) = socket_address(&self.socket())?;
        UnixStream::connect(address)
    }

    /// The socket over which a running server gives its place to another.
    pub(crate) fn succession(&self) -> PathBuf {
        self.0.join("succession.sock")
    }

    /// Connects to the server that has the folder, to take its place.
    pub(crate) fn connect_to_follow(&self) -> io::Result<UnixStream> {
        let (address, _folder) = socket_address(&self.succession())?;
        UnixStream::connect(address)
    }

    /// The process that took the folder last.
    pub(crate) fn holder(&self) -> Option<u32> {
        let mut text = String::new();
        File::open(self.0.join("lock")).and_then(|mut file| file.read_to_string(&mut text)).ok()?;
        text.trim().parse().ok()
    }

    /// The error for a folder that another process has.
    pub(crate) fn held(&self) -> Failure {
        let by = match self.holder() {
            Some(pid) => format!("process {pid}"),
            None => "another process".to_owned(),
        };
        let folder = self.0.display();
        Failure::new(
            Status::Temporary,
            format!("{by} holds the data folder {folder}: stop it first, or name another folder with --data"),
        )
    }

    /// The node's journal, for reading; `None` where nothing was ever written.
    pub(crate) fn reader(&self, node: u16) -> Result<Option<Reader>> {
        let path = self.journal(node);
        match path.try_exists() {
            Ok(true) => Ok(Some(Reader::open(Arc::new(LocalDisk), &path)?)),
            Ok(false) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// What is wrong with the devices' file, for a person.
    pub(crate) fn damaged_devices(&self, roster: &Roster) -> String {
        format!("{}: {}", self.devices().display(), roster.damage())
    }

    /// The devices that are known: those of the configuration, those of the folder's file, and those that registered so
    /// late before a crash that only the journal has them. Also says up to which place of the journal that is all of them.
    pub(crate) fn roster(&self, config: &Config, reader: Option<&Reader>) -> Result<(Roster, Lsn)> {
        let (roster, mark) = Roster::open(Arc::new(LocalDisk), &self.0, config.unknown_devices_max)?;
        for device in &config.devices {
            let settings = device.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            roster.announce(&device.ids, &device.tenant.0, Settings::recorded(settings));
        }
        let end = match reader {
            Some(reader) => recover_devices(&roster, reader, mark)?,
            None => mark,
        };
        Ok((roster, end))
    }
}

/// Brings back the devices that registered after the place `mark`. Says up to where the journal could be read in one go:
/// before that, nobody is missing.
fn recover_devices(roster: &Roster, reader: &Reader, mark: Lsn) -> Result<Lsn> {
    // From the segment's beginning, because that is where the streams' protocols are named.
    let Some(from) = reader.segment_begin(mark)? else { return Ok(mark) };
    let (mut end, mut broken) = (mark, false);
    let mut entries = reader.entries(from, None)?;
    let mut protocols: HashMap<u64, compact_str::CompactString> = HashMap::new();
    loop {
        let entry = match entries.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(end),
            // What cannot be read is told by recovery and by `odograph journal verify`.
            Err(Error::Broken(_)) => {
                entries.resynchronise()?;
                broken = true;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !broken {
            end = end.max(entry.end());
        }
        if let Some(Ok(context)) = entry.context.map(Context::read) {
            protocols.insert(entry.stream, context.protocol);
        }
        // Whoever was there before the mark is in the file, or was removed from it.
        let identity = entry.identity.filter(|identity| entry.lsn >= mark && !identity.decision.is_empty());
        let Some(identity) = identity else { continue };
        if let Ok((binding, others)) = Binding::read_with(identity.device, identity.decision) {
            let own = Some(&binding).filter(|binding| !binding.device.is_empty());
            let protocol = protocols.get(&entry.stream).map_or("", |name| name.as_str());
            own.into_iter().chain(others.iter().map(|other| &*other.binding)).for_each(|binding| {
                roster.recover(binding, protocol);
            });
        }
    }
}

/// How long a command may have the folder before whoever waits gives up: two seconds.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// The address of a socket in the file system, which has room for 107 bytes only: a longer path goes through the
/// folder's descriptor. The folder must stay open while the address is used.
pub(crate) fn socket_address(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    match (path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX, path.parent(), path.file_name()) {
        (false, Some(parent), Some(name)) => {
            let folder = File::open(parent)?;
            let address = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
            Ok((address, Some(folder)))
        }
        _ => Ok((path.to_owned(), None)),
    }
}

/// `sun_path` has 108 bytes with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_the_next_is_told_who() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder(place.path().join("data"));
        folder.create().unwrap();
        let lock = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err();
        assert!(refused.to_string().starts_with(&format!("process {} holds", std::process::id())), "{refused}");
        assert_eq!(refused.downcast_ref::<Failure>().unwrap().status, Status::Temporary);
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn a_lock_that_is_passed_on_holds_until_both_have_closed_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder(place.path().join("data"));
        folder.create().unwrap();
        let lock = folder.lock().unwrap();
        let passed = folder.inherit(lock.as_fd().try_clone_to_owned().unwrap()).unwrap();
        drop(lock);
        assert!(folder.try_lock().unwrap().is_none(), "the other one has it");
        drop(passed);
        let lock = folder.try_lock().unwrap().unwrap();
        // Another file of that name is no lock of this folder, and an open file without a lock is none at all.
        let other = Folder(place.path().join("other"));
        other.create().unwrap();
        let others = other.lock().unwrap();
        folder.inherit(others.as_fd().try_clone_to_owned().unwrap()).unwrap_err();
        let unlocked = File::open(folder.0.join("lock")).unwrap();
        folder.inherit(unlocked.into()).unwrap_err();
        drop(lock);
    }
}
