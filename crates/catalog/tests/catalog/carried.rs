//! Copies of a catalog, and what is made of them: all that it has, as it was at one moment.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use odograph_catalog::{
    Access, Catalog, DeviceFields, DeviceState, DriverFields, ListenerFields, NewCommand, NewQuery, NewShare, NewToken,
    Registered, Role, UsageOfNode, copy, is_vacant, load,
};
use odograph_sensors::Definition;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::postgres;
use crate::support::{NOON, PASSWORD, on_both, refused, user, with_catalog};

/// Every table. One that a migration adds is filled below, too.
const TABLES: [&str; 18] = [
    "audit",
    "commands",
    "device_groups",
    "device_ids",
    "devices",
    "devices_removed",
    "driver_cards",
    "drivers",
    "listeners",
    "queries",
    "revisions",
    "sensors",
    "sessions",
    "shares",
    "tenants",
    "tokens",
    "usage",
    "users",
];

/// Something in every table, with what is awkward: nothing, quotes, other scripts, and more than goes into one statement.
async fn fill(catalog: &Catalog) {
    let owner = Access::owner("north");
    let north = catalog.within(&owner);
    let group = north.create_group("it's \"§\" \u{1f69a} — \\'").await.unwrap().id;
    user(catalog, "north", "anna", Role::Manager, Some(vec![group.clone()])).await;
    let token = NewToken { name: "reports".into(), expires: Some(NOON + 5), ..NewToken::default() };
    north.create_token(token).await.unwrap();
    for id in ["1", "2"] {
        let fields = DeviceFields { group: Some(Some(group.clone())), ..DeviceFields::default() };
        north.create_device(vec![id.into(), format!("also-{id}")], fields).await.unwrap();
    }
    north.delete_device("2").await.unwrap();
    for round in 0..120 {
        let notes = Some(format!("{round}\n{}", "ü".repeat(9_000)));
        north.update_device("1", DeviceFields { notes, ..DeviceFields::default() }).await.unwrap();
    }
    let sensor = Definition { name: "tank".into(), formula: Some("1 + 1".into()), ..Definition::default() };
    north.set_sensor("1", sensor).await.unwrap();
    let cards = Some(vec!["77".to_owned()]);
    north.create_driver(DriverFields { name: Some("Driver".into()), cards, ..DriverFields::default() }).await.unwrap();
    north.create_query(NewQuery { name: "all".into(), sql: "SELECT '§'".into() }).await.unwrap();
    north.create_share("1", NewShare::default()).await.unwrap();
    let listener = ListenerFields {
        protocol: Some("h02".into()),
        listen: Some("[::]:5".into()),
        tenant: Some("north".into()),
        allow: Some(vec!["'§'".into()]),
        ..ListenerFields::default()
    };
    catalog.listeners(&owner).create(listener, &|_, _| Ok(())).await.unwrap();
    let stop = NewCommand { kind: Some("engineStop".into()), ..NewCommand::default() };
    north.create_command("1", stop).await.unwrap();
    let registered = (0..250).map(|number| Registered {
        tenant: "south".into(),
        id: format!("r{number}"),
        aliases: vec![],
        protocol: "h02".into(),
        state: DeviceState::New,
        at: NOON,
    });
    catalog.register(&registered.collect::<Vec<_>>()).await.unwrap();
    let used = UsageOfNode {
        tenant: "south".into(),
        day: 20_000,
        node: 3,
        messages: i64::MAX,
        records: 2,
        bytes_in: 3,
        bytes_out: 4,
        devices: 5,
        storage_bytes: None,
    };
    catalog.keep_usage(&[used]).await.unwrap();
}

pub(crate) async fn connect(url: &str) -> AnyConnection {
    // As a URL has it.
    let url = match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{}", path.replace('?', "%3F").replace('#', "%23")),
        None => url.to_owned(),
    };
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&url).await.unwrap()
}

/// Of each table its rows, as text.
pub(crate) type Rows = BTreeMap<&'static str, Vec<Vec<Option<String>>>>;

/// All rows of all tables, in an order that is the same for all databases.
pub(crate) async fn rows(url: &str) -> Rows {
    let mut connection = connect(url).await;
    let mut all = BTreeMap::new();
    for table in TABLES {
        let select = AssertSqlSafe(format!("SELECT * FROM \"{table}\""));
        let found = sqlx::query(select).fetch_all(&mut connection).await.unwrap();
        let value = |row: &AnyRow, index: usize| match row.try_get::<Option<String>, _>(index) {
            Ok(text) => text,
            Err(_) => row.get::<Option<i64>, _>(index).map(|number| number.to_string()),
        };
        let mut rows: Vec<Vec<_>> =
            found.iter().map(|row| (0..row.len()).map(|index| value(row, index)).collect()).collect();
        rows.sort();
        all.insert(table, rows);
    }
    connection.close().await.unwrap();
    all
}

#[track_caller]
pub(crate) fn same(found: &Rows, expected: &Rows) {
    for table in TABLES {
        assert!(found[table] == expected[table], "{table}: {} and {}", found[table].len(), expected[table].len());
    }
}

/// The one number that a question about a copy has for an answer.
pub(crate) async fn number(copy: &Path, question: &'static str) -> i64 {
    let mut connection = connect(&format!("sqlite:{}", copy.display())).await;
    let row = sqlx::query(question).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

#[test]
fn all_that_a_catalog_has_is_in_its_copy_and_where_that_is_put() {
    with_catalog(async |place, catalog| {
        fill(&catalog).await;
        let original = rows(&place.url).await;
        assert!(original.values().all(|rows| !rows.is_empty()), "a table has nothing: {:?}", original.keys());
        let to = place.folder.path().join("co?py#1.sqlite");
        assert!(copy(&place.url, &to, &|_| ()).await.unwrap());
        same(&rows(&format!("sqlite:{}", to.display())).await, &original);
        let others = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'";
        assert_eq!(number(&to, others).await, TABLES.len() as i64);

        let Some(url) = postgres::new_database().await else { return };
        assert!(is_vacant(&url).await.unwrap());
        load(&to, &url, &|_| ()).await.unwrap();
        same(&rows(&url).await, &original);
        // What is there is left as it is.
        assert!(!is_vacant(&url).await.unwrap());
        refused(load(&to, &url, &|_| ()).await, "the database has a catalog already");
        same(&rows(&url).await, &original);
        // It is a catalog like any other: people sign in, and what they change is counted on.
        let clock = std::sync::Arc::new(place.clock.clone());
        let there = Catalog::open(&url, clock, place.rng.clone()).await.unwrap();
        there.login("anna", PASSWORD, None, None).await.unwrap();
        let owner = Access::owner("north");
        let before = catalog.within(&owner).device("1").await.unwrap();
        assert_eq!(there.within(&owner).device("1").await.unwrap(), before);
        let renamed = || DeviceFields { name: Some("Truck".into()), ..DeviceFields::default() };
        let here = catalog.within(&owner).update_device("1", renamed()).await.unwrap();
        assert_eq!(there.within(&owner).update_device("1", renamed()).await.unwrap(), here);
        assert!(here.revision > before.revision);
    });
}

const WRITES: i64 = 150;

#[test]
fn a_copy_is_of_one_moment_while_others_write() {
    with_catalog(async |place, catalog| {
        let (owner, done) = (Access::owner("north"), Cell::new(false));
        let writing = async {
            for number in 0..WRITES {
                let ids = vec![format!("w{number}")];
                catalog.within(&owner).create_device(ids, DeviceFields::default()).await.unwrap();
            }
            done.set(true);
        };
        let copying = async {
            let mut counts = Vec::new();
            while !done.get() {
                let to = place.folder.path().join(format!("{}.sqlite", counts.len()));
                assert!(copy(&place.url, &to, &|_| ()).await.unwrap());
                let devices = number(&to, "SELECT count(*) FROM devices").await;
                for same in [
                    "SELECT count(*) FROM device_ids",
                    "SELECT changed FROM revisions WHERE tenant = 'north'",
                    "SELECT count(*) FROM audit WHERE action = 'device.create'",
                ] {
                    assert_eq!(number(&to, same).await, devices, "{same}");
                }
                counts.push(devices);
            }
            counts
        };
        let ((), counts) = tokio::join!(writing, copying);
        assert!(counts.iter().any(|devices| (1..WRITES).contains(devices)), "none was made meanwhile: {counts:?}");
    });
}

#[test]
fn a_copy_is_of_the_version_that_the_tables_have() {
    on_both(async |place| {
        if place.is_sqlite() {
            return;
        }
        let to = |name: &str| place.folder.path().join(name);
        assert!(!copy(&place.url, &to("none"), &|_| ()).await.unwrap(), "there is no catalog yet");
        let catalog = place.open().await;
        catalog.ensure_tenant("north").await.unwrap();
        let owner = Access::owner("north");
        let name = Some("Truck".to_owned());
        catalog
            .within(&owner)
            .create_device(vec!["1".into()], DeviceFields { name, ..DeviceFields::default() })
            .await
            .unwrap();
        catalog.close().await;
        let mut connection = connect(&place.url).await;
        // A server of the version before time zones.
        let older = "ALTER TABLE devices DROP COLUMN time_zone; DELETE FROM _sqlx_migrations WHERE version >= 8";
        sqlx::raw_sql(older).execute(&mut connection).await.unwrap();
        assert!(copy(&place.url, &to("older"), &|_| ()).await.unwrap());
        let zones = "SELECT count(*) FROM pragma_table_info('devices') WHERE name = 'time_zone'";
        assert_eq!(number(&to("older"), zones).await, 0);
        let clock = std::sync::Arc::new(place.clock.clone());
        let url = format!("sqlite:{}", to("older").display());
        let opened = Catalog::open(&url, clock, place.rng.clone()).await.unwrap();
        let device = opened.within(&owner).device("1").await.unwrap();
        assert_eq!((device.name.as_str(), device.time_zone.as_str()), ("Truck", ""));
        opened.close().await;
        // And one of a version that is not known here: a copy would be without what that has more.
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            VALUES (9999, 'later', true, '', 0)";
        sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        refused(copy(&place.url, &to("newer"), &|_| ()).await, "cannot bring the catalog's tables to this version");
        assert!(!to("newer").exists());
    });
}
