//! Drivers and their cards.

use odograph_catalog::{Access, Driver, DriverFields, Role};

use crate::support::{NOON, refused, user, with_catalog};

fn named(name: &str, cards: &[&str]) -> DriverFields {
    let cards = cards.iter().map(|card| (*card).to_owned()).collect();
    DriverFields { name: Some(name.into()), cards: Some(cards), ..DriverFields::default() }
}

#[test]
fn a_driver_is_found_by_each_card_however_it_is_written() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let first = north.create_driver(named("Second", &["01-00-00-1A:f0", "77"])).await.unwrap();
        let other = north.create_driver(named("First", &["4711"])).await.unwrap();
        let names = |drivers: Vec<odograph_catalog::Driver>| -> Vec<String> {
            drivers.into_iter().map(|driver| driver.name).collect()
        };
        assert_eq!(names(north.drivers(None).await.unwrap()), ["First", "Second"]);
        for card in ["010000 1AF0", "0100001af0", "77"] {
            assert_eq!(north.drivers(Some(card)).await.unwrap(), std::slice::from_ref(&first), "{card}");
        }
        assert_eq!(north.drivers(Some("78")).await.unwrap(), []);
        let elsewhere = Access::owner("south");
        assert_eq!(catalog.within(&elsewhere).drivers(Some("77")).await.unwrap(), [], "cards are a tenant's own");
        catalog.within(&elsewhere).create_driver(named("Theirs", &["77"])).await.unwrap();
        let taken = north.update_driver(&other.id, named("First", &["4711", "0100001AF0"])).await;
        refused(taken, "the card 0100001AF0 is another driver's");
        assert_eq!(north.driver(&other.id).await.unwrap(), other, "nothing of it was changed");
        place.clock.set_now(NOON + 5);
        let phone = DriverFields { phone: Some("+49 1".into()), ..DriverFields::default() };
        let changed = north.update_driver(&first.id, phone).await.unwrap();
        assert_eq!((changed.phone.as_str(), changed.cards.len(), changed.updated), ("+49 1", 2, NOON + 5));
        north.delete_driver(&first.id).await.unwrap();
        refused(north.driver(&first.id).await, &format!("there is no driver {}", first.id));
        north.update_driver(&other.id, named("First", &["77"])).await.unwrap();
        assert_eq!(north.drivers(Some("4711")).await.unwrap(), []);
    });
}

#[test]
fn who_is_limited_to_groups_is_told_whose_a_card_is_and_no_more() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let (phone, notes) = (Some("+49 1".into()), Some("Tuesdays".into()));
        let told = DriverFields { phone, notes, ..named("Anna", &["77", "78"]) };
        let anna = north.create_driver(told).await.unwrap();
        let group = north.create_group("one").await.unwrap().id;
        for role in [Role::Viewer, Role::Manager] {
            let login = format!("limited-{role}");
            let (_, _, access) = user(&catalog, "north", &login, role, Some(vec![group.clone()])).await;
            let limited = catalog.within(&access);
            let needed = "this needs a role for all devices of the tenant, not for some groups";
            refused(limited.drivers(None).await, needed);
            refused(limited.driver(&anna.id).await, needed);
            refused(limited.driver("unknown").await, needed);
            let (phone, notes) = (String::new(), String::new());
            let known = Driver { cards: vec!["77".into()], phone, notes, ..anna.clone() };
            assert_eq!(limited.drivers(Some("7-7")).await.unwrap(), [known]);
            assert_eq!(limited.drivers(Some("79")).await.unwrap(), []);
        }
        let (_, _, viewer) = user(&catalog, "north", "viewer", Role::Viewer, None).await;
        let all = catalog.within(&viewer);
        assert_eq!(all.drivers(Some("77")).await.unwrap(), std::slice::from_ref(&anna));
        assert_eq!(all.drivers(None).await.unwrap(), std::slice::from_ref(&anna));
        assert_eq!(all.driver(&anna.id).await.unwrap(), anna);
    });
}

#[test]
fn what_a_driver_cannot_be_is_said() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let create = async |fields| north.create_driver(fields).await;
        refused(create(named("", &[])).await, "name: is empty");
        refused(create(named("A", &["1-2", "12"])).await, "cards: have 12 twice");
        refused(create(named("A", &["-"])).await, "cards: have an empty one");
        let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        refused(create(named("A", &many)).await, "cards: are 17, at most 16 are possible");
    });
}
