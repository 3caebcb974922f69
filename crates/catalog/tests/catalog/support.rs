//! A catalog to test, on each database.

use std::sync::Arc;

use odograph_catalog::{Access, Catalog, Error, NewTenant, NewUser, Role, Secret, User};
use odograph_testkit::{SeededRng, TestClock};
use tempfile::TempDir;

use crate::postgres;

/// When tests begin: 2026-11-28T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_867_200_000;
pub(crate) const PASSWORD: &str = "correct horse";

/// Where a test's catalog is.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) clock: TestClock,
    pub(crate) rng: Arc<SeededRng>,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) async fn open(&self) -> Catalog {
        let clock = Arc::new(self.clock.clone());
        Catalog::open(&self.url, clock, self.rng.clone()).await.expect("the catalog opens")
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }
}

/// Runs a test on SQLite, and on PostgreSQL where there is one.
#[track_caller]
pub(crate) fn on_both(test: impl AsyncFn(Place)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let place =
            |url: String, folder| Place { url, clock: TestClock::new(NOON), rng: Arc::new(SeededRng::new(7)), folder };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cata?log#1.sqlite");
        eprintln!("on SQLite");
        test(place(format!("sqlite:{}", file.display()), folder)).await;
        if let Some(url) = postgres::new_database().await {
            eprintln!("on PostgreSQL");
            test(place(url, tempfile::tempdir().expect("a folder"))).await;
        }
    });
}

/// The same with an open catalog that has the tenants `north` and `south`.
#[track_caller]
pub(crate) fn with_catalog(test: impl AsyncFn(Place, Catalog)) {
    on_both(async |place| {
        let catalog = place.open().await;
        catalog.ensure_tenant("default").await.expect("a tenant");
        let owner = Access::owner("default");
        for id in ["north", "south"] {
            let new = NewTenant { id: id.into(), ..NewTenant::default() };
            catalog.tenants(&owner).create(new).await.expect("a tenant is made");
        }
        test(place, catalog).await;
    });
}

/// Makes a user with [`PASSWORD`], and signs in.
pub(crate) async fn user(
    catalog: &Catalog,
    tenant: &str,
    login: &str,
    role: Role,
    groups: Option<Vec<String>>,
) -> (User, Secret, Access) {
    let new = NewUser { login: login.into(), password: Some(PASSWORD.into()), role, groups, ..NewUser::default() };
    let user = catalog.within(&Access::owner(tenant)).create_user(new).await.expect("a user is made");
    let (secret, access) = catalog.login(login, PASSWORD, None, None).await.expect("the user signs in");
    (user, secret, access)
}

/// Compares what an error says.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, expected: &str) {
    match result {
        Ok(_) => panic!("it was done, and should have been refused: {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}
