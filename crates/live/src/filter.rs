//! What somebody wants to see, and may.

use crate::{Area, State, bits::KeySet};
use compact_str::CompactString;
use odograph_model::Key;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A group of devices, by the number that whoever knows the groups has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupId(pub u32);

impl GroupId {
    /// Of devices that nobody has said a group of.
    pub const NONE: Self = Self(0);
}

/// Some groups, or all devices whatever their group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Groups {
    /// All devices, also those without a group.
    #[default]
    All,
    /// Devices of these groups alone.
    Only(BTreeSet<GroupId>),
}

impl Groups {
    /// These groups alone.
    pub fn only(groups: impl IntoIterator<Item = GroupId>) -> Self {
        Self::Only(groups.into_iter().collect())
    }

    /// Whether a device of that group is meant.
    pub fn has(&self, group: GroupId) -> bool {
        match self {
            Self::All => true,
            Self::Only(groups) => groups.contains(&group),
        }
    }
}

/// Which devices somebody wants to see, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Whose devices. Nothing of another tenant is ever seen through it.
    pub tenant: CompactString,
    /// Of these groups alone whoever asks may see devices. Nothing else is told of any other device, not even its id.
    pub permitted: Groups,
    /// Devices of these groups are wanted.
    pub groups: Groups,
    /// These devices are wanted; without it, all.
    pub devices: Option<BTreeSet<CompactString>>,
    /// Devices in this box are wanted; with it, those without a position are not.
    pub area: Option<Area>,
    /// These parameters are wanted; without it, all. A subscription hears of a device when one of them changes.
    pub parameters: Option<BTreeSet<Key>>,
    /// Whether a subscription also hears of a device when its place on the map, its state or the time of its latest record
    /// change, whatever the `parameters`.
    pub markers: bool,
    /// The map's zoom, where a map is looked at: what is crowded at it is told as clusters, and only the devices that stand
    /// alone one by one. Without it, every device is told.
    pub zoom: Option<u8>,
    /// Devices in these states are wanted, on a map and where they are counted; without it, in any. Whoever watches without a zoom is
    /// told of devices whatever their state: it changes as time goes by, of which only a map is told.
    pub states: Option<BTreeSet<State>>,
}

impl Filter {
    /// Everything of all devices of a tenant.
    pub fn all(tenant: impl Into<CompactString>) -> Self {
        Self {
            tenant: tenant.into(),
            permitted: Groups::All,
            groups: Groups::All,
            devices: None,
            area: None,
            parameters: None,
            markers: true,
            zoom: None,
            states: None,
        }
    }

    /// Whether devices in that state are wanted, on a map and where they are counted.
    pub(crate) fn has_state(&self, state: State) -> bool {
        self.states.as_ref().is_none_or(|states| states.contains(&state))
    }

    /// What it is known by in a mark.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.hash(&mut hash);
        hash.finish()
    }

    /// How many names and groups it has.
    pub(crate) fn size(&self) -> usize {
        let groups = [&self.permitted, &self.groups].map(|groups| match groups {
            Groups::All => 0,
            Groups::Only(groups) => groups.len(),
        });
        groups.iter().sum::<usize>() + self.devices.as_ref().map_or(0, BTreeSet::len)
    }

    /// The parameters whose change is heard of.
    pub(crate) fn heard(&self) -> KeySet {
        let Some(parameters) = &self.parameters else { return KeySet::all() };
        let mut heard: KeySet = parameters.iter().copied().collect();
        if self.markers {
            heard.add_all(&KeySet::markers());
        }
        heard
    }

    /// The parameters that are told.
    pub(crate) fn told(&self) -> KeySet {
        self.parameters.as_ref().map_or_else(KeySet::all, |parameters| parameters.iter().copied().collect())
    }
}
