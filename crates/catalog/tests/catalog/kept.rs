//! How much of the audit log is kept, and how fast it may grow.

use std::time::Duration;

use odograph_catalog::{Access, AuditFilter, AuditKept, CHANGE_BURST, Catalog, Error, Role};

use crate::support::{user, with_catalog};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The numbers of the entries that a tenant's audit log has.
async fn seqs(catalog: &Catalog, tenant: &str) -> Vec<i64> {
    let owner = Access::owner(tenant);
    let log = catalog.within(&owner).audit(&AuditFilter::default()).await.unwrap();
    log.iter().map(|entry| entry.seq).collect()
}

/// Removes what is not kept; says how much each step removed.
async fn trim(catalog: &Catalog, kept: AuditKept) -> Vec<u64> {
    let (mut place, mut steps) = (String::new(), Vec::new());
    while let Some(removed) = catalog.trim_audit(kept, &mut place).await.unwrap() {
        steps.push(removed);
    }
    steps.retain(|removed| *removed > 0);
    steps
}

#[test]
fn old_entries_of_the_audit_log_go_and_the_numbers_go_on() {
    with_catalog(async |place, catalog| {
        let (north, south) = (Access::owner("north"), Access::owner("south"));
        for name in ["a", "b"] {
            catalog.within(&north).create_group(name).await.unwrap();
            catalog.within(&south).create_group(name).await.unwrap();
        }
        place.clock.advance(DAY);
        catalog.within(&north).create_group("c").await.unwrap();
        let days = |days| AuditKept { days, ..AuditKept::default() };
        assert_eq!(trim(&catalog, days(1)).await, [0; 0], "a day old is not older than a day");
        place.clock.advance(Duration::from_millis(1));
        assert_eq!(trim(&catalog, days(1)).await, [2, 2, 2], "of default, north and south");
        assert_eq!((seqs(&catalog, "north").await, seqs(&catalog, "south").await), (vec![3], vec![]));
        catalog.within(&south).create_group("c").await.unwrap();
        assert_eq!(seqs(&catalog, "south").await, [3], "what went shows");
        assert_eq!(trim(&catalog, AuditKept::default()).await, [0; 0]);
    });
}

#[test]
fn of_too_many_entries_the_oldest_go_in_small_steps() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        for number in 0..300 {
            // Changes that need but their entry: what each does is of no interest here.
            let group = catalog.within(&owner).create_group(&format!("g{number}")).await.unwrap();
            catalog.within(&owner).delete_group(&group.id).await.unwrap();
        }
        let kept = |entries_max| AuditKept { entries_max, ..AuditKept::default() };
        assert_eq!(trim(&catalog, kept(600)).await, [0; 0]);
        assert_eq!(trim(&catalog, kept(50)).await, [500, 50]);
        let left = seqs(&catalog, "north").await;
        assert_eq!((left.len(), left.first(), left.last()), (50, Some(&600), Some(&551)));
        assert_eq!(trim(&catalog, kept(50)).await, [0; 0]);
    });
}

#[test]
fn one_person_changes_so_much_at_once_and_others_go_on() {
    with_catalog(async |place, catalog| {
        let anna = user(&catalog, "north", "anna", Role::Owner, None).await.2;
        let otto = user(&catalog, "north", "otto", Role::Owner, None).await.2;
        // Signing in was the first one.
        for _ in 1..CHANGE_BURST {
            let nothing = catalog.within(&anna).delete_group("none").await;
            assert!(matches!(nothing, Err(Error::NotFound { .. })), "{nothing:?}");
        }
        let refused = catalog.within(&anna).create_group("one more").await.unwrap_err();
        let expected = "too many changes: try again in 1 s, or bring many devices along by one import";
        assert_eq!(refused.to_string(), expected);
        catalog.within(&otto).create_group("others").await.unwrap();
        catalog.within(&anna).groups().await.unwrap();
        place.clock.advance(Duration::from_millis(500));
        catalog.within(&anna).create_group("one more").await.unwrap();
        assert!(catalog.within(&anna).create_group("and one").await.is_err());
    });
}
