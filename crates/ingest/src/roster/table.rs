//! The devices in memory, by each of their ids. Tenants name their devices as they like, so an id may be one of several
//! devices, of as many tenants; nearly always it is that of one.

use super::{DEFAULT_TENANT, Known, State};
use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use odograph_protocols::{Binding, Protocol, Settings, find};
use slab::Slab;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// The devices.
#[derive(Default)]
pub(super) struct Table {
    /// Who had an id first: their places in the list. A table always has room to spare, and places are small.
    places: HashTable<u32>,
    first: Slab<Entry>,
    hasher: DefaultHashBuilder,
    /// Devices of other tenants that have such an id as well.
    further: HashMap<CompactString, Vec<Entry>>,
    /// How many devices each tenant has.
    counts: HashMap<CompactString, usize>,
}

/// What is known of a device, under one of its ids. There is one for each that was ever there, so it is small.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) binding: Arc<Binding>,
    pub(super) state: State,
    /// What it speaks, where this version knows that.
    protocol: Option<&'static Protocol>,
    /// What most devices do not have.
    more: Option<Box<More>>,
}

#[derive(Clone, Default)]
struct More {
    /// The id that it is found by, where that is another than the device's.
    alias: Option<CompactString>,
    /// All ids of a device that has several, with each of them.
    ids: Arc<[CompactString]>,
    /// What it speaks, where that is a protocol of another version.
    protocol: CompactString,
}

impl Table {
    /// The device of a tenant that has this id; of any tenant: whoever had it first.
    pub(super) fn find(&self, tenant: Option<&str>, id: &str) -> Option<&Entry> {
        let first = self.first(id)?;
        match tenant {
            Some(tenant) if first.binding.tenant != tenant => {
                self.further.get(id)?.iter().find(|entry| entry.binding.tenant == tenant)
            }
            _ => Some(first),
        }
    }

    /// Puts a device there under one of its ids; whether its tenant had none of that id.
    pub(super) fn put(&mut self, id: &str, entry: Entry) -> bool {
        let (comes, tenant) = (id == entry.binding.device, entry.binding.tenant.clone());
        let was = self.find(Some(&tenant), id).is_some_and(|before| before.binding.device == id);
        self.counted(&tenant, was, comes);
        self.placed(id, entry.under(id))
    }

    /// How many devices a tenant has.
    pub(super) fn count(&self, tenant: &str) -> usize {
        self.counts.get(tenant).copied().unwrap_or_default()
    }

    /// Counts a tenant's device that was there, and one that is now.
    fn counted(&mut self, tenant: &str, was: bool, is: bool) {
        match (was, is) {
            (false, true) => drop(self.counts.insert(tenant.into(), self.count(tenant) + 1)),
            (true, false) => {
                let left = self.count(tenant).saturating_sub(1);
                match left {
                    0 => drop(self.counts.remove(tenant)),
                    left => drop(self.counts.insert(tenant.into(), left)),
                }
            }
            _ => {}
        }
    }

    fn first(&self, id: &str) -> Option<&Entry> {
        let place = self.places.find(self.hasher.hash_one(id), |place| self.first[*place as usize].id() == id)?;
        self.first.get(*place as usize)
    }

    /// Says who has the entry's id first from now on, and who had it so far.
    fn set_first(&mut self, entry: Entry) -> Option<Entry> {
        let Self { places, first, hasher, .. } = self;
        let hash = hasher.hash_one(entry.id());
        if let Some(place) = places.find(hash, |place| first[*place as usize].id() == entry.id()) {
            return Some(std::mem::replace(&mut first[*place as usize], entry));
        }
        let place = u32::try_from(first.insert(entry)).expect("fewer devices than fit into memory");
        places.insert_unique(hash, place, |place| hasher.hash_one(first[*place as usize].id()));
        None
    }

    fn take_first(&mut self, id: &str) -> Option<Entry> {
        let Self { places, first, hasher, .. } = self;
        let found = places.find_entry(hasher.hash_one(id), |place| first[*place as usize].id() == id);
        found.ok().map(|found| first.remove(found.remove().0 as usize))
    }

    fn placed(&mut self, id: &str, entry: Entry) -> bool {
        let tenant = &entry.binding.tenant;
        match self.first(id) {
            None => {
                self.set_first(entry);
                true
            }
            Some(first) if first.binding.tenant == *tenant => {
                self.set_first(entry);
                false
            }
            Some(_) => {
                let further = self.further.entry(id.into()).or_default();
                match further.iter_mut().find(|other| other.binding.tenant == *tenant) {
                    Some(other) => *other = entry,
                    None => {
                        further.push(entry);
                        return true;
                    }
                }
                false
            }
        }
    }

    /// The same, for what a person says: it is asked first from now on, where whoever had the id so far is a stranger that
    /// registered itself; with `above`, in any case.
    pub(super) fn claim(&mut self, id: &CompactString, entry: Entry, above: bool) {
        let first = self.first(id).filter(|first| first.binding.tenant != entry.binding.tenant);
        let Some(first) = first else {
            self.put(id, entry);
            return;
        };
        // The strangers of that tenant are whose they turn out to be.
        let is_stranger = first.state == State::New && first.binding.tenant == DEFAULT_TENANT;
        if !is_stranger && !above {
            self.put(id, entry);
            return;
        }
        self.remove(&entry.binding.tenant.clone(), id);
        self.counted(&entry.binding.tenant, false, *id == entry.binding.device);
        let before = self.set_first(entry.under(id));
        if let Some(stranger) = before.as_ref().filter(|_| is_stranger) {
            self.counted(&stranger.binding.tenant.clone(), *id == stranger.binding.device, false);
        }
        let before = before.filter(|_| !is_stranger);
        before.into_iter().for_each(|before| self.further.entry(id.clone()).or_default().insert(0, before));
    }

    /// Takes a device of a tenant away from one of its ids.
    pub(super) fn remove(&mut self, tenant: &str, id: &str) -> Option<Entry> {
        let removed = self.taken(tenant, id)?;
        self.counted(tenant, removed.binding.device == id, false);
        Some(removed)
    }

    fn taken(&mut self, tenant: &str, id: &str) -> Option<Entry> {
        let is_first = self.first(id)?.binding.tenant == tenant;
        let further = self.further.get_mut(id);
        if is_first {
            // Whoever came next has it now.
            let next = further.filter(|further| !further.is_empty()).map(|further| further.remove(0));
            let removed = match next {
                Some(next) => self.set_first(next),
                None => self.take_first(id),
            };
            self.tidy(id);
            return removed;
        }
        let further = further?;
        let at = further.iter().position(|entry| entry.binding.tenant == tenant)?;
        let removed = further.remove(at);
        self.tidy(id);
        Some(removed)
    }

    fn tidy(&mut self, id: &str) {
        if self.further.get(id).is_some_and(Vec::is_empty) {
            self.further.remove(id);
        }
    }

    /// Each device once, in no order.
    pub(super) fn each(&self) -> impl Iterator<Item = &Entry> {
        let first = self.first.iter().map(|(_, entry)| entry);
        first.chain(self.further.values().flatten()).filter(|entry| entry.id() == entry.binding.device)
    }
}

impl Entry {
    /// What is known, as it is used.
    pub(super) fn of(known: &Known, settings: Settings) -> Self {
        let protocol = find(&known.protocol);
        let more = More {
            alias: None,
            ids: if known.ids.len() > 1 { known.ids.as_slice().into() } else { Arc::default() },
            protocol: if protocol.is_none() { known.protocol.clone() } else { CompactString::default() },
        };
        let more = (!more.ids.is_empty() || !more.protocol.is_empty()).then(|| Box::new(more));
        Self { binding: known.binding(settings), state: known.state, protocol, more }
    }

    /// The same, to be found by `id`.
    fn under(mut self, id: &str) -> Self {
        if id != self.id() {
            let alias = (id != self.binding.device).then(|| id.into());
            self.more.get_or_insert_default().alias = alias;
        }
        self
    }

    /// What it is found by.
    fn id(&self) -> &str {
        self.more.as_ref().and_then(|more| more.alias.as_deref()).unwrap_or(&self.binding.device)
    }

    /// What it speaks; empty, where nobody has said so.
    pub(super) fn protocol(&self) -> &str {
        match (self.protocol, &self.more) {
            (Some(protocol), _) => protocol.name,
            (None, Some(more)) => &more.protocol,
            (None, None) => "",
        }
    }

    /// All ids of a device that has several.
    pub(super) fn ids(&self) -> &[CompactString] {
        self.more.as_ref().map_or(&[], |more| &more.ids)
    }

    pub(super) fn known(&self) -> Known {
        Known {
            device: self.binding.device.clone(),
            tenant: self.binding.tenant.clone(),
            state: self.state,
            protocol: self.protocol().into(),
            ids: self.ids().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tenant: &str, state: State) -> Entry {
        let known =
            Known { device: "1".into(), tenant: tenant.into(), state, protocol: "gt06".into(), ids: Vec::new() };
        Entry::of(&known, Settings::default())
    }

    fn found(table: &Table, tenant: Option<&str>) -> Option<(String, State)> {
        table.find(tenant, "1").map(|entry| (entry.binding.tenant.to_string(), entry.state))
    }

    #[test]
    fn an_id_may_be_that_of_a_device_in_each_tenant() {
        let mut table = Table::default();
        assert!(table.put("1", entry("a", State::New)));
        assert!(table.put("1", entry("b", State::New)));
        assert!(table.put("1", entry("c", State::New)));
        assert!(!table.put("1", entry("b", State::Rejected)));
        assert_eq!(found(&table, None), Some(("a".to_owned(), State::New)), "whoever was first");
        assert_eq!(found(&table, Some("b")), Some(("b".to_owned(), State::Rejected)));
        assert_eq!(found(&table, Some("d")), None);
        assert_eq!(table.each().count(), 3);
        table.remove("a", "1");
        assert_eq!(found(&table, None), Some(("b".to_owned(), State::Rejected)));
        assert_eq!(found(&table, Some("a")), None);
        table.remove("c", "1");
        table.remove("c", "1");
        table.remove("b", "1");
        assert_eq!((table.each().count(), table.first.len(), table.places.len(), table.further.len()), (0, 0, 0, 0));
    }

    #[test]
    fn a_tenants_devices_are_counted_once_under_all_their_names() {
        let mut table = Table::default();
        let known = |ids: &[&str], tenant: &str, state| Known {
            device: ids[0].into(),
            tenant: tenant.into(),
            state,
            protocol: "gt06".into(),
            ids: ids.iter().map(|id| CompactString::from(*id)).collect(),
        };
        let entry = |ids: &[&str], tenant: &str| Entry::of(&known(ids, tenant, State::New), Settings::default());
        let counts = |table: &Table| ["default", "a", "b"].map(|tenant| table.count(tenant));
        table.put("1", entry(&["1", "2"], "a"));
        table.put("2", entry(&["1", "2"], "a"));
        table.put("1", entry(&["1"], "b"));
        table.put("1", entry(&["1"], "b"));
        table.put("3", entry(&["3"], "default"));
        assert_eq!(counts(&table), [1, 1, 1]);
        // An id that was a name of another device becomes one of its own, and a stranger turns out to be whose.
        table.put("2", entry(&["2"], "a"));
        table.claim(&"3".into(), entry(&["3"], "a"), false);
        assert_eq!(counts(&table), [0, 3, 1]);
        table.remove("a", "1");
        table.remove("a", "1");
        table.remove("a", "3");
        table.remove("b", "1");
        table.remove("a", "2");
        assert_eq!((counts(&table), table.counts.len()), ([0, 0, 0], 0));
    }

    #[test]
    fn what_is_known_is_what_was_said() {
        let known = |ids: &[&str], protocol: &str| Known {
            device: "1".into(),
            tenant: "a".into(),
            state: State::Accepted,
            protocol: protocol.into(),
            ids: ids.iter().map(|id| CompactString::from(*id)).collect(),
        };
        for (ids, protocol) in [(&[][..], ""), (&[], "gt06"), (&[], "of-a-later-version"), (&["1", "2"], "gt06")] {
            let known = known(ids, protocol);
            assert_eq!(Entry::of(&known, Settings::default()).known(), known);
            let entry = Entry::of(&known, Settings::default()).under("2");
            assert_eq!((entry.id(), entry.known()), ("2", known), "under another of its ids");
        }
        assert_eq!(size_of::<Entry>(), 32, "there is one for each device that was ever there");
    }

    #[test]
    fn a_claim_takes_a_stranger_and_nobody_elses_device() {
        let mut table = Table::default();
        table.put("1", entry("default", State::New));
        table.claim(&"1".into(), entry("a", State::Accepted), false);
        assert_eq!(found(&table, None), Some(("a".to_owned(), State::Accepted)));
        assert_eq!(table.each().count(), 1, "the stranger is known as who it is");
        table.claim(&"1".into(), entry("b", State::Accepted), false);
        assert_eq!(found(&table, None), Some(("a".to_owned(), State::Accepted)), "it is a's");
        table.claim(&"1".into(), entry("b", State::Configured), true);
        assert_eq!(found(&table, None), Some(("b".to_owned(), State::Configured)));
        assert_eq!(found(&table, Some("a")), Some(("a".to_owned(), State::Accepted)));
        assert_eq!(table.each().count(), 2);
    }
}
