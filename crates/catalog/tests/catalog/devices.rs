//! Devices as people manage them, and what those see of them who are limited to groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use odograph_catalog::bounds::PAGE_BYTES_MAX;
use odograph_catalog::{
    Access, AuditEntry, AuditFilter, Catalog, Device, DeviceFields, DeviceFilter, DeviceOrder, DeviceRow, DeviceState,
    Error, ImportMode, KeptOut, NewTenant, NewToken, Quotas, Role, Within,
};

use crate::support::{NOON, refused, user, with_catalog};

fn named(name: &str) -> DeviceFields {
    DeviceFields { name: Some(name.into()), ..DeviceFields::default() }
}

fn in_group(group: &str) -> DeviceFields {
    DeviceFields { group: Some(Some(group.into())), ..DeviceFields::default() }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn add(within: Within<'_>, id: &str, fields: DeviceFields) -> Device {
    within.create_device(ids(&[id]), fields).await.unwrap()
}

/// The ids of all pages, each of two devices.
async fn pages(within: Within<'_>, filter: &DeviceFilter, order: DeviceOrder) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = within.devices(filter, order, after.as_deref(), 2).await.unwrap();
        assert!(page.devices.len() <= 2);
        all.extend(page.devices.into_iter().map(|device| device.id));
        after = page.next;
        if after.is_none() {
            assert_eq!(i64::try_from(all.len()).unwrap(), within.count_devices(filter).await.unwrap());
            return all;
        }
    }
}

#[test]
fn a_device_is_made_changed_and_deleted() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let fields = DeviceFields {
            plate: Some("AB 123".into()),
            tags: Some(vec!["cold".into()]),
            protocol: Some("teltonika".into()),
            settings: Some([("password".to_owned(), "hush".to_owned())].into()),
            notes: Some("a\nb".into()),
            attributes: Some(serde_json::json!({"axles": 3, "wheels": {"front": 2}}).as_object().unwrap().clone()),
            ..named("Truck 7")
        };
        let made = within.create_device(ids(&["100", "200"]), fields.clone()).await.unwrap();
        assert_eq!(
            (made.id.as_str(), made.state, made.created, made.updated),
            ("100", DeviceState::Accepted, NOON, NOON)
        );
        assert_eq!((&made.notes, &made.attributes), (&fields.notes.unwrap(), &fields.attributes.unwrap()));
        assert_eq!(within.device("100").await.unwrap(), made);
        assert_eq!(within.device("200").await.unwrap(), made);
        let taken = "the id 200 is taken by the device 100";
        refused(within.create_device(ids(&["200"]), DeviceFields::default()).await, taken);
        refused(within.create_device(ids(&["300", "200"]), DeviceFields::default()).await, taken);
        let taken = "the id 100 is taken by the device 100";
        refused(within.create_device(ids(&["100"]), DeviceFields::default()).await, taken);
        refused(within.create_device(ids(&["a b"]), DeviceFields::default()).await, "ids: has white space in it");
        refused(
            within.create_device(Vec::new(), DeviceFields::default()).await,
            "ids: are none: a device has at least one",
        );
        refused(within.create_device(ids(&["300"]), in_group("g")).await, "there is no group g");

        place.clock.set_now(NOON + 5);
        let to = DeviceFields { ids: Some(ids(&["100", "300"])), if_revision: Some(made.revision), ..named("Truck 8") };
        let changed = within.update_device("200", to.clone()).await.unwrap();
        assert_eq!(
            (changed.name.as_str(), &changed.ids, changed.updated),
            ("Truck 8", &ids(&["100", "300"]), NOON + 5)
        );
        assert!(changed.revision > made.revision);
        refused(within.update_device("100", to).await, "the device 100 was changed meanwhile: look at it again");
        refused(within.device("200").await, "there is no device 200");
        add(within, "200", DeviceFields::default()).await;
        let back = DeviceFields { ids: Some(ids(&["100", "200"])), ..DeviceFields::default() };
        refused(within.update_device("100", back).await, "the id 200 is taken by the device 200");
        // Nothing different is no change.
        place.clock.set_now(NOON + 9);
        assert_eq!(within.update_device("100", named("Truck 8")).await.unwrap(), changed);

        let secret = |password: &str| DeviceFields {
            settings: Some([("password".to_owned(), password.to_owned())].into()),
            ..DeviceFields::default()
        };
        within.update_device("100", secret("hush hush")).await.unwrap();
        within.delete_device("300").await.unwrap();
        refused(within.delete_device("100").await, "there is no device 100");
        refused(within.device("300").await, "there is no device 300");
        add(within, "300", DeviceFields::default()).await;

        let log = within.audit(&Default::default()).await.unwrap();
        let of_it = log.iter().rev().filter(|entry| entry.object == "100");
        let shown: Vec<_> = of_it.clone().map(|entry| entry.action.as_str()).collect();
        assert_eq!(shown, ["device.create", "device.update", "device.update", "device.delete"]);
        let secret = of_it.clone().nth(2).unwrap();
        assert_eq!(secret.became.as_ref().unwrap()["settings"]["password"], "(hidden, new)");
        assert!(!format!("{log:?}").contains("hush"));
    });
}

#[test]
fn a_time_zone_is_given_and_taken_away() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let zone = |name: &str| DeviceFields { time_zone: Some(name.into()), ..DeviceFields::default() };
        let none = "time_zone: is no time zone such as Europe/Berlin, as the IANA names them";
        refused(within.create_device(ids(&["1"]), zone("Riga")).await, none);
        assert_eq!(add(within, "1", DeviceFields::default()).await.time_zone, "");
        // However it was written, it is kept as the IANA has it.
        assert_eq!(within.update_device("1", zone("europe/riga")).await.unwrap().time_zone, "Europe/Riga");
        refused(within.update_device("1", zone("+02:00")).await, none);
        // What is not named stays.
        let named = within.update_device("1", named("Truck 7")).await.unwrap();
        assert_eq!((named.time_zone.as_str(), &named), ("Europe/Riga", &within.device("1").await.unwrap()));
        let page = within.devices(&DeviceFilter::default(), DeviceOrder::Name, None, 10).await.unwrap();
        assert_eq!(page.devices, [named]);
        assert_eq!(within.update_device("1", zone("")).await.unwrap().time_zone, "");

        let viewer = Access { role: Role::Viewer, ..owner.clone() };
        let refusal = catalog.within(&viewer).update_device("1", zone("UTC")).await;
        assert!(matches!(refusal, Err(Error::Forbidden { .. })), "{refusal:?}");

        let log = within.audit(&AuditFilter::default()).await.unwrap();
        let changes: Vec<_> = log.iter().rev().filter(|entry| entry.action == "device.update").collect();
        let zones = |entry: &AuditEntry| {
            let zone = |side: &Option<serde_json::Value>| side.as_ref().and_then(|side| side.get("time_zone").cloned());
            (zone(&entry.was), zone(&entry.became))
        };
        let text = |zone: &str| Some(serde_json::Value::from(zone));
        assert_eq!(zones(changes[0]), (text(""), text("Europe/Riga")));
        assert_eq!(zones(changes[1]), (None, None));
        assert_eq!(zones(changes[2]), (text("Europe/Riga"), text("")));
    });
}

#[test]
fn devices_are_found_by_pages() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let group = within.create_group("cold").await.unwrap().id;
        add(within, "3", named("truck 10")).await;
        add(within, "1", DeviceFields { tags: Some(vec!["a\"b%".into()]), ..named("Truck 9") }).await;
        add(within, "Zug-2", DeviceFields { state: Some(DeviceState::Rejected), ..named("Жук 100%") }).await;
        add(within, "2", DeviceFields { plate: Some("AB_12".into()), ..in_group(&group) }).await;
        add(within, "é", DeviceFields { tags: Some(vec!["cold".into(), "Cold".into()]), ..in_group(&group) }).await;
        // Of another tenant.
        catalog.within(&Access::owner("south")).create_device(ids(&["4"]), named("Truck 1")).await.unwrap();

        let all = DeviceFilter::default;
        assert_eq!(pages(within, &all(), DeviceOrder::Id).await, ["1", "2", "3", "Zug-2", "é"]);
        assert_eq!(pages(within, &all(), DeviceOrder::Name).await, ["2", "1", "3", "é", "Zug-2"]);
        let found = async |filter: DeviceFilter| pages(within, &filter, DeviceOrder::Id).await;
        let text = |text: &str| DeviceFilter { text: Some(text.into()), ..DeviceFilter::default() };
        assert_eq!(found(text("TRUCK")).await, ["1", "3"]);
        assert_eq!(found(text("жУК")).await, ["Zug-2"]);
        assert_eq!(found(text("0%")).await, ["Zug-2"]);
        assert_eq!(found(text("b_1")).await, ["2"]);
        assert_eq!(found(text("zug")).await, ["Zug-2"]);
        assert_eq!(found(text("%")).await, ["Zug-2"]);
        assert_eq!(found(text("")).await.len(), 5);
        let tag = |tag: &str| DeviceFilter { tag: Some(tag.into()), ..DeviceFilter::default() };
        assert_eq!(found(tag("a\"b%")).await, ["1"]);
        assert_eq!(found(tag("Cold")).await, ["é"]);
        assert_eq!(found(tag("old")).await, [""; 0]);
        let grouped = |group: &str| DeviceFilter { group: Some(group.into()), ..DeviceFilter::default() };
        assert_eq!(found(grouped(&group)).await, ["2", "é"]);
        assert_eq!(found(grouped("")).await, ["1", "3", "Zug-2"]);
        let state = DeviceFilter { state: Some(DeviceState::Rejected), ..text("zug") };
        assert_eq!(found(state).await, ["Zug-2"]);

        let long = text(&"x".repeat(201));
        refused(within.devices(&long, DeviceOrder::Id, None, 2).await, "text: is longer than 200 characters");
        let odd = within.devices(&all(), DeviceOrder::Id, Some("odd"), 2).await;
        refused(odd, "after: is not what the page before gave as the next one");
    });
}

/// Of which as much is kept as may be, but for the attributes: some 220 KB.
fn heavy() -> DeviceFields {
    let settings = (0..64).map(|number| (format!("s{number}"), "北".repeat(1000))).collect();
    DeviceFields { notes: Some("北".repeat(10_000)), settings: Some(settings), ..DeviceFields::default() }
}

#[test]
fn a_page_of_devices_of_which_much_is_kept_ends_earlier() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let all: Vec<String> = (10..30).map(|number| number.to_string()).collect();
        for id in &all {
            add(within, id, heavy()).await;
        }
        for order in [DeviceOrder::Id, DeviceOrder::Name] {
            let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = within.devices(&DeviceFilter::default(), order, after.as_deref(), 1000).await.unwrap();
                let bytes: usize = page.devices.iter().map(|device| serde_json::to_string(device).unwrap().len()).sum();
                assert!(!page.devices.is_empty() && bytes < PAGE_BYTES_MAX + (64 << 10), "{bytes}");
                found.extend(page.devices.into_iter().map(|device| device.id));
                (after, pages) = (page.next, pages + 1);
                if after.is_none() {
                    break;
                }
            }
            assert_eq!((&found, pages), (&all, 2));
        }
    });
}

#[test]
fn a_page_of_the_audit_log_ends_earlier_where_entries_are_large() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "1", DeviceFields::default()).await;
        for number in 0..80 {
            let notes = ["北", "京"][number % 2].repeat(10_000);
            within.update_device("1", DeviceFields { notes: Some(notes), ..DeviceFields::default() }).await.unwrap();
        }
        let (mut seqs, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = within.audit(&AuditFilter { before, ..AuditFilter::default() }).await.unwrap();
            let Some(last) = page.last() else { break };
            (before, pages) = (Some(last.seq), pages + 1);
            seqs.extend(page.iter().map(|entry| entry.seq));
        }
        assert!(seqs.len() > 80, "{seqs:?}");
        assert_eq!((&seqs, pages), (&(1..=seqs[0]).rev().collect::<Vec<_>>(), 2), "each once, down to the first");
    });
}

#[test]
fn who_is_limited_to_groups_sees_no_others() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let all = catalog.within(&owner);
        let (one, two) = (all.create_group("one").await.unwrap().id, all.create_group("two").await.unwrap().id);
        let secret = || Some(BTreeMap::from([("password".to_owned(), "hush".to_owned())]));
        add(all, "1", DeviceFields { settings: secret(), ..in_group(&one) }).await;
        add(all, "2", in_group(&two)).await;
        add(all, "3", DeviceFields::default()).await;
        let limited = |groups: &[&String]| Some(groups.iter().map(ToString::to_string).collect());
        let (_, _, manager) = user(&catalog, "north", "manager", Role::Manager, limited(&[&one])).await;
        let (_, _, viewer) = user(&catalog, "north", "viewer", Role::Viewer, limited(&[&one, &two])).await;
        let (_, _, blind) = user(&catalog, "north", "blind", Role::Viewer, limited(&[])).await;
        let seen = async |access: &Access| pages(catalog.within(access), &Default::default(), DeviceOrder::Id).await;
        assert_eq!(seen(&owner).await, ["1", "2", "3"]);
        assert_eq!(seen(&manager).await, ["1"]);
        assert_eq!(seen(&viewer).await, ["1", "2"]);
        assert_eq!(seen(&blind).await, [""; 0]);
        let groups = catalog.within(&manager).groups().await.unwrap();
        assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["one"]);

        assert_eq!(catalog.within(&viewer).device("1").await.unwrap().settings["password"], "(hidden)");
        assert_eq!(catalog.within(&manager).device("1").await.unwrap().settings["password"], "hush");
        let within = catalog.within(&manager);
        let all_devices = "this needs a role for all devices of the tenant, not for some groups";
        for id in ["2", "3"] {
            let none = format!("there is no device {id}");
            refused(within.device(id).await, &none);
            refused(within.update_device(id, named("mine")).await, &none);
            refused(within.delete_device(id).await, &none);
        }
        assert_eq!(within.update_device("1", named("Truck")).await.unwrap().name, "Truck");
        refused(within.update_device("1", in_group(&two)).await, all_devices);
        let out = DeviceFields { group: Some(None), ..DeviceFields::default() };
        refused(within.update_device("1", out).await, all_devices);
        refused(within.create_device(ids(&["4"]), DeviceFields::default()).await, all_devices);
        assert_eq!(add(within, "4", in_group(&one)).await.group, Some(one));
    });
}

#[test]
fn an_erased_device_is_named_nowhere_and_may_come_again() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let fields = DeviceFields { name: Some("Anna's truck".into()), ..DeviceFields::default() };
        within.create_device(ids(&["867000000000017", "alias-17"]), fields).await.unwrap();
        within.update_device("867000000000017", named("another")).await.unwrap();
        add(within, "2", DeviceFields::default()).await;
        assert_eq!(within.ask_to_erase("alias-17", false).await.unwrap().id, "867000000000017");
        assert_eq!(within.ask_to_erase("alias-17", true).await.unwrap().id, "867000000000017");
        let managers = Access { role: Role::Manager, ..owner.clone() };
        assert!(catalog.within(&managers).ask_to_erase("alias-17", true).await.is_err());
        assert_eq!(within.erase_device("alias-17", false).await.unwrap(), ["867000000000017", "alias-17"]);
        refused(within.device("867000000000017").await, "there is no device 867000000000017");
        let log = within.audit(&AuditFilter::default()).await.unwrap();
        let told = serde_json::to_string(&log).unwrap();
        for gone in ["867000000000017", "alias-17", "Anna", "another"] {
            assert!(!told.contains(gone), "{gone}: {told}");
        }
        assert_eq!(
            log.iter().filter(|entry| entry.kind == "device").count(),
            5,
            "that something was done is still told"
        );
        assert_eq!((&*log[0].action, &*log[1].action), ("device.erase", "device.erase_asked"));
        // Others' entries stay as they are, also those that have its id within a word, as a name, or as something else.
        let spoken = |log: &[AuditEntry]| log.iter().filter(|entry| entry.became.is_some()).count();
        add(within, "e", DeviceFields::default()).await;
        add(within, "name", DeviceFields::default()).await;
        let before = spoken(&within.audit(&AuditFilter::default()).await.unwrap());
        within.erase_device("e", false).await.unwrap();
        within.erase_device("name", false).await.unwrap();
        assert_eq!(spoken(&within.audit(&AuditFilter::default()).await.unwrap()), before - 2, "only their own");
        // One that is not there is no mistake: the log may speak of it.
        assert_eq!(within.erase_device("gone", true).await.unwrap(), ["gone"]);
        catalog.forget_deleted().await.unwrap();
        add(within, "867000000000017", DeviceFields::default()).await;
        assert_eq!(within.device("2").await.unwrap().id, "2");
    });
}

#[test]
fn what_is_being_erased_is_not_made_anew() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "there", named("before")).await;
        let under_way = Arc::new(AtomicBool::new(true));
        let is_under_way = under_way.clone();
        catalog.keep_out(move || {
            let of = |tenant: &str, ids: Option<&[&str]>| KeptOut { tenant: tenant.into(), ids: ids.map(self::ids) };
            let all = [of("north", Some(&["100", "200"])), of("gone", None), of("default", Some(&["300"]))];
            all.into_iter().filter(|_| is_under_way.load(Ordering::Acquire)).collect()
        });
        let is_refused = |done: Result<(), Error>, what: &str| {
            let told = done.expect_err("it is being erased").to_string();
            assert!(told.starts_with(what) && told.contains("is being erased"), "{told}");
        };
        for called in [&["100"][..], &["new", "200"]] {
            let made = within.create_device(ids(called), DeviceFields::default()).await;
            is_refused(made.map(drop), &format!("the device {}", called[called.len() - 1]));
        }
        let renamed = DeviceFields { ids: Some(ids(&["there", "100"])), ..DeviceFields::default() };
        is_refused(within.update_device("there", renamed.clone()).await.map(drop), "the device 100");
        let rows: Vec<DeviceRow> =
            ["100", "300"].map(|id| DeviceRow { ids: ids(&[id]), fields: DeviceFields::default() }).into();
        let mode = ImportMode { dry_run: false, skip_bad: true };
        let report = within.import_devices(&rows, &[], mode).await.unwrap();
        assert_eq!((report.created, report.failed), (1, 1), "another tenant's is another one: {report:?}");
        let access = Access::owner("default");
        let gone = NewTenant { id: "gone".into(), ..NewTenant::default() };
        is_refused(catalog.tenants(&access).create(gone.clone()).await.map(drop), "the tenant gone");
        // All else goes on, and so does that when it is done.
        within.update_device("there", named("after")).await.unwrap();
        under_way.store(false, Ordering::Release);
        add(within, "200", DeviceFields::default()).await;
        within.update_device("there", renamed).await.unwrap();
        catalog.tenants(&access).create(gone).await.unwrap();
    });
}

#[test]
fn groups_are_made_and_deleted_when_nothing_is_in_them() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let group = within.create_group("Cold").await.unwrap();
        refused(within.create_group("Cold").await, "the name Cold is taken by another group");
        let other = within.create_group("Dry").await.unwrap();
        refused(within.rename_group(&other.id, "Cold").await, "the name Cold is taken by another group");
        assert_eq!(within.rename_group(&other.id, "Dry").await.unwrap().name, "Dry");
        catalog.within(&Access::owner("south")).create_group("Cold").await.unwrap();

        add(within, "1", in_group(&group.id)).await;
        refused(within.delete_group(&group.id).await, "the group Cold has 1 devices: move them first");
        within.delete_device("1").await.unwrap();
        let (anna, ..) = user(&catalog, "north", "anna", Role::Viewer, Some(vec![group.id.clone()])).await;
        refused(within.delete_group(&group.id).await, "the group Cold has 1 users: move them first");
        within.delete_user(&anna.id).await.unwrap();
        let token = NewToken { name: "t".into(), groups: Some(vec![group.id.clone()]), ..NewToken::default() };
        let (token, _) = within.create_token(token).await.unwrap();
        refused(within.delete_group(&group.id).await, "the group Cold has 1 tokens: move them first");
        within.revoke_token(&token.id).await.unwrap();
        within.delete_group(&group.id).await.unwrap();
        assert_eq!(within.groups().await.unwrap(), [other]);
    });
}

#[test]
fn a_tenant_has_as_many_devices_as_it_may() {
    with_catalog(async |_, catalog| {
        let quotas = Quotas { devices_max: Some(2), ..Quotas::default() };
        let new = NewTenant { id: "small".into(), quotas, ..NewTenant::default() };
        catalog.tenants(&Access::owner("default")).create(new).await.unwrap();
        let owner = Access::owner("small");
        let within = catalog.within(&owner);
        add(within, "1", DeviceFields::default()).await;
        add(within, "2", DeviceFields::default()).await;
        let full = "the tenant may have 2 devices and has 2: delete some, or have the quota raised";
        refused(within.create_device(ids(&["3"]), DeviceFields::default()).await, full);
        within.update_device("1", named("still")).await.unwrap();
        within.delete_device("1").await.unwrap();
        add(within, "3", DeviceFields::default()).await;
    });
}

/// Both write the same devices at the same time.
async fn race(one: Within<'_>, other: Within<'_>) {
    let write = async |within: Within<'_>, who: &str| {
        let mut done = 0;
        for number in 0..20 {
            let id = format!("{number}");
            match within.create_device(ids(&[&id]), named(who)).await {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.to_string(), format!("the id {id} is taken by the device {id}")),
            }
            within
                .update_device(&id, DeviceFields { plate: Some(format!("{who} {number}")), ..Default::default() })
                .await
                .unwrap();
        }
        done
    };
    let (first, second) = futures::future::join(write(one, "one"), write(other, "other")).await;
    assert_eq!(first + second, 20);
}

#[test]
fn two_writers_wait_for_each_other() {
    with_catalog(async |place, catalog| {
        let other: Catalog = place.open().await;
        let owner = Access::owner("north");
        race(catalog.within(&owner), other.within(&owner)).await;
        let log = catalog.within(&owner).audit(&Default::default()).await.unwrap();
        // Numbered without a gap, each number once.
        let seqs: Vec<_> = log.iter().rev().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=i64::try_from(log.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(log.iter().filter(|entry| entry.action == "device.create").count(), 20);
    });
}
