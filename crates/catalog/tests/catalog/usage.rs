//! How much tenants used.

use odograph_catalog::{Access, Quotas, Role, Scope, TenantChange, UsageDay, UsageOfNode, UsageState};

use crate::support::{NOON, refused, user, with_catalog};

const TODAY: i64 = NOON / (24 * 60 * 60 * 1000);

fn counted(tenant: &str, day: i64, node: u16, messages: i64, storage_bytes: Option<i64>) -> UsageOfNode {
    let (records, bytes_in, bytes_out, devices) = (messages * 2, messages * 100, messages * 4, messages / 2);
    UsageOfNode { tenant: tenant.into(), day, node, messages, records, bytes_in, bytes_out, devices, storage_bytes }
}

fn day(day: i64, messages: i64, devices: i64, storage_bytes: Option<i64>) -> UsageDay {
    let (records, bytes_in, bytes_out) = (messages * 2, messages * 100, messages * 4);
    UsageDay { day, messages, records, bytes_in, bytes_out, devices, storage_bytes }
}

#[test]
fn saying_it_twice_or_late_changes_nothing_and_nodes_add_up() {
    with_catalog(async |_, catalog| {
        let first = [counted("north", TODAY, 0, 10, Some(500)), counted("south", TODAY, 0, 3, None)];
        assert_eq!(catalog.keep_usage(&first).await.expect("kept"), []);
        let more = counted("north", TODAY, 0, 20, None);
        catalog.keep_usage(std::slice::from_ref(&more)).await.expect("kept");
        catalog.keep_usage(&first).await.expect("kept, and late");
        catalog.keep_usage(&[counted("north", TODAY, 1, 5, Some(70))]).await.expect("kept");
        catalog.keep_usage(&[counted("north", TODAY - 2, 0, 8, Some(400))]).await.expect("kept");
        let nobody = counted("nobody", TODAY, 0, 1, None);
        assert_eq!(catalog.keep_usage(std::slice::from_ref(&nobody)).await.expect("kept"), [nobody]);
        let owner = Access::owner("north");
        let used = catalog.within(&owner).usage(TODAY - 5, TODAY + 1).await.expect("usage");
        assert_eq!(used, [day(TODAY - 2, 8, 4, Some(400)), day(TODAY, 25, 12, Some(500))]);
        assert_eq!(catalog.within(&owner).usage(TODAY - 1, TODAY).await.expect("usage"), []);
        let elsewhere = catalog.usage_elsewhere(0, TODAY).await.expect("sums");
        assert_eq!(elsewhere.into_iter().collect::<Vec<_>>(), [("north".to_owned(), (5, 70))]);
    });
}

#[test]
fn quotas_are_within_near_and_reached() {
    with_catalog(async |_, catalog| {
        let quotas = Quotas { devices_max: None, messages_per_day_max: Some(10), storage_bytes_max: Some(1000) };
        let change = TenantChange { quotas: Some(quotas), ..TenantChange::default() };
        let owner = Access::owner("north");
        catalog.tenants(&owner).update("north", change).await.expect("changed");
        let standings = async || catalog.within(&owner).standings().await.expect("standings");
        let states = async || {
            let now = standings().await;
            (now.devices.state, now.messages_per_day.state, now.storage_bytes.state)
        };
        let (within, near, reached) = (UsageState::Within, UsageState::Near, UsageState::Reached);
        assert_eq!(states().await, (within, within, within));
        catalog.keep_usage(&[counted("north", TODAY, 0, 8, Some(1000))]).await.expect("kept");
        assert_eq!(states().await, (within, near, reached));
        catalog.keep_usage(&[counted("north", TODAY, 0, 10, Some(799))]).await.expect("kept");
        assert_eq!(states().await, (within, reached, within));
        assert_eq!((standings().await.messages_per_day.used, standings().await.storage_bytes.max), (10, Some(1000)));
    });
}

#[test]
fn usage_is_for_owners_and_for_those_who_manage_tenants() {
    with_catalog(async |_, catalog| {
        catalog.keep_usage(&[counted("north", TODAY, 0, 8, None)]).await.expect("kept");
        let (_, _, manager) = user(&catalog, "north", "mia", Role::Manager, None).await;
        let (_, _, owner) = user(&catalog, "north", "otto", Role::Owner, None).await;
        let (_, _, other) = user(&catalog, "south", "sue", Role::Owner, None).await;
        let used = async |access: &Access| catalog.tenants(access).usage_of("north", TODAY, TODAY + 1).await;
        refused(used(&manager).await, "this needs the role owner");
        refused(used(&other).await, "there is no tenant north");
        assert_eq!(used(&owner).await.expect("usage").0, [day(TODAY, 8, 4, None)]);
        let scope = Scope { tenant: "default".into(), groups: None };
        let system = Access { scope, ..Access::owner("default") };
        assert_eq!(used(&system).await.expect("usage").0, [day(TODAY, 8, 4, None)]);
        refused(catalog.within(&owner).usage(0, 4001).await, "to: is more than 4000 days behind from");
    });
}
