//! Users, their own accounts, and the audit log.

use odograph_catalog::{Access, AccountChange, AuditFilter, NewUser, Role, UserChange};
use serde_json::json;

use crate::support::{NOON, PASSWORD, refused, user, with_catalog};

#[test]
fn users_are_made_changed_and_deleted() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north").from_peer("192.0.2.9".parse().unwrap());
        let within = catalog.within(&owner);
        let (one, two) = (within.create_group("one").await.unwrap().id, within.create_group("two").await.unwrap().id);
        let new = NewUser {
            login: "anna".into(),
            name: "Anna Müller".into(),
            email: "anna@example.org".into(),
            role: Role::Viewer,
            groups: Some(vec![one.clone(), two.clone()]),
            language: "de".into(),
            ..NewUser::default()
        };
        let anna = within.create_user(new.clone()).await.unwrap();
        assert_eq!(within.user(&anna.id).await.unwrap(), anna);
        assert_eq!(anna.groups, new.groups);
        refused(within.create_user(new.clone()).await, "the login anna is taken");
        // Logins are one for all tenants: nobody says at the door which tenant it is.
        let south = Access::owner("south");
        let everywhere = NewUser { groups: None, ..new };
        refused(catalog.within(&south).create_user(everywhere.clone()).await, "the login anna is taken");
        // A group of another tenant is none.
        let theirs = NewUser { login: "anne".into(), groups: Some(vec![one.clone()]), ..everywhere };
        refused(catalog.within(&south).create_user(theirs).await, &format!("there is no group {one}"));

        place.clock.set_now(NOON + 10);
        let to = UserChange {
            login: Some("Anne".into()),
            groups: Some(None),
            role: Some(Role::Manager),
            ..UserChange::default()
        };
        let changed = within.update_user(&anna.id, to).await.unwrap();
        assert_eq!((changed.login.as_str(), changed.role, &changed.groups), ("anne", Role::Manager, &None));
        assert_eq!(within.users().await.unwrap(), std::slice::from_ref(&changed));
        let otto = within.create_user(NewUser { login: "otto".into(), ..NewUser::default() }).await.unwrap();
        let to = UserChange { login: Some("anne".into()), ..UserChange::default() };
        refused(within.update_user(&otto.id, to).await, "the login anne is taken");
        within.delete_user(&anna.id).await.unwrap();
        refused(within.user(&anna.id).await, &format!("there is no user {}", anna.id));
        refused(within.delete_user(&anna.id).await, &format!("there is no user {}", anna.id));

        let filter = AuditFilter { object: Some(anna.id.clone()), ..AuditFilter::default() };
        let log = within.audit(&filter).await.unwrap();
        let shown: Vec<_> =
            log.iter().map(|entry| (entry.action.as_str(), entry.time, entry.peer.as_deref())).collect();
        let peer = Some("192.0.2.9");
        assert_eq!(
            shown,
            [("user.delete", NOON + 10, peer), ("user.update", NOON + 10, peer), ("user.create", NOON, peer)]
        );
        assert_eq!(log[1].was, Some(json!({"login": "anna", "role": "viewer", "groups": [one, two]})));
        assert_eq!(log[1].became, Some(json!({"login": "anne", "role": "manager", "groups": null})));
    });
}

#[test]
fn what_users_must_not_be_is_refused() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let new = |login: &str| NewUser { login: login.into(), ..NewUser::default() };
        refused(within.create_user(new("")).await, "login: is empty");
        refused(within.create_user(new("a b")).await, "login: has white space in it");
        let short = NewUser { password: Some("short".into()), ..new("anna") };
        refused(within.create_user(short).await, "password: has less than 8 characters");
        let limited = NewUser { role: Role::Owner, groups: Some(vec![]), ..new("anna") };
        refused(
            within.create_user(limited).await,
            "groups: an owner sees all devices: choose another role, or no groups",
        );
        let many = NewUser { groups: Some(vec![String::new(); 101]), ..new("anna") };
        refused(within.create_user(many).await, "groups: are 101, at most 100 are possible");
        let anna = within.create_user(new("anna")).await.unwrap();
        let long = UserChange { name: Some("x".repeat(201)), ..UserChange::default() };
        refused(within.update_user(&anna.id, long).await, "name: has 201 characters, at most 200 are possible");
        refused(within.set_password(&anna.id, Some("short")).await, "password: has less than 8 characters");
        assert_eq!(within.users().await.unwrap(), [anna]);
    });
}

#[test]
fn nobody_locks_themselves_out() {
    with_catalog(async |_, catalog| {
        let (anna, _, access) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let within = catalog.within(&access);
        let own = "this is your own account, and you would lock yourself out";
        let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
        refused(within.update_user(&anna.id, disabled).await, own);
        let weaker = UserChange { role: Some(Role::Manager), ..UserChange::default() };
        refused(within.update_user(&anna.id, weaker).await, own);
        refused(within.delete_user(&anna.id).await, own);
        let renamed = UserChange { name: Some("Anna".into()), ..UserChange::default() };
        assert_eq!(within.update_user(&anna.id, renamed).await.unwrap().name, "Anna");
    });
}

#[test]
fn users_look_after_their_own_account() {
    with_catalog(async |_, catalog| {
        let (anna, first, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let within = catalog.within(&access);
        let to = AccountChange { name: Some("Anna".into()), language: Some("de".into()), email: None };
        let changed = within.update_account(to).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.language.as_str(), &changed.login), ("Anna", "de", &anna.login));

        let (second, _) = catalog.login("anna", PASSWORD, None, None).await.unwrap();
        refused(within.change_password("wrong", "another horse").await, "password: is not the one of this account");
        refused(within.change_password(PASSWORD, "short").await, "password: has less than 8 characters");
        within.change_password(PASSWORD, "another horse").await.unwrap();
        assert!(catalog.authenticate(first.reveal()).await.unwrap().is_some());
        assert_eq!(catalog.authenticate(second.reveal()).await.unwrap(), None);
        assert!(catalog.login("anna", PASSWORD, None, None).await.is_err());
        let (third, _) = catalog.login("anna", "another horse", None, None).await.unwrap();

        let sessions = within.sessions().await.unwrap();
        let other = sessions.iter().find(|session| !session.current).unwrap();
        assert_eq!(sessions.len(), 2);
        within.end_session(&other.id).await.unwrap();
        assert_eq!(catalog.authenticate(third.reveal()).await.unwrap(), None);
        refused(within.end_session(&other.id).await, &format!("there is no session {}", other.id));
    });
}

#[test]
fn who_guesses_the_own_password_must_wait() {
    with_catalog(async |_, catalog| {
        let (_, _, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let mut refusals = Vec::new();
        for _ in 0..60 {
            refusals.push(catalog.within(&access).remove_totp("wrong").await.unwrap_err().to_string());
        }
        assert_eq!(refusals.iter().filter(|text| *text == "password: is not the one of this account").count(), 50);
        assert_eq!(refusals[50], "too many attempts failed: try again in 10 s");
    });
}

#[test]
fn the_audit_log_has_pages_and_no_secrets() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        for number in 0..5 {
            place.clock.set_now(NOON + number);
            let new = NewUser { login: format!("user{number}"), password: Some(PASSWORD.into()), ..NewUser::default() };
            within.create_user(new).await.unwrap();
        }
        let seqs = async |filter: AuditFilter| {
            let log = within.audit(&filter).await.unwrap();
            log.iter().map(|entry| entry.seq).collect::<Vec<_>>()
        };
        let all = AuditFilter::default;
        assert_eq!(seqs(all()).await, [5, 4, 3, 2, 1]);
        assert_eq!(seqs(AuditFilter { limit: Some(2), ..all() }).await, [5, 4]);
        assert_eq!(seqs(AuditFilter { limit: Some(2), before: Some(4), ..all() }).await, [3, 2]);
        assert_eq!(seqs(AuditFilter { from: Some(NOON + 1), to: Some(NOON + 3), ..all() }).await, [3, 2]);
        assert_eq!(seqs(AuditFilter { kind: Some("token".into()), ..all() }).await, [0; 0]);
        assert_eq!(seqs(AuditFilter { actor_id: Some("x".into()), ..all() }).await, [0; 0]);
        let text = format!("{:?}", within.audit(&all()).await.unwrap());
        assert!(!text.contains("argon2") && !text.contains(PASSWORD), "{text}");
    });
}
