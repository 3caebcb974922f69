//! Saved queries: whose they are, who sees and changes them, and how many there can be.

use odograph_catalog::bounds::{QUERIES_BYTES_MAX, QUERIES_MAX, QUERY_BYTES_MAX};
use odograph_catalog::{
    Access, AuditFilter, Catalog, NewQuery, NewTenant, NewToken, QueryChange, Role, SavedQuery, TenantChange,
    UserChange,
};

use crate::support::{NOON, refused, user, with_catalog};

fn new(name: &str, sql: &str) -> NewQuery {
    NewQuery { name: name.into(), sql: sql.into() }
}

fn renamed(name: &str) -> QueryChange {
    QueryChange { name: Some(name.into()), ..QueryChange::default() }
}

/// The names of all, with a star where whoever asks may change it.
async fn names(catalog: &Catalog, access: &Access) -> Vec<String> {
    let all = catalog.within(access).queries().await.unwrap();
    all.into_iter().map(|query| query.name + if query.changeable { "*" } else { "" }).collect()
}

#[test]
fn a_query_is_saved_for_all_of_the_tenant_and_nobody_else() {
    with_catalog(async |place, catalog| {
        let (_, _, anna) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let (_, _, otto) = user(&catalog, "north", "otto", Role::Viewer, None).await;
        let made = catalog.within(&anna).create_query(new("Cold", "SELECT 1\nFROM last")).await.unwrap();
        let expected = SavedQuery {
            id: made.id.clone(),
            name: "Cold".into(),
            sql: "SELECT 1\nFROM last".into(),
            created_by: "anna".into(),
            created: NOON,
            updated: NOON,
            changeable: true,
        };
        assert_eq!(made, expected);
        assert_eq!(catalog.within(&anna).query(&made.id).await.unwrap(), expected);
        let seen = SavedQuery { changeable: false, ..expected.clone() };
        assert_eq!(catalog.within(&otto).queries().await.unwrap(), [seen]);
        let (_, _, zoe) = user(&catalog, "south", "zoe", Role::Owner, None).await;
        assert!(names(&catalog, &zoe).await.is_empty());
        // The same name is no other one's there.
        catalog.within(&zoe).create_query(new("Cold", "SELECT 2")).await.unwrap();
        place.clock.set_now(NOON + 5);
        let change = QueryChange { sql: Some("SELECT 3".into()), ..QueryChange::default() };
        let changed = catalog.within(&anna).update_query(&made.id, change).await.unwrap();
        assert_eq!(changed, SavedQuery { sql: "SELECT 3".into(), updated: NOON + 5, ..expected });
        assert_eq!(catalog.within(&zoe).queries().await.unwrap()[0].sql, "SELECT 2");
    });
}

#[test]
fn another_ones_query_is_changed_by_managers_and_owners_alone() {
    with_catalog(async |_, catalog| {
        let (anna, session, maker) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let (_, _, viewer) = user(&catalog, "north", "otto", Role::Viewer, None).await;
        let (_, _, manager) = user(&catalog, "north", "mia", Role::Manager, None).await;
        let owner = Access::owner("north");
        // A token that is called as she is, and she as somebody else: it is not the name that counts.
        let token = NewToken { name: "anna".into(), role: Role::Viewer, ..NewToken::default() };
        let (_, secret) = catalog.within(&owner).create_token(token).await.unwrap();
        let namesake = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        let made = catalog.within(&maker).create_query(new("Cold", "SELECT 1")).await.unwrap();
        for other in [&viewer, &namesake] {
            let within = catalog.within(other);
            refused(within.update_query(&made.id, renamed("Mine")).await, "this needs the role manager");
            refused(within.delete_query(&made.id).await, "this needs the role manager");
        }
        let change = UserChange { login: Some("anna.b".into()), ..UserChange::default() };
        catalog.within(&owner).update_user(&anna.id, change).await.unwrap();
        let maker = catalog.authenticate(session.reveal()).await.unwrap().unwrap();
        let changed = catalog.within(&maker).update_query(&made.id, renamed("Colder")).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.created_by.as_str()), ("Colder", "anna"));
        let changed = catalog.within(&manager).update_query(&made.id, renamed("Coldest")).await.unwrap();
        assert_eq!((changed.created_by.as_str(), changed.changeable), ("anna", true));
        let second = catalog.within(&manager).create_query(new("Warm", "SELECT 2")).await.unwrap();
        assert_eq!(names(&catalog, &maker).await, ["Coldest*", "Warm"]);
        assert_eq!(names(&catalog, &owner).await, ["Coldest*", "Warm*"]);
        catalog.within(&maker).delete_query(&made.id).await.unwrap();
        catalog.within(&owner).delete_query(&second.id).await.unwrap();
        refused(catalog.within(&maker).query(&made.id).await, &format!("there is no query {}", made.id));
        let filter = AuditFilter { kind: Some("query".into()), ..AuditFilter::default() };
        let log = catalog.within(&owner).audit(&filter).await.unwrap();
        let log: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor_name.as_str())).collect();
        let expected = [
            ("query.delete", ""),
            ("query.delete", "anna.b"),
            ("query.create", "mia"),
            ("query.update", "mia"),
            ("query.update", "anna.b"),
            ("query.create", "anna"),
        ];
        assert_eq!(log, expected);
    });
}

#[test]
fn whoever_sees_some_devices_only_has_no_part_in_them() {
    with_catalog(async |_, catalog| {
        let group = catalog.within(&Access::owner("north")).create_group("seen").await.unwrap().id;
        let (_, _, limited) = user(&catalog, "north", "mia", Role::Manager, Some(vec![group])).await;
        let needed = "this needs a role for all devices of the tenant, not for some groups";
        refused(catalog.within(&limited).queries().await, needed);
        refused(catalog.within(&limited).create_query(new("Cold", "SELECT 1")).await, needed);
    });
}

#[test]
fn what_a_query_cannot_be_is_said() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        let create = async |name: &str, sql: &str| north.create_query(new(name, sql)).await;
        refused(create("", "SELECT 1").await, "name: is empty");
        refused(create("a\nb", "SELECT 1").await, "name: has the character \\n in it, which cannot be seen");
        refused(create("Cold", " \n").await, "sql: is empty");
        let large = "x".repeat(QUERY_BYTES_MAX);
        refused(create("Cold", &format!("{large}x")).await, "sql: has 16385 bytes, at most 16384 are possible");
        let cold = create("Cold", &large).await.unwrap();
        refused(create("Cold", "SELECT 1").await, "there is a query Cold already");
        let warm = create("Warm", "SELECT 1").await.unwrap();
        refused(north.update_query(&warm.id, renamed("Cold")).await, "there is a query Cold already");
        north.update_query(&cold.id, renamed("Cold")).await.unwrap();
        // All together: 64 of the largest there can be.
        for number in 2..QUERIES_BYTES_MAX / 16384 {
            create(&format!("Large {number}"), &large).await.unwrap();
        }
        let over = |used: i64| {
            format!(
                "the tenant may have 1048576 bytes of saved queries and has {used}: delete some, or have the quota raised"
            )
        };
        refused(create("One more", &large).await, &over(63 * 16384 + 8));
        let larger = QueryChange { sql: Some(large), ..QueryChange::default() };
        north.update_query(&warm.id, larger).await.unwrap();
        refused(create("Last", "x").await, &over(QUERIES_BYTES_MAX));
    });
}

#[test]
fn a_tenant_has_so_many_at_most() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        for number in 0..QUERIES_MAX {
            north.create_query(new(&number.to_string(), "x")).await.unwrap();
        }
        let over = "the tenant may have 1000 saved queries and has 1000: delete some, or have the quota raised";
        refused(north.create_query(new("more", "x")).await, over);
        let elsewhere = Access::owner("south");
        let theirs = catalog.within(&elsewhere).create_query(new("more", "x")).await.unwrap();
        let all = north.queries().await.unwrap();
        assert_eq!(all.len(), 1000);
        north.delete_query(&all[0].id).await.unwrap();
        north.create_query(new("more", "x")).await.unwrap();
        assert_eq!(catalog.within(&elsewhere).queries().await.unwrap(), [theirs]);
    });
}

#[test]
fn queries_go_with_their_tenant() {
    with_catalog(async |_, catalog| {
        let (system, owner) = (Access::owner("default"), Access::owner("north"));
        catalog.within(&owner).create_query(new("Cold", "SELECT 1")).await.unwrap();
        let tenants = catalog.tenants(&system);
        let disable = TenantChange { disabled: Some(true), ..TenantChange::default() };
        tenants.update("north", disable).await.unwrap();
        tenants.delete("north").await.unwrap();
        tenants.create(NewTenant { id: "north".into(), ..NewTenant::default() }).await.unwrap();
        assert_eq!(catalog.within(&owner).queries().await.unwrap(), []);
    });
}
