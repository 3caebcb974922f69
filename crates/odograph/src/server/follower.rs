//! Between the catalog, where people say what holds for devices, and those who go by it: the roster, which admits devices from
//! memory, and the live state, which knows their groups. And back: devices that registered themselves come into the catalog,
//! beside the way of a reply.
//!
//! The roster has a file of its own, so that devices are served while a catalog on another machine cannot be reached.

use anyhow::Result;
use compact_str::CompactString;
use odograph_api::GroupNumbers;
use odograph_catalog::{Catalog, DeviceBinding, DeviceState, DeviceUpdate, Registered, Registration};
use odograph_env::{Clock as _, SystemClock};
use odograph_ingest::{Known, Roster, State};
use odograph_live::Live;
use odograph_protocols::Settings;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Interval;

/// Whoever goes by the catalog.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) roster: Arc<Roster>,
    pub(crate) live: Live,
    pub(crate) groups: GroupNumbers,
}

impl Follower {
    /// Takes in all that the catalog says, and goes on with what changes, until the runtime ends.
    pub(crate) async fn follow(self, catalog: Catalog) {
        loop {
            if let Err(error) = self.run(&catalog, TURN).await {
                tracing::error!(
                    "the catalog cannot be followed, and is read again in {} s: {error:#}",
                    AGAIN.as_secs()
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn run(&self, catalog: &Catalog, turn: Duration) -> Result<()> {
        let of_config = |one: &Known| one.state == State::Configured;
        let announced = self.roster.list().into_iter().filter(of_config).map(registered).collect::<Vec<_>>();
        tell_refused(catalog.configure(&announced).await?);
        // Before anything is read: what changes meanwhile is told afterwards.
        let mut changes = catalog.changes().await?;
        register(catalog, self.missing(catalog).await?).await?;
        let mut turn = tokio::time::interval(turn);
        loop {
            // Not given up for a turn: with many devices it takes longer than until the next one, and would never come to its end.
            let mut told = std::pin::pin!(changes.next(|update| self.hear(&update)));
            loop {
                tokio::select! {
                    done = &mut told => break done?,
                    _ = turn.tick() => self.list_new(catalog, &mut turn).await?,
                }
            }
        }
    }

    /// Lists those in the catalog that registered themselves, so many at once.
    async fn list_new(&self, catalog: &Catalog, turn: &mut Interval) -> Result<()> {
        let came = self.roster.take_unlisted(REGISTERED_AT_ONCE);
        if came.len() == REGISTERED_AT_ONCE {
            // There may be more, after what people say meanwhile.
            turn.reset_immediately();
        }
        if let Err(error) = register(catalog, came.clone()).await {
            self.roster.put_back_unlisted(&came);
            return Err(error);
        }
        Ok(())
    }

    /// Takes in all devices of the catalog; gives those that it lacks.
    async fn missing(&self, catalog: &Catalog) -> Result<Vec<Known>> {
        let mut there = HashSet::new();
        catalog
            .bindings(|binding| {
                there.insert((binding.tenant.clone(), binding.id.clone()));
                self.is(&binding);
            })
            .await?;
        let all = self.roster.list().into_iter();
        Ok(all.filter(|one| !there.contains(&(one.tenant.to_string(), one.device.to_string()))).collect())
    }

    fn hear(&self, update: &DeviceUpdate) {
        match update {
            DeviceUpdate::Is(binding) => self.is(binding),
            DeviceUpdate::Removed { tenant, ids } => {
                let Some(id) = ids.first() else { return };
                self.roster.withdraw(tenant, id);
                self.live.forget(tenant, id);
            }
            DeviceUpdate::TenantRemoved { tenant } => {
                self.roster.withdraw_tenant(tenant);
                self.live.forget_tenant(tenant);
            }
        }
    }

    fn is(&self, binding: &DeviceBinding) {
        let group = self.groups.number(&binding.tenant, binding.group.as_deref());
        self.live.describe(&binding.tenant, &binding.id, group);
        let Some(known) = known(binding) else { return };
        let settings = binding.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.roster.assign(&known, Settings::recorded(settings));
    }
}

/// What the catalog says of a device, as the roster has it. `None` for one of the configuration: ours is in the roster already, and
/// what another server's configuration says holds there.
pub(crate) fn known(binding: &DeviceBinding) -> Option<Known> {
    let state = match binding.state {
        DeviceState::Configured => return None,
        DeviceState::New => State::New,
        DeviceState::Accepted => State::Accepted,
        DeviceState::Quarantined => State::Quarantined,
        DeviceState::Rejected => State::Rejected,
    };
    Some(Known {
        device: binding.id.as_str().into(),
        tenant: binding.tenant.as_str().into(),
        state,
        protocol: binding.protocol.as_str().into(),
        ids: binding.ids.iter().map(|id| CompactString::from(id.as_str())).collect(),
    })
}

/// What a device's state is in the catalog.
pub(crate) const fn state_of(state: State) -> DeviceState {
    match state {
        State::New => DeviceState::New,
        State::Configured => DeviceState::Configured,
        State::Accepted => DeviceState::Accepted,
        State::Quarantined => DeviceState::Quarantined,
        State::Rejected | State::Deleted => DeviceState::Rejected,
    }
}

async fn register(catalog: &Catalog, devices: Vec<Known>) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let devices: Vec<_> = devices.into_iter().map(registered).collect();
    tell_refused(catalog.register(&devices).await?);
    Ok(())
}

fn registered(one: Known) -> Registered {
    let aliases = one.ids.iter().filter(|id| **id != one.device).map(ToString::to_string).collect();
    Registered {
        tenant: one.tenant.into(),
        id: one.device.into(),
        aliases,
        protocol: one.protocol.into(),
        state: state_of(one.state),
        at: SystemClock::new().now(),
    }
}

fn tell_refused(done: Registration) {
    for (tenant, device) in done.refused {
        tracing::warn!(%tenant, %device, "a device calls itself what is no id: it is served, and cannot be managed");
    }
}

/// How long a device that registered itself may be unknown to people.
const TURN: Duration = Duration::from_millis(500);

/// So many of them come into the catalog in one transaction: enough that its flush costs little, and little memory in a burst.
const REGISTERED_AT_ONCE: usize = 1000;

/// Until a catalog is read again that could not be.
const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_catalog::{Access, DeviceFields, DeviceRow, ImportMode};
    use odograph_env::{LocalDisk, SystemRng};

    const DEVICES: usize = 5_000;

    #[tokio::test]
    async fn what_a_list_brings_is_told_while_turns_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let (roster, _) = Roster::open(Arc::new(LocalDisk), folder.path(), 10 * DEVICES).expect("a roster");
        let live = Live::new(1, odograph_live::Options::default());
        let follower = Follower { roster: Arc::new(roster), live, groups: GroupNumbers::default() };
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let catalog = Catalog::open(&url, Arc::new(SystemClock::new()), Arc::new(SystemRng)).await.expect("a catalog");
        catalog.ensure_tenant("default").await.expect("a catalog");
        let import = async |numbers: std::ops::Range<usize>| {
            let rows: Vec<_> = numbers
                .map(|number| DeviceRow { ids: vec![number.to_string()], fields: DeviceFields::default() })
                .collect();
            let access = Access::owner("default");
            let done = catalog.within(&access).import_devices(&rows, &[], ImportMode::default()).await;
            assert!(done.expect("a catalog").written);
        };
        let is_known = async |number: usize| {
            while follower.roster.get(Some("default"), &number.to_string()).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let told = async {
            // The first is known once it is followed.
            import(0..1).await;
            is_known(0).await;
            // In one piece, so that they are told in one, too.
            import(1..DEVICES).await;
            is_known(DEVICES - 1).await;
        };
        // Less than it takes to read them all.
        let turn = Duration::from_millis(1);
        let told = tokio::time::timeout(Duration::from_secs(120), told);
        tokio::select! {
            ended = follower.run(&catalog, turn) => panic!("it ended: {ended:?}"),
            told = told => told.expect("it comes to its end"),
        }
    }
}
