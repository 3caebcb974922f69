//! Tenants, who manages them, and what a new process finds.

use std::sync::{Arc, Mutex};

use odograph_catalog::{
    Access, Catalog, DeviceFields, KeptOut, NewTenant, NewToken, NewUser, Quotas, Role, TenantChange,
};

use crate::support::{NOON, PASSWORD, on_both, refused, user, with_catalog};

fn ids(tenants: &[odograph_catalog::Tenant]) -> Vec<&str> {
    tenants.iter().map(|tenant| tenant.id.as_str()).collect()
}

#[test]
fn tenants_are_managed_by_those_who_may() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("default");
        let tenants = catalog.tenants(&owner);
        assert_eq!(ids(&tenants.list().await.unwrap()), ["default", "north", "south"]);
        let quotas = Quotas { devices_max: Some(10), ..Quotas::default() };
        let new = NewTenant { id: "Западный".into(), name: String::new(), quotas, adopt: false };
        let made = tenants.create(new.clone()).await.unwrap();
        assert_eq!((made.name.as_str(), made.created, made.disabled, made.quotas), ("Западный", NOON, None, quotas));
        assert_eq!(tenants.get("Западный").await.unwrap(), made);
        refused(tenants.create(new).await, "the tenant Западный exists already");
        let odd = NewTenant { id: "a b".into(), ..NewTenant::default() };
        refused(tenants.create(odd).await, "id: has white space in it");
        let long = NewTenant { id: "Ж".repeat(64), ..NewTenant::default() };
        refused(tenants.create(long).await, &format!("id: {TOO_LONG}"));

        let to = TenantChange { name: Some("West".into()), quotas: Some(Quotas::default()), disabled: None };
        let changed = tenants.update("Западный", to).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.quotas), ("West", Quotas::default()));
        let negative = Quotas { storage_bytes_max: Some(-1), ..Quotas::default() };
        let to = TenantChange { quotas: Some(negative), ..TenantChange::default() };
        refused(tenants.update("Западный", to).await, "storage_bytes_max: is negative");
        refused(tenants.delete("Западный").await, "the tenant Западный is in use: disable it first");
        let disable = TenantChange { disabled: Some(true), ..TenantChange::default() };
        place.clock.set_now(NOON + 5);
        assert_eq!(tenants.update("Западный", disable.clone()).await.unwrap().disabled, Some(NOON + 5));
        tenants.delete("Западный").await.unwrap();
        refused(tenants.get("Западный").await, "there is no tenant Западный");
        let own = "you are in this tenant, and would lock yourself out";
        refused(tenants.update("default", disable).await, own);

        let log = catalog.within(&owner).audit(&Default::default()).await.unwrap();
        let shown: Vec<_> = log.iter().rev().map(|entry| (entry.action.as_str(), entry.object.as_str())).collect();
        let west = "Западный";
        let expected = [
            ("tenant.create", "north"),
            ("tenant.create", "south"),
            ("tenant.create", west),
            ("tenant.update", west),
            ("tenant.update", west),
            ("tenant.delete", west),
        ];
        assert_eq!(shown, expected);
        let renamed = log.iter().rev().nth(3).unwrap();
        assert_eq!(renamed.was, Some(serde_json::json!({"name": west, "devices_max": 10})));
        assert_eq!(renamed.became, Some(serde_json::json!({"name": "West", "devices_max": null})));
    });
}

#[test]
fn a_tenant_that_has_devices_is_erased_and_not_deleted() {
    with_catalog(async |_, catalog| {
        let (owner, north) = (Access::owner("default"), Access::owner("north"));
        let (tenants, within) = (catalog.tenants(&owner), catalog.within(&north));
        for id in ["1", "2"] {
            within.create_device(vec![id.into(), format!("{id}-too")], DeviceFields::default()).await.unwrap();
        }
        let disable = TenantChange { disabled: Some(true), ..TenantChange::default() };
        tenants.update("north", disable).await.unwrap();
        let has = |devices: usize| {
            format!(
                "the tenant north has {devices} devices: delete them first, or erase it with all that they sent \
                 (`odograph tenant erase north`)"
            )
        };
        refused(tenants.delete("north").await, &has(2));
        within.delete_device("2").await.unwrap();
        refused(tenants.delete("north").await, &has(1));
        // What is being erased is nobody's any more.
        let going = Arc::new(Mutex::new(Vec::new()));
        let now = going.clone();
        catalog.keep_out(move || now.lock().unwrap().clone());
        let of = |tenant: &str, ids: Option<&[&str]>| KeptOut {
            tenant: tenant.into(),
            ids: ids.map(|ids| ids.iter().map(ToString::to_string).collect()),
        };
        *going.lock().unwrap() = vec![of("south", None), of("south", Some(&["1"])), of("north", Some(&["2", "2-too"]))];
        refused(tenants.delete("north").await, &has(1));
        *going.lock().unwrap() = vec![of("north", Some(&["1", "1-too"]))];
        tenants.delete("north").await.unwrap();
        refused(tenants.get("north").await, "there is no tenant north");
        // Whoever erases it has it go as it is.
        let south = Access::owner("south");
        catalog.within(&south).create_device(vec!["1".into()], DeviceFields::default()).await.unwrap();
        tenants.erase("south").await.unwrap();
        refused(tenants.get("south").await, "there is no tenant south");
        refused(tenants.erase("south").await, "there is no tenant south");
        let (_, _, others) = user(&catalog, "default", "otto", Role::Owner, None).await;
        refused(catalog.tenants(&others).erase("default").await, "this needs the right to manage tenants");
    });
}

#[test]
fn what_history_has_of_a_tenant_is_not_the_next_ones_unless_that_is_said() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("default");
        let tenants = catalog.tenants(&owner);
        catalog.ask_history(|tenant| {
            let told = match tenant {
                "west" | "north" => Ok(true),
                "far" => Err("the store is out of reach".to_owned()),
                _ => Ok(false),
            };
            Box::pin(async move { told })
        });
        let new = |id: &str, adopt| NewTenant { id: id.into(), adopt, ..NewTenant::default() };
        let adopt = "(`odograph tenant create --adopt`, `\"adopt\": true` in the API)";
        let kept = format!(
            "history has what was sent to a tenant west before: erase that first (`odograph tenant erase west`), choose another id, or \
             say that the new tenant has it {adopt}"
        );
        refused(tenants.create(new("west", false)).await, &kept);
        let unknown = format!(
            "it cannot be told whether history has what was sent to a tenant far before: the store is out of reach. Try again later, or \
             say that the new tenant has it if there is some {adopt}"
        );
        refused(tenants.create(new("far", false)).await, &unknown);
        refused(tenants.create(new("north", false)).await, "the tenant north exists already");
        refused(tenants.create(new("north", true)).await, "the tenant north exists already");
        for (id, adopt) in [("west", true), ("far", true), ("east", false)] {
            assert_eq!(tenants.create(new(id, adopt)).await.unwrap().id, id);
        }
        // Whoever may not make any is not told what there was.
        let (_, _, anna) = user(&catalog, "south", "anna", Role::Owner, None).await;
        let needed = "this needs the right to manage tenants";
        refused(catalog.tenants(&anna).create(new("west", false)).await, needed);
    });
}

#[test]
fn a_tenant_of_the_configuration_has_what_history_has() {
    with_catalog(async |_, catalog| {
        // As after a catalog was lost, or put back to an earlier moment.
        catalog.ask_history(|_| Box::pin(async { Ok(true) }));
        assert!(catalog.ensure_tenant("west").await.unwrap());
    });
}

#[test]
fn nobody_disables_the_own_tenant_or_that_of_all_who_manage_tenants() {
    with_catalog(async |_, catalog| {
        let (default, south) = (Access::owner("default"), Access::owner("south"));
        let disable = || TenantChange { disabled: Some(true), ..TenantChange::default() };
        let password = catalog.ensure_admin(None).await.unwrap().unwrap();
        let (_, admin) = catalog.login("admin", password.reveal(), None, None).await.unwrap();
        let new = NewToken { name: "all".into(), role: Role::Owner, system: true, ..NewToken::default() };
        let (_, secret) = catalog.within(&default).create_token(new).await.unwrap();
        let program = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        for access in [admin, program] {
            // Whichever tenant they have entered.
            let inside = catalog.enter(&access, "north").await.unwrap();
            let own = "you are in this tenant, and would lock yourself out";
            refused(catalog.tenants(&access).update("default", disable()).await, own);
            refused(catalog.tenants(&inside).update("default", disable()).await, own);
            let done = catalog.tenants(&inside).update("north", disable()).await.unwrap();
            assert!(done.disabled.is_some());
        }
        let last = |tenant: &str| {
            format!(
                "nobody could manage tenants any more: all users who may and can sign in are in the tenant {tenant}. Give somebody in \
                 another tenant the right first"
            )
        };
        refused(catalog.tenants(&south).update("default", disable()).await, &last("default"));
        // Without a password nobody can sign in.
        let new = NewUser { login: "otto".into(), role: Role::Owner, system: true, ..NewUser::default() };
        let otto = catalog.within(&south).create_user(new).await.unwrap();
        refused(catalog.tenants(&south).update("default", disable()).await, &last("default"));
        catalog.within(&south).set_password(&otto.id, Some(PASSWORD)).await.unwrap();
        assert!(catalog.tenants(&south).update("default", disable()).await.unwrap().disabled.is_some());
        refused(catalog.tenants(&default).update("south", disable()).await, &last("south"));
    });
}

#[test]
fn others_see_their_own_tenant_alone() {
    with_catalog(async |_, catalog| {
        let (_, _, access) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let tenants = catalog.tenants(&access);
        assert_eq!(ids(&tenants.list().await.unwrap()), ["north"]);
        assert_eq!(tenants.get("north").await.unwrap().id, "north");
        let to = TenantChange::default();
        for other in ["south", "unknown"] {
            let none = format!("there is no tenant {other}");
            refused(tenants.get(other).await, &none);
            refused(tenants.update(other, to.clone()).await, &none);
            refused(tenants.delete(other).await, &none);
            refused(catalog.enter(&access, other).await, &none);
        }
        let needed = "this needs the right to manage tenants";
        refused(tenants.update("north", to).await, needed);
        refused(tenants.delete("north").await, needed);
        refused(tenants.create(NewTenant { id: "west".into(), ..NewTenant::default() }).await, needed);
        assert_eq!(catalog.enter(&access, "north").await.unwrap(), access);
    });
}

#[test]
fn who_manages_tenants_enters_them() {
    with_catalog(async |_, catalog| {
        let password = catalog.ensure_admin(None).await.unwrap();
        assert!(password.is_some());
        let (_, admin) = catalog.login("admin", password.unwrap().reveal(), None, None).await.unwrap();
        let inside = catalog.enter(&admin, "north").await.unwrap();
        assert_eq!((inside.scope.tenant.as_str(), inside.role), ("north", Role::Owner));
        let new = NewUser { login: "anna".into(), password: Some(PASSWORD.into()), ..NewUser::default() };
        catalog.within(&inside).create_user(new).await.unwrap();
        let log = catalog.within(&inside).audit(&Default::default()).await.unwrap();
        assert_eq!((log[0].actor_name.as_str(), log[0].action.as_str()), ("admin", "user.create"));
        refused(catalog.enter(&admin, "west").await, "there is no tenant west");
        // The account is in the other tenant.
        let foreign = "this is for users who have signed in, not for tokens";
        refused(catalog.within(&inside).account().await, foreign);
    });
}

#[test]
fn only_who_manages_tenants_hands_that_on() {
    with_catalog(async |_, catalog| {
        let (_, _, anna) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let needed = "this needs the right to manage tenants";
        let new = NewUser { login: "otto".into(), system: true, ..NewUser::default() };
        refused(catalog.within(&anna).create_user(new.clone()).await, needed);
        let token = NewToken { name: "all".into(), system: true, ..NewToken::default() };
        refused(catalog.within(&anna).create_token(token.clone()).await, needed);

        let system = Access::owner("north");
        let otto = catalog.within(&system).create_user(new).await.unwrap();
        let (token, secret) = catalog.within(&system).create_token(token).await.unwrap();
        assert!(catalog.authenticate(secret.reveal()).await.unwrap().unwrap().system);
        // An owner who may not manage tenants cannot take over one who may.
        let within = catalog.within(&anna);
        refused(within.set_password(&otto.id, Some("mine now!")).await, needed);
        refused(within.clear_totp(&otto.id).await, needed);
        refused(within.update_user(&otto.id, Default::default()).await, needed);
        refused(within.delete_user(&otto.id).await, needed);
        refused(within.revoke_token(&token.id).await, needed);
    });
}

#[test]
fn a_tenant_of_the_configuration_is_made_once() {
    with_catalog(async |_, catalog| {
        assert!(catalog.ensure_tenant("west").await.unwrap());
        assert!(!catalog.ensure_tenant("west").await.unwrap());
        refused(catalog.ensure_tenant("a\nb").await, "tenant: has the character \\n in it, which cannot be seen");
        refused(catalog.ensure_tenant(&"Ж".repeat(64)).await, &format!("tenant: {TOO_LONG}"));
        let both = futures::future::join(catalog.ensure_tenant("east"), catalog.ensure_tenant("east")).await;
        assert_eq!(i32::from(both.0.unwrap()) + i32::from(both.1.unwrap()), 1);
    });
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    on_both(async |place| {
        let catalog = place.open().await;
        let password = catalog.ensure_admin(None).await.unwrap().unwrap();
        // As after a crash: nothing was closed.
        let again = place.open().await;
        let (secret, _) = again.login("admin", password.reveal(), None, None).await.unwrap();
        again.close().await;
        assert!(catalog.authenticate(secret.reveal()).await.unwrap().is_some());
        catalog.close().await;
        assert!(catalog.authenticate(secret.reveal()).await.is_err());
        let third = place.open().await;
        assert!(third.authenticate(secret.reveal()).await.unwrap().is_some());
        assert_eq!(third.ensure_admin(None).await.unwrap(), None);
    });
}

#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    on_both(async |place| {
        if !place.is_sqlite() {
            return;
        }
        let catalog = place.open().await;
        catalog.ensure_admin(None).await.unwrap();
        let entries = std::fs::read_dir(place.folder.path()).unwrap().map(Result::unwrap);
        let mut modes: Vec<_> = entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777)
            })
            .collect();
        modes.sort();
        let names = ["cata?log#1.sqlite", "cata?log#1.sqlite-shm", "cata?log#1.sqlite-wal"];
        assert_eq!(modes, names.map(|name| (name.to_owned(), 0o600)));
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    on_both(async |place| {
        let open = async |url: &str| {
            let clock = std::sync::Arc::new(place.clock.clone());
            Catalog::open(url, clock, place.rng.clone()).await.map(drop)
        };
        let missing = place.folder.path().join("missing").join("catalog.sqlite");
        refused(open(&format!("sqlite:{}", missing.display())).await, &format!("cannot make {}", missing.display()));
        let expected = "mysql://…@host/x is no address of a catalog: it begins neither with sqlite: nor with postgres:";
        refused(open("mysql://me:secret@host/x").await, expected);
        refused(open("sqlite:").await, "sqlite: is no address of a catalog: a path follows the colon");
        let text = place.folder.path().join("text");
        std::fs::write(&text, "x".repeat(5000)).unwrap();
        let error = open(&format!("sqlite:{}", text.display())).await.unwrap_err();
        let cause = std::error::Error::source(&error).expect("it has a cause").to_string();
        assert_eq!(error.to_string(), "cannot open the catalog");
        assert!(cause.contains("file is not a database"), "{cause}");
        let nobody = open("postgres://me@127.0.0.1:1/x").await.unwrap_err();
        let cause = std::error::Error::source(&nobody).expect("it has a cause").to_string();
        assert!(cause.contains("refused"), "{cause}");
    });
}

#[test]
fn many_that_begin_at_once_on_an_empty_folder_find_one_catalog() {
    for _ in 0..ROUNDS {
        on_both(async |place| {
            // Each with connections and a thread of its own, as processes have.
            let begin = || {
                let (url, clock, rng) = (place.url.clone(), place.clock.clone(), place.rng.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let catalog = Catalog::open(&url, Arc::new(clock), rng).await.unwrap();
                        let made = catalog.ensure_tenant("default").await.unwrap();
                        catalog.close().await;
                        made
                    })
                })
            };
            let all: Vec<_> = (0..AT_ONCE).map(|_| begin()).collect();
            let made = all.into_iter().map(|one| one.join().unwrap()).filter(|made| *made);
            assert_eq!(made.count(), 1);
        });
    }
}

/// Where nothing keeps them apart, two meet in one of a few rounds.
const ROUNDS: usize = 20;
const AT_ONCE: usize = 4;

const TOO_LONG: &str = "has 128 bytes, at most 126 are possible: history has a folder of that name";
