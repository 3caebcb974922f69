//! Refuses to erase what is nothing, before anything is looked for.

use super::{DEFAULT, Erasing, Load, Of, Subject};
use crate::exit::{Failure, Status};
use anyhow::{Result, bail};
use odograph_catalog::bounds::check_id;
use std::collections::BTreeSet;

/// Refuses what nothing can be called, and the tenant of all who have none.
pub(crate) fn check_names(of: &Of) -> Result<()> {
    let refused = |what: String| Err(Failure::new(Status::Usage, what).into());
    if let Err(error) = check_id("tenant", &of.tenant) {
        return refused(format!("{error}: nothing was changed"));
    }
    match of.device.as_deref() {
        Some("") => refused("no device has an empty id: nothing was changed".to_owned()),
        None if of.tenant == DEFAULT => {
            refused("the tenant default also has what is nobody's: erase its devices one after the other".to_owned())
        }
        _ => Ok(()),
    }
}

impl Erasing {
    /// Refuses a tenant of which there is nothing: not in the journal nor in history, as `load` says, nor among those that have tables,
    /// nor among `others` that are known. Says which there are.
    pub(crate) fn refuse_unknown(
        &self,
        subject: &Subject,
        load: &Load,
        others: impl FnOnce() -> Result<BTreeSet<String>>,
    ) -> Result<()> {
        let tenant = subject.of.tenant.as_str();
        if load.entries + load.records + load.frames + load.events > 0 {
            return Ok(());
        }
        let mut all = self.lake.tenants()?;
        if all.contains(tenant) {
            return Ok(());
        }
        all.extend(others()?);
        if all.contains(tenant) {
            return Ok(());
        }
        let named: Vec<&str> = all.iter().map(String::as_str).take(NAMED_MAX).collect();
        let more = if all.len() > NAMED_MAX { ", and more" } else { "" };
        bail!("there is no tenant {tenant:?}, and nothing was changed. There are: {}{more}", named.join(", "))
    }
}

/// Enough to find the one that was meant.
const NAMED_MAX: usize = 20;
