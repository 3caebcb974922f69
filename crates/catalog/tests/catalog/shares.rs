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
        let wait = "that is asked for too often: try again in 5 s";
        refused(catalog.shared(secret.reveal(), from("192.0.2.1")).await, wait);
        assert!(catalog.shared(secret.reveal(), from("192.0.2.2")).await.unwrap().is_some());
        place.clock.advance(std::time::Duration::from_secs(5));
        assert!(catalog.shared(secret.reveal(), from("192.0.2.1")).await.unwrap().is_some());
    });
}
