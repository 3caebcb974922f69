//! Who may do what, and that nothing of another tenant is to be had: every method of `Within`, for each role, with ids of the
//! own tenant, of another one, and of nobody.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use odograph_catalog::{
    Access, AccountChange, AuditFilter, Catalog, Error, NewToken, NewUser, Role, UserChange, Within,
};

use crate::support::{PASSWORD, user, with_catalog};

/// One method, and what it takes.
struct Method {
    name: &'static str,
    needs: Needs,
    /// Whether it is about a thing, which it names by its id.
    names: bool,
    call: for<'a> fn(Within<'a>, &'a Things) -> BoxFuture<'a, Result<(), Error>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Role(Role),
    Account,
}

/// The ids of one thing of each kind.
#[derive(Debug, Clone)]
struct Things {
    user: String,
    token: String,
    session: String,
}

impl Things {
    fn ids(&self) -> [&str; 3] {
        [&self.user, &self.token, &self.session]
    }
}

macro_rules! methods {
    ($($name:ident: $needs:expr, $names:expr, |$within:ident, $things:ident| $call:expr;)*) => {
        &[$(Method {
            name: stringify!($name),
            needs: $needs,
            names: $names,
            call: |$within, $things| async move { let _ = $things; $call.await.map(drop) }.boxed(),
        }),*]
    };
}

const OWNER: Needs = Needs::Role(Role::Owner);

const METHODS: &[Method] = methods! {
    tenant: Needs::Nothing, false, |within, things| within.tenant();
    users: OWNER, false, |within, things| within.users();
    user: OWNER, true, |within, things| within.user(&things.user);
    create_user: OWNER, false, |within, things| within.create_user(new_user(things));
    update_user: OWNER, true, |within, things| within.update_user(&things.user, UserChange::default());
    set_password: OWNER, true, |within, things| within.set_password(&things.user, Some(PASSWORD));
    clear_totp: OWNER, true, |within, things| within.clear_totp(&things.user);
    delete_user: OWNER, true, |within, things| within.delete_user(&things.user);
    tokens: OWNER, false, |within, things| within.tokens();
    token: OWNER, true, |within, things| within.token(&things.token);
    create_token: OWNER, false, |within, things| within.create_token(new_token());
    revoke_token: OWNER, true, |within, things| within.revoke_token(&things.token);
    audit: OWNER, false, |within, things| within.audit(&ALL);
    account: Needs::Account, false, |within, things| within.account();
    update_account: Needs::Account, false, |within, things| within.update_account(AccountChange::default());
    change_password: Needs::Account, false, |within, things| within.change_password(PASSWORD, PASSWORD);
    offer_totp: Needs::Account, false, |within, things| within.offer_totp();
    remove_totp: Needs::Account, false, |within, things| within.remove_totp(PASSWORD);
    sessions: Needs::Account, false, |within, things| within.sessions();
    end_session: Needs::Account, true, |within, things| within.end_session(&things.session);
};

/// Methods that are tested elsewhere, because they depend on what was called before.
const ELSEWHERE: &[&str] = &["confirm_totp"];

const ALL: AuditFilter =
    AuditFilter { before: None, kind: None, object: None, actor_id: None, from: None, to: None, limit: None };

fn new_user(things: &Things) -> NewUser {
    NewUser { login: format!("new-{}", things.user), ..NewUser::default() }
}

fn new_token() -> NewToken {
    NewToken { name: "new".into(), ..NewToken::default() }
}

/// Makes one thing of each kind in a tenant; a session of this login, if one is asked for.
async fn make(catalog: &Catalog, tenant: &str, login: Option<&str>, number: usize) -> Things {
    let owner = Access::owner(tenant);
    let within = catalog.within(&owner);
    let new = NewUser { login: format!("{tenant}{number}"), ..NewUser::default() };
    let user = within.create_user(new).await.unwrap().id;
    let token = within.create_token(new_token()).await.unwrap().0.id;
    let mut session = String::new();
    if let Some(login) = login {
        let (_, access) = catalog.login(login, PASSWORD, None, None).await.unwrap();
        let sessions = catalog.within(&access).sessions().await.unwrap();
        session = sessions.into_iter().find(|session| session.current).unwrap().id;
    }
    Things { user, token, session }
}

/// All that the catalog has of a tenant.
async fn dump(catalog: &Catalog, tenant: &str) -> String {
    let owner = Access::owner(tenant);
    let within = catalog.within(&owner);
    let (users, tokens) = (within.users().await.unwrap(), within.tokens().await.unwrap());
    format!("{:?} {users:?} {tokens:?} {:?}", within.tenant().await.unwrap(), within.audit(&ALL).await.unwrap())
}

/// What comes of a call, in words.
fn outcome(result: Result<(), Error>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

fn expected(method: &Method, access: &Access, is_user: bool) -> Option<String> {
    match method.needs {
        Needs::Account if !is_user => Some("this is for users who have signed in, not for tokens".to_owned()),
        Needs::Role(role) if access.role < role => Some(format!("this needs the role {role}")),
        _ => None,
    }
}

#[test]
fn nothing_of_another_tenant_is_to_be_had() {
    with_catalog(async |_, catalog| {
        let mut actors = Vec::new();
        for role in [Role::Viewer, Role::Manager, Role::Owner] {
            let (_, _, access) = user(&catalog, "north", &format!("{role}@north"), role).await;
            actors.push((format!("{role}@north"), access, true));
            let token = NewToken { name: role.to_string(), role, ..NewToken::default() };
            let (_, secret) = catalog.within(&Access::owner("north")).create_token(token).await.unwrap();
            let access = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
            actors.push((format!("{role}@north"), access, false));
        }
        user(&catalog, "south", "owner@south", Role::Owner).await;
        let foreign = make(&catalog, "south", Some("owner@south"), 0).await;
        let before = dump(&catalog, "south").await;
        let nobody = Things { user: "u".into(), token: "t".into(), session: "s".into() };
        let mut number = 0;
        for (login, access, is_user) in &actors {
            for method in METHODS {
                number += 1;
                let what = format!("{} as {:?}", method.name, access.actor);
                let login = Some(login.as_str()).filter(|_| method.name == "end_session");
                let own = make(&catalog, "north", login, number).await;
                let within = catalog.within(access);
                let refusal = expected(method, access, *is_user);
                let done = outcome((method.call)(within, &own).await);
                assert_eq!(done, refusal.clone().unwrap_or("done".into()), "{what}");
                if method.names {
                    let unknown = outcome((method.call)(within, &nobody).await);
                    let theirs = outcome((method.call)(within, &foreign).await);
                    // In the same words, but for the id, which it repeats.
                    let ids = foreign.ids().into_iter().zip(nobody.ids());
                    let theirs = ids.fold(theirs, |text, (theirs, nobodys)| text.replace(theirs, nobodys));
                    assert_eq!(theirs, unknown, "{what}");
                    let expected = refusal.clone().unwrap_or("there is no ".into());
                    assert!(unknown.starts_with(&expected), "{what}: {unknown}");
                }
            }
        }
        assert_eq!(dump(&catalog, "south").await, before);
    });
}

#[test]
fn every_method_stands_in_the_table() {
    let mut found = BTreeSet::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/within");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(format!("{folder}.rs").into());
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let methods = text.split("    pub async fn ").skip(1);
        found.extend(methods.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
    }
    let mut listed: BTreeSet<String> = METHODS.iter().map(|method| method.name.to_owned()).collect();
    listed.extend(ELSEWHERE.iter().map(ToString::to_string));
    assert_eq!(found, listed);
}

/// Statements that name no tenant, or get it from elsewhere, are in these files alone.
#[test]
fn few_files_reach_across_tenants() {
    let mut found = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if ["Sql::new(", "across_tenants()", "sqlx::query"]
                .iter()
                .any(|word| std::fs::read_to_string(&path).unwrap().contains(word))
            {
                found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let expected = ["admin.rs", "catalog.rs", "scoped.rs", "sign_in.rs", "sql.rs", "tenants.rs", "users.rs"];
    assert_eq!(found, expected.map(ToOwned::to_owned).into());
}
