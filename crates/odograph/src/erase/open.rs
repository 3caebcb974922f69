//! What is ordered to be erased, for those who are no server: as long as that is not done, nobody makes it anew and nobody copies half of it.

use super::Subject;
use crate::folder::Folder;
use anyhow::{Result, bail};
use odograph_catalog::KeptOut;
use odograph_journal::Reader;

/// All that is being erased from a data folder. Where it cannot be read nothing is erased either: the server says so.
pub(crate) fn kept_out(folder: &Folder) -> Vec<KeptOut> {
    let nodes = folder.nodes().unwrap_or_default();
    let readers = nodes.into_iter().filter_map(|node| folder.reader(node).ok().flatten());
    let orders = readers.filter_map(|reader| reader.erasures().ok()).flatten();
    let subjects = orders.filter(|order| order.done.is_none()).filter_map(|order| subject(&order.subject));
    subjects
        .map(|Subject { of, ids, .. }| KeptOut {
            tenant: of.tenant.into(),
            ids: of.device.map(|device| std::iter::once(device).chain(ids).map(String::from).collect()),
        })
        .collect()
}

fn subject(bytes: &[u8]) -> Option<Subject> {
    serde_json::from_slice(bytes).ok()
}

/// Refuses a backup as long as an order is not done: it would have half of what is erased, and later ones are to be without it.
pub(crate) fn refuse_backup<'r>(readers: impl IntoIterator<Item = &'r Reader>) -> Result<()> {
    for reader in readers {
        if let Some(order) = reader.erasures()?.iter().find(|order| order.done.is_none()) {
            bail!(
                "order {} to erase is not done yet, and a backup would have half of what it is about: a running server goes on with it \
                 by itself, and its log says what is in the way; try again when it is done",
                order.order
            );
        }
    }
    Ok(())
}
