//! What an entry of the journal says of whose its stream is from then on.

use odograph_journal::Entry;
use odograph_protocols::{Binding, Malformed, Others};
use std::sync::Arc;

/// That, read once for all who want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Nothing new.
    Nothing,
    /// It is nobody's, and nothing was decided about a device.
    Nobody,
    /// A device's: what was decided about it, and about others in the same frame.
    Bound(Arc<Binding>, Others),
    /// A device's, but what was decided about it cannot be read.
    Unreadable(Malformed),
}

impl Told {
    /// What `entry` says. Where whoever hands it over has the same in memory already, that is taken, and kept once for both.
    pub fn of(entry: &Entry<'_>, known: Option<&Arc<Binding>>) -> Self {
        let Some(identity) = entry.identity else { return Self::Nothing };
        if identity.device.is_empty() && identity.decision.is_empty() {
            return Self::Nobody;
        }
        match Binding::read_with(identity.device, identity.decision) {
            Ok((read, others)) => {
                let known = known.filter(|known| ***known == read).cloned();
                Self::Bound(known.unwrap_or_else(|| Arc::new(read)), others)
            }
            Err(malformed) => Self::Unreadable(malformed),
        }
    }
}
