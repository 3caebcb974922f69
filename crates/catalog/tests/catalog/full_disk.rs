//! A disk that fills up under the catalog: nothing half is there, and all goes on once there is space, without a new start.

use std::sync::Arc;
use std::time::Duration;

use odograph_catalog::{Access, Catalog, DeviceFields, DeviceFilter, DeviceRow, Error, ImportMode};
use odograph_testkit::{SeededRng, SmallDisk, TestClock};
use sqlx::Connection as _;

use crate::support::{NOON, Place, refused, with_catalog};

/// Enough for an empty catalog and some devices.
const DISK_KB: u32 = 4096;
const FULL: &str = "no room on the disk of the catalog, and nothing was changed. Make space and try again";

/// A test with a catalog on a disk that it can fill.
fn on_small_disk(test: impl AsyncFnOnce(Place, Catalog, &SmallDisk)) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path(), DISK_KB) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let place = Place { url, clock: TestClock::new(NOON), rng: Arc::new(SeededRng::new(7)), folder };
        let catalog = place.open().await;
        catalog.ensure_tenant("default").await.expect("a tenant");
        test(place, catalog, &disk).await;
    });
    drop(runtime);
}

async fn create(catalog: &Catalog, id: &str) -> Result<(), Error> {
    let fields = DeviceFields { name: Some("x".repeat(100)), ..DeviceFields::default() };
    catalog.within(&Access::owner("default")).create_device(vec![id.to_owned()], fields).await.map(drop)
}

async fn count(catalog: &Catalog) -> i64 {
    catalog.within(&Access::owner("default")).count_devices(&DeviceFilter::default()).await.unwrap()
}

/// Writes until there is no room, and says how many devices that made.
async fn create_until_full(catalog: &Catalog, prefix: &str) -> i64 {
    for number in 0..10_000 {
        if let Err(error) = create(catalog, &format!("{prefix}{number}")).await {
            assert_eq!(error.to_string(), FULL);
            return number;
        }
    }
    panic!("the disk is not full");
}

#[test]
fn a_full_disk_refuses_what_is_written_until_there_is_space() {
    on_small_disk(async |place, catalog, disk| {
        let mut expected = 0;
        for round in 0..3 {
            assert_eq!(catalog.trouble().await, None);
            disk.fill();
            expected += create_until_full(&catalog, &format!("{round}-")).await;
            for _ in 0..3 {
                refused(create(&catalog, "again").await, FULL);
            }
            assert_eq!(count(&catalog).await, expected, "what is there can be read, and nothing half is there");
            assert_eq!(catalog.trouble().await.as_deref(), Some(FULL));
            disk.make_room();
            create(&catalog, &format!("{round}-after")).await.expect("there is space again");
            expected += 1;
        }
        let access = Access::owner("default");
        refused(catalog.within(&access).device("again").await, "there is no device again");
        catalog.close().await;
        let again = place.open().await;
        assert_eq!(count(&again).await, expected, "all that was acknowledged is there");
        again.close().await;
    });
}

#[test]
fn a_list_that_does_not_fit_leaves_nothing_behind() {
    on_small_disk(async |_, catalog, disk| {
        let access = Access::owner("default");
        let row = |number: usize| DeviceRow {
            ids: vec![number.to_string()],
            fields: DeviceFields { notes: Some("x".repeat(1000)), ..DeviceFields::default() },
        };
        let rows: Vec<_> = (0..10_000).map(row).collect();
        refused(catalog.within(&access).import_devices(&rows, &[], ImportMode::default()).await, FULL);
        assert_eq!(count(&catalog).await, 0);
        create(&catalog, "1").await.expect("what fits is written");
        assert_eq!((count(&catalog).await, catalog.trouble().await), (1, None));
        disk.fill();
        create_until_full(&catalog, "x").await;
        disk.make_room();
        catalog.close().await;
    });
}

#[test]
fn that_there_is_space_again_shows_though_nobody_writes() {
    on_small_disk(async |place, catalog, disk| {
        disk.fill();
        create_until_full(&catalog, "x").await;
        assert_eq!(catalog.trouble().await.as_deref(), Some(FULL));
        place.clock.advance(Duration::from_secs(5));
        assert_eq!(catalog.trouble().await.as_deref(), Some(FULL), "it was tried");
        disk.make_room();
        assert_eq!(catalog.trouble().await.as_deref(), Some(FULL), "it is not tried all the time");
        place.clock.advance(Duration::from_secs(5));
        assert_eq!(catalog.trouble().await, None);
        create(&catalog, "after").await.unwrap();
        catalog.close().await;
    });
}

#[test]
fn a_connection_that_the_server_ended_goes_to_nobody() {
    with_catalog(async |place, catalog| {
        if place.is_sqlite() {
            return;
        }
        create(&catalog, "before").await.unwrap();
        let mut connection = sqlx::AnyConnection::connect(&place.url).await.unwrap();
        let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::raw_sql(all).execute(&mut connection).await.unwrap();
        create(&catalog, "after").await.expect("another connection is opened");
        assert_eq!((count(&catalog).await, catalog.trouble().await), (2, None));
    });
}
