//! Copies of a catalog in PostgreSQL that has many rows: a batch is in memory at a time, nobody who serves waits, and nothing half is left.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use odograph_catalog::{Access, Catalog, DeviceFields, copy, is_vacant, load};
use odograph_testkit::SmallDisk;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::carried::{connect, number, rows, same};
use crate::postgres;
use crate::support::{Place, refused, with_catalog};

/// Enough for some hundred statements.
const MANY: i64 = 20_000;

/// Gives a catalog in PostgreSQL many devices and entries, some of them long.
async fn fill_many(url: &str) {
    let mut connection = connect(url).await;
    let fill = format!(
        "INSERT INTO devices (tenant, id, ids, name, plate, tags, protocol, settings, notes, attributes, state, sort_key, \
            search, created, updated, revision) \
            SELECT 'north', 'm' || n, '[\"m' || n || '\"]', '', '', '[]', '', '{{}}', repeat('n', 200), '{{}}', 'new', '', '', 0, 0, n \
            FROM generate_series(1, {MANY}) AS n; \
        INSERT INTO device_ids (tenant, id, device) SELECT 'north', 'm' || n, 'm' || n FROM generate_series(1, {MANY}) AS n; \
        INSERT INTO audit (tenant, seq, time, actor_kind, actor_id, actor_name, action, kind, object, became) \
            SELECT 'south', 1000 + n, 0, 'user', '', '', 'device.update', 'device', '', repeat('ü', 30000) \
            FROM generate_series(1, 100) AS n"
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A catalog in PostgreSQL that has many rows, and how many. `None` where there is no server.
async fn large(place: &Place, catalog: &Catalog) -> Option<u64> {
    if place.is_sqlite() {
        return None;
    }
    catalog.within(&Access::owner("north")).create_group("some").await.unwrap();
    fill_many(&place.url).await;
    Some(rows(&place.url).await.values().map(|rows| rows.len() as u64).sum())
}

/// What is told after each statement: one takes a batch, and no more is in memory than that.
#[track_caller]
fn in_small_steps(told: &[u64], all: u64) {
    assert_eq!(told.last(), Some(&all), "all are told of");
    let steps: Vec<_> = std::iter::once(&0).chain(told).zip(told).map(|(before, after)| after - before).collect();
    assert_eq!(steps.iter().max(), Some(&100), "{steps:?}");
    assert!(steps.len() as u64 > all / 100, "{steps:?}");
    // Of entries with 60,000 bytes, a megabyte is passed by the eighteenth.
    assert!(steps.iter().filter(|step| **step == 18).count() >= 4, "{steps:?}");
}

#[test]
fn a_large_catalog_goes_both_ways_a_batch_at_a_time() {
    with_catalog(async |place, catalog| {
        let Some(all) = large(&place, &catalog).await else { return };
        // Who may ask for no longer than this may copy all the same.
        let mut connection = connect(&place.url).await;
        let hurry = "DO $$ BEGIN \
            EXECUTE format($f$ALTER DATABASE %I SET statement_timeout = '200ms'$f$, current_database()); END $$";
        sqlx::raw_sql(hurry).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (told, to) = (RefCell::new(Vec::new()), place.folder.path().join("copy.sqlite"));
        let slowly = |rows| {
            // A disk that takes its time.
            std::thread::sleep(Duration::from_millis(2));
            told.borrow_mut().push(rows);
        };
        assert!(copy(&place.url, &to, &slowly).await.unwrap());
        in_small_steps(&told.take(), all);
        let url = postgres::new_database().await.unwrap();
        load(&to, &url, &|rows| told.borrow_mut().push(rows)).await.unwrap();
        in_small_steps(&told.take(), all);
        assert_eq!(number(&to, "SELECT count(*) FROM devices").await, MANY);
        same(&rows(&url).await, &rows(&format!("sqlite:{}", to.display())).await);
    });
}

/// Ends all connections to a database but this one, once somebody has begun to carry rows.
async fn end_others(connection: &mut AnyConnection, carried: &Cell<u64>) {
    while carried.get() < 1_000 {
        tokio::task::yield_now().await;
    }
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(others).execute(connection).await.unwrap();
}

#[test]
fn a_database_that_goes_away_in_the_middle_leaves_nothing_half() {
    with_catalog(async |place, catalog| {
        let Some(all) = large(&place, &catalog).await else { return };
        let (carried, to) = (Cell::new(0), place.folder.path().join("copy.sqlite"));
        let reached = |rows| carried.set(rows);
        let mut connection = connect(&place.url).await;
        let (copied, ()) = tokio::join!(copy(&place.url, &to, &reached), end_others(&mut connection, &carried));
        refused(copied, "cannot read from the catalog");
        assert!(carried.get() < all);
        let again = place.folder.path().join("again.sqlite");
        assert!(copy(&place.url, &again, &reached).await.unwrap());
        assert_eq!(carried.take(), all);

        let url = postgres::new_database().await.unwrap();
        let mut connection = connect(&url).await;
        let (loaded, ()) = tokio::join!(load(&again, &url, &reached), end_others(&mut connection, &carried));
        refused(loaded, "cannot write to the catalog");
        assert!(is_vacant(&url).await.unwrap(), "it is all there or nothing");
        load(&again, &url, &reached).await.unwrap();
        assert_eq!(carried.get(), all);
    });
}

#[test]
fn those_who_serve_change_things_while_a_copy_waits_for_its_disk() {
    with_catalog(async |place, catalog| {
        if large(&place, &catalog).await.is_none() {
            return;
        }
        let (carried, changed, done) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let to = place.folder.path().join("copy.sqlite");
        let slowly = |rows| {
            carried.set(rows);
            if !changed.get() {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let copying = async {
            copy(&place.url, &to, &slowly).await.unwrap();
            done.set(true);
        };
        let changing = async {
            while carried.get() < 1_000 {
                tokio::task::yield_now().await;
            }
            let owner = Access::owner("north");
            let within = catalog.within(&owner);
            within.create_device(vec!["new".into()], DeviceFields::default()).await.unwrap();
            within
                .update_device("m1", DeviceFields { name: Some("x".into()), ..DeviceFields::default() })
                .await
                .unwrap();
            within.delete_device("m2").await.unwrap();
            changed.set(true);
            assert!(!done.get(), "none of that waited for the copy");
        };
        tokio::join!(copying, changing);
        assert_eq!(number(&to, "SELECT count(*) FROM devices WHERE id IN ('new', 'm2') OR name = 'x'").await, 1);
    });
}

#[test]
fn a_copy_that_finds_no_room_says_so() {
    with_catalog(async |place, catalog| {
        if large(&place, &catalog).await.is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(folder.path(), 2048) else { return };
        let copied = copy(&place.url, &folder.path().join("copy.sqlite"), &|_| ()).await;
        refused(copied, "no room on the disk of the catalog, and nothing was changed. Make space and try again");
        drop(disk);
    });
}
