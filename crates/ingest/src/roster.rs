//! The devices that are known, until there is a catalog: those that the configuration announces, and those that
//! registered themselves, which a file keeps.
//!
//! The file is lines of JSON, appended to: a device and its state, the last line about a device counts. Nothing is
//! written on the way of a reply: [`Roster::save`] runs beside it, and what a crash keeps from the file is in the
//! journal, from the place on that the file's last mark names.

use crate::{Devices, Listener, Unknown};
use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use odograph_env::{Disk, DiskFile};
use odograph_model::Lsn;
use odograph_protocols::{Binding, Decision, Settings};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Devices that may register themselves, unless the configuration says otherwise: a bound on what strangers can make
/// us remember.
pub const UNKNOWN_DEVICES_MAX: usize = 1_000_000;

/// A device, as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// Its id.
    pub device: CompactString,
    /// Whose it is.
    pub tenant: CompactString,
    /// Whether its data counts.
    pub state: State,
    /// What it speaks, where it registered itself.
    #[serde(default, skip_serializing_if = "CompactString::is_empty")]
    pub protocol: CompactString,
}

/// What was decided about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The configuration announces it.
    Configured,
    /// It registered itself: its data counts.
    New,
    /// A person accepted it.
    Accepted,
    /// It waits for a person: its data is kept and not shown.
    Quarantined,
    /// A person rejected it: it is refused.
    Rejected,
}

/// Why the roster's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// The disk.
    #[error("{path}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// A line that cannot be read.
    #[error("{path} line {line}: not a device or a mark", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The devices that are known.
pub struct Roster {
    inner: RwLock<Inner>,
    file: Mutex<File>,
    unknown_max: usize,
}

struct Inner {
    /// By each of its ids.
    devices: HashMap<CompactString, Entry>,
    registered: usize,
    unsaved: Vec<Known>,
    /// Those that had to wait for a person at some time.
    waited: HashSet<CompactString>,
}

struct Entry {
    binding: Arc<Binding>,
    state: State,
    protocol: CompactString,
}

struct File {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
}

/// A line of the file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Line {
    Mark { saved_until: u64 },
    Device(Known),
}

impl Roster {
    /// Opens the file in `folder`, or begins one. Says from which place of the journal on devices may have registered
    /// that the file does not have.
    pub fn open(disk: &dyn Disk, folder: &Path, unknown_max: usize) -> Result<(Self, Lsn), RosterError> {
        let path = folder.join("devices.jsonl");
        let failed = |source| RosterError::Io { path: path.clone(), source };
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(&path).map_err(failed)?;
                disk.sync_folder(folder).map_err(failed)?;
                file
            }
            Err(error) => return Err(failed(error)),
        };
        let mut text = vec![0; usize::try_from(file.length().map_err(failed)?).unwrap_or(usize::MAX)];
        let read = file.read_at(&mut text, 0).map_err(failed)?;
        text.truncate(read);
        let mut inner = Inner { devices: HashMap::new(), registered: 0, unsaved: Vec::new(), waited: HashSet::new() };
        let (saved_until, whole) =
            inner.read(&text).map_err(|(line, source)| RosterError::Line { path: path.clone(), line, source })?;
        if whole < text.len() {
            // Else its end could stand behind a shorter line that is written over its beginning.
            file.set_length(whole as u64).and_then(|()| file.sync()).map_err(failed)?;
        }
        let file = Mutex::new(File { path: path.clone(), file, length: whole as u64 });
        Ok((Self { inner: RwLock::new(inner), file, unknown_max }, saved_until))
    }

    /// Announces a device under all its ids, as the configuration does. It stands above what registered itself.
    pub fn announce(&self, ids: &[CompactString], tenant: &str, settings: Settings) {
        let Some(device) = ids.first() else { return };
        let binding = Binding { device: device.clone(), tenant: tenant.into(), decision: Decision::Accepted, settings };
        let binding = Arc::new(binding);
        let mut inner = self.change();
        for id in ids {
            let entry =
                Entry { binding: binding.clone(), state: State::Configured, protocol: CompactString::default() };
            inner.devices.insert(id.clone(), entry);
        }
    }

    /// A device that the journal shows and the file lacks: it registered just before a crash.
    pub fn recover(&self, binding: &Binding, protocol: &str) {
        let mut inner = self.change();
        let state = match binding.decision {
            Decision::Accepted => State::New,
            Decision::Quarantined => State::Quarantined,
            Decision::Refused => return,
        };
        if !inner.devices.contains_key(&binding.device) {
            let known = Known {
                device: binding.device.clone(),
                tenant: binding.tenant.clone(),
                state,
                protocol: protocol.into(),
            };
            inner.put(known.clone(), Settings::default());
            inner.unsaved.push(known);
        }
    }

    /// All devices, sorted by id.
    pub fn list(&self) -> Vec<Known> {
        let inner = self.read();
        let mut all: Vec<_> = inner.devices.iter().map(|(id, entry)| entry.known(id)).collect();
        drop(inner);
        all.sort_by(|a, b| a.device.cmp(&b.device));
        all
    }

    /// What is known about a device.
    pub fn get(&self, device: &str) -> Option<Known> {
        self.read().devices.get(device).map(|entry| entry.known(device))
    }

    /// The devices that had to wait for a person's decision at some time, in no order: what they sent meanwhile is in the
    /// journal alone.
    pub fn waited(&self) -> Vec<CompactString> {
        self.read().waited.iter().cloned().collect()
    }

    /// Decides about a device, known so far or not; says what it was before. A configured device stays as it is.
    pub fn decide(&self, device: &str, state: State) -> Option<State> {
        let mut inner = self.change();
        let before = inner.devices.get(device).map(|entry| entry.known(device));
        if before.as_ref().is_some_and(|known| known.state == State::Configured) {
            return Some(State::Configured);
        }
        let fresh = || Known {
            device: device.into(),
            tenant: CompactString::const_new("default"),
            state,
            protocol: CompactString::default(),
        };
        let known = before.clone().map_or_else(fresh, |known| Known { state, ..known });
        inner.put(known.clone(), Settings::default());
        inner.unsaved.push(known);
        before.map(|known| known.state)
    }

    /// Writes what is new, and a mark that says that everything before `durable` is in the file. Says whether there
    /// was anything to write.
    pub fn save(&self, durable: Lsn) -> Result<bool, RosterError> {
        self.write(durable, false)
    }

    /// The same, and writes the mark even where nothing is new: the next start need not read the journal before it.
    pub fn save_mark(&self, durable: Lsn) -> Result<(), RosterError> {
        self.write(durable, true).map(drop)
    }

    fn write(&self, durable: Lsn, mark_alone: bool) -> Result<bool, RosterError> {
        // Before what is unsaved is taken: else another's mark could stand in the file while ours is on its way.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaved = std::mem::take(&mut self.change().unsaved);
        if unsaved.is_empty() && !mark_alone {
            return Ok(false);
        }
        let mut text = Vec::new();
        let mark = Line::Mark { saved_until: durable.0 };
        for line in unsaved.iter().cloned().map(Line::Device).chain([mark]) {
            // These types always serialise.
            if serde_json::to_writer(&mut text, &line).is_ok() {
                text.push(b'\n');
            }
        }
        let written = file.file.write_at(&text, file.length).and_then(|()| file.file.sync());
        match written {
            Ok(()) => {
                file.length += text.len() as u64;
                Ok(true)
            }
            Err(source) => {
                // Kept for the next time; written twice does no harm.
                self.change().unsaved.splice(0..0, unsaved);
                Err(RosterError::Io { path: file.path.clone(), source })
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Every change to the table is whole, so a panic elsewhere does not spoil it.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Devices for Roster {
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding> {
        if let Some(binding) = self.read().binding(ids) {
            return binding;
        }
        let mut inner = self.change();
        // Another worker may have been faster.
        if let Some(binding) = inner.binding(ids) {
            return binding;
        }
        let device = ids.first().cloned().unwrap_or_default();
        let state = match listener.unknown {
            Unknown::Reject => State::Rejected,
            _ if inner.registered >= self.unknown_max => State::Rejected,
            Unknown::Register => State::New,
            Unknown::Quarantine => State::Quarantined,
        };
        let protocol = CompactString::const_new(listener.protocol.name);
        let known = Known { device, tenant: listener.tenant.clone(), state, protocol };
        if state == State::Rejected {
            // Not remembered: strangers that are refused must cost nothing.
            return known.binding(Settings::default());
        }
        let binding = inner.put(known.clone(), Settings::default());
        inner.unsaved.push(known);
        binding
    }
}

impl Inner {
    /// Reads the file's text. Says up to which place of the journal it has all devices, and how much of it is whole; or
    /// which line cannot be read.
    ///
    /// What was written at a time ends with a mark, and counts once the mark is there. What a crash left of the last
    /// writing, in whatever pieces, was promised to nobody: the journal has who registered.
    fn read(&mut self, text: &[u8]) -> Result<(Lsn, usize), (usize, serde_json::Error)> {
        let (mut saved_until, mut whole, mut at) = (Lsn(0), 0, 0);
        let (mut written, mut broken) = (Vec::new(), None);
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            at += line.len();
            match serde_json::from_slice(line) {
                _ if line.last() != Some(&b'\n') => {}
                Ok(Line::Device(known)) => written.push(known),
                Ok(Line::Mark { saved_until: until }) => {
                    if let Some(broken) = broken.take_if(|_| at < text.len()) {
                        return Err(broken);
                    }
                    if broken.is_none() {
                        (saved_until, whole) = (Lsn(until), at);
                        written.drain(..).for_each(|known| drop(self.put(known, Settings::default())));
                    }
                }
                Err(source) => broken = broken.or(Some((number + 1, source))),
            }
        }
        Ok((saved_until, whole))
    }

    fn binding(&self, ids: &[CompactString]) -> Option<Arc<Binding>> {
        ids.iter().find_map(|id| self.devices.get(id)).map(|entry| entry.binding.clone())
    }

    fn put(&mut self, known: Known, settings: Settings) -> Arc<Binding> {
        let binding = known.binding(settings);
        if known.state == State::Quarantined {
            self.waited.insert(known.device.clone());
        }
        let entry = Entry { binding: binding.clone(), state: known.state, protocol: known.protocol };
        if self.devices.insert(known.device, entry).is_none() {
            self.registered += 1;
        }
        binding
    }
}

impl Entry {
    fn known(&self, id: &str) -> Known {
        Known {
            device: id.into(),
            tenant: self.binding.tenant.clone(),
            state: self.state,
            protocol: self.protocol.clone(),
        }
    }
}

impl Known {
    fn binding(&self, settings: Settings) -> Arc<Binding> {
        let decision = match self.state {
            State::Configured | State::New | State::Accepted => Decision::Accepted,
            State::Quarantined => Decision::Quarantined,
            State::Rejected => Decision::Refused,
        };
        Arc::new(Binding { device: self.device.clone(), tenant: self.tenant.clone(), decision, settings })
    }
}

#[cfg(test)]
mod tests;
