//! Devices that register themselves.

use odograph_catalog::{
    Access, DeviceFields, DeviceFilter, DeviceOrder, DeviceState, NewTenant, Quotas, Registered, Registration,
};

use crate::support::{NOON, refused, with_catalog};

fn registered(tenant: &str, id: &str) -> Registered {
    let (tenant, id) = (tenant.to_owned(), id.to_owned());
    Registered { tenant, id, aliases: vec![], protocol: "h02".into(), state: DeviceState::Quarantined, at: NOON - 5 }
}

#[test]
fn what_registers_is_new_once() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let named = DeviceFields { name: Some("Truck".into()), ..DeviceFields::default() };
        within.create_device(vec!["1".into(), "alias".into()], named).await.unwrap();
        let before = within.device("1").await.unwrap();
        let all = ["1", "alias", "2", "2", "3"].map(|id| registered("north", id));
        let done = catalog.register(&all).await.unwrap();
        assert_eq!(done, Registration { added: 2, known: 3, refused: vec![] });
        assert_eq!(within.device("1").await.unwrap(), before);
        let new = within.device("2").await.unwrap();
        assert_eq!((new.state, new.protocol.as_str(), new.created), (DeviceState::Quarantined, "h02", NOON - 5));
        assert_eq!(new.ids, ["2"]);
        assert_eq!(catalog.register(&all).await.unwrap(), Registration { added: 0, known: 5, refused: vec![] });

        // A person decides, and it comes again.
        let accept = DeviceFields { state: Some(DeviceState::Accepted), ..DeviceFields::default() };
        within.update_device("2", accept).await.unwrap();
        catalog.register(&all).await.unwrap();
        assert_eq!(within.device("2").await.unwrap().state, DeviceState::Accepted);
        within.delete_device("2").await.unwrap();
        assert_eq!(catalog.register(&all).await.unwrap().added, 1);
        assert_eq!(within.device("2").await.unwrap().state, DeviceState::Quarantined);
        let waiting = DeviceFilter { state: Some(DeviceState::Quarantined), ..DeviceFilter::default() };
        assert_eq!(within.count_devices(&waiting).await.unwrap(), 2);
    });
}

#[test]
fn what_the_configuration_announces_is_there_as_long_as_it_does() {
    with_catalog(async |place, catalog| {
        let shared = !place.is_sqlite();
        let configured = |id: &str, aliases: &[&str]| Registered {
            aliases: aliases.iter().map(ToString::to_string).collect(),
            state: DeviceState::Configured,
            ..registered("north", id)
        };
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let all = [configured("1", &["one"]), configured("2", &[]), configured("3", &[])];
        assert_eq!(catalog.configure(&all).await.unwrap().added, 3);
        let first = within.device("1").await.unwrap();
        assert_eq!((first.state, first.ids), (DeviceState::Configured, vec!["1".to_owned(), "one".to_owned()]));
        let accept = DeviceFields { state: Some(DeviceState::Accepted), ..DeviceFields::default() };
        within.update_device("3", accept).await.unwrap();
        catalog.register(&[registered("north", "4")]).await.unwrap();

        assert_eq!(catalog.configure(&all[1..2]).await.unwrap(), Registration { known: 1, ..Registration::default() });
        let page = within.devices(&DeviceFilter::default(), DeviceOrder::Id, None, 10).await.unwrap();
        let left: Vec<_> = page.devices.iter().map(|it| (it.id.as_str(), it.state)).collect();
        let mut expected =
            vec![("2", DeviceState::Configured), ("3", DeviceState::Accepted), ("4", DeviceState::Quarantined)];
        if shared {
            expected.insert(0, ("1", DeviceState::Configured));
        }
        assert_eq!(left, expected);
        if !shared {
            // Its ids are free again.
            within.create_device(vec!["one".into()], DeviceFields::default()).await.unwrap();
        }
    });
}

#[test]
fn odd_ids_are_kept_and_impossible_ones_are_told() {
    with_catalog(async |_, catalog| {
        let longest = "x".repeat(255);
        let (long, spaced) = ("x".repeat(256), "a b\t\u{1b}");
        let all = [
            registered("north", &longest),
            registered("north", spaced),
            registered("north", &long),
            registered("north", ""),
            registered("north", "a\0"),
            registered("no such", "1"),
        ];
        let done = catalog.register(&all).await.unwrap();
        let refused_ones = [("north", long.as_str()), ("north", ""), ("north", "a\0"), ("no such", "1")];
        let refused_ones = refused_ones.map(|(tenant, id)| (tenant.to_owned(), id.to_owned())).to_vec();
        assert_eq!(done, Registration { added: 2, known: 0, refused: refused_ones });
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        // People can work with it, and give it a second id.
        let ids = Some(vec![spaced.to_owned(), "2".to_owned()]);
        let changed = within.update_device(spaced, DeviceFields { ids, ..DeviceFields::default() }).await.unwrap();
        assert_eq!(within.device("2").await.unwrap(), changed);
        let page = within.devices(&Default::default(), DeviceOrder::Name, None, 1).await.unwrap();
        assert_eq!(page.devices[0].id, spaced);
        let page = within.devices(&Default::default(), DeviceOrder::Name, page.next.as_deref(), 1).await.unwrap();
        assert_eq!(page.devices[0].id, longest);
        assert!(within.device("a\0").await.is_err());
    });
}

#[test]
fn limits_are_told() {
    with_catalog(async |_, catalog| {
        let quotas = Quotas { devices_max: Some(1), messages_per_day_max: Some(7), storage_bytes_max: None };
        let new = NewTenant { id: "small".into(), quotas, ..NewTenant::default() };
        catalog.tenants(&Access::owner("default")).create(new).await.unwrap();
        // The caller decides about quotas; a tenant that is missing is made.
        let all = [registered("small", "1"), registered("small", "2"), registered("made", "1")];
        assert_eq!(catalog.register(&all).await.unwrap().added, 3);
        let limits = catalog.limits().await.unwrap();
        let shown: Vec<_> = limits.iter().map(|limit| (limit.tenant.as_str(), limit.quotas, limit.devices)).collect();
        let none = Quotas::default();
        let expected =
            [("default", none, 0), ("made", none, 1), ("north", none, 0), ("small", quotas, 2), ("south", none, 0)];
        assert_eq!(shown, expected);
        let owner = Access::owner("small");
        let full = "the tenant may have 1 devices and has 2: delete some, or have the quota raised";
        refused(catalog.within(&owner).create_device(vec!["3".into()], DeviceFields::default()).await, full);
    });
}

#[test]
fn thousands_register_at_once() {
    with_catalog(async |_, catalog| {
        let all: Vec<_> = (0..5_001).map(|number| registered("north", &format!("{number:015}"))).collect();
        assert_eq!(catalog.register(&all).await.unwrap().added, 5_001);
        assert_eq!(catalog.register(&all).await.unwrap().known, 5_001);
        let mut count = 0;
        catalog.bindings(|binding| count += usize::from(binding.tenant == "north")).await.unwrap();
        assert_eq!(count, 5_001);
    });
}
