//! Between the catalog, where people say what holds for devices, and those who go by it: the roster, which admits devices from
//! memory, and the live state, which knows their groups. And back: devices that registered themselves come into the catalog,
//! beside the way of a reply.
//!
//! The roster has a file of its own, so that devices are served while a catalog on another machine cannot be reached.

use anyhow::Result;
use compact_str::CompactString;
use odograph_api::GroupNumbers;
use odograph_catalog::{
    Access, Catalog, Changes, DEFAULT_TENANT, DeviceBinding, DeviceState, DeviceUpdate, Error, Registered, Registration,
};
use odograph_env::{Clock as _, SystemClock};
use odograph_ingest::{Known, Roster, State};
use odograph_live::Live;
use odograph_protocols::Settings;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Interval;

/// Whoever goes by the catalog.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) roster: Arc<Roster>,
    pub(crate) live: Live,
    pub(crate) groups: GroupNumbers,
    /// The tenants that the configuration names.
    pub(crate) named: Arc<HashSet<String>>,
}

/// Where it is told what has changed about devices.
trait Source {
    /// Waits until something has changed, and lets the follower hear all of it.
    async fn tell_next(&mut self, follower: &Follower) -> Result<()>;
}

impl Source for Changes {
    async fn tell_next(&mut self, follower: &Follower) -> Result<()> {
        Ok(self.next(|update| follower.hear(&update)).await?)
    }
}

impl Follower {
    /// Takes in all that the catalog says, and goes on with what changes, until the runtime ends.
    pub(crate) async fn follow(self, catalog: Catalog) {
        loop {
            if let Err(error) = self.run(&catalog).await {
                tracing::error!(
                    "the catalog cannot be followed, and is read again in {} s: {error:#}",
                    AGAIN.as_secs()
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn run(&self, catalog: &Catalog) -> Result<()> {
        let of_config = |one: &Known| one.state == State::Configured;
        let announced = self.roster.list().into_iter().filter(of_config).map(registered).collect::<Vec<_>>();
        tell_refused(catalog.configure(&announced).await?);
        // Before anything is read: what changes meanwhile is told afterwards.
        let mut changes = catalog.changes().await?;
        self.register(catalog, self.missing(catalog).await?).await?;
        self.go_on(catalog, &mut changes, TURN).await
    }

    /// Hears what changes, and each turn lists those who registered meanwhile.
    async fn go_on(&self, catalog: &Catalog, changes: &mut impl Source, turn: Duration) -> Result<()> {
        let mut turn = tokio::time::interval(turn);
        let mut fillings = 0;
        loop {
            // Not given up for a turn: with many devices it takes longer than until the next one, and would never come to its end.
            let mut told = std::pin::pin!(changes.tell_next(self));
            loop {
                tokio::select! {
                    done = &mut told => break done?,
                    _ = turn.tick() => {
                        self.forget_deleted(catalog, &mut fillings).await?;
                        self.list_new(catalog, &mut turn).await?;
                    }
                }
            }
        }
    }

    /// Forgets again what was deleted, once live state was filled anew: what is kept of devices has those, too. Whoever only is not in the
    /// catalog yet stays: one that came just now, or at another server.
    async fn forget_deleted(&self, catalog: &Catalog, fillings: &mut u64) -> Result<()> {
        let now = self.live.fillings();
        if now == *fillings {
            return Ok(());
        }
        let forget = |tenant: String, id: String| {
            let is_back = self.roster.get(Some(&tenant), &id).is_some_and(|known| known.device == id);
            if !is_back {
                self.live.forget(&tenant, &id);
            }
        };
        catalog.removed(forget).await?;
        let there: HashSet<String> = catalog.limits().await?.into_iter().map(|limits| limits.tenant).collect();
        let gone = |tenant: &CompactString| !there.contains(tenant.as_str()) && self.roster.devices_of(tenant) == 0;
        for tenant in self.live.tenants().into_iter().filter(gone) {
            self.live.forget_tenant(&tenant);
        }
        *fillings = now;
        Ok(())
    }

    /// Lists those in the catalog that registered themselves, so many at once.
    async fn list_new(&self, catalog: &Catalog, turn: &mut Interval) -> Result<()> {
        let came = self.roster.take_unlisted(REGISTERED_AT_ONCE);
        if came.len() == REGISTERED_AT_ONCE {
            // There may be more, after what people say meanwhile.
            turn.reset_immediately();
        }
        if let Err(error) = self.register(catalog, came.clone()).await {
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
        let missing = all.filter(|one| !there.contains(&(one.tenant.to_string(), one.device.to_string()))).collect();
        self.without_deleted(catalog, missing).await
    }

    /// Withdraws those of them that were deleted, and gives the others: a deletion while nobody followed, or whose withdrawal was not
    /// saved, is told by nobody. Whoever came anew since and is not listed yet stays; any other comes anew at its next call.
    async fn without_deleted(&self, catalog: &Catalog, missing: Vec<Known>) -> Result<Vec<Known>> {
        let mut deleted = HashSet::new();
        let note = |tenant: String, id: String| {
            if self.roster.get(Some(&tenant), &id).is_some_and(|known| known.device == id) {
                deleted.insert((tenant, id));
            }
        };
        catalog.removed(note).await?;
        for (tenant, id) in self.roster.unlisted() {
            deleted.remove(&(tenant.to_string(), id.to_string()));
        }
        let is_deleted = |one: &Known| {
            one.state != State::Configured && deleted.contains(&(one.tenant.to_string(), one.device.to_string()))
        };
        let (gone, new): (Vec<Known>, Vec<Known>) = missing.into_iter().partition(is_deleted);
        for one in gone {
            self.hear(&DeviceUpdate::Removed { tenant: one.tenant.into(), ids: vec![one.device.into()] });
        }
        Ok(new)
    }

    /// Lists devices in the catalog, unless their tenant is no more.
    async fn register(&self, catalog: &Catalog, mut devices: Vec<Known>) -> Result<()> {
        let gone = self.gone_tenants(catalog, &devices).await?;
        devices.retain(|one| !gone.contains(&one.tenant));
        if devices.is_empty() {
            return Ok(());
        }
        let devices: Vec<_> = devices.into_iter().map(registered).collect();
        tell_refused(catalog.register(&devices).await?);
        Ok(())
    }

    /// The tenants of these devices that are not there and that the configuration does not name: somebody deleted them, and a device
    /// does not make them again. It stays in the roster, and nothing is lost: what it sends is in the journal and in the tenant's
    /// history, which whoever makes the tenant again may adopt. The next start lists it then.
    async fn gone_tenants(&self, catalog: &Catalog, devices: &[Known]) -> Result<HashSet<CompactString>> {
        let mut counts: BTreeMap<&CompactString, usize> = BTreeMap::new();
        for one in devices.iter().filter(|one| !self.named.contains(one.tenant.as_str())) {
            *counts.entry(&one.tenant).or_default() += 1;
        }
        let owner = Access::owner(DEFAULT_TENANT);
        let mut gone = HashSet::new();
        for (tenant, devices) in counts {
            match catalog.enter(&owner, tenant).await {
                Err(Error::NotFound { .. }) => {
                    tracing::warn!(
                        %tenant,
                        devices,
                        "devices are known here of a tenant that is no more: they are not listed. To have them, make the tenant again, and \
                         start the server anew"
                    );
                    gone.insert(tenant.clone());
                }
                entered => drop(entered?),
            }
        }
        Ok(gone)
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
    use odograph_catalog::DeviceFields;
    use odograph_env::{LocalDisk, SystemRng};
    use odograph_live::{Filter, Update};
    use odograph_model::{Record, RecordId, Time};

    const TELLINGS: usize = 3;
    const NOTHING_MORE: &str = "there is nothing more to tell";

    /// Takes over a turn for all that it tells: during each telling a device registers itself, and only a turn brings that into the
    /// catalog.
    struct Slow<'c> {
        catalog: &'c Catalog,
        begun: usize,
        done: usize,
    }

    impl Source for Slow<'_> {
        async fn tell_next(&mut self, follower: &Follower) -> Result<()> {
            anyhow::ensure!(self.begun < TELLINGS, NOTHING_MORE);
            let id = self.begun.to_string();
            self.begun += 1;
            let (device, tenant) = (id.as_str().into(), "default".into());
            let new = Known { device, tenant, state: State::New, protocol: "wialon".into(), ids: Vec::new() };
            follower.roster.put_back_unlisted(&[new]);
            let mut is_listed = false;
            while !is_listed {
                self.catalog.bindings(|binding| is_listed |= binding.id == id).await?;
            }
            self.done += 1;
            Ok(())
        }
    }

    /// A follower of a catalog in a folder, and that.
    async fn follower(folder: &std::path::Path) -> (Follower, Catalog) {
        let (roster, _) = Roster::open(Arc::new(LocalDisk), folder, TELLINGS).expect("a roster");
        let live = Live::new(1, odograph_live::Options::default());
        let (groups, named) = (GroupNumbers::default(), Arc::default());
        let follower = Follower { roster: Arc::new(roster), live, groups, named };
        let url = format!("sqlite:{}", folder.join("catalog.sqlite").display());
        let catalog = Catalog::open(&url, Arc::new(SystemClock::new()), Arc::new(SystemRng)).await.expect("a catalog");
        (follower, catalog)
    }

    #[tokio::test]
    async fn what_is_kept_of_deleted_devices_is_forgotten_and_of_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (follower, catalog) = follower(folder.path()).await;
        catalog.ensure_tenant("default").await.expect("a tenant");
        let access = Access::owner("default");
        let within = catalog.within(&access);
        for id in ["there", "deleted", "again", "back"] {
            within.create_device(vec![id.to_owned()], DeviceFields::default()).await.expect("a device");
        }
        for id in ["deleted", "again", "back"] {
            within.delete_device(id).await.expect("it is there");
        }
        within.create_device(vec!["again".to_owned()], DeviceFields::default()).await.expect("a device");
        // It calls again, and is not in the catalog yet.
        let (device, tenant) = ("back".into(), "default".into());
        let back = Known { device, tenant, state: State::New, protocol: "wialon".into(), ids: Vec::new() };
        follower.roster.assign(&back, Settings::default());
        let all = ["again", "back", "deleted", "of another server", "there"];
        let (record, received) = (Record::at(Time(1)), Time(1));
        let take_in = |tenant: &str, devices: &[&str]| {
            for (device, id) in devices.iter().zip(0..) {
                let (id, record) = (RecordId(id), &record);
                follower.live.update(&Update { tenant, device, record, received, id, protocol: "wialon" });
            }
        };
        let known = |tenant: &str| {
            let states = follower.live.devices(&Filter::all(tenant), &all, received);
            states.into_iter().map(|state| state.device.to_string()).collect::<Vec<_>>()
        };
        take_in("default", &all);
        take_in("gone", &["there"]);
        let mut fillings = 0;
        follower.forget_deleted(&catalog, &mut fillings).await.expect("a catalog");
        assert_eq!((known("default").len(), known("gone").len()), (all.len(), 1), "more may come");
        for _ in 0..2 {
            // At the start, and where history begins again.
            follower.live.complete();
            follower.forget_deleted(&catalog, &mut fillings).await.expect("a catalog");
            assert_eq!(known("default"), ["again", "back", "of another server", "there"]);
            assert_eq!(known("gone"), [""; 0]);
            take_in("default", &all);
        }
        follower.forget_deleted(&catalog, &mut fillings).await.expect("a catalog");
        assert_eq!(known("default"), all, "it is looked at once each time");
    }

    #[tokio::test]
    async fn what_was_deleted_while_nobody_followed_does_not_come_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (follower, catalog) = follower(folder.path()).await;
        catalog.ensure_tenant("default").await.expect("a tenant");
        let access = Access::owner("default");
        let within = catalog.within(&access);
        for id in ["deleted", "again"] {
            within.create_device(vec![id.to_owned()], DeviceFields::default()).await.expect("a device");
            within.delete_device(id).await.expect("it is there");
        }
        let known = |tenant: &str, id: &str| {
            let (device, tenant) = (id.into(), tenant.into());
            Known { device, tenant, state: State::New, protocol: "wialon".into(), ids: Vec::new() }
        };
        for (tenant, id) in [("default", "deleted"), ("default", "again"), ("default", "new"), ("gone", "1")] {
            follower.roster.assign(&known(tenant, id), Settings::default());
        }
        follower.roster.put_back_unlisted(&[known("default", "again")]);
        let missing = follower.missing(&catalog).await.expect("a catalog");
        follower.register(&catalog, missing).await.expect("a catalog");
        let mut listed = Vec::new();
        catalog.bindings(|binding| listed.push((binding.tenant, binding.id))).await.expect("a catalog");
        let expected =
            [("default", "again"), ("default", "new")].map(|(tenant, id)| (tenant.to_owned(), id.to_owned()));
        assert_eq!(listed, expected);
        assert_eq!(follower.roster.get(Some("default"), "deleted"), None, "it is a stranger again");
        assert!(follower.roster.get(Some("gone"), "1").is_some(), "it is kept until somebody makes the tenant again");

        // What the configuration names is made.
        let named = Follower { named: Arc::new(HashSet::from(["gone".to_owned()])), ..follower };
        named.register(&catalog, vec![known("gone", "1")]).await.expect("a catalog");
        let tenants = catalog.limits().await.expect("a catalog");
        assert!(tenants.iter().any(|one| one.tenant == "gone" && one.devices == 1));
    }

    #[tokio::test]
    async fn what_is_told_for_longer_than_a_turn_is_heard_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (follower, catalog) = follower(folder.path()).await;
        let mut slow = Slow { catalog: &catalog, begun: 0, done: 0 };
        let ended = follower.go_on(&catalog, &mut slow, Duration::from_millis(1)).await;
        assert_eq!(ended.map_err(|error| error.to_string()), Err(NOTHING_MORE.to_owned()));
        assert_eq!((slow.begun, slow.done), (TELLINGS, TELLINGS), "none was given up for a turn");
    }
}
