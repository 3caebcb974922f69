//! What tenants may have, as far as that decides about admission: told by whoever keeps the accounts, asked on the way of
//! a reply.

use compact_str::CompactString;
use hashbrown::HashMap;
use metrics::counter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// So many devices.
    pub devices_max: Option<usize>,
    /// Nothing more for now.
    pub paused: Option<Paused>,
}

/// Why a tenant's devices are all refused for now. They keep what they have, and send it when that is over: nothing is
/// acknowledged and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// It had its messages of the day.
    Messages,
    /// Its history takes all the space that it may.
    Storage,
}

impl Paused {
    /// The quota's name.
    pub const fn quota(self) -> &'static str {
        match self {
            Self::Messages => "messages_per_day_max",
            Self::Storage => "storage_bytes_max",
        }
    }
}

/// Those of all tenants that have one.
#[derive(Default)]
pub(super) struct Quotas {
    rules: RwLock<HashMap<CompactString, Quota>>,
    /// Nearly always nobody is, and this is all that is asked.
    any_paused: AtomicBool,
}

impl Quotas {
    pub(super) fn set(&self, rules: HashMap<CompactString, Quota>) {
        let any = rules.values().any(|quota| quota.paused.is_some());
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.any_paused.store(any, Ordering::Release);
    }

    /// Why a tenant's devices are refused for now, if they are.
    pub(super) fn paused(&self, tenant: &str) -> Option<Paused> {
        if !self.any_paused.load(Ordering::Acquire) {
            return None;
        }
        self.of(tenant).paused
    }

    /// Whether a tenant that has so many devices may have one more.
    pub(super) fn has_room(&self, tenant: &str, devices: usize) -> bool {
        self.of(tenant).devices_max.is_none_or(|max| devices < max)
    }

    pub(super) fn of(&self, tenant: &str) -> Quota {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).get(tenant).copied().unwrap_or_default()
    }
}

/// Somebody was refused for a quota.
pub(super) fn count(quota: &'static str) {
    counter!("odograph_quota_refusals_total", "quota" => quota).increment(1);
}

/// The name of the quota of devices.
pub(super) const DEVICES: &str = "devices_max";
