//! Devices that are kept out for a while, because what they sent is being erased: nothing of theirs is taken in, so that they keep
//! what they have and send it when that is over.

use super::DEFAULT_TENANT;
use compact_str::CompactString;
use hashbrown::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Those of all erasures that are under way: one or two.
#[derive(Default)]
pub(super) struct Barred {
    all: RwLock<Vec<One>>,
    /// Nearly always nobody is, and this is all that is asked.
    any: AtomicBool,
}

#[derive(Debug, PartialEq, Eq)]
struct One {
    tenant: CompactString,
    /// `None`: all of the tenant's.
    device: Option<CompactString>,
    /// What those call themselves of whom nothing may be known any more.
    ids: HashSet<CompactString>,
}

impl Barred {
    /// Bars; again is the same.
    pub(super) fn add(&self, tenant: &str, device: Option<&str>, ids: impl IntoIterator<Item = CompactString>) {
        let one = One {
            tenant: tenant.into(),
            device: device.map(CompactString::from),
            ids: ids.into_iter().chain(device.map(CompactString::from)).collect(),
        };
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !other.is(tenant, device));
        all.push(one);
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn remove(&self, tenant: &str, device: Option<&str>) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !other.is(tenant, device));
        self.any.store(!all.is_empty(), Ordering::Release);
    }

    /// Whether a device is barred that is known.
    pub(super) fn has(&self, tenant: &str, device: &str) -> bool {
        self.any(|one| one.tenant == tenant && one.device.as_ref().is_none_or(|own| own == device))
    }

    /// Whether one that was refused may be of those whose data goes: of their tenant, or of none, where a device's tenant is found by its id
    /// and is forgotten by now. What another tenant's listener refuses is another tenant's.
    pub(super) fn has_refused(&self, tenant: &str, device: &str) -> bool {
        self.any(|one| {
            (one.tenant == tenant && one.device.is_none())
                || ((one.tenant == tenant || tenant == DEFAULT_TENANT) && one.ids.contains(device))
        })
    }

    /// Whether a stranger is barred who calls himself `ids` and would become a device of `tenant`.
    pub(super) fn has_stranger(&self, tenant: &str, ids: &[CompactString]) -> bool {
        self.any(|one| (one.device.is_none() && one.tenant == tenant) || ids.iter().any(|id| one.ids.contains(id)))
    }

    /// Whether somebody is barred who calls himself one of `ids`, whosever device he is.
    pub(super) fn has_id(&self, ids: &[CompactString]) -> bool {
        self.any(|one| ids.iter().any(|id| one.ids.contains(id)))
    }

    fn any(&self, is: impl Fn(&One) -> bool) -> bool {
        self.any.load(Ordering::Acquire) && self.all.read().unwrap_or_else(PoisonError::into_inner).iter().any(is)
    }
}

impl One {
    fn is(&self, tenant: &str, device: Option<&str>) -> bool {
        self.tenant == tenant && self.device.as_deref() == device
    }
}

/// For the log.
pub(super) const REASON: &str = "what it sent before is being erased: it may come when that is done";
