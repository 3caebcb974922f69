//! Passwords, second factors, sessions, tokens.

use std::time::Duration;

use odograph_catalog::bounds::{TOKENS_KEPT_MAX, TOKENS_KEPT_MS, TOKENS_MAX};
use odograph_catalog::{
    Access, Actor, Catalog, LoginError, NewToken, NewUser, Role, SESSION_IDLE_MS, SESSION_MS, TenantChange, UserChange,
};
use sqlx::Connection as _;
use totp_rs::{Builder, Secret as TotpSecret};

use crate::carried::connect;
use crate::support::{NOON, PASSWORD, Place, on_both, refused, user, with_catalog};

/// What somebody who signs in is told.
async fn told(catalog: &Catalog, login: &str, password: &str, code: Option<&str>) -> String {
    let peer = "192.0.2.1".parse().unwrap();
    match catalog.login(login, password, code, Some(peer)).await {
        Ok(_) => "welcome".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn code(secret: &str, at: i64) -> String {
    let secret = TotpSecret::try_from_base32(secret).unwrap();
    Builder::new().with_secret(secret).build().unwrap().generate(u64::try_from(at / 1000).unwrap()).to_string()
}

const WRONG: &str = "wrong login or password";

#[test]
fn the_first_start_makes_an_admin() {
    on_both(async |place| {
        let catalog = place.open().await;
        let password = catalog.ensure_admin(None).await.unwrap().expect("a password is made");
        assert_eq!(catalog.ensure_admin(None).await.unwrap(), None);
        assert_eq!(catalog.ensure_admin(Some("another")).await.unwrap(), None);
        let (_, access) = catalog.login("admin", password.reveal(), None, None).await.unwrap();
        assert_eq!((access.scope.tenant.as_str(), access.role, access.system), ("default", Role::Owner, true));
        assert_eq!(told(&catalog, "admin", "another", None).await, WRONG);
        let log = catalog.within(&access).audit(&Default::default()).await.unwrap();
        let shown: Vec<_> =
            log.iter().map(|entry| (entry.seq, entry.action.as_str(), entry.actor_kind.as_str())).collect();
        assert_eq!(shown, [(2, "session.begin", "user"), (1, "user.create", "owner")]);
    });
}

#[test]
fn the_operator_may_choose_any_password_for_the_admin() {
    on_both(async |place| {
        let catalog = place.open().await;
        refused(catalog.ensure_admin(Some("")).await, "password: has less than 8 characters");
        assert_eq!(catalog.ensure_admin(Some("short")).await.unwrap(), None);
        assert_eq!(told(&catalog, "admin", "short", None).await, "welcome");
    });
}

#[test]
fn a_session_says_who_asks() {
    with_catalog(async |_, catalog| {
        let new = NewUser {
            login: "Anna@Example.org".into(),
            password: Some(PASSWORD.into()),
            role: Role::Manager,
            ..NewUser::default()
        };
        let made = catalog.within(&Access::owner("north")).create_user(new).await.unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        let (secret, access) = catalog.login(" anna@EXAMPLE.org", PASSWORD, None, Some(peer)).await.unwrap();
        assert!(secret.reveal().starts_with("ods_"));
        let Actor::User { id, login, tenant, session } = &access.actor else { panic!("a user has signed in") };
        assert_eq!((id, login.as_str(), tenant.as_str()), (&made.id, "anna@example.org", "north"));
        assert_eq!((access.role, access.system, access.peer), (Role::Manager, false, Some(peer)));
        let again = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        assert_eq!(again.from_peer(peer), access);
        let sessions = catalog.within(&access).sessions().await.unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(
            (&sessions[0].id, sessions[0].current, sessions[0].peer.as_deref()),
            (session, true, Some("192.0.2.1"))
        );
        assert_eq!((sessions[0].created, sessions[0].expires), (NOON, NOON + SESSION_MS));
        assert_eq!(catalog.within(&access).account().await.unwrap().last_login, Some(NOON));
        assert!(catalog.logout(secret.reveal()).await.unwrap());
        assert!(!catalog.logout(secret.reveal()).await.unwrap());
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
    });
}

#[test]
fn sessions_expire() {
    with_catalog(async |place, catalog| {
        let (_, secret, _) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let holds = async |at: i64| {
            place.clock.set_now(at);
            catalog.authenticate(secret.reveal()).await.unwrap().is_some()
        };
        // Used, it lasts on, but not for ever.
        let mut at = NOON;
        while at + SESSION_IDLE_MS - 1 < NOON + SESSION_MS {
            at += SESSION_IDLE_MS - 1;
            assert!(holds(at).await);
        }
        assert!(holds(NOON + SESSION_MS - 1).await);
        assert!(!holds(NOON + SESSION_MS).await);
        place.clock.set_now(NOON);
        let (_, secret, _) = user(&catalog, "north", "otto", Role::Viewer, None).await;
        place.clock.set_now(NOON + SESSION_IDLE_MS);
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
    });
}

#[test]
fn a_use_is_written_down_once_a_minute() {
    with_catalog(async |place, catalog| {
        let (_, secret, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let used_at = async |at: i64| {
            place.clock.set_now(at);
            catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
            catalog.within(&access).sessions().await.unwrap()[0].last_used
        };
        assert_eq!(used_at(NOON + 59_999).await, NOON);
        assert_eq!(used_at(NOON + 60_000).await, NOON + 60_000);
        assert_eq!(used_at(NOON + 100_000).await, NOON + 60_000);
    });
}

#[test]
fn what_is_no_secret_is_nobody() {
    with_catalog(async |_, catalog| {
        let (_, secret, _) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let long = format!("odo_{}", "x".repeat(200));
        let other = secret.reveal().replace("ods_", "odo_");
        for text in ["", "ods_", "odo_", "anna", &secret.reveal()[4..], &long, &other] {
            assert_eq!(catalog.authenticate(text).await.unwrap(), None, "{text}");
        }
    });
}

#[test]
fn wrong_is_wrong_whatever_it_was() {
    with_catalog(async |_, catalog| {
        user(&catalog, "north", "anna", Role::Viewer, None).await;
        let passwordless = NewUser { login: "bot".into(), ..NewUser::default() };
        catalog.within(&Access::owner("north")).create_user(passwordless).await.unwrap();
        let long = "x".repeat(10_000);
        for (login, password) in [
            ("anna", "correct horsf"),
            ("anna", ""),
            ("anna", &long),
            ("nobody", PASSWORD),
            ("bot", PASSWORD),
            ("bot", ""),
            (&long, PASSWORD),
            ("", PASSWORD),
            ("an\0na", PASSWORD),
        ] {
            assert_eq!(told(&catalog, login, password, None).await, WRONG);
        }
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "welcome");
    });
}

#[test]
fn too_many_failures_must_wait() {
    with_catalog(async |place, catalog| {
        user(&catalog, "north", "anna", Role::Viewer, None).await;
        for login in ["anna", "nobody"] {
            for _ in 0..10 {
                assert_eq!(told(&catalog, login, "wrong", None).await, WRONG);
            }
            assert_eq!(told(&catalog, login, PASSWORD, None).await, "too many attempts failed: try again in 30 s");
        }
        place.clock.advance(Duration::from_secs(30));
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "welcome");
    });
}

#[test]
fn disabled_users_and_tenants_are_out_at_once() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let (anna, session, _) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let new = NewToken { name: "reports".into(), ..NewToken::default() };
        let (_, token) = catalog.within(&owner).create_token(new).await.unwrap();
        let who = async |secret: &str| catalog.authenticate(secret).await.unwrap().is_some();

        let disabled = |disabled| UserChange { disabled: Some(disabled), ..UserChange::default() };
        catalog.within(&owner).update_user(&anna.id, disabled(true)).await.unwrap();
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "this account is disabled");
        assert_eq!(told(&catalog, "anna", "wrong", None).await, WRONG);
        assert_eq!((who(session.reveal()).await, who(token.reveal()).await), (false, true));
        catalog.within(&owner).update_user(&anna.id, disabled(false)).await.unwrap();
        // Its sessions were ended.
        assert!(!who(session.reveal()).await);
        let (session, _) = catalog.login("anna", PASSWORD, None, None).await.unwrap();

        let tenants = Access::owner("default");
        let disabled = |disabled| TenantChange { disabled: Some(disabled), ..TenantChange::default() };
        catalog.tenants(&tenants).update("north", disabled(true)).await.unwrap();
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "this account is disabled");
        assert_eq!((who(session.reveal()).await, who(token.reveal()).await), (false, false));
        catalog.tenants(&tenants).update("north", disabled(false)).await.unwrap();
        assert_eq!((who(session.reveal()).await, who(token.reveal()).await), (true, true));
    });
}

#[test]
fn a_role_that_is_taken_away_is_gone_at_once() {
    with_catalog(async |_, catalog| {
        let (anna, secret, _) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let to = UserChange { role: Some(Role::Viewer), groups: Some(Some(vec![])), ..UserChange::default() };
        catalog.within(&Access::owner("north")).update_user(&anna.id, to).await.unwrap();
        let access = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        assert_eq!((access.role, access.scope.groups), (Role::Viewer, Some(vec![])));
    });
}

#[test]
fn a_user_has_so_many_sessions() {
    with_catalog(async |place, catalog| {
        let (_, first, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        for _ in 0..odograph_catalog::bounds::SESSIONS_MAX {
            place.clock.advance(Duration::from_secs(1));
            catalog.login("anna", PASSWORD, None, None).await.unwrap();
        }
        let sessions = catalog.within(&access).sessions().await.unwrap();
        assert_eq!(i64::try_from(sessions.len()).unwrap(), odograph_catalog::bounds::SESSIONS_MAX);
        assert_eq!(catalog.authenticate(first.reveal()).await.unwrap(), None);
    });
}

#[test]
fn a_second_factor_is_asked_for() {
    with_catalog(async |place, catalog| {
        let (_, _, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let within = catalog.within(&access);
        refused(within.confirm_totp("123456").await, "no second factor is being set up");
        let offer = within.offer_totp().await.unwrap();
        let secret = offer.secret.reveal();
        // An offer alone changes nothing.
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "welcome");
        refused(within.confirm_totp("000000").await, "code: is not the one that the authenticator shows now");
        within.confirm_totp(&code(secret, NOON)).await.unwrap();
        assert!(within.account().await.unwrap().totp);
        refused(within.offer_totp().await, "there is a second factor already: remove it first");

        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "the code of the authenticator is needed");
        assert_eq!(told(&catalog, "anna", "wrong", Some(&code(secret, NOON))).await, WRONG);
        let used = "wrong code, or one that was used before: wait for the next one";
        assert_eq!(told(&catalog, "anna", PASSWORD, Some("000000")).await, used);
        // The code that confirmed it counts as used.
        assert_eq!(told(&catalog, "anna", PASSWORD, Some(&code(secret, NOON))).await, used);
        let later = NOON + 30_000;
        place.clock.set_now(later);
        assert_eq!(told(&catalog, "anna", PASSWORD, Some(&code(secret, later))).await, "welcome");
        assert_eq!(told(&catalog, "anna", PASSWORD, Some(&code(secret, later))).await, used);
        assert_eq!(told(&catalog, "anna", PASSWORD, Some(&code(secret, NOON))).await, used);

        refused(within.remove_totp("wrong").await, "password: is not the one of this account");
        within.remove_totp(PASSWORD).await.unwrap();
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, "welcome");
    });
}

#[test]
fn one_code_lets_one_in() {
    with_catalog(async |place, catalog| {
        let (_, _, access) = user(&catalog, "north", "anna", Role::Viewer, None).await;
        let offer = catalog.within(&access).offer_totp().await.unwrap();
        catalog.within(&access).confirm_totp(&code(offer.secret.reveal(), NOON)).await.unwrap();
        place.clock.set_now(NOON + 60_000);
        let code = code(offer.secret.reveal(), NOON + 60_000);
        let attempts = (0..6).map(|_| catalog.login("anna", PASSWORD, Some(&code), None));
        let results = futures::future::join_all(attempts).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let others = results.iter().filter(|result| matches!(result, Err(LoginError::CodeWrong))).count();
        assert_eq!(others, 5);
    });
}

#[test]
fn who_is_locked_out_is_let_in_by_the_owner_of_the_folder() {
    with_catalog(async |_, catalog| {
        let (_, secret, access) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let offer = catalog.within(&access).offer_totp().await.unwrap();
        catalog.within(&access).confirm_totp(&code(offer.secret.reveal(), NOON)).await.unwrap();
        let owner = Access::owner("default");
        let made = catalog.reset_password(&owner, "Anna", None).await.unwrap().unwrap();
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
        assert_eq!(told(&catalog, "anna", PASSWORD, None).await, WRONG);
        assert_eq!(told(&catalog, "anna", made.reveal(), None).await, "the code of the authenticator is needed");
        catalog.disable_totp(&owner, "anna").await.unwrap();
        assert_eq!(told(&catalog, "anna", made.reveal(), None).await, "welcome");
        assert_eq!(catalog.reset_password(&owner, "anna", Some("another horse")).await.unwrap(), None);
        assert_eq!(told(&catalog, "anna", "another horse", None).await, "welcome");

        refused(catalog.reset_password(&owner, "nobody", None).await, "there is no user nobody");
        refused(catalog.reset_password(&access, "anna", None).await, "this needs the right to manage tenants");
        refused(catalog.disable_totp(&access, "anna").await, "this needs the right to manage tenants");
    });
}

#[test]
fn tokens_hold_until_they_expire_or_are_revoked() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let group = within.create_group("one").await.unwrap().id;
        let new = NewToken {
            name: "reports".into(),
            groups: Some(vec![group.clone()]),
            expires: Some(NOON + 1000),
            ..NewToken::default()
        };
        let (token, secret) = within.create_token(new.clone()).await.unwrap();
        assert!(secret.reveal().starts_with("odo_"));
        assert_eq!((token.created, token.created_by.as_str(), token.last_used), (NOON, "owner", None));
        let access = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        let expected = Actor::Token { id: token.id.clone(), name: "reports".into(), tenant: "north".into() };
        assert_eq!(access.actor, expected);
        assert_eq!((access.role, access.scope.groups, access.system), (Role::Viewer, Some(vec![group]), false));
        assert_eq!(within.token(&token.id).await.unwrap().last_used, Some(NOON));
        place.clock.set_now(NOON + 1000);
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
        refused(within.create_token(new.clone()).await, "expires: is in the past");

        let (token, secret) = within.create_token(NewToken { expires: None, ..new }).await.unwrap();
        assert!(catalog.authenticate(secret.reveal()).await.unwrap().is_some());
        let revoked = within.revoke_token(&token.id).await.unwrap();
        assert_eq!(revoked.revoked, Some(NOON + 1000));
        place.clock.set_now(NOON + 2000);
        assert_eq!(within.revoke_token(&token.id).await.unwrap().revoked, Some(NOON + 1000));
        assert_eq!(catalog.authenticate(secret.reveal()).await.unwrap(), None);
        assert_eq!(within.tokens().await.unwrap().len(), 2);
        refused(within.revoke_token("unknown").await, "there is no token unknown");
    });
}

#[test]
fn tokens_that_ended_count_no_more_and_go_in_the_end() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let group = within.create_group("one").await.unwrap().id;
        let new = |expires| NewToken { name: "hourly".into(), expires, ..NewToken::default() };
        let limited = NewToken { groups: Some(vec![group.clone()]), ..new(Some(NOON + 1000)) };
        within.create_token(limited).await.unwrap();
        hold(&place, TOKENS_MAX - 1, NOON + 1000).await;
        let full = "the tenant may have 1000 tokens and has 1000: delete some, or have the quota raised";
        refused(within.create_token(new(None)).await, full);
        refused(within.delete_group(&group).await, "the group one has 1 tokens: move them first");

        place.clock.set_now(NOON + 1000);
        within.delete_group(&group).await.unwrap();
        let (lasting, secret) = within.create_token(new(None)).await.unwrap();
        let (short, _) = within.create_token(new(Some(NOON + 2000))).await.unwrap();
        assert!(lasting.holds(NOON + 2000) && short.holds(NOON + 1999) && !short.holds(NOON + 2000));
        let count = async || i64::try_from(within.tokens().await.unwrap().len()).unwrap();
        assert_eq!(count().await, TOKENS_MAX + 2);
        // Of those that ended the latest are kept,
        place.clock.set_now(NOON + 2000);
        let (revoked, _) = within.create_token(new(None)).await.unwrap();
        assert_eq!(count().await, TOKENS_KEPT_MAX + 2);
        assert_eq!(within.token(&short.id).await.unwrap(), short);
        within.revoke_token(&revoked.id).await.unwrap();
        // and of those none that ended long ago.
        place.clock.set_now(NOON + 2000 + TOKENS_KEPT_MS);
        within.create_token(new(None)).await.unwrap();
        assert_eq!(count().await, 2);
        assert!(catalog.authenticate(secret.reveal()).await.unwrap().is_some());
    });
}

/// Gives the tenant `north` so many tokens more, from before, that hold until a moment.
async fn hold(place: &Place, count: i64, until: i64) {
    let mut connection = connect(&place.url).await;
    let many = format!(
        "INSERT INTO tokens (tenant, hash, id, name, role, system, created, created_by, expires) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         SELECT 'north', 'hash' || n, 'number' || n, 'hourly', 'viewer', 0, n, 'owner', {until} FROM numbers"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(many)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
