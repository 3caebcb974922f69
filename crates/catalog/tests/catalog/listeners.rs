//! Listeners: who makes them, what of them is checked here, what the log keeps, and who hears of changes.

use odograph_catalog::bounds::{ADDRESS_CHARS_MAX, LISTENERS_MAX, NETWORKS_MAX};
use odograph_catalog::{
    Access, AuditFilter, Catalog, DeviceFields, Error, HIDDEN, KeptListeners, Listener, ListenerFields, ListenerTerms,
    ListenerTls, ListenerTransport, NewToken, Role, TenantChange, UnknownDevices,
};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::time::Duration;

use crate::support::{NOON, Place, refused, user, with_catalog};

/// A listener for teltonika at some address.
fn at(listen: &str) -> ListenerFields {
    let (protocol, listen) = (Some("teltonika".to_owned()), Some(listen.to_owned()));
    ListenerFields { protocol, listen, ..ListenerFields::default() }
}

/// Stands in the place of a check.
fn anything(_: &mut Listener, _: &[Listener]) -> Result<(), Error> {
    Ok(())
}

async fn make(catalog: &Catalog, fields: ListenerFields) -> Result<Listener, Error> {
    catalog.listeners(&Access::owner("default")).create(fields, &anything).await
}

async fn change(catalog: &Catalog, id: &str, to: ListenerFields) -> Result<Listener, Error> {
    catalog.listeners(&Access::owner("default")).update(id, to, &anything).await
}

#[test]
fn a_listener_is_made_changed_and_removed() {
    with_catalog(async |place, catalog| {
        let fields = ListenerFields {
            name: Some("Partner".into()),
            tenant: Some("north".into()),
            transport: Some(ListenerTransport::Tcp),
            unknown: Some(UnknownDevices::Quarantine),
            allow: Some(vec!["203.0.113.17".into()]),
            connections_max: Some(Some(100)),
            settings: Some([("password".to_owned(), "secret".to_owned())].into()),
            ..at("[::]:20332")
        };
        let made = make(&catalog, fields).await.unwrap();
        let expected = Listener {
            id: made.id.clone(),
            name: "Partner".into(),
            enabled: true,
            tenant: "north".into(),
            terms: ListenerTerms {
                protocol: "teltonika".into(),
                listen: "[::]:20332".into(),
                transport: ListenerTransport::Tcp,
                unknown: UnknownDevices::Quarantine,
                allow: vec!["203.0.113.17".into()],
                connections_max: Some(100),
                settings: [("password".to_owned(), "secret".to_owned())].into(),
                ..ListenerTerms::default()
            },
            created: NOON,
            updated: NOON,
            revision: 1,
        };
        assert_eq!(made, expected);
        let owner = Access::owner("north");
        let listeners = catalog.listeners(&owner);
        assert_eq!(listeners.get(&made.id).await.unwrap(), expected);
        // Whoever may only look has no password to look at.
        let viewer = Access { role: Role::Viewer, ..owner.clone() };
        let mut hidden = expected.clone();
        hidden.terms.settings = [("password".to_owned(), HIDDEN.to_owned())].into();
        assert_eq!(catalog.listeners(&viewer).get(&made.id).await.unwrap(), hidden);
        assert_eq!(catalog.listeners(&viewer).list().await.unwrap(), [hidden]);
        place.clock.set_now(NOON + 5);
        let to = ListenerFields {
            enabled: Some(false),
            connections_max: Some(None),
            settings: Some([("password".to_owned(), "other".to_owned())].into()),
            if_revision: Some(1),
            ..ListenerFields::default()
        };
        let changed = change(&catalog, &made.id, to.clone()).await.unwrap();
        let mut now = Listener { enabled: false, updated: NOON + 5, revision: 2, ..expected };
        now.terms.connections_max = None;
        now.terms.settings = [("password".to_owned(), "other".to_owned())].into();
        assert_eq!((&changed, listeners.list().await.unwrap()), (&now, vec![now.clone()]));
        let stale = "the listener was changed meanwhile: look at it again";
        refused(change(&catalog, &made.id, to).await, stale);
        listeners.delete(&made.id).await.unwrap();
        let none = format!("there is no listener {}", made.id);
        refused(listeners.get(&made.id).await, &none);
        refused(listeners.delete(&made.id).await, &none);
        refused(change(&catalog, &made.id, ListenerFields::default()).await, &none);
        // They are the server's, so the operator's tenant has it in its log, and the password is in none.
        let filter = AuditFilter { kind: Some("listener".into()), ..AuditFilter::default() };
        assert_eq!(catalog.within(&owner).audit(&filter).await.unwrap(), []);
        let log = catalog.within(&Access::owner("default")).audit(&filter).await.unwrap();
        let actions: Vec<_> = log.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["listener.delete", "listener.update", "listener.create"]);
        let was = json!({"enabled": true, "connections_max": 100, "settings": {"password": "(hidden)"}, "updated": NOON, "revision": 1});
        let became = json!({"enabled": false, "connections_max": null, "settings": {"password": "(hidden, new)"}, "updated": NOON + 5, "revision": 2});
        assert_eq!((log[1].was.clone(), log[1].became.clone()), (Some(was), Some(became)));
        assert!(!format!("{log:?}").contains("secret") && !format!("{log:?}").contains("other\""), "{log:?}");
    });
}

#[test]
fn they_are_for_those_who_manage_tenants() {
    with_catalog(async |_, catalog| {
        let made = make(&catalog, at("[::]:20332")).await.unwrap();
        let (_, _, owner) = user(&catalog, "north", "anna", Role::Owner, None).await;
        let (_, _, operator) = user(&catalog, "default", "otto", Role::Owner, None).await;
        for access in [&owner, &operator] {
            let listeners = catalog.listeners(access);
            let needed = "this needs the right to manage tenants";
            refused(listeners.list().await, needed);
            refused(listeners.get(&made.id).await, needed);
            refused(listeners.get("none").await, needed);
            refused(listeners.create(at("[::]:20333"), &anything).await, needed);
            refused(listeners.update(&made.id, ListenerFields::default(), &anything).await, needed);
            refused(listeners.delete(&made.id).await, needed);
        }
        // One who may, in whichever tenant they are.
        let token = NewToken { name: "ports".into(), system: true, role: Role::Viewer, ..NewToken::default() };
        let (_, secret) = catalog.within(&Access::owner("north")).create_token(token).await.unwrap();
        let access = catalog.authenticate(secret.reveal()).await.unwrap().unwrap();
        catalog.listeners(&access).delete(&made.id).await.unwrap();
        assert_eq!(catalog.listeners(&access).list().await.unwrap(), []);
        let log = catalog.within(&Access::owner("default")).audit(&AuditFilter::default()).await.unwrap();
        assert_eq!((log[0].action.as_str(), log[0].actor_name.as_str()), ("listener.delete", "ports"));
    });
}

#[test]
fn what_it_cannot_be_is_said() {
    with_catalog(async |_, catalog| {
        let nothing = ListenerFields::default();
        refused(make(&catalog, nothing.clone()).await, "protocol: is missing: say what devices speak there");
        let no_address = ListenerFields { listen: None, ..at("") };
        refused(make(&catalog, no_address).await, "listen: is missing: say at which address");
        let long = "x".repeat(ADDRESS_CHARS_MAX + 1);
        let too_long = "has 65 characters, at most 64 are possible";
        refused(make(&catalog, at(&long)).await, &format!("listen: {too_long}"));
        let with =
            |fields: ListenerFields| ListenerFields { protocol: at("5").protocol, listen: at("5").listen, ..fields };
        let many = ListenerFields { deny: Some(vec![String::new(); NETWORKS_MAX + 1]), ..nothing.clone() };
        refused(make(&catalog, with(many)).await, "deny: are 1001, at most 1000 are possible");
        let odd = ListenerFields { trusted: Some(vec![long]), ..nothing.clone() };
        refused(make(&catalog, with(odd)).await, &format!("trusted: {too_long}"));
        let tls = ListenerTls { cert: "/a".into(), key: "b".into(), client_ca: None };
        let relative = ListenerFields { tls: Some(Some(tls)), ..nothing.clone() };
        let what = "tls: \"b\" is no whole path, such as /etc/odograph/cert.pem";
        refused(make(&catalog, with(relative)).await, what);
        let tenant = ListenerFields { tenant: Some("west".into()), ..nothing.clone() };
        refused(make(&catalog, with(tenant)).await, "tenant: there is no tenant west");
        let device = |tenant: &str| ListenerFields {
            tenant: Some(tenant.into()),
            device: Some(Some("also-7".into())),
            ..with(ListenerFields::default())
        };
        let unknown = "device: the tenant north has no device also-7: make it first";
        refused(make(&catalog, device("north")).await, unknown);
        let ids = vec!["7".into(), "also-7".into()];
        catalog.within(&Access::owner("north")).create_device(ids, DeviceFields::default()).await.unwrap();
        let made = make(&catalog, device("north")).await.unwrap();
        refused(make(&catalog, device("south")).await, &unknown.replace("north", "south"));
        // Without its device it can be closed, and not opened.
        catalog.within(&Access::owner("north")).delete_device("7").await.unwrap();
        let enabled = |enabled: bool| ListenerFields { enabled: Some(enabled), ..ListenerFields::default() };
        change(&catalog, &made.id, enabled(false)).await.unwrap();
        refused(change(&catalog, &made.id, enabled(true)).await, unknown);
    });
}

#[test]
fn of_an_erased_device_the_log_says_no_more_that_a_listener_was_its_own() {
    with_catalog(async |_, catalog| {
        let of = |tenant: &str, listen: &str| ListenerFields {
            tenant: Some(tenant.into()),
            device: Some(Some("867000000000017".into())),
            ..at(listen)
        };
        for tenant in ["north", "south"] {
            let within = Access::owner(tenant);
            let ids = vec!["main".into(), "867000000000017".into()];
            catalog.within(&within).create_device(ids, DeviceFields::default()).await.unwrap();
        }
        let north = make(&catalog, of("north", "[::]:5")).await.unwrap();
        make(&catalog, of("south", "[::]:6")).await.unwrap();
        let nobodys = ListenerFields { device: Some(None), ..ListenerFields::default() };
        change(&catalog, &north.id, nobodys).await.unwrap();
        let owner = Access::owner("default");
        catalog.listeners(&owner).delete(&north.id).await.unwrap();
        catalog.within(&Access::owner("north")).erase_device("main", false).await.unwrap();
        let filter = AuditFilter { kind: Some("listener".into()), ..AuditFilter::default() };
        let log = catalog.within(&owner).audit(&filter).await.unwrap();
        let names = |said: &Option<Value>| said.as_ref().map(|said| said.to_string().contains("867000000000017"));
        let told: Vec<_> =
            log.iter().map(|entry| (entry.action.as_str(), names(&entry.was), names(&entry.became))).collect();
        let expected = [
            ("listener.delete", Some(false), None),
            ("listener.update", None, None),
            // Of another tenant's device.
            ("listener.create", None, Some(true)),
            ("listener.create", None, None),
        ];
        assert_eq!(told, expected);
        catalog.tenants(&owner).erase("south").await.unwrap();
        let log = catalog.within(&owner).audit(&filter).await.unwrap();
        assert_eq!(log.iter().find_map(|entry| names(&entry.became)), None);
    });
}

#[test]
fn whoever_makes_one_sees_it_beside_the_others_alone() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("default");
        let listeners = catalog.listeners(&owner);
        let alone = |listener: &mut Listener, others: &[Listener]| {
            // Also puts it into one form.
            listener.terms.listen = listener.terms.listen.replace("0.0.0.0", "[::]");
            match others.iter().find(|other| other.terms.listen == listener.terms.listen) {
                Some(other) => {
                    Err(Error::Conflict { what: format!("{} is taken by {}", other.terms.listen, other.id) })
                }
                None => Ok(()),
            }
        };
        // Of those that come at once, one is the first.
        let both =
            futures::future::join(listeners.create(at("0.0.0.0:5"), &alone), listeners.create(at("[::]:5"), &alone));
        let (made, conflict) = match both.await {
            (Ok(made), other) | (other, Ok(made)) => (made, other),
            neither => panic!("{neither:?}"),
        };
        assert_eq!(made.terms.listen, "[::]:5");
        let taken = format!("[::]:5 is taken by {}", made.id);
        refused(conflict, &taken);
        // They are listed as they were made.
        place.clock.advance(Duration::from_millis(1));
        let second = listeners.create(at("0.0.0.0:6"), &alone).await.unwrap();
        refused(listeners.update(&second.id, at("[::]:5"), &alone).await, &taken);
        // It is none of its own others.
        let same = listeners.update(&second.id, at("[::]:6"), &alone).await.unwrap();
        assert_eq!((same.terms.listen.as_str(), same.revision), ("[::]:6", 2));
        assert_eq!(listeners.list().await.unwrap(), [made, same]);
    });
}

/// A connection beside the catalog's.
async fn connect(place: &Place) -> sqlx::AnyConnection {
    let url = match place.url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{}", path.replace('?', "%3F").replace('#', "%23")),
        None => place.url.clone(),
    };
    sqlx::AnyConnection::connect(&url).await.unwrap()
}

/// Writes what no version of ours would.
async fn spoil(place: &Place, id: &str, terms: &str) {
    let mut connection = connect(place).await;
    let update = sqlx::query("UPDATE listeners SET terms = $1, revision = revision + 1 WHERE id = $2");
    update.bind(terms.to_owned()).bind(id.to_owned()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[test]
fn changes_arrive_whoever_makes_them() {
    with_catalog(async |place, catalog| {
        let mut changes = catalog.listener_changes();
        assert_eq!(changes.next().await.unwrap(), KeptListeners::default());
        let first = make(&catalog, at("[::]:5")).await.unwrap();
        let of = |listeners: &[&Listener]| KeptListeners {
            listeners: listeners.iter().map(|one| (*one).clone()).collect(),
            unreadable: Vec::new(),
        };
        assert_eq!(changes.next().await.unwrap(), of(&[&first]));
        // Another process: the command line, or another server.
        let elsewhere = place.open().await;
        place.clock.advance(Duration::from_millis(1));
        let second = make(&elsewhere, ListenerFields { tenant: Some("south".into()), ..at("[::]:6") }).await.unwrap();
        assert_eq!(changes.next().await.unwrap(), of(&[&first, &second]));
        let closed = ListenerFields { enabled: Some(false), ..ListenerFields::default() };
        let first = change(&elsewhere, &first.id, closed).await.unwrap();
        assert_eq!(changes.next().await.unwrap(), of(&[&first, &second]));
        // What cannot be read holds nobody up, and is not taken for gone.
        spoil(&place, &first.id, "{\"protocol\":\"teltonika\",\"listen\":\"5\",\"only_on\":\"mondays\"}").await;
        let now = changes.next().await.unwrap();
        let why = "the catalog's column terms holds what cannot be read: this version knows nothing of only_on";
        let unreadable = vec![(first.id.clone(), why.to_owned())];
        assert_eq!(now, KeptListeners { listeners: vec![second.clone()], unreadable });
        let owner = Access::owner("default");
        assert_eq!(catalog.listeners(&owner).list().await.unwrap(), std::slice::from_ref(&second));
        refused(catalog.listeners(&owner).get(&first.id).await, why);
        catalog.listeners(&owner).delete(&first.id).await.unwrap();
        assert_eq!(changes.next().await.unwrap(), of(&[&second]));
        // With its tenant, a listener goes.
        let tenants = catalog.tenants(&owner);
        tenants.update("south", TenantChange { disabled: Some(true), ..TenantChange::default() }).await.unwrap();
        tenants.delete("south").await.unwrap();
        assert_eq!(changes.next().await.unwrap(), KeptListeners::default());
        elsewhere.close().await;
    });
}

#[test]
fn there_are_so_many_at_most() {
    with_catalog(async |place, catalog| {
        let mut connection = connect(&place).await;
        let many = "INSERT INTO listeners WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000) \
            SELECT 'number' || n, 'default', '', 1, '{\"protocol\":\"h02\",\"listen\":\"5\"}', 0, 0, 1 FROM numbers";
        sqlx::raw_sql(many).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        make(&catalog, at("[::]:5")).await.unwrap();
        let all = catalog.listeners(&Access::owner("default")).list().await.unwrap();
        assert_eq!(all.len() as i64, LISTENERS_MAX);
        let more = "there are 1000 listeners, and more there cannot be: remove some";
        refused(make(&catalog, at("[::]:6")).await, more);
    });
}
