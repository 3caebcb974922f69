//! Whose the entries of the journal are: as the journal's seals have it, and with the tenant.

use crate::streams::Streams;
use crate::told::Told;
use odograph_journal::{Entry, Kind};
use odograph_model::Lsn;
use odograph_protocols::{Binding, Decision, Settings};
use std::sync::Arc;

/// Tells whose entries are that are given to it in their order, from the beginning of a segment on.
#[derive(Default)]
pub(crate) struct Owners {
    /// Those streams of the segment that are bound to a device.
    streams: Streams<Arc<Binding>>,
    segment: Lsn,
    /// Whose the stream was that ended last.
    closed: Option<Arc<Binding>>,
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The device; empty for what is nobody's.
    pub device: &'a str,
    /// Whom the device belongs to.
    pub tenant: &'a str,
    /// Whether the device waits for a person's decision.
    pub waits: bool,
}

/// Whose everything is that is nobody's.
const NOBODY: Owner<'static> = Owner { device: "", tenant: DEFAULT_TENANT, waits: false };

/// The tenant of what belongs to no other: streams whose device nobody knows yet, and what the journal says of itself.
pub const DEFAULT_TENANT: &str = "default";

impl Owners {
    /// Whose the next entry is, of the segment that begins at `segment`.
    pub(crate) fn of(&mut self, entry: &Entry<'_>, segment: Lsn, told: &Told) -> Owner<'_> {
        if segment != self.segment {
            // Every stream that goes on there says again whose it is.
            self.streams.clear();
            self.segment = segment;
        }
        if let Some(identity) = entry.identity {
            if identity.device.is_empty() {
                self.streams.remove(entry.stream);
            } else {
                self.streams.insert(entry.stream, bound(identity.device, told));
            }
        }
        if entry.kind == Kind::CLOSE {
            self.closed = self.streams.remove(entry.stream);
            return self.closed.as_ref().map_or(NOBODY, owner);
        }
        self.streams.get(entry.stream).map_or(NOBODY, owner)
    }
}

fn owner(binding: &Arc<Binding>) -> Owner<'_> {
    let waits = binding.decision == Decision::Quarantined;
    Owner { device: &binding.device, tenant: &binding.tenant, waits }
}

/// What was decided about a device. What cannot be read belongs to the one who keeps what is nobody's.
fn bound(device: &str, told: &Told) -> Arc<Binding> {
    if let Told::Bound(binding, _) = told {
        return binding.clone();
    }
    let (device, tenant, settings) = (device.into(), DEFAULT_TENANT.into(), Settings::default());
    Arc::new(Binding { device, tenant, decision: Decision::Quarantined, settings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_journal::Identity;

    fn decision(tenant: &str) -> Vec<u8> {
        let (device, tenant) = ("".into(), tenant.into());
        let mut bytes = Vec::new();
        Binding { device, tenant, decision: Decision::Accepted, settings: Settings::default() }.write(&mut bytes);
        bytes
    }

    #[test]
    fn an_entry_belongs_to_whom_its_stream_was_bound_to_last() {
        let mut owners = Owners::default();
        let mut of = |stream: u64, kind: Kind, identity: Option<(&str, &[u8])>, segment: u64| {
            let identity = identity.map(|(device, decision)| Identity { device, decision });
            let (lsn, context, payload, bytes): (_, _, &[u8], &[u8]) = (Lsn(1), None, &[], &[]);
            let entry = Entry { lsn, stream, at: 0, kind, context, identity, payload, bytes };
            let owner = owners.of(&entry, Lsn(segment), &Told::of(&entry, None));
            (owner.device.to_string(), owner.tenant.to_string())
        };
        let told = |device: &str, tenant: &str| (device.to_owned(), tenant.to_owned());
        let (blue, red) = (decision("blue"), decision("red"));
        assert_eq!(of(1, Kind::OPEN, None, 0), told("", "default"));
        assert_eq!(of(1, Kind::FRAME, Some(("a", &blue)), 0), told("a", "blue"), "from the entry that says so");
        assert_eq!(of(1, Kind::SENT, None, 0), told("a", "blue"));
        assert_eq!(of(2, Kind::FRAME, None, 0), told("", "default"), "each stream for itself");
        assert_eq!(of(1, Kind::FRAME, Some(("b", &red)), 0), told("b", "red"), "another device on the same stream");
        assert_eq!(of(1, Kind::CLOSE, None, 0), told("b", "red"), "the end belongs to it as well");
        assert_eq!(of(1, Kind::SENT, None, 0), told("", "default"));
        assert_eq!(of(3, Kind::FRAME, Some(("c", b"unreadable")), 0), told("c", "default"));
        assert_eq!(
            of(3, Kind::FRAME, None, 64),
            told("", "default"),
            "another segment says it again, or it is nobody's"
        );
        assert_eq!(of(3, Kind::FRAME, Some(("c", &blue)), 64), told("c", "blue"));
        assert_eq!(of(3, Kind::FRAME, Some(("", b"")), 64), told("", "default"), "nobody's any more");
        assert_eq!(of(3, Kind::FRAME, None, 64), told("", "default"));
    }
}
