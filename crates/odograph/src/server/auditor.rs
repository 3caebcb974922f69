//! Removes what is not kept of the audit log any more, by itself and little by little.

use anyhow::Result;
use odograph_catalog::{AuditKept, Catalog};
use std::time::Duration;

/// Keeps so much of it, until the runtime ends.
pub(crate) async fn keep(catalog: Catalog, kept: AuditKept) {
    loop {
        if let Err(error) = trim(&catalog, kept).await {
            tracing::warn!("what is old in the audit log cannot be removed, and is tried again: {error:#}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn trim(catalog: &Catalog, kept: AuditKept) -> Result<()> {
    let (mut place, mut removed) = (String::new(), 0);
    while let Some(more) = catalog.trim_audit(kept, &mut place).await? {
        if more > 0 {
            removed += more;
            metrics::counter!("odograph_audit_entries_removed_total").increment(more);
            tokio::time::sleep(PAUSE).await;
        }
    }
    if removed > 0 {
        tracing::info!(entries = removed, "what is not kept of the audit log any more was removed");
    }
    Ok(())
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "odograph_audit_entries_removed_total",
        "Entries of the audit log that were removed because they are not kept any longer."
    );
}

/// Nobody misses an hour of a year.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Between two steps, so that others write meanwhile.
const PAUSE: Duration = Duration::from_millis(100);
