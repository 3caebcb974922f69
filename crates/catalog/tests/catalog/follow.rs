//! What a running server knows of the devices, at its start and from then on.

use std::collections::BTreeMap;
use std::time::Duration;

use odograph_catalog::{
    Access, Catalog, Changes, DeviceBinding, DeviceFields, DeviceState, DeviceUpdate, NewTenant, Registered,
};

use crate::support::{NOON, with_catalog};

/// What a server would know.
#[derive(Debug, Default, PartialEq)]
struct Known(BTreeMap<(String, String), DeviceBinding>);

impl Known {
    async fn read(catalog: &Catalog) -> Self {
        let mut known = Self::default();
        catalog.bindings(|binding| known.take(DeviceUpdate::Is(binding))).await.unwrap();
        known
    }

    fn take(&mut self, update: DeviceUpdate) {
        match update {
            DeviceUpdate::Is(binding) => drop(self.0.insert((binding.tenant.clone(), binding.id.clone()), binding)),
            DeviceUpdate::Removed { tenant, ids } => drop(self.0.remove(&(tenant, ids[0].clone()))),
            DeviceUpdate::TenantRemoved { tenant } => self.0.retain(|(of, _), _| *of != tenant),
        }
    }

    /// Takes what has changed, which must lead to what is there.
    async fn follow(&mut self, changes: &mut Changes, catalog: &Catalog) -> usize {
        let mut count = 0;
        let told = changes.next(|update| {
            count += 1;
            self.take(update);
        });
        told.await.unwrap();
        assert_eq!(*self, Self::read(catalog).await);
        count
    }
}

fn registered(number: usize) -> Registered {
    Registered {
        tenant: "north".into(),
        id: format!("{number}"),
        aliases: vec![],
        protocol: "h02".into(),
        state: DeviceState::New,
        at: NOON,
    }
}

/// Changes by `writer` reach who follows `reader`.
async fn changes_arrive(reader: &Catalog, writer: &Catalog) {
    let (north, south) = (Access::owner("north"), Access::owner("south"));
    let (north, south) = (writer.within(&north), writer.within(&south));
    let mut changes = reader.changes().await.unwrap();
    let mut known = Known::read(reader).await;
    let before = known.0.len();
    let fields = || DeviceFields {
        protocol: Some("teltonika".into()),
        settings: Some([("zone".to_owned(), "UTC".to_owned())].into()),
        ..DeviceFields::default()
    };
    north.create_device(vec!["a".into(), "b".into()], fields()).await.unwrap();
    assert_eq!(known.follow(&mut changes, reader).await, 1);
    let a = &known.0[&("north".to_owned(), "a".to_owned())];
    assert_eq!((a.ids.len(), a.protocol.as_str(), a.settings["zone"].as_str()), (2, "teltonika", "UTC"));

    south.create_device(vec!["a".into()], DeviceFields::default()).await.unwrap();
    writer.register(&(0..2_500).map(registered).collect::<Vec<_>>()).await.unwrap();
    north.delete_device("b").await.unwrap();
    let mut updates = 0;
    while known.0.len() < before + 1 + 2_500 || known.0.contains_key(&("north".to_owned(), "a".to_owned())) {
        updates += known.follow(&mut changes, reader).await;
    }
    assert_eq!(updates, 2_502);

    // It is deleted and comes again before anybody looks.
    north.delete_device("7").await.unwrap();
    writer.register(&[registered(7)]).await.unwrap();
    let group = north.create_group("cold").await.unwrap().id;
    let to = DeviceFields { group: Some(Some(group)), state: Some(DeviceState::Rejected), ..DeviceFields::default() };
    north.update_device("7", to).await.unwrap();
    while known.0[&("north".to_owned(), "7".to_owned())].state != DeviceState::Rejected {
        known.follow(&mut changes, reader).await;
    }

    let default = Access::owner("default");
    writer.tenants(&default).erase("south").await.unwrap();
    writer.register(&[registered(9_999)]).await.unwrap();
    while known.0.contains_key(&("south".to_owned(), "a".to_owned())) {
        known.follow(&mut changes, reader).await;
    }
}

#[test]
fn changes_of_this_process_arrive() {
    with_catalog(async |_, catalog| changes_arrive(&catalog, &catalog).await);
}

#[test]
fn changes_of_another_process_arrive() {
    with_catalog(async |place, catalog| {
        // A file has one process: there is no other.
        if !place.is_sqlite() {
            changes_arrive(&catalog, &place.open().await).await;
        }
    });
}

#[test]
fn a_tenant_that_was_made_anew_has_nothing_of_the_one_before() {
    with_catalog(async |place, catalog| {
        let (default, north) = (Access::owner("default"), Access::owner("north"));
        let (tenants, within) = (catalog.tenants(&default), catalog.within(&north));
        let make = async |id: String| drop(within.create_device(vec![id], DeviceFields::default()).await.unwrap());
        make("old-0".to_owned()).await;
        make("old-1".to_owned()).await;
        let mut changes = catalog.changes().await.unwrap();
        let mut known = Known::read(&catalog).await;
        // All of it before anybody looks, with fewer changes than the one before had, with as many, and with more.
        for devices in [1, 1, 3] {
            place.clock.advance(Duration::from_millis(1));
            tenants.erase("north").await.unwrap();
            tenants.create(NewTenant { id: "north".into(), ..NewTenant::default() }).await.unwrap();
            for number in 0..devices {
                make(format!("new-{devices}-{number}")).await;
            }
            assert_eq!(known.follow(&mut changes, &catalog).await, 1 + devices);
        }
    });
}

#[test]
fn who_was_deleted_is_told_apart_from_who_is_not_there_yet() {
    with_catalog(async |_, catalog| {
        let (north, south) = (Access::owner("north"), Access::owner("south"));
        let registered: Vec<_> = (0..4).map(registered).collect();
        catalog.register(&registered).await.unwrap();
        for number in 0..3 {
            catalog.within(&north).delete_device(&number.to_string()).await.unwrap();
        }
        // Another tenant's of that id, and one that comes again.
        catalog.within(&south).create_device(vec!["1".into()], DeviceFields::default()).await.unwrap();
        catalog.register(&registered[..1]).await.unwrap();
        let mut removed = Vec::new();
        catalog.removed(|tenant, id| removed.push((tenant, id))).await.unwrap();
        assert_eq!(removed, ["1", "2"].map(|id| ("north".to_owned(), id.to_owned())));
        catalog.within(&south).delete_device("1").await.unwrap();
        let default = Access::owner("default");
        catalog.tenants(&default).erase("north").await.unwrap();
        let mut removed = Vec::new();
        catalog.removed(|tenant, id| removed.push((tenant, id))).await.unwrap();
        assert_eq!(removed, [("south".to_owned(), "1".to_owned())]);
    });
}

#[test]
fn who_follows_waits_until_something_happens() {
    with_catalog(async |_, catalog| {
        let mut changes = catalog.changes().await.unwrap();
        let owner = Access::owner("north");
        // A group is no device.
        catalog.within(&owner).create_group("cold").await.unwrap();
        let written = std::cell::Cell::new(false);
        let waiting = async {
            changes.next(|_| {}).await.unwrap();
            assert!(written.get(), "nothing has changed before");
        };
        let writing = async {
            for _ in 0..50 {
                catalog.limits().await.unwrap();
            }
            written.set(true);
            catalog.register(&[registered(1)]).await.unwrap();
        };
        futures::future::join(waiting, writing).await;
    });
}
