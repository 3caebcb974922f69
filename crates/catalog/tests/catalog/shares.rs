//! Links to devices: made, listed, looked at, taken back, ended.

use std::net::IpAddr;

use odograph_catalog::bounds::{SHARE_MS, SHARE_MS_MAX, SHARES_MAX};
use odograph_catalog::{
    Access, AuditFilter, Catalog, DeviceFields, DeviceState, NewShare, Role, SharedDevice, TenantChange,
};

use crate::support::{NOON, refused, user, with_catalog};

async fn device(catalog: &Catalog, tenant: &str, id: &str) {
    let fields = DeviceFields { name: Some(format!("{tenant} truck")), ..DeviceFields::default() };
    catalog.within(&Access::owner(tenant)).create_device(vec![id.into()], fields).await.unwrap();
}

fn from(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn a_link_shows_one_device_until_it_ends() {
    with_catalog(async |place, catalog| {
        for tenant in ["north", "south"] {
            device(&catalog, tenant, "1").await;
        }
        let (_, _, access) = user(&catalog, "north", "anna", Role::Manager, None).await;
        let north = catalog.within(&access);
        let (share, secret) = north.create_share("1", NewShare::default()).await.unwrap();
        assert_eq!((share.since, share.created, share.expires), (NOON, NOON, NOON + SHARE_MS));
        assert_eq!((share.device.as_str(), share.created_by.as_str()), ("1", "anna"));
        assert_eq!(north.shares("1").await.unwrap(), std::slice::from_ref(&share));
        let expected = SharedDevice {
            link: share.id.clone(),
            tenant: "north".into(),
            device: "1".into(),
            name: "north truck".into(),
            since: NOON,
            expires: share.expires,
        };
        let look = async |secret: &str| catalog.shared(secret, from("192.0.2.1")).await.unwrap();
        assert_eq!(look(secret.reveal()).await, Some(expected));
        // It is no way to anything else, and nothing else is a link.
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
        assert_eq!(look(&share.id).await, None);
        assert_eq!(look(&secret.reveal().replace("odl_", "")).await, None);
        assert_eq!(look(&format!("odl_{}", "A".repeat(200))).await, None);
        assert_eq!(look(&format!("{}A", secret.reveal())).await, None);
        place.clock.set_now(share.expires - 1);
        assert!(look(secret.reveal()).await.is_some());
        place.clock.set_now(share.expires);
        assert_eq!(look(secret.reveal()).await, None);
        assert_eq!(north.shares("1").await.unwrap(), []);
    });
}

#[test]
fn a_link_that_is_taken_back_shows_nothing_and_who_did_what_is_known() {
    with_catalog(async |_, catalog| {
        device(&catalog, "north", "1").await;
        device(&catalog, "north", "2").await;
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let (share, secret) = north.create_share("1", NewShare::default()).await.unwrap();
        let (other, kept) = north.create_share("1", NewShare::default()).await.unwrap();
        refused(north.revoke_share("2", &share.id).await, &format!("there is no share {}", share.id));
        north.revoke_share("1", &share.id).await.unwrap();
        assert_eq!(catalog.still_shared(secret.reveal()).await.unwrap(), None);
        assert_eq!(catalog.shared(secret.reveal(), None).await.unwrap(), None);
        assert!(catalog.shared(kept.reveal(), None).await.unwrap().is_some());
        assert_eq!(north.shares("1").await.unwrap(), std::slice::from_ref(&other));
        refused(north.revoke_share("1", &share.id).await, &format!("there is no share {}", share.id));
        let filter =
            AuditFilter { object: Some(share.id.clone()), kind: Some("share".into()), ..AuditFilter::default() };
        let log = north.audit(&filter).await.unwrap();
        assert_eq!(log.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["share.revoke", "share.create"]);
        assert!(!format!("{log:?}").contains("odl_") && !format!("{log:?}").contains(secret.reveal()));
    });
}

#[test]
fn a_link_ends_with_what_it_shows() {
    with_catalog(async |_, catalog| {
        let (owner, system) = (Access::owner("north"), Access::owner("default"));
        let north = catalog.within(&owner);
        device(&catalog, "north", "1").await;
        let (_, secret) = north.create_share("1", NewShare::default()).await.unwrap();
        let shows = async || catalog.shared(secret.reveal(), None).await.unwrap().is_some();
        let decided = |state| DeviceFields { state: Some(state), ..DeviceFields::default() };
        north.update_device("1", decided(DeviceState::Rejected)).await.unwrap();
        assert!(!shows().await);
        north.update_device("1", decided(DeviceState::Accepted)).await.unwrap();
        assert!(shows().await);
        for disabled in [true, false] {
            let change = TenantChange { disabled: Some(disabled), ..TenantChange::default() };
            catalog.tenants(&system).update("north", change).await.unwrap();
            assert_eq!(shows().await, !disabled);
        }
        north.delete_device("1").await.unwrap();
        assert!(!shows().await);
        // Another one of that id is another device.
        device(&catalog, "north", "1").await;
        assert!(!shows().await);
        assert_eq!(north.shares("1").await.unwrap(), []);
    });
}

#[test]
fn what_a_link_cannot_be_is_said() {
    with_catalog(async |place, catalog| {
        device(&catalog, "north", "1").await;
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let create = async |since, expires| north.create_share("1", NewShare { since, expires }).await;
        refused(create(None, Some(NOON)).await, "expires: is in the past");
        refused(create(None, Some(NOON + SHARE_MS_MAX + 1)).await, "expires: is more than 30 days from now");
        refused(create(Some(NOON + 1), None).await, "since: is in the future");
        refused(create(Some(NOON - SHARE_MS_MAX - 1), None).await, "since: is more than 30 days ago");
        let longest = create(Some(NOON - SHARE_MS_MAX), Some(NOON + SHARE_MS_MAX)).await.unwrap().0;
        assert_eq!((longest.since, longest.expires), (NOON - SHARE_MS_MAX, NOON + SHARE_MS_MAX));
        for _ in 1..SHARES_MAX {
            create(None, None).await.unwrap();
        }
        let over = "the tenant may have 1000 links to devices and has 1000: delete some, or have the quota raised";
        refused(create(None, None).await, over);
        device(&catalog, "south", "1").await;
        let elsewhere = Access::owner("south");
        catalog.within(&elsewhere).create_share("1", NewShare::default()).await.unwrap();
        // Those that have ended make room.
        place.clock.set_now(NOON + SHARE_MS);
        create(None, None).await.unwrap();
        assert_eq!(north.shares("1").await.unwrap().len(), 2);
    });
}

#[test]
fn nobody_tries_many_links() {
    with_catalog(async |place, catalog| {
        device(&catalog, "north", "1").await;
        let owner = Access::owner("north");
        let (_, secret) = catalog.within(&owner).create_share("1", NewShare::default()).await.unwrap();
        let wrong = "odl_AAAAAAAAAAAAAAAAAAAAAA";
        let mut tried = 0;
        while catalog.shared(wrong, from("192.0.2.1")).await.is_ok() {
            tried += 1;
        }
        assert_eq!(tried, 60);
        refused(catalog.shared(wrong, from("192.0.2.1")).await, "that is asked for too often: try again in 5 s");
        refused(catalog.shared("none", from("192.0.2.1")).await, "that is asked for too often: try again in 5 s");
        // Whoever has a link is not in the way of those who have none, nor they in theirs; many at the same moment neither.
        let look = async || catalog.shared(secret.reveal(), from("192.0.2.1")).await;
        for _ in 0..60 {
            let ((a, b), (c, d)) =
                tokio::join!(async { tokio::join!(look(), look()) }, async { tokio::join!(look(), look()) });
            assert!([a, b, c, d].into_iter().all(|found| found.unwrap().is_some()));
        }
        assert!(look().await.is_err(), "240 at once");
        assert!(catalog.still_shared(secret.reveal()).await.unwrap().is_some(), "that does not count");
        place.clock.advance(std::time::Duration::from_millis(50));
        assert!(look().await.unwrap().is_some());
        assert!(look().await.is_err());
        place.clock.advance(std::time::Duration::from_secs(5));
        assert_eq!(catalog.shared(wrong, from("192.0.2.1")).await.unwrap(), None);
    });
}

#[test]
fn managers_see_all_links_to_the_devices_that_they_see_page_by_page() {
    with_catalog(async |place, catalog| {
        device(&catalog, "north", "1").await;
        device(&catalog, "north", "2").await;
        device(&catalog, "south", "1").await;
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let group = north.create_group("cold").await.unwrap().id;
        let grouped = DeviceFields { group: Some(Some(group.clone())), ..DeviceFields::default() };
        north.update_device("1", grouped).await.unwrap();
        let elsewhere = Access::owner("south");
        catalog.within(&elsewhere).create_share("1", NewShare::default()).await.unwrap();
        let (_, _, anna) = user(&catalog, "north", "anna", Role::Manager, Some(vec![group])).await;
        let create = async |access: &Access, device: &str| {
            catalog.within(access).create_share(device, NewShare::default()).await.unwrap().0
        };
        let mut made = vec![create(&anna, "1").await, create(&owner, "2").await];
        // Two of the same moment, and one that came later.
        made.sort_by(|a, b| a.id.cmp(&b.id));
        place.clock.advance(std::time::Duration::from_secs(1));
        made.insert(0, create(&owner, "1").await);
        let all = north.all_shares(None, 1000).await.unwrap();
        assert_eq!((&all.shares, &all.next), (&made, &None));
        let (mut paged, mut after) = (Vec::new(), None);
        for _ in 0..3 {
            let page = north.all_shares(after.as_deref(), 1).await.unwrap();
            assert_eq!(page.shares.len(), 1);
            paged.extend(page.shares);
            after = page.next;
        }
        assert_eq!((paged, after), (made.clone(), None));
        let seen = catalog.within(&anna).all_shares(None, 1000).await.unwrap().shares;
        assert_eq!(seen.iter().map(|share| share.device.as_str()).collect::<Vec<_>>(), ["1", "1"]);
        assert!(seen.iter().any(|share| share.created_by == "anna"));
        refused(north.all_shares(Some("x"), 1).await, "cursor: is not what the page before gave as the next one");
        place.clock.set_now(NOON + SHARE_MS);
        assert_eq!(north.all_shares(None, 1000).await.unwrap().shares, made[..1], "those that hold");
    });
}
