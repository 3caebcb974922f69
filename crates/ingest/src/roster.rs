//! The devices that are known, until there is a catalog: those that the configuration announces, and those that
//! registered themselves, which a file keeps.
//!
//! The file is lines of JSON, appended to: a device and its state, the last line about a device counts. Nothing is
//! written on the way of a reply: [`Roster::save`] runs beside it, and what a crash keeps from the file is in the
//! journal, from the place on that the file's last mark names. What a person decides is durable before it holds.

mod barred;
mod file;
mod lines;
mod quota;
mod table;

pub use lines::Damage;
pub use quota::{Paused, Quota};

use crate::{Devices, Listener, Other, Unknown};
use compact_str::CompactString;
use file::File;
use hashbrown::HashSet;
use odograph_env::Disk;
use odograph_model::Lsn;
use odograph_protocols::{Binding, Decision, Settings};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use table::{Entry, Table};

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
    /// All that it calls itself, its id first, where the configuration says that it has several ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<CompactString>,
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
    /// A person deleted it: it is a stranger again. It stands in the file alone.
    Deleted,
}

/// Why the roster's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// The disk.
    #[error("cannot {doing} {path}", path = .path.display())]
    Io {
        /// What was being done to it.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// There is no space, and nothing has changed.
    #[error("cannot write to {path}: the disk is full, and nothing was changed. Make space and try again", path = .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
}

/// The devices that are known.
pub struct Roster {
    inner: RwLock<Inner>,
    file: Mutex<File>,
    unknown_max: usize,
    damage: Damage,
    quotas: quota::Quotas,
    barred: barred::Barred,
}

struct Inner {
    devices: Table,
    registered: usize,
    unsaved: Vec<Entry>,
    /// The ids of the devices that the configuration announces.
    announced: Arc<BTreeSet<CompactString>>,
    /// Those that it announced when what the journal may have beyond the file was written.
    announced_before: BTreeSet<CompactString>,
    /// Devices that registered and that nobody who lists them has heard of.
    unlisted: VecDeque<Entry>,
    /// Those that had to wait for a person at some time, by tenant and id.
    waited: HashSet<(CompactString, CompactString)>,
}

/// What the file lacks.
struct Unsaved {
    devices: Vec<Entry>,
    /// The ids of the devices that the configuration announces.
    announced: Arc<BTreeSet<CompactString>>,
    /// How many devices there are.
    known: usize,
}

impl Roster {
    /// Opens the file in `folder`, or begins one. Says from which place of the journal on devices may have registered
    /// that the file does not have.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, unknown_max: usize) -> Result<(Self, Lsn), RosterError> {
        let (file, content) = File::open(disk, folder)?;
        let mut inner = Inner {
            devices: Table::default(),
            registered: 0,
            unsaved: Vec::new(),
            unlisted: VecDeque::new(),
            announced: Arc::default(),
            announced_before: content.configured_since,
            waited: content.waited,
        };
        content.devices.into_iter().for_each(|known| drop(inner.put(&known, Settings::default())));
        let (inner, file, damage) = (RwLock::new(inner), Mutex::new(file), content.damage);
        let (quotas, barred) = (quota::Quotas::default(), barred::Barred::default());
        Ok((Self { inner, file, unknown_max, damage, quotas, barred }, content.saved_until))
    }

    /// What was wrong with the file when it was opened. What could be read of it is used; where something was lost, the
    /// file as it was is kept as `devices.jsonl.damaged`.
    pub const fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Announces a device under all its ids, as the configuration does. It stands above what registered itself, and above
    /// what tenants say.
    pub fn announce(&self, ids: &[CompactString], tenant: &str, settings: Settings) {
        let Some(device) = ids.first() else { return };
        let protocol = CompactString::default();
        let known = Known {
            device: device.clone(),
            tenant: tenant.into(),
            state: State::Configured,
            protocol,
            ids: ids.to_vec(),
        };
        let mut inner = self.change();
        Arc::make_mut(&mut inner.announced).insert(device.clone());
        inner.claim(&known, settings, true);
    }

    /// What people say of a device elsewhere, where they manage them: it holds at once, and this roster's file does not keep it.
    /// What the configuration says stands above it.
    pub fn assign(&self, known: &Known, settings: Settings) {
        let mut inner = self.change();
        let before = inner.devices.find(Some(&known.tenant), &known.device).map(Entry::known);
        if before.as_ref().is_some_and(|before| before.state == State::Configured) || inner.is_so(known, &settings) {
            return;
        }
        let gone = before.into_iter().flat_map(|before| before.ids).filter(|id| !known.ids.contains(id));
        gone.for_each(|id| drop(inner.devices.remove(&known.tenant, &id)));
        if known.state == State::Quarantined {
            inner.waited.insert(known.place());
        }
        inner.claim(known, settings, false);
    }

    /// A device that people deleted: if it comes again, it is a stranger. What the configuration announces stays.
    pub fn withdraw(&self, tenant: &str, device: &str) {
        let mut inner = self.change();
        let Some(known) = inner.devices.find(Some(tenant), device).map(Entry::known) else { return };
        if known.state == State::Configured || known.device != device {
            return;
        }
        for id in std::iter::once(&known.device).chain(&known.ids) {
            inner.devices.remove(tenant, id);
        }
        inner.registered = inner.registered.saturating_sub(1);
        let deleted = Known { state: State::Deleted, ids: Vec::new(), ..known };
        inner.unsaved.push(Entry::of(&deleted, Settings::default()));
    }

    /// All devices of a tenant that is no more.
    pub fn withdraw_tenant(&self, tenant: &str) {
        let all = self.list().into_iter().filter(|known| known.tenant == tenant);
        all.for_each(|known| self.withdraw(tenant, &known.device));
    }

    /// Forgets a device, or all of a tenant, also in the file: nothing says any more that it was ever there. What the
    /// configuration announces stays. `durable` is that of [`Roster::save`].
    ///
    /// # Errors
    ///
    /// When the file cannot be written: then it is forgotten in memory alone, and the same again goes on.
    pub fn erase(&self, tenant: &str, device: Option<&str>, durable: Lsn) -> Result<(), RosterError> {
        let mut file = self.lock_file();
        match device {
            Some(device) => self.withdraw(tenant, device),
            None => self.withdraw_tenant(tenant),
        }
        let is_meant = |known: &Known| {
            known.state != State::Configured
                && known.tenant == tenant
                && device.is_none_or(|device| known.device == device)
        };
        let (unsaved, announced) = {
            let mut inner = self.change();
            inner.unsaved.retain(|entry| !is_meant(&entry.known()));
            inner.unlisted.retain(|entry| !is_meant(&entry.known()));
            let of = |place: &(CompactString, CompactString)| {
                place.0 == tenant && device.is_none_or(|device| place.1 == device)
            };
            inner.waited.retain(|place| !of(place));
            (std::mem::take(&mut inner.unsaved), inner.announced.clone())
        };
        if let Err(error) = file.write_without(is_meant, &unsaved, durable, &announced) {
            self.change().put_back_unsaved(unsaved);
            return Err(error);
        }
        Ok(())
    }

    /// Keeps a device out, or all of a tenant, until it is let in again: what it sent is to be erased. It is refused, known or not:
    /// `ids` is all that it calls itself.
    pub fn bar(&self, tenant: &str, device: Option<&str>, ids: impl IntoIterator<Item = CompactString>) {
        self.barred.add(tenant, device, ids);
    }

    /// Lets in again whom [`Roster::bar`] kept out.
    pub fn let_in(&self, tenant: &str, device: Option<&str>) {
        self.barred.remove(tenant, device);
    }

    /// What tenants may have from now on; who is not named may have anything. It decides about those that come: a device
    /// that is known stays, however many there are.
    pub fn set_quotas(&self, quotas: impl IntoIterator<Item = (CompactString, Quota)>) {
        self.quotas.set(quotas.into_iter().collect());
    }

    /// How many devices a tenant has.
    pub fn devices_of(&self, tenant: &str) -> usize {
        self.read().devices.count(tenant)
    }

    /// Devices that registered and were not taken yet, at most `count`, in their order.
    pub fn take_unlisted(&self, count: usize) -> Vec<Known> {
        let taken: Vec<Entry> = {
            let mut inner = self.change();
            let unlisted = &mut inner.unlisted;
            let taken = unlisted.drain(..count.min(unlisted.len())).collect();
            if unlisted.is_empty() {
                // What a burst of them took.
                unlisted.shrink_to_fit();
            }
            taken
        };
        taken.iter().map(Entry::known).collect()
    }

    /// The devices, by tenant and id, that registered and were not taken yet.
    pub fn unlisted(&self) -> Vec<(CompactString, CompactString)> {
        self.read().unlisted.iter().map(|entry| entry.known().place()).collect()
    }

    /// What was taken, and is to be taken again.
    pub fn put_back_unlisted(&self, unlisted: &[Known]) {
        let mut inner = self.change();
        // More than that nobody may know who registered: whoever begins anew reads the whole list.
        if inner.unlisted.len() + unlisted.len() <= self.unknown_max {
            inner.unlisted.extend(unlisted.iter().map(|known| Entry::of(known, Settings::default())));
        }
    }

    /// A device that the journal shows and the file lacks: it registered just before a crash. One that was known because
    /// the configuration announced it never registered: without its announcement it is unknown again.
    pub fn recover(&self, binding: &Binding, protocol: &str) {
        let mut inner = self.change();
        let state = match binding.decision {
            Decision::Accepted => State::New,
            Decision::Quarantined => State::Quarantined,
            Decision::Refused => return,
        };
        if inner.devices.find(Some(&binding.tenant), &binding.device).is_none()
            && !inner.announced_before.contains(&binding.device)
        {
            let known = Known {
                device: binding.device.clone(),
                tenant: binding.tenant.clone(),
                state,
                protocol: protocol.into(),
                ids: Vec::new(),
            };
            let entry = inner.put(&known, Settings::default());
            inner.unsaved.push(entry);
        }
    }

    /// All devices, each once, sorted by id.
    pub fn list(&self) -> Vec<Known> {
        let mut all: Vec<_> = self.read().devices.each().map(Entry::known).collect();
        all.sort_by(|a, b| (&a.device, &a.tenant).cmp(&(&b.device, &b.tenant)));
        all
    }

    /// What is known about the device that has this id, be it one of several: the tenant's, or where no tenant is named
    /// that of whoever had it first.
    pub fn get(&self, tenant: Option<&str>, id: &str) -> Option<Known> {
        self.read().devices.find(tenant, id).map(Entry::known)
    }

    /// The devices, by tenant and id, that had to wait for a person's decision at some time, in no order: what they sent meanwhile is in no
    /// table of records.
    pub fn waited(&self) -> Vec<(CompactString, CompactString)> {
        self.read().waited.iter().cloned().collect()
    }

    /// Decides about a device, known so far or not, under any of its ids; says what it was before. A configured device stays
    /// as it is. When it returns, the decision is durable and holds; when it fails, nothing has changed. `durable` is that
    /// of [`Roster::save`]; `tenant` as in [`Roster::get`].
    pub fn decide(
        &self,
        tenant: Option<&str>,
        id: &str,
        state: State,
        durable: Lsn,
    ) -> Result<Option<State>, RosterError> {
        let mut file = self.lock_file();
        let before = self.get(tenant, id);
        if before.as_ref().is_some_and(|known| known.state == State::Configured) {
            return Ok(Some(State::Configured));
        }
        let decided = decided(tenant, id, state, before.clone());
        let Unsaved { devices: mut lines, announced, known } = self.take_unsaved();
        lines.push(Entry::of(&decided, Settings::default()));
        file.grown(known);
        if let Err(error) = file.write(&lines, durable, &announced) {
            lines.pop();
            self.change().put_back_unsaved(lines);
            return Err(error);
        }
        let mut inner = self.change();
        // It may have registered itself meanwhile: then the decision has to stand behind that line once more.
        let now = self::decided(tenant, id, state, inner.devices.find(tenant, id).map(Entry::known));
        let registered = inner
            .unsaved
            .iter()
            .any(|entry| (&entry.binding.device, &entry.binding.tenant) == (&now.device, &now.tenant));
        let entry = inner.put(&now, Settings::default());
        if registered || now != decided {
            inner.unsaved.push(entry);
        }
        Ok(before.map(|known| known.state))
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
        let mut file = self.lock_file();
        let Unsaved { devices: unsaved, announced, known } = self.take_unsaved();
        if unsaved.is_empty() && !mark_alone && !file.lacks(&announced) {
            return Ok(false);
        }
        file.grown(known);
        if let Err(error) = file.write(&unsaved, durable, &announced) {
            // Kept for the next time.
            self.change().put_back_unsaved(unsaved);
            return Err(error);
        }
        Ok(true)
    }

    fn take_unsaved(&self) -> Unsaved {
        let mut inner = self.change();
        let (devices, announced) = (std::mem::take(&mut inner.unsaved), inner.announced.clone());
        Unsaved { devices, announced, known: inner.registered }
    }

    fn lock_file(&self) -> MutexGuard<'_, File> {
        // Every change to what is known of the file is whole, so a panic elsewhere does not spoil it.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
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
        let tenant = own_tenant(listener);
        if tenant.is_none() && self.barred.has_id(ids) {
            // Forgotten already, it would be taken for another tenant's device of the same id.
            let device = ids.first().cloned().unwrap_or_default();
            let (tenant, settings) = (listener.tenant.clone(), Settings::default());
            return Arc::new(Binding { device, tenant, decision: Decision::Refused, settings });
        }
        if let Some(binding) = self.read().binding(tenant, ids) {
            return self.unless_paused(binding);
        }
        let mut inner = self.change();
        // Another worker may have been faster.
        if let Some(binding) = inner.binding(tenant, ids) {
            return self.unless_paused(binding);
        }
        let device = ids.first().cloned().unwrap_or_default();
        let state = match listener.unknown {
            Unknown::Reject => State::Rejected,
            _ if self.barred.has_stranger(&listener.tenant, ids) => State::Rejected,
            _ if inner.registered >= self.unknown_max => State::Rejected,
            _ if self.has_no_room(&inner, &listener.tenant) => State::Rejected,
            Unknown::Register => State::New,
            Unknown::Quarantine => State::Quarantined,
        };
        let protocol = CompactString::const_new(listener.protocol.name);
        let known = Known { device, tenant: listener.tenant.clone(), state, protocol, ids: Vec::new() };
        if state == State::Rejected {
            // Not remembered: strangers that are refused must cost nothing.
            return known.binding(Settings::default());
        }
        let entry = inner.put(&known, Settings::default());
        inner.unsaved.push(entry.clone());
        inner.unlisted.push_back(entry.clone());
        entry.binding
    }

    fn known(&self, ids: &[CompactString], listener: &Listener) -> Option<Arc<Binding>> {
        self.read().binding(own_tenant(listener), ids)
    }

    fn is_paused(&self, binding: &Binding) -> bool {
        if self.barred.has(&binding.tenant, &binding.device) {
            return true;
        }
        let paused = self.quotas.paused(&binding.tenant);
        paused.into_iter().for_each(|paused| quota::count(paused.quota()));
        paused.is_some()
    }

    fn is_barred(&self, binding: &Binding) -> bool {
        let Binding { tenant, device, decision, .. } = binding;
        // An accepted one with the same id is another tenant's, and everything of it is kept.
        let is_refused = *decision == Decision::Refused;
        self.barred.has(tenant, device) || (is_refused && self.barred.has_refused(tenant, device))
    }

    fn refusal(&self, device: &str, listener: &Listener) -> String {
        let inner = self.read();
        let entry = inner.devices.find(own_tenant(listener), device);
        if let (Some(own), Other::Refuse) = (&listener.device, listener.other)
            && entry.is_none_or(|entry| entry.binding.device != own.device)
        {
            return format!("other_device = refuse: the listener is that of {}", own.device);
        }
        let tenant = entry.map_or(&listener.tenant, |entry| &entry.binding.tenant);
        let id = [CompactString::from(device)];
        if self.barred.has(tenant, device) || (entry.is_none() && self.barred.has_stranger(tenant, &id)) {
            return barred::REASON.to_owned();
        }
        let paused = self.quotas.paused(tenant).map(|paused| format!("{} of the tenant {tenant}", paused.quota()));
        let devices_max = self.quotas.of(tenant).devices_max.filter(|max| inner.devices.count(tenant) >= *max);
        match entry.map(|entry| entry.state) {
            Some(State::Rejected) => "rejected by a person".to_owned(),
            Some(_) if paused.is_some() => paused.unwrap_or_default(),
            Some(_) => "settings of the device".to_owned(),
            None if listener.unknown == Unknown::Reject => "unknown = reject".to_owned(),
            None if paused.is_some() => paused.unwrap_or_default(),
            None => match devices_max {
                Some(max) => format!("{} of the tenant {tenant} = {max}", quota::DEVICES),
                None => format!("limits.unknown_devices_max = {}", self.unknown_max),
            },
        }
    }
}

impl Roster {
    /// The decision about a device, or that its tenant's devices are refused for now.
    fn unless_paused(&self, binding: Arc<Binding>) -> Arc<Binding> {
        if binding.decision == Decision::Refused || !self.is_paused(&binding) {
            return binding;
        }
        Arc::new(Binding { decision: Decision::Refused, ..(*binding).clone() })
    }

    /// Whether a tenant may have no further device.
    fn has_no_room(&self, inner: &Inner, tenant: &str) -> bool {
        if let Some(paused) = self.quotas.paused(tenant) {
            quota::count(paused.quota());
            return true;
        }
        let is_full = !self.quotas.has_room(tenant, inner.devices.count(tenant));
        if is_full {
            quota::count(quota::DEVICES);
        }
        is_full
    }
}

/// A listener that is a tenant's own lets in that tenant's devices; that of the tenant `default` is everybody's.
fn own_tenant(listener: &Listener) -> Option<&str> {
    (listener.tenant != DEFAULT_TENANT).then_some(&*listener.tenant)
}

/// What becomes of a device by a decision.
fn decided(tenant: Option<&str>, id: &str, state: State, before: Option<Known>) -> Known {
    match before {
        Some(known) => Known { state, ..known },
        None => Known {
            device: id.into(),
            tenant: tenant.unwrap_or(DEFAULT_TENANT).into(),
            state,
            protocol: CompactString::default(),
            ids: Vec::new(),
        },
    }
}

impl Inner {
    fn binding(&self, tenant: Option<&str>, ids: &[CompactString]) -> Option<Arc<Binding>> {
        ids.iter().find_map(|id| self.devices.find(tenant, id)).map(|entry| entry.binding.clone())
    }

    /// For the next time.
    fn put_back_unsaved(&mut self, unsaved: Vec<Entry>) {
        self.unsaved.splice(0..0, unsaved);
    }

    fn put(&mut self, known: &Known, settings: Settings) -> Entry {
        if known.state == State::Quarantined {
            self.waited.insert(known.place());
        }
        let entry = Entry::of(known, settings);
        for id in known.ids.iter().filter(|id| **id != known.device) {
            self.devices.put(id, entry.clone());
        }
        if self.devices.put(&known.device, entry.clone()) {
            self.registered += 1;
        }
        entry
    }

    /// Whether a device is known as just that, and whoever asks for its id gets it. The catalog says of each device that
    /// registered what it was told of it: to believe that anew would keep two of everything.
    fn is_so(&self, known: &Known, settings: &Settings) -> bool {
        let one = known.ids.iter().all(|id| *id == known.device);
        self.devices.find(None, &known.device).is_some_and(|entry| {
            let binding = &entry.binding;
            one && entry.ids().is_empty()
                && (&binding.tenant, &binding.device) == (&known.tenant, &known.device)
                && (entry.state, entry.protocol()) == (known.state, known.protocol.as_str())
                && binding.settings == *settings
        })
    }

    fn claim(&mut self, known: &Known, settings: Settings, above: bool) {
        let entry = Entry::of(known, settings);
        let own = (!known.ids.contains(&known.device)).then_some(&known.device);
        own.into_iter().chain(&known.ids).for_each(|id| self.devices.claim(id, entry.clone(), above));
    }
}

impl Known {
    /// Whose it is, and its id.
    fn place(&self) -> (CompactString, CompactString) {
        (self.tenant.clone(), self.device.clone())
    }

    fn binding(&self, settings: Settings) -> Arc<Binding> {
        let decision = match self.state {
            State::Configured | State::New | State::Accepted => Decision::Accepted,
            State::Quarantined => Decision::Quarantined,
            State::Rejected | State::Deleted => Decision::Refused,
        };
        Arc::new(Binding { device: self.device.clone(), tenant: self.tenant.clone(), decision, settings })
    }
}

/// The tenant of all who come where no tenant is named.
pub(crate) const DEFAULT_TENANT: &str = "default";

#[cfg(test)]
mod tests;
