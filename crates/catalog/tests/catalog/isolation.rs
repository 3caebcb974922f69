//! Who may do what, and that nothing of another tenant is to be had: every method of `Within`, for each role, with ids of the
//! own tenant, of another one, and of nobody.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use odograph_catalog::{
    Access, AccountChange, AuditFilter, Catalog, DeviceFields, DeviceFilter, DeviceOrder, DeviceRow, DeviceState,
    DriverFields, Error, ImportMode, NewCommand, NewQuery, NewShare, NewToken, NewUser, QueryChange, Registered, Role,
    UserChange, Within,
};

use odograph_sensors::Definition;

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
    /// A role for all devices.
    All(Role),
    /// To see all devices, and to have made the thing or to be a manager: nobody here has made one.
    Maker,
    Account,
}

/// The ids of one thing of each kind.
#[derive(Debug, Clone)]
struct Things {
    user: String,
    token: String,
    session: String,
    group: String,
    device: String,
    driver: String,
    share: String,
    query: String,
    /// The number of a command for the device.
    command: i64,
}

impl Things {
    fn ids(&self) -> [&str; 8] {
        [&self.user, &self.token, &self.session, &self.group, &self.device, &self.driver, &self.share, &self.query]
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

const MANAGER: Needs = Needs::Role(Role::Manager);

const METHODS: &[Method] = methods! {
    groups: Needs::Nothing, false, |within, things| within.groups();
    create_group: Needs::All(Role::Manager), false, |within, things| within.create_group(&things.device);
    rename_group: Needs::All(Role::Manager), true, |within, things| within.rename_group(&things.group, &things.user);
    delete_group: Needs::All(Role::Manager), true, |within, things| within.delete_group(&things.group);
    devices: Needs::Nothing, false, |within, things| within.devices(&EVERY, DeviceOrder::Name, None, 1000);
    count_devices: Needs::Nothing, false, |within, things| within.count_devices(&EVERY);
    device: Needs::Nothing, true, |within, things| within.device(&things.device);
    create_device: Needs::All(Role::Manager), false, |within, things| {
        within.create_device(vec![format!("new-{}", things.user)], DeviceFields::default())
    };
    update_device: MANAGER, true, |within, things| within.update_device(&things.device, renamed());
    delete_device: MANAGER, true, |within, things| within.delete_device(&things.device);
    ask_to_erase: OWNER, true, |within, things| within.ask_to_erase(&things.device, false);
    erase_device: OWNER, false, |within, things| within.erase_device(&things.device, false);
    commands: Needs::Nothing, true, |within, things| within.commands(&things.device, None, None, 1000);
    command: Needs::Nothing, true, |within, things| within.command(&things.device, things.command);
    create_command: MANAGER, true, |within, things| within.create_command(&things.device, stop());
    cancel_command: MANAGER, true, |within, things| within.cancel_command(&things.device, things.command);
    import_devices: Needs::All(Role::Manager), false, |within, things| {
        async move { within.import_devices(&[row(things)], &[], ImportMode::default()).await }
    };
    drivers: Needs::All(Role::Viewer), false, |within, things| within.drivers(None);
    driver: Needs::All(Role::Viewer), true, |within, things| within.driver(&things.driver);
    create_driver: Needs::All(Role::Manager), false, |within, things| within.create_driver(called(&things.user));
    update_driver: Needs::All(Role::Manager), true, |within, things| {
        within.update_driver(&things.driver, called(&things.user))
    };
    delete_driver: Needs::All(Role::Manager), true, |within, things| within.delete_driver(&things.driver);
    sensors: Needs::Nothing, true, |within, things| within.sensors(&things.device);
    sensor: Needs::Nothing, true, |within, things| within.sensor(&things.device, "one");
    set_sensor: MANAGER, true, |within, things| within.set_sensor(&things.device, one());
    delete_sensor: MANAGER, true, |within, things| within.delete_sensor(&things.device, "one");
    shares: MANAGER, true, |within, things| within.shares(&things.device);
    all_shares: MANAGER, false, |within, things| within.all_shares(None, 100);
    create_share: MANAGER, true, |within, things| within.create_share(&things.device, NewShare::default());
    revoke_share: MANAGER, true, |within, things| within.revoke_share(&things.device, &things.share);
    queries: Needs::All(Role::Viewer), false, |within, things| within.queries();
    query: Needs::All(Role::Viewer), true, |within, things| within.query(&things.query);
    create_query: Needs::All(Role::Viewer), false, |within, things| within.create_query(asking(&things.user));
    update_query: Needs::Maker, true, |within, things| within.update_query(&things.query, QueryChange::default());
    delete_query: Needs::Maker, true, |within, things| within.delete_query(&things.query);
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
    usage: OWNER, false, |within, things| within.usage(0, 1);
    standings: OWNER, false, |within, things| within.standings();
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

const EVERY: DeviceFilter = DeviceFilter { text: None, group: None, tag: None, state: None };

fn renamed() -> DeviceFields {
    DeviceFields { name: Some("Renamed".into()), ..DeviceFields::default() }
}

fn called(name: &str) -> DriverFields {
    DriverFields { name: Some(name.into()), ..DriverFields::default() }
}

fn asking(name: &str) -> NewQuery {
    NewQuery { name: name.into(), sql: "SELECT 1".into() }
}

fn one() -> Definition {
    Definition { name: "one".into(), formula: Some("1".into()), ..Definition::default() }
}

fn row(things: &Things) -> DeviceRow {
    DeviceRow { ids: vec![things.device.clone()], fields: renamed() }
}

fn stop() -> NewCommand {
    NewCommand { kind: Some("engineStop".into()), ..NewCommand::default() }
}

fn new_user(things: &Things) -> NewUser {
    NewUser { login: format!("new-{}", things.user), ..NewUser::default() }
}

fn new_token() -> NewToken {
    NewToken { name: "new".into(), ..NewToken::default() }
}

/// Makes one thing of each kind in a tenant; a session of this login, if one is asked for.
async fn make(catalog: &Catalog, tenant: &str, login: Option<&str>, number: usize, seen: Option<&str>) -> Things {
    let owner = Access::owner(tenant);
    let within = catalog.within(&owner);
    let new = NewUser { login: format!("{tenant}{number}"), ..NewUser::default() };
    let user = within.create_user(new).await.unwrap().id;
    let token = within.create_token(new_token()).await.unwrap().0.id;
    let group = within.create_group(&format!("group {number}")).await.unwrap().id;
    let fields = DeviceFields { group: Some(seen.map(ToOwned::to_owned)), ..DeviceFields::default() };
    let device = within.create_device(vec![format!("d{number}")], fields).await.unwrap().id;
    within.set_sensor(&device, one()).await.unwrap();
    let driver = within.create_driver(called("driver")).await.unwrap().id;
    let share = within.create_share(&device, NewShare::default()).await.unwrap().0.id;
    let query = within.create_query(asking(&format!("query {number}"))).await.unwrap().id;
    let command = within.create_command(&device, stop()).await.unwrap().number;
    let mut session = String::new();
    if let Some(login) = login {
        let (_, access) = catalog.login(login, PASSWORD, None, None).await.unwrap();
        let sessions = catalog.within(&access).sessions().await.unwrap();
        session = sessions.into_iter().find(|session| session.current).unwrap().id;
    }
    Things { user, token, session, group, device, driver, share, query, command }
}

/// All that the catalog has of a tenant.
async fn dump(catalog: &Catalog, tenant: &str) -> String {
    let owner = Access::owner(tenant);
    let within = catalog.within(&owner);
    let (users, tokens) = (within.users().await.unwrap(), within.tokens().await.unwrap());
    let (groups, devices) = (within.groups().await.unwrap(), within.devices(&EVERY, DeviceOrder::Id, None, 1000).await);
    let devices = devices.unwrap();
    assert_eq!(devices.next, None);
    let drivers = within.drivers(None).await.unwrap();
    let shares = match devices.devices.iter().find(|device| device.id == "d9999") {
        Some(device) => within.shares(&device.id).await.unwrap(),
        None => Vec::new(),
    };
    let queries = within.queries().await.unwrap();
    let things = format!("{queries:#?} {shares:#?} {users:#?} {tokens:#?} {groups:#?} {devices:#?} {drivers:#?}");
    format!("{:?} {things} {:#?}", within.tenant().await.unwrap(), within.audit(&ALL).await.unwrap())
}

/// What comes of a call, in words.
fn outcome(result: Result<(), Error>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

/// What they are told who may not do it, of a thing that is there and of one that is not.
fn expected(method: &Method, access: &Access, is_user: bool, is_there: bool) -> Option<String> {
    match method.needs {
        Needs::Account if !is_user => Some("this is for users who have signed in, not for tokens".to_owned()),
        Needs::Role(role) | Needs::All(role) if access.role < role => Some(format!("this needs the role {role}")),
        Needs::All(_) | Needs::Maker if access.scope.groups.is_some() => {
            Some("this needs a role for all devices of the tenant, not for some groups".to_owned())
        }
        // Whose it is shows only of one that is there.
        Needs::Maker if is_there && access.role < Role::Manager => {
            Some(format!("this needs the role {}", Role::Manager))
        }
        _ => None,
    }
}

/// Somebody of each role, with a session and with a token, for all devices and for those of a group.
async fn actors(catalog: &Catalog, group: &str) -> Vec<(String, Access, bool)> {
    let owner = Access::owner("north");
    let mut actors = Vec::new();
    for (role, limited) in [
        (Role::Viewer, false),
        (Role::Viewer, true),
        (Role::Manager, false),
        (Role::Manager, true),
        (Role::Owner, false),
    ] {
        let (login, groups) = (format!("{role}-{limited}"), limited.then(|| vec![group.to_owned()]));
        let (_, _, access) = user(catalog, "north", &login, role, groups.clone()).await;
        actors.push((login.clone(), access, true));
        let token = NewToken { name: role.to_string(), role, groups, ..NewToken::default() };
        let (_, secret) = catalog.within(&owner).create_token(token).await.unwrap();
        actors.push((login, catalog.authenticate(secret.reveal()).await.unwrap().unwrap(), false));
    }
    actors
}

#[test]
fn nothing_of_another_tenant_is_to_be_had() {
    with_catalog(async |_, catalog| {
        let group = catalog.within(&Access::owner("north")).create_group("seen").await.unwrap().id;
        let actors = actors(&catalog, &group).await;
        user(&catalog, "south", "owner@south", Role::Owner, None).await;
        let foreign = make(&catalog, "south", Some("owner@south"), 9999, None).await;
        // The same ids are in both.
        let twins = 1..=actors.len() * METHODS.len();
        let twins = twins.map(|number| Registered {
            tenant: "south".into(),
            id: format!("d{number}"),
            aliases: vec![],
            protocol: "h02".into(),
            state: DeviceState::New,
            at: 5,
        });
        catalog.register(&twins.collect::<Vec<_>>()).await.unwrap();
        let before = dump(&catalog, "south").await;
        let nobody = ["u1", "t1", "s1", "g1", "d0", "x1", "l1", "q1"].map(ToOwned::to_owned);
        let [user, token, session, group_id, device, driver, share, query] = nobody;
        let nobody = Things { user, token, session, group: group_id, device, driver, share, query, command: 0 };
        let mut number = 0;
        for (login, access, is_user) in &actors {
            for method in METHODS {
                number += 1;
                let what = format!("{} as {:?}", method.name, access.actor);
                let login = Some(login.as_str()).filter(|_| method.name == "end_session");
                let own = make(&catalog, "north", login, number, Some(&group)).await;
                let within = catalog.within(access);
                let refusal = expected(method, access, *is_user, true);
                let done = outcome((method.call)(within, &own).await);
                assert_eq!(done, refusal.unwrap_or("done".into()), "{what}");
                if method.names {
                    let unknown = outcome((method.call)(within, &nobody).await);
                    let theirs = outcome((method.call)(within, &foreign).await);
                    // In the same words, but for the id, which it repeats.
                    let ids = foreign.ids().into_iter().zip(nobody.ids());
                    let theirs = ids.fold(theirs, |text, (theirs, nobodys)| text.replace(theirs, nobodys));
                    assert_eq!(theirs, unknown, "{what}");
                    let expected = expected(method, access, *is_user, false).unwrap_or("there is no ".into());
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

/// Statements that name no tenant, or get it from elsewhere, are in these files alone, none of them below `within`.
#[test]
fn few_files_reach_across_tenants() {
    let mut found = BTreeSet::new();
    let sources = std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut folders = vec![sources.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if ["Sql::new(", "across_tenants(", ".database", "sqlx::query"].iter().any(|word| text.contains(word)) {
                found.insert(path.strip_prefix(&sources).unwrap().display().to_string());
            }
        }
    }
    let expected = [
        "admin.rs",
        // Copies all rows, for a backup and out of one.
        "carry.rs",
        "catalog.rs",
        // Copies the whole file, for a backup.
        "database.rs",
        "follow.rs",
        "kept.rs",
        "listeners.rs",
        "queue.rs",
        "register.rs",
        "scoped.rs",
        "shared.rs",
        "sign_in.rs",
        "sql.rs",
        "tenants.rs",
        "usage.rs",
    ];
    assert_eq!(found, expected.map(ToOwned::to_owned).into());
}
